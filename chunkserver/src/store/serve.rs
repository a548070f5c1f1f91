//! Reading and writing blocks for clients and other servers (chunkserver §3.3, §3.4, §3.6). To be
//! called on the threads of the disk that has the chunk.

use super::Store;
use super::chunk_file::{ChunkFile, Fault, Piece};
use super::crc;
use super::layout::{BLOCK, EMPTY_CRC, TABLE_LEN};
use super::open_chunk::{ChunkState, OpenChunk};
use crate::counters::nanoseconds;
use crate::settings::SyncPolicy;
use proto::chunkserver::{BLOCK_SIZE, BLOCKS_PER_CHUNK, CHUNK_SIZE, WriteDataHeader};
use proto::{ChunkId, ChunkVersion, Status};
use std::time::Instant;

/// A piece of a block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPiece {
    /// Block of the chunk.
    pub block: u16,
    /// First byte inside the block.
    pub offset: u16,
    /// Number of bytes.
    pub size: u32,
    /// CRC of the bytes.
    pub crc: u32,
    /// Where the bytes are in the batch; `None`: they are zeros.
    pub at: Option<usize>,
}

/// What one job has read. Used again for the next one.
#[derive(Debug, Default)]
pub struct ReadBatch {
    /// Whole blocks.
    pub data: Vec<u8>,
    /// Pieces in ascending order.
    pub pieces: Vec<ReadPiece>,
}

impl ReadBatch {
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.data.len() < bytes {
            self.data.resize(bytes, 0);
        }
        &mut self.data[..bytes]
    }
}

/// The blocks that a read touches.
struct Blocks {
    start: usize,
    end: usize,
    first: usize,
    last: usize,
    /// First one that does not exist, at least `first` and at most one past `last`.
    missing: usize,
}

impl Blocks {
    /// `size` is not 0.
    fn of(file: &ChunkFile, offset: u32, size: u32) -> Blocks {
        let (start, end) = (offset as usize, offset as usize + size as usize);
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        Blocks {
            start,
            end,
            first,
            last,
            missing: usize::from(file.blocks()).clamp(first, last + 1),
        }
    }

    /// Bytes of the blocks that exist.
    fn bytes(&self) -> usize {
        (self.missing - self.first) * BLOCK
    }

    /// The pieces of what was read.
    fn cut(&self, file: &ChunkFile, batch: &mut ReadBatch) {
        for block in self.first..=self.last {
            let from = self.start.max(block * BLOCK) - block * BLOCK;
            let to = self.end.min((block + 1) * BLOCK) - block * BLOCK;
            let at = (block < self.missing).then(|| (block - self.first) * BLOCK + from);
            let crc = match at {
                Some(_) if to - from == BLOCK => file.entry(block as u16),
                Some(at) => crc::of(&batch.data[at..at + to - from]),
                None if to - from == BLOCK => EMPTY_CRC,
                None => crc::of_zeros(to - from),
            };
            batch.pieces.push(ReadPiece {
                block: block as u16,
                offset: from as u16,
                size: (to - from) as u32,
                crc,
                at,
            });
        }
    }
}

/// Outcome of the checks of a READ before the chunk is looked at (chunkserver §3.3).
pub fn check_range(offset: u32, size: u32) -> Result<(), Status> {
    if size > CHUNK_SIZE {
        return Err(Status::WrongSize);
    }
    let end = u64::from(offset) + u64::from(size);
    if offset >= CHUNK_SIZE || end > u64::from(CHUNK_SIZE) {
        return Err(Status::WrongOffset);
    }
    Ok(())
}

/// Outcome of the checks of a WRITE_DATA for a chunk, CRC included (chunkserver §3.4.2).
pub fn check_write(header: &WriteDataHeader, chunk: ChunkId, data: &[u8]) -> Result<(), Status> {
    if header.chunk != chunk {
        return Err(Status::WrongChunkId);
    }
    if header.block >= BLOCKS_PER_CHUNK {
        return Err(Status::BnumTooBig);
    }
    if header.size > BLOCK_SIZE {
        return Err(Status::WrongSize);
    }
    if u32::from(header.offset) + header.size > BLOCK_SIZE {
        return Err(Status::WrongOffset);
    }
    if crc::of(data) != header.crc {
        return Err(Status::Crc);
    }
    Ok(())
}

