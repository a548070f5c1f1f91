//! Layouts of MooseFS: wire messages, attribute records, changelog grammar, image sections.
//!
//! Bytes in, values out. This crate does no I/O, knows no clock and nobody above it. Each layout is
//! written once and used by both sides; decoding never panics and never allocates more than the
//! input holds.

pub mod admin;
pub mod attr;
pub mod changelog;
pub mod chunkserver;
pub mod client;
pub mod common;
pub mod frame;
pub mod ids;
pub mod image;
pub mod kind;
pub mod list;
mod message;
pub mod metalogger;
pub mod status;
pub mod version;
pub mod wire;

pub use attr::Attr;
pub use ids::{ChunkId, ChunkVersion, ClassId, CsId, Inode, MetaId, MetaVersion, SessionId};
pub use kind::NodeKind;
pub use status::Status;
pub use version::Version;
pub use wire::{Malformed, Put, Reader};
