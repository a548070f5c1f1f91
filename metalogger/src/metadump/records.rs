//! One line for each record, in the columns of the real program.

use super::Dumper;
use proto::changelog::Quota;
use proto::image::{
    AclRecord, ChunkEntry, ClassHeader, ClassRecord, Damage, Decoded, EdgeRecord, FlockRecord,
    FreeRecord, Labels, NodeBody, NodeHeader, NodeRecord, OpenRecord, PosixLockRecord, QuotaRecord,
    Section, ServerRecord, SessionHeader, SessionRecord, XattrRecord, decode_count,
    decode_edge_header,
};
use proto::{ChunkId, Inode, NodeKind, Reader};
use std::io::{self, Write};
use std::net::Ipv4Addr;

/// Grace period of quotas that store none, as the real program shows it.
const GRACE_SECONDS: u32 = 7 * 24 * 3600;

/// A section that was read to its end, or what is wrong with it.
type Read = io::Result<Result<(), Damage>>;

/// Makes an early return of damage out of a result inside [`Read`].
macro_rules! read {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(damage) => return Ok(Err(Damage::from(damage))),
        }
    };
}

impl<'a, W: Write> Dumper<'a, W> {
    /// Reads the records of a section and shows them if wished.
    pub(super) fn records(&mut self, section: Section, version: u8, shows: bool) -> Read {
        match section {
            Section::Sessions => self.sessions(version, shows),
            Section::Classes => self.classes(version, shows),
            Section::Nodes => self.nodes(version, shows),
            Section::Edges => self.edges(version, shows),
            Section::Free => {
                self.counted(shows, "free nodes", FreeRecord::decode, |dumper, record| {
                    let FreeRecord { inode, freed } = record;
                    writeln!(dumper.out, "FREEID|i:{:10}|f:{freed:10}", inode.0)
                })
            }
            Section::Quotas => self.counted(
                shows,
                "quota nodes",
                |reader| QuotaRecord::decode(reader, version),
                |dumper, record| dumper.quota(&record),
            ),
            Section::Xattrs => self.listed(shows, XattrRecord::decode, Dumper::xattr),
            Section::Acls => self.listed(
                shows,
                |reader| AclRecord::decode(reader, version),
                Dumper::acl,
            ),
            Section::Open => self.listed(shows, OpenRecord::decode, |dumper, record| {
                let OpenRecord { session, inode } = record;
                writeln!(dumper.out, "OPENFILE|s:{:10}|i:{:10}", session.0, inode.0)
            }),
            Section::Flocks => self.listed(shows, FlockRecord::decode, Dumper::flock),
            Section::PosixLocks => self.listed(shows, PosixLockRecord::decode, Dumper::posix_lock),
            Section::Servers => self.counted(
                shows,
                "chunk servers",
                |reader| ServerRecord::decode(reader, version),
                |dumper, record| dumper.server(&record, version),
            ),
            Section::Chunks => self.chunks(version, shows),
        }
    }

