//! The thread that looks after one disk: scan, space, test, files to be closed, synced and removed.

use super::Store;
use super::disk::{Disk, DiskState};
use super::space::is_another_size;
use super::tester::Tester;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Pause between two looks.
const TICK: Duration = Duration::from_millis(100);
/// Space is measured at least so often.
const MEASURE: Duration = Duration::from_secs(60);
/// … and, when something has changed, at most so often.
const MEASURE_CHANGED: Duration = Duration::from_secs(1);
/// Idle files are looked for in every such tick.
const CLOSE_EVERY: u32 = 5;
/// A file that nobody uses stays open so long.
const FILE_IDLE: Duration = Duration::from_secs(5);
/// A minute of statistics.
const MINUTE: Duration = Duration::from_secs(60);

/// Starts the thread of a disk.
pub fn start(store: &Arc<Store>, disk: &Arc<Disk>) -> io::Result<()> {
    let (store, disk) = (Arc::clone(store), Arc::clone(disk));
    std::thread::Builder::new()
        .name(format!("keeper {}", disk.id))
        .spawn(move || keep(&store, &disk))
        .map(|_| ())
}

fn keep(store: &Arc<Store>, disk: &Arc<Disk>) {
    let mut tester = Tester::new(usize::from(disk.id).wrapping_mul(97));
    let mut measured: Option<Instant> = None;
    let mut minute = Instant::now();
    for tick in 0_u32.. {
        match disk.state() {
            DiskState::Removed => break,
            DiskState::Scanning => {
                store.measure(disk);
                store.scan(disk);
                measured = None;
            }
            DiskState::Working => {
                let due = match measured.map(|time| time.elapsed()) {
                    None => true,
                    Some(age) if disk.is_space_changed() => age >= MEASURE_CHANGED,
                    Some(age) => age >= MEASURE,
                };
                if due {
                    measured = Some(Instant::now());
                    store.measure(disk);
                }
                store.sync_written(disk);
                store.remove_duplicates(disk);
                tester.step(store, disk);
            }
            DiskState::Damaged => {}
        }
        if tick.is_multiple_of(CLOSE_EVERY) {
            store.close_idle(disk, FILE_IDLE);
        }
        if minute.elapsed() >= MINUTE {
            minute += MINUTE;
            disk.work.lock().close_minute();
        }
        std::thread::sleep(TICK);
    }
    store.close_idle(disk, Duration::ZERO);
    disk.unlock();
    store.left(disk);
}

impl Store {
    /// Asks the file system for space; takes the disk out when it is not what it was.
    pub(super) fn measure(&self, disk: &Arc<Disk>) {
        let settings = self.settings();
        let wrong = match disk.measure(settings.leave_space) {
            Err(error) => Some(daemon::errno::describe(&error)),
            Ok((before, _)) if before.total == 0 => None,
            Ok((before, now)) if before.read_only != now.read_only => {
                Some("read-only flag has changed".to_owned())
            }
            Ok((before, now))
                if is_another_size(before.total, now.total) && !disk.marks().any_size =>
            {
                Some(format!(
                    "size has changed from {} to {} bytes",
                    before.total, now.total
                ))
            }
            Ok(_) => None,
        };
        if let Some(wrong) = wrong {
            tracing::error!("disk {}: {wrong} - it is taken out", disk.shown());
            self.take_out(disk, DiskState::Damaged);
        }
        self.reports.space_changed();
    }

    /// Closes files that nobody has used for so long; at once when there are too many.
    pub(super) fn close_idle(&self, disk: &Disk, idle: Duration) {
        let pressed = self.open_files.load(Ordering::Relaxed) * 10 >= self.open_files_max * 9;
        let idle = if pressed { Duration::ZERO } else { idle };
        let candidates = disk.open.lock().clone();
        let mut closed = Vec::new();
        for open in candidates {
            // Users: the list, this copy of it, and the index unless the chunk is gone.
            let resting = 2 + usize::from(!open.is_gone());
            let Some(mut state) = open.try_lock() else {
                continue;
            };
            if state.unsynced && self.settings().sync == crate::settings::SyncPolicy::AfterUse {
                continue;
            }
            if state.used.elapsed() < idle && !open.is_gone() {
                continue;
            }
            let mut shard = self.index.shard(open.chunk);
            if Arc::strong_count(&open) > resting {
                continue;
            }
            if !open.is_gone()
                && let Some(slot) = shard.get(open.chunk)
            {
                slot.open = None;
            }
            drop(shard);
            self.close(&mut state);
            drop(state);
            closed.push(Arc::as_ptr(&open));
        }
        if !closed.is_empty() {
            closed.sort_unstable();
            disk.open
                .lock()
                .retain(|open| closed.binary_search(&Arc::as_ptr(open)).is_err());
        }
    }

    /// Brings written chunks to the disk whose writers have finished.
    pub(super) fn sync_written(&self, disk: &Disk) {
        let written = std::mem::take(&mut *disk.unsynced.lock());
        for open in written {
            if let Ok(mut state) = open.lock()
                && state.unsynced
            {
                // Reported as damaged when it fails; there is nobody to tell.
                let _ = self.sync(open.chunk, &mut state);
            }
        }
    }
}
