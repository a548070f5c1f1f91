//! Finding inodes: lookup, directories, symlink targets, parents and paths.

use crate::access::AtimeMode;
use crate::{Caller, Namespace, Tx};
use proto::{Inode, NodeKind, Status};

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What has the name.
    pub inode: Inode,
    /// The directory in which it was looked up (for `..` and `.`: the directory itself).
    pub parent: Inode,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Position; ascending in the order of the directory.
    pub edge_id: u64,
    /// Name.
    pub name: &'a [u8],
    /// What has the name.
    pub inode: Inode,
    /// What it is.
    pub kind: NodeKind,
}

impl Namespace {
    /// The real inode of a number that a client sent (wire-client-master §5.5).
    pub fn resolve(&self, _who: &Caller, wire: Inode) -> Result<Inode, Status> {
        Ok(wire)
    }

    /// The number under which a client knows an inode.
    pub fn wire_inode(&self, who: &Caller, inode: Inode) -> Inode {
        if inode == who.root {
            Inode::ROOT
        } else {
            inode
        }
    }

    /// LOOKUP (§10.1).
    pub fn lookup(&self, _who: &Caller, _parent: Inode, _name: &[u8]) -> Result<Found, Status> {
        Err(Status::Enotsup)
    }

    /// READLINK (§10.3).
    pub fn readlink(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _atime: AtimeMode,
    ) -> Result<&[u8], Status> {
        Err(Status::Enotsup)
    }

    /// Checks of READDIR from the start of the directory, and its atime (§10.9).
    pub fn readdir_open(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _with_attrs: bool,
        _atime: AtimeMode,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// Entries of a directory in its order, beginning with the one whose edge id is `from_edge` or higher.
    pub fn readdir_entries(
        &self,
        _inode: Inode,
        _from_edge: u64,
    ) -> impl Iterator<Item = DirEntry<'_>> {
        std::iter::empty()
    }

    /// What `..` of a directory is for the caller.
    pub fn parent_of(&self, _who: &Caller, inode: Inode) -> Inode {
        inode
    }

    /// The directories that hold a name of an inode (real numbers); empty for detached files.
    pub fn parents(&self, _inode: Inode) -> impl Iterator<Item = Inode> {
        std::iter::empty()
    }

    /// Paths of an inode below `root`, without leading slash; `/` for the root itself (§15.11).
    pub fn paths(&self, _root: Inode, _inode: Inode) -> Vec<Vec<u8>> {
        Vec::new()
    }
}
