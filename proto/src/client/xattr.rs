//! GETXATTR and SETXATTR (wire-client-master §13.1, §13.2).

use super::credentials::{Credentials, Gids};
use super::message::Message;
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// GETXATTR 478.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Getxattr<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// The client has it open: no permission test.
    pub opened: bool,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Name of the attribute; empty: list all names.
    pub name: &'a [u8],
    /// 0 value, 1 length only; others are refused with status 6.
    pub mode: u8,
}

/// Before 2.0 one group and the credentials came first.
fn get_old_caller<'a>(reader: &mut Reader<'a>) -> Result<(bool, Credentials<'a>), Malformed> {
    let opened = reader.get()?;
    Ok((
        opened,
        Credentials {
            uid: reader.u32()?,
            gids: Gids::Single(reader.u32()?),
        },
    ))
}

impl<'a> Message<'a> for Getxattr<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let message = if client.has_gid_lists() {
            let (name, mode, opened) = (reader.name()?, reader.u8()?, reader.get()?);
            Getxattr {
                msgid,
                inode,
                opened,
                caller: reader.get()?,
                name,
                mode,
            }
        } else {
            let (opened, caller) = get_old_caller(&mut reader)?;
            Getxattr {
                msgid,
                inode,
                opened,
                caller,
                name: reader.name()?,
                mode: reader.u8()?,
            }
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if client.has_gid_lists() {
            out.put_name(self.name);
            out.put_u8(self.mode);
            out.put(self.opened);
            out.put(self.caller);
        } else {
            out.put(self.opened);
            self.caller.put_single(out);
            out.put_name(self.name);
            out.put_u8(self.mode);
        }
    }
}

/// GETXATTR 479.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetxattrReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// Length of the value, or of the list of names.
    pub length: u32,
    /// The value, or names with a NUL behind each; empty if only the length was asked.
    pub value: &'a [u8],
}

impl<'a> Message<'a> for GetxattrReply<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let reply = GetxattrReply {
            msgid: reader.u32()?,
            length: reader.u32()?,
            value: reader.rest(),
        };
        let is_whole = reply.value.is_empty() || reply.value.len() == reply.length as usize;
        if is_whole { Ok(reply) } else { Err(Malformed) }
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_u32(self.length);
        out.put_bytes(self.value);
    }
}

/// SETXATTR 480. The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setxattr<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// The client has it open: no permission test.
    pub opened: bool,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Name of the attribute.
    pub name: &'a [u8],
    /// New value.
    pub value: &'a [u8],
    /// 0 create or replace, 1 create only, 2 replace only, 3 remove.
    pub mode: u8,
}

impl<'a> Message<'a> for Setxattr<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let message = if client.has_gid_lists() {
            let (name, value) = (reader.name()?, reader.long_bytes()?);
            let (mode, opened) = (reader.u8()?, reader.get()?);
            Setxattr {
                msgid,
                inode,
                opened,
                caller: reader.get()?,
                name,
                value,
                mode,
            }
        } else {
            let (opened, caller) = get_old_caller(&mut reader)?;
            let (name, value) = (reader.name()?, reader.long_bytes()?);
            Setxattr {
                msgid,
                inode,
                opened,
                caller,
                name,
                value,
                mode: reader.u8()?,
            }
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if client.has_gid_lists() {
            out.put_name(self.name);
            out.put_long_bytes(self.value);
            out.put_u8(self.mode);
            out.put(self.opened);
            out.put(self.caller);
        } else {
            out.put(self.opened);
            self.caller.put_single(out);
            out.put_name(self.name);
            out.put_long_bytes(self.value);
            out.put_u8(self.mode);
        }
    }
}
