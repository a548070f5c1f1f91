//! The data directory: which image is loaded, how a new one takes its place
//! (metadata-and-changelog §2).

use crate::datadir::disk::{Directory, Disk, DiskFile};
use crate::datadir::{self, Recovery};
use crate::replay;
use daemon::log;
use metadata::View;
use metadata::image::{self, Loaded};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

/// Checksums of the sections of the newest image.
const CRC: &str = "metadata.crc";
/// Sessions beside an image of 1.6.
const SESSIONS: &str = "sessions.mfs";
/// Priority of the metadata saver.
const SAVER_NICE: i32 = 19;

/// What the saver reports: the duration, or why there is no new image.
pub type SaveOutcome = Result<std::time::Duration, String>;

/// How an image is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// `-i`: what can be repaired is repaired.
    pub ignore_errors: bool,
    /// Number of `-x`.
    pub verbosity: usize,
    /// Grace period of quotas from images that store none, seconds.
    pub quota_grace_seconds: u32,
}

/// A loaded state, and what the directory needs before it changes.
#[derive(Debug)]
pub struct Found {
    /// The state.
    pub loaded: Loaded,
    /// What was found and decided.
    pub recovery: Recovery,
    /// Changes from changelogs in it.
    pub applied: u64,
}

/// The data directory.
#[derive(Debug)]
pub struct Storage {
    disk: Directory,
    images_kept: u32,
    saver: Option<JoinHandle<()>>,
}

impl Storage {
    /// The directory, where `images_kept` images stay beside the newest one.
    pub fn new(directory: PathBuf, images_kept: u32) -> Storage {
        Storage {
            disk: Directory(directory),
            images_kept,
            saver: None,
        }
    }

    /// Changes how many images stay.
    pub fn keep(&mut self, images_kept: u32) {
        self.images_kept = images_kept;
    }

    /// Loads the newest state: what a clean stop left, or after a crash the newest image and the
    /// changelogs behind it. Nothing in the directory is changed before [`Storage::adopt`].
    pub fn load(&self, options: &LoadOptions, now: u32, seed: u64) -> Result<Found, String> {
        log::say("loading metadata ...");
        let found = recover(&self.disk, &elsewhere(), options, now, seed)?;
        if found.applied > 0 {
            log::say(&format!(
                "applied {} changes from change logs; version is {} now",
                found.applied,
                found.loaded.namespace.version()
            ));
        }
        log::say("metadata file has been loaded");
        Ok(found)
    }

    /// Moves the files as the recovery found right, before the first new change is written. From now
    /// on a crash leaves `metadata.mfs.back` and the changelogs.
    pub fn adopt(&self, recovery: &Recovery) -> io::Result<()> {
        adopt(&self.disk, recovery)
    }

    /// Loads an image that a replicated log named, and nothing else.
    pub fn load_file(
        &self,
        path: &Path,
        options: &LoadOptions,
        now: u32,
        seed: u64,
    ) -> Result<Loaded, String> {
        load_image(&self.disk, &path.to_string_lossy(), options, now, seed)
    }

    /// Whether there is no metadata file at all.
    pub fn is_empty(&self) -> Result<bool, String> {
        let listing = datadir::look::scan(&self.disk, &elsewhere())
            .map_err(|error| format!("can't read the data directory: {error}"))?;
        Ok(listing.images.is_empty() && listing.changelogs.is_empty())
    }

    /// Number of the line that continues the changelog on disk; 0 when there is none.
    pub fn next_line(&self) -> Result<u64, String> {
        let listing = datadir::look::scan(&self.disk, &elsewhere())
            .map_err(|error| format!("can't read the data directory: {error}"))?;
        Ok(listing
            .changelogs
            .iter()
            .filter(|log| log.name == datadir::CURRENT_CHANGELOG)
            .filter_map(|log| log.changes)
            .map(|(_, last)| last + 1)
            .max()
            .unwrap_or(0))
    }

    /// Saves an image now; gives its path.
    pub fn save_now(&self, view: &View) -> io::Result<PathBuf> {
        write(&self.disk, self.images_kept, view)?;
        Ok(self.newest())
    }

    /// Path of the newest image that was saved.
    pub fn newest(&self) -> PathBuf {
        self.disk.0.join(datadir::BACK)
    }

    /// Saves the state of a master that ends: the image becomes `metadata.mfs`.
    pub fn save_final(&self, view: &View) -> io::Result<()> {
        save_final(&self.disk, self.images_kept, view)
    }

    /// Writes an image on a thread of its own; `report` is called there with the outcome. A save
    /// that is still under way is not joined by a second one.
    pub fn save_in_background(
        &mut self,
        view: View,
        report: impl FnOnce(SaveOutcome) + Send + 'static,
    ) {
        if self
            .saver
            .as_ref()
            .is_some_and(|saver| !saver.is_finished())
        {
            tracing::error!(
                "previous metadata save process hasn't finished yet - do not start another one"
            );
            return;
        }
        let (disk, images_kept) = (self.disk.clone(), self.images_kept);
        let spawned = std::thread::Builder::new()
            .name("metadata saver".to_owned())
            .spawn(move || {
                lower_priority();
                let began = Instant::now();
                let outcome = write(&disk, images_kept, &view)
                    .map(|()| began.elapsed())
                    .map_err(|error| error.to_string());
                report(outcome);
            });
        match spawned {
            Ok(saver) => self.saver = Some(saver),
            Err(error) => tracing::error!("can't start the metadata saver: {error}"),
        }
    }

