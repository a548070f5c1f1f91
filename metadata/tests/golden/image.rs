//! A metadata file as lists of records: to be written again, and to be compared with another.

use proto::image::*;
use proto::{ChunkId, Inode, NodeKind, Reader, SessionId};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

/// All records of one file.
#[derive(Debug, Default)]
pub struct Image<'a> {
    pub version: u64,
    pub metaid: u64,
    pub next_session: u32,
    pub sessions: Vec<SessionRecord<'a>>,
    pub classes: Vec<ClassRecord<'a>>,
    pub node_header: NodeHeader,
    pub nodes: Vec<NodeRecord<'a>>,
    pub next_edge: Option<u64>,
    pub edges: Vec<EdgeRecord<'a>>,
    pub free: Vec<FreeRecord>,
    pub quotas: Vec<QuotaRecord>,
    pub xattrs: Vec<XattrRecord<'a>>,
    pub acls: Vec<AclRecord<'a>>,
    pub open: Vec<OpenRecord>,
    pub flocks: Vec<FlockRecord>,
    pub posix_locks: Vec<PosixLockRecord>,
    pub servers: Vec<ServerRecord>,
    pub next_chunk: u64,
    pub chunks: Vec<ChunkEntry>,
}

fn all<T>(mut next: impl FnMut() -> Decoded<T>) -> Vec<T> {
    std::iter::from_fn(|| next().unwrap()).collect()
}

fn counted<'a, T>(
    reader: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, Damage>,
) -> Vec<T> {
    let count = decode_count(reader).unwrap();
    (0..count).map(|_| decode(reader).unwrap()).collect()
}

impl<'a> Image<'a> {
    /// Reads a file of 1.5, 2.0 or 3.0 completely.
    pub fn read(data: &'a [u8]) -> Image<'a> {
        let mut reader = Reader::new(data);
        let reader = &mut reader;
        let mut image = Image::default();
        match ImageHeader::decode(reader).unwrap().unwrap() {
            ImageHeader::New => return image,
            ImageHeader::Old {
                max_inode,
                version,
                next_session,
                ..
            } => {
                image.version = version.0;
                image.next_session = next_session.0;
                for section in [
                    Section::Nodes,
                    Section::Edges,
                    Section::Free,
                    Section::Chunks,
                ] {
                    image.section(reader, 0x15, section, 0x10);
                }
                image.node_header.max_inode = max_inode;
            }
            ImageHeader::Current {
                version, metaid, ..
            } => {
                (image.version, image.metaid) = (version.0, metaid.0);
                while let Some(header) = SectionHeader::decode(reader).unwrap() {
                    let before = reader.remaining() as u64;
                    let section = Section::from_name(header.name).unwrap();
                    image.section(reader, 0x20, section, header.version);
                    let read = before - reader.remaining() as u64;
                    assert_eq!(header.length, Some(read), "{header}");
                }
            }
        }
        assert!(reader.is_empty());
        image
    }

    fn section(&mut self, reader: &mut Reader<'a>, container: u8, section: Section, version: u8) {
        match section {
            Section::Sessions => {
                let header = SessionHeader::decode(reader, version).unwrap();
                self.next_session = header.next_session.0;
                self.sessions = all(|| SessionRecord::decode(reader, version, header));
            }
            Section::Classes => {
                let header = ClassHeader::decode(reader, version).unwrap();
                self.classes = all(|| ClassRecord::decode(reader, version, header));
            }
            Section::Nodes => {
                self.node_header = NodeHeader::decode(reader, container, version).unwrap();
                self.nodes = all(|| NodeRecord::decode(reader, version));
            }
            Section::Edges => {
                self.next_edge = decode_edge_header(reader, version).unwrap();
                self.edges = all(|| EdgeRecord::decode(reader, version));
            }
            Section::Free => self.free = counted(reader, FreeRecord::decode),
            Section::Quotas => {
                self.quotas = counted(reader, |reader| QuotaRecord::decode(reader, version));
            }
            Section::Xattrs => self.xattrs = all(|| XattrRecord::decode(reader)),
            Section::Acls => self.acls = all(|| AclRecord::decode(reader, version)),
            Section::Open => self.open = all(|| OpenRecord::decode(reader)),
            Section::Flocks => self.flocks = all(|| FlockRecord::decode(reader)),
            Section::PosixLocks => self.posix_locks = all(|| PosixLockRecord::decode(reader)),
            Section::Servers => {
                self.servers = counted(reader, |reader| ServerRecord::decode(reader, version));
            }
            Section::Chunks => {
                self.next_chunk = reader.u64().unwrap();
                self.chunks = all(|| ChunkEntry::decode(reader, version));
            }
        }
    }

    /// Leaves out the open files of sessions that the file does not have, as loading does; how many.
    pub fn drop_unknown_sessions(&mut self) -> usize {
        let before = self.open.len();
        let known: Vec<_> = self.sessions.iter().map(|each| each.session).collect();
        self.open.retain(|each| known.contains(&each.session));
        before - self.open.len()
    }

    /// The file that 3.0.117 would write, with its records in their present order, and the
    /// records of `metadata.crc`.
    pub fn write(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut file, mut crc) = (Vec::new(), Vec::new());
        let mut out = Pieces::default();
        let mut record = |out: &mut Pieces, name: &[u8], file: &mut Vec<u8>| {
            crc.extend_from_slice(name);
            crc.extend_from_slice(&out.take_fingerprint().0.to_be_bytes());
            file.extend_from_slice(out.bytes());
            out.clear();
        };
        let header = ImageHeader::encode(self.version.into(), self.metaid.into());
        out.piece(|out| out.extend_from_slice(&header[..8]));
        out.piece(|out| out.extend_from_slice(&header[8..]));
        record(&mut out, b"HEAD", &mut file);
        for &section in Section::ALL {
            self.write_section(section, &mut out);
            let mut header = SectionHeader {
                name: section.name(),
                version: section.version(),
                length: None,
            };
            let length = out.bytes().len() as u64;
            out.count(&header.encode());
            out.count(&length.to_be_bytes());
            header.length = Some(length);
            file.extend_from_slice(&header.encode());
            record(&mut out, &section.name().0, &mut file);
        }
        out.piece(|out| out.extend_from_slice(&EOF_MARKER));
        record(&mut out, b"TAIL", &mut file);
        (file, crc)
    }

