//! What a handle has read or is reading: segments, each filled front to back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ahead::{Ahead, AheadOptions};
use crate::error::{Error, Result};
use crate::file::CHUNK;

/// Largest segment: one request to a chunkserver.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;
/// Smallest piece that is fetched ahead, except at the end of a chunk or file.
const SEGMENT_BYTES_MIN: u64 = 512 << 10;
/// Filled segments that a read does not touch and that are kept behind it.
const KEPT_BEHIND: usize = 3;
/// How long a filled segment serves.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Segments of one handle that are being filled.
const LOADING_MAX: usize = 16;

/// Memory for reading of a whole mount.
#[derive(Debug)]
pub(crate) struct ReadMemory {
    used: AtomicU64,
    limit: u64,
}

impl ReadMemory {
    pub(crate) fn new(limit: u64) -> Arc<ReadMemory> {
        Arc::new(ReadMemory {
            used: AtomicU64::new(0),
            limit,
        })
    }

    fn try_take(&self, bytes: u64) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used + bytes <= self.limit).then_some(used + bytes)
            })
            .is_ok()
    }
}

/// A range of a file, inside one chunk, that is being fetched or was.
#[derive(Debug)]
pub(crate) struct Segment {
    /// First byte in the file.
    pub(crate) start: u64,
    /// Number of bytes.
    pub(crate) size: u32,
    state: Mutex<SegmentState>,
    filled: Notify,
    /// Returned to the mount's memory at the end.
    memory: Option<Arc<ReadMemory>>,
}

#[derive(Debug)]
struct SegmentState {
    pieces: Vec<Bytes>,
    filled: u32,
    outcome: Option<Result<()>>,
    is_stale: bool,
    used_at: Instant,
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory
                .used
                .fetch_sub(u64::from(self.size), Ordering::Relaxed);
        }
    }
}

impl Segment {
    fn new(start: u64, size: u32, memory: Option<Arc<ReadMemory>>) -> Arc<Segment> {
        Arc::new(Segment {
            start,
            size,
            state: Mutex::new(SegmentState {
                pieces: Vec::new(),
                filled: 0,
                outcome: None,
                is_stale: false,
                used_at: Instant::now(),
            }),
            filled: Notify::new(),
            memory,
        })
    }

    fn lock(&self) -> MutexGuard<'_, SegmentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Byte behind the last in the file.
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.size)
    }

    /// Bytes that are there.
    pub(crate) fn filled(&self) -> u32 {
        self.lock().filled
    }

    /// Appends bytes.
    pub(crate) fn fill(&self, piece: Bytes) {
        let mut state = self.lock();
        state.filled += piece.len() as u32;
        state.pieces.push(piece);
        drop(state);
        self.filled.notify_waiters();
    }

    /// Appends bytes that belong at `position`, unless they are there already.
    pub(crate) fn fill_at(&self, position: u32, piece: Bytes) {
        let mut state = self.lock();
        let is_new = state.filled == position;
        if is_new {
            state.filled += piece.len() as u32;
            state.pieces.push(piece);
        }
        drop(state);
        if is_new {
            self.filled.notify_waiters();
        }
    }

    /// Throws away what came: it has to be fetched again.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        state.pieces.clear();
        state.filled = 0;
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self, outcome: Result<()>) {
        self.lock().outcome = Some(outcome);
        self.filled.notify_waiters();
    }

    /// Bytes from `from` up to `to` (positions in the file) as pieces, as soon as they are there.
    /// `None`: the data were changed meanwhile and have to be fetched again.
    pub(crate) async fn take(
        &self,
        from: u64,
        to: u64,
        out: &mut Vec<Bytes>,
    ) -> Result<Option<()>> {
        let needed = (to - self.start) as u32;
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            {
                let mut state = self.lock();
                if state.is_stale {
                    return Ok(None);
                }
                if state.filled >= needed {
                    state.used_at = Instant::now();
                    slice(
                        &state.pieces,
                        (from - self.start) as usize,
                        needed as usize,
                        out,
                    );
                    return Ok(Some(()));
                }
                match state.outcome {
                    Some(Err(error)) => return Err(error),
                    Some(Ok(())) => return Err(Error::Malformed),
                    None => {}
                }
            }
            filled.await;
        }
    }
}

