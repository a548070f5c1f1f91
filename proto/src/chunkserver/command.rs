//! Commands of the master and their answers (chunkserver §2.3, §2.7).

use std::net::SocketAddrV4;

use crate::frame::put_frame;
use crate::ids::{ChunkId, ChunkVersion};
use crate::list::List;
use crate::message::{messages, records};
use crate::status::Status;
use crate::wire::{Field, Malformed, Put, Reader};

messages! {
    /// Make an empty chunk.
    Create = 110 {
        /// Chunk.
        chunk: ChunkId,
        /// Its version.
        version: ChunkVersion,
    }

    /// Reply to [`Create`]: also 20 exists, 21 no usable disk.
    CreateStatus = 111 {
        /// Chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Remove a copy.
    Delete = 120 {
        /// Chunk.
        chunk: ChunkId,
        /// Version of the copy; 0: whatever version it has.
        version: ChunkVersion,
    }

    /// Reply to [`Delete`]: also 13 not here, which the master takes as success, and 19.
    DeleteStatus = 121 {
        /// Chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Copy a chunk under a new id.
    Duplicate = 130 {
        /// Chunk to be made.
        new_chunk: ChunkId,
        /// Its version.
        new_version: ChunkVersion,
        /// Source.
        old_chunk: ChunkId,
        /// Version of the source; 0: any.
        old_version: ChunkVersion,
    }

    /// Reply to [`Duplicate`].
    DuplicateStatus = 131 {
        /// The new chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Change the version of a copy.
    SetVersion = 140 {
        /// Chunk.
        chunk: ChunkId,
        /// Version from now on.
        new_version: ChunkVersion,
        /// Version until now; 0: any.
        old_version: ChunkVersion,
    }

    /// Reply to [`SetVersion`].
    SetVersionStatus = 141 {
        /// Chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Reply to [`Replicate`].
    ReplicateStatus = 151 {
        /// Chunk.
        chunk: ChunkId,
        /// Version asked for.
        version: ChunkVersion,
        /// Outcome; those of the source are passed on.
        status: Status,
    }

    /// The general command (chunkserver §2.7). Masters do not send it.
    ChunkOp = 152 {
        /// Chunk.
        chunk: ChunkId,
        /// Version until now.
        version: ChunkVersion,
        /// Version from now on; 0 selects delete, create and test by `length`.
        new_version: ChunkVersion,
        /// Chunk to be made by copying; 0: no copy.
        copy_chunk: ChunkId,
        /// Its version.
        copy_version: ChunkVersion,
        /// New length in bytes; `u32::MAX`: as it is.
        length: u32,
    }

    /// Reply to [`ChunkOp`]: the command and the outcome.
    ChunkOpStatus = 153 {
        /// As in the command.
        chunk: ChunkId,
        /// As in the command.
        version: ChunkVersion,
        /// As in the command.
        new_version: ChunkVersion,
        /// As in the command.
        copy_chunk: ChunkId,
        /// As in the command.
        copy_version: ChunkVersion,
        /// As in the command.
        length: u32,
        /// Outcome.
        status: Status,
    }

    /// Change version and length of a copy.
    Truncate = 160 {
        /// Chunk.
        chunk: ChunkId,
        /// New length in bytes, at most 64 MiB.
        length: u32,
        /// Version from now on.
        new_version: ChunkVersion,
        /// Version until now; 0: any.
        old_version: ChunkVersion,
    }

    /// Reply to [`Truncate`].
    TruncateStatus = 161 {
        /// Chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Copy a chunk under a new id with another length.
    DuplicateTruncate = 170 {
        /// Chunk to be made.
        new_chunk: ChunkId,
        /// Its version.
        new_version: ChunkVersion,
        /// Source.
        old_chunk: ChunkId,
        /// Version of the source; 0: any.
        old_version: ChunkVersion,
        /// Length of the new chunk in bytes, at most 64 MiB.
        length: u32,
    }

    /// Reply to [`DuplicateTruncate`].
    DuplicateTruncateStatus = 171 {
        /// The new chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }
}

records! {
    /// One source of a replication from several.
    ReplicateSource[18] {
        /// Chunk at that server.
        chunk: ChunkId,
        /// Its version.
        version: ChunkVersion,
        /// Data port of that server.
        address: SocketAddrV4,
    }
}

/// Fetch a copy from other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicate<'a> {
    /// Chunk to be made.
    pub chunk: ChunkId,
    /// Its version, and that of the source.
    pub version: ChunkVersion,
    /// Where the data come from.
    pub sources: ReplicateSources<'a>,
}

/// Where the data of a replication come from. Masters send only [`ReplicateSources::One`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicateSources<'a> {
    /// Data port of the server with a copy.
    One(SocketAddrV4),
    /// XOR of several sources; the form of 1.6.
    Xor(List<'a, ReplicateSource>),
    /// Sources with four masks; the form of 3.0, which fails there with 29.
    Masked {
        /// Masks.
        masks: [u32; 4],
        /// Sources, 1–8.
        sources: List<'a, ReplicateSource>,
    },
}

/// Bytes before the sources in the forms with several.
const XOR_HEAD: usize = 12;
const MASKED_HEAD: usize = 28;
const ONE_LEN: usize = 18;

impl<'a> Replicate<'a> {
    /// Message type.
    pub const KIND: u32 = 150;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<Replicate<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let chunk = reader.get()?;
        let version = reader.get()?;
        let sources = if payload.len() == ONE_LEN {
            ReplicateSources::One(reader.get()?)
        } else if payload.len() % ONE_LEN == MASKED_HEAD % ONE_LEN {
            ReplicateSources::Masked {
                masks: [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?],
                sources: List::get(&mut reader)?,
            }
        } else if payload.len() % ONE_LEN == XOR_HEAD {
            ReplicateSources::Xor(List::get(&mut reader)?)
        } else {
            return Err(Malformed);
        };
        reader.finish()?;
        Ok(Replicate {
            chunk,
            version,
            sources,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put(self.chunk);
            out.put(self.version);
            match self.sources {
                ReplicateSources::One(address) => out.put(address),
                ReplicateSources::Xor(sources) => out.put(sources),
                ReplicateSources::Masked { masks, sources } => {
                    for mask in masks {
                        out.put_u32(mask);
                    }
                    out.put(sources);
                }
            }
        });
    }
}
