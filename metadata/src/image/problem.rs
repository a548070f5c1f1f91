//! What can be wrong with a metadata file, what is said about it, and what helps.

use proto::changelog::Escaped;
use proto::image::{Damage, Section, SectionHeader};
use proto::{ClassId, Inode, SessionId};
use std::fmt;

/// Which file of the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The metadata file itself.
    #[default]
    Metadata,
    /// `sessions.mfs` beside a file of 1.6.
    Sessions,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Source,
    /// `None` is outside of all sections, or the file as a whole.
    pub section: Option<Section>,
    /// Bytes from the beginning of the file to the record; `None` when it is no record's fault.
    pub offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source == Source::Sessions {
            f.write_str("sessions.mfs, ")?;
        }
        match self.section {
            Some(section) => write!(f, "section {}", section.name())?,
            None if self.offset.is_some() => f.write_str("outside of all sections")?,
            None => f.write_str("the file as a whole")?,
        }
        self.offset
            .map_or(Ok(()), |offset| write!(f, ", byte {offset}"))
    }
}

/// A file that was not loaded: where, why, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} ({place}); {}", problem.advice())]
pub struct LoadError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub problem: Problem,
}

/// What was changed to load a file, or is only worth to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Where.
    pub place: Place,
    /// What was wrong.
    pub problem: Problem,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.problem, self.place)?;
        match self.problem.remedy() {
            Some(Remedy { done, .. }) => write!(f, " -> {done}"),
            None => Ok(()),
        }
    }
}

/// What ignoring errors does about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// As advice: "use option '-i' to …".
    pub offered: &'static str,
    /// As a report.
    pub done: &'static str,
}

/// One thing that is wrong with a file, or that had to be changed to load it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the message of each says what it is; fields name what it is about"
)]
pub enum Problem {
    NotMetadata,
    WrongEnding,
    Damaged(Damage),
    UnknownSection(SectionHeader),
    NewerVersion(Section),
    /// Written by 4.x: what would be lost.
    Newer(Vec<String>),
    NotAllRead,
    DataBehindEnd(u64),
    RootMissing,
    Orphan(Inode),
    SessionRepeated(u32),
    TooManyGroups(u8),
    ClassId(u16),
    ClassFormat(u16),
    ClassRepeated(u16),
    NodeHole(Inode),
    MaxInode(Inode),
    NodeRepeated(Inode),
    NodeNumber(Inode),
    NodeCount {
        stated: u32,
        found: u32,
    },
    NodeClass {
        inode: Inode,
        class: ClassId,
    },
    TargetReplaced(Inode),
    EdgeEmptyName(Edge),
    EdgeNameTooLong(Edge),
    EdgeNoChild(Edge),
    EdgeNotDetached(Edge),
    EdgeDetached(Edge),
    EdgeNoParent(Edge),
    EdgeParentNotDirectory(Edge),
    EdgeSequence(Edge),
    EdgeRepeated(Edge),
    EdgeSecondOfDirectory(Edge),
    DirectoryLoop(Inode),
    FreeInUse(Inode),
    QuotaInode {
        inode: Inode,
        exists: bool,
    },
    XattrInode(Inode),
    XattrEmptyName(Inode),
    XattrOversized(Inode),
    AclInode(Inode),
    AclType(Inode),
    AclRepeated(Inode),
    AclMask(Inode),
    OpenUnknown {
        session: SessionId,
        inode: Inode,
    },
    /// MooseFS leaves these behind when a session ends, and says nothing about them.
    OpenOfEndedSession {
        session: SessionId,
        inode: Inode,
    },
    LockOnClosed(Inode),
    LockWrong(Inode),
    RangeOrder(Inode),
    RangeConnected(Inode),
    ServerRepeated,
    ServerState(u8),
    ChunkRepeated(u64),
    NextChunk(u64),
    ChunksUnknown {
        count: u64,
        first: u64,
    },
    OutOfMemory,
}

/// A name, as messages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub parent: Inode,
    pub child: Inode,
    pub name: Box<[u8]>,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.parent)?;
        if !self.name.is_empty() {
            write!(f, ",{}", Escaped(&self.name))?;
        }
        write!(f, "->{}", self.child)
    }
}

