//! Files of the log: how a record is laid out, and what a start makes of a file that a crash left.
//!
//! A segment `NNNNNNNNNNNNNNNNNNNN.log` begins with 16 bytes: `MFSRLOG` + version 1, and the number
//! of its first entry (u64, big-endian). Records follow: length, CRC-32 over the rest, and how many
//! bytes of this file were on stable storage when the record was written (u32 each, big-endian), then
//! the entry as a protocol buffer. The third number tells a torn tail, which is cut, from damage to
//! what had been promised to others, which is not.

use crate::types::Entry;
use crate::wire::WireEntry;
use prost::Message as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"MFSRLOG\x01";
/// Length of a segment's head, bytes.
pub const HEAD_BYTES: usize = 16;
/// Length of a record's head, bytes.
pub const RECORD_HEAD_BYTES: usize = 12;
/// Longest entry, bytes.
pub const ENTRY_BYTES_MAX: usize = 48 << 20;

/// A segment that is open.
#[derive(Debug)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Number of its first entry.
    pub first: u64,
    /// The file.
    pub file: File,
}

/// Name of the segment that begins with an entry.
pub fn file_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The entry with which a file begins, by its name.
pub fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// A record found in a file.
#[derive(Debug)]
pub struct Found {
    /// Where its entry begins.
    pub offset: u64,
    /// Length of the entry, bytes.
    pub length: u32,
    /// The entry.
    pub entry: Entry,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Its records, in order.
    pub records: Vec<Found>,
    /// Length up to the end of the last whole one; 0 when not even the head is whole.
    pub whole_bytes: u64,
    /// There is something behind it.
    pub is_torn: bool,
}

/// Appends the record of an entry; `durable` bytes of the file are on stable storage. Gives the place
/// of the entry in `out`.
pub fn encode(entry: &Entry, durable: u64, out: &mut Vec<u8>) -> io::Result<(usize, u32)> {
    let wire = WireEntry::from(entry);
    let length = wire.encoded_len();
    if length > ENTRY_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("log entry {} has {length} bytes", entry.log_id),
        ));
    }
    let begin = out.len();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32::try_from(durable).unwrap_or(u32::MAX).to_be_bytes());
    wire.encode(out)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let crc = checksum(length as u32, &out[begin + 8..]);
    out[begin + 4..begin + 8].copy_from_slice(&crc.to_be_bytes());
    Ok((begin + RECORD_HEAD_BYTES, length as u32))
}

fn checksum(length: u32, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_be_bytes());
    hasher.update(rest);
    hasher.finalize()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The record at an offset: how much was durable, and its entry.
fn record(bytes: &[u8], at: usize) -> Option<(u32, u32, &[u8])> {
    let length = word(bytes, at)?;
    if length as usize > ENTRY_BYTES_MAX {
        return None;
    }
    let end = at + RECORD_HEAD_BYTES + length as usize;
    let rest = bytes.get(at + 8..end)?;
    let is_whole = word(bytes, at + 4)? == checksum(length, rest);
    is_whole.then_some((length, word(bytes, at + 8)?, &rest[4..]))
}

/// Reads a file as a start finds it.
///
/// # Errors
/// In words: a record that had been durable is damaged.
pub fn scan(bytes: &[u8], first: u64, is_last: bool) -> Result<Scan, String> {
    if bytes.len() < HEAD_BYTES || &bytes[..8] != MAGIC || bytes[8..16] != first.to_be_bytes() {
        return if is_last && bytes.len() <= HEAD_BYTES {
            Ok(Scan {
                is_torn: true,
                ..Scan::default()
            })
        } else {
            Err("its head is damaged".to_owned())
        };
    }
    let mut scan = Scan::default();
    let mut at = HEAD_BYTES;
    while at < bytes.len() {
        let Some((length, _, body)) = record(bytes, at) else {
            break;
        };
        let entry = WireEntry::decode(bytes::Bytes::copy_from_slice(body))
            .map_err(|error| error.to_string())
            .and_then(|wire| wire.into_entry().map_err(|error| error.to_string()))
            .map_err(|error| format!("entry at byte {at}: {error}"))?;
        let expected = first + scan.records.len() as u64;
        if entry.log_id.index() != expected {
            return Err(format!(
                "entry {} stands where {expected} belongs",
                entry.log_id.index()
            ));
        }
        scan.records.push(Found {
            offset: (at + RECORD_HEAD_BYTES) as u64,
            length,
            entry,
        });
        at += RECORD_HEAD_BYTES + length as usize;
    }
    scan.whole_bytes = at as u64;
    scan.is_torn = at < bytes.len();
    if scan.is_torn && (!is_last || was_durable(bytes, at)) {
        return Err(format!("the entry at byte {at} is damaged"));
    }
    Ok(scan)
}

