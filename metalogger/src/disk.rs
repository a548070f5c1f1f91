//! The data directory of the metalogger (metadata-and-changelog §4.5): carries out [`Action`]s.
//! What is to be done is decided in the core.

use crate::effect::{Action, Outcome};
use crate::follower::Remembered;
use daemon::errno::describe;
use metadata::ends::{self, ImageEnds};
use proto::image::{ImageHeader, SectionHeader};
use proto::metalogger::DownloadFile;
use proto::{MetaVersion, Reader};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const IMAGE: &str = "metadata_ml.mfs.back";
const IMAGE_TEMPORARY: &str = "metadata_ml.tmp";
const CHANGELOG_TEMPORARY: &str = "changelog_ml.tmp";
const SESSIONS: &str = "sessions_ml.mfs";
const SESSIONS_TEMPORARY: &str = "sessions_ml.tmp";
/// Before the names of files of another history.
const ASIDE: &str = "aside.";
/// Lines are written when so many bytes of them wait, or a second is over.
const BUFFER_BYTES: usize = 1 << 20;
/// A download goes to the disk in steps: one long sync at its end would keep the stream waiting.
const SYNC_STEP_BYTES: u64 = 8 << 20;
/// Mode of every file here.
const MODE: u32 = 0o640;

/// Lines that could not be written, from this one on.
#[derive(Debug, thiserror::Error)]
#[error("lost MFS change {first}: {error}")]
pub struct NotSaved {
    /// First of them.
    pub first: MetaVersion,
    /// What the system said.
    pub error: String,
}

/// A file that is being downloaded.
#[derive(Debug)]
struct Download {
    file: File,
    temporary: PathBuf,
    unsynced: u64,
}

/// The directory and its open files.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    back_logs: u32,
    images_kept: u32,
    log: Option<File>,
    /// Length of the changelog up to the last line that was written whole.
    log_bytes: u64,
    /// Lines that wait, and the number of the first of them.
    lines: Vec<u8>,
    first_line: Option<MetaVersion>,
    download: Option<Download>,
}

fn changelog(number: u32) -> String {
    format!("changelog_ml.{number}.mfs")
}

fn image(number: u32) -> String {
    match number {
        0 => IMAGE.to_owned(),
        number => format!("{IMAGE}.{number}"),
    }
}

fn temporary_name(file: DownloadFile) -> &'static str {
    match file {
        DownloadFile::Metadata => IMAGE_TEMPORARY,
        DownloadFile::Sessions => SESSIONS_TEMPORARY,
        DownloadFile::Changelog0 | DownloadFile::Changelog1 => CHANGELOG_TEMPORARY,
    }
}

impl Disk {
    /// Opens a directory, ends its changelog with a whole line, and says what it holds.
    ///
    /// # Errors
    /// The directory cannot be read or its changelog not be cut.
    pub fn open(
        directory: &Path,
        back_logs: u32,
        images_kept: u32,
    ) -> io::Result<(Disk, Remembered)> {
        let disk = Disk {
            directory: directory.to_owned(),
            back_logs,
            images_kept,
            log: None,
            log_bytes: 0,
            lines: Vec::new(),
            first_line: None,
            download: None,
        };
        let mut remembered = Remembered::default();
        for number in (0..=back_logs).rev() {
            let path = disk.path(&changelog(number));
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let found = ends::of_changelog(&file)?;
            if number == 0 && found.torn_bytes > 0 {
                tracing::warn!(
                    "{}: torn last line ({} bytes) is cut off",
                    changelog(0),
                    found.torn_bytes
                );
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(found.whole_bytes)?;
                file.sync_all()?;
            }
            remembered.last = found.changes.map(|(_, last)| last).or(remembered.last);
        }
        if let Ok(file) = File::open(disk.path(IMAGE))
            && let ImageEnds::Whole { id, .. } = ends::of_image(&file)?
        {
            remembered.id = id;
        }
        Ok((disk, remembered))
    }

