//! One disk: its folder, marks, state, space, errors, threads (chunkserver §4.1, §4.7).

use super::choose::Folders;
use super::damage::{DiskError, ErrorRing};
use super::name;
use super::open_chunk::OpenChunk;
use super::space::{Content, Space, Volume};
use crate::counters::DiskWork;
use crate::disk_list::{DiskLine, Limit, Marks};
use crate::disk_pool::DiskPool;
use parking_lot::Mutex;
use proto::{ChunkId, ChunkVersion, MetaId};
use rustix::fs::{FlockOperation, StatVfsMountFlags};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// A disk that got a chunk from the rebalancer is spared so long.
const RECEIVING: Duration = Duration::from_secs(10);

/// Number of a disk while the process lives.
pub type DiskId = u16;

/// What a disk is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DiskState {
    /// Chunks are being looked for.
    Scanning = 0,
    /// In full use.
    Working = 1,
    /// Taken out after errors; its chunks have been reported as lost.
    Damaged = 2,
    /// No longer in the list of disks.
    Removed = 3,
}

/// A file of a chunk that is elsewhere in a better version.
#[derive(Debug)]
pub struct Duplicate {
    /// The file.
    pub path: PathBuf,
    /// When it may go.
    pub due: Instant,
}

/// One disk.
#[derive(Debug)]
pub struct Disk {
    /// Its number.
    pub id: DiskId,
    /// Its folder, with a final `/`.
    pub path: PathBuf,
    /// Its threads.
    pub pool: DiskPool,
    /// Number of the file system.
    pub device: u64,
    /// Chunks in its subfolders.
    pub folders: Mutex<Folders>,
    /// Its errors.
    pub errors: Mutex<ErrorRing>,
    /// Work for the list of disks.
    pub work: Mutex<DiskWork>,
    /// Chunks with an open file, or about to have one.
    pub open: Mutex<Vec<Arc<OpenChunk>>>,
    /// Chunks that were written and are to be brought to the disk.
    pub unsynced: Mutex<Vec<Arc<OpenChunk>>>,
    /// Files to be removed later.
    pub duplicates: Mutex<VecDeque<Duplicate>>,
    line: Mutex<DiskLine>,
    state: AtomicU8,
    progress: AtomicU8,
    space: Mutex<Measured>,
    space_changed: AtomicBool,
    /// Open while the folder is ours.
    lock: Mutex<Option<File>>,
    received: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Measured {
    volume: Volume,
    space: Space,
    content: Content,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The lock cannot be made.
    #[error("can't create lock file '{0}.lock': {1}")]
    Lock(String, String),
    /// Another process has it.
    #[error("data folder '{0}' already locked (used by another process)")]
    Held(String),
    /// It belongs to another cluster.
    #[error(
        "data folder '{0}' belongs to the file system {found:016X}, this server to {expected:016X}: \
         take it out of the list, or remove its .metaid to adopt it",
        found = .1,
        expected = .2
    )]
    Foreign(String, u64, u64),
}

/// What takes a folder into use.
#[derive(Debug)]
pub struct Claim {
    line: DiskLine,
    lock: Option<File>,
    /// Number of the file system.
    pub device: u64,
    /// Number of the lock file on it: the same folder under another name.
    pub lock_inode: u64,
    /// From `.metaid`.
    pub metaid: Option<MetaId>,
}

