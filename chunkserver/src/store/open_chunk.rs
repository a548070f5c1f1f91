//! A chunk that is in use: who uses it excludes the others, its file stays open for a while.

use super::chunk_file::ChunkFile;
use super::disk::Disk;
use parking_lot::{Mutex, MutexGuard};
use proto::{ChunkId, ChunkVersion, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An operation waits so long for a busy chunk (chunkserver §2.6).
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// A chunk that is in use.
#[derive(Debug)]
pub struct OpenChunk {
    /// Chunk.
    pub chunk: ChunkId,
    gone: AtomicBool,
    state: Mutex<ChunkState>,
}

/// Where a copy is, and its file.
#[derive(Debug)]
pub struct ChunkState {
    /// Disk.
    pub disk: Arc<Disk>,
    /// Subfolder.
    pub folder: u8,
    /// Version, as in the name.
    pub version: ChunkVersion,
    /// The open file.
    pub file: Option<ChunkFile>,
    /// Number of blocks as the index knows it.
    pub blocks: Option<u16>,
    /// Last use.
    pub used: Instant,
    /// Written since the last fsync.
    pub unsynced: bool,
}

impl OpenChunk {
    /// A chunk whose file is not open yet.
    pub fn new(chunk: ChunkId, state: ChunkState) -> OpenChunk {
        OpenChunk {
            chunk,
            gone: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Waits for the chunk, ten seconds at most.
    pub fn lock(&self) -> Result<MutexGuard<'_, ChunkState>, Status> {
        let state = self.state.try_lock_for(BUSY_LIMIT).ok_or(Status::NotDone)?;
        match self.is_gone() {
            true => Err(Status::NoChunk),
            false => Ok(state),
        }
    }

    /// The chunk, unless it is in use.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, ChunkState>> {
        self.state.try_lock()
    }

    /// Whether the copy has been removed.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The copy has been removed; later users find nothing.
    pub fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
}
