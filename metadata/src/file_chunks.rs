//! Chunks of files.

use crate::chunk_table::{ChunkIndex, ChunkRecord};
use crate::storage_class::{LabelList, LabelMode};
use crate::{Caller, Namespace, Tx};
use proto::{ChunkId, ChunkVersion, Inode, Status};

/// What a slot of a file holds before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing.
    Hole,
    /// A chunk that no other slot refers to.
    Own(ChunkId),
    /// A chunk that others refer to as well.
    Shared(ChunkId),
}

/// The slot of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Storage class of the file.
    pub class: proto::ClassId,
    /// What it holds.
    pub chunk: SlotState,
}

/// Where the copies of a chunk belong.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// One expression for each copy: the keep list, or the archive list of an archived chunk.
    pub labels: &'a LabelList,
    /// How strictly they bind.
    pub mode: LabelMode,
}

/// Which chunks APPEND_SLICE takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Bit 0: `from` counts from the end; bit 1: `to` does.
    pub flags: u8,
    /// First chunk.
    pub from: u32,
    /// Chunk behind the last.
    pub to: u32,
}

impl Namespace {
    /// Checks of WRITE_CHUNK (§12.3) up to the chunk itself.
    pub fn write_check(&self, _who: &Caller, _inode: Inode, _index: u32) -> Result<Slot, Status> {
        Err(Status::Enotsup)
    }

    /// WRITE: the slot gets a chunk that may be written; `server_op` when chunkservers are asked.
    pub fn write_chunk(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _index: u32,
        _server_op: bool,
    ) -> Result<ChunkId, Status> {
        Err(Status::Enotsup)
    }

    /// TRUNC: the slot gets a chunk that may be cut.
    pub fn trunc_chunk(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _index: u32,
    ) -> Result<ChunkId, Status> {
        Err(Status::Enotsup)
    }

    /// ROLLBACK: the slot gets `previous` back.
    pub fn rollback_chunk(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _index: u32,
        _previous: ChunkId,
        _chunk: ChunkId,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// UNLOCK.
    pub fn unlock_chunk(&mut self, _tx: &mut Tx, _chunk: ChunkId) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// WRITE_CHUNK_END: the length, without the unlock (§12.4). `true` when it grew.
    pub fn write_end(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _inode: Inode,
        _length: u64,
    ) -> Result<bool, Status> {
        Err(Status::Enotsup)
    }

    /// Checks of REPAIR (§15.7).
    pub fn repair_check(&self, _who: &Caller, _inode: Inode) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// REPAIR: version 0 makes the slot a hole.
    pub fn repair_slot(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _index: u32,
        _version: ChunkVersion,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// SETFILECHUNK.
    pub fn set_file_chunk(
        &mut self,
        _tx: &mut Tx,
        _inode: Inode,
        _index: u32,
        _chunk: ChunkId,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// APPEND_SLICE (§15.9); the new length, `None` when nothing was to be appended.
    pub fn append_slice(
        &mut self,
        _tx: &mut Tx,
        _who: &Caller,
        _target: Inode,
        _source: Inode,
        _slice: Slice,
    ) -> Result<Option<u64>, Status> {
        Err(Status::Enotsup)
    }

    /// CHUNKADD.
    pub fn chunk_add(
        &mut self,
        _tx: &mut Tx,
        _chunk: ChunkId,
        _version: ChunkVersion,
        _locked_to: u32,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// CHUNKDEL.
    pub fn chunk_del(
        &mut self,
        _tx: &mut Tx,
        _chunk: ChunkId,
        _version: ChunkVersion,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// SETVERSION.
    pub fn chunk_set_version(
        &mut self,
        _tx: &mut Tx,
        _chunk: ChunkId,
        _version: ChunkVersion,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }

    /// Locks a chunk without a line (replication).
    pub fn lock_chunk_unlogged(&mut self, _chunk: ChunkId, _until: u32) {}

    /// A chunk by its number.
    pub fn chunk(&self, _id: ChunkId) -> Option<(ChunkIndex, &ChunkRecord)> {
        None
    }

    /// A chunk by its place.
    pub fn chunk_at(&self, _index: ChunkIndex) -> Option<&ChunkRecord> {
        None
    }

    /// Every place of a chunk record is below.
    pub fn chunk_index_bound(&self) -> u32 {
        0
    }

    /// Copies that a chunk needs (§2.4).
    pub fn copies_needed(&self, _chunk: &ChunkRecord) -> u8 {
        0
    }

    /// Where its copies belong; `None` for an unreferenced chunk.
    pub fn placement(&self, _chunk: &ChunkRecord) -> Option<Placement<'_>> {
        None
    }

    /// Slots of a file in order, holes as 0.
    pub fn file_chunks(&self, _inode: Inode) -> impl Iterator<Item = ChunkId> {
        std::iter::empty()
    }

    /// The chunk of one slot, 0 for a hole or beyond the end.
    pub fn file_chunk(&self, _inode: Inode, _index: u32) -> ChunkId {
        ChunkId::HOLE
    }
}
