//! Chunk records as the planner sees and changes them.

use crate::chunk_table::{ChunkIndex, ChunkRecord};
use crate::storage_class::{LabelList, LabelMode};
use crate::{Event, Namespace, Tx};
use proto::changelog::Entry;
use proto::{ChunkId, ChunkVersion, Status};

/// How far a reported chunk number may be above the highest one.
const CHUNK_ID_GAP_MAX: u64 = 1_000_000_000;

/// Where the copies of a chunk belong.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// One expression for each copy: the keep list, or the archive list of an archived chunk.
    pub labels: &'a LabelList,
    /// How strictly they bind.
    pub mode: LabelMode,
}

impl Namespace {
    /// A chunk by its number.
    pub fn chunk(&self, id: ChunkId) -> Option<(ChunkIndex, &ChunkRecord)> {
        self.chunks.find(id)
    }

    /// A chunk by its place.
    pub fn chunk_at(&self, index: ChunkIndex) -> Option<&ChunkRecord> {
        self.chunks.at(index)
    }

    /// Every place of a chunk record is below.
    pub fn chunk_index_bound(&self) -> u32 {
        self.chunks.bound()
    }

    /// Number that the next chunk gets.
    pub fn next_chunk_id(&self) -> ChunkId {
        self.chunks.next_id
    }

    /// Copies that a chunk needs (master-behaviour §2.4); 0 when nothing refers to it.
    pub fn copies_needed(&self, chunk: &ChunkRecord) -> u8 {
        self.placement(chunk)
            .map_or(0, |placement| placement.labels.copies())
    }

    /// Where its copies belong; `None` for an unreferenced chunk.
    pub fn placement(&self, chunk: &ChunkRecord) -> Option<Placement<'_>> {
        if chunk.references == 0 {
            return None;
        }
        let rules = &self.classes.get(chunk.class)?.rules;
        Some(Placement {
            labels: if chunk.archived {
                &rules.archive
            } else {
                &rules.keep
            },
            mode: rules.mode,
        })
    }

    /// CHUNKADD: a chunk without files.
    ///
    /// # Errors
    /// 20 exists, 27 number out of reach, 6 lock already over.
    pub fn chunk_add(
        &mut self,
        tx: &mut Tx,
        chunk: ChunkId,
        version: ChunkVersion,
        locked_to: u32,
    ) -> Result<(), Status> {
        self.apply_chunk_add(tx, chunk, version, locked_to)?;
        self.log(
            tx,
            &Entry::ChunkAdd {
                chunk,
                version,
                locked_to,
            },
        );
        Ok(())
    }

    /// Replays CHUNKADD.
    pub(crate) fn apply_chunk_add(
        &mut self,
        tx: &mut Tx,
        chunk: ChunkId,
        version: ChunkVersion,
        locked_to: u32,
    ) -> Result<(), Status> {
        let next = self.chunks.next_id;
        if chunk == ChunkId::HOLE || chunk.0 > next.0.saturating_add(CHUNK_ID_GAP_MAX) {
            return Err(Status::WrongChunkId);
        }
        if locked_to > 0 && locked_to < tx.now {
            return Err(Status::Einval);
        }
        if self.chunks.find(chunk).is_some() {
            return Err(Status::ChunkExist);
        }
        let record = ChunkRecord {
            id: chunk,
            version,
            locked_to,
            ..ChunkRecord::default()
        };
        self.chunks.insert(record).ok_or(Status::OutOfMemory)?;
        self.chunks.next_id = next.max(ChunkId(chunk.0 + 1));
        Ok(())
    }

    /// CHUNKDEL: removes the record of a chunk without files.
    ///
    /// # Errors
    /// 13 no such chunk, 19 another version, 14 in use, 11 locked.
    pub fn chunk_del(
        &mut self,
        tx: &mut Tx,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        self.apply_chunk_del(tx, chunk, version)?;
        self.log(tx, &Entry::ChunkDelete { chunk, version });
        Ok(())
    }

    /// Replays CHUNKDEL.
    pub(crate) fn apply_chunk_del(
        &mut self,
        tx: &mut Tx,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        let (_, record) = self.chunks.find(chunk).ok_or(Status::NoChunk)?;
        if record.version != version {
            return Err(Status::WrongVersion);
        }
        if record.references > 0 {
            return Err(Status::ChunkBusy);
        }
        if record.is_locked(tx.now) {
            return Err(Status::Locked);
        }
        self.chunks.remove(chunk);
        tx.event(Event::ChunkRemoved(chunk));
        Ok(())
    }

    /// SETVERSION.
    ///
    /// # Errors
    /// 13 no such chunk.
    pub fn chunk_set_version(
        &mut self,
        tx: &mut Tx,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        self.apply_chunk_set_version(chunk, version)?;
        self.log(tx, &Entry::SetVersion { chunk, version });
        Ok(())
    }

    /// Replays SETVERSION.
    pub(crate) fn apply_chunk_set_version(
        &mut self,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        self.chunks.find_mut(chunk).ok_or(Status::NoChunk)?.version = version;
        Ok(())
    }

    /// Replays INCVERSION of versions before 3.0.
    pub(crate) fn apply_increase_version(&mut self, chunk: ChunkId) -> Result<(), Status> {
        self.chunks
            .find_mut(chunk)
            .ok_or(Status::NoChunk)?
            .version
            .0 += 1;
        Ok(())
    }

    /// Replays NEXTCHUNKID of versions before 3.0.
    pub(crate) fn apply_next_chunk_id(&mut self, chunk: ChunkId) -> Result<(), Status> {
        if chunk <= self.chunks.next_id {
            return Err(Status::Mismatch);
        }
        self.chunks.next_id = chunk;
        Ok(())
    }

    /// Locks a chunk without a line (replication): until a second since 1970, which it includes.
    pub fn lock_chunk_unlogged(&mut self, chunk: ChunkId, until: u32) {
        if let Some(record) = self.chunks.find_mut(chunk) {
            record.locked_to = until;
        }
    }

    /// Forgets all locks of chunks: a master that takes over knows of no write under way.
    pub fn unlock_all_chunks(&mut self, now: u32) {
        let locked: Vec<ChunkId> = self
            .chunks
            .iter()
            .filter(|(_, record)| record.locked_to != 0 && record.is_locked(now))
            .map(|(_, record)| record.id)
            .collect();
        for id in locked {
            self.lock_chunk_unlogged(id, 0);
        }
    }
}
