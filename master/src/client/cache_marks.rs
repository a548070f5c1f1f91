//! Whether what a session has cached of a file is still true (wire-client-master §12.6).
//!
//! A bounded table of (inode, session) marks, least recently used dropped first. It is not
//! persistent: a lost mark only costs the client a fresh read.

use hashbrown::HashTable;
use proto::{Inode, SessionId};
use std::hash::BuildHasher;

/// Number of marks the real master keeps.
pub const MARKS_MAX: usize = 500_000;

/// End of a chain of slots.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Mark {
    inode: Inode,
    session: SessionId,
    valid: bool,
    /// Neighbours in the order of use; `newer` of the newest and `older` of the oldest are `NONE`.
    newer: u32,
    older: u32,
    /// Neighbours among the marks of the same inode. A free slot chains on through `next`.
    previous: u32,
    next: u32,
}

/// The table of marks.
#[derive(Debug)]
pub struct CacheMarks {
    slots: Vec<Mark>,
    free: u32,
    newest: u32,
    oldest: u32,
    /// Slot of each (inode, session).
    pairs: HashTable<u32>,
    /// First slot of each inode.
    inodes: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    capacity: usize,
}

impl Default for CacheMarks {
    fn default() -> Self {
        Self::with_capacity(MARKS_MAX)
    }
}

impl CacheMarks {
    /// A table of at most `capacity` marks; memory is taken as it fills.
    pub fn with_capacity(capacity: usize) -> Self {
        CacheMarks {
            slots: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            pairs: HashTable::new(),
            inodes: HashTable::new(),
            hasher: foldhash::fast::FixedState::with_seed(0),
            capacity: capacity.clamp(1, NONE as usize - 1),
        }
    }

    /// Whether the session's cached data of the inode are valid. An unknown pair is entered as
    /// *not valid*.
    pub fn check(&mut self, inode: Inode, session: SessionId) -> bool {
        if let Some(slot) = self.find(inode, session) {
            self.touch(slot);
            return self.slots[slot as usize].valid;
        }
        self.insert(inode, session);
        false
    }

    /// The session has dropped its old data or has just read new ones: a known pair becomes valid.
    pub fn validate(&mut self, inode: Inode, session: SessionId) {
        if let Some(slot) = self.find(inode, session) {
            self.touch(slot);
            self.slots[slot as usize].valid = true;
        }
    }

    /// The session changed the file: its own known pair becomes valid, all others go.
    pub fn changed_by(&mut self, inode: Inode, session: SessionId) {
        let mut slot = self.first(inode);
        while slot != NONE {
            let mark = self.slots[slot as usize];
            if mark.session == session {
                self.slots[slot as usize].valid = true;
            } else {
                self.remove(slot);
            }
            slot = mark.next;
        }
    }

    /// The inode is gone.
    pub fn forget(&mut self, inode: Inode) {
        let mut slot = self.first(inode);
        while slot != NONE {
            let next = self.slots[slot as usize].next;
            self.remove(slot);
            slot = next;
        }
    }

    fn pair_hash(&self, inode: Inode, session: SessionId) -> u64 {
        self.hasher
            .hash_one(u64::from(inode.0) << 32 | u64::from(session.0))
    }

    fn inode_hash(&self, inode: Inode) -> u64 {
        self.hasher.hash_one(inode.0)
    }

    fn find(&self, inode: Inode, session: SessionId) -> Option<u32> {
        self.pairs
            .find(self.pair_hash(inode, session), |&slot| {
                let mark = &self.slots[slot as usize];
                mark.inode == inode && mark.session == session
            })
            .copied()
    }

    fn first(&self, inode: Inode) -> u32 {
        self.inodes
            .find(self.inode_hash(inode), |&slot| {
                self.slots[slot as usize].inode == inode
            })
            .copied()
            .unwrap_or(NONE)
    }

    fn insert(&mut self, inode: Inode, session: SessionId) {
        if self.pairs.len() >= self.capacity {
            self.remove(self.oldest);
        }
        let next = self.first(inode);
        let mark = Mark {
            inode,
            session,
            valid: false,
            newer: NONE,
            older: self.newest,
            previous: NONE,
            next,
        };
        let slot = self.take_slot(mark);
        if self.newest == NONE {
            self.oldest = slot;
        } else {
            self.slots[self.newest as usize].newer = slot;
        }
        self.newest = slot;

        let hash = self.pair_hash(inode, session);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.pairs.insert_unique(hash, slot, |&other| {
            let mark = &slots[other as usize];
            hasher.hash_one(u64::from(mark.inode.0) << 32 | u64::from(mark.session.0))
        });
        if next == NONE {
            let hash = hasher.hash_one(inode.0);
            self.inodes.insert_unique(hash, slot, |&other| {
                hasher.hash_one(slots[other as usize].inode.0)
            });
        } else {
            self.slots[next as usize].previous = slot;
            self.replace_first(inode, next, slot);
        }
    }

