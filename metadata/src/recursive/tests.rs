//! A small tree, requests about it, and what they come to: counts or status, and the lines.
//!
//! ```text
//! 1 /            root
//! 2 /d           uid 5, class 2
//! 3 /d/a         uid 5, two chunks
//! 4 /d/b         uid 6, one chunk; also known as /d/e/b
//! 5 /d/s         symlink
//! 6 /d/e         uid 5
//! 7 /d/e/f       uid 5, no chunk
//! ```

use super::{ArchiveCounts, Tally};
use crate::create::NewNode;
use crate::quota::{Limits, QuotaRequest};
use crate::storage_class::{ClassRules, LabelList, LabelMode};
use crate::{Caller, Namespace, Outbox, Tx};
use proto::changelog::Counts;
use proto::{ClassId, Inode, NodeKind, SessionId, Status};

const DIRECTORY: Inode = Inode(2);
const A: Inode = Inode(3);
const B: Inode = Inode(4);
const SYMLINK: Inode = Inode(5);
const ADMIN: u8 = 8;
const DEEP: u8 = 4;

fn who(uid: u32, flags: u8) -> Caller<'static> {
    let mut who = Caller::MASTER;
    who.uid = uid;
    who.rights.flags = flags;
    who
}

struct Tree {
    ns: Namespace,
    out: Outbox,
}

impl Tree {
    fn new() -> Tree {
        let mut tree = Tree {
            ns: Namespace::new(0, 1).unwrap(),
            out: Outbox::default(),
        };
        let mut tx = Tx::new(10, &mut tree.out);
        let mut make = |parent: Inode, name: &str, kind, uid| {
            let new = NewNode {
                kind,
                mode: 0o777,
                umask: 0,
                rdev: 0,
                copy_sgid: false,
            };
            let who = who(uid, ADMIN);
            tree.ns
                .mknod(&mut tx, &who, parent, name.as_bytes(), new)
                .unwrap()
        };
        assert_eq!(make(Inode::ROOT, "d", NodeKind::Directory, 5), DIRECTORY);
        assert_eq!(make(DIRECTORY, "a", NodeKind::File, 5), A);
        assert_eq!(make(DIRECTORY, "b", NodeKind::File, 6), B);
        let root = who(0, ADMIN);
        let symlink = tree.ns.symlink(&mut tx, &root, DIRECTORY, b"s", b"target");
        assert_eq!(symlink, Ok(SYMLINK));
        let mut make = |parent: Inode, name: &str, kind| {
            let new = NewNode {
                kind,
                mode: 0o777,
                umask: 0,
                rdev: 0,
                copy_sgid: false,
            };
            let who = who(5, ADMIN);
            tree.ns
                .mknod(&mut tx, &who, parent, name.as_bytes(), new)
                .unwrap()
        };
        let inner = make(DIRECTORY, "e", NodeKind::Directory);
        make(inner, "f", NodeKind::File);
        tree.ns.link(&mut tx, &root, B, inner, b"b", 100).unwrap();
        for (inode, index) in [(A, 0), (A, 1), (B, 0)] {
            tree.ns
                .write_chunk(&mut tx, inode, index, true, false)
                .unwrap();
        }
        tree.ns.set_length(&mut tx, A, 70 << 20, true).unwrap();
        tree.ns.set_length(&mut tx, B, 1 << 20, true).unwrap();
        tree.out.lines.clear();
        tree.out.events.clear();
        tree
    }

    /// Lines written since the last call, without time stamps.
    fn lines(&mut self) -> Vec<String> {
        let lines = self.out.lines.iter().map(|(_, line)| {
            let line = String::from_utf8_lossy(line).into_owned();
            line.split_once('|').unwrap().1.to_owned()
        });
        let lines = lines.collect();
        self.out.lines.clear();
        lines
    }
}

fn show(result: Result<Counts, Status>) -> String {
    match result {
        Ok(counts) => format!("{},{},{}", counts.changed, counts.unchanged, counts.refused),
        Err(status) => format!("status {}", status.wire()),
    }
}

fn pairs<V: Copy>(list: &[(V, u32)], number: impl Fn(V) -> u32) -> Vec<(u32, u32)> {
    list.iter()
        .map(|&(value, count)| (number(value), count))
        .collect()
}