    /// Records up to an end of their own.
    fn listed<T>(
        &mut self,
        shows: bool,
        decode: impl Fn(&mut Reader<'a>) -> Decoded<T>,
        show: impl Fn(&mut Self, T) -> io::Result<()>,
    ) -> Read {
        while let Some(record) = read!(decode(&mut self.reader)) {
            if shows {
                show(self, record)?;
            }
            (self.progress)(self.reader.remaining());
        }
        Ok(Ok(()))
    }

    /// As many records as a number before them says.
    fn counted<T>(
        &mut self,
        shows: bool,
        title: &str,
        decode: impl Fn(&mut Reader<'a>) -> Result<T, Damage>,
        show: impl Fn(&mut Self, T) -> io::Result<()>,
    ) -> Read {
        let count = read!(decode_count(&mut self.reader));
        if shows {
            writeln!(self.out, "# {title}: {count}")?;
        }
        for _ in 0..count {
            let record = read!(decode(&mut self.reader));
            if shows {
                show(self, record)?;
            }
            (self.progress)(self.reader.remaining());
        }
        Ok(Ok(()))
    }

    fn sessions(&mut self, version: u8, shows: bool) -> Read {
        let header = read!(SessionHeader::decode(&mut self.reader, version));
        if shows {
            self.out.write_all(match version {
                0x10 => b"# dver: 1 ; ",
                0x11 => b"# dver: 2 ; ",
                _ => b"# ",
            })?;
            writeln!(
                self.out,
                "nextsessionid: {} ; statscount: {}",
                header.next_session, header.counters
            )?;
        }
        let counters = usize::from(header.counters);
        self.listed(
            shows,
            |reader| SessionRecord::decode(reader, version, header),
            |dumper, record| dumper.session(&record, version, counters),
        )
    }

    fn session(
        &mut self,
        record: &SessionRecord<'_>,
        version: u8,
        counters: usize,
    ) -> io::Result<()> {
        let out = &mut self.out;
        write!(out, "SESSION|s:{:10}", record.session.0)?;
        if version >= 0x13 {
            write!(out, "|e:#{}", record.exports_checksum)?;
        }
        let peer = Padded(record.peer_ip);
        write!(out, "|p:{peer}|r:{:10}|f:", record.root.0)?;
        if version >= 0x14 {
            write!(out, "0x{:02X}|u:{:04o}", record.flags, record.umask)?;
        } else {
            write!(out, "{:02X}", record.flags)?;
        }
        write!(
            out,
            "|g:{}-{}|t:{:10}-{:10}|m:{:10},{:10},{:10},{:10}",
            record.min_goal,
            record.max_goal,
            record.min_trash_seconds,
            record.max_trash_seconds,
            record.root_uid,
            record.root_gid,
            record.map_all_uid,
            record.map_all_gid
        )?;
        if version >= 0x15 {
            write!(out, "|x:0x{:08X}", record.disables)?;
        }
        if let Some(disconnected) = record.disconnected {
            write!(out, "|d:{disconnected:10}")?;
        }
        for (letter, values) in [
            ('c', &record.current_counters),
            ('l', &record.last_hour_counters),
        ] {
            write!(out, "|{letter}:[")?;
            for (index, value) in values.iter().take(counters).enumerate() {
                let comma = if index > 0 { "," } else { "" };
                write!(out, "{comma}{value}")?;
            }
            out.write_all(b"]")?;
        }
        out.write_all(b"|i:")?;
        self.text(record.info)?;
        self.out.write_all(b"\n")
    }

    fn classes(&mut self, version: u8, shows: bool) -> Read {
        let mut labels: Vec<(char, Vec<u8>)> = Vec::new();
        let header = ClassHeader::decode_described(&mut self.reader, version, |label, text| {
            labels.push((label, text.to_vec()));
        });
        for (label, text) in labels.iter().filter(|_| shows) {
            write!(self.out, "LABELDESC|l:{label}|n:")?;
            self.text(text)?;
            self.out.write_all(b"\n")?;
        }
        let header = read!(header);
        self.listed(
            shows,
            |reader| ClassRecord::decode(reader, version, header),
            |dumper, record| dumper.class(&record, version),
        )
    }

    fn class(&mut self, record: &ClassRecord<'_>, version: u8) -> io::Result<()> {
        write!(
            self.out,
            "SCLASS|#:{:5}|x:{}|m:{}|d:{:5}",
            record.class,
            u8::from(record.admin_only),
            record.mode,
            record.archive_delay_days
        )?;
        // Versions without lists of their own say for which lists one stands.
        if version < 0x14 {
            write!(self.out, "|c+k+a: {}", positions(&record.create))?;
        } else if version < 0x15 {
            let (create, keep) = (positions(&record.create), positions(&record.keep));
            write!(self.out, "|c: {create} |k+a: {keep}")?;
        } else {
            let lists = [&record.create, &record.keep, &record.archive];
            let [create, keep, archive] = lists.map(positions);
            write!(self.out, "|c: {create} |k: {keep} |a: {archive} ")?;
        }
        if let Some(name) = record.name {
            self.out.write_all(b"|n:")?;
            self.text(name)?;
        }
        self.out.write_all(b"\n")
    }

    fn nodes(&mut self, version: u8, shows: bool) -> Read {
        let header = read!(NodeHeader::decode(
            &mut self.reader,
            self.container,
            version
        ));
        if shows && self.container >= proto::image::CONTAINER_2_0 {
            let NodeHeader { max_inode, nodes } = header;
            match version {
                0x10 => writeln!(self.out, "# maxinode: {max_inode}")?,
                _ => writeln!(self.out, "# maxinode: {max_inode} ; hashelements: {nodes}")?,
            }
        }
        self.listed(
            shows,
            |reader| NodeRecord::decode(reader, version),
            |dumper, record| dumper.node(&record, version),
        )
    }

    fn node(&mut self, record: &NodeRecord<'_>, version: u8) -> io::Result<()> {
        let node = &record.attributes;
        let kind = match node.kind {
            NodeKind::File => '-',
            NodeKind::Directory => 'D',
            NodeKind::Symlink => 'L',
            NodeKind::Fifo => 'F',
            NodeKind::BlockDevice => 'B',
            NodeKind::CharDevice => 'C',
            NodeKind::Socket => 'S',
            NodeKind::Trash => 'T',
            NodeKind::Sustained => 'R',
        };
        let out = &mut self.out;
        write!(
            out,
            "NODE|k:{kind}|i:{:10}|#:{}|e:0x{:02X}",
            node.inode.0, node.class.0, node.eattr
        )?;
        if version >= 0x14 {
            write!(out, "|w:0x{:X}", node.winattr)?;
        }
        write!(
            out,
            "|m:{:05o}|u:{:10}|g:{:10}|a:{:10},m:{:10},c:{:10}",
            node.mode, node.uid, node.gid, node.atime, node.mtime, node.ctime
        )?;
        match record.trash_seconds {
            Some(seconds) => write!(out, "|t:{seconds:10}s")?,
            None => write!(out, "|t:{:5}h", node.trash_hours)?,
        }
        match record.body {
            NodeBody::Plain => {}
            NodeBody::Device(rdev) => write!(out, "|d:{:5},{:5}", rdev >> 16, rdev & 0xFFFF)?,
            NodeBody::Symlink(target) => {
                out.write_all(b"|p:")?;
                self.text(target)?;
            }
            NodeBody::Data { length, chunks, .. } => {
                write!(out, "|l:{length:20}|c:(")?;
                for (index, chunk) in chunks.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    if chunk == ChunkId::HOLE {
                        write!(out, "{comma}N")?;
                    } else {
                        write!(out, "{comma}{:016X}", chunk.0)?;
                    }
                }
                out.write_all(b")")?;
                if version <= 0x13 {
                    out.write_all(b"|r:(")?;
                    for (index, session) in record.sessions().enumerate() {
                        let comma = if index > 0 { "," } else { "" };
                        write!(out, "{comma}{session}")?;
                    }
                    out.write_all(b")")?;
                }
            }
        }
        self.out.write_all(b"\n")
    }

    fn edges(&mut self, version: u8, shows: bool) -> Read {
        let next = read!(decode_edge_header(&mut self.reader, version));
        if let Some(next) = next.filter(|_| shows) {
            writeln!(self.out, "# nextedgeid: {next:016X}")?;
        }
        self.listed(
            shows,
            |reader| EdgeRecord::decode(reader, version),
            |dumper, edge| {
                let (child, id) = (edge.child.0, edge.edge_id);
                if edge.parent == Inode(0) {
                    write!(
                        dumper.out,
                        "EDGE|p:      NULL|c:{child:10}|i:0x{id:016X}|n:"
                    )?;
                } else {
                    let parent = edge.parent.0;
                    write!(
                        dumper.out,
                        "EDGE|p:{parent:10}|c:{child:10}|i:0x{id:016X}|n:"
                    )?;
                }
                dumper.text(edge.name)?;
                dumper.out.write_all(b"\n")
            },
        )
    }

    fn quota(&mut self, record: &QuotaRecord) -> io::Result<()> {
        let Quota {
            inode,
            exceeded,
            flags,
            soft_since,
            soft,
            hard,
            grace_seconds,
        } = record.quota;
        let grace = if record.has_grace {
            grace_seconds
        } else {
            GRACE_SECONDS
        };
        write!(
            self.out,
            "QUOTA|i:{:10}|g:{grace}|e:{}|f:0x{flags:02X}|s:{soft_since:10}",
            inode.0,
            u8::from(exceeded)
        )?;
        for (title, width, bit, value) in [
            ("si", 10, 0x01, u64::from(soft.inodes)),
            ("hi", 10, 0x10, u64::from(hard.inodes)),
            ("sl", 20, 0x02, soft.length),
            ("hl", 20, 0x20, hard.length),
            ("ss", 20, 0x04, soft.size),
            ("hs", 20, 0x40, hard.size),
            ("sr", 20, 0x08, soft.real_size),
            ("hr", 20, 0x80, hard.real_size),
        ] {
            if flags & bit != 0 {
                write!(self.out, "|{title}:{value:width$}")?;
            } else {
                write!(self.out, "|{title}:{:>width$}", "-")?;
            }
        }
        self.out.write_all(b"\n")
    }

    fn xattr(&mut self, record: XattrRecord<'_>) -> io::Result<()> {
        write!(self.out, "XATTR|i:{:10}|n:", record.inode.0)?;
        self.text(record.name)?;
        self.out.write_all(b"|v:")?;
        for byte in record.value {
            write!(self.out, "{byte:02X}")?;
        }
        self.out.write_all(b"\n")
    }

    /// The mask is the one that is stored, not the one that loading gives in its place.
    fn acl(&mut self, record: AclRecord<'_>) -> io::Result<()> {
        let mask = if record.mask_replaced { 0 } else { record.mask };
        write!(
            self.out,
            "POSIXACL|i:{:10}|t:{}|u:{}|g:{}|o:{}|m:{}|n:(",
            record.inode.0,
            record.acl_type,
            Permission(record.user),
            Permission(record.group),
            Permission(record.other),
            Permission(mask)
        )?;
        let users = usize::from(record.named_users);
        for (index, (id, permission)) in record.entries().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let kind = if index < users { 'u' } else { 'g' };
            write!(self.out, "{comma}{kind}({id}):{}", Permission(permission))?;
        }
        self.out.write_all(b")\n")
    }

