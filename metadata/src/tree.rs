//! How inodes and names change: the steps of which operations are made. Each keeps links both ways,
//! link counts, the name index, the statistics of all directories above, class and chunk references.
//! Nothing here tests permissions or writes lines.

use crate::acl::AclKind;
use crate::event::Event;
use crate::store::dirs::{DirRecord, DirStats};
use crate::store::edge::EdgeRecord;
use crate::store::node::{NodeRecord, eattr, mark};
use crate::store::{DETACHED_PATH_BYTES_MAX, Freed, SUSTAINED_BUCKETS, TRASH_BUCKETS};
use crate::{Namespace, Tx};
use proto::{ClassId, Inode, NodeKind, Status};
use std::sync::Arc;

/// Hours in trash of inodes that do not inherit theirs.
pub const TRASH_HOURS_DEFAULT: u16 = 24;

/// What a new inode is made from.
#[derive(Clone, Copy, Debug)]
pub struct NewInode {
    /// Kind.
    pub kind: NodeKind,
    /// Requested mode.
    pub mode: u16,
    /// Taken off the mode, unless the directory has a default ACL.
    pub umask: u16,
    /// Owner.
    pub uid: u32,
    /// Group, unless the directory imposes its own.
    pub gid: u32,
}

impl Namespace {
    /// The edge of a name in a directory.
    #[inline]
    pub(crate) fn find(&self, parent: Inode, name: &[u8]) -> Option<u32> {
        self.index.find(self.index.hash(parent.0, name), |edge| {
            self.store.edges.get(edge).is_some_and(|edge| {
                edge.parent == parent.0
                    && usize::from(edge.name_bytes) == name.len()
                    && self.store.name(edge) == name
            })
        })
    }

    /// What has a name in a directory.
    #[inline]
    pub(crate) fn child(&self, parent: Inode, name: &[u8]) -> Option<Inode> {
        let edge = self.store.edges.get(self.find(parent, name)?)?;
        Some(Inode(edge.child))
    }

    /// An inode or 3.
    #[inline]
    pub(crate) fn node_or(&self, inode: Inode) -> Result<&NodeRecord, Status> {
        self.store.node(inode).ok_or(Status::Enoent)
    }

    /// An inode to be changed, or 3.
    #[inline]
    pub(crate) fn node_mut(&mut self, inode: Inode) -> Result<&mut NodeRecord, Status> {
        self.store.node_mut(inode).ok_or(Status::Enoent)
    }

    /// A file in the tree, in trash or sustained; 3 or 1.
    pub(crate) fn file_or(&self, inode: Inode) -> Result<&NodeRecord, Status> {
        let node = self.node_or(inode)?;
        if node.kind().has_data() {
            Ok(node)
        } else {
            Err(Status::Eperm)
        }
    }

    /// Adds a difference to the statistics of a directory and of all above it.
    pub(crate) fn add_stats(&mut self, directory: Inode, difference: DirStats) {
        let mut at = Some(directory);
        while let Some(inode) = at {
            let Some(node) = self.store.node(inode).filter(|node| node.is_dir()) else {
                return;
            };
            let (dir, names) = (node.dir(), node.names);
            if let Some(record) = self.store.dirs.get_mut(dir) {
                record.stats = record.stats.plus(difference);
            }
            let edge = self.store.edges.get(names).filter(|_| names != 0);
            at = edge.map(|edge| Inode(edge.parent));
        }
    }

    /// What an inode adds to the directories above it, before something changes that.
    pub(crate) fn stats_of(&self, inode: Inode) -> DirStats {
        let node = self.store.node(inode);
        node.map_or(DirStats::default(), |node| self.store.stats(node))
    }

