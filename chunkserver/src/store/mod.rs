//! The copies of this server on its disks (chunkserver §4, §5): index, files, disks. Blocks in
//! system calls: everything here but look-ups in memory runs on the threads of a disk.

pub mod balance;
pub mod choose;
pub mod chunk_file;
pub mod crc;
pub mod damage;
pub mod disk;
pub mod duplicates;
pub mod index;
pub mod keeper;
pub mod layout;
pub mod name;
pub mod open_chunk;
pub mod operations;
pub mod scan;
pub mod serve;
pub mod space;
pub mod table;
pub mod tester;

use self::table::Leaving;
use crate::counters::Counters;
use crate::reports::Reports;
use crate::settings::StoreSettings;
use choose::{Candidate, Turns};
use chunk_file::{ChunkFile, Fault};
use disk::{Disk, DiskId, DiskState};
use index::{Index, SHARDS, Slot};
use layout::Identity;
use open_chunk::{ChunkState, OpenChunk};
use parking_lot::{Mutex, RwLock};
use proto::chunkserver::{ReportedChunk, Usage};
use proto::{ChunkId, ChunkVersion, Status};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Bytes of header and table that one look at a file reads.
const HEAD_LEN: u64 = 8192;

/// The copies of this server.
#[derive(Debug)]
pub struct Store {
    index: Index,
    disks: RwLock<Vec<Arc<Disk>>>,
    next_disk: Mutex<DiskId>,
    leaving: Mutex<Leaving>,
    turns: Mutex<Turns>,
    settings: RwLock<StoreSettings>,
    open_files: AtomicUsize,
    open_files_max: usize,
    /// What the master has to learn.
    pub reports: Arc<Reports>,
    /// For the charts.
    pub counters: Arc<Counters>,
    /// State of the rebalancer.
    pub balance: balance::Shared,
}

impl Store {
    /// A store without disks.
    pub fn new(
        settings: StoreSettings,
        open_files_max: usize,
        reports: Arc<Reports>,
        counters: Arc<Counters>,
    ) -> Store {
        Store {
            index: Index::default(),
            disks: RwLock::default(),
            next_disk: Mutex::new(0),
            leaving: Mutex::default(),
            turns: Mutex::default(),
            settings: RwLock::new(settings),
            open_files: AtomicUsize::new(0),
            open_files_max,
            reports,
            counters,
            balance: balance::Shared::default(),
        }
    }

    /// Settings in effect.
    pub fn settings(&self) -> StoreSettings {
        *self.settings.read()
    }

    /// New settings.
    pub fn set_settings(&self, settings: StoreSettings) {
        *self.settings.write() = settings;
        for disk in self.disks() {
            disk.touch_space();
        }
    }

    /// All disks of the list.
    pub fn disks(&self) -> Vec<Arc<Disk>> {
        self.disks.read().clone()
    }

    fn disk(&self, id: DiskId) -> Option<Arc<Disk>> {
        self.disks.read().iter().find(|disk| disk.id == id).cloned()
    }

    /// Space of the disks not marked for removal, and of the others.
    pub fn usage(&self) -> (Usage, Usage) {
        let (mut regular, mut marked) = (Usage::ZERO, Usage::ZERO);
        for disk in self.disks.read().iter().filter(|disk| disk.is_served()) {
            let space = disk.space();
            let sum = match disk.marks().removal {
                true => &mut marked,
                false => &mut regular,
            };
            sum.total += space.total;
            sum.used += space.total.saturating_sub(space.free);
            sum.chunks = sum.chunks.saturating_add(disk.chunks());
        }
        (regular, marked)
    }

    /// Copies in one of [`SHARDS`] parts of the index, as a registration lists them.
    pub fn list_part(&self, part: usize) -> Vec<ReportedChunk> {
        let disks = self.disks();
        let marked = |id: DiskId| {
            let disk = disks.iter().find(|disk| disk.id == id);
            disk.is_some_and(|disk| disk.marks().removal)
        };
        let marks: Vec<(DiskId, bool)> = disks
            .iter()
            .map(|disk| (disk.id, marked(disk.id)))
            .collect();
        let shard = self.index.part(part);
        shard
            .iter()
            .map(|slot| ReportedChunk {
                chunk: slot.chunk,
                version: slot.version,
                marked_for_removal: marks.iter().any(|(id, marked)| *id == slot.disk && *marked),
            })
            .collect()
    }

