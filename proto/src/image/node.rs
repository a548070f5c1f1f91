//! NODE: inodes (metadata-and-changelog §1.4.3).

use super::{CONTAINER_2_0, Damage, Decoded, Pieces};
use crate::{ChunkId, ClassId, Inode, NodeKind, Reader, SessionId, wire::Put};

/// Chunk ids that form one piece of the fingerprint.
const CHUNKS_PER_PIECE: usize = 65536;

/// Longest path of a symbolic link.
const TARGET_BYTES_MAX: usize = 4096;

/// What a link gets whose path is longer.
const LONG_TARGET: &[u8] = b"(link path too long...)";

/// What stands before the inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeHeader {
    /// Highest inode number ever used.
    pub max_inode: u32,
    /// Number of inodes, where it is stored; 0 elsewhere. A hint only.
    pub nodes: u32,
}

impl NodeHeader {
    /// Reads the header of a section of this version in a container of this version.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(
        reader: &mut Reader<'_>,
        container: u8,
        version: u8,
    ) -> Result<NodeHeader, Damage> {
        let mut header = NodeHeader::default();
        if container >= CONTAINER_2_0 {
            header.max_inode = reader.u32()?;
            if version >= 0x11 {
                header.nodes = reader.u32()?;
            }
        }
        Ok(header)
    }

    /// Writes the header.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put_u32(self.max_inode);
            out.put_u32(self.nodes);
        });
    }
}

/// What every inode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAttributes {
    /// What it is.
    pub kind: NodeKind,
    /// Its number.
    pub inode: Inode,
    /// Storage class; 0 for kinds without one.
    pub class: ClassId,
    /// Extra attributes, see the specification.
    pub eattr: u8,
    /// Attributes of Windows clients.
    pub winattr: u8,
    /// Mode, the low 12 bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access, seconds since 1970.
    pub atime: u32,
    /// Last change of the content, seconds since 1970.
    pub mtime: u32,
    /// Last change of the inode, seconds since 1970.
    pub ctime: u32,
    /// Hours in trash.
    pub trash_hours: u16,
}

/// Numbers packed as in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkList<'a>(&'a [[u8; 8]]);

impl ChunkList<'_> {
    /// The chunk ids, 0 = hole.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChunkId> + Clone {
        self.0.iter().map(|id| ChunkId(u64::from_be_bytes(*id)))
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no slot.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the last slot is a hole, which no master writes.
    pub fn ends_with_hole(&self) -> bool {
        self.0.last() == Some(&[0; 8])
    }

    /// The first slot.
    pub fn first(&self) -> Option<ChunkId> {
        self.iter().next()
    }
}

/// What depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeBody<'a> {
    /// Directories, fifos, sockets.
    Plain,
    /// Devices: number as the client sent it.
    Device(u32),
    /// Symbolic links: path.
    Symlink(&'a [u8]),
    /// Files, in the tree, in trash or sustained.
    Data {
        /// Bytes.
        length: u64,
        /// Chunks, by index.
        chunks: ChunkList<'a>,
        /// Sessions that have the file open; stored here before 3.0 only.
        sessions: &'a [[u8; 4]],
    },
}

/// One inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRecord<'a> {
    /// What every inode has.
    pub attributes: NodeAttributes,
    /// What depends on the kind.
    pub body: NodeBody<'a>,
    /// The path of a symbolic link was too long and has been replaced.
    pub target_replaced: bool,
    /// Time in trash as it is stored in versions before 0x14, seconds.
    pub trash_seconds: Option<u32>,
}

/// Trash times are stored in hours; older ones are rounded up.
fn hours(seconds: u32) -> u16 {
    u16::try_from(seconds.div_ceil(3600)).unwrap_or(u16::MAX)
}

fn be16(bytes: &[u8; 31], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8; 31], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl<'a> NodeRecord<'a> {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends, or the kind is unknown.
    #[inline]
    pub fn decode(reader: &mut Reader<'a>, version: u8) -> Decoded<NodeRecord<'a>> {
        let byte = reader.u8()?;
        if byte == 0 {
            return Ok(None);
        }
        let kind = if version >= 0x13 {
            NodeKind::from_number(byte)
        } else {
            NodeKind::from_letter(byte)
        };
        let kind = kind.ok_or(Damage::NodeKind(byte))?;
        let mut trash_seconds = None;
        let attributes = if version >= 0x14 {
            let fixed: [u8; 31] = reader.array()?;
            NodeAttributes {
                kind,
                inode: Inode(be32(&fixed, 0)),
                class: ClassId(fixed[4]),
                eattr: fixed[5],
                winattr: fixed[6],
                mode: be16(&fixed, 7) & 0xFFF,
                uid: be32(&fixed, 9),
                gid: be32(&fixed, 13),
                atime: be32(&fixed, 17),
                mtime: be32(&fixed, 21),
                ctime: be32(&fixed, 25),
                trash_hours: be16(&fixed, 29),
            }
        } else {
            let (attributes, seconds) = older_attributes(reader, kind, version)?;
            trash_seconds = Some(seconds);
            attributes
        };
        let mut target_replaced = false;
        let body = match kind {
            NodeKind::Directory | NodeKind::Fifo | NodeKind::Socket => NodeBody::Plain,
            NodeKind::BlockDevice | NodeKind::CharDevice => NodeBody::Device(reader.u32()?),
            NodeKind::Symlink => {
                let target = reader.long_bytes()?;
                target_replaced = target.len() > TARGET_BYTES_MAX;
                NodeBody::Symlink(if target_replaced { LONG_TARGET } else { target })
            }
            NodeKind::File | NodeKind::Trash | NodeKind::Sustained => {
                let length = reader.u64()?;
                let chunks = list(reader.u32()?)?;
                let sessions = if version <= 0x13 { reader.u16()? } else { 0 };
                NodeBody::Data {
                    length,
                    chunks: ChunkList(packed(reader, chunks)?),
                    sessions: packed(reader, usize::from(sessions))?,
                }
            }
        };
        Ok(Some(NodeRecord {
            attributes,
            body,
            target_replaced,
            trash_seconds,
        }))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        match self.body {
            NodeBody::Plain => self.attributes.encode_plain(out),
            NodeBody::Device(rdev) => self.attributes.encode_device(rdev, out),
            NodeBody::Symlink(target) => self.attributes.encode_symlink(target, out),
            NodeBody::Data { length, chunks, .. } => {
                self.attributes.encode_data(length, chunks.iter(), out);
            }
        }
    }

    /// Sessions that have the file open, where they are stored with the inode.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + 'a {
        let sessions = match self.body {
            NodeBody::Data { sessions, .. } => sessions,
            _ => &[],
        };
        sessions.iter().map(|id| SessionId(u32::from_be_bytes(*id)))
    }
}