    fn take_slot(&mut self, mark: Mark) -> u32 {
        if self.free == NONE {
            self.slots.push(mark);
            return (self.slots.len() - 1) as u32;
        }
        let slot = self.free;
        self.free = self.slots[slot as usize].next;
        self.slots[slot as usize] = mark;
        slot
    }

    fn replace_first(&mut self, inode: Inode, old: u32, new: u32) {
        let hash = self.inode_hash(inode);
        if let Some(first) = self.inodes.find_mut(hash, |&slot| slot == old) {
            *first = new;
        }
    }

    fn remove(&mut self, slot: u32) {
        let mark = self.slots[slot as usize];
        let hash = self.pair_hash(mark.inode, mark.session);
        if let Ok(entry) = self.pairs.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        if mark.previous != NONE {
            self.slots[mark.previous as usize].next = mark.next;
        } else if mark.next != NONE {
            self.replace_first(mark.inode, slot, mark.next);
        } else {
            let hash = self.inode_hash(mark.inode);
            if let Ok(entry) = self.inodes.find_entry(hash, |&other| other == slot) {
                entry.remove();
            }
        }
        if mark.next != NONE {
            self.slots[mark.next as usize].previous = mark.previous;
        }
        self.unlink_use(slot);
        self.slots[slot as usize].next = self.free;
        self.free = slot;
    }

    fn unlink_use(&mut self, slot: u32) {
        let Mark { newer, older, .. } = self.slots[slot as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
    }

    fn touch(&mut self, slot: u32) {
        if self.newest == slot {
            return;
        }
        self.unlink_use(slot);
        self.slots[slot as usize].newer = NONE;
        self.slots[slot as usize].older = self.newest;
        self.slots[self.newest as usize].newer = slot;
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::CacheMarks;
    use proto::{Inode, SessionId};

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);
    const C: SessionId = SessionId(3);
    const FILE: Inode = Inode(7);

    #[test]
    fn a_mark_begins_not_valid_and_becomes_valid_by_reading() {
        let mut marks = CacheMarks::default();
        marks.validate(FILE, A);
        assert!(!marks.check(FILE, A), "validate does not enter a pair");
        assert!(!marks.check(FILE, A));
        marks.validate(FILE, A);
        assert!(marks.check(FILE, A));
        assert!(!marks.check(FILE, B), "each session has its own mark");
    }

    #[test]
    fn a_change_validates_the_own_mark_and_drops_the_others() {
        let mut marks = CacheMarks::default();
        for session in [A, B, C] {
            marks.check(FILE, session);
            marks.validate(FILE, session);
            marks.check(Inode(8), session);
            marks.validate(Inode(8), session);
        }
        marks.changed_by(FILE, B);
        assert_eq!(marks.pairs.len(), 4);
        assert!(marks.check(FILE, B));
        assert!(!marks.check(FILE, A) && !marks.check(FILE, C));
        assert!(marks.check(Inode(8), A), "another file is untouched");
        marks.forget(FILE);
        assert_eq!(marks.pairs.len(), 3);
        assert!(!marks.check(FILE, B));
    }

    #[test]
    fn the_least_recently_used_mark_goes_first() {
        let mut marks = CacheMarks::with_capacity(3);
        for inode in [1, 2, 3] {
            marks.check(Inode(inode), A);
            marks.validate(Inode(inode), A);
        }
        assert!(marks.check(Inode(1), A));
        marks.check(Inode(4), A);
        assert_eq!(marks.pairs.len(), 3);
        assert!(marks.check(Inode(1), A) && marks.check(Inode(3), A));
        assert!(!marks.check(Inode(2), A), "2 was used least recently");
    }

    #[test]
    fn chains_stay_whole_under_any_order_of_removal() {
        let mut marks = CacheMarks::with_capacity(16);
        let mut state = 1u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inode = Inode(state >> 28);
            let session = SessionId((state >> 24) & 7);
            match (state >> 16) & 7 {
                0 => marks.forget(inode),
                1 => marks.changed_by(inode, session),
                2 => marks.validate(inode, session),
                _ => {
                    marks.check(inode, session);
                }
            }
            let mut count = 0;
            let mut slot = marks.newest;
            while slot != super::NONE {
                let mark = marks.slots[slot as usize];
                assert_eq!(marks.find(mark.inode, mark.session), Some(slot));
                slot = mark.older;
                count += 1;
            }
            assert_eq!(count, marks.pairs.len());
            assert!(count <= 16);
        }
    }
}