    fn write_section(&self, section: Section, out: &mut Pieces) {
        match section {
            Section::Sessions => {
                SessionHeader::encode(SessionId(self.next_session), out);
                self.sessions.iter().for_each(|each| each.encode(out));
                encode_session_end(out);
            }
            Section::Classes => {
                ClassHeader::encode(out);
                self.classes.iter().for_each(|each| each.encode(out));
                ClassRecord::encode_end(out);
            }
            Section::Nodes => {
                self.node_header.encode(out);
                self.nodes.iter().for_each(|each| each.encode(out));
                encode_node_end(out);
            }
            Section::Edges => {
                encode_edge_header(self.next_edge.unwrap_or_default(), out);
                self.edges.iter().for_each(|each| each.encode(out));
                encode_edge_end(out);
            }
            Section::Free => encode_free(self.free.len(), self.free.iter().copied(), out),
            Section::Quotas => {
                encode_count(self.quotas.len(), out);
                let quotas = self.quotas.iter();
                quotas.for_each(|each| QuotaRecord::encode(&each.quota, out));
            }
            Section::Xattrs => {
                self.xattrs.iter().for_each(|each| each.encode(out));
                XattrRecord::encode_end(out);
            }
            Section::Acls => {
                self.acls.iter().for_each(|each| each.encode(out));
                AclRecord::encode_end(out);
            }
            Section::Open => {
                self.open.iter().for_each(|each| each.encode(out));
                OpenRecord::encode_end(out);
            }
            Section::Flocks => {
                self.flocks.iter().for_each(|each| each.encode(out));
                FlockRecord::encode_end(out);
            }
            Section::PosixLocks => {
                self.posix_locks.iter().for_each(|each| each.encode(out));
                PosixLockRecord::encode_end(out);
            }
            Section::Servers => {
                encode_count(self.servers.len(), out);
                self.servers.iter().for_each(|each| each.encode(out));
            }
            Section::Chunks => {
                encode_chunk_header(ChunkId(self.next_chunk), out);
                self.chunks.iter().for_each(|each| each.encode(out));
                ChunkEntry::encode_end(out);
            }
        }
    }
}

/// What is left out of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Nothing.
    All,
    /// What no replay can know (metadata-and-changelog §5, 1 to 5): statistics and disconnection
    /// of sessions, sessions that their clients closed, locks of chunks.
    Replayable,
    /// What two replays may differ in: statistics and disconnection of sessions.
    Restored,
}

