//! Writing a metadata file in the form of 3.0.117, from a frozen view and in bounded memory.

use super::Fingerprints;
use crate::View;
use crate::acl::Acl;
use crate::flock::FlockKind;
use crate::session::Session;
use crate::storage_class::{LabelList, StorageClass};
use crate::store::node::NodeRecord as Node;
use proto::changelog;
use proto::image::{
    AclRecord, ChunkEntry, ClassHeader, ClassRecord, EOF_MARKER, EdgeRecord, FlockRecord,
    FreeRecord, ImageHeader, Labels, NodeAttributes, NodeHeader, OpenRecord, Pieces,
    PosixLockRecord, QuotaRecord, Section, SectionHeader, SectionName, ServerRecord, SessionHeader,
    SessionRecord, XattrRecord, encode_chunk_header, encode_count, encode_edge_end,
    encode_edge_header, encode_free, encode_node_end, encode_session_end,
};
use proto::{Inode, NodeKind, SessionId};
use std::io::{self, Seek, SeekFrom, Write};

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Bytes of the file.
    pub bytes: u64,
    /// The values of `metadata.crc`.
    pub fingerprints: Fingerprints,
}

/// Writes the view to a file. `now` decides which locks of chunks are over (seconds since 1970).
/// Making the file durable is the caller's.
///
/// # Errors
/// Those of the file.
pub fn save(view: &View, now: u32, file: impl Write + Seek) -> io::Result<Saved> {
    Saver::new(view, now, Patchable(file)).save()
}

/// The same to a stream: sections have no length, which every reader accepts.
///
/// # Errors
/// Those of the stream.
pub fn save_stream(view: &View, now: u32, stream: impl Write) -> io::Result<Saved> {
    Saver::new(view, now, Stream(stream)).save()
}

/// Where the bytes go.
trait Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Replaces bytes that lie `back` bytes behind the end.
    fn patch(&mut self, back: u64, bytes: &[u8]) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
}

struct Patchable<W>(W);

