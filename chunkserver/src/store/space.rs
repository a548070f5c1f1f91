//! How much of a disk may be used (chunkserver §4.7).

use super::layout::{BLOCK, Layout};
use crate::disk_list::Limit;

/// What the file system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes that users may have in total.
    pub total: u64,
    /// Bytes free for users.
    pub free: u64,
    /// Files that can still be made; `None`: no limit.
    pub files_free: Option<u64>,
    /// Mounted read-only.
    pub read_only: bool,
}

/// What is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Chunk files.
    pub chunks: u64,
    /// Chunk files whose number of blocks is known.
    pub known: u64,
    /// Blocks of those.
    pub blocks: u64,
}

/// What may be used, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// In total.
    pub total: u64,
    /// Still.
    pub free: u64,
}

impl Content {
    /// Bytes that the chunks take, by the average of those that are known.
    fn bytes(&self) -> u64 {
        self.chunks
            .saturating_mul(self.average() + Layout::New.data_offset())
    }

    /// Bytes of data of a chunk; one block while nothing is known.
    fn average(&self) -> u64 {
        match self.known {
            0 => BLOCK as u64,
            known => self.blocks.saturating_mul(BLOCK as u64) / known,
        }
    }
}

/// The usable part of a volume. A limit that exceeds the volume is ignored.
pub fn usable(volume: Volume, limit: Limit, leave_default: u64, content: Content) -> Space {
    let space = match limit {
        Limit::Use(size) if size <= volume.total => Space {
            total: size,
            free: size.saturating_sub(content.bytes()).min(volume.free),
        },
        Limit::Use(_) => left_free(volume, leave_default),
        Limit::Leave(size) => left_free(volume, size.unwrap_or(leave_default)),
    };
    let by_files = volume.files_free.map_or(u64::MAX, |files| {
        files.saturating_mul(content.average() + Layout::New.data_offset())
    });
    let lost = space.free.saturating_sub(by_files);
    Space {
        total: space.total.saturating_sub(lost),
        free: space.free - lost,
    }
}

fn left_free(volume: Volume, leave: u64) -> Space {
    Space {
        total: volume.total,
        free: volume.free.saturating_sub(leave),
    }
}

/// Whether a file system's size has changed so much that it cannot be the same one.
pub fn is_another_size(before: u64, after: u64) -> bool {
    before != 0 && before.abs_diff(after) > before / 10
}

#[cfg(test)]
mod tests {
    use super::{Content, Space, Volume, is_another_size, usable};
    use crate::disk_list::Limit;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_may_be_used() {
        let volume = Volume {
            total: 1000 * MIB,
            free: 600 * MIB,
            files_free: None,
            read_only: false,
        };
        let content = Content {
            chunks: 128,
            known: 2,
            blocks: 24,
        };
        let space = |total, free| Space { total, free };
        for (limit, expected) in [
            (Limit::Leave(None), space(1000 * MIB, 344 * MIB)),
            (Limit::Leave(Some(100 * MIB)), space(1000 * MIB, 500 * MIB)),
            (Limit::Leave(Some(700 * MIB)), space(1000 * MIB, 0)),
            (
                Limit::Use(200 * MIB),
                space(200 * MIB, 200 * MIB - 97 * MIB),
            ),
            (Limit::Use(900 * MIB), space(900 * MIB, 600 * MIB)),
            (Limit::Use(2000 * MIB), space(1000 * MIB, 344 * MIB)),
        ] {
            assert_eq!(
                usable(volume, limit, 256 * MIB, content),
                expected,
                "{limit:?}"
            );
        }
        let few_files = Volume {
            files_free: Some(128),
            ..volume
        };
        let left = usable(few_files, Limit::Leave(None), 256 * MIB, content);
        assert_eq!(left, space(1000 * MIB - (344 - 97) * MIB, 97 * MIB));
    }

    #[test]
    fn sizes_that_cannot_be_of_the_same_disk() {
        assert!(!is_another_size(0, 5));
        assert!(!is_another_size(1000, 1100));
        assert!(is_another_size(1000, 1101));
        assert!(is_another_size(1000, 0));
    }
}
