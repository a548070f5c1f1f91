//! XATR and PACL: extended attributes and ACLs (metadata-and-changelog §1.4.7, §1.4.8).

use super::{Damage, Decoded, Pieces};
use crate::{Inode, Reader, wire::Put};

/// Entries of an ACL that form one piece of the fingerprint.
const ENTRIES_PER_PIECE: usize = 100;

/// Mask that files of version 0x10 with mask 0 get.
const MASK_RWX: u16 = 7;

/// One extended attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XattrRecord<'a> {
    /// Whose it is.
    pub inode: Inode,
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> XattrRecord<'a> {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'a>) -> Decoded<XattrRecord<'a>> {
        let inode = reader.get()?;
        let (name, value) = (usize::from(reader.u8()?), reader.u32()?);
        if inode == Inode(0) {
            return Ok(None);
        }
        let value = usize::try_from(value).map_err(|_| Damage::Truncated)?;
        Ok(Some(XattrRecord {
            inode,
            name: reader.bytes(name)?,
            value: reader.bytes(value)?,
        }))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.inode);
            // Names have at most 255 bytes, values 65536.
            out.put_u8(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
            out.put_u32(u32::try_from(self.value.len()).unwrap_or(u32::MAX));
        });
        out.piece(|out| out.put_bytes(self.name));
        if !self.value.is_empty() {
            out.piece(|out| out.put_bytes(self.value));
        }
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 9]));
    }
}

/// One ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclRecord<'a> {
    /// Whose it is.
    pub inode: Inode,
    /// 1 access, 2 default.
    pub acl_type: u8,
    /// Owner's permission; 0xFFFF not set.
    pub user: u16,
    /// Group's permission.
    pub group: u16,
    /// Others' permission.
    pub other: u16,
    /// Mask; 0xFFFF absent.
    pub mask: u16,
    /// How many of the entries are users.
    pub named_users: u16,
    /// How many of the entries are groups, after the users.
    pub named_groups: u16,
    /// The mask was 0 in a file of version 0x10 and has been replaced.
    pub mask_replaced: bool,
    entries: &'a [[u8; 6]],
}

impl<'a> AclRecord<'a> {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'a>, version: u8) -> Decoded<AclRecord<'a>> {
        let mut record = AclRecord {
            inode: reader.get()?,
            acl_type: reader.u8()?,
            user: reader.u16()?,
            group: reader.u16()?,
            other: reader.u16()?,
            mask: reader.u16()?,
            named_users: reader.u16()?,
            named_groups: reader.u16()?,
            mask_replaced: false,
            entries: &[],
        };
        if record.inode == Inode(0) {
            return Ok(None);
        }
        let entries = usize::from(record.named_users) + usize::from(record.named_groups);
        record.entries = reader.bytes(6 * entries)?.as_chunks().0;
        if version == 0x10 && record.mask == 0 {
            record.mask = MASK_RWX;
            record.mask_replaced = true;
        }
        Ok(Some(record))
    }

    /// Users, then groups, with their permissions.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u32, u16)> + 'a {
        self.entries.iter().map(|[i0, i1, i2, i3, p0, p1]| {
            (
                u32::from_be_bytes([*i0, *i1, *i2, *i3]),
                u16::from_be_bytes([*p0, *p1]),
            )
        })
    }

    /// Writes the record with these entries in place of its own.
    pub fn encode_with(&self, entries: impl Iterator<Item = (u32, u16)>, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.inode);
            out.put_u8(self.acl_type);
            for value in [
                self.user,
                self.group,
                self.other,
                self.mask,
                self.named_users,
                self.named_groups,
            ] {
                out.put_u16(value);
            }
        });
        let count = usize::from(self.named_users) + usize::from(self.named_groups);
        let mut entries = entries.take(count).peekable();
        while entries.peek().is_some() {
            out.piece(|out| {
                for (id, permission) in entries.by_ref().take(ENTRIES_PER_PIECE) {
                    out.put_u32(id);
                    out.put_u16(permission);
                }
            });
        }
    }

    /// A record to be written by [`AclRecord::encode_with`].
    pub fn new(inode: Inode, acl_type: u8, [user, group, other, mask]: [u16; 4]) -> Self {
        AclRecord {
            inode,
            acl_type,
            user,
            group,
            other,
            mask,
            named_users: 0,
            named_groups: 0,
            mask_replaced: false,
            entries: &[],
        }
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        self.encode_with(self.entries(), out);
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 17]));
    }
}
