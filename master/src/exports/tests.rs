//! The parser, the choice and the checksum. Entries and messages were recorded from mfsmaster
//! 3.0.117 (its exports by message 520, its messages from the log).

use std::fmt::Write as _;

use super::*;
use expect_test::{Expect, expect};

/// A small user database.
struct Known;

impl Names for Known {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        (name == "nobody").then_some((65534, 65534))
    }

    fn group_of(&self, uid: u32) -> Option<u32> {
        match uid {
            0 => Some(0),
            5 => Some(60),
            1..=10 => Some(uid),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "mfs").then_some(420)
    }
}

fn show(text: &str) -> String {
    let exports = parse(text.as_bytes(), &Known);
    let mut out = String::new();
    for e in &exports.entries {
        let path = if e.meta {
            ".".to_owned()
        } else {
            format!("/{}", e.path)
        };
        writeln!(
            out,
            "{} {path} version={:x} alldirs={} password={} flags={:02x} umask={:o} root={}:{} all={}:{} goal={}-{} trash={}-{} disables={:x}",
            e.range, e.minversion, u8::from(e.alldirs), u8::from(e.password.is_some()), e.sesflags, e.umask,
            e.rootuid, e.rootgid, e.mapalluid, e.mapallgid, e.mingoal, e.maxgoal,
            e.mintrashtime, e.maxtrashtime, e.disables
        )
        .expect("a String takes everything");
    }
    for warning in &exports.warnings {
        out.push_str(warning);
        out.push('\n');
    }
    out
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&show(text));
}

/// The only entry of one line, by the field that the option is about; `None` when the line is skipped
/// with the message.
fn one<T>(options: &str, field: impl Fn(&Export) -> T) -> Result<T, String> {
    let exports = parse(format!("* /p {options}").as_bytes(), &Known);
    match exports.entries.first() {
        Some(export) => Ok(field(export)),
        None => Err(exports
            .warnings
            .join("\n")
            .replace("mfsexports: ", "")
            .replace(" in line: 1", "")),
    }
}

