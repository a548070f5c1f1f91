//! Disks of a chunkserver with their statistics (wire-admin §5.2), and the list of 1.x (§5.1).

use crate::chunkserver::Usage;
use crate::frame::put_frame;
use crate::ids::ChunkId;
use crate::list::{Entry, List};
use crate::message::{messages, records};
use crate::wire::{Field, Malformed, Put, Reader};

messages! {
    /// Asks a chunkserver for its disks.
    GetDisks = 600 {}
}

records! {
    /// Work of a disk in a period.
    DiskStats[64] {
        /// Bytes read.
        read_bytes: u64,
        /// Bytes written.
        written_bytes: u64,
        /// Microseconds spent in reads.
        read_us: u64,
        /// Microseconds spent in writes.
        write_us: u64,
        /// Microseconds spent in fsync.
        fsync_us: u64,
        /// Number of reads.
        reads: u32,
        /// Number of writes.
        writes: u32,
        /// Number of fsyncs.
        fsyncs: u32,
        /// Longest read in microseconds.
        read_us_max: u32,
        /// Longest write in microseconds.
        write_us_max: u32,
        /// Longest fsync in microseconds.
        fsync_us_max: u32,
    }
}

/// Bits of `flags`.
pub mod disk_flags {
    /// Marked for removal.
    pub const MARKED_FOR_REMOVAL: u8 = 1;
    /// Taken out after errors.
    pub const DAMAGED: u8 = 2;
    /// Being scanned: `used` is percent then, `total` 0.
    pub const SCANNED: u8 = 4;
    /// The line of the configuration is invalid (3.0).
    pub const INVALID: u8 = 8;
}

/// What is known about a disk, apart from its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskEntry<'a> {
    /// Path of the disk.
    pub path: &'a [u8],
    /// See [`disk_flags`].
    pub flags: u8,
    /// Chunk of the last error.
    pub error_chunk: ChunkId,
    /// Time of the last error; 0: none.
    pub error_time: u32,
    /// Space and chunks.
    pub usage: Usage,
}

impl<'a> Field<'a> for DiskEntry<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(DiskEntry {
            path: reader.name()?,
            flags: reader.u8()?,
            error_chunk: reader.get()?,
            error_time: reader.u32()?,
            usage: reader.get()?,
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_name(self.path);
        out.put_u8(self.flags);
        out.put(self.error_chunk);
        out.put_u32(self.error_time);
        out.put(self.usage);
    }
}

/// Answer of a 1.x or 2.x chunkserver to message 502, which has another meaning since 3.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldDiskList<'a> {
    /// Disks.
    pub disks: Vec<DiskEntry<'a>>,
}

impl<'a> OldDiskList<'a> {
    /// Message type.
    pub const KIND: u32 = 503;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<OldDiskList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let mut disks = Vec::new();
        while !reader.is_empty() {
            disks.push(reader.get()?);
        }
        Ok(OldDiskList { disks })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            for disk in &self.disks {
                out.put(*disk);
            }
        });
    }
}

/// A disk with its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk<'a> {
    /// The disk.
    pub entry: DiskEntry<'a>,
    /// Periods: in a disk list the last minute, hour and day; in monotonic data one since start.
    pub stats: List<'a, DiskStats>,
}

/// Bytes of an entry without path and statistics.
const ENTRY_LEN: usize = 34;

impl<'a> Disk<'a> {
    /// Reads `size:16` and that many bytes.
    pub(super) fn get(reader: &mut Reader<'a>) -> Result<Disk<'a>, Malformed> {
        let size = reader.u16()?;
        let mut record = Reader::new(reader.bytes(usize::from(size))?);
        Ok(Disk {
            entry: record.get()?,
            stats: record.get()?,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let size = ENTRY_LEN + self.entry.path.len() + DiskStats::LEN * self.stats.len();
        out.put_u16(u16::try_from(size).unwrap_or(u16::MAX));
        out.put(self.entry);
        self.stats.put(out);
    }
}

/// Answer to [`GetDisks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskList<'a> {
    /// Disks, in the reverse order of the configuration file.
    pub disks: Vec<Disk<'a>>,
}

impl<'a> DiskList<'a> {
    /// Message type.
    pub const KIND: u32 = 601;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<DiskList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let mut disks = Vec::new();
        while !reader.is_empty() {
            disks.push(Disk::get(&mut reader)?);
        }
        Ok(DiskList { disks })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            for disk in &self.disks {
                disk.put(out);
            }
        });
    }
}
