//! The metadata requests as methods of [`Session`] with names and types (client-behaviour §7.1).
//!
//! Each method is one request. Where the master may have executed a request before, because the
//! link broke between request and answer, the method finds out and does not report its own first
//! execution as EEXIST or ENOENT (client-behaviour §15.4).

mod attributes;
mod chunks;
mod files;
mod locks;
mod names;
mod slices;
mod trash;
mod xattr;

use proto::client::lookup::lookup_flag;
use proto::{Attr, Inode, NodeKind};

pub use attributes::{FileSystemSize, SetAttributes};
pub use chunks::{ChunkPlace, ChunkServer};
pub use files::Opened;
pub use locks::{FlockRequest, PosixRequest, PosixState};
pub use names::{Listing, ListingEntry};
pub use trash::Detached;
pub use xattr::{AclKind, AclValue, XattrMode};

/// An object with its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The object.
    pub inode: Inode,
    /// Its attributes.
    pub attr: Attr,
}

/// A name that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object.
    pub node: Node,
    /// What the caller may do, and more: see [`Found::allows`].
    pub flags: u16,
    /// Where chunk 0 is, for files with one chunk.
    pub chunk: Option<ChunkPlace>,
}

impl Found {
    /// Whether the caller may do what `mask` says (4 read, 2 write, 1 execute).
    pub fn allows(&self, mask: u8) -> bool {
        self.flags & (1 << (mask & 7)) != 0
    }

    /// Whether cached pages may be kept.
    pub fn keeps_cache(&self) -> bool {
        self.flags & lookup_flag::KEEP_CACHE != 0
    }
}

/// What a name that already exists has to look like to be the work of a repeated request.
#[derive(Clone, Copy, Debug)]
struct Ours {
    kind: NodeKind,
    /// Uncertain clocks: younger than the first try, with this much tolerance.
    since: u32,
}

impl Ours {
    fn matches(&self, attr: &Attr) -> bool {
        attr.kind == self.kind && attr.ctime.saturating_add(2) >= self.since
    }
}
