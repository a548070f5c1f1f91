//! Everything but inodes and names.

use super::{Loader, Outcome};
use crate::acl::{Acl, AclEntry, AclKind};
use crate::chunk_table::ChunkRecord;
use crate::flock::{FlockKind, LockOwner};
use crate::image::{Problem, Source};
use crate::posix_lock::{ByteRange, RangeKind};
use crate::quota::{Limits, Quota};
use crate::server_table::{Maintenance, ServerAddress, ServerRecord};
use crate::session::{OperationCounters, Session, SessionParams};
use crate::storage_class::{
    ClassRules, LabelExpression, LabelList, LabelMode, PREDEFINED_MAX, StorageClass,
};
use crate::store::Freed;
use crate::xattr::VALUE_BYTES_MAX;
use proto::changelog::QuotaLimits;
use proto::image::{
    self, AclRecord, ChunkEntry, ClassHeader, ClassRecord, FlockRecord, FreeRecord, LABEL_GROUPS,
    Labels, OpenRecord, PosixLockRecord, QuotaRecord, SessionHeader, SessionRecord, SessionsFile,
    XattrRecord, decode_count,
};
use proto::{ClassId, Inode, SessionId};
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

impl<'a> Loader<'a> {
    pub(super) fn sessions(&mut self, version: u8) -> Outcome<()> {
        let header = SessionHeader::decode(&mut self.reader, version)?;
        self.namespace.sessions.set_next_id(header.next_session);
        while let Some(record) =
            self.next(|reader| SessionRecord::decode(reader, version, header))?
        {
            self.session(&record)?;
        }
        Ok(())
    }

    /// `sessions.mfs` of 1.6; it is not needed.
    pub(super) fn sessions_file(&mut self) -> Outcome<()> {
        let Some(data) = self.options.sessions else {
            return Ok(());
        };
        let metadata = std::mem::replace(&mut self.source, Source::Sessions);
        let before = self.record.replace(data.len());
        let Some(mut file) = SessionsFile::open(data)? else {
            return Err(Problem::NotMetadata);
        };
        loop {
            self.record = Some(file.remaining());
            let Some(record) = file.next_session()? else {
                break;
            };
            self.session(&record)?;
        }
        (self.source, self.record) = (metadata, before);
        Ok(())
    }

    fn session(&mut self, record: &SessionRecord<'_>) -> Outcome<()> {
        let params = SessionParams {
            exports_checksum: record.exports_checksum,
            root: record.root,
            flags: record.flags,
            umask: record.umask,
            root_uid: record.root_uid,
            root_gid: record.root_gid,
            map_all_uid: record.map_all_uid,
            map_all_gid: record.map_all_gid,
            min_goal: record.min_goal,
            max_goal: record.max_goal,
            min_trash_seconds: record.min_trash_seconds,
            max_trash_seconds: record.max_trash_seconds,
            disables: record.disables,
            peer: Ipv4Addr::from(record.peer_ip),
            info: record.info.into(),
        };
        let mut session = Session::new(record.session, params);
        session.disconnected = record.disconnected.unwrap_or(self.options.now);
        session.counters = OperationCounters {
            current: record.current_counters,
            last_hour: record.last_hour_counters,
        };
        let sessions = &mut self.namespace.sessions;
        if sessions.next_id() <= record.session {
            sessions.set_next_id(SessionId(record.session.0.wrapping_add(1)));
        }
        if !sessions.load(session) {
            self.problem(Problem::SessionRepeated(record.session.0))?;
        }
        Ok(())
    }

    pub(super) fn classes(&mut self, version: u8) -> Outcome<()> {
        let header = ClassHeader::decode(&mut self.reader, version)?;
        if header.groups > LABEL_GROUPS {
            self.problem(Problem::TooManyGroups(header.groups))?;
        }
        let mut seen = HashSet::new();
        while let Some(record) = self.next(|reader| ClassRecord::decode(reader, version, header))? {
            self.class(&record, &mut seen)?;
        }
        Ok(())
    }

