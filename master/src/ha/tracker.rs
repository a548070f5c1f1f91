//! Changes that were made here and are not committed yet, against what is committed. Pure.
//!
//! A leader changes its state first and proposes the lines. As long as what is committed is what it
//! proposed, in order, its state is right. When an entry of a later term comes while proposals are
//! open, they were lost: the state holds changes that the cluster does not know.

use replication::{Batch, Content, Kind, Position};
use std::collections::VecDeque;

/// What a committed entry means for the state here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// It was proposed here: the state has it, the answers may leave.
    Ours(Batch),
    /// It was proposed elsewhere: to be applied.
    Theirs(Batch),
    /// The state has changes that will never be committed: these lines. It has to be made anew.
    Diverged(Vec<u8>),
}

/// Open proposals of one process.
#[derive(Debug, Default)]
pub struct Tracker {
    origin: u64,
    term: u64,
    open: VecDeque<(u64, Vec<u8>)>,
    /// Lines that were made and can no more be proposed.
    stranded: Vec<u8>,
    /// The last committed entry.
    pub at: Position,
}

impl Tracker {
    /// A state that holds everything up to `at`.
    pub fn new(origin: u64, at: Position) -> Tracker {
        Tracker {
            origin,
            at,
            ..Tracker::default()
        }
    }

    /// The leader of `term` proposed a batch.
    pub fn proposed(&mut self, term: u64, sequence: u64, lines: Vec<u8>) {
        self.term = term;
        self.open.push_back((sequence, lines));
    }

    /// It leads no more, and these lines were not proposed.
    pub fn strand(&mut self, lines: &[u8]) {
        self.stranded.extend_from_slice(lines);
    }

    /// Number of open proposals.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether the state is exactly that after the last committed entry.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.stranded.is_empty()
    }

    /// Judges a committed entry.
    pub fn committed(&mut self, position: Position, content: Content) -> Outcome {
        self.at = position;
        let ours = match &content {
            Content::Batch(batch) => {
                batch.origin == self.origin
                    && self
                        .open
                        .front()
                        .is_some_and(|(sequence, _)| *sequence == batch.sequence)
            }
            _ => false,
        };
        if ours {
            self.open.pop_front();
        } else if !self.is_settled() && position.term > self.term {
            let mut lines: Vec<u8> = self.open.drain(..).flat_map(|(_, lines)| lines).collect();
            lines.append(&mut self.stranded);
            return Outcome::Diverged(lines);
        }
        match content {
            Content::Batch(batch) if batch.kind == Kind::Changes && ours => Outcome::Ours(batch),
            Content::Batch(batch) if batch.kind == Kind::Changes => Outcome::Theirs(batch),
            _ => Outcome::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Tracker};
    use replication::{Batch, Content, Kind, Position};

    const HERE: u64 = 7;

    fn batch(origin: u64, sequence: u64) -> Content {
        Content::Batch(Batch {
            kind: Kind::Changes,
            origin,
            sequence,
            bytes: "x".into(),
        })
    }

    /// Proposals 1 to `open` in term 2, lines that were stranded, then committed entries as
    /// `term:L` (a leader begins), `term:h3` (proposal 3 from here), `term:o1` (from elsewhere).
    fn check(open: u64, stranded: &str, entries: &str, expected: &str) {
        let mut tracker = Tracker::new(HERE, Position { term: 1, index: 10 });
        for sequence in 1..=open {
            tracker.proposed(2, sequence, format!("{sequence};").into_bytes());
        }
        tracker.strand(stranded.as_bytes());
        let mut index = 10;
        let outcomes: Vec<String> = entries
            .split_whitespace()
            .map(|entry| {
                let (term, what) = entry.split_once(':').unwrap();
                let content = match what.split_at(1) {
                    ("h", sequence) => batch(HERE, sequence.parse().unwrap()),
                    ("o", sequence) => batch(99, sequence.parse().unwrap()),
                    _ => Content::Leader,
                };
                index += 1;
                let term = term.parse().unwrap();
                match tracker.committed(Position { term, index }, content) {
                    Outcome::Nothing => "-".to_owned(),
                    Outcome::Ours(_) => "ours".to_owned(),
                    Outcome::Theirs(_) => "theirs".to_owned(),
                    Outcome::Diverged(lines) => {
                        format!("lost({})", String::from_utf8(lines).unwrap())
                    }
                }
            })
            .collect();
        assert_eq!(outcomes.join(" "), expected, "{entries}");
    }

    #[test]
    fn committed_entries_against_open_proposals() {
        check(0, "", "2:L 2:o1 2:o2", "- theirs theirs");
        check(2, "", "2:h1 2:h2", "ours ours");
        // Another leader took over with everything.
        check(2, "", "2:h1 2:h2 3:L 3:o1", "ours ours - theirs");
        // With a part, with nothing.
        check(2, "", "2:h1 3:L", "ours lost(2;)");
        check(2, "", "3:L", "lost(1;2;)");
        // Lines that were never proposed.
        check(0, "9;", "3:L", "lost(9;)");
        check(1, "9;", "2:h1 3:L", "ours lost(9;)");
        // Elected again: the own older entries count first.
        check(1, "", "2:h1 4:L 4:h2", "ours - theirs");
    }
}
