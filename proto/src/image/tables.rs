//! Sections of small fixed records: FREE, QUOT, OPEN, CSDB, CHNK (metadata-and-changelog §1.4).

use super::{Damage, Decoded, Pieces};
use crate::{
    ChunkId, ChunkVersion, Inode, Reader, SessionId,
    changelog::{Quota, QuotaLimits},
    wire::Put,
};

/// Records of FREE that form one piece of the fingerprint.
const FREE_PER_PIECE: usize = 1024;

/// Reads the number of records of FREE, QUOT and CSDB.
///
/// # Errors
/// The data ends.
pub fn decode_count(reader: &mut Reader<'_>) -> Result<u32, Damage> {
    Ok(reader.u32()?)
}

/// Writes the number of records of QUOT and CSDB.
pub fn encode_count(count: usize, out: &mut Pieces) {
    // Fewer than inodes and addresses, which have 32 bits and one server each.
    out.piece(|out| out.put_u32(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// A freed inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeRecord {
    /// The number.
    pub inode: Inode,
    /// When it was freed, seconds since 1970.
    pub freed: u32,
}

impl FreeRecord {
    /// Reads one record.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>) -> Result<FreeRecord, Damage> {
        Ok(FreeRecord {
            inode: reader.get()?,
            freed: reader.u32()?,
        })
    }
}

/// Writes the section: the number of records and the records, oldest first.
pub fn encode_free(count: usize, records: impl Iterator<Item = FreeRecord>, out: &mut Pieces) {
    encode_count(count, out);
    let mut records = records.take(count).peekable();
    while records.peek().is_some() {
        out.piece(|out| {
            for record in records.by_ref().take(FREE_PER_PIECE) {
                out.put(record.inode);
                out.put_u32(record.freed);
            }
        });
    }
}

/// The quota of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRecord {
    /// What the line QUOTA says, too; its grace is 0 in versions without.
    pub quota: Quota,
    /// Whether the grace period was stored.
    pub has_grace: bool,
}

impl QuotaRecord {
    /// Reads one record.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>, version: u8) -> Result<QuotaRecord, Damage> {
        let inode = reader.get()?;
        let has_grace = version >= 0x11;
        let grace_seconds = if has_grace { reader.u32()? } else { 0 };
        let (exceeded, flags, soft_since) = (reader.u8()? != 0, reader.u8()?, reader.u32()?);
        let (mut soft, mut hard) = (QuotaLimits::default(), QuotaLimits::default());
        soft.inodes = reader.u32()?;
        hard.inodes = reader.u32()?;
        soft.length = reader.u64()?;
        hard.length = reader.u64()?;
        soft.size = reader.u64()?;
        hard.size = reader.u64()?;
        soft.real_size = reader.u64()?;
        hard.real_size = reader.u64()?;
        Ok(QuotaRecord {
            quota: Quota {
                inode,
                exceeded,
                flags,
                soft_since,
                soft,
                hard,
                grace_seconds,
            },
            has_grace,
        })
    }

    /// Writes one record.
    pub fn encode(quota: &Quota, out: &mut Pieces) {
        out.piece(|out| {
            let (soft, hard) = (&quota.soft, &quota.hard);
            out.put(quota.inode);
            out.put_u32(quota.grace_seconds);
            out.put(quota.exceeded);
            out.put_u8(quota.flags);
            out.put_u32(quota.soft_since);
            out.put_u32(soft.inodes);
            out.put_u32(hard.inodes);
            for value in [
                soft.length,
                hard.length,
                soft.size,
                hard.size,
                soft.real_size,
                hard.real_size,
            ] {
                out.put_u64(value);
            }
        });
    }
}

/// A session has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRecord {
    /// The session.
    pub session: SessionId,
    /// The file.
    pub inode: Inode,
}

