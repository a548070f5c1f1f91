//! Modes, limits and order of extended attributes.

use super::{NAME_LIST_BYTES_MAX, SetMode, VALUE_BYTES_MAX, Xattrs};
use crate::{Caller, Namespace, Outbox, Tx};
use proto::{Inode, Status};

const FILE: Inode = Inode(5);

fn list(xattrs: &Xattrs, inode: Inode) -> String {
    let all: Vec<_> = xattrs
        .of(inode)
        .map(|(name, value)| {
            let (name, value) = (String::from_utf8_lossy(name), value.len());
            format!("{name}:{value}")
        })
        .collect();
    all.join(" ")
}

fn change(xattrs: &mut Xattrs, name: &[u8], value: &[u8], mode: SetMode) -> Status {
    let result = xattrs
        .check(FILE, name, value, mode)
        .and_then(|()| xattrs.set(FILE, name, value, mode));
    result.err().unwrap_or(Status::Ok)
}

#[test]
fn modes_and_order() {
    let mut xattrs = Xattrs::default();
    for (mode, name, value, expected, after) in [
        (SetMode::Replace, "a", "1", Status::Enoattr, ""),
        (SetMode::Remove, "a", "", Status::Enoattr, ""),
        (SetMode::Set, "a", "1", Status::Ok, "a:1"),
        (SetMode::Create, "a", "12", Status::Eexist, "a:1"),
        (SetMode::Create, "b", "", Status::Ok, "b:0 a:1"),
        (SetMode::Set, "c", "123", Status::Ok, "c:3 b:0 a:1"),
        (SetMode::Replace, "b", "12", Status::Ok, "c:3 b:2 a:1"),
        (SetMode::Set, "a", "", Status::Ok, "c:3 b:2 a:0"),
        (SetMode::Remove, "b", "", Status::Ok, "c:3 a:0"),
        (SetMode::Set, "", "x", Status::Einval, "c:3 a:0"),
        (SetMode::Set, "n\0l", "x", Status::Einval, "c:3 a:0"),
        (SetMode::Remove, "c", "", Status::Ok, "a:0"),
        (SetMode::Remove, "a", "", Status::Ok, ""),
    ] {
        let status = change(&mut xattrs, name.as_bytes(), value.as_bytes(), mode);
        assert_eq!(status, expected, "{mode:?} {name}");
        assert_eq!(list(&xattrs, FILE), after, "{mode:?} {name}");
    }
    assert!(xattrs.is_empty() && !xattrs.has(FILE));
}

#[test]
fn limits() {
    let mut xattrs = Xattrs::default();
    let long = vec![7; VALUE_BYTES_MAX + 1];
    let exact = &long[1..];
    let mut set = |name: &[u8], value: &[u8]| change(&mut xattrs, name, value, SetMode::Set);
    assert_eq!(set(b"v", &long), Status::Erange);
    assert_eq!(set(b"v", exact), Status::Ok);
    assert_eq!(set(&[b'n'; 256], b""), Status::Einval);
    // 2 bytes are listed; 255 names of 255 bytes and their NULs leave 254 bytes.
    for number in 0..255u8 {
        let mut name = [b'n'; 255];
        name[..2].copy_from_slice(&[b'a' + number / 16, b'a' + number % 16]);
        assert_eq!(set(&name, b""), Status::Ok, "name {number}");
    }
    assert_eq!(set(&[b'x'; 254], b""), Status::Erange);
    assert_eq!(set(&[b'x'; 253], b""), Status::Ok);
    assert_eq!(set(b"v", b"replacing is allowed"), Status::Ok);
    let listed: usize = xattrs.of(FILE).map(|(name, _)| name.len() + 1).sum();
    assert_eq!(listed, NAME_LIST_BYTES_MAX);
}

#[test]
fn copies_and_loads() {
    let mut xattrs = Xattrs::default();
    xattrs.load(FILE, [(&b"new"[..], &b"1"[..]), (b"old", b"22")]);
    xattrs.copy(FILE, Inode(6));
    xattrs.set(FILE, b"new", b"", SetMode::Remove).unwrap();
    assert_eq!(list(&xattrs, FILE), "old:2");
    assert_eq!(list(&xattrs, Inode(6)), "new:1 old:2");
    xattrs.copy(Inode(99), Inode(6));
    assert!(!xattrs.has(Inode(6)), "a copy of nothing is nothing");
    xattrs.remove_all(FILE);
    assert_eq!(xattrs.len(), 0);
}

/// An inode 2 of user 5 with mode 0640, and an immutable inode 3.
fn files() -> (Namespace, Outbox) {
    let mut ns = Namespace::new(0, 1).unwrap();
    let mut out = Outbox::default();
    let mut tx = Tx::new(10, &mut out);
    for name in [b"a", b"b"] {
        let (owner, mode) = (who(5), 0o640);
        ns.create(&mut tx, &owner, Inode::ROOT, name, mode, 0)
            .unwrap();
    }
    ns.set_eattr(&mut tx, &who(0), Inode(3), 0x80, 1).unwrap();
    out.lines.clear();
    (ns, out)
}

