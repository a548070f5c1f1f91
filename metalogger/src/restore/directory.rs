//! The files of a data directory that a restore begins with. Which image is taken is decided by what
//! all of them say, not by the order of the directory.

use daemon::errno::describe;
use metadata::ends::{self, ImageEnds};
use proto::{MetaId, MetaVersion};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The result of `-a`; it is not read.
pub const RESULT: &str = "metadata.mfs";
const BACK: &str = "metadata.mfs.back";
const BACK_OF_METALOGGER: &str = "metadata_ml.mfs.back";
/// Files that are being written, checksums, and the mark of an empty file system.
const OTHER_ENDINGS: [&str; 3] = [".tmp", ".crc", ".empty"];

/// A usable image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name in the directory.
    pub name: String,
    /// Number of its next change.
    pub version: MetaVersion,
    /// Identity of the file system; 0 before it has one.
    pub id: MetaId,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The image to begin with.
    pub image: Candidate,
    /// What the operator should know.
    pub messages: Vec<String>,
}

/// Every image in a directory but the result, with what its ends say.
///
/// # Errors
/// The directory cannot be read.
pub fn images(directory: &Path) -> Result<Vec<(String, ImageEnds)>, String> {
    let mut images = Vec::new();
    for name in names(directory)? {
        let is_other = OTHER_ENDINGS.iter().any(|ending| name.ends_with(ending));
        if !name.starts_with("metadata") || name == RESULT || is_other {
            continue;
        }
        // What cannot be read is as good as not there; the choice says what was taken.
        if let Ok(ends) = File::open(directory.join(&name)).and_then(ends::of_image) {
            images.push((name, ends));
        }
    }
    Ok(images)
}

/// Every changelog in a directory, of a master or of a metalogger.
///
/// # Errors
/// The directory cannot be read.
pub fn changelogs(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let is_changelog = |name: &str| {
        ["changelog.", "changelog_ml.", "changelog_ml_back."]
            .iter()
            .filter_map(|start| name.strip_prefix(start)?.strip_suffix(".mfs"))
            .any(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let names = names(directory)?.into_iter();
    Ok(names
        .filter(|name| is_changelog(name))
        .map(|name| directory.join(name))
        .collect())
}

fn names(directory: &Path) -> Result<Vec<String>, String> {
    let failed = |error| format!("can't read {}: {}", directory.display(), describe(&error));
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The newest usable image; of equal ones that of the master.
///
/// # Errors
/// There is none, or (unless `ignores_errors`) there are images of different file systems.
pub fn choose(images: &[(String, ImageEnds)], ignores_errors: bool) -> Result<Chosen, String> {
    let mut messages = Vec::new();
    let mut usable = Vec::new();
    for (name, ends) in images {
        let why = match *ends {
            ImageEnds::Whole { version, id, .. } => {
                usable.push(Candidate {
                    name: name.clone(),
                    version,
                    id,
                });
                continue;
            }
            ImageEnds::New => {
                usable.push(Candidate {
                    name: name.clone(),
                    version: MetaVersion(1),
                    id: MetaId(0),
                });
                continue;
            }
            ImageEnds::Empty => "is empty",
            ImageEnds::WrongHeader => "has wrong header",
            ImageEnds::WrongEnding => "has wrong ending",
        };
        messages.push(format!("{name} {why}"));
    }
    if !images.iter().any(|(name, _)| name == BACK) {
        messages.push(format!(
            "file '{BACK}' not found - will try '{BACK_OF_METALOGGER}' instead"
        ));
    }
    let newest = usable
        .iter()
        .max_by_key(|image| (image.version, image.name == BACK));
    let Some(newest) = newest else {
        messages.push("can't find backed up metadata file !!!".to_owned());
        return Err(messages.join("\n"));
    };
    let none = MetaId(0);
    let has_foreign = usable
        .iter()
        .any(|image| image.id != newest.id && image.id != none && newest.id != none);
    if has_foreign && !ignores_errors {
        for Candidate { name, version, id } in &usable {
            messages.push(format!(
                " - found valid metadata file: {name} (version: {version} ; id: {:016X})",
                id.0
            ));
        }
        messages.push(
            "metadata files of different file systems are here - move the wrong ones away, or use option '-i' to take the newest"
                .to_owned(),
        );
        return Err(messages.join("\n"));
    }
    if newest.name != BACK || usable.len() > 1 {
        messages.push(format!(
            "chosen most recent metadata file: {} (version: {} ; id: {:016X})",
            newest.name, newest.version, newest.id.0
        ));
    }
    Ok(Chosen {
        image: newest.clone(),
        messages,
    })
}

#[cfg(test)]
mod tests {
    use super::choose;
    use metadata::ends::ImageEnds;
    use proto::{MetaId, MetaVersion};

    fn whole(version: u64, id: u64) -> ImageEnds {
        ImageEnds::Whole {
            version: MetaVersion(version),
            id: MetaId(id),
            is_old: false,
        }
    }

    #[test]
    fn the_newest_image_of_one_file_system_is_taken() {
        const BACK: &str = "metadata.mfs.back";
        const ML: &str = "metadata_ml.mfs.back";
        type Case<'a> = (&'a [(&'a str, ImageEnds)], Result<&'a str, &'a str>);
        let cases: [Case<'_>; 8] = [
            (&[], Err("can't find backed up metadata file !!!")),
            (&[(BACK, whole(5, 1))], Ok(BACK)),
            (&[(BACK, whole(5, 1)), (ML, whole(5, 1))], Ok(BACK)),
            (&[(BACK, whole(5, 1)), (ML, whole(9, 1))], Ok(ML)),
            (&[(ML, whole(9, 1))], Ok(ML)),
            (&[(BACK, ImageEnds::WrongEnding), (ML, whole(2, 1))], Ok(ML)),
            (
                &[(BACK, whole(5, 1)), (ML, whole(9, 2))],
                Err("different file systems"),
            ),
            (&[(BACK, ImageEnds::New), (ML, whole(9, 2))], Ok(ML)),
        ];
        for (images, expected) in cases {
            let images: Vec<_> = images
                .iter()
                .map(|(name, ends)| ((*name).to_owned(), *ends))
                .collect();
            match (choose(&images, false), expected) {
                (Ok(chosen), Ok(name)) => assert_eq!(chosen.image.name, name),
                (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
                (chosen, expected) => panic!("{chosen:?} instead of {expected:?}"),
            }
            assert!(images.is_empty() || choose(&images, true).is_ok());
        }
    }
}
