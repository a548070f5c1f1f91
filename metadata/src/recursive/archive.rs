//! Archive flags of chunks, below an inode.

use super::{Walk, is_barred, outcome};
use crate::access::disable;
use crate::chunk_table::ChunkIndex;
use crate::{Caller, Event, Namespace, Tx};
use proto::changelog::{Counts, Entry};
use proto::{Inode, Status};

const DAY_SECONDS: u64 = 86_400;

/// Answer to ARCHCTL get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCounts {
    /// Chunks with the archive flag.
    pub archived_chunks: u64,
    /// Chunks without.
    pub other_chunks: u64,
    /// Files all of whose chunks are archived.
    pub archived_files: u32,
    /// Files with chunks of both sorts.
    pub partial_files: u32,
    /// Files without an archived chunk; files without chunks are in none of the three numbers.
    pub other_files: u32,
}

/// Who sets archive flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archiver {
    /// A user, who needs the permission.
    User(u32),
    /// The master, by the archive delay of a class.
    Delay,
}

impl Namespace {
    /// ARCHCTL get: how much below an inode is archived.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn archive_counts(&self, inode: Inode) -> Result<ArchiveCounts, Status> {
        self.class_holder(inode)?;
        let mut counts = ArchiveCounts::default();
        let mut walk = Walk::new(inode, true);
        while let Some(inode) = walk.next(self) {
            let (mut archived, mut other) = (0, 0);
            for at in self.chunk_places(inode) {
                match self.chunks.at(ChunkIndex(at)) {
                    Some(chunk) if chunk.archived => archived += 1,
                    _ => other += 1,
                }
            }
            counts.archived_chunks += archived;
            counts.other_chunks += other;
            match (archived > 0, other > 0) {
                (true, true) => counts.partial_files += 1,
                (true, false) => counts.archived_files += 1,
                (false, true) => counts.other_files += 1,
                (false, false) => {}
            }
        }
        Ok(counts)
    }

    /// Places of the chunks of a file; nothing for other inodes.
    fn chunk_places(&self, inode: Inode) -> impl Iterator<Item = u32> {
        let node = self.store.node(inode);
        let word = node
            .filter(|node| node.kind().has_data())
            .map_or(0, |node| node.slots());
        self.store.slots.used_from(word, 0).map(|(_, chunk)| chunk)
    }

    /// ARCHCTL set and clear: everything below an inode.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 neither file nor directory, 1 a
    /// file that is not permitted.
    pub fn set_archive(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        archived: bool,
    ) -> Result<Counts, Status> {
        who.permit(disable::SET_EATTR)?;
        who.writes()?;
        let is_dir = self.class_holder(inode)?.is_dir();
        let counts = self.apply_archive(tx, inode, Archiver::User(who.uid), archived);
        outcome(counts, is_dir)?;
        self.log_archive(tx, inode, who.uid, archived, counts);
        Ok(counts)
    }

    /// Archives a file whose class has an archive delay, once it is that old (master-behaviour
    /// §14.2); for the periodic check of all files. Whether anything changed.
    pub fn archive_by_delay(&mut self, tx: &mut Tx<'_>, inode: Inode) -> bool {
        let Some(node) = self.store.node(inode).filter(|node| node.kind().has_data()) else {
            return false;
        };
        let days = self
            .classes
            .get(node.class)
            .map_or(0, |class| class.rules.archive_delay_days);
        let due = u64::from(node.ctime) + u64::from(days) * DAY_SECONDS;
        if days == 0 || due >= u64::from(tx.now) {
            return false;
        }
        let is_done = self.chunk_places(inode).all(|at| {
            let chunk = self.chunks.at(ChunkIndex(at));
            chunk.is_none_or(|chunk| chunk.archived)
        });
        if is_done {
            return false;
        }
        let counts = self.apply_archive(tx, inode, Archiver::Delay, true);
        self.log_archive(tx, inode, 0, true, counts);
        true
    }

    fn log_archive(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        archived: bool,
        counts: Counts,
    ) {
        let entry = Entry::ArchiveChange {
            inode,
            uid,
            command: archived.into(),
            counts,
        };
        self.log(tx, &entry);
    }

    /// Replays ARCHCHG. What the master archived by itself needs no permission; such a line looks
    /// like one of root that met no hindrance.
    ///
    /// # Errors
    /// 3 no such inode; 32 other results than the line's, unless the master archived by itself: then
    /// 3.0.117 counted only chunks with valid copies.
    pub(crate) fn replay_archive(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        archived: bool,
        counts: Counts,
    ) -> Result<(), Status> {
        let node = self.node_or(inode)?;
        let by_itself = uid == 0 && archived && counts.refused == 0 && node.kind().has_data();
        if by_itself {
            self.apply_archive(tx, inode, Archiver::Delay, true);
            return Ok(());
        }
        if self.apply_archive(tx, inode, Archiver::User(uid), archived) == counts {
            Ok(())
        } else {
            Err(Status::Mismatch)
        }
    }

    /// The effect of ARCHCHG: chunks changed and not changed, and files that are not permitted.
    fn apply_archive(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        archiver: Archiver,
        archived: bool,
    ) -> Counts {
        let mut counts = Counts::default();
        let mut walk = Walk::new(inode, true);
        while let Some(inode) = walk.next(self) {
            let Some(node) = self.store.node(inode) else {
                continue;
            };
            if !node.kind().has_data() {
                continue;
            }
            if matches!(archiver, Archiver::User(uid) if is_barred(node, uid)) {
                counts.refused += 1;
                continue;
            }
            let (slots, chunks) = (&self.store.slots, &mut self.chunks);
            for (_, at) in slots.used_from(node.slots(), 0) {
                let differs = chunks
                    .at(ChunkIndex(at))
                    .is_some_and(|chunk| chunk.archived != archived);
                let changing = if differs {
                    chunks.records.get_mut(at)
                } else {
                    None
                };
                match changing {
                    Some(chunk) => {
                        chunk.archived = archived;
                        tx.event(Event::ChunkChanged(chunk.id));
                        counts.changed += 1;
                    }
                    None => counts.unchanged += 1,
                }
            }
            if !archived && let Some(node) = self.store.node_mut(inode) {
                node.ctime = tx.now;
            }
        }
        counts
    }
}
