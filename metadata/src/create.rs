//! New inodes.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, NodeKind, Status};

/// What MKNOD and MKDIR ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// 1, 2, 4, 5, 6 or 7.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u16,
    /// Umask of the request; the session's is added.
    pub umask: u16,
    /// Device number, for devices.
    pub rdev: u32,
    /// A directory takes the setgid bit of its parent.
    pub copy_sgid: bool,
}

impl Namespace {
    /// MKNOD and MKDIR (§10.5).
    pub fn mknod(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
        _new: NewNode,
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }

    /// CREATE: a file that the session has open at once (§10.5).
    pub fn create(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
        _mode: u16,
        _umask: u16,
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }

    /// SYMLINK (§10.4).
    pub fn symlink(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _parent: Inode,
        _name: &[u8],
        _target: &[u8],
    ) -> Result<Inode, Status> {
        Err(Status::Enotsup)
    }
}