#[test]
fn trash_times() {
    let mut tree = Tree::new();
    let mut long_ago = who(0, ADMIN);
    (
        long_ago.rights.min_trash_seconds,
        long_ago.rights.max_trash_seconds,
    ) = (3600, 7200);
    let mut denied = who(0, ADMIN);
    denied.rights.disables = 1 << 20;
    for (who, inode, seconds, smode, result, line) in [
        (who(0, 0), A, 1, 0, "1,0,0", "SETTRASHTIME(3,0,1,0):1,0,0"),
        (
            who(0, 0),
            A,
            3600,
            0,
            "0,1,0",
            "SETTRASHTIME(3,0,3600,0):0,1,0",
        ),
        (
            who(0, 0),
            A,
            7201,
            1,
            "1,0,0",
            "SETTRASHTIME(3,0,7201,1):1,0,0",
        ),
        (
            who(0, 0),
            A,
            3600,
            1,
            "0,1,0",
            "SETTRASHTIME(3,0,3600,1):0,1,0",
        ),
        (
            who(0, 0),
            A,
            3600,
            2,
            "1,0,0",
            "SETTRASHTIME(3,0,3600,2):1,0,0",
        ),
        (
            who(0, 0),
            A,
            7200,
            3,
            "0,1,0",
            "SETTRASHTIME(3,0,7200,3):0,1,0",
        ),
        (who(6, 0), A, 7200, 0, "status 1", ""),
        (
            who(6, 0),
            DIRECTORY,
            7200,
            DEEP,
            "1,1,4",
            "SETTRASHTIME(2,6,7200,4):1,1,4",
        ),
        (
            who(5, 0),
            DIRECTORY,
            7200,
            DEEP,
            "4,0,2",
            "SETTRASHTIME(2,5,7200,4):4,0,2",
        ),
        (who(0, 0), SYMLINK, 1, 0, "status 1", ""),
        (who(0, 0), Inode(99), 1, 0, "status 3", ""),
        (who(0, 1), A, 1, 0, "status 33", ""),
        (who(0, 0), A, 1, 8, "status 6", ""),
        (denied, A, 1, 0, "status 1", ""),
        (long_ago, A, 3599, 0, "status 1", ""),
        (long_ago, A, 7201, 0, "status 1", ""),
        (
            long_ago,
            A,
            3599,
            1,
            "0,1,0",
            "SETTRASHTIME(3,0,3599,1):0,1,0",
        ),
        (long_ago, A, 7201, 1, "status 1", ""),
        (
            long_ago,
            A,
            7201,
            2,
            "0,1,0",
            "SETTRASHTIME(3,0,7201,2):0,1,0",
        ),
        (long_ago, A, 3599, 2, "status 1", ""),
    ] {
        let mut tx = Tx::new(20, &mut tree.out);
        let found = tree.ns.set_trashtime(&mut tx, &who, inode, seconds, smode);
        assert_eq!(show(found), result, "{inode:?} {seconds} {smode}");
        assert_eq!(tree.lines().join(" "), line, "{inode:?} {seconds} {smode}");
    }
    let tally = tree.ns.get_trashtime(DIRECTORY, true).unwrap();
    let expected = Tally {
        files: vec![(7200, 4)],
        directories: vec![(7200, 2)],
    };
    assert_eq!(tally, expected);
    let mut tx = Tx::new(20, &mut tree.out);
    let root = who(0, 0);
    tree.ns
        .set_trashtime(&mut tx, &root, A, u32::MAX, 0)
        .unwrap();
    assert_eq!(
        tree.ns.get_trashtime(A, false).unwrap().files,
        [(235_926_000, 1)]
    );
    assert_eq!(tree.lines(), ["SETTRASHTIME(3,0,235926000,0):1,0,0"]);
    assert_eq!(tree.ns.node(A).unwrap().ctime, 20);
    assert_eq!(tree.ns.get_trashtime(SYMLINK, false), Err(Status::Eperm));
}

#[test]
fn replay_of_trash_times_that_do_not_fit() {
    // As the real master stores them.
    for (seconds, hours) in [
        (300_000_000, 17798),
        (235_926_001, 0),
        (u32::MAX, 0),
        (4_294_963_696, 13398),
        (3601, 2),
    ] {
        let mut tree = Tree::new();
        tree.ns.apply_set_trashtime(1, A, 0, seconds, 0);
        assert_eq!(tree.ns.node(A).unwrap().trash_hours, hours, "{seconds}");
    }
}

