//! Files with one thing wrong: what is said without and with ignoring of errors, as a table
//! (metadata-and-changelog §1.3, §1.4, §1.12).

#![expect(clippy::unwrap_used, reason = "helpers of a test fail by panicking")]

use metadata::image::{LoadOptions, load};
use proto::changelog::Quota;
use proto::image::*;
use proto::{ChunkId, ChunkVersion, ClassId, Inode, MetaId, MetaVersion, NodeKind, SessionId};

/// Sections of a file: root 1, directory 2 ("d"), files 3 ("f") and 5 ("d/g"), 4 in trash; session 1
/// has 3 open.
struct File {
    sections: Vec<(Vec<u8>, Pieces)>,
    nodes: Vec<(NodeKind, u32)>,
    edges: Vec<(u32, u32, u64, Vec<u8>)>,
}

fn header(name: &[u8; 4], version: u8, length: Option<u64>) -> Vec<u8> {
    let header = SectionHeader {
        name: SectionName(*name),
        version,
        length,
    };
    header.encode().to_vec()
}

fn small() -> File {
    let edge = |parent, child, id, name: &str| (parent, child, id, name.as_bytes().to_vec());
    File {
        sections: Vec::new(),
        nodes: vec![
            (NodeKind::Directory, 1),
            (NodeKind::Directory, 2),
            (NodeKind::File, 3),
            (NodeKind::Trash, 4),
            (NodeKind::File, 5),
        ],
        edges: vec![
            edge(1, 2, 10, "d"),
            edge(1, 3, 11, "f"),
            edge(2, 5, 9, "g"),
            edge(0, 4, 8, "was/here"),
        ],
    }
}

impl File {
    /// A section behind the others, in the version that is written, or another one.
    fn with(mut self, name: &[u8; 4], write: impl FnOnce(&mut Pieces)) -> File {
        let version = Section::from_name(SectionName(*name)).map_or(0x10, Section::version);
        let mut out = Pieces::default();
        write(&mut out);
        let header = header(name, version, Some(out.bytes().len() as u64));
        self.sections.push((header, out));
        self
    }

    fn with_header(mut self, header: Vec<u8>, body: &[u8]) -> File {
        let mut out = Pieces::default();
        out.uncounted(body);
        self.sections.push((header, out));
        self
    }

    fn edge(mut self, parent: u32, child: u32, id: u64, name: &[u8]) -> File {
        self.edges.push((parent, child, id, name.to_vec()));
        self
    }

    fn without_edge(mut self, child: u32) -> File {
        self.edges.retain(|edge| edge.1 != child);
        self
    }

    fn without_node(mut self, inode: u32) -> File {
        self.nodes.retain(|node| node.1 != inode);
        self
    }

    fn node(mut self, kind: NodeKind, inode: u32) -> File {
        self.nodes.push((kind, inode));
        self
    }

    fn bytes(self) -> Vec<u8> {
        let (nodes, edges) = (self.nodes.clone(), self.edges.clone());
        let later = self.sections;
        let first = File {
            sections: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        let first = first
            .with(b"SESS", |out| {
                SessionHeader::encode(SessionId(2), out);
                session(1).encode(out);
                encode_session_end(out);
            })
            .with(b"NODE", |out| {
                let header = NodeHeader {
                    max_inode: 5,
                    nodes: nodes.len() as u32,
                };
                header.encode(out);
                for &(kind, inode) in &nodes {
                    let attributes = attributes(kind, inode);
                    if kind == NodeKind::Directory {
                        attributes.encode_plain(out);
                    } else {
                        attributes.encode_data(0, std::iter::empty(), out);
                    }
                }
                encode_node_end(out);
            })
            .with(b"EDGE", |out| {
                encode_edge_header(7, out);
                for (parent, child, edge_id, name) in &edges {
                    EdgeRecord {
                        parent: Inode(*parent),
                        child: Inode(*child),
                        edge_id: *edge_id,
                        name,
                    }
                    .encode(out);
                }
                encode_edge_end(out);
            })
            .with(b"OPEN", |out| {
                OpenRecord {
                    session: SessionId(1),
                    inode: Inode(3),
                }
                .encode(out);
                OpenRecord::encode_end(out);
            });
        let mut file = ImageHeader::encode(MetaVersion(9), MetaId(1)).to_vec();
        for (header, body) in first.sections.iter().chain(&later) {
            file.extend_from_slice(header);
            file.extend_from_slice(body.bytes());
        }
        file.extend_from_slice(&EOF_MARKER);
        file
    }
}

fn session(id: u32) -> SessionRecord<'static> {
    SessionRecord {
        session: SessionId(id),
        exports_checksum: 0,
        peer_ip: 1,
        root: Inode(1),
        flags: 0,
        umask: 0,
        min_goal: 1,
        max_goal: 9,
        min_trash_seconds: 0,
        max_trash_seconds: 0,
        root_uid: 0,
        root_gid: 0,
        map_all_uid: 0,
        map_all_gid: 0,
        disables: 0,
        disconnected: Some(0),
        current_counters: [0; OPERATION_COUNTERS],
        last_hour_counters: [0; OPERATION_COUNTERS],
        info: b"/m",
    }
}

