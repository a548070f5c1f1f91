//! The log of one node: segments on disk, the newest entries in memory, the vote.
//!
//! An append returns when the entries can be read here, and is reported when they are durable; one
//! thread does all writing in order (`writer`). What others may rely on is exactly what was reported.

pub mod files;
pub mod segment;
mod writer;

use crate::types::{Entry, LogId, Types, Vote, position};
use crate::wire::{WirePosition, WireVote, unplace};
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, LogState, OptionalSend};
use segment::Segment;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use writer::{Command, Writer};

/// Entries kept in memory for followers that are not far behind, bytes.
const CACHE_BYTES: usize = 64 << 20;
/// Entries read at once for a follower, bytes.
const READ_BYTES: usize = 4 << 20;

/// Where an entry is on disk.
#[derive(Clone, Debug)]
struct Place {
    segment: Arc<Segment>,
    offset: u64,
    length: u32,
}

#[derive(Debug)]
struct Slot {
    log_id: LogId,
    place: Option<Place>,
    cached: Option<Entry>,
}

/// What is known of the log without reading it.
#[derive(Debug, Default)]
struct State {
    purged: Option<LogId>,
    vote: Option<Vote>,
    slots: VecDeque<Slot>,
    /// Slots before this one hold no entry in memory.
    first_cached: u64,
    cached_bytes: usize,
}

/// What an entry costs in memory, bytes.
fn cost(entry: &Entry) -> usize {
    64 + match &entry.payload {
        EntryPayload::Normal(batch) => batch.bytes.len(),
        _ => 0,
    }
}

impl State {
    fn first_index(&self) -> u64 {
        self.purged.as_ref().map_or(0, |id| id.index() + 1)
    }

    fn last_index(&self) -> Option<u64> {
        self.slots.back().map(|slot| slot.log_id.index())
    }

