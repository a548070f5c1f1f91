//! New inodes: files, directories, devices, symbolic links.

use crate::access::{check_name, disable};
use crate::quota::Usage;
use crate::store::names::TEXT_BYTES_MAX;
use crate::tree::NewInode;
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, NodeKind, Status};

/// What MKNOD and MKDIR ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// 1, 2, 4, 5, 6 or 7.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u16,
    /// Umask of the request; the session's is added.
    pub umask: u16,
    /// Device number, for devices.
    pub rdev: u32,
    /// A directory takes the setgid bit of its parent.
    pub copy_sgid: bool,
}

/// The operation that a session may lack, by what is made.
fn operation(kind: NodeKind) -> Option<u32> {
    match kind {
        NodeKind::File => Some(disable::CREATE),
        NodeKind::Directory => Some(disable::MKDIR),
        NodeKind::Fifo => Some(disable::MKFIFO),
        NodeKind::BlockDevice | NodeKind::CharDevice => Some(disable::MKDEV),
        NodeKind::Socket => Some(disable::MKSOCK),
        NodeKind::Symlink | NodeKind::Trash | NodeKind::Sustained => None,
    }
}

impl Namespace {
    /// MKNOD and MKDIR (wire-client-master §10.5).
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 6 kind that cannot be made, 3 no such directory, 2
    /// not a directory, 1 immutable, 4 no W and X, 6 bad name, 5 exists, 34 quota.
    pub fn mknod(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
        new: NewNode,
    ) -> Result<Inode, Status> {
        let operation = operation(new.kind);
        if let Some(operation) = operation {
            who.permit(operation)?;
        }
        who.writes()?;
        if operation.is_none() {
            return Err(Status::Einval);
        }
        self.check_new_name(who, parent, name)?;
        if self.over_quota(parent, ONE_INODE) {
            return Err(Status::Quota);
        }
        let above = self.node_or(parent)?;
        let imposes_gid = above.mode() & 0o2000 != 0;
        let sgid = imposes_gid && new.copy_sgid && new.kind == NodeKind::Directory;
        let made = NewInode {
            kind: new.kind,
            mode: new.mode & 0o7777 | if sgid { 0o2000 } else { 0 },
            umask: (new.umask | who.rights.umask) & 0o777,
            uid: who.uid,
            gid: if imposes_gid { above.gid } else { who.gid() },
        };
        let inode = self.make_node(tx, parent, name, made, new.rdev)?;
        self.log(
            tx,
            &Entry::Create {
                parent,
                name: name.into(),
                kind: made.kind,
                mode: made.mode,
                umask: made.umask,
                uid: made.uid,
                gid: made.gid,
                rdev: new.rdev,
                inode,
            },
        );
        Ok(inode)
    }

    /// Replays CREATE; the new inode.
    pub(crate) fn apply_create(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        new: NewInode,
        rdev: u32,
    ) -> Result<Inode, Status> {
        self.check_absent(parent, name)?;
        self.make_node(tx, parent, name, new, rdev)
    }

    fn make_node(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        new: NewInode,
        rdev: u32,
    ) -> Result<Inode, Status> {
        let inode = self.make(tx, parent, name, new)?;
        if new.kind.is_device()
            && let Ok(node) = self.node_mut(inode)
        {
            node.set_rdev(rdev);
        }
        Ok(inode)
    }

    /// The checks of a replayed name: 3, 2, 6 bad name, 5 exists.
    fn check_absent(&self, parent: Inode, name: &[u8]) -> Result<(), Status> {
        self.directory_or(parent)?;
        check_name(name)?;
        if self.find(parent, name).is_some() {
            return Err(Status::Eexist);
        }
        Ok(())
    }

    /// A new inode with a name, which is known to be free.
    fn make(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        new: NewInode,
    ) -> Result<Inode, Status> {
        let inode = self.new_inode(tx.now, parent, new)?;
        if let Err(status) = self.attach(tx.now, parent, name, inode) {
            self.discard_inode(inode);
            return Err(status);
        }
        Ok(inode)
    }

    /// CREATE: a file that the session has open at once (§10.5).
    ///
    /// # Errors
    /// As [`Namespace::mknod`].
    pub fn create(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
        mode: u16,
        umask: u16,
    ) -> Result<Inode, Status> {
        let new = NewNode {
            kind: NodeKind::File,
            mode,
            umask,
            rdev: 0,
            copy_sgid: false,
        };
        let inode = self.mknod(tx, who, parent, name, new)?;
        self.acquire(tx, who.session, inode);
        Ok(inode)
    }

    /// SYMLINK (§10.4).
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 6 bad target, then as [`Namespace::mknod`].
    pub fn symlink(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        parent: Inode,
        name: &[u8],
        target: &[u8],
    ) -> Result<Inode, Status> {
        who.permit(disable::SYMLINK)?;
        who.writes()?;
        if !is_valid_target(target) {
            return Err(Status::Einval);
        }
        self.check_new_name(who, parent, name)?;
        let added = Usage {
            length: target.len() as u64,
            ..ONE_INODE
        };
        if self.over_quota(parent, added) {
            return Err(Status::Quota);
        }
        let gid = who.gid();
        let inode = self.make_symlink(tx, parent, name, target, who.uid, gid)?;
        self.log(
            tx,
            &Entry::Symlink {
                parent,
                name: name.into(),
                target: target.into(),
                uid: who.uid,
                gid,
                inode,
            },
        );
        Ok(inode)
    }

    /// Replays SYMLINK; the new inode.
    pub(crate) fn apply_symlink(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        target: &[u8],
        uid: u32,
        gid: u32,
    ) -> Result<Inode, Status> {
        if !is_valid_target(target) {
            return Err(Status::Einval);
        }
        self.check_absent(parent, name)?;
        self.make_symlink(tx, parent, name, target, uid, gid)
    }

    fn make_symlink(
        &mut self,
        tx: &mut Tx,
        parent: Inode,
        name: &[u8],
        target: &[u8],
        uid: u32,
        gid: u32,
    ) -> Result<Inode, Status> {
        let above = self.node_or(parent)?;
        let imposes_gid = above.mode() & 0o2000 != 0;
        let new = NewInode {
            kind: NodeKind::Symlink,
            mode: 0o777,
            umask: 0,
            uid,
            gid: if imposes_gid { above.gid } else { gid },
        };
        let offset = self.store.names.insert(target).ok_or(Status::OutOfMemory)?;
        let inode = match self.make(tx, parent, name, new) {
            Ok(inode) => inode,
            Err(status) => {
                self.store.names.remove(offset, target.len());
                return Err(status);
            }
        };
        let before = self.stats_of(inode);
        if let Ok(node) = self.node_mut(inode) {
            node.set_target(offset, target.len());
        }
        self.correct_stats(inode, before);
        Ok(inode)
    }

    /// The checks of a name that is to be made: those of the directory, 6 bad name, 5 exists.
    pub(crate) fn check_new_name(
        &self,
        who: &Caller,
        parent: Inode,
        name: &[u8],
    ) -> Result<(), Status> {
        self.check_gains(who, parent)?;
        self.check_absent(parent, name)
    }
}

/// What quotas count for an empty inode.
const ONE_INODE: Usage = Usage {
    inodes: 1,
    ..Usage::NONE
};

/// Whether bytes can be the target of a symlink: 1 to 4096, no NUL.
fn is_valid_target(target: &[u8]) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&target.len()) && !target.contains(&0)
}
