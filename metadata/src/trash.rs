//! Files without a name: trash, sustained files, freed inode numbers.

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

/// A detached file in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached<'a> {
    /// Path from the root of the file system, without leading slash.
    pub path: &'a [u8],
    /// The file.
    pub inode: Inode,
}

impl Namespace {
    /// Files in one bucket of the trash, or in all, newest first in a bucket.
    pub fn trash_list(&self, _bucket: Option<u32>) -> impl Iterator<Item = Detached<'_>> {
        std::iter::empty()
    }

    /// Sustained files.
    pub fn sustained_list(&self) -> impl Iterator<Item = Detached<'_>> {
        std::iter::empty()
    }

    /// GETTRASHPATH.
    pub fn trash_path(&self, _inode: Inode) -> Result<&[u8], Status> {
        Err(Status::Enotsup)
    }

    /// SETTRASHPATH (§17).
    pub fn set_trash_path(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _path: &[u8],
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// UNDEL (§17).
    pub fn undel(&mut self, _tx: &mut Tx, _who: &Caller, _inode: Inode) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// PURGE (§17).
    pub fn purge(&mut self, _tx: &mut Tx, _who: &Caller, _inode: Inode) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// Empties one of the 4096 buckets of the trash.
    pub fn empty_trash(&mut self, _tx: &mut Tx, _bucket: u32) {}

    /// Empties one of the 256 buckets of sustained files.
    pub fn empty_sustained(&mut self, _tx: &mut Tx, _bucket: u32) {}

    /// Makes numbers usable that were freed more than `delay` seconds ago.
    pub fn free_inodes(&mut self, _tx: &mut Tx, _delay: u32) {}
}
