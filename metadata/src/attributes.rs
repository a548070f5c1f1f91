//! Attributes, times and lengths.

use crate::access::AtimeMode;
use crate::{Caller, Namespace, Tx};
use proto::{ChunkId, ClassId, Inode, NodeKind, SessionId, Status};

/// Attributes as a client sees them (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Flags of §4.2.
    pub flags: u8,
    /// Kind; trash and sustained show as files.
    pub kind: NodeKind,
    /// 12 bits.
    pub mode: u16,
    /// Owner as shown.
    pub uid: u32,
    /// Group as shown.
    pub gid: u32,
    /// Times, seconds since 1970.
    pub atime: u32,
    /// Last change of the data.
    pub mtime: u32,
    /// Last change of the inode.
    pub ctime: u32,
    /// Names; directories: 2 + subdirectories.
    pub nlink: u32,
    /// The word at offset 27: length, pseudo size, target length, or rdev in the upper half.
    pub length: u64,
    /// Windows attributes.
    pub winattr: u8,
}

/// What an inode is, for those who need no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Kind, trash and sustained included.
    pub kind: NodeKind,
    /// 12 bits.
    pub mode: u16,
    /// Extra attributes.
    pub eattr: u8,
    /// Windows attributes.
    pub winattr: u8,
    /// Storage class; 0 for other kinds than files and directories.
    pub class: ClassId,
    /// Trash time, hours.
    pub trash_hours: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub atime: u32,
    /// Last change of the data.
    pub mtime: u32,
    /// Last change of the inode.
    pub ctime: u32,
    /// Names; directories: 2 + subdirectories.
    pub nlink: u32,
    /// Length of a file, bytes; length of the target of a symlink; else 0.
    pub length: u64,
    /// Number of slots of the chunk list of a file.
    pub slots: u32,
}

/// SETATTR (§11.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Which fields are set: the bits of §3.
    pub mask: u8,
    /// 12 bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Access time.
    pub atime: u32,
    /// Modification time.
    pub mtime: u32,
    /// Windows attributes.
    pub winattr: u8,
    /// How setuid and setgid are cleared, 0..=5.
    pub sugid_mode: u8,
}

/// Result of OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The file has eattr appendonly.
    pub append_only: bool,
    /// The file has eattr nodatacache.
    pub direct: bool,
}

/// What a truncate has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncatePlan {
    /// Nothing: the length is right and times stay.
    NoChange,
    /// Only the length changes: `set_length`.
    SetLength,
    /// A chunk has to be cut first.
    Chunk {
        /// Slot.
        index: u32,
        /// What it holds.
        chunk: ChunkId,
        /// Other files refer to it too.
        shared: bool,
    },
}

/// One entry of AMTIME_INODES; 0 leaves a time as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmTime {
    /// File.
    pub inode: Inode,
    /// Last access, seconds since 1970.
    pub atime: u32,
    /// Last modification, seconds since 1970.
    pub mtime: u32,
}

impl Namespace {
    /// Attributes of an inode as the caller sees it (§4).
    pub fn attr(&self, _who: &Caller, _inode: Inode) -> Result<Attr, Status> {
        Err(Status::Enotsup)
    }

    /// The same when it was reached through a directory: with flag 02 (§4.2).
    pub fn attr_in(&self, _who: &Caller, _parent: Inode, _inode: Inode) -> Result<Attr, Status> {
        Err(Status::Enotsup)
    }

    /// What an inode is.
    pub fn node(&self, _inode: Inode) -> Option<NodeInfo> {
        None
    }

    /// SETATTR (§11.2). `opened` is of no effect here; the caller did the subtree test.
    pub fn setattr(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _set: SetAttr,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// OPEN (§12.1): checks, cutting to 0 when asked, registration.
    pub fn open(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _flags: u8,
        _before_3_0_113: bool,
    ) -> Result<Opened, Status> {
        Err(Status::Enotsup)
    }

    /// SUSTAINED_INODES: the complete list of what a session has open (§18.3).
    pub fn set_sustained(
        &mut self,
        _tx: &mut Tx,
        _session: SessionId,
        _inodes: impl Iterator<Item = Inode>,
    ) {
    }

    /// AMTIME_INODES (§18.4).
    pub fn am_time(
        &mut self,
        _tx: &mut Tx,
        _entries: impl Iterator<Item = AmTime>,
        _atime: AtimeMode,
    ) {
    }

    /// Checks of TRUNCATE, plain (flags of §11.3).
    pub fn truncate_check(
        &self,
        _who: &Caller,
        _inode: Inode,
        _flags: u8,
        _length: u64,
    ) -> Result<TruncatePlan, Status> {
        Err(Status::Enotsup)
    }

    /// Sets the length; the previous one.
    pub fn set_length(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _length: u64,
        _changes_mtime: bool,
    ) -> Result<u64, Status> {
        Err(Status::Enotsup)
    }
}
