//! What the master orders, on files (chunkserver §2.7, §4.5). To be called on the threads of the
//! disk that has the chunk, or gets it.

use super::chunk_file::{ChunkFile, Fault};
use super::disk::Disk;
use super::index::Slot;
use super::layout::Identity;
use super::open_chunk::{ChunkState, OpenChunk};
use super::{HEAD_LEN, Store};
use crate::settings::SyncPolicy;
use proto::chunkserver::CHUNK_SIZE;
use proto::{ChunkId, ChunkVersion, Status};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Version of a copy that is being made: no master takes it for a good one.
const UNFINISHED: ChunkVersion = ChunkVersion(0);

impl Store {
    /// Makes an empty chunk: 20 when there is one, 21 when there is no space.
    pub fn create(
        &self,
        disk: &Arc<Disk>,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Result<Arc<OpenChunk>, Status> {
        let settings = self.settings();
        let folder = disk.folders.lock().place(settings.folder_chunks);
        let open = Arc::new(OpenChunk::new(
            chunk,
            ChunkState {
                disk: Arc::clone(disk),
                folder,
                version,
                file: None,
                blocks: Some(0),
                used: Instant::now(),
                unsynced: false,
            },
        ));
        let mut state = open.lock()?;
        {
            let mut shard = self.index.shard(chunk);
            if shard.get(chunk).is_some() {
                disk.folders.lock().removed(folder);
                return Err(Status::ChunkExist);
            }
            let mut slot = Slot::new(chunk, version, disk.id, folder, Some(0));
            slot.open = Some(Arc::clone(&open));
            slot.used = super::unix_now();
            shard.insert(slot);
        }
        disk.count_chunk(Some(0));
        let path = disk.chunk_path(folder, chunk, version);
        match ChunkFile::create(&path, settings.layout, Identity { chunk, version }) {
            Ok(file) => {
                self.open_files.fetch_add(1, Ordering::Relaxed);
                self.counters.header_writes.add(1);
                self.counters.header_bytes_written.add(HEAD_LEN);
                state.file = Some(file);
                disk.open.lock().push(Arc::clone(&open));
                drop(state);
                Ok(open)
            }
            Err(fault) => {
                self.forget(&open, &mut state);
                let Fault::Io(error) = &fault else {
                    return Err(Status::Io);
                };
                tracing::warn!("{}: {fault}", path.display());
                match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Err(Status::NoSpace),
                    // A file that the index does not know: the scan has not come to it.
                    ErrorKind::AlreadyExists => Err(Status::ChunkExist),
                    _ => {
                        // There is no copy to be damaged: only the disk learns of it.
                        disk.note_error(chunk, error.raw_os_error(), super::unix_now());
                        self.check_errors(disk);
                        Err(Status::Io)
                    }
                }
            }
        }
    }

