//! Who asks: `uid:32` with one group or a list of groups (wire-client-master §10).

use super::message::List;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader};

/// User and groups of a request, as sent: not mapped by the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// User.
    pub uid: u32,
    /// Groups.
    pub gids: Gids<'a>,
}

/// Groups of a request in one of the two forms. Nothing is allocated to decode them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gids<'a> {
    /// `gid:32`: clients before 2.0, and a mount whose list is empty.
    Single(u32),
    /// `gcnt:32 gcnt*[ gid:32 ]`. May be empty where the layout can tell it from [`Gids::Single`].
    List(List<'a, u32>),
}

impl<'a> Gids<'a> {
    /// Groups to be sent as a list.
    pub const fn listed(gids: &'a [u32]) -> Gids<'a> {
        Gids::List(List::Values(gids))
    }

    /// The first group, the one that new objects get.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// Number of groups.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Gids::Single(_) => 1,
            Gids::List(List::Wire(bytes, _)) => bytes.len() / size_of::<u32>(),
            Gids::List(List::Values(values)) => values.len(),
        }
    }

    /// Whether there is no group at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The groups in their order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        let (single, list) = match *self {
            Gids::Single(gid) => (Some(gid), List::EMPTY),
            Gids::List(list) => (None, list),
        };
        single.into_iter().chain(list.iter())
    }

    /// Replaces the content of `gids`; its memory is kept for the next request.
    #[inline]
    pub fn copy_into(&self, gids: &mut Vec<u32>) {
        gids.clear();
        gids.extend(self.iter());
    }

    /// Reads `gcnt:32` and the groups, which must be `size` bytes together.
    #[inline]
    fn get_listed(reader: &mut Reader<'a>, size: usize) -> Result<Self, Malformed> {
        let count = u64::from(reader.u32()?);
        if count * 4 + 4 != size as u64 {
            return Err(Malformed);
        }
        // Numbers have one layout in all versions.
        Ok(Gids::List(List::Wire(
            reader.bytes(size - 4)?,
            Version::CURRENT,
        )))
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Gids::Single(gid) => out.put_u32(*gid),
            Gids::List(list) => {
                out.put_u32(u32::try_from(self.len()).unwrap_or(u32::MAX));
                list.put(Version::CURRENT, out);
            }
        }
    }
}

impl<'a> Credentials<'a> {
    /// Root with its one group.
    pub const ROOT: Credentials<'static> = Credentials {
        uid: 0,
        gids: Gids::Single(0),
    };

    /// Reads credentials that are followed by `tail` more bytes.
    ///
    /// The number of bytes decides between the forms, so a list without groups counts as group 0
    /// (wire-client-master §10).
    #[inline]
    pub fn get_before(reader: &mut Reader<'a>, tail: usize) -> Result<Self, Malformed> {
        let uid = reader.u32()?;
        let size = reader.remaining().checked_sub(tail).ok_or(Malformed)?;
        let gids = if size == 4 {
            Gids::Single(reader.u32()?)
        } else {
            Gids::get_listed(reader, size)?
        };
        Ok(Credentials { uid, gids })
    }

    /// Reads credentials that are followed by `tail` more bytes and always have a list, where one
    /// without groups can be told from a single group.
    #[inline]
    pub(crate) fn get_listed(reader: &mut Reader<'a>, tail: usize) -> Result<Self, Malformed> {
        let uid = reader.u32()?;
        let size = reader.remaining().checked_sub(tail).ok_or(Malformed)?;
        Ok(Credentials {
            uid,
            gids: Gids::get_listed(reader, size)?,
        })
    }

    /// Appends the form with a list, also for a single group.
    #[inline]
    pub(crate) fn put_listed(&self, out: &mut Vec<u8>) {
        out.put_u32(self.uid);
        match self.gids {
            Gids::Single(gid) => Gids::listed(&[gid]).put(out),
            Gids::List(_) => self.gids.put(out),
        }
    }

    /// Appends the form with one group: the first one, 0 if there is none.
    #[inline]
    pub(crate) fn put_single(&self, out: &mut Vec<u8>) {
        out.put_u32(self.uid);
        out.put_u32(self.gids.first().unwrap_or(0));
    }
}

/// Credentials at the end of a packet.
impl<'a> Field<'a> for Credentials<'a> {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Credentials::get_before(reader, 0)
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_u32(self.uid);
        self.gids.put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Gids};
    use crate::wire::{Field, Malformed, Reader};

    #[test]
    fn the_number_of_bytes_decides_the_form() {
        for (bytes, expected) in [
            (&b"\0\0\0\x07\0\0\0\x05"[..], Ok(Gids::Single(5))),
            (b"\0\0\0\x07\0\0\0\0", Ok(Gids::Single(0))),
            (b"\0\0\0\x07\0\0\0\x01\0\0\0\x05", Ok(Gids::listed(&[5]))),
            (
                b"\0\0\0\x07\0\0\0\x02\0\0\0\x05\0\0\0\x06",
                Ok(Gids::listed(&[5, 6])),
            ),
            (b"\0\0\0\x07\0\0\0\x02\0\0\0\x05", Err(Malformed)),
            (b"\0\0\0\x07\xff\xff\xff\xff\0\0\0\x05", Err(Malformed)),
            (b"\0\0\0\x07", Err(Malformed)),
        ] {
            let read = Credentials::get(&mut Reader::new(bytes));
            assert_eq!(
                read,
                expected.map(|gids| Credentials { uid: 7, gids }),
                "{bytes:?}"
            );
            if let Ok(credentials) = read {
                let mut out = Vec::new();
                credentials.put(&mut out);
                assert_eq!(out, bytes);
                let mut gids = vec![9];
                credentials.gids.copy_into(&mut gids);
                assert_eq!(gids.len(), credentials.gids.len());
                assert_eq!(gids.first().copied(), credentials.gids.first());
            }
        }
    }
}
