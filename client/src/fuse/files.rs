//! OPEN, CREATE, READ, WRITE and closing (client-behaviour §7.7–§7.9, §12.8).

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use proto::client::lookup::lookup_flag;
use proto::client::open::{open_flag, open_want};
use proto::{Inode, Status};
use rustix::io::Errno;
use tokio::sync::Notify;

use super::adapter::{Adapter, CacheMode};
use super::kernel::abi::open_out;
use super::kernel::{EntryOut, Header, OpenOut, Reply};
use super::special::{self, SpecialHandle};
use crate::cache::open_data::allowed;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::open_file::{Access, OpenFile};
use crate::operations::Opened;

/// `disables` of the session: reading and writing.
const DISABLE_READ: u32 = 1 << 14;
const DISABLE_WRITE: u32 = 1 << 15;
/// Reads through the kernel's cache ask for this much at most in one piece of a reply.
const PIECES_MAX: usize = 512;

/// An open file of the kernel.
#[derive(Debug)]
pub(super) enum FileHandle {
    /// A file of the file system.
    Data(DataHandle),
    /// One of our own.
    Special(SpecialHandle),
}

/// A file of the file system.
#[derive(Debug)]
pub(super) struct DataHandle {
    pub(super) file: OpenFile,
    pending: Option<PendingOpen>,
    /// Owners of locks, so that they can be given up at the end.
    pub(super) owners: Mutex<LockOwners>,
    pub(super) uses_posix_locks: AtomicBool,
    pub(super) uses_flock: AtomicBool,
}

/// Who has taken locks through a handle.
#[derive(Debug, Default)]
pub(super) struct LockOwners {
    pub(super) posix: BTreeSet<u64>,
    pub(super) flock: BTreeSet<u64>,
}

/// The master's answer to an OPEN that the kernel did not wait for.
#[derive(Debug, Default)]
struct PendingOpen {
    outcome: OnceLock<Result<()>>,
    done: Notify,
}

impl FileHandle {
    pub(super) fn can_write(&self) -> bool {
        match self {
            FileHandle::Data(handle) => handle.file.access().write,
            FileHandle::Special(_) => false,
        }
    }

    /// Waits until the master has answered the OPEN.
    pub(super) async fn wait_for_open(&self) -> Result<()> {
        match self {
            FileHandle::Data(handle) => handle.wait_for_open().await,
            FileHandle::Special(_) => Ok(()),
        }
    }
}

impl DataHandle {
    fn new(file: OpenFile, pending: Option<PendingOpen>) -> DataHandle {
        DataHandle {
            file,
            pending,
            owners: Mutex::default(),
            uses_posix_locks: AtomicBool::new(false),
            uses_flock: AtomicBool::new(false),
        }
    }

    pub(super) fn owners(&self) -> MutexGuard<'_, LockOwners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn wait_for_open(&self) -> Result<()> {
        let Some(pending) = &self.pending else {
            return Ok(());
        };
        loop {
            let done = pending.done.notified();
            tokio::pin!(done);
            done.as_mut().enable();
            if let Some(outcome) = pending.outcome.get() {
                return *outcome;
            }
            done.await;
        }
    }
}

impl Adapter {
    fn refuses(&self, bit: u32) -> bool {
        self.session().granted().disables & bit != 0
    }

    /// How the kernel is to treat a file (client-behaviour §7.9).
    fn open_flags(&self, flags: u32, wants_direct: bool, may_keep: bool) -> u32 {
        let is_append = flags & libc::O_APPEND as u32 != 0;
        if is_append || wants_direct || self.refuses(DISABLE_READ | DISABLE_WRITE) {
            return open_out::DIRECT_IO;
        }
        match self.options.cache_mode {
            CacheMode::Yes => open_out::KEEP_CACHE,
            CacheMode::No => 0,
            CacheMode::Direct => open_out::DIRECT_IO,
            CacheMode::Auto if may_keep => open_out::KEEP_CACHE,
            CacheMode::Auto => 0,
        }
    }

    fn answered_flags(&self, flags: u32, answer: u8) -> u32 {
        let wants_direct = answer & (open_flag::DIRECT | open_flag::APPEND_ONLY) != 0;
        self.open_flags(flags, wants_direct, answer & open_flag::KEEP_CACHE != 0)
    }

