//! Chunkservers on port 9420: connections, registration, reports, orders (chunkserver §2).
//!
//! Decides nothing about chunks: it turns frames into events of the planner, and the planner's
//! actions into frames.

mod database;
mod list;
mod orders;
mod register;
#[cfg(test)]
mod tests;

pub use database::command;
pub use list::entries;
pub use orders::act;

use crate::chunks::{Chunks, CommandKind, Cx, LoadReport, ServerId};
use crate::core::Core;
use crate::links::{LinkId, Port};
use crate::topology::Remap;
use metadata::Event;
use metadata::server_table::ServerAddress;
use proto::chunkserver::{FromChunkserver, LoadState, Style};
use proto::common::{ConfigValue, Nop, VersionReply};
use proto::list::Rest;
use proto::{ChunkId, Status};
use std::collections::HashMap;

/// Shortest timeout of a connection that is accepted, seconds.
const TIMEOUT_SECONDS_MIN: u16 = 10;
/// A turn that comes so late means that this process stood still, milliseconds.
const STALL_MS: u64 = 1_000;
/// Period of the removal of servers that were away for too long, and its offset, seconds.
const REMOVAL_PERIOD: u32 = 600;
const REMOVAL_OFFSET: u32 = 300;
/// Options of the configuration that nobody is told.
const SECRETS: [&[u8]; 1] = [b"AUTH_CODE"];

/// How far a connection came.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing was said.
    New,
    /// Asked to prove that it knows the secret.
    Challenged([u8; 32]),
    /// Telling its copies.
    Registering { server: ServerId, style: Style },
    /// In service.
    Registered { server: ServerId },
    /// Given up; the rest is flushing.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    phase: Phase,
    address: Option<ServerAddress>,
    timeout_ms: u64,
}

/// State of the connections.
#[derive(Debug, Default)]
pub struct Servers {
    connections: HashMap<LinkId, Connection>,
    by_server: HashMap<ServerId, LinkId>,
    by_address: HashMap<ServerAddress, ServerId>,
    /// Since when known servers are away, seconds; missing: since the start.
    absent_since: HashMap<ServerAddress, u32>,
    started: u32,
    remap: Option<Remap>,
    ticked_ms: u64,
    second: u32,
    removal_round: u32,
}

impl Servers {
    /// Sets the mapping of addresses; it holds for registrations from now on.
    pub fn set_remap(&mut self, remap: Option<Remap>) {
        self.remap = remap;
    }

    fn phase(&self, link: LinkId) -> Phase {
        self.connections
            .get(&link)
            .map_or(Phase::Over, |connection| connection.phase)
    }

    fn set_phase(&mut self, link: LinkId, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.phase = phase;
        }
    }

    fn admitted(
        &mut self,
        link: LinkId,
        server: ServerId,
        address: ServerAddress,
        timeout_s: u16,
        style: Style,
    ) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.phase = Phase::Registering { server, style };
            connection.address = Some(address);
            connection.timeout_ms = u64::from(timeout_s) * 1000;
        }
        self.by_server.insert(server, link);
        self.by_address.insert(address, server);
        self.absent_since.remove(&address);
    }

    /// The server behind a connection.
    fn known(&self, link: LinkId) -> Option<(ServerId, ServerAddress)> {
        let connection = self.connections.get(&link)?;
        match connection.phase {
            Phase::Registering { server, .. } | Phase::Registered { server } => {
                Some((server, connection.address?))
            }
            Phase::New | Phase::Challenged(_) | Phase::Over => None,
        }
    }

    /// Whether a server with this address is connected.
    pub fn is_connected(&self, address: ServerAddress) -> bool {
        self.by_address.contains_key(&address)
    }

    /// The planner's number of a connected server.
    pub fn server_at(&self, address: ServerAddress) -> Option<ServerId> {
        self.by_address.get(&address).copied()
    }

    fn absent_since(&self, address: ServerAddress) -> u32 {
        self.absent_since
            .get(&address)
            .copied()
            .unwrap_or(self.started)
    }

    fn forget_absence(&mut self, address: ServerAddress) {
        self.absent_since.remove(&address);
    }
}

/// The planner, and the context that its events want.
fn planner(core: &mut Core) -> (&mut Chunks, Cx<'_>) {
    let cx = Cx {
        now: core.now,
        ns: &mut core.ns,
        out: &mut core.out,
    };
    (&mut core.chunks, cx)
}

