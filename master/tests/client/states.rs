//! What a connection may send, keepalive, and questions that need no registration
//! (wire-client-master §1, §18.2, §19).

use crate::room::Room;

#[test]
fn what_no_layout_allows_closes_the_connection() {
    for (kind, data) in [
        (402, "00000001"),
        (406, "00000001 00000001 01 66 00000000 00000001 00000000"),
        (546, "00000001 00000001 0000000000000000"),
        (700, ""),
        (498, "00000001 00000001"),
        (9999, "00000001"),
        (536, "000001"),
        (532, "0000"),
        (10, "0000"),
    ] {
        let mut room = Room::new();
        let link = room.connect();
        room.check_cut(link, kind, data);
    }
    for (kind, data) in [
        (498, "00000001 00000001"),
        (9999, "00000001"),
        (402, ""),
        (406, "00000001 00000001 01"),
        (406, "00000001 00000001 0d 66 00000000 00000001 00000000"),
        (406, "00000001 00000001 01 66 00000000 ffffffff 00000000"),
        (408, "00000001 00000001 00"),
        (410, "00000001 00000001 00 00000000 00000001 00000000 02"),
        (420, "00000001 00000001 01 66 00000000"),
        (
            428,
            "00000001 00000001 00000000 00000001 00000000 00 ffffffff 0000",
        ),
        (
            480,
            "00000001 00000001 01 61 ffffffff 61 00 00 00000000 00000001 00000000",
        ),
        (
            490,
            "00000001 00000001 00000000 01 0006 0004 0000 0006 ffff ffff",
        ),
        (492, "00000001 00000001 00000001"),
        (700, "000001"),
        (701, "00000001 00000001"),
        (704, "00"),
        (400, "BLOB 02"),
    ] {
        let mut room = Room::new();
        let link = room.mount();
        room.check_cut(link, kind, data);
    }
}

#[test]
fn questions_that_need_no_registration() {
    let mut room = Room::new();
    let mount = room.mount();
    for name in ["6131", "6132"] {
        let data = format!("00000001 00000001 02 {name} 01b6 0000 00000000 00000001 00000000");
        room.ask_data(mount, 482, &data);
    }
    let link = room.connect();
    for (request, reply) in [
        (
            "0000000a 00000004 00000007",
            "0000000b 00000011 00000007 000300ea 332e302e3131372d31",
        ),
        (
            "0000000a 00000000",
            "0000000b 0000000d 000300ea 332e302e3131372d31",
        ),
        (
            "00000050 00000017 00000013 12 4d41544f434c5f4c495354454e5f484f5354",
            "00000051 00000005 00000013 00",
        ),
        (
            "00000214 00000008 00000003 00000001",
            "00000215 0000000c 00000003 00000002 00000003",
        ),
        (
            "00000214 00000004 00000000",
            "00000215 00000010 00000001 00000002 00000001 00000003",
        ),
        ("00000214 00000004 00000063", "00000215 00000000"),
        (
            "00000218 00000010 00000001 00000000 00000002 0001869f",
            "00000219 00000030 00000001 00000005 00000001 2f 00000002 00000006 00000002 6131
             0001869f 0000000d 00000009 2864656c6574656429",
        ),
        ("00000216 00000004 00000000", "00000217 00000000"),
    ] {
        room.check(link, request, reply);
    }
    // Ignored, whatever their content.
    for (kind, data) in [
        (0, "00000000"),
        (1, "00000000 00000001 00000000 000300ea"),
        (2, ""),
    ] {
        room.send_data(link, kind, data);
        assert_eq!(room.received(link), [""; 0]);
        assert!(room.is_open(link));
    }
}

#[test]
fn time_and_lists_without_answer() {
    let mut room = Room::new();
    let link = room.mount();
    let micros = format!("{:016x}", u64::from(crate::room::NOW) * 1_000_000);
    assert_eq!(
        room.ask_data(link, 704, "00000000"),
        "00000000".to_owned() + &micros
    );
    assert_eq!(room.ask_data(link, 704, ""), micros);

    room.ask_data(
        link,
        482,
        "00000001 00000001 01 66 01b6 0000 00000000 00000001 00000000",
    );
    let attr = "00000001 00000002";
    room.send_data(
        link,
        701,
        "00000002 6b03a460 6b03a461 00000000 00000001 00000001 00000063 00000001 00000001",
    );
    assert_eq!(room.received(link), [""; 0]);
    let reply = room.ask_data(link, 408, attr);
    assert_eq!(
        reply[8 + 22..][..24],
        *"6b03a4606b03a4616b03a461",
        "atime, mtime, ctime"
    );

    room.send_data(link, 700, "00000000 00000001");
    assert_eq!(
        room.ask_data(link, 532, "00000001"),
        "00000001",
        "the list is complete"
    );
    room.send_data(link, 700, "");
    assert_eq!(room.ask_data(link, 532, "00000001"), "");
    assert!(room.is_open(link));
}

#[test]
fn keepalive_for_mounts_and_strangers_but_not_for_tools() {
    let nop = "000000000000000400000000";
    let mut room = Room::new();
    let (stranger, mount) = (room.connect(), room.mount());
    let tool = room.connect();
    assert_eq!(room.ask_data(tool, 400, "BLOB 04 00000001 000300ea"), "00");
    room.pass_ms(900);
    for link in [stranger, mount, tool] {
        assert_eq!(room.received(link), [""; 0]);
    }
    room.pass_ms(300);
    assert_eq!(room.received(stranger), [nop]);
    assert_eq!(room.received(mount), [nop]);
    assert_eq!(room.received(tool), [""; 0]);
    room.pass_ms(1200);
    assert_eq!(room.received(mount), [nop], "one for each second");

    room.pass_ms(7_500);
    assert!(room.is_open(mount), "9.9 s");
    room.pass_ms(300);
    for link in [stranger, mount, tool] {
        assert!(!room.is_open(link), "10.2 s of silence");
    }
}

#[test]
fn a_stall_of_the_master_is_nobody_elses_fault() {
    let mut room = Room::new();
    let mount = room.mount();
    room.pass_ms(1_000);
    room.stall_ms(11_000);
    assert!(room.is_open(mount));
    room.pass_ms(9_000);
    assert!(room.is_open(mount), "the stall is added to the patience");
    room.pass_ms(4_000);
    assert!(!room.is_open(mount));
}
