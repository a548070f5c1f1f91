//! The smallest files that have something of everything.

use super::image::Image;
use proto::changelog::{Quota, QuotaLimits};
use proto::image::*;
use proto::wire::Put;
use proto::{ChunkId, ChunkVersion, ClassId, Inode, NodeKind, SessionId};

fn attributes(kind: NodeKind, inode: u32) -> NodeAttributes {
    let has_class = kind.has_data() || kind == NodeKind::Directory;
    NodeAttributes {
        kind,
        inode: Inode(inode),
        class: ClassId(if has_class { 10 } else { 0 }),
        eattr: 0,
        winattr: 0,
        mode: 0o755,
        uid: 7,
        gid: 8,
        atime: 1,
        mtime: 2,
        ctime: 3,
        trash_hours: 24,
    }
}

fn node(kind: NodeKind, inode: u32, body: NodeBody<'static>) -> NodeRecord<'static> {
    NodeRecord {
        attributes: attributes(kind, inode),
        body,
        target_replaced: false,
        trash_seconds: None,
    }
}

/// A list of chunk ids can be had from a record only.
fn data(length: u64, chunks: &[u64]) -> NodeBody<'static> {
    let mut out = Pieces::default();
    let ids: Vec<ChunkId> = chunks.iter().map(|id| ChunkId(*id)).collect();
    attributes(NodeKind::File, 1).encode_data(length, ids.into_iter(), &mut out);
    let bytes: &'static [u8] = Box::leak(out.bytes().to_vec().into_boxed_slice());
    let version = Section::Nodes.version();
    let record = NodeRecord::decode(&mut proto::Reader::new(bytes), version);
    record.unwrap().unwrap().body
}

fn edge(parent: u32, child: u32, edge_id: u64, name: &'static [u8]) -> EdgeRecord<'static> {
    EdgeRecord {
        parent: Inode(parent),
        child: Inode(child),
        edge_id,
        name,
    }
}

fn session(id: u32) -> SessionRecord<'static> {
    SessionRecord {
        session: SessionId(id),
        exports_checksum: 5,
        peer_ip: 0x7F00_0001,
        root: Inode(1),
        flags: 8,
        umask: 0o22,
        min_goal: 1,
        max_goal: 9,
        min_trash_seconds: 0,
        max_trash_seconds: u32::MAX,
        root_uid: 0,
        root_gid: 0,
        map_all_uid: 9,
        map_all_gid: 9,
        disables: 0,
        disconnected: Some(0),
        current_counters: [0; OPERATION_COUNTERS],
        last_hour_counters: [0; OPERATION_COUNTERS],
        info: b"/m",
    }
}