impl Store {
    /// Reads a range of a chunk that [`check_range`] allows. Every block is compared with its CRC
    /// as a whole, whatever part of it is wanted.
    pub fn read(
        &self,
        open: &OpenChunk,
        version: ChunkVersion,
        offset: u32,
        size: u32,
        batch: &mut ReadBatch,
    ) -> Result<(), Status> {
        batch.pieces.clear();
        if size == 0 {
            return Ok(());
        }
        let mut state = self.enter(open, version)?;
        let file = self.file(open.chunk, &mut state, false)?;
        let range = Blocks::of(file, offset, size);
        let begun = Instant::now();
        let read = match range.bytes() {
            0 => Ok(()),
            bytes => file.read_blocks(range.first as u16, batch.room(bytes)),
        };
        self.finish_read(open.chunk, &mut state, &range, begun, read, batch)
    }

    /// As [`Store::read`] without waiting for anything: `None` when the chunk is in use, its file
    /// not open, or the data not in the page cache. May be called on any thread.
    pub fn read_cached(
        &self,
        open: &OpenChunk,
        version: ChunkVersion,
        offset: u32,
        size: u32,
        batch: &mut ReadBatch,
    ) -> Option<Result<(), Status>> {
        batch.pieces.clear();
        let mut state = open.try_lock()?;
        if open.is_gone() || (version.0 != 0 && state.version != version) || size == 0 {
            return None;
        }
        let file = state.file.as_ref()?;
        let range = Blocks::of(file, offset, size);
        let begun = Instant::now();
        let read = match range.bytes() {
            0 => Ok(()),
            bytes => file.read_cached(range.first as u16, batch.room(bytes))?,
        };
        // A fault is found again, and dealt with, by the thread of the disk.
        read.is_ok()
            .then(|| self.finish_read(open.chunk, &mut state, &range, begun, read, batch))
    }

    fn finish_read(
        &self,
        chunk: ChunkId,
        state: &mut ChunkState,
        range: &Blocks,
        begun: Instant,
        read: Result<(), Fault>,
        batch: &mut ReadBatch,
    ) -> Result<(), Status> {
        if let Err(fault) = read {
            return Err(self.fault(chunk, &state.disk, &fault));
        }
        state.used = Instant::now();
        if let Some(file) = &state.file {
            range.cut(file, batch);
        }
        let bytes = range.bytes();
        if bytes > 0 {
            let took = begun.elapsed();
            state.disk.work.lock().read(bytes, took);
            self.counters.data_reads.add(1);
            self.counters.data_bytes_read.add(bytes as u64);
            self.counters.read_ns.add(nanoseconds(took));
        }
        Ok(())
    }

    /// Whether [`Store::open_for_write`] would succeed without touching the disk: the chunk has been
    /// made or used a moment ago. May be called on any thread.
    pub fn is_ready_for_write(&self, open: &OpenChunk, version: ChunkVersion) -> bool {
        open.try_lock().is_some_and(|mut state| {
            let ready = !open.is_gone()
                && state.file.is_some()
                && (version.0 == 0 || state.version == version)
                && !state.disk.is_read_only();
            state.used = Instant::now();
            ready
        })
    }

    /// Opens a chunk for writing: the status that the opening of a chain gets.
    pub fn open_for_write(&self, open: &OpenChunk, version: ChunkVersion) -> Result<(), Status> {
        let mut state = self.enter(open, version)?;
        if state.disk.is_read_only() {
            return Err(Status::Io);
        }
        self.file(open.chunk, &mut state, false).map(|_| ())
    }

