//! Totals.

use crate::quota::Space;
use crate::{Caller, Namespace};
use proto::{Inode, NodeKind};

/// The namespace's part of STATFS (wire-client-master §19.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatfsUsage {
    /// Bytes of files in trash, for sessions at the root of the file system.
    pub trash_space: u64,
    /// Bytes of sustained files, likewise.
    pub sustained_space: u64,
    /// Inodes below the session's root, itself included.
    pub inodes: u32,
}

/// Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All inodes.
    pub inodes: u32,
    /// Directories.
    pub dirs: u32,
    /// Files, those in trash and the sustained ones included.
    pub files: u32,
    /// Chunk records.
    pub chunks: u32,
    /// Files in trash.
    pub trash_files: u32,
    /// Their length, bytes.
    pub trash_space: u64,
    /// Sustained files.
    pub sustained_files: u32,
    /// Their length, bytes.
    pub sustained_space: u64,
}

impl Namespace {
    /// Space and inodes that STATFS shows to the caller.
    pub fn statfs_usage(&self, who: &Caller) -> StatfsUsage {
        let totals = &self.store.totals;
        if who.root == Inode(0) {
            return StatfsUsage::default();
        }
        let is_whole = who.root == Inode::ROOT;
        StatfsUsage {
            trash_space: if is_whole { totals.trash_bytes } else { 0 },
            sustained_space: if is_whole { totals.sustained_bytes } else { 0 },
            inodes: self
                .store
                .dir(who.root)
                .map_or(0, |dir| dir.stats.inodes.wrapping_add(1)),
        }
    }

    /// The space as quotas of the session's root and of all directories above it leave it
    /// (master-behaviour §12.4).
    pub fn narrow_space(&self, who: &Caller, space: Space) -> Space {
        if self.quotas.is_empty() || who.root == Inode(0) {
            return space;
        }
        let directories = self.store.with_ancestors(who.root);
        directories.fold(space, |space, inode| {
            self.quotas
                .narrow(inode, |inode| self.usage_below(inode), space)
        })
    }

    /// Totals.
    pub fn counts(&self) -> Counts {
        let totals = &self.store.totals;
        let of = |kind: NodeKind| totals.by_kind[usize::from(kind.number())];
        let (trash, sustained) = (of(NodeKind::Trash), of(NodeKind::Sustained));
        Counts {
            inodes: totals.inodes,
            dirs: of(NodeKind::Directory),
            files: of(NodeKind::File) + trash + sustained,
            chunks: self.chunks.len(),
            trash_files: trash,
            trash_space: totals.trash_bytes,
            sustained_files: sustained,
            sustained_space: totals.sustained_bytes,
        }
    }

    /// Brings the real sizes of directories in line with storage classes that were changed: looks at
    /// `budget` inode numbers from `from` on. The number to go on with; `None` at the end.
    ///
    /// Until this walk comes by, a file counts with the copies that its class asked for before
    /// (master-behaviour §4.2). No line is written: replicas walk for themselves.
    pub fn refresh_real_sizes(&mut self, from: Inode, budget: u32) -> Option<Inode> {
        let end = from.0.saturating_add(budget);
        for inode in (from.0..end).map(Inode) {
            let Some(node) = self.store.node(inode).filter(|node| node.kind().has_data()) else {
                continue;
            };
            let copies = self.classes.counted_copies(node.class);
            if node.counted_copies() == copies {
                continue;
            }
            let before = self.store.stats(node);
            if let Some(node) = self.store.node_mut(inode) {
                node.set_counted_copies(copies);
            }
            self.correct_stats(inode, before);
        }
        (end <= self.store.max_inode).then_some(Inode(end))
    }

    /// Highest inode number ever used.
    pub fn max_inode(&self) -> u32 {
        self.store.max_inode
    }
}
