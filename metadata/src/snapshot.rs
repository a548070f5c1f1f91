//! Copies of trees.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// SNAPSHOT, creating (§15.8).
    pub fn snapshot(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _source: Inode,
        _parent: Inode,
        _name: &[u8],
        _smode: u8,
        _umask: u16,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// SNAPSHOT, removing (§15.8).
    pub fn remove_snapshot(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
        _smode: u8,
        _umask: u16,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }
}
