//! The image: `metadata.mfs` in every form that 3.0.117 reads (metadata-and-changelog §1).
//!
//! Records are encoded in the section versions that 3.0.117 writes, into [`Pieces`], which keep the
//! section's fingerprint; they are decoded in all versions of table 1.3, and those of 4.x as far as
//! their content has a meaning here. What the records mean together is not this module's matter.

mod attributes;
mod class;
mod container;
mod edge;
mod locks;
mod newer;
mod node;
mod pieces;
mod session;
mod tables;

pub use attributes::{AclRecord, XattrRecord};
pub use class::{ClassHeader, ClassRecord, LABEL_GROUPS, Labels};
pub use container::{
    CONTAINER_1_5, CONTAINER_1_6, CONTAINER_2_0, EOF_MARKER, ImageHeader, Section, SectionHeader,
    SectionName, UNKNOWN_LENGTH,
};
pub use edge::{
    EDGE_ID_FIRST, EdgeRecord, decode_edge_header, encode_edge_end, encode_edge_header,
};
pub use locks::{FlockRecord, PosixLockRecord};
pub use newer::{NewerClassHeader, NewerClassRecord, Pattern};
pub use node::{ChunkList, NodeAttributes, NodeBody, NodeHeader, NodeRecord, encode_node_end};
pub use pieces::{Fingerprint, Pieces};
pub use session::{
    OPERATION_COUNTERS, SessionHeader, SessionRecord, SessionsFile, encode_session_end,
};
pub use tables::{
    ChunkEntry, FreeRecord, OpenRecord, QuotaRecord, ServerRecord, decode_count,
    encode_chunk_header, encode_count, encode_free,
};

use crate::Malformed;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends inside the record.
    #[error("unexpected end of data")]
    Truncated,
    /// The kind of an inode is none of the table.
    #[error("unrecognized node type: {0}")]
    NodeKind(u8),
    /// A field holds what it never may.
    #[error("{0}")]
    Invalid(&'static str),
}

impl From<Malformed> for Damage {
    fn from(_: Malformed) -> Damage {
        Damage::Truncated
    }
}

/// What decoding a record comes to: `None` is the end of the section.
pub type Decoded<T> = Result<Option<T>, Damage>;

#[cfg(test)]
mod tests;