fn attributes(kind: NodeKind, inode: u32) -> NodeAttributes {
    NodeAttributes {
        kind,
        inode: Inode(inode),
        class: ClassId(2),
        eattr: 0,
        winattr: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        atime: 1,
        mtime: 1,
        ctime: 1,
        trash_hours: 24,
    }
}

fn class(id: u16, copies: usize) -> ClassRecord<'static> {
    let labels = vec![[0; 4]; copies];
    ClassRecord {
        class: id,
        name: Some(b"name"),
        admin_only: false,
        mode: 1,
        archive_delay_days: 0,
        create: labels.clone(),
        keep: labels.clone(),
        archive: labels,
    }
}

fn classes(records: &[ClassRecord<'_>]) -> impl FnOnce(&mut Pieces) {
    move |out| {
        ClassHeader::encode(out);
        records.iter().for_each(|record| record.encode(out));
        ClassRecord::encode_end(out);
    }
}

fn quota(inode: u32) -> impl FnOnce(&mut Pieces) {
    move |out| {
        encode_count(1, out);
        let quota = Quota {
            inode: Inode(inode),
            flags: 1,
            ..Quota::default()
        };
        QuotaRecord::encode(&quota, out);
    }
}

fn xattr(name: &'static [u8], value_bytes: usize) -> impl FnOnce(&mut Pieces) {
    move |out| {
        XattrRecord {
            inode: Inode(3),
            name,
            value: &vec![0; value_bytes],
        }
        .encode(out);
        XattrRecord::encode_end(out);
    }
}

fn acls(types: &'static [u8]) -> impl FnOnce(&mut Pieces) {
    move |out| {
        for acl_type in types {
            AclRecord::new(Inode(3), *acl_type, [7, 5, 0, 7]).encode(out);
        }
        AclRecord::encode_end(out);
    }
}

fn flocks(locks: &'static [(u32, u64, u8)]) -> impl FnOnce(&mut Pieces) {
    move |out| {
        for &(inode, owner, kind) in locks {
            FlockRecord {
                inode: Inode(inode),
                owner,
                session: SessionId(1),
                kind,
            }
            .encode(out);
        }
        FlockRecord::encode_end(out);
    }
}

fn ranges(locks: &'static [(u32, u64, u64)]) -> impl FnOnce(&mut Pieces) {
    move |out| {
        for &(inode, start, end) in locks {
            PosixLockRecord {
                inode: Inode(inode),
                owner: 7,
                session: SessionId(1),
                pid: 1,
                start,
                end,
                kind: 1,
            }
            .encode(out);
        }
        PosixLockRecord::encode_end(out);
    }
}

fn chunks(ids: &'static [u64], next: u64) -> impl FnOnce(&mut Pieces) {
    move |out| {
        encode_chunk_header(ChunkId(next), out);
        for &id in ids {
            ChunkEntry {
                chunk: ChunkId(id),
                version: ChunkVersion(1),
                locked_to: 0,
                archived: false,
                has_newer_flags: false,
            }
            .encode(out);
        }
        ChunkEntry::encode_end(out);
    }
}

fn server(port: u16, state: u8) -> impl FnOnce(&mut Pieces) {
    move |out| {
        encode_count(2, out);
        for port in [9422, port] {
            ServerRecord {
                ip: 1,
                port,
                csid: 0,
                maintenance: state,
                maintenance_until: 0,
            }
            .encode(out);
        }
    }
}

/// What a file leads to.
enum Leads {
    /// It is loaded; this is said.
    Note,
    /// It is refused; ignoring errors it is loaded.
    Repairable,
    /// It is refused in any case.
    Fatal,
}
use Leads::{Fatal, Note, Repairable};

/// Every message is part of an error without, and of the list of repairs with ignoring.
#[track_caller]
fn check(file: &[u8], message: &str, leads: &Leads) {
    let ignoring = LoadOptions {
        ignore: true,
        ..LoadOptions::default()
    };
    let strict = load(file, &LoadOptions::default());
    let lenient = load(file, &ignoring);
    let refused = |result: Result<metadata::image::Loaded, metadata::image::LoadError>| {
        let error = result.err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("'{message}' was expected"));
        assert!(error.contains(message), "'{message}' in '{error}'");
        error
    };
    let said = match leads {
        Note => strict.unwrap().repairs,
        Repairable => {
            assert!(
                refused(strict).contains("; use option '-i' to "),
                "{message}"
            );
            Vec::new()
        }
        Fatal => {
            refused(strict);
            refused(lenient);
            return;
        }
    };
    let lenient = lenient.unwrap_or_else(|error| panic!("{message}: {error}"));
    assert_eq!(lenient.namespace.verify(), [], "{message}");
    for repairs in [said, lenient.repairs] {
        let list = repairs.iter().map(|each| each.to_string() + "\n");
        let list: String = list.collect();
        let expected = matches!(leads, Repairable) && list.is_empty();
        assert!(
            expected || list.contains(message),
            "'{message}' in '{list}'"
        );
    }
}

