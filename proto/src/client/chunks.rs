//! READ_CHUNK, WRITE_CHUNK and WRITE_CHUNK_END (wire-client-master §12.2 - §12.4).

use std::net::Ipv4Addr;

use super::message::{List, Message};
use crate::ids::{ChunkId, ChunkVersion, Inode};
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// Largest index of a chunk in a file.
pub const CHUNK_INDEX_MAX: u32 = 0x7fff_ffff;

/// Most servers in a reply.
pub const SERVERS_MAX: usize = 100;

/// Bits of [`ChunkRequest::flags`].
pub mod chunk_flag {
    /// The master may set times (clients before 3.0.74).
    pub const MAY_SET_TIMES: u8 = 0x01;
    /// The client goes on with a write whose lock it holds.
    pub const CONTINUE: u8 = 0x02;
    /// The reserved space may be used.
    pub const USE_RESERVE: u8 = 0x04;
}

/// READ_CHUNK 432 and WRITE_CHUNK 434.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRequest {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The file.
    pub inode: Inode,
    /// Number of the chunk in the file.
    pub index: u32,
    /// Bits of [`chunk_flag`]; clients before 3.0.4 send none, which means "may set times".
    pub flags: Option<u8>,
}

impl<'a> Message<'a> for ChunkRequest {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let message = ChunkRequest {
            msgid: reader.u32()?,
            inode: reader.get()?,
            index: reader.u32()?,
            flags: if reader.is_empty() {
                None
            } else {
                Some(reader.u8()?)
            },
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u32(self.index);
        if let Some(flags) = self.flags {
            out.put_u8(flags);
        }
    }
}

/// A chunkserver that has a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address.
    pub ip: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// Its version. Clients before 1.7.32 are not told.
    pub version: Version,
    /// Its labels, bit 0 = A. Clients before 3.0.10 are not told.
    pub labels: u32,
}

impl<'a> Versioned<'a> for Server {
    #[inline]
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        Ok(Server {
            ip: reader.get()?,
            port: reader.u16()?,
            version: if client.has_numeric_types() {
                reader.get()?
            } else {
                Version(0)
            },
            labels: if client.has_label_masks() {
                reader.u32()?
            } else {
                0
            },
        })
    }

    #[inline]
    fn put(self, client: Version, out: &mut Vec<u8>) {
        out.put(self.ip);
        out.put_u16(self.port);
        if client.has_numeric_types() {
            out.put(self.version);
        }
        if client.has_label_masks() {
            out.put_u32(self.labels);
        }
    }
}

/// Protocol byte of replies with chunk locations; clients before 1.7.32 get none.
#[inline]
fn protocol(client: Version) -> Option<u8> {
    match (client.has_numeric_types(), client.has_label_masks()) {
        (_, true) => Some(2),
        (true, false) => Some(1),
        (false, false) => None,
    }
}

#[inline]
fn get_protocol(reader: &mut Reader<'_>, client: Version) -> Result<(), Malformed> {
    match protocol(client) {
        Some(expected) if reader.u8()? != expected => Err(Malformed),
        _ => Ok(()),
    }
}

#[inline]
fn put_protocol(client: Version, out: &mut Vec<u8>) {
    if let Some(protocol) = protocol(client) {
        out.put_u8(protocol);
    }
}

/// A chunk and the servers that have a good copy, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The chunk; [`ChunkId::HOLE`] if there is none.
    pub chunk: ChunkId,
    /// Its version; 0 for a hole.
    pub version: ChunkVersion,
    /// The servers, at most [`SERVERS_MAX`]. None although there is a chunk: no copy known yet.
    pub servers: List<'a, Server>,
}

impl<'a> Location<'a> {
    /// Slot without a chunk.
    pub const HOLE: Location<'static> = Location {
        chunk: ChunkId::HOLE,
        version: ChunkVersion(0),
        servers: List::Values(&[]),
    };

    #[inline]
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        Ok(Location {
            chunk: reader.get()?,
            version: reader.get()?,
            servers: List::get_rest(reader, client)?,
        })
    }

    #[inline]
    fn put(&self, client: Version, out: &mut Vec<u8>) {
        out.put(self.chunk);
        out.put(self.version);
        self.servers.put(client, out);
    }

    /// Reads a location to the end of a LOOKUP reply.
    #[inline]
    pub(super) fn get_with_protocol(
        reader: &mut Reader<'a>,
        client: Version,
    ) -> Result<Self, Malformed> {
        get_protocol(reader, client)?;
        Location::get(reader, client)
    }

    /// Appends the location to a LOOKUP reply.
    #[inline]
    pub(super) fn put_with_protocol(&self, client: Version, out: &mut Vec<u8>) {
        put_protocol(client, out);
        self.put(client, out);
    }
}

/// READ_CHUNK 433 and WRITE_CHUNK 435.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// Length of the file now, in bytes.
    pub length: u64,
    /// Where to read or write.
    pub location: Location<'a>,
}

impl<'a> Message<'a> for ChunkReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        get_protocol(&mut reader, client)?;
        let length = reader.u64()?;
        Ok(ChunkReply {
            msgid,
            length,
            location: Location::get(&mut reader, client)?,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        put_protocol(client, out);
        out.put_u64(self.length);
        self.location.put(client, out);
    }
}

/// WRITE_CHUNK_END 436. The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteEnd {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The chunk that was written.
    pub chunk: ChunkId,
    /// The file.
    pub inode: Inode,
    /// Number of the chunk in the file; clients before 3.0.74 do not tell.
    pub index: Option<u32>,
    /// Length that the file has at least now; 0: only unlock.
    pub length: u64,
    /// Bits of [`chunk_flag`]; clients before 3.0.4 send none.
    pub flags: Option<u8>,
}

/// Bytes of the form with index and flags.
const WRITE_END_LEN: usize = 29;

impl<'a> Message<'a> for WriteEnd {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let has_index = payload.len() == WRITE_END_LEN;
        let message = WriteEnd {
            msgid: reader.u32()?,
            chunk: reader.get()?,
            inode: reader.get()?,
            index: if has_index { Some(reader.u32()?) } else { None },
            length: reader.u64()?,
            flags: if reader.is_empty() {
                None
            } else {
                Some(reader.u8()?)
            },
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.chunk);
        out.put(self.inode);
        if let Some(index) = self.index {
            out.put_u32(index);
        }
        out.put_u64(self.length);
        match (self.flags, self.index) {
            (Some(flags), _) => out.put_u8(flags),
            // There is no form with an index and without flags.
            (None, Some(_)) => out.put_u8(0),
            (None, None) => {}
        }
    }
}
