//! Load, replay, store.

use super::command_line::{Job, Place};
use super::directory::{self, RESULT};
use crate::metadump::{self, Options};
use crate::progress::{Bar, turning};
use daemon::errno::describe;
use memmap2::Mmap;
use metadata::Namespace;
use metadata::ends::{self, ChangelogEnds, ImageEnds};
use metadata::image::{self, LoadOptions, Loaded};
use metadata::merge::{self, Merge, Source};
use proto::MetaVersion;
use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Sessions beside an image of 1.6, as a master and as a metalogger name them.
const SESSIONS: [&str; 2] = ["sessions.mfs", "sessions_ml.mfs"];

/// A changelog and what its ends say.
struct Changelog {
    name: String,
    bytes: Option<Mmap>,
    ends: ChangelogEnds,
}

/// Does the whole of a job.
///
/// # Errors
/// The last lines for the operator; nothing has been stored.
pub fn restore(job: &Job) -> Result<(), String> {
    let (image, output, changelogs) = match &job.place {
        Place::Directory(path) => {
            let chosen = directory::choose(&directory::images(path)?, job.ignores_errors)?;
            for message in chosen.messages {
                eprintln!("{message}");
            }
            let changelogs = directory::changelogs(path)?;
            if changelogs.is_empty() {
                return Err("changelog files not found".to_owned());
            }
            let output = (!job.prints_digest).then(|| path.join(RESULT));
            (path.join(chosen.image.name), output, changelogs)
        }
        Place::Files {
            image,
            output,
            changelogs,
        } => (image.clone(), output.clone(), changelogs.clone()),
    };
    if output.is_none() && !job.prints_digest {
        return dump(&image);
    }
    let Loaded {
        mut namespace,
        is_old,
        ..
    } = load(&image, job)?;
    if is_old && output.is_some() {
        eprintln!("the metadata are of 1.6 and will be stored as MooseFS 3.0 stores them");
    }
    let changelogs = open_changelogs(&changelogs, &namespace, job)?;
    replay(&mut namespace, &image, &changelogs, job)?;
    if job.prints_digest {
        let digest = turning("digest of the state", || namespace.digest());
        println!("{digest} version {}", namespace.version());
    }
    match (output, &job.place) {
        (Some(output), place) => {
            if matches!(place, Place::Directory(_)) {
                keep_newer(&output, namespace.version())?;
            }
            eprintln!("store metadata into file: {}", output.display());
            store(&output, &namespace)
        }
        (None, _) => Ok(()),
    }
}

/// The file in words, as mfsmetadump says it.
fn dump(path: &Path) -> Result<(), String> {
    let name = path.display();
    let cannot = |what: String| format!("{what}\ncan't read metadata from file: {name}");
    let bytes = map(path).map_err(|error| cannot(describe(&error)))?;
    let out = BufWriter::new(std::io::stdout().lock());
    metadump::dump(&bytes, &Options::default(), out, &mut |_| {})
        .map_err(|error| format!("can't write: {}", describe(&error)))?
        .map_err(|failure| cannot(failure.message))
}

fn now() -> u32 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        })
}

fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: nobody changes the files that a restore is made from; one that does gets an error of
    // the loader or of the replay, or ends this process, which has stored nothing yet.
    unsafe { Mmap::map(&file) }
}

fn load(path: &Path, job: &Job) -> Result<Loaded, String> {
    let name = path.display();
    let cannot = |what: String| format!("{what}\ncan't read metadata from file: {name}");
    let bytes = map(path).map_err(|error| cannot(describe(&error)))?;
    let sessions = SESSIONS
        .iter()
        .find_map(|sessions| fs::read(path.with_file_name(sessions)).ok());
    let options = LoadOptions {
        now: now(),
        ignore: job.ignores_errors,
        sessions: sessions.as_deref(),
        ..LoadOptions::default()
    };
    let loaded = turning("loading metadata", || image::load(&bytes, &options))
        .map_err(|error| cannot(format!("{name}: {error}")))?;
    for repair in &loaded.repairs {
        eprintln!("{name}: {repair}");
    }
    Ok(loaded)
}