    pub(super) fn class(
        &mut self,
        record: &ClassRecord<'_>,
        seen: &mut HashSet<u16>,
    ) -> Outcome<()> {
        let Ok(id) = u8::try_from(record.class) else {
            return self.problem(Problem::ClassId(record.class));
        };
        if !seen.insert(record.class) {
            return self.problem(Problem::ClassRepeated(record.class));
        }
        let lists = (
            label_list(&record.create),
            label_list(&record.keep),
            label_list(&record.archive),
        );
        let (Some(create), Some(keep), Some(archive)) = lists else {
            return Err(Problem::ClassFormat(record.class));
        };
        let name = record.name.map_or_else(
            || {
                let number = id.checked_sub(PREDEFINED_MAX).filter(|number| *number > 0);
                let name = number.map_or_else(|| id.to_string(), |n| format!("sclass_{n}"));
                name.into_bytes().into_boxed_slice()
            },
            Into::into,
        );
        let rules = ClassRules {
            admin_only: record.admin_only,
            mode: LabelMode::from_stored(record.mode),
            archive_delay_days: record.archive_delay_days,
            create,
            keep,
            archive,
        };
        let class = StorageClass { name, rules };
        if !self.namespace.classes.load(ClassId(id), class) {
            self.problem(Problem::ClassRepeated(record.class))?;
        }
        Ok(())
    }

    /// A number that is in use cannot wait to be used again.
    pub(super) fn free(&mut self) -> Outcome<()> {
        let count = decode_count(&mut self.reader)?;
        let mut seen = HashSet::new();
        for _ in 0..count {
            self.begin_record();
            let record = FreeRecord::decode(&mut self.reader)?;
            let inode = record.inode;
            let is_used = self.namespace.store.node(inode).is_some();
            if is_used || inode == Inode(0) || !seen.insert(inode) {
                self.problem(Problem::FreeInUse(inode))?;
                continue;
            }
            self.namespace.used.take(inode.0);
            self.namespace.store.freed.push_back(Freed {
                inode,
                since: record.freed,
            });
        }
        Ok(())
    }

    pub(super) fn quotas(&mut self, version: u8) -> Outcome<()> {
        for _ in 0..decode_count(&mut self.reader)? {
            self.begin_record();
            let record = QuotaRecord::decode(&mut self.reader, version)?;
            let inode = record.quota.inode;
            if version >= 0x11 && inode == Inode(0) && self.options.ignore {
                self.lose("quota of the whole file system");
                continue;
            }
            let node = self.namespace.store.node(inode);
            if !node.is_some_and(|node| node.is_dir()) {
                let exists = node.is_some();
                self.problem(Problem::QuotaInode { inode, exists })?;
                continue;
            }
            let quota = Quota {
                flags: record.quota.flags,
                grace_seconds: if record.has_grace {
                    record.quota.grace_seconds
                } else {
                    self.options.quota_grace_seconds
                },
                exceeded: record.quota.exceeded,
                since: record.quota.soft_since,
                soft: limits(record.quota.soft),
                hard: limits(record.quota.hard),
            };
            self.namespace.quotas.set(inode, quota);
        }
        Ok(())
    }

    /// The attributes of an inode follow each other.
    pub(super) fn xattrs(&mut self) -> Outcome<()> {
        let mut of = Inode(0);
        let mut attributes: Vec<(&'a [u8], &'a [u8])> = Vec::new();
        while let Some(record) = self.next(XattrRecord::decode)? {
            if record.inode != of {
                self.keep_xattrs(of, &attributes);
                attributes.clear();
                of = record.inode;
                if self.namespace.store.node(of).is_none() {
                    self.problem(Problem::XattrInode(of))?;
                }
            }
            if record.name.is_empty() {
                self.problem(Problem::XattrEmptyName(of))?;
            } else if record.value.len() > VALUE_BYTES_MAX {
                self.problem(Problem::XattrOversized(of))?;
            } else {
                attributes.push((record.name, record.value));
            }
        }
        self.keep_xattrs(of, &attributes);
        Ok(())
    }

