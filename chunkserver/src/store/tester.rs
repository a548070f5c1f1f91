//! The background test of a disk (chunkserver §5.4): every chunk in turn is opened, and read when
//! nobody has used it for a while, at a limited number of bytes a second.

use super::Store;
use super::disk::Disk;
use super::index::SHARDS;
use super::layout::BLOCK;
use super::open_chunk::OpenChunk;
use proto::{ChunkId, ChunkVersion, Status};
use std::sync::Arc;
use std::time::Instant;

/// Bytes that opening a chunk counts as.
const OPEN_COST: f64 = 8192.0;
/// Blocks read at a time.
const RUN: usize = 16;

/// The test of one disk.
#[derive(Debug)]
pub struct Tester {
    /// Bytes that may be read now.
    budget: f64,
    refilled: Instant,
    /// Part of the index that comes next.
    part: usize,
    /// Chunks of the part before it.
    queue: Vec<ChunkId>,
    /// The chunk that is being read, and the next block.
    current: Option<(Arc<OpenChunk>, u16)>,
}

impl Tester {
    /// A test that begins somewhere.
    pub fn new(seed: usize) -> Tester {
        Tester {
            budget: 0.0,
            refilled: Instant::now(),
            part: seed % SHARDS,
            queue: Vec::new(),
            current: None,
        }
    }

    /// Does what the budget allows now.
    pub fn step(&mut self, store: &Store, disk: &Arc<Disk>) {
        let settings = store.settings();
        let speed = settings.test_bytes_per_second as f64;
        let elapsed = self.refilled.elapsed().as_secs_f64();
        self.refilled = Instant::now();
        let most = speed.max((RUN * BLOCK) as f64);
        self.budget = (self.budget + speed * elapsed).min(most);
        if speed <= 0.0 || disk.marks().removal {
            self.current = None;
            return;
        }
        let mut empty_parts = 0;
        while self.budget >= OPEN_COST && disk.is_served() {
            if let Some((open, block)) = self.current.take() {
                self.read(store, &open, block);
                continue;
            }
            match self.queue.pop() {
                Some(chunk) => self.open(store, chunk),
                None if empty_parts == SHARDS => return,
                None => {
                    self.queue = store.untested(disk, self.part);
                    self.part = (self.part + 1) % SHARDS;
                    empty_parts += 1;
                }
            }
        }
    }

    fn open(&mut self, store: &Store, chunk: ChunkId) {
        let Ok(open) = store.find_quietly(chunk) else {
            return;
        };
        self.budget -= OPEN_COST;
        store.counters.tests.add(1);
        let Some(mut state) = open.try_lock() else {
            return;
        };
        if open.is_gone() || store.file(chunk, &mut state, false).is_err() {
            return;
        }
        drop(state);
        if store.unused_for(chunk) >= store.settings().test_interval_s {
            self.current = Some((open, 0));
        }
    }

    /// Reads the next blocks of a chunk.
    fn read(&mut self, store: &Store, open: &Arc<OpenChunk>, block: u16) {
        let Ok(mut state) = open.lock() else {
            return;
        };
        let chunk = open.chunk;
        let Ok(file) = store.file(chunk, &mut state, false) else {
            return;
        };
        let left = usize::from(file.blocks().saturating_sub(block));
        if left == 0 {
            let settings = store.settings();
            if settings
                .drop_cache_after_s
                .is_some_and(|seconds| store.unused_for(chunk) >= seconds)
            {
                file.drop_cache();
            }
            return;
        }
        let count = left.min(RUN).min((self.budget as usize / BLOCK).max(1));
        let mut data = vec![0; count * BLOCK];
        self.budget -= data.len() as f64;
        match file.read_blocks(block, &mut data) {
            Ok(()) => {
                drop(state);
                self.current = Some((Arc::clone(open), block + count as u16));
            }
            Err(fault) => {
                store.fault(chunk, &state.disk, &fault);
            }
        }
    }
}

impl Store {
    /// Chunks of a disk in a part of the index that have given no error.
    fn untested(&self, disk: &Disk, part: usize) -> Vec<ChunkId> {
        let shard = self.index.part(part);
        let here = |slot: &&super::index::Slot| slot.disk == disk.id && !slot.damaged;
        shard.iter().filter(here).map(|slot| slot.chunk).collect()
    }

    /// Compares all blocks of a copy with their CRCs at once.
    pub fn test(&self, chunk: ChunkId, version: ChunkVersion) -> Result<(), Status> {
        let open = self.find(chunk, version)?;
        let mut state = self.enter(&open, version)?;
        let file = self.file(chunk, &mut state, false)?;
        let mut data = vec![0; BLOCK];
        let tested = (0..file.blocks()).try_for_each(|block| file.read_blocks(block, &mut data));
        self.counters.tests.add(1);
        tested.map_err(|fault| self.fault(chunk, &state.disk, &fault))
    }

    /// Seconds since the last use of a chunk.
    fn unused_for(&self, chunk: ChunkId) -> u32 {
        let used = self.index.shard(chunk).get(chunk).map(|slot| slot.used);
        super::unix_now().saturating_sub(used.unwrap_or(0))
    }
}
