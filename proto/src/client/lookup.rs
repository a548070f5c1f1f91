//! LOOKUP, ACCESS and READLINK (wire-client-master §10.1 - §10.3).

use super::chunks::Location;
use super::credentials::{Credentials, Gids};
use super::message::{Message, NulText, message};
use crate::attr::Attr;
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

message! {
    /// LOOKUP 406: the object behind a name.
    Lookup<'a> {
        /// Directory.
        parent: Inode,
        /// Name in it; `.` and `..` are understood.
        name: &'a [u8],
        /// Who asks.
        caller: Credentials<'a>,
    }
    /// READLINK 413.
    ReadlinkReply<'a> {
        /// Target of the link.
        target: NulText<'a>,
    }
}

/// Bits of [`LookupReply::flags`]. The low byte has bit *m* set if access mask *m* is allowed.
pub mod lookup_flag {
    /// The location of chunk 0 follows.
    pub const CHUNK: u16 = 0x0100;
    /// The session is read only.
    pub const READ_ONLY: u16 = 0x0200;
    /// Cached data may be kept.
    pub const KEEP_CACHE: u16 = 0x0400;
    /// The object is immutable.
    pub const IMMUTABLE: u16 = 0x0800;
    /// The object wants direct I/O.
    pub const DIRECT: u16 = 0x1000;
    /// The object is append only.
    pub const APPEND_ONLY: u16 = 0x2000;
}

/// LOOKUP 407. Clients before 3.0.40 get inode and attributes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// Its attributes.
    pub attr: Attr,
    /// Bits of [`lookup_flag`]; [`lookup_flag::CHUNK`] follows from `chunk`.
    pub flags: u16,
    /// Where chunk 0 is, if the file has exactly one chunk slot.
    pub chunk: Option<Location<'a>>,
}

impl<'a> Message<'a> for LookupReply<'a> {
    #[inline]
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let attr = Attr::get(&mut reader, client)?;
        let (mut flags, mut chunk) = (0, None);
        if client.has_lookup_flags() {
            flags = reader.u16()?;
            if flags & lookup_flag::CHUNK != 0 {
                chunk = Some(Location::get_with_protocol(&mut reader, client)?);
            }
        }
        reader.finish()?;
        Ok(LookupReply {
            msgid,
            inode,
            attr,
            flags,
            chunk,
        })
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        self.attr.put(client, out);
        if !client.has_lookup_flags() {
            return;
        }
        match &self.chunk {
            None => out.put_u16(self.flags & !lookup_flag::CHUNK),
            Some(chunk) => {
                out.put_u16(self.flags | lookup_flag::CHUNK);
                chunk.put_with_protocol(client, out);
            }
        }
    }
}

/// ACCESS 404: may the caller do this? The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object, of any kind.
    pub inode: Inode,
    /// Who asks. A single group goes with the old form whose mask has 8 bits.
    pub caller: Credentials<'a>,
    /// 4 read, 2 write, 1 execute or search.
    pub mask: u16,
}

impl<'a> Message<'a> for Access<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let (caller, mask) = if payload.len().is_multiple_of(2) {
            (Credentials::get_listed(&mut reader, 2)?, reader.u16()?)
        } else {
            let (uid, gids) = (reader.u32()?, Gids::Single(reader.u32()?));
            (Credentials { uid, gids }, u16::from(reader.u8()?))
        };
        reader.finish()?;
        Ok(Access {
            msgid,
            inode,
            caller,
            mask,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if client.has_gid_lists() && matches!(self.caller.gids, Gids::List(_)) {
            out.put(self.caller);
            out.put_u16(self.mask);
        } else {
            self.caller.put_single(out);
            out.put_u8(self.mask as u8);
        }
    }
}
