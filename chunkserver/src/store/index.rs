//! All copies of this server: a table in memory, 32 bytes a copy, in parts with a lock each.

use super::disk::DiskId;
use super::open_chunk::OpenChunk;
use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};
use proto::{ChunkId, ChunkVersion};
use std::sync::Arc;

/// Parts of the table; a chunk's part follows from the low byte of its number.
pub const SHARDS: usize = 256;
/// "Not known" as a number of blocks.
const UNKNOWN: u16 = u16::MAX;

/// One copy.
#[derive(Debug)]
pub struct Slot {
    /// Chunk.
    pub chunk: ChunkId,
    /// Present while the chunk is in use.
    pub open: Option<Arc<OpenChunk>>,
    /// Version.
    pub version: ChunkVersion,
    /// Unix time of the last use in seconds; 0: not since the start.
    pub used: u32,
    /// Disk.
    pub disk: DiskId,
    blocks: u16,
    /// Subfolder.
    pub folder: u8,
    /// Gave an error; the test leaves it out.
    pub damaged: bool,
}

impl Slot {
    /// A copy that was found or made.
    pub fn new(
        chunk: ChunkId,
        version: ChunkVersion,
        disk: DiskId,
        folder: u8,
        blocks: Option<u16>,
    ) -> Slot {
        Slot {
            chunk,
            open: None,
            version,
            used: 0,
            disk,
            blocks: blocks.unwrap_or(UNKNOWN),
            folder,
            damaged: false,
        }
    }

    /// Number of blocks, once the file has been looked at.
    pub fn blocks(&self) -> Option<u16> {
        (self.blocks != UNKNOWN).then_some(self.blocks)
    }

    /// The file has so many blocks.
    pub fn set_blocks(&mut self, blocks: u16) {
        self.blocks = blocks;
    }
}

/// One part of the table.
#[derive(Debug, Default)]
pub struct Shard {
    slots: HashTable<Slot>,
}

impl Shard {
    /// The copy of a chunk.
    pub fn get(&mut self, chunk: ChunkId) -> Option<&mut Slot> {
        self.slots.find_mut(hash(chunk), |slot| slot.chunk == chunk)
    }

    /// Adds a copy of a chunk that has none.
    pub fn insert(&mut self, slot: Slot) {
        debug_assert!(self.get(slot.chunk).is_none());
        self.slots
            .insert_unique(hash(slot.chunk), slot, |slot| hash(slot.chunk));
    }

    /// Removes the copy of a chunk.
    pub fn remove(&mut self, chunk: ChunkId) -> Option<Slot> {
        match self
            .slots
            .find_entry(hash(chunk), |slot| slot.chunk == chunk)
        {
            Ok(entry) => Some(entry.remove().0),
            Err(_) => None,
        }
    }

    /// All copies of the part.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// Removes and returns the copies that `condition` holds for.
    pub fn extract(&mut self, condition: impl Fn(&Slot) -> bool) -> Vec<Slot> {
        self.slots.extract_if(|slot| condition(slot)).collect()
    }
}

/// All copies.
#[derive(Debug)]
pub struct Index {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Index {
    fn default() -> Index {
        Index {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Index {
    /// The part that a chunk belongs to.
    pub fn shard(&self, chunk: ChunkId) -> MutexGuard<'_, Shard> {
        self.part(chunk.0 as usize % SHARDS)
    }

    /// A part by its number, below [`SHARDS`].
    pub fn part(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number % SHARDS].lock()
    }
}

/// Chunk numbers are dense: a multiplication spreads them.
fn hash(chunk: ChunkId) -> u64 {
    (chunk.0 >> 8)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}
