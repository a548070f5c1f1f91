//! Attributes as clients see them, and their changes.

use crate::access::{AtimeMode, WRITE, disable};
use crate::acl::AclKind;
use crate::caller::SessionRights;
use crate::store::node::{NodeRecord, eattr, mark};
use crate::{Caller, Namespace, Tx};
use proto::attr::{Attr, flag};
use proto::changelog::Entry;
use proto::{ClassId, Inode, NodeKind, Status};

/// What an inode is, for those who need no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Kind, trash and sustained included.
    pub kind: NodeKind,
    /// 12 bits.
    pub mode: u16,
    /// Extra attributes, see [`crate::store::node::eattr`].
    pub eattr: u8,
    /// Windows attributes.
    pub winattr: u8,
    /// Storage class; 0 for other kinds than files and directories.
    pub class: ClassId,
    /// Trash time, hours.
    pub trash_hours: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub atime: u32,
    /// Last change of the data.
    pub mtime: u32,
    /// Last change of the inode.
    pub ctime: u32,
    /// Names; directories: 2 + subdirectories.
    pub nlink: u32,
    /// Length of a file, bytes; length of the target of a symlink; else 0.
    pub length: u64,
    /// Number of slots of the chunk list of a file.
    pub slots: u32,
}

/// Bits of [`SetAttr::mask`] (wire-client-master §3).
pub mod set {
    /// Windows attributes.
    pub const WINATTR: u8 = 0x01;
    /// Mode.
    pub const MODE: u8 = 0x02;
    /// Owner.
    pub const UID: u8 = 0x04;
    /// Group.
    pub const GID: u8 = 0x08;
    /// Modification time: now.
    pub const MTIME_NOW: u8 = 0x10;
    /// Modification time.
    pub const MTIME: u8 = 0x20;
    /// Access time.
    pub const ATIME: u8 = 0x40;
    /// Access time: now.
    pub const ATIME_NOW: u8 = 0x80;
}

/// Setuid and setgid bits.
const SUGID: u16 = 0o6000;
const SETGID: u16 = 0o2000;

/// SETATTR (§11.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Which fields are set: [`set`].
    pub mask: u8,
    /// 12 bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Access time.
    pub atime: u32,
    /// Modification time.
    pub mtime: u32,
    /// Windows attributes.
    pub winattr: u8,
    /// How setuid and setgid are cleared, 0..=5.
    pub sugid_mode: u8,
}

impl SetAttr {
    fn sets(&self, fields: u8) -> bool {
        self.mask & fields != 0
    }
}

/// One entry of AMTIME_INODES; 0 leaves a time as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmTime {
    /// File.
    pub inode: Inode,
    /// Last access, seconds since 1970.
    pub atime: u32,
    /// Last modification, seconds since 1970.
    pub mtime: u32,
}

/// Arguments of ATTR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttrChange {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub atime: u32,
    pub mtime: u32,
    pub winattr: u8,
    /// Bit 12: the inode has an access ACL whose bits become the lower 12.
    pub acl_mode: u16,
}

impl AttrChange {
    /// Whether the inode is as it was after this change at `now`, even its change time.
    fn leaves(&self, node: &NodeRecord, now: u32) -> bool {
        self.mode == node.mode()
            && (self.uid, self.gid) == (node.uid, node.gid)
            && (self.atime, self.mtime, now) == (node.atime, node.mtime, node.ctime)
            && self.winattr == node.winattr
            && !node.is_marked(mark::ACCESS_ACL)
    }
}

/// Set in [`AttrChange::acl_mode`] when there is an access ACL.
const HAS_ACL: u16 = 0x1000;

/// The size that a directory shows for the length of everything below it (§4.4).
fn pseudo_size(length: u64) -> u64 {
    let hundredths = |unit: u32| (100 * (length >> 10)) >> (unit - 10);
    match length {
        0 => 1,
        1..0x400 => 100 * length,
        0x400..0x10_0000 => 1_000_000 + ((100 * length) >> 10),
        0x10_0000..0x4000_0000 => 2_000_000 + ((100 * length) >> 20),
        0x4000_0000..0x100_0000_0000 => 3_000_000 + ((100 * length) >> 30),
        0x100_0000_0000..0x4_0000_0000_0000 => 4_000_000 + ((100 * length) >> 40),
        0x4_0000_0000_0000..0x1000_0000_0000_0000 => 5_000_000 + hundredths(50),
        _ => 6_000_000 + hundredths(60),
    }
}