    pub(super) async fn create(
        &self,
        header: &Header,
        name: &[u8],
        flags: u32,
        mode: u32,
        umask: u32,
    ) -> Result<(EntryOut, OpenOut)> {
        if name.len() > 255 {
            return Err(Error::Os(Errno::NAMETOOLONG));
        }
        if header.inode == special::ROOT && special::find(name).is_some() {
            return Err(Error::Os(Errno::ACCESS));
        }
        let caller = self.caller(header);
        let (mode, umask) = ((mode & 0o7777) as u16, umask as u16);
        let created = self
            .fs
            .create(header.inode, name, mode, umask, flags, &caller)
            .await;
        let (node, file, answer) = match created {
            Ok(created) => created,
            Err(error) if error.is(Status::Eexist) && flags & libc::O_EXCL as u32 == 0 => {
                // Somebody else was faster: open(2) without O_EXCL opens his file.
                return self.open_existing(header, name, flags, &caller).await;
            }
            Err(error) => return Err(error),
        };
        // The kernel asks for these before the first write.
        for name in [&b"security.capability"[..], b"security.ima"] {
            self.xattrs
                .put(node.inode, header.uid, header.gid, name, None);
        }
        self.name_appeared(header.inode, name);
        self.open_data.forget(node.inode);
        let handle = self
            .files
            .insert(FileHandle::Data(DataHandle::new(file, None)));
        let open = OpenOut {
            handle,
            flags: self.answered_flags(flags, answer),
        };
        Ok((self.entry(&node), open))
    }

    async fn open_existing(
        &self,
        header: &Header,
        name: &[u8],
        flags: u32,
        caller: &Caller,
    ) -> Result<(EntryOut, OpenOut)> {
        let mark = self.fs.mark();
        let found = self.session().lookup(header.inode, name, caller).await?;
        let entry = self.seen(mark, found.node);
        let open = self.open_and_wait(found.node.inode, flags, caller).await?;
        Ok((entry, open))
    }

    pub(super) async fn open(self: &Arc<Self>, header: &Header, flags: u32) -> Result<OpenOut> {
        if let Some(file) = special::of_inode(header.inode) {
            let handle = self.open_special(file, header, flags)?;
            let direct = if file.inode == special::MASTER_INFO.inode {
                open_out::KEEP_CACHE
            } else {
                open_out::DIRECT_IO
            };
            return Ok(OpenOut {
                handle: self.files.insert(FileHandle::Special(handle)),
                flags: direct,
            });
        }
        let caller = self.caller(header);
        let is_cut = flags & libc::O_TRUNC as u32 != 0;
        let known = self.open_data.take(header.inode, Adapter::identity(header));
        match known {
            Some((found, attr)) if !is_cut => {
                let access = Access::of_flags(flags);
                allowed(&found, mask_of(access))?;
                let wants_direct =
                    found.flags & (lookup_flag::DIRECT | lookup_flag::APPEND_ONLY) != 0;
                let open_flags = self.open_flags(flags, wants_direct, found.keeps_cache());
                let length = attr.length;
                let file =
                    self.fs
                        .open_known(header.inode, flags, length, found.chunk.clone(), &caller);
                if found.flags & lookup_flag::APPEND_ONLY != 0 {
                    file.set_append_only();
                }
                let handle = FileHandle::Data(DataHandle::new(file, Some(PendingOpen::default())));
                let number = self.files.insert(handle);
                let mut want = access.want() | open_want::AFTER_CREATE;
                if open_flags & open_out::KEEP_CACHE == 0 {
                    want |= open_want::CACHE_CLEARED;
                }
                self.open_later(number, header.inode, want, &caller);
                Ok(OpenOut {
                    handle: number,
                    flags: open_flags,
                })
            }
            _ => self.open_and_wait(header.inode, flags, &caller).await,
        }
    }

    async fn open_and_wait(&self, inode: Inode, flags: u32, caller: &Caller) -> Result<OpenOut> {
        let (file, answer) = self.fs.open(inode, flags, caller).await?;
        if answer & open_flag::APPEND_ONLY != 0 {
            file.set_append_only();
        }
        if flags & libc::O_TRUNC as u32 != 0 {
            self.attributes_changed(inode);
        }
        let handle = self
            .files
            .insert(FileHandle::Data(DataHandle::new(file, None)));
        Ok(OpenOut {
            handle,
            flags: self.answered_flags(flags, answer),
        })
    }