    /// Corrects the statistics above an inode that counted `before`, once for each of its names.
    pub(crate) fn correct_stats(&mut self, inode: Inode, before: DirStats) {
        let Some(node) = self.store.node(inode) else {
            return;
        };
        let (kind, mut names) = (node.kind(), node.names);
        let difference = self.store.stats(node).minus(before);
        if difference == DirStats::default() {
            return;
        }
        let totals = &mut self.store.totals;
        match kind {
            NodeKind::Trash => {
                totals.trash_bytes = totals.trash_bytes.wrapping_add(difference.length);
            }
            NodeKind::Sustained => {
                totals.sustained_bytes = totals.sustained_bytes.wrapping_add(difference.length);
            }
            _ => {
                while let Some(edge) = self.store.edges.get(names).filter(|_| names != 0) {
                    let parent = Inode(edge.parent);
                    names = edge.child_next;
                    self.add_stats(parent, difference);
                }
            }
        }
    }

    /// Counts an inode in or out of the totals of its kind.
    fn count_kind(&mut self, kind: NodeKind, length: u64, add: bool) {
        let totals = &mut self.store.totals;
        let count = &mut totals.by_kind[usize::from(kind.number())];
        let (one, length) = if add {
            (1, length)
        } else {
            (1u32.wrapping_neg(), length.wrapping_neg())
        };
        *count = count.wrapping_add(one);
        match kind {
            NodeKind::Trash => totals.trash_bytes = totals.trash_bytes.wrapping_add(length),
            NodeKind::Sustained => {
                totals.sustained_bytes = totals.sustained_bytes.wrapping_add(length);
            }
            _ => {}
        }
    }

    /// Turns a file in the tree into one in trash or a sustained one, or back.
    pub(crate) fn change_kind(&mut self, inode: Inode, kind: NodeKind) {
        if let Some(node) = self.store.node_mut(inode) {
            let (old, length) = (node.kind(), node.file_length());
            node.set_kind(kind);
            self.count_kind(old, length, false);
            self.count_kind(kind, length, true);
        }
    }

    /// Stores an inode under a number that is not in use. A directory gets its directory record.
    ///
    /// # Errors
    /// 9: no room.
    pub(crate) fn store_inode(&mut self, inode: Inode, node: NodeRecord) -> Result<(), Status> {
        let mut node = node;
        let kind = node.kind();
        if kind == NodeKind::Directory {
            let record = DirRecord {
                inode: inode.0,
                ..DirRecord::default()
            };
            let dir = self.store.dirs.insert(record).ok_or(Status::OutOfMemory)?;
            node.set_dir(dir);
        }
        if node.class != ClassId(0) {
            self.classes.add_use(node.class, node.is_dir());
        }
        node.set_counted_copies(self.classes.counted_copies(node.class));
        let length = if kind.has_data() {
            node.file_length()
        } else {
            0
        };
        *self.store.nodes.slot(inode.0) = node;
        self.used.take(inode.0);
        self.store.max_inode = self.store.max_inode.max(inode.0);
        self.store.totals.inodes += 1;
        self.count_kind(kind, length, true);
        Ok(())
    }

