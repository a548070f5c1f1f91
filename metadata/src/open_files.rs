//! Which session has which file open.

use crate::digest::{Kind, Side, Sum};
use imbl::OrdSet;
use proto::{Inode, SessionId};

/// The relation between sessions and open files, ordered both ways, so that the files of a session
/// and the sessions of a file are ranges. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct OpenFiles {
    by_session: OrdSet<u64>,
    by_inode: OrdSet<u64>,
}

fn pair(major: u32, minor: u32) -> u64 {
    u64::from(major) << 32 | u64::from(minor)
}

fn halves(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// Pairs whose upper half is `major`.
fn range(set: &OrdSet<u64>, major: u32) -> impl Iterator<Item = u32> {
    set.range(pair(major, 0)..=pair(major, u32::MAX))
        .map(|&pair| halves(pair).1)
}

impl OpenFiles {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &OpenFiles, sum: &mut Sum) {
        use imbl::ordset::DiffItem;
        for item in old.by_session.diff(&self.by_session) {
            let (side, pair) = match item {
                DiffItem::Add(pair) => (Side::New, pair),
                DiffItem::Remove(pair) => (Side::Old, pair),
            };
            sum.count(side, Kind::Open, &[&pair.to_be_bytes()]);
        }
    }

    /// Whether the session has the file open.
    pub fn contains(&self, session: SessionId, inode: Inode) -> bool {
        self.by_session.contains(&pair(session.0, inode.0))
    }

    /// Whether any session has the file open.
    pub fn is_open(&self, inode: Inode) -> bool {
        self.openers(inode).next().is_some()
    }

    /// The sessions that have the file open, ascending.
    pub fn openers(&self, inode: Inode) -> impl Iterator<Item = SessionId> {
        range(&self.by_inode, inode.0).map(SessionId)
    }

    /// The files that the session has open, ascending.
    pub fn files_of(&self, session: SessionId) -> impl Iterator<Item = Inode> {
        range(&self.by_session, session.0).map(Inode)
    }

    /// Every relation, ascending by session, then by inode.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, Inode)> {
        self.by_session.iter().map(|&pair| {
            let (session, inode) = halves(pair);
            (SessionId(session), Inode(inode))
        })
    }

    /// Number of relations.
    pub fn len(&self) -> usize {
        self.by_session.len()
    }

    /// Whether no file is open.
    pub fn is_empty(&self) -> bool {
        self.by_session.is_empty()
    }

    /// Adds a relation; `false` when it exists.
    pub fn insert(&mut self, session: SessionId, inode: Inode) -> bool {
        let new = self.by_session.insert(pair(session.0, inode.0)).is_none();
        if new {
            self.by_inode.insert(pair(inode.0, session.0));
        }
        new
    }

    /// Removes a relation; `false` when there is none.
    pub fn remove(&mut self, session: SessionId, inode: Inode) -> bool {
        let existed = self.by_session.remove(&pair(session.0, inode.0)).is_some();
        if existed {
            self.by_inode.remove(&pair(inode.0, session.0));
        }
        existed
    }
}

#[cfg(test)]
mod tests {
    use super::OpenFiles;
    use proto::{Inode, SessionId};

    #[test]
    fn relations_are_found_from_both_sides() {
        let mut open = OpenFiles::default();
        for (session, inode) in [(2, 9), (1, 9), (1, 3), (1, u32::MAX), (u32::MAX, 9)] {
            assert!(open.insert(SessionId(session), Inode(inode)));
        }
        assert!(!open.insert(SessionId(1), Inode(3)), "already open");
        let files: Vec<_> = open.files_of(SessionId(1)).map(|inode| inode.0).collect();
        assert_eq!(files, [3, 9, u32::MAX]);
        let openers: Vec<_> = open.openers(Inode(9)).map(|session| session.0).collect();
        assert_eq!(openers, [1, 2, u32::MAX]);
        assert!(open.remove(SessionId(1), Inode(9)));
        assert!(!open.remove(SessionId(1), Inode(9)), "already closed");
        assert!(!open.contains(SessionId(1), Inode(9)));
        assert!(open.is_open(Inode(9)) && !open.is_open(Inode(4)));
        assert_eq!(open.len(), 4);
        assert_eq!(open.iter().count(), 4);
    }
}
