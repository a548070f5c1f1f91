//! One open chunk file: blocks with their CRCs (chunkserver §4.2–§4.5). Knows no index, no disk and
//! no status; names and renames are the store's.
//!
//! The table of CRCs is written through: an entry of a new block before its data (entries beyond
//! the last block mean nothing), an entry of an existing block after them. So a killed process
//! leaves a table that agrees with every confirmed write.

use super::crc;
use super::layout::{
    BLOCK, BLOCKS, EMPTY_CRC, Identity, Layout, TABLE_LEN, VERSION_OFFSET, blocks_of_length,
};
use proto::ChunkVersion;
use rustix::fs::{FallocateFlags, SeekFrom};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Zeros at the ends of a new block are left out in units of so many bytes.
const SPARSE_UNIT: usize = 512;
/// Blocks that one system call writes.
const RUN_MAX: usize = 64;

/// Why an operation on a chunk file failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system said no.
    #[error("{}", daemon::errno::describe(.0))]
    Io(#[from] io::Error),
    /// The data of a block are not those that its CRC was made of.
    #[error(
        "checksum error in block {block}: {expected:08X} in the table, {found:08X} in the data"
    )]
    Crc {
        /// Block.
        block: u16,
        /// From the table.
        expected: u32,
        /// Of the data.
        found: u32,
    },
    /// No chunk file has this size.
    #[error("impossible size of {0} bytes")]
    BadSize(u64),
    /// Signature, id or version are not those of the name.
    #[error("wrong header")]
    BadHeader,
}

impl From<rustix::io::Errno> for Fault {
    fn from(errno: rustix::io::Errno) -> Fault {
        Fault::Io(errno.into())
    }
}

/// Data for a part of a block, already compared with its CRC.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Block of the chunk, below 1024.
    pub block: u16,
    /// First byte inside the block.
    pub offset: u16,
    /// CRC of the data.
    pub crc: u32,
    /// The data; they end inside the block.
    pub data: &'a [u8],
}

impl Piece<'_> {
    fn is_whole(&self) -> bool {
        self.data.len() == BLOCK
    }
}

/// An open chunk file.
#[derive(Debug)]
pub struct ChunkFile {
    file: File,
    layout: Layout,
    blocks: u16,
    /// CRC of each block; beyond `blocks` meaningless.
    table: Box<[u32; BLOCKS]>,
}