impl OpenRecord {
    /// Reads a record; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<OpenRecord> {
        let record = OpenRecord {
            session: reader.get()?,
            inode: reader.get()?,
        };
        Ok((record.session != SessionId(0)).then_some(record))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.session);
            out.put(self.inode);
        });
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 8]));
    }
}

/// A chunkserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerRecord {
    /// Address as announced, host order.
    pub ip: u32,
    /// Port for clients.
    pub port: u16,
    /// Identifier, 0 = none.
    pub csid: u16,
    /// 0 off, 1 on, 2 temporary.
    pub maintenance: u8,
    /// When maintenance ends by itself, 0 = never.
    pub maintenance_until: u32,
}

impl ServerRecord {
    /// Reads one record.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>, version: u8) -> Result<ServerRecord, Damage> {
        Ok(ServerRecord {
            ip: reader.u32()?,
            port: reader.u16()?,
            csid: if version >= 0x11 { reader.u16()? } else { 0 },
            maintenance: if version >= 0x12 { reader.u8()? } else { 0 },
            maintenance_until: if version >= 0x13 { reader.u32()? } else { 0 },
        })
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put_u32(self.ip);
            out.put_u16(self.port);
            out.put_u16(self.csid);
            out.put_u8(self.maintenance);
            out.put_u32(self.maintenance_until);
        });
    }
}

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Its number.
    pub chunk: ChunkId,
    /// Version of good copies.
    pub version: ChunkVersion,
    /// Until when it is locked, seconds since 1970.
    pub locked_to: u32,
    /// The archive labels count.
    pub archived: bool,
    /// 4.x: zeros may be read in place of the lost chunk, or the file is in trash.
    pub has_newer_flags: bool,
}

impl ChunkEntry {
    /// Reads a record; `None` is the end of the section. Version 0x12 is that of 4.x.
    ///
    /// # Errors
    /// The data ends, or the end has a version or a lock.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>, version: u8) -> Decoded<ChunkEntry> {
        let mut entry = ChunkEntry {
            chunk: reader.get()?,
            version: reader.get()?,
            locked_to: reader.u32()?,
            archived: false,
            has_newer_flags: false,
        };
        let flags = if version >= 0x11 { reader.u8()? } else { 0 };
        entry.archived = flags & 1 != 0;
        if version >= 0x12 {
            entry.decode_newer(reader, flags)?;
        }
        if entry.chunk == ChunkId::HOLE {
            if entry.version != ChunkVersion(0) || entry.locked_to != 0 {
                return Err(Damage::Invalid("chunk 0 with a version or a lock"));
            }
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// The rest of a record of 4.x: uses by storage class, which are computed here.
    fn decode_newer(&mut self, reader: &mut Reader<'_>, flags: u8) -> Result<(), Damage> {
        const TRASH: u8 = 2;
        const MORE_PAIRS: u8 = 0x80;
        const ZEROS: u32 = 1 << 31;
        let mut pairs = usize::from(reader.u8()?);
        if flags & MORE_PAIRS != 0 {
            pairs += 256;
        }
        reader.bytes(4 * pairs)?;
        if pairs > 1 {
            reader.u8()?;
        }
        self.has_newer_flags = flags & TRASH != 0 || self.version.0 & ZEROS != 0;
        self.version.0 &= !ZEROS;
        Ok(())
    }

    /// Writes the record.
    #[inline]
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            let mut fixed = [0; 17];
            fixed[..8].copy_from_slice(&self.chunk.0.to_be_bytes());
            fixed[8..12].copy_from_slice(&self.version.0.to_be_bytes());
            fixed[12..16].copy_from_slice(&self.locked_to.to_be_bytes());
            fixed[16] = u8::from(self.archived);
            out.put_bytes(&fixed);
        });
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 17]));
    }
}

/// Writes the number of the next chunk.
pub fn encode_chunk_header(next_chunk: ChunkId, out: &mut Pieces) {
    out.piece(|out| out.put(next_chunk));
}
