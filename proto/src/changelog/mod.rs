//! The changelog: one line of text for each change of the metadata (metadata-and-changelog §3).
//!
//! `VERSION: TIMESTAMP|NAME(arguments):results`. An operation builds one [`Entry`], writes it with
//! [`Entry::write`], and replay gets the equal value back from [`parse`]. Lines are written in the
//! form of 3.0.117; [`parse`] also takes the older forms that 3.0.117 takes, and those of 4.x that
//! mean the same here.

mod cursor;
mod entry;
mod error;
mod parse;
mod seal;
mod text;
mod write;

pub use entry::{
    Counts, Entry, LockChange, Quota, QuotaLimits, ServerChange, SessionParams, Snapshot,
    SnapshotCounts, StorageClass, Text,
};
pub use error::{Fault, ParseError};
pub use parse::{Line, parse};
pub use seal::{SEAL_BYTES_MAX, Seal};
pub use text::{Escaped, escape};

/// Longest line that is written or read, without the newline; real lines stay far below.
pub const LINE_BYTES_MAX: usize = 200_000;

/// Longest name of a directory entry.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest path of a symbolic link, and longest path in trash that is accepted.
pub const PATH_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests;
