//! The operations of CSDBOP as a script: who is known afterwards, and what is refused.

use super::{Maintenance, ServerAddress, ServerChange, ServerRecord, ServerTable};
use crate::{Namespace, Outbox, Tx};
use std::net::Ipv4Addr;

fn address(last: u8) -> ServerAddress {
    ServerAddress {
        ip: Ipv4Addr::new(10, 0, 0, last),
        port: 9422,
    }
}

fn known(table: &ServerTable) -> String {
    let show = |(address, record): (ServerAddress, ServerRecord)| {
        let maintenance = match record.maintenance {
            Maintenance::Off => String::new(),
            Maintenance::On => format!("+{}", record.maintenance_until),
            Maintenance::Temporary => format!("~{}", record.maintenance_until),
        };
        format!("{}#{}{maintenance}", address.ip.octets()[3], record.csid)
    };
    let all: Vec<_> = table.iter().map(show).collect();
    all.join(" ")
}

#[test]
fn operations() {
    use ServerChange::{
        Add, MaintenanceOff, MaintenanceOn, Move, Remove, SetId, TemporaryMaintenance,
    };
    let mut table = ServerTable::default();
    for (server, change, fits, after) in [
        (1, Add(0), true, "1#0"),
        (1, Add(5), false, "1#0"),
        (1, SetId(1), true, "1#1"),
        (2, SetId(2), false, "1#1"),
        (2, Add(1), false, "1#1"),
        (2, Add(3), true, "1#1 2#3"),
        (2, SetId(1), false, "1#1 2#3"),
        (2, SetId(3), false, "1#1 2#3"),
        (2, SetId(0), false, "1#1 2#3"),
        (2, SetId(4), true, "1#1 2#4"),
        (2, SetId(3), true, "1#1 2#3"),
        (1, MaintenanceOn(0), true, "1#1+0 2#3"),
        (1, TemporaryMaintenance(90), true, "1#1~90 2#3"),
        (9, Move(1), true, "2#3 9#1~90"),
        (9, Move(1), true, "2#3 9#1~90"),
        (7, Move(8), false, "2#3 9#1~90"),
        (7, Move(0), false, "2#3 9#1~90"),
        (9, MaintenanceOff, true, "2#3 9#1"),
        (7, MaintenanceOff, false, "2#3 9#1"),
        (2, Remove, true, "9#1"),
        (2, Remove, false, "9#1"),
        (3, Add(4), true, "3#4 9#1"),
        (9, Move(4), true, "9#4"),
    ] {
        let result = table.apply(address(server), change);
        assert_eq!(result.is_ok(), fits, "{server} {change:?}");
        assert_eq!(known(&table), after, "{server} {change:?}");
    }
}

#[test]
fn a_move_to_a_known_address_forgets_who_was_there() {
    let mut ns = Namespace::default();
    let mut out = Outbox::default();
    let mut tx = Tx::new(10, &mut out);
    for (server, change) in [
        (1, ServerChange::Add(1)),
        (2, ServerChange::Add(2)),
        (2, ServerChange::Move(1)),
        (2, ServerChange::Move(1)),
        (2, ServerChange::SetId(1)),
    ] {
        ns.server_change(&mut tx, address(server), change).unwrap();
    }
    assert_eq!(known(ns.servers()), "2#1");
    // 3.0.117 would keep both when told of the move only, and stops at a number that is there.
    let operations: Vec<_> = out.lines.iter().map(|(_, line)| line.to_vec()).collect();
    let operations = String::from_utf8(operations.join(&b' ')).unwrap();
    assert_eq!(
        operations.replace("10|CSDBOP", "").replace("1677721", ""),
        "(0,61,9422,1) (0,62,9422,2) (1,62,9422,0) (2,62,9422,1)"
    );
}

#[test]
fn free_numbers() {
    let mut table = ServerTable::default();
    for (server, csid, free) in [(1, 0, 1), (2, 2, 1), (3, 1, 3), (4, 0, 3), (5, 4, 3)] {
        table
            .apply(address(server), ServerChange::Add(csid))
            .unwrap();
        assert_eq!(table.free_csid(), Some(free), "with {csid}");
    }
    assert_eq!(table.find(0), None, "two servers without a number");
    assert_eq!(table.find(4).map(|(address, _)| address), Some(address(5)));
}

#[test]
fn maintenance_ends_by_itself() {
    let mut ns = Namespace::default();
    let mut out = Outbox::default();
    let mut tx = Tx::new(10, &mut out);
    for (server, change) in [
        (1, ServerChange::MaintenanceOn(0)),
        (2, ServerChange::MaintenanceOn(20)),
        (3, ServerChange::TemporaryMaintenance(20)),
        (4, ServerChange::TemporaryMaintenance(21)),
    ] {
        let server = address(server);
        ns.server_change(&mut tx, server, ServerChange::Add(0))
            .unwrap();
        ns.server_change(&mut tx, server, change).unwrap();
    }
    ns.servers_end_maintenance(&mut Tx::new(20, &mut out));
    assert_eq!(known(ns.servers()), "1#0+0 2#0+20 3#0~20 4#0~21");
    out.lines.clear();
    ns.servers_end_maintenance(&mut Tx::new(21, &mut out));
    assert_eq!(known(ns.servers()), "1#0+0 2#0 3#0 4#0~21");
    let lines = String::from_utf8_lossy(out.lines.bytes()).into_owned();
    let expected = "8: 21|CSDBOP(5,167772162,9422,0)\n9: 21|CSDBOP(5,167772163,9422,0)\n";
    assert_eq!(lines, expected);
}
