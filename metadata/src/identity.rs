//! The identity of the file system, and positions of names given anew: what a master settles before
//! it serves (metadata-and-changelog §3.3, §3.4).

use crate::store::FIRST_EDGE_ID;
use crate::{Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, MetaId, MetaVersion, Status};

impl Namespace {
    /// SETMETAID: gives the file system its identity. It never changes afterwards.
    pub fn set_metaid(&mut self, tx: &mut Tx<'_>, id: MetaId) {
        self.apply_metaid(tx.now, id);
        self.log(tx, &Entry::SetMetaId { id });
    }

    /// Replays SETMETAID. The first line of a new file system also says when its root was made: the
    /// image `MFSM NEW` does not.
    pub(crate) fn apply_metaid(&mut self, now: u32, id: MetaId) {
        if self.version == MetaVersion(1)
            && self.metaid == MetaId(0)
            && let Some(root) = self.store.node_mut(Inode::ROOT)
        {
            root.atime = now;
            root.touch(now);
        }
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

#[cfg(test)]
mod tests {
    use crate::create::NewNode;
    use crate::store::FIRST_EDGE_ID;
    use crate::{Caller, Namespace, Outbox, Tx};
    use proto::{Inode, NodeKind};

    #[test]
    fn positions_ascend_in_each_directory_and_fall_from_one_to_the_next() {
        let mut ns = Namespace::new(0, 1).unwrap();
        let mut out = Outbox::default();
        let mut tx = Tx::new(5, &mut out);
        for (parent, name, kind) in [
            (1, "a", NodeKind::Directory),
            (1, "b", NodeKind::File),
            (2, "c", NodeKind::Directory),
            (1, "d", NodeKind::Directory),
            (4, "e", NodeKind::File),
            (5, "f", NodeKind::File),
            (4, "g", NodeKind::File),
        ] {
            let new = NewNode {
                kind,
                mode: 0o755,
                umask: 0,
                rdev: 0,
                copy_sgid: false,
            };
            let name = name.as_bytes();
            ns.mknod(&mut tx, &Caller::MASTER, Inode(parent), name, new)
                .unwrap();
        }
        out.lines.clear();
        ns.renumerate_edges(&mut Tx::new(6, &mut out)).unwrap();
        let mut found = String::new();
        for directory in [1, 5, 2, 4] {
            for entry in ns.readdir_entries(Inode(directory), 0) {
                let position = FIRST_EDGE_ID - entry.edge_id;
                found += &format!("{}-{position} ", String::from_utf8_lossy(entry.name));
            }
        }
        // The root: d b a; then below d: f; below a: c, and below that: g e.
        assert_eq!(found, "d-3 b-2 a-1 f-4 c-5 g-7 e-6 ");
        let line = format!("8: 6|RENUMERATEEDGES():{}\n", FIRST_EDGE_ID - 7);
        assert_eq!(String::from_utf8_lossy(out.lines.bytes()), line);
    }
}
