//! Removing names.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// UNLINK (§10.6); the inode that had the name.
    pub fn unlink(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }

    /// RMDIR (§10.6); the inode that had the name.
    pub fn rmdir(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }
}