    /// Tells the master of an open file; its answer is waited for by what follows.
    fn open_later(self: &Arc<Self>, number: u64, inode: Inode, want: u8, caller: &Caller) {
        let Some(handle) = self.files.get(number) else {
            return;
        };
        let session = Arc::clone(self.session());
        let caller = Caller::new(caller.uid, caller.gid(), &[], caller.pid);
        let work = async move {
            let outcome: Result<Opened> = session.open(inode, want, &caller).await;
            if let FileHandle::Data(handle) = &*handle
                && let Some(pending) = &handle.pending
            {
                let _ = pending.outcome.set(outcome.map(|_| ()));
                pending.done.notify_waiters();
            }
        };
        super::task::run(&tokio::runtime::Handle::current(), work);
    }

    pub(super) async fn read(&self, handle: u64, offset: u64, size: u32, reply: Reply) {
        let Some(handle) = self.files.get(handle) else {
            return reply.error(Errno::BADF);
        };
        let outcome = match &*handle {
            FileHandle::Special(special) => {
                match self.read_special(special, offset, size).await {
                    Ok(bytes) => reply.data(&bytes),
                    Err(error) => reply.error(error.errno()),
                }
                return;
            }
            FileHandle::Data(_) if self.refuses(DISABLE_READ) => Err(Error::Os(Errno::PERM)),
            FileHandle::Data(handle) => {
                let pieces = handle.file.read_at(offset, size).await;
                match handle.wait_for_open().await {
                    Ok(()) => pieces,
                    Err(error) => Err(error),
                }
            }
        };
        match outcome {
            Ok(pieces) if pieces.len() <= PIECES_MAX => {
                let slices: Vec<IoSlice<'_>> =
                    pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                reply.pieces(&slices);
            }
            Ok(pieces) => reply.data(&pieces.concat()),
            Err(error) => reply.error(error.errno()),
        }
    }

    pub(super) async fn write(
        &self,
        header: &Header,
        handle: u64,
        offset: u64,
        data: Bytes,
    ) -> Result<u32> {
        let Some(handle) = self.files.get(handle) else {
            return Err(Error::Os(Errno::BADF));
        };
        let size = data.len() as u32;
        match &*handle {
            FileHandle::Special(special) => self.write_special(special, &data)?,
            FileHandle::Data(_) if self.refuses(DISABLE_WRITE) => {
                return Err(Error::Os(Errno::PERM));
            }
            FileHandle::Data(handle) => {
                handle.wait_for_open().await?;
                handle.file.write_at(offset, data).await?;
                self.attributes_changed(header.inode);
            }
        }
        Ok(size)
    }

    pub(super) async fn flush(&self, handle: u64, owner: u64) -> Result<()> {
        let Some(handle) = self.files.get(handle) else {
            return Err(Error::Os(Errno::BADF));
        };
        let FileHandle::Data(handle) = &*handle else {
            return Ok(());
        };
        let has_locks = handle.uses_posix_locks.load(Ordering::Relaxed);
        let outcome = handle.file.flush(has_locks).await;
        if has_locks {
            self.release_posix(handle, owner).await;
        }
        outcome
    }

    pub(super) async fn fsync(&self, handle: u64) -> Result<()> {
        let Some(handle) = self.files.get(handle) else {
            return Err(Error::Os(Errno::BADF));
        };
        match &*handle {
            FileHandle::Data(handle) => handle.file.sync().await,
            FileHandle::Special(_) => Ok(()),
        }
    }

    /// Answers as soon as locks are given up; the data follow.
    pub(super) async fn release(&self, handle: u64, flock_owner: Option<u64>, reply: Reply) {
        let Some(handle) = self.files.remove(handle) else {
            return reply.error(Errno::BADF);
        };
        match &*handle {
            FileHandle::Special(special) => {
                self.close_special(special);
                reply.ok();
            }
            FileHandle::Data(data) => {
                self.release_locks(data, flock_owner).await;
                reply.ok();
                // The error of the OPEN was told to whoever used the handle.
                let _ = data.wait_for_open().await;
                if data.file.has_written() {
                    // Errors of the last data have no way to the application any more.
                    let _ = data.file.sync().await;
                }
            }
        }
    }
}

/// Access mask of a handle: 4 read, 2 write.
fn mask_of(access: Access) -> u8 {
    u8::from(access.read) << 2 | u8::from(access.write) << 1
}
