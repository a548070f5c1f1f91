//! POSIX ACLs: the lists of all inodes, how one is evaluated, inherited and changed by chmod.

mod changes;

use crate::digest::{Kind, Sum};
use proto::Inode;
use std::sync::Arc;

/// Permission word that means "not set".
pub const UNSET: u16 = 0xFFFF;

/// Which of an inode's two lists, as its number on the wire, in the image and in the changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AclKind {
    /// Who may use the inode.
    Access = 1,
    /// What new entries of the directory inherit.
    Default = 2,
}

impl AclKind {
    /// The kind of a number.
    pub fn from_number(number: u8) -> Option<AclKind> {
        match number {
            1 => Some(AclKind::Access),
            2 => Some(AclKind::Default),
            _ => None,
        }
    }
}

/// Permission of one named user or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// User or group.
    pub id: u32,
    /// 4 read, 2 write, 1 execute.
    pub permission: u16,
}

/// One access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Owner.
    pub user: u16,
    /// Owning group.
    pub group: u16,
    /// Everybody else.
    pub other: u16,
    /// Upper bound of named entries and of the owning group; [`UNSET`] when there is none.
    pub mask: u16,
    /// Named users, then named groups.
    named: Box<[AclEntry]>,
    users: u32,
}

/// All subsets of three permission bits, as a set of masks: bit *m* stands for mask *m*.
pub const fn subsets(bits: u16) -> u8 {
    let mut set = 0;
    let mut mask = 0;
    while mask < 8 {
        if mask & bits == mask {
            set |= 1 << mask;
        }
        mask += 1;
    }
    set
}

/// What a new inode gets from the default list of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Mode of the new inode, 12 bits.
    pub mode: u16,
    /// Its access list, if any.
    pub access: Option<Acl>,
}

impl Acl {
    /// A list from its parts. Bits that are no permissions mean nothing, but are kept as 3.0.117
    /// keeps them.
    pub fn new(
        [user, group, other, mask]: [u16; 4],
        named_users: impl IntoIterator<Item = AclEntry>,
        named_groups: impl IntoIterator<Item = AclEntry>,
    ) -> Acl {
        let mut named: Vec<AclEntry> = named_users.into_iter().collect();
        let users = named.len() as u32;
        named.extend(named_groups);
        Acl {
            user,
            group,
            other,
            mask,
            named: named.into(),
            users,
        }
    }

    /// Named users in stored order.
    pub fn named_users(&self) -> &[AclEntry] {
        self.named.get(..self.users as usize).unwrap_or_default()
    }

    /// Named groups in stored order.
    pub fn named_groups(&self) -> &[AclEntry] {
        self.named.get(self.users as usize..).unwrap_or_default()
    }

    /// The same list with entries of the owner, the owning group and the others that are not set
    /// taken from the mode bits.
    #[must_use]
    pub fn filled_from(self, mode: u16) -> Acl {
        let fill = |word, shift: u16| {
            if word == UNSET {
                mode >> shift & 7
            } else {
                word
            }
        };
        Acl {
            user: fill(self.user, 6),
            group: fill(self.group, 3),
            other: fill(self.other, 0),
            ..self
        }
    }

    /// Whether it says no more than nine mode bits do.
    pub fn is_minimal(&self) -> bool {
        self.named.is_empty() && self.mask == UNSET
    }

    /// Whether it is the request to remove a list: nothing set, nobody named.
    pub fn is_removal(&self) -> bool {
        self.named.is_empty() && [self.user, self.group, self.other, self.mask] == [UNSET; 4]
    }

    /// The set of access masks that a caller gets (wire-client-master §9.1 rule 2), bit *m* for mask
    /// *m*. `owner` and `owning_group` are those of the inode. Root is not special here.
    pub fn allowed(&self, owner: u32, owning_group: u32, uid: u32, gids: &[u32]) -> u8 {
        if uid == owner {
            return subsets(self.user);
        }
        if let Some(entry) = self.named_users().iter().find(|entry| entry.id == uid) {
            return subsets(entry.permission & self.mask);
        }
        let mut allowed = 0;
        let mut matched = false;
        if gids.contains(&owning_group) {
            matched = true;
            allowed |= subsets(self.group & self.mask);
        }
        for entry in self.named_groups() {
            if gids.contains(&entry.id) {
                matched = true;
                allowed |= subsets(entry.permission & self.mask);
            }
        }
        if matched {
            allowed
        } else {
            subsets(self.other)
        }
    }