#[test]
fn lines() {
    check(
        "* /p1 rw\n* /p2\n* /p3/ ro\n* p4 rw\n* /p5: rw\n\t*\t/p6\trw\t\r\n # comment\n#\n\n*\n10.0.0.0/33 /x\n\
         * /p7 rw,foo,ro\n* /p8 rw , alldirs \n* /p9 rw # x\n* /p10 rw,\n* // rw\n* /p11 RW\n* /p12 rw=1\n* /p//q\n",
        expect![[r#"
            0.0.0.0-255.255.255.255 /p1 version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p2 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p3 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p4 version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p5: version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p6 version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p7 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p8 version=0 alldirs=1 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p9 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p10 version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 / version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p11 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p12 version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /p//q version=0 alldirs=0 password=0 flags=01 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            mfsexports: incomplete definition in line: 10
            mfsexports: incorrect ip/network definition in line: 11
            mfsexports: unknown option 'foo' in line: 12 (ignored)
            mfsexports: unknown option 'rw # x' in line: 14 (ignored)
            mfsexports: unknown option '' in line: 15 (ignored)
            mfsexports: unknown option 'RW' in line: 17 (ignored)
            mfsexports: unknown option 'rw=1' in line: 18 (ignored)
        "#]],
    );
}

#[test]
fn the_metadata_line_knows_fewer_options() {
    check(
        "* . rw,maproot=nosuch,mapall=1,ignoregid,admin,alldirs,disable=chown,dynamicip,umask=0022\n\
         * .\n* /. rw\n* . rw,mingoal=x\n* . rw,password=x,mingoal=2,maxtrashtime=2\n\
         DEFAULTS mapall=1\n* .\n* . ro\n",
        expect![[r#"
            0.0.0.0-255.255.255.255 . version=0 alldirs=0 password=0 flags=02 umask=22 root=0:0 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 . version=0 alldirs=0 password=0 flags=01 umask=0 root=0:0 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 /. version=0 alldirs=0 password=0 flags=00 umask=0 root=999:999 all=999:999 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 . version=0 alldirs=0 password=1 flags=00 umask=0 root=0:0 all=999:999 goal=2-9 trash=0-2 disables=0
            0.0.0.0-0.0.0.0 / version=0 alldirs=0 password=0 flags=11 umask=0 root=1:1 all=1:1 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 . version=0 alldirs=0 password=0 flags=11 umask=0 root=0:0 all=1:1 goal=1-9 trash=0-4294967295 disables=0
            0.0.0.0-255.255.255.255 . version=0 alldirs=0 password=0 flags=11 umask=0 root=1:1 all=1:1 goal=1-9 trash=0-4294967295 disables=0
            mfsexports: incorrect mingoal definition (mingoal=x) in line: 4
        "#]],
    );
}

#[test]
fn defaults_change_step_by_step_and_show_up_as_entries() {
    check(
        "DEFAULTS rw,alldirs,maproot=5,mingoal=2,minversion=2,password=q,umask=0022,disable=chown,mintrashtime=7\n\
         * /d1\n* /d2 ro\n* /d3 mingoal=3,maproot=0\n* .\ndefaults readonly,mapall=1\n* /d4\nDEFAULTS\n\
         DEFAULTS rw,mingoal=x\n* /d5 disable=chmod\n",
        expect![[r#"
            0.0.0.0-0.0.0.0 / version=20000 alldirs=1 password=1 flags=00 umask=22 root=5:60 all=999:999 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 /d1 version=20000 alldirs=1 password=1 flags=00 umask=22 root=5:60 all=999:999 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 /d2 version=20000 alldirs=1 password=1 flags=01 umask=22 root=5:60 all=999:999 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 /d3 version=20000 alldirs=1 password=1 flags=00 umask=22 root=0:0 all=999:999 goal=3-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 . version=20000 alldirs=1 password=1 flags=00 umask=22 root=5:60 all=999:999 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-0.0.0.0 / version=20000 alldirs=1 password=1 flags=11 umask=22 root=5:60 all=1:1 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 /d4 version=20000 alldirs=1 password=1 flags=11 umask=22 root=5:60 all=1:1 goal=2-9 trash=7-4294967295 disables=1
            0.0.0.0-255.255.255.255 /d5 version=20000 alldirs=1 password=1 flags=11 umask=22 root=5:60 all=1:1 goal=2-9 trash=7-4294967295 disables=3
            mfsexports: incomplete definition in line: 8
            mfsexports: incorrect mingoal definition (mingoal=x) in line: 9
        "#]],
    );
}

#[test]
fn users_and_groups() {
    let rows: &[(&str, Result<[u32; 4], &str>)] = &[
        ("maproot=1", Ok([1, 1, 999, 999])),
        ("maproot=1:2", Ok([1, 2, 999, 999])),
        ("maproot=nobody", Ok([65534, 65534, 999, 999])),
        ("maproot=nobody:mfs", Ok([65534, 420, 999, 999])),
        ("maproot=nobody:7", Ok([65534, 7, 999, 999])),
        ("maproot=nobody:", Ok([65534, 0, 999, 999])),
        ("maproot=", Ok([0, 0, 999, 999])),
        ("maproot=:5", Ok([0, 5, 999, 999])),
        ("maproot=70000:5", Ok([70000, 5, 999, 999])),
        ("maproot=010:010", Ok([10, 10, 999, 999])),
        ("mapall=5", Ok([5, 60, 5, 60])),
        ("mapall=5:6", Ok([5, 6, 5, 6])),
        ("mapall=nobody,maproot=0", Ok([0, 0, 65534, 65534])),
        ("maproot=0,mapall=nobody", Ok([0, 0, 65534, 65534])),
        (
            "maproot=70000",
            Err(
                "mfsexports/maproot: can't determine gid, because can't find user with uid 70000 defined",
            ),
        ),
        (
            "maproot=nosuch",
            Err("mfsexports/maproot: can't find user named 'nosuch' defined"),
        ),
        (
            "mapall=nosuch",
            Err("mfsexports/maproot: can't find user named 'nosuch' defined"),
        ),
        (
            "maproot=5x",
            Err("mfsexports/maproot: can't find user named '5x' defined"),
        ),
        (
            "maproot=-1",
            Err("mfsexports/maproot: can't find user named '-1' defined"),
        ),
        (
            "maproot= 1",
            Err("mfsexports/maproot: can't find user named ' 1' defined"),
        ),
        (
            "maproot=1:nosuch",
            Err("mfsexports/maproot: can't find group named 'nosuch' defined"),
        ),
        (
            "maproot=1:2:3",
            Err("mfsexports/maproot: can't find group named '2:3' defined"),
        ),
    ];
    for (options, expected) in rows {
        let got = one(options, |e| {
            [e.rootuid, e.rootgid, e.mapalluid, e.mapallgid]
        });
        assert_eq!(got, expected.map_err(str::to_owned), "{options}");
    }
}

#[test]
fn numbers() {
    let max = u32::MAX;
    let rows: &[(&str, Result<[u32; 6], &str>)] = &[
        ("mingoal=2", Ok([0, 2, 9, 0, max, 0])),
        ("mingoal=5,mingoal=9", Ok([0, 9, 9, 0, max, 0])),
        ("mintrashtime=5", Ok([0, 1, 9, 5, max, 0])),
        ("mintrashtime=1h", Ok([0, 1, 9, 3600, max, 0])),
        ("mintrashtime=1w2d3h4m5s", Ok([0, 1, 9, 788_645, max, 0])),
        ("mintrashtime=90M", Ok([0, 1, 9, 5400, max, 0])),
        ("maxtrashtime=1d", Ok([0, 1, 9, 0, 86_400, 0])),
        ("mintrashtime=4294967295", Ok([0, 1, 9, max, max, 0])),
        ("minversion=3", Ok([0x30000, 1, 9, 0, max, 0])),
        ("minversion=03.0", Ok([0x30000, 1, 9, 0, max, 0])),
        ("minversion=3.0.117", Ok([0x30075, 1, 9, 0, max, 0])),
        ("umask=0027", Ok([0, 1, 9, 0, max, 0o27])),
        ("umask=0777", Ok([0, 1, 9, 0, max, 0o777])),
        ("umask=00027", Ok([0, 1, 9, 0, max, 0o2])),
        ("mingoal=0", Err("incorrect mingoal definition (mingoal=0)")),
        (
            "mingoal=10",
            Err("incorrect mingoal definition (mingoal=10)"),
        ),
        (
            "mingoal=02",
            Err("incorrect mingoal definition (mingoal=02)"),
        ),
        ("mingoal=", Err("incorrect mingoal definition (mingoal=)")),
        ("maxgoal=x", Err("incorrect maxgoal definition (maxgoal=x)")),
        (
            "mingoal=5,maxgoal=3",
            Err("maxgoal<mingoal in definition (maxgoal=3)"),
        ),
        (
            "maxgoal=3,mingoal=5",
            Err("mingoal>maxgoal in definition (mingoal=5)"),
        ),
        (
            "mintrashtime=10,maxtrashtime=5",
            Err("maxtrashtime<mintrashtime in definition (maxtrashtime=5)"),
        ),
        (
            "maxtrashtime=5,mintrashtime=10",
            Err("mintrashtime>maxtrashtime in definition (mintrashtime=10)"),
        ),
        (
            "mintrashtime=1s2h",
            Err("incorrect mintrashtime definition (mintrashtime=1S2H)"),
        ),
        (
            "mintrashtime=1h5",
            Err("incorrect mintrashtime definition (mintrashtime=1H5)"),
        ),
        (
            "mintrashtime=1w1w",
            Err("incorrect mintrashtime definition (mintrashtime=1W1W)"),
        ),
        (
            "mintrashtime=1.5h",
            Err("incorrect mintrashtime definition (mintrashtime=1.5H)"),
        ),
        (
            "mintrashtime=w",
            Err("incorrect mintrashtime definition (mintrashtime=W)"),
        ),
        (
            "mintrashtime=-1",
            Err("incorrect mintrashtime definition (mintrashtime=-1)"),
        ),
        (
            "mintrashtime=",
            Err("incorrect mintrashtime definition (mintrashtime=)"),
        ),
        (
            "mintrashtime=5000000000",
            Err("incorrect mintrashtime definition (mintrashtime=5000000000)"),
        ),
        (
            "mintrashtime=99999w",
            Err("incorrect mintrashtime definition (mintrashtime=99999W)"),
        ),
        (
            "minversion=3.0.117.1",
            Err("incorrect minversion definition (minversion=3.0.117.1)"),
        ),
        (
            "minversion=300.300.300",
            Err("incorrect minversion definition (minversion=300.300.300)"),
        ),
        (
            "minversion=70000",
            Err("incorrect minversion definition (minversion=70000)"),
        ),
        (
            "minversion=3.",
            Err("incorrect minversion definition (minversion=3.)"),
        ),
        (
            "minversion=",
            Err("incorrect minversion definition (minversion=)"),
        ),
        (
            "minversion=3.0.117x",
            Err("incorrect minversion definition (minversion=3.0.117x)"),
        ),
        ("umask=027", Err("incorrect umask definition (umask=027)")),
        ("umask=1027", Err("incorrect umask definition (umask=1027)")),
        ("umask=0028", Err("incorrect umask definition (umask=0028)")),
        ("umask=", Err("incorrect umask definition (umask=)")),
        (
            "md5pass=0123",
            Err("incorrect md5pass definition (md5pass=0123)"),
        ),
    ];
    for (options, expected) in rows {
        let got = one(options, |e| {
            [
                e.minversion,
                e.mingoal.into(),
                e.maxgoal.into(),
                e.mintrashtime,
                e.maxtrashtime,
                e.umask.into(),
            ]
        });
        assert_eq!(got, expected.map_err(str::to_owned), "{options}");
    }
}

#[test]
fn passwords_and_disabled_operations() {
    let secret: [u8; 16] = Md5::digest("secret").into();
    assert_eq!(one("password=secret", |e| e.password), Ok(Some(secret)));
    assert_eq!(
        one("md5pass=5EBE2294ecd0e0f08eab7690d2a6ee69", |e| e.password),
        Ok(Some(secret))
    );
    assert_eq!(
        one(
            "md5pass=5ebe2294ecd0e0f08eab7690d2a6ee69,password=a#b",
            |e| e.password
        ),
        Ok(Some(Md5::digest("a#b").into()))
    );
    assert_eq!(
        one("disable=setfacl:setxattr", |e| e.disables),
        Ok(0x180_0000)
    );
    assert_eq!(one("disable=chown : chmod", |e| e.disables), Ok(3));
    assert_eq!(one("disable=chown,disable=chmod", |e| e.disables), Ok(3));
    let exports = parse(b"* /p rw,disable=chown:foo::CHMOD", &Known);
    assert_eq!(exports.entries[0].disables, 1);
    assert_eq!(
        exports.warnings,
        ["foo", "", "CHMOD"].map(|word| format!(
            "mfsexports: unknown disable command '{word}' in line: 1 (ignored)"
        ))
    );
}

#[test]
fn nothing_usable_is_an_empty_list() {
    assert_eq!(parse(b"", &Known), Exports::default());
    let exports = parse(b"# a\n\ngarbage\n\xff\xfe\x00", &Known);
    assert_eq!(exports.entries, []);
    assert_eq!(exports.warnings.len(), 2);
}

/// Vector of wire-admin §4.3.1.
#[test]
fn the_checksum_is_that_of_the_real_master() {
    let text = "\
* / rw,alldirs,admin,maproot=0:0
* /a rw,maproot=0,password=secret,mingoal=2,maxgoal=4,mintrashtime=1h,maxtrashtime=2d,umask=0022,disable=rename:symlink
10.0.0.0/8 / ro
172.21.21.90 /ro ro,minversion=1.6.26
* . rw
";
    let exports = parse(text.as_bytes(), &Known).entries;
    assert_eq!(checksum(&exports), 0xdfc2_e251_18d2_3804);
    let commented = parse(format!("# new\n{text}\n").as_bytes(), &Known).entries;
    assert_eq!(
        checksum(&commented),
        checksum(&exports),
        "comments do not count"
    );
    assert_eq!(checksum(&[]), 0);
}

fn choose(file: &str, address: [u8; 4], path: &str) -> Result<usize, Status> {
    choose_with(file, address, 0x300EA, path, None)
}

/// Number of the entry that a client gets, from 0.
fn choose_with(
    file: &str,
    address: [u8; 4],
    version: u32,
    path: &str,
    password: Option<&str>,
) -> Result<usize, Status> {
    let challenge: [u8; 32] = std::array::from_fn(|at| at as u8);
    let exports = parse(file.as_bytes(), &Known).entries;
    let query = Query {
        address: address.into(),
        version,
        meta: path == ".",
        path,
        passcode: password.map(|text| expected_passcode(&Md5::digest(text).into(), &challenge)),
        challenge: &challenge,
    };
    let chosen = select(&exports, &query)?;
    Ok(exports
        .iter()
        .position(|export| std::ptr::eq(export, chosen))
        .expect("it is from the list"))
}

#[test]
fn which_line_wins() {
    let here = [10, 0, 0, 1];
    let rows = [
        ("* / rw", "/", Ok(0)),
        ("* / rw", "", Ok(0)),
        ("* / rw", "/a", Err(Status::Eacces)),
        ("* / rw,alldirs", "/a/b", Ok(0)),
        ("* /a rw,alldirs", "/a/b", Ok(0)),
        ("* /a rw,alldirs", "/a/", Ok(0)),
        ("* /a rw,alldirs", "/ab", Err(Status::Eacces)),
        ("* /a rw", "/a/b", Err(Status::Eacces)),
        ("* / rw,alldirs", ".", Err(Status::Eacces)),
        ("* . rw", ".", Ok(0)),
        ("* . rw", "/", Err(Status::Eacces)),
        ("11.0.0.0/8 / rw", "/", Err(Status::Eacces)),
        // One advantage is enough, so the later line wins although the earlier one is writable.
        ("* / rw,maproot=1\n* / ro,maproot=0", "/", Ok(1)),
        ("* / ro,maproot=0\n* / rw,maproot=1", "/", Ok(1)),
        ("* / rw\n* / rw,admin", "/", Ok(1)),
        ("* / rw,admin\n* / rw", "/", Ok(0)),
        ("* / rw,alldirs\n* /a ro", "/a", Ok(1)),
        ("* /a ro\n* / rw,alldirs", "/a", Ok(1)),
        ("* / rw\n* / rw", "/", Ok(0)),
    ];
    for (file, path, expected) in rows {
        assert_eq!(choose(file, here, path), expected, "{file:?} {path}");
    }
}

#[test]
fn only_what_changed_for_a_mount_counts() {
    let base = "* / rw,alldirs\n* . rw\n";
    let rows = [
        // A file, the path of the mount, whether nothing changed for it.
        ("* / rw,alldirs\n* . rw\n1.2.3.4 /x rw\n", "/d", true),
        ("1.2.3.4 / rw\n* / rw,alldirs\n* . ro\n", "/d", true),
        ("* . rw\n* / rw,alldirs\n", "/", true),
        ("* / rw,alldirs\n* . rw\n* /d ro\n", "/", true),
        ("* / rw,alldirs\n* . rw\n* /d ro\n", "/d", false),
        ("* / rw,alldirs\n* . rw\n* / rw,password=a\n", "/", false),
        ("* / ro,alldirs\n* . rw\n", "/", false),
        ("* / rw\n* . rw\n", "/d", false),
        ("* / rw,alldirs\n* . ro\n", ".", false),
        ("* / ro\n* . rw\n", ".", true),
        ("", "/", false),
    ];
    let entries = |file: &str| parse(file.as_bytes(), &Known).entries;
    for (file, path, expected) in rows {
        let query = Query {
            address: [10, 0, 0, 1].into(),
            version: 0x300EA,
            meta: path == ".",
            path,
            passcode: None,
            challenge: &[0; 32],
        };
        assert_eq!(
            is_same_for(&entries(base), &entries(file), &query),
            expected,
            "{file:?} {path}"
        );
    }
}

#[test]
fn versions_are_compared_undoubled_with_doubled() {
    let here = [10, 0, 0, 1];
    let minimum = "* / rw,minversion=3.0.117";
    // 3.0.59 announces 3.0.118 and passes: what MooseFS does.
    for (version, expected) in [
        (0x3003A, Err(Status::Eacces)),
        (0x30076, Ok(0)),
        (0x300EA, Ok(0)),
    ] {
        assert_eq!(
            choose_with(minimum, here, version, "/", None),
            expected,
            "{version:x}"
        );
    }
}

#[test]
fn passwords_decide_between_three_refusals() {
    let here = [10, 0, 0, 1];
    let rows = [
        ("* / rw,password=a", None, Err(Status::NoPassword)),
        ("* / rw,password=a", Some("b"), Err(Status::BadPassword)),
        ("* / rw,password=a", Some("a"), Ok(0)),
        // A wrong password does not refuse when another line matches.
        ("* / rw,password=a\n* / ro", Some("b"), Ok(1)),
        ("* / rw,password=a\n* / ro", None, Ok(1)),
        ("* / ro\n* / ro,password=a", Some("a"), Ok(1)),
        ("* / ro,password=a", None, Err(Status::NoPassword)),
    ];
    for (file, password, expected) in rows {
        assert_eq!(
            choose_with(file, here, 0x300EA, "/", password),
            expected,
            "{file:?} {password:?}"
        );
    }
}
