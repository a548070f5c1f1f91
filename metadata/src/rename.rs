//! Renaming.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// RENAME (§10.7); the inode that moved.
    pub fn rename(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
        _new_parent: Inode,
        _new_name: &[u8],
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }
}
