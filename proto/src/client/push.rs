//! What the master sends by itself, and what the mount sends regularly (wire-client-master §18).

use super::kind;
use super::message::{ListMessage, Message, Plain, message, record};
use crate::common::optional_msgid;
use crate::frame::put_frame;
use crate::ids::{ChunkId, ChunkVersion, Inode};
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

message! {
    /// Push 702: a chunk of an open file is another one now, or has another version. msgid 0.
    ChunkChanged {
        /// The file.
        inode: Inode,
        /// Number of the chunk in the file.
        index: u32,
        /// The chunk.
        chunk: ChunkId,
        /// Its version.
        version: ChunkVersion,
        /// Length of the file now, in bytes.
        length: u64,
        /// The file was cut: blocks beyond the length are gone.
        truncated: bool,
    }
    /// Push 703: an open file has another length. msgid 0.
    LengthChanged {
        /// The file.
        inode: Inode,
        /// Its length in bytes.
        length: u64,
    }
}

/// Appends the push 706: forget all chunk locations.
pub fn put_invalidate_chunk_cache(out: &mut Vec<u8>) {
    put_frame(out, kind::INVALIDATE_CHUNK_CACHE, |out| {
        Plain { msgid: 0 }.encode(Version::CURRENT, out);
    });
}

/// Appends a keepalive.
pub fn put_nop(out: &mut Vec<u8>) {
    put_frame(out, kind::NOP, |out| {
        Plain { msgid: 0 }.encode(Version::CURRENT, out)
    });
}

/// TIME_SYNC 704.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSync {
    /// Number that connects request and reply; may be missing.
    pub msgid: Option<u32>,
}

impl<'a> Message<'a> for TimeSync {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        Ok(TimeSync {
            msgid: optional_msgid(payload)?,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        put_msgid(self.msgid, out);
    }
}

/// TIME_SYNC 705.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSyncReply {
    /// Number of the request, if it had one.
    pub msgid: Option<u32>,
    /// Clock of the master: microseconds since 1970.
    pub time_us: u64,
}

impl<'a> Message<'a> for TimeSyncReply {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = if payload.len() > 8 {
            Some(reader.u32()?)
        } else {
            None
        };
        let time_us = reader.u64()?;
        reader.finish()?;
        Ok(TimeSyncReply { msgid, time_us })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        put_msgid(self.msgid, out);
        out.put_u64(self.time_us);
    }
}

pub(super) fn put_msgid(msgid: Option<u32>, out: &mut Vec<u8>) {
    if let Some(msgid) = msgid {
        out.put_u32(msgid);
    }
}

record! {
    /// Times of a file that the mount read or wrote; 0: not changed.
    FileTimes {
        /// The file.
        inode: Inode,
        /// Last read, seconds since 1970.
        atime: u32,
        /// Last write, seconds since 1970.
        mtime: u32,
    }
}

/// SUSTAINED_INODES 700 and 499: all inodes that the session holds. Read and written without
/// msgid: [`ListMessage::decode_bare`].
pub type SustainedInodes<'a> = ListMessage<'a, Inode>;

/// AMTIME_INODES 701. Without msgid: [`ListMessage::decode_bare`].
pub type AmtimeInodes<'a> = ListMessage<'a, FileTimes>;
