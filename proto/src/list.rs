//! Lists that fill the rest of a packet: read in place, never copied into memory of their own.

use std::fmt;
use std::marker::PhantomData;

use crate::wire::{Field, Malformed, Put, Reader};

/// A record of fixed size, as it repeats in a list.
pub trait Entry: for<'a> Field<'a> {
    /// Bytes of one record.
    const LEN: usize;
}

/// `n*[record]` without a count: the number of records follows from the length of the packet.
///
/// Only a view of the packet; iterating decodes.
pub struct List<'a, T> {
    bytes: &'a [u8],
    records: PhantomData<fn() -> T>,
}

impl<'a, T: Entry> List<'a, T> {
    /// A list without records.
    pub const EMPTY: List<'static, T> = List {
        bytes: &[],
        records: PhantomData,
    };

    /// A view of encoded records; malformed unless `bytes` holds whole ones.
    pub fn new(bytes: &'a [u8]) -> Result<List<'a, T>, Malformed> {
        if bytes.len().is_multiple_of(T::LEN) {
            Ok(List {
                bytes,
                records: PhantomData,
            })
        } else {
            Err(Malformed)
        }
    }

    /// Encodes records into `buffer`, which is emptied before, and views them.
    pub fn write(records: impl IntoIterator<Item = T>, buffer: &'a mut Vec<u8>) -> List<'a, T> {
        buffer.clear();
        for record in records {
            buffer.put(record);
        }
        List {
            bytes: buffer,
            records: PhantomData,
        }
    }

    /// Number of records.
    pub fn len(self) -> usize {
        self.bytes.len() / T::LEN
    }

    /// Whether there is no record.
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads a list of `count` records.
    pub(crate) fn get_counted(
        reader: &mut Reader<'a>,
        count: usize,
    ) -> Result<List<'a, T>, Malformed> {
        let length = count.checked_mul(T::LEN).ok_or(Malformed)?;
        List::new(reader.bytes(length)?)
    }

    /// The first record and the others.
    pub fn split_first(self) -> Option<(T, List<'a, T>)> {
        let mut reader = Reader::new(self.bytes);
        let first = reader.get().ok()?;
        let others = List {
            bytes: reader.rest(),
            records: PhantomData,
        };
        Some((first, others))
    }

    /// The records as they stand in the packet.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The records in their order.
    pub fn iter(self) -> Iter<'a, T> {
        Iter {
            bytes: self.bytes,
            records: PhantomData,
        }
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for List<'_, T> {}

impl<T: Entry + fmt::Debug> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Takes everything that is left of the packet.
impl<'a, T: Entry> Field<'a> for List<'a, T> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        List::new(reader.rest())
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_bytes(self.bytes);
    }
}

impl<'a, T: Entry> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Iterator over the records of a [`List`].
pub struct Iter<'a, T> {
    bytes: &'a [u8],
    records: PhantomData<fn() -> T>,
}

impl<T: Entry> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (record, rest) = self.bytes.split_at_checked(T::LEN)?;
        self.bytes = rest;
        Reader::new(record).get().ok()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.bytes.len() / T::LEN;
        (count, Some(count))
    }
}

impl<T: Entry> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let length = self.bytes.len().checked_sub(T::LEN)?;
        let (rest, record) = self.bytes.split_at(length);
        self.bytes = rest;
        Reader::new(record).get().ok()
    }
}

impl<T: Entry> ExactSizeIterator for Iter<'_, T> {}

macro_rules! entry {
    ($($type:ty: $length:literal;)*) => {
        $(impl Entry for $type {
            const LEN: usize = $length;
        })*
    };
}

entry! {
    u32: 4;
    u64: 8;
    crate::ids::ChunkId: 8;
    crate::ids::Inode: 4;
    std::net::SocketAddrV4: 6;
}

/// Bytes without a length of their own: they fill the rest of the packet.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest<'a>(pub &'a [u8]);

impl fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<'a> Field<'a> for Rest<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Rest(reader.rest()))
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_bytes(self.0);
    }
}

/// A text behind a 32-bit length ("STR32").
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<'a> Field<'a> for Text<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.long_bytes().map(Text)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_long_bytes(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::List;
    use crate::ids::ChunkId;
    use crate::wire::Malformed;

    #[test]
    fn a_list_is_a_view_of_whole_records() {
        let mut buffer = vec![1, 2, 3];
        let list = List::write([ChunkId(7), ChunkId(9)], &mut buffer);
        assert_eq!(list.len(), 2);
        assert_eq!(list.iter().collect::<Vec<_>>(), [ChunkId(7), ChunkId(9)]);
        assert_eq!(list.iter().len(), 2);
        assert_eq!(list.iter().next_back(), Some(ChunkId(9)));
        assert_eq!(List::<ChunkId>::new(list.as_bytes()), Ok(list));
        assert_eq!(
            List::<ChunkId>::new(&list.as_bytes()[1..]),
            Err(Malformed),
            "half a record"
        );
        assert!(List::<ChunkId>::EMPTY.is_empty());
    }
}
