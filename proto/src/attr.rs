//! The attribute record in its three formats (wire-client-master §4).

use crate::kind::NodeKind;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// Attributes of an object as one client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Bits of [`flag`].
    pub flags: u8,
    /// What it is. Files in trash and sustained files are shown as files.
    pub kind: NodeKind,
    /// Permission bits, 07777.
    pub mode: u16,
    /// Owner as shown to this client (wire-client-master §4.3).
    pub uid: u32,
    /// Group as shown to this client.
    pub gid: u32,
    /// Last access, seconds since 1970.
    pub atime: u32,
    /// Last change of content, seconds since 1970.
    pub mtime: u32,
    /// Last change of attributes, seconds since 1970.
    pub ctime: u32,
    /// Files: number of names; directories: 2 + number of subdirectories.
    pub nlink: u32,
    /// Length in bytes; pseudo size of a directory; length of a symlink's target; device: see
    /// [`Attr::rdev`].
    pub length: u64,
    /// Windows attribute bits. Clients before 3.0.93 are not told.
    pub winattr: u8,
}

/// Bits of [`Attr::flags`] (wire-client-master §4.2).
pub mod flag {
    /// Attributes must not be cached.
    pub const NO_ATTRIBUTE_CACHE: u8 = 0x01;
    /// The name must not be cached. Only in replies that know the directory.
    pub const NO_ENTRY_CACHE: u8 = 0x02;
    /// Data may be cached.
    pub const DATA_CACHE: u8 = 0x04;
    /// The object has neither extended attributes nor ACLs.
    pub const NO_XATTR: u8 = 0x08;
    /// The object wants direct I/O.
    pub const DIRECT: u8 = 0x10;
    /// The object cannot be removed.
    pub const UNDELETABLE: u8 = 0x20;
}

/// Bytes of the record for clients from 3.0.93 on.
pub const ATTR_LEN: usize = 36;

/// Bytes of the record for older clients: without the Windows bits.
pub const OLD_ATTR_LEN: usize = 35;

/// Flag bits that fit into the old format.
const LETTER_FLAGS: u8 = 0x0f;

impl Attr {
    /// Device number in Linux's 32-bit encoding, for block and character devices.
    pub const fn rdev(&self) -> u32 {
        (self.length >> 32) as u32
    }

    /// [`Attr::length`] of a device.
    pub const fn length_of_device(rdev: u32) -> u64 {
        (rdev as u64) << 32
    }

    /// Bytes of the record for a client.
    #[inline]
    pub const fn len(client: Version) -> usize {
        if client.has_winattr() {
            ATTR_LEN
        } else {
            OLD_ATTR_LEN
        }
    }
}

/// Kind as shown in attributes and directory lists: detached files are files.
pub(crate) const fn shown(kind: NodeKind) -> NodeKind {
    if kind.is_detached() {
        NodeKind::File
    } else {
        kind
    }
}

impl<'a> Versioned<'a> for Attr {
    #[inline]
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let first = reader.u8()?;
        let word = reader.u16()?;
        let (flags, kind) = if client.has_numeric_types() {
            (first, NodeKind::from_number((word >> 12) as u8))
        } else {
            ((word >> 12) as u8, NodeKind::from_letter(first))
        };
        Ok(Attr {
            flags,
            kind: kind.ok_or(Malformed)?,
            mode: word & 0x0fff,
            uid: reader.u32()?,
            gid: reader.u32()?,
            atime: reader.u32()?,
            mtime: reader.u32()?,
            ctime: reader.u32()?,
            nlink: reader.u32()?,
            length: reader.u64()?,
            winattr: if client.has_winattr() {
                reader.u8()?
            } else {
                0
            },
        })
    }

    #[inline]
    fn put(self, client: Version, out: &mut Vec<u8>) {
        let kind = shown(self.kind);
        let mode = self.mode & 0x0fff;
        let (first, high) = if client.has_numeric_types() {
            (self.flags, kind.number())
        } else {
            (kind.letter(), self.flags & LETTER_FLAGS)
        };
        let word = u16::from(high) << 12 | mode;
        let mut record = [0; ATTR_LEN];
        record[0] = first;
        record[1..3].copy_from_slice(&word.to_be_bytes());
        record[3..7].copy_from_slice(&self.uid.to_be_bytes());
        record[7..11].copy_from_slice(&self.gid.to_be_bytes());
        record[11..15].copy_from_slice(&self.atime.to_be_bytes());
        record[15..19].copy_from_slice(&self.mtime.to_be_bytes());
        record[19..23].copy_from_slice(&self.ctime.to_be_bytes());
        record[23..27].copy_from_slice(&self.nlink.to_be_bytes());
        record[27..35].copy_from_slice(&self.length.to_be_bytes());
        record[35] = self.winattr;
        out.put_bytes(&record[..Attr::len(client)]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Attr, flag};
    use crate::kind::NodeKind;
    use crate::version::Version;
    use crate::wire::Reader;
    use crate::wire::Versioned;

    const FILE: Attr = Attr {
        flags: flag::DATA_CACHE | flag::NO_XATTR,
        kind: NodeKind::File,
        mode: 0o644,
        uid: 1,
        gid: 2,
        atime: 3,
        mtime: 4,
        ctime: 5,
        nlink: 6,
        length: 7,
        winattr: 8,
    };

    #[test]
    fn the_three_formats() {
        let tail = "000000010000000200000003000000040000000500000006000000000000000708";
        for (client, head, length) in [
            (Version::new(3, 0, 93), "0c11a4", 36),
            (Version::new(3, 0, 92), "0c11a4", 35),
            (Version::new(1, 7, 32), "0c11a4", 35),
            (Version::new(1, 7, 31), "66c1a4", 35),
        ] {
            let mut out = Vec::new();
            FILE.put(client, &mut out);
            let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, format!("{head}{tail}")[..2 * length], "{client}");
            let mut reader = Reader::new(&out);
            let winattr = if length == 36 { 8 } else { 0 };
            assert_eq!(Attr::get(&mut reader, client), Ok(Attr { winattr, ..FILE }));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn detached_files_are_shown_as_files() {
        for (client, byte, expected) in [
            (Version::CURRENT, 1, 0x11),
            (Version::new(1, 6, 27), 0, b'f'),
        ] {
            for kind in [NodeKind::Trash, NodeKind::Sustained] {
                let mut out = Vec::new();
                Attr { kind, ..FILE }.put(client, &mut out);
                assert_eq!(out[byte], expected, "{kind} for {client}");
            }
        }
    }

    #[test]
    fn a_device_number_is_the_upper_half_of_the_length() {
        let attr = Attr {
            length: Attr::length_of_device(0x103),
            ..FILE
        };
        assert_eq!(attr.length, 0x0000_0103_0000_0000);
        assert_eq!(attr.rdev(), 0x103);
    }
}
