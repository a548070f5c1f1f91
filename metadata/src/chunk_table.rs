//! Chunk records: versions, locks, references by storage class.

use proto::{ChunkId, ChunkVersion, ClassId};

/// Place of a chunk record, dense; given again after the chunk is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkIndex(pub u32);

/// What is known about a chunk without its copies (master-behaviour §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ChunkRecord {
    /// Number of the chunk.
    pub id: ChunkId,
    /// Version that every good copy has.
    pub version: ChunkVersion,
    /// Last second of the write lock; 0 when there is none.
    pub locked_to: u32,
    /// Slots of files that refer to the chunk.
    pub references: u32,
    /// Effective storage class (§2.4); 0 when nothing refers to the chunk.
    pub class: ClassId,
    /// The archive list of the class counts.
    pub archived: bool,
}

/// All chunk records.
#[derive(Debug, Default)]
pub struct ChunkTable {}
