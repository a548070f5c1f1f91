//! A handle on a file: reading and writing (client-behaviour §11.1, §12.1, §12.7, §12.8).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use proto::Inode;
use proto::chunkserver::BLOCK_SIZE;
use proto::client::attributes::truncate_flag;
use proto::client::open::open_want;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::file::{CHUNK, File, chunk_index};
use crate::file_system::{FileSystem, LENGTH_MAX, is_older};
use crate::read::buffers::Buffers;
use crate::read::engine::{fetch, spawn_fetch};
use crate::write::engine::start_jobs;

/// What a handle may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
}

impl Access {
    /// From the flags of open(2).
    pub fn of_flags(flags: u32) -> Access {
        let mode = flags & libc::O_ACCMODE as u32;
        Access {
            read: mode != libc::O_WRONLY as u32,
            write: mode != libc::O_RDONLY as u32,
            append: flags & libc::O_APPEND as u32 != 0,
        }
    }

    /// As OPEN asks for it.
    pub fn want(self) -> u8 {
        let mut want = 0;
        if self.read {
            want |= open_want::READ;
        }
        if self.write {
            want |= open_want::WRITE;
        }
        want
    }
}

/// A file that is open. [`OpenFile::close`] ends it; a handle that is only dropped gives up the
/// file without waiting for its data, which are written all the same.
#[derive(Debug)]
pub struct OpenFile {
    fs: Arc<FileSystem>,
    file: Arc<File>,
    buffers: Arc<Buffers>,
    access: Access,
    append_only: AtomicBool,
    by_root: bool,
    opened: Instant,
    wrote: AtomicBool,
    /// A read failed for good: all later ones of this handle fail.
    read_error: Mutex<Option<Error>>,
    closed: AtomicBool,
}

/// How often a read starts over because its data were changed meanwhile.
const READ_TRIES: u32 = 1000;

impl OpenFile {
    pub(crate) fn new(
        fs: &Arc<FileSystem>,
        file: Arc<File>,
        access: Access,
        caller: &Caller,
    ) -> OpenFile {
        let buffers = Arc::new(Buffers::new(
            Arc::clone(fs.read_memory()),
            fs.ahead_options(),
        ));
        if access.read {
            file.lock().readers.push(Arc::downgrade(&buffers));
        }
        OpenFile {
            fs: Arc::clone(fs),
            file,
            buffers,
            access,
            append_only: AtomicBool::new(access.append),
            by_root: caller.uid == 0,
            opened: Instant::now(),
            wrote: AtomicBool::new(false),
            read_error: Mutex::new(None),
            closed: AtomicBool::new(false),
        }
    }

    /// The file.
    pub fn inode(&self) -> Inode {
        self.file.inode
    }

    /// What the handle may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Length as far as it is known here.
    pub fn length(&self) -> u64 {
        self.file.lock().length
    }

    /// From now on every write goes to the end: the master says so.
    pub fn set_append_only(&self) {
        self.append_only.store(true, Ordering::Relaxed);
    }

    /// Reads up to `size` bytes at `offset`, as pieces behind each other. Fewer come only at the
    /// end of the file.
    pub async fn read_at(&self, offset: u64, size: u32) -> Result<Vec<Bytes>> {
        let asked = offset.saturating_add(u64::from(size));
        if asked >= LENGTH_MAX {
            return Err(Error::Os(Errno::FBIG));
        }
        if !self.access.read {
            return Err(Error::Os(Errno::BADF));
        }
        let sticky = *self
            .read_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = sticky {
            return Err(error);
        }
        let now = self.fs.session().master_seconds();
        self.fs.session().file_clock().read(self.file.inode, now);
        for _ in 0..READ_TRIES {
            let is_dirty = self.file.lock().is_dirty(offset, asked);
            if is_dirty {
                // Its error belongs to the writers.
                let _ = self.fs.flush_range(&self.file, offset, asked).await;
            }
            match self.try_read(offset, asked).await {
                Ok(Some(pieces)) => return Ok(pieces),
                Ok(None) => tokio::task::yield_now().await,
                Err(error) => {
                    *self
                        .read_error
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return Err(error);
                }
            }
        }
        Err(Error::Os(Errno::IO))
    }

    /// `None`: something was changed meanwhile.
    async fn try_read(&self, offset: u64, asked: u64) -> Result<Option<Vec<Bytes>>> {
        let (length, is_written) = {
            let state = self.file.lock();
            (state.length, !state.chunks.is_empty())
        };
        let end = asked.min(length);
        if end <= offset {
            return Ok(Some(Vec::new()));
        }
        let plan = self.buffers.plan(offset, end, length, !is_written);
        let mut start = plan.start.into_iter();
        // A read that is one request is made without a task of its own.
        let alone = match plan.wanted.first() {
            Some(wanted) if plan.wanted.len() == 1 => {
                let segment = Arc::clone(&wanted.segment);
                start
                    .as_slice()
                    .first()
                    .is_some_and(|first| Arc::ptr_eq(first, &segment))
                    .then_some(segment)
            }
            _ => None,
        };
        if alone.is_some() {
            start.next();
        }
        for segment in start {
            spawn_fetch(&self.fs, &self.file, segment);
        }
        if let Some(segment) = alone {
            fetch(&self.fs, &self.file, &segment).await;
        }
        let mut pieces = Vec::with_capacity(plan.wanted.len() + 16);
        for wanted in &plan.wanted {
            let taken = wanted
                .segment
                .take(wanted.from, wanted.to, &mut pieces)
                .await?;
            if taken.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(pieces))
    }

