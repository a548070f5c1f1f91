//! The grammar as a table: lines of 3.0.117 come back byte for byte, older forms as newer ones.

use super::{Entry, Escaped, Fault, LockChange, parse};
use crate::{MetaVersion, SessionId};
use std::borrow::Cow;

#[track_caller]
fn rewritten(line: &str) -> String {
    let parsed = parse(line.as_bytes()).unwrap();
    let mut out = Vec::new();
    if let Some(version) = parsed.version {
        out.extend_from_slice(format!("{version}: ").as_bytes());
    }
    parsed.entry.write(parsed.timestamp, &mut out);
    let parsed_again = parse(&out).unwrap();
    assert_eq!(parsed_again, parsed);
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_of_3_0_117_come_back_unchanged() {
    for line in [
        "ACCESS(5)",
        "AMTIME(5,1,2,3)",
        "ATTR(13,1023,0,0,1795404671,1795404671,0,4588)",
        "CREATE(2,comma%2Cname,1,420,18,0,0,0):20",
        "SYMLINK(1,s,../x%25%28%29,7,8):21",
        "LINK(20,1, space:|\"'\\)",
        "UNLINK(169,f4):263",
        "MOVE(169,f8,170,%FF%00x):268",
        "LENGTH(5,18446744073709551615,0)",
        "WRITE(5,4294967295,1,0):77",
        "TRUNC(5,0):78",
        "UNLOCK(78)",
        "ROLLBACK(5,1,0,79)",
        "APPEND(5,6,4294967295,0)",
        "SNAPSHOT(177,171,three.snap,0,72,0,[0],23):189,0,0,0,0,1",
        "SNAPSHOT(177,171,x,3,72,1001,[77,1001,1002],18):1,2,3,4,5,6",
        "SNAPSHOT(177,171,x,3,72,1001,[],18):1,2,3,4,5,6",
        "REPAIR(151,0):9",
        "SETFILECHUNK(151,3,0)",
        "SETEATTR(196,0,255,5):1,2,3",
        "SETSCLASS(196,0,10,255,3):1,2,3",
        "SETTRASHTIME(196,0,4294967295,1):1,2,3",
        "SETXATTR(250,user.x,%01%02%C3,2)",
        "SETXATTR(250,user.x,,3)",
        "SETACL(209,492,1,1,7,5,4,7,1,0,%00%00%03%E9%00%07)",
        "SETACL(209,2468,1,2,6,4,4,65535,0,0,)",
        "QUOTA(347,1,255,9,3,20,100,1048576,102400,10485760,204800,104857600,5)",
        "ARCHCHG(228,0,1):1,0,0",
        "SETPATH(48,types/r2)",
        "UNDEL(330)",
        "PURGE(331)",
        "EMPTYTRASH(362):1,0,362",
        "EMPTYSUSTAINED(174):1,174",
        "FREEINODES(300):5,0,300",
        "ACQUIRE(1,330)",
        "RELEASE(1,330)",
        "FLOCK(371,1,2159593794837400789,R)",
        "POSIXLOCK(184,19,6773290438478038026,U,0,18446744073709551615,0)",
        "SESADD(#18432386147808961246,1,8,0000,0,0,999,999,1,9,0,4294967295,0x00000000,2887062866,/mnt/a%2Cb):1",
        "SESCHANGED(7,#1,0,31,0777,0,0,9,9,2,3,60,3600,0x0001F00F,1,)",
        "SESDISCONNECTED(5)",
        "SESCONNECTED(5)",
        "SESDEL(5)",
        "SESSION():6",
        "SCSET(arch30,1,W1,K1,A2,2,30,0,1,0,0,0,2,0,0,0,3,4,0,0,0,0,0,0):11",
        "SCSET(2,0,W0,K0,A0,1,0,1,-):2",
        "SCDEL(todelete):17",
        "SCDUP(arch30,copy):11,16",
        "SCREN(multi,renamed):14",
        "CHUNKADD(5000,3,1796009321)",
        "CHUNKDEL(50,1)",
        "SETVERSION(50,2)",
        "INCVERSION(50)",
        "NEXTCHUNKID(51)",
        "CSDBOP(6,2887062863,9422,1795405000)",
        "SETMETAID(7711203669491152644)",
        "RENUMERATEEDGES():9223372036854775000",
        "IDLE()",
    ] {
        for line in [
            format!("1795404513|{line}"),
            format!("12: 4294967295|{line}"),
        ] {
            assert_eq!(rewritten(&line), line);
        }
    }
}

#[test]
fn older_forms_mean_what_they_meant() {
    for (old, new) in [
        ("ATTR(5,420,1,2,3,4)", "ATTR(5,420,1,2,3,4,0,420)"),
        ("ATTR(5,420,1,2,3,4,4516)", "ATTR(5,420,1,2,3,4,0,4516)"),
        ("CREATE(1,d,d,493,0,0,0):2", "CREATE(1,d,2,493,0,0,0,0):2"),
        ("LENGTH(5,6)", "LENGTH(5,6,1)"),
        ("WRITE(5,0):7", "WRITE(5,0,1,1):7"),
        ("WRITE(5,0,0):7", "WRITE(5,0,0,1):7"),
        ("APPEND(5,6)", "APPEND(5,6,4294967295,0)"),
        ("SETGOAL(5,0,3,4):1,2,3", "SETSCLASS(5,0,3,3,4):1,2,3"),
        (
            "QUOTA(5,0,1,0,1,2,3,4,5,6,7,8)",
            "QUOTA(5,0,1,0,1,2,3,4,5,6,7,8,0)",
        ),
        ("EMPTYRESERVED():7", "EMPTYSUSTAINED():7"),
        ("EMPTYTRASH(48):0,1,9,48", "EMPTYTRASH(48):0,1,48"),
        ("FREEINODES():5", "FREEINODES(86400):5"),
        ("AQUIRE(1,2)", "ACQUIRE(1,2)"),
        ("FLOCK(1,2,3,S)", "FLOCK(1,2,3,R)"),
        ("FLOCK(1,2,3,E)", "FLOCK(1,2,3,W)"),
        ("CUSTOMER():6", "SESSION():6"),
        ("CSADD(5,6)", "CSDBOP(0,5,6,0)"),
        ("CSDEL(5,6)", "CSDBOP(1,5,6,0)"),
        ("MOVE(1,a,2,b,0):3", "MOVE(1,a,2,b):3"),
        (
            "SNAPSHOT(1,2,x,0,72,9,5,18)",
            "SNAPSHOT(1,2,x,0,72,9,[5],18)",
        ),
        (
            "SNAPSHOT(1,2,x,0,72,9,2,%05%00%00%00%06%01%00%00,18)",
            "SNAPSHOT(1,2,x,0,72,9,[5,262],18)",
        ),
        (
            "SESADD(1,8,0,0,999,999,1,9,0,4294967295,2887062866,/m):1",
            "SESADD(#0,1,8,0000,0,0,999,999,1,9,0,4294967295,0x00000000,2887062866,/m):1",
        ),
        (
            "SESADD(#5,1,8,0022,0,0,999,999,0xFFFF,0,1,0x00000001,2,/m):1",
            "SESADD(#5,1,8,0022,0,0,999,999,1,9,0,1,0x00000001,2,/m):1",
        ),
    ] {
        assert_eq!(rewritten(&format!("1|{old}")), format!("1|{new}"));
    }
}

#[test]
fn optional_results_are_absent_and_not_zero() {
    for (line, entry) in [
        (
            "1|EMPTYTRASH():5,6",
            Entry::EmptyTrash {
                bucket: None,
                freed: 5,
                sustained: 6,
                xor: None,
            },
        ),
        (
            "1|FREEINODES(7):5",
            Entry::FreeInodes {
                delay: 7,
                freed: 5,
                sustained: None,
                xor: None,
            },
        ),
        (
            "1|FLOCK(1,2,3,u)",
            Entry::Flock {
                inode: 1.into(),
                session: SessionId(2),
                owner: 3,
                change: LockChange::Unlock,
            },
        ),
    ] {
        assert_eq!(parse(line.as_bytes()).unwrap().entry, entry);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (line, what, position) in [
        ("", "number expected", 0),
        ("x", "number expected", 0),
        ("1:2|IDLE()", "'|' expected", 1),
        ("4294967296|IDLE()", "number does not fit 32 bits", 10),
        (
            "99999999999999999999: 1|IDLE()",
            "number does not fit 64 bits",
            19,
        ),
        ("1|IDLE", "'(' expected", 2),
        ("1|FOO(1)", "unknown entry 'FOO'", 2),
        ("1|ACCESS(5", "')' expected", 10),
        ("1|ACCESS()", "number expected", 9),
        ("1|ACCESS(5)x", "end of line expected", 11),
        ("1|ACCESS(4294967296)", "number does not fit 32 bits", 9),
        (
            "1|UNLINK(1,a%2c):5",
            "'%' without two upper-case hexadecimal digits",
            12,
        ),
        (
            "1|UNLINK(1,a%):5",
            "'%' without two upper-case hexadecimal digits",
            12,
        ),
        ("1|UNLINK(1,a)", "':' expected", 13),
        ("1|CREATE(1,a,x,1,1,1,1,1):5", "impossible object kind", 13),
        ("1|FLOCK(1,2,3,Q)", "impossible lock type", 14),
        ("1|CSDBOP(7,1,2,3)", "impossible server operation", 10),
        ("1|SNAPSHOT(1,2,x,1", "',' expected", 18),
        (
            "1|SNAPSHOT(1,2,x,0,72,9,3,%05%00%00%00,18)",
            "impossible group list",
            26,
        ),
        (
            "1|SCSET(a,1,1,,0,0,C(0:0:0)):5",
            "entry 'SCSET' of MooseFS 4 has an effect that this version cannot reproduce",
            12,
        ),
        (
            "1|PATADD(a)",
            "entry 'PATADD' of MooseFS 4 has an effect that this version cannot reproduce",
            2,
        ),
        (
            "1|MOVE(1,a,2,b,1):3",
            "entry 'MOVE with exchange' of MooseFS 4 has an effect that this version cannot reproduce",
            15,
        ),
    ] {
        let error = parse(line.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{what} at byte {position}"),
            "{line}"
        );
    }
    let long = [b"1|UNLINK(1,".as_slice(), &[b'a'; 256], b"):5"].concat();
    assert_eq!(parse(&long).unwrap_err().what, Fault::TextTooLong(255));
    assert_eq!(
        parse(&[b'1'; 200_001]).unwrap_err().what,
        Fault::LineTooLong
    );
}

#[test]
fn names_of_all_bytes_survive() {
    let name: Vec<u8> = (0..=254).collect();
    let entry = Entry::Unlink {
        parent: 1.into(),
        name: Cow::Borrowed(&name),
        inode: 2.into(),
    };
    let mut line = b"9: ".to_vec();
    entry.write(3, &mut line);
    let parsed = parse(&line).unwrap();
    assert_eq!(
        (parsed.version, parsed.timestamp),
        (Some(MetaVersion(9)), 3)
    );
    assert_eq!(parsed.entry, entry);
    assert_eq!(Escaped(b"a,b\n").to_string(), "a%2Cb%0A");
}
