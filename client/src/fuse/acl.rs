//! ACLs as the kernel writes them into extended attributes: version 2, little-endian
//! (client-behaviour §7.10).

use bytes::Bytes;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::operations::AclValue;

const VERSION: u32 = 2;
const HEAD_LEN: usize = 4;
const ENTRY_LEN: usize = 8;
/// Id of entries that name nobody.
const NOBODY: u32 = u32::MAX;

mod tag {
    pub(super) const USER_OBJ: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const GROUP_OBJ: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// Reads the kernel's form.
pub(super) fn from_kernel(bytes: &[u8]) -> Result<AclValue> {
    let invalid = Error::Os(Errno::INVAL);
    let (head, entries) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(invalid)?;
    if u32::from_le_bytes(*head) != VERSION || !entries.len().is_multiple_of(ENTRY_LEN) {
        return Err(invalid);
    }
    let mut acl = AclValue::default();
    for entry in entries.chunks_exact(ENTRY_LEN) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let permissions = u16::from_le_bytes([entry[2], entry[3]]);
        let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        let slot = match tag {
            tag::USER_OBJ => &mut acl.user,
            tag::GROUP_OBJ => &mut acl.group,
            tag::OTHER => &mut acl.other,
            tag::MASK => &mut acl.mask,
            tag::USER => {
                acl.users.push((id, permissions));
                continue;
            }
            tag::GROUP => {
                acl.groups.push((id, permissions));
                continue;
            }
            _ => return Err(invalid),
        };
        if slot.replace(permissions).is_some() {
            return Err(invalid);
        }
    }
    let has_names = !acl.users.is_empty() || !acl.groups.is_empty();
    if has_names && acl.mask.is_none() {
        return Err(invalid);
    }
    Ok(acl)
}

/// Writes the kernel's form, entries in its order.
pub(super) fn to_kernel(acl: &AclValue) -> Bytes {
    let mut out = VERSION.to_le_bytes().to_vec();
    let mut put = |tag: u16, permissions: u16, id: u32| {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&permissions.to_le_bytes());
        out.extend_from_slice(&id.to_le_bytes());
    };
    if let Some(permissions) = acl.user {
        put(tag::USER_OBJ, permissions, NOBODY);
    }
    for (id, permissions) in &acl.users {
        put(tag::USER, *permissions, *id);
    }
    if let Some(permissions) = acl.group {
        put(tag::GROUP_OBJ, permissions, NOBODY);
    }
    for (id, permissions) in &acl.groups {
        put(tag::GROUP, *permissions, *id);
    }
    if let Some(permissions) = acl.mask {
        put(tag::MASK, permissions, NOBODY);
    }
    if let Some(permissions) = acl.other {
        put(tag::OTHER, permissions, NOBODY);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u16, permissions: u16, id: u32) -> Vec<u8> {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes
    }

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0];
        for (tag, permissions, id) in entries {
            bytes.extend(entry(*tag, *permissions, *id));
        }
        bytes
    }

    #[test]
    fn lists_go_there_and_back() {
        let bytes = list(&[
            (tag::USER_OBJ, 6, NOBODY),
            (tag::USER, 6, 1001),
            (tag::GROUP_OBJ, 4, NOBODY),
            (tag::GROUP, 2, 2222),
            (tag::MASK, 7, NOBODY),
            (tag::OTHER, 4, NOBODY),
        ]);
        let acl = from_kernel(&bytes).unwrap();
        assert_eq!(acl.users, [(1001, 6)]);
        assert_eq!((acl.mask, acl.other), (Some(7), Some(4)));
        assert_eq!(to_kernel(&acl), bytes);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            vec![],
            vec![1, 0, 0, 0],
            vec![2, 0, 0, 0, 1],
            list(&[(tag::USER_OBJ, 6, NOBODY), (tag::USER_OBJ, 6, NOBODY)]),
            list(&[(tag::USER, 6, 1001)]),
            list(&[(0x40, 6, NOBODY)]),
        ] {
            assert_eq!(
                from_kernel(&bytes),
                Err(Error::Os(Errno::INVAL)),
                "{bytes:?}"
            );
        }
    }
}