impl Claim {
    /// Locks a folder and looks whose it is.
    pub fn new(line: &DiskLine, expected: Option<MetaId>) -> Result<Claim, ClaimError> {
        let shown = line.path.display().to_string();
        let path = line.path.join(".lock");
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(&path);
        let lock_error =
            |error: &io::Error| ClaimError::Lock(shown.clone(), daemon::errno::describe(error));
        let lock = match opened {
            Ok(file) => Some(file),
            // A read-only file system that is marked for removal is used as it is.
            Err(error)
                if line.marks.removal && error.kind() == io::ErrorKind::ReadOnlyFilesystem =>
            {
                None
            }
            Err(error) => return Err(lock_error(&error)),
        };
        if let Some(file) = &lock {
            match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                    return Err(ClaimError::Held(shown));
                }
                Err(errno) => return Err(lock_error(&errno.into())),
            }
        }
        let about = match &lock {
            Some(file) => file.metadata(),
            None => std::fs::metadata(&line.path),
        }
        .map_err(|error| lock_error(&error))?;
        let metaid = read_metaid(&line.path);
        if let (Some(found), Some(expected)) = (metaid, expected)
            && found != expected
        {
            return Err(ClaimError::Foreign(shown, found.0, expected.0));
        }
        Ok(Claim {
            line: line.clone(),
            lock,
            device: about.dev(),
            lock_inode: about.ino(),
            metaid,
        })
    }
}

fn read_metaid(folder: &Path) -> Option<MetaId> {
    let bytes = std::fs::read(folder.join(".metaid")).ok()?;
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    Some(MetaId(u64::from_be_bytes(bytes))).filter(|metaid| metaid.0 != 0)
}

impl Disk {
    /// A disk whose chunks are not known yet.
    pub fn new(id: DiskId, claim: Claim, pool: DiskPool) -> Disk {
        Disk {
            id,
            path: claim.line.path.clone(),
            pool,
            device: claim.device,
            folders: Mutex::default(),
            errors: Mutex::default(),
            work: Mutex::default(),
            open: Mutex::default(),
            unsynced: Mutex::default(),
            duplicates: Mutex::default(),
            line: Mutex::new(claim.line),
            state: AtomicU8::new(DiskState::Scanning as u8),
            progress: AtomicU8::new(0),
            space: Mutex::default(),
            space_changed: AtomicBool::new(true),
            lock: Mutex::new(claim.lock),
            received: Mutex::new(None),
        }
    }

    /// Path as operators know it.
    pub fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// File of a copy.
    pub fn chunk_path(&self, folder: u8, chunk: ChunkId, version: ChunkVersion) -> PathBuf {
        self.path
            .join(format!("{folder:02X}/{}", name::of(chunk, version)))
    }

    /// What the disk is doing.
    pub fn state(&self) -> DiskState {
        match self.state.load(Ordering::Acquire) {
            0 => DiskState::Scanning,
            1 => DiskState::Working,
            2 => DiskState::Damaged,
            _ => DiskState::Removed,
        }
    }

    /// Changes the state; a removed disk stays removed.
    pub fn set_state(&self, state: DiskState) {
        if self.state() != DiskState::Removed {
            self.state.store(state as u8, Ordering::Release);
        }
    }

    /// Whether chunks on it are served.
    pub fn is_served(&self) -> bool {
        matches!(self.state(), DiskState::Scanning | DiskState::Working)
    }

    /// Percent of the scan.
    pub fn progress(&self) -> u8 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Tells how far the scan is.
    pub fn set_progress(&self, percent: u8) {
        self.progress.store(percent, Ordering::Relaxed);
    }

    /// Marks of its line.
    pub fn marks(&self) -> Marks {
        self.line.lock().marks
    }

    /// Limit of its line.
    pub fn limit(&self) -> Limit {
        self.line.lock().limit
    }

    /// A new line for the same folder.
    pub fn set_line(&self, line: DiskLine) {
        *self.line.lock() = line;
        self.touch_space();
    }

    /// Whether nothing may be written.
    pub fn is_read_only(&self) -> bool {
        self.lock.lock().is_none()
    }

    /// Lets go of the folder.
    pub fn unlock(&self) {
        *self.lock.lock() = None;
    }

