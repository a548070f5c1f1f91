//! Locks through the wire (wire-client-master §14, §19.3).

use crate::room::{Link, Room};

/// Inode 2, open in two sessions.
fn two_mounts() -> (Room, Link, Link) {
    let mut room = Room::new();
    let (a, b) = (room.mount(), room.mount());
    room.ask_data(
        a,
        482,
        "00000001 00000001 01 66 01b6 0000 00000000 00000001 00000000",
    );
    (room, a, b)
}

const A: &str = "1111111111111111";
const B: &str = "2222222222222222";

#[test]
fn whole_file_locks_are_tried_waited_for_interrupted_and_granted() {
    let (mut room, a, b) = two_mounts();
    let flock = |msgid: u32, reqid: u32, owner: &str, command: u8| {
        format!("{msgid:08x} 00000002 {reqid:08x} {owner} {command:02x}")
    };
    assert_eq!(
        room.ask_data(b, 492, &flock(1, 1, B, 4)),
        "0000000111",
        "not open"
    );
    room.ask_data(b, 430, "00000002 00000002 00000000 00000001 00000000 03");
    assert_eq!(room.ask_data(a, 492, &flock(3, 1, A, 4)), "0000000300");
    assert_eq!(room.ask_data(b, 492, &flock(3, 1, B, 3)), "000000032d");
    assert_eq!(
        room.ask_data(b, 492, &flock(4, 1, B, 9)),
        "0000000406",
        "no such command"
    );
    room.send_data(b, 492, &flock(0x64, 2, B, 4));
    assert_eq!(room.received(b), [""; 0], "it waits");
    room.send_data(b, 492, &flock(0x65, 2, B, 5));
    let mut answers = room.received(b);
    answers.sort();
    assert_eq!(
        answers,
        ["000001ed00000005000000642e", "000001ed000000050000006500"]
    );

    // It waits again and its client comes back on another connection before it is granted.
    room.send_data(b, 492, &flock(0x66, 3, B, 4));
    room.hang_up(b);
    let b = room.connect();
    assert_eq!(
        room.ask_data(b, 400, "BLOB 03 00000002 000300ea"),
        "000300ea00"
    );
    assert_eq!(room.ask_data(a, 492, &flock(5, 1, A, 0)), "0000000500");
    assert_eq!(room.received(b), ["000001ed000000050000006600"]);

    assert_eq!(
        room.ask_data(a, 534, "00000009 00000002"),
        "00000009 00000002 2222222222222222 00000000 0000000000000000 0000000000000000 02"
            .replace(' ', "")
    );
}

#[test]
fn range_locks_are_asked_for_set_and_tried() {
    let (mut room, a, b) = two_mounts();
    room.ask_data(b, 430, "00000002 00000002 00000000 00000001 00000000 03");
    for (link, request, reply) in [
        (
            a,
            "000001ee 0000002a 0000000b 00000002 00000001 1111111111111111 00000037 01 02 0000000000000000 0000000000000064",
            "000001ef 00000005 0000000b 00",
        ),
        (
            b,
            "000001ee 0000002a 00000005 00000002 00000001 2222222222222222 00000037 00 02 0000000000000032 000000000000003c",
            "000001ef 00000019 00000005 00000000 02 0000000000000000 0000000000000064",
        ),
        (
            a,
            "000001ee 0000002a 0000000c 00000002 00000001 2222222222222222 00000037 00 02 0000000000000032 000000000000003c",
            "000001ef 00000019 0000000c 00000037 02 0000000000000000 0000000000000064",
        ),
        (
            b,
            "000001ee 0000002a 00000006 00000002 00000001 2222222222222222 00000037 00 01 00000000000000c8 000000000000012c",
            "000001ef 00000019 00000006 00000000 00 0000000000000000 0000000000000000",
        ),
        (
            b,
            "000001ee 0000002a 00000007 00000002 00000001 2222222222222222 00000037 02 02 0000000000000032 000000000000003c",
            "000001ef 00000005 00000007 2d",
        ),
        (
            b,
            "000001ee 0000002a 00000008 00000002 00000001 2222222222222222 00000037 07 02 0000000000000032 000000000000003c",
            "000001ef 00000005 00000008 06",
        ),
        // Both kinds are listed, byte ranges first.
        (
            a,
            "000001ec 00000015 00000003 00000002 00000001 1111111111111111 02",
            "000001ed 00000005 00000003 00",
        ),
        (
            a,
            "00000216 00000004 00000000",
            "00000217 0000004a
             00000002 00000001 1111111111111111 00000037 0000000000000000 0000000000000064 02
             00000002 00000001 1111111111111111 00000000 0000000000000000 0000000000000000 01",
        ),
    ] {
        room.check(link, request, reply);
    }

    // B waits; A closes the file: B gets the range.
    room.send(
        b,
        "000001ee 0000002a 00000009 00000002 00000002 2222222222222222 00000037 01 02 0000000000000032 000000000000003c",
    );
    assert_eq!(room.received(b), [""; 0]);
    room.send_data(a, 700, "");
    assert_eq!(room.received(b), ["000001ef000000050000000900"]);
}

#[test]
fn locks_of_a_session_that_is_removed_go_to_those_who_wait() {
    let (mut room, a, b) = two_mounts();
    room.ask_data(b, 430, "00000002 00000002 00000000 00000001 00000000 03");
    room.ask_data(a, 492, "00000003 00000002 00000001 1111111111111111 04");
    room.send_data(b, 492, "00000004 00000002 00000001 2222222222222222 02");
    room.send_data(a, 400, "BLOB 06 00000001");
    room.hang_up(a);
    room.pass_ms_alive(10_000, &[b]);
    let answers = room.received(b);
    assert!(
        answers.contains(&"000001ed000000050000000400".to_owned()),
        "{answers:?}"
    );
    let lines = String::from_utf8_lossy(room.core.out.lines.bytes()).into_owned();
    let steps = ["|FLOCK(2,1,", ",U)", "|FLOCK(2,2,", ",R)", "|SESDEL(1)"];
    let mut rest = &lines[lines.find("|SESDISCONNECTED(1)").unwrap()..];
    for step in steps {
        let at = rest.find(step);
        rest = &rest[at.unwrap_or_else(|| panic!("{step} in its place in {lines}"))..];
    }
}
