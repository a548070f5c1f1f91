//! Hard links.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// LINK (§10.8); `links_max` is MAX_ALLOWED_HARD_LINKS.
    pub fn link(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _parent: Inode,
        _name: &[u8],
        _links_max: u32,
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }
}
