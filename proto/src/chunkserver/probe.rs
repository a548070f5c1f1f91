//! Block count and checksums of a copy (chunkserver §3.6). Served on the data port; a chunkserver
//! answers the master too, but original masters close on answers 251 and 303.

use std::fmt;

use super::BLOCKS_PER_CHUNK;
use crate::frame::put_frame;
use crate::ids::{ChunkId, ChunkVersion};
use crate::message::messages;
use crate::status::Status;
use crate::wire::{Malformed, Put, Reader};

messages! {
    /// Count the blocks of a copy.
    GetChunkBlocks = 250 {
        /// Chunk.
        chunk: ChunkId,
        /// Version; 0: any.
        version: ChunkVersion,
    }

    /// Reply to [`GetChunkBlocks`].
    ChunkBlocks = 251 {
        /// Chunk.
        chunk: ChunkId,
        /// As in the request.
        version: ChunkVersion,
        /// Blocks of 64 KiB, 0–1024; undefined unless the status is 0.
        blocks: u16,
        /// Outcome.
        status: Status,
    }

    /// Checksum over the CRCs of a copy, see [`checksum_of_table`].
    GetChunkChecksum = 300 {
        /// Chunk.
        chunk: ChunkId,
        /// Version; 0: any.
        version: ChunkVersion,
    }

    /// All CRCs of a copy.
    GetChunkChecksumTable = 302 {
        /// Chunk.
        chunk: ChunkId,
        /// Version; 0: any.
        version: ChunkVersion,
    }

    /// Reset the error of a disk (4.x). The path has a 32-bit length.
    ErrorsCleared = 307 {
        /// Whether the disk was found.
        cleared: u8,
    }
}

/// Bytes of the table of CRCs.
const TABLE_LEN: usize = 4 * BLOCKS_PER_CHUNK as usize;

/// The table of CRCs as it travels and as it lies in a chunk file: 1024 numbers.
///
/// Entries beyond the last block mean nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChecksumTable<'a>(pub &'a [u8; TABLE_LEN]);

impl<'a> ChecksumTable<'a> {
    /// The CRCs, one a block.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|crc| u32::from_be_bytes(*crc))
    }
}

impl fmt::Debug for ChecksumTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChecksumTable({:08x})", checksum_of_table(*self))
    }
}

/// What GET_CHUNK_CHECKSUM answers since 2.0 (1.6.27: the CRC-32 of the table).
pub fn checksum_of_table(table: ChecksumTable<'_>) -> u32 {
    table
        .iter()
        .fold(1, |sum: u32, crc| sum.wrapping_mul(426_265_243) ^ crc)
}

/// Reply to [`GetChunkChecksum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkChecksum {
    /// Chunk.
    pub chunk: ChunkId,
    /// As in the request.
    pub version: ChunkVersion,
    /// The checksum, or why there is none.
    pub result: Result<u32, Status>,
}

impl ChunkChecksum {
    /// Message type.
    pub const KIND: u32 = 301;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<ChunkChecksum, Malformed> {
        let mut reader = Reader::new(payload);
        let (chunk, version) = (reader.get()?, reader.get()?);
        let result = match reader.remaining() {
            1 => Err(reader.get()?),
            _ => Ok(reader.u32()?),
        };
        reader.finish()?;
        Ok(ChunkChecksum {
            chunk,
            version,
            result,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put(self.chunk);
            out.put(self.version);
            match self.result {
                Ok(checksum) => out.put_u32(checksum),
                Err(status) => out.put(status),
            }
        });
    }
}

/// Reply to [`GetChunkChecksumTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkChecksumTable<'a> {
    /// Chunk.
    pub chunk: ChunkId,
    /// As in the request.
    pub version: ChunkVersion,
    /// The table, or why there is none.
    pub result: Result<ChecksumTable<'a>, Status>,
}

impl<'a> ChunkChecksumTable<'a> {
    /// Message type.
    pub const KIND: u32 = 303;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<ChunkChecksumTable<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let (chunk, version) = (reader.get()?, reader.get()?);
        let result = match reader.remaining() {
            1 => Err(reader.get()?),
            _ => {
                let table = reader.rest().try_into().map_err(|_| Malformed)?;
                Ok(ChecksumTable(table))
            }
        };
        reader.finish()?;
        Ok(ChunkChecksumTable {
            chunk,
            version,
            result,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put(self.chunk);
            out.put(self.version);
            match self.result {
                Ok(table) => out.put_bytes(table.0),
                Err(status) => out.put(status),
            }
        });
    }
}

/// Reset the error of a disk (4.x).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearErrors<'a> {
    /// Path of the disk.
    pub path: &'a [u8],
}

impl<'a> ClearErrors<'a> {
    /// Message type.
    pub const KIND: u32 = 306;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<ClearErrors<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let path = reader.long_bytes()?;
        reader.finish()?;
        Ok(ClearErrors { path })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| out.put_long_bytes(self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::{ChecksumTable, TABLE_LEN, checksum_of_table};

    #[test]
    fn checksums_that_real_servers_gave() {
        let mut table = [0; TABLE_LEN];
        assert_eq!(checksum_of_table(ChecksumTable(&table)), 0x3509_7001);
        for entry in table.as_chunks_mut::<4>().0 {
            *entry = 0xd797_8eebu32.to_be_bytes();
        }
        assert_eq!(checksum_of_table(ChecksumTable(&table)), 0x4a00_b401);
    }
}
