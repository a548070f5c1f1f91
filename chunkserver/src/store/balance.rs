//! Moving chunks between the server's own disks (chunkserver §5.5): a pure decision, and the move.

use super::Store;
use super::chunk_file::{ChunkFile, Fault, Piece};
use super::disk::{Disk, DiskId, DiskState};
use super::index::SHARDS;
use super::layout::{BLOCK, Identity};
use super::{crc, name};
use crate::disk_list::Marks;
use proto::{ChunkId, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Disks that are smaller are not evened out, bytes.
const SIZE_MIN: u64 = 1_000_000_000;
/// Usage that a target may have at most.
const TARGET_MAX: f64 = 0.99;
/// Evening out begins at this difference from the average …
const BEGIN: f64 = 0.01;
/// … and ends at this one.
const END: f64 = 0.005;
/// Pause after the last move.
const PAUSE: Duration = Duration::from_secs(60);
/// Pause between looks while nothing is to be done.
const LOOK: Duration = Duration::from_secs(1);

/// A disk as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Number.
    pub disk: DiskId,
    /// Usable bytes.
    pub total: u64,
    /// Usable bytes left.
    pub free: u64,
    /// Chunks on it.
    pub chunks: u32,
    /// Marks.
    pub marks: Marks,
    /// Files wait for their deletion.
    pub duplicates: bool,
}

impl Seen {
    fn usage(&self) -> f64 {
        1.0 - self.free as f64 / (self.total as f64).max(1.0)
    }

    fn may_receive(&self) -> bool {
        !self.marks.removal && !self.marks.empty && self.total > 0 && self.usage() < TARGET_MAX
    }
}

/// Source and target of the next move, if one is to be made. `going_on`: the last answer was a move.
pub fn next_move(disks: &[Seen], going_on: bool) -> Option<(DiskId, DiskId)> {
    let fullest = |from: &mut dyn Iterator<Item = &Seen>| {
        from.filter(|disk| disk.chunks > 0 && !disk.marks.removal)
            .max_by(|a, b| a.usage().total_cmp(&b.usage()))
            .copied()
    };
    let emptiest = |to: &mut dyn Iterator<Item = &Seen>| {
        to.filter(|disk| disk.may_receive())
            .min_by(|a, b| a.usage().total_cmp(&b.usage()))
            .copied()
    };
    let emptied = disks.iter().any(|disk| disk.marks.empty);
    let filled = disks.iter().any(|disk| disk.marks.fill);
    if emptied || filled {
        let source = fullest(&mut disks.iter().filter(|disk| {
            if emptied {
                disk.marks.empty
            } else {
                !disk.marks.fill
            }
        }))?;
        let target = emptiest(&mut disks.iter().filter(|disk| {
            if filled {
                disk.marks.fill
            } else {
                !disk.marks.empty
            }
        }))?;
        return (source.disk != target.disk).then_some((source.disk, target.disk));
    }
    let even: Vec<&Seen> = disks
        .iter()
        .filter(|disk| disk.total > SIZE_MIN && !disk.marks.removal)
        .collect();
    if even.len() < 2 {
        return None;
    }
    let total: f64 = even.iter().map(|disk| disk.total as f64).sum();
    let free: f64 = even.iter().map(|disk| disk.free as f64).sum();
    let average = 1.0 - free / total;
    let source = fullest(&mut even.iter().copied())?;
    let target = emptiest(&mut even.iter().copied().filter(|disk| !disk.duplicates))?;
    let difference = (source.usage() - average).max(average - target.usage());
    let wanted = difference > if going_on { END } else { BEGIN };
    (wanted && source.usage() > target.usage() && source.disk != target.disk)
        .then_some((source.disk, target.disk))
}

/// What others see of the moves.
#[derive(Debug, Default)]
pub struct Shared {
    busy: AtomicBool,
    fast: AtomicUsize,
}

