//! Chunks through the wire, with simulated chunkservers (wire-client-master §11.3, §12).

use crate::room::{Link, Room};
use proto::version::Version;

const CREATE: &str = "00000001 00000001 01 66 01b6 0012 00000000 00000001 00000000";
const READ: &str = "00000007 00000002 00000000 00";
const WRITE: &str = "00000006 00000002 00000000 00";
const CONTINUE: &str = "00000006 00000002 00000000 02";
/// Ends a write of 100 bytes into chunk 1 of inode 2.
const END: &str = "00000008 0000000000000001 00000002 00000000 0000000000000064 00";
/// Where chunk 1 is, with one server.
const PLACE: &str = "0000000000000001 00000001 ac15154e 24ce 000300ea 00000000";

/// A file, inode 2, open in two mounts, and one chunkserver.
fn two_mounts() -> (Room, Link, Link) {
    let mut room = Room::new();
    room.add_server(0x4e);
    let (a, b) = (room.mount(), room.mount());
    room.pass_ms_alive(130_000, &[a, b]);
    room.received(a);
    room.received(b);
    room.ask_data(a, 482, CREATE);
    room.ask_data(b, 430, "00000002 00000002 00000000 00000001 00000000 03");
    (room, a, b)
}

fn compact(text: &str) -> String {
    text.replace([' ', '\n'], "")
}

#[test]
fn a_write_locks_the_chunk_and_its_end_lets_the_others_in() {
    let (mut room, a, b) = two_mounts();
    assert_eq!(
        room.ask_data(a, 432, READ),
        compact("00000007 02 0000000000000000 0000000000000000 00000000"),
        "a hole"
    );
    room.send_data(a, 434, WRITE);
    assert_eq!(room.received(a), [""; 0], "the chunkserver is asked first");
    assert_eq!(
        room.serve(),
        [compact("0000006e 0000000c 0000000000000001 00000001")]
    );
    room.check_received(
        a,
        &[&format!(
            "000001b3 00000027 00000006 02 0000000000000000 {PLACE}"
        )],
    );
    let changed = "000002be 00000021 00000000 00000002 00000000 0000000000000001 00000001";
    room.check_received(b, &[&format!("{changed} 0000000000000000 00")]);

    // B waits, first to write, then to read. A goes on.
    room.send_data(b, 434, "0000004d 00000002 00000000 00");
    room.send_data(b, 432, "0000004e 00000002 00000000 00");
    assert_eq!(room.received(b), [""; 0]);
    let again = room.ask_data(a, 434, CONTINUE);
    assert_eq!(
        again,
        compact(&format!("00000006 02 0000000000000000 {PLACE}"))
    );
    room.received(b);

    // A ends: B's write is served, B's read waits for B's own write.
    room.send_data(a, 436, END);
    room.check_received(
        a,
        &[
            &format!("{changed} 0000000000000064 00"),
            "000001b5 00000005 00000008 00",
        ],
    );
    room.check_received(
        b,
        &[
            &format!("000001b3 00000027 0000004d 02 0000000000000064 {PLACE}"),
            &format!("{changed} 0000000000000064 00"),
        ],
    );
    room.send_data(b, 436, END);
    room.check_received(
        b,
        &[
            &format!("000001b1 00000027 0000004e 02 0000000000000064 {PLACE}"),
            "000001b5 00000005 00000008 00",
        ],
    );
}

#[test]
fn who_waits_for_half_a_minute_is_told_why() {
    let (mut room, a, b) = two_mounts();
    room.send_data(a, 434, WRITE);
    room.serve();
    room.received(b);
    room.send_data(b, 432, READ);
    room.send_data(
        b,
        464,
        "00000009 00000002 01 00000000 00000001 00000000 0000000000000007",
    );
    room.send_data(
        b,
        464,
        "0000000a 00000002 01 00000000 00000001 00000000 0000000000000000",
    );
    let at_once = room.received(b);
    assert!(
        at_once.iter().any(|it| it.starts_with("000001d1")),
        "no chunk to cut: {at_once:?}"
    );
    room.pass_ms_alive(29_000, &[a, b]);
    let early = room.received(b);
    assert!(
        early.iter().all(|it| it.starts_with("00000000")),
        "NOPs only: {early:?}"
    );
    room.pass_ms_alive(3_000, &[a, b]);
    let late: Vec<_> = room
        .received(b)
        .into_iter()
        .filter(|it| !it.starts_with("00000000"))
        .collect();
    assert!(
        late.contains(&compact("000001b1 00000005 00000007 0b")),
        "{late:?}"
    );
}

#[test]
fn requests_of_a_connection_that_ended_are_taken_back() {
    let (mut room, a, b) = two_mounts();
    room.send_data(a, 434, WRITE);
    room.hang_up(a);
    let lines = String::from_utf8_lossy(room.core.out.lines.bytes()).into_owned();
    assert!(lines.contains("|ROLLBACK(2,0,0,1)"), "{lines}");
    room.serve();
    assert_eq!(
        room.ask_data(b, 432, READ),
        compact("00000007 02 0000000000000000 0000000000000000 00000000")
    );
}

