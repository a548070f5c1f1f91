//! What a state from before 3.0 knows and a state of today does not, kept while changelogs of its
//! time are replayed on it (metadata-and-changelog §3.4, §3.7).

use crate::Namespace;
use crate::store::node::NodeRecord;
use proto::Inode;
use proto::changelog::Entry;
use std::collections::HashMap;

/// Trash times are hours today.
const HOUR_SECONDS: u32 = 3600;

/// Rules of an older master. They end with the first change of a master of today.
#[derive(Debug, Default)]
pub(crate) struct Older {
    /// The lines have the form of 1.6, snapshots are not marked, and sessions may be unknown.
    pub is_1_6: bool,
    /// Trash times that are no whole hours, seconds. They decide which files a line EMPTYTRASH
    /// removed, and how many a line SETTRASHTIME changed.
    pub trash_seconds: HashMap<Inode, u32>,
}

impl Namespace {
    /// Whether replayed lines have the form of 1.6.
    pub(crate) fn is_of_1_6(&self) -> bool {
        self.older.as_ref().is_some_and(|older| older.is_1_6)
    }

    /// Hours in trash, as seconds; in an older state as its master knew them.
    pub(crate) fn trash_seconds(&self, inode: Inode, node: &NodeRecord) -> u32 {
        let exact = self.older.as_ref();
        let exact = exact.and_then(|older| older.trash_seconds.get(&inode).copied());
        exact.unwrap_or(u32::from(node.trash_hours) * HOUR_SECONDS)
    }

    /// Remembers a trash time of an older state that hours do not tell.
    pub(crate) fn keep_trash_seconds(&mut self, inode: Inode, seconds: u32) {
        let Some(older) = &mut self.older else {
            return;
        };
        // What hours tell needs no place; longer times than those that fit end earlier.
        if seconds.is_multiple_of(HOUR_SECONDS) && seconds <= u32::from(u16::MAX) * HOUR_SECONDS {
            older.trash_seconds.remove(&inode);
        } else {
            older.trash_seconds.insert(inode, seconds);
        }
    }

    /// What an older state knew about the trash time of one inode holds for another one.
    pub(crate) fn copy_trash_seconds(&mut self, from: Inode, to: Inode) {
        if let Some(older) = &mut self.older {
            match older.trash_seconds.get(&from).copied() {
                Some(seconds) => older.trash_seconds.insert(to, seconds),
                None => older.trash_seconds.remove(&to),
            };
        }
    }

    /// Ends the rules of an older master at the first line that only one of today writes.
    pub(crate) fn leave_older(&mut self, entry: &Entry<'_>) {
        let is_of_today = matches!(
            entry,
            Entry::RenumerateEdges { .. }
                | Entry::SetMetaId { .. }
                | Entry::SessionChanged { .. }
                | Entry::EmptyTrash { xor: Some(_), .. }
                | Entry::EmptySustained { xor: Some(_), .. }
                | Entry::FreeInodes { xor: Some(_), .. }
        );
        if is_of_today {
            self.end_older();
        }
    }

    /// The state is one of today from now on: what only unknown sessions have open is not open.
    pub(crate) fn end_older(&mut self) {
        if !self.older.take().is_some_and(|older| older.is_1_6) {
            return;
        }
        let unknown: Vec<_> = self
            .open
            .iter()
            .filter(|(session, _)| self.sessions.get(*session).is_none())
            .collect();
        for (session, inode) in unknown {
            self.open.remove(session, inode);
        }
    }
}