fn list(count: u32) -> Result<usize, Damage> {
    usize::try_from(count).map_err(|_| Damage::Truncated)
}

fn packed<'a, const N: usize>(
    reader: &mut Reader<'a>,
    count: usize,
) -> Result<&'a [[u8; N]], Damage> {
    let bytes = count.checked_mul(N).ok_or(Damage::Truncated)?;
    Ok(reader.bytes(bytes)?.as_chunks().0)
}

fn older_attributes(
    reader: &mut Reader<'_>,
    kind: NodeKind,
    version: u8,
) -> Result<(NodeAttributes, u32), Damage> {
    let (inode, class) = (reader.get()?, reader.get()?);
    let (eattr, mode) = if version <= 0x11 {
        let both = reader.u16()?;
        ((both >> 12) as u8, both)
    } else {
        (reader.u8()?, reader.u16()?)
    };
    let mut attributes = NodeAttributes {
        kind,
        inode,
        class,
        eattr,
        winattr: 0,
        mode: mode & 0xFFF,
        uid: reader.u32()?,
        gid: reader.u32()?,
        atime: reader.u32()?,
        mtime: reader.u32()?,
        ctime: reader.u32()?,
        trash_hours: 0,
    };
    let trash_seconds = reader.u32()?;
    attributes.trash_hours = hours(trash_seconds);
    Ok((attributes, trash_seconds))
}

impl NodeAttributes {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let mut fixed = [0; 32];
        fixed[0] = self.kind.number();
        fixed[1..5].copy_from_slice(&self.inode.0.to_be_bytes());
        fixed[5] = self.class.0;
        fixed[6] = self.eattr;
        fixed[7] = self.winattr;
        fixed[8..10].copy_from_slice(&self.mode.to_be_bytes());
        fixed[10..14].copy_from_slice(&self.uid.to_be_bytes());
        fixed[14..18].copy_from_slice(&self.gid.to_be_bytes());
        fixed[18..22].copy_from_slice(&self.atime.to_be_bytes());
        fixed[22..26].copy_from_slice(&self.mtime.to_be_bytes());
        fixed[26..30].copy_from_slice(&self.ctime.to_be_bytes());
        fixed[30..32].copy_from_slice(&self.trash_hours.to_be_bytes());
        out.put_bytes(&fixed);
    }

    /// Writes a directory, fifo or socket.
    pub fn encode_plain(&self, out: &mut Pieces) {
        out.piece(|out| self.put(out));
    }

    /// Writes a device.
    pub fn encode_device(&self, rdev: u32, out: &mut Pieces) {
        out.piece(|out| {
            self.put(out);
            out.put_u32(rdev);
        });
    }

    /// Writes a symbolic link.
    pub fn encode_symlink(&self, target: &[u8], out: &mut Pieces) {
        out.piece(|out| {
            self.put(out);
            // Paths have at most 4096 bytes.
            out.put_u32(u32::try_from(target.len()).unwrap_or(u32::MAX));
        });
        out.piece(|out| out.put_bytes(target));
    }

    /// Writes a file, in the tree, in trash or sustained; trailing holes must be left out.
    pub fn encode_data(
        &self,
        length: u64,
        chunks: impl ExactSizeIterator<Item = ChunkId>,
        out: &mut Pieces,
    ) {
        out.piece(|out| {
            self.put(out);
            out.put_u64(length);
            // A file has at most 2^32 chunks.
            out.put_u32(u32::try_from(chunks.len()).unwrap_or(u32::MAX));
        });
        let mut chunks = chunks.peekable();
        while chunks.peek().is_some() {
            out.piece(|out| {
                for chunk in chunks.by_ref().take(CHUNKS_PER_PIECE) {
                    out.put_u64(chunk.0);
                }
            });
        }
    }
}

/// Writes the end of the section.
pub fn encode_node_end(out: &mut Pieces) {
    out.piece(|out| out.put_u8(0));
}
