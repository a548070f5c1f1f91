//! Changelog lines applied to the state: what the master did is done again, without its permission
//! tests, and every result is compared (metadata-and-changelog §3.4, §5).
//!
//! Lines on which 3.0.117 stops though nothing is wrong with them are accepted, as §5 advises.

use crate::acl::{Acl, AclKind};
use crate::attributes::AttrChange;
use crate::flock::{FlockKind, LockOwner};
use crate::locks::{flock_kind, range_kind};
use crate::posix_lock::{ByteRange, RangeKind};
use crate::recursive::ClassSet;
use crate::server_table::{ServerAddress, ServerChange};
use crate::session::SessionParams;
use crate::tree::NewInode;
use crate::xattr::SetMode;
use crate::{Namespace, Outbox, Tx};
use proto::changelog::{Counts, Entry, SnapshotCounts};
use proto::{ChunkId, ClassId, Inode, MetaVersion, NodeKind, SessionId, Status};
use std::fmt;
use std::net::Ipv4Addr;

/// A line that does not fit the state. The state must not be used further: it is no longer that of
/// the master that wrote the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {operation} of version {version}: {divergence}")]
pub struct ReplayError {
    /// Number of the line.
    pub version: MetaVersion,
    /// Name of the operation.
    pub operation: &'static str,
    /// How it does not fit.
    pub divergence: Divergence,
}

/// How a line does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// The state is at this version: lines are missing, or were applied already.
    Version(MetaVersion),
    /// The operation fails here.
    Failed(Status),
    /// The operation has another result here than there.
    Result {
        /// Which result.
        what: &'static str,
        /// The one of the line.
        line: u64,
        /// The one here.
        here: u64,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Divergence::Version(here) => write!(f, "version mismatch, the state is at {here}"),
            Divergence::Failed(status) => write!(f, "error: {} ({status})", status.wire()),
            Divergence::Result { what, line, here } => {
                write!(f, "data mismatch: {what} was {line} and is {here} now")
            }
        }
    }
}

impl From<Status> for Divergence {
    fn from(status: Status) -> Divergence {
        Divergence::Failed(status)
    }
}

/// The results of a line and of its replay must be equal.
fn same(what: &'static str, line: impl Into<u64>, here: impl Into<u64>) -> Result<(), Divergence> {
    let (line, here) = (line.into(), here.into());
    if line == here {
        Ok(())
    } else {
        Err(Divergence::Result { what, line, here })
    }
}

/// The same for a result that the line may lack.
fn same_if_known(what: &'static str, line: Option<u32>, here: u32) -> Result<(), Divergence> {
    line.map_or(Ok(()), |line| same(what, line, here))
}

fn same_inode(line: Inode, here: Inode) -> Result<(), Divergence> {
    same("inode", line.0, here.0)
}

fn same_chunk(line: ChunkId, here: ChunkId) -> Result<(), Divergence> {
    same("chunk", line.0, here.0)
}

fn same_class(line: ClassId, here: ClassId) -> Result<(), Divergence> {
    same("storage class", line.0, here.0)
}

fn same_counts(line: Counts, here: Counts) -> Result<(), Divergence> {
    same("number of changed", line.changed, here.changed)?;
    same("number of unchanged", line.unchanged, here.unchanged)?;
    same("number of refused", line.refused, here.refused)
}

impl Namespace {
    /// Applies the line of a version, which must be the next one.
    ///
    /// # Errors
    /// [`ReplayError`] when the line does not fit the state.
    pub fn replay(
        &mut self,
        version: MetaVersion,
        timestamp: u32,
        entry: &Entry<'_>,
    ) -> Result<(), ReplayError> {
        let fail = |divergence| ReplayError {
            version,
            operation: entry.name(),
            divergence,
        };
        if version != self.version {
            return Err(fail(Divergence::Version(self.version)));
        }
        let mut out = Outbox::default();
        let mut tx = Tx::new(timestamp, &mut out);
        if self.older.is_some() {
            self.leave_older(entry);
        }
        let older = entry.meaning_in_1_6().filter(|_| self.is_of_1_6());
        self.apply(&mut tx, older.as_ref().unwrap_or(entry))
            .map_err(fail)?;
        self.version.0 += 1;
        Ok(())
    }

