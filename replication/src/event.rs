//! What the replication tells the application, in order, through one channel.

use crate::types::{Batch, NodeId, Position};
use std::path::PathBuf;
use tokio::sync::oneshot;

/// Part of a node in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads. It may serve once [`Content::Leader`] of this term was committed, and only with a
    /// lease.
    Leader {
        /// Its term.
        term: u64,
    },
    /// It follows.
    Follower {
        /// The newest term it knows.
        term: u64,
        /// Whom it follows, if it knows.
        leader: Option<NodeId>,
    },
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A leader's first entry: it has applied everything before.
    Leader,
    /// A batch.
    Batch(Batch),
    /// Somebody joined or left.
    Membership,
}

/// An event.
#[derive(Debug)]
pub enum Event {
    /// An entry is on stable storage at a majority and will never change. Every entry is reported
    /// once, in order, beginning behind the newest image.
    Committed {
        /// Where it stands.
        position: Position,
        /// What it is.
        content: Content,
    },
    /// Replaces the whole state.
    Install {
        /// The last entry whose effect is in it.
        position: Position,
        /// The image.
        path: PathBuf,
        /// To be answered when it is loaded, or why it cannot be.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// This node's part changed.
    Role(Role),
    /// The log has become long: an image is welcome.
    ImageWanted,
    /// The replication has ended: nothing can be committed any more until it is started again.
    Failed(String),
}
