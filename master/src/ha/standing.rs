//! This node's place in the cluster: what it may do now, what it has proposed, its own changelog.

use super::tracker::{Outcome, Tracker};
use crate::journal::{Handed, Journal};
use bytes::Bytes;
use metadata::View;
use replication::{Content, Kind, Lease, Position, Replica, Role};

/// Batches under way at once; more lines collect until one of them is committed.
const OPEN_MAX: usize = 16;

/// A frozen state that becomes an image once everything in it is committed.
#[derive(Debug)]
pub struct Frozen {
    /// The state.
    pub view: View,
    /// The proposal that has to be committed first.
    sequence: u64,
}

/// One node.
#[derive(Debug)]
pub struct Standing {
    replica: Option<Replica>,
    tracker: Tracker,
    journal: Journal,
    /// Committed lines that the changelog could not take yet.
    unwritten: Vec<u8>,
    /// Number of the next line of the changelog; lines before it are there.
    next_line: u64,
    role: Option<Role>,
    /// The term in which it serves.
    serving: Option<u64>,
    /// The newest term of which everything before was applied.
    ready_term: u64,
    handed: u64,
    saved: u64,
    frozen: Option<Frozen>,
}

impl Standing {
    /// A node whose changelog on disk ends before line `next_line`.
    pub fn new(journal: Journal, next_line: u64) -> Standing {
        Standing {
            replica: None,
            tracker: Tracker::default(),
            journal,
            unwritten: Vec::new(),
            next_line,
            role: None,
            serving: None,
            ready_term: 0,
            handed: 0,
            saved: 0,
            frozen: None,
        }
    }

    /// The replication runs, and the state is that after `at`.
    pub fn begin(&mut self, replica: Replica, at: Position) {
        self.tracker = Tracker::new(replica.origin(), at);
        self.replica = Some(replica);
        self.role = None;
        self.serving = None;
        self.ready_term = 0;
        self.saved = self.handed;
        self.frozen = None;
    }

    /// Ends the replication.
    pub fn end(&mut self) {
        self.serving = None;
        if let Some(replica) = self.replica.take() {
            replica.stop();
        }
    }

    /// The replication, if it runs.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// The right to serve, while this node serves.
    pub fn lease(&self) -> Option<Lease> {
        let term = self.serving?;
        self.replica
            .as_ref()?
            .lease()
            .filter(|lease| lease.term() == term)
    }

    /// The part of this node changed. Says whether it has to stop serving.
    pub fn set_role(&mut self, role: Role) -> bool {
        self.role = Some(role);
        let leads = self
            .serving
            .is_some_and(|term| role == Role::Leader { term });
        self.serving.is_some() && !leads
    }

    /// The term in which this node could begin to serve now.
    pub fn may_serve(&self) -> Option<u64> {
        let Some(Role::Leader { term }) = self.role else {
            return None;
        };
        let lease = self.replica.as_ref()?.lease()?;
        let ready = self.ready_term == term && lease.term() == term && self.tracker.is_settled();
        (self.serving.is_none() && ready).then_some(term)
    }

    /// It serves from now on.
    pub fn serve(&mut self, term: u64) {
        self.serving = Some(term);
    }

    /// Whether it serves, with or without a lease at this moment.
    pub fn serving(&self) -> Option<u64> {
        self.serving
    }

    /// It serves no more; `lines` were made and not handed over.
    pub fn step_down(&mut self, lines: &[u8]) {
        self.serving = None;
        self.tracker.strand(lines);
        self.frozen = None;
    }

    /// Whether a batch may be proposed now.
    pub fn is_ready(&self) -> bool {
        self.tracker.open() < OPEN_MAX
    }

    /// Proposes a batch of lines, and records beside them.
    pub fn propose(&mut self, lease: Lease, batch: &[u8], records: &[u8]) {
        self.handed += 1;
        let Some(replica) = &self.replica else {
            self.tracker.strand(batch);
            return;
        };
        let term = lease.term();
        let sequence = replica.propose(term, Kind::Changes, join(batch, records));
        self.tracker.proposed(term, sequence, batch.to_vec());
    }

    /// An entry is committed: what it means here.
    pub fn committed(&mut self, position: Position, content: Content) -> Outcome {
        if content == Content::Leader {
            self.ready_term = self.ready_term.max(position.term);
        }
        let outcome = self.tracker.committed(position, content);
        match &outcome {
            Outcome::Ours(batch) => {
                self.saved = self.handed - self.tracker.open() as u64;
                self.write(&batch.bytes);
            }
            Outcome::Theirs(batch) => self.write(&batch.bytes),
            Outcome::Diverged(_) | Outcome::Nothing => {}
        }
        outcome
    }

    /// The state was replaced by one after `at`, whose next line is `next_line`.
    pub fn replaced(&mut self, at: Position, next_line: u64) {
        self.tracker.at = at;
        self.next_line = self.next_line.max(next_line);
    }

    /// The last committed entry that was applied.
    pub fn at(&self) -> Position {
        self.tracker.at
    }

    /// Keeps a state for an image until all of it is committed. Everything must have been handed over.
    pub fn freeze(&mut self, view: View) {
        self.frozen = Some(Frozen {
            view,
            sequence: self.handed,
        });
    }

    /// A frozen state of which everything is committed, and the entry that it stands for.
    pub fn thawed(&mut self) -> Option<(View, Position)> {
        let due = self
            .frozen
            .as_ref()
            .is_some_and(|frozen| frozen.sequence == self.saved);
        if !due {
            // Later batches are in the log behind it: another state has to be taken.
            if self
                .frozen
                .as_ref()
                .is_some_and(|frozen| frozen.sequence < self.saved)
            {
                self.frozen = None;
            }
            return None;
        }
        self.frozen
            .take()
            .map(|frozen| (frozen.view, self.tracker.at))
    }

    /// Number of the last batch that was proposed.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Number of the last batch that is committed.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    /// The changelog on disk.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The changelog took what it could not take at once.
    pub fn flushed(&mut self, buffer: Vec<u8>) {
        self.journal.saved(buffer);
        self.write(b"");
    }

    /// Appends committed lines to the changelog, except those that are there already.
    fn write(&mut self, batch: &[u8]) {
        let (lines, _) = split(batch);
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let Some(number) = line_number(line) else {
                continue;
            };
            if number >= self.next_line {
                self.unwritten.extend_from_slice(line);
                self.next_line = number + 1;
            }
        }
        if !self.unwritten.is_empty() && !self.journal.is_busy() {
            // A batch that cannot be written is kept and tried again by the journal.
            if self.journal.hand_over(&self.unwritten) == Handed::Saved || self.journal.is_busy() {
                self.unwritten.clear();
            }
        }
    }
}

/// A batch as it stands in the log: the lines, and behind a zero byte the records, if any.
fn join(lines: &[u8], records: &[u8]) -> Bytes {
    if records.is_empty() {
        return Bytes::copy_from_slice(lines);
    }
    let mut batch = Vec::with_capacity(lines.len() + 1 + records.len());
    batch.extend_from_slice(lines);
    batch.push(0);
    batch.extend_from_slice(records);
    batch.into()
}

/// Lines and records of a batch. No line has a zero byte: the changelog's grammar escapes it.
pub fn split(batch: &[u8]) -> (&[u8], &[u8]) {
    match batch.iter().position(|&byte| byte == 0) {
        Some(at) => (&batch[..at], &batch[at + 1..]),
        None => (batch, b""),
    }
}

/// The number at the start of a line.
pub fn line_number(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(line.get(..digits)?).ok()?.parse().ok()
}
