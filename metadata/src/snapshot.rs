//! Copies of trees that share their chunks.

mod removal;

use crate::access::{EXECUTE, READ, check_name, disable};
use crate::acl::AclKind;
use crate::caller::SessionRights;
use crate::quota::Usage;
use crate::store::node::{NodeRecord, eattr};
use crate::tree::NewInode;
use crate::{Caller, Namespace, Tx};
use proto::changelog::{Entry, Snapshot, SnapshotCounts};
use proto::{ChunkId, ClassId, Inode, NodeKind, Status};
use std::collections::BTreeMap;

/// Bits of the snapshot mode (wire-client-master §3).
pub mod smode {
    /// Existing files may be replaced.
    pub const OVERWRITE: u8 = 0x01;
    /// Attributes as if the caller had copied.
    pub const LIKE_CP: u8 = 0x02;
    /// Removal of what may be removed, without testing everything first.
    pub const FORCE: u8 = 0x04;
    /// Hard links inside the source stay hard links.
    pub const HARD_LINKS: u8 = 0x08;
    /// Removal.
    pub const REMOVE: u8 = 0x80;
}

/// Mode bits that a copy keeps for a caller who does not own the source.
const FOREIGN_MODE: u16 = 0o1777;

/// What is to be done next, in a walk that has no recursion: trees may be deep.
enum Work {
    /// Copy what an edge of the source names into a directory.
    Copy { edge: u32, source: Inode, to: Inode },
    /// The entries of a directory are done: its times and its flag are left.
    Finish {
        source: Inode,
        copy: Inode,
        new: bool,
    },
}

/// One copying.
struct Copying<'a> {
    who: &'a Caller<'a>,
    smode: u8,
    umask: u16,
    counts: SnapshotCounts,
    /// First copy of each source with several names, when hard links are kept.
    linked: BTreeMap<Inode, Inode>,
    work: Vec<Work>,
}

impl Copying<'_> {
    fn is_like_cp(&self) -> bool {
        self.smode & smode::LIKE_CP != 0
    }

    /// Owner, group and mode of the copy of an inode.
    fn owner(&self, source: &NodeRecord) -> (u32, u32, u16) {
        if self.is_like_cp() {
            (self.who.uid, self.who.gid(), source.mode() & !self.umask)
        } else if self.who.uid == 0 || self.who.uid == source.uid {
            (source.uid, source.gid, source.mode())
        } else {
            let mode = source.mode() & FOREIGN_MODE;
            (self.who.uid, self.who.gid(), mode)
        }
    }
}