    /// Makes an inode without a name below `parent` (metadata-and-changelog §3.4, "new inode").
    ///
    /// # Errors
    /// 3 no such directory, 9 no room, 21 no number left.
    pub(crate) fn new_inode(
        &mut self,
        now: u32,
        parent: Inode,
        new: NewInode,
    ) -> Result<Inode, Status> {
        let above = *self.node_or(parent)?;
        let inode = Inode(self.used.take_lowest().ok_or(Status::NoSpace)?);
        let mut node = NodeRecord::new(new.kind, new.mode & !new.umask);
        let default = above
            .is_marked(mark::DEFAULT_ACL)
            .then(|| self.acls.get(parent, AclKind::Default).cloned())
            .flatten();
        let mut marks = 0;
        if let Some(default) = default {
            let inherited = default.inherit(new.mode);
            node.set_mode(inherited.mode);
            if let Some(access) = inherited.access {
                self.acls.set(inode, AclKind::Access, Arc::new(access));
                marks |= mark::ACCESS_ACL;
            }
            if new.kind == NodeKind::Directory {
                self.acls.set(inode, AclKind::Default, default);
                marks |= mark::DEFAULT_ACL;
            }
        }
        node.set_marks(marks);
        node.uid = new.uid;
        node.gid = if above.mode() & 0o2000 != 0 {
            above.gid
        } else {
            new.gid
        };
        node.trash_hours = TRASH_HOURS_DEFAULT;
        if matches!(new.kind, NodeKind::File | NodeKind::Directory) {
            node.class = above.class;
            node.trash_hours = above.trash_hours;
        }
        node.eattr = above.eattr
            & !(eattr::SNAPSHOT | eattr::UNDELETABLE | eattr::APPEND_ONLY | eattr::IMMUTABLE);
        if new.kind == NodeKind::Directory {
            node.links = 2;
        } else {
            node.eattr &= !eattr::NO_ENTRY_CACHE;
        }
        (node.atime, node.mtime, node.ctime) = (now, now, now);
        match self.store_inode(inode, node) {
            Ok(()) => {
                if self.older.is_some() && node.class != ClassId(0) {
                    self.copy_trash_seconds(parent, inode);
                }
                Ok(inode)
            }
            Err(status) => {
                self.acls.remove_all(inode);
                self.used.free(inode.0);
                Err(status)
            }
        }
    }

    /// Takes back an inode that was made and got no name.
    pub(crate) fn discard_inode(&mut self, inode: Inode) {
        self.clear_inode(inode);
        self.used.free(inode.0);
    }

    /// A new name in the arena and a new edge that is not linked yet.
    fn new_edge(&mut self, edge: EdgeRecord, name: &[u8]) -> Result<u32, Status> {
        let offset = self.store.names.insert(name).ok_or(Status::OutOfMemory)?;
        let edge = EdgeRecord {
            name: offset,
            name_bytes: name.len() as u16,
            ..edge
        };
        let inserted = self.store.edges.insert(edge);
        if inserted.is_none() {
            self.store.names.remove(offset, name.len());
        }
        inserted.ok_or(Status::OutOfMemory)
    }

    /// Takes the next edge id.
    fn take_edge_id(&mut self) -> u64 {
        let id = self.store.next_edge_id;
        if id > crate::store::FIRST_EDGE_ID {
            return 0;
        }
        self.store.next_edge_id = id - 1;
        id
    }

    fn edge_mut(&mut self, edge: u32) -> Option<&mut EdgeRecord> {
        self.store.edges.get_mut(edge).filter(|_| edge != 0)
    }

    /// Puts an edge at the front of the names of its child.
    fn link_child(&mut self, edge: u32, child: Inode) {
        let Some(node) = self.store.node_mut(child) else {
            return;
        };
        let older = std::mem::replace(&mut node.names, edge);
        if let Some(record) = self.edge_mut(older) {
            record.child_prev = edge;
        }
        if let Some(record) = self.edge_mut(edge) {
            record.child_next = older;
            record.child_prev = 0;
        }
    }

    fn unlink_child(&mut self, edge: &EdgeRecord) {
        if let Some(record) = self.edge_mut(edge.child_next) {
            record.child_prev = edge.child_prev;
        }
        match self.edge_mut(edge.child_prev) {
            Some(record) => record.child_next = edge.child_next,
            None => {
                if let Some(node) = self.store.node_mut(Inode(edge.child)) {
                    node.names = edge.child_next;
                }
            }
        }
    }

