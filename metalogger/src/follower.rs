//! The core of the metalogger: what comes from the master and from the clock leads to bytes for the
//! master and work on files. It touches neither (metadata-and-changelog §4).

use crate::download::{Downloads, Finished};
use crate::effect::{Action, Effects, Now, Outcome};
use crate::settings::Pace;
use metadata::merge::STEP_MAX;
use proto::common::Nop;
use proto::metalogger::{MetaChange, Register, ToMetalogger};
use proto::version::Version;
use proto::{Malformed, MetaId, MetaVersion};

/// What the data directory holds when the process starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Number of the last line of the stream.
    pub last: Option<MetaVersion>,
    /// Identity of the newest metadata file; 0 when it has none or there is no file.
    pub id: MetaId,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
struct Link {
    heard_ms: u64,
    spoke_ms: u64,
}

/// State of the metalogger.
#[derive(Clone, Debug)]
pub struct Follower {
    pace: Pace,
    link: Option<Link>,
    /// First and next number of the lines that follow one another without a hole up to now.
    stream: Option<(MetaVersion, MetaVersion)>,
    /// The line before the next one, to know it again.
    last_line: Vec<u8>,
    /// Lines since the last flush.
    has_unflushed: bool,
    id: MetaId,
    downloads: Downloads,
}

impl Follower {
    /// Goes on from what the data directory holds.
    pub fn new(pace: Pace, remembered: Remembered) -> Follower {
        // Whether older lines are without a hole is not known.
        let next = remembered
            .last
            .map(|last| MetaVersion(last.0.saturating_add(1)));
        Follower {
            pace,
            link: None,
            stream: next.map(|next| (next, next)),
            last_line: Vec::new(),
            has_unflushed: false,
            id: remembered.id,
            downloads: Downloads::new(pace.download_hours),
        }
    }