/// A connection came in.
pub fn accepted(core: &mut Core, link: LinkId) {
    let timeout_ms = u64::from(core.settings.chunkserver_timeout_seconds) * 1000;
    core.servers.connections.insert(
        link,
        Connection {
            phase: Phase::New,
            address: None,
            timeout_ms,
        },
    );
}

/// A frame came in.
pub fn frame(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) {
    if matches!(core.servers.phase(link), Phase::Over) {
        return;
    }
    let result = match FromChunkserver::decode(kind, payload) {
        Ok(message) => receive(core, link, message),
        Err(_) => Err(format!(
            "got unknown or malformed message (type:{kind} length:{})",
            payload.len()
        )),
    };
    if let Err(reason) = result {
        tracing::warn!("chunkserver {}: {reason}", core.links.peer(link).ip());
        give_up(core, link);
    }
}

/// A connection is gone.
pub fn closed(core: &mut Core, link: LinkId) {
    if core.servers.known(link).is_some() {
        tracing::info!(
            "connection with CS({}) has been closed by peer",
            core.links.peer(link).ip()
        );
        drop_server(core, link);
    }
    core.servers.connections.remove(&link);
}

/// Closes a connection from this side.
fn give_up(core: &mut Core, link: LinkId) {
    drop_server(core, link);
    core.servers.set_phase(link, Phase::Over);
    core.links.close(link);
}

/// The server behind a connection is away from now on.
fn drop_server(core: &mut Core, link: LinkId) {
    let Some((server, address)) = core.servers.known(link) else {
        return;
    };
    if let Some(known) = core.chunks.server_info(server) {
        tracing::info!(
            "chunkserver disconnected - ip: {} / port: {}, {}",
            address.ip,
            address.port,
            register::space_text(&known.space)
        );
    }
    core.servers.set_phase(link, Phase::Over);
    core.servers.by_server.remove(&server);
    core.servers.by_address.remove(&address);
    core.servers.absent_since.insert(address, core.now.unix);
    database::tell_presence(core);
    let (planner, mut cx) = planner(core);
    planner.disconnect(&mut cx, server);
}

fn receive(
    core: &mut Core,
    link: LinkId,
    message: FromChunkserver<'_>,
) -> Result<(), register::Refusal> {
    match message {
        FromChunkserver::Nop(_)
        | FromChunkserver::UnknownCommand(_)
        | FromChunkserver::BadCommandSize(_) => return Ok(()),
        FromChunkserver::GetVersion(request) => {
            VersionReply {
                msgid: request.msgid,
                version: crate::VERSION,
                text: Rest(crate::VERSION_TEXT.as_bytes()),
            }
            .encode(core.links.out(link));
            return Ok(());
        }
        FromChunkserver::GetConfig(request) => {
            let value = match SECRETS.contains(&request.option) {
                true => "",
                false => core.settings.raw(request.option),
            };
            ConfigValue {
                msgid: request.msgid,
                value: &value.as_bytes()[..value.len().min(255)],
            }
            .encode(core.links.out(link));
            return Ok(());
        }
        FromChunkserver::Register(step) => return register::register(core, link, step),
        _ => {}
    }
    let Some((server, address)) = core.servers.known(link) else {
        return Err("got a message before the registration".to_owned());
    };
    let (planner, mut cx) = planner(core);
    let (kind, chunk, status) = match message {
        FromChunkserver::Space(space) => {
            planner.set_space(server, register::disk_space(&space));
            return Ok(());
        }
        FromChunkserver::Labels(labels) => {
            planner.set_labels(server, labels.mask);
            return Ok(());
        }
        FromChunkserver::CurrentLoad(load) => {
            let report = match load.state {
                None | Some(LoadState::UNKNOWN) => LoadReport::Default,
                Some(LoadState::NORMAL) => LoadReport::Ok,
                Some(LoadState::REBALANCE) => LoadReport::InternalRebalance,
                Some(_) => LoadReport::Overloaded,
            };
            planner.set_load(cx.now.unix, server, load.load, report);
            return Ok(());
        }
        FromChunkserver::ChunkDamaged(damaged) => {
            planner.damaged(&mut cx, server, damaged.chunks.iter());
            return Ok(());
        }
        FromChunkserver::ChunkLost(lost) => {
            planner.lost(&mut cx, server, lost.chunks.iter());
            return Ok(());
        }
        FromChunkserver::ChunkNew(new) => {
            planner.found(&mut cx, server, new.chunks.iter());
            return Ok(());
        }
        FromChunkserver::ErrorOccurred(_) => {
            planner.error_occurred(server);
            return Ok(());
        }
        FromChunkserver::CreateStatus(reply) => (CommandKind::Create, reply.chunk, reply.status),
        FromChunkserver::DeleteStatus(reply) => (CommandKind::Delete, reply.chunk, reply.status),
        FromChunkserver::DuplicateStatus(reply) => {
            (CommandKind::Duplicate, reply.chunk, reply.status)
        }
        FromChunkserver::SetVersionStatus(reply) => {
            (CommandKind::SetVersion, reply.chunk, reply.status)
        }
        FromChunkserver::ReplicateStatus(reply) => {
            (CommandKind::Replicate, reply.chunk, reply.status)
        }
        FromChunkserver::TruncateStatus(reply) => {
            (CommandKind::Truncate, reply.chunk, reply.status)
        }
        FromChunkserver::DuplicateTruncateStatus(reply) => {
            (CommandKind::DuplicateTruncate, reply.chunk, reply.status)
        }
        other => {
            return Err(format!(
                "got a message that is not for this master (type:{})",
                other.kind()
            ));
        }
    };
    log_failure(address, kind, chunk, status);
    planner.status(&mut cx, server, kind, chunk, status);
    core.admin.minute.answered(kind, status);
    Ok(())
}