#[test]
fn extra_attributes() {
    let mut tree = Tree::new();
    let both = "SETEATTR(3,5,16,1):1,0,0 SETEATTR(3,5,15,2):1,0,0";
    for (who, inode, eattr, smode, result, line, after) in [
        (
            who(5, 0),
            A,
            0x08,
            1,
            "1,0,0",
            "SETEATTR(3,5,8,1):1,0,0",
            0x08,
        ),
        (
            who(5, 0),
            A,
            0x0A,
            0,
            "1,0,0",
            "SETEATTR(3,5,10,0):1,0,0",
            0x0A,
        ),
        (
            who(5, 0),
            A,
            0x02,
            2,
            "1,0,0",
            "SETEATTR(3,5,2,2):1,0,0",
            0x08,
        ),
        (
            who(5, 0),
            A,
            0x04,
            1,
            "0,1,0",
            "SETEATTR(3,5,4,1):0,1,0",
            0x08,
        ),
        (
            who(5, 0),
            A,
            0x01,
            3,
            "0,1,0",
            "SETEATTR(3,5,1,3):0,1,0",
            0x08,
        ),
        (who(5, 0), A, 0x80, 1, "status 1", "", 0x08),
        (who(6, 0), A, 0x02, 1, "status 1", "", 0x08),
        (
            who(5, ADMIN),
            A,
            0x80,
            1,
            "1,0,0",
            "SETEATTR(3,5,128,1):1,0,0",
            0x88,
        ),
        (who(0, ADMIN), A, 0x01, 1, "status 1", "", 0x88),
        (
            who(5, 0),
            A,
            0x02,
            1,
            "1,0,0",
            "SETEATTR(3,5,2,1):1,0,0",
            0x8A,
        ),
        (who(5, 0), A, 0x10, 0, "status 1", "", 0x8A),
        (
            who(5, ADMIN),
            A,
            0x28,
            0,
            "1,0,0",
            "SETEATTR(3,5,40,0):1,0,0",
            0x28,
        ),
        (who(5, 0), A, 0x10, 0, "1,0,0", both, 0x30),
        (
            who(5, ADMIN),
            A,
            0x00,
            0,
            "1,0,0",
            "SETEATTR(3,5,0,0):1,0,0",
            0,
        ),
        (
            who(5, 0),
            DIRECTORY,
            0x05,
            1 | DEEP,
            "4,0,3",
            "SETEATTR(2,5,5,5):4,0,3",
            1,
        ),
        (who(7, 0), A, 0x02, 1, "1,0,0", "SETEATTR(3,7,2,1):1,0,0", 3),
        (
            who(0, 0),
            SYMLINK,
            0x02,
            1,
            "1,0,0",
            "SETEATTR(5,0,2,1):1,0,0",
            3,
        ),
        (who(0, 1), A, 0x02, 1, "status 33", "", 3),
        (who(0, 0), A, 0x02, 9, "status 6", "", 3),
        (who(0, 0), Inode(99), 0x02, 1, "status 3", "", 3),
    ] {
        let mut tx = Tx::new(20, &mut tree.out);
        let found = tree.ns.set_eattr(&mut tx, &who, inode, eattr, smode);
        assert_eq!(show(found), result, "{inode:?} {eattr} {smode}");
        assert_eq!(tree.lines().join(" "), line, "{inode:?} {eattr} {smode}");
        assert_eq!(
            tree.ns.node(A).unwrap().eattr,
            after,
            "{inode:?} {eattr} {smode}"
        );
    }
    let tally = tree.ns.get_eattr(DIRECTORY, true).unwrap();
    assert_eq!(tally.directories, [(5, 2)]);
    assert_eq!(tally.files, [(0, 2), (1, 1), (2, 1), (3, 1)]);
}

fn class(tree: &mut Tree, name: &[u8], admin_only: bool) -> ClassId {
    let list = LabelList::any(4).unwrap();
    let rules = ClassRules {
        admin_only,
        mode: LabelMode::Standard,
        archive_delay_days: 1,
        create: list,
        keep: list,
        archive: list,
    };
    let mut tx = Tx::new(15, &mut tree.out);
    tree.ns
        .class_create(&mut tx, &who(0, ADMIN), name, rules)
        .unwrap()
}