/// The changelogs that hold changes behind the image, or all with `-f`.
fn open_changelogs(
    paths: &[PathBuf],
    namespace: &Namespace,
    job: &Job,
) -> Result<Vec<Changelog>, String> {
    let mut changelogs = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| {
            format!("can't open changelog file: {name}: {}", describe(&error))
        };
        let file = File::open(path).map_err(cannot)?;
        let is_empty = file.metadata().map_err(cannot)?.len() == 0;
        let ends = ends::of_changelog(file).map_err(cannot)?;
        let is_used = job.loads_all
            || ends
                .changes
                .is_some_and(|(_, last)| last >= namespace.version())
            // A torn first line is told by the merge.
            || ends.torn_bytes > 0;
        if job.verbosity > 0 {
            let what = if is_used { "using" } else { "skipping" };
            let changes = match ends.changes {
                Some((first, last)) => format!("{first} - {last}"),
                None => "none".to_owned(),
            };
            eprintln!("{what} changelog file: {name} (changes: {changes})");
        }
        if is_used {
            let bytes = if is_empty {
                None
            } else {
                Some(map(path).map_err(cannot)?)
            };
            changelogs.push(Changelog { name, bytes, ends });
        }
    }
    changelogs.sort_by_key(|changelog| changelog.ends.changes);
    Ok(changelogs)
}

fn replay(
    namespace: &mut Namespace,
    image: &Path,
    changelogs: &[Changelog],
    job: &Job,
) -> Result<(), String> {
    let image = image.display().to_string();
    let sources = changelogs.iter().map(|changelog| Source {
        name: &changelog.name,
        bytes: changelog.bytes.as_deref().unwrap_or_default(),
    });
    let mut merge = Merge::new(&image, sources);
    let (_, total) = merge.progress();
    let mut bar = Bar::new("replaying", total);
    let first = namespace.version();
    let result = merge::replay(namespace, &mut merge, |merge, change| {
        if job.verbosity > 1 {
            eprintln!("{}", String::from_utf8_lossy(change.line));
        }
        bar.step(|| (merge.progress().0, format!("change {}", change.version)));
    });
    drop(bar);
    for (source, damage) in merge.damages() {
        eprintln!("{}", damage.describe(source));
    }
    let reached = namespace.version();
    if job.verbosity > 0 && reached > first {
        eprintln!("applied changes: {first} - {}", reached.0 - 1);
    }
    match result {
        Ok(_) => Ok(()),
        Err(problem) if job.takes_best => {
            eprintln!(
                "{problem}\nerror applying changelogs - ignoring (using best possible metadata version: {reached})"
            );
            Ok(())
        }
        Err(problem) => Err(format!(
            "{problem}\nerror applying changelogs - fix changelogs manually or use '-b' flag to store the state before change {reached}"
        )),
    }
}

/// A `metadata.mfs` that knows more than what would replace it stays.
fn keep_newer(output: &Path, version: MetaVersion) -> Result<(), String> {
    match File::open(output).and_then(ends::of_image) {
        Ok(ImageEnds::Whole { version: found, .. }) if found > version => Err(format!(
            "{} has version {found}, newer than {version}, which the changelogs lead to - nothing stored; move it away to restore an older state",
            output.display()
        )),
        _ => Ok(()),
    }
}

/// Writes the state beside its place, makes it durable and moves it there.
fn store(output: &Path, namespace: &Namespace) -> Result<(), String> {
    let mut temporary = output.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let result = turning("storing metadata", || write(&temporary, output, namespace));
    result.map_err(|error| {
        // The first error is the one that matters.
        let _ = fs::remove_file(&temporary);
        format!(
            "can't store metadata into file: {}: {}",
            output.display(),
            describe(&error)
        )
    })
}

fn write(temporary: &Path, output: &Path, namespace: &Namespace) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(temporary)?;
    image::save(&namespace.freeze(), now(), &mut file)?;
    file.sync_all()?;
    fs::rename(temporary, output)?;
    let directory = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
