//! Totals.

use crate::quota::Space;
use crate::{Caller, Namespace};

/// The namespace's part of STATFS (§19.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatfsUsage {
    /// Bytes of files in trash, for sessions at the root of the file system.
    pub trash_space: u64,
    /// Bytes of sustained files, likewise.
    pub sustained_space: u64,
    /// Inodes below the session's root.
    pub inodes: u32,
}

/// Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All inodes.
    pub inodes: u32,
    /// Directories.
    pub dirs: u32,
    /// Files in the tree.
    pub files: u32,
    /// Chunk records.
    pub chunks: u32,
    /// Files in trash.
    pub trash_files: u32,
    /// Their length, bytes.
    pub trash_space: u64,
    /// Sustained files.
    pub sustained_files: u32,
    /// Their length, bytes.
    pub sustained_space: u64,
}

impl Namespace {
    /// Space and inodes that STATFS shows to the caller.
    pub fn statfs_usage(&self, _who: &Caller) -> StatfsUsage {
        StatfsUsage::default()
    }

    /// The space as quotas of the session's root and of all directories above it leave it.
    pub fn narrow_space(&self, _who: &Caller, space: Space) -> Space {
        space
    }

    /// Totals.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
