//! GETDIRSTATS, CHECK, REPAIR and NODE_INFO (wire-client-master §15.5 - §15.7, §15.12).
//! The lists of PARENTS and PATHS (§15.11) are [`ListMessage`]s.

use std::net::Ipv4Addr;

use super::credentials::Credentials;
use super::message::{List, ListMessage, Message, message, record};
use crate::ids::{ChunkId, ChunkVersion, Inode};
use crate::list::Text;
use crate::status::Status;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// PARENTS 485: directories that hold a name of the inode.
pub type ParentsReply<'a> = ListMessage<'a, Inode>;

/// PATHS 487: paths from the session's root, without a leading slash; the root itself is `/`.
pub type PathsReply<'a> = ListMessage<'a, Text<'a>>;

/// GETDIRSTATS 463. The request is an [`InodeRequest`](super::InodeRequest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirStatsReply {
    /// Number of the request.
    pub msgid: u32,
    /// The short form, for connections of tools; mounts get placeholders for long gone counters.
    pub is_short: bool,
    /// Inodes, the directory included.
    pub inodes: u32,
    /// Directories, itself included.
    pub directories: u32,
    /// Files.
    pub files: u32,
    /// Chunks.
    pub chunks: u32,
    /// Sum of lengths in bytes.
    pub length: u64,
    /// Size of the chunks in bytes.
    pub size: u64,
    /// Size of all copies in bytes.
    pub real_size: u64,
}

/// Bytes of the short form.
const DIR_STATS_SHORT_LEN: usize = 44;

impl<'a> Message<'a> for DirStatsReply {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let is_short = payload.len() == DIR_STATS_SHORT_LEN;
        let mut reader = Reader::new(payload);
        let (msgid, inodes) = (reader.u32()?, reader.u32()?);
        let (directories, files) = (reader.u32()?, reader.u32()?);
        let placeholder = if is_short { 0 } else { 8 };
        reader.bytes(placeholder)?;
        let chunks = reader.u32()?;
        reader.bytes(placeholder)?;
        let (length, size, real_size) = (reader.u64()?, reader.u64()?, reader.u64()?);
        reader.finish()?;
        Ok(DirStatsReply {
            msgid,
            is_short,
            inodes,
            directories,
            files,
            chunks,
            length,
            size,
            real_size,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        for number in [self.msgid, self.inodes, self.directories, self.files] {
            out.put_u32(number);
        }
        if !self.is_short {
            out.put_u64(0);
        }
        out.put_u32(self.chunks);
        if !self.is_short {
            out.put_u64(0);
        }
        for number in [self.length, self.size, self.real_size] {
            out.put_u64(number);
        }
    }
}

/// CHECK 440.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The file.
    pub inode: Inode,
    /// One chunk, answered by [`CheckCopiesReply`]; `None`: all, answered by [`CheckReply`].
    pub index: Option<u32>,
}

impl<'a> Message<'a> for Check {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode) = (reader.u32()?, reader.get()?);
        let index = if reader.is_empty() {
            None
        } else {
            Some(reader.u32()?)
        };
        reader.finish()?;
        Ok(Check {
            msgid,
            inode,
            index,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if let Some(index) = self.index {
            out.put_u32(index);
        }
    }
}

/// Slots of [`CheckReply::chunks`]: 0 to 10 or more copies, and holes.
const CHECK_COUNTERS: usize = 12;

/// Slot of the holes, which clients before 3.0.30 are not told.
const CHECK_HOLES: usize = 11;

/// CHECK 441 for a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckReply {
    /// Number of the request.
    pub msgid: u32,
    /// Chunks with 0, 1, … 9, 10 or more good copies, then slots without a chunk.
    pub chunks: [u32; CHECK_COUNTERS],
}

impl<'a> Message<'a> for CheckReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let mut chunks = [0; CHECK_COUNTERS];
        if client.has_check_counters() {
            let known = if client.has_empty_counter() {
                CHECK_COUNTERS
            } else {
                CHECK_HOLES
            };
            for slot in &mut chunks[..known] {
                *slot = reader.u32()?;
            }
        } else {
            while !reader.is_empty() {
                let copies = usize::from(reader.u8()?);
                let slot = chunks[..CHECK_HOLES].get_mut(copies).ok_or(Malformed)?;
                *slot = u32::from(reader.u16()?);
            }
        }
        reader.finish()?;
        Ok(CheckReply { msgid, chunks })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if client.has_check_counters() {
            let known = if client.has_empty_counter() {
                CHECK_COUNTERS
            } else {
                CHECK_HOLES
            };
            for count in &self.chunks[..known] {
                out.put_u32(*count);
            }
        } else {
            for (copies, count) in (0u8..).zip(&self.chunks[..CHECK_HOLES]) {
                if *count != 0 {
                    out.put_u8(copies);
                    out.put_u16(u16::try_from(*count).unwrap_or(u16::MAX));
                }
            }
        }
    }
}

