//! The file around the sections (metadata-and-changelog §1.1, §1.2, §1.8).

use super::Damage;
use crate::{MetaId, MetaVersion, Reader, SessionId, wire::Put};
use std::fmt;

/// Version of the container that 1.5.x and 1.6.x write: no sections.
pub const CONTAINER_1_5: u8 = 0x15;
/// Version of the first container with sections.
pub const CONTAINER_1_6: u8 = 0x16;
/// Version of the container that 2.0 and later write.
pub const CONTAINER_2_0: u8 = 0x20;

/// Last 16 bytes of every container since 1.6.
pub const EOF_MARKER: [u8; 16] = *b"[MFS EOF MARKER]";

/// Length of a section that was written to a stream and ends by itself.
pub const UNKNOWN_LENGTH: u64 = u64::MAX;

/// What stands before the sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageHeader {
    /// `MFSM NEW`: an empty file system is to be made.
    New,
    /// Before 2.0.
    Old {
        /// (major << 4) | minor.
        container: u8,
        /// Highest inode number ever used.
        max_inode: u32,
        /// Number of the next change.
        version: MetaVersion,
        /// Number of the next session.
        next_session: SessionId,
    },
    /// 2.0 and later.
    Current {
        /// (major << 4) | minor.
        container: u8,
        /// Number of the next change.
        version: MetaVersion,
        /// Identity of the file system, 0 = none yet.
        metaid: MetaId,
    },
}

impl ImageHeader {
    /// Bytes of every header but `MFSM NEW`.
    pub const BYTES: usize = 24;

    /// Reads the signature and what follows it; `None` when the signature is none of MooseFS.
    ///
    /// # Errors
    /// The data ends inside the header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Option<ImageHeader>, Damage> {
        let signature: [u8; 8] = reader.array()?;
        if signature == *b"MFSM NEW" {
            return Ok(Some(ImageHeader::New));
        }
        let [b'M', b'F', b'S', b'M', b' ', major, b'.', minor] = signature else {
            return Ok(None);
        };
        if !major.is_ascii_digit() || !minor.is_ascii_digit() {
            return Ok(None);
        }
        let container = (major - b'0') << 4 | (minor - b'0');
        Ok(Some(if container < CONTAINER_2_0 {
            ImageHeader::Old {
                container,
                max_inode: reader.u32()?,
                version: reader.get()?,
                next_session: reader.get()?,
            }
        } else {
            ImageHeader::Current {
                container,
                version: reader.get()?,
                metaid: reader.get()?,
            }
        }))
    }

    /// The header that 3.0.117 writes.
    pub fn encode(version: MetaVersion, metaid: MetaId) -> [u8; ImageHeader::BYTES] {
        let mut bytes = *b"MFSM 2.0................";
        bytes[8..16].copy_from_slice(&version.0.to_be_bytes());
        bytes[16..].copy_from_slice(&metaid.0.to_be_bytes());
        bytes
    }
}

/// Four letters that name a section.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SectionName(pub [u8; 4]);

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! sections {
    ($($(#[$doc:meta])* $section:ident = $name:literal, $version:literal, $title:literal;)*) => {
        /// The sections of 3.0.117, in the order in which they are written (table 1.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Section {
            $($(#[$doc])* $section,)*
        }

        impl Section {
            /// Every section, in the order in which they are written.
            pub const ALL: &'static [Section] = &[$(Section::$section,)*];

            /// The name in the header.
            pub const fn name(self) -> SectionName {
                SectionName(match self {
                    $(Section::$section => *$name,)*
                })
            }

            /// The version that is written, the highest that 3.0.117 reads.
            pub const fn version(self) -> u8 {
                match self {
                    $(Section::$section => $version,)*
                }
            }

            /// What the section holds, as messages say it.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Section::$section => $title,)*
                }
            }
        }
    };
}

sections! {
    /// Client sessions.
    Sessions = b"SESS", 0x15, "sessions data";
    /// Storage classes.
    Classes = b"SCLA", 0x16, "storage classes data";
    /// Inodes.
    Nodes = b"NODE", 0x14, "objects (files,directories,etc.)";
    /// Directory entries, trash and sustained names.
    Edges = b"EDGE", 0x11, "names";
    /// Freed inode numbers.
    Free = b"FREE", 0x10, "deletion timestamps";
    /// Quotas.
    Quotas = b"QUOT", 0x11, "quota definitions";
    /// Extended attributes.
    Xattrs = b"XATR", 0x10, "xattr data";
    /// POSIX ACLs.
    Acls = b"PACL", 0x11, "posix_acl data";
    /// Open files.
    Open = b"OPEN", 0x10, "open files data";
    /// Whole-file locks.
    Flocks = b"FLCK", 0x10, "flock_locks data";
    /// Byte-range locks.
    PosixLocks = b"PLCK", 0x10, "posix_locks data";
    /// Chunkservers.
    Servers = b"CSDB", 0x13, "chunkservers data";
    /// Chunks.
    Chunks = b"CHNK", 0x11, "chunks data";
}

impl Section {
    /// The section of a name; storage classes were called `LABS` once.
    pub fn from_name(name: SectionName) -> Option<Section> {
        if name.0 == *b"LABS" {
            return Some(Section::Classes);
        }
        Section::ALL
            .iter()
            .copied()
            .find(|section| section.name() == name)
    }
}

/// The 16 bytes before a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionHeader {
    /// Which section.
    pub name: SectionName,
    /// (major << 4) | minor.
    pub version: u8,
    /// Bytes of the body; `None` when it was not known.
    pub length: Option<u64>,
}

impl SectionHeader {
    /// Bytes of a header.
    pub const BYTES: usize = 16;

    /// Reads a header; `None` is the end of the file.
    ///
    /// # Errors
    /// The data ends inside the header, or it is not one.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Option<SectionHeader>, Damage> {
        let bytes: [u8; 16] = reader.array()?;
        if bytes == EOF_MARKER {
            return Ok(None);
        }
        let [n0, n1, n2, n3, b' ', major, b'.', minor, length @ ..] = bytes else {
            return Err(Damage::Invalid("no section header"));
        };
        let (major, minor) = (major.wrapping_sub(b'0'), minor.wrapping_sub(b'0'));
        if major > 15 || minor > 15 {
            return Err(Damage::Invalid("no section version"));
        }
        let length = u64::from_be_bytes(length);
        Ok(Some(SectionHeader {
            name: SectionName([n0, n1, n2, n3]),
            version: major << 4 | minor,
            length: (length != UNKNOWN_LENGTH).then_some(length),
        }))
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; SectionHeader::BYTES] {
        let mut out = Vec::with_capacity(SectionHeader::BYTES);
        out.put_bytes(&self.name.0);
        out.put_bytes(&[
            b' ',
            b'0' + (self.version >> 4),
            b'.',
            b'0' + (self.version & 15),
        ]);
        out.put_u64(self.length.unwrap_or(UNKNOWN_LENGTH));
        let mut bytes = [0; SectionHeader::BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }
}

/// As messages name a section: `(leng:5,name:FOOB 1.0)` without the length.
impl fmt::Display for SectionHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}.{}",
            self.name,
            char::from(b'0' + (self.version >> 4)),
            char::from(b'0' + (self.version & 15))
        )
    }
}
