//! Evaluation, inheritance and chmod of ACLs.

use super::{Acl, AclEntry, AclKind, Acls, UNSET, subsets};
use crate::create::NewNode;
use crate::{Caller, Namespace, Outbox, Tx};
use proto::{Inode, NodeKind, Status};
use std::sync::Arc;

const OWNER: u32 = 100;
const GROUP: u32 = 200;

fn entries(list: &[(u32, u16)]) -> Vec<AclEntry> {
    let entry = |&(id, permission)| AclEntry { id, permission };
    list.iter().map(entry).collect()
}

fn acl(words: [u16; 4], users: &[(u32, u16)], groups: &[(u32, u16)]) -> Acl {
    Acl::new(words, entries(users), entries(groups))
}

/// The masks that are allowed, as digits.
fn masks(set: u8) -> String {
    let allowed = (0..8u32).filter(|mask| set & 1 << mask != 0);
    allowed.map(|mask| mask.to_string()).collect()
}

#[test]
fn subsets_of_bits() {
    for (bits, expected) in [
        (0, "0"),
        (4, "04"),
        (5, "0145"),
        (6, "0246"),
        (7, "01234567"),
    ] {
        assert_eq!(masks(subsets(bits)), expected, "{bits}");
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let list = acl([6, 4, 1, 6], &[(101, 7), (102, 1)], &[(201, 2), (202, 7)]);
    for (uid, gids, expected, why) in [
        (OWNER, &[][..], "0246", "owner, not masked"),
        (101, &[202], "0246", "named user, masked"),
        (102, &[GROUP], "0", "named user, whatever his groups"),
        (1, &[GROUP], "04", "owning group"),
        (1, &[201], "02", "named group"),
        (1, &[GROUP, 201], "024", "r and w, but not both at once"),
        (1, &[9, 202], "0246", "named group, masked"),
        (1, &[9], "01", "everybody else, not masked"),
        (1, &[], "01", "no groups"),
    ] {
        let found = masks(list.allowed(OWNER, GROUP, uid, gids));
        assert_eq!(found, expected, "{why}");
    }
    let unmasked = acl([6, 5, 0, UNSET], &[], &[]);
    assert_eq!(masks(unmasked.allowed(OWNER, GROUP, 1, &[GROUP])), "0145");
}

#[test]
fn inheritance() {
    // A minimal default list only narrows the mode.
    let minimal = acl([7, 5, 1, UNSET], &[], &[]);
    let inherited = minimal.inherit(0o2666);
    assert_eq!((inherited.mode, inherited.access), (0o2640, None));
    // A list with a mask becomes the access list (wire-client-master §13.3).
    let full = acl([7, 5, 5, 7], &[(1234, 7)], &[]);
    let inherited = full.inherit(0o666);
    let expected = acl([6, 5, 4, 6], &[(1234, 7)], &[]);
    assert_eq!((inherited.mode, inherited.access), (0o654, Some(expected)));
}

#[test]
fn modes_shown_and_changed() {
    let mut list = acl([6, 4, 0, 6], &[(1, 7)], &[]);
    assert_eq!(list.mode(0o1777), 0o1640);
    assert_eq!(list.shown_mode(0o1640), 0o1660);
    list.change_mode(0o751);
    assert_eq!(list, acl([7, 4, 1, 5], &[(1, 7)], &[]));
    let unmasked = acl([6, 4, 0, UNSET], &[(1, 7)], &[]);
    assert_eq!(unmasked.shown_mode(0o640), 0o670, "no mask masks nothing");
    let partial = acl([UNSET, 5, UNSET, 6], &[(1, 7)], &[]);
    let filled = acl([7, 5, 1, 6], &[(1, 7)], &[]);
    assert_eq!(partial.filled_from(0o741), filled);
    let mut unmasked = unmasked;
    unmasked.change_mode(0o751);
    assert_eq!(unmasked.mask, 0xFFFD, "as 3.0.117 has it");
    assert_eq!(unmasked.shown_mode(0), 0o751);
    let strange = acl([0xFFF, 4, 0, 0xFFF0], &[(1, 0xFF)], &[]);
    assert_eq!(masks(strange.allowed(OWNER, GROUP, OWNER, &[])), "01234567");
    assert_eq!(masks(strange.allowed(OWNER, GROUP, 1, &[])), "0");
    let unmasked = acl([6, 4, 0, UNSET], &[], &[]);
    assert!(unmasked.is_minimal() && !unmasked.is_removal());
    assert!(acl([UNSET; 4], &[], &[]).is_removal());
    assert!(!acl([UNSET; 4], &[(1, 1)], &[]).is_removal());
}

#[test]
fn lists_of_inodes() {
    let mut acls = Acls::default();
    let list = Arc::new(acl([7, 5, 5, 7], &[(1, 7)], &[(2, 1), (3, 2)]));
    acls.set(Inode(u32::MAX), AclKind::Default, list.clone());
    acls.set(Inode(1), AclKind::Access, list);
    acls.copy(Inode(1), Inode(4));
    let all: Vec<_> = acls
        .iter()
        .map(|(inode, kind, _)| (inode.0, kind))
        .collect();
    let expected = [
        (1, AclKind::Access),
        (4, AclKind::Access),
        (u32::MAX, AclKind::Default),
    ];
    assert_eq!(all, expected);
    let copy = acls.get(Inode(4), AclKind::Access).unwrap();
    assert_eq!(copy.named_users().len(), 1);
    assert_eq!(copy.named_groups(), entries(&[(2, 1), (3, 2)]));
    acls.copy(Inode(9), Inode(4));
    assert!(!acls.has(Inode(4)), "a copy of nothing is nothing");
    acls.remove_all(Inode(u32::MAX));
    assert_eq!(acls.len(), 1);
}

/// Statuses, lines and what is stored, for a file 2 of user 5 with mode 0640 and a directory 3.
#[test]
fn setting_by_request() {
    let mut ns = Namespace::new(0, 1).unwrap();
    let mut out = Outbox::default();
    let mut tx = Tx::new(10, &mut out);
    let who = |uid| {
        let mut who = Caller::MASTER;
        who.uid = uid;
        who
    };
    let (owner, root) = (who(5), Inode::ROOT);
    ns.create(&mut tx, &owner, root, b"f", 0o640, 0).unwrap();
    let directory = NewNode {
        kind: NodeKind::Directory,
        mode: 0o755,
        umask: 0,
        rdev: 0,
        copy_sgid: false,
    };
    ns.mknod(&mut tx, &owner, root, b"d", directory).unwrap();
    let (mut read_only, mut denied) = (who(0), who(0));
    read_only.rights.flags |= 1;
    denied.rights.disables = 1 << 24;
    let removal = acl([UNSET; 4], &[], &[]);
    let full = acl([6, 4, 0, 6], &[(0x4D2, 7)], &[]);
    let minimal = acl([7, 5, 1, UNSET], &[], &[]);
    let filled = acl([UNSET, UNSET, UNSET, 2], &[], &[(8, 1)]);
    let unmasked = acl([7, 5, 1, UNSET], &[(0x4D2, 7)], &[]);
    for (who, inode, kind, list, status, line, mode, has) in [
        (
            who(5),
            2,
            1,
            &full,
            0,
            "SETACL(2,416,0,1,6,4,0,6,1,0,%00%00%04%D2%00%07)",
            0o640,
            true,
        ),
        (
            who(5),
            2,
            1,
            &minimal,
            0,
            "SETACL(2,489,1,1,7,5,1,65535,0,0,)",
            0o751,
            false,
        ),
        (
            who(0),
            2,
            1,
            &filled,
            0,
            "SETACL(2,489,1,1,7,5,1,2,0,1,%00%00%00%08%00%01)",
            0o751,
            true,
        ),
        (
            who(0),
            2,
            1,
            &unmasked,
            0,
            "SETACL(2,489,1,1,7,5,1,65535,1,0,%00%00%04%D2%00%07)",
            0o751,
            true,
        ),
        (
            who(0),
            2,
            1,
            &removal,
            0,
            "SETACL(2,489,1,1,65535,65535,65535,65535,0,0,)",
            0o751,
            false,
        ),
        (who(6), 2, 1, &full, 1, "", 0o751, false),
        (who(6), 2, 3, &full, 1, "", 0o751, false),
        (who(5), 2, 3, &full, 6, "", 0o751, false),
        (who(5), 9, 1, &full, 3, "", 0o751, false),
        (read_only, 9, 1, &full, 33, "", 0o751, false),
        (denied, 9, 1, &full, 1, "", 0o751, false),
        (
            who(5),
            3,
            2,
            &minimal,
            0,
            "SETACL(3,493,0,2,7,5,1,65535,0,0,)",
            0o755,
            true,
        ),
        (
            who(5),
            3,
            2,
            &removal,
            0,
            "SETACL(3,493,0,2,65535,65535,65535,65535,0,0,)",
            0o755,
            false,
        ),
    ] {
        out.lines.clear();
        let mut tx = Tx::new(20, &mut out);
        let inode = Inode(inode);
        let result = ns.setfacl(&mut tx, &who, inode, kind, list.clone());
        let found = result.map_or_else(Status::wire, |()| 0);
        assert_eq!(found, status, "{inode:?} {kind} {list:?}");
        let lines = String::from_utf8_lossy(out.lines.bytes()).into_owned();
        let found = lines
            .split_once('|')
            .map_or("", |(_, line)| line.trim_end());
        assert_eq!(found, line);
        if let Some(node) = ns.node(inode) {
            assert_eq!(node.mode, mode, "{line}");
            assert_eq!(ns.getfacl(inode, kind).is_ok(), has, "{line}");
        }
    }
    assert_eq!(ns.getfacl(Inode(9), 1), Err(Status::Enoent));
    assert_eq!(ns.getfacl(Inode(2), 0), Err(Status::Enoattr));
    assert_eq!(ns.node(Inode(2)).unwrap().ctime, 20, "the mode changed");
    assert_eq!(ns.node(Inode(3)).unwrap().ctime, 10, "it did not");
}

#[test]
fn lists_of_lines() {
    let words = [7, 5, 0, 7];
    for (users, groups, bytes, expected) in [
        (0, 0, &[][..], Some(acl(words, &[], &[]))),
        (
            1,
            1,
            &[0, 0, 3, 0xE9, 0, 7, 0, 0, 0, 9, 0, 4],
            Some(acl(words, &[(1001, 7)], &[(9, 4)])),
        ),
        (1, 0, &[0, 0, 0, 1, 0], None),
        (1, 1, &[0, 0, 0, 1, 0, 1], None),
        (u16::MAX, u16::MAX, &[0, 0, 0, 1, 0, 1], None),
    ] {
        assert_eq!(Acl::from_entry(words, users, groups, bytes), expected);
    }
}