/// Whether a later record knows that the broken one at `at` was on stable storage.
fn was_durable(bytes: &[u8], at: usize) -> bool {
    (at + 1..bytes.len().saturating_sub(RECORD_HEAD_BYTES)).any(|later| {
        // Most offsets fail on the cheap test that the length fits.
        record(bytes, later).is_some_and(|(length, durable, _)| length > 0 && durable as usize > at)
    })
}

impl Segment {
    /// Creates an empty segment; its head is durable with the first sync of file and directory.
    pub fn create(directory: &Path, first: u64) -> io::Result<Segment> {
        let path = directory.join(file_name(first));
        let file = open(&path, true)?;
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&first.to_be_bytes());
        file.write_all_at(&head, 0)?;
        Ok(Segment { path, first, file })
    }

    /// Opens one that exists.
    pub fn open(path: &Path, first: u64) -> io::Result<Segment> {
        Ok(Segment {
            path: path.to_owned(),
            first,
            file: open(path, false)?,
        })
    }

    /// Reads an entry.
    pub fn read(&self, offset: u64, length: u32) -> io::Result<Entry> {
        let mut bytes = vec![0; length as usize + RECORD_HEAD_BYTES];
        let begin = offset - RECORD_HEAD_BYTES as u64;
        self.file.read_exact_at(&mut bytes, begin)?;
        let damaged = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: byte {begin}: {what}", self.path.display()),
            )
        };
        let (_, _, body) = record(&bytes, 0).ok_or_else(|| damaged("the record is damaged"))?;
        let wire = WireEntry::decode(bytes::Bytes::copy_from_slice(body))
            .map_err(|error| damaged(&error.to_string()))?;
        wire.into_entry()
            .map_err(|error| damaged(&error.to_string()))
    }
}

fn open(path: &Path, fresh: bool) -> io::Result<File> {
    OpenOptions::new()
        .create(fresh)
        .truncate(fresh)
        .read(true)
        .write(true)
        .mode(0o640)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, MAGIC, encode, file_name, first_of, scan};
    use crate::types::{Batch, Entry, Kind, Position, log_id};
    use bytes::Bytes;
    use openraft::EntryPayload;

    fn entry(index: u64) -> Entry {
        Entry {
            log_id: log_id(Position { term: 2, index }),
            payload: EntryPayload::Normal(Batch {
                kind: Kind::Changes,
                origin: 9,
                sequence: index,
                bytes: Bytes::from(format!("{index}: 5|ACCESS(1)\n")),
            }),
        }
    }

    /// A file with entries from 5 on, each synced before the next was written, or none.
    fn file(count: u64, synced: bool) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&5_u64.to_be_bytes());
        let mut ends = vec![bytes.len()];
        for index in 5..5 + count {
            let durable = if synced { bytes.len() } else { HEAD_BYTES };
            encode(&entry(index), durable as u64, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_records() {
        let (bytes, ends) = file(4, true);
        for length in HEAD_BYTES..=bytes.len() {
            let scan = scan(&bytes[..length], 5, true).unwrap();
            let whole = ends.iter().filter(|&&end| end <= length).count() - 1;
            assert_eq!(scan.records.len(), whole, "cut at {length}");
            assert_eq!(scan.whole_bytes as usize, ends[whole]);
            assert_eq!(scan.is_torn, length != ends[whole]);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (bytes, ends) = file(3, true);
        for at in HEAD_BYTES..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            let record = ends.iter().filter(|&&end| end <= at).count() - 1;
            match scan(&broken, 5, true) {
                // Only the last record was not known to be durable by a later one.
                Ok(scan) => assert_eq!((scan.records.len(), record), (2, 2), "byte {at}"),
                Err(error) => assert!(
                    record < 2 && error.contains("damaged"),
                    "byte {at}: {error}"
                ),
            }
        }
    }

    #[test]
    fn records_of_one_write_may_reach_the_disk_in_any_order() {
        let (bytes, ends) = file(3, false);
        let mut torn = bytes.clone();
        torn[ends[1]..ends[2]].fill(0);
        let scan = scan(&torn, 5, true).unwrap();
        assert_eq!(scan.records.len(), 1);
        assert!(scan.is_torn);
    }

    #[test]
    fn a_torn_file_that_is_not_the_last_is_damaged() {
        let (bytes, _) = file(2, true);
        assert!(scan(&bytes[..bytes.len() - 1], 5, false).is_err());
        assert!(scan(&bytes[..7], 5, false).is_err());
        assert!(scan(&bytes[..7], 5, true).unwrap().is_torn);
    }

    #[test]
    fn names_tell_the_first_entry() {
        assert_eq!(first_of(&file_name(42)), Some(42));
        for name in [
            "42.log",
            "vote",
            "00000000000000000042.tmp",
            "0000000000000000004x.log",
        ] {
            assert_eq!(first_of(name), None, "{name}");
        }
    }
}