    /// Disk of a copy: whose threads are to do the work.
    pub fn disk_of(&self, chunk: ChunkId) -> Result<Arc<Disk>, Status> {
        let disk = self.index.shard(chunk).get(chunk).map(|slot| slot.disk);
        disk.and_then(|disk| self.disk(disk)).ok_or_else(|| {
            self.reports.lost(&[chunk]);
            Status::NoChunk
        })
    }

    /// The copy of a chunk, to be used: 13 and a report if there is none, 19 if it has another
    /// version and `version` is not 0.
    pub fn find(&self, chunk: ChunkId, version: ChunkVersion) -> Result<Arc<OpenChunk>, Status> {
        let mut shard = self.index.shard(chunk);
        let Some(slot) = shard.get(chunk) else {
            drop(shard);
            self.reports.lost(&[chunk]);
            return Err(Status::NoChunk);
        };
        if version.0 != 0 && slot.version != version {
            return Err(Status::WrongVersion);
        }
        slot.used = unix_now();
        self.open_slot(slot)
    }

    /// As [`Store::find`] for work inside the server, which is no use.
    fn find_quietly(&self, chunk: ChunkId) -> Result<Arc<OpenChunk>, Status> {
        let mut shard = self.index.shard(chunk);
        let slot = shard.get(chunk).ok_or(Status::NoChunk)?;
        self.open_slot(slot)
    }

    fn open_slot(&self, slot: &mut Slot) -> Result<Arc<OpenChunk>, Status> {
        if let Some(open) = &slot.open {
            return Ok(Arc::clone(open));
        }
        let disk = self.disk(slot.disk).ok_or(Status::NoChunk)?;
        let open = Arc::new(OpenChunk::new(
            slot.chunk,
            ChunkState {
                disk: Arc::clone(&disk),
                folder: slot.folder,
                version: slot.version,
                file: None,
                blocks: slot.blocks(),
                used: Instant::now(),
                unsynced: false,
            },
        ));
        slot.open = Some(Arc::clone(&open));
        disk.open.lock().push(Arc::clone(&open));
        Ok(open)
    }