#[test]
fn storage_classes() {
    let mut tree = Tree::new();
    let (custom, secret) = (class(&mut tree, b"x", false), class(&mut tree, b"y", true));
    tree.out.lines.clear();
    let mut few = who(0, ADMIN);
    (few.rights.min_goal, few.rights.max_goal) = (2, 3);
    let b_secret = "SETSCLASS(4,0,11,11,0):1,0,0";
    for (who, inode, source, class, smode, result, line) in [
        (who(5, 0), A, 0, 3, 0, "1,0,0", "SETSCLASS(3,5,3,3,0):1,0,0"),
        (who(5, 0), A, 0, 3, 0, "0,1,0", "SETSCLASS(3,5,3,3,0):0,1,0"),
        (who(5, 0), A, 0, 2, 1, "0,1,0", "SETSCLASS(3,5,2,2,1):0,1,0"),
        (who(5, 0), A, 0, 2, 2, "1,0,0", "SETSCLASS(3,5,2,2,2):1,0,0"),
        (
            who(5, 0),
            DIRECTORY,
            2,
            10,
            3 | DEEP,
            "4,0,2",
            "SETSCLASS(2,5,2,10,7):4,0,2",
        ),
        (who(0, 0), A, 0, 9, 1, "0,1,0", "SETSCLASS(3,0,9,9,1):0,1,0"),
        (who(0, 0), A, 0, 9, 2, "1,0,0", "SETSCLASS(3,0,9,9,2):1,0,0"),
        (who(0, 0), A, 0, custom.0, 1, "status 6", ""),
        (who(0, 0), A, 0, 77, 0, "status 6", ""),
        (who(0, 0), A, 77, 1, 3, "status 6", ""),
        (few, A, 0, 1, 0, "status 1", ""),
        (few, A, 0, 4, 0, "status 1", ""),
        (few, A, 0, 4, 1, "status 1", ""),
        (few, A, 0, 1, 2, "status 1", ""),
        (
            few,
            A,
            0,
            custom.0,
            0,
            "1,0,0",
            "SETSCLASS(3,0,10,10,0):1,0,0",
        ),
        (who(0, 0), A, 0, secret.0, 0, "status 1", ""),
        (who(0, ADMIN), B, 0, secret.0, 0, "1,0,0", b_secret),
        (
            who(0, 0),
            DIRECTORY,
            0,
            1,
            DEEP,
            "4,0,2",
            "SETSCLASS(2,0,1,1,0):1,0,0 SETSCLASS(6,0,1,1,0):1,0,0 \
             SETSCLASS(7,0,1,1,0):1,0,0 SETSCLASS(3,0,1,1,0):1,0,0",
        ),
        (
            who(0, ADMIN),
            DIRECTORY,
            0,
            1,
            DEEP,
            "1,5,0",
            "SETSCLASS(2,0,1,1,4):1,5,0",
        ),
        (who(0, 0), SYMLINK, 0, 1, 0, "status 1", ""),
        (who(0, 1), A, 0, 2, 0, "status 33", ""),
        (who(0, 0), A, 0, 2, 8, "status 6", ""),
        (who(0, 0), Inode(99), 0, 2, 0, "status 3", ""),
    ] {
        let (mut source, class) = (ClassId(source), ClassId(class));
        if smode & 3 != 3 {
            source = class;
        }
        let mut tx = Tx::new(20, &mut tree.out);
        let found = tree
            .ns
            .set_sclass(&mut tx, &who, inode, source, class, smode);
        assert_eq!(show(found), result, "{inode:?} {class:?} {smode}");
        assert_eq!(tree.lines().join(" "), line, "{inode:?} {class:?} {smode}");
    }
    let tally = tree.ns.get_sclass(DIRECTORY, true).unwrap();
    let number = |class: ClassId| class.0.into();
    assert_eq!(pairs(&tally.files, number), [(1, 4)]);
    assert_eq!(pairs(&tally.directories, number), [(1, 2)]);
    let uses = tree.ns.classes().uses(ClassId(1));
    assert_eq!((uses.files, uses.directories), (3, 2), "each inode once");
    assert!(!tree.ns.classes().uses(secret).any());
    // One of 64 MiB + 8 KiB, one of 6 MiB + 8 KiB, and twice 1 MiB + 8 KiB.
    let size = (72 << 20) + 4 * 8192;
    let info = tree.ns.dir_info(DIRECTORY).unwrap();
    assert_eq!((info.size, info.real_size), (size, size));
    assert_eq!(
        (info.inodes, info.directories, info.files, info.chunks),
        (7, 2, 4, 4)
    );
}

