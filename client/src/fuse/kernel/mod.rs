//! The kernel's side: protocol of /dev/fuse, mounting, requests and replies.
//!
//! An own layer, because no crate hands through what a network file system with locks needs:
//! INTERRUPT (a process that waits for a lock could not be killed), the kind of a lock (flock or
//! fcntl), separate timeouts of entry and attributes in CREATE and READDIRPLUS, and request
//! buffers that can be kept instead of copied.

pub(super) mod abi;
mod cursor;
pub(super) mod device;
mod init;
pub(super) mod mount;
mod operation;
mod reply;

pub(super) use init::{Init, WRITE_BYTES_MAX};
pub(super) use operation::{CopyRange, Header, LockRange, Operation, Request, SetAttr, decode};
pub(super) use reply::{EntryOut, OpenOut, Reply, StatfsOut, directory_buffer};
