//! EDGE: names (metadata-and-changelog §1.4.4).

use super::{Damage, Decoded, Pieces};
use crate::{Inode, Reader, wire::Put};

/// Position of the first entry of a new file system; positions are given downwards.
pub const EDGE_ID_FIRST: u64 = 0x7FFF_FFFF_FFFF_FFFE;

/// One name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeRecord<'a> {
    /// Directory; 0 for names in trash and of sustained files.
    pub parent: Inode,
    /// What has the name.
    pub child: Inode,
    /// Position in the directory; 0 in versions without.
    pub edge_id: u64,
    /// Name, or the path that a file in trash had.
    pub name: &'a [u8],
}

impl<'a> EdgeRecord<'a> {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    #[inline]
    pub fn decode(reader: &mut Reader<'a>, version: u8) -> Decoded<EdgeRecord<'a>> {
        let (parent, child) = (reader.get()?, reader.get()?);
        let edge_id = if version >= 0x11 { reader.u64()? } else { 0 };
        let length = reader.u16()?;
        if (parent, child) == (Inode(0), Inode(0)) {
            return Ok(None);
        }
        Ok(Some(EdgeRecord {
            parent,
            child,
            edge_id,
            name: reader.bytes(usize::from(length))?,
        }))
    }

    /// Writes the record.
    #[inline]
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            let mut fixed = [0; 18];
            fixed[..4].copy_from_slice(&self.parent.0.to_be_bytes());
            fixed[4..8].copy_from_slice(&self.child.0.to_be_bytes());
            fixed[8..16].copy_from_slice(&self.edge_id.to_be_bytes());
            // Names and paths have at most 1024 bytes.
            let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
            fixed[16..].copy_from_slice(&length.to_be_bytes());
            out.put_bytes(&fixed);
            out.put_bytes(&self.name[..usize::from(length)]);
        });
    }
}

/// Reads the number that the next entry gets; `None` in versions without.
///
/// # Errors
/// The data ends.
pub fn decode_edge_header(reader: &mut Reader<'_>, version: u8) -> Result<Option<u64>, Damage> {
    Ok(if version >= 0x11 {
        Some(reader.u64()?)
    } else {
        None
    })
}

/// Writes the number that the next entry gets.
pub fn encode_edge_header(next_edge: u64, out: &mut Pieces) {
    out.piece(|out| out.put_u64(next_edge));
}

/// Writes the end of the section.
pub fn encode_edge_end(out: &mut Pieces) {
    out.piece(|out| out.put_bytes(&[0; 18]));
}
