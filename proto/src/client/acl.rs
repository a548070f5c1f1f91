//! GETFACL and SETFACL (wire-client-master §13.3).

use super::credentials::Credentials;
use super::message::{List, Message, message, record};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// `type` of an access ACL.
pub const ACL_ACCESS: u8 = 1;

/// `type` of a default ACL.
pub const ACL_DEFAULT: u8 = 2;

/// Permission word of an entry that an ACL does not have.
pub const ACL_NONE: u16 = 0xffff;

record! {
    /// Entry of a named user or group.
    AclEntry {
        /// uid or gid.
        id: u32,
        /// 4 read, 2 write, 1 execute.
        permissions: u16,
    }
}

/// An access control list; each word is a set of 4 read, 2 write, 1 execute, or [`ACL_NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acl<'a> {
    /// Owner.
    pub user: u16,
    /// Owning group.
    pub group: u16,
    /// Everybody else.
    pub other: u16,
    /// Upper limit of all entries but owner and others.
    pub mask: u16,
    /// Named users, at most 65535.
    pub users: List<'a, AclEntry>,
    /// Named groups, at most 65535.
    pub groups: List<'a, AclEntry>,
}

impl<'a> Versioned<'a> for Acl<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let (user, group) = (reader.u16()?, reader.u16()?);
        let (other, mask) = (reader.u16()?, reader.u16()?);
        let (users, groups) = (u64::from(reader.u16()?), u64::from(reader.u16()?));
        let users = List::get(reader, users, client)?;
        let groups = List::get(reader, groups, client)?;
        Ok(Acl {
            user,
            group,
            other,
            mask,
            users,
            groups,
        })
    }

    fn put(self, client: Version, out: &mut Vec<u8>) {
        for word in [self.user, self.group, self.other, self.mask] {
            out.put_u16(word);
        }
        for list in [&self.users, &self.groups] {
            debug_assert!(
                list.count() <= usize::from(u16::MAX),
                "an ACL beyond its limit"
            );
            out.put_u16(list.count() as u16);
        }
        self.users.put(client, out);
        self.groups.put(client, out);
    }
}

message! {
    /// GETFACL 489.
    GetfaclReply<'a> {
        /// The list.
        acl: Acl<'a>,
    }
    /// SETFACL 490. The reply is a status.
    Setfacl<'a> {
        /// The object.
        inode: Inode,
        /// Who asks.
        uid: u32,
        /// [`ACL_ACCESS`] or [`ACL_DEFAULT`]; others are refused with status 6.
        kind: u8,
        /// The list; all words [`ACL_NONE`] and no entries: remove it.
        acl: Acl<'a>,
    }
}

/// GETFACL 488.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Getfacl<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// [`ACL_ACCESS`] or [`ACL_DEFAULT`].
    pub kind: u8,
    /// *opened* and who asks: clients before 3.0.91. The master ignores both.
    pub caller: Option<(bool, Credentials<'a>)>,
}

impl<'a> Message<'a> for Getfacl<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode, kind) = (reader.u32()?, reader.get()?, reader.u8()?);
        let caller = if reader.is_empty() {
            None
        } else {
            Some((reader.get()?, reader.get()?))
        };
        reader.finish()?;
        Ok(Getfacl {
            msgid,
            inode,
            kind,
            caller,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u8(self.kind);
        if let Some((opened, caller)) = self.caller {
            out.put(opened);
            out.put(caller);
        }
    }
}
