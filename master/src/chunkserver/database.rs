//! The database of chunkservers as this room uses it: identity at registration, maintenance,
//! removal (master-behaviour §6.1, §6.2, §6.6, §6.7).

use crate::chunks::Presence;
use crate::core::Core;
use metadata::Tx;
use metadata::server_table::{Maintenance, ServerAddress, ServerChange, ServerRecord};
use proto::Status;
use proto::admin::ChunkserverAction;

const SECONDS_PER_DAY: u32 = 86_400;

/// Makes a change of the database; what it refuses is a defect of this room and only logged.
fn change(core: &mut Core, address: ServerAddress, change: ServerChange) {
    let mut tx = Tx::new(core.now.unix, &mut core.out);
    if let Err(status) = core.ns.server_change(&mut tx, address, change) {
        tracing::error!(
            "csdb: change {change:?} of {}:{} failed: {status}",
            address.ip,
            address.port
        );
    }
}

/// Finds or makes the record of a server that registers. `None`: a server with this address is
/// connected.
pub(super) fn identify(core: &mut Core, address: ServerAddress, offered: u16) -> Option<()> {
    let ServerAddress { ip, port } = address;
    if core.servers.is_connected(address) {
        let csid = core
            .ns
            .servers()
            .get(address)
            .map_or(0, |record| record.csid);
        tracing::warn!(
            "csdb: found cs using ip:port ({ip}:{port},{csid}), but server is still connected"
        );
        return None;
    }
    if let Some(record) = core.ns.servers().get(address) {
        if record.csid == offered {
            tracing::info!("csdb: found cs using ip:port and csid ({ip}:{port},{offered})");
        } else {
            tracing::info!("csdb: found cs using ip:port ({ip}:{port},{})", record.csid);
        }
        if record.maintenance == Maintenance::Temporary {
            change(core, address, ServerChange::MaintenanceOff);
        }
        return Some(());
    }
    let known = core.ns.servers().find(offered);
    match known {
        Some((old, record)) if !core.servers.is_connected(old) => {
            tracing::info!(
                "csdb: found cs using csid ({ip}:{port},{offered}) - previous ip:port ({}:{})",
                old.ip,
                old.port
            );
            change(core, address, ServerChange::Move(offered));
            core.servers.forget_absence(old);
            if record.maintenance == Maintenance::Temporary {
                change(core, address, ServerChange::MaintenanceOff);
            }
        }
        other => {
            if let Some((old, _)) = other {
                tracing::info!(
                    "csdb: found cs using csid ({}:{},{offered}), but server is still connected",
                    old.ip,
                    old.port
                );
            }
            tracing::info!("csdb: server not found ({ip}:{port},{offered}), add it to database");
            let csid = if other.is_some() { 0 } else { offered };
            change(core, address, ServerChange::Add(csid));
        }
    }
    Some(())
}

/// Number of a server, made now if it has none.
pub(super) fn csid(core: &mut Core, address: ServerAddress) -> u16 {
    let present = core
        .ns
        .servers()
        .get(address)
        .map_or(0, |record| record.csid);
    if present != 0 {
        return present;
    }
    let Some(csid) = core.ns.servers().free_csid() else {
        return 0;
    };
    tracing::info!(
        "csdb: generate new server id for ({}:{}): {csid}",
        address.ip,
        address.port
    );
    change(core, address, ServerChange::SetId(csid));
    csid
}

/// Tells the planner who is away and who is in maintenance.
pub(super) fn tell_presence(core: &mut Core) {
    let mut presence = Presence::default();
    for (address, record) in core.ns.servers().iter() {
        let maintained = record.maintenance != Maintenance::Off;
        match core.servers.by_address.get(&address) {
            Some(&server) => core.chunks.set_maintenance(server, maintained),
            None => {
                presence.absent += 1;
                presence.absent_in_maintenance += u32::from(maintained);
            }
        }
    }
    core.chunks.set_presence(presence);
}

/// A server announced its end: its copies are not missed for a while (§6.5).
pub(super) fn begin_temporary_maintenance(core: &mut Core, address: ServerAddress) {
    let in_maintenance = core
        .ns
        .servers()
        .get(address)
        .is_none_or(|record| record.maintenance != Maintenance::Off);
    let seconds = core.settings.temporary_maintenance_seconds;
    if in_maintenance || seconds == 0 {
        return;
    }
    let until = core.now.unix.saturating_add(seconds);
    change(core, address, ServerChange::TemporaryMaintenance(until));
}

/// Ends maintenance whose time is over.
pub(super) fn end_maintenance(core: &mut Core) {
    let before = core.ns.version();
    let mut tx = Tx::new(core.now.unix, &mut core.out);
    core.ns.servers_end_maintenance(&mut tx);
    if core.ns.version() != before {
        tell_presence(core);
    }
}

/// Forgets servers that were away for too long.
pub(super) fn remove_unused(core: &mut Core) {
    let days = core.settings.remove_unused_days;
    if days == 0 {
        return;
    }
    let limit = days.saturating_mul(SECONDS_PER_DAY);
    let now = core.now.unix;
    let unused: Vec<ServerAddress> = core
        .ns
        .servers()
        .iter()
        .map(|(address, _)| address)
        .filter(|&address| {
            !core.servers.is_connected(address)
                && now.saturating_sub(core.servers.absent_since(address)) > limit
        })
        .collect();
    for address in unused {
        change(core, address, ServerChange::Remove);
        core.servers.forget_absence(address);
    }
    tell_presence(core);
}

/// A command about a server (message 524).
///
/// # Errors
/// [`Status::NotFound`] for an unknown server, [`Status::Active`] when a connected one shall be
/// forgotten, [`Status::Einval`] for unknown commands.
pub fn command(
    core: &mut Core,
    action: ChunkserverAction,
    address: ServerAddress,
) -> Result<(), Status> {
    let record: ServerRecord = core.ns.servers().get(address).ok_or(Status::NotFound)?;
    match action {
        ChunkserverAction::REMOVE => {
            if core.servers.is_connected(address) {
                return Err(Status::Active);
            }
            change(core, address, ServerChange::Remove);
            core.servers.forget_absence(address);
        }
        ChunkserverAction::BACK_TO_WORK => {
            if let Some(&server) = core.servers.by_address.get(&address) {
                core.chunks.end_grace(server);
            }
        }
        ChunkserverAction::MAINTENANCE_ON => {
            if record.maintenance != Maintenance::On {
                let until = match core.settings.maintenance_seconds {
                    0 => 0,
                    seconds => core.now.unix.saturating_add(seconds),
                };
                change(core, address, ServerChange::MaintenanceOn(until));
            }
        }
        ChunkserverAction::MAINTENANCE_OFF => {
            if record.maintenance != Maintenance::Off {
                change(core, address, ServerChange::MaintenanceOff);
            }
        }
        _ => return Err(Status::Einval),
    }
    tell_presence(core);
    Ok(())
}
