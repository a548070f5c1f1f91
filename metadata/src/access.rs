//! Who may do what: permission bits, ACLs, sticky directories, protecting attributes, and what a
//! session allows at all.

use crate::acl::{AclKind, subsets};
use crate::caller::SessionRights;
use crate::store::node::{NodeRecord, eattr, mark};
use crate::{Caller, Namespace};
use proto::{Inode, Status};

/// Access mask: read.
pub const READ: u8 = 4;
/// Access mask: write.
pub const WRITE: u8 = 2;
/// Access mask: execute a file, search a directory.
pub const EXECUTE: u8 = 1;

/// Bits of [`SessionRights::disables`] (wire-client-master §5.4).
pub mod disable {
    /// SETATTR with owner or group.
    pub const CHOWN: u32 = 1 << 0;
    /// SETATTR with mode.
    pub const CHMOD: u32 = 1 << 1;
    /// SYMLINK.
    pub const SYMLINK: u32 = 1 << 2;
    /// MKNOD of a fifo.
    pub const MKFIFO: u32 = 1 << 3;
    /// MKNOD of a device.
    pub const MKDEV: u32 = 1 << 4;
    /// MKNOD of a socket.
    pub const MKSOCK: u32 = 1 << 5;
    /// MKDIR.
    pub const MKDIR: u32 = 1 << 6;
    /// UNLINK, and replacing anything but a directory.
    pub const UNLINK: u32 = 1 << 7;
    /// RMDIR, and replacing a directory.
    pub const RMDIR: u32 = 1 << 8;
    /// RENAME to another name.
    pub const RENAME: u32 = 1 << 9;
    /// RENAME to another directory.
    pub const MOVE: u32 = 1 << 10;
    /// LINK.
    pub const LINK: u32 = 1 << 11;
    /// CREATE, and MKNOD of a file.
    pub const CREATE: u32 = 1 << 12;
    /// READDIR.
    pub const READDIR: u32 = 1 << 13;
    /// READ_CHUNK.
    pub const READ: u32 = 1 << 14;
    /// WRITE_CHUNK, WRITE_CHUNK_END, TRUNCATE as part of a write.
    pub const WRITE: u32 = 1 << 15;
    /// Shrinking TRUNCATE, OPEN with truncate.
    pub const TRUNCATE: u32 = 1 << 16;
    /// Growing TRUNCATE.
    pub const SET_LENGTH: u32 = 1 << 17;
    /// APPEND_SLICE.
    pub const APPEND_CHUNKS: u32 = 1 << 18;
    /// SNAPSHOT that creates.
    pub const SNAPSHOT: u32 = 1 << 19;
    /// SETTRASHTIME.
    pub const SET_TRASH: u32 = 1 << 20;
    /// SETSCLASS.
    pub const SET_CLASS: u32 = 1 << 21;
    /// SETEATTR, ARCHCTL set and clear.
    pub const SET_EATTR: u32 = 1 << 22;
    /// SETXATTR.
    pub const SET_XATTR: u32 = 1 << 23;
    /// SETFACL.
    pub const SET_FACL: u32 = 1 << 24;
}

/// When reads change access times (option ATIME_MODE, wire-client-master §9.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum AtimeMode {
    /// Always.
    Always = 0,
    /// Always, files only.
    AlwaysFiles = 1,
    /// Only when not newer than the other times, or older than a day.
    #[default]
    Relative = 2,
    /// The same, files only.
    RelativeFiles = 3,
    /// Never.
    Never = 4,
}

impl AtimeMode {
    /// Mode of a number; others count as 0, as in 3.0.117.
    pub fn from_number(number: u8) -> AtimeMode {
        match number {
            1 => AtimeMode::AlwaysFiles,
            2 => AtimeMode::Relative,
            3 => AtimeMode::RelativeFiles,
            4 => AtimeMode::Never,
            _ => AtimeMode::Always,
        }
    }

    fn is_due(self, node: &NodeRecord, now: u32) -> bool {
        const DAY: u32 = 86_400;
        match self {
            AtimeMode::Always | AtimeMode::AlwaysFiles => true,
            AtimeMode::Relative | AtimeMode::RelativeFiles => {
                node.atime <= node.ctime
                    || node.atime <= node.mtime
                    || node.atime.saturating_add(DAY) < now
            }
            AtimeMode::Never => false,
        }
    }

    /// Whether reading the data of a file changes its access time.
    pub(crate) fn is_due_for_file(self, node: &NodeRecord, now: u32) -> bool {
        self.is_due(node, now)
    }

    /// Whether reading a directory or a symlink changes its access time.
    pub(crate) fn is_due_for_other(self, node: &NodeRecord, now: u32) -> bool {
        let all_kinds = matches!(self, AtimeMode::Always | AtimeMode::Relative);
        all_kinds && node.atime != now && self.is_due(node, now)
    }
}

