//! A file system over a session: files with data, and what is known about them
//! (client-behaviour §11–§13).
//!
//! Metadata operations are methods of [`Session`]; this adds open files, keeps lengths coherent,
//! and listens to what the master tells about other sessions' changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use proto::client::open::open_want;
use proto::client::push::{ChunkChanged, LengthChanged};
use proto::{Attr, Inode, NodeKind};
use rustix::io::Errno;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cache::places::Places;
use crate::caller::Caller;
use crate::chunk_link::Pool;
use crate::error::{Error, Result};
use crate::file::{CHUNK, File, FileState, chunk_index};
use crate::labels::Labels;
use crate::master_link::Watcher;
use crate::open_file::{Access, OpenFile};
use crate::operations::{ChunkPlace, Node};
use crate::read::ahead::AheadOptions;
use crate::read::buffers::ReadMemory;
use crate::session::Session;
use crate::write::engine::start_jobs;

/// Files are shorter than this (client-behaviour §17.1).
pub const LENGTH_MAX: u64 = 1 << 57;

/// How data are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataOptions {
    /// Bytes that may wait to be written.
    pub write_memory: u64,
    /// Bytes that may be read ahead.
    pub read_memory: u64,
    /// First window of read-ahead, bytes.
    pub read_ahead: u64,
    /// Sequential bytes that raise the window.
    pub read_ahead_trigger: u64,
    /// Tries before an error is reported.
    pub tries: u32,
    /// Longest wait of a read or a write; `None` for no limit.
    pub timeout: Option<Duration>,
    /// A lost chunk is an error at once.
    pub error_on_lost_chunk: bool,
    /// No space is an error at once.
    pub error_on_no_space: bool,
    /// Preferred chunkservers.
    pub labels: Labels,
    /// A close writes everything only if the file was opened at least so long ago.
    pub fsync_min_time: Duration,
}

impl Default for DataOptions {
    fn default() -> Self {
        DataOptions {
            write_memory: 256 << 20,
            read_memory: 256 << 20,
            read_ahead: 1 << 20,
            read_ahead_trigger: 10 << 20,
            tries: 30,
            timeout: None,
            error_on_lost_chunk: false,
            error_on_no_space: false,
            labels: Labels::default(),
            fsync_min_time: Duration::ZERO,
        }
    }
}

/// Who wants to know that cached data of a file are old: inode, first byte, number of bytes (0: to
/// the end).
type OnChange = Box<dyn Fn(Inode, u64, u64) + Send + Sync>;

/// Open files of a session.
pub struct FileSystem {
    session: Arc<Session>,
    options: DataOptions,
    files: Mutex<HashMap<Inode, Arc<File>>>,
    places: Places,
    pool: Arc<Pool>,
    write_memory: Semaphore,
    read_memory: Arc<ReadMemory>,
    /// Counts local changes of lengths.
    changes: AtomicU64,
    /// Counts changes of names that were made past this file system.
    names: AtomicU64,
    on_change: OnceLock<OnChange>,
}

