//! Looking at a data directory: what its files are, as far as their ends tell.

use super::disk::{Disk, DiskFile};
use super::{
    CURRENT_CHANGELOG, ChangelogFile, EMERGENCY, ImageContent, ImageFile, Listing, TEMPORARY,
};
use metadata::merge::{Damage, soundness};
use proto::changelog::Seal;
use proto::image::{CONTAINER_1_6, EOF_MARKER, ImageHeader};
use proto::{MetaId, Reader};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

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
/// How much of the end of a changelog is looked at, bytes: several of the longest lines.
const TAIL_BYTES: usize = 1 << 20;

/// Looks at a directory; `elsewhere` are further directories in which an emergency copy may be.
pub fn scan(disk: &impl Disk, elsewhere: &[PathBuf]) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for name in disk.names()? {
        if is_image_name(&name) {
            listing.images.push(look_at_image(disk, name));
        } else if is_changelog_name(&name) {
            listing.changelogs.push(look_at_changelog(disk, name)?);
        }
    }
    let own = Path::new(&disk.shown(EMERGENCY)).to_owned();
    for place in elsewhere {
        let path = place.join(EMERGENCY);
        if path.is_file() && path != own {
            let name = path.to_string_lossy().into_owned();
            listing.images.push(look_at_image(disk, name));
        }
    }
    // The order of the directory is nobody's choice.
    listing.images.sort_by(|a, b| a.name.cmp(&b.name));
    listing.images.dedup_by(|a, b| a.name == b.name);
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

fn look_at_image(disk: &impl Disk, name: String) -> ImageFile {
    let content = read_image_ends(disk, &name)
        .unwrap_or_else(|error| ImageContent::Unreadable(daemon::errno::describe(&error)));
    ImageFile { name, content }
}

fn read_image_ends(disk: &impl Disk, name: &str) -> io::Result<ImageContent> {
    let file = disk.open(name)?;
    let size = file.length()?;
    if size == 0 {
        return Ok(ImageContent::Empty);
    }
    let mut head = vec![0; ImageHeader::BYTES.min(usize::try_from(size).unwrap_or(usize::MAX))];
    file.read_at(&mut head, 0)?;
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
    file.read_at(&mut end, size - 16)?;
    if end == expected {
        Ok(ImageContent::Valid { version, id })
    } else {
        Ok(ImageContent::WrongEnding)
    }
}

fn look_at_changelog(disk: &impl Disk, name: String) -> io::Result<ChangelogFile> {
    let bytes = disk.bytes(&name)?;
    let bytes = bytes.as_ref();
    // What is continued is looked at as a whole, of the others the end.
    let tail_start = if name == CURRENT_CHANGELOG {
        0
    } else {
        tail_of(bytes)
    };
    let tail = bytes.get(tail_start..).unwrap_or_default();
    let found = soundness::check(tail);
    let sound = tail.get(..found.sound).unwrap_or_default();
    let last = sound
        .split_inclusive(|&byte| byte == b'\n')
        .next_back()
        .and_then(number_of);
    let first = number_of(bytes);
    let torn_bytes = match found.damage {
        Some(Damage::Torn { bytes, .. }) => bytes as u64,
        _ => 0,
    };
    let is_broken = matches!(found.damage, Some(Damage::Broken { .. })) || first > last;
    Ok(ChangelogFile {
        name,
        changes: first.zip(last),
        complete_bytes: bytes.len() as u64 - torn_bytes,
        torn_bytes,
        is_broken,
    })
}

/// Where the last lines of a long changelog begin: behind a batch when it has seals.
fn tail_of(bytes: &[u8]) -> usize {
    let mut from = bytes.len().saturating_sub(TAIL_BYTES);
    if from == 0 {
        return 0;
    }
    let mut first = None;
    while let Some(end) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[from..from + end];
        from += end + 1;
        if Seal::split(line).1.is_some() {
            return from;
        }
        first.get_or_insert(from);
    }
    first.unwrap_or(bytes.len())
}

/// The number before the colon.
fn number_of(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if line.get(digits) != Some(&b':') {
        return None;
    }
    std::str::from_utf8(&line[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
