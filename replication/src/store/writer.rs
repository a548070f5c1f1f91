//! The thread that writes the log: all writes in order, one sync for all that collected while the
//! last one ran.

use super::files;
use super::segment::{HEAD_BYTES, Segment, encode};
use super::{Place, Shared};
use crate::types::{Entry, LogId, Types, Vote};
use crate::wire::{WirePosition, WireVote, place};
use openraft::storage::IOFlushed;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// A segment that has grown so long is followed by a new one, bytes.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Entries that are written by one call, bytes.
const GROUP_BYTES: usize = 8 << 20;

pub(super) type Done = oneshot::Sender<io::Result<()>>;

/// What the thread is asked for.
pub(super) enum Command {
    Append(Vec<Entry>, IOFlushed<Types>),
    Vote(Vote, Done),
    /// Everything behind an entry goes.
    Truncate(Option<LogId>, Done),
    /// Everything up to an entry goes.
    Purge(LogId, Done),
    Stop,
}

pub(super) struct Writer {
    pub directory: PathBuf,
    pub shared: Arc<Shared>,
    /// In order; the last one is written.
    pub segments: Vec<Arc<Segment>>,
    /// Length of the last segment, and how much of it is durable.
    pub length: u64,
    pub durable: u64,
    /// A write failed: nothing is written any more, because what stands in the file is unknown.
    pub failed: bool,
}

impl Writer {
    pub fn run(mut self, commands: &Receiver<Command>) {
        let mut next = None;
        while let Some(command) = next.take().or_else(|| commands.recv().ok()) {
            match command {
                Command::Append(entries, flushed) => {
                    let mut group = vec![(entries, flushed)];
                    let mut count = group
                        .iter()
                        .map(|(entries, _)| entries.len())
                        .sum::<usize>();
                    while count < 100_000 {
                        match commands.try_recv() {
                            Ok(Command::Append(entries, flushed)) => {
                                count += entries.len();
                                group.push((entries, flushed));
                            }
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.append(group);
                }
                Command::Vote(vote, done) => {
                    let saved = files::replace(&self.directory, "vote", &WireVote::from(&vote));
                    drop(done.send(saved));
                }
                Command::Truncate(last, done) => {
                    let result = self.truncate(last.as_ref());
                    self.failed |= result.is_err();
                    drop(done.send(result));
                }
                Command::Purge(upto, done) => drop(done.send(self.purge(&upto))),
                Command::Stop => return,
            }
        }
    }

    fn append(&mut self, group: Vec<(Vec<Entry>, IOFlushed<Types>)>) {
        let result = if self.failed {
            Err(io::Error::other("an earlier write to the log failed"))
        } else {
            self.write_and_sync(group.iter().flat_map(|(entries, _)| entries))
        };
        if let Err(error) = &result {
            tracing::error!(
                "{}: can't write the replicated log: {error}",
                self.directory.display()
            );
            self.failed = true;
        }
        for (_, flushed) in group {
            flushed.io_completed(match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            });
        }
    }

    fn write_and_sync<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut places = Vec::new();
        for entry in entries {
            if self.segments.is_empty() || self.length + buffer.len() as u64 > SEGMENT_BYTES {
                self.write(&mut buffer, &mut places)?;
                self.begin_segment(entry.log_id.index())?;
            }
            let (at, length) = encode(entry, self.durable, &mut buffer)?;
            places.push((entry.log_id.index(), self.length + at as u64, length));
            if buffer.len() >= GROUP_BYTES {
                self.write(&mut buffer, &mut places)?;
            }
        }
        self.write(&mut buffer, &mut places)?;
        self.sync()
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segments.last() {
            segment.file.sync_data()?;
        }
        self.durable = self.length;
        Ok(())
    }

    fn write(&mut self, buffer: &mut Vec<u8>, places: &mut Vec<(u64, u64, u32)>) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let segment = self
            .segments
            .last()
            .ok_or_else(|| io::Error::other("no segment is open"))?;
        segment.file.write_all_at(buffer, self.length)?;
        self.length += buffer.len() as u64;
        let mut state = self.shared.lock();
        for (index, offset, length) in places.drain(..) {
            state.written(
                index,
                Place {
                    segment: Arc::clone(segment),
                    offset,
                    length,
                },
            );
        }
        buffer.clear();
        Ok(())
    }

    fn begin_segment(&mut self, first: u64) -> io::Result<()> {
        self.sync()?;
        let segment = Segment::create(&self.directory, first)?;
        files::sync_directory(&self.directory)?;
        self.segments.push(Arc::new(segment));
        self.length = HEAD_BYTES as u64;
        self.durable = 0;
        Ok(())
    }

    fn truncate(&mut self, last: Option<&LogId>) -> io::Result<()> {
        let next = last.map_or(0, |last| last.index() + 1);
        // Whole segments first, from the end: at no time is there a hole.
        while self
            .segments
            .last()
            .is_some_and(|segment| segment.first >= next)
        {
            if let Some(segment) = self.segments.pop() {
                std::fs::remove_file(&segment.path)?;
                files::sync_directory(&self.directory)?;
            }
        }
        let Some(segment) = self.segments.last() else {
            self.length = 0;
            self.durable = 0;
            return Ok(());
        };
        let end = self
            .shared
            .lock()
            .end_of(next.saturating_sub(1))
            .unwrap_or(HEAD_BYTES as u64);
        segment.file.set_len(end)?;
        segment.file.sync_all()?;
        self.length = end;
        self.durable = end;
        Ok(())
    }

    fn purge(&mut self, upto: &LogId) -> io::Result<()> {
        let position: Option<WirePosition> = place(Some(upto));
        files::replace(&self.directory, "purged", &position.unwrap_or_default())?;
        let last = self.shared.lock().last_index();
        let everything = last.is_none_or(|last| last <= upto.index());
        while self.segments.len() > usize::from(!everything)
            && (everything
                || self
                    .segments
                    .get(1)
                    .is_some_and(|second| second.first <= upto.index() + 1))
        {
            let segment = self.segments.remove(0);
            std::fs::remove_file(&segment.path)?;
        }
        if self.segments.is_empty() {
            self.length = 0;
            self.durable = 0;
        }
        files::sync_directory(&self.directory)
    }
}