#[test]
fn classes_and_quotas() {
    let mut tree = Tree::new();
    let root = who(0, ADMIN);
    let real_size = tree.ns.dir_info(DIRECTORY).unwrap().real_size;
    let mut tx = Tx::new(20, &mut tree.out);
    let request = QuotaRequest::Set {
        flags: 0x80,
        grace_seconds: 0,
        soft: Limits::default(),
        hard: Limits {
            real_size: real_size + 1,
            ..Limits::default()
        },
    };
    tree.ns
        .quota_control(&mut tx, &root, DIRECTORY, request)
        .unwrap();
    for (inode, class, smode, result) in [
        (A, 3, 0, "status 34"),
        (DIRECTORY, 3, DEEP, "status 34"),
        (DIRECTORY, 3, 1 | DEEP, "status 34"),
        (DIRECTORY, 3, 0, "1,0,0"),
        (B, 1, 0, "1,0,0"),
    ] {
        let class = ClassId(class);
        let found = tree
            .ns
            .set_sclass(&mut tx, &root, inode, class, class, smode);
        assert_eq!(show(found), result, "{inode:?} {class:?} {smode}");
    }
}

#[test]
fn archive_flags() {
    let mut tree = Tree::new();
    let counts = |tree: &Tree, inode| tree.ns.archive_counts(inode).unwrap();
    let none = ArchiveCounts {
        other_chunks: 4,
        other_files: 3,
        ..ArchiveCounts::default()
    };
    assert_eq!(
        counts(&tree, DIRECTORY),
        none,
        "files without chunks count nowhere"
    );
    for (who, inode, archived, result, line) in [
        (who(5, 0), DIRECTORY, true, "2,0,2", "ARCHCHG(2,5,1):2,0,2"),
        (who(5, 0), B, true, "status 1", ""),
        (who(0, 0), DIRECTORY, true, "1,3,0", "ARCHCHG(2,0,1):1,3,0"),
        (who(0, 0), DIRECTORY, true, "0,4,0", "ARCHCHG(2,0,1):0,4,0"),
        (who(0, 0), SYMLINK, true, "status 1", ""),
        (who(0, 1), A, true, "status 33", ""),
        (who(0, 0), Inode(99), true, "status 3", ""),
        (who(0, 0), B, false, "1,0,0", "ARCHCHG(4,0,0):1,0,0"),
        (who(0, 0), B, false, "0,1,0", "ARCHCHG(4,0,0):0,1,0"),
    ] {
        let mut tx = Tx::new(20, &mut tree.out);
        let found = tree.ns.set_archive(&mut tx, &who, inode, archived);
        assert_eq!(show(found), result, "{inode:?} {archived}");
        assert_eq!(tree.lines().join(" "), line, "{inode:?} {archived}");
    }
    let some = ArchiveCounts {
        archived_chunks: 2,
        other_chunks: 2,
        archived_files: 1,
        other_files: 2,
        ..ArchiveCounts::default()
    };
    assert_eq!(counts(&tree, DIRECTORY), some);
    assert_eq!(tree.ns.node(B).unwrap().ctime, 20, "clearing sets ctime");
    assert_eq!(tree.ns.node(A).unwrap().ctime, 10, "setting does not");
    let mut tx = Tx::new(30, &mut tree.out);
    tree.ns.write_chunk(&mut tx, A, 2, true, false).unwrap();
    assert_eq!(counts(&tree, A).partial_files, 1);
}

#[test]
fn archiving_by_delay() {
    const DAY: u32 = 86_400;
    let mut tree = Tree::new();
    let custom = class(&mut tree, b"x", false);
    let root = who(0, ADMIN);
    let mut tx = Tx::new(20, &mut tree.out);
    tree.ns
        .set_sclass(&mut tx, &root, A, custom, custom, 0)
        .unwrap();
    tree.ns.set_eattr(&mut tx, &root, A, 0x80, 1).unwrap();
    tree.out.lines.clear();
    for (now, inode, archived, line) in [
        (20 + DAY, A, false, ""),
        (21 + DAY, B, false, ""),
        (21 + DAY, DIRECTORY, false, ""),
        (21 + DAY, A, true, "ARCHCHG(3,0,1):2,0,0"),
        (22 + DAY, A, false, ""),
    ] {
        let mut tx = Tx::new(now, &mut tree.out);
        assert_eq!(
            tree.ns.archive_by_delay(&mut tx, inode),
            archived,
            "{inode:?} at {now}"
        );
        assert_eq!(tree.lines().join(" "), line, "{inode:?} at {now}");
    }
}