#[test]
fn a_file_without_errors_is_loaded() {
    let loaded = load(&small().bytes(), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.repairs, []);
    assert_eq!(loaded.namespace.verify(), []);
}

#[test]
fn names_and_inodes() {
    let long = "x".repeat(300);
    let sequence = |file: File| file.edge(1, 3, 12, b"again");
    for (file, message, leads) in [
        (
            small()
                .without_node(1)
                .without_edge(2)
                .without_edge(3)
                .without_edge(5)
                .without_node(2)
                .without_node(3)
                .without_node(5),
            "root node not found !!!",
            Fatal,
        ),
        (
            small().without_edge(3),
            "found orphaned inode: 3",
            Repairable,
        ),
        (
            small().without_edge(2).without_edge(5),
            "found orphaned inode: 2",
            Repairable,
        ),
        (
            small().without_edge(4),
            "found orphaned inode: 4",
            Repairable,
        ),
        (
            small().node(NodeKind::File, 3),
            "repeated inode 3",
            Repairable,
        ),
        (
            small().node(NodeKind::File, 0x9000_0000),
            "impossible number 2415919104",
            Repairable,
        ),
        (
            small().edge(1, 4, 12, b"t"),
            "1,t->4 error: bad child type",
            Repairable,
        ),
        (
            small().edge(0, 4, 6, b"other"),
            "0,other->4 error: name exists",
            Repairable,
        ),
        (
            small().edge(0, 3, 6, b"other"),
            "0,other->3 error: bad child type",
            Repairable,
        ),
        (
            small().edge(2, 3, 12, b""),
            "2->3 error: empty name",
            Repairable,
        ),
        (
            small().edge(2, 3, 12, long.as_bytes()),
            "name too long -> truncate",
            Note,
        ),
        (
            small().edge(2, 77777, 12, b"a,c"),
            "2,a%2Cc->77777 error: child not found",
            Repairable,
        ),
        (
            small().edge(9, 3, 12, b"a"),
            "9,a->3 error: parent not found",
            Repairable,
        ),
        (
            small().edge(3, 5, 12, b"a"),
            "3,a->5 error: bad parent type",
            Repairable,
        ),
        (
            sequence(small()),
            "1,again->3 error: parent node sequence error",
            Repairable,
        ),
        (
            small().edge(2, 3, 12, b"g"),
            "2,g->3 error: name exists",
            Repairable,
        ),
        (
            small().edge(2, 2, 12, b"loop"),
            "2,loop->2 error: directory has a name already",
            Repairable,
        ),
        (
            small().edge(2, 1, 12, b"root"),
            "2,root->1 error: directory has a name already",
            Repairable,
        ),
        (
            small().without_edge(2).edge(2, 2, 12, b"loop"),
            "directory 2 is not below the root",
            Repairable,
        ),
        (
            small().edge(9, 3, 12, b"f"),
            "9,f->3 error: parent not found",
            Repairable,
        ),
    ] {
        check(&file.bytes(), message, &leads);
    }
}