    /// Other numbers of kept files from now on.
    pub fn keep(&mut self, back_logs: u32, images_kept: u32) {
        self.back_logs = back_logs;
        self.images_kept = images_kept;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Does one work; gives the answer to those that have one.
    ///
    /// # Errors
    /// Lines could not be saved.
    pub fn execute(&mut self, action: Action) -> Result<Option<Outcome>, NotSaved> {
        let outcome = match action {
            Action::Line { version, text } => {
                self.line(version, &text)?;
                return Ok(None);
            }
            Action::Flush => {
                self.flush()?;
                return Ok(None);
            }
            Action::Rotate => {
                self.flush()?;
                self.log = None;
                if let Err(error) = self.rotate() {
                    tracing::error!("can't rotate changelogs: {}", describe(&error));
                }
                return Ok(None);
            }
            Action::PutAside => {
                self.log = None;
                if let Err(error) = self.put_aside() {
                    tracing::error!("can't put files aside: {}", describe(&error));
                }
                return Ok(None);
            }
            Action::Abandon => {
                if let Some(download) = self.download.take() {
                    // What is left of it is overwritten by the next one.
                    let _ = fs::remove_file(download.temporary);
                }
                return Ok(None);
            }
            Action::Begin(file) => self.begin(file).map(|()| Outcome::Ready),
            Action::Block { offset, bytes } => self.block(offset, &bytes).map(|()| Outcome::Ready),
            Action::Finish(file) => self.finish(file),
        };
        Ok(Some(
            outcome.unwrap_or_else(|error| Outcome::Failed(describe(&error))),
        ))
    }

    fn line(&mut self, version: MetaVersion, text: &[u8]) -> Result<(), NotSaved> {
        self.first_line.get_or_insert(version);
        self.lines
            .extend_from_slice(itoa::Buffer::new().format(version.0).as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(text);
        self.lines.push(b'\n');
        if self.lines.len() >= BUFFER_BYTES {
            self.write_lines()?;
        }
        Ok(())
    }

    /// Writes what waits and makes it durable.
    fn flush(&mut self) -> Result<(), NotSaved> {
        self.write_lines()?;
        if let Some(log) = &self.log
            && let Err(error) = log.sync_data()
        {
            tracing::error!("{}: {}", changelog(0), describe(&error));
        }
        Ok(())
    }

    fn write_lines(&mut self) -> Result<(), NotSaved> {
        let Some(first) = self.first_line.take() else {
            return Ok(());
        };
        let result = self.append();
        self.lines.clear();
        result.map_err(|error| NotSaved {
            first,
            error: describe(&error),
        })
    }

    /// Appends the waiting lines, all or none.
    fn append(&mut self) -> io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            None => {
                let path = self.directory.join(changelog(0));
                let log = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(MODE)
                    .open(path)?;
                self.log_bytes = log.metadata()?.len();
                self.log.insert(log)
            }
        };
        match log.write_all(&self.lines) {
            Ok(()) => {
                self.log_bytes += self.lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                log.set_len(self.log_bytes)?;
                Err(error)
            }
        }
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (0..self.back_logs).rev() {
            self.rename(&changelog(number), &changelog(number + 1))?;
        }
        self.sync_directory()
    }

    fn put_aside(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if ["changelog_ml", "metadata_ml.mfs", SESSIONS]
                .iter()
                .any(|start| name.starts_with(start))
            {
                self.rename(&name, &format!("{ASIDE}{name}"))?;
            }
        }
        self.sync_directory()
    }

    fn begin(&mut self, file: DownloadFile) -> io::Result<()> {
        let temporary = self.path(temporary_name(file));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&temporary)?;
        self.download = Some(Download {
            file,
            temporary,
            unsynced: 0,
        });
        Ok(())
    }

    fn block(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let download = self.download.as_mut().ok_or(io::ErrorKind::NotFound)?;
        download.file.write_all_at(bytes, offset)?;
        download.unsynced += bytes.len() as u64;
        if download.unsynced >= SYNC_STEP_BYTES {
            download.unsynced = 0;
            download.file.sync_data()?;
        }
        Ok(())
    }

    fn finish(&mut self, file: DownloadFile) -> io::Result<Outcome> {
        let download = self.download.take().ok_or(io::ErrorKind::NotFound)?;
        download.file.sync_all()?;
        let temporary = temporary_name(file);
        let outcome = match file {
            DownloadFile::Metadata => {
                let ends = ends::of_image(&download.file)?;
                if let Err(defect) = check_image(&download.file, ends) {
                    fs::remove_file(&download.temporary)?;
                    return Ok(defect);
                }
                for number in (0..self.images_kept).rev() {
                    self.rename(&image(number), &image(number + 1))?;
                }
                self.rename(temporary, IMAGE)?;
                Outcome::Image(ends)
            }
            DownloadFile::Changelog0 | DownloadFile::Changelog1 => {
                let number = u8::from(file == DownloadFile::Changelog1);
                self.rename(temporary, &format!("changelog_ml_back.{number}.mfs"))?;
                Outcome::Changelog(ends::of_changelog(&download.file)?.changes)
            }
            DownloadFile::Sessions => {
                self.rename(temporary, SESSIONS)?;
                Outcome::Sessions
            }
        };
        self.sync_directory()?;
        Ok(outcome)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match fs::rename(self.path(from), self.path(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A file is good when its ends are and its sections lead from one end to the other. Otherwise: what
/// to report.
fn check_image(file: &File, ends: ImageEnds) -> Result<(), Outcome> {
    let bad = |defect: &str| Outcome::BadImage(defect.to_owned());
    match ends {
        ImageEnds::Whole { is_old: true, .. } => Ok(()),
        ImageEnds::Whole { .. } => walk_sections(file).map_err(|defect| bad(&defect)),
        ImageEnds::New => Err(Outcome::Image(ends)),
        ImageEnds::Empty => Err(bad("empty file")),
        ImageEnds::WrongHeader => Err(bad("bad metadata file format")),
        ImageEnds::WrongEnding => Err(bad("truncated metadata file")),
    }
}

fn walk_sections(file: &File) -> Result<(), String> {
    let words = |error: io::Error| describe(&error);
    let size = file.metadata().map_err(words)?.len();
    let mut at = ImageHeader::BYTES as u64;
    loop {
        let mut header = [0; SectionHeader::BYTES];
        file.read_exact_at(&mut header, at).map_err(words)?;
        let section = SectionHeader::decode(&mut Reader::new(&header))
            .map_err(|damage| format!("no section at {at}: {damage}"))?;
        at += header.len() as u64;
        match section {
            None if at == size => return Ok(()),
            None => return Err(format!("the sections end at {at} of {size} bytes")),
            // Only a reader of the section could tell where it ends.
            Some(SectionHeader { length: None, .. }) => return Ok(()),
            Some(section) => {
                at = at.saturating_add(section.length.unwrap_or_default());
                if at > size {
                    return Err(format!("section {} does not fit", section.name));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