    /// Waits for a save under way.
    pub fn wait_for_background(&mut self) {
        if let Some(saver) = self.saver.take()
            && saver.join().is_err()
        {
            tracing::error!("the metadata saver ended by a panic");
        }
    }
}

/// Says what the checksums beside an image tell about it. They are written after it and are no part of
/// it, so a crash may have left those of another one: nothing is refused for their sake.
fn report_checksums(name: &str, checked: image::Checked) {
    match checked {
        image::Checked::NotApplicable | image::Checked::Same => {}
        image::Checked::Header => tracing::warn!(
            "{name}: version or identity differ from those in {CRC}, and all else is the same"
        ),
        image::Checked::Damaged(sections) => {
            let sections: Vec<String> = sections.iter().map(ToString::to_string).collect();
            tracing::error!(
                "{name}: content differs from the checksums in {CRC} (sections {}) - if the disk is \
                 in doubt, compare with an older image or with that of a metalogger",
                sections.join(", ")
            );
        }
    }
}

/// Finds and loads the newest state of a data directory; `elsewhere` are further directories in which
/// an emergency copy may be. Nothing is changed.
///
/// # Errors
/// What is missing, broken or contradictory, and what to do.
pub fn recover<D: Disk>(
    disk: &D,
    elsewhere: &[PathBuf],
    options: &LoadOptions,
    now: u32,
    seed: u64,
) -> Result<Found, String> {
    let listing = datadir::look::scan(disk, elsewhere)
        .map_err(|error| format!("can't read the data directory: {error}"))?;
    let mode = datadir::Mode {
        ignore_errors: options.ignore_errors,
        verbose: options.verbosity > 0,
    };
    let mut recovery =
        datadir::plan(&listing, mode).map_err(|refusal| refusal.messages.join("\n"))?;
    for message in &recovery.messages {
        tracing::info!("{message}");
    }
    let mut loaded = load_image(disk, &recovery.image, options, now, seed)?;
    let applied = replay::apply(
        &mut loaded.namespace,
        disk,
        &recovery.image,
        &recovery.replay,
        replay::Options {
            ignore_errors: options.ignore_errors,
            lists_lines: options.verbosity > 1,
        },
    )?;
    for name in &applied.abandoned {
        let message = recovery.put_torn_aside(name, loaded.namespace.version());
        tracing::warn!("{message}");
    }
    Ok(Found {
        loaded,
        recovery,
        applied: applied.changes,
    })
}

fn load_image<D: Disk>(
    disk: &D,
    name: &str,
    options: &LoadOptions,
    now: u32,
    seed: u64,
) -> Result<Loaded, String> {
    let bytes = disk
        .bytes(name)
        .map_err(|error| format!("error reading {name}: {error}"))?;
    let sessions = disk.bytes(SESSIONS).ok();
    let load_options = image::LoadOptions {
        now,
        ignore: options.ignore_errors,
        seed,
        quota_grace_seconds: options.quota_grace_seconds,
        sessions: sessions.as_ref().map(AsRef::as_ref),
    };
    let checksums = disk.bytes(CRC).ok();
    let loaded = std::thread::scope(|scope| {
        scope.spawn(|| D::read_ahead(&bytes));
        if let Some(checksums) = &checksums {
            let bytes = bytes.as_ref();
            scope.spawn(|| report_checksums(name, image::check_against(bytes, checksums.as_ref())));
        }
        image::load(bytes.as_ref(), &load_options)
    })
    .map_err(|error| format!("{name}: {error}\nerror loading {name}"))?;
    for repair in &loaded.repairs {
        match repair.problem {
            image::Problem::OpenOfEndedSession { .. } => tracing::debug!("{name}: {repair}"),
            _ => tracing::warn!("{name}: {repair}"),
        }
    }
    if loaded.more_repairs > 0 {
        tracing::warn!("{name}: {} more of these", loaded.more_repairs);
    }
    Ok(loaded)
}

/// Makes the directory of a found state ready to be continued: the changelogs that the state is made
/// of are on stable storage, files have the names of a running master.
pub fn adopt(disk: &impl Disk, recovery: &Recovery) -> io::Result<()> {
    for name in &recovery.replay {
        disk.open(name)?.sync()?;
    }
    datadir::write::execute(disk, &recovery.steps)
}

/// Saves the state of a master that ends: the image becomes `metadata.mfs`.
pub fn save_final(disk: &impl Disk, images_kept: u32, view: &View) -> io::Result<()> {
    write(disk, images_kept, view)?;
    datadir::write::execute(disk, &datadir::at_stop())
}

/// Writes an image beside the others, makes it durable, and shifts the older ones.
pub fn write(disk: &impl Disk, images_kept: u32, view: &View) -> io::Result<()> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        });
    let saved = datadir::write::save(disk, images_kept, |file| image::save(view, now, file))?;
    let crc = disk.create(CRC)?;
    crc.set_length(0)?;
    crc.write_at(&saved.fingerprints.to_bytes(), 0)
}

/// Where MooseFS puts a copy that does not fit into the data directory
/// (metadata-and-changelog §2.6).
fn elsewhere() -> Vec<PathBuf> {
    datadir::look::EMERGENCY_PLACES.map(PathBuf::from).to_vec()
}

/// The metadata saver gets out of the way of the service.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), SAVER_NICE) {
        tracing::debug!("metadata saver: priority stays: {error}");
    }
}

#[cfg(test)]
#[path = "storage/crash_tests.rs"]
mod crash_tests;