#[test]
fn tables() {
    let many_groups = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (file, message, leads) in [
        (
            small().with(b"SCLA", classes(&[class(300, 1)])),
            "bad sclassid: 300",
            Repairable,
        ),
        (
            small().with(b"SCLA", classes(&[class(12, 0)])),
            "data format error",
            Fatal,
        ),
        (
            small().with(b"SCLA", classes(&[class(12, 10)])),
            "data format error",
            Fatal,
        ),
        (
            small().with(b"SCLA", classes(&[class(12, 1), class(12, 1)])),
            "repeated sclassid: 12",
            Repairable,
        ),
        (
            small().with_header(header(b"SCLA", 0x16, Some(11)), &many_groups),
            "too many or-groups",
            Repairable,
        ),
        (
            small().with_header(header(b"SCLA", 0x16, Some(11)), &[0; 11]),
            "zero or-groups",
            Fatal,
        ),
        (
            small().with(b"FREE", |out| {
                encode_free(
                    1,
                    [FreeRecord {
                        inode: Inode(3),
                        freed: 1,
                    }]
                    .into_iter(),
                    out,
                )
            }),
            "freed inode number 3 is in use",
            Note,
        ),
        (
            small().with(b"QUOT", quota(3)),
            "quota defined for not directory inode: 3",
            Repairable,
        ),
        (
            small().with(b"QUOT", quota(33)),
            "quota defined for non existing inode: 33",
            Repairable,
        ),
        (
            small().with(b"XATR", xattr(b"", 1)),
            "loading xattr: empty name",
            Repairable,
        ),
        (
            small().with(b"XATR", xattr(b"a", 65537)),
            "value oversized",
            Repairable,
        ),
        (
            small().with(b"PACL", acls(&[3])),
            "wrong acl type",
            Repairable,
        ),
        (
            small().with(b"PACL", acls(&[1, 1])),
            "repeated acl",
            Repairable,
        ),
        (
            small().with(b"FLCK", flocks(&[(5, 1, 0)])),
            "lock on closed file !!!",
            Repairable,
        ),
        (
            small().with(b"FLCK", flocks(&[(3, 1, 0), (3, 2, 1)])),
            "wrong lock !!!",
            Repairable,
        ),
        (
            small().with(b"PLCK", ranges(&[(5, 0, 1)])),
            "lock on closed file !!!",
            Repairable,
        ),
        (
            small().with(b"PLCK", ranges(&[(3, 5, 9), (3, 1, 3)])),
            "lock range not in order",
            Repairable,
        ),
        (
            small().with(b"PLCK", ranges(&[(3, 1, 3), (3, 3, 5)])),
            "lock range not connected",
            Repairable,
        ),
        (
            small().with(b"CSDB", server(9422, 0)),
            "repeated chunkserver",
            Repairable,
        ),
        (
            small().with(b"CSDB", server(9423, 9)),
            "bad maintenance state: 9",
            Repairable,
        ),
        (
            small().with(b"CHNK", chunks(&[4, 4], 5)),
            "repeated chunk 0000000000000004",
            Repairable,
        ),
        (
            small().with(b"CHNK", chunks(&[4], 4)),
            "next chunk id too low",
            Note,
        ),
        (
            small().with(b"CHNK", |out| {
                out.uncounted(&[
                    0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
                ])
            }),
            "chunk 0 with a version or a lock",
            Fatal,
        ),
    ] {
        check(&file.bytes(), message, &leads);
    }
}