impl ChunkFile {
    /// Makes a file for an empty chunk. Fails when there is one.
    pub fn create(path: &Path, layout: Layout, identity: Identity) -> Result<ChunkFile, Fault> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        let mut head = vec![0; layout.data_offset() as usize];
        let encoded = identity.encode();
        head[..encoded.len()].copy_from_slice(&encoded);
        if let Err(error) = file.write_all_at(&head, 0) {
            // The error above is the one to report; a half-made file is of no use.
            let _ = std::fs::remove_file(path);
            return Err(error.into());
        }
        Ok(ChunkFile {
            file,
            layout,
            blocks: 0,
            table: Box::new([EMPTY_CRC; BLOCKS]),
        })
    }

    /// Opens a file; its header must name the chunk, and the version unless `any_version`.
    pub fn open(
        path: &Path,
        identity: Identity,
        any_version: bool,
        read_only: bool,
    ) -> Result<ChunkFile, Fault> {
        let file = OpenOptions::new().read(true).write(!read_only).open(path)?;
        let len = file.metadata()?.len();
        let (layout, blocks) = Layout::of_size(len).ok_or(Fault::BadSize(len))?;
        let mut head = vec![0; layout.data_offset() as usize];
        file.read_exact_at(&mut head, 0)?;
        let found = Identity::decode(&head).ok_or(Fault::BadHeader)?;
        if found.chunk != identity.chunk || (!any_version && found.version != identity.version) {
            return Err(Fault::BadHeader);
        }
        let (_, table) = head.split_at(layout.header_len() as usize);
        Ok(ChunkFile {
            file,
            layout,
            blocks,
            table: decode_table(table),
        })
    }

    /// Form of the file.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u16 {
        self.blocks
    }

    /// The table as it travels and lies in files.
    pub fn table_bytes(&self) -> [u8; TABLE_LEN] {
        let mut bytes = [0; TABLE_LEN];
        for (bytes, entry) in bytes
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(self.table.iter())
        {
            *bytes = entry.to_be_bytes();
        }
        bytes
    }

    /// CRC of an existing block.
    pub fn entry(&self, block: u16) -> u32 {
        self.table[usize::from(block) % BLOCKS]
    }

    /// Reads whole blocks from `first` on into `data`, a multiple of the block size, and compares
    /// them with their CRCs. All must exist.
    pub fn read_blocks(&self, first: u16, data: &mut [u8]) -> Result<(), Fault> {
        self.file
            .read_exact_at(data, self.layout.block_offset(first.into()))?;
        self.verify(first, data)
    }

    /// As [`ChunkFile::read_blocks`], but only from the page cache: `None` when the disk would have
    /// to be waited for, or the file system cannot tell.
    pub fn read_cached(&self, first: u16, data: &mut [u8]) -> Option<Result<(), Fault>> {
        let wanted = data.len();
        let at = self.layout.block_offset(first.into());
        let mut parts = [IoSliceMut::new(data)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        match rustix::io::preadv2(&self.file, &mut parts, at, flags) {
            Ok(count) if count == wanted => Some(self.verify(first, data)),
            Ok(_) | Err(_) => None,
        }
    }

    fn verify(&self, first: u16, data: &[u8]) -> Result<(), Fault> {
        for (block, data) in (first..).zip(data.chunks_exact(BLOCK)) {
            let (expected, found) = (self.entry(block), crc::of(data));
            if expected != found {
                return Err(Fault::Crc {
                    block,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Writes the version into the header.
    pub fn write_version(&self, version: ChunkVersion) -> Result<(), Fault> {
        self.file
            .write_all_at(&version.0.to_be_bytes(), VERSION_OFFSET)?;
        Ok(())
    }

    /// Brings everything to the disk.
    pub fn sync(&self) -> Result<(), Fault> {
        self.file.sync_data()?;
        Ok(())
    }

    /// Lets the data leave the page cache.
    pub fn drop_cache(&self) {
        // Advice only: nothing depends on it.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// Writes the pieces at the front of `pieces` that can be written together: a run of whole
    /// blocks, or one piece. Returns how many there were and what became of them.
    pub fn write(&mut self, pieces: &[Piece<'_>], sparse: bool) -> (usize, Result<(), Fault>) {
        let Some(first) = pieces.first() else {
            return (0, Ok(()));
        };
        let run = pieces
            .iter()
            .take(RUN_MAX)
            .zip(first.block..)
            .take_while(|(piece, block)| {
                piece.block == *block
                    && piece.is_whole()
                    && !(sparse && piece.block >= self.blocks && has_zero_edge(piece.data))
            })
            .count();
        if run > 0 {
            return (run, self.write_run(&pieces[..run]));
        }
        let new = first.block >= self.blocks;
        let written = match new {
            true => self.write_new(first, sparse),
            false => self.write_existing(first),
        };
        (1, written)
    }

    /// A run of whole blocks, existing and new ones.
    fn write_run(&mut self, run: &[Piece<'_>]) -> Result<(), Fault> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let before = usize::from(self.blocks);
        let start = usize::from(first.block);
        let end = start + run.len();
        self.empty_entries(before..start);
        for (entry, piece) in self.table[start..end].iter_mut().zip(run) {
            *entry = piece.crc;
        }
        self.write_entries(before.min(end)..end)?;
        let mut slices = [IoSlice::new(&[]); RUN_MAX];
        for (slice, piece) in slices.iter_mut().zip(run) {
            *slice = IoSlice::new(piece.data);
        }
        let slices = &mut slices[..run.len()];
        if let Err(error) = write_all_vectored(&self.file, slices, self.layout.block_offset(start))
        {
            self.cut_back();
            return Err(error.into());
        }
        self.blocks = self.blocks.max(end as u16);
        self.write_entries(start..end.min(before))
    }

    /// A block that did not exist, in part or with zeros at its ends: what is not written becomes a
    /// hole.
    fn write_new(&mut self, piece: &Piece<'_>, sparse: bool) -> Result<(), Fault> {
        let (before, block) = (usize::from(self.blocks), usize::from(piece.block));
        let offset = usize::from(piece.offset);
        self.empty_entries(before..block);
        self.table[block] = crc::padded(piece.crc, offset, piece.data.len());
        self.write_entries(before..block + 1)?;
        self.file.set_len(self.layout.file_len(block + 1))?;
        let filled = match sparse {
            true => without_zero_edges(piece.data),
            false => 0..piece.data.len(),
        };
        let at = self.layout.block_offset(block) + (offset + filled.start) as u64;
        if let Err(error) = self.file.write_all_at(&piece.data[filled], at) {
            self.cut_back();
            return Err(error.into());
        }
        self.blocks = piece.block + 1;
        Ok(())
    }

    /// Part of an existing block: what stays is verified, the new CRC is made of the parts.
    fn write_existing(&mut self, piece: &Piece<'_>) -> Result<(), Fault> {
        if piece.data.is_empty() {
            return Ok(());
        }
        let block = usize::from(piece.block);
        let start = usize::from(piece.offset);
        let end = start + piece.data.len();
        let at = self.layout.block_offset(block);
        let mut old = vec![0; BLOCK];
        self.file.read_exact_at(&mut old, at)?;
        let head = crc::of(&old[..start]);
        let tail = crc::of(&old[end..]);
        let around = |middle: u32| {
            let front = crc::joined(head, middle, end - start);
            crc::joined(front, tail, BLOCK - end)
        };
        let (expected, found) = (self.table[block], around(crc::of(&old[start..end])));
        if expected != found {
            return Err(Fault::Crc {
                block: piece.block,
                expected,
                found,
            });
        }
        self.file.write_all_at(piece.data, at + start as u64)?;
        self.table[block] = around(piece.crc);
        self.write_entries(block..block + 1)
    }

    /// Cuts or extends the chunk to `length` bytes, at most 64 MiB, and up to the block's end with
    /// zeros. The size of the file is that of whole blocks at every moment.
    pub fn truncate(&mut self, length: u32) -> Result<(), Fault> {
        let (before, after) = (usize::from(self.blocks), blocks_of_length(length));
        if after > before {
            self.empty_entries(before..after);
            self.write_entries(before..after)?;
            self.file.set_len(self.layout.file_len(after))?;
            self.blocks = after as u16;
            return Ok(());
        }
        let kept = length as usize % BLOCK;
        let mut last = None;
        if kept > 0 {
            let block = after - 1;
            let mut data = vec![0; BLOCK];
            self.read_blocks(block as u16, &mut data)?;
            last = Some((block, crc::padded(crc::of(&data[..kept]), 0, kept)));
        }
        if after < before {
            self.file.set_len(self.layout.file_len(after))?;
            self.empty_entries(after..before);
            self.blocks = after as u16;
        }
        if let Some((block, crc)) = last {
            let at = self.layout.block_offset(block) + kept as u64;
            self.zero(at, BLOCK - kept)?;
            self.table[block] = crc;
            self.write_entries(block..before.max(block + 1))?;
        } else {
            self.write_entries(after..before)?;
        }
        Ok(())
    }

    /// Fills this empty chunk with the first `length` bytes of another one, in holes where that has
    /// holes. CRCs come from its table, so that a rotten block stays a rotten block; the last one,
    /// when cut, is verified first.
    pub fn copy_from(&mut self, source: &ChunkFile, length: Option<u32>) -> Result<(), Fault> {
        let after = length.map_or(source.blocks.into(), blocks_of_length);
        let copied = after.min(source.blocks.into());
        self.table = source.table.clone();
        self.empty_entries(copied..BLOCKS);
        self.file.set_len(self.layout.file_len(copied))?;
        copy_data(source, self, copied)?;
        self.blocks = copied as u16;
        self.write_entries(0..BLOCKS)?;
        match length {
            Some(length) => self.truncate(length),
            None => Ok(()),
        }
    }

    fn empty_entries(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.table[range].fill(EMPTY_CRC);
        }
    }

    fn write_entries(&self, range: Range<usize>) -> Result<(), Fault> {
        if range.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; TABLE_LEN];
        let bytes = &mut bytes[..4 * range.len()];
        let at = self.layout.entry_offset(range.start);
        for (bytes, entry) in bytes
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(&self.table[range])
        {
            *bytes = entry.to_be_bytes();
        }
        self.file.write_all_at(bytes, at)?;
        Ok(())
    }

    /// After a failed write behind the end: the size must be that of whole blocks again.
    fn cut_back(&self) {
        // A failure leaves a file of an impossible size, which the next use reports as damaged.
        let _ = self.file.set_len(self.layout.file_len(self.blocks.into()));
    }

    fn zero(&self, at: u64, count: usize) -> Result<(), Fault> {
        let punched = rustix::fs::fallocate(
            &self.file,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            at,
            count as u64,
        );
        if punched.is_err() {
            self.file.write_all_at(&vec![0; count], at)?;
        }
        Ok(())
    }
}

fn decode_table(bytes: &[u8]) -> Box<[u32; BLOCKS]> {
    let mut table = Box::new([EMPTY_CRC; BLOCKS]);
    for (entry, bytes) in table.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *entry = u32::from_be_bytes(*bytes);
    }
    table
}

/// Copies the first `blocks` blocks where the source has data.
fn copy_data(source: &ChunkFile, target: &ChunkFile, blocks: usize) -> Result<(), Fault> {
    let end = source.layout.file_len(blocks);
    let base = source.layout.data_offset();
    let mut at = base;
    while at < end {
        let start = match rustix::fs::seek(&source.file, SeekFrom::Data(at)) {
            Ok(start) => start.max(at),
            Err(rustix::io::Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = rustix::fs::seek(&source.file, SeekFrom::Hole(start))?.min(end);
        let (mut from, mut to) = (start, start - base + target.layout.data_offset());
        while from < hole {
            let left = (hole - from) as usize;
            let count = rustix::fs::copy_file_range(
                &source.file,
                Some(&mut from),
                &target.file,
                Some(&mut to),
                left,
            );
            match count {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(errno) if errno == rustix::io::Errno::XDEV => {
                    copy_by_hand(&source.file, &target.file, from, to, hole - from)?;
                    from = hole;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        at = hole;
    }
    Ok(())
}

fn copy_by_hand(
    source: &File,
    target: &File,
    mut from: u64,
    mut to: u64,
    mut left: u64,
) -> io::Result<()> {
    let mut data = vec![0; BLOCK];
    while left > 0 {
        let count = left.min(BLOCK as u64);
        let data = &mut data[..count as usize];
        source.read_exact_at(data, from)?;
        target.write_all_at(data, to)?;
        from += count;
        to += count;
        left -= count;
    }
    Ok(())
}

fn write_all_vectored(file: &File, mut slices: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
    while !slices.is_empty() {
        match rustix::io::pwritev(file, slices, at) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => {
                at += count as u64;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn is_zero(data: &[u8]) -> bool {
    data.iter().all(|&byte| byte == 0)
}

fn has_zero_edge(data: &[u8]) -> bool {
    let edge = SPARSE_UNIT.min(data.len());
    is_zero(&data[..edge]) || is_zero(&data[data.len() - edge..])
}

/// What is left of `data` without whole units of zeros at both ends.
fn without_zero_edges(data: &[u8]) -> Range<usize> {
    let zero_units = |units: &mut dyn Iterator<Item = &[u8]>| {
        units
            .take_while(|unit| is_zero(unit))
            .map(<[u8]>::len)
            .sum::<usize>()
    };
    let start = zero_units(&mut data.chunks(SPARSE_UNIT));
    if start == data.len() {
        return 0..0;
    }
    let end = data.len() - zero_units(&mut data.rchunks(SPARSE_UNIT));
    start..end
}

#[cfg(test)]
mod tests;
