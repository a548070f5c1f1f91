//! The disks of the list, at the start and after each change of it (chunkserver §4.7).

use super::Store;
use super::disk::{Claim, ClaimError, Disk, DiskState};
use super::index::SHARDS;
use super::keeper;
use crate::disk_list::DiskLine;
use crate::disk_pool::DiskPool;
use proto::MetaId;
use proto::chunkserver::ReportedChunk;
use std::path::PathBuf;
use std::sync::Arc;

/// How the threads of a disk are limited.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Jobs running and waiting.
    pub jobs_max: usize,
    /// Idle threads kept.
    pub idle_max: usize,
}

/// A line that cannot be used.
#[derive(Debug)]
pub struct RejectedLine {
    /// Folder.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Folders that were given up and are still locked: a lock of a process ends when any descriptor of
/// the file is closed, so they may not be locked again before.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    folders: Vec<PathBuf>,
    /// Lines of the newest list whose folders are among them; they are added once that has ended.
    returning: Vec<(DiskLine, PoolLimits)>,
}

impl Store {
    /// Makes the disks those of `lines`: new ones are locked and scanned, missing ones are given up,
    /// others get their marks and limits; damaged ones are tried again. Returns the lines that
    /// cannot be used.
    pub fn apply(
        self: &Arc<Self>,
        lines: &[DiskLine],
        metaid: Option<MetaId>,
        limits: PoolLimits,
    ) -> Vec<RejectedLine> {
        let mut rejected = Vec::new();
        self.leaving.lock().returning.clear();
        for disk in self.disks() {
            disk.pool.set_limits(limits.jobs_max, limits.idle_max);
            match lines.iter().find(|line| line.path == disk.path) {
                Some(line) => self.adopt_line(&disk, line),
                None => self.remove_disk(&disk),
            }
        }
        let mut metaid = metaid.or_else(|| self.metaid_of_disks());
        for line in lines {
            if self.disks().iter().any(|disk| disk.path == line.path)
                || self.returns_later(line, limits)
            {
                continue;
            }
            match self.add_disk(line, metaid, limits) {
                Ok(found) => metaid = metaid.or(found),
                Err(reason) => {
                    tracing::error!("hdd space manager: {reason}");
                    rejected.push(RejectedLine {
                        path: line.path.clone(),
                        reason,
                    });
                }
            }
        }
        self.reports.space_changed();
        rejected
    }

    fn add_disk(
        self: &Arc<Self>,
        line: &DiskLine,
        metaid: Option<MetaId>,
        limits: PoolLimits,
    ) -> Result<Option<MetaId>, String> {
        let claim = Claim::new(line, metaid).map_err(|error: ClaimError| error.to_string())?;
        let found = claim.metaid;
        for other in self
            .disks()
            .iter()
            .filter(|disk| disk.device == claim.device)
        {
            if std::fs::canonicalize(&other.path).ok() == std::fs::canonicalize(&line.path).ok() {
                return Err(format!(
                    "data folders '{}' and '{}' have the same lockfile",
                    other.shown(),
                    line.path.display()
                ));
            }
            tracing::warn!(
                "hdd space manager: data folders '{}' and '{}' are on the same physical device (could lead to unexpected behaviours)",
                other.shown(),
                line.path.display()
            );
        }
        let id = {
            let mut next = self.next_disk.lock();
            let id = *next;
            *next = id.checked_add(1).ok_or("too many disks since the start")?;
            id
        };
        let pool = DiskPool::new(&format!("disk {id}"), limits.jobs_max, limits.idle_max);
        let disk = Arc::new(Disk::new(id, claim, pool));
        if let Some(metaid) = metaid
            && found.is_none()
        {
            write_metaid(&disk, metaid);
        }
        daemon::log::say(&format!(
            "hdd space manager: path to scan: {}",
            disk.shown()
        ));
        self.disks.write().push(Arc::clone(&disk));
        keeper::start(self, &disk).map_err(|error| {
            self.disks.write().retain(|other| other.id != id);
            format!("can't start a thread for {}: {error}", disk.shown())
        })?;
        Ok(found)
    }

    fn adopt_line(&self, disk: &Arc<Disk>, line: &DiskLine) {
        let marks = disk.marks();
        disk.set_line(line.clone());
        if disk.state() == DiskState::Damaged {
            tracing::info!("disk {}: is tried again", disk.shown());
            disk.errors.lock().clear();
            self.take_out(disk, DiskState::Scanning);
        } else if marks.removal != line.marks.removal {
            self.report_again(disk);
        }
    }

    /// The mark for removal has changed: all copies are reported with or without it.
    fn report_again(&self, disk: &Disk) {
        let marked_for_removal = disk.marks().removal;
        for part in 0..SHARDS {
            let chunks: Vec<ReportedChunk> = {
                let shard = self.index.part(part);
                let here = shard.iter().filter(|slot| slot.disk == disk.id);
                here.map(|slot| ReportedChunk {
                    chunk: slot.chunk,
                    version: slot.version,
                    marked_for_removal,
                })
                .collect()
            };
            if !chunks.is_empty() {
                self.reports.found(&chunks);
            }
        }
    }

    fn remove_disk(&self, disk: &Arc<Disk>) {
        tracing::info!("disk {}: no longer in the list - given up", disk.shown());
        self.leaving.lock().folders.push(disk.path.clone());
        self.take_out(disk, DiskState::Removed);
        self.disks.write().retain(|other| other.id != disk.id);
    }

    /// Whether the folder of a line is still being given up; then it is added afterwards.
    fn returns_later(&self, line: &DiskLine, limits: PoolLimits) -> bool {
        let mut leaving = self.leaving.lock();
        let is_leaving = leaving.folders.contains(&line.path);
        if is_leaving {
            leaving.returning.push((line.clone(), limits));
        }
        is_leaving
    }

    /// A folder that was given up is free; if the list names it again by now, it is added.
    pub(super) fn left(self: &Arc<Self>, disk: &Disk) {
        let returning = {
            let mut leaving = self.leaving.lock();
            leaving.folders.retain(|path| *path != disk.path);
            let mut returning = leaving.returning.iter();
            let place = returning.position(|(line, _)| line.path == disk.path);
            place.map(|place| leaving.returning.swap_remove(place))
        };
        if let Some((line, limits)) = returning
            && let Err(reason) = self.add_disk(&line, self.metaid_of_disks(), limits)
        {
            tracing::error!("hdd space manager: {reason}");
        }
    }

    /// The file system that the disks belong to, as they say.
    pub fn metaid_of_disks(&self) -> Option<MetaId> {
        self.disks().iter().find_map(|disk| {
            let bytes = std::fs::read(disk.path.join(".metaid")).ok()?;
            let bytes: [u8; 8] = bytes.try_into().ok()?;
            Some(MetaId(u64::from_be_bytes(bytes))).filter(|metaid| metaid.0 != 0)
        })
    }

    /// Writes the number of the file system on all disks.
    pub fn write_metaid(&self, metaid: MetaId) {
        for disk in self.disks() {
            write_metaid(&disk, metaid);
        }
    }

    /// The process ends: everything is closed, the disks are free for others.
    pub fn stop(&self) {
        let disks = self.disks();
        for disk in &disks {
            self.sync_written(disk);
            disk.set_state(DiskState::Removed);
        }
    }
}

fn write_metaid(disk: &Disk, metaid: MetaId) {
    if let Err(error) = disk.write_metaid(metaid) {
        tracing::warn!(
            "{}.metaid: can't write: {}",
            disk.shown(),
            daemon::errno::describe(&error)
        );
    }
}