    /// Another pace from now on; the timeout counts from the next registration.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.downloads.set_pace(pace.download_hours);
    }

    /// Number of the next line, if one is known.
    pub fn next_line(&self) -> Option<MetaVersion> {
        self.stream.map(|(_, next)| next)
    }

    /// A connection stands: register, and fetch what is due.
    pub fn connected(&mut self, now: Now, effects: &mut Effects) {
        self.link = Some(Link {
            heard_ms: now.mono_ms,
            spoke_ms: now.mono_ms,
        });
        Register {
            version: Version::CURRENT,
            timeout_s: self.pace.timeout_s,
            first_wanted: self.next_line(),
        }
        .encode(&mut effects.send);
        self.downloads.begin_next(now, effects);
    }

    /// The connection is gone.
    pub fn closed(&mut self, effects: &mut Effects) {
        self.link = None;
        self.downloads.interrupted(effects);
        self.flush(effects);
    }

    /// A packet came.
    ///
    /// # Errors
    /// It is not one that a master sends now: the connection is to be closed.
    pub fn frame(
        &mut self,
        kind: u32,
        payload: &[u8],
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        if let Some(link) = &mut self.link {
            link.heard_ms = now.mono_ms;
        }
        match ToMetalogger::decode(kind, payload)? {
            ToMetalogger::MetaChange(MetaChange::Line { version, text }) => {
                self.line(version, text.0, now, effects)?;
            }
            ToMetalogger::MetaChange(MetaChange::Rotate) => {
                self.flush(effects);
                effects.actions.push(Action::Rotate);
            }
            ToMetalogger::DownloadInfo(info) => self.downloads.info(&info, now, effects)?,
            ToMetalogger::DownloadData(block) => self.downloads.data(&block, now, effects)?,
            ToMetalogger::Nop(_) | ToMetalogger::ConfigValue(_) | ToMetalogger::MasterAck(_) => {}
        }
        self.note_sent(now, effects);
        Ok(())
    }

    fn line(
        &mut self,
        version: MetaVersion,
        text: &[u8],
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        // It would break the file into lines that nobody wrote.
        if text.contains(&b'\n') {
            return Err(Malformed);
        }
        let after = MetaVersion(version.0.checked_add(1).ok_or(Malformed)?);
        let first = match self.stream {
            Some((first, next)) if version == next => first,
            Some((_, next)) if after == next && self.last_line == text => return Ok(()),
            Some((_, next)) if version < next => {
                self.went_back(version, next, effects);
                return Ok(());
            }
            Some((_, next)) => {
                self.lost(next, version, now, effects);
                version
            }
            None => version,
        };
        self.stream = Some((first, after));
        self.last_line.clear();
        self.last_line.extend_from_slice(text);
        self.has_unflushed = true;
        effects.actions.push(Action::Line {
            version,
            text: text.to_vec(),
        });
        Ok(())
    }

    /// Lines are missing in the stream. What is here stays: it still leads from older images up to the
    /// hole; what is downloaded leads over it.
    fn lost(&mut self, next: MetaVersion, version: MetaVersion, now: Now, effects: &mut Effects) {
        tracing::warn!(
            "some changes lost: [{next}-{}] - they have to come from downloaded files",
            version.0 - 1
        );
        if version.0 - next.0 >= STEP_MAX - 1 {
            // In one file such a step would count as garbage.
            self.flush(effects);
            effects.actions.push(Action::Rotate);
        }
        self.downloads.hole_before(version, now, effects);
    }

    /// The master goes on from an older state than the one that it told: lines and images here are
    /// of a history that is no more, and must not be mixed with the new one.
    fn went_back(&mut self, version: MetaVersion, next: MetaVersion, effects: &mut Effects) {
        tracing::warn!(
            "the master makes change {version}, and {} has been received before - it has been restored from an older state; what was received is put aside, download metadata again",
            next.0 - 1
        );
        self.begin_again(effects);
    }

    fn begin_again(&mut self, effects: &mut Effects) {
        self.flush(effects);
        self.downloads.interrupted(effects);
        self.downloads.want_all();
        self.stream = None;
        self.last_line.clear();
        self.id = MetaId(0);
        effects.actions.push(Action::PutAside);
        effects.disconnect = true;
    }

    /// The disk has done a work that is answered.
    pub fn stored(&mut self, outcome: Outcome, now: Now, effects: &mut Effects) {
        let finished = self.downloads.stored(outcome, self.stream, now, effects);
        if let Some(Finished::Image(id)) = finished {
            let none = MetaId(0);
            if id != self.id && id != none && self.id != none {
                tracing::warn!(
                    "the master has metadata of another file system (id: {:016X}, before: {:016X}) - what was received is put aside, download metadata again",
                    id.0,
                    self.id.0
                );
                self.begin_again(effects);
            } else if id != none {
                self.id = id;
            }
        }
        self.note_sent(now, effects);
    }

    /// The disk did not take lines from `first` on: they are asked for again.
    pub fn not_saved(&mut self, first: MetaVersion, effects: &mut Effects) {
        self.stream = self.stream.map(|(begin, _)| (begin.min(first), first));
        self.last_line.clear();
        self.has_unflushed = false;
        effects.disconnect = true;
    }

    /// Time passed; to be called about once a second.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        self.flush(effects);
        let Some(link) = self.link else {
            return;
        };
        let timeout_ms = u64::from(self.pace.timeout_s) * 1000;
        if now.mono_ms.saturating_sub(link.heard_ms) > timeout_ms {
            tracing::warn!("connection with the master timed out");
            effects.disconnect = true;
            return;
        }
        self.downloads.tick(now, effects);
        if effects.send.is_empty() && now.mono_ms.saturating_sub(link.spoke_ms) >= timeout_ms / 3 {
            Nop {}.encode(&mut effects.send);
        }
        self.note_sent(now, effects);
    }

    fn note_sent(&mut self, now: Now, effects: &Effects) {
        if let Some(link) = &mut self.link
            && !effects.send.is_empty()
        {
            link.spoke_ms = now.mono_ms;
        }
    }

    fn flush(&mut self, effects: &mut Effects) {
        if std::mem::take(&mut self.has_unflushed) {
            effects.actions.push(Action::Flush);
        }
    }
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
