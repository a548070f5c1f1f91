//! What the core wants done, and what it hears of it.

use metadata::ends::ImageEnds;
use proto::MetaVersion;
use proto::metalogger::DownloadFile;

/// The moment of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, seconds since 1970.
    pub unix: u32,
    /// A clock that never jumps, milliseconds.
    pub mono_ms: u64,
}

/// Work on files, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A line goes to the current changelog.
    Line {
        /// Its number.
        version: MetaVersion,
        /// The line without number and newline.
        text: Vec<u8>,
    },
    /// Lines taken so far become durable.
    Flush,
    /// Changelogs move back by one name; the next line begins a new one.
    Rotate,
    /// Everything that was received moves to names that no restore takes.
    PutAside,
    /// A temporary file is begun. Answered by an [`Outcome`].
    Begin(DownloadFile),
    /// A block of it. Answered by an [`Outcome`].
    Block {
        /// Place in the file, bytes.
        offset: u64,
        /// What stands there.
        bytes: Vec<u8>,
    },
    /// It is complete: it becomes durable, is looked at and, if it is good, takes its place.
    /// Answered by an [`Outcome`].
    Finish(DownloadFile),
    /// It is not wanted any more.
    Abandon,
}

/// The answer to an [`Action`] that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next block can come.
    Ready,
    /// The disk refuses; with its words.
    Failed(String),
    /// A metadata file is complete. Only a whole one has taken its place.
    Image(ImageEnds),
    /// A whole metadata file with this defect was received; it is not kept.
    BadImage(String),
    /// A changelog is complete: numbers of its first and last line, if it has lines.
    Changelog(Option<(MetaVersion, MetaVersion)>),
    /// The sessions of a master of 1.6 are complete.
    Sessions,
}

/// What one event leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Bytes for the master.
    pub send: Vec<u8>,
    /// Work on files.
    pub actions: Vec<Action>,
    /// The connection has to be closed.
    pub disconnect: bool,
}