/// Operators look for these lines.
fn log_failure(address: ServerAddress, kind: CommandKind, chunk: ChunkId, status: Status) {
    if status == Status::Ok {
        return;
    }
    let what = match kind {
        CommandKind::Create => "creation",
        CommandKind::Delete => "deletion",
        CommandKind::Duplicate => "duplication",
        CommandKind::SetVersion => "set version",
        CommandKind::Replicate => "replication",
        CommandKind::Truncate => "truncate",
        CommandKind::DuplicateTruncate => "duplication+truncate",
    };
    tracing::info!(
        "({}:{}) chunk: {:016X} {what} status: {status}",
        address.ip,
        address.port,
        chunk.0
    );
}

/// Twenty milliseconds passed.
pub fn tick(core: &mut Core) {
    let now = core.now;
    if core.servers.started == 0 {
        core.servers.started = now.unix;
        database::tell_presence(core);
    }
    keep_alive(core);
    if now.unix != core.servers.second {
        core.servers.second = now.unix;
        database::end_maintenance(core);
        let round = now.unix.wrapping_sub(REMOVAL_OFFSET) / REMOVAL_PERIOD;
        if round != core.servers.removal_round {
            if core.servers.removal_round != 0 {
                database::remove_unused(core);
            }
            core.servers.removal_round = round;
        }
    }
    let (planner, mut cx) = planner(core);
    planner.tick(&mut cx);
}

/// Signs of life to servers, and the end of those that gave none.
fn keep_alive(core: &mut Core) {
    let now_ms = core.now.mono_ms;
    let stalled = now_ms.saturating_sub(core.servers.ticked_ms) > STALL_MS;
    core.servers.ticked_ms = now_ms;
    let links: Vec<LinkId> = core.links.of_port(Port::Chunkserver).collect();
    for link in links {
        let Some(connection) = core.servers.connections.get(&link) else {
            continue;
        };
        if matches!(connection.phase, Phase::Over) {
            continue;
        }
        let timeout_ms = connection.timeout_ms;
        if stalled {
            core.links.heard(link);
        }
        if core.links.silent_ms(link) > timeout_ms {
            tracing::info!(
                "CS({}) has been silent for too long",
                core.links.peer(link).ip()
            );
            give_up(core, link);
        } else if core.servers.known(link).is_some() && core.links.mute_ms(link) >= timeout_ms / 3 {
            Nop {}.encode(core.links.out(link));
        }
    }
}

/// Metadata changed in a way that concerns chunks.
pub fn event(core: &mut Core, event: Event) {
    if let Event::ChunkChanged(chunk) = event {
        let (planner, mut cx) = planner(core);
        planner.changed(&mut cx, chunk);
    }
}

/// One line about each connected server, for SIGUSR1.
pub fn log_servers(core: &Core) {
    for line in list::log_lines(core) {
        tracing::info!("{line}");
    }
}