#[test]
fn replay_of_archiving() {
    let counts = |changed, unchanged, refused| Counts {
        changed,
        unchanged,
        refused,
    };
    for (inode, uid, line, result, why) in [
        (
            A,
            0,
            counts(1, 0, 0),
            Ok(()),
            "the master itself, one copy missing",
        ),
        (A, 5, counts(2, 0, 0), Ok(()), "the owner"),
        (A, 5, counts(1, 0, 0), Err(Status::Mismatch), "other counts"),
        (DIRECTORY, 5, counts(2, 0, 2), Ok(()), "a tree"),
        (
            DIRECTORY,
            0,
            counts(1, 0, 0),
            Err(Status::Mismatch),
            "a tree is archived by users only",
        ),
        (
            Inode(99),
            0,
            counts(1, 0, 0),
            Err(Status::Enoent),
            "nothing",
        ),
    ] {
        let mut tree = Tree::new();
        let mut tx = Tx::new(20, &mut tree.out);
        let found = tree.ns.replay_archive(&mut tx, inode, uid, true, line);
        assert_eq!(found, result, "{why}");
    }
}

#[test]
fn quota_requests() {
    let mut tree = Tree::new();
    let set = |flags| QuotaRequest::Set {
        flags,
        grace_seconds: 7,
        soft: Limits {
            inodes: 1,
            ..Limits::default()
        },
        hard: Limits {
            inodes: 100,
            ..Limits::default()
        },
    };
    let remove = QuotaRequest::Remove { flags: 0x10 };
    let meta = Caller {
        root: Inode(0),
        session: SessionId(0),
        ..who(0, ADMIN)
    };
    for (who, inode, request, result, line) in [
        (who(0, 0), DIRECTORY, QuotaRequest::Get, "0", ""),
        (who(0, 0), DIRECTORY, set(0), "0", ""),
        (who(0, 0), DIRECTORY, set(0x11), "status 1", ""),
        (who(0, ADMIN | 1), DIRECTORY, set(0x11), "status 33", ""),
        (who(0, ADMIN), A, set(0x11), "status 1", ""),
        (who(0, ADMIN), Inode(99), set(0x11), "status 3", ""),
        (meta, DIRECTORY, QuotaRequest::Get, "status 1", ""),
        (
            who(0, ADMIN),
            DIRECTORY,
            set(0x11),
            "17",
            "QUOTA(2,0,17,0,1,100,0,0,0,0,0,0,7)",
        ),
        (
            who(0, ADMIN),
            DIRECTORY,
            set(0x11),
            "17",
            "QUOTA(2,0,17,0,1,100,0,0,0,0,0,0,7)",
        ),
        (
            who(0, ADMIN),
            DIRECTORY,
            remove,
            "1",
            "QUOTA(2,0,1,0,1,0,0,0,0,0,0,0,7)",
        ),
        (
            who(0, ADMIN),
            DIRECTORY,
            remove,
            "1",
            "QUOTA(2,0,1,0,1,0,0,0,0,0,0,0,7)",
        ),
    ] {
        let mut tx = Tx::new(20, &mut tree.out);
        let found = match tree.ns.quota_control(&mut tx, &who, inode, request) {
            Ok(report) => {
                assert_eq!(report.usage.inodes, 6);
                report.quota.flags.to_string()
            }
            Err(status) => format!("status {}", status.wire()),
        };
        assert_eq!(found, result, "{request:?}");
        assert_eq!(tree.lines().join(" "), line, "{request:?}");
    }
    for (now, line) in [
        (30, "QUOTA(2,0,1,30,1,0,0,0,0,0,0,0,7)"),
        (37, ""),
        (38, "QUOTA(2,1,1,30,1,0,0,0,0,0,0,0,7)"),
        (39, ""),
    ] {
        tree.ns.quota_check_all(&mut Tx::new(now, &mut tree.out));
        assert_eq!(tree.lines().join(" "), line, "second {now}");
    }
}