    /// The real program reads the owner's upper half as the session, and the lower half with the
    /// session behind it as the owner (metadata-and-changelog §1.4.10); whoever compares texts of
    /// both needs the same here.
    fn flock(&mut self, record: FlockRecord) -> io::Result<()> {
        writeln!(
            self.out,
            "FLOCK|i:{:10}|s:{:10}|o:{:08X}{:08X}|t:{}",
            record.inode.0,
            record.owner >> 32,
            record.owner & 0xFFFF_FFFF,
            record.session.0,
            if record.kind == 0 { 'R' } else { 'W' }
        )
    }

    fn posix_lock(&mut self, record: PosixLockRecord) -> io::Result<()> {
        writeln!(
            self.out,
            "POSIXLOCK|i:{:10}|s:{:10}|o:0x{:016X}|p:{:10}|r:<{:20},{:20})|t:{}",
            record.inode.0,
            record.session.0,
            record.owner,
            record.pid,
            record.start,
            record.end,
            match record.kind {
                1 => 'R',
                2 => 'W',
                _ => '?',
            }
        )
    }

    fn server(&mut self, record: &ServerRecord, version: u8) -> io::Result<()> {
        write!(
            self.out,
            "CHUNKSERVER|i:{}|p:{:5}",
            Padded(record.ip),
            record.port
        )?;
        if version >= 0x11 {
            write!(self.out, "|#:{:5}", record.csid)?;
        }
        if version == 0x12 {
            write!(self.out, "|m:{}", u8::from(record.maintenance != 0))?;
        } else if version > 0x12 {
            let state = match record.maintenance {
                0 => "off",
                1 => "on",
                2 => "temp",
                _ => "???",
            };
            write!(self.out, "|m:{state:>4}|t:{:10}", record.maintenance_until)?;
        }
        self.out.write_all(b"\n")
    }

