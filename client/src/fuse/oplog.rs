//! `.oplog` and `.ophistory`: a line for each finished operation (client-behaviour §4.4).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

/// Text that is kept at most.
const BYTES_MAX: usize = 15 << 20;
/// Longest line.
const LINE_BYTES_MAX: usize = 1000;
/// A reader that finds nothing new for this long gets [`IDLE`].
const PATIENCE: Duration = Duration::from_secs(1);
const IDLE: &[u8] = b"#\n";

#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    /// Position of the first byte that is kept.
    start: u64,
}

/// The log of a mount. Lines are made only while somebody reads it, or has done so.
#[derive(Debug, Default)]
pub(super) struct OpLog {
    ring: Mutex<Ring>,
    grown: Notify,
    readers: AtomicUsize,
}

/// An open log.
#[derive(Debug)]
pub(super) struct Reader {
    position: AtomicU64,
}

impl OpLog {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lines are worth making.
    pub(super) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// A reader at the end, or at the start of what is kept.
    pub(super) fn reader(&self, from_start: bool) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        let ring = self.lock();
        let position = if from_start {
            ring.start
        } else {
            ring.start + ring.bytes.len() as u64
        };
        Reader {
            position: AtomicU64::new(position),
        }
    }

    /// Adds a line; its time is put before it.
    pub(super) fn add(&self, line: &str) {
        let mut text = format!("{}: {line}", now());
        if text.len() > LINE_BYTES_MAX {
            let mut end = LINE_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        text.push('\n');
        let mut ring = self.lock();
        ring.bytes.extend(text.as_bytes());
        let excess = ring.bytes.len().saturating_sub(BYTES_MAX);
        ring.bytes.drain(..excess);
        ring.start += excess as u64;
        drop(ring);
        self.grown.notify_waiters();
    }
}

impl Reader {
    /// The next lines; after a second without any [`IDLE`], never nothing.
    pub(super) async fn read(&self, log: &OpLog, size: usize) -> Bytes {
        let grown = log.grown.notified();
        tokio::pin!(grown);
        grown.as_mut().enable();
        if let Some(bytes) = self.take(log, size) {
            return bytes;
        }
        // Whether something came or not is seen by looking.
        let _ = tokio::time::timeout(PATIENCE, grown).await;
        self.take(log, size)
            .unwrap_or_else(|| Bytes::from_static(IDLE))
    }

    fn take(&self, log: &OpLog, size: usize) -> Option<Bytes> {
        let ring = log.lock();
        let position = self.position.load(Ordering::Relaxed).max(ring.start);
        let from = (position - ring.start) as usize;
        let bytes: Bytes = ring.bytes.iter().skip(from).take(size).copied().collect();
        self.position
            .store(position + bytes.len() as u64, Ordering::Relaxed);
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Local time as `MM.DD HH:MM:SS.uuuuuu`.
fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since.as_secs() as libc::time_t;
    // SAFETY: both pointers are valid for the call, and tm is plain data.
    let time = unsafe {
        let mut time = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&raw const seconds, &raw mut time);
        time
    };
    format!(
        "{:02}.{:02} {:02}:{:02}:{:02}.{:06}",
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_follow_and_are_told_that_nothing_happens() {
        let log = OpLog::default();
        log.add("uid:0 gid:0 pid:1 cmd:old (): OK");
        let (new, all) = (log.reader(false), log.reader(true));
        assert_eq!(new.read(&log, 100).await, IDLE);
        let text = all.read(&log, 4096).await;
        assert!(
            text.ends_with(b": uid:0 gid:0 pid:1 cmd:old (): OK\n"),
            "{text:?}"
        );
        log.add("new");
        assert!(new.read(&log, 4096).await.ends_with(b": new\n"));
        log.add(&"x".repeat(5000));
        assert_eq!(new.read(&log, 4096).await.len(), LINE_BYTES_MAX + 1);
    }
}
