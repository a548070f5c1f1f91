//! Trash time, storage class, extra attributes and archive flags of an inode or of everything below
//! it, in one step (wire-client-master §15).

use crate::{Caller, Namespace, Tx};
use proto::changelog::Counts;
use proto::{ClassId, Inode, Status};

/// How often each value was met, ascending by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<V> {
    /// Files; for extra attributes every inode that is no directory.
    pub files: Vec<(V, u32)>,
    /// Directories.
    pub directories: Vec<(V, u32)>,
}

/// Answer to ARCHCTL get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCounts {
    /// Chunks with the archive flag.
    pub archived_chunks: u64,
    /// Chunks without.
    pub other_chunks: u64,
    /// Files all of whose chunks are archived.
    pub archived_files: u32,
    /// Files with chunks of both sorts.
    pub partial_files: u32,
    /// Files without an archived chunk.
    pub other_files: u32,
}

/// Answer to GETDIRSTATS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirInfo {
    /// Inodes, the directory included.
    pub inodes: u32,
    /// Directories, the directory included.
    pub directories: u32,
    /// Files.
    pub files: u32,
    /// Slots of files that refer to a chunk.
    pub chunks: u32,
    /// Sum of lengths, bytes.
    pub length: u64,
    /// Bytes of one copy of all chunks.
    pub size: u64,
    /// Bytes of all copies.
    pub real_size: u64,
}

/// Bit of a set mode that means everything below.
pub const RECURSIVE: u8 = 4;

impl Namespace {
    /// Trash times in seconds, of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn get_trashtime(&self, _inode: Inode, _recursive: bool) -> Result<Tally<u32>, Status> {
        Err(Status::Enotsup)
    }

    /// SETTRASHTIME; `smode` as on the wire: 0 set, 1 only longer, 2 only shorter, 4 recursive.
    ///
    /// # Errors
    /// In this order: 1 disabled, 1 outside the session's limits, 6 bad mode, 33 read-only, 3 no such
    /// inode, 1 neither file nor directory, 1 not permitted (not recursive).
    pub fn set_trashtime(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _seconds: u32,
        _smode: u8,
    ) -> Result<Counts, Status> {
        Err(Status::Enotsup)
    }

    /// Storage classes of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn get_sclass(&self, _inode: Inode, _recursive: bool) -> Result<Tally<ClassId>, Status> {
        Err(Status::Enotsup)
    }

    /// SETSCLASS; `smode` as on the wire: 0 set, 1 only to a higher class, 2 only to a lower one, 3
    /// only those that have `source`, 4 recursive. `source` matters to 3 only.
    ///
    /// # Errors
    /// In this order: 1 disabled, 6 unknown class, 1 outside the session's goals, 6 bad mode, 33
    /// read-only, 3 no such inode, 1 neither file nor directory, 34 quota, 1 not permitted (not
    /// recursive).
    pub fn set_sclass(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _source: ClassId,
        _class: ClassId,
        _smode: u8,
    ) -> Result<Counts, Status> {
        Err(Status::Enotsup)
    }

    /// Extra attributes of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode.
    pub fn get_eattr(&self, _inode: Inode, _recursive: bool) -> Result<Tally<u8>, Status> {
        Err(Status::Enotsup)
    }

    /// SETEATTR; `smode` as on the wire: 0 set, 1 set bits, 2 clear bits, 4 recursive.
    ///
    /// # Errors
    /// In this order: 1 disabled, 6 bad mode, 33 read-only, 1 protecting bits and not admin, 3 no
    /// such inode, 1 not permitted (not recursive).
    pub fn set_eattr(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _eattr: u8,
        _smode: u8,
    ) -> Result<Counts, Status> {
        Err(Status::Enotsup)
    }

    /// ARCHCTL get: how much below an inode is archived.
    ///
    /// # Errors
    /// 3 no such inode.
    pub fn archive_counts(&self, _inode: Inode) -> Result<ArchiveCounts, Status> {
        Err(Status::Enotsup)
    }

    /// ARCHCTL set and clear: everything below an inode.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode.
    pub fn set_archive(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _archived: bool,
    ) -> Result<Counts, Status> {
        Err(Status::Enotsup)
    }

    /// GETDIRSTATS (§15.5); a file gives its own values.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn dir_info(&self, _inode: Inode) -> Result<DirInfo, Status> {
        Err(Status::Enotsup)
    }
}
