//! Renaming.

use crate::access::{WRITE, check_name, disable};
use crate::quota::Usage;
use crate::store::dirs::DirStats;
use crate::store::node::eattr;
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, Status};

impl Namespace {
    /// RENAME (wire-client-master §10.7); the inode that moved.
    ///
    /// Renaming a name onto itself, or onto another name of the same inode in the way that POSIX
    /// wants, is not left to the kernel: the first changes nothing, the second removes the old name.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such directory; source directory: 2, 1 immutable
    /// or append-only, 4 no W and X; 6 bad source name, 3 missing, 1 sticky; destination directory: 2,
    /// 1 immutable, 4 no W and X; 1 moved inode immutable; a directory: 6 destination inside it, 4
    /// no W on it when its parent changes; 6 bad destination name, 1 replacing disabled, 34 quota;
    /// replaced inode: 7 not empty, 1 sticky, 1 protected.
    pub fn rename(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
        new_parent: Inode,
        new_name: &[u8],
    ) -> Result<Inode, Status> {
        let renames = name != new_name && who.is_denied(disable::RENAME);
        let moves = parent != new_parent && who.is_denied(disable::MOVE);
        if renames || moves || who.is_denied(disable::RENAME | disable::MOVE) {
            return Err(Status::Eperm);
        }
        who.writes()?;
        self.node_or(parent)?;
        self.node_or(new_parent)?;
        self.check_loses(who, parent)?;
        check_name(name)?;
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        self.check_sticky(who, parent, inode)?;
        self.check_gains(who, new_parent)?;
        let node = self.node_or(inode)?;
        if node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        if node.is_dir() {
            if self.store.is_within(new_parent, inode) {
                return Err(Status::Einval);
            }
            if parent != new_parent {
                self.check_mask(who, inode, node, WRITE)?;
            }
        }
        check_name(new_name)?;
        if parent == new_parent && name == new_name {
            return Ok(inode);
        }
        let replaced = self.child(new_parent, new_name);
        if let Some(replaced) = replaced {
            let operation = if self.node_or(replaced)?.is_dir() {
                disable::RMDIR
            } else {
                disable::UNLINK
            };
            who.permit(operation)?;
        }
        self.check_moved_quota(inode, parent, new_parent, replaced)?;
        if let Some(replaced) = replaced {
            self.check_empty(new_parent, new_name)?;
            self.check_sticky(who, new_parent, replaced)?;
            self.check_removable(replaced)?;
        }
        self.apply_move(tx, parent, name, new_parent, new_name)?;
        self.log(
            tx,
            &Entry::Move {
                parent,
                name: name.into(),
                new_parent,
                new_name: new_name.into(),
                inode,
            },
        );
        Ok(inode)
    }

    /// 34 when directories that only the destination has above it would have too much: the moved tree
    /// less the replaced one.
    fn check_moved_quota(
        &self,
        inode: Inode,
        parent: Inode,
        new_parent: Inode,
        replaced: Option<Inode>,
    ) -> Result<(), Status> {
        if self.quotas.is_empty() {
            return Ok(());
        }
        let moved = Usage::from(self.stats_of(inode));
        let gone = replaced.map_or(DirStats::default(), |inode| self.stats_of(inode));
        let gone = Usage::from(gone);
        let added = Usage {
            inodes: moved.inodes.saturating_sub(gone.inodes),
            length: moved.length.saturating_sub(gone.length),
            size: moved.size.saturating_sub(gone.size),
            real_size: moved.real_size.saturating_sub(gone.real_size),
        };
        let only_there = self
            .store
            .with_ancestors(new_parent)
            .take_while(|&above| !self.store.is_within(parent, above));
        if self
            .quotas
            .exceeded(only_there, |inode| self.usage_below(inode), added)
        {
            return Err(Status::Quota);
        }
        Ok(())
    }

    /// Replays MOVE; the inode that moved.
    pub(crate) fn apply_move(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        new_parent: Inode,
        new_name: &[u8],
    ) -> Result<Inode, Status> {
        self.directory_or(parent)?;
        self.directory_or(new_parent)?;
        let edge = self.find(parent, name).ok_or(Status::Enoent)?;
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        if self.node_or(inode)?.is_dir() && self.store.is_within(new_parent, inode) {
            return Err(Status::Einval);
        }
        check_name(new_name)?;
        if let Some(replaced) = self.find(new_parent, new_name) {
            if replaced == edge {
                return Ok(inode);
            }
            self.check_empty(new_parent, new_name)?;
            self.remove_name(tx, replaced)?;
        }
        self.detach(tx.now, edge);
        self.attach(tx.now, new_parent, new_name, inode)?;
        Ok(inode)
    }
}