    /// Attributes of unknown inodes are left out.
    fn keep_xattrs(&mut self, inode: Inode, attributes: &[(&[u8], &[u8])]) {
        let namespace = &mut self.namespace;
        if attributes.is_empty() || namespace.store.node(inode).is_none() {
            return;
        }
        let present: Vec<(Vec<u8>, Vec<u8>)> = namespace
            .xattrs
            .of(inode)
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        let present = present.iter().map(|(name, value)| (&name[..], &value[..]));
        namespace
            .xattrs
            .load(inode, present.chain(attributes.iter().copied()));
        namespace.refresh_marks(inode);
    }

    pub(super) fn acls(&mut self, version: u8) -> Outcome<()> {
        while let Some(record) = self.next(|reader| AclRecord::decode(reader, version))? {
            let inode = record.inode;
            if self.namespace.store.node(inode).is_none() {
                self.problem(Problem::AclInode(inode))?;
                continue;
            }
            let Some(kind) = AclKind::from_number(record.acl_type) else {
                self.problem(Problem::AclType(inode))?;
                continue;
            };
            if self.namespace.acls.get(inode, kind).is_some() {
                self.problem(Problem::AclRepeated(inode))?;
                continue;
            }
            if record.mask_replaced {
                self.problem(Problem::AclMask(inode))?;
            }
            let entries: Vec<_> = record
                .entries()
                .map(|(id, permission)| AclEntry { id, permission })
                .collect();
            let (users, groups) = entries.split_at(usize::from(record.named_users));
            let permissions = [record.user, record.group, record.other, record.mask];
            let acl = Acl::new(permissions, users.iter().copied(), groups.iter().copied());
            self.namespace.acls.set(inode, kind, Arc::new(acl));
            self.namespace.refresh_marks(inode);
        }
        Ok(())
    }

    /// Relations of unknown sessions and inodes are left out, as by MooseFS.
    pub(super) fn open(&mut self) -> Outcome<()> {
        while let Some(record) = self.next(|reader| OpenRecord::decode(reader))? {
            let OpenRecord { session, inode } = record;
            let namespace = &mut self.namespace;
            if namespace.sessions.get(session).is_none() {
                self.problem(Problem::OpenOfEndedSession { session, inode })?;
            } else if namespace.store.node(inode).is_none()
                || !namespace.open.insert(session, inode)
            {
                self.problem(Problem::OpenUnknown { session, inode })?;
            }
        }
        Ok(())
    }

    pub(super) fn flocks(&mut self) -> Outcome<()> {
        while let Some(record) = self.next(|reader| FlockRecord::decode(reader))? {
            let inode = record.inode;
            if !self.namespace.open.contains(record.session, inode) {
                self.problem(Problem::LockOnClosed(inode))?;
                continue;
            }
            let owner = LockOwner {
                session: record.session,
                owner: record.owner,
            };
            let kind = match record.kind {
                0 => Some(FlockKind::Shared),
                1 => Some(FlockKind::Exclusive),
                _ => None,
            };
            let flocks = &mut self.namespace.flocks;
            let applied = kind.map(|kind| flocks.apply(inode, owner, Some(kind)));
            if !matches!(applied, Some(Ok(()))) {
                self.problem(Problem::LockWrong(inode))?;
            }
        }
        Ok(())
    }

