//! Clients, tools and monitors on port 9421.

use crate::core::Core;
use crate::links::LinkId;

/// State of the connections.
#[derive(Debug, Default)]
pub struct Clients {}

/// A connection came in.
pub fn accepted(_core: &mut Core, _link: LinkId) {}

/// A frame came in.
pub fn frame(core: &mut Core, link: LinkId, _kind: u32, _payload: &[u8]) {
    core.links.close(link);
}

/// A connection is gone.
pub fn closed(_core: &mut Core, _link: LinkId) {}

/// Time passed.
pub fn tick(_core: &mut Core) {}

/// Metadata changed in a way that concerns this room.
pub fn event(_core: &mut Core, _event: metadata::Event) {}
impl Clients {
    /// No client yet.
    pub fn new(_seed: u64) -> Clients {
        Clients::default()
    }
}
