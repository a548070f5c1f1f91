//! Recomputing from scratch what is kept incrementally, to find out whether it is right.

use crate::Namespace;
use crate::acl::AclKind;
use crate::storage_class::ClassUses;
use crate::store::dirs::DirStats;
use crate::store::node::{NodeRecord, mark};
use crate::store::{SUSTAINED_BUCKETS, TRASH_BUCKETS};
use proto::{ChunkId, ClassId, Inode, NodeKind};
use std::collections::BTreeMap;

/// A contradiction inside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inconsistency {
    /// The names of an inode do not lead to it and back, or have the wrong number.
    Names(Inode),
    /// The entries of a directory do not lead to it and back, or have the wrong number.
    Entries(Inode),
    /// The entries of a directory are not in the order of their ids.
    EdgeOrder(Inode),
    /// An entry of a directory is not found by its name.
    Index(Inode),
    /// The link count of an inode.
    Links(Inode),
    /// The statistics of a directory.
    Stats(Inode),
    /// The directory record of a directory.
    DirRecord(Inode),
    /// An existing or freed number counts as free, or there is a freed number that exists.
    Number(Inode),
    /// Marks of attributes and ACLs.
    Marks(Inode),
    /// A detached file is not in its bucket.
    Bucket(Inode),
    /// References or class of a chunk.
    References(ChunkId),
    /// How often a class is used.
    ClassUses(ClassId),
    /// Numbers of inodes, names or records.
    Totals,
}

/// What walking over all inodes gathers.
#[derive(Default)]
struct Walk {
    found: Vec<Inconsistency>,
    /// References of each chunk by class.
    references: BTreeMap<u32, BTreeMap<ClassId, u32>>,
    uses: BTreeMap<ClassId, ClassUses>,
    entries: usize,
    detached: usize,
}

impl Namespace {
    /// Compares everything that is kept incrementally with what follows from the inodes, names and
    /// chunk lists. Takes time in proportion to the file system; meant for tests and tools.
    pub fn verify(&self) -> Vec<Inconsistency> {
        let mut walk = Walk::default();
        let mut totals = crate::store::Totals::default();
        for (inode, node) in self.store.inodes() {
            totals.inodes += 1;
            totals.by_kind[usize::from(node.kind().number())] += 1;
            match node.kind() {
                NodeKind::Trash => {
                    totals.trash_bytes = totals.trash_bytes.wrapping_add(node.file_length());
                }
                NodeKind::Sustained => {
                    totals.sustained_bytes =
                        totals.sustained_bytes.wrapping_add(node.file_length());
                }
                _ => {}
            }
            self.verify_node(inode, node, &mut walk);
        }
        for freed in &self.store.freed {
            if !self.used.is_taken(freed.inode.0) || self.store.node(freed.inode).is_some() {
                walk.found.push(Inconsistency::Number(freed.inode));
            }
        }
        let edges = walk.entries + walk.detached;
        if totals != self.store.totals
            || self.index.count() != walk.entries
            || self.store.edges.count() as usize != edges
            || self.store.dirs.count() != totals.by_kind[usize::from(NodeKind::Directory.number())]
        {
            walk.found.push(Inconsistency::Totals);
        }
        for class in (1..=u8::MAX).map(ClassId) {
            let uses = walk.uses.get(&class).copied().unwrap_or_default();
            if uses != self.classes.uses(class) {
                walk.found.push(Inconsistency::ClassUses(class));
            }
        }
        self.verify_chunks(&mut walk);
        walk.found
    }

