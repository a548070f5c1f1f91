//! EDGE: names. The entries of a directory follow each other, so that a directory is looked up
//! once; the index of names and the statistics above the directories are made afterwards.

use super::{Loader, Outcome};
use crate::image::{Problem, problem::Edge};
use crate::store::dirs::DirStats;
use crate::store::edge::EdgeRecord as Stored;
use crate::store::names;
use crate::store::node::NodeRecord as Node;
use crate::store::pages::Exclusive;
use crate::store::{DETACHED_PATH_BYTES_MAX, FIRST_EDGE_ID, Store};
use proto::changelog::NAME_BYTES_MAX;
use proto::image::{EdgeRecord, decode_edge_header};
use proto::{Inode, NodeKind};
use std::borrow::Cow;

/// What is remembered about all names until the file has been read.
#[derive(Debug, Default)]
pub(super) struct EdgesSeen {
    /// The entries of a directory had no ascending ids.
    pub(super) unordered: bool,
    /// Hash and edge of every name in a directory.
    pub(super) hashes: Vec<(u64, u32)>,
    /// Parent and child of every directory but the root.
    pub(super) directories: Vec<(u32, u32)>,
    /// Names whose directory does not exist: they go to the root.
    pub(super) stray: Vec<(Inode, Box<[u8]>)>,
}

/// The directory whose entries are being read.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    parent: Inode,
    /// What its entries add to it so far.
    stats: DirStats,
    entries: u32,
    subdirectories: u32,
    first: u32,
    last: u32,
    last_id: u64,
}

/// Names that are stored together: the records and texts that follow each other are written a page at
/// a time.
#[derive(Debug, Default)]
struct Batch {
    edges: Vec<Stored>,
    names: names::Batch,
}

/// Records that are collected.
const BATCH: usize = 512;

impl Batch {
    /// The record of an edge that may not have been written yet.
    fn get_mut<'b>(&'b mut self, store: &'b mut Store, at: u32) -> Option<&'b mut Stored> {
        match at.checked_sub(store.edges.bound()) {
            Some(place) => self.edges.get_mut(place as usize),
            None => store.edges.get_mut(at),
        }
    }

    /// Adds a record; where it will be.
    #[inline]
    fn insert(&mut self, store: &mut Store, name: &[u8], mut edge: Stored) -> Option<u32> {
        if self.edges.len() >= BATCH {
            self.flush(store)?;
        }
        edge.name = self.names.insert(&mut store.names, name)?;
        let at = store.edges.bound().checked_add(self.edges.len() as u32)?;
        self.edges.push(edge);
        Some(at)
    }

    fn flush(&mut self, store: &mut Store) -> Option<()> {
        store.edges.append(&self.edges)?;
        self.edges.clear();
        self.names.flush(&mut store.names)
    }
}

/// All inodes, see [`crate::store::pages::Pages::exclusive`].
type NodePages<'p> = Exclusive<'p, Node, 256>;

/// An inode that exists.
#[inline]
fn node_in<'p>(pages: &'p mut NodePages<'_>, inode: Inode) -> Option<&'p mut Node> {
    pages
        .get_mut(inode.0)
        .filter(|node| node.kind_if_used().is_some())
}

/// The last bytes of a name that is too long.
fn cut(name: &[u8], max: usize) -> &[u8] {
    &name[name.len().saturating_sub(max)..]
}

/// The record of an entry behind `prev`, whose name has no place yet.
fn stored(edge: &EdgeRecord<'_>, name: &[u8], prev: u32) -> Stored {
    Stored {
        edge_id: edge.edge_id,
        parent: edge.parent.0,
        child: edge.child.0,
        prev,
        // At most 255.
        name_bytes: name.len() as u16,
        ..Stored::default()
    }
}

fn shown(edge: &EdgeRecord<'_>) -> Edge {
    Edge {
        parent: edge.parent,
        child: edge.child,
        name: edge.name.into(),
    }
}

