//! Chunks of files: which chunk a slot holds, and how writes, cuts and repairs change that.

use crate::access::{READ, WRITE, disable};
use crate::chunk_table::ChunkIndex;
use crate::quota::Usage;
use crate::store::node::{NodeRecord, eattr};
use crate::store::{CHUNK_BYTES, CHUNK_SIZE_BYTES};
use crate::{Caller, Event, Namespace, Tx};
use proto::changelog::Entry;
use proto::{ChunkId, ChunkVersion, ClassId, Inode, Status};

/// Highest slot of a file.
pub const SLOT_MAX: u32 = 0x7FFF_FFFF;
/// Seconds for which a write locks its chunk.
pub const WRITE_LOCK_SECONDS: u32 = 120;

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
    pub class: ClassId,
    /// What it holds.
    pub chunk: SlotState,
}

/// Which chunks APPEND_SLICE takes: `from..to`, each counted from the end when its flag says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Bit 0: `from` counts from the end; bit 1: `to` does.
    pub flags: u8,
    /// First chunk.
    pub from: u32,
    /// Chunk behind the last.
    pub to: u32,
}

impl Slice {
    /// Bit of `flags`: `from` counts from the end.
    pub const FROM_END: u8 = 0x01;
    /// Bit of `flags`: `to` counts from the end.
    pub const TO_END: u8 = 0x02;
    /// The whole source.
    pub const ALL: Slice = Slice {
        flags: 0,
        from: 0,
        to: 0x8000_0000,
    };

    /// The chunks of a source of `chunks` chunks: first and last; `None` when there are none.
    fn of(self, chunks: u32) -> Option<(u32, u32)> {
        let place = |value: u32, from_end: bool| {
            if from_end {
                chunks.saturating_sub(value)
            } else {
                value.min(chunks)
            }
        };
        let from = place(self.from, self.flags & Slice::FROM_END != 0);
        let to = place(self.to, self.flags & Slice::TO_END != 0);
        (from < to).then(|| (from, to - 1))
    }
}

impl Namespace {
    /// Slots of a file in order up to the last chunk, holes as 0.
    pub fn file_chunks(&self, inode: Inode) -> impl Iterator<Item = ChunkId> {
        let node = self.store.node(inode).filter(|node| node.kind().has_data());
        let word = node.map_or(0, NodeRecord::slots);
        (0..self.store.slots.len(word))
            .map(move |index| self.chunks.id_at(self.store.slots.get(word, index)))
    }

    /// Slots of a file that are no holes, ascending.
    pub fn used_slots(&self, inode: Inode) -> impl Iterator<Item = (u32, ChunkId)> {
        let node = self.store.node(inode).filter(|node| node.kind().has_data());
        let word = node.map_or(0, NodeRecord::slots);
        self.store
            .slots
            .used_from(word, 0)
            .map(|(index, at)| (index, self.chunks.id_at(at)))
    }

    /// The chunk of one slot, 0 for a hole or beyond the end.
    pub fn file_chunk(&self, inode: Inode, index: u32) -> ChunkId {
        self.chunks.id_at(self.slot_at(inode, index))
    }

    /// The place of the chunk in a slot; 0 for a hole.
    fn slot_at(&self, inode: Inode, index: u32) -> u32 {
        let node = self.store.node(inode).filter(|node| node.kind().has_data());
        node.map_or(0, |node| self.store.slots.get(node.slots(), index))
    }

    /// Puts a chunk (its place, or 0) into a slot of a file and moves the references. Statistics are
    /// the caller's.
    pub(crate) fn put_slot(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        at: u32,
    ) -> Result<(), Status> {
        let node = self.file_or(inode)?;
        let (class, word) = (node.class, node.slots());
        let old = self.store.slots.get(word, index);
        if old == at {
            return Ok(());
        }
        let word = self
            .store
            .slots
            .set(word, index, at)
            .ok_or(Status::OutOfMemory)?;
        self.node_mut(inode)?.set_slots(word);
        if at != 0 {
            self.chunks.add_reference(tx, &self.classes, at, class);
        }
        if old != 0 {
            self.chunks.drop_reference(tx, &self.classes, old, class);
        }
        Ok(())
    }

    /// Empties all slots of a file from one on. Statistics are the caller's.
    pub(crate) fn drop_slots_from(&mut self, tx: &mut Tx, inode: Inode, from: u32) {
        let Some(node) = self.store.node(inode) else {
            return;
        };
        let (class, word) = (node.class, node.slots());
        if self.store.slots.len(word) <= from {
            return;
        }
        let dropped = if from == 0 {
            for (_, at) in self.store.slots.used_from(word, 0) {
                self.chunks.drop_reference(tx, &self.classes, at, class);
            }
            self.store.slots.remove(word);
            0
        } else {
            for (_, at) in self.store.slots.used_from(word, from) {
                self.chunks.drop_reference(tx, &self.classes, at, class);
            }
            self.store.slots.truncate(word, from)
        };
        if let Some(node) = self.store.node_mut(inode) {
            node.set_slots(dropped);
        }
    }