impl<W: Write + Seek> Sink for Patchable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn patch(&mut self, back: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.0.stream_position()?;
        self.0.seek(SeekFrom::Start(end.saturating_sub(back)))?;
        self.0.write_all(bytes)?;
        self.0.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Stream<W>(W);

impl<W: Write> Sink for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn patch(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Saver<'a, S> {
    view: &'a View,
    now: u32,
    out: Pieces,
    sink: S,
    bytes: u64,
    fingerprints: Fingerprints,
}

impl<'a, S: Sink> Saver<'a, S> {
    fn new(view: &'a View, now: u32, sink: S) -> Self {
        Saver {
            view,
            now,
            out: Pieces::default(),
            sink,
            bytes: 0,
            fingerprints: Fingerprints::default(),
        }
    }

    fn save(mut self) -> io::Result<Saved> {
        let header = ImageHeader::encode(self.view.version, self.view.metaid);
        let (signature, rest) = header.split_at(8);
        self.out.piece(|out| out.extend_from_slice(signature));
        self.out.piece(|out| out.extend_from_slice(rest));
        self.end_of(SectionName(*b"HEAD"));
        for &section in Section::ALL {
            self.section(section)?;
        }
        self.out.piece(|out| out.extend_from_slice(&EOF_MARKER));
        self.end_of(SectionName(*b"TAIL"));
        self.write()?;
        self.sink.flush()?;
        Ok(Saved {
            bytes: self.bytes,
            fingerprints: self.fingerprints,
        })
    }

    fn end_of(&mut self, name: SectionName) {
        let value = self.out.take_fingerprint();
        self.fingerprints.push(name, value);
    }

    /// Hands over what has been collected.
    fn write(&mut self) -> io::Result<()> {
        self.sink.write(self.out.bytes())?;
        self.bytes += self.out.bytes().len() as u64;
        self.out.clear();
        Ok(())
    }

    /// To be called after each record.
    #[inline]
    fn spill(&mut self) -> io::Result<()> {
        if self.out.bytes().len() >= BUFFER_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// The header counts without its length, which counts by itself (§1.9).
    fn section(&mut self, section: Section) -> io::Result<()> {
        let header = SectionHeader {
            name: section.name(),
            version: section.version(),
            length: None,
        };
        self.out
            .piece(|out| out.extend_from_slice(&header.encode()));
        self.write()?;
        let start = self.bytes;
        match section {
            Section::Sessions => self.sessions()?,
            Section::Classes => self.classes(),
            Section::Nodes => self.nodes()?,
            Section::Edges => self.edges()?,
            Section::Free => self.free(),
            Section::Quotas => self.quotas()?,
            Section::Xattrs => self.xattrs()?,
            Section::Acls => self.acls()?,
            Section::Open => self.open()?,
            Section::Flocks => self.flocks()?,
            Section::PosixLocks => self.posix_locks()?,
            Section::Servers => self.servers()?,
            Section::Chunks => self.chunks()?,
        }
        self.write()?;
        let length = self.bytes - start;
        self.out.count(&length.to_be_bytes());
        self.end_of(section.name());
        self.sink.patch(length + 8, &length.to_be_bytes())
    }

    /// Closed sessions are written, too: their files stay open until SESDEL.
    fn sessions(&mut self) -> io::Result<()> {
        SessionHeader::encode(self.view.sessions.next_id(), &mut self.out);
        for session in self.view.sessions.iter() {
            session_record(session).encode(&mut self.out);
            self.spill()?;
        }
        encode_session_end(&mut self.out);
        Ok(())
    }

    fn classes(&mut self) {
        ClassHeader::encode(&mut self.out);
        for (id, class) in self.view.classes.iter() {
            class_record(id.0, class).encode(&mut self.out);
        }
        ClassRecord::encode_end(&mut self.out);
    }

    fn nodes(&mut self) -> io::Result<()> {
        let store = &self.view.store;
        let header = NodeHeader {
            max_inode: store.max_inode,
            nodes: store.totals.inodes,
        };
        header.encode(&mut self.out);
        for (inode, node) in self.view.nodes() {
            self.node(inode, node);
            self.spill()?;
        }
        encode_node_end(&mut self.out);
        Ok(())
    }

    #[inline]
    fn node(&mut self, inode: Inode, node: &Node) {
        let kind = node.kind();
        let attributes = NodeAttributes {
            kind,
            inode,
            class: node.class,
            eattr: node.eattr,
            winattr: node.winattr,
            mode: node.mode(),
            uid: node.uid,
            gid: node.gid,
            atime: node.atime,
            mtime: node.mtime,
            ctime: node.ctime,
            trash_hours: node.trash_hours,
        };
        let out = &mut self.out;
        match kind {
            NodeKind::Directory | NodeKind::Fifo | NodeKind::Socket => attributes.encode_plain(out),
            NodeKind::BlockDevice | NodeKind::CharDevice => {
                attributes.encode_device(node.rdev(), out);
            }
            NodeKind::Symlink => attributes.encode_symlink(self.view.store.target(node), out),
            NodeKind::File | NodeKind::Trash | NodeKind::Sustained => {
                let chunks = self.view.file_chunks(node);
                attributes.encode_data(node.file_length(), chunks, out);
            }
        }
    }

    fn edges(&mut self) -> io::Result<()> {
        let view = self.view;
        encode_edge_header(view.store.next_edge_id, &mut self.out);
        for edge in view.names() {
            EdgeRecord {
                parent: Inode(edge.parent),
                child: Inode(edge.child),
                edge_id: edge.edge_id,
                name: view.store.name(edge),
            }
            .encode(&mut self.out);
            self.spill()?;
        }
        encode_edge_end(&mut self.out);
        Ok(())
    }

    fn free(&mut self) {
        let freed = &self.view.store.freed;
        let records = freed.iter().map(|freed| FreeRecord {
            inode: freed.inode,
            freed: freed.since,
        });
        encode_free(freed.len(), records, &mut self.out);
    }

    fn quotas(&mut self) -> io::Result<()> {
        encode_count(self.view.quotas.len(), &mut self.out);
        for (inode, quota) in self.view.quotas.iter() {
            let limits = |limits: &crate::quota::Limits| changelog::QuotaLimits {
                inodes: limits.inodes,
                length: limits.length,
                size: limits.size,
                real_size: limits.real_size,
            };
            let record = changelog::Quota {
                inode,
                exceeded: quota.exceeded,
                flags: quota.flags,
                soft_since: quota.since,
                soft: limits(&quota.soft),
                hard: limits(&quota.hard),
                grace_seconds: quota.grace_seconds,
            };
            QuotaRecord::encode(&record, &mut self.out);
            self.spill()?;
        }
        Ok(())
    }

    fn xattrs(&mut self) -> io::Result<()> {
        for inode in self.view.xattrs.inodes() {
            for (name, value) in self.view.xattrs.of(inode) {
                XattrRecord { inode, name, value }.encode(&mut self.out);
                self.spill()?;
            }
        }
        XattrRecord::encode_end(&mut self.out);
        Ok(())
    }

    fn acls(&mut self) -> io::Result<()> {
        for (inode, kind, acl) in self.view.acls.iter() {
            self.acl(inode, kind as u8, acl);
            self.spill()?;
        }
        AclRecord::encode_end(&mut self.out);
        Ok(())
    }

    fn acl(&mut self, inode: Inode, acl_type: u8, acl: &Acl) {
        let (users, groups) = (acl.named_users(), acl.named_groups());
        let mut record =
            AclRecord::new(inode, acl_type, [acl.user, acl.group, acl.other, acl.mask]);
        // Lists come from messages with 16-bit counts.
        record.named_users = users.len() as u16;
        record.named_groups = groups.len() as u16;
        let entries = users.iter().chain(groups);
        record.encode_with(
            entries.map(|entry| (entry.id, entry.permission)),
            &mut self.out,
        );
    }

    /// Loading drops what unknown sessions have open; only a state of 1.6 has such.
    fn open(&mut self) -> io::Result<()> {
        let sessions = &self.view.sessions;
        let known = |(session, _): &(SessionId, Inode)| sessions.get(*session).is_some();
        for (session, inode) in self.view.open.iter().filter(known) {
            OpenRecord { session, inode }.encode(&mut self.out);
            self.spill()?;
        }
        OpenRecord::encode_end(&mut self.out);
        Ok(())
    }

    fn flocks(&mut self) -> io::Result<()> {
        for (inode, lock) in self.view.flocks.iter() {
            FlockRecord {
                inode,
                owner: lock.owner.owner,
                session: lock.owner.session,
                kind: u8::from(lock.kind == FlockKind::Exclusive),
            }
            .encode(&mut self.out);
            self.spill()?;
        }
        FlockRecord::encode_end(&mut self.out);
        Ok(())
    }

    fn posix_locks(&mut self) -> io::Result<()> {
        for (inode, owner, lock) in self.view.posix_locks.iter() {
            PosixLockRecord {
                inode,
                owner: owner.owner,
                session: owner.session,
                pid: lock.pid,
                start: lock.range.start,
                end: lock.range.end,
                kind: lock.kind as u8,
            }
            .encode(&mut self.out);
            self.spill()?;
        }
        PosixLockRecord::encode_end(&mut self.out);
        Ok(())
    }

    fn servers(&mut self) -> io::Result<()> {
        encode_count(self.view.servers.len(), &mut self.out);
        for (address, server) in self.view.servers.iter() {
            ServerRecord {
                ip: address.ip.into(),
                port: address.port,
                csid: server.csid,
                maintenance: server.maintenance as u8,
                maintenance_until: server.maintenance_until,
            }
            .encode(&mut self.out);
            self.spill()?;
        }
        Ok(())
    }

    fn chunks(&mut self) -> io::Result<()> {
        encode_chunk_header(self.view.next_chunk_id, &mut self.out);
        for chunk in self.view.chunk_records() {
            ChunkEntry {
                chunk: chunk.id,
                version: chunk.version,
                locked_to: if chunk.locked_to < self.now {
                    0
                } else {
                    chunk.locked_to
                },
                archived: chunk.archived,
                has_newer_flags: false,
            }
            .encode(&mut self.out);
            self.spill()?;
        }
        ChunkEntry::encode_end(&mut self.out);
        Ok(())
    }
}

fn session_record(session: &Session) -> SessionRecord<'_> {
    let params = &session.params;
    SessionRecord {
        session: session.id,
        exports_checksum: params.exports_checksum,
        peer_ip: params.peer.into(),
        root: params.root,
        flags: params.flags,
        umask: params.umask,
        min_goal: params.min_goal,
        max_goal: params.max_goal,
        min_trash_seconds: params.min_trash_seconds,
        max_trash_seconds: params.max_trash_seconds,
        root_uid: params.root_uid,
        root_gid: params.root_gid,
        map_all_uid: params.map_all_uid,
        map_all_gid: params.map_all_gid,
        disables: params.disables,
        disconnected: Some(session.disconnected),
        current_counters: session.counters.current,
        last_hour_counters: session.counters.last_hour,
        info: &params.info,
    }
}

fn class_record(class: u8, of: &StorageClass) -> ClassRecord<'_> {
    let labels = |list: &LabelList| -> Labels {
        let expressions = list.expressions().iter();
        expressions.map(|expression| expression.0).collect()
    };
    ClassRecord {
        class: u16::from(class),
        name: Some(&of.name),
        admin_only: of.rules.admin_only,
        mode: of.rules.mode as u8,
        archive_delay_days: of.rules.archive_delay_days,
        create: labels(&of.rules.create),
        keep: labels(&of.rules.keep),
        archive: labels(&of.rules.archive),
    }
}
