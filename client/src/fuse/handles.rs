//! Numbers of open files and directories.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the kernel refers to by number. Numbers are never used twice.
#[derive(Debug)]
pub(super) struct Handles<T> {
    entries: Mutex<HashMap<u64, Arc<T>>>,
    last: AtomicU64,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Handles {
            entries: Mutex::default(),
            last: AtomicU64::new(0),
        }
    }
}

impl<T> Handles<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a value: its number.
    pub(super) fn insert(&self, value: T) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(number, Arc::new(value));
        number
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<T>> {
        self.lock().get(&number).cloned()
    }

    pub(super) fn remove(&self, number: u64) -> Option<Arc<T>> {
        self.lock().remove(&number)
    }
}
