//! What this client knows of a file that it has open: length, data on their way, readers
//! (client-behaviour §13.1). No I/O.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use proto::Inode;
use tokio::sync::Notify;

use crate::error::Error;
use crate::read::buffers::Buffers;
use crate::write::queue::Queue;

/// Bytes of a chunk.
pub(crate) const CHUNK: u64 = proto::chunkserver::CHUNK_SIZE as u64;
/// Chunks of one file that are written at the same time.
const CHUNK_JOBS_MAX: usize = 16;

/// A chunk with data on their way.
#[derive(Debug, Default)]
pub(crate) struct ChunkWrites {
    /// The data.
    pub(crate) queue: Queue,
    /// A job works on it.
    pub(crate) is_running: bool,
    /// The master granted the write and the head of the chain is connected.
    pub(crate) is_granted: bool,
    /// root wrote some of it: the reserved space may be used.
    pub(crate) by_root: bool,
}

/// State of an open file, shared by all its handles.
#[derive(Debug)]
pub(crate) struct File {
    /// The file.
    pub(crate) inode: Inode,
    inner: Mutex<FileState>,
    /// Something that a writer or a flush waits for has changed.
    pub(crate) changed: Notify,
    /// One writer at a time.
    pub(crate) writing: tokio::sync::Mutex<()>,
}

/// What [`File`] guards.
#[derive(Debug, Default)]
pub(crate) struct FileState {
    /// Handles that are open.
    pub(crate) handles: u32,
    /// Handles that wrote.
    pub(crate) writers: u32,
    /// Length as far as it is known here.
    pub(crate) length: u64,
    /// Number of the last local change of the length or the data.
    pub(crate) changed_at: u64,
    /// Chunks with data on their way.
    pub(crate) chunks: BTreeMap<u32, ChunkWrites>,
    /// Final error of a write: every later write, flush and fsync gets it until the last writer
    /// is gone.
    pub(crate) error: Option<Error>,
    /// Flushes that wait: writers have to wait, and jobs hurry.
    pub(crate) flushes: u32,
    /// Buffers of the handles.
    pub(crate) readers: Vec<Weak<Buffers>>,
}

impl File {
    pub(crate) fn new(inode: Inode, length: u64) -> File {
        File {
            inode,
            inner: Mutex::new(FileState {
                length,
                ..FileState::default()
            }),
            changed: Notify::new(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FileState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `condition` gives a value.
    pub(crate) async fn wait_for<T>(
        &self,
        mut condition: impl FnMut(&mut FileState) -> Option<T>,
    ) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = condition(&mut self.lock()) {
                return value;
            }
            changed.await;
        }
    }

    /// Chunks whose writing has to be started now; they count as running from here on.
    pub(crate) fn start_jobs(&self) -> Vec<u32> {
        let mut state = self.lock();
        let running = state
            .chunks
            .values()
            .filter(|chunk| chunk.is_running)
            .count();
        let mut started = Vec::new();
        for (index, chunk) in &mut state.chunks {
            if running + started.len() >= CHUNK_JOBS_MAX {
                break;
            }
            if !chunk.is_running && !chunk.queue.is_empty() {
                chunk.is_running = true;
                started.push(*index);
            }
        }
        started
    }

    /// Drops what handles have read in a range.
    pub(crate) fn invalidate(&self, from: u64, to: u64) {
        let readers: Vec<_> = {
            let mut state = self.lock();
            state.readers.retain(|reader| reader.strong_count() > 0);
            state.readers.iter().filter_map(Weak::upgrade).collect()
        };
        for reader in readers {
            reader.invalidate(from, to);
        }
    }

    /// The master's length: never below the end of data that it does not know yet.
    pub(crate) fn learn_length(&self, length: u64) -> u64 {
        let (before, after) = {
            let mut state = self.lock();
            let before = state.length;
            state.length = length.max(state.dirty_end());
            (before, state.length)
        };
        if before != after {
            self.invalidate(before.min(after), u64::MAX);
        }
        after
    }
}

impl FileState {
    /// Byte behind the last that waits to be written; 0 if none does.
    pub(crate) fn dirty_end(&self) -> u64 {
        self.chunks
            .iter()
            .rev()
            .map(|(index, chunk)| (index, chunk.queue.end_in_chunk()))
            .find(|(_, end)| *end > 0)
            .map_or(0, |(index, end)| u64::from(*index) * CHUNK + u64::from(end))
    }

    /// Whether data on their way overlap the chunks of a range.
    pub(crate) fn is_dirty(&self, from: u64, to: u64) -> bool {
        let first = chunk_index(from);
        let last = chunk_index(to.saturating_sub(1).max(from));
        self.chunks.range(first..=last).next().is_some()
    }
}

/// Number of the chunk that holds a byte.
pub(crate) fn chunk_index(offset: u64) -> u32 {
    u32::try_from(offset / CHUNK).unwrap_or(u32::MAX)
}
