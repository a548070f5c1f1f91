//! Metaloggers on port 9419.

use crate::core::Core;
use crate::links::LinkId;

/// State of the connections.
#[derive(Debug, Default)]
pub struct Loggers {}

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

/// The lines of this turn go to the metaloggers, and leave when they are durable.
pub fn lines(_core: &mut Core) {}

/// The changelogs are about to be rotated.
pub fn rotated(_core: &mut Core) {}
