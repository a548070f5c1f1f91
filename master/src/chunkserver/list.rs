//! Chunkservers as monitors see them: the list of message 500, the lines of SIGUSR1.

use crate::chunks::{LoadStatus, Server};
use crate::core::Core;
use metadata::server_table::{Maintenance, ServerAddress, ServerRecord};
use proto::CsId;
use proto::admin::{ChunkserverEntry, HEAVY_LOAD, INTERNAL_REBALANCE, ServerState};
use proto::chunkserver::Usage;
use proto::version::Version;
use std::net::SocketAddrV4;

/// All known chunkservers, connected or not (wire-admin §4.1).
pub fn entries(core: &Core) -> Vec<ChunkserverEntry> {
    core.ns
        .servers()
        .iter()
        .map(|(address, record)| {
            let server = core
                .servers
                .by_address
                .get(&address)
                .and_then(|&id| core.chunks.server_info(id));
            entry(core.now.unix, address, &record, server)
        })
        .collect()
}

fn entry(
    now: u32,
    address: ServerAddress,
    record: &ServerRecord,
    server: Option<&Server>,
) -> ChunkserverEntry {
    let mut flags = match record.maintenance {
        Maintenance::Off => 0,
        Maintenance::On => ServerState::MAINTENANCE,
        Maintenance::Temporary => ServerState::MAINTENANCE | ServerState::TEMPORARY,
    };
    if server.is_none() {
        flags |= ServerState::DISCONNECTED;
    }
    let grace = server.map_or(0, |server| match server.load_status(now) {
        LoadStatus::Default | LoadStatus::Ok => 0,
        LoadStatus::Overloaded => HEAVY_LOAD,
        LoadStatus::InternalRebalance => INTERNAL_REBALANCE,
        LoadStatus::Grace => server.grace_until.saturating_sub(now),
    });
    let space = server.map(|server| server.space).unwrap_or_default();
    ChunkserverEntry {
        state: ServerState {
            flags,
            version: server.map_or(Version::default(), |server| server.identity.version),
        },
        original_ip: address.ip,
        address: SocketAddrV4::new(address.ip, address.port),
        csid: CsId(record.csid),
        regular: Usage {
            used: space.used,
            total: space.total,
            chunks: space.chunks,
        },
        marked: Usage {
            used: space.marked_used,
            total: space.marked_total,
            chunks: space.marked_chunks,
        },
        errors: server.map_or(0, |server| server.errors),
        load: server.map_or(0, |server| server.load),
        grace,
        labels: server.map_or(0, |server| server.labels),
        removal: server.map_or(0, |server| server.removal as u8),
        maintenance_s: match record.maintenance {
            Maintenance::Off => 0,
            _ => record.maintenance_until.saturating_sub(now),
        },
    }
}

/// One line for each connected server, as SIGUSR1 writes it (master-behaviour §19).
pub(super) fn log_lines(core: &Core) -> Vec<String> {
    let now = core.now.unix;
    core.chunks
        .servers()
        .map(|(_, server)| {
            let address = ServerAddress {
                ip: server.identity.ip,
                port: server.identity.port,
            };
            let csid = core
                .ns
                .servers()
                .get(address)
                .map_or(0, |record| record.csid);
            let timeout_s = core
                .servers
                .server_at(address)
                .and_then(|id| core.servers.by_server.get(&id))
                .and_then(|link| core.servers.connections.get(link))
                .map_or(0, |connection| connection.timeout_ms / 1000);
            line(now, server, csid, timeout_s)
        })
        .collect()
}

fn line(now: u32, server: &Server, csid: u16, timeout_s: u64) -> String {
    let seconds = f64::from(now.saturating_sub(server.since).max(1));
    let rate = |count: u64| count as f64 / seconds;
    let status = server.load_status(now);
    let (space, totals) = (&server.space, &server.totals);
    format!(
        "cs {}:{} ; usedspace: {} ; totalspace: {} ; usage: {:.2}% ; load: {} ; timeout: {timeout_s} ; chunkscount: {} ; errorcounter: {} ; writecounter: {} ; rrepcounter: {} ; wrepcounter: {} ; delcounter: {} ; create_total: {} ; rrep_total: {} ; wrep_total: {} ; del_total: {} ; create/s: {:.4} ; rrep/s: {:.4} ; wrep/s: {:.4} ; del/s: {:.4} ; csid: {csid} ; dist: {} ; first: {} ; corr: {:.4} ; hlstatus: {} ({}) ; overloaded: {} ; maintained: {}",
        server.identity.ip,
        server.identity.port,
        space.used,
        space.total,
        server.usage() * 100.0,
        server.load,
        space.chunks,
        server.errors,
        server.writing,
        server.replications_out,
        server.replications_in,
        server.deletions,
        totals.created,
        totals.read,
        totals.written,
        totals.deleted,
        rate(totals.created),
        rate(totals.read),
        rate(totals.written),
        rate(totals.deleted),
        server.distance,
        u8::from(server.first),
        server.correction,
        status as u8,
        status.text(),
        u8::from(status == LoadStatus::Overloaded),
        u8::from(server.maintenance),
    )
}