/// Appends the bytes `from..to` of pieces that lie behind each other.
fn slice(pieces: &[Bytes], from: usize, to: usize, out: &mut Vec<Bytes>) {
    let mut at = 0;
    for piece in pieces {
        let (start, end) = (at, at + piece.len());
        at = end;
        if end > from && start < to {
            out.push(piece.slice(from.saturating_sub(start)..(to - start).min(piece.len())));
        }
        if end >= to {
            break;
        }
    }
}

/// A segment that has to be waited for, and the part of it that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) segment: Arc<Segment>,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What a read needs, and what has to be started for it and ahead of it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In order, without gaps.
    pub(crate) wanted: Vec<Wanted>,
    /// Segments that nobody fetches yet.
    pub(crate) start: Vec<Arc<Segment>>,
}

/// Segments of one handle.
#[derive(Debug)]
pub(crate) struct Buffers {
    inner: Mutex<Inner>,
    memory: Arc<ReadMemory>,
    options: AheadOptions,
}

#[derive(Debug, Default)]
struct Inner {
    /// Ascending, without overlaps.
    segments: VecDeque<Arc<Segment>>,
    ahead: Ahead,
}

impl Buffers {
    pub(crate) fn new(memory: Arc<ReadMemory>, options: AheadOptions) -> Buffers {
        Buffers {
            inner: Mutex::default(),
            memory,
            options,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what was read in a range, also what is on its way.
    pub(crate) fn invalidate(&self, from: u64, to: u64) {
        self.lock().segments.retain(|segment| {
            let is_outside = segment.end() <= from || segment.start >= to;
            if !is_outside {
                segment.lock().is_stale = true;
                segment.filled.notify_waiters();
            }
            is_outside
        });
    }

    /// Plans the read of `from..to` in a file of `length` bytes. `may_read_ahead`: nothing is
    /// being written.
    pub(crate) fn plan(&self, from: u64, to: u64, length: u64, may_read_ahead: bool) -> Plan {
        let mut inner = self.lock();
        let window = inner.ahead.read(from, to - from, &self.options);
        let is_random = inner.ahead.is_random();
        inner.tidy(from, to);
        let mut plan = Plan::default();
        let mut at = from;
        while at < to {
            if let Some(segment) = inner.covering(at) {
                let end = segment.end().min(to);
                plan.wanted.push(Wanted {
                    segment,
                    from: at,
                    to: end,
                });
                at = end;
                continue;
            }
            let end = inner.gap_end(at).min(to);
            let end = end.min(at + SEGMENT_BYTES_MAX).min(chunk_end(at));
            // Memory for what somebody waits for is never refused; it is as much as the kernel
            // asks for at a time.
            let segment = Segment::new(at, (end - at) as u32, None);
            plan.start.push(Arc::clone(&segment));
            if !is_random {
                inner.insert(Arc::clone(&segment));
            }
            plan.wanted.push(Wanted {
                segment,
                from: at,
                to: end,
            });
            at = end;
        }
        if window > 0 && may_read_ahead {
            self.read_ahead(&mut inner, to, window, length, &mut plan);
        }
        plan
    }

    fn read_ahead(&self, inner: &mut Inner, to: u64, window: u64, length: u64, plan: &mut Plan) {
        let goal = (to + window).min(length);
        let part = (window / 4).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let mut at = to;
        while at < goal {
            if let Some(segment) = inner.covering(at) {
                at = segment.end();
                continue;
            }
            let full = inner
                .gap_end(at)
                .min(at + part)
                .min(chunk_end(at))
                .min(length);
            // A small rest of the window waits until it is worth a request.
            if full > goal && full - at > SEGMENT_BYTES_MIN / 2 {
                break;
            }
            let size = full - at;
            if inner.loading() >= LOADING_MAX || !self.memory.try_take(size) {
                break;
            }
            let segment = Segment::new(at, size as u32, Some(Arc::clone(&self.memory)));
            plan.start.push(Arc::clone(&segment));
            inner.insert(segment);
            at = full;
        }
    }
}

fn chunk_end(at: u64) -> u64 {
    (at / CHUNK + 1) * CHUNK
}

impl Inner {
    fn covering(&self, at: u64) -> Option<Arc<Segment>> {
        self.segments
            .iter()
            .find(|segment| segment.start <= at && at < segment.end())
            .cloned()
    }

    /// Start of the first segment behind `at`.
    fn gap_end(&self, at: u64) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.start)
            .find(|start| *start > at)
            .unwrap_or(u64::MAX)
    }

    fn insert(&mut self, segment: Arc<Segment>) {
        let at = self
            .segments
            .partition_point(|other| other.start < segment.start);
        self.segments.insert(at, segment);
    }