impl Problem {
    /// What ignoring errors does about it; `None` when nothing can be done, or need be.
    pub fn remedy(&self) -> Option<Remedy> {
        use Problem as P;
        let remedy = |offered, done| Some(Remedy { offered, done });
        match self {
            P::NotMetadata
            | P::WrongEnding
            | P::Damaged(_)
            | P::NewerVersion(_)
            | P::RootMissing
            | P::OutOfMemory => None,
            P::UnknownSection(_) => remedy("lose all data of this section", "all lost"),
            P::Newer(_) => remedy("lose these", "lost"),
            P::NotAllRead | P::DataBehindEnd(_) | P::NodeCount { .. } => remedy("go on", "ignored"),
            P::Orphan(_)
            | P::EdgeNoParent(_)
            | P::EdgeParentNotDirectory(_)
            | P::DirectoryLoop(_) => remedy("attach this node to root dir", "attached to root dir"),
            P::EdgeEmptyName(_) => remedy("generate name replacement", "name replaced"),
            P::EdgeSequence(_) => remedy("append it to its directory", "appended"),
            P::TooManyGroups(_) => remedy("drop the surplus", "surplus dropped"),
            P::ServerState(_) => remedy("take it for off", "taken for off"),
            P::NodeClass { .. } => remedy("give it class 2", "has class 2 now"),
            _ if self.is_note() => None,
            _ => remedy("drop it", "dropped"),
        }
    }

    /// Whether it is said only, and the file loads anyway, here and in MooseFS.
    pub fn is_note(&self) -> bool {
        matches!(
            self,
            Problem::TargetReplaced(_)
                | Problem::EdgeNameTooLong(_)
                | Problem::AclMask(_)
                | Problem::MaxInode(_)
                | Problem::NodeHole(_)
                | Problem::NextChunk(_)
                | Problem::FreeInUse(_)
                | Problem::XattrInode(_)
                | Problem::AclInode(_)
                | Problem::OpenUnknown { .. }
                | Problem::OpenOfEndedSession { .. }
                | Problem::ChunksUnknown { .. }
        )
    }

