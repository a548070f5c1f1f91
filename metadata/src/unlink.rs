//! Removing names.

use crate::access::{check_name, disable};
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, Status};

impl Namespace {
    /// UNLINK (wire-client-master §10.6); the inode that had the name.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such directory, 2 not a directory, 1 immutable or
    /// append-only, 4 no W and X, 6 bad name, 3 no such name, 1 sticky, 1 protected, 1 a directory.
    pub fn unlink(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
    ) -> Result<Inode, Status> {
        who.permit(disable::UNLINK)?;
        who.writes()?;
        let inode = self.check_removal(who, parent, name)?;
        if self.node_or(inode)?.is_dir() {
            return Err(Status::Eperm);
        }
        self.remove_logged(tx, parent, name)
    }

    /// RMDIR (§10.6); the inode that had the name.
    ///
    /// # Errors
    /// As [`Namespace::unlink`], at the end: 2 not a directory, 7 not empty.
    pub fn rmdir(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
    ) -> Result<Inode, Status> {
        who.permit(disable::RMDIR)?;
        who.writes()?;
        let inode = self.check_removal(who, parent, name)?;
        if !self.node_or(inode)?.is_dir() {
            return Err(Status::Enotdir);
        }
        self.remove_logged(tx, parent, name)
    }

    /// The checks that both share; the inode that has the name.
    fn check_removal(&self, who: &Caller, parent: Inode, name: &[u8]) -> Result<Inode, Status> {
        self.check_loses(who, parent)?;
        check_name(name)?;
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        self.check_sticky(who, parent, inode)?;
        self.check_removable(inode)?;
        Ok(inode)
    }

    fn remove_logged(&mut self, tx: &mut Tx, parent: Inode, name: &[u8]) -> Result<Inode, Status> {
        let inode = self.apply_unlink(tx, parent, name)?;
        self.log(
            tx,
            &Entry::Unlink {
                parent,
                name: name.into(),
                inode,
            },
        );
        Ok(inode)
    }

    /// Replays UNLINK; the inode that had the name.
    pub(crate) fn apply_unlink(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
    ) -> Result<Inode, Status> {
        self.directory_or(parent)?;
        let edge = self.find(parent, name).ok_or(Status::Enoent)?;
        self.check_empty(parent, name)?;
        self.remove_name(tx, edge)
    }

    /// 7 when a name belongs to a directory that has entries.
    pub(crate) fn check_empty(&self, parent: Inode, name: &[u8]) -> Result<(), Status> {
        let inode = self.child(parent, name).ok_or(Status::Enoent)?;
        if self.entry_count(inode) > 0 {
            return Err(Status::Enotempty);
        }
        Ok(())
    }
}
