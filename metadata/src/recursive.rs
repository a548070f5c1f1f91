//! Trash time, storage class, extra attributes and archive flags of an inode or of everything below
//! it, in one step (wire-client-master §15).

mod archive;
mod attributes;
mod class;

pub use archive::ArchiveCounts;
pub(crate) use class::ClassSet;

use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace};
use proto::changelog::Counts;
use proto::{Inode, NodeKind, Status};
use std::collections::BTreeMap;

/// How often each value was met, ascending by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<V> {
    /// Files; for extra attributes every inode that is no directory.
    pub files: Vec<(V, u32)>,
    /// Directories.
    pub directories: Vec<(V, u32)>,
}

/// Answer to GETDIRSTATS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirInfo {
    /// Inodes, the directory included.
    pub inodes: u32,
    /// Directories, the directory included.
    pub directories: u32,
    /// Files.
    pub files: u32,
    /// Slots of files that refer to a chunk.
    pub chunks: u32,
    /// Sum of lengths, bytes.
    pub length: u64,
    /// Bytes of one copy of all chunks.
    pub size: u64,
    /// Bytes of all copies.
    pub real_size: u64,
}

/// Bit of a set mode that means everything below.
const RECURSIVE: u8 = 4;
/// Highest set mode.
const SMODE_MAX: u8 = 7;

/// How a value is compared before it is set: the lower two bits of a set mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Set,
    Increase,
    Decrease,
    Exchange,
}

impl Compare {
    fn of(smode: u8) -> Compare {
        match smode & 3 {
            0 => Compare::Set,
            1 => Compare::Increase,
            2 => Compare::Decrease,
            _ => Compare::Exchange,
        }
    }

    /// Whether a wanted value takes the place of one that is there.
    fn changes<V: PartialOrd>(self, present: V, wanted: V) -> bool {
        match self {
            Compare::Set => present != wanted,
            Compare::Increase => present < wanted,
            Compare::Decrease => present > wanted,
            Compare::Exchange => false,
        }
    }

    /// Whether a wanted value is within the limits of a session.
    fn is_within<V: PartialOrd>(self, wanted: V, min: V, max: V) -> bool {
        match self {
            Compare::Set | Compare::Exchange => min <= wanted && wanted <= max,
            Compare::Increase => wanted <= max,
            Compare::Decrease => min <= wanted,
        }
    }
}

/// 6 for a set mode that does not exist.
fn check_smode(smode: u8) -> Result<(), Status> {
    if smode > SMODE_MAX {
        return Err(Status::Einval);
    }
    Ok(())
}

/// Whether a user may not change an inode: he is neither root nor its owner (noowner: everybody is).
fn is_stranger(node: &NodeRecord, uid: u32) -> bool {
    uid != 0 && uid != node.uid && !node.has(eattr::NO_OWNER)
}

/// Whether a user may not change what protects itself too: as a stranger, or because nothing of the
/// inode changes.
fn is_barred(node: &NodeRecord, uid: u32) -> bool {
    is_stranger(node, uid) || node.has(eattr::IMMUTABLE)
}

/// Whether an inode has a storage class and a trash time.
fn has_class(kind: NodeKind) -> bool {
    kind.has_data() || kind == NodeKind::Directory
}

/// A way through an inode and everything below it. The tree must not change meanwhile; inodes may.
#[derive(Debug)]
pub(crate) struct Walk {
    root: Inode,
    recursive: bool,
    at: At,
}

#[derive(Debug)]
enum At {
    Root,
    Edge(u32),
    End,
}

impl Walk {
    /// The way through `root`, and everything below it if `recursive`.
    pub(crate) fn new(root: Inode, recursive: bool) -> Walk {
        Walk {
            root,
            recursive,
            at: At::Root,
        }
    }

    /// The next inode. An inode with several names comes as often.
    pub(crate) fn next(&mut self, ns: &Namespace) -> Option<Inode> {
        let store = &ns.store;
        let first_entry = |inode| {
            let node = store.node(inode).filter(|node| node.is_dir());
            node.map_or(0, NodeRecord::first_entry)
        };
        let edge_or_end = |edge| if edge == 0 { At::End } else { At::Edge(edge) };
        match self.at {
            At::End => None,
            At::Root => {
                self.at = if self.recursive {
                    edge_or_end(first_entry(self.root))
                } else {
                    At::End
                };
                Some(self.root)
            }
            At::Edge(at) => {
                let mut edge = store.edges.get(at)?;
                let child = Inode(edge.child);
                self.at = edge_or_end(first_entry(child));
                while matches!(self.at, At::End) {
                    if edge.next != 0 {
                        self.at = At::Edge(edge.next);
                    } else if edge.parent == self.root.0 {
                        break;
                    } else {
                        // A directory has one name.
                        edge = store.edges.get(store.node(Inode(edge.parent))?.names)?;
                    }
                }
                Some(child)
            }
        }
    }
}

impl Namespace {
    /// Counts a value of an inode, or of everything below it, that `value` finds.
    fn tally<V: Ord>(
        &self,
        inode: Inode,
        recursive: bool,
        value: impl Fn(&NodeRecord) -> Option<V>,
    ) -> Tally<V> {
        let mut files = BTreeMap::new();
        let mut directories = BTreeMap::new();
        let mut walk = Walk::new(inode, recursive);
        while let Some(inode) = walk.next(self) {
            if let Some(node) = self.store.node(inode)
                && let Some(value) = value(node)
            {
                let map = if node.is_dir() {
                    &mut directories
                } else {
                    &mut files
                };
                *map.entry(value).or_insert(0) += 1;
            }
        }
        Tally {
            files: files.into_iter().collect(),
            directories: directories.into_iter().collect(),
        }
    }

    /// A file or directory: 3 or 1.
    fn class_holder(&self, inode: Inode) -> Result<&NodeRecord, Status> {
        let node = self.node_or(inode)?;
        if has_class(node.kind()) {
            Ok(node)
        } else {
            Err(Status::Eperm)
        }
    }

    /// GETDIRSTATS (§15.5); a file gives its own values.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn dir_info(&self, inode: Inode) -> Result<DirInfo, Status> {
        let node = self.class_holder(inode)?;
        let stats = self.store.stats(node);
        Ok(DirInfo {
            inodes: stats.inodes,
            directories: stats.dirs,
            files: stats.files,
            chunks: stats.chunks,
            length: stats.length,
            size: stats.size,
            real_size: stats.real_size,
        })
    }
}

/// The answer to a set request: 1 when the only inode it was about was not permitted.
fn outcome(counts: Counts, recursive: bool) -> Result<Counts, Status> {
    if !recursive && counts.refused > 0 {
        return Err(Status::Eperm);
    }
    Ok(counts)
}

/// Whether the caller's session is one of an administrator.
fn is_admin(who: &Caller<'_>) -> bool {
    who.has(crate::caller::SessionRights::ADMIN)
}

#[cfg(test)]
mod tests;