fn who(uid: u32) -> Caller<'static> {
    let mut who = Caller::MASTER;
    (who.uid, who.gids) = (uid, &[]);
    who
}

#[test]
fn setting_by_request() {
    let (mut ns, mut out) = files();
    let (mut read_only, mut denied) = (who(0), who(0));
    read_only.rights.flags |= 1;
    denied.rights.disables = 1 << 23;
    for (who, inode, name, mode, opened, expected) in [
        (who(5), 2, "user.a", 0, false, Status::Ok),
        (who(6), 2, "user.a", 0, false, Status::Eacces),
        (who(6), 2, "user.a", 0, true, Status::Ok),
        (who(5), 2, "trusted.a", 0, false, Status::Eperm),
        (who(5), 2, "security.a", 0, false, Status::Eperm),
        (who(0), 2, "trusted.a", 0, false, Status::Ok),
        (who(5), 2, "system.a", 0, false, Status::Ok),
        (who(6), 2, "system.a", 0, true, Status::Eperm),
        (who(0), 3, "user.a", 0, false, Status::Eperm),
        (who(0), 9, "user.a", 0, false, Status::Enoent),
        (who(0), 2, "", 0, false, Status::Einval),
        (who(0), 2, "a\0b", 0, false, Status::Einval),
        (who(0), 2, "user.a", 4, false, Status::Einval),
        (who(0), 2, "user.a", 1, false, Status::Eexist),
        (who(0), 2, "user.x", 2, false, Status::Enoattr),
        (who(0), 2, "user.x", 3, false, Status::Enoattr),
        (who(0), 2, "system.a", 3, false, Status::Ok),
        (read_only, 9, "user.a", 0, false, Status::Erofs),
        (denied, 9, "user.a", 0, false, Status::Eperm),
    ] {
        let mut tx = Tx::new(20, &mut out);
        let (inode, name) = (Inode(inode), name.as_bytes());
        let result = ns.setxattr(&mut tx, &who, inode, name, b"v,", mode, opened);
        let status = result.err().unwrap_or(Status::Ok);
        assert_eq!(status, expected, "{inode:?} {name:?} {mode}");
    }
    let lines = String::from_utf8_lossy(out.lines.bytes()).into_owned();
    let operations: Vec<_> = lines
        .lines()
        .map(|line| line.split_once('|').unwrap().1)
        .collect();
    assert_eq!(
        operations,
        [
            "SETXATTR(2,user.a,v%2C,0)",
            "SETXATTR(2,user.a,v%2C,0)",
            "SETXATTR(2,trusted.a,v%2C,0)",
            "SETXATTR(2,system.a,v%2C,0)",
            "SETXATTR(2,system.a,v%2C,3)",
        ]
    );
    assert_eq!(ns.node(Inode(2)).unwrap().ctime, 20);
    assert_eq!(list(&ns.xattrs, Inode(2)), "trusted.a:2 user.a:2");
}

#[test]
fn getting_by_request() {
    let (mut ns, _) = files();
    for name in [&b"user.a"[..], b"trusted.a"] {
        ns.apply_setxattr(1, Inode(2), name, b"v", SetMode::Set)
            .unwrap();
    }
    for (uid, inode, name, opened, expected) in [
        (5, 2, "user.a", false, Ok(&b"v"[..])),
        (5, 2, "user.b", false, Err(Status::Enoattr)),
        (5, 2, "trusted.a", false, Err(Status::Eperm)),
        (0, 2, "trusted.a", false, Ok(b"v")),
        (6, 2, "user.a", false, Err(Status::Eacces)),
        (6, 2, "user.a", true, Ok(b"v")),
        (0, 2, "user\0", false, Err(Status::Einval)),
        (0, 9, "user.a", false, Err(Status::Enoent)),
    ] {
        let found = ns.getxattr(&who(uid), Inode(inode), name.as_bytes(), opened);
        assert_eq!(found, expected, "{uid} {inode} {name}");
    }
    for (uid, inode, opened, expected) in [
        (5, 2, false, Ok(b"trusted.a\0user.a\0".to_vec())),
        (5, 3, false, Ok(Vec::new())),
        (6, 2, false, Err(Status::Eacces)),
        (6, 2, true, Ok(b"trusted.a\0user.a\0".to_vec())),
        (0, 9, false, Err(Status::Enoent)),
    ] {
        let found = ns.listxattr(&who(uid), Inode(inode), opened);
        assert_eq!(found, expected, "{uid} {inode}");
    }
}
