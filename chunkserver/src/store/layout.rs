//! Where the parts of a chunk file are: header, table of CRCs, blocks (chunkserver §4.2).

use proto::chunkserver::{BLOCK_SIZE, BLOCKS_PER_CHUNK};
use proto::{ChunkId, ChunkVersion};

/// Bytes of a block.
pub const BLOCK: usize = BLOCK_SIZE as usize;
/// Blocks of a chunk.
pub const BLOCKS: usize = BLOCKS_PER_CHUNK as usize;
/// Bytes of the table of CRCs.
pub const TABLE_LEN: usize = 4 * BLOCKS;
/// CRC of a block of zeros.
pub const EMPTY_CRC: u32 = 0xd797_8eeb;
/// Bytes of the header that say something; zeros follow.
pub const IDENTITY_LEN: usize = 20;
/// Place of the version in the header.
pub const VERSION_OFFSET: u64 = 16;

const SIGNATURE_10: &[u8; 8] = b"MFSC 1.0";
const SIGNATURE_11: &[u8; 8] = b"MFSC 1.1";

/// Form of a chunk file. Not stored in it: it follows from the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Header of 1 KiB, data from 5 KiB: all versions up to 3.0.82.
    Old,
    /// Header of 4 KiB, data from 8 KiB: since 3.0.83. Older chunkservers delete it on sight.
    New,
}

impl Layout {
    /// Bytes before the table of CRCs.
    pub const fn header_len(self) -> u64 {
        match self {
            Layout::Old => 1024,
            Layout::New => 4096,
        }
    }

    /// Place of the first block.
    pub const fn data_offset(self) -> u64 {
        self.header_len() + TABLE_LEN as u64
    }

    /// Place of a block; `block` may be one past the last.
    pub const fn block_offset(self, block: usize) -> u64 {
        self.data_offset() + (block * BLOCK) as u64
    }

    /// Place of the CRC of a block.
    pub const fn entry_offset(self, block: usize) -> u64 {
        self.header_len() + 4 * block as u64
    }

    /// Size of a file with so many blocks.
    pub const fn file_len(self, blocks: usize) -> u64 {
        self.block_offset(blocks)
    }

    /// Form and number of blocks of a file; `None` for sizes that no chunk file has.
    pub fn of_size(len: u64) -> Option<(Layout, u16)> {
        [Layout::New, Layout::Old].into_iter().find_map(|layout| {
            let data = len.checked_sub(layout.data_offset())?;
            let blocks = data / BLOCK as u64;
            let fits = data.is_multiple_of(BLOCK as u64) && blocks <= BLOCKS as u64;
            fits.then_some((layout, u16::try_from(blocks).ok()?))
        })
    }
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Chunk.
    pub chunk: ChunkId,
    /// Version of the copy.
    pub version: ChunkVersion,
}

impl Identity {
    /// Reads the first bytes of a header; `None` without a known signature.
    pub fn decode(header: &[u8]) -> Option<Identity> {
        let (signature, rest) = header.split_first_chunk::<8>()?;
        if signature != SIGNATURE_10 && signature != SIGNATURE_11 {
            return None;
        }
        let (chunk, rest) = rest.split_first_chunk::<8>()?;
        let (version, _) = rest.split_first_chunk::<4>()?;
        Some(Identity {
            chunk: ChunkId(u64::from_be_bytes(*chunk)),
            version: ChunkVersion(u32::from_be_bytes(*version)),
        })
    }

    /// The first bytes of a header, with the signature that every version reads.
    pub fn encode(self) -> [u8; IDENTITY_LEN] {
        let mut header = [0; IDENTITY_LEN];
        header[..8].copy_from_slice(SIGNATURE_10);
        header[8..16].copy_from_slice(&self.chunk.0.to_be_bytes());
        header[16..].copy_from_slice(&self.version.0.to_be_bytes());
        header
    }
}

/// Blocks that a chunk of `length` bytes takes.
pub fn blocks_of_length(length: u32) -> usize {
    (length as usize).div_ceil(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::{Identity, Layout};
    use proto::{ChunkId, ChunkVersion};

    #[test]
    fn the_size_tells_the_form() {
        for (len, expected) in [
            (5120, Some((Layout::Old, 0))),
            (8192, Some((Layout::New, 0))),
            (70_656, Some((Layout::Old, 1))),
            (73_728, Some((Layout::New, 1))),
            (8192 + 1024 * 65_536, Some((Layout::New, 1024))),
            (8192 + 1025 * 65_536, None),
            (0, None),
            (4096, None),
            (8193, None),
        ] {
            assert_eq!(Layout::of_size(len), expected, "{len}");
        }
    }

    #[test]
    fn the_header_of_a_real_file() {
        let identity = Identity {
            chunk: ChunkId(1),
            version: ChunkVersion(1),
        };
        let header = identity.encode();
        assert_eq!(header, *b"MFSC 1.0\0\0\0\0\0\0\0\x01\0\0\0\x01");
        assert_eq!(Identity::decode(&header), Some(identity));
        let mut newer = header;
        newer[7] = b'1';
        assert_eq!(Identity::decode(&newer), Some(identity));
        newer[7] = b'2';
        assert_eq!(Identity::decode(&newer), None);
    }
}
