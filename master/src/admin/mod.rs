//! Monitoring messages on the client port (wire-admin §4).

use crate::core::Core;
use crate::links::LinkId;

/// State that only monitoring needs.
#[derive(Debug, Default)]
pub struct Admin {}

/// A monitoring message; anything unknown closes the connection.
pub fn frame(core: &mut Core, link: LinkId, _kind: u32, _payload: &[u8]) {
    core.links.close(link);
}

/// Time passed.
pub fn tick(_core: &mut Core) {}