    fn next_index(&self) -> u64 {
        self.first_index() + self.slots.len() as u64
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let at = index.checked_sub(self.first_index())?;
        self.slots.get(usize::try_from(at).ok()?)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = index.checked_sub(self.first_index())?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    /// An entry is in its file. Entries that are far behind leave the memory.
    fn written(&mut self, index: u64, place: Place) {
        if let Some(slot) = self.slot_mut(index) {
            slot.place = Some(place);
        }
        self.first_cached = self.first_cached.max(self.first_index());
        while self.cached_bytes > CACHE_BYTES && self.first_cached < index {
            let at = self.first_cached;
            let freed = self.slot_mut(at).and_then(|slot| slot.cached.take());
            self.cached_bytes -= freed.as_ref().map_or(0, cost);
            self.first_cached += 1;
        }
    }

    /// Length of the file up to the end of an entry.
    fn end_of(&self, index: u64) -> Option<u64> {
        let place = self.slot(index)?.place.as_ref()?;
        Some(place.offset + u64::from(place.length))
    }

    fn push(&mut self, entry: Entry) {
        self.cached_bytes += cost(&entry);
        self.slots.push_back(Slot {
            log_id: entry.log_id,
            place: None,
            cached: Some(entry),
        });
    }

    fn forget(&mut self, slot: Option<Slot>) {
        if let Some(entry) = slot.and_then(|slot| slot.cached) {
            self.cached_bytes -= cost(&entry);
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

impl Shared {
    /// Nobody panics while he holds it; and if, the state is still what was last written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Handle to the log; all handles mean the same one.
#[derive(Clone, Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
    commands: Sender<Command>,
}

fn gone<T>(_: T) -> io::Error {
    io::Error::other("the writer of the replicated log is gone")
}

impl LogStore {
    /// Opens the log in a directory that exists. A torn end is cut.
    ///
    /// # Errors
    /// A file cannot be read, or damage was found in entries that others rely on: this node must be
    /// filled anew.
    pub fn open(directory: &Path) -> io::Result<LogStore> {
        let mut state = State {
            purged: unplace(files::read::<WirePosition>(directory, "purged")?),
            vote: files::read::<WireVote>(directory, "vote")?.map(WireVote::into_vote),
            ..State::default()
        };
        let mut names: Vec<u64> = Vec::new();
        for file in std::fs::read_dir(directory)? {
            let name = file?.file_name();
            names.extend(name.to_str().and_then(segment::first_of));
        }
        names.sort_unstable();
        let mut segments = Vec::new();
        let mut length = 0;
        let count = names.len();
        for (number, first) in names.into_iter().enumerate() {
            let path = directory.join(segment::file_name(first));
            let bytes = std::fs::read(&path)?;
            let is_last = number + 1 == count;
            let damaged = |what: String| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: {what}", path.display()),
                )
            };
            let scan = segment::scan(&bytes, first, is_last).map_err(damaged)?;
            if scan.whole_bytes == 0 {
                std::fs::remove_file(&path)?;
                continue;
            }
            let segment = Arc::new(Segment::open(&path, first)?);
            if scan.is_torn {
                tracing::warn!(
                    "{}: a crash left {} bytes of entries that nobody was promised: cut",
                    path.display(),
                    bytes.len() as u64 - scan.whole_bytes
                );
                segment.file.set_len(scan.whole_bytes)?;
            }
            if is_last {
                // What is read here counts as durable from now on, whoever wrote it.
                segment.file.sync_all()?;
            }
            for found in scan.records {
                let index = found.entry.log_id.index();
                if index < state.first_index() {
                    continue;
                }
                if index != state.next_index() {
                    return Err(damaged(format!(
                        "entries from {} to {} are missing",
                        state.next_index(),
                        index - 1
                    )));
                }
                state.push(found.entry);
                state.written(
                    index,
                    Place {
                        segment: Arc::clone(&segment),
                        offset: found.offset,
                        length: found.length,
                    },
                );
            }
            length = scan.whole_bytes;
            segments.push(segment);
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
        });
        let (commands, received) = channel();
        let writer = Writer {
            directory: directory.to_owned(),
            shared: Arc::clone(&shared),
            segments,
            length,
            durable: length,
            failed: false,
        };
        std::thread::Builder::new()
            .name("log writer".to_owned())
            .spawn(move || writer.run(&received))?;
        Ok(LogStore { shared, commands })
    }

    /// Whether nothing was ever written: no vote, no entry, nothing purged.
    pub fn is_pristine(&self) -> bool {
        let state = self.shared.lock();
        state.vote.is_none() && state.purged.is_none() && state.slots.is_empty()
    }

    /// Ends the writing thread after everything that was asked for.
    pub fn stop(&self) {
        // It is gone already.
        drop(self.commands.send(Command::Stop));
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Command,
    ) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).map_err(gone)?;
        answer.await.map_err(gone)?
    }

    /// Entries of a range, at most about `bytes_max` bytes and at least one if there is one.
    fn read(&self, begin: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        enum Source {
            Memory(Entry),
            Disk(Place),
        }
        let mut sources = Vec::new();
        {
            let state = self.shared.lock();
            let begin = begin.max(state.first_index());
            let mut bytes = 0;
            for index in begin..end.min(state.next_index()) {
                let Some(slot) = state.slot(index) else { break };
                let source = match (&slot.cached, &slot.place) {
                    (Some(entry), _) => {
                        bytes += cost(entry);
                        Source::Memory(entry.clone())
                    }
                    (None, Some(place)) => {
                        bytes += place.length as usize;
                        Source::Disk(place.clone())
                    }
                    (None, None) => return Err(io::Error::other("an entry is nowhere")),
                };
                sources.push(source);
                if bytes >= bytes_max {
                    break;
                }
            }
        }
        sources
            .into_iter()
            .map(|source| match source {
                Source::Memory(entry) => Ok(entry),
                Source::Disk(place) => place.segment.read(place.offset, place.length),
            })
            .collect()
    }

    /// Bytes of the log on disk, roughly, from an entry on.
    pub fn bytes_after(&self, index: u64) -> u64 {
        let state = self.shared.lock();
        let Some(last) = state.slots.back() else {
            return 0;
        };
        let count = last.log_id.index().saturating_sub(index);
        let place = last.place.as_ref().map_or(64, |place| place.length);
        count * u64::from(place)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let begin = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&index) => index.saturating_add(1),
            Bound::Excluded(&index) => index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(begin, end, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.shared.lock();
        Ok(LogState {
            last_purged_log_id: state.purged,
            last_log_id: state.slots.back().map(|slot| slot.log_id).or(state.purged),
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let saved = *vote;
        self.ask(|done| Command::Vote(saved, done)).await?;
        self.shared.lock().vote = Some(saved);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut state = self.shared.lock();
            for entry in &entries {
                if entry.log_id.index() != state.next_index() {
                    return Err(io::Error::other(format!(
                        "entry {} would leave a hole: {} is the next",
                        position(&entry.log_id),
                        state.next_index()
                    )));
                }
                state.push(entry.clone());
            }
        }
        self.commands
            .send(Command::Append(entries, callback))
            .map_err(gone)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        // The file is cut while the table still knows where its entries end.
        self.ask(|done| Command::Truncate(last_log_id, done))
            .await?;
        let mut state = self.shared.lock();
        let next = last_log_id.map_or(0, |id| id.index() + 1);
        while state.last_index().is_some_and(|last| last >= next) {
            let slot = state.slots.pop_back();
            state.forget(slot);
        }
        let (first_cached, next) = (state.first_cached, state.next_index());
        state.first_cached = first_cached.min(next);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.ask(|done| Command::Purge(log_id, done)).await?;
        let mut state = self.shared.lock();
        while state
            .slots
            .front()
            .is_some_and(|slot| slot.log_id.index() <= log_id.index())
        {
            let slot = state.slots.pop_front();
            state.forget(slot);
        }
        state.purged = state.purged.max(Some(log_id));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
