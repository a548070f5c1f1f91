//! FALLOCATE, LSEEK and COPY_FILE_RANGE, as far as the protocol can.

use bytes::Bytes;
use proto::{ChunkId, Inode, Status};
use rustix::io::Errno;

use super::adapter::Adapter;
use super::files::{DataHandle, FileHandle};
use super::kernel::{CopyRange, Header};
use crate::error::{Error, Result};
use crate::file::{CHUNK, chunk_index};
use crate::file_system::LENGTH_MAX;

/// Zeros that are written at a time.
const ZEROS: usize = 1 << 20;
/// Chunks that one LSEEK looks at; behind them data are assumed.
const LOOKED_AT_MAX: u32 = 10_000;
/// Copying less by sharing chunks is not worth it.
const SHARED_MIN: u64 = 64 << 10;

impl Adapter {
    /// Punches holes and zeroes ranges by writing zeros. Space cannot be reserved: EOPNOTSUPP lets
    /// posix_fallocate write instead, which keeps its promise.
    pub(super) async fn fallocate(
        &self,
        header: &Header,
        handle: u64,
        offset: u64,
        length: u64,
        mode: u32,
    ) -> Result<()> {
        let mode = mode as i32;
        let keeps_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        let what = mode & !libc::FALLOC_FL_KEEP_SIZE;
        let is_hole = what == libc::FALLOC_FL_PUNCH_HOLE && keeps_size;
        if !is_hole && what != libc::FALLOC_FL_ZERO_RANGE {
            return Err(Error::Os(Errno::OPNOTSUPP));
        }
        let end = offset
            .checked_add(length)
            .filter(|end| *end < LENGTH_MAX)
            .ok_or(Error::Os(Errno::FBIG))?;
        let Some(handle) = self.files.get(handle) else {
            return Err(Error::Os(Errno::BADF));
        };
        let FileHandle::Data(handle) = &*handle else {
            return Err(Error::Os(Errno::PERM));
        };
        handle.wait_for_open().await?;
        let file_end = handle.file.length();
        self.zero(header.inode, handle, offset, end.min(file_end))
            .await?;
        if !keeps_size && end > file_end {
            let caller = self.caller(header);
            self.fs.set_length(header.inode, true, end, &caller).await?;
        }
        self.attributes_changed(header.inode);
        Ok(())
    }

    /// Writes zeros where there are data.
    async fn zero(&self, inode: Inode, handle: &DataHandle, from: u64, to: u64) -> Result<()> {
        let zeros = Bytes::from(vec![0; ZEROS]);
        let mut at = from;
        while at < to {
            let chunk_end = (at / CHUNK + 1) * CHUNK;
            if self.is_hole(inode, at).await? {
                at = chunk_end;
                continue;
            }
            let end = to.min(chunk_end).min(at + ZEROS as u64);
            let piece = zeros.slice(..(end - at) as usize);
            handle.file.write_at(at, piece).await?;
            at = end;
        }
        Ok(())
    }

    /// Whether the chunk that holds a byte does not exist; what is on its way counts.
    async fn is_hole(&self, inode: Inode, at: u64) -> Result<bool> {
        let index = chunk_index(at);
        if let Some(file) = self.fs.find_file(inode)
            && file.lock().is_dirty(at, at + 1)
        {
            return Ok(false);
        }
        match self.session().read_chunk(inode, index).await {
            Ok((_, place)) => Ok(place.chunk == ChunkId::HOLE),
            // Locked: somebody writes it.
            Err(Error::Status(Status::Locked | Status::ChunkBusy | Status::Eagain)) => Ok(false),
            Err(Error::Status(Status::ChunkLost | Status::CsNotPresent)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// SEEK_DATA and SEEK_HOLE in steps of a chunk.
    pub(super) async fn lseek(
        &self,
        header: &Header,
        handle: u64,
        offset: u64,
        whence: u32,
    ) -> Result<u64> {
        let Some(handle) = self.files.get(handle) else {
            return Err(Error::Os(Errno::BADF));
        };
        let FileHandle::Data(handle) = &*handle else {
            return Err(Error::Os(Errno::INVAL));
        };
        handle.wait_for_open().await?;
        let end = handle.file.length();
        let wants_data = match whence as i32 {
            libc::SEEK_DATA => true,
            libc::SEEK_HOLE => false,
            _ => return Err(Error::Os(Errno::INVAL)),
        };
        if offset >= end {
            return Err(Error::Os(Errno::NXIO));
        }
        let mut at = offset;
        for _ in 0..LOOKED_AT_MAX {
            if at >= end {
                break;
            }
            if self.is_hole(header.inode, at).await? != wants_data {
                return Ok(at);
            }
            at = (at / CHUNK + 1) * CHUNK;
        }
        match (wants_data, at >= end) {
            (true, true) => Err(Error::Os(Errno::NXIO)),
            (true, false) => Ok(at),
            // There is always a hole behind the end.
            (false, _) => Ok(end),
        }
    }

    /// Copies a whole file into an empty one by sharing its chunks. Everything else the kernel
    /// copies by reading and writing (EOPNOTSUPP).
    pub(super) async fn copy_file_range(&self, header: &Header, range: &CopyRange) -> Result<u32> {
        let refused = Error::Os(Errno::OPNOTSUPP);
        let (Some(from), Some(to)) = (
            self.files.get(range.from_handle),
            self.files.get(range.to_handle),
        ) else {
            return Err(Error::Os(Errno::BADF));
        };
        let (FileHandle::Data(from), FileHandle::Data(to)) = (&*from, &*to) else {
            return Err(refused);
        };
        from.wait_for_open().await?;
        to.wait_for_open().await?;
        let length = from.file.length();
        let is_whole = range.from_offset == 0
            && range.to_offset == 0
            && header.inode != range.to_inode
            && to.file.length() == 0
            && !to.file.has_written()
            && (SHARED_MIN..=range.length.min(u64::from(u32::MAX))).contains(&length);
        if !is_whole {
            return Err(refused);
        }
        self.fs.flush_inode(header.inode).await?;
        let caller = self.caller(header);
        let mark = self.fs.mark();
        self.session()
            .append_chunks(range.to_inode, header.inode, &caller)
            .await
            .map_err(|_| refused)?;
        let mut attr = self
            .session()
            .getattr(range.to_inode, true, &caller)
            .await?;
        self.fs.places().forget_file(range.to_inode);
        self.fs.see(mark, range.to_inode, &mut attr);
        if attr.length != length {
            // Somebody changed the source meanwhile: as if nothing had been copied.
            self.fs.set_length(range.to_inode, true, 0, &caller).await?;
            return Err(refused);
        }
        self.attributes_changed(range.to_inode);
        Ok(length as u32)
    }
}
