//! Locks that the master keeps (client-behaviour §10). A blocking request is answered when the
//! lock is granted: dropping its future does not take it back, an interrupt does.

use proto::Inode;
use proto::client::kind;
use proto::client::locks::{Flock, PosixLock, PosixLockReply};

use crate::error::Result;
use crate::session::Session;

/// FLOCK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlockRequest {
    /// The file.
    pub inode: Inode,
    /// Number of the request, for interrupts.
    pub request: u32,
    /// Owner within the session.
    pub owner: u64,
    /// One of `locks::flock`.
    pub command: u8,
}

/// POSIX_LOCK on the range [start, end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosixRequest {
    /// The file.
    pub inode: Inode,
    /// Number of the request, for interrupts.
    pub request: u32,
    /// Owner within the session.
    pub owner: u64,
    /// Process.
    pub pid: u32,
    /// One of `locks::posix`.
    pub command: u8,
    /// One of `locks::lock_kind`.
    pub kind: u8,
    /// First byte.
    pub start: u64,
    /// Byte behind the last; the largest number: to the end of the file.
    pub end: u64,
}

/// A lock that is in the way; kind 0 if none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosixState {
    /// Process, if it belongs to this session.
    pub pid: u32,
    /// One of `locks::lock_kind`.
    pub kind: u8,
    /// First byte.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
}

impl Session {
    /// A whole-file lock.
    pub async fn flock(&self, request: FlockRequest) -> Result<()> {
        self.ask(kind::FLOCK, |msgid| Flock {
            msgid,
            inode: request.inode,
            request: request.request,
            owner: request.owner,
            command: request.command,
        })
        .await?
        .status()
    }

    /// A lock on a range: everything but the question for a lock.
    pub async fn posix_lock(&self, request: PosixRequest) -> Result<()> {
        self.ask(kind::POSIX_LOCK, |msgid| posix(msgid, &request))
            .await?
            .status()
    }

    /// The first lock that is in the way (command `GET`).
    pub async fn posix_get(&self, request: PosixRequest) -> Result<PosixState> {
        let reply = self
            .ask(kind::POSIX_LOCK, |msgid| posix(msgid, &request))
            .await?;
        let body: PosixLockReply = reply.body()?;
        Ok(PosixState {
            pid: body.pid,
            kind: body.kind,
            start: body.start,
            end: body.end,
        })
    }
}

fn posix(msgid: u32, request: &PosixRequest) -> PosixLock {
    PosixLock {
        msgid,
        inode: request.inode,
        request: request.request,
        owner: request.owner,
        pid: request.pid,
        command: request.command,
        kind: request.kind,
        start: request.start,
        end: request.end,
    }
}
