//! Values that are believed for a while; the oldest make room for new ones.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Values that are kept at most.
const ENTRIES_MAX: usize = 400_000;

#[derive(Debug)]
struct Entries<K, V> {
    values: HashMap<K, (V, Instant)>,
    /// In order of insertion; keys may be there twice or be gone.
    order: VecDeque<(K, Instant)>,
}

/// What a cache did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheCounters {
    pub(crate) entries: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) inserts: u64,
}

/// A cache by key and time. Without a time it keeps nothing.
#[derive(Debug)]
pub(crate) struct Timed<K, V> {
    keep: Duration,
    entries: Mutex<Entries<K, V>>,
    hits: AtomicU64,
    misses: AtomicU64,
    inserts: AtomicU64,
}

impl<K: Eq + Hash + Clone, V: Clone> Timed<K, V> {
    /// `keep`: how long a value is believed; zero switches the cache off.
    pub(crate) fn new(keep: Duration) -> Timed<K, V> {
        Timed {
            keep,
            entries: Mutex::new(Entries {
                values: HashMap::new(),
                order: VecDeque::new(),
            }),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is kept.
    pub(crate) fn is_on(&self) -> bool {
        !self.keep.is_zero()
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        if !self.is_on() {
            return None;
        }
        let entries = self.lock();
        let found = entries
            .values
            .get(key)
            .filter(|(_, since)| since.elapsed() < self.keep)
            .map(|(value, _)| value.clone());
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, key: K, value: V) {
        if !self.is_on() {
            return;
        }
        self.inserts.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut entries = self.lock();
        entries.values.insert(key.clone(), (value, now));
        entries.order.push_back((key, now));
        let keep = self.keep;
        while let Some((_, since)) = entries.order.front() {
            let is_old = now.duration_since(*since) >= keep;
            if !is_old && entries.order.len() <= ENTRIES_MAX {
                break;
            }
            if let Some((key, since)) = entries.order.pop_front()
                && entries.values.get(&key).is_some_and(|(_, at)| *at == since)
            {
                entries.values.remove(&key);
            }
        }
    }

    pub(crate) fn forget(&self, key: &K) {
        if self.is_on() {
            self.lock().values.remove(key);
        }
    }

    pub(crate) fn clear(&self) {
        let mut entries = self.lock();
        entries.values.clear();
        entries.order.clear();
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        CacheCounters {
            entries: self.lock().values.len() as u64,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            inserts: self.inserts.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, Timed};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn values_end_by_time_and_by_number() {
        let cache = Timed::new(Duration::from_secs(5));
        cache.put(1, 'a');
        assert_eq!(cache.get(&1), Some('a'));
        tokio::time::advance(Duration::from_secs(4)).await;
        cache.put(1, 'b');
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(cache.get(&1), Some('b'), "put again: its time starts anew");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(cache.get(&1), None);
        for key in 0..ENTRIES_MAX + 10 {
            cache.put(key, 'c');
        }
        assert_eq!(cache.counters().entries, ENTRIES_MAX as u64);
        assert_eq!(cache.get(&9), None);
        assert_eq!(cache.get(&10), Some('c'));
        let off = Timed::new(Duration::ZERO);
        off.put(1, 'a');
        assert_eq!(off.get(&1), None);
    }
}