/// A file of 3.0.117: a directory with a file that has two names, one of everything else.
pub fn image() -> Image<'static> {
    let labels = vec![[1, 2, 0, 0], [0; 4]];
    let open = OpenRecord {
        session: SessionId(1),
        inode: Inode(3),
    };
    let lock = |start, end, kind| PosixLockRecord {
        inode: Inode(3),
        owner: 77,
        session: SessionId(1),
        pid: 5,
        start,
        end,
        kind,
    };
    Image {
        version: 1000,
        metaid: 0x1234_5678_9ABC_DEF0,
        next_session: 2,
        sessions: vec![session(1)],
        classes: (1..=10)
            .map(|class| ClassRecord {
                class,
                name: Some(if class == 10 {
                    b"tens"
                } else {
                    &b"123456789"[usize::from(class) - 1..usize::from(class)]
                }),
                admin_only: false,
                mode: 1,
                archive_delay_days: 0,
                create: labels[..1].to_vec(),
                keep: labels.clone(),
                archive: labels[..1].to_vec(),
            })
            .filter(|class| [2, 10].contains(&class.class))
            .collect(),
        node_header: NodeHeader {
            max_inode: 12,
            nodes: 9,
        },
        nodes: vec![
            node(NodeKind::Directory, 1, NodeBody::Plain),
            node(NodeKind::Directory, 2, NodeBody::Plain),
            node(NodeKind::File, 3, data(100, &[1])),
            node(NodeKind::Trash, 4, data(5, &[])),
            node(NodeKind::Symlink, 5, NodeBody::Symlink(b"../f")),
            node(NodeKind::CharDevice, 6, NodeBody::Device(0x105)),
            node(NodeKind::Fifo, 7, NodeBody::Plain),
            node(NodeKind::Sustained, 8, data(70 << 20, &[0, 2])),
            node(NodeKind::Directory, 9, NodeBody::Plain),
        ],
        next_edge: Some(80),
        edges: vec![
            edge(1, 2, 90, b"d"),
            edge(1, 3, 91, b"f"),
            edge(1, 5, 92, b"l"),
            edge(2, 9, 88, b"sub"),
            edge(2, 3, 89, b"hard"),
            edge(9, 6, 86, b"c"),
            edge(9, 7, 87, b"p"),
            edge(0, 4, 85, b"was/here"),
            edge(0, 8, 84, b"gone"),
        ],
        free: vec![
            FreeRecord {
                inode: Inode(11),
                freed: 4,
            },
            FreeRecord {
                inode: Inode(10),
                freed: 5,
            },
        ],
        quotas: vec![QuotaRecord {
            quota: Quota {
                inode: Inode(2),
                flags: 0x11,
                soft: QuotaLimits {
                    inodes: 50,
                    ..QuotaLimits::default()
                },
                hard: QuotaLimits {
                    inodes: 60,
                    ..QuotaLimits::default()
                },
                grace_seconds: 7,
                ..Quota::default()
            },
            has_grace: true,
        }],
        xattrs: vec![XattrRecord {
            inode: Inode(3),
            name: b"user.a",
            value: b"value",
        }],
        acls: vec![
            AclRecord::new(Inode(3), 1, [7, 5, 0, 7]),
            AclRecord::new(Inode(2), 2, [7, 5, 0, 0xFFFF]),
        ],
        open: vec![
            open,
            OpenRecord {
                inode: Inode(8),
                ..open
            },
        ],
        flocks: vec![FlockRecord {
            inode: Inode(3),
            owner: 78,
            session: SessionId(1),
            kind: 1,
        }],
        posix_locks: vec![lock(0, 10, 1), lock(20, u64::MAX, 2)],
        servers: vec![ServerRecord {
            ip: 0x7F00_0002,
            port: 9422,
            csid: 1,
            maintenance: 1,
            maintenance_until: 99,
        }],
        next_chunk: 3,
        chunks: [1, 2]
            .map(|chunk| ChunkEntry {
                chunk: ChunkId(chunk),
                version: ChunkVersion(chunk as u32),
                locked_to: 50,
                archived: chunk == 2,
                has_newer_flags: false,
            })
            .to_vec(),
    }
}

/// A file of 1.5: root, a file with a chunk that session 1 has open, a file in trash.
pub fn image_of_1_5() -> Vec<u8> {
    let mut file = b"MFSM 1.5".to_vec();
    file.put_u32(4);
    file.put_u64(50);
    file.put_u32(2);
    let node = |file: &mut Vec<u8>, kind: u8, inode: u32| {
        file.put_u8(kind);
        file.put_u32(inode);
        file.put_u8(1);
        file.put_u16(0o755);
        for value in [0, 0, 1, 2, 3, 86400] {
            file.put_u32(value);
        }
    };
    node(&mut file, b'd', 1);
    for (kind, inode) in [(b'f', 2), (b't', 3)] {
        node(&mut file, kind, inode);
        file.put_u64(9);
        file.put_u32(1);
        file.put_u16(1);
        file.put_u64(u64::from(inode));
        file.put_u32(1);
    }
    file.put_u8(0);
    for (parent, child, name) in [(1, 2, "file"), (0, 3, "old")] {
        file.put_u32(parent);
        file.put_u32(child);
        file.put_u16(name.len() as u16);
        file.put_bytes(name.as_bytes());
    }
    file.put_bytes(&[0; 10]);
    file.put_u32(1);
    file.put_u32(4);
    file.put_u32(7);
    file.put_u64(4);
    for chunk in [2, 3] {
        file.put_u64(chunk);
        file.put_u32(1);
        file.put_u32(0);
    }
    file.put_bytes(&[0; 16]);
    file
}

/// Where a session file can be cut without a trace: behind its signature, and behind each session.
pub const SESSION_ENDS: [usize; 2] = [10, 10 + SESSION_BYTES];
const SESSION_BYTES: usize = 43 + 8 * OPERATION_COUNTERS + 2;

/// Two sessions, as 1.6.27 writes them.
pub fn sessions_of_1_6() -> Vec<u8> {
    let mut file = b"MFSS \x01\x06\x04".to_vec();
    file.put_u16(OPERATION_COUNTERS as u16);
    for session in [1, 5] {
        file.put_u32(session);
        file.put_u32(2);
        file.put_u32(0x7F00_0001);
        file.put_u32(1);
        file.put_bytes(&[0, 1, 9]);
        for value in [0, u32::MAX, 0, 0, 9, 9] {
            file.put_u32(value);
        }
        file.put_bytes(&[0; 8 * OPERATION_COUNTERS]);
        file.put_bytes(b"/m");
    }
    file
}