#[test]
fn a_failed_write_is_answered_and_rolled_back() {
    for (status, answer) in [(21, "15"), (22, "10")] {
        let (mut room, a, _) = two_mounts();
        room.send_data(a, 434, WRITE);
        room.serve_with(status);
        room.check_received(a, &[&format!("000001b3 00000005 00000006 {answer}")]);
    }
}

#[test]
fn cutting_a_chunk_waits_for_the_chunkserver() {
    let (mut room, a, b) = two_mounts();
    room.send_data(a, 434, WRITE);
    room.serve();
    room.received(a);
    room.ask_data(
        a,
        436,
        "00000008 0000000000000001 00000002 00000000 00000000000007d0 00",
    );
    room.received(a);
    room.received(b);

    room.send_data(
        a,
        464,
        "00000006 00000002 00 00000000 00000001 00000000 00000000000001f4",
    );
    assert_eq!(room.received(a).len(), 0);
    assert_eq!(
        room.serve(),
        [compact(
            "000000a0 00000014 0000000000000001 000001f4 00000002 00000001"
        )]
    );
    let attr = "11a4 00000000 00000000";
    let [reply] = &room.received(a)[..] else {
        panic!("one answer")
    };
    assert_eq!(
        reply[..compact(&format!(
            "000001d1 00000030 00000006 00000000000007d0 0c {attr}"
        ))
        .len()],
        compact(&format!(
            "000001d1 00000030 00000006 00000000000007d0 0c {attr}"
        ))
    );
    assert!(reply.ends_with(&compact("00000001 00000000000001f4 00")));
    room.check_received(
        b,
        &[
            "000002be 00000021 00000000 00000002 00000000 0000000000000001 00000002
           00000000000001f4 01",
        ],
    );

    // To a multiple of a chunk: nobody is asked, the length is told.
    let reply = room.ask_data(
        a,
        464,
        "00000007 00000002 01 00000000 00000001 00000000 0000000008000000",
    );
    assert_eq!(reply[..24], compact("00000007 00000000000001f4"));
    room.check_received(b, &["000002bf 00000010 00000000 00000002 0000000008000000"]);
}

#[test]
fn appenders_get_room_one_behind_the_other() {
    let (mut room, a, b) = two_mounts();
    room.ask_data(
        a,
        464,
        "00000007 00000002 01 00000000 00000001 00000000 0000000005f5e100",
    );
    room.received(b);
    for (offset, end) in [
        ("0000000005f5e100", "0000000005f5e10a"),
        ("0000000005f5e10a", "0000000005f5e114"),
    ] {
        let reply = room.ask_data(
            a,
            464,
            "0000000a 00000002 0b 00000000 00000001 00000000 000000000000000a",
        );
        assert_eq!(reply[8..24], *offset);
        assert!(reply.ends_with("0000000005f5e10000"), "the length stays");
        room.check_received(b, &[&format!("000002bf 00000010 00000000 00000002 {end}")]);
    }
    // A smaller update changes nothing and tells nobody; it forgets the reservations.
    room.ask_data(
        a,
        464,
        "0000000b 00000002 03 00000000 00000001 00000000 0000000000000005",
    );
    room.check_received(b, &[]);
    let reply = room.ask_data(
        a,
        464,
        "0000000a 00000002 0b 00000000 00000001 00000000 000000000000000a",
    );
    assert_eq!(reply[8..24], *"0000000005f5e100");
}

#[test]
fn statuses_of_chunk_requests() {
    let (mut room, a, _) = two_mounts();
    for (kind, data, status) in [
        (432, "00000001 00000001 00000000 00", "01"),
        (432, "00000001 0000ffff 00000000 00", "03"),
        (432, "00000001 00000002 80000000 00", "0a"),
        (434, "00000001 00000001 00000000 00", "01"),
        (434, "00000001 0000ffff 00000000 00", "03"),
        (434, "00000001 00000002 80000000 00", "0a"),
        (
            436,
            "00000001 00000000000000ff 00000002 00000000 0000000000000000 00",
            "0d",
        ),
        (
            436,
            "00000001 00000000000000ff 0000ffff 00000000 0000000000000001 00",
            "03",
        ),
        (
            464,
            "00000001 00000001 00 00000000 00000001 00000000 0000000000000001",
            "01",
        ),
        (
            464,
            "00000001 0000ffff 00 00000000 00000001 00000000 0000000000000001",
            "03",
        ),
        (
            464,
            "00000001 00000002 00 000003e8 00000001 000003e8 0000000000000001",
            "04",
        ),
        (
            464,
            "00000001 00000002 00 00000000 00000001 00000000 ffffffffffffffff",
            "0a",
        ),
        (
            464,
            "00000001 00000002 0b 00000000 00000001 00000000 ffffffffffffffff",
            "0a",
        ),
        (440, "00000001 00000001 00000000", "01"),
        (440, "00000001 00000002 80000000", "0a"),
    ] {
        assert_eq!(
            room.ask_data(a, kind, data),
            format!("00000001{status}"),
            "{kind} {data}"
        );
    }
}

