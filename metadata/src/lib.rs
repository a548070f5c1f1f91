//! The metadata of a file system: one deterministic state machine.
//!
//! A change is a method call with a complete context ([`Tx`] and [`Caller`]); its result is a value,
//! its record is one changelog line for each metadata version, and what others have to learn of it
//! is an [`Event`]. Replaying the lines uses the same effect functions without the checks. This
//! crate has no network, no clock and no randomness, and touches no file except through readers
//! and writers that it is handed.

pub mod access;
pub mod acl;
pub mod attributes;
pub mod caller;
pub mod chunk_table;
pub mod chunks;
pub mod create;
pub mod digest;
pub mod ends;
pub mod event;
pub mod file_chunks;
pub mod flock;
pub mod identity;
pub mod image;
pub mod length;
pub mod link;
pub mod locks;
pub mod lookup;
pub mod merge;
pub mod namespace;
mod older;
pub mod open_files;
pub mod posix_lock;
pub mod quota;
pub mod recursive;
pub mod rename;
pub mod replay;
pub mod server_table;
pub mod session;
pub mod snapshot;
pub mod statfs;
pub mod storage_class;
pub mod store;
pub mod survey;
pub mod trash;
pub mod tree;
pub mod tx;
pub mod unlink;
pub mod verify;
pub mod view;
pub mod xattr;

pub use caller::Caller;
pub use digest::{Digest, Digester};
pub use event::Event;
pub use namespace::Namespace;
pub use tx::{Outbox, Tx};
pub use view::View;