    /// Removes a copy; a file that is not there counts as removed.
    pub fn delete(&self, chunk: ChunkId, version: ChunkVersion) -> Result<(), Status> {
        let open = self.find(chunk, version)?;
        let mut state = self.enter(&open, version)?;
        let path = state.disk.chunk_path(state.folder, chunk, state.version);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(self.fault(chunk, &state.disk, &Fault::Io(error)))
            }
            _ => {
                self.forget(&open, &mut state);
                Ok(())
            }
        }
    }

    /// Gives a copy another version.
    pub fn set_version(
        &self,
        chunk: ChunkId,
        new: ChunkVersion,
        old: ChunkVersion,
    ) -> Result<(), Status> {
        let open = self.find(chunk, old)?;
        let mut state = self.enter(&open, old)?;
        self.change_version(chunk, &mut state, new)
    }

    /// The name first, then the header: a crash in between leaves a copy that is good for another
    /// change of version only (chunkserver §4.5).
    fn change_version(
        &self,
        chunk: ChunkId,
        state: &mut ChunkState,
        new: ChunkVersion,
    ) -> Result<(), Status> {
        self.file(chunk, state, true)?;
        let from = state.disk.chunk_path(state.folder, chunk, state.version);
        let to = state.disk.chunk_path(state.folder, chunk, new);
        if let Err(error) = std::fs::rename(from, to) {
            return Err(self.fault(chunk, &state.disk, &Fault::Io(error)));
        }
        state.version = new;
        if let Some(slot) = self.index.shard(chunk).get(chunk) {
            slot.version = new;
        }
        self.counters.header_writes.add(1);
        self.counters.header_bytes_written.add(4);
        let written = self.file(chunk, state, true)?.write_version(new);
        written.map_err(|fault| self.fault(chunk, &state.disk, &fault))
    }

    /// Gives a copy another version and cuts or extends it.
    pub fn truncate(
        &self,
        chunk: ChunkId,
        new: ChunkVersion,
        old: ChunkVersion,
        length: u32,
    ) -> Result<(), Status> {
        if length > CHUNK_SIZE {
            return Err(Status::Einval);
        }
        let open = self.find(chunk, old)?;
        let mut state = self.enter(&open, old)?;
        self.change_version(chunk, &mut state, new)?;
        let file = self.file(chunk, &mut state, true)?;
        let cut = file.truncate(length);
        let blocks = file.blocks();
        self.note_blocks(chunk, &mut state, blocks);
        cut.map_err(|fault| self.fault(chunk, &state.disk, &fault))
    }

    /// Copies a chunk under a new id, with `length` bytes if given. The copy has version 0 until it
    /// is complete, so that a crash leaves nothing that looks good.
    pub fn duplicate(
        &self,
        disk: &Arc<Disk>,
        new: (ChunkId, ChunkVersion),
        old: (ChunkId, ChunkVersion),
        length: Option<u32>,
    ) -> Result<(), Status> {
        if length.is_some_and(|length| length > CHUNK_SIZE) {
            return Err(Status::Einval);
        }
        let source = self.find(old.0, old.1)?;
        let mut source_state = self.enter(&source, old.1)?;
        self.file(old.0, &mut source_state, false)?;
        let copy = self.create(disk, new.0, UNFINISHED)?;
        let mut state = copy.lock()?;
        let copied = {
            let from = self.file(old.0, &mut source_state, false)?;
            let to = self.file(new.0, &mut state, false)?;
            to.copy_from(from, length).map(|()| to.blocks())
        };
        let done = match copied {
            Ok(blocks) => {
                self.note_blocks(new.0, &mut state, blocks);
                self.change_version(new.0, &mut state, new.1)
            }
            // Whose fault it was is not known: a rotten source shows as such.
            Err(fault @ Fault::Crc { .. }) => Err(self.fault(old.0, &source_state.disk, &fault)),
            Err(Fault::Io(error)) if error.kind() == ErrorKind::StorageFull => Err(Status::NoSpace),
            Err(fault) => Err(self.fault(new.0, &state.disk, &fault)),
        };
        if done.is_err() {
            let version = state.version;
            drop(state);
            self.discard(&copy, version);
        }
        done
    }

    /// A replication is complete: the copy gets its version.
    pub fn finish_copy(&self, open: &OpenChunk, version: ChunkVersion) -> Result<(), Status> {
        let mut state = self.enter(open, UNFINISHED)?;
        if self.settings().sync == SyncPolicy::BeforeStatus {
            self.sync(open.chunk, &mut state)?;
        }
        self.change_version(open.chunk, &mut state, version)
    }

    /// Removes what a failed operation has begun.
    pub fn discard(&self, open: &OpenChunk, version: ChunkVersion) {
        let Ok(mut state) = self.enter(open, version) else {
            return;
        };
        let path = state
            .disk
            .chunk_path(state.folder, open.chunk, state.version);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("{}: {}", path.display(), daemon::errno::describe(&error));
        }
        self.forget(open, &mut state);
    }

    /// Brings a chunk to the disk.
    pub(super) fn sync(&self, chunk: ChunkId, state: &mut ChunkState) -> Result<(), Status> {
        let begun = Instant::now();
        let synced = self.file(chunk, state, true)?.sync();
        state.disk.work.lock().synced(begun.elapsed());
        state.unsynced = false;
        synced.map_err(|fault| self.fault(chunk, &state.disk, &fault))
    }

    /// Takes a disk out when it had too many errors.
    pub(super) fn check_errors(&self, disk: &Arc<Disk>) {
        let settings = self.settings();
        let too_many = disk.errors.lock().exceeds(
            settings.error_tolerance_count,
            settings.error_tolerance_period_s,
            super::unix_now(),
        );
        if too_many && disk.is_served() {
            tracing::error!(
                "disk {}: more than {} errors within {} seconds - it is taken out until a reload or restart",
                disk.shown(),
                settings.error_tolerance_count,
                settings.error_tolerance_period_s
            );
            self.take_out(disk, super::disk::DiskState::Damaged);
        }
    }
}
