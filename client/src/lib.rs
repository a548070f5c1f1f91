//! The client: a library, and mfsmount over it (client-behaviour).
//!
//! [`Session`] is the way to a master: it registers, keeps the link alive, survives failovers and
//! answers requests. [`operations`] are the metadata requests with names and types.
//! [`ToolLink`] is what a tool has instead of a session of its own.
//!
//! All of it is asynchronous and runs on tokio. A request that waits, for a lock or for a master
//! that is away, costs one task and occupies no thread.

mod caller;
mod error;
pub mod master_link;
pub mod operations;
pub mod session;
mod tool_link;

pub use caller::Caller;
pub use error::{Error, Result};
pub use session::{Session, SessionOptions};
pub use tool_link::{MasterInfo, ToolLink};
