//! Where chunks lie: valid while the master pushes changes of the file to this session.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::client::push::ChunkChanged;
use proto::{ChunkId, ChunkVersion, Inode};

use crate::operations::ChunkPlace;

/// Files that are remembered at most.
const FILES_MAX: usize = 100_000;
/// Chunks of one file that are remembered at most.
const CHUNKS_MAX: usize = 4096;

/// Locations by file and number of the chunk.
#[derive(Debug, Default)]
pub(crate) struct Places {
    files: Mutex<HashMap<Inode, HashMap<u32, ChunkPlace>>>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<Inode, HashMap<u32, ChunkPlace>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, inode: Inode, index: u32) -> Option<ChunkPlace> {
        self.lock().get(&inode)?.get(&index).cloned()
    }

    pub(crate) fn put(&self, inode: Inode, index: u32, place: ChunkPlace) {
        let mut files = self.lock();
        if files.len() >= FILES_MAX && !files.contains_key(&inode) {
            files.clear();
        }
        let chunks = files.entry(inode).or_default();
        if chunks.len() >= CHUNKS_MAX {
            chunks.clear();
        }
        chunks.insert(index, place);
    }

    /// Whether the chunk that was read is still the file's chunk. What is not known is believed.
    pub(crate) fn is_current(
        &self,
        inode: Inode,
        index: u32,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> bool {
        self.lock()
            .get(&inode)
            .and_then(|chunks| chunks.get(&index))
            .is_none_or(|place| (place.chunk, place.version) == (chunk, version))
    }

    pub(crate) fn forget(&self, inode: Inode, index: u32) {
        if let Some(chunks) = self.lock().get_mut(&inode) {
            chunks.remove(&index);
        }
    }

    /// The file was cut: chunks from `index` on are others now.
    pub(crate) fn forget_from(&self, inode: Inode, index: u32) {
        if let Some(chunks) = self.lock().get_mut(&inode) {
            chunks.retain(|known, _| *known < index);
        }
    }

    pub(crate) fn forget_file(&self, inode: Inode) {
        self.lock().remove(&inode);
    }

    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Another session changed a chunk: its servers stay, its number and version are new.
    pub(crate) fn changed(&self, change: &ChunkChanged) {
        if change.truncated {
            self.forget_from(change.inode, change.index.saturating_add(1));
        }
        let mut files = self.lock();
        let Some(chunks) = files.get_mut(&change.inode) else {
            return;
        };
        if let Some(place) = chunks.get_mut(&change.index) {
            if place.chunk == ChunkId::HOLE {
                // Its servers are not known.
                chunks.remove(&change.index);
                return;
            }
            place.chunk = change.chunk;
            place.version = change.version;
        }
    }
}
