//! FLCK and PLCK: locks (metadata-and-changelog §1.4.10, §1.4.11).

use super::{Decoded, Pieces};
use crate::{Inode, Reader, SessionId, wire::Put};

/// A whole-file lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlockRecord {
    /// The file.
    pub inode: Inode,
    /// The holder, as his client numbers it.
    pub owner: u64,
    /// The holder's session.
    pub session: SessionId,
    /// 0 shared, 1 exclusive.
    pub kind: u8,
}

impl FlockRecord {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<FlockRecord> {
        let record = FlockRecord {
            inode: reader.get()?,
            owner: reader.u64()?,
            session: reader.get()?,
            kind: reader.u8()?,
        };
        Ok((record.inode != Inode(0)).then_some(record))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.inode);
            out.put_u64(self.owner);
            out.put(self.session);
            out.put_u8(self.kind);
        });
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 17]));
    }
}

/// A byte-range lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosixLockRecord {
    /// The file.
    pub inode: Inode,
    /// The holder, as his client numbers it.
    pub owner: u64,
    /// The holder's session.
    pub session: SessionId,
    /// The holder's process.
    pub pid: u32,
    /// First byte.
    pub start: u64,
    /// First byte behind; `u64::MAX` to the end of the file.
    pub end: u64,
    /// 1 read, 2 write.
    pub kind: u8,
}

impl PosixLockRecord {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<PosixLockRecord> {
        let record = PosixLockRecord {
            inode: reader.get()?,
            owner: reader.u64()?,
            session: reader.get()?,
            pid: reader.u32()?,
            start: reader.u64()?,
            end: reader.u64()?,
            kind: reader.u8()?,
        };
        Ok((record.inode != Inode(0)).then_some(record))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.inode);
            out.put_u64(self.owner);
            out.put(self.session);
            out.put_u32(self.pid);
            out.put_u64(self.start);
            out.put_u64(self.end);
            out.put_u8(self.kind);
        });
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 37]));
    }
}