    /// Gives an inode a name at the front of a directory (metadata-and-changelog §3.4, "attach").
    /// The caller has made sure that the name is free and the parent is a directory.
    ///
    /// # Errors
    /// 9: no room. Nothing is changed then.
    pub(crate) fn attach(
        &mut self,
        now: u32,
        parent: Inode,
        name: &[u8],
        child: Inode,
    ) -> Result<(), Status> {
        let edge = EdgeRecord {
            edge_id: self.store.next_edge_id,
            parent: parent.0,
            child: child.0,
            ..EdgeRecord::default()
        };
        let at = self.new_edge(edge, name)?;
        let edge_id = self.take_edge_id();
        let directory = self.node_mut(parent)?;
        directory.touch(now);
        directory.eattr &= !eattr::SNAPSHOT;
        let first = directory.first_entry();
        directory.set_first_entry(at);
        if first == 0 {
            directory.set_last_entry(at);
        }
        if let Some(record) = self.edge_mut(first) {
            record.prev = at;
        }
        if let Some(record) = self.edge_mut(at) {
            record.next = first;
            record.edge_id = edge_id;
        }
        self.node_mut(child)?.ctime = now;
        self.enter(at, parent, name, child);
        Ok(())
    }

    /// Makes a name in a directory known everywhere but in the chain of the directory.
    fn enter(&mut self, edge: u32, parent: Inode, name: &[u8], child: Inode) {
        self.link_child(edge, child);
        let hash = self.index.hash(parent.0, name);
        self.index.insert(hash, edge);
        self.count_name(parent, child, true);
    }

    /// Counts a name in or out: link counts, entries, statistics above.
    fn count_name(&mut self, parent: Inode, child: Inode, add: bool) {
        let Some(node) = self.store.node_mut(child) else {
            return;
        };
        let one = if add { 1 } else { 1u32.wrapping_neg() };
        let is_dir = node.is_dir();
        if !is_dir {
            node.links = node.links.wrapping_add(one);
        }
        let node = *node;
        let stats = self.store.stats(&node);
        if let Some(directory) = self.store.node_mut(parent) {
            if is_dir {
                directory.links = directory.links.wrapping_add(one);
            }
            let dir = directory.dir();
            if let Some(record) = self.store.dirs.get_mut(dir) {
                record.entries = record.entries.wrapping_add(one);
            }
        }
        let difference = if add {
            stats
        } else {
            DirStats::default().minus(stats)
        };
        self.add_stats(parent, difference);
    }

    /// Removes a name (metadata-and-changelog §3.4, "detach"). What had it keeps existing.
    pub(crate) fn detach(&mut self, now: u32, at: u32) {
        let Some(&edge) = self.store.edges.get(at) else {
            return;
        };
        let (parent, child) = (Inode(edge.parent), Inode(edge.child));
        let hash = self.index.hash(edge.parent, self.store.name(&edge));
        self.index.remove(hash, at);
        self.count_name(parent, child, false);
        if let Some(directory) = self.unchain(&edge) {
            directory.touch(now);
            directory.eattr &= !eattr::SNAPSHOT;
        }
        if let Some(node) = self.store.node_mut(child) {
            node.ctime = now;
        }
        self.free_edge(at, &edge);
    }

    /// Takes an edge out of the lists of its child and of its directory, which is given back.
    fn unchain(&mut self, edge: &EdgeRecord) -> Option<&mut NodeRecord> {
        self.unlink_child(edge);
        if let Some(record) = self.edge_mut(edge.prev) {
            record.next = edge.next;
        }
        if let Some(record) = self.edge_mut(edge.next) {
            record.prev = edge.prev;
        }
        let directory = self.store.node_mut(Inode(edge.parent))?;
        if edge.prev == 0 {
            directory.set_first_entry(edge.next);
        }
        if edge.next == 0 {
            directory.set_last_entry(edge.prev);
        }
        Some(directory)
    }

    /// Takes the only name of a directory away while statistics are still to be computed: the name
    /// may close a loop.
    pub(crate) fn unname_directory(&mut self, child: Inode) {
        let at = self.store.node(child).map_or(0, |node| node.names);
        let Some(&edge) = self.store.edges.get(at).filter(|_| at != 0) else {
            return;
        };
        let hash = self.index.hash(edge.parent, self.store.name(&edge));
        self.index.remove(hash, at);
        if let Some(directory) = self.unchain(&edge) {
            directory.links = directory.links.wrapping_sub(1);
            let dir = directory.dir();
            if let Some(record) = self.store.dirs.get_mut(dir) {
                record.entries = record.entries.wrapping_sub(1);
            }
        }
        self.free_edge(at, &edge);
    }

