//! Images of the application's state: the newest one of this node, with the place in the log that it
//! stands for.
//!
//! Files in the replication directory: `image.INDEX` is the application's file (a hard link or a
//! copy), `image` names it with its position and membership. `incoming.INDEX` is one that is being
//! received. Correctness needs `image`: entries before its position may be gone from the log.

use crate::store::files;
use crate::types::{LogId, Position, Snapshot, SnapshotMeta, StoredMembership, log_id, position};
use crate::wire::{WirePosition, WireStoredMembership, unplace};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What the file `image` says.
#[derive(Clone, PartialEq, prost::Message)]
struct Companion {
    #[prost(message, optional, tag = "1")]
    position: Option<WirePosition>,
    #[prost(message, optional, tag = "2")]
    membership: Option<WireStoredMembership>,
    #[prost(string, tag = "3")]
    file: String,
}

/// An image file.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
}

/// The image of this node.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub position: Position,
    pub membership: StoredMembership,
    pub path: PathBuf,
}

impl Image {
    pub fn log_id(&self) -> LogId {
        log_id(self.position)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            meta: SnapshotMeta {
                last_log_id: Some(self.log_id()),
                last_membership: self.membership.clone(),
            },
            snapshot: ImageFile {
                path: self.path.clone(),
            },
        }
    }
}

/// Reads which image is the newest.
pub(crate) fn newest(directory: &Path) -> io::Result<Option<Image>> {
    let Some(companion) = files::read::<Companion>(directory, "image")? else {
        return Ok(None);
    };
    let damaged = |what: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: {what}", directory.join("image").display()),
        )
    };
    let log_id = unplace(companion.position).ok_or_else(|| damaged("no position"))?;
    let membership = companion
        .membership
        .ok_or_else(|| damaged("no membership"))?
        .into_stored()
        .map_err(|_| damaged("an impossible membership"))?;
    Ok(Some(Image {
        position: position(&log_id),
        membership,
        path: directory.join(companion.file),
    }))
}

/// Makes a file the newest image: `source` is linked, or copied from another file system, or moved
/// when it was received here. Durable afterwards; older images go.
pub(crate) fn adopt(
    directory: &Path,
    source: &Path,
    place: Position,
    membership: StoredMembership,
) -> io::Result<Image> {
    let name = format!("image.{}.{}", place.index, place.term);
    let path = directory.join(&name);
    if source != path {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if source.parent() == Some(directory) {
            std::fs::rename(source, &path)?;
        } else if std::fs::hard_link(source, &path).is_err() {
            std::fs::copy(source, &path)?;
        }
    }
    File::open(&path)?.sync_all()?;
    files::sync_directory(directory)?;
    files::replace(
        directory,
        "image",
        &Companion {
            position: Some(place.into()),
            membership: Some((&membership).into()),
            file: name.clone(),
        },
    )?;
    remove_others(directory, &name);
    Ok(Image {
        position: place,
        membership,
        path,
    })
}

/// Old images cost space only: what cannot be removed stays.
fn remove_others(directory: &Path, keep: &str) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_other = name != keep && name.strip_prefix("image.").is_some_and(is_numbers);
        if is_other && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!("can't remove {}: {error}", entry.path().display());
        }
    }
}

fn is_numbers(rest: &str) -> bool {
    !rest.is_empty()
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::{adopt, newest};
    use crate::types::{Membership, Position, StoredMembership};

    #[test]
    fn the_newest_image_is_found_again_and_older_ones_go() {
        let directory = std::env::temp_dir().join(format!("images-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&directory));
        std::fs::create_dir_all(directory.join("ha")).unwrap();
        let (ha, source) = (directory.join("ha"), directory.join("metadata.mfs.back"));
        assert!(newest(&ha).unwrap().is_none());
        for index in [3, 9] {
            std::fs::write(&source, format!("state {index}")).unwrap();
            let place = Position { term: 2, index };
            let membership = StoredMembership::new(None, Membership::default());
            adopt(&ha, &source, place, membership).unwrap();
            std::fs::remove_file(&source).unwrap();
            let found = newest(&ha).unwrap().unwrap();
            assert_eq!(found.position, place);
            let text = std::fs::read_to_string(found.path).unwrap();
            assert_eq!(text, format!("state {index}"));
        }
        assert_eq!(std::fs::read_dir(&ha).unwrap().count(), 2);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
