//! Chunks and disk space as chunkservers report them.

use crate::ids::{ChunkId, ChunkVersion};
use crate::list::Entry;
use crate::message::records;
use crate::wire::{Field, Malformed, Put, Reader};

records! {
    /// Space of a set of disks.
    Usage[20] {
        /// Bytes in use; the reserve of each disk counts as used.
        used: u64,
        /// Bytes in total.
        total: u64,
        /// Number of chunk copies.
        chunks: u32,
    }
}

impl Usage {
    /// No disks, or disks that have not been measured yet.
    pub const ZERO: Usage = Usage {
        used: 0,
        total: 0,
        chunks: 0,
    };
}

/// Bit of the version word that says "on a disk marked for removal" (chunkserver §2.2).
const MARKED_FOR_REMOVAL: u32 = 1 << 31;

/// A copy of a chunk in REGISTER and CHUNK_NEW: `c v` with the mark in bit 31 of `v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedChunk {
    /// Chunk.
    pub chunk: ChunkId,
    /// Version of the copy, 31 bits. 0 while a replication writes it.
    pub version: ChunkVersion,
    /// The copy lies on a disk marked for removal.
    pub marked_for_removal: bool,
}

impl<'a> Field<'a> for ReportedChunk {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let chunk = reader.get()?;
        let word = reader.u32()?;
        Ok(ReportedChunk {
            chunk,
            version: ChunkVersion(word & !MARKED_FOR_REMOVAL),
            marked_for_removal: word & MARKED_FOR_REMOVAL != 0,
        })
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        let mark = if self.marked_for_removal {
            MARKED_FOR_REMOVAL
        } else {
            0
        };
        out.put(self.chunk);
        out.put_u32(self.version.0 & !MARKED_FOR_REMOVAL | mark);
    }
}

impl Entry for ReportedChunk {
    const LEN: usize = 12;
}
