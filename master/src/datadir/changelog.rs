//! `changelog.0.mfs`, written batch by batch: what makes a change durable.
//!
//! Each batch ends with a [`Seal`], so that whatever a crash or a failing disk leaves is judged by
//! its bytes. What could not be written leaves nothing behind; what could not be synced is written
//! again, see [`Tail`].

use super::CURRENT_CHANGELOG;
use super::disk::{Disk, DiskFile, ignore_missing};
use metadata::merge::soundness;
use proto::MetaVersion;
use proto::changelog::{LINE_BYTES_MAX, SEAL_BYTES_MAX, Seal};
use std::io;

/// Written and not yet on stable storage: a part of one file.
#[derive(Debug)]
struct Tail<F> {
    file: F,
    /// First byte; a batch begins there.
    from: u64,
    /// Where the written part ends.
    to: u64,
    /// A sync has failed. Linux then takes the pages for clean, so a second sync succeeds without
    /// having written anything: what memory still has must be written again first.
    is_doubtful: bool,
}

impl<F: DiskFile> Tail<F> {
    fn sync(&mut self) -> io::Result<()> {
        if self.is_doubtful {
            self.write_again()?;
        }
        let synced = self.file.sync();
        self.is_doubtful = synced.is_err();
        synced
    }

    /// Reads the lines back and writes them over themselves; the seals tell whether they are still
    /// what was written.
    fn write_again(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(self.to - self.from).unwrap_or(0)];
        self.file.read_at(&mut bytes, self.from)?;
        if soundness::check(&bytes).damage.is_some() {
            return Err(io::Error::other(
                "changes that were not on stable storage are lost: an image has to be saved before \
                 this changelog can be relied on",
            ));
        }
        self.file.write_at(&bytes, self.from)
    }
}

/// What has to be synced, taken out of a [`Changelog`] so that nobody waits for it meanwhile.
#[derive(Debug)]
pub struct Unsynced<D: Disk> {
    disk: D,
    tails: Vec<Tail<D::File>>,
    /// Names in the directory are new.
    names: bool,
    /// The last change among the lines.
    last: u64,
}

impl<D: Disk> Unsynced<D> {
    /// Brings everything to stable storage.
    pub fn sync(&mut self) -> io::Result<()> {
        for tail in &mut self.tails {
            tail.sync()?;
        }
        if self.names {
            self.disk.sync_names()?;
        }
        Ok(())
    }
}

/// The changelog that is being written.
#[derive(Debug)]
pub struct Changelog<D: Disk> {
    disk: D,
    file: Option<D::File>,
    /// Length up to which every batch is whole.
    length: u64,
    /// Where what is not on stable storage begins.
    synced: u64,
    /// Number of the last change that is written.
    last: u64,
    /// Number of the last change that is on stable storage.
    stable: u64,
    /// Names in the directory are new.
    names: bool,
    /// Parts of files that have been rotated away, or whose sync has failed.
    earlier: Vec<Tail<D::File>>,
    batch: Vec<u8>,
}

impl<D: Disk> Changelog<D> {
    /// The changelog of a data directory, which is opened with the first batch. Changes below `next`
    /// are on stable storage.
    pub fn new(disk: D, next: MetaVersion) -> Changelog<D> {
        let stable = next.0.saturating_sub(1);
        Changelog {
            disk,
            file: None,
            length: 0,
            synced: 0,
            last: stable,
            stable,
            names: false,
            earlier: Vec::new(),
            batch: Vec::new(),
        }
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        self.disk.shown(CURRENT_CHANGELOG)
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let file = self.disk.create(CURRENT_CHANGELOG)?;
        self.length = file.length()?;
        self.synced = self.length;
        // Whether the name is new is nobody's knowledge after a failed attempt.
        self.names = true;
        self.file = Some(file);
        Ok(())
    }