    fn chunks(&mut self, version: u8, shows: bool) -> Read {
        let next: ChunkId = read!(self.reader.get());
        if shows {
            writeln!(self.out, "# nextchunkid: {:016X}", next.0)?;
        }
        self.listed(
            shows,
            |reader| ChunkEntry::decode(reader, version),
            |dumper, entry| {
                writeln!(
                    dumper.out,
                    "CHUNK|i:0x{:016X}|v:0x{:08X}|t:{:10}|a:{}",
                    entry.chunk.0,
                    entry.version.0,
                    entry.locked_to,
                    u8::from(entry.archived)
                )
            },
        )
    }
}

/// An address whose numbers have three digits each.
struct Padded(u32);

impl std::fmt::Display for Padded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d] = Ipv4Addr::from(self.0).octets();
        write!(f, "{a:03}.{b:03}.{c:03}.{d:03}")
    }
}

/// An octal number with a leading zero, at least six digits.
struct Permission(u16);

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > 0o77777 {
            write!(f, "0{:o}", self.0)
        } else {
            write!(f, "{:06o}", self.0)
        }
    }
}

/// The positions of a list of labels: `A+BC:*`.
fn positions(labels: &Labels) -> String {
    let positions: Vec<String> = labels.iter().map(|masks| position(masks)).collect();
    positions.join(":")
}

/// Alternatives end with the first one that asks for nothing; none is any server.
fn position(masks: &[u32]) -> String {
    let used = masks.iter().take_while(|mask| **mask != 0);
    let alternatives: Vec<String> = used
        .map(|mask| {
            ('A'..='Z')
                .enumerate()
                .filter(|(bit, _)| mask & 1 << bit != 0)
                .map(|(_, letter)| letter)
                .collect()
        })
        .collect();
    if alternatives.is_empty() {
        "*".to_owned()
    } else {
        alternatives.join("+")
    }
}
