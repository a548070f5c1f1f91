//! GETATTR, SETATTR and TRUNCATE (wire-client-master §11).

use super::credentials::Credentials;
use super::message::Message;
use crate::attr::Attr;
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// GETATTR 408. The reply is an [`AttrReply`](super::AttrReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Getattr {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// The client has it open: no test that it lies below the session's root.
    pub opened: bool,
    /// uid and first gid of who asks; the shortest form does not tell.
    pub caller: Option<(u32, u32)>,
}

impl<'a> Message<'a> for Getattr {
    #[inline]
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let opened = payload.len() == 17 && reader.get()?;
        let caller = if reader.is_empty() {
            None
        } else {
            Some((reader.u32()?, reader.u32()?))
        };
        reader.finish()?;
        Ok(Getattr {
            msgid,
            inode,
            opened,
            caller,
        })
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if let Some((uid, gid)) = self.caller {
            if client.has_opened() {
                out.put(self.opened);
            }
            out.put_u32(uid);
            out.put_u32(gid);
        }
    }
}

/// Bits of [`Setattr::mask`] (wire-client-master §3).
pub mod set {
    /// Windows bits.
    pub const WINATTR: u8 = 0x01;
    /// Permission bits.
    pub const MODE: u8 = 0x02;
    /// Owner.
    pub const UID: u8 = 0x04;
    /// Group.
    pub const GID: u8 = 0x08;
    /// mtime becomes the master's time.
    pub const MTIME_NOW: u8 = 0x10;
    /// mtime becomes the given time.
    pub const MTIME: u8 = 0x20;
    /// atime becomes the given time.
    pub const ATIME: u8 = 0x40;
    /// atime becomes the master's time.
    pub const ATIME_NOW: u8 = 0x80;
}

/// SETATTR 410. The reply is an [`AttrReply`](super::AttrReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setattr<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// The client has it open: no test that it lies below the session's root.
    pub opened: bool,
    /// Who asks. The list of groups may be empty.
    pub caller: Credentials<'a>,
    /// Bits of [`set`]: which of the following values count.
    pub mask: u8,
    /// New permission bits.
    pub mode: u16,
    /// New owner.
    pub uid: u32,
    /// New group.
    pub gid: u32,
    /// New time of access, seconds since 1970.
    pub atime: u32,
    /// New time of change, seconds since 1970.
    pub mtime: u32,
    /// New Windows bits; 0 from clients before 3.0.93.
    pub winattr: u8,
    /// How chown clears set-user-id and set-group-id bits: 0 never, 1 always, 2 osx, 3 bsd, 4 ext,
    /// 5 xfs. Clients before 1.6.25 mean "always".
    pub sugid_clear: u8,
}

/// [`Setattr::sugid_clear`] of clients that do not tell.
const SUGID_CLEAR_ALWAYS: u8 = 1;

/// Bytes of the form without *opened* and without the suid/sgid clear mode.
const SETATTR_OLDEST_LEN: usize = 35;

/// Bytes from the mask on, without Windows bits and suid/sgid clear mode.
const SETATTR_VALUES_LEN: usize = 19;

impl<'a> Message<'a> for Setattr<'a> {
    #[inline]
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let has_opened = payload.len() > SETATTR_OLDEST_LEN + 1;
        let has_sugid_clear = payload.len() != SETATTR_OLDEST_LEN;
        let has_winattr = has_opened && client.has_winattr();
        let tail = SETATTR_VALUES_LEN + usize::from(has_winattr) + usize::from(has_sugid_clear);

        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let opened = has_opened && reader.get()?;
        let caller = if has_winattr {
            Credentials::get_listed(&mut reader, tail)?
        } else {
            Credentials::get_before(&mut reader, tail)?
        };
        let message = Setattr {
            msgid,
            inode,
            opened,
            caller,
            mask: reader.u8()?,
            mode: reader.u16()?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            atime: reader.u32()?,
            mtime: reader.u32()?,
            winattr: if has_winattr { reader.u8()? } else { 0 },
            sugid_clear: if has_sugid_clear {
                reader.u8()?
            } else {
                SUGID_CLEAR_ALWAYS
            },
        };
        reader.finish()?;
        Ok(message)
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if client.has_opened() {
            out.put(self.opened);
        }
        if client.has_winattr() {
            self.caller.put_listed(out);
        } else if client.has_gid_lists() {
            out.put(self.caller);
        } else {
            self.caller.put_single(out);
        }
        out.put_u8(self.mask);
        out.put_u16(self.mode);
        out.put_u32(self.uid);
        out.put_u32(self.gid);
        out.put_u32(self.atime);
        out.put_u32(self.mtime);
        if client.has_winattr() {
            out.put_u8(self.winattr);
        }
        if client.has_copysgid() {
            out.put_u8(self.sugid_clear);
        }
    }
}

/// Bits of [`Truncate::flags`].
pub mod truncate_flag {
    /// The client has the file open: no permission check, no subtree test.
    pub const OPENED: u8 = 0x01;
    /// Part of a write: the length only grows, no time changes.
    pub const UPDATE: u8 = 0x02;
    /// If the length is right already, the times stay.
    pub const TIMEFIX: u8 = 0x04;
    /// Reserves room for an append.
    pub const RESERVE: u8 = 0x08;
}

/// TRUNCATE 464.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncate<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The file.
    pub inode: Inode,
    /// Bits of [`truncate_flag`].
    pub flags: u8,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// New length in bytes; with [`truncate_flag::RESERVE`] the number of bytes to reserve.
    pub length: u64,
}

/// Bytes of the form without flags.
const TRUNCATE_OLDEST_LEN: usize = 24;

impl<'a> Message<'a> for Truncate<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let has_flags = payload.len() != TRUNCATE_OLDEST_LEN;
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let flags = if has_flags { reader.u8()? } else { 0 };
        let caller = Credentials::get_before(&mut reader, 8)?;
        let length = reader.u64()?;
        reader.finish()?;
        // Very old mounts said "opened" by pretending to be root with a group.
        let is_opened = !has_flags && caller.uid == 0 && caller.gids.first() != Some(0);
        let flags = if is_opened {
            truncate_flag::OPENED
        } else {
            flags
        };
        Ok(Truncate {
            msgid,
            inode,
            flags,
            caller,
            length,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u8(self.flags);
        out.put(self.caller);
        out.put_u64(self.length);
    }
}

/// TRUNCATE 465. Clients before 3.0.113 are not told the previous length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncateReply {
    /// Number of the request.
    pub msgid: u32,
    /// Length before; with [`truncate_flag::RESERVE`] the offset that is reserved.
    pub previous_length: u64,
    /// Attributes now.
    pub attr: Attr,
}

impl<'a> Message<'a> for TruncateReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let previous_length = if client.has_open_flags() {
            reader.u64()?
        } else {
            0
        };
        let attr = Attr::get(&mut reader, client)?;
        reader.finish()?;
        Ok(TruncateReply {
            msgid,
            previous_length,
            attr,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if client.has_open_flags() {
            out.put_u64(self.previous_length);
        }
        self.attr.put(client, out);
    }
}