    /// What an inode created with `requested` mode gets below a directory with this default list
    /// (wire-client-master §9.4). The umask plays no part.
    pub fn inherit(&self, requested: u16) -> Inherited {
        let user = self.user & (requested >> 6) & 7;
        let other = self.other & requested & 7;
        if self.is_minimal() {
            let group = self.group & (requested >> 3) & 7;
            return Inherited {
                mode: requested & 0o7000 | user << 6 | group << 3 | other,
                access: None,
            };
        }
        let access = Acl {
            user,
            other,
            mask: self.mask & (requested >> 3) & 7,
            ..self.clone()
        };
        Inherited {
            mode: access.mode(requested),
            access: Some(access),
        }
    }

    /// `mode` with its nine permission bits taken from the entries of the owner, the owning group
    /// and the others.
    pub fn mode(&self, mode: u16) -> u16 {
        mode & 0o7000 | (self.user & 7) << 6 | (self.group & 7) << 3 | self.other & 7
    }

    /// `mode` as clients see it: the mask stands in the place of the group bits (wire-client-master
    /// §4.3). Without a mask all three are shown.
    pub fn shown_mode(&self, mode: u16) -> u16 {
        mode & 0o7000 | self.attr_mode()
    }

    /// The nine bits that an ATTR line carries for this list: owner, mask and others.
    pub fn attr_mode(&self) -> u16 {
        (self.user & 7) << 6 | (self.mask & 7) << 3 | self.other & 7
    }

    /// chmod: the permission bits of the owner, mask and other entries follow the mode bits (wire-client-master §11.2).
    pub fn change_mode(&mut self, mode: u16) {
        let put = |word: &mut u16, bits: u16| *word = *word & !7 | bits & 7;
        put(&mut self.user, mode >> 6);
        put(&mut self.mask, mode >> 3);
        put(&mut self.other, mode);
    }
}

/// The lists of all inodes that have one. A clone shares everything with the original, and equal
/// lists that were inherited or copied are stored once.
#[derive(Clone, Debug, Default)]
pub struct Acls {
    lists: imbl::OrdMap<u64, Arc<Acl>>,
}

fn key(inode: Inode, kind: AclKind) -> u64 {
    u64::from(inode.0) << 2 | kind as u64
}

impl Acls {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &Acls, sum: &mut Sum) {
        sum.map(&old.lists, &self.lists, |sum, side, key, acl| {
            let words = [acl.user, acl.group, acl.other, acl.mask].map(u16::to_be_bytes);
            let mut named = Vec::with_capacity(acl.named.len() * 6);
            for entry in &acl.named {
                named.extend_from_slice(&entry.id.to_be_bytes());
                named.extend_from_slice(&entry.permission.to_be_bytes());
            }
            let parts = [
                &key.to_be_bytes()[..],
                words.as_flattened(),
                &acl.users.to_be_bytes(),
                &named,
            ];
            sum.count(side, Kind::Acl, &parts);
        });
    }

    /// The list of an inode.
    pub fn get(&self, inode: Inode, kind: AclKind) -> Option<&Arc<Acl>> {
        if self.lists.is_empty() {
            return None;
        }
        self.lists.get(&key(inode, kind))
    }

    /// Whether the inode has any list.
    pub fn has(&self, inode: Inode) -> bool {
        self.get(inode, AclKind::Access).is_some() || self.get(inode, AclKind::Default).is_some()
    }

    /// All lists, ascending by inode, access before default.
    pub fn iter(&self) -> impl Iterator<Item = (Inode, AclKind, &Acl)> {
        self.lists.iter().map(|(&key, acl)| {
            let kind = if key & 3 == AclKind::Access as u64 {
                AclKind::Access
            } else {
                AclKind::Default
            };
            (Inode((key >> 2) as u32), kind, acl.as_ref())
        })
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Sets a list; the one that was there is returned.
    pub fn set(&mut self, inode: Inode, kind: AclKind, acl: Arc<Acl>) -> Option<Arc<Acl>> {
        self.lists.insert(key(inode, kind), acl)
    }

    /// Removes a list and returns it.
    pub fn remove(&mut self, inode: Inode, kind: AclKind) -> Option<Arc<Acl>> {
        self.lists.remove(&key(inode, kind))
    }

    /// The access list of an inode, to be changed.
    pub fn access_mut(&mut self, inode: Inode) -> Option<&mut Acl> {
        if self.lists.is_empty() {
            return None;
        }
        self.lists
            .get_mut(&key(inode, AclKind::Access))
            .map(Arc::make_mut)
    }

    /// The inode is gone.
    pub fn remove_all(&mut self, inode: Inode) {
        self.remove(inode, AclKind::Access);
        self.remove(inode, AclKind::Default);
    }

    /// Gives `to` exactly the lists of `from`.
    pub fn copy(&mut self, from: Inode, to: Inode) {
        for kind in [AclKind::Access, AclKind::Default] {
            match self.get(from, kind).cloned() {
                Some(acl) => self.set(to, kind, acl),
                None => self.remove(to, kind),
            };
        }
    }
}

#[cfg(test)]
mod tests;