    fn free_edge(&mut self, at: u32, edge: &EdgeRecord) {
        self.store
            .names
            .remove(edge.name, usize::from(edge.name_bytes));
        self.store.edges.remove(at);
    }

    /// The head of the bucket of a detached file.
    fn bucket(&mut self, inode: Inode, kind: NodeKind) -> &mut u32 {
        let inode = inode.0 as usize;
        if kind == NodeKind::Trash {
            &mut self.store.trash[inode % TRASH_BUCKETS]
        } else {
            &mut self.store.sustained[inode % SUSTAINED_BUCKETS]
        }
    }

    /// Puts an edge without parent at the front of the bucket of its child.
    fn push_detached(&mut self, at: u32, inode: Inode, kind: NodeKind) {
        let next = std::mem::replace(self.bucket(inode, kind), at);
        if let Some(record) = self.edge_mut(next) {
            record.prev = at;
        }
        if let Some(record) = self.edge_mut(at) {
            record.prev = 0;
            record.next = next;
        }
    }

    fn pull_detached(&mut self, edge: &EdgeRecord, kind: NodeKind) {
        if let Some(record) = self.edge_mut(edge.next) {
            record.prev = edge.prev;
        }
        match self.edge_mut(edge.prev) {
            Some(record) => record.next = edge.next,
            None => *self.bucket(Inode(edge.child), kind) = edge.next,
        }
    }

    /// Gives a file of kind trash or sustained its path, under a given edge id.
    ///
    /// # Errors
    /// 9: no room.
    pub(crate) fn attach_detached(
        &mut self,
        inode: Inode,
        path: &[u8],
        edge_id: u64,
    ) -> Result<(), Status> {
        let kind = self.node_or(inode)?.kind();
        let edge = EdgeRecord {
            edge_id,
            child: inode.0,
            ..EdgeRecord::default()
        };
        let at = self.new_edge(edge, path)?;
        self.push_detached(at, inode, kind);
        self.link_child(at, inode);
        Ok(())
    }

    /// The same with the next edge id.
    ///
    /// # Errors
    /// 9: no room.
    pub(crate) fn name_detached(&mut self, inode: Inode, path: &[u8]) -> Result<(), Status> {
        let before = self.store.next_edge_id;
        let edge_id = self.take_edge_id();
        let attached = self.attach_detached(inode, path, edge_id);
        if attached.is_err() {
            self.store.next_edge_id = before;
        }
        attached
    }

    /// Removes the path of a detached file.
    pub(crate) fn unname_detached(&mut self, inode: Inode) {
        let Some(node) = self.store.node(inode) else {
            return;
        };
        let (at, kind) = (node.names, node.kind());
        if let Some(&edge) = self.store.edges.get(at).filter(|_| at != 0) {
            self.pull_detached(&edge, kind);
            self.unlink_child(&edge);
            self.free_edge(at, &edge);
        }
    }

    /// Moves a file from trash to the sustained ones, path and edge id included.
    pub(crate) fn sustain_trash(&mut self, inode: Inode) {
        let at = self.store.node(inode).map_or(0, |node| node.names);
        if let Some(&edge) = self.store.edges.get(at).filter(|_| at != 0) {
            self.pull_detached(&edge, NodeKind::Trash);
            self.change_kind(inode, NodeKind::Sustained);
            self.push_detached(at, inode, NodeKind::Sustained);
        }
    }