#[test]
fn sections_and_the_file_around_them() {
    let valid = small().bytes();
    let mut unrecognized = valid.clone();
    let node = valid.windows(4).position(|name| name == b"NODE").unwrap() + 16 + 8;
    unrecognized[node] = 77;
    let no_end = |file: &[u8]| file[..file.len() - 1].to_vec();
    let signature = [b"MFSX", &valid[4..]].concat();
    let free = |version, length| header(b"FREE", version, length);
    let empty = [0u8; 4];
    for (file, message, leads) in [
        (
            small()
                .with_header(header(b"FOOB", 0x10, Some(5)), b"hello")
                .bytes(),
            "unknown section found (leng:5,name:FOOB 1.0)",
            Repairable,
        ),
        (
            small().with_header(free(0x11, Some(4)), &empty).bytes(),
            "metadata in file have been stored by newer version of MFS !!!",
            Fatal,
        ),
        (
            small()
                .with_header(free(0x10, Some(9)), b"\0\0\0\0extra")
                .bytes(),
            "not all section has been read - file corrupted",
            Repairable,
        ),
        (
            small()
                .with_header(free(0x10, Some(4)), &[0, 0, 0, 9])
                .bytes(),
            "unexpected end of data",
            Fatal,
        ),
        (
            small()
                .with_header(b"no header at all".to_vec(), b"")
                .bytes(),
            "no section header",
            Fatal,
        ),
        (unrecognized, "unrecognized node type: 77", Fatal),
        (no_end(&valid), "wrong ending", Fatal),
        (valid[..40].to_vec(), "wrong ending", Fatal),
        (signature, "wrong header", Fatal),
        (Vec::new(), "wrong header", Fatal),
        (b"MFSM 2.0".to_vec(), "wrong header", Fatal),
    ] {
        check(&file, message, &leads);
    }
}

#[test]
fn what_is_allowed_is_no_error() {
    let twice = small()
        .with(b"FREE", |out| {
            encode_free(
                1,
                [FreeRecord {
                    inode: Inode(7),
                    freed: 1,
                }]
                .into_iter(),
                out,
            )
        })
        .with(b"FREE", |out| {
            encode_free(
                1,
                [FreeRecord {
                    inode: Inode(8),
                    freed: 2,
                }]
                .into_iter(),
                out,
            )
        });
    let unknown_length = small().with_header(header(b"FREE", 0x10, None), &[0; 4]);
    let unknown_session = small().with(b"OPEN", |out| {
        OpenRecord {
            session: SessionId(9),
            inode: Inode(3),
        }
        .encode(out);
        OpenRecord::encode_end(out);
    });
    let unknown_inode = small().with(b"XATR", |out| {
        XattrRecord {
            inode: Inode(99),
            name: b"a",
            value: b"b",
        }
        .encode(out);
        XattrRecord::encode_end(out);
    });
    let mut version_2_1 = small().bytes();
    version_2_1[7] = b'1';
    for file in [
        twice.bytes(),
        unknown_length.bytes(),
        unknown_session.bytes(),
        unknown_inode.bytes(),
        version_2_1,
    ] {
        let loaded = load(&file, &LoadOptions::default()).unwrap();
        assert!(loaded.repairs.iter().all(|each| each.problem.is_note()));
        assert!(!loaded.must_renumerate);
    }
}

#[test]
fn entries_without_ascending_positions_are_to_be_numbered() {
    let file = small().edge(2, 3, 9, b"same").bytes();
    assert!(
        load(&file, &LoadOptions::default())
            .unwrap()
            .must_renumerate
    );
}

/// No cut and no changed byte makes loading panic.
#[test]
fn damaged_files_do_no_harm() {
    let file = small()
        .with(b"XATR", xattr(b"a", 3))
        .with(b"PACL", acls(&[1]))
        .with(b"CHNK", chunks(&[4], 5))
        .bytes();
    let ignoring = LoadOptions {
        ignore: true,
        ..LoadOptions::default()
    };
    for at in 0..file.len() {
        let mut cut = file[..at].to_vec();
        cut.extend_from_slice(&EOF_MARKER);
        let _ = load(&cut, &ignoring);
        for value in [1, 0xFF] {
            let mut changed = file.clone();
            changed[at] = value;
            let _ = load(&changed, &ignoring);
        }
    }
}