    /// Waits for a chunk and checks its version.
    fn enter<'a>(
        &self,
        open: &'a OpenChunk,
        version: ChunkVersion,
    ) -> Result<parking_lot::MutexGuard<'a, ChunkState>, Status> {
        let mut state = open.lock()?;
        if version.0 != 0 && state.version != version {
            return Err(Status::WrongVersion);
        }
        state.used = Instant::now();
        Ok(state)
    }

    /// The open file of a chunk. `any_version`: the header's version may differ from the name's.
    fn file<'a>(
        &self,
        chunk: ChunkId,
        state: &'a mut ChunkState,
        any_version: bool,
    ) -> Result<&'a mut ChunkFile, Status> {
        if state.file.is_none() {
            if self.open_files.load(Ordering::Relaxed) >= self.open_files_max {
                return Err(Status::NotDone);
            }
            let path = state.disk.chunk_path(state.folder, chunk, state.version);
            let identity = Identity {
                chunk,
                version: state.version,
            };
            match ChunkFile::open(&path, identity, any_version, state.disk.is_read_only()) {
                Ok(file) => {
                    self.open_files.fetch_add(1, Ordering::Relaxed);
                    self.counters.header_reads.add(1);
                    self.counters.header_bytes_read.add(HEAD_LEN);
                    self.note_blocks(chunk, state, file.blocks());
                    state.file = Some(file);
                }
                Err(fault) => {
                    let vanished =
                        matches!(&fault, Fault::Io(error) if error.kind() == ErrorKind::NotFound);
                    let impossible = matches!(fault, Fault::BadSize(_));
                    let status = self.fault(chunk, &state.disk, &fault);
                    return Err(match state.blocks {
                        None if vanished || impossible => Status::NoChunk,
                        _ => status,
                    });
                }
            }
        }
        state.file.as_mut().ok_or(Status::Io)
    }

    /// The number of blocks of a chunk is known, or has changed.
    fn note_blocks(&self, chunk: ChunkId, state: &mut ChunkState, blocks: u16) {
        if state.blocks == Some(blocks) {
            return;
        }
        state.disk.learn_blocks(state.blocks, blocks);
        state.disk.touch_space();
        state.blocks = Some(blocks);
        if let Some(slot) = self.index.shard(chunk).get(chunk) {
            slot.set_blocks(blocks);
        }
    }

    /// The file of a chunk is closed.
    fn close(&self, state: &mut ChunkState) {
        if state.file.take().is_some() {
            self.open_files.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Writes down and reports a fault of a copy; the status for who wanted it. Takes the disk out
    /// when it has had too many.
    fn fault(&self, chunk: ChunkId, disk: &Arc<Disk>, fault: &Fault) -> Status {
        let errno = match fault {
            Fault::Io(error) => error.raw_os_error(),
            _ => None,
        };
        let ours = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::INTR,
        ];
        if errno.is_some_and(|errno| ours.iter().any(|own| own.raw_os_error() == errno)) {
            tracing::warn!("chunk {:016X} on {}: {fault}", chunk.0, disk.shown());
            return Status::NotDone;
        }
        tracing::warn!("chunk {:016X} on {}: {fault}", chunk.0, disk.shown());
        disk.note_error(chunk, errno, unix_now());
        self.reports.damaged(chunk);
        if let Some(slot) = self.index.shard(chunk).get(chunk) {
            slot.damaged = true;
        }
        self.check_errors(disk);
        match fault {
            Fault::Crc { .. } => Status::Crc,
            Fault::Io(_) | Fault::BadSize(_) | Fault::BadHeader => Status::Io,
        }
    }

    /// The disk is not used any more: its copies are reported as lost.
    pub fn take_out(&self, disk: &Arc<Disk>, state: DiskState) {
        if state == DiskState::Damaged && disk.is_read_only() {
            // Marked and on a read-only file system: the mark is all there is to do.
            disk.set_state(state);
            return;
        }
        disk.set_state(state);
        for part in 0..SHARDS {
            let gone = self.index.part(part).extract(|slot| slot.disk == disk.id);
            for slot in &gone {
                if let Some(open) = &slot.open {
                    open.set_gone();
                }
            }
            let chunks: Vec<ChunkId> = gone.iter().map(|slot| slot.chunk).collect();
            if !chunks.is_empty() {
                self.reports.lost(&chunks);
            }
        }
        disk.forget_content();
        disk.duplicates.lock().clear();
        self.reports.space_changed();
    }

    /// A disk for a new chunk; 21 when there is none.
    pub fn choose(&self) -> Result<Arc<Disk>, Status> {
        let now = Instant::now();
        let disks: Vec<Arc<Disk>> = self
            .disks
            .read()
            .iter()
            .filter(|disk| {
                let marks = disk.marks();
                disk.state() == DiskState::Working
                    && !marks.removal
                    && !marks.empty
                    && !disk.pool.is_hanging(now)
            })
            .cloned()
            .collect();
        let candidates: Vec<Candidate> = disks
            .iter()
            .map(|disk| {
                let space = disk.space();
                Candidate {
                    disk: disk.id,
                    total: space.total,
                    free: space.free,
                    receiving: disk.is_receiving(),
                }
            })
            .collect();
        let chosen = self.turns.lock().next(&candidates).ok_or(Status::NoSpace)?;
        disks
            .into_iter()
            .find(|disk| disk.id == chosen)
            .ok_or(Status::NoSpace)
    }

    /// Whether there is a copy of a chunk.
    pub fn has(&self, chunk: ChunkId) -> bool {
        self.index.shard(chunk).get(chunk).is_some()
    }

    /// Whether a disk may get new chunks now.
    pub fn takes_chunks(&self, disk: &Disk) -> bool {
        let marks = disk.marks();
        disk.state() == DiskState::Working
            && !marks.removal
            && !marks.empty
            && !disk.pool.is_hanging(Instant::now())
            && disk.space().free > 0
    }

    /// Removes a copy from the index.
    fn forget(&self, open: &OpenChunk, state: &mut ChunkState) {
        open.set_gone();
        self.index.shard(open.chunk).remove(open.chunk);
        state.disk.folders.lock().removed(state.folder);
        state.disk.uncount_chunk(state.blocks);
        self.close(state);
    }
}

/// Seconds since 1970.
pub fn unix_now() -> u32 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}
