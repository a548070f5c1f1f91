//! What can be wrong with a metadata file, what is said about it, and what helps.

use proto::Inode;
use proto::changelog::Escaped;
use proto::image::{Damage, Section, SectionHeader};
use std::fmt;

/// A file that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem} (at byte {offset}){}", place(.section), advice(.problem))]
pub struct LoadError {
    /// Where: `None` is outside of all sections.
    pub section: Option<Section>,
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}

fn place(section: &Option<Section>) -> &'static str {
    section.map_or("reading metadata", Section::title)
}

fn advice(problem: &Problem) -> String {
    match problem.remedy() {
        Some(remedy) => format!("; use option '-i' to {remedy}"),
        None => String::new(),
    }
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
    RootMissing,
    Orphan(Inode),
    SessionRepeated(u32),
    TooManyGroups(u8),
    ClassId(u16),
    ClassFormat(u16),
    ClassRepeated(u16),
    NodeRepeated(Inode),
    NodeZero,
    TargetReplaced(Inode),
    EdgeEmptyName(Edge),
    EdgeNameTooLong(Edge),
    EdgeNoChild(Edge),
    EdgeNotDetached(Edge),
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
    XattrEmptyName(Inode),
    XattrOversized(Inode),
    AclType(Inode),
    AclRepeated(Inode),
    AclMask(Inode),
    LockOnClosed(Inode),
    LockWrong(Inode),
    RangeOrder(Inode),
    RangeConnected(Inode),
    ServerRepeated,
    ServerState(u8),
    ChunkRepeated(u64),
    NextChunk(u64),
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
    /// What ignoring errors does about it; `None` when nothing can be done.
    pub fn remedy(&self) -> Option<&'static str> {
        use Problem as P;
        match self {
            P::NotMetadata
            | P::WrongEnding
            | P::Damaged(_)
            | P::NewerVersion(_)
            | P::RootMissing
            | P::NodeRepeated(_)
            | P::NodeZero
            | P::EdgeNotDetached(_)
            | P::DirectoryLoop(_)
            | P::OutOfMemory => None,
            P::UnknownSection(_) => Some("lose all data of this section"),
            P::Newer(_) => Some("lose these"),
            P::NotAllRead => Some("go on"),
            P::Orphan(_) | P::EdgeNoParent(_) | P::EdgeParentNotDirectory(_) => {
                Some("attach this node to root dir")
            }
            P::EdgeEmptyName(_) => Some("generate name replacement"),
            P::EdgeSequence(_) => Some("append it to its directory"),
            P::TooManyGroups(_) => Some("drop the surplus"),
            P::ServerState(_) => Some("take it for off"),
            // Said only, never refused.
            P::TargetReplaced(_)
            | P::EdgeNameTooLong(_)
            | P::AclMask(_)
            | P::NextChunk(_)
            | P::FreeInUse(_) => None,
            _ => Some("drop it"),
        }
    }

    /// Whether it is said only, and the file loads anyway.
    pub fn is_note(&self) -> bool {
        matches!(
            self,
            Problem::TargetReplaced(_)
                | Problem::EdgeNameTooLong(_)
                | Problem::AclMask(_)
                | Problem::NextChunk(_)
                | Problem::FreeInUse(_)
        )
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
            P::RootMissing => f.write_str("root node not found !!!"),
            P::Orphan(inode) => write!(f, "found orphaned inode: {inode}"),
            P::SessionRepeated(id) => write!(f, "repeated session {id}"),
            P::TooManyGroups(groups) => write!(f, "too many or-groups ({groups})"),
            P::ClassId(id) => write!(f, "bad sclassid: {id}"),
            P::ClassFormat(id) => write!(f, "data format error in storage class {id}"),
            P::ClassRepeated(id) => write!(f, "repeated sclassid: {id}"),
            P::NodeRepeated(inode) => write!(f, "loading node: repeated inode {inode}"),
            P::NodeZero => f.write_str("loading node: inode 0"),
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
            P::XattrEmptyName(inode) => write!(f, "loading xattr: empty name (inode {inode})"),
            P::XattrOversized(inode) => write!(f, "loading xattr: value oversized (inode {inode})"),
            P::AclType(inode) => write!(f, "loading posix_acl: wrong acl type (inode {inode})"),
            P::AclRepeated(inode) => write!(f, "loading posix_acl: repeated acl (inode {inode})"),
            P::AclMask(inode) => write!(f, "emergency set ACL mask for inode {inode} to 'rwx'"),
            P::LockOnClosed(inode) => write!(f, "lock on closed file !!! (inode {inode})"),
            P::LockWrong(inode) => write!(f, "wrong lock !!! (inode {inode})"),
            P::RangeOrder(inode) => write!(f, "lock range not in order (inode {inode})"),
            P::RangeConnected(inode) => write!(f, "lock range not connected (inode {inode})"),
            P::ServerRepeated => f.write_str("repeated chunkserver"),
            P::ServerState(state) => write!(f, "bad maintenance state: {state}"),
            P::ChunkRepeated(id) => write!(f, "repeated chunk {id:016X}"),
            P::NextChunk(id) => write!(f, "next chunk id too low -> set to {id:016X}"),
            P::OutOfMemory => f.write_str("out of memory"),
        }
    }
}