impl Namespace {
    /// What an inode is.
    pub fn node(&self, inode: Inode) -> Option<NodeInfo> {
        let node = self.store.node(inode)?;
        let kind = node.kind();
        let (length, slots) = match kind {
            _ if kind.has_data() => (node.file_length(), self.store.slots.len(node.slots())),
            NodeKind::Symlink => (node.target().1 as u64, 0),
            _ => (0, 0),
        };
        Some(NodeInfo {
            kind,
            mode: node.mode(),
            eattr: node.eattr,
            winattr: node.winattr,
            class: node.class,
            trash_hours: node.trash_hours,
            uid: node.uid,
            gid: node.gid,
            atime: node.atime,
            mtime: node.mtime,
            ctime: node.ctime,
            nlink: node.links,
            length,
            slots,
        })
    }

    /// Attributes of an inode as the caller sees it (§4).
    ///
    /// # Errors
    /// 3 no such inode.
    pub fn attr(&self, who: &Caller, inode: Inode) -> Result<Attr, Status> {
        let node = self.node_or(inode)?;
        let (mode, uid, gid) = self.shown_owner(who, inode, node);
        let kind = node.kind();
        let length = match kind {
            _ if kind.has_data() => node.file_length(),
            _ if kind.is_device() => Attr::length_of_device(node.rdev()),
            NodeKind::Directory => {
                let below = self.store.dirs.get(node.dir());
                pseudo_size(below.map_or(0, |dir| dir.stats.length))
            }
            NodeKind::Symlink => node.target().1 as u64,
            _ => 0,
        };
        Ok(Attr {
            flags: flags(who, node),
            kind: if kind.is_detached() {
                NodeKind::File
            } else {
                kind
            },
            mode,
            uid,
            gid,
            atime: node.atime,
            mtime: node.mtime,
            ctime: node.ctime,
            nlink: node.links,
            length,
            winattr: node.winattr,
        })
    }

    /// The same when it was reached through a directory: with flag 02 (§4.2).
    ///
    /// # Errors
    /// 3 no such inode.
    pub fn attr_in(&self, who: &Caller, parent: Inode, inode: Inode) -> Result<Attr, Status> {
        let mut attr = self.attr(who, inode)?;
        let directory = self.store.node(parent);
        if directory.is_some_and(|directory| directory.has(eattr::NO_ENTRY_CACHE)) {
            attr.flags |= flag::NO_ENTRY_CACHE;
        }
        Ok(attr)
    }

    /// Mode, owner and group as the caller sees them (§4.3).
    fn shown_owner(&self, who: &Caller, inode: Inode, node: &NodeRecord) -> (u16, u32, u32) {
        let mut mode = node.mode();
        if node.is_marked(mark::ACCESS_ACL)
            && let Some(acl) = self.acls.get(inode, AclKind::Access)
        {
            mode = acl.shown_mode(mode);
        }
        let maps_all = who.has(SessionRights::MAP_ALL);
        if node.has(eattr::NO_OWNER) && who.uid != 0 {
            let owner = mode >> 6 & 7;
            let mode = mode & 0o7700 | owner << 3 | owner;
            return if maps_all {
                (mode, who.sent_uid, who.sent_gid)
            } else {
                (mode, who.uid, who.gid())
            };
        }
        if maps_all && who.sent_uid != 0 {
            let uid = if node.uid == who.uid { who.sent_uid } else { 0 };
            let gid = if node.gid == who.gid() {
                who.sent_gid
            } else {
                0
            };
            return (mode, uid, gid);
        }
        (mode, node.uid, node.gid)
    }

