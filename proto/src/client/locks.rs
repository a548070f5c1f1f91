//! FLOCK and POSIX_LOCK (wire-client-master §14).

use super::message::message;
use crate::ids::Inode;

/// Values of [`Flock::command`].
pub mod flock {
    /// Ends a lock or a waiting request.
    pub const UNLOCK: u8 = 0;
    /// Shared, without waiting.
    pub const TRY_SHARED: u8 = 1;
    /// Shared.
    pub const LOCK_SHARED: u8 = 2;
    /// Exclusive, without waiting.
    pub const TRY_EXCLUSIVE: u8 = 3;
    /// Exclusive.
    pub const LOCK_EXCLUSIVE: u8 = 4;
    /// Ends a waiting request by its number.
    pub const INTERRUPT: u8 = 5;
    /// The file handle was closed.
    pub const RELEASE: u8 = 6;
}

/// Values of [`PosixLock::command`].
pub mod posix {
    /// Asks for a conflicting lock.
    pub const GET: u8 = 0;
    /// Sets, waiting if needed.
    pub const SET: u8 = 1;
    /// Sets, without waiting.
    pub const TRY: u8 = 2;
    /// Ends a waiting request by its number.
    pub const INTERRUPT: u8 = 3;
}

/// Values of [`PosixLock::kind`].
pub mod lock_kind {
    /// No lock.
    pub const UNLOCK: u8 = 0;
    /// Shared with other readers.
    pub const READ: u8 = 1;
    /// Alone.
    pub const WRITE: u8 = 2;
}

message! {
    /// FLOCK 492: lock on a whole file. The reply is a status, perhaps much later.
    Flock {
        /// The file.
        inode: Inode,
        /// Number of the request within the owner, for interrupts and repetitions.
        request: u32,
        /// Owner within the session.
        owner: u64,
        /// One of [`flock`].
        command: u8,
    }
    /// POSIX_LOCK 494: lock on the range [start, end). The reply is a status, perhaps much later,
    /// or a [`PosixLockReply`] for [`posix::GET`].
    PosixLock {
        /// The file.
        inode: Inode,
        /// Number of the request, for interrupts and repetitions.
        request: u32,
        /// Owner within the session.
        owner: u64,
        /// Process, for display.
        pid: u32,
        /// One of [`posix`].
        command: u8,
        /// One of [`lock_kind`].
        kind: u8,
        /// First byte.
        start: u64,
        /// Byte behind the last; FFFFFFFFFFFFFFFF: to the end of the file.
        end: u64,
    }
    /// POSIX_LOCK 495 to [`posix::GET`]: the first conflicting lock, or zeros.
    PosixLockReply {
        /// Process, if it belongs to the same session.
        pid: u32,
        /// One of [`lock_kind`].
        kind: u8,
        /// First byte.
        start: u64,
        /// Byte behind the last.
        end: u64,
    }
}
