//! Two files of one chunk: the one with the higher version counts, the other is removed later
//! (chunkserver §4.9).

use super::Store;
use super::disk::{Disk, DiskId, Duplicate};
use proto::ChunkVersion;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Files that are removed in one pass.
const BATCH: usize = 290;

/// Which of two files of a chunk counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// They are one and the same.
    Same,
    /// The one that was known.
    Known,
    /// The one that was found now.
    Found,
}

/// Compares version and place of a known file with those of a found one. Two names in one subfolder
/// are one file that was renamed while the folder was read, unless the found version is higher.
pub fn better(known: (ChunkVersion, DiskId, u8), found: (ChunkVersion, DiskId, u8)) -> Better {
    let same_place = (known.1, known.2) == (found.1, found.2);
    if found.0 > known.0 {
        Better::Found
    } else if same_place && found.0 == known.0 {
        Better::Same
    } else {
        Better::Known
    }
}

impl Store {
    /// A file that does not count is removed after `HDD_KEEP_DUPLICATES_HOURS`.
    pub(super) fn keep_for_deletion(&self, disk: &Arc<Disk>, path: PathBuf) {
        let keep = Duration::from_secs(self.settings().keep_duplicates_s.into());
        tracing::warn!(
            "{}: not the best file of its chunk - it will be removed in {} hours",
            path.display(),
            keep.as_secs() / 3600
        );
        disk.duplicates.lock().push_back(Duplicate {
            path,
            due: Instant::now() + keep,
        });
    }

    /// Removes files whose time has come.
    pub(super) fn remove_duplicates(&self, disk: &Disk) {
        if disk.is_read_only() {
            return;
        }
        let now = Instant::now();
        for _ in 0..BATCH {
            let due = {
                let mut queue = disk.duplicates.lock();
                match queue.front() {
                    Some(duplicate) if duplicate.due <= now => queue.pop_front(),
                    _ => None,
                }
            };
            let Some(Duplicate { path, .. }) = due else {
                return;
            };
            if self.is_indexed(disk, &path) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!("{}: {}", path.display(), daemon::errno::describe(&error));
                }
                _ => tracing::info!("{}: removed, a better file exists", path.display()),
            }
        }
    }

    /// Whether a file is by now the one that counts.
    fn is_indexed(&self, disk: &Disk, path: &std::path::Path) -> bool {
        let parsed = path
            .file_name()
            .and_then(|name| super::name::parse(name.as_encoded_bytes()));
        let Some((chunk, _)) = parsed else {
            return false;
        };
        let mut shard = self.index.shard(chunk);
        shard.get(chunk).is_some_and(|slot| {
            slot.disk == disk.id && disk.chunk_path(slot.folder, chunk, slot.version) == path
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, better};
    use proto::ChunkVersion;

    #[test]
    fn the_higher_version_counts_and_the_first_of_equals() {
        for (known, found, expected) in [
            ((1, 1, 0), (2, 1, 0), Better::Found),
            ((1, 1, 0), (2, 2, 9), Better::Found),
            ((2, 1, 0), (1, 1, 1), Better::Known),
            ((2, 1, 0), (2, 1, 1), Better::Known),
            ((2, 1, 0), (2, 2, 0), Better::Known),
            ((2, 1, 0), (2, 1, 0), Better::Same),
            ((2, 1, 0), (1, 1, 0), Better::Known),
        ] {
            let version = |(version, disk, folder)| (ChunkVersion(version), disk, folder);
            assert_eq!(better(version(known), version(found)), expected);
        }
    }
}
