//! The data directory of a master: which files there are, what a start makes of them, how they are
//! moved (metadata-and-changelog §2). Decisions are pure functions over a [`Listing`]; [`look`] and
//! [`write`] act, through [`disk`].
//!
//! Two differences to MooseFS, both wished for by everyone who has seen a crash: a start recovers by
//! itself, without `-a`, and a torn last line costs that line, not the whole changelog.

pub mod changelog;
pub mod disk;
pub mod look;
mod recovery;
mod rotation;
#[cfg(test)]
pub mod simulated;
pub mod write;

use proto::{MetaId, MetaVersion};

pub use recovery::{Mode, Recovery, Refusal, plan};
pub use rotation::{after_dump, at_stop};

/// The state that a clean stop leaves, and that a start takes.
pub const METADATA: &str = "metadata.mfs";
/// The last state that was saved while a master runs.
pub const BACK: &str = "metadata.mfs.back";
/// A state that is being written.
pub const TEMPORARY: &str = "metadata.mfs.back.tmp";
/// A state that could not be written in its place (§2.6).
pub const EMERGENCY: &str = "metadata.mfs.emergency";
/// The changelog that is continued.
pub const CURRENT_CHANGELOG: &str = "changelog.0.mfs";

/// What stands in the directory, as far as a start needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Every file whose name begins with `metadata` and is longer than that, except one that is being
    /// written.
    pub images: Vec<ImageFile>,
    /// Every file named `changelog.N.mfs`, `changelog_ml.N.mfs` or `changelog_ml_back.N.mfs`.
    pub changelogs: Vec<ChangelogFile>,
}

/// A metadata file, judged by its two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Name in the directory; an emergency copy elsewhere has its whole path.
    pub name: String,
    /// What it is.
    pub content: ImageContent,
}

/// What the ends of a metadata file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageContent {
    /// `MFSM NEW`: an empty file system is wanted, or (as `.back`) was begun and never saved.
    New,
    /// A whole file.
    Valid {
        /// Number of the next change.
        version: MetaVersion,
        /// Identity of the file system; 0 before it has one.
        id: MetaId,
    },
    /// It begins well and does not end well.
    WrongEnding,
    /// It does not begin as a metadata file.
    WrongHeader,
    /// Nothing in it.
    Empty,
    /// The system refuses it, with its words.
    Unreadable(String),
}

impl ImageFile {
    /// Version and identity of a usable file. A new file system begins with change 1.
    fn usable(&self) -> Option<(MetaVersion, MetaId)> {
        match self.content {
            ImageContent::New => Some((MetaVersion(1), MetaId(0))),
            ImageContent::Valid { version, id } => Some((version, id)),
            _ => None,
        }
    }

    /// Why it is not usable, in MooseFS's words.
    fn complaint(&self) -> Option<String> {
        let name = &self.name;
        match &self.content {
            ImageContent::New | ImageContent::Valid { .. } => None,
            ImageContent::WrongEnding => Some(format!("{name} has wrong ending")),
            ImageContent::WrongHeader => Some(format!("{name} has wrong header")),
            ImageContent::Empty => Some(format!("{name} is empty")),
            ImageContent::Unreadable(error) => Some(format!("error reading {name}: {error}")),
        }
    }
}

/// A changelog, judged by its first and last lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogFile {
    /// Name in the directory.
    pub name: String,
    /// Numbers of the first and of the last good line; `None` when there is none.
    pub changes: Option<(u64, u64)>,
    /// Length of what is not torn, in bytes.
    pub complete_bytes: u64,
    /// Bytes behind it that a crash has torn.
    pub torn_bytes: u64,
    /// It is not what was written: whether it has needed changes is not known.
    pub is_broken: bool,
}

/// One movement of files in the directory. A list of them is safe to be interrupted anywhere: every
/// state is kept under some name that a start considers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Gives a file another name, replacing what has it. Nothing happens when it is missing.
    Rename {
        /// Name before.
        from: String,
        /// Name after.
        to: String,
    },
    /// Removes a file. Nothing happens when it is missing.
    Remove(String),
    /// Shortens a file.
    Cut {
        /// Name of the file.
        name: String,
        /// Its length afterwards, in bytes.
        bytes: u64,
    },
}

impl Step {
    fn rename(from: impl Into<String>, to: impl Into<String>) -> Step {
        Step::Rename {
            from: from.into(),
            to: to.into(),
        }
    }
}
