//! What is kept for each directory: number of entries, and statistics of everything below.

use super::pages::Reusable;

/// Sums over a part of the tree; hard links count once for each name (master-behaviour §13).
///
/// Counts wrap, so that sums of differences are right whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirStats {
    /// Inodes.
    pub inodes: u32,
    /// Directories.
    pub dirs: u32,
    /// Regular files.
    pub files: u32,
    /// Slots that hold a chunk.
    pub chunks: u32,
    /// Length of files and of symlink targets, bytes.
    pub length: u64,
    /// Bytes of one copy of all chunks with their headers.
    pub size: u64,
    /// Bytes of all copies.
    pub real_size: u64,
}

impl DirStats {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: DirStats) -> DirStats {
        DirStats {
            inodes: self.inodes.wrapping_add(other.inodes),
            dirs: self.dirs.wrapping_add(other.dirs),
            files: self.files.wrapping_add(other.files),
            chunks: self.chunks.wrapping_add(other.chunks),
            length: self.length.wrapping_add(other.length),
            size: self.size.wrapping_add(other.size),
            real_size: self.real_size.wrapping_add(other.real_size),
        }
    }

    /// The difference; adding it again gives `self` back.
    #[must_use]
    pub fn minus(self, other: DirStats) -> DirStats {
        DirStats {
            inodes: self.inodes.wrapping_sub(other.inodes),
            dirs: self.dirs.wrapping_sub(other.dirs),
            files: self.files.wrapping_sub(other.files),
            chunks: self.chunks.wrapping_sub(other.chunks),
            length: self.length.wrapping_sub(other.length),
            size: self.size.wrapping_sub(other.size),
            real_size: self.real_size.wrapping_sub(other.real_size),
        }
    }
}

/// Record of a directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirRecord {
    /// The directory; 0: the record is not in use.
    pub inode: u32,
    /// Entries.
    pub entries: u32,
    /// Everything below, without the directory itself.
    pub stats: DirStats,
}

impl Reusable for DirRecord {
    fn next_free(&self) -> u32 {
        self.entries
    }

    fn set_free(&mut self, next: u32) {
        *self = DirRecord {
            entries: next,
            ..DirRecord::default()
        };
    }
}