    pub(super) fn posix_locks(&mut self) -> Outcome<()> {
        let mut last: Option<PosixLockRecord> = None;
        while let Some(record) = self.next(|reader| PosixLockRecord::decode(reader))? {
            let inode = record.inode;
            let owner = LockOwner {
                session: record.session,
                owner: record.owner,
            };
            if !self.namespace.open.contains(record.session, inode) {
                self.problem(Problem::LockOnClosed(inode))?;
                continue;
            }
            let same = last.filter(|last| {
                (last.inode, last.session, last.owner) == (inode, record.session, record.owner)
            });
            if record.start >= record.end || same.is_some_and(|last| record.start < last.end) {
                self.problem(Problem::RangeOrder(inode))?;
                continue;
            }
            if same.is_some_and(|last| record.start == last.end && record.kind == last.kind) {
                self.problem(Problem::RangeConnected(inode))?;
                continue;
            }
            last = Some(record);
            let range = ByteRange {
                start: record.start,
                end: record.end,
            };
            let locks = &mut self.namespace.posix_locks;
            let applied = RangeKind::from_number(record.kind)
                .map(|kind| locks.apply(inode, owner, range, Some(kind), record.pid));
            if !matches!(applied, Some(Ok(()))) {
                self.problem(Problem::LockWrong(inode))?;
            }
        }
        Ok(())
    }

    pub(super) fn servers(&mut self, version: u8) -> Outcome<()> {
        for _ in 0..decode_count(&mut self.reader)? {
            self.begin_record();
            let record = image::ServerRecord::decode(&mut self.reader, version)?;
            let maintenance = Maintenance::from_number(record.maintenance);
            if maintenance.is_none() {
                self.problem(Problem::ServerState(record.maintenance))?;
            }
            let address = ServerAddress {
                ip: Ipv4Addr::from(record.ip),
                port: record.port,
            };
            let server = ServerRecord {
                csid: record.csid,
                maintenance: maintenance.unwrap_or_default(),
                maintenance_until: record.maintenance_until,
            };
            if !self.namespace.servers.load(address, server) {
                self.problem(Problem::ServerRepeated)?;
            }
        }
        Ok(())
    }

    /// The chunks of a section of this length, before anything refers to them.
    pub(super) fn chunks_in_bulk(&mut self, version: u8, length: u64) -> Outcome<()> {
        self.namespace.chunks.next_id = self.reader.get()?;
        // 16 bytes is the smallest record.
        let most = usize::try_from(length / 16).unwrap_or(usize::MAX);
        let most = most.min(self.reader.remaining() / 16);
        let mut records = Vec::with_capacity(most);
        while let Some(entry) = self.next(|reader| ChunkEntry::decode(reader, version))? {
            records.push(chunk_record(&entry));
        }
        for repeated in self.namespace.chunks.fill(records) {
            self.problem(Problem::ChunkRepeated(repeated.0))?;
        }
        self.places = self.namespace.chunks.places();
        Ok(())
    }

    pub(super) fn chunks(&mut self, version: u8) -> Outcome<()> {
        self.namespace.chunks.next_id = self.reader.get()?;
        let mut newer = false;
        while let Some(entry) = self.next(|reader| ChunkEntry::decode(reader, version))? {
            newer |= entry.has_newer_flags;
            if self.namespace.chunks.insert(chunk_record(&entry)).is_none() {
                self.problem(Problem::ChunkRepeated(entry.chunk.0))?;
            }
        }
        if newer {
            self.lose("trash flags of chunks and permissions to read zeros");
        }
        Ok(())
    }
}

fn chunk_record(entry: &ChunkEntry) -> ChunkRecord {
    ChunkRecord {
        id: entry.chunk,
        version: entry.version,
        locked_to: entry.locked_to,
        archived: entry.archived,
        ..ChunkRecord::default()
    }
}

fn label_list(labels: &Labels) -> Option<LabelList> {
    let expressions: Vec<_> = labels.iter().copied().map(LabelExpression).collect();
    LabelList::new(&expressions)
}

fn limits(limits: QuotaLimits) -> Limits {
    Limits {
        inodes: limits.inodes,
        length: limits.length,
        size: limits.size,
        real_size: limits.real_size,
    }
}
