//! Evaluation, inheritance and chmod of ACLs.

use super::{Acl, AclEntry, AclKind, Acls, UNSET, subsets};
use proto::Inode;
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
    let partial = acl([UNSET, 0o17, UNSET, 6], &[(1, 0o77)], &[]);
    assert_eq!(
        partial.filled_from(0o741),
        acl([7, 7, 1, 6], &[(1, 7)], &[])
    );
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
