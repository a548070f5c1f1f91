//! Sessions and their registration (wire-client-master §5, §6).

use crate::room::{Room, hex};
use proto::version::Version;
use std::net::Ipv4Addr;

const OTHER: Ipv4Addr = Ipv4Addr::new(172, 21, 21, 90);

const NEW: &str = "00000190 00000056 BLOB 02 000300ea 00000007 2f70726f626500 00000002 2f00";
const NEW_REPLY: &str = "00000191 00000031 000300ea 00000001 METAID 08 0000 00000000 00000000
    000003e7 000003e7 01 09 00000000 ffffffff 00000000";
const RECONNECT: &str = "00000190 00000051 BLOB 03 00000001 000300ea METAID";

#[test]
fn new_session_tools_and_reconnect() {
    let mut room = Room::new();
    let mount = room.connect();
    room.check(mount, NEW, NEW_REPLY);
    let tool = room.connect();
    room.check(
        tool,
        "00000190 00000049 BLOB 04 00000001 000300ea",
        "00000191 00000001 00",
    );
    let again = room.connect();
    room.check(again, RECONNECT, "00000191 00000005 000300ea 00");
    for (request, reply) in [
        (
            "00000190 00000051 BLOB 03 0000270f 000300ea METAID",
            "00000191 00000005 000300ea 23",
        ),
        (
            "00000190 00000051 BLOB 03 00000001 000300ea 1111111111111111",
            "00000191 00000005 000300ea 23",
        ),
        (
            "00000190 00000049 BLOB 03 0000002a 0001061b",
            "00000191 00000001 23",
        ),
    ] {
        let link = room.connect();
        room.check(link, request, reply);
        room.check(
            link,
            NEW,
            &NEW_REPLY.replace("00000001 METAID", "00000002 METAID"),
        );
        room.hang_up(link);
        room = Room::new();
        let mount = room.connect();
        room.check(mount, NEW, NEW_REPLY);
    }
}

#[test]
fn what_the_reply_tells_depends_on_the_version() {
    for (version, length) in [
        ("1.6.0", 13),
        ("1.6.1", 21),
        ("1.6.20", 21),
        ("1.6.21", 25),
        ("1.6.25", 25),
        ("1.6.26", 35),
        ("1.6.27", 35),
        ("2.0.91", 35),
        ("3.0.10", 35),
        ("3.0.11", 43),
        ("3.0.71", 43),
        ("3.0.72", 45),
        ("3.0.111", 45),
        ("3.0.112", 49),
        ("3.0.117", 49),
        ("4.59.2", 49),
    ] {
        let version: Version = version.parse().unwrap();
        let mut room = Room::new();
        let link = room.connect();
        let data = format!(
            "BLOB 02 {:08x} 00000007 2f70726f626500 00000002 2f00",
            version.0
        );
        let reply = room.ask_data(link, 400, &data);
        assert_eq!(reply.len() / 2, length, "{version}");
    }
    for (version, length) in [
        ("1.6.20", 5),
        ("1.6.25", 9),
        ("1.6.27", 19),
        ("3.0.117", 27),
    ] {
        let version: Version = version.parse().unwrap();
        let mut room = Room::new();
        let link = room.connect();
        let data = format!("BLOB 05 {:08x} 0000000b 2f70726f62656d65746100", version.0);
        let reply = room.ask_data(link, 400, &data);
        assert_eq!(reply.len() / 2, length, "metadata session of {version}");
    }
}

#[test]
fn replies_of_old_clients_and_metadata_sessions() {
    let mut room = Room::new();
    let link = room.connect();
    room.check(
        link,
        "00000190 00000056 BLOB 02 0001061b 00000007 2f70726f626500 00000002 2f00",
        "00000191 00000023 000300ea 00000001 08 00000000 00000000 000003e7 000003e7 01 09 00000000
         ffffffff",
    );
    let link = room.connect();
    room.check(
        link,
        "00000190 00000054 BLOB 05 000300ea 0000000b 2f70726f62656d65746100",
        "00000191 0000001b 000300ea 00000002 METAID 00 01 09 00000000 ffffffff",
    );
    let link = room.connect();
    room.check(
        link,
        "00000190 00000054 BLOB 05 0001061b 0000000b 2f70726f62656d65746100",
        "00000191 00000013 000300ea 00000003 00 01 09 00000000 ffffffff",
    );
}

