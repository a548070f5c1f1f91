//! The identity of the file system, and positions of names given anew: what a master settles before
//! it serves (metadata-and-changelog §3.3, §3.4).

use crate::store::FIRST_EDGE_ID;
use crate::{Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, MetaId, Status};

impl Namespace {
    /// SETMETAID: gives the file system its identity. It never changes afterwards.
    pub fn set_metaid(&mut self, tx: &mut Tx<'_>, id: MetaId) {
        self.apply_metaid(id);
        self.log(tx, &Entry::SetMetaId { id });
    }

    pub(crate) fn apply_metaid(&mut self, id: MetaId) {
        self.metaid = id;
    }

    /// RENUMERATEEDGES: gives all names in directories new ascending positions.
    ///
    /// # Errors
    /// 32: there are more names than positions.
    pub fn renumerate_edges(&mut self, tx: &mut Tx<'_>) -> Result<(), Status> {
        let next = self.apply_renumerate_edges()?;
        self.log(tx, &Entry::RenumerateEdges { next_edge: next });
        Ok(())
    }

    /// All names of a directory are numbered before the descent into its subdirectories, in the order
    /// of the directory. The counter ends at the last number that was given, which the next new name
    /// gets again: so does the real master.
    pub(crate) fn apply_renumerate_edges(&mut self) -> Result<u64, Status> {
        let mut counter = FIRST_EDGE_ID;
        let mut waiting = vec![Inode::ROOT];
        while let Some(directory) = waiting.pop() {
            let entries: Vec<(u32, u32)> = self
                .store
                .entries(directory)
                .map(|(edge, record)| (edge, record.child))
                .collect();
            counter = counter
                .checked_sub(entries.len() as u64)
                .ok_or(Status::Mismatch)?;
            for (position, &(edge, _)) in (counter..).zip(&entries) {
                if let Some(record) = self.store.edges.get_mut(edge) {
                    record.edge_id = position;
                }
            }
            // The first subdirectory of the list is numbered next, with everything below it.
            let directories = entries.iter().rev().map(|&(_, child)| Inode(child));
            for child in directories {
                if self.store.node(child).is_some_and(|node| node.is_dir()) {
                    waiting.push(child);
                }
            }
        }
        self.store.next_edge_id = counter;
        Ok(counter)
    }
}