    /// SETATTR (§11.2).
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 immutable, 1 or 4 not permitted.
    pub fn setattr(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        set: SetAttr,
    ) -> Result<(), Status> {
        if set.sets(set::UID | set::GID) {
            who.permit(disable::CHOWN)?;
        }
        if set.sets(set::MODE) {
            who.permit(disable::CHMOD)?;
        }
        who.writes()?;
        let node = self.node_or(inode)?;
        if node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        let drops_sugid = set.mask == set::MODE
            && node.mode() & SUGID != 0
            && set.mode == node.mode() & !SUGID
            && who.uid != 0;
        if !drops_sugid {
            self.check_setattr(who, inode, node, &set)?;
        }
        let change = self.attr_change(who, inode, node, &set, tx.now);
        let is_there_already = change.leaves(node, tx.now);
        self.apply_attr(tx, inode, change)?;
        let entry = Entry::Attr {
            inode,
            mode: change.mode,
            uid: change.uid,
            gid: change.gid,
            atime: change.atime,
            mtime: change.mtime,
            winattr: change.winattr,
            acl_mode: change.acl_mode,
        };
        if is_there_already {
            self.log_books(tx, &entry);
        } else {
            self.log(tx, &entry);
        }
        Ok(())
    }

    fn check_setattr(
        &self,
        who: &Caller,
        inode: Inode,
        node: &NodeRecord,
        set: &SetAttr,
    ) -> Result<(), Status> {
        if who.uid == 0 {
            return Ok(());
        }
        if who.has(SessionRights::MAP_ALL) && set.sets(set::UID | set::GID) {
            return Err(Status::Eperm);
        }
        if !who.owns(node) {
            if set.sets(set::MODE | set::UID | set::GID | set::ATIME | set::MTIME) {
                return Err(Status::Eperm);
            }
            if set.sets(set::ATIME_NOW | set::MTIME_NOW) {
                self.check_mask(who, inode, node, WRITE)?;
            }
        }
        if set.sets(set::UID) && set.uid != who.uid {
            return Err(Status::Eperm);
        }
        let any_group = who.has(SessionRights::IGNORE_GID);
        if set.sets(set::GID) && !any_group && !who.gids.contains(&set.gid) {
            return Err(Status::Eperm);
        }
        Ok(())
    }

    /// What a permitted SETATTR makes of the attributes.
    fn attr_change(
        &self,
        who: &Caller,
        inode: Inode,
        node: &NodeRecord,
        set: &SetAttr,
        now: u32,
    ) -> AttrChange {
        let changes_owner = set.sets(set::UID | set::GID);
        let mut mode = node.mode();
        if set.sets(set::MODE) {
            mode = set.mode & 0o7777;
            if changes_owner {
                mode |= node.mode() & SUGID;
            }
            if who.uid != 0 && !who.gids.contains(&node.gid) {
                mode &= !SETGID;
            }
        }
        if changes_owner && node.mode() & SUGID != 0 {
            mode &= !cleared_bits(who, node, set);
        }
        let acl = self.acls.get(inode, AclKind::Access);
        let mut acl_mode = 0;
        if let Some(acl) = acl.filter(|_| node.is_marked(mark::ACCESS_ACL)) {
            acl_mode = HAS_ACL | acl.attr_mode();
            if set.sets(set::MODE) {
                acl_mode = HAS_ACL | mode & 0o777;
                mode = mode & !0o070 | node.mode() & 0o070;
            }
        }
        let time = |exact: u8, present: u8, value: u32, old: u32| {
            if set.sets(present) {
                now
            } else if set.sets(exact) {
                value
            } else {
                old
            }
        };
        AttrChange {
            mode,
            uid: if set.sets(set::UID) {
                set.uid
            } else {
                node.uid
            },
            gid: if set.sets(set::GID) {
                set.gid
            } else {
                node.gid
            },
            atime: time(set::ATIME, set::ATIME_NOW, set.atime, node.atime),
            mtime: time(set::MTIME, set::MTIME_NOW, set.mtime, node.mtime),
            winattr: if set.sets(set::WINATTR) {
                set.winattr
            } else {
                node.winattr
            },
            acl_mode,
        }
    }

    /// Replays ATTR.
    pub(crate) fn apply_attr(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        change: AttrChange,
    ) -> Result<(), Status> {
        let node = self.node_mut(inode)?;
        node.set_mode(change.mode);
        node.uid = change.uid;
        node.gid = change.gid;
        node.atime = change.atime;
        node.mtime = change.mtime;
        node.ctime = tx.now;
        node.winattr = change.winattr;
        if node.is_marked(mark::ACCESS_ACL) {
            let unchanged = self
                .acls
                .get(inode, AclKind::Access)
                .is_none_or(|acl| HAS_ACL | acl.attr_mode() == change.acl_mode);
            if let Some(acl) = self.acls.access_mut(inode).filter(|_| !unchanged) {
                let mask = if change.acl_mode & HAS_ACL != 0 {
                    0
                } else {
                    0o070
                };
                acl.change_mode(change.acl_mode & 0o777 | mask);
            }
        }
        Ok(())
    }

