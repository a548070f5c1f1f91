//! Where the lines of a turn become safe: in the local changelog, or in the replicated log. One
//! interface: batches are numbered as they are handed over, and become safe in that order.

use crate::ha::Standing;
use crate::journal::{Handed, Journal, SaveMode};
use replication::Lease;

/// Makes lines safe.
#[derive(Debug)]
pub enum Saver {
    /// A master without peers.
    Local {
        /// The changelog.
        journal: Journal,
        /// Number of the last batch that was handed over.
        handed: u64,
        /// Number of the last batch that is safe.
        saved: u64,
    },
    /// One of several.
    Replicated(Box<Standing>),
}

impl Saver {
    /// The local changelog.
    pub fn local(journal: Journal) -> Saver {
        Saver::Local {
            journal,
            handed: 0,
            saved: 0,
        }
    }

    /// The right to serve, needed for every answer and every command.
    pub fn lease(&self) -> Option<Lease> {
        match self {
            Saver::Local { .. } => Some(Lease::UNSHARED),
            Saver::Replicated(standing) => standing.lease(),
        }
    }

    /// Whether a batch may be handed over now; otherwise the lines collect.
    pub fn is_ready(&self) -> bool {
        match self {
            Saver::Local { journal, .. } => !journal.is_busy(),
            Saver::Replicated(standing) => standing.is_ready(),
        }
    }

    /// Whether lines on which nobody relies may collect for a while before they are handed over.
    pub fn lets_collect(&self) -> bool {
        match self {
            Saver::Local { journal, .. } => journal.mode() == SaveMode::Durable,
            Saver::Replicated(_) => true,
        }
    }

    /// Whether anything that was handed over is not safe yet.
    pub fn is_busy(&self) -> bool {
        self.handed() != self.saved()
    }

    /// Hands a batch of whole lines over. Only while [`Saver::is_ready`]; needs the right to serve.
    /// `records` is what other nodes have to know beside the lines.
    pub fn hand_over(&mut self, lease: Lease, batch: &[u8], records: &[u8]) {
        match self {
            Saver::Local {
                journal,
                handed,
                saved,
            } => {
                *handed += 1;
                if journal.hand_over(batch) == Handed::Saved {
                    *saved = *handed;
                }
            }
            Saver::Replicated(standing) => standing.propose(lease, batch, records),
        }
    }

    /// Number of the last batch that was handed over.
    pub fn handed(&self) -> u64 {
        match self {
            Saver::Local { handed, .. } => *handed,
            Saver::Replicated(standing) => standing.handed(),
        }
    }

    /// Number of the last batch that is safe.
    pub fn saved(&self) -> u64 {
        match self {
            Saver::Local { saved, .. } => *saved,
            Saver::Replicated(standing) => standing.saved(),
        }
    }

    /// The local changelog's thread saved the batch that was in flight; its buffer comes back.
    pub fn flushed(&mut self, buffer: Vec<u8>) {
        match self {
            Saver::Local {
                journal,
                handed,
                saved,
            } => {
                journal.saved(buffer);
                *saved = *handed;
            }
            Saver::Replicated(standing) => standing.flushed(buffer),
        }
    }

    /// The changelog on this machine's disk.
    pub fn journal(&mut self) -> &mut Journal {
        match self {
            Saver::Local { journal, .. } => journal,
            Saver::Replicated(standing) => standing.journal(),
        }
    }

    /// Changes how a local changelog is saved. A replicated one is always written in the background:
    /// the replicated log is what makes changes safe.
    pub fn set_mode(&mut self, mode: SaveMode) {
        if let Saver::Local { journal, .. } = self {
            journal.set_mode(mode);
        }
    }

    /// This node's place in the cluster, if there is one.
    pub fn standing(&mut self) -> Option<&mut Standing> {
        match self {
            Saver::Local { .. } => None,
            Saver::Replicated(standing) => Some(standing),
        }
    }
}