record! {
    /// A copy of a chunk.
    Copy {
        /// Address of the chunkserver.
        ip: Ipv4Addr,
        /// Its port.
        port: u16,
        /// 0 good, 1 marked for removal, 2 wrong version, 3 both, 4 invalid.
        state: u8,
    }
}

/// CHECK 441 for one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckCopiesReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// The chunk; [`ChunkId::HOLE`] if there is none.
    pub chunk: ChunkId,
    /// Its version.
    pub version: ChunkVersion,
    /// All known copies, at most 100.
    pub copies: List<'a, Copy>,
}

impl<'a> Message<'a> for CheckCopiesReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, chunk, version) = (reader.u32()?, reader.get()?, reader.get()?);
        let copies = List::get_rest(&mut reader, client)?;
        Ok(CheckCopiesReply {
            msgid,
            chunk,
            version,
            copies,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.chunk);
        out.put(self.version);
        self.copies.put(client, out);
    }
}

message! {
    /// REPAIR 466.
    Repair<'a> {
        /// The file.
        inode: Inode,
        /// Who asks.
        caller: Credentials<'a>,
    }
    /// REPAIR 467.
    RepairReply {
        /// Chunks that were good, and holes.
        unchanged: u32,
        /// Chunks without a copy, which became holes.
        erased: u32,
        /// Chunks that got the version of the newest copy.
        repaired: u32,
    }
}

/// NODE_INFO 546.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Number that connects request and reply; may be missing.
    pub msgid: Option<u32>,
    /// The object.
    pub inode: Inode,
    /// Most entries in the reply.
    pub entries_max: u32,
    /// 0 to start, else [`NodeInfoReply`]'s value.
    pub next: u64,
}

/// Bytes of the form with msgid.
const NODE_INFO_LEN: usize = 20;

impl<'a> Message<'a> for NodeInfo {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let message = NodeInfo {
            msgid: if payload.len() == NODE_INFO_LEN {
                Some(reader.u32()?)
            } else {
                None
            },
            inode: reader.get()?,
            entries_max: reader.u32()?,
            next: reader.u64()?,
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        if let Some(msgid) = self.msgid {
            out.put_u32(msgid);
        }
        out.put(self.inode);
        out.put_u32(self.entries_max);
        out.put_u64(self.next);
    }
}

record! {
    /// A chunk of a file in [`NodeDetails::File`].
    NodeChunk {
        /// The chunk.
        chunk: ChunkId,
        /// Bytes that it stores.
        size: u32,
        /// Good copies.
        copies: u8,
    }
}

/// NODE_INFO 547.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfoReply<'a> {
    /// Number of the request, if it had one.
    pub msgid: Option<u32>,
    /// What there is to know.
    pub details: NodeDetails<'a>,
}

/// Content of an inode, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeDetails<'a> {
    /// Failure.
    Status(Status),
    /// Neither directory nor file.
    Other,
    /// Children of a directory.
    Directory {
        /// Where to go on; 0 at the end.
        next: u64,
        /// The children.
        children: List<'a, Inode>,
    },
    /// Chunks of a file, without holes.
    File {
        /// Where to go on; 0 at the end.
        next: u64,
        /// Length of the file in bytes.
        length: u64,
        /// The chunks.
        chunks: List<'a, NodeChunk>,
    },
}

impl<'a> NodeInfoReply<'a> {
    /// Reads the reply to a request without msgid.
    pub fn decode_bare(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let details = NodeDetails::get(&mut Reader::new(payload), client)?;
        Ok(NodeInfoReply {
            msgid: None,
            details,
        })
    }
}

impl<'a> Message<'a> for NodeInfoReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = Some(reader.u32()?);
        Ok(NodeInfoReply {
            msgid,
            details: NodeDetails::get(&mut reader, client)?,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        if let Some(msgid) = self.msgid {
            out.put_u32(msgid);
        }
        match self.details {
            NodeDetails::Status(status) => out.put(status),
            NodeDetails::Other => out.put_u16(0),
            NodeDetails::Directory { next, children } => {
                out.put_u16(1);
                out.put_u64(next);
                children.put(client, out);
            }
            NodeDetails::File {
                next,
                length,
                chunks,
            } => {
                out.put_u16(2);
                out.put_u64(next);
                out.put_u64(length);
                chunks.put(client, out);
            }
        }
    }
}

impl<'a> NodeDetails<'a> {
    /// Reads to the end of the packet.
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        if reader.remaining() == 1 {
            return Ok(NodeDetails::Status(reader.get()?));
        }
        let details = match reader.u16()? {
            0 => NodeDetails::Other,
            1 => NodeDetails::Directory {
                next: reader.u64()?,
                children: List::get_rest(reader, client)?,
            },
            2 => NodeDetails::File {
                next: reader.u64()?,
                length: reader.u64()?,
                chunks: List::get_rest(reader, client)?,
            },
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(details)
    }
}