    fn loading(&self) -> usize {
        self.segments
            .iter()
            .filter(|segment| segment.lock().outcome.is_none())
            .count()
    }

    /// Drops failed and old segments, and those far behind the read.
    fn tidy(&mut self, from: u64, to: u64) {
        let now = Instant::now();
        self.segments.retain(|segment| {
            let state = segment.lock();
            let is_old = now.duration_since(state.used_at) > KEPT_FOR;
            let has_failed = matches!(state.outcome, Some(Err(_)));
            let is_behind = segment.end() <= from || segment.start >= to;
            !(has_failed || (is_old && is_behind && state.outcome.is_some()))
        });
        let behind = self
            .segments
            .iter()
            .filter(|segment| segment.end() <= from && segment.lock().outcome.is_some())
            .count();
        for _ in KEPT_BEHIND..behind {
            let first = self
                .segments
                .iter()
                .position(|segment| segment.end() <= from && segment.lock().outcome.is_some());
            if let Some(first) = first {
                self.segments.remove(first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn buffers(limit: u64) -> Buffers {
        Buffers::new(
            ReadMemory::new(limit),
            AheadOptions {
                length: MIB,
                trigger: 10 * MIB,
            },
        )
    }

    fn started(plan: &Plan) -> Vec<(u64, u64)> {
        plan.start
            .iter()
            .map(|segment| (segment.start, segment.end()))
            .collect()
    }

    fn complete(plan: &Plan) {
        for segment in &plan.start {
            segment.fill(vec![7; segment.size as usize].into());
            segment.finish(Ok(()));
        }
    }

    #[test]
    fn a_sequential_reader_finds_what_was_fetched_ahead() {
        let buffers = buffers(100 * MIB);
        let plan = buffers.plan(0, 131_072, 100 * MIB, true);
        assert_eq!(
            started(&plan),
            [(0, 131_072), (131_072, 655_360), (655_360, 1_179_648)],
            "the read and the window behind it"
        );
        complete(&plan);
        let plan = buffers.plan(131_072, 262_144, 100 * MIB, true);
        assert_eq!(started(&plan), [], "a small rest is not worth a request");
        assert_eq!(plan.wanted.len(), 1);
        let plan = buffers.plan(655_360, 786_432, 100 * MIB, true);
        assert_eq!(started(&plan), [(1_179_648, 1_703_936)]);
    }

    #[test]
    fn nothing_is_fetched_beyond_length_memory_and_chunk() {
        let plan = buffers(100 * MIB).plan(0, 4096, 8192, true);
        assert_eq!(started(&plan), [(0, 4096), (4096, 8192)]);
        let plan = buffers(1000).plan(0, 4096, 100 * MIB, true);
        assert_eq!(started(&plan), [(0, 4096)]);
        let plan = buffers(100 * MIB).plan(0, 4096, 100 * MIB, false);
        assert_eq!(started(&plan), [(0, 4096)]);
        let end = 64 * MIB;
        let plan = buffers(100 * MIB).plan(end - 4096, end + 4096, 100 * MIB, true);
        assert_eq!(started(&plan), [(end - 4096, end), (end, end + 4096)]);
    }

    #[tokio::test]
    async fn pieces_come_as_soon_as_they_are_there_and_not_when_stale() {
        let buffers = buffers(100 * MIB);
        let plan = buffers.plan(0, 8192, 8192, true);
        let segment = &plan.wanted[0].segment;
        segment.fill(Bytes::from_static(&[1; 3000]));
        segment.fill(Bytes::from_static(&[2; 3000]));
        let mut out = Vec::new();
        assert_eq!(segment.take(2000, 4000, &mut out).await, Ok(Some(())));
        assert_eq!(out.iter().map(Bytes::len).collect::<Vec<_>>(), [1000, 1000]);
        buffers.invalidate(8000, 9000);
        assert_eq!(segment.take(0, 10, &mut out).await, Ok(None));
        segment.finish(Err(Error::Malformed));
    }

    #[test]
    fn memory_comes_back() {
        let buffers = buffers(MIB);
        let plan = buffers.plan(0, 4096, 100 * MIB, true);
        assert!(buffers.memory.used.load(Ordering::Relaxed) > 0);
        drop(plan);
        buffers.invalidate(0, u64::MAX);
        assert_eq!(buffers.memory.used.load(Ordering::Relaxed), 0);
    }
}
