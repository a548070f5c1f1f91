//! OPEN (wire-client-master §12.1).

use super::credentials::Credentials;
use super::message::Message;
use crate::attr::Attr;
use crate::ids::Inode;
use crate::status::Status;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// Bits of [`Open::flags`].
pub mod open_want {
    /// For reading.
    pub const READ: u8 = 0x01;
    /// For writing.
    pub const WRITE: u8 = 0x02;
    /// Permissions were tested before.
    pub const AFTER_CREATE: u8 = 0x04;
    /// The file is cut to length 0.
    pub const TRUNCATE: u8 = 0x08;
    /// The client dropped its cached data.
    pub const CACHE_CLEARED: u8 = 0x10;
}

/// Bits in the replies to OPEN and CREATE.
pub mod open_flag {
    /// Cached data may be kept.
    pub const KEEP_CACHE: u8 = 0x01;
    /// The file wants direct I/O.
    pub const DIRECT: u8 = 0x02;
    /// Every write goes to the end.
    pub const APPEND_ONLY: u8 = 0x04;
}

/// OPEN 430.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The file.
    pub inode: Inode,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Bits of [`open_want`].
    pub flags: u8,
}

impl<'a> Message<'a> for Open<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let message = Open {
            msgid: reader.u32()?,
            inode: reader.get()?,
            caller: Credentials::get_before(&mut reader, 1)?,
            flags: reader.u8()?,
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put(self.caller);
        out.put_u8(self.flags);
    }
}

/// OPEN 431. Clients before 3.0.113 get no flags; before 1.6.9 status 0, which decodes as a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReply {
    /// Number of the request.
    pub msgid: u32,
    /// Bits of [`open_flag`].
    pub flags: u8,
    /// Attributes now.
    pub attr: Attr,
}

impl<'a> Message<'a> for OpenReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let flags = if client.has_open_flags() {
            reader.u8()?
        } else {
            0
        };
        let attr = Attr::get(&mut reader, client)?;
        reader.finish()?;
        Ok(OpenReply { msgid, flags, attr })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if !client.has_attributes_in_open() {
            return out.put(Status::Ok);
        }
        if client.has_open_flags() {
            out.put_u8(self.flags);
        }
        self.attr.put(client, out);
    }
}
