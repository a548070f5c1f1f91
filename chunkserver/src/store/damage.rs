//! Errors of a disk, and when there are too many of them (chunkserver §4.9).

use proto::ChunkId;
use rustix::io::Errno;
use std::collections::VecDeque;

/// Errors that are remembered.
const REMEMBERED: usize = 30;

/// An error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// Chunk that was used.
    pub chunk: ChunkId,
    /// Unix time, seconds.
    pub time: u32,
    /// What the system said; `None` for wrong checksums and headers.
    pub errno: Option<i32>,
}

impl DiskError {
    /// Whether the disk itself may be at fault. Checksum errors are not counted.
    fn is_hard(&self) -> bool {
        let hard = [Errno::IO, Errno::ROFS, Errno::NOENT];
        self.errno
            .is_some_and(|errno| hard.iter().any(|hard| hard.raw_os_error() == errno))
    }
}

/// The last errors of a disk.
#[derive(Clone, Debug, Default)]
pub struct ErrorRing {
    errors: VecDeque<DiskError>,
}

impl ErrorRing {
    /// Remembers an error.
    pub fn add(&mut self, error: DiskError) {
        if self.errors.len() == REMEMBERED {
            self.errors.pop_front();
        }
        self.errors.push_back(error);
    }

    /// The newest error.
    pub fn last(&self) -> Option<DiskError> {
        self.errors.back().copied()
    }

    /// Whether more than `tolerated` hard errors lie within the last `period_s` seconds.
    pub fn exceeds(&self, tolerated: usize, period_s: u32, now: u32) -> bool {
        let recent = |error: &&DiskError| now.saturating_sub(error.time) <= period_s;
        self.errors
            .iter()
            .filter(recent)
            .filter(|error| error.is_hard())
            .count()
            > tolerated
    }

    /// Forgets everything: the disk is taken into use again.
    pub fn clear(&mut self) {
        self.errors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskError, ErrorRing};
    use proto::ChunkId;
    use rustix::io::Errno;

    #[test]
    fn only_hard_errors_within_the_period_count() {
        let mut ring = ErrorRing::default();
        let mut add = |time: u32, errno: Option<Errno>| {
            ring.add(DiskError {
                chunk: ChunkId(time.into()),
                time,
                errno: errno.map(Errno::raw_os_error),
            });
        };
        add(100, Some(Errno::IO));
        add(500, Some(Errno::ROFS));
        add(600, None);
        add(650, Some(Errno::NOSPC));
        add(700, Some(Errno::NOENT));
        assert!(ring.exceeds(2, 600, 700));
        assert!(!ring.exceeds(3, 600, 700));
        assert!(!ring.exceeds(2, 600, 701), "the first is too old");
        assert_eq!(ring.last().map(|error| error.time), Some(700));
        for time in 701..800 {
            ring.add(DiskError {
                chunk: ChunkId(1),
                time,
                errno: None,
            });
        }
        assert!(!ring.exceeds(0, 10_000, 800), "only thirty are remembered");
    }
}
