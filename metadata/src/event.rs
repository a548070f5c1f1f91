//! What a change means to others than its caller.

use proto::{ChunkId, Inode, SessionId, Status};

/// Which kind of lock a waiting request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Whole-file lock, message 492.
    Flock,
    /// Byte-range lock, message 494.
    Posix,
}

/// A consequence of a change that the master's shell has to act on. Events are in order of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A waiting lock request is answered.
    LockAnswer {
        /// Session whose present connection gets the answer.
        session: SessionId,
        /// Number of the request to answer.
        msgid: u32,
        /// Which reply it is.
        kind: LockKind,
        /// Granted, refused, interrupted or cancelled.
        status: Status,
    },
    /// References, class or archive flag of a chunk changed, or it was unlocked: the planner looks
    /// at it (master-behaviour §7.3).
    ChunkChanged(ChunkId),
    /// The lock of a chunk ended: requests that wait for it are tried again.
    ChunkUnlocked(ChunkId),
    /// A chunk record is gone.
    ChunkRemoved(ChunkId),
    /// The inode is gone; whatever is cached about it is void.
    InodeFreed(Inode),
    /// A session is gone.
    SessionRemoved(SessionId),
}
