//! Removing a snapshot: everything in it that was not changed since.

use super::smode;
use crate::access::{EXECUTE, WRITE, check_name, disable};
use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace, Tx};
use proto::changelog::SnapshotCounts;
use proto::{Inode, Status};

/// What protects an inode.
const PROTECTED: u8 = eattr::UNDELETABLE | eattr::APPEND_ONLY | eattr::IMMUTABLE;

/// A step of the walk.
enum Work {
    /// What an edge names, with everything below it.
    Tree { edge: u32, inode: Inode },
    /// The same, its entries having been tried.
    Directory { edge: u32, inode: Inode },
}

fn is_removable(node: &NodeRecord) -> bool {
    node.has(eattr::SNAPSHOT) && !node.has(PROTECTED)
}

impl Namespace {
    /// SNAPSHOT, removing (wire-client-master §15.8). Files bypass the trash.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such directory, 1 not a directory, 4 no W and X, 6
    /// bad name, 3 no such name, 1 sticky; without force, before anything is removed: 1 directory
    /// immutable or append-only, 1 no snapshot or protected, 4 no W and X on a directory of it.
    pub fn remove_snapshot(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
        smode: u8,
        umask: u16,
    ) -> Result<(), Status> {
        who.permit(disable::UNLINK)?;
        who.permit(disable::RMDIR)?;
        who.writes()?;
        let directory = self.node_or(parent)?;
        if !directory.is_dir() {
            return Err(Status::Eperm);
        }
        self.check_mask(who, parent, directory, WRITE | EXECUTE)?;
        check_name(name)?;
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        self.check_sticky(who, parent, inode)?;
        if smode & smode::FORCE == 0 {
            if self
                .node_or(parent)?
                .has(eattr::APPEND_ONLY | eattr::IMMUTABLE)
            {
                return Err(Status::Eperm);
            }
            self.check_snapshot(who, inode)?;
        }
        let smode = smode | smode::REMOVE;
        let umask = (umask | who.rights.umask) & 0o777;
        let counts = self.apply_remove_snapshot(tx, who, parent, name)?;
        self.log_snapshot(tx, who, Inode(0), parent, name, smode, umask, counts);
        Ok(())
    }

    /// Whether everything of a tree may be removed.
    fn check_snapshot(&self, who: &Caller, inode: Inode) -> Result<(), Status> {
        let mut inodes = vec![inode];
        while let Some(inode) = inodes.pop() {
            let node = self.node_or(inode)?;
            if !is_removable(node) {
                return Err(Status::Eperm);
            }
            if node.is_dir() {
                self.check_mask(who, inode, node, WRITE | EXECUTE)?;
                let children = self.store.entries(inode);
                inodes.extend(children.map(|(_, edge)| Inode(edge.child)));
            }
        }
        Ok(())
    }

    /// Replays SNAPSHOT that removes.
    pub(crate) fn apply_remove_snapshot(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
    ) -> Result<SnapshotCounts, Status> {
        let edge = self.find(parent, name).ok_or(Status::Enoent)?;
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        let mut counts = SnapshotCounts::default();
        let mut work = vec![Work::Tree { edge, inode }];
        while let Some(next) = work.pop() {
            match next {
                Work::Tree { edge, inode } => {
                    let node = *self.node_or(inode)?;
                    if !node.is_dir() {
                        if is_removable(&node) {
                            self.remove_copy(tx, edge, &mut counts)?;
                        }
                        continue;
                    }
                    // The flag is looked at before the entries go: it goes with the first of them.
                    if is_removable(&node) {
                        work.push(Work::Directory { edge, inode });
                    }
                    // A directory that keeps its entries is entered all the same: those of its
                    // directories may go.
                    if self.check_mask(who, inode, &node, WRITE | EXECUTE).is_ok() {
                        let first = work.len();
                        let entries = self.store.entries(inode);
                        work.extend(entries.map(|(edge, record)| Work::Tree {
                            edge,
                            inode: Inode(record.child),
                        }));
                        work[first..].reverse();
                    }
                }
                Work::Directory { edge, inode } => {
                    if self.entry_count(inode) == 0 {
                        self.remove_copy(tx, edge, &mut counts)?;
                    }
                }
            }
        }
        Ok(counts)
    }

    /// Removes a name, unless its directory keeps what it has; a file whose last one it is does not go
    /// to the trash.
    fn remove_copy(
        &mut self,
        tx: &mut Tx,
        edge: u32,
        counts: &mut SnapshotCounts,
    ) -> Result<(), Status> {
        let record = self.store.edges.get(edge).copied().unwrap_or_default();
        let directory = self.node_or(Inode(record.parent))?;
        let stays = directory.has(eattr::APPEND_ONLY | eattr::IMMUTABLE);
        let node = self.node_mut(Inode(record.child))?;
        if stays {
            // An emptied directory is a snapshot as before.
            node.eattr |= eattr::SNAPSHOT;
            return Ok(());
        }
        if node.kind().has_data() {
            node.trash_hours = 0;
        }
        let inode = self.remove_name(tx, edge)?;
        counts.removed += 1;
        counts.xor ^= inode.0;
        Ok(())
    }
}
