//! Modes, limits and order of extended attributes.

use super::{NAME_LIST_BYTES_MAX, SetMode, VALUE_BYTES_MAX, Xattrs};
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