    /// Appends a batch of whole lines, all or nothing. With `sync` it is on stable storage
    /// afterwards, and so is everything before it.
    ///
    /// # Errors
    /// The batch is not saved and may be handed over again.
    pub fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        self.open()?;
        let Some(file) = &self.file else {
            return Err(io::Error::other("changelog is not open"));
        };
        seal(lines, self.stable, &mut self.batch);
        if let Err(error) = file.write_at(&self.batch, self.length) {
            // MooseFS leaves a changelog that ends with half a line out as a whole.
            if let Err(error) = file.set_length(self.length) {
                tracing::error!("{}: can't cut a half-written line: {error}", self.shown());
            }
            return Err(error);
        }
        let (length, last) = (self.length, self.last);
        self.length += self.batch.len() as u64;
        self.last = last_number(lines).unwrap_or(last);
        if sync && let Err(error) = self.sync() {
            // The batch is not acknowledged: it is written again at this place, from memory.
            self.length = length;
            self.synced = self.synced.min(length);
            self.last = last;
            return Err(error);
        }
        Ok(())
    }

    /// Brings everything written to stable storage.
    pub fn sync(&mut self) -> io::Result<()> {
        let mut unsynced = self.take_unsynced()?;
        let result = unsynced.sync();
        self.settle(unsynced, result.is_ok());
        result
    }

    /// What has to be synced; it counts as synced now. [`Changelog::settle`] follows.
    pub fn take_unsynced(&mut self) -> io::Result<Unsynced<D>> {
        let mut tails = std::mem::take(&mut self.earlier);
        if self.synced < self.length
            && let Some(file) = &self.file
        {
            tails.push(Tail {
                file: file.again()?,
                from: self.synced,
                to: self.length,
                is_doubtful: false,
            });
            self.synced = self.length;
        }
        Ok(Unsynced {
            disk: self.disk.clone(),
            tails,
            names: std::mem::take(&mut self.names),
            last: self.last,
        })
    }

    /// What became of a sync. What failed is tried again with the next one.
    pub fn settle(&mut self, unsynced: Unsynced<D>, is_synced: bool) {
        if is_synced {
            self.stable = self.stable.max(unsynced.last);
            return;
        }
        self.names |= unsynced.names;
        self.earlier.extend(unsynced.tails);
    }

    /// Shifts the changelogs by one number, keeping `keep` old ones; the next batch begins a new file
    /// (metadata-and-changelog §2.3). What is not synced is synced later.
    pub fn rotate(&mut self, keep: u32) -> io::Result<()> {
        if let Some(file) = self.file.take()
            && self.synced < self.length
        {
            self.earlier.push(Tail {
                file,
                from: self.synced,
                to: self.length,
                is_doubtful: false,
            });
        }
        self.names = true;
        let name = |number: u32| format!("changelog.{number}.mfs");
        if keep == 0 {
            ignore_missing(self.disk.remove(&name(0)))?;
        }
        for number in (0..keep).rev() {
            ignore_missing(self.disk.rename(&name(number), &name(number + 1)))?;
        }
        Ok(())
    }
}

/// The lines with a seal in front of the last newline.
fn seal(lines: &[u8], stable: u64, batch: &mut Vec<u8>) {
    batch.clear();
    let Some((b'\n', text)) = lines.split_last() else {
        batch.extend_from_slice(lines);
        return;
    };
    batch.extend_from_slice(text);
    // MooseFS reads no more of a line than the longest one has.
    if last_line(text).len() + SEAL_BYTES_MAX <= LINE_BYTES_MAX {
        Seal::of(text, stable).write(batch);
    }
    batch.push(b'\n');
}

fn last_line(text: &[u8]) -> &[u8] {
    let from = text.iter().rposition(|&byte| byte == b'\n');
    from.map_or(text, |at| text.get(at + 1..).unwrap_or_default())
}

fn last_number(lines: &[u8]) -> Option<u64> {
    let line = last_line(lines.strip_suffix(b"\n")?);
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(line.get(..digits)?).ok()?.parse().ok()
}