impl std::fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSystem")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Moment before a request whose answer tells a length: see [`FileSystem::see`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl FileSystem {
    /// Files over a session. To be made once for a session.
    pub fn new(session: Arc<Session>, options: DataOptions) -> Arc<FileSystem> {
        let write_memory = usize::try_from(options.write_memory)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        let fs = Arc::new(FileSystem {
            files: Mutex::default(),
            places: Places::default(),
            pool: Pool::new(session.bind_address()),
            write_memory: Semaphore::new(write_memory),
            read_memory: ReadMemory::new(options.read_memory),
            changes: AtomicU64::new(0),
            names: AtomicU64::new(0),
            on_change: OnceLock::new(),
            session,
            options,
        });
        let listener = Listener(Arc::downgrade(&fs));
        fs.session.watch(Arc::new(listener));
        fs
    }

    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// How data are read and written.
    pub fn options(&self) -> &DataOptions {
        &self.options
    }

    /// Names who keeps data of files (the kernel) and has to know that they are old. Only the
    /// first call counts. Must not block.
    pub fn on_change(&self, tell: impl Fn(Inode, u64, u64) + Send + Sync + 'static) {
        let _ = self.on_change.set(Box::new(tell));
    }

    fn tell_change(&self, inode: Inode, from: u64, size: u64) {
        if let Some(tell) = self.on_change.get() {
            tell(inode, from, size);
        }
    }

    /// Somebody made or removed names over this session, but not through this value: a tool.
    pub fn names_changed(&self) {
        self.names.fetch_add(1, Ordering::Relaxed);
    }

    /// How often [`FileSystem::names_changed`] was called.
    pub(crate) fn name_changes(&self) -> u64 {
        self.names.load(Ordering::Relaxed)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn read_memory(&self) -> &Arc<ReadMemory> {
        &self.read_memory
    }

    pub(crate) fn ahead_options(&self) -> AheadOptions {
        AheadOptions {
            length: self.options.read_ahead,
            trigger: self.options.read_ahead_trigger,
        }
    }

    /// Waits for room for data that are to be written.
    pub(crate) async fn take_write_memory(&self, bytes: usize) -> Result<()> {
        // More than all of it never becomes free.
        let limit = usize::try_from(self.options.write_memory).unwrap_or(usize::MAX);
        let bytes = u32::try_from(bytes.min(limit)).unwrap_or(u32::MAX);
        let room = self.write_memory.acquire_many(bytes);
        let permit = match self.options.timeout {
            None => room.await,
            Some(timeout) => tokio::time::timeout(timeout, room)
                .await
                .map_err(|_| Error::Os(Errno::IO))?,
        };
        permit.map_err(|_| Error::Unreachable)?.forget();
        Ok(())
    }

    pub(crate) fn release_write_memory(&self, bytes: usize) {
        if bytes > 0 {
            self.write_memory.add_permits(bytes);
        }
    }

    /// Whether little room is left for data that are to be written.
    pub(crate) fn write_memory_is_scarce(&self) -> bool {
        (self.write_memory.available_permits() as u64) < self.options.write_memory / 3
    }

    fn lock_files(&self) -> MutexGuard<'_, HashMap<Inode, Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find_file(&self, inode: Inode) -> Option<Arc<File>> {
        self.lock_files().get(&inode).cloned()
    }

    /// To be taken before a request whose answer tells a length.
    pub fn mark(&self) -> Mark {
        Mark(self.changes.load(Ordering::Relaxed))
    }

    pub(crate) fn note_change(&self, state: &mut FileState) {
        state.changed_at = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// Attributes from the master as this client shows them: with the length of data that are
    /// still on their way, and with times of own reads and writes. `mark` is from before the
    /// request.
    pub fn see(&self, mark: Mark, inode: Inode, attr: &mut Attr) {
        if attr.kind != NodeKind::File {
            return;
        }
        if let Some(file) = self.find_file(inode) {
            let is_newer = file.lock().changed_at > mark.0;
            attr.length = if is_newer {
                attr.length.max(file.lock().length)
            } else {
                file.learn_length(attr.length)
            };
        }
        let (atime, mtime) = self.session.file_clock().times(inode);
        attr.atime = attr.atime.max(atime);
        attr.mtime = attr.mtime.max(mtime);
        attr.ctime = attr.ctime.max(mtime);
    }

    /// Opens a file (OPEN). `flags`: O_ACCMODE, O_TRUNC and O_APPEND count.
    pub async fn open(
        self: &Arc<Self>,
        inode: Inode,
        flags: u32,
        caller: &Caller,
    ) -> Result<(OpenFile, u8)> {
        let access = Access::of_flags(flags);
        let mut want = access.want();
        if flags & libc::O_TRUNC as u32 != 0 {
            want |= open_want::TRUNCATE;
        }
        if let Some(file) = self.find_file(inode) {
            // So that the master knows the length.
            self.flush_file(&file).await?;
        }
        let mark = self.mark();
        let opened = self.session.open(inode, want, caller).await?;
        let mut attr = opened.attr;
        if want & open_want::TRUNCATE != 0 {
            self.was_cut(inode, 0);
            attr.length = 0;
        } else {
            self.see(mark, inode, &mut attr);
        }
        self.register_open(inode);
        let file = self.attach(inode, attr.length);
        Ok((OpenFile::new(self, file, access, caller), opened.flags))
    }

    /// A handle on a file whose rights are known; the caller sees to it that the master learns of
    /// it. `chunk`: where chunk 0 is.
    pub fn open_known(
        self: &Arc<Self>,
        inode: Inode,
        flags: u32,
        length: u64,
        chunk: Option<ChunkPlace>,
        caller: &Caller,
    ) -> OpenFile {
        self.register_open(inode);
        if let Some(place) = chunk
            && !place.servers.is_empty()
        {
            self.places.put(inode, 0, place);
        }
        let file = self.attach(inode, length);
        OpenFile::new(self, file, Access::of_flags(flags), caller)
    }

    /// Makes a file and opens it (CREATE).
    pub async fn create(
        self: &Arc<Self>,
        parent: Inode,
        name: &[u8],
        mode: u16,
        umask: u16,
        flags: u32,
        caller: &Caller,
    ) -> Result<(Node, OpenFile, u8)> {
        let (reply, node) = self
            .session
            .create(parent, name, mode, umask, caller)
            .await?;
        // Numbers of removed files come back: what is known of an old one is wrong.
        self.places.forget_file(node.inode);
        let file = self.attach(node.inode, node.attr.length);
        let access = Access::of_flags(flags);
        Ok((node, OpenFile::new(self, file, access, caller), reply))
    }

    /// Counts a handle for the list of open files. Locations are good only while a file is on it.
    fn register_open(&self, inode: Inode) {
        let mut open = self.session.open_list();
        if !open.contains(inode) {
            self.places.forget_file(inode);
        }
        open.opened(inode);
    }

    fn attach(&self, inode: Inode, length: u64) -> Arc<File> {
        let mut files = self.lock_files();
        let file = files
            .entry(inode)
            .or_insert_with(|| Arc::new(File::new(inode, length)));
        file.lock().handles += 1;
        Arc::clone(file)
    }

    /// Forgets a handle.
    pub(crate) fn detach(&self, file: &Arc<File>) {
        let mut files = self.lock_files();
        let is_last = {
            let mut state = file.lock();
            state.handles = state.handles.saturating_sub(1);
            state.handles == 0
        };
        if is_last {
            files.remove(&file.inode);
        }
        drop(files);
        self.session.open_list().closed(file.inode);
    }

    /// Writes everything of a file that is open here and waits for it.
    pub async fn flush_inode(self: &Arc<Self>, inode: Inode) -> Result<()> {
        match self.find_file(inode) {
            Some(file) => self.flush_file(&file).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn flush_file(self: &Arc<Self>, file: &Arc<File>) -> Result<()> {
        self.flush_range(file, 0, u64::MAX).await
    }

    /// Writes the chunks of a range and waits for them. The file's error, if it has one.
    pub(crate) async fn flush_range(
        self: &Arc<Self>,
        file: &Arc<File>,
        from: u64,
        to: u64,
    ) -> Result<()> {
        {
            let mut state = file.lock();
            if !state.is_dirty(from, to) {
                return state.error.map_or(Ok(()), Err);
            }
            state.flushes += 1;
        }
        let _hurry = Hurry(file);
        file.changed.notify_waiters();
        start_jobs(self, file);
        file.wait_for(|state| {
            if !state.is_dirty(from, to) {
                return Some(state.error.map_or(Ok(()), Err));
            }
            None
        })
        .await
    }

    /// Changes the length of a file (client-behaviour §7.4). `opened`: the caller has a handle.
    pub async fn set_length(
        self: &Arc<Self>,
        inode: Inode,
        opened: bool,
        length: u64,
        caller: &Caller,
    ) -> Result<Attr> {
        use proto::client::attributes::truncate_flag;
        if length >= LENGTH_MAX {
            return Err(Error::Os(Errno::FBIG));
        }
        let file = self.find_file(inode);
        let _exclusive = match &file {
            Some(file) => Some(file.writing.lock().await),
            None => None,
        };
        self.flush_inode(inode).await?;
        let flags = if opened { truncate_flag::OPENED } else { 0 };
        let (_, attr) = self
            .session
            .set_length(inode, flags, length, caller)
            .await?;
        self.was_cut(inode, length);
        Ok(attr)
    }

    /// The length of a file was set to `length` by this client.
    pub(crate) fn was_cut(&self, inode: Inode, length: u64) {
        self.places.forget_from(inode, chunk_index(length));
        if let Some(file) = self.find_file(inode) {
            let before = {
                let mut state = file.lock();
                self.note_change(&mut state);
                std::mem::replace(&mut state.length, length)
            };
            file.invalidate(before.min(length), u64::MAX);
        }
    }

    /// Writes everything of all files and waits for it; at the end of a mount.
    pub async fn flush_all(self: &Arc<Self>) {
        let files: Vec<Arc<File>> = self.lock_files().values().cloned().collect();
        for file in files {
            if let Err(error) = self.flush_file(&file).await {
                tracing::error!("file {}: {error}", file.inode);
            }
        }
    }
}

/// Writers wait and jobs hurry as long as this lives.
struct Hurry<'a>(&'a File);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.lock().flushes -= 1;
        self.0.changed.notify_waiters();
    }
}