    /// Checks of WRITE_CHUNK (wire-client-master §12.3) up to the chunk itself.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 not a file, 1 immutable, 10 slot
    /// too high, 34 quota.
    pub fn write_check(&self, who: &Caller, inode: Inode, index: u32) -> Result<Slot, Status> {
        who.permit(disable::WRITE)?;
        who.writes()?;
        let node = self.file_or(inode)?;
        if node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        if index > SLOT_MAX {
            return Err(Status::IndexTooBig);
        }
        let at = self.store.slots.get(node.slots(), index);
        if !self.quotas.is_empty() && self.over_quota_of(inode, write_growth(node, index, at)) {
            return Err(Status::Quota);
        }
        let chunk = match self.chunks.records.get(at).filter(|_| at != 0) {
            None => SlotState::Hole,
            Some(record) if record.references > 1 => SlotState::Shared(record.id),
            Some(record) => SlotState::Own(record.id),
        };
        Ok(Slot {
            class: node.class,
            chunk,
        })
    }

    /// WRITE: the slot gets a chunk that may be written, locked for 120 s; `server_op` when
    /// chunkservers are asked (then the version of an own chunk rises), `changes_mtime` for clients
    /// that do not send times themselves (before 3.0.74).
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file, 10 slot too high, 9 no room.
    pub fn write_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        server_op: bool,
        changes_mtime: bool,
    ) -> Result<ChunkId, Status> {
        let chunk = self.apply_write(tx, inode, index, server_op, changes_mtime)?;
        self.log(
            tx,
            &Entry::Write {
                inode,
                index,
                increase_version: server_op,
                can_mtime: changes_mtime,
                chunk,
            },
        );
        Ok(chunk)
    }

    /// Replays WRITE; the chunk that the slot has then.
    pub(crate) fn apply_write(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        increase_version: bool,
        changes_mtime: bool,
    ) -> Result<ChunkId, Status> {
        if index > SLOT_MAX {
            return Err(Status::IndexTooBig);
        }
        self.file_or(inode)?;
        let before = self.stats_of(inode);
        let chunk = self.exclusive_chunk(tx, inode, index, increase_version)?;
        let node = self.node_mut(inode)?;
        let start = u64::from(index) * CHUNK_BYTES;
        if node.file_length() < start {
            node.set_file_length(start);
        }
        node.eattr &= !eattr::SNAPSHOT;
        if changes_mtime {
            node.touch(tx.now);
        }
        self.correct_stats(inode, before);
        Ok(chunk)
    }

    /// The rules for chunks of WRITE and TRUNC (metadata-and-changelog §3.4): makes the slot hold a
    /// chunk that is not shared.
    fn exclusive_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        increase_version: bool,
    ) -> Result<ChunkId, Status> {
        let old = self.slot_at(inode, index);
        let at = match self.chunks.records.get_mut(old).filter(|_| old != 0) {
            Some(record) if record.unknown => return Err(Status::NoChunk),
            Some(record) if record.references == 1 => {
                if increase_version {
                    record.version.0 += 1;
                }
                old
            }
            _ => {
                let at = self.chunks.create().ok_or(Status::OutOfMemory)?;
                self.put_slot(tx, inode, index, at)?;
                at
            }
        };
        let record = self.chunks.records.get_mut(at).ok_or(Status::NoChunk)?;
        record.locked_to = tx.now.saturating_add(WRITE_LOCK_SECONDS);
        Ok(record.id)
    }

    /// TRUNC: the slot, which holds a chunk, gets one that may be cut.
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file, 10 slot too high, 13 a hole, 9 no room.
    pub fn trunc_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
    ) -> Result<ChunkId, Status> {
        let chunk = self.apply_trunc(tx, inode, index)?;
        self.log(
            tx,
            &Entry::Trunc {
                inode,
                index,
                chunk,
            },
        );
        Ok(chunk)
    }

    /// Replays TRUNC; the chunk that the slot has then.
    pub(crate) fn apply_trunc(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
    ) -> Result<ChunkId, Status> {
        if index > SLOT_MAX {
            return Err(Status::IndexTooBig);
        }
        self.file_or(inode)?;
        if self.slot_at(inode, index) == 0 {
            return Err(Status::NoChunk);
        }
        self.exclusive_chunk(tx, inode, index, true)
    }

    /// ROLLBACK: the slot gets `previous` back, and `chunk` is unlocked.
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file, 10 slot too high, 13 no such chunk.
    pub fn rollback_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        previous: ChunkId,
        chunk: ChunkId,
    ) -> Result<(), Status> {
        self.apply_rollback(tx, inode, index, previous, chunk)?;
        self.log(
            tx,
            &Entry::Rollback {
                inode,
                index,
                previous,
                chunk,
            },
        );
        Ok(())
    }

    /// Replays ROLLBACK.
    pub(crate) fn apply_rollback(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        previous: ChunkId,
        chunk: ChunkId,
    ) -> Result<(), Status> {
        if index > SLOT_MAX {
            return Err(Status::IndexTooBig);
        }
        self.file_or(inode)?;
        if previous != chunk {
            let at = self.known_place(previous)?;
            let before = self.stats_of(inode);
            self.put_slot(tx, inode, index, at)?;
            self.correct_stats(inode, before);
        }
        self.unlock(tx, chunk)
    }

    /// The place of a chunk that has a record; 0 for a hole.
    fn known_place(&self, chunk: ChunkId) -> Result<u32, Status> {
        if chunk == ChunkId::HOLE {
            return Ok(0);
        }
        let (ChunkIndex(at), _) = self.chunks.find(chunk).ok_or(Status::NoChunk)?;
        Ok(at)
    }

    fn unlock(&mut self, tx: &mut Tx, chunk: ChunkId) -> Result<(), Status> {
        self.chunks
            .find_mut(chunk)
            .ok_or(Status::NoChunk)?
            .locked_to = 0;
        tx.event(Event::ChunkUnlocked(chunk));
        tx.event(Event::ChunkChanged(chunk));
        Ok(())
    }

    /// UNLOCK.
    ///
    /// # Errors
    /// 13 no such chunk.
    pub fn unlock_chunk(&mut self, tx: &mut Tx, chunk: ChunkId) -> Result<(), Status> {
        self.unlock(tx, chunk)?;
        self.log(tx, &Entry::Unlock { chunk });
        Ok(())
    }

    /// Replays UNLOCK. The live master writes the line also when the chunk is gone.
    pub(crate) fn apply_unlock(&mut self, tx: &mut Tx, chunk: ChunkId) {
        // Nothing to unlock is what the line says then: the effect is the same.
        let _ = self.unlock(tx, chunk);
    }

    /// Checks of REPAIR (§15.7).
    ///
    /// # Errors
    /// In this order: 33 read-only, 3 no such inode, 1 not a file, 1 immutable, 4 no W.
    pub fn repair_check(&self, who: &Caller, inode: Inode) -> Result<(), Status> {
        who.writes()?;
        let node = self.file_or(inode)?;
        if node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        self.check_mask(who, inode, node, WRITE)
    }

    /// REPAIR: version 0 makes the slot a hole, another one becomes the chunk's version.
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file, 13 a hole, or a version for a chunk without record.
    pub fn repair_slot(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        self.apply_repair(tx, inode, index, version)?;
        self.log(
            tx,
            &Entry::Repair {
                inode,
                index,
                version,
            },
        );
        Ok(())
    }

    /// Replays REPAIR.
    pub(crate) fn apply_repair(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        version: ChunkVersion,
    ) -> Result<(), Status> {
        self.file_or(inode)?;
        let at = self.slot_at(inode, index);
        if at == 0 {
            return Err(Status::NoChunk);
        }
        if version == ChunkVersion(0) {
            let before = self.stats_of(inode);
            self.put_slot(tx, inode, index, 0)?;
            self.correct_stats(inode, before);
        } else {
            let record = self.chunks.records.get_mut(at);
            let record = record
                .filter(|record| !record.unknown)
                .ok_or(Status::NoChunk)?;
            record.version = version;
            let id = record.id;
            tx.event(Event::ChunkChanged(id));
        }
        self.node_mut(inode)?.touch(tx.now);
        Ok(())
    }

    /// SETFILECHUNK: the slot gets another chunk, or becomes a hole.
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file, 10 slot too high, 13 no such chunk.
    pub fn set_file_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        chunk: ChunkId,
    ) -> Result<(), Status> {
        self.apply_set_file_chunk(tx, inode, index, chunk)?;
        self.log(
            tx,
            &Entry::SetFileChunk {
                inode,
                index,
                chunk,
            },
        );
        Ok(())
    }

    /// Replays SETFILECHUNK.
    pub(crate) fn apply_set_file_chunk(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        index: u32,
        chunk: ChunkId,
    ) -> Result<(), Status> {
        if index > SLOT_MAX {
            return Err(Status::IndexTooBig);
        }
        self.file_or(inode)?;
        let at = self.known_place(chunk)?;
        let before = self.stats_of(inode);
        self.put_slot(tx, inode, index, at)?;
        self.correct_stats(inode, before);
        Ok(())
    }

    /// APPEND_SLICE (§15.9); the new length, `None` when nothing was to be appended.
    ///
    /// # Errors
    /// In this order: 1 disabled, 6 same inode, 33 read-only, 3 no such inode, 1 source not a file, 4
    /// no R on it, 1 target not a file, 1 immutable, 4 no W on it, 6 too long, 34 quota.
    pub fn append_slice(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        target: Inode,
        source: Inode,
        slice: Slice,
    ) -> Result<Option<u64>, Status> {
        who.permit(disable::APPEND_CHUNKS)?;
        if target == source && target != Inode(0) {
            return Err(Status::Einval);
        }
        who.writes()?;
        self.node_or(target)?;
        let node = self.file_or(source)?;
        self.check_mask(who, source, node, READ)?;
        let to = self.file_or(target)?;
        if to.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        self.check_mask(who, target, to, WRITE)?;
        let Some((first, last)) = slice.of(chunks_by_length(node)) else {
            return Ok(None);
        };
        let appended = appended_bytes(node, first, last);
        let length = append_start(to) + appended;
        if length > u64::from(SLOT_MAX) * CHUNK_BYTES {
            return Err(Status::Einval);
        }
        let added = Usage {
            length: length - to.file_length().min(length),
            size: u64::from(last - first + 1) * CHUNK_SIZE_BYTES,
            real_size: u64::from(last - first + 1)
                * CHUNK_SIZE_BYTES
                * u64::from(to.counted_copies()),
            ..Usage::NONE
        };
        if self.over_quota_of(target, added) {
            return Err(Status::Quota);
        }
        self.apply_append(tx, target, source, first, last)?;
        self.log(
            tx,
            &Entry::Append {
                destination: target,
                source,
                from: first,
                to: last,
            },
        );
        Ok(Some(length))
    }

    /// Replays APPEND; slots `first..=last` of the source, all of them for `u32::MAX, 0`.
    pub(crate) fn apply_append(
        &mut self,
        tx: &mut Tx,
        target: Inode,
        source: Inode,
        first: u32,
        last: u32,
    ) -> Result<(), Status> {
        let from = *self.file_or(source)?;
        let to = *self.file_or(target)?;
        let chunks = chunks_by_length(&from);
        if chunks == 0 {
            return Ok(());
        }
        let (first, last) = match (first, last) {
            (u32::MAX, 0) => (0, chunks - 1),
            range => range,
        };
        if target == source || first > last || last >= chunks {
            return Err(Status::Einval);
        }
        let before = self.stats_of(target);
        let start = append_start(&to);
        let first_slot = chunks_by_length(&to);
        let copied: Vec<(u32, u32)> = self
            .store
            .slots
            .used_from(from.slots(), first)
            .take_while(|&(index, _)| index <= last)
            .collect();
        self.drop_slots_from(tx, target, first_slot);
        for (index, at) in copied {
            self.put_slot(tx, target, first_slot + (index - first), at)?;
        }
        let length = start + appended_bytes(&from, first, last);
        let node = self.node_mut(target)?;
        node.set_file_length(length);
        (node.mtime, node.atime) = (tx.now, tx.now);
        self.node_mut(source)?.atime = tx.now;
        self.correct_stats(target, before);
        Ok(())
    }
}

