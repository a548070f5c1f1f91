//! Whether what a session has cached of a file is still true (wire-client-master §12.6).
//!
//! A bounded table of (inode, session) marks. It is not persistent, and forgetting is always safe: a
//! lost mark only costs the client a fresh read. So marks live in sets of the size of a cache line,
//! where the least recently used one makes room, and a change of a file makes all its marks stale by
//! counting up an edition that the inode may share with others. Each call touches two cache lines,
//! however many sessions have a file open.

use proto::{Inode, SessionId};
use std::hash::BuildHasher;

/// Number of sets: room for 655,360 marks, where 3.0.117 keeps 500,000.
const SETS_MAX: usize = 1 << 17;
/// Marks in a set: as many as fit into a cache line.
const WAYS: usize = 5;
/// Number of editions; inodes with the same one drop each other's marks.
const EDITIONS_MAX: usize = 1 << 20;
/// Set in the state of a mark whose session has the present contents; the rest is the edition.
const VALID: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    inode: u32,
    session: u32,
    /// Edition of the file when the mark was entered or made valid, and [`VALID`].
    state: u32,
}

/// Marks, most recently used first. Nobody has session 0.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Set([Mark; WAYS]);

const _: () = assert!(size_of::<Set>() == 64);

/// The table of marks.
#[derive(Debug)]
pub struct CacheMarks {
    sets: Box<[Set]>,
    editions: Box<[u32]>,
    hasher: foldhash::fast::FixedState,
}

impl Default for CacheMarks {
    fn default() -> Self {
        Self::with_size(SETS_MAX, EDITIONS_MAX)
    }
}

impl CacheMarks {
    /// A table of so many sets and editions, both powers of two.
    fn with_size(sets: usize, editions: usize) -> Self {
        CacheMarks {
            sets: vec![Set::default(); sets].into_boxed_slice(),
            editions: vec![0; editions].into_boxed_slice(),
            hasher: foldhash::fast::FixedState::with_seed(0),
        }
    }

    /// Whether the session's cached data of the inode are valid. An unknown pair is entered as
    /// *not valid*.
    pub fn check(&mut self, inode: Inode, session: SessionId) -> bool {
        let edition = *self.edition(inode);
        if let Some(mark) = self.find(inode, session) {
            if mark.state & !VALID == edition {
                return mark.state & VALID != 0;
            }
            mark.state = edition;
            return false;
        }
        let Set(marks) = self.set(inode, session);
        marks.rotate_right(1);
        marks[0] = Mark {
            inode: inode.0,
            session: session.0,
            state: edition,
        };
        false
    }

    /// The session has dropped its old data or has just read new ones: a known pair becomes valid.
    pub fn validate(&mut self, inode: Inode, session: SessionId) {
        let edition = *self.edition(inode);
        if let Some(mark) = self.find(inode, session)
            && mark.state & !VALID == edition
        {
            mark.state |= VALID;
        }
    }

    /// The session changed the file: its own known pair becomes valid, all others go.
    pub fn changed_by(&mut self, inode: Inode, session: SessionId) {
        let before = *self.edition(inode);
        self.forget(inode);
        let edition = *self.edition(inode);
        if let Some(mark) = self.find(inode, session)
            && mark.state & !VALID == before
        {
            mark.state = edition | VALID;
        }
    }

    /// The inode is gone.
    pub fn forget(&mut self, inode: Inode) {
        let edition = self.edition(inode);
        *edition = edition.wrapping_add(1) & !VALID;
    }

    fn edition(&mut self, inode: Inode) -> &mut u32 {
        let index = inode.0 as usize & (self.editions.len() - 1);
        &mut self.editions[index]
    }

    fn set(&mut self, inode: Inode, session: SessionId) -> &mut Set {
        let hash = self
            .hasher
            .hash_one(u64::from(inode.0) << 32 | u64::from(session.0));
        let index = hash as usize & (self.sets.len() - 1);
        &mut self.sets[index]
    }

    /// The mark of a pair, which becomes the most recently used one.
    fn find(&mut self, inode: Inode, session: SessionId) -> Option<&mut Mark> {
        let Set(marks) = self.set(inode, session);
        let at = marks
            .iter()
            .position(|mark| mark.inode == inode.0 && mark.session == session.0)?;
        marks[..=at].rotate_right(1);
        Some(&mut marks[0])
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheMarks, WAYS};
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
        marks.validate(FILE, C);
        assert!(marks.check(FILE, B));
        assert!(!marks.check(FILE, A) && !marks.check(FILE, C));
        assert!(marks.check(Inode(8), A), "another file is untouched");
        marks.forget(FILE);
        marks.validate(FILE, B);
        assert!(!marks.check(FILE, B));
    }

    #[test]
    fn a_change_by_somebody_whose_mark_is_stale_does_not_make_it_valid() {
        let mut marks = CacheMarks::default();
        marks.check(FILE, A);
        marks.changed_by(FILE, B);
        marks.changed_by(FILE, A);
        assert!(!marks.check(FILE, A));
    }

    #[test]
    fn the_least_recently_used_mark_of_a_set_goes_first() {
        let mut marks = CacheMarks::with_size(1, 64);
        for inode in (1..=WAYS as u32).map(Inode) {
            marks.check(inode, A);
            marks.validate(inode, A);
        }
        assert!(marks.check(Inode(1), A));
        marks.check(Inode(50), A);
        for inode in [1, 3, 4, 5, 2] {
            assert_eq!(marks.check(Inode(inode), A), inode != 2, "inode {inode}");
        }
    }

    #[test]
    fn a_mark_is_never_valid_after_a_change_by_another_session() {
        let mut marks = CacheMarks::with_size(4, 8);
        let mut known = std::collections::HashMap::new();
        let mut state = 1u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inode = Inode(state >> 28);
            let session = SessionId(1 + ((state >> 24) & 7));
            match (state >> 16) & 7 {
                0 => {
                    marks.forget(inode);
                    known.retain(|&(other, _), _| other != inode);
                }
                1 => {
                    marks.changed_by(inode, session);
                    known.retain(|&(other, whose), _| other != inode || whose == session);
                    known.entry((inode, session)).and_modify(|v| *v = true);
                }
                2 => {
                    marks.validate(inode, session);
                    known.entry((inode, session)).and_modify(|v| *v = true);
                }
                _ => {
                    let valid = marks.check(inode, session);
                    let allowed = *known.entry((inode, session)).or_insert(false);
                    assert!(allowed || !valid, "{inode:?} {session:?}");
                }
            }
        }
    }
}
