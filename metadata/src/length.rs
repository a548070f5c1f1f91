//! Opening files and changing their lengths.

use crate::access::{READ, WRITE, disable};
use crate::quota::Usage;
use crate::store::CHUNK_BYTES;
use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{ChunkId, Inode, SessionId, Status};
use std::collections::BTreeSet;

/// Longest file, bytes.
pub const LENGTH_MAX: u64 = 1 << 57;

/// Bits of the flags of OPEN (wire-client-master §12.1).
pub mod open_flag {
    /// For reading.
    pub const READ: u8 = 0x01;
    /// For writing.
    pub const WRITE: u8 = 0x02;
    /// Right after it was made: no permission is needed and nothing is cut.
    pub const AFTER_CREATE: u8 = 0x04;
    /// Cut to length 0.
    pub const TRUNCATE: u8 = 0x08;
}

/// Bits of the flags of TRUNCATE (§11.3).
pub mod truncate_flag {
    /// The client has the file open: no permission is needed.
    pub const OPENED: u8 = 0x01;
    /// Part of a write: the length grows or nothing happens.
    pub const UPDATE: u8 = 0x02;
    /// Times stay when the length is right.
    pub const TIME_FIX: u8 = 0x04;
    /// Reserves room at the end.
    pub const RESERVE: u8 = 0x08;
}

/// Result of OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The file has eattr appendonly.
    pub append_only: bool,
    /// The file has eattr nodatacache.
    pub direct: bool,
}

/// What a truncate has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncatePlan {
    /// Nothing: the length is right and times stay.
    NoChange,
    /// Only the length changes: [`Namespace::set_length`].
    SetLength,
    /// A chunk has to be cut first.
    Chunk {
        /// Slot.
        index: u32,
        /// What it holds.
        chunk: ChunkId,
        /// Other slots refer to it too.
        shared: bool,
    },
}

impl Namespace {
    /// OPEN (§12.1): checks, cutting to 0 when asked, registration.
    ///
    /// # Errors
    /// In this order: 1 truncation disabled, 33 write on read-only, 3 no such inode, 1 not a file, 1
    /// write or truncate on immutable, 1 truncate on append-only, 4 denied, 4 an append-only file for
    /// writing by a client before 3.0.113.
    pub fn open(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        flags: u8,
        before_3_0_113: bool,
    ) -> Result<Opened, Status> {
        let cuts = flags & open_flag::TRUNCATE != 0;
        let writes = flags & open_flag::WRITE != 0;
        if cuts {
            who.permit(disable::TRUNCATE)?;
        }
        if writes || cuts {
            who.writes()?;
        }
        let node = self.file_or(inode)?;
        let append_only = node.has(eattr::APPEND_ONLY);
        if node.has(eattr::IMMUTABLE) && (writes || cuts) || append_only && cuts {
            return Err(Status::Eperm);
        }
        let after_create = flags & open_flag::AFTER_CREATE != 0;
        if !after_create {
            let read = if flags & open_flag::READ != 0 {
                READ
            } else {
                0
            };
            let write = if writes { WRITE } else { 0 };
            self.check_mask(who, inode, node, read | write)?;
            if cuts {
                self.check_mask(who, inode, node, WRITE)?;
            }
        }
        if append_only && writes && before_3_0_113 {
            return Err(Status::Eacces);
        }
        let opened = Opened {
            append_only,
            direct: node.has(eattr::NO_DATA_CACHE),
        };
        if cuts && !after_create {
            self.set_length(tx, inode, 0, true)?;
        }
        self.acquire(tx, who.session, inode);
        Ok(opened)
    }

    /// SUSTAINED_INODES (§18.3): the complete list of what a session has open.
    pub fn set_sustained(
        &mut self,
        tx: &mut Tx,
        session: SessionId,
        inodes: impl Iterator<Item = Inode>,
    ) {
        let listed: BTreeSet<Inode> = inodes.filter(|inode| *inode != Inode(0)).collect();
        let closed: Vec<Inode> = self
            .open
            .files_of(session)
            .filter(|inode| !listed.contains(inode))
            .collect();
        for inode in closed {
            self.release(tx, session, inode);
        }
        for inode in listed {
            if self.store.node(inode).is_some() {
                self.acquire(tx, session, inode);
            }
        }
    }