impl<'a> Loader<'a> {
    pub(super) fn edges(&mut self, version: u8) -> Outcome<()> {
        let next_edge = decode_edge_header(&mut self.reader, version)?;
        if next_edge.is_none() {
            self.edges.unordered = true;
        }
        // Above the first: new entries get 0 until the numbers are given anew.
        self.namespace.store.next_edge_id = next_edge.unwrap_or(FIRST_EDGE_ID + 1);
        let inodes = self.namespace.store.totals.inodes as usize;
        self.edges.hashes = self.ahead.take(&mut self.namespace.store);
        self.edges.hashes.reserve(inodes);
        let mut nodes = std::mem::take(&mut self.namespace.store.nodes);
        let mut pages = nodes.exclusive();
        let mut group = Group::default();
        let mut batch = Batch::default();
        let mut detached = Vec::new();
        while let Some(edge) = self.next(|reader| EdgeRecord::decode(reader, version))? {
            let name = self.name_of(&edge)?;
            if edge.parent == Inode(0) {
                detached.push((edge, name, self.record));
            } else {
                self.edge(edge, &name, &mut group, &mut pages, &mut batch)?;
            }
        }
        let written = batch.flush(&mut self.namespace.store);
        written.ok_or(Problem::OutOfMemory)?;
        self.close_group(&group, &mut pages);
        self.namespace.store.nodes = nodes;
        self.namespace.store.edges.drop_unused();
        self.namespace.store.names.drop_unused();
        for (edge, name, record) in detached {
            self.record = record;
            self.detached_edge(edge, &name)?;
        }
        Ok(())
    }

