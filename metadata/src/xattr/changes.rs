//! GETXATTR and SETXATTR (wire-client-master §13.1, §13.2).

use super::{NAME_LIST_BYTES_MAX, SetMode};
use crate::access::{READ, WRITE, disable};
use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, Status};

impl Namespace {
    fn may(
        &self,
        who: &Caller<'_>,
        inode: Inode,
        node: &NodeRecord,
        mask: u8,
        opened: bool,
    ) -> Result<(), Status> {
        if opened {
            return Ok(());
        }
        self.check_mask(who, inode, node, mask)
    }

    /// The value of an attribute. `opened`: the client has the file open, so R is not needed.
    ///
    /// # Errors
    /// In this order: 3 no such inode, 1 `trusted.` and not root, 4 no R, 6 bad name, 38 missing.
    pub fn getxattr(
        &self,
        who: &Caller<'_>,
        inode: Inode,
        name: &[u8],
        opened: bool,
    ) -> Result<&[u8], Status> {
        let node = self.node_or(inode)?;
        if who.uid != 0 && name.starts_with(b"trusted.") {
            return Err(Status::Eperm);
        }
        self.may(who, inode, node, READ, opened)?;
        if name.is_empty() || name.contains(&0) {
            return Err(Status::Einval);
        }
        self.xattrs.get(inode, name).ok_or(Status::Enoattr)
    }

    /// The names of all attributes, newest first, each followed by NUL.
    ///
    /// # Errors
    /// In this order: 3 no such inode, 4 no R, 40 list too long.
    pub fn listxattr(
        &self,
        who: &Caller<'_>,
        inode: Inode,
        opened: bool,
    ) -> Result<Vec<u8>, Status> {
        let node = self.node_or(inode)?;
        self.may(who, inode, node, READ, opened)?;
        let mut list = Vec::new();
        for (name, _) in self.xattrs.of(inode) {
            list.extend_from_slice(name);
            list.push(0);
        }
        if list.len() > NAME_LIST_BYTES_MAX {
            return Err(Status::Erange);
        }
        Ok(list)
    }

    /// Creates, replaces or removes an attribute; `mode` as on the wire.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 `trusted.` or `security.` and not
    /// root, 1 `system.` and not owner, 1 immutable, 4 no W, 6 bad name, 6 bad mode, 5 exists, 38
    /// missing, 40 too long.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub fn setxattr(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        name: &[u8],
        value: &[u8],
        mode: u8,
        opened: bool,
    ) -> Result<(), Status> {
        who.permit(disable::SET_XATTR)?;
        who.writes()?;
        let node = self.node_or(inode)?;
        let is_for_root = name.starts_with(b"trusted.") || name.starts_with(b"security.");
        if who.uid != 0 && is_for_root
            || name.starts_with(b"system.") && !who.owns(node)
            || node.has(eattr::IMMUTABLE)
        {
            return Err(Status::Eperm);
        }
        self.may(who, inode, node, WRITE, opened)?;
        if name.is_empty() || name.contains(&0) {
            return Err(Status::Einval);
        }
        let set_mode = SetMode::from_number(mode).ok_or(Status::Einval)?;
        self.xattrs.check(inode, name, value, set_mode)?;
        self.apply_setxattr(tx.now, inode, name, value, set_mode)?;
        let entry = Entry::SetXattr {
            inode,
            name: name.into(),
            value: value.into(),
            mode,
        };
        self.log(tx, &entry);
        Ok(())
    }

    /// The effect of SETXATTR.
    pub(crate) fn apply_setxattr(
        &mut self,
        now: u32,
        inode: Inode,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<(), Status> {
        self.node_or(inode)?;
        self.xattrs.set(inode, name, value, mode)?;
        self.refresh_marks(inode);
        self.node_mut(inode)?.ctime = now;
        Ok(())
    }
}
