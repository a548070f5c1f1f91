//! Identifiers that mean the same on the wire, on disk and in memory.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

id! {
    /// Number of a file system object. 1 is the root directory, 0 is nobody.
    Inode(u32)
}
id! {
    /// Number of a chunk, never given twice. 0 is a hole.
    ChunkId(u64)
}
id! {
    /// Version that every good copy of a chunk must have. 1 for a new chunk.
    ChunkVersion(u32)
}
id! {
    /// Client session, counted from 1. 0 is the master itself.
    SessionId(u32)
}
id! {
    /// Number of the next metadata change (metadata-and-changelog §3.3).
    MetaVersion(u64)
}
id! {
    /// Identity of a file system, made once (metadata-and-changelog §3.3). 0 is "none yet".
    MetaId(u64)
}
id! {
    /// Storage class, 1..=255; 1..=9 are the predefined goals. 0: the object has none.
    ClassId(u8)
}

id! {
    /// Permanent number of a chunkserver ("csid"), given by the master, from 1. 0 is "none yet".
    CsId(u16)
}

impl Inode {
    /// The root directory.
    pub const ROOT: Inode = Inode(1);
}

impl ChunkId {
    /// A slot of a file without data.
    pub const HOLE: ChunkId = ChunkId(0);
}
