//! GETFACL and SETFACL (wire-client-master §13.3).

use super::{Acl, AclEntry, AclKind};
use crate::access::disable;
use crate::store::node::eattr;
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, Status};
use std::sync::Arc;

/// Bytes of a named entry in a line: id:32 perm:16.
const ENTRY_BYTES: usize = 6;

impl Acl {
    fn named_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.named.len() * ENTRY_BYTES);
        for entry in &self.named {
            bytes.extend_from_slice(&entry.id.to_be_bytes());
            bytes.extend_from_slice(&entry.permission.to_be_bytes());
        }
        bytes
    }

    /// A list from the four words and the named entries of a line; `None` when their number is not
    /// the one that the line states.
    pub fn from_entry(words: [u16; 4], users: u16, groups: u16, entries: &[u8]) -> Option<Acl> {
        let (records, rest) = entries.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() || records.len() != usize::from(users) + usize::from(groups) {
            return None;
        }
        let parse = |&[i3, i2, i1, i0, p1, p0]: &[u8; ENTRY_BYTES]| AclEntry {
            id: u32::from_be_bytes([i3, i2, i1, i0]),
            permission: u16::from_be_bytes([p1, p0]),
        };
        let (users, groups) = records.split_at(users.into());
        Some(Acl::new(
            words,
            users.iter().map(parse),
            groups.iter().map(parse),
        ))
    }
}

impl Namespace {
    /// The list of an inode; `kind` as on the wire (1 access, 2 default).
    ///
    /// # Errors
    /// 3 no such inode, 38 no such list, also for an unknown kind.
    pub fn getfacl(&self, inode: Inode, kind: u8) -> Result<&Acl, Status> {
        self.node_or(inode)?;
        let kind = AclKind::from_number(kind).ok_or(Status::Enoattr)?;
        let acl = self.acls.get(inode, kind).ok_or(Status::Enoattr)?;
        Ok(acl)
    }

    /// Sets or removes the list of an inode; `kind` as on the wire. Entries that are not set are
    /// taken from the mode; an access list changes the mode, and is only that when it names nobody
    /// and has no mask. ctime changes with the mode.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 not owner, 1 immutable, 6 unknown
    /// kind.
    pub fn setfacl(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        kind: u8,
        acl: Acl,
    ) -> Result<(), Status> {
        who.permit(disable::SET_FACL)?;
        who.writes()?;
        let node = self.node_or(inode)?;
        if !who.owns(node) || node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        let acl_kind = AclKind::from_number(kind).ok_or(Status::Einval)?;
        let old_mode = node.mode();
        let acl = if acl.is_removal() {
            acl
        } else {
            acl.filled_from(old_mode)
        };
        let mode = if acl_kind == AclKind::Access && !acl.is_removal() {
            acl.mode(old_mode)
        } else {
            old_mode
        };
        // MooseFS says so, too, when the inode was changed in this second anyway.
        let change_ctime = mode != old_mode || node.ctime == tx.now;
        let entry = Entry::SetAcl {
            inode,
            mode,
            change_ctime,
            acl_type: kind,
            user: acl.user,
            group: acl.group,
            other: acl.other,
            mask: acl.mask,
            named_users: acl.named_users().len() as u16,
            named_groups: acl.named_groups().len() as u16,
            entries: acl.named_bytes().into(),
        };
        self.log(tx, &entry);
        self.apply_setacl(tx.now, inode, acl_kind, acl, mode, change_ctime)
    }

    /// The effect of SETACL.
    pub(crate) fn apply_setacl(
        &mut self,
        now: u32,
        inode: Inode,
        kind: AclKind,
        acl: Acl,
        mode: u16,
        change_ctime: bool,
    ) -> Result<(), Status> {
        let node = self.node_mut(inode)?;
        if change_ctime {
            node.ctime = now;
        }
        if !acl.is_removal() {
            node.set_mode(mode);
        }
        if acl.is_removal() || kind == AclKind::Access && acl.is_minimal() {
            self.acls.remove(inode, kind);
        } else {
            self.acls.set(inode, kind, Arc::new(acl));
        }
        self.refresh_marks(inode);
        Ok(())
    }
}
