//! Encoded bytes and their fingerprint, the value of `metadata.crc` (metadata-and-changelog §1.9).

/// XOR of the CRC-32 of every piece of a section. It does not depend on the order of the records,
/// so equal states have equal fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub u32);

impl Fingerprint {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0 ^= crc32fast::hash(piece);
    }
}

/// A growing output that knows the fingerprint of all pieces since [`Pieces::take_fingerprint`].
/// Whoever writes it out clears it from time to time.
#[derive(Debug, Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Pieces {
    /// Appends one piece, made by `write`.
    #[inline]
    pub fn piece(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.fingerprint.add(&self.bytes[start..]);
    }

    /// Appends bytes that do not count, like a header whose length is written later.
    pub fn uncounted(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a piece to the fingerprint without writing it.
    pub fn count(&mut self, piece: &[u8]) {
        self.fingerprint.add(piece);
    }

    /// What has been appended since the last [`Pieces::clear`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the bytes (they are written), keeps the memory and the fingerprint.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The fingerprint of all pieces since the last call.
    pub fn take_fingerprint(&mut self) -> Fingerprint {
        std::mem::take(&mut self.fingerprint)
    }
}
