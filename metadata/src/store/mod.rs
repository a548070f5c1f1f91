//! Inodes, names, trash and freed numbers: the tree as records in pages.
//!
//! What is stored here is the whole persistent tree; a clone of [`Store`] is a frozen view of it. The
//! rules by which it changes are in [`crate::tree`] and the modules of the operations.

pub mod dirs;
pub mod edge;
pub mod index;
pub mod inode_map;
pub mod names;
pub mod node;
pub mod pages;
pub mod slots;

use dirs::{DirRecord, DirStats};
use edge::EdgeRecord;
use names::Names;
use node::NodeRecord;
use pages::{Pages, Slab};
use proto::{Inode, NodeKind};
use slots::SlotLists;

/// Buckets of the trash: inode modulo this.
pub const TRASH_BUCKETS: usize = 4096;
/// Buckets of sustained files.
pub const SUSTAINED_BUCKETS: usize = 256;
/// Longest path that is kept of a detached file, bytes.
pub const DETACHED_PATH_BYTES_MAX: usize = 1024;
/// Edge id that the first name of a new file system gets; later ones count down.
pub const FIRST_EDGE_ID: u64 = 0x7FFF_FFFF_FFFF_FFFE;

/// Bytes of a chunk.
pub const CHUNK_BYTES: u64 = 1 << 26;
/// Bytes of a block.
const BLOCK_BYTES: u64 = 1 << 16;
/// Bytes that a chunk file has before its data, counted in sizes.
const CHUNK_HEADER_BYTES: u64 = 8192;
/// What a full chunk counts in sizes, bytes.
pub const CHUNK_SIZE_BYTES: u64 = CHUNK_BYTES + CHUNK_HEADER_BYTES;

/// A number that must not be given again yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// The number.
    pub inode: Inode,
    /// Second since 1970 in which its inode was removed, or looked at last while still open.
    pub since: u32,
}

/// Numbers of inodes by kind, and bytes of detached files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All inodes.
    pub inodes: u32,
    /// Inodes of each kind, by its number.
    pub by_kind: [u32; 10],
    /// Length of the files in trash.
    pub trash_bytes: u64,
    /// Length of the sustained files.
    pub sustained_bytes: u64,
}

/// The tree, the trash, the sustained files, the freed numbers.
#[derive(Clone, Debug)]
pub struct Store {
    /// Inodes by number.
    pub nodes: Pages<NodeRecord, 256>,
    /// Names of inodes.
    pub edges: Slab<EdgeRecord, 256>,
    /// Bytes of names, paths and targets.
    pub names: Names,
    /// Directory records.
    pub dirs: Slab<DirRecord, 256>,
    /// Chunk lists of files.
    pub slots: SlotLists,
    /// First edge of each bucket of the trash.
    pub trash: Box<[u32; TRASH_BUCKETS]>,
    /// First edge of each bucket of sustained files.
    pub sustained: Box<[u32; SUSTAINED_BUCKETS]>,
    /// Numbers that must not be given again yet, oldest first.
    pub freed: imbl::Vector<Freed>,
    /// Id of the next name.
    pub next_edge_id: u64,
    /// Highest inode number ever used.
    pub max_inode: u32,
    /// Sums over all inodes.
    pub totals: Totals,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            nodes: Pages::default(),
            edges: Slab::default(),
            names: Names::default(),
            dirs: Slab::default(),
            slots: SlotLists::default(),
            trash: Box::new([0; TRASH_BUCKETS]),
            sustained: Box::new([0; SUSTAINED_BUCKETS]),
            freed: imbl::Vector::new(),
            next_edge_id: FIRST_EDGE_ID,
            max_inode: 0,
            totals: Totals::default(),
        }
    }
}

impl Store {
    /// An inode.
    #[inline]
    pub fn node(&self, inode: Inode) -> Option<&NodeRecord> {
        self.nodes
            .get(inode.0)
            .filter(|node| node.kind_if_used().is_some())
    }

    /// An inode, to be changed. Who changes what statistics count has to correct them.
    #[inline]
    pub fn node_mut(&mut self, inode: Inode) -> Option<&mut NodeRecord> {
        self.nodes
            .get_mut(inode.0)
            .filter(|node| node.kind_if_used().is_some())
    }

