//! Names that do not exist; off by default.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::Inode;

use super::timed::{CacheCounters, Timed};

/// Missing names.
#[derive(Debug)]
pub(crate) struct Negative {
    names: Timed<(Inode, Box<[u8]>), ()>,
    removals: AtomicU64,
    epoch: AtomicU64,
}

impl Negative {
    pub(crate) fn new(keep: Duration) -> Negative {
        Negative {
            names: Timed::new(keep),
            removals: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.names.is_on()
    }

    pub(crate) fn contains(&self, parent: Inode, name: &[u8]) -> bool {
        self.names.is_on() && self.names.get(&(parent, name.into())).is_some()
    }

    pub(crate) fn add(&self, parent: Inode, name: &[u8]) {
        if self.names.is_on() {
            self.names.put((parent, name.into()), ());
        }
    }

    pub(crate) fn forget(&self, parent: Inode, name: &[u8]) {
        if self.names.is_on() {
            self.removals.fetch_add(1, Ordering::Relaxed);
            self.names.forget(&(parent, name.into()));
        }
    }

    /// Names were made that are not known here, as often as `epoch` says: a higher number than
    /// before empties the cache.
    pub(crate) fn heed(&self, epoch: u64) {
        if self.is_on() && self.epoch.swap(epoch, Ordering::Relaxed) != epoch {
            self.names.clear();
        }
    }

    /// Counters, and names that were taken out.
    pub(crate) fn counters(&self) -> (CacheCounters, u64) {
        (self.names.counters(), self.removals.load(Ordering::Relaxed))
    }
}