#[test]
fn an_export_decides_the_values_of_the_session() {
    let mut room = Room::with_exports(
        "* / rw,admin,maproot=0:0,mapall=1000:1001,umask=0022,mingoal=2,maxgoal=3,mintrashtime=2h,maxtrashtime=3d,disable=rename:link\n",
    );
    let link = room.connect();
    room.check(
        link,
        NEW,
        "00000191 00000031 000300ea 00000001 METAID 18 0012 00000000 00000000 000003e8 000003e9 02
         03 00001c20 0003f480 00000a00",
    );
}

#[test]
fn refusals_leave_the_connection_unregistered() {
    let mut room = Room::with_exports("172.21.21.0/24 / rw,alldirs,password=secret\n");
    let link = room.connect();
    room.check(link, NEW, "00000191 00000001 24");
    let wrong = NEW.replace("00000056", "00000066") + "00112233445566778899aabbccddeeff";
    room.check(link, &wrong, "00000191 00000001 25");
    let stranger = room.connect_from(Ipv4Addr::new(10, 0, 0, 1));
    room.check(stranger, NEW, "00000191 00000001 04");
    room.check(
        link,
        "00000190 00000054 BLOB 05 000300ea 0000000b 2f70726f62656d65746100",
        "00000191 00000001 04",
    );

    let challenge = room.ask(link, "00000190 00000041 BLOB 01");
    assert_eq!(challenge[..16], *"0000019100000020");
    let challenge: [u8; 32] = crate::room::bytes(&challenge[16..]).try_into().unwrap();
    let digest = crate::room::bytes("5ebe2294ecd0e0f08eab7690d2a6ee69");
    let passcode = master::exports::expected_passcode(&digest.try_into().unwrap(), &challenge);
    let right = NEW.replace("00000056", "00000066") + &hex(&passcode);
    assert_eq!(room.ask(link, &right)[..16], *"0000019100000031");
}

#[test]
fn a_path_that_does_not_exist_or_is_no_directory() {
    let mut room = Room::new();
    let mount = room.mount();
    room.ask_data(
        mount,
        482,
        "00000001 00000001 01 66 01b6 0000 00000000 00000001 00000000",
    );
    let link = room.connect();
    room.check(
        link,
        "00000190 0000005e BLOB 02 000300ea 00000007 2f70726f626500 0000000a 2f6e6f6e657869737400",
        "00000191 00000001 03",
    );
    room.check(
        link,
        "00000190 00000057 BLOB 02 000300ea 00000007 2f70726f626500 00000003 2f6600",
        "00000191 00000001 02",
    );
    room.check_cut(
        link,
        400,
        "BLOB 02 000300ea 00000007 2f70726f626500 00000002 2f66",
    );
}

#[test]
fn another_address_is_told_to_register_anew_and_gets_its_session_back() {
    let mut room = Room::new();
    let mount = room.mount();
    let link = room.connect_from(OTHER);
    room.check(link, RECONNECT, "00000191 00000005 000300ea 01");
    // A further try of that address within a second is cut.
    let impatient = room.connect_from(OTHER);
    room.check_cut(impatient, 400, "BLOB 03 00000001 000300ea");
    // With the old id the session comes back; from then on the new address is the right one.
    let resume = "00000190 00000062 BLOB 02 000300ea 00000007 2f70726f626500 00000002 2f00 00000001
        METAID";
    room.check(link, resume, NEW_REPLY);
    room.hang_up(mount);
    room.pass_ms(1200);
    let link = room.connect_from(OTHER);
    room.check(link, RECONNECT, "00000191 00000005 000300ea 00");
    room.check_cut(link, 400, "BLOB 03 00000001 000300ea");
}