    /// Removes a name, and with the last one what had it (metadata-and-changelog §3.4, "unlink").
    ///
    /// # Errors
    /// 9: no room for the path of a detached file; 3: no such name.
    pub(crate) fn remove_name(&mut self, tx: &mut Tx, at: u32) -> Result<Inode, Status> {
        let edge = *self.store.edges.get(at).ok_or(Status::Enoent)?;
        let inode = Inode(edge.child);
        let node = *self.node_or(inode)?;
        let detached = match node.kind() {
            NodeKind::File if node.links > 1 => None,
            NodeKind::File if node.trash_hours > 0 => Some(NodeKind::Trash),
            NodeKind::File if self.open.is_open(inode) => Some(NodeKind::Sustained),
            _ => None,
        };
        let path =
            detached.and_then(|_| self.store.path(&edge, Inode::ROOT, DETACHED_PATH_BYTES_MAX));
        self.detach(tx.now, at);
        if let (Some(kind), Some(path)) = (detached, path) {
            self.change_kind(inode, kind);
            self.name_detached(inode, &path)?;
        } else if node.is_dir() || node.links <= 1 {
            self.remove_inode(tx, inode);
        }
        Ok(inode)
    }

    /// Forgets an inode that has no names any more, and everything kept about it. Its number stays
    /// taken.
    fn clear_inode(&mut self, inode: Inode) {
        let Some(&node) = self.store.node(inode) else {
            return;
        };
        let kind = node.kind();
        if node.is_marked(mark::XATTR) {
            self.xattrs.remove_all(inode);
        }
        if node.is_marked(mark::ACCESS_ACL | mark::DEFAULT_ACL) {
            self.acls.remove_all(inode);
        }
        let mut length = 0;
        match kind {
            NodeKind::Directory => {
                self.quotas.remove(inode);
                self.store.dirs.remove(node.dir());
            }
            NodeKind::Symlink => {
                let (offset, bytes) = node.target();
                self.store.names.remove(offset, bytes);
            }
            _ if kind.has_data() => length = node.file_length(),
            _ => {}
        }
        if node.class != ClassId(0) {
            self.classes
                .remove_use(node.class, kind == NodeKind::Directory);
        }
        self.count_kind(kind, length, false);
        self.store.totals.inodes -= 1;
        if let Some(record) = self.store.node_mut(inode) {
            *record = NodeRecord::default();
        }
    }

    /// Removes an inode without names (metadata-and-changelog §3.4, "remove inode").
    pub(crate) fn remove_inode(&mut self, tx: &mut Tx, inode: Inode) {
        if self
            .store
            .node(inode)
            .is_some_and(|node| node.kind().has_data())
        {
            self.drop_slots_from(tx, inode, 0);
        }
        self.unname_detached(inode);
        self.clear_inode(inode);
        self.store.freed.push_back(Freed {
            inode,
            since: tx.now,
        });
        tx.event(Event::InodeFreed(inode));
    }

    /// Gives a file or directory another storage class: its chunks, the uses of the class and the
    /// real sizes follow. Times stay.
    pub(crate) fn change_class(&mut self, tx: &mut Tx, inode: Inode, class: ClassId) {
        let Some(&node) = self.store.node(inode) else {
            return;
        };
        if node.class == class {
            return;
        }
        if node.kind().has_data() {
            let chunks = &mut self.chunks;
            for (_, chunk) in self.store.slots.used_from(node.slots(), 0) {
                chunks.change_class(tx, &self.classes, chunk, node.class, class);
            }
        }
        if node.class != ClassId(0) {
            self.classes.remove_use(node.class, node.is_dir());
        }
        if class != ClassId(0) {
            self.classes.add_use(class, node.is_dir());
        }
        let before = self.store.stats(&node);
        let copies = self.classes.counted_copies(class);
        if let Some(record) = self.store.node_mut(inode) {
            record.class = class;
            record.set_counted_copies(copies);
        }
        self.correct_stats(inode, before);
    }

    /// Brings the marks of an inode in line with the tables of attributes and ACLs. To be called
    /// after either changed.
    pub(crate) fn refresh_marks(&mut self, inode: Inode) {
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
            if present {
                marks |= bit;
            }
        }
        if let Some(node) = self.store.node_mut(inode) {
            node.set_marks(marks);
        }
    }
}