    /// Writes bytes at `offset`, or at the end where the handle appends. They are taken over and
    /// reach the servers later; an error of that comes at the next write, flush or sync.
    pub async fn write_at(&self, offset: u64, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        if offset.saturating_add(size) >= LENGTH_MAX {
            return Err(Error::Os(Errno::FBIG));
        }
        if !self.access.write {
            return Err(Error::Os(Errno::ACCESS));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let _writer = self.file.writing.lock().await;
        self.file
            .wait_for(|state| (state.flushes == 0).then_some(()))
            .await;
        if let Some(error) = self.file.lock().error {
            return Err(error);
        }
        let offset = if self.append_only.load(Ordering::Relaxed) {
            self.reserve(size).await?
        } else {
            offset
        };
        self.fs.take_write_memory(bytes.len()).await?;
        let unused = self.enqueue(offset, &bytes)?;
        self.fs.release_write_memory(unused);
        let now = self.fs.session().master_seconds();
        self.fs.session().file_clock().written(self.file.inode, now);
        self.file.invalidate(offset, offset + size);
        start_jobs(&self.fs, &self.file);
        self.file.changed.notify_waiters();
        Ok(())
    }

    /// A place at the end of the file that no other client gets (client-behaviour §12.7).
    async fn reserve(&self, size: u64) -> Result<u64> {
        if !self.fs.session().version().has_open_flags() {
            return Ok(self.file.lock().length);
        }
        let flags = truncate_flag::OPENED | truncate_flag::UPDATE | truncate_flag::RESERVE;
        let (offset, _) = self
            .fs
            .session()
            .set_length(self.file.inode, flags, size, &Caller::root())
            .await?;
        if offset.saturating_add(size) >= LENGTH_MAX {
            return Err(Error::Os(Errno::FBIG));
        }
        Ok(offset)
    }

    /// Puts bytes into the queues of their chunks. Memory that merging saved.
    fn enqueue(&self, offset: u64, bytes: &Bytes) -> Result<usize> {
        let now = Instant::now();
        let mut state = self.file.lock();
        if let Some(error) = state.error {
            self.fs.release_write_memory(bytes.len());
            return Err(error);
        }
        if !self.wrote.swap(true, Ordering::Relaxed) {
            state.writers += 1;
        }
        self.fs.note_change(&mut state);
        let (mut at, mut done, mut grown) = (offset, 0, 0);
        while done < bytes.len() {
            let in_chunk = (at % CHUNK) as u32;
            let (block, in_block) = (in_chunk / BLOCK_SIZE, in_chunk % BLOCK_SIZE);
            let size = ((BLOCK_SIZE - in_block) as usize).min(bytes.len() - done);
            let chunk = state.chunks.entry(chunk_index(at)).or_default();
            chunk.by_root |= self.by_root;
            let piece = bytes.slice(done..done + size);
            grown += chunk.queue.put(block as u16, in_block, piece, now);
            at += size as u64;
            done += size;
        }
        state.length = state.length.max(at);
        Ok(bytes.len().saturating_sub(grown))
    }

    /// Whether this handle wrote.
    pub fn has_written(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// Writes everything of the file and waits for it: fsync(2).
    pub async fn sync(&self) -> Result<()> {
        if !self.has_written() {
            return Ok(());
        }
        self.fs.flush_file(&self.file).await
    }

    /// What close(2) waits for. `whole`: everything, whatever the options say.
    pub async fn flush(&self, whole: bool) -> Result<()> {
        if !self.has_written() {
            return Ok(());
        }
        let is_whole = whole
            || is_older(self.opened, self.fs.options().fsync_min_time)
            || self.fs.write_memory_is_scarce();
        if is_whole {
            return self.fs.flush_file(&self.file).await;
        }
        // The master learns the length now, the data arrive later.
        let flags = truncate_flag::OPENED | truncate_flag::UPDATE;
        let length = self.length();
        self.fs
            .session()
            .set_length(self.file.inode, flags, length, &Caller::root())
            .await?;
        start_jobs(&self.fs, &self.file);
        self.file
            .wait_for(|state| {
                let all_granted = state.chunks.values().all(|chunk| chunk.is_granted);
                (all_granted || state.error.is_some()).then(|| state.error.map_or(Ok(()), Err))
            })
            .await
    }

    /// Waits for the data and gives the handle up. The last error of the file.
    pub async fn close(self) -> Result<()> {
        let outcome = self.sync().await;
        self.give_up();
        outcome
    }

    fn give_up(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.has_written() {
            let mut state = self.file.lock();
            state.writers = state.writers.saturating_sub(1);
            if state.writers == 0 {
                state.error = None;
            }
        }
        self.buffers.invalidate(0, u64::MAX);
        self.fs.detach(&self.file);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.give_up();
    }
}