    /// Operations on names and what they lead to.
    fn apply(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), Divergence> {
        match *entry {
            Entry::Access { inode } => self.apply_access(tx, inode)?,
            Entry::AmTime {
                inode,
                atime,
                mtime,
                ctime,
            } => self.apply_am_time(inode, atime, mtime, ctime)?,
            Entry::Attr {
                inode,
                mode,
                uid,
                gid,
                atime,
                mtime,
                winattr,
                acl_mode,
            } => {
                let change = AttrChange {
                    mode,
                    uid,
                    gid,
                    atime,
                    mtime,
                    winattr,
                    acl_mode,
                };
                self.apply_attr(tx, inode, change)?;
            }
            Entry::Create {
                parent,
                ref name,
                kind,
                mode,
                umask,
                uid,
                gid,
                rdev,
                inode,
            } => {
                if kind.is_detached() || kind == NodeKind::Symlink {
                    return Err(Status::Einval.into());
                }
                let new = NewInode {
                    kind,
                    mode,
                    umask,
                    uid,
                    gid,
                };
                same_inode(inode, self.apply_create(tx, parent, name, new, rdev)?)?;
            }
            Entry::Symlink {
                parent,
                ref name,
                ref target,
                uid,
                gid,
                inode,
            } => same_inode(
                inode,
                self.apply_symlink(tx, parent, name, target, uid, gid)?,
            )?,
            Entry::Link {
                inode,
                parent,
                ref name,
            } => self.apply_link(tx, inode, parent, name)?,
            Entry::Unlink {
                parent,
                ref name,
                inode,
            } => same_inode(inode, self.apply_unlink(tx, parent, name)?)?,
            Entry::Move {
                parent,
                ref name,
                new_parent,
                ref new_name,
                inode,
            } => same_inode(
                inode,
                self.apply_move(tx, parent, name, new_parent, new_name)?,
            )?,
            Entry::SetPath { inode, ref path } => self.apply_set_path(inode, path)?,
            Entry::Undelete { inode } => self.apply_undel(tx, inode)?,
            Entry::Purge { inode } => self.apply_purge(tx, inode)?,
            Entry::EmptyTrash {
                bucket,
                freed,
                sustained,
                xor,
            } => {
                let emptied = self.apply_empty_trash(tx, bucket);
                same("number of freed", freed, emptied.freed)?;
                same("number of sustained", sustained, emptied.sustained)?;
                same_if_known("xor of inodes", xor, emptied.xor)?;
            }
            Entry::EmptySustained { bucket, freed, xor } => {
                let emptied = self.apply_empty_sustained(tx, bucket);
                same("number of freed", freed, emptied.freed)?;
                same_if_known("xor of inodes", xor, emptied.xor)?;
            }
            Entry::FreeInodes {
                delay,
                freed,
                sustained,
                xor,
            } => {
                let reusable = self.apply_free_inodes(tx, delay);
                same("number of freed", freed, reusable.freed)?;
                same_if_known("number of sustained", sustained, reusable.sustained)?;
                same_if_known("xor of inodes", xor, reusable.xor)?;
            }
            Entry::SetMetaId { id } => self.apply_metaid(tx.now, id),
            Entry::RenumerateEdges { next_edge } => {
                same("next edge", next_edge, self.apply_renumerate_edges()?)?;
            }
            Entry::Idle => {}
            _ => return self.apply_to_data(tx, entry),
        }
        Ok(())
    }

