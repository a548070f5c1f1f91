//! Looking for the chunks of a disk (chunkserver §5.1): names only, in the background, while the
//! server serves.

use super::Store;
use super::disk::{Disk, DiskState};
use super::duplicates::{Better, better};
use super::index::Slot;
use super::layout::Layout;
use super::name;
use crate::disk_list::Limit;
use proto::chunkserver::ReportedChunk;
use proto::{ChunkId, ChunkVersion};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Found copies are reported in groups of so many.
const REPORT_GROUP: usize = 1000;

impl Store {
    /// Scans a disk; afterwards it is in full use.
    pub fn scan(&self, disk: &Arc<Disk>) {
        let begun = Instant::now();
        if let Err(error) = self.scan_folders(disk) {
            tracing::error!(
                "disk {}: can't scan: {}",
                disk.shown(),
                daemon::errno::describe(&error)
            );
            self.take_out(disk, DiskState::Damaged);
            return;
        }
        if disk.state() == DiskState::Scanning {
            disk.set_state(DiskState::Working);
            disk.touch_space();
            tracing::info!(
                "scanning disk {}: complete ({} chunks, {:.1} s)",
                disk.shown(),
                disk.chunks(),
                begun.elapsed().as_secs_f64()
            );
        }
    }

    fn scan_folders(&self, disk: &Arc<Disk>) -> io::Result<()> {
        let writable = !disk.is_read_only();
        if writable {
            // The index of a real server is out of date from now on.
            remove_if_there(&disk.path.join(".chunkdb"))?;
            for folder in 0..=255_u8 {
                let path = disk.path.join(format!("{folder:02X}"));
                match std::fs::create_dir(&path) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(_) if disk.marks().removal => {}
                    Err(error) => return Err(error),
                }
            }
            migrate_old_folders(&disk.path)?;
        }
        for folder in 0..=255_u8 {
            if !disk.is_served() {
                return Ok(());
            }
            let path = disk.path.join(format!("{folder:02X}"));
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut found = Vec::new();
            for entry in entries {
                let entry = entry?;
                let Some((chunk, version)) = name::parse(entry.file_name().as_encoded_bytes())
                else {
                    continue;
                };
                found.extend(self.found(disk, folder, chunk, version));
                if found.len() >= REPORT_GROUP {
                    self.reports.found(&found);
                    found.clear();
                }
            }
            self.reports.found(&found);
            disk.set_progress((u32::from(folder) * 100 / 256) as u8);
        }
        Ok(())
    }

    /// A file was found; what the master is to be told.
    fn found(
        &self,
        disk: &Arc<Disk>,
        folder: u8,
        chunk: ChunkId,
        version: ChunkVersion,
    ) -> Option<ReportedChunk> {
        let path = disk.chunk_path(folder, chunk, version);
        let mut blocks = None;
        if matches!(disk.limit(), Limit::Use(_)) {
            let len = std::fs::metadata(&path).ok()?.len();
            let Some((_, count)) = Layout::of_size(len) else {
                self.keep_for_deletion(disk, path);
                return None;
            };
            blocks = Some(count);
        }
        let mut shard = self.index.shard(chunk);
        if let Some(slot) = shard.get(chunk) {
            let other_disk = self.disk(slot.disk);
            let other = (slot.version, slot.disk, slot.folder);
            match better(other, (version, disk.id, folder)) {
                // A rename moves names while they are being listed.
                Better::Same => return None,
                Better::Known => {
                    drop(shard);
                    self.keep_for_deletion(disk, path);
                    return None;
                }
                Better::Found => {
                    let old = shard.remove(chunk)?;
                    if let Some(open) = &old.open {
                        open.set_gone();
                    }
                    if let Some(other_disk) = other_disk {
                        other_disk.folders.lock().removed(old.folder);
                        other_disk.uncount_chunk(old.blocks());
                        let path = other_disk.chunk_path(old.folder, chunk, old.version);
                        self.keep_for_deletion(&other_disk, path);
                    }
                    self.reports.lost(&[chunk]);
                }
            }
        }
        shard.insert(Slot::new(chunk, version, disk.id, folder, blocks));
        drop(shard);
        disk.folders.lock().found(folder);
        disk.count_chunk(blocks);
        Some(ReportedChunk {
            chunk,
            version,
            marked_for_removal: disk.marks().removal,
        })
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Chunks in folders of a single digit (before 1.6) move to that of the low byte of their number.
fn migrate_old_folders(root: &Path) -> io::Result<()> {
    for digit in 0..16 {
        let folder = root.join(format!("{digit:X}"));
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if let Some((chunk, _)) = name::parse(entry.file_name().as_encoded_bytes()) {
                let to = root.join(format!("{:02X}", chunk.0 & 0xff));
                std::fs::rename(entry.path(), to.join(entry.file_name()))?;
            }
        }
        // Stays when something else is in it.
        let _ = std::fs::remove_dir(&folder);
    }
    Ok(())
}