    /// Every inode, ascending.
    pub fn inodes(&self) -> impl Iterator<Item = (Inode, &NodeRecord)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.kind_if_used().is_some())
            .map(|(inode, node)| (Inode(inode), node))
    }

    /// The bytes of a name.
    #[inline]
    pub fn name(&self, edge: &EdgeRecord) -> &[u8] {
        self.names.get(edge.name, usize::from(edge.name_bytes))
    }

    /// The target of a symlink.
    pub fn target(&self, node: &NodeRecord) -> &[u8] {
        let (offset, bytes) = node.target();
        self.names.get(offset, bytes)
    }

    /// A chain of edges from one on.
    fn chain(
        &self,
        first: u32,
        next: impl Fn(&EdgeRecord) -> u32,
    ) -> impl Iterator<Item = (u32, &EdgeRecord)> {
        let mut at = first;
        std::iter::from_fn(move || {
            let edge = self.edges.get(at).filter(|_| at != 0)?;
            let found = (at, edge);
            at = next(edge);
            Some(found)
        })
    }

    /// Entries of a directory, newest first; nothing for other inodes.
    pub fn entries(&self, inode: Inode) -> impl Iterator<Item = (u32, &EdgeRecord)> {
        let first = self.node(inode).filter(|node| node.is_dir());
        self.entries_from(first.map_or(0, NodeRecord::first_entry))
    }

    /// An edge and those behind it in its directory or bucket.
    pub fn entries_from(&self, edge: u32) -> impl Iterator<Item = (u32, &EdgeRecord)> {
        self.chain(edge, |edge| edge.next)
    }

    /// Names of an inode, newest first.
    pub fn names_of(&self, inode: Inode) -> impl Iterator<Item = (u32, &EdgeRecord)> {
        let first = self.node(inode).map_or(0, |node| node.names);
        self.chain(first, |edge| edge.child_next)
    }

    /// The directory that holds the newest name of an inode; `None` for the root and detached files.
    pub fn first_parent(&self, inode: Inode) -> Option<Inode> {
        let edge = self.edges.get(self.node(inode)?.names)?;
        (edge.parent != 0).then_some(Inode(edge.parent))
    }

    /// A directory and all above it.
    pub fn with_ancestors(&self, directory: Inode) -> impl Iterator<Item = Inode> {
        std::iter::successors(Some(directory), |&inode| self.first_parent(inode))
    }

    /// Whether `above` is the directory `inode` or above it.
    pub fn is_within(&self, inode: Inode, above: Inode) -> bool {
        self.with_ancestors(inode).any(|each| each == above)
    }

    /// The directory record of a directory.
    pub fn dir(&self, inode: Inode) -> Option<&DirRecord> {
        let node = self.node(inode).filter(|node| node.is_dir())?;
        self.dirs.get(node.dir())
    }

    /// Path of a name below `root`, without leading slash; the end of it when it is longer than
    /// `bytes_max`. `None` when it does not lead to `root`.
    pub fn path(&self, edge: &EdgeRecord, root: Inode, bytes_max: usize) -> Option<Vec<u8>> {
        let mut parts = vec![self.name(edge)];
        let mut bytes = parts[0].len();
        let mut directory = Inode(edge.parent);
        while directory != root {
            let edge = self.edges.get(self.node(directory)?.names)?;
            if edge.child != directory.0 {
                return None;
            }
            parts.push(self.name(edge));
            bytes += 1 + self.name(edge).len();
            directory = Inode(edge.parent);
        }
        parts.reverse();
        let mut path = parts.join(&b'/');
        path.drain(..bytes.saturating_sub(bytes_max));
        Some(path)
    }

    /// Statistics of a file with this length and chunk list.
    fn file_stats(slots: &SlotLists, node: &NodeRecord) -> DirStats {
        let (length, word) = (node.file_length(), node.slots());
        let chunks = slots.used(word);
        let last_slot = (length / CHUNK_BYTES).min(u64::from(u32::MAX)) as u32;
        let rest = length % CHUNK_BYTES;
        let mut behind = 0;
        let mut last = false;
        for (index, _) in slots.used_from(word, last_slot) {
            if index == last_slot && (rest > 0 || length == 0) {
                last = true;
            } else {
                behind += 1;
            }
        }
        let full = u64::from(chunks - behind - u32::from(last));
        let partial = rest.next_multiple_of(BLOCK_BYTES) + CHUNK_HEADER_BYTES;
        let size = full * CHUNK_SIZE_BYTES + if last { partial } else { 0 };
        DirStats {
            inodes: 1,
            dirs: 0,
            files: 1,
            chunks,
            length,
            size,
            real_size: size * u64::from(node.counted_copies()),
        }
    }

    /// What one name of an inode adds to the statistics of the directories above.
    pub fn stats(&self, node: &NodeRecord) -> DirStats {
        if node.is_dir() {
            let below = self.dirs.get(node.dir()).map(|dir| dir.stats);
            return below.unwrap_or_default().plus(DirStats {
                inodes: 1,
                dirs: 1,
                ..DirStats::default()
            });
        }
        Store::leaf_stats(&self.slots, node)
    }

    /// The same of an inode that is no directory: these need nothing but its chunk list.
    pub(crate) fn leaf_stats(slots: &SlotLists, node: &NodeRecord) -> DirStats {
        match node.kind() {
            NodeKind::File | NodeKind::Trash | NodeKind::Sustained => {
                Store::file_stats(slots, node)
            }
            NodeKind::Directory => DirStats::default(),
            NodeKind::Symlink => DirStats {
                inodes: 1,
                length: node.target().1 as u64,
                ..DirStats::default()
            },
            NodeKind::Fifo | NodeKind::BlockDevice | NodeKind::CharDevice | NodeKind::Socket => {
                DirStats {
                    inodes: 1,
                    ..DirStats::default()
                }
            }
        }
    }
}
