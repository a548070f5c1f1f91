//! Looking at a data directory and acting on it: the thin shell of `datadir`. Nothing is decided here.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use proto::image::{CONTAINER_1_6, EOF_MARKER, ImageHeader};
use proto::{MetaId, Reader};

use super::{
    ChangelogFile, EMERGENCY, ImageContent, ImageFile, Listing, Step, TEMPORARY, rotation,
};

/// Where an emergency copy may be, besides the data directory and the home of the daemon's user
/// (metadata-and-changelog §2.6).
pub const EMERGENCY_PLACES: [&str; 8] = [
    "/",
    "/tmp",
    "/var",
    "/usr",
    "/usr/share",
    "/usr/local",
    "/usr/local/var",
    "/usr/local/share",
];
/// Longest line of a changelog that is looked for, in bytes.
const LINE_BYTES_MAX: u64 = 256 * 1024;
/// What is written of an image before it is synced.
const SYNC_STEP_BYTES: usize = 8 << 20;
/// Mode of every file here.
const MODE: u32 = 0o640;

/// Looks at a directory; `elsewhere` are further directories in which an emergency copy may be.
pub fn scan(directory: &Path, elsewhere: &[PathBuf]) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !entry.file_type()?.is_file() {
            continue;
        }
        if is_image_name(&name) {
            listing.images.push(ImageFile {
                content: look_at_image(&entry.path()),
                name,
            });
        } else if is_changelog_name(&name) {
            listing
                .changelogs
                .push(look_at_changelog(&entry.path(), name)?);
        }
    }
    for place in elsewhere
        .iter()
        .filter(|place| place.as_path() != directory)
    {
        let path = place.join(EMERGENCY);
        if path.is_file() {
            let name = path.to_string_lossy().into_owned();
            listing.images.push(ImageFile {
                content: look_at_image(&path),
                name,
            });
        }
    }
    // The order of the directory is nobody's choice.
    listing.images.sort_by(|a, b| a.name.cmp(&b.name));
    listing.changelogs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

fn is_image_name(name: &str) -> bool {
    // metadata.crc is none by its content; a file that is being written is none yet.
    name.len() > "metadata".len()
        && name.starts_with("metadata")
        && name != TEMPORARY
        && Path::new(name).extension() != Some(OsStr::new("crc"))
        && Path::new(name).extension() != Some(OsStr::new("empty"))
}

fn is_changelog_name(name: &str) -> bool {
    ["changelog.", "changelog_ml.", "changelog_ml_back."]
        .iter()
        .any(|prefix| {
            let number = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix(".mfs"));
            number.is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        })
}

fn look_at_image(path: &Path) -> ImageContent {
    read_image_ends(path)
        .unwrap_or_else(|error| ImageContent::Unreadable(daemon::errno::describe(&error)))
}

fn read_image_ends(path: &Path) -> io::Result<ImageContent> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size == 0 {
        return Ok(ImageContent::Empty);
    }
    let mut head = Vec::with_capacity(ImageHeader::BYTES);
    (&mut file)
        .take(ImageHeader::BYTES as u64)
        .read_to_end(&mut head)?;
    let header = match ImageHeader::decode(&mut Reader::new(&head)) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(ImageContent::WrongHeader),
        Err(_) => return Ok(ImageContent::WrongEnding),
    };
    let (container, version, id) = match header {
        ImageHeader::New => return Ok(ImageContent::New),
        ImageHeader::Old {
            container, version, ..
        } => (container, version, MetaId(0)),
        ImageHeader::Current {
            container,
            version,
            metaid,
        } => (container, version, metaid),
    };
    let expected = if container < CONTAINER_1_6 {
        [0; 16]
    } else {
        EOF_MARKER
    };
    let mut end = [0; 16];
    if size < (ImageHeader::BYTES + end.len()) as u64 {
        return Ok(ImageContent::WrongEnding);
    }
    file.seek(SeekFrom::End(-16))?;
    file.read_exact(&mut end)?;
    if end == expected {
        Ok(ImageContent::Valid { version, id })
    } else {
        Ok(ImageContent::WrongEnding)
    }
}

fn look_at_changelog(path: &Path, name: String) -> io::Result<ChangelogFile> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut start = Vec::new();
    (&mut file).take(64).read_to_end(&mut start)?;
    let tail_start = size.saturating_sub(2 * LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.take(2 * LINE_BYTES_MAX).read_to_end(&mut tail)?;

    let complete = tail
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let torn_bytes = (tail.len() - complete) as u64;
    // A line that is whole but has no number (garbage after a power cut) does not count either.
    let last = tail[..complete]
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(index, _)| *index > 0 || tail_start == 0)
        .filter_map(|(_, line)| number_of(line))
        .last();
    let changes = number_of(&start).zip(last);
    Ok(ChangelogFile {
        name,
        changes,
        complete_bytes: size.saturating_sub(torn_bytes),
        torn_bytes,
    })
}

/// The number before the colon.
fn number_of(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if line.get(digits) != Some(&b':') {
        return None;
    }
    std::str::from_utf8(&line[..digits]).ok()?.parse().ok()
}

/// Makes movements one after the other and waits until the directory is on stable storage.
pub fn execute(directory: &Path, steps: &[Step]) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Rename { from, to } => {
                ignore_missing(fs::rename(directory.join(from), directory.join(to)))?;
            }
            Step::Remove(name) => ignore_missing(fs::remove_file(directory.join(name)))?,
            Step::Cut { name, bytes } => {
                let file = OpenOptions::new().write(true).open(directory.join(name))?;
                file.set_len(*bytes)?;
                file.sync_all()?;
            }
        }
    }
    File::open(directory)?.sync_all()
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes a state, syncs it, and only then moves it to its place as the newest backup, keeping `keep`
/// older ones. On an error the older states are untouched and the half one is removed.
pub fn save<T>(
    directory: &Path,
    keep: u32,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    let path = directory.join(TEMPORARY);
    let result = write_synced(&path, write);
    match result {
        Ok(value) => {
            execute(directory, &rotation::after_dump(keep))?;
            Ok(value)
        }
        Err(error) => {
            // The first error is the one that matters.
            let _ = fs::remove_file(&path);
            Err(error)
        }
    }
}

fn write_synced<T>(path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)?;
    let value = write(&mut file)?;
    file.sync_all()?;
    Ok(value)
}

/// A file that goes to the disk as it is written: one long sync at its end would hold up everything
/// else that the disk is asked for, the changelog first.
#[derive(Debug)]
pub struct SteadyFile<'a> {
    file: &'a mut File,
    unsynced: usize,
}

impl<'a> SteadyFile<'a> {
    /// A file that is written from here on.
    pub fn new(file: &'a mut File) -> Self {
        SteadyFile { file, unsynced: 0 }
    }
}

impl Write for SteadyFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_STEP_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for SteadyFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
