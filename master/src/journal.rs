//! The changelog on disk: what makes a change durable.
//!
//! The core leaves lines; a turn hands them over as one batch. In [`SaveMode::Durable`] a thread of
//! its own writes and syncs the batch while the next one collects (group commit); in
//! [`SaveMode::Written`] the batch is written by the turn itself and synced once a second. A batch
//! that cannot be written is kept and tried again every second: until it is on disk nothing
//! that depends on it is acknowledged, and nothing half-written stays in the file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
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

/// `changelog.0.mfs`, open for appending.
#[derive(Debug)]
struct LogFile {
    directory: PathBuf,
    file: Option<File>,
    /// Length up to which every line is whole.
    length: u64,
    unsynced: Unsynced,
}

/// What is not on stable storage yet.
#[derive(Debug, Default)]
struct Unsynced {
    /// Lines of the current file.
    lines: bool,
    /// Names in the directory.
    names: bool,
    /// Files with lines that have been rotated away.
    rotated: Vec<File>,
}

impl LogFile {
    fn new(directory: &Path) -> LogFile {
        LogFile {
            directory: directory.to_owned(),
            file: None,
            length: 0,
            unsynced: Unsynced::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(CURRENT)
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let path = self.path();
            let existed = path.exists();
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o640)
                .open(&path)?;
            self.length = file.metadata()?.len();
            self.unsynced.names |= !existed;
            self.file = Some(file);
        }
        self.file
            .as_ref()
            .ok_or_else(|| io::Error::other("changelog is not open"))
    }

    /// Appends a batch, all or nothing. With `sync` it is on stable storage afterwards, and so is
    /// everything before it.
    fn append(&mut self, batch: &[u8], sync: bool) -> io::Result<()> {
        self.file()?;
        let length = self.length;
        let file = self.file()?;
        let written = file.write_all_at(batch, length);
        self.unsynced.lines = true;
        let saved = written.and_then(|()| if sync { self.sync() } else { Ok(()) });
        if let Err(error) = saved {
            // A tail that may be half a line must not be taken for a whole one after a crash.
            if let Err(error) = self.file().and_then(|file| file.set_len(length)) {
                tracing::error!(
                    "{}: can't cut a half-written line: {error}",
                    self.path().display()
                );
            }
            return Err(error);
        }
        self.length = length + batch.len() as u64;
        Ok(())
    }

    /// What has to be synced, and everything counts as synced now. The handles are other ones than
    /// the main thread's, so that nobody who syncs them has to hold the lock.
    fn take_unsynced(&mut self) -> io::Result<Vec<File>> {
        let mut files = Vec::new();
        if self.unsynced.lines
            && let Some(file) = &self.file
        {
            files.push(file.try_clone()?);
        }
        if self.unsynced.names {
            files.push(File::open(&self.directory)?);
        }
        self.unsynced.lines = false;
        self.unsynced.names = false;
        files.append(&mut self.unsynced.rotated);
        Ok(files)
    }

    fn sync(&mut self) -> io::Result<()> {
        for file in &self.unsynced.rotated {
            file.sync_data()?;
        }
        if self.unsynced.lines
            && let Some(file) = &self.file
        {
            file.sync_data()?;
        }
        if self.unsynced.names {
            sync_directory(&self.directory)?;
        }
        self.unsynced = Unsynced::default();
        Ok(())
    }

    /// Shifts the files; what is not synced is synced later.
    fn rotate(&mut self, keep: u32) -> io::Result<()> {
        if let Some(file) = self.file.take()
            && std::mem::take(&mut self.unsynced.lines)
        {
            self.unsynced.rotated.push(file);
        }
        self.unsynced.names = true;
        let name = |number: u32| self.directory.join(format!("changelog.{number}.mfs"));
        if keep == 0 {
            ignore_missing(std::fs::remove_file(name(0)))?;
        }
        for number in (0..keep).rev() {
            ignore_missing(std::fs::rename(name(number), name(number + 1)))?;
        }
        Ok(())
    }
}

/// Name of the changelog that is being written.
pub const CURRENT: &str = "changelog.0.mfs";

/// Makes renames and new names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The writing end, owned by the main thread.
#[derive(Debug)]
pub struct Journal {
    mode: SaveMode,
    log: Arc<Mutex<LogFile>>,
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

impl Journal {
    /// A journal that appends to `changelog.0.mfs` in `directory`. `done` is called, in the
    /// journal's thread, with the buffer of each batch that [`Handed::InFlight`] was said of.
    pub fn new(
        directory: &Path,
        mode: SaveMode,
        done: impl Fn(Vec<u8>) + Send + 'static,
    ) -> io::Result<Journal> {
        let log = Arc::new(Mutex::new(LogFile::new(directory)));
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
            tracing::error!("{}: can't sync: {error}", log.path().display());
        }
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A panic of the other thread leaves the file as it was: its length only grows when a batch is whole.
fn lock(log: &Mutex<LogFile>) -> MutexGuard<'_, LogFile> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn complain(log: &Mutex<LogFile>, error: &io::Error) {
    tracing::error!(
        "{}: can't write the changelog: {error} - nothing is acknowledged until it can be written",
        lock(log).path().display()
    );
}

/// The thread: one batch after the other, each tried until it is saved.
fn write_batches(log: &Mutex<LogFile>, batches: &Receiver<Vec<u8>>, done: impl Fn(Vec<u8>)) {
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
                let synced = { lock(log).take_unsynced() }
                    .and_then(|files| files.iter().try_for_each(File::sync_all));
                if let Err(error) = synced {
                    tracing::error!("can't sync the changelog: {error}");
                    // The next round tries again.
                    let unsynced = &mut lock(log).unsynced;
                    unsynced.lines = true;
                    unsynced.names = true;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Handed, Journal, SaveMode};
    use std::sync::mpsc::channel;

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
            let mut journal = Journal::new(&directory, SaveMode::Durable, move |buffer| {
                sender.send(buffer).unwrap();
            })
            .unwrap();
            assert_eq!(journal.hand_over(line.as_bytes()), Handed::InFlight);
            assert!(journal.is_busy());
            journal.saved(receiver.recv().unwrap());
            assert!(!journal.is_busy());
            journal.finish();
        }
        let text = std::fs::read_to_string(directory.join("changelog.0.mfs")).unwrap();
        assert_eq!(text, "1: 5|ACCESS(1)\n2: 5|ACCESS(1)\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn rotation_keeps_the_number_of_files_that_was_asked_for() {
        let directory = directory("rotate");
        let mut journal = Journal::new(&directory, SaveMode::Written, |_| {}).unwrap();
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
        let newest = std::fs::read_to_string(directory.join("changelog.1.mfs")).unwrap();
        assert_eq!(newest, "4: 5|ACCESS(1)\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
