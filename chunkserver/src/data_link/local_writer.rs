//! This server's part of a write: packets queue up and are written by the threads of the chunk's
//! disk, several at a time, in their order.

use super::frame::Frame;
use crate::store::Store;
use crate::store::chunk_file::Piece;
use crate::store::disk::Disk;
use crate::store::open_chunk::OpenChunk;
use crate::store::serve::check_write;
use parking_lot::Mutex;
use proto::chunkserver::WriteDataHeader;
use proto::{ChunkVersion, Status};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Packets that one system call or one lock of the chunk may cover.
const BATCH: usize = 32;
/// Batches before others on the disk get their turn.
const ROUNDS: usize = 4;

/// A packet to be written.
#[derive(Debug)]
pub struct Item {
    /// What and where.
    pub header: WriteDataHeader,
    /// The packet.
    pub frame: Arc<Frame>,
    /// Place of the data in its payload.
    pub data_at: usize,
}

impl Item {
    fn data(&self) -> &[u8] {
        &self.frame.payload()[self.data_at..]
    }
}

/// Writes packets to one chunk.
#[derive(Debug)]
pub struct LocalWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    disk: Arc<Disk>,
    open: Arc<OpenChunk>,
    version: ChunkVersion,
    queue: Mutex<Queue>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    /// A thread is at work, or will be.
    scheduled: bool,
    done: VecDeque<Status>,
    /// Nothing is written after a failure.
    failed: bool,
}

impl LocalWriter {
    /// A writer to a chunk that was opened for it.
    pub fn new(
        store: &Arc<Store>,
        disk: &Arc<Disk>,
        open: Arc<OpenChunk>,
        version: ChunkVersion,
    ) -> LocalWriter {
        LocalWriter {
            shared: Arc::new(Shared {
                store: Arc::clone(store),
                disk: Arc::clone(disk),
                open,
                version,
                queue: Mutex::default(),
                bell: Notify::new(),
            }),
        }
    }

    /// Queues a packet; its status comes later.
    pub fn push(&self, item: Item) {
        let mut queue = self.shared.queue.lock();
        queue.waiting.push_back(item);
        if !queue.scheduled {
            queue.scheduled = true;
            drop(queue);
            let shared = Arc::clone(&self.shared);
            self.shared.disk.pool.resume(move || shared.drain());
        }
    }

    /// The status of the next packet in order; waits for it.
    pub async fn next(&self) -> Status {
        loop {
            if let Some(status) = self.try_next() {
                return status;
            }
            self.shared.bell.notified().await;
        }
    }

    /// The status of the next packet in order, if it is known.
    pub fn try_next(&self) -> Option<Status> {
        self.shared.queue.lock().done.pop_front()
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        self.shared.store.end_write(&self.shared.open);
    }
}

impl Shared {
    fn drain(self: Arc<Self>) {
        for _ in 0..ROUNDS {
            let batch: Vec<Item> = {
                let mut queue = self.queue.lock();
                let count = queue.waiting.len().min(BATCH);
                if count == 0 {
                    queue.scheduled = false;
                    return;
                }
                queue.waiting.drain(..count).collect()
            };
            let statuses = self.write(&batch);
            let mut queue = self.queue.lock();
            queue.failed |= statuses.iter().any(|status| *status != Status::Ok);
            queue.done.extend(statuses);
            drop(queue);
            self.bell.notify_one();
        }
        let again = Arc::clone(&self);
        self.disk.pool.resume(move || again.drain());
    }

    fn write(&self, batch: &[Item]) -> Vec<Status> {
        if self.queue.lock().failed {
            return vec![Status::NotDone; batch.len()];
        }
        let mut refused = None;
        let mut pieces = Vec::with_capacity(batch.len());
        for item in batch {
            let data = item.data();
            if let Err(status) = check_write(&item.header, self.open.chunk, data) {
                refused = Some(status);
                break;
            }
            pieces.push(Piece {
                block: item.header.block,
                offset: item.header.offset,
                crc: item.header.crc,
                data,
            });
        }
        let mut statuses = match pieces.is_empty() {
            true => Vec::new(),
            false => self.store.write(&self.open, self.version, &pieces),
        };
        statuses.extend(refused);
        statuses.resize(batch.len(), Status::NotDone);
        statuses
    }
}
