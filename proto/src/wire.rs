//! Reading and writing big-endian fields: the cursor over a payload and the writers on a buffer.
//!
//! Every wire message and no message in particular; framing is in [`crate::frame`].

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::ids::{ChunkId, ChunkVersion, ClassId, CsId, Inode, MetaId, MetaVersion, SessionId};
use crate::status::Status;
use crate::version::Version;

/// Longest `NAME`: its length field has eight bits.
pub const NAME_MAX: usize = 255;

/// The payload has a length or a content that no layout of its message allows.
///
/// The receiver closes the connection (wire-client-master §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet")]
pub struct Malformed;

/// Cursor over a payload. Nothing is copied: byte strings borrow from the frame.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `payload`.
    #[inline]
    pub fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader { rest: payload }
    }

    /// Number of bytes that are still unread.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = tail;
        Ok(*head)
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// The next 16-bit number.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// The next 32-bit number.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// The next 64-bit number.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The next `count` bytes.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = tail;
        Ok(head)
    }

    /// A `NAME`: `length:8` and that many bytes.
    #[inline]
    pub fn name(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// A byte string behind a 32-bit length.
    #[inline]
    pub fn long_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// The next value of a type that knows its own layout.
    #[inline]
    pub fn get<T: Field<'a>>(&mut self) -> Result<T, Malformed> {
        T::get(self)
    }

    /// Everything that is left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Checks that nothing is left.
    #[inline]
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Big-endian writers on an output buffer.
pub trait Put {
    /// Appends a byte.
    fn put_u8(&mut self, value: u8);
    /// Appends a 16-bit number.
    fn put_u16(&mut self, value: u16);
    /// Appends a 32-bit number.
    fn put_u32(&mut self, value: u32);
    /// Appends a 64-bit number.
    fn put_u64(&mut self, value: u64);
    /// Appends bytes without a length.
    fn put_bytes(&mut self, value: &[u8]);
    /// Appends a `NAME`: `length:8` and the bytes, cut after [`NAME_MAX`].
    fn put_name(&mut self, value: &[u8]);
    /// Appends `length:32` and the bytes. No message comes near 4 GiB; longer input is cut.
    fn put_long_bytes(&mut self, value: &[u8]);
    /// Appends a value of a type that knows its own layout.
    fn put<'a, T: Field<'a>>(&mut self, value: T);
}

impl Put for Vec<u8> {
    #[inline]
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    #[inline]
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn put_bytes(&mut self, value: &[u8]) {
        self.extend_from_slice(value);
    }

    #[inline]
    fn put_name(&mut self, value: &[u8]) {
        debug_assert!(value.len() <= NAME_MAX, "a name of {} bytes", value.len());
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        self.push(length);
        self.extend_from_slice(&value[..usize::from(length)]);
    }

    #[inline]
    fn put_long_bytes(&mut self, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.put_u32(length);
        self.extend_from_slice(&value[..length as usize]);
    }

    #[inline]
    fn put<'a, T: Field<'a>>(&mut self, value: T) {
        value.put(self);
    }
}

/// A value with one layout for all versions: a number, an identifier, a name, a small record.
pub trait Field<'a>: Copy {
    /// Reads the value.
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed>;
    /// Appends the value.
    fn put(self, out: &mut Vec<u8>);
}

/// A value inside a message whose layout may depend on the client's version.
pub trait Versioned<'a>: Copy {
    /// Reads the value.
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed>;
    /// Appends the value.
    fn put(self, client: Version, out: &mut Vec<u8>);
}

impl<'a, T: Field<'a>> Versioned<'a> for T {
    #[inline]
    fn get(reader: &mut Reader<'a>, _client: Version) -> Result<Self, Malformed> {
        <T as Field>::get(reader)
    }

    #[inline]
    fn put(self, _client: Version, out: &mut Vec<u8>) {
        <T as Field>::put(self, out);
    }
}