/// Chunks that slices of a file are counted by: those that its length covers, whatever its slots are.
fn chunks_by_length(node: &NodeRecord) -> u32 {
    // A length has at most 2^57 bytes.
    node.file_length().div_ceil(CHUNK_BYTES) as u32
}

/// Where appended chunks begin. What a write that did not end left behind is replaced.
fn append_start(node: &NodeRecord) -> u64 {
    u64::from(chunks_by_length(node)) * CHUNK_BYTES
}

/// Bytes of slots `first..=last`: all full but the one in which the file ends.
fn appended_bytes(source: &NodeRecord, first: u32, last: u32) -> u64 {
    let end = (u64::from(last) + 1) * CHUNK_BYTES;
    let start = u64::from(first) * CHUNK_BYTES;
    end.min(source.file_length()).saturating_sub(start)
}

/// What quotas count for a write to a slot (master-behaviour §12.3).
fn write_growth(node: &NodeRecord, index: u32, at: u32) -> Usage {
    const BLOCK_BYTES: u64 = 1 << 16;
    const HEADER_BYTES: u64 = CHUNK_SIZE_BYTES - CHUNK_BYTES;
    let start = u64::from(index) * CHUNK_BYTES;
    let length = node.file_length();
    let present = match length.saturating_sub(start) {
        _ if at == 0 => 0,
        0 => 0,
        used if used >= CHUNK_BYTES => CHUNK_SIZE_BYTES,
        used => used.next_multiple_of(BLOCK_BYTES) + HEADER_BYTES,
    };
    let size = CHUNK_SIZE_BYTES - present;
    Usage {
        inodes: 0,
        length: start.saturating_sub(length),
        size,
        real_size: size * u64::from(node.counted_copies()),
    }
}