impl Namespace {
    /// SNAPSHOT, creating (wire-client-master §15.8).
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 destination immutable, 4 no R on the
    /// source, 1 destination not a directory, 6 destination inside the source, 4 no W and X, 6 bad
    /// name; for each existing target 6 the source itself, 1 protected, 1 another kind, 5 not to be
    /// overwritten; 34 quota.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub fn snapshot(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        source: Inode,
        parent: Inode,
        name: &[u8],
        smode: u8,
        umask: u16,
    ) -> Result<(), Status> {
        who.permit(disable::SNAPSHOT)?;
        who.writes()?;
        let node = self.node_or(source)?;
        let directory = self.node_or(parent)?;
        if directory.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        self.check_mask(who, source, node, READ)?;
        if !directory.is_dir() {
            return Err(Status::Eperm);
        }
        if node.is_dir() && self.store.is_within(parent, source) {
            return Err(Status::Einval);
        }
        self.check_gains(who, parent)?;
        check_name(name)?;
        self.check_targets(source, parent, name, smode)?;
        if self.over_quota(parent, Usage::from(self.store.stats(node))) {
            return Err(Status::Quota);
        }
        let smode = smode & !smode::REMOVE;
        let umask = (umask | who.rights.umask) & 0o777;
        let counts = self.apply_snapshot(tx, who, source, parent, name, smode, umask)?;
        self.log_snapshot(tx, who, source, parent, name, smode, umask, counts);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the arguments of the line")]
    fn log_snapshot(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        source: Inode,
        parent: Inode,
        name: &[u8],
        mode: u8,
        umask: u16,
        counts: SnapshotCounts,
    ) {
        self.log(
            tx,
            &Entry::Snapshot(Snapshot {
                source,
                parent,
                name: name.into(),
                mode,
                session_flags: who.rights.flags,
                uid: who.uid,
                gids: who.gids.into(),
                umask,
                counts: Some(counts),
            }),
        );
    }

    /// Replays SNAPSHOT; what it met.
    pub(crate) fn replay_snapshot(
        &mut self,
        tx: &mut Tx,
        line: &Snapshot,
    ) -> Result<SnapshotCounts, Status> {
        let who = Caller {
            uid: line.uid,
            gids: &line.gids,
            rights: SessionRights {
                flags: line.session_flags,
                ..SessionRights::MASTER
            },
            ..Caller::MASTER
        };
        if line.mode & smode::REMOVE != 0 {
            return self.apply_remove_snapshot(tx, &who, line.parent, &line.name);
        }
        let (source, parent, name) = (line.source, line.parent, &line.name);
        self.apply_snapshot(tx, &who, source, parent, name, line.mode, line.umask)
    }

    /// The tests of everything that exists at the destination, in the order of the source's entries,
    /// those of a directory before what follows it.
    fn check_targets(
        &self,
        source: Inode,
        parent: Inode,
        name: &[u8],
        smode: u8,
    ) -> Result<(), Status> {
        let mut pairs = Vec::new();
        pairs.extend(self.child(parent, name).map(|target| (source, target)));
        while let Some((source, target)) = pairs.pop() {
            if source == target {
                return Err(Status::Einval);
            }
            self.check_removable(target)?;
            let (from, to) = (self.node_or(source)?, self.node_or(target)?);
            if from.kind() != to.kind() {
                return Err(Status::Eperm);
            }
            if !to.is_dir() && smode & smode::OVERWRITE == 0 {
                return Err(Status::Eexist);
            }
            let first = pairs.len();
            for (_, edge) in self.store.entries(source) {
                let existing = self.child(target, self.store.name(edge));
                pairs.extend(existing.map(|existing| (Inode(edge.child), existing)));
            }
            pairs[first..].reverse();
        }
        Ok(())
    }

    /// Replays SNAPSHOT that creates. What the caller may not read is left out here too.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the line")]
    pub(crate) fn apply_snapshot(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        source: Inode,
        parent: Inode,
        name: &[u8],
        smode: u8,
        umask: u16,
    ) -> Result<SnapshotCounts, Status> {
        self.node_or(source)?;
        self.directory_or(parent)?;
        check_name(name)?;
        let mut copying = Copying {
            who,
            smode,
            umask,
            counts: SnapshotCounts::default(),
            linked: BTreeMap::new(),
            work: Vec::new(),
        };
        self.copy_one(tx, &mut copying, source, parent, name)?;
        while let Some(work) = copying.work.pop() {
            match work {
                Work::Copy { edge, source, to } => {
                    let Some(record) = self.store.edges.get(edge) else {
                        continue;
                    };
                    // A name that vanished meanwhile: the copy went into the source's own tree.
                    if record.child == source.0 && record.parent != 0 {
                        let name = self.store.name(record).to_vec();
                        self.copy_one(tx, &mut copying, source, to, &name)?;
                    }
                }
                Work::Finish { source, copy, new } => {
                    self.finish_copy(tx, &copying, source, copy, new)?;
                }
            }
        }
        Ok(copying.counts)
    }

    /// Copies one inode to a name; the entries of a directory are left as work.
    fn copy_one(
        &mut self,
        tx: &mut Tx,
        copying: &mut Copying,
        source: Inode,
        parent: Inode,
        name: &[u8],
    ) -> Result<(), Status> {
        let node = *self.node_or(source)?;
        if node.kind().is_detached() {
            // As in 3.0.117, nothing is copied from the trash.
            return Ok(());
        }
        let needed = match node.kind() {
            NodeKind::Directory => READ | EXECUTE,
            kind if kind.has_data() => READ,
            _ => 0,
        };
        let readable = self.check_mask(copying.who, source, &node, needed).is_ok();
        if !readable && !node.is_dir() {
            return Ok(());
        }
        let (copy, new) = match self.child(parent, name) {
            Some(existing) => {
                if self.node_or(existing)?.kind() != node.kind() {
                    return Ok(());
                }
                (
                    self.copy_over(tx, copying, source, &node, parent, name, existing)?,
                    false,
                )
            }
            None => match self.copy_new(tx, copying, source, &node, parent, name)? {
                Some(copy) => (copy, true),
                None => return Ok(()),
            },
        };
        copying.work.push(Work::Finish { source, copy, new });
        if readable && node.is_dir() {
            let first = copying.work.len();
            let entries = self.store.entries(source).map(|(edge, record)| Work::Copy {
                edge,
                source: Inode(record.child),
                to: copy,
            });
            copying.work.extend(entries);
            copying.work[first..].reverse();
        }
        Ok(())
    }

    /// A copy under a new name; `None` when it became a hard link.
    fn copy_new(
        &mut self,
        tx: &mut Tx,
        copying: &mut Copying,
        source: Inode,
        node: &NodeRecord,
        parent: Inode,
        name: &[u8],
    ) -> Result<Option<Inode>, Status> {
        let keeps_links = copying.smode & smode::HARD_LINKS != 0;
        let several = keeps_links && !node.is_dir() && node.links > 1;
        if several && let Some(&first) = copying.linked.get(&source) {
            self.attach(tx.now, parent, name, first)?;
            copying.counts.hardlinks += 1;
            return Ok(None);
        }
        let copy = self.make_copy(tx, copying, source, node, parent, name)?;
        copying.counts.new += 1;
        copying.counts.xor ^= copy.0;
        if several {
            copying.linked.insert(source, copy);
        }
        if !copying.is_like_cp() {
            self.copy_attributes(tx, copying, node, copy, true)?;
            self.copy_lists(source, copy);
        }
        Ok(Some(copy))
    }

    /// A new inode with the content of another.
    fn make_copy(
        &mut self,
        tx: &mut Tx,
        copying: &Copying,
        source: Inode,
        node: &NodeRecord,
        parent: Inode,
        name: &[u8],
    ) -> Result<Inode, Status> {
        let (uid, gid, mode) = copying.owner(node);
        let like_cp = copying.is_like_cp();
        let new = NewInode {
            kind: node.kind(),
            mode: if like_cp { node.mode() } else { mode },
            umask: if like_cp { copying.umask } else { 0 },
            uid,
            gid,
        };
        let copy = self.new_inode(tx.now, parent, new)?;
        if let Err(status) = self.attach(tx.now, parent, name, copy) {
            self.discard_inode(copy);
            return Err(status);
        }
        self.copy_content(tx, source, copy)?;
        Ok(copy)
    }

    /// Chunks and length of a file, target of a symlink, number of a device.
    fn copy_content(&mut self, tx: &mut Tx, source: Inode, copy: Inode) -> Result<(), Status> {
        let node = *self.node_or(source)?;
        let before = self.stats_of(copy);
        match node.kind() {
            kind if kind.has_data() => {
                let slots: Vec<_> = self.store.slots.used_from(node.slots(), 0).collect();
                for (index, at) in slots {
                    self.put_slot(tx, copy, index, at)?;
                }
                self.node_mut(copy)?.set_file_length(node.file_length());
            }
            NodeKind::Symlink => {
                let (old, old_bytes) = self.node_or(copy)?.target();
                let target = self.store.target(&node).to_vec();
                let offset = self
                    .store
                    .names
                    .insert(&target)
                    .ok_or(Status::OutOfMemory)?;
                self.node_mut(copy)?.set_target(offset, target.len());
                self.store.names.remove(old, old_bytes);
            }
            kind if kind.is_device() => self.node_mut(copy)?.set_rdev(node.rdev()),
            _ => {}
        }
        self.correct_stats(copy, before);
        Ok(())
    }

    /// A copy to a name that exists; the inode that has it then.
    #[expect(clippy::too_many_arguments, reason = "a step of one walk")]
    fn copy_over(
        &mut self,
        tx: &mut Tx,
        copying: &mut Copying,
        source: Inode,
        node: &NodeRecord,
        parent: Inode,
        name: &[u8],
        existing: Inode,
    ) -> Result<Inode, Status> {
        let mut copy = existing;
        if node.kind().has_data() && self.is_same_file(source, existing) {
            copying.counts.same += 1;
        } else {
            copying.counts.existing += 1;
            if node.kind().has_data() {
                let edge = self.find(parent, name).ok_or(Status::Enoent)?;
                self.remove_name(tx, edge)?;
                copy = self.make_copy(tx, copying, source, node, parent, name)?;
                copying.counts.xor ^= existing.0 ^ copy.0;
            } else if !node.is_dir() {
                self.copy_content(tx, source, existing)?;
            }
        }
        if !node.is_dir() {
            self.copy_attributes(tx, copying, node, copy, false)?;
        }
        Ok(copy)
    }

    fn is_same_file(&self, one: Inode, other: Inode) -> bool {
        let chunks = |inode: Inode| -> Vec<(u32, ChunkId)> { self.used_slots(inode).collect() };
        let length = |inode: Inode| self.store.node(inode).map(NodeRecord::file_length);
        length(one) == length(other) && chunks(one) == chunks(other)
    }

    /// Owner, mode, class and trash time; of a new copy also extra and Windows attributes, but not the
    /// group, which is the one that it got when it was made: that of a setgid directory.
    fn copy_attributes(
        &mut self,
        tx: &mut Tx,
        copying: &Copying,
        node: &NodeRecord,
        copy: Inode,
        is_new: bool,
    ) -> Result<(), Status> {
        let (uid, gid, mode) = copying.owner(node);
        let record = self.node_mut(copy)?;
        record.uid = uid;
        if !is_new {
            record.gid = gid;
        }
        record.set_mode(mode);
        record.trash_hours = node.trash_hours;
        if is_new && !copying.is_like_cp() {
            record.eattr = node.eattr;
            record.winattr = node.winattr;
        }
        if node.class != ClassId(0) {
            self.change_class(tx, copy, node.class);
        }
        Ok(())
    }

    /// Extended attributes and ACLs that the source has.
    fn copy_lists(&mut self, source: Inode, copy: Inode) {
        if self.xattrs.has(source) {
            self.xattrs.copy(source, copy);
        }
        for kind in [AclKind::Access, AclKind::Default] {
            if let Some(acl) = self.acls.get(source, kind).cloned() {
                self.acls.set(copy, kind, acl);
            }
        }
        self.refresh_marks(copy);
    }

    /// What entries of a directory would disturb: times, and the flag of a snapshot. A directory that
    /// existed gets owner and mode only now, so its new entries still inherit from what it was; its
    /// class, trash time and attributes stay.
    fn finish_copy(
        &mut self,
        tx: &mut Tx,
        copying: &Copying,
        source: Inode,
        copy: Inode,
        new: bool,
    ) -> Result<(), Status> {
        let node = *self.node_or(source)?;
        let like_cp = copying.is_like_cp();
        let (uid, gid, mode) = copying.owner(&node);
        let is_of_1_6 = self.is_of_1_6();
        if self.older.is_some() && !like_cp && (new || !node.is_dir()) {
            self.copy_trash_seconds(source, copy);
        }
        let record = self.node_mut(copy)?;
        // 1.6 does not mark what a snapshot made.
        record.eattr |= if is_of_1_6 { 0 } else { eattr::SNAPSHOT };
        if !new && node.is_dir() {
            record.uid = uid;
            record.gid = gid;
            record.set_mode(mode);
        }
        if !like_cp {
            record.atime = node.atime;
            record.mtime = node.mtime;
            record.ctime = node.ctime;
        } else if !new {
            record.ctime = tx.now;
        }
        Ok(())
    }
}
