//! The downloads: which file when, block by block, and what is tried again
//! (metadata-and-changelog §4.4, §4.5).

use crate::effect::{Action, Effects, Now, Outcome};
use metadata::ends::ImageEnds;
use proto::metalogger::{
    DOWNLOAD_BLOCK_MAX, DownloadData, DownloadEnd, DownloadFile, DownloadInfo, DownloadRequest,
    DownloadStart,
};
use proto::{Malformed, MetaId, MetaVersion};
use std::collections::VecDeque;

/// Downloads begin so long after the full hour: by then the master has written its image, seconds.
const AFTER_HOUR_S: u32 = 630;
const HOUR_S: u32 = 3600;
/// A block is asked for so often before the download is given up.
const ATTEMPTS: u32 = 5;
/// Pause before a download that failed, or that brought no metadata, is repeated.
const RETRY_MS: u64 = 60_000;
/// Pause before changelogs that do not reach the stream yet are fetched again.
const LAG_RETRY_MS: u64 = 2_000;
/// So often they are fetched again.
const LAG_RETRIES: u32 = 5;
/// A master that says nothing about a download for so long has lost it.
const STALL_MS: u64 = 60_000;
/// Pause between two downloads of the sessions of a 1.6 master.
const SESSIONS_EVERY_MS: u64 = 60_000;

/// The files of one download, in order.
const SET: [DownloadFile; 3] = [
    DownloadFile::Metadata,
    DownloadFile::Changelog0,
    DownloadFile::Changelog1,
];

/// One file on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transfer {
    file: DownloadFile,
    /// Bytes of the file, once the master has told.
    length: Option<u64>,
    /// Bytes that are on the disk.
    done: u64,
    /// Block that is being written, bytes.
    writing: u64,
    /// Tries of the present block that failed.
    failures: u32,
    began_ms: u64,
    /// When the master last answered.
    moved_ms: u64,
}

/// What a finished set can restore: changes from the image on, as far as the changelogs reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Coverage {
    image: Option<MetaVersion>,
    changelog0: Option<(MetaVersion, MetaVersion)>,
    changelog1: Option<(MetaVersion, MetaVersion)>,
}

/// What the rest of the core has to know of a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// A metadata file of this file system is in its place.
    Image(MetaId),
    /// Metadata and changelogs are complete.
    Set,
}

/// State of the downloads.
#[derive(Clone, Debug)]
pub struct Downloads {
    hours_between: u32,
    queue: VecDeque<DownloadFile>,
    current: Option<Transfer>,
    coverage: Coverage,
    /// Change up to which the last complete set leads.
    reach: Option<MetaVersion>,
    /// Hour of the last look at the clock.
    hour: Option<u32>,
    retry_at_ms: Option<u64>,
    lag_retries: u32,
    /// The master is of 1.6 and gives away its sessions; when to ask next.
    sessions_at_ms: Option<u64>,
}

fn hour_of(unix: u32) -> u32 {
    unix.saturating_sub(AFTER_HOUR_S) / HOUR_S
}

/// What a file is called in messages.
fn title(file: DownloadFile) -> &'static str {
    match file {
        DownloadFile::Metadata => "metadata",
        DownloadFile::Sessions => "sessions",
        DownloadFile::Changelog0 => "changelog_0",
        DownloadFile::Changelog1 => "changelog_1",
    }
}

impl Downloads {
    /// Downloads each `hours_between` hours; the first set is due at the first connection.
    pub fn new(hours_between: u32) -> Downloads {
        Downloads {
            hours_between,
            queue: SET.into(),
            current: None,
            coverage: Coverage::default(),
            reach: None,
            hour: None,
            retry_at_ms: None,
            lag_retries: 0,
            sessions_at_ms: None,
        }
    }

    /// Another pace from now on.
    pub fn set_pace(&mut self, hours_between: u32) {
        self.hours_between = hours_between;
    }

    /// Everything is to be fetched anew, at once.
    pub fn want_all(&mut self) {
        self.queue = SET.into();
        self.coverage = Coverage::default();
        self.retry_at_ms = None;
        self.lag_retries = 0;
    }

    fn is_busy(&self) -> bool {
        self.current.is_some() || !self.queue.is_empty()
    }

    /// The stream has a hole before `version`: what is on its way or has been fetched leads over it,
    /// or everything is fetched anew.
    pub fn hole_before(&mut self, version: MetaVersion, now: Now, effects: &mut Effects) {
        let on_its_way = self.current.as_ref().map(|transfer| transfer.file);
        let is_coming = on_its_way
            .iter()
            .chain(&self.queue)
            .any(|file| SET.contains(file));
        if is_coming || self.reach.is_some_and(|reach| reach >= version) {
            return;
        }
        self.want_all();
        self.begin_next(now, effects);
    }