    /// What whoever reads the message can do.
    fn advice(&self) -> String {
        match (self, self.remedy()) {
            (_, Some(Remedy { offered, .. })) => format!("use option '-i' to {offered}"),
            (Problem::NewerVersion(_), None) => "use the version that wrote it".to_owned(),
            (Problem::OutOfMemory, None) => "give the machine more memory".to_owned(),
            (_, None) => "the file cannot be repaired: take an older one (metadata.mfs.back.1, \
                          a copy of a metalogger) together with the changelogs"
                .to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Problem as P;
        match self {
            P::NotMetadata => f.write_str("metadata file has wrong header"),
            P::WrongEnding => f.write_str("metadata file has wrong ending"),
            P::Damaged(damage) => write!(f, "{damage}"),
            P::UnknownSection(header) => write!(
                f,
                "unknown section found (leng:{},name:{header})",
                header.length.unwrap_or(u64::MAX)
            ),
            P::NewerVersion(_) => {
                f.write_str("metadata in file have been stored by newer version of MFS !!!")
            }
            P::Newer(lost) => write!(
                f,
                "metadata in file have been stored by newer version of MFS, whose {} have no equivalent",
                lost.join(", ")
            ),
            P::NotAllRead => f.write_str("not all section has been read - file corrupted"),
            P::DataBehindEnd(bytes) => write!(f, "{bytes} bytes behind the end"),
            P::RootMissing => f.write_str("root node not found !!!"),
            P::Orphan(inode) => write!(f, "found orphaned inode: {inode}"),
            P::SessionRepeated(id) => write!(f, "repeated session {id}"),
            P::TooManyGroups(groups) => write!(f, "too many or-groups ({groups})"),
            P::ClassId(id) => write!(f, "bad sclassid: {id}"),
            P::ClassFormat(id) => write!(f, "data format error in storage class {id}"),
            P::ClassRepeated(id) => write!(f, "repeated sclassid: {id}"),
            P::NodeHole(inode) => write!(f, "chunk list of inode {inode} ends with a hole"),
            P::MaxInode(inode) => write!(f, "highest inode number too low -> set to {inode}"),
            P::NodeRepeated(inode) => write!(f, "loading node: repeated inode {inode}"),
            P::NodeCount { stated, found } => {
                write!(f, "loading node: {found} inodes where {stated} should be")
            }
            P::NodeClass { inode, class } => {
                write!(
                    f,
                    "inode {inode} has storage class {class}, which does not exist"
                )
            }
            P::NodeNumber(inode) => write!(f, "loading node: impossible number {inode}"),
            P::TargetReplaced(inode) => {
                write!(f, "path of symbolic link {inode} too long -> replaced")
            }
            P::EdgeEmptyName(edge) => write!(f, "loading edge: {edge} error: empty name"),
            P::EdgeNameTooLong(edge) => {
                write!(f, "loading edge: {edge} error: name too long -> truncate")
            }
            P::EdgeNoChild(edge) => write!(f, "loading edge: {edge} error: child not found"),
            P::EdgeNotDetached(edge) => {
                write!(f, "loading edge: {edge} error: bad child type (no parent)")
            }
            P::EdgeDetached(edge) => {
                write!(
                    f,
                    "loading edge: {edge} error: bad child type (trash or sustained)"
                )
            }
            P::EdgeNoParent(edge) => write!(f, "loading edge: {edge} error: parent not found"),
            P::EdgeParentNotDirectory(edge) => {
                write!(f, "loading edge: {edge} error: bad parent type")
            }
            P::EdgeSequence(edge) => {
                write!(f, "loading edge: {edge} error: parent node sequence error")
            }
            P::EdgeRepeated(edge) => write!(f, "loading edge: {edge} error: name exists"),
            P::EdgeSecondOfDirectory(edge) => {
                write!(
                    f,
                    "loading edge: {edge} error: directory has a name already"
                )
            }
            P::DirectoryLoop(inode) => write!(f, "directory {inode} is not below the root"),
            P::FreeInUse(inode) => {
                write!(
                    f,
                    "freed inode number {inode} is in use or repeated -> ignored"
                )
            }
            P::QuotaInode { inode, exists } => write!(
                f,
                "quota defined for {} inode: {inode}",
                if *exists {
                    "not directory"
                } else {
                    "non existing"
                }
            ),
            P::XattrInode(inode) => {
                write!(f, "xattr of non existing inode: {inode} -> ignored")
            }
            P::XattrEmptyName(inode) => write!(f, "loading xattr: empty name (inode {inode})"),
            P::XattrOversized(inode) => write!(f, "loading xattr: value oversized (inode {inode})"),
            P::AclInode(inode) => {
                write!(f, "posix_acl of non existing inode: {inode} -> ignored")
            }
            P::AclType(inode) => write!(f, "loading posix_acl: wrong acl type (inode {inode})"),
            P::AclRepeated(inode) => write!(f, "loading posix_acl: repeated acl (inode {inode})"),
            P::AclMask(inode) => write!(f, "emergency set ACL mask for inode {inode} to 'rwx'"),
            P::OpenUnknown { session, inode } => write!(
                f,
                "open file {inode} of session {session}: the file does not exist or is there twice -> ignored"
            ),
            P::OpenOfEndedSession { session, inode } => write!(
                f,
                "open file {inode} of session {session}, which has ended -> ignored"
            ),
            P::LockOnClosed(inode) => write!(f, "lock on closed file !!! (inode {inode})"),
            P::LockWrong(inode) => write!(f, "wrong lock !!! (inode {inode})"),
            P::RangeOrder(inode) => write!(f, "lock range not in order (inode {inode})"),
            P::RangeConnected(inode) => write!(f, "lock range not connected (inode {inode})"),
            P::ServerRepeated => f.write_str("repeated chunkserver"),
            P::ServerState(state) => write!(f, "bad maintenance state: {state}"),
            P::ChunkRepeated(id) => write!(f, "repeated chunk {id:016X}"),
            P::NextChunk(id) => write!(f, "next chunk id too low -> set to {id:016X}"),
            P::ChunksUnknown { count, first } => write!(
                f,
                "{count} chunks of files have no record, {first:016X} first -> they can't be read"
            ),
            P::OutOfMemory => f.write_str("out of memory"),
        }
    }
}