#[test]
fn lookup_brings_the_first_chunk_along() {
    let (mut room, a, b) = two_mounts();
    let lookup = "00000009 00000001 01 66 00000000 00000001 00000000";
    let flags = |reply: &str| reply[8 + 8 + 72..][..4].to_owned();
    assert_eq!(flags(&room.ask_data(a, 406, lookup)), "00ff", "empty");
    room.send_data(a, 434, WRITE);
    room.serve();
    room.received(a);
    assert_eq!(
        flags(&room.ask_data(a, 406, lookup)),
        "04ff",
        "locked: not certain"
    );
    room.received(a);
    room.ask_data(a, 436, END);
    let reply = room.ask_data(a, 406, lookup);
    assert_eq!(reply[88..], compact(&format!("05ff 02 {PLACE}")));
    room.received(b);
    assert_eq!(
        flags(&room.ask_data(b, 406, lookup)),
        "01ff",
        "B has read nothing yet"
    );
}

#[test]
fn who_may_keep_his_cache() {
    let (mut room, a, b) = two_mounts();
    let open = "00000002 00000002 00000000 00000001 00000000 01";
    let open_cleared = "00000002 00000002 00000000 00000001 00000000 15";
    let keeps = |reply: String| reply[8..10].to_owned();
    assert_eq!(keeps(room.ask_data(b, 430, open)), "00");
    room.ask_data(b, 432, READ);
    assert_eq!(
        keeps(room.ask_data(b, 430, open)),
        "01",
        "what was read is true"
    );
    assert_eq!(keeps(room.ask_data(a, 430, open)), "00", "for B only");
    assert_eq!(keeps(room.ask_data(a, 430, open_cleared)), "01");
    room.ask_data(
        a,
        464,
        "00000007 00000002 01 00000000 00000001 00000000 0000000000000100",
    );
    room.received(b);
    assert_eq!(
        keeps(room.ask_data(b, 430, open)),
        "00",
        "A changed the file"
    );
    assert_eq!(
        keeps(room.ask_data(a, 430, open)),
        "01",
        "A knows what it did"
    );
}

#[test]
fn copies_are_counted_and_listed() {
    let (mut room, a, _) = two_mounts();
    room.send_data(a, 434, WRITE);
    room.serve();
    room.received(a);
    room.ask_data(a, 436, END);
    assert_eq!(
        room.ask_data(a, 440, "00000012 00000002"),
        compact("00000012 00000000 00000001") + &"00000000".repeat(10)
    );
    assert_eq!(
        room.ask_data(a, 440, "00000013 00000002 00000000"),
        compact("00000013 0000000000000001 00000001 ac15154e 24ce 00")
    );
    assert_eq!(
        room.ask_data(a, 466, "00000019 00000002 00000000 00000001 00000000"),
        compact("00000019 00000001 00000000 00000000")
    );
    let info = room.ask_data(a, 546, "00000007 00000002 000001f4 0000000000000000");
    assert_eq!(
        info,
        compact("00000007 0002 0000000000000000 0000000000000064 0000000000000001 00012000 01")
    );
}

#[test]
fn pushes_go_to_mounts_that_understand_them() {
    let mut room = Room::new();
    room.add_server(0x4e);
    let writer = room.mount();
    let versions = [
        "1.6.27", "3.0.73", "3.0.74", "3.0.99", "3.0.100", "4.0.0", "4.3.0",
    ];
    let others: Vec<_> = versions
        .iter()
        .map(|version| room.mount_as(version.parse::<Version>().unwrap()))
        .collect();
    room.ask_data(writer, 482, CREATE);
    for &link in &others {
        room.send_data(link, 430, "00000002 00000002 00000000 00000000 03");
        room.received(link);
    }
    room.ask_data(
        writer,
        464,
        "00000007 00000002 01 00000000 00000001 00000000 0000000000000100",
    );
    let told: Vec<_> = others
        .iter()
        .map(|&link| room.received(link).len())
        .collect();
    assert_eq!(told, [0, 0, 1, 1, 1, 1, 1], "703: {versions:?}");
    room.add_server(0x4f);
    let told: Vec<_> = others
        .iter()
        .map(|&link| room.received(link).len())
        .collect();
    assert_eq!(told, [0, 0, 0, 0, 1, 0, 1], "706: {versions:?}");
    assert_eq!(room.received(writer).len(), 1);
}
