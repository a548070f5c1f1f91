//! The changelog on disk: what makes a change durable.
//!
//! The core leaves lines; a turn hands them over as one batch. In [`SaveMode::Durable`] a thread of
//! its own writes and syncs the batch while the next one collects (group commit); in
//! [`SaveMode::Written`] the batch is written by the turn itself and synced once a second. A batch
//! that cannot be written is kept and tried again every second: until it is on disk nothing
//! that depends on it is acknowledged, and nothing half-written stays in the file.

use crate::datadir::changelog::Changelog;
use crate::datadir::disk::{Directory, Disk};
use proto::MetaVersion;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a change counts as saved (`CHANGELOG_SAVE_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveMode {
    /// In the page cache: survives the end of the process, not of the machine. Keys 0 and 1.
    Written,
    /// On stable storage. Key 2, and the default.
    Durable,
}

/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Period of the background sync in [`SaveMode::Written`].
const BACKGROUND_SYNC: Duration = Duration::from_secs(1);

/// The writing end, owned by the main thread.
#[derive(Debug)]
pub struct Journal<D: Disk = Directory> {
    mode: SaveMode,
    log: Arc<Mutex<Changelog<D>>>,
    batches: Option<Sender<Vec<u8>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    in_flight: bool,
    spare: Vec<u8>,
}

/// What became of a batch that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It is saved.
    Saved,
    /// [`Journal::saved`] will be called for it.
    InFlight,
}

impl<D: Disk> Journal<D> {
    /// A journal that appends to `changelog.0.mfs` on `disk`. Changes below `next`
    /// are on stable storage. `done` is called, in the
    /// journal's thread, with the buffer of each batch that [`Handed::InFlight`] was said of.
    pub fn new(
        disk: D,
        next: MetaVersion,
        mode: SaveMode,
        done: impl Fn(Vec<u8>) + Send + 'static,
    ) -> io::Result<Journal<D>>
    where
        D::File: Sync,
    {
        let log = Arc::new(Mutex::new(Changelog::new(disk, next)));
        let (batches, received) = channel();
        let shared = Arc::clone(&log);
        let thread = std::thread::Builder::new()
            .name("changelog".to_owned())
            .spawn(move || write_batches(&shared, &received, done))?;
        Ok(Journal {
            mode,
            log,
            batches: Some(batches),
            thread: Some(thread),
            in_flight: false,
            spare: Vec::new(),
        })
    }

    /// Whether a batch is on its way; no other may be handed over until it is saved.
    pub fn is_busy(&self) -> bool {
        self.in_flight
    }

    /// Changes the mode from the next batch on.
    pub fn set_mode(&mut self, mode: SaveMode) {
        self.mode = mode;
    }

    /// When a change counts as saved at present.
    pub fn mode(&self) -> SaveMode {
        self.mode
    }

    /// Hands a batch of whole lines over. Must not be called while [`Journal::is_busy`].
    pub fn hand_over(&mut self, batch: &[u8]) -> Handed {
        debug_assert!(!self.in_flight, "one batch at a time");
        if self.mode == SaveMode::Written {
            match lock(&self.log).append(batch, false) {
                Ok(()) => return Handed::Saved,
                Err(error) => complain(&self.log, &error),
            }
        }
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.clear();
        buffer.extend_from_slice(batch);
        match &self.batches {
            Some(batches) if batches.send(buffer).is_ok() => {}
            // Without the thread nothing can become durable, and nothing may be acknowledged.
            _ => tracing::error!("the changelog writer is gone: nothing is acknowledged any more"),
        }
        self.in_flight = true;
        Handed::InFlight
    }

    /// The batch that was in flight is saved; its buffer comes back for the next one.
    pub fn saved(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
        self.in_flight = false;
    }

    /// Shifts the changelogs by one number, keeping `keep` old ones; the next batch begins a new
    /// `changelog.0.mfs` (metadata-and-changelog §2.3). Nobody waits for a disk: what was not synced
    /// is synced with the next durable batch or in the background. Must not be called while
    /// [`Journal::is_busy`].
    pub fn rotate(&mut self, keep: u32) -> io::Result<()> {
        lock(&self.log).rotate(keep)
    }

    /// Waits until everything handed over is on stable storage, and ends the thread.
    pub fn finish(&mut self) {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the changelog writer ended by a panic");
        }
        let mut log = lock(&self.log);
        if let Err(error) = log.sync() {
            tracing::error!("{}: can't sync: {error}", log.shown());
        }
    }
}

/// A panic of the other thread leaves the file as it was: its length only grows when a batch is whole.
fn lock<D: Disk>(log: &Mutex<Changelog<D>>) -> MutexGuard<'_, Changelog<D>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn complain<D: Disk>(log: &Mutex<Changelog<D>>, error: &io::Error) {
    tracing::error!(
        "{}: can't write the changelog: {error} - nothing is acknowledged until it can be written",
        lock(log).shown()
    );
}

/// The thread: one batch after the other, each tried until it is saved.
fn write_batches<D: Disk>(
    log: &Mutex<Changelog<D>>,
    batches: &Receiver<Vec<u8>>,
    done: impl Fn(Vec<u8>),
) {
    let mut is_sync_failing = false;
    loop {
        match batches.recv_timeout(BACKGROUND_SYNC) {
            Ok(batch) => {
                let mut failed = false;
                loop {
                    let result = lock(log).append(&batch, true);
                    match result {
                        Ok(()) => break,
                        Err(error) => {
                            if !failed {
                                complain(log, &error);
                            }
                            failed = true;
                            std::thread::sleep(RETRY);
                        }
                    }
                }
                if failed {
                    tracing::warn!("the changelog can be written again");
                }
                done(batch);
            }
            Err(RecvTimeoutError::Timeout) => {
                let synced = sync_in_background(log);
                match &synced {
                    Err(error) if !is_sync_failing => tracing::error!(
                        "{}: can't sync the changelog: {error} - it is tried again every second",
                        lock(log).shown()
                    ),
                    Ok(()) if is_sync_failing => {
                        tracing::warn!("the changelog can be synced again");
                    }
                    _ => {}
                }
                is_sync_failing = synced.is_err();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The lock is not held while the disk works: the main thread goes on writing.
fn sync_in_background<D: Disk>(log: &Mutex<Changelog<D>>) -> io::Result<()> {
    let mut unsynced = { lock(log).take_unsynced() }?;
    let result = unsynced.sync();
    lock(log).settle(unsynced, result.is_ok());
    result
}

#[cfg(test)]
mod tests {
    use super::{Handed, Journal, SaveMode};
    use crate::datadir::disk::Directory;
    use proto::MetaVersion;
    use proto::changelog::Seal;
    use std::sync::mpsc::channel;

    /// The lines of a changelog without their seals.
    fn lines(path: std::path::PathBuf) -> String {
        let bytes = std::fs::read(path).unwrap();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| {
            let (text, seal) = Seal::split(line.strip_suffix(b"\n").unwrap());
            assert!(seal.unwrap().fits(text), "each batch has one line here");
            format!("{}\n", std::str::from_utf8(text).unwrap())
        });
        lines.collect()
    }

    fn directory(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("journal-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_durable_batch_is_reported_and_continued_after_a_restart() {
        let directory = directory("durable");
        for line in ["1: 5|ACCESS(1)\n", "2: 5|ACCESS(1)\n"] {
            let (sender, receiver) = channel();
            let mut journal = Journal::new(
                Directory(directory.clone()),
                MetaVersion(1),
                SaveMode::Durable,
                move |buffer| {
                    sender.send(buffer).unwrap();
                },
            )
            .unwrap();
            assert_eq!(journal.hand_over(line.as_bytes()), Handed::InFlight);
            assert!(journal.is_busy());
            journal.saved(receiver.recv().unwrap());
            assert!(!journal.is_busy());
            journal.finish();
        }
        let text = lines(directory.join("changelog.0.mfs"));
        assert_eq!(text, "1: 5|ACCESS(1)\n2: 5|ACCESS(1)\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn rotation_keeps_the_number_of_files_that_was_asked_for() {
        let directory = directory("rotate");
        let mut journal = Journal::new(
            Directory(directory.clone()),
            MetaVersion(1),
            SaveMode::Written,
            |_| {},
        )
        .unwrap();
        for version in 1..=4 {
            let line = format!("{version}: 5|ACCESS(1)\n");
            assert_eq!(journal.hand_over(line.as_bytes()), Handed::Saved);
            journal.rotate(2).unwrap();
        }
        journal.finish();
        let mut names: Vec<_> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["changelog.1.mfs", "changelog.2.mfs"]);
        let newest = lines(directory.join("changelog.1.mfs"));
        assert_eq!(newest, "4: 5|ACCESS(1)\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
