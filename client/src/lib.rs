//! The client: a library, and mfsmount over it (client-behaviour).
//!
//! [`Session`] is the way to a master: it registers, keeps the link alive, survives failovers and
//! answers requests. [`operations`] are the metadata requests with names and types.
//! [`FileSystem`] adds data: open files with read-ahead and write-back. [`ToolLink`] is what a tool has instead of a session of its own.
//!
//! All of it is asynchronous and runs on tokio. A request that waits, for a lock or for a master
//! that is away, costs one task and occupies no thread.

mod cache;
mod caller;
mod chunk_link;
mod error;
mod file;
mod file_system;
pub mod fuse;
mod inline;
mod labels;
pub mod master_link;
mod open_file;
pub mod operations;
mod read;
pub mod session;
mod tool_link;
mod write;

pub use caller::Caller;
pub use error::{Error, Result};
pub use file_system::{DataOptions, FileSystem, LENGTH_MAX, Mark};
pub use labels::{Labels, LabelsError};
pub use open_file::{Access, OpenFile};
pub use session::{Session, SessionOptions};
pub use tool_link::{MasterInfo, ToolLink};