impl Caller<'_> {
    /// Whether the session lacks these operations ([`disable`] bits): all of them.
    pub fn is_denied(&self, operations: u32) -> bool {
        self.rights.disables & operations == operations
    }

    /// 1 when the session lacks this operation ([`disable`] bit).
    pub(crate) fn permit(&self, operation: u32) -> Result<(), Status> {
        if self.is_denied(operation) {
            return Err(Status::Eperm);
        }
        Ok(())
    }

    /// 33 in a read-only session.
    pub(crate) fn writes(&self) -> Result<(), Status> {
        if self.has(SessionRights::READ_ONLY) {
            return Err(Status::Erofs);
        }
        Ok(())
    }

    /// Whether the caller counts as owner of an inode: root, its owner, or anybody with noowner.
    pub(crate) fn owns(&self, node: &NodeRecord) -> bool {
        self.uid == 0 || self.uid == node.uid || node.has(eattr::NO_OWNER)
    }
}

/// Whether bytes can be the name of an entry: 1 to 255, no NUL, no `/`, not `.` or `..`.
pub fn is_valid_name(name: &[u8]) -> bool {
    (1..=255).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|&byte| byte == 0 || byte == b'/')
}

/// 6 for bytes that cannot be a name.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Status> {
    if is_valid_name(name) {
        Ok(())
    } else {
        Err(Status::Einval)
    }
}

impl Namespace {
    /// The set of access masks that a caller has on an inode.
    #[inline]
    pub(crate) fn masks(&self, who: &Caller, inode: Inode, node: &NodeRecord) -> u8 {
        if who.uid == 0 {
            return 0xFF;
        }
        if node.is_marked(mark::ACCESS_ACL)
            && let Some(acl) = self.acls.get(inode, AclKind::Access)
        {
            return acl.allowed(node.uid, node.gid, who.uid, who.gids);
        }
        let mode = node.mode();
        let bits = if who.uid == node.uid || node.has(eattr::NO_OWNER) {
            mode >> 6
        } else if who.has(SessionRights::IGNORE_GID) {
            mode >> 3 | mode
        } else if who.gids.contains(&node.gid) {
            mode >> 3
        } else {
            mode
        };
        subsets(bits & 7)
    }

    /// 4 unless the caller has an access mask on an inode.
    #[inline]
    pub(crate) fn check_mask(
        &self,
        who: &Caller,
        inode: Inode,
        node: &NodeRecord,
        mask: u8,
    ) -> Result<(), Status> {
        if self.masks(who, inode, node) & 1 << (mask & 7) != 0 {
            Ok(())
        } else {
            Err(Status::Eacces)
        }
    }

    /// Set of access masks that the caller has: bit *m* for mask *m* (wire-client-master §9.1); none
    /// on an unknown inode.
    pub fn allowed_masks(&self, who: &Caller, inode: Inode) -> u8 {
        self.store
            .node(inode)
            .map_or(0, |node| self.masks(who, inode, node))
    }

    /// ACCESS (§10.2).
    ///
    /// # Errors
    /// 33 W in a read-only session, 3 no such inode, 1 W on an immutable one, 4 denied.
    pub fn access(&self, who: &Caller, inode: Inode, mask: u8) -> Result<(), Status> {
        if mask & WRITE != 0 {
            who.writes()?;
        }
        let node = self.node_or(inode)?;
        if mask & WRITE != 0 && node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        self.check_mask(who, inode, node, mask)
    }

    /// A directory: 3 or 2.
    pub(crate) fn directory_or(&self, inode: Inode) -> Result<&NodeRecord, Status> {
        let node = self.node_or(inode)?;
        if node.is_dir() {
            Ok(node)
        } else {
            Err(Status::Enotdir)
        }
    }

    /// The checks of a directory that gets an entry: 3, 2, 1 immutable, 4 no W and X.
    pub(crate) fn check_gains(&self, who: &Caller, directory: Inode) -> Result<(), Status> {
        self.check_changes(who, directory, eattr::IMMUTABLE)
    }

    /// The checks of a directory that loses an entry: 3, 2, 1 immutable or append-only, 4 no W and X.
    pub(crate) fn check_loses(&self, who: &Caller, directory: Inode) -> Result<(), Status> {
        self.check_changes(who, directory, eattr::IMMUTABLE | eattr::APPEND_ONLY)
    }

    fn check_changes(&self, who: &Caller, directory: Inode, barred: u8) -> Result<(), Status> {
        let node = self.directory_or(directory)?;
        if node.has(barred) {
            return Err(Status::Eperm);
        }
        self.check_mask(who, directory, node, WRITE | EXECUTE)
    }

    /// 1 when a sticky directory protects an entry from the caller (§9.2).
    pub(crate) fn check_sticky(
        &self,
        who: &Caller,
        directory: Inode,
        child: Inode,
    ) -> Result<(), Status> {
        let directory = self.node_or(directory)?;
        let sticky = directory.mode() & 0o1000 != 0;
        if sticky && !who.owns(directory) && !who.owns(self.node_or(child)?) {
            return Err(Status::Eperm);
        }
        Ok(())
    }

    /// 1 when attributes protect an inode from being removed or replaced.
    pub(crate) fn check_removable(&self, inode: Inode) -> Result<(), Status> {
        let protecting = eattr::UNDELETABLE | eattr::IMMUTABLE | eattr::APPEND_ONLY;
        if self.node_or(inode)?.has(protecting) {
            return Err(Status::Eperm);
        }
        Ok(())
    }
}