    /// Operations on lengths and chunks.
    fn apply_to_data(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), Divergence> {
        match *entry {
            Entry::Length {
                inode,
                length,
                can_mtime,
            } => self.apply_length(tx, inode, length, can_mtime)?,
            Entry::Write {
                inode,
                index,
                increase_version,
                can_mtime,
                chunk,
            } => same_chunk(
                chunk,
                self.apply_write(tx, inode, index, increase_version, can_mtime)?,
            )?,
            Entry::Trunc {
                inode,
                index,
                chunk,
            } => same_chunk(chunk, self.apply_trunc(tx, inode, index)?)?,
            // The chunk may have been deleted in between (§5, 10).
            Entry::Unlock { chunk } => self.apply_unlock(tx, chunk),
            Entry::Rollback {
                inode,
                index,
                previous,
                chunk,
            } => self.apply_rollback(tx, inode, index, previous, chunk)?,
            Entry::Append {
                destination,
                source,
                from,
                to,
            } => self.apply_append(tx, destination, source, from, to)?,
            Entry::Repair {
                inode,
                index,
                version,
            } => self.apply_repair(tx, inode, index, version)?,
            Entry::SetFileChunk {
                inode,
                index,
                chunk,
            } => self.apply_set_file_chunk(tx, inode, index, chunk)?,
            Entry::ChunkAdd {
                chunk,
                version,
                locked_to,
            } => self.apply_chunk_add(tx, chunk, version, locked_to)?,
            Entry::ChunkDelete { chunk, version } => self.apply_chunk_del(tx, chunk, version)?,
            Entry::SetVersion { chunk, version } => self.apply_chunk_set_version(chunk, version)?,
            Entry::IncreaseVersion { chunk } => self.apply_increase_version(chunk)?,
            Entry::NextChunkId { chunk } => self.apply_next_chunk_id(chunk)?,
            _ => return self.apply_to_trees(tx, entry),
        }
        Ok(())
    }

    /// Operations on attributes, many of them on everything below a directory.
    fn apply_to_trees(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), Divergence> {
        match *entry {
            Entry::SetEattr {
                inode,
                uid,
                eattr,
                mode,
                counts,
            } => {
                self.node_or(inode)?;
                let here = self.apply_set_eattr(tx.now, inode, uid, eattr, mode);
                same_counts(counts, here)?;
            }
            Entry::SetClass {
                inode,
                uid,
                source,
                destination,
                mode,
                counts,
            } => {
                self.node_or(inode)?;
                let set = ClassSet {
                    source,
                    class: destination,
                    smode: mode,
                };
                same_counts(counts, self.apply_set_sclass(tx, inode, uid, set))?;
            }
            Entry::SetTrashTime {
                inode,
                uid,
                seconds,
                mode,
                counts,
            } => {
                self.node_or(inode)?;
                let here = self.apply_set_trashtime(tx.now, inode, uid, seconds, mode);
                same_counts(counts, here)?;
            }
            Entry::ArchiveChange {
                inode,
                uid,
                command,
                counts,
            } => self.replay_archive(tx, inode, uid, command != 0, counts)?,
            Entry::SetXattr {
                inode,
                ref name,
                ref value,
                mode,
            } => {
                let mode = SetMode::from_number(mode).ok_or(Status::Einval)?;
                self.apply_setxattr(tx.now, inode, name, value, mode)?;
            }
            Entry::SetAcl {
                inode,
                mode,
                change_ctime,
                acl_type,
                user,
                group,
                other,
                mask,
                named_users,
                named_groups,
                ref entries,
            } => {
                let kind = AclKind::from_number(acl_type).ok_or(Status::Einval)?;
                let words = [user, group, other, mask];
                let acl = Acl::from_entry(words, named_users, named_groups, entries);
                let acl = acl.ok_or(Status::Einval)?;
                self.apply_setacl(tx.now, inode, kind, acl, mode, change_ctime)?;
            }
            Entry::Quota(ref quota) => self.apply_quota(quota)?,
            Entry::Snapshot(ref snapshot) => {
                let here = self.replay_snapshot(tx, snapshot)?;
                let line = snapshot.counts;
                let known = line.filter(|line| *line != SnapshotCounts::default());
                if let Some(line) = known {
                    same("number of removed", line.removed, here.removed)?;
                    same("number of same", line.same, here.same)?;
                    same("number of existing", line.existing, here.existing)?;
                    same("number of hard links", line.hardlinks, here.hardlinks)?;
                    same("number of new", line.new, here.new)?;
                    same("xor of inodes", line.xor, here.xor)?;
                }
            }
            _ => return self.apply_to_clients(tx, entry),
        }
        Ok(())
    }