    fn verify_node(&self, inode: Inode, node: &NodeRecord, walk: &mut Walk) {
        if !self.used.is_taken(inode.0) {
            walk.found.push(Inconsistency::Number(inode));
        }
        let mut marks = 0;
        for (present, bit) in [
            (self.xattrs.has(inode), mark::XATTR),
            (
                self.acls.get(inode, AclKind::Access).is_some(),
                mark::ACCESS_ACL,
            ),
            (
                self.acls.get(inode, AclKind::Default).is_some(),
                mark::DEFAULT_ACL,
            ),
        ] {
            marks |= if present { bit } else { 0 };
        }
        if [mark::XATTR, mark::ACCESS_ACL, mark::DEFAULT_ACL]
            .iter()
            .any(|&bit| node.is_marked(bit) != (marks & bit != 0))
        {
            walk.found.push(Inconsistency::Marks(inode));
        }
        if node.class != ClassId(0) {
            *walk.uses.entry(node.class).or_default().of(node.is_dir()) += 1;
        }
        if node.kind().has_data() {
            for (_, at) in self.store.slots.used_from(node.slots(), 0) {
                let classes = walk.references.entry(at).or_default();
                *classes.entry(node.class).or_default() += 1;
            }
        }
        self.verify_names(inode, node, walk);
        if node.is_dir() {
            self.verify_entries(inode, node, walk);
        }
        if node.kind().is_detached() {
            walk.detached += 1;
            let first = if node.is(NodeKind::Trash) {
                self.store.trash[inode.0 as usize % TRASH_BUCKETS]
            } else {
                self.store.sustained[inode.0 as usize % SUSTAINED_BUCKETS]
            };
            let mut bucket = self.store.entries_from(first);
            if !bucket.any(|(at, edge)| at == node.names && edge.child == inode.0) {
                walk.found.push(Inconsistency::Bucket(inode));
            }
        }
    }

    fn verify_names(&self, inode: Inode, node: &NodeRecord, walk: &mut Walk) {
        let mut newer = 0;
        let mut names = 0;
        let mut linked = true;
        for (at, edge) in self.store.names_of(inode) {
            linked &= edge.child == inode.0 && edge.child_prev == newer;
            newer = at;
            names += 1;
        }
        let expected = match node.kind() {
            NodeKind::Directory if inode == Inode::ROOT => 0,
            NodeKind::Directory | NodeKind::Trash | NodeKind::Sustained => 1,
            _ => node.links,
        };
        if !linked || names != expected {
            walk.found.push(Inconsistency::Names(inode));
        }
        let links = match node.kind() {
            NodeKind::Directory => {
                let children = self.store.entries(inode);
                2 + children
                    .filter(|(_, edge)| self.store.dir(Inode(edge.child)).is_some())
                    .count() as u32
            }
            kind if kind.is_detached() => 0,
            _ => names,
        };
        if links != node.links {
            walk.found.push(Inconsistency::Links(inode));
        }
    }

    fn verify_entries(&self, inode: Inode, node: &NodeRecord, walk: &mut Walk) {
        let mut before = 0;
        let mut last_id = 0;
        let mut count = 0;
        // Each directory is compared with its children only; all together that is the whole tree.
        let mut sum = DirStats::default();
        for (at, edge) in self.store.entries(inode) {
            sum = sum.plus(self.stats_of(Inode(edge.child)));
            if edge.parent != inode.0
                || edge.prev != before
                || !self
                    .store
                    .names_of(Inode(edge.child))
                    .any(|(other, _)| other == at)
            {
                walk.found.push(Inconsistency::Entries(inode));
            }
            if edge.edge_id < last_id {
                walk.found.push(Inconsistency::EdgeOrder(inode));
            }
            if self.find(inode, self.store.name(edge)) != Some(at) {
                walk.found.push(Inconsistency::Index(inode));
            }
            before = at;
            last_id = edge.edge_id;
            count += 1;
        }
        walk.entries += count as usize;
        let dir = self.store.dir(inode).copied().unwrap_or_default();
        if node.last_entry() != before || dir.entries != count {
            walk.found.push(Inconsistency::Entries(inode));
        }
        if dir.stats != sum {
            walk.found.push(Inconsistency::Stats(inode));
        }
        if dir.inode != inode.0 {
            walk.found.push(Inconsistency::DirRecord(inode));
        }
    }

    fn verify_chunks(&self, walk: &mut Walk) {
        for (at, record) in self.chunks.records.iter() {
            if record.id == ChunkId::HOLE {
                continue;
            }
            let counted: Vec<(ClassId, u32)> = walk
                .references
                .remove(&at)
                .unwrap_or_default()
                .into_iter()
                .collect();
            let total: u32 = counted.iter().map(|(_, count)| count).sum();
            if self.chunks.references(at) != counted
                || record.references != total
                || record.class != self.chunks.effective_class(at, &self.classes)
                || self.chunks.id_at(at) != record.id
            {
                walk.found.push(Inconsistency::References(record.id));
            }
        }
        if let Some((&at, _)) = walk.references.first_key_value() {
            walk.found
                .push(Inconsistency::References(self.chunks.id_at(at)));
        }
    }
}
