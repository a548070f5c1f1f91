//! Messages of 4.x: erasure-coded parts and what came with them (chunkserver §2.9).
//!
//! A server that registers as 3.0 never receives them; they are here so that newer peers can be
//! understood. The top 8 bits of a chunk id are the part number then, 0 is a plain copy.

use std::net::SocketAddrV4;

use crate::frame::put_frame;
use crate::ids::{ChunkId, ChunkVersion};
use crate::list::List;
use crate::message::{messages, records};
use crate::status::Status;
use crate::wire::{Malformed, Put, Reader};

records! {
    /// A part of a chunk that is present.
    ChunkPart[8] {
        /// Part number; 0: plain copy.
        part: u8,
        /// The part gave an error.
        damaged: bool,
        /// Number of blocks.
        blocks: u16,
        /// Version.
        version: ChunkVersion,
    }

    /// Where a part can be fetched.
    PartSource[14] {
        /// Data port.
        address: SocketAddrV4,
        /// Chunk with part number there.
        chunk: ChunkId,
    }
}

messages! {
    /// New timeout for both sides.
    ForceTimeout = 5 {
        /// Seconds.
        timeout_s: u16,
    }

    /// Ask for the parts of a chunk.
    ChunkStatus = 97 {
        /// Chunk.
        chunk: ChunkId,
    }

    /// Reply to [`ChunkStatus`]; there is none while the chunk is busy.
    ChunkStatusReply<'a> = 98 {
        /// Chunk.
        chunk: ChunkId,
        /// Parts here.
        parts: List<'a, ChunkPart>,
    }

    /// During the registration: report this chunk soon.
    RegisterFirst = 99 {
        /// Chunk.
        chunk: ChunkId,
    }

    /// Make a part from a plain copy.
    ReplicateSplit = 154 {
        /// Chunk to be made.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Data port of the source.
        source: SocketAddrV4,
        /// Chunk at the source.
        source_chunk: ChunkId,
        /// Number of the part.
        part: u8,
        /// Number of data parts.
        parts: u8,
    }

    /// Reply to [`ReplicateSplit`].
    ReplicateSplitStatus = 155 {
        /// Chunk.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Outcome.
        status: Status,
    }

    /// Reply to [`ReplicateRecover`].
    ReplicateRecoverStatus = 157 {
        /// Chunk.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Outcome.
        status: Status,
    }

    /// Make a plain copy from parts.
    ReplicateJoin<'a> = 158 {
        /// Chunk to be made.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Number of data parts.
        parts: u8,
        /// Where they are.
        sources: List<'a, PartSource>,
    }

    /// Reply to [`ReplicateJoin`].
    ReplicateJoinStatus = 159 {
        /// Chunk.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Outcome.
        status: Status,
    }

    /// Reply to [`LocalSplit`].
    LocalSplitStatus = 181 {
        /// Chunk.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Outcome.
        status: Status,
    }

    /// Make a lost part from the others.
    ReplicateRecover<'a> = 156 {
        /// Chunk to be made.
        chunk: ChunkId,
        /// Version.
        version: ChunkVersion,
        /// Coefficients, 32 bits a row.
        matrix: [u8; 16],
        /// Number of data parts.
        parts: u8,
        /// Where the others are.
        sources: List<'a, PartSource>,
    }
}

/// Split a local copy into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalSplit {
    /// Chunk.
    pub chunk: ChunkId,
    /// Version.
    pub version: ChunkVersion,
    /// Parts that are wanted, one bit each.
    pub missing: u32,
    /// Number of data parts; only to servers with
    /// [`server_takes_split_parts`](crate::Version::server_takes_split_parts).
    pub parts: Option<u8>,
}

impl LocalSplit {
    /// Message type.
    pub const KIND: u32 = 180;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<LocalSplit, Malformed> {
        let mut reader = Reader::new(payload);
        let split = LocalSplit {
            chunk: reader.get()?,
            version: reader.get()?,
            missing: reader.u32()?,
            parts: match reader.is_empty() {
                true => None,
                false => Some(reader.u8()?),
            },
        };
        reader.finish()?;
        Ok(split)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put(self.chunk);
            out.put(self.version);
            out.put_u32(self.missing);
            if let Some(parts) = self.parts {
                out.put_u8(parts);
            }
        });
    }
}