/// Lines of text for each section: equal exactly when the states are (metadata-and-changelog §6).
pub fn canonical(image: &Image<'_>, compare: Compare) -> BTreeMap<&'static str, Vec<String>> {
    let mut sections = BTreeMap::new();
    sections.insert(
        "header",
        vec![
            format!("version {} metaid {}", image.version, image.metaid),
            format!("next session {}", image.next_session),
            format!("next chunk {}", image.next_chunk),
            format!("next edge {:?}", image.next_edge),
            format!("max inode {}", image.node_header.max_inode),
        ],
    );
    let mut sessions = image.sessions.clone();
    let mut chunks = image.chunks.clone();
    if compare != Compare::All {
        for session in &mut sessions {
            session.disconnected = None;
            session.current_counters = [0; OPERATION_COUNTERS];
            session.last_hour_counters = [0; OPERATION_COUNTERS];
        }
    }
    if compare == Compare::Replayable {
        chunks.iter_mut().for_each(|chunk| chunk.locked_to = 0);
    }
    sections.insert("sessions", sorted(&sessions));
    sections.insert("classes", sorted(&image.classes));
    sections.insert("nodes", sorted(&image.nodes));
    sections.insert("edges", edges(image));
    sections.insert(
        "free",
        image.free.iter().map(|each| format!("{each:?}")).collect(),
    );
    sections.insert("quotas", sorted(&image.quotas));
    sections.insert("xattrs", ordered_by(&image.xattrs, |each| each.inode.0));
    sections.insert("acls", sorted(&image.acls));
    sections.insert("open", sorted(&image.open));
    sections.insert("flocks", sorted(&image.flocks));
    sections.insert("posix locks", sorted(&image.posix_locks));
    sections.insert("servers", sorted(&image.servers));
    sections.insert("chunks", sorted(&chunks));
    sections
}

fn sorted<T: Debug>(records: &[T]) -> Vec<String> {
    let mut lines: Vec<_> = records.iter().map(|each| format!("{each:?}")).collect();
    lines.sort();
    lines
}

/// Sorted by a key, in the given order where the key is equal.
fn ordered_by<T: Debug>(records: &[T], key: impl Fn(&T) -> u32) -> Vec<String> {
    let mut records: Vec<_> = records.iter().collect();
    records.sort_by_key(|each| key(each));
    records.iter().map(|each| format!("{each:?}")).collect()
}

/// Entries in the order of their directory; buckets of detached names are sets.
fn edges(image: &Image<'_>) -> Vec<String> {
    let kinds: HashMap<Inode, NodeKind> = image
        .nodes
        .iter()
        .map(|node| (node.attributes.inode, node.attributes.kind))
        .collect();
    let (named, detached): (Vec<EdgeRecord>, Vec<EdgeRecord>) =
        image.edges.iter().partition(|edge| edge.parent != Inode(0));
    let mut lines = ordered_by(&named, |edge| edge.parent.0);
    let mut outside: Vec<_> = detached
        .iter()
        .map(|edge| format!("{:?} {edge:?}", kinds.get(&edge.child)))
        .collect();
    outside.sort();
    lines.extend(outside);
    lines
}

/// Fails with the lines that only one of the two has.
#[track_caller]
pub fn assert_same(what: &str, found: &Image<'_>, expected: &Image<'_>, compare: Compare) {
    let report = differences(found, expected, compare, |_| false);
    assert!(report.is_empty(), "{what}: + ours, - theirs\n{report}");
}

/// The lines that only one of the two has, in all sections but some; empty when they are the same.
pub fn differences(
    found: &Image<'_>,
    expected: &Image<'_>,
    compare: Compare,
    skips: impl Fn(&str) -> bool,
) -> String {
    let (found, expected) = (canonical(found, compare), canonical(expected, compare));
    let mut report = String::new();
    for (section, theirs) in &expected {
        let mut ours = found[section].clone();
        if *section == "sessions" && compare == Compare::Replayable {
            // Closed sessions are not written (§5, 4).
            ours.retain(|line| theirs.contains(line) || !line.contains("session: "));
        }
        if ours == *theirs || skips(section) {
            continue;
        }
        report += &format!("{section}:\n");
        let few = |lines: &[String], others: &[String], sign: char| -> String {
            lines
                .iter()
                .filter(|line| !others.contains(line))
                .take(10)
                .map(|line| format!("  {sign} {line}\n"))
                .collect()
        };
        let differences = few(&ours, theirs, '+') + &few(theirs, &ours, '-');
        report += if differences.is_empty() {
            "  same records in another order\n"
        } else {
            &differences
        };
    }
    report
}