    /// The name, replaced when there is none, and cut when it is too long.
    #[inline]
    fn name_of(&mut self, edge: &EdgeRecord<'a>) -> Outcome<Cow<'a, [u8]>> {
        if edge.name.is_empty() {
            self.problem(Problem::EdgeEmptyName(shown(edge)))?;
            return Ok(Cow::Owned(format!("(empty {})", edge.child).into_bytes()));
        }
        let max = if edge.parent == Inode(0) {
            DETACHED_PATH_BYTES_MAX
        } else {
            NAME_BYTES_MAX
        };
        if edge.name.len() > max {
            self.problem(Problem::EdgeNameTooLong(shown(edge)))?;
        }
        Ok(Cow::Borrowed(cut(edge.name, max)))
    }

    fn detached_edge(&mut self, edge: EdgeRecord<'_>, name: &[u8]) -> Outcome<()> {
        let Some(child) = self.namespace.store.node(edge.child) else {
            return self.problem(Problem::EdgeNoChild(shown(&edge)));
        };
        if !child.kind().is_detached() {
            return self.problem(Problem::EdgeNotDetached(shown(&edge)));
        }
        if child.names != 0 {
            return self.problem(Problem::EdgeRepeated(shown(&edge)));
        }
        self.namespace
            .attach_detached(edge.child, name, edge.edge_id)
            .map_err(|_| Problem::OutOfMemory)
    }

    #[inline]
    fn edge(
        &mut self,
        edge: EdgeRecord<'_>,
        name: &[u8],
        group: &mut Group,
        pages: &mut NodePages<'_>,
        batch: &mut Batch,
    ) -> Outcome<()> {
        let Some(child) = node_in(pages, edge.child) else {
            return self.problem(Problem::EdgeNoChild(shown(&edge)));
        };
        if child.is_dir() && (child.names != 0 || edge.child == Inode::ROOT) {
            return self.problem(Problem::EdgeSecondOfDirectory(shown(&edge)));
        }
        if child.kind().is_detached() {
            return self.problem(Problem::EdgeDetached(shown(&edge)));
        }
        if edge.parent != group.parent {
            self.close_group(group, pages);
            *group = Group::default();
            if !self.open_group(&edge, group, pages, batch)? {
                self.edges.stray.push((edge.child, name.into()));
                return Ok(());
            }
        }
        if edge.edge_id <= group.last_id && group.last != 0 || edge.edge_id == 0 {
            self.edges.unordered = true;
        }
        group.last_id = edge.edge_id;
        let stored = stored(&edge, name, group.last);
        let store = &mut self.namespace.store;
        let at = batch.insert(store, name, stored);
        let at = at.ok_or(Problem::OutOfMemory)?;
        if group.last == 0 {
            group.first = at;
        } else if let Some(last) = batch.get_mut(store, group.last) {
            last.next = at;
        }
        let hash = self.namespace.index.hash(edge.parent.0, name);
        self.edges.hashes.push((hash, at));
        group.last = at;
        group.entries += 1;
        if let Some(child) = node_in(pages, edge.child) {
            if child.names != 0 {
                let written = batch.flush(&mut self.namespace.store);
                written.ok_or(Problem::OutOfMemory)?;
            }
            let (stats, is_dir) = self.name_child(at, &edge, child);
            group.stats = group.stats.plus(stats);
            group.subdirectories += u32::from(is_dir);
        }
        Ok(())
    }

    /// Begins the entries of a directory; `false` when there is no such directory.
    fn open_group(
        &mut self,
        edge: &EdgeRecord<'_>,
        group: &mut Group,
        pages: &mut NodePages<'_>,
        batch: &mut Batch,
    ) -> Outcome<bool> {
        let Some(parent) = node_in(pages, edge.parent) else {
            self.problem(Problem::EdgeNoParent(shown(edge)))?;
            return Ok(false);
        };
        if parent.kind() != NodeKind::Directory {
            self.problem(Problem::EdgeParentNotDirectory(shown(edge)))?;
            return Ok(false);
        }
        group.parent = edge.parent;
        (group.first, group.last) = (parent.first_entry(), parent.last_entry());
        if group.last != 0 {
            let last = batch.get_mut(&mut self.namespace.store, group.last);
            group.last_id = last.map_or(0, |last| last.edge_id);
            self.problem(Problem::EdgeSequence(shown(edge)))?;
        }
        Ok(true)
    }

    /// Writes down what the entries of a directory mean for it.
    fn close_group(&mut self, group: &Group, pages: &mut NodePages<'_>) {
        let Some(parent) = node_in(pages, group.parent) else {
            return;
        };
        parent.set_first_entry(group.first);
        parent.set_last_entry(group.last);
        parent.links += group.subdirectories;
        let dir = parent.dir();
        if let Some(record) = self.namespace.store.dirs.get_mut(dir) {
            record.entries += group.entries;
            record.stats = record.stats.plus(group.stats);
        }
    }

    fn store_edge(&mut self, edge: &EdgeRecord<'_>, name: &[u8], prev: u32) -> Outcome<u32> {
        let namespace = &mut self.namespace;
        let text = namespace.store.names.insert(name);
        let stored = Stored {
            name: text.ok_or(Problem::OutOfMemory)?,
            ..stored(edge, name, prev)
        };
        let hash = namespace.index.hash(edge.parent.0, name);
        let at = namespace.store.edges.insert(stored);
        let at = at.ok_or(Problem::OutOfMemory)?;
        self.edges.hashes.push((hash, at));
        Ok(at)
    }

    /// Puts names into the index that come after it has been filled.
    fn index_late_names(&mut self) {
        for (hash, at) in self.edges.hashes.drain(..) {
            self.namespace.index.insert(hash, at);
        }
    }

    /// Links a name to its inode: what the inode adds to the directory itself, and whether it is a
    /// directory, whose own content is added later.
    #[inline]
    fn name_child(&mut self, at: u32, edge: &EdgeRecord<'_>, node: &mut Node) -> (DirStats, bool) {
        let store = &mut self.namespace.store;
        let older = std::mem::replace(&mut node.names, at);
        let is_dir = node.is_dir();
        let mut stats = DirStats::default();
        if is_dir {
            self.edges.directories.push((edge.parent.0, edge.child.0));
        } else {
            node.links += 1;
            stats = Store::leaf_stats(&store.slots, node);
        }
        if older != 0 {
            if let Some(record) = store.edges.get_mut(at) {
                record.child_next = older;
            }
            if let Some(record) = store.edges.get_mut(older) {
                record.child_prev = at;
            }
        }
        (stats, is_dir)
    }

    /// Gives an inode a name at the front of the root directory.
    pub(super) fn attach_to_root(&mut self, name: &[u8], child: Inode) -> Outcome<()> {
        let store = &mut self.namespace.store;
        let edge_id = store.next_edge_id;
        store.next_edge_id = edge_id.saturating_sub(1);
        let edge = EdgeRecord {
            parent: Inode::ROOT,
            child,
            edge_id,
            name,
        };
        let at = self.store_edge(&edge, name, 0)?;
        self.index_late_names();
        let node = self.namespace.store.node(child).copied();
        let mut node = node.ok_or(Problem::Orphan(child))?;
        let (stats, is_dir) = self.name_child(at, &edge, &mut node);
        let store = &mut self.namespace.store;
        *store.nodes.slot(child.0) = node;
        let root = store.node_mut(Inode::ROOT).ok_or(Problem::RootMissing)?;
        let next = root.first_entry();
        root.set_first_entry(at);
        if next == 0 {
            root.set_last_entry(at);
        }
        root.links += u32::from(is_dir);
        let dir = root.dir();
        if let Some(record) = store.dirs.get_mut(dir) {
            record.entries += 1;
            record.stats = record.stats.plus(stats);
        }
        if let Some(record) = store.edges.get_mut(at) {
            record.next = next;
        }
        if let Some(record) = store.edges.get_mut(next).filter(|_| next != 0) {
            record.prev = at;
        }
        Ok(())
    }
}
