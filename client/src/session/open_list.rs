//! Which files the master keeps for this session (client-behaviour §6.3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::Inode;

/// Reports that still name a file after its last close.
const REPORTS_AFTER_CLOSE: u8 = 10;
/// Most files that are named although nobody has them open.
const CLOSED_MAX: usize = 5000;

/// Open files, those closed lately, and directories that are in use.
#[derive(Debug, Default)]
pub struct OpenList {
    open: BTreeMap<Inode, u32>,
    closed: BTreeMap<Inode, u8>,
    closed_order: VecDeque<Inode>,
    directories: BTreeSet<Inode>,
    creating: u32,
}

impl OpenList {
    /// A handle was opened.
    pub fn opened(&mut self, inode: Inode) {
        *self.open.entry(inode).or_default() += 1;
        self.closed.remove(&inode);
    }

    /// A handle was closed. Files that leave the list altogether are returned by
    /// [`OpenList::next_report`]'s effect on [`OpenList::contains`] only later.
    pub fn closed(&mut self, inode: Inode) {
        let Some(count) = self.open.get_mut(&inode) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.open.remove(&inode);
        self.closed.insert(inode, REPORTS_AFTER_CLOSE);
        self.closed_order.push_back(inode);
        while self.closed.len() > CLOSED_MAX || self.closed_order.len() > 2 * CLOSED_MAX {
            let Some(oldest) = self.closed_order.pop_front() else {
                break;
            };
            if self.closed.len() > CLOSED_MAX {
                self.closed.remove(&oldest);
            }
        }
    }

    /// A file is being created: its inode is not known yet, so no report may go out.
    pub fn create_begins(&mut self) {
        self.creating += 1;
    }

    /// The creation ended.
    pub fn create_ends(&mut self) {
        self.creating = self.creating.saturating_sub(1);
    }

    /// Directories that processes stand in.
    pub fn set_directories(&mut self, directories: BTreeSet<Inode>) {
        self.directories = directories;
    }

    /// Whether somebody has the file open now.
    pub fn is_open(&self, inode: Inode) -> bool {
        self.open.contains_key(&inode)
    }

    /// Whether the master pushes changes of this file to us.
    pub fn contains(&self, inode: Inode) -> bool {
        self.open.contains_key(&inode) || self.closed.contains_key(&inode)
    }

    /// The next complete list, ascending; `None` while a file is being created.
    pub fn next_report(&mut self) -> Option<Vec<Inode>> {
        if self.creating > 0 {
            return None;
        }
        let mut listed: BTreeSet<Inode> = self.open.keys().copied().collect();
        listed.extend(self.closed.keys());
        listed.extend(&self.directories);
        self.closed.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        let closed = &self.closed;
        self.closed_order.retain(|inode| closed.contains_key(inode));
        Some(listed.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_ten_times_after_its_close() {
        let mut list = OpenList::default();
        list.opened(Inode(5));
        list.opened(Inode(5));
        list.opened(Inode(3));
        list.closed(Inode(5));
        assert_eq!(list.next_report(), Some(vec![Inode(3), Inode(5)]));
        list.closed(Inode(5));
        for round in 0..REPORTS_AFTER_CLOSE {
            assert!(list.contains(Inode(5)), "{round}");
            assert_eq!(
                list.next_report(),
                Some(vec![Inode(3), Inode(5)]),
                "{round}"
            );
        }
        assert_eq!(list.next_report(), Some(vec![Inode(3)]));
        assert!(!list.contains(Inode(5)));
        list.closed(Inode(9));
    }

    #[test]
    fn a_creation_holds_the_list_back() {
        let mut list = OpenList::default();
        list.create_begins();
        assert_eq!(list.next_report(), None);
        list.create_ends();
        assert_eq!(list.next_report(), Some(vec![]));
    }

    #[test]
    fn closed_files_are_bounded_and_the_oldest_go_first() {
        let mut list = OpenList::default();
        for number in 1..=CLOSED_MAX as u32 + 7 {
            list.opened(Inode(number));
            list.closed(Inode(number));
        }
        assert!(!list.contains(Inode(7)));
        assert!(list.contains(Inode(8)));
        assert_eq!(
            list.next_report().map(|listed| listed.len()),
            Some(CLOSED_MAX)
        );
    }
}
