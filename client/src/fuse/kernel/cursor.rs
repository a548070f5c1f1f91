//! Reading and writing the kernel's structures, which have the byte order of the machine.

/// A request is shorter than its type says, or a name has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// Cursor over a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Short)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_ne_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_ne_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Short> {
        Ok(u64::from_ne_bytes(self.array()?))
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(Short)?;
        self.rest = tail;
        Ok(head)
    }

    /// Text up to a NUL, which is skipped.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Short> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Short)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }
}

/// Writers in the byte order of the machine.
pub(super) trait PutNative {
    fn n16(&mut self, value: u16);
    fn n32(&mut self, value: u32);
    fn n64(&mut self, value: u64);
}

impl PutNative for Vec<u8> {
    fn n16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_ne_bytes());
    }

    fn n32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_ne_bytes());
    }

    fn n64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_ne_bytes());
    }
}