    /// Writes the number of the file system that the folder belongs to.
    pub fn write_metaid(&self, metaid: MetaId) -> io::Result<()> {
        use std::io::Write;
        if self.is_read_only() {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(self.path.join(".metaid"))?;
        file.write_all(&metaid.0.to_be_bytes())
    }

    /// Remembers an error.
    pub fn note_error(&self, chunk: ChunkId, errno: Option<i32>, time: u32) {
        self.errors.lock().add(DiskError { chunk, time, errno });
    }

    /// Usable bytes as last measured.
    pub fn space(&self) -> Space {
        self.space.lock().space
    }

    /// Chunks on it.
    pub fn chunks(&self) -> u32 {
        u32::try_from(self.space.lock().content.chunks).unwrap_or(u32::MAX)
    }

    /// A chunk was added, with so many blocks if they are known.
    pub fn count_chunk(&self, blocks: Option<u16>) {
        self.space.lock().content.chunks += 1;
        if let Some(blocks) = blocks {
            self.learn_blocks(None, blocks);
        }
        self.touch_space();
    }

    /// A chunk was removed.
    pub fn uncount_chunk(&self, blocks: Option<u16>) {
        let mut measured = self.space.lock();
        let content = &mut measured.content;
        content.chunks = content.chunks.saturating_sub(1);
        if let Some(blocks) = blocks {
            content.known = content.known.saturating_sub(1);
            content.blocks = content.blocks.saturating_sub(blocks.into());
        }
        drop(measured);
        self.touch_space();
    }

    /// The number of blocks of a chunk is known now, or has changed.
    pub fn learn_blocks(&self, before: Option<u16>, now: u16) {
        let mut measured = self.space.lock();
        let content = &mut measured.content;
        match before {
            None => content.known += 1,
            Some(before) => content.blocks = content.blocks.saturating_sub(before.into()),
        }
        content.blocks += u64::from(now);
    }

    /// Nothing is on it any more.
    pub fn forget_content(&self) {
        self.space.lock().content = Content::default();
        *self.folders.lock() = Folders::default();
        self.touch_space();
    }

    /// The figures are out of date.
    pub fn touch_space(&self) {
        self.space_changed.store(true, Ordering::Relaxed);
    }

    /// Whether the figures are out of date.
    pub fn is_space_changed(&self) -> bool {
        self.space_changed.load(Ordering::Relaxed)
    }

    /// Asks the file system; the volume before and now.
    pub fn measure(&self, leave_default: u64) -> io::Result<(Volume, Volume)> {
        self.space_changed.store(false, Ordering::Relaxed);
        let vfs = rustix::fs::statvfs(self.path.as_path())?;
        let reserved = vfs.f_bfree.saturating_sub(vfs.f_bavail);
        let volume = Volume {
            total: vfs
                .f_frsize
                .saturating_mul(vfs.f_blocks.saturating_sub(reserved)),
            free: vfs.f_frsize.saturating_mul(vfs.f_bavail),
            files_free: (vfs.f_files > 0).then_some(vfs.f_favail),
            read_only: vfs.f_flag.contains(StatVfsMountFlags::RDONLY),
        };
        let limit = self.limit();
        let mut measured = self.space.lock();
        let before = std::mem::replace(&mut measured.volume, volume);
        measured.space = super::space::usable(volume, limit, leave_default, measured.content);
        Ok((before, volume))
    }

    /// The rebalancer has put a chunk here.
    pub fn note_received(&self) {
        *self.received.lock() = Some(Instant::now());
    }

    /// Whether the rebalancer has put a chunk here a moment ago.
    pub fn is_receiving(&self) -> bool {
        self.received
            .lock()
            .is_some_and(|time| time.elapsed() < RECEIVING)
    }

    /// Path for messages: at most 255 bytes, with the end of a longer one.
    pub fn wire_path(&self) -> Vec<u8> {
        let path = self.path.as_os_str().as_bytes();
        match path.len() {
            0..=255 => path.to_vec(),
            len => [b"(...)", &path[len - 250..]].concat(),
        }
    }
}