    /// The connection is gone. What was on its way begins anew at the next one.
    pub fn interrupted(&mut self, effects: &mut Effects) {
        if let Some(transfer) = self.current.take() {
            effects.actions.push(Action::Abandon);
            match transfer.file {
                DownloadFile::Sessions => self.queue.push_front(DownloadFile::Sessions),
                // Only files that were opened together fit together.
                _ => self.want_all(),
            }
        } else if !self.queue.is_empty() && self.queue != [DownloadFile::Sessions] {
            self.want_all();
        }
    }

    /// Looks at the clock and begins what is due; to be called while a connection stands.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        if self
            .current
            .as_ref()
            .is_some_and(|transfer| now.mono_ms.saturating_sub(transfer.moved_ms) > STALL_MS)
        {
            tracing::warn!("the master does not go on with a download - connecting again");
            effects.disconnect = true;
            return;
        }
        let hour = hour_of(now.unix);
        let turned = self.hour.replace(hour).is_some_and(|before| before != hour);
        if turned && hour.is_multiple_of(self.hours_between.max(1)) && !self.is_busy() {
            self.want_all();
        }
        if self.retry_at_ms.is_some_and(|at| now.mono_ms >= at) {
            self.retry_at_ms = None;
            if !self.is_busy() {
                match self.lag_retries {
                    0 => self.want_all(),
                    _ => self.queue = [DownloadFile::Changelog0, DownloadFile::Changelog1].into(),
                }
            }
        }
        if self.sessions_at_ms.is_some_and(|at| now.mono_ms >= at) && !self.is_busy() {
            self.sessions_at_ms = Some(now.mono_ms + SESSIONS_EVERY_MS);
            self.queue.push_back(DownloadFile::Sessions);
        }
        self.begin_next(now, effects);
    }

    /// Asks for the next file, if none is on its way.
    pub fn begin_next(&mut self, now: Now, effects: &mut Effects) {
        if self.current.is_some() {
            return;
        }
        let Some(file) = self.queue.pop_front() else {
            return;
        };
        DownloadStart { file }.encode(&mut effects.send);
        self.current = Some(Transfer {
            file,
            length: None,
            done: 0,
            writing: 0,
            failures: 0,
            began_ms: now.mono_ms,
            moved_ms: now.mono_ms,
        });
    }

    /// The master has opened the file, or cannot.
    ///
    /// # Errors
    /// Nothing was asked for.
    pub fn info(
        &mut self,
        info: &DownloadInfo,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let transfer = self.current.as_mut().ok_or(Malformed)?;
        if transfer.length.is_some() {
            return Err(Malformed);
        }
        transfer.moved_ms = now.mono_ms;
        match info.length {
            Some(length) => {
                transfer.length = Some(length);
                effects.actions.push(Action::Begin(transfer.file));
            }
            None if transfer.file == DownloadFile::Sessions => {
                // This master has none.
                self.sessions_at_ms = None;
                self.current = None;
                self.begin_next(now, effects);
            }
            None => {
                tracing::warn!(
                    "download start error: the master has no {}",
                    title(transfer.file)
                );
                self.give_up(now, effects);
            }
        }
        Ok(())
    }

    /// A block came.
    ///
    /// # Errors
    /// It is not the one that was asked for.
    pub fn data(
        &mut self,
        block: &DownloadData<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let transfer = self.current.as_mut().ok_or(Malformed)?;
        let bytes = block.data.0;
        if transfer.writing != 0
            || block.offset != transfer.done
            || bytes.len() as u64 != u64::from(transfer.wanted())
            || bytes.is_empty()
        {
            return Err(Malformed);
        }
        transfer.moved_ms = now.mono_ms;
        if !block.is_intact() {
            tracing::warn!(
                "metafile data crc error at {} of {}",
                block.offset,
                title(transfer.file)
            );
            self.block_failed(now, effects);
            return Ok(());
        }
        transfer.writing = bytes.len() as u64;
        effects.actions.push(Action::Block {
            offset: block.offset,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    fn block_failed(&mut self, now: Now, effects: &mut Effects) {
        let Some(transfer) = self.current.as_mut() else {
            return;
        };
        transfer.writing = 0;
        transfer.failures += 1;
        if transfer.failures >= ATTEMPTS {
            DownloadEnd {}.encode(&mut effects.send);
            self.give_up(now, effects);
        } else {
            transfer.request(effects);
        }
    }

    /// The download ends without result; it is tried again later.
    fn give_up(&mut self, now: Now, effects: &mut Effects) {
        if let Some(transfer) = self.current.take() {
            tracing::error!(
                "{} not downloaded - next try in {} seconds",
                title(transfer.file),
                RETRY_MS / 1000
            );
            effects.actions.push(Action::Abandon);
        }
        self.queue.clear();
        self.lag_retries = 0;
        self.retry_at_ms = Some(now.mono_ms + RETRY_MS);
    }

    /// The disk has done what [`Action::Begin`], [`Action::Block`] or [`Action::Finish`] asked for.
    /// `stream` are the numbers of the first and the next line of the gapless end of the stream.
    pub fn stored(
        &mut self,
        outcome: Outcome,
        stream: Option<(MetaVersion, MetaVersion)>,
        now: Now,
        effects: &mut Effects,
    ) -> Option<Finished> {
        let transfer = self.current.as_mut()?;
        match outcome {
            Outcome::Ready => {
                transfer.done += std::mem::take(&mut transfer.writing);
                transfer.failures = 0;
                if transfer.length == Some(transfer.done) {
                    DownloadEnd {}.encode(&mut effects.send);
                    effects.actions.push(Action::Finish(transfer.file));
                } else {
                    transfer.request(effects);
                }
                return None;
            }
            Outcome::Failed(error) => {
                tracing::error!("error writing {}: {error}", title(transfer.file));
                if transfer.writing != 0 {
                    self.block_failed(now, effects);
                } else {
                    DownloadEnd {}.encode(&mut effects.send);
                    self.give_up(now, effects);
                }
                return None;
            }
            Outcome::BadImage(defect) => {
                tracing::error!("downloaded metadata are not usable: {defect}");
                self.give_up(now, effects);
                return None;
            }
            _ => {}
        }
        self.log_speed(now);
        let file = self.current.take()?.file;
        let finished = match outcome {
            Outcome::Image(ends) => self.image_arrived(ends, now),
            Outcome::Changelog(changes) => {
                if file == DownloadFile::Changelog0 {
                    self.coverage.changelog0 = changes;
                } else {
                    self.coverage.changelog1 = changes;
                }
                (file == DownloadFile::Changelog1).then_some(Finished::Set)
            }
            _ => None,
        };
        if finished == Some(Finished::Set) {
            self.check_coverage(stream, now);
        }
        self.begin_next(now, effects);
        finished
    }

    fn log_speed(&self, now: Now) {
        let Some(transfer) = &self.current else {
            return;
        };
        let ms = now.mono_ms.saturating_sub(transfer.began_ms);
        // Bytes per microsecond are megabytes per second.
        let speed = transfer.done as f64 / (ms.max(1) * 1000) as f64;
        tracing::info!(
            "{} downloaded {}B/{}.{:06}s ({speed:.3} MB/s)",
            title(transfer.file),
            transfer.done,
            ms / 1000,
            ms % 1000 * 1000,
        );
    }

    fn image_arrived(&mut self, ends: ImageEnds, now: Now) -> Option<Finished> {
        let ImageEnds::Whole {
            version,
            id,
            is_old,
        } = ends
        else {
            // A new file system: its master saves the first image at the next full hour.
            tracing::info!(
                "the master has not saved metadata yet - next try in {} seconds",
                RETRY_MS / 1000
            );
            self.retry_at_ms = Some(now.mono_ms + RETRY_MS);
            return None;
        };
        tracing::info!(
            "meta data version: {version}, meta data id: 0x{:016X}",
            id.0
        );
        self.coverage.image = Some(version);
        if is_old {
            self.queue.push_back(DownloadFile::Sessions);
            self.sessions_at_ms = Some(now.mono_ms + SESSIONS_EVERY_MS);
        } else {
            self.sessions_at_ms = None;
        }
        Some(Finished::Image(id))
    }

    /// Image, changelogs and stream have to join without a hole. A master may write its changelog
    /// later than it sends the stream: then the changelogs are fetched once more.
    fn check_coverage(&mut self, stream: Option<(MetaVersion, MetaVersion)>, now: Now) {
        let Some(image) = self.coverage.image else {
            return;
        };
        let mut reach = image;
        for (first, last) in [self.coverage.changelog1, self.coverage.changelog0]
            .into_iter()
            .flatten()
        {
            if first <= reach {
                reach = reach.max(MetaVersion(last.0.saturating_add(1)));
            }
        }
        self.reach = Some(reach);
        let Some((stream_first, stream_next)) = stream else {
            return;
        };
        if stream_first <= reach || stream_next <= reach {
            self.lag_retries = 0;
            return;
        }
        if self.lag_retries < LAG_RETRIES {
            self.lag_retries += 1;
            self.retry_at_ms = Some(now.mono_ms + LAG_RETRY_MS);
            return;
        }
        tracing::warn!(
            "changes {reach} - {} are neither in the downloaded changelogs nor in the stream - download metadata again",
            stream_first.0.saturating_sub(1)
        );
        self.lag_retries = 0;
        self.retry_at_ms = Some(now.mono_ms + RETRY_MS);
    }
}

impl Transfer {
    /// Bytes of the next block.
    fn wanted(&self) -> u32 {
        let left = self.length.unwrap_or_default().saturating_sub(self.done);
        u32::try_from(left).map_or(DOWNLOAD_BLOCK_MAX, |left| left.min(DOWNLOAD_BLOCK_MAX))
    }

    fn request(&self, effects: &mut Effects) {
        DownloadRequest {
            offset: self.done,
            length: self.wanted(),
        }
        .encode(&mut effects.send);
    }
}