    /// Checks of TRUNCATE (flags of §11.3). An update needs [`TruncatePlan::SetLength`] without times
    /// when it grows the file; a reservation changes nothing, and has [`Namespace::reserve_check`].
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 immutable, 1 append-only, 4 no W, 1
    /// not a file, 1 shrinking or growing disabled, 10 too long, 34 quota.
    pub fn truncate_check(
        &self,
        who: &Caller,
        inode: Inode,
        flags: u8,
        length: u64,
    ) -> Result<TruncatePlan, Status> {
        let writing = flags & (truncate_flag::UPDATE | truncate_flag::RESERVE) != 0;
        let both = disable::TRUNCATE | disable::SET_LENGTH;
        if writing && who.is_denied(disable::WRITE) || !writing && who.is_denied(both) {
            return Err(Status::Eperm);
        }
        who.writes()?;
        let node = self.node_or(inode)?;
        if node.has(eattr::IMMUTABLE) || node.has(eattr::APPEND_ONLY) && !writing {
            return Err(Status::Eperm);
        }
        if flags & truncate_flag::OPENED == 0 {
            self.check_mask(who, inode, node, WRITE)?;
        }
        let node = self.file_or(inode)?;
        let present = node.file_length();
        if flags & truncate_flag::RESERVE != 0 {
            if length > LENGTH_MAX {
                return Err(Status::IndexTooBig);
            }
            return Ok(TruncatePlan::NoChange);
        }
        if flags & truncate_flag::UPDATE != 0 {
            if length > LENGTH_MAX {
                return Err(Status::IndexTooBig);
            }
            return Ok(if length > present {
                TruncatePlan::SetLength
            } else {
                TruncatePlan::NoChange
            });
        }
        let operation = if length < present {
            disable::TRUNCATE
        } else {
            disable::SET_LENGTH
        };
        if length != present {
            who.permit(operation)?;
        }
        if length > LENGTH_MAX {
            return Err(Status::IndexTooBig);
        }
        if length > present && self.over_quota_of(inode, self.growth(node, length)) {
            return Err(Status::Quota);
        }
        if length == present {
            return Ok(if flags & truncate_flag::TIME_FIX != 0 {
                TruncatePlan::NoChange
            } else {
                TruncatePlan::SetLength
            });
        }
        let index = (length / CHUNK_BYTES) as u32;
        let at = self.store.slots.get(node.slots(), index);
        if length.is_multiple_of(CHUNK_BYTES) || at == 0 {
            return Ok(TruncatePlan::SetLength);
        }
        let shared = self
            .chunks
            .records
            .get(at)
            .is_some_and(|chunk| chunk.references > 1);
        Ok(TruncatePlan::Chunk {
            index,
            chunk: self.chunks.id_at(at),
            shared,
        })
    }

    /// Whether room behind the end of a file may be reserved: `length` bytes, the last of which comes
    /// `added_length` bytes behind the present end. Only lengths count here.
    ///
    /// # Errors
    /// 34 quota.
    pub fn reserve_check(
        &self,
        inode: Inode,
        length: u64,
        added_length: u64,
    ) -> Result<(), Status> {
        let added = Usage {
            length: added_length,
            ..Usage::NONE
        };
        if length > 0 && self.over_quota_of(inode, added) {
            return Err(Status::Quota);
        }
        Ok(())
    }

    /// What quotas count more when a file gets a greater length.
    fn growth(&self, node: &NodeRecord, length: u64) -> Usage {
        let mut grown = *node;
        grown.set_file_length(length);
        let (now, then) = (self.store.stats(node), self.store.stats(&grown));
        Usage {
            inodes: 0,
            length: then.length.saturating_sub(now.length),
            size: then.size.saturating_sub(now.size),
            real_size: then.real_size.saturating_sub(now.real_size),
        }
    }

    /// Sets the length of a file and drops what is behind; the previous length.
    ///
    /// # Errors
    /// 3 no such inode, 1 not a file.
    pub fn set_length(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        length: u64,
        changes_mtime: bool,
    ) -> Result<u64, Status> {
        let previous = self.file_or(inode)?.file_length();
        self.apply_length(tx, inode, length, changes_mtime)?;
        self.log(
            tx,
            &Entry::Length {
                inode,
                length,
                can_mtime: changes_mtime,
            },
        );
        Ok(previous)
    }

    /// Replays LENGTH.
    pub(crate) fn apply_length(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        length: u64,
        changes_mtime: bool,
    ) -> Result<(), Status> {
        self.file_or(inode)?;
        let before = self.stats_of(inode);
        let slots = length.div_ceil(CHUNK_BYTES).min(u64::from(u32::MAX)) as u32;
        self.drop_slots_from(tx, inode, slots);
        let node = self.node_mut(inode)?;
        node.set_file_length(length);
        node.eattr &= !eattr::SNAPSHOT;
        if changes_mtime {
            node.touch(tx.now);
        }
        self.correct_stats(inode, before);
        Ok(())
    }

    /// WRITE_CHUNK_END: the length, without the unlock (§12.4); whether it grew. `changes_mtime` for
    /// clients that do not send times themselves (before 3.0.74).
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only; with a length: 3 no such inode, 1 not a file, 10 too
    /// long, 34 quota.
    pub fn write_end(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        length: u64,
        changes_mtime: bool,
    ) -> Result<bool, Status> {
        who.permit(disable::WRITE)?;
        who.writes()?;
        if length == 0 {
            return Ok(false);
        }
        let present = self.file_or(inode)?.file_length();
        if length <= present {
            return Ok(false);
        }
        if length > LENGTH_MAX {
            return Err(Status::IndexTooBig);
        }
        let added = Usage {
            length: length - present,
            ..Usage::NONE
        };
        if self.over_quota_of(inode, added) {
            return Err(Status::Quota);
        }
        self.set_length(tx, inode, length, changes_mtime)?;
        Ok(true)
    }
}