impl Shared {
    /// Chunks are being moved, one at a time.
    pub fn is_slow(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Chunks are being moved, several at a time.
    pub fn is_fast(&self) -> bool {
        self.fast.load(Ordering::Relaxed) > 0
    }
}

/// Starts the thread that moves chunks as long as the store lives.
pub fn start(store: &Arc<Store>) -> std::io::Result<()> {
    let store = Arc::downgrade(store);
    std::thread::Builder::new()
        .name("balance".to_owned())
        .spawn(move || {
            let mut going_on = false;
            let mut part = 0;
            while let Some(store) = store.upgrade() {
                let rest = store.balance_once(&mut going_on, &mut part);
                drop(store);
                std::thread::sleep(rest);
            }
        })
        .map(|_| ())
}

impl Store {
    /// Moves a chunk if one is to be moved; how long to rest.
    fn balance_once(self: &Arc<Self>, going_on: &mut bool, part: &mut usize) -> Duration {
        let settings = self.settings();
        if settings.rebalance_parallel == 0 && settings.rebalance_percent == 0 {
            return LOOK;
        }
        let disks = self.disks();
        let working: Vec<&Arc<Disk>> = disks
            .iter()
            .filter(|disk| disk.state() == DiskState::Working)
            .collect();
        let seen: Vec<Seen> = working.iter().map(|disk| see(disk)).collect();
        let Some((from, to)) = next_move(&seen, *going_on) else {
            let pause = if *going_on { PAUSE } else { LOOK };
            *going_on = false;
            self.balance.busy.store(false, Ordering::Relaxed);
            return pause;
        };
        let by_id = |id| {
            working
                .iter()
                .find(|disk| disk.id == id)
                .map(|disk| Arc::clone(disk))
        };
        let (Some(from), Some(to)) = (by_id(from), by_id(to)) else {
            return LOOK;
        };
        *going_on = true;
        let Some(chunk) = self.any_chunk(&from, part) else {
            return LOOK;
        };
        if settings.rebalance_parallel > 0 {
            return self.move_fast(chunk, &to, settings.rebalance_parallel as usize);
        }
        self.balance.busy.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        if self.move_chunk(chunk, &to).is_ok() {
            self.counters.moves_low.add(1);
        }
        let took = begun.elapsed();
        let percent = settings.rebalance_percent.clamp(1, 100);
        took * (100 - percent) / percent
    }

    fn move_fast(self: &Arc<Self>, chunk: ChunkId, to: &Arc<Disk>, parallel: usize) -> Duration {
        if self.balance.fast.load(Ordering::Relaxed) >= parallel {
            return Duration::from_millis(5);
        }
        self.balance.fast.fetch_add(1, Ordering::Relaxed);
        let (store, disk) = (Arc::clone(self), Arc::clone(to));
        let submitted = to.pool.submit(move || {
            if store.move_chunk(chunk, &disk).is_ok() {
                store.counters.moves_high.add(1);
            }
            store.balance.fast.fetch_sub(1, Ordering::Relaxed);
        });
        if submitted.is_err() {
            self.balance.fast.fetch_sub(1, Ordering::Relaxed);
            return Duration::from_millis(100);
        }
        Duration::from_millis(1)
    }

    /// Some chunk of a disk; each call goes on in the index.
    fn any_chunk(&self, disk: &Disk, part: &mut usize) -> Option<ChunkId> {
        (0..SHARDS).find_map(|_| {
            *part = (*part + 1) % SHARDS;
            let shard = self.index.part(*part);
            shard
                .iter()
                .find(|slot| slot.disk == disk.id && !slot.damaged)
                .map(|slot| slot.chunk)
        })
    }