    /// Open files, locks, sessions, storage classes, servers.
    fn apply_to_clients(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), Divergence> {
        match *entry {
            Entry::Acquire { session, inode } => self.apply_acquire(session, inode)?,
            Entry::Release { session, inode } => self.apply_release(session, inode)?,
            Entry::Flock {
                inode,
                session,
                owner,
                change,
            } => {
                let owner = LockOwner { session, owner };
                self.replay_flock(inode, owner, flock_kind(change))?;
            }
            Entry::PosixLock {
                inode,
                session,
                owner,
                change,
                start,
                end,
                pid,
            } => {
                let owner = LockOwner { session, owner };
                let range = ByteRange { start, end };
                self.replay_posix_lock(inode, owner, range, range_kind(change), pid)?;
            }
            Entry::SessionAdd {
                ref params,
                session,
            } => {
                let here = self.sessions.add(SessionParams::from_entry(params));
                same("session", session.0, here.0)?;
            }
            Entry::SessionChanged {
                session,
                ref params,
            } => self.apply_session_change(session, SessionParams::from_entry(params))?,
            Entry::SessionDisconnected { session } => {
                self.apply_session_disconnected(session, tx.now)?;
            }
            Entry::SessionConnected { session } => self.session_connected(session),
            Entry::SessionDelete { session } => self.replay_session_delete(session)?,
            Entry::SessionNumber { session } => {
                let next = self.sessions.next_id();
                // The session file of 1.6 may be newer than the line.
                if !self.is_of_1_6() || session >= next {
                    same("session", session.0, next.0)?;
                    self.sessions.set_next_id(SessionId(next.0.wrapping_add(1)));
                }
            }
            Entry::ClassSet(ref class) => {
                same_class(class.class, self.apply_class_set(tx, class)?)?
            }
            Entry::ClassDelete { ref name, class } => {
                same_class(class, self.classes.delete(name)?)?;
            }
            Entry::ClassDuplicate {
                ref source,
                ref destination,
                source_class,
                destination_class,
            } => {
                let (from, to) = self.classes.duplicate(source, destination)?;
                same_class(source_class, from)?;
                same_class(destination_class, to)?;
            }
            Entry::ClassRename {
                ref name,
                ref new_name,
                class,
            } => same_class(class, self.classes.rename(name, new_name)?)?,
            Entry::ServerTable {
                change,
                ip,
                port,
                argument,
            } => {
                let change = ServerChange::from_entry(change, argument).ok_or(Status::Einval)?;
                let address = ServerAddress {
                    ip: Ipv4Addr::from(ip),
                    port,
                };
                self.apply_server_change(address, change)?;
            }
            // Every other operation is above.
            _ => return Err(Status::Einval.into()),
        }
        Ok(())
    }

    /// 3.0.117 does not log that an exclusive lock becomes a shared one (§5, 13): a shared lock beside
    /// it says so. Who else is in the way of a granted lock has lost his.
    fn replay_flock(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        kind: Option<FlockKind>,
    ) -> Result<(), Divergence> {
        if self.apply_flock(inode, owner, kind).is_ok() {
            return Ok(());
        }
        let left = kind.filter(|kind| *kind == FlockKind::Shared);
        let others: Vec<LockOwner> = self
            .flocks_of(inode)
            .iter()
            .map(|lock| lock.owner)
            .filter(|other| *other != owner)
            .collect();
        for other in others {
            self.apply_flock(inode, other, left)?;
        }
        Ok(self.apply_flock(inode, owner, kind)?)
    }

    /// 3.0.117 logs a granted range before the removal of the session that held it (§5, 14): what is
    /// in the way is on its way out.
    fn replay_posix_lock(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        range: ByteRange,
        kind: Option<RangeKind>,
        pid: u32,
    ) -> Result<(), Divergence> {
        if self
            .apply_posix_lock(inode, owner, range, kind, pid)
            .is_ok()
        {
            return Ok(());
        }
        let others: Vec<(LockOwner, u32)> = self
            .posix_locks_of(inode)
            .filter(|(other, _)| *other != owner)
            .map(|(other, lock)| (other, lock.pid))
            .collect();
        for (other, pid) in others {
            self.apply_posix_lock(inode, other, range, None, pid)?;
        }
        Ok(self.apply_posix_lock(inode, owner, range, kind, pid)?)
    }

    /// A session that its client closed may be missing in files of 3.0.117 (§5, 4).
    fn replay_session_delete(&mut self, session: SessionId) -> Result<(), Divergence> {
        match self.apply_session_del(session) {
            Ok(_) | Err(Status::BadSessionId) => Ok(()),
            Err(status) => Err(status.into()),
        }
    }
}
