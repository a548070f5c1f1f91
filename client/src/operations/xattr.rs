//! Extended attributes and access control lists (client-behaviour §7.10).

use bytes::Bytes;
use proto::client::acl::{Acl, AclEntry, Getfacl, GetfaclReply, Setfacl};
use proto::client::xattr::{Getxattr, GetxattrReply, Setxattr};
use proto::client::{List, kind};
use proto::{Inode, Status};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::session::Session;

/// How an attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Whether it exists or not.
    Set = 0,
    /// Fails if it exists.
    Create = 1,
    /// Fails if it does not exist.
    Replace = 2,
    /// Takes it away.
    Remove = 3,
}

/// Which of the two lists of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclKind {
    /// Decides about access.
    Access = 1,
    /// What new objects in a directory get.
    Default = 2,
}

/// An access control list. Words are sets of 4 read, 2 write, 1 execute; `None`: no such entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclValue {
    /// Owner.
    pub user: Option<u16>,
    /// Owning group.
    pub group: Option<u16>,
    /// Everybody else.
    pub other: Option<u16>,
    /// Upper limit of the others but owner and everybody else.
    pub mask: Option<u16>,
    /// Named users.
    pub users: Vec<(u32, u16)>,
    /// Named groups.
    pub groups: Vec<(u32, u16)>,
}

impl Session {
    /// Value of an attribute; with an empty name the names, a NUL behind each (GETXATTR).
    pub async fn getxattr(
        &self,
        inode: Inode,
        name: &[u8],
        opened: bool,
        caller: &Caller,
    ) -> Result<Bytes> {
        let reply = self
            .ask(kind::GETXATTR, |msgid| Getxattr {
                msgid,
                inode,
                opened,
                caller: caller.credentials(),
                name,
                mode: 0,
            })
            .await?;
        let value = reply.body::<GetxattrReply<'_>>()?.value;
        Ok(reply.payload().slice_ref(value))
    }

    /// Sets or removes an attribute (SETXATTR).
    pub async fn setxattr(
        &self,
        inode: Inode,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
        opened: bool,
        caller: &Caller,
    ) -> Result<()> {
        let reply = self
            .ask(kind::SETXATTR, |msgid| Setxattr {
                msgid,
                inode,
                opened,
                caller: caller.credentials(),
                name,
                value,
                mode: mode as u8,
            })
            .await?;
        match (reply.status(), mode) {
            (Err(Error::Status(Status::Eexist)), XattrMode::Create)
            | (Err(Error::Status(Status::Enoattr)), XattrMode::Remove)
                if reply.is_repeated() =>
            {
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    /// An access control list (GETFACL); ENODATA if there is none.
    pub async fn getfacl(&self, inode: Inode, of: AclKind, caller: &Caller) -> Result<AclValue> {
        let short = self.version().has_short_getfacl();
        let reply = self
            .ask(kind::GETFACL, |msgid| Getfacl {
                msgid,
                inode,
                kind: of as u8,
                caller: (!short).then(|| (false, caller.credentials())),
            })
            .await?;
        let acl = reply.body::<GetfaclReply<'_>>()?.acl;
        let word = |word: u16| (word != proto::client::acl::ACL_NONE).then_some(word);
        let named = |list: List<'_, AclEntry>| {
            list.iter()
                .map(|entry| (entry.id, entry.permissions))
                .collect()
        };
        Ok(AclValue {
            user: word(acl.user),
            group: word(acl.group),
            other: word(acl.other),
            mask: word(acl.mask),
            users: named(acl.users),
            groups: named(acl.groups),
        })
    }

    /// Sets an access control list (SETFACL); the default value removes it.
    pub async fn setfacl(
        &self,
        inode: Inode,
        of: AclKind,
        acl: &AclValue,
        caller: &Caller,
    ) -> Result<()> {
        let word = |word: Option<u16>| word.unwrap_or(proto::client::acl::ACL_NONE);
        let named = |list: &[(u32, u16)]| -> Vec<AclEntry> {
            list.iter()
                .map(|&(id, permissions)| AclEntry { id, permissions })
                .collect()
        };
        let (users, groups) = (named(&acl.users), named(&acl.groups));
        self.ask(kind::SETFACL, |msgid| Setfacl {
            msgid,
            inode,
            uid: caller.uid,
            kind: of as u8,
            acl: Acl {
                user: word(acl.user),
                group: word(acl.group),
                other: word(acl.other),
                mask: word(acl.mask),
                users: List::Values(&users),
                groups: List::Values(&groups),
            },
        })
        .await?
        .status()
    }
}