/// Hears what the master tells.
struct Listener(Weak<FileSystem>);

impl Watcher for Listener {
    fn chunk_changed(&self, change: ChunkChanged) {
        let Some(fs) = self.0.upgrade() else { return };
        fs.places.changed(&change);
        let from = u64::from(change.index) * CHUNK;
        let to = if change.truncated {
            u64::MAX
        } else {
            from + CHUNK
        };
        if let Some(file) = fs.find_file(change.inode) {
            let known = file.lock().length;
            if change.truncated || change.length > known {
                file.learn_length(change.length);
            }
            file.invalidate(from, to);
        }
        let size = if change.truncated { 0 } else { CHUNK };
        fs.tell_change(change.inode, from, size);
    }

    fn length_changed(&self, change: LengthChanged) {
        let Some(fs) = self.0.upgrade() else { return };
        if let Some(file) = fs.find_file(change.inode) {
            file.learn_length(change.length);
        }
        fs.tell_change(change.inode, change.length, 0);
    }

    fn forget_chunks(&self) {
        if let Some(fs) = self.0.upgrade() {
            fs.places.forget_all();
        }
    }
}

/// Time since which a handle is open, against [`DataOptions::fsync_min_time`].
pub(crate) fn is_older(opened: Instant, than: Duration) -> bool {
    opened.elapsed() >= than
}