    /// Copies a chunk to another disk and removes it from its own. Every block is verified.
    pub fn move_chunk(&self, chunk: ChunkId, to: &Arc<Disk>) -> Result<(), Status> {
        let open = self.find_quietly(chunk)?;
        let mut state = open.try_lock().ok_or(Status::NotDone)?;
        if open.is_gone() || state.disk.id == to.id {
            return Err(Status::NotDone);
        }
        let layout = self.settings().layout;
        let temporary = to.path.join(name::of_move(chunk));
        let version = state.version;
        let source = self.file(chunk, &mut state, false)?;
        // A leftover of a process that was killed.
        let _ = std::fs::remove_file(&temporary);
        let copied = ChunkFile::create(&temporary, layout, Identity { chunk, version })
            .map_err(|fault| (true, fault))
            .and_then(|mut copy| {
                copy_verified(source, &mut copy)?;
                copy.sync().map_err(|fault| (true, fault))?;
                Ok(copy)
            });
        let copy = match copied {
            Ok(copy) => copy,
            Err((by_target, fault)) => {
                let _ = std::fs::remove_file(&temporary);
                if by_target {
                    tracing::warn!("{}: {fault}", temporary.display());
                    return Err(Status::Io);
                }
                return Err(self.fault(chunk, &state.disk, &fault));
            }
        };
        let folder = to.folders.lock().place(self.settings().folder_chunks);
        if let Err(error) = std::fs::rename(&temporary, to.chunk_path(folder, chunk, version)) {
            tracing::warn!(
                "{}: {}",
                temporary.display(),
                daemon::errno::describe(&error)
            );
            let _ = std::fs::remove_file(&temporary);
            to.folders.lock().removed(folder);
            return Err(Status::Io);
        }
        let from = Arc::clone(&state.disk);
        let old_path = from.chunk_path(state.folder, chunk, version);
        from.folders.lock().removed(state.folder);
        from.uncount_chunk(state.blocks);
        to.count_chunk(state.blocks);
        to.note_received();
        if let Some(slot) = self.index.shard(chunk).get(chunk) {
            slot.disk = to.id;
            slot.folder = folder;
        }
        from.open.lock().retain(|other| !Arc::ptr_eq(other, &open));
        to.open.lock().push(Arc::clone(&open));
        state.disk = Arc::clone(to);
        state.folder = folder;
        state.file = Some(copy);
        self.counters.changes.add(1);
        if let Err(error) = std::fs::remove_file(&old_path) {
            tracing::warn!(
                "{}: {}",
                old_path.display(),
                daemon::errno::describe(&error)
            );
        }
        Ok(())
    }
}

/// The error says whether the target is at fault.
fn copy_verified(source: &ChunkFile, copy: &mut ChunkFile) -> Result<(), (bool, Fault)> {
    let mut data = vec![0; BLOCK];
    for block in 0..source.blocks() {
        source
            .read_blocks(block, &mut data)
            .map_err(|fault| (false, fault))?;
        let piece = Piece {
            block,
            offset: 0,
            crc: crc::of(&data),
            data: &data,
        };
        let (_, written) = copy.write(&[piece], true);
        written.map_err(|fault| (true, fault))?;
    }
    Ok(())
}

fn see(disk: &Arc<Disk>) -> Seen {
    let space = disk.space();
    Seen {
        disk: disk.id,
        total: space.total,
        free: space.free,
        chunks: disk.chunks(),
        marks: disk.marks(),
        duplicates: !disk.duplicates.lock().is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, next_move};
    use crate::disk_list::Marks;

    const TB: u64 = 1_000_000_000_000;

    fn disk(disk: u16, used_percent: u64) -> Seen {
        Seen {
            disk,
            total: TB,
            free: TB / 1000 * (1000 - 10 * used_percent),
            chunks: 100,
            marks: Marks::default(),
            duplicates: false,
        }
    }

    fn marked(seen: Seen, mark: impl Fn(&mut Marks)) -> Seen {
        let mut seen = seen;
        mark(&mut seen.marks);
        seen
    }

    #[test]
    fn forced_moves() {
        let from = |seen| marked(seen, |marks| marks.empty = true);
        let to = |seen| marked(seen, |marks| marks.fill = true);
        let removal = |seen| marked(seen, |marks| marks.removal = true);
        for (disks, expected) in [
            (
                vec![from(disk(1, 10)), disk(2, 50), disk(3, 40)],
                Some((1, 3)),
            ),
            (
                vec![to(disk(1, 90)), disk(2, 50), disk(3, 60)],
                Some((3, 1)),
            ),
            (
                vec![to(disk(1, 90)), from(disk(2, 50)), disk(3, 60)],
                Some((2, 1)),
            ),
            (vec![to(disk(1, 99)), disk(2, 50)], None),
            (vec![from(disk(1, 10)), removal(disk(2, 5))], None),
            (
                vec![
                    Seen {
                        chunks: 0,
                        ..from(disk(1, 0))
                    },
                    disk(2, 5),
                ],
                None,
            ),
        ] {
            assert_eq!(next_move(&disks, false), expected, "{disks:?}");
        }
    }

    #[test]
    fn evening_out_begins_late_and_ends_later() {
        let nearly = [disk(1, 51), disk(2, 50)];
        assert_eq!(next_move(&nearly, false), None);
        let uneven = [disk(1, 54), disk(2, 50)];
        assert_eq!(next_move(&uneven, false), Some((1, 2)));
        let more = [
            Seen {
                free: TB / 1000 * 485,
                ..disk(1, 0)
            },
            disk(2, 50),
        ];
        assert_eq!(next_move(&more, false), None);
        assert_eq!(next_move(&more, true), Some((1, 2)));
        let small = uneven.map(|seen| Seen {
            total: 1000,
            free: 100,
            ..seen
        });
        assert_eq!(next_move(&small, false), None);
        assert_eq!(next_move(&[disk(1, 90)], false), None);
    }
}