macro_rules! number {
    ($($type:ty: $get:ident $put:ident;)*) => {$(
        impl<'a> Field<'a> for $type {
            #[inline]
            fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
                reader.$get()
            }
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                out.$put(self);
            }
        }
    )*};
}

number! {
    u8: u8 put_u8;
    u16: u16 put_u16;
    u32: u32 put_u32;
    u64: u64 put_u64;
}

macro_rules! identifier {
    ($($type:ident: $get:ident $put:ident;)*) => {$(
        impl<'a> Field<'a> for $type {
            #[inline]
            fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
                Ok($type(reader.$get()?))
            }
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                out.$put(self.0);
            }
        }
    )*};
}

identifier! {
    Inode: u32 put_u32;
    ChunkId: u64 put_u64;
    ChunkVersion: u32 put_u32;
    SessionId: u32 put_u32;
    MetaVersion: u64 put_u64;
    MetaId: u64 put_u64;
    ClassId: u8 put_u8;
    CsId: u16 put_u16;
    Version: u32 put_u32;
}

/// One byte; everything but 0 is true.
impl<'a> Field<'a> for bool {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(reader.u8()? != 0)
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(self));
    }
}

/// One byte. A number that 3.0.117 does not know reads as [`Status::Io`]: a failure of a newer
/// peer is a failure, and no reason to close the connection.
impl<'a> Field<'a> for Status {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Status::from_wire(reader.u8()?).unwrap_or(Status::Io))
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_u8(self.wire());
    }
}

/// `ip:32`.
impl<'a> Field<'a> for Ipv4Addr {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Ipv4Addr::from(reader.array()?))
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_bytes(&self.octets());
    }
}

/// `ip:32 port:16`.
impl<'a> Field<'a> for SocketAddrV4 {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(SocketAddrV4::new(reader.get()?, reader.u16()?))
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put(*self.ip());
        out.put_u16(self.port());
    }
}

/// A byte string is a `NAME`; strings with longer lengths are written by hand where they occur.
impl<'a> Field<'a> for &'a [u8] {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.name()
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_name(self);
    }
}

/// Fixed-size raw bytes.
impl<'a, const N: usize> Field<'a> for [u8; N] {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        reader.array()
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.put_bytes(&self);
    }
}

/// Numbers in a row.
impl<'a, const N: usize> Field<'a> for [u32; N] {
    #[inline]
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = reader.u32()?;
        }
        Ok(numbers)
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        for number in self {
            out.put_u32(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Put, Reader};
    use crate::ids::Inode;

    #[test]
    fn fields_are_big_endian_and_read_back() {
        let mut out = Vec::new();
        out.put_u8(1);
        out.put_u16(0x0203);
        out.put_u32(0x0405_0607);
        out.put_u64(0x0809_0a0b_0c0d_0e0f);
        out.put_name(b"ab");
        out.put_long_bytes(b"c");
        out.put(Inode(7));
        assert_eq!(out[..15], (1..=15).collect::<Vec<u8>>());
        assert_eq!(out[15..], *b"\x02ab\0\0\0\x01c\0\0\0\x07");

        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(reader.name(), Ok(&b"ab"[..]));
        assert_eq!(reader.long_bytes(), Ok(&b"c"[..]));
        assert_eq!(reader.remaining(), 4);
        assert_eq!(reader.get(), Ok(Inode(7)));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_too_short_or_too_long_is_malformed() {
        assert_eq!(Reader::new(b"\0\0\0").u32(), Err(Malformed));
        assert_eq!(Reader::new(b"\x03ab").name(), Err(Malformed));
        assert_eq!(
            Reader::new(b"\xff\xff\xff\xffab").long_bytes(),
            Err(Malformed)
        );
        assert_eq!(Reader::new(b"ab").bytes(3), Err(Malformed));
        assert_eq!(Reader::new(b"a").finish(), Err(Malformed));
    }
}
