//! What the master has to learn without asking (chunkserver §2.5): errors, damaged, lost and found
//! copies. Each connection to a master has a queue of its own.

use parking_lot::{Mutex, RwLock};
use proto::ChunkId;
use proto::chunkserver::ReportedChunk;
use std::sync::Arc;
use tokio::sync::Notify;

/// Distributes reports to the queues of all masters.
#[derive(Debug, Default)]
pub struct Reports {
    queues: RwLock<Vec<Arc<ReportQueue>>>,
}

/// Reports for one master.
#[derive(Debug, Default)]
pub struct ReportQueue {
    pending: Mutex<Pending>,
    /// Rings when something was queued.
    pub bell: Notify,
}

/// Reports that wait to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// A registration has begun: copies that come and go are collected. Before, the registration
    /// itself will tell.
    registered: bool,
    /// Errors on disks.
    pub errors: u32,
    /// Copies that gave an error.
    pub damaged: Vec<ChunkId>,
    /// Copies that are gone.
    pub lost: Vec<ChunkId>,
    /// Copies that were found.
    pub new: Vec<ReportedChunk>,
    /// The labels or the space may have changed.
    pub space: bool,
}

impl Reports {
    /// A queue for one more master.
    pub fn subscribe(&self) -> Arc<ReportQueue> {
        let queue = Arc::new(ReportQueue::default());
        self.queues.write().push(Arc::clone(&queue));
        queue
    }

    /// The queue's master is not served any more.
    pub fn unsubscribe(&self, queue: &Arc<ReportQueue>) {
        self.queues
            .write()
            .retain(|other| !Arc::ptr_eq(other, queue));
    }

    fn each(&self, change: impl Fn(&mut Pending)) {
        for queue in self.queues.read().iter() {
            change(&mut queue.pending.lock());
            queue.bell.notify_one();
        }
    }

    /// A copy gave an error.
    pub fn damaged(&self, chunk: ChunkId) {
        self.each(|pending| {
            pending.errors = pending.errors.saturating_add(1);
            pending.damaged.push(chunk);
        });
    }

    /// Copies are gone, or were named and are not here.
    pub fn lost(&self, chunks: &[ChunkId]) {
        self.each(|pending| {
            if pending.registered {
                pending.lost.extend_from_slice(chunks);
            }
        });
    }

    /// Copies were found, or their disk got or lost the mark for removal.
    pub fn found(&self, chunks: &[ReportedChunk]) {
        self.each(|pending| {
            if pending.registered {
                pending.new.extend_from_slice(chunks);
            }
        });
    }

    /// The space may have changed.
    pub fn space_changed(&self) {
        self.each(|pending| pending.space = true);
    }
}

impl ReportQueue {
    /// A registration begins: from now on copies that come and go are collected.
    pub fn begin(&self) {
        let mut pending = self.pending.lock();
        pending.registered = true;
        pending.lost.clear();
        pending.new.clear();
    }

    /// The connection has ended.
    pub fn end(&self) {
        let mut pending = self.pending.lock();
        pending.registered = false;
        pending.lost = Vec::new();
        pending.new = Vec::new();
    }

    /// Takes what waits, at most `limit` lost and `limit` new copies.
    pub fn take(&self, limit: usize) -> Pending {
        let mut pending = self.pending.lock();
        let lost = front(&mut pending.lost, limit);
        let new = front(&mut pending.new, limit);
        Pending {
            registered: pending.registered,
            errors: std::mem::take(&mut pending.errors),
            damaged: std::mem::take(&mut pending.damaged),
            lost,
            new,
            space: std::mem::take(&mut pending.space),
        }
    }

    /// Whether copies wait to be reported.
    pub fn has_more(&self) -> bool {
        let pending = self.pending.lock();
        !pending.lost.is_empty() || !pending.new.is_empty()
    }
}

fn front<T>(list: &mut Vec<T>, limit: usize) -> Vec<T> {
    if list.len() <= limit {
        return std::mem::take(list);
    }
    let rest = list.split_off(limit);
    std::mem::replace(list, rest)
}

#[cfg(test)]
mod tests {
    use super::Reports;
    use proto::ChunkId;

    #[test]
    fn each_master_gets_what_happens_after_its_registration_began() {
        let reports = Reports::default();
        let (one, other) = (reports.subscribe(), reports.subscribe());
        one.begin();
        let chunks: Vec<ChunkId> = (0..5).map(ChunkId).collect();
        reports.lost(&chunks);
        reports.damaged(ChunkId(9));
        assert_eq!(one.take(3).lost, chunks[..3]);
        assert!(one.has_more());
        assert_eq!(one.take(3).lost, chunks[3..]);
        let kept = other.take(3);
        assert_eq!(
            (kept.errors, kept.damaged.len(), kept.lost.len()),
            (1, 1, 0)
        );
        reports.unsubscribe(&other);
        reports.damaged(ChunkId(9));
        assert_eq!(other.take(3).errors, 0);
    }
}