    /// Writes pieces that [`check_write`] has allowed; a status for each, in their order.
    pub fn write(
        &self,
        open: &OpenChunk,
        version: ChunkVersion,
        pieces: &[Piece<'_>],
    ) -> Vec<Status> {
        let fail = |status| vec![status; pieces.len()];
        let mut state = match self.enter(open, version) {
            Ok(state) => state,
            Err(status) => return fail(status),
        };
        if let Err(status) = self.file(open.chunk, &mut state, false) {
            return fail(status);
        }
        let settings = self.settings();
        let mut statuses = Vec::with_capacity(pieces.len());
        let (mut bytes, mut rest) = (0, pieces);
        let begun = Instant::now();
        while let Some(file) = state.file.as_mut()
            && !rest.is_empty()
        {
            let (count, written) = file.write(rest, settings.sparsify);
            let (done, left) = rest.split_at(count);
            rest = left;
            let status = match written {
                Ok(()) => {
                    bytes += done.iter().map(|piece| piece.data.len()).sum::<usize>();
                    Status::Ok
                }
                Err(fault) => self.fault(open.chunk, &state.disk, &fault),
            };
            statuses.resize(statuses.len() + count, status);
        }
        // Only a disk that was taken out closes files under their users.
        statuses.resize(pieces.len(), Status::Io);
        let took = begun.elapsed();
        if let Some(blocks) = state.file.as_ref().map(|file| file.blocks()) {
            self.note_blocks(open.chunk, &mut state, blocks);
        }
        state.unsynced = true;
        state.disk.work.lock().wrote(bytes, took);
        self.counters.data_writes.add(1);
        self.counters.data_bytes_written.add(bytes as u64);
        self.counters.write_ns.add(nanoseconds(took));
        if settings.sync == SyncPolicy::BeforeStatus
            && let Err(status) = self.sync(open.chunk, &mut state)
        {
            return fail(status);
        }
        statuses
    }

    /// A writer has finished with a chunk.
    pub fn end_write(&self, open: &std::sync::Arc<OpenChunk>) {
        if self.settings().sync != SyncPolicy::AfterUse {
            return;
        }
        if let Some(state) = open.try_lock()
            && state.unsynced
        {
            state.disk.unsynced.lock().push(std::sync::Arc::clone(open));
        }
    }

    /// Number of blocks and table of CRCs of a copy.
    pub fn table(
        &self,
        open: &OpenChunk,
        version: ChunkVersion,
    ) -> Result<(u16, [u8; TABLE_LEN]), Status> {
        let mut state = self.enter(open, version)?;
        let file = self.file(open.chunk, &mut state, false)?;
        Ok((file.blocks(), file.table_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::{check_range, check_write};
    use crate::store::crc;
    use proto::chunkserver::WriteDataHeader;
    use proto::{ChunkId, Status};

    #[test]
    fn ranges_of_reads() {
        for (offset, size, expected) in [
            (0, 0, Ok(())),
            (0, 0x400_0000, Ok(())),
            (0, 0x400_0001, Err(Status::WrongSize)),
            (0x400_0000, 0, Err(Status::WrongOffset)),
            (1, 0x400_0000, Err(Status::WrongOffset)),
            (u32::MAX, u32::MAX, Err(Status::WrongSize)),
        ] {
            assert_eq!(check_range(offset, size), expected, "{offset} {size}");
        }
    }

    #[test]
    fn what_a_write_may_be() {
        let good = WriteDataHeader {
            chunk: ChunkId(1),
            write_id: 1,
            block: 1023,
            offset: 65_531,
            size: 5,
            crc: crc::of(b"hello"),
        };
        let check = |header| check_write(&header, ChunkId(1), b"hello");
        assert_eq!(check(good), Ok(()));
        for (header, status) in [
            (
                WriteDataHeader {
                    chunk: ChunkId(2),
                    ..good
                },
                Status::WrongChunkId,
            ),
            (
                WriteDataHeader {
                    block: 1024,
                    ..good
                },
                Status::BnumTooBig,
            ),
            (
                WriteDataHeader {
                    size: 65_537,
                    ..good
                },
                Status::WrongSize,
            ),
            (
                WriteDataHeader {
                    offset: 65_532,
                    ..good
                },
                Status::WrongOffset,
            ),
            (WriteDataHeader { crc: 0, ..good }, Status::Crc),
        ] {
            assert_eq!(check(header), Err(status));
        }
    }
}