    /// AMTIME_INODES (§18.4): access times by the rule, modification times when they are newer.
    pub fn am_time(
        &mut self,
        tx: &mut Tx,
        entries: impl Iterator<Item = AmTime>,
        atime_mode: AtimeMode,
    ) {
        for entry in entries {
            let Some(node) = self.store.node(entry.inode) else {
                continue;
            };
            let (mut atime, mut mtime, mut ctime) = (node.atime, node.mtime, node.ctime);
            if entry.atime > atime && atime_mode.is_due_for_file(node, entry.atime) {
                atime = entry.atime;
            }
            if entry.mtime > mtime {
                mtime = entry.mtime;
                ctime = entry.mtime;
            }
            if (atime, mtime) == (node.atime, node.mtime) {
                continue;
            }
            let inode = entry.inode;
            if self.apply_am_time(inode, atime, mtime, ctime).is_ok() {
                self.log(
                    tx,
                    &Entry::AmTime {
                        inode,
                        atime,
                        mtime,
                        ctime,
                    },
                );
            }
        }
    }

    /// Replays AMTIME.
    pub(crate) fn apply_am_time(
        &mut self,
        inode: Inode,
        atime: u32,
        mtime: u32,
        ctime: u32,
    ) -> Result<(), Status> {
        let node = self.node_mut(inode)?;
        node.atime = atime;
        node.mtime = mtime;
        node.ctime = ctime;
        Ok(())
    }
}

/// Flags of an inode in attribute records, but for the one that depends on the directory.
fn flags(who: &Caller, node: &NodeRecord) -> u8 {
    let mut flags = 0;
    if node.has(eattr::NO_OWNER | eattr::NO_ATTR_CACHE) || who.has(SessionRights::MAP_ALL) {
        flags |= flag::NO_ATTRIBUTE_CACHE;
    }
    flags |= if node.has(eattr::NO_DATA_CACHE) {
        flag::DIRECT
    } else {
        flag::DATA_CACHE
    };
    if !node.is_marked(mark::XATTR | mark::ACCESS_ACL | mark::DEFAULT_ACL) {
        flags |= flag::NO_XATTR;
    }
    if node.has(eattr::UNDELETABLE | eattr::APPEND_ONLY | eattr::IMMUTABLE) {
        flags |= flag::UNDELETABLE;
    }
    flags
}

/// Setuid and setgid bits that a change of owner or group takes away, by the client's mode.
fn cleared_bits(who: &Caller, node: &NodeRecord, set: &SetAttr) -> u16 {
    const NEVER: u8 = 0;
    const ALWAYS: u8 = 1;
    const OSX: u8 = 2;
    const BSD: u8 = 3;
    const XFS: u8 = 5;
    let by_user = who.uid != 0;
    match set.sugid_mode {
        NEVER => 0,
        ALWAYS => SUGID,
        OSX if by_user => SUGID,
        BSD if by_user && set.sets(set::GID) && set.gid != node.gid => SUGID,
        OSX | BSD => 0,
        XFS if node.is_dir() && by_user => SUGID,
        _ if node.is_dir() => 0,
        _ if node.mode() & 0o010 != 0 => SUGID,
        _ => 0o4000,
    }
}

#[cfg(test)]
mod tests {
    use super::pseudo_size;

    #[test]
    fn directories_show_the_length_below_in_decimal() {
        for (length, shown) in [
            (0, 1),
            (1, 100),
            (1023, 102_300),
            (1024, 1_000_100),
            (200_006, 1_019_531),
            (3 << 20, 2_000_300),
            (5 << 30, 3_000_500),
            (7 << 40, 4_000_700),
            (9 << 50, 5_000_900),
            (11 << 60, 6_001_100),
            (u64::MAX, 6_001_599),
        ] {
            assert_eq!(pseudo_size(length), shown, "{length}");
        }
    }
}