#[test]
fn an_old_client_gets_its_session_back_without_saying_which() {
    let old = "00000190 00000056 BLOB 02 0001061b 00000007 2f70726f626500 00000002 2f00";
    let reply = "00000191 00000023 000300ea 00000001 08 00000000 00000000 000003e7 000003e7 01 09
        00000000 ffffffff";
    let mut room = Room::new();
    let link = room.connect();
    room.check(link, old, reply);
    room.set_exports("* / rw,alldirs,admin,maproot=0:0,minversion=1.6.26\n");
    assert!(!room.is_open(link), "mounts under the old exports are cut");
    room.hang_up(link);

    let link = room.connect();
    room.check(
        link,
        "00000190 00000049 BLOB 03 00000001 0001061b",
        "00000191 00000001 01",
    );
    room.check(link, old, reply);
    let second = room.connect();
    room.check(
        second,
        old,
        &reply.replace("000300ea 00000001", "000300ea 00000002"),
    );
    room.hang_up(link);

    // After a second the address is forgotten.
    room.set_exports("* / rw,alldirs,admin,maproot=0:0\n");
    let link = room.connect();
    room.ask(link, "00000190 00000049 BLOB 03 00000001 0001061b");
    room.pass_ms(1500);
    room.received(link);
    room.check(
        link,
        old,
        &reply.replace("000300ea 00000001", "000300ea 00000003"),
    );
}

#[test]
fn a_session_is_not_handed_to_a_mount_of_another_kind() {
    let mut room = Room::new();
    room.mount_meta();
    let link = room.connect();
    room.check(
        link,
        "00000190 00000062 BLOB 02 000300ea 00000007 2f70726f626500 00000002 2f00 00000001 METAID",
        &NEW_REPLY.replace("00000001 METAID", "00000002 METAID"),
    );
    let link = room.connect();
    room.check(
        link,
        "00000190 00000062 BLOB 02 000300ea 00000007 2f70726f626500 00000002 2f00 00000002
         1111111111111111",
        &NEW_REPLY.replace("00000001 METAID", "00000003 METAID"),
    );
}

#[test]
fn a_closed_session_is_removed_and_a_lost_one_is_kept() {
    let mut room = Room::new();
    let (closing, lost) = (room.mount(), room.mount());
    room.check(
        closing,
        "00000190 0000004d BLOB 06 00000001 METAID",
        "00000191 00000001 00",
    );
    assert!(!room.is_open(closing));
    room.hang_up(closing);
    room.hang_up(lost);
    room.pass_ms(10_000);
    assert!(
        room.core.ns.session(1.into()).is_none(),
        "closed by its client"
    );
    assert!(room.core.ns.session(2.into()).is_some());

    room.core.settings.session_sustain_seconds = 60;
    room.pass_ms(40_000);
    assert!(room.core.ns.session(2.into()).is_some());
    room.pass_ms(40_000);
    assert!(
        room.core.ns.session(2.into()).is_none(),
        "away for too long"
    );
    let lines = String::from_utf8_lossy(room.core.out.lines.bytes()).into_owned();
    for part in [
        "|SESADD(",
        "|SESDISCONNECTED(2)",
        "|SESDEL(1)",
        "|SESDEL(2)",
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
}

#[test]
fn closing_is_for_the_own_session_and_needs_the_right_file_system() {
    let mut room = Room::new();
    let (first, second) = (room.mount(), room.mount());
    room.check(
        first,
        "00000190 0000004d BLOB 06 00000002 METAID",
        "00000191 00000001 00",
    );
    room.check(
        second,
        "00000190 0000004d BLOB 06 00000002 1111111111111111",
        "00000191 00000001 23",
    );
    assert!(!room.is_open(first) && !room.is_open(second));
    room.hang_up(first);
    room.hang_up(second);
    room.pass_ms(20_000);
    assert_eq!(room.core.ns.sessions().count(), 2, "both are only away");

    let old = room.mount_as(Version::new(1, 6, 27));
    room.send_data(old, 400, "BLOB 06 00000003");
    assert_eq!(room.received(old), [""; 0], "old clients get no answer");
    assert!(!room.is_open(old));
}

#[test]
fn only_the_right_step_at_the_right_time() {
    let mut room = Room::new();
    for data in [
        "",
        "BLOB",
        "BLOB 07",
        "BLOB 06 00000001",
        "BLOB 03 00000001 000300ea 00",
        "6b466839 6d645a73 52383469 35653637 35763862 69353456 66586158 53596f7a 6155334453 7a395573 4c4c744f 744b6970 7a623961 514e6b78 654f4953 783634 01",
    ] {
        let link = room.connect();
        room.check_cut(link, 400, data);
    }
    let mount = room.mount();
    room.check_cut(mount, 400, "BLOB 01");
}
