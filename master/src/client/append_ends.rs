//! Where the next appender of a file writes: reservations beyond its end (wire-client-master §11.3).
//!
//! Not persistent, and nothing is stored on disk: a reservation is an answer, not a length.

use proto::Inode;
use std::collections::HashMap;

/// Virtual ends of the files that several clients append to.
#[derive(Debug, Default)]
pub struct AppendEnds {
    ends: HashMap<Inode, u64>,
}

impl AppendEnds {
    /// Reserves `length` bytes behind everything that is written or reserved.
    ///
    /// `file_length` is the present length. Returns the reserved offset and the new virtual end;
    /// `None` when the end would overflow.
    pub fn reserve(&mut self, inode: Inode, file_length: u64, length: u64) -> Option<(u64, u64)> {
        let offset = self.end(inode, file_length);
        let end = offset.checked_add(length)?;
        self.ends.insert(inode, end);
        Some((offset, end))
    }

    /// Where everything that is written or reserved ends.
    pub fn end(&self, inode: Inode, file_length: u64) -> u64 {
        let reserved = self.ends.get(&inode);
        reserved.map_or(file_length, |&end| end.max(file_length))
    }

    /// The file was cut or grown by a truncate, or is gone: reservations are void.
    pub fn forget(&mut self, inode: Inode) {
        if !self.ends.is_empty() {
            self.ends.remove(&inode);
        }
    }

    /// The file now has `file_length` bytes: a virtual end that it reached is forgotten.
    pub fn reached(&mut self, inode: Inode, file_length: u64) {
        if self.ends.is_empty() {
            return;
        }
        if self.ends.get(&inode).is_some_and(|&end| file_length >= end) {
            self.ends.remove(&inode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AppendEnds;
    use proto::Inode;

    #[test]
    fn reservations_follow_each_other() {
        let mut ends = AppendEnds::default();
        let file = Inode(21);
        assert_eq!(
            ends.reserve(file, 0x5f5_e164, 10),
            Some((0x5f5_e164, 0x5f5_e16e))
        );
        assert_eq!(
            ends.reserve(file, 0x5f5_e164, 10),
            Some((0x5f5_e16e, 0x5f5_e178))
        );
        ends.reached(file, 0x5f5_e170);
        assert_eq!(
            ends.reserve(file, 0x5f5_e170, 1),
            Some((0x5f5_e178, 0x5f5_e179))
        );
        ends.reached(file, 0x5f5_e179);
        assert_eq!(
            ends.reserve(file, 5, 1),
            Some((5, 6)),
            "forgotten when reached"
        );
        ends.forget(file);
        assert_eq!(ends.reserve(file, 0, u64::MAX), Some((0, u64::MAX)));
        assert_eq!(ends.reserve(file, 0, 1), None, "overflow");
    }
}
