//! Registration of chunkservers in all forms from 1.6 to 4.x (chunkserver §2.4).

use super::{Phase, TIMEOUT_SECONDS_MIN, database, drop_server, planner};
use crate::chunks::{DiskSpace, Identity};
use crate::core::Core;
use crate::links::LinkId;
use metadata::server_table::{Maintenance, ServerAddress};
use proto::CsId;
use proto::chunkserver::{
    Begin, Complete, CompleteForm, MasterAck, Register, ReportedChunk, Space, Style,
    authentication_digest,
};
use proto::list::List;
use proto::version::Version;
use std::net::SocketAddrV4;

/// Numbers that log lines give to the two styles of registration.
const OLD_PACKET: u8 = 5;
const NEW_PACKET: u8 = 6;

/// Reason to close a connection; the texts go to the log.
pub(super) type Refusal = String;

/// A step of a registration.
pub(super) fn register(
    core: &mut Core,
    link: LinkId,
    message: Register<'_>,
) -> Result<(), Refusal> {
    let registered = matches!(
        core.servers.phase(link),
        Phase::Registering { .. } | Phase::Registered { .. }
    );
    match message {
        Register::Disconnect => announced_end(core, link),
        Register::Begin(_) | Register::Complete(_) if registered => {
            Err("got register message from a registered chunk-server".to_owned())
        }
        Register::Begin(begin) => begin_registration(core, link, &begin),
        Register::Complete(complete) => complete_registration(core, link, &complete),
        Register::Chunks(style, chunks) => part(core, link, style, chunks),
        Register::OldEnd(space) => end(core, link, Some(&space)),
        Register::NewEnd => end(core, link, None),
    }
}

fn announced_end(core: &mut Core, link: LinkId) -> Result<(), Refusal> {
    if let Some((_, address)) = core.servers.known(link) {
        database::begin_temporary_maintenance(core, address);
        drop_server(core, link);
    }
    core.links.close(link);
    Ok(())
}

fn begin_registration(core: &mut Core, link: LinkId, begin: &Begin) -> Result<(), Refusal> {
    if !is_authentic(core, link, begin)? {
        return Ok(());
    }
    let timeout_s = match (begin.timeout_s, begin.style()) {
        (0, Style::New) => core.settings.chunkserver_timeout_seconds,
        (timeout_s, _) => timeout_s,
    };
    check_timeout(timeout_s)?;
    let offered = begin.enrolment.map_or(0, |enrolment| enrolment.csid.0);
    let space = begin.enrolment.map(|enrolment| enrolment.space);
    let address = admit(
        core,
        link,
        begin.address,
        begin.version,
        offered,
        space.as_ref(),
        timeout_s,
        begin.style(),
    )?;
    let needs_csid = begin.style() == Style::New && begin.version.server_takes_ack();
    let csid = if needs_csid {
        database::csid(core, address)
    } else {
        0
    };
    if let Some(ack) = MasterAck::to_begin(
        begin.version,
        begin.style(),
        crate::VERSION,
        timeout_s,
        CsId(csid),
        core.ns.metaid(),
    ) {
        ack.encode(core.links.out(link));
    }
    Ok(())
}

/// Whether the server knows the secret; `Ok(false)` when it was challenged.
fn is_authentic(core: &mut Core, link: LinkId, begin: &Begin) -> Result<bool, Refusal> {
    if core.settings.auth_code.is_empty() {
        return Ok(true);
    }
    let Some(enrolment) = begin.enrolment else {
        return Err("CSTOMA_REGISTER (old style) without authorization".to_owned());
    };
    match (enrolment.digest, core.servers.phase(link)) {
        (Some(digest), Phase::Challenged(challenge)) => {
            if digest == authentication_digest(&challenge, &core.settings.auth_code) {
                Ok(true)
            } else {
                Err("CSTOMA_REGISTER authorization error".to_owned())
            }
        }
        _ => {
            let mut challenge = [0; 32];
            getrandom::fill(&mut challenge)
                .map_err(|error| format!("no random bytes for a challenge: {error}"))?;
            core.servers.set_phase(link, Phase::Challenged(challenge));
            MasterAck::Authenticate { challenge }.encode(core.links.out(link));
            Ok(false)
        }
    }
}

fn check_timeout(timeout_s: u16) -> Result<(), Refusal> {
    if timeout_s < TIMEOUT_SECONDS_MIN {
        return Err(format!(
            "CSTOMA_REGISTER communication timeout too small ({timeout_s} seconds - should be at least {TIMEOUT_SECONDS_MIN} seconds)"
        ));
    }
    Ok(())
}

/// Takes a server in, or refuses it.
#[allow(
    clippy::too_many_arguments,
    reason = "the fields of a registration, which differ in origin by its form"
)]
fn admit(
    core: &mut Core,
    link: LinkId,
    data_port: SocketAddrV4,
    version: Version,
    offered: u16,
    space: Option<&Space>,
    timeout_s: u16,
    style: Style,
) -> Result<ServerAddress, Refusal> {
    let mut ip = *data_port.ip();
    if ip.is_unspecified() {
        ip = *core.links.peer(link).ip();
    }
    if let Some(remap) = core.servers.remap {
        ip = remap.apply(ip);
    }
    if ip.is_loopback() {
        return Err(format!(
            "chunkserver connected using localhost (IP: {ip}) - you cannot use localhost for communication between chunkserver and master"
        ));
    }
    let port = data_port.port();
    let address = ServerAddress { ip, port };
    let refusal = || format!("can't accept chunkserver (ip: {ip} / port: {port})");
    database::identify(core, address, offered).ok_or_else(refusal)?;
    let disks = space.map(disk_space).unwrap_or_default();
    let maintained = core
        .ns
        .servers()
        .get(address)
        .is_some_and(|record| record.maintenance != Maintenance::Off);
    let identity = Identity { ip, port, version };
    let server = core
        .chunks
        .connect(core.now.unix, identity, disks, maintained)
        .ok_or_else(refusal)?;
    core.servers
        .admitted(link, server, address, timeout_s, style);
    database::tell_presence(core);
    tracing::info!(
        "chunkserver register begin (packet version: {}) - ip: {ip} / port: {port}, {}",
        packet_version(style),
        space_text(&disks)
    );
    Ok(address)
}

/// Forms 0–4: everything in one packet.
fn complete_registration(
    core: &mut Core,
    link: LinkId,
    complete: &Complete<'_>,
) -> Result<(), Refusal> {
    let (version, timeout_s) = match complete.form {
        CompleteForm::F0 | CompleteForm::F1 | CompleteForm::F2 => (
            Version::default(),
            core.settings.chunkserver_timeout_seconds,
        ),
        CompleteForm::F3 { timeout_s } => (Version::default(), timeout_s),
        CompleteForm::F4 { version, timeout_s } => (version, timeout_s),
    };
    check_timeout(timeout_s)?;
    admit(
        core,
        link,
        complete.address,
        version,
        0,
        Some(&complete.space),
        timeout_s,
        Style::Old,
    )?;
    part(core, link, Style::Old, complete.chunks)?;
    end(core, link, None)
}

/// A part of the list of copies.
fn part(
    core: &mut Core,
    link: LinkId,
    style: Style,
    chunks: List<'_, ReportedChunk>,
) -> Result<(), Refusal> {
    let Phase::Registering { server, .. } = core.servers.phase(link) else {
        return Err("got a list of chunks outside of a registration".to_owned());
    };
    let (planner, mut cx) = planner(core);
    planner.register_chunks(&mut cx, server, chunks.iter());
    let takes_acks = core
        .chunks
        .server_info(server)
        .is_some_and(|known| known.identity.version.server_takes_batch_acks());
    if style == Style::New && takes_acks {
        MasterAck::Continue.encode(core.links.out(link));
    }
    Ok(())
}

/// The list of copies is complete.
fn end(core: &mut Core, link: LinkId, space: Option<&Space>) -> Result<(), Refusal> {
    let Phase::Registering { server, style } = core.servers.phase(link) else {
        return Err("got the end of a registration that had no beginning".to_owned());
    };
    if let Some(space) = space {
        core.chunks.set_space(server, disk_space(space));
    }
    core.servers.set_phase(link, Phase::Registered { server });
    core.chunks.register_end(server);
    if let Some(known) = core.chunks.server_info(server) {
        tracing::info!(
            "chunkserver register end (packet version: {}) - ip: {} / port: {}",
            packet_version(style),
            known.identity.ip,
            known.identity.port
        );
    }
    Ok(())
}

fn packet_version(style: Style) -> u8 {
    match style {
        Style::Old => OLD_PACKET,
        Style::New => NEW_PACKET,
    }
}

/// Space as the planner keeps it.
pub(super) fn disk_space(space: &Space) -> DiskSpace {
    DiskSpace {
        used: space.regular.used,
        total: space.regular.total,
        chunks: space.regular.chunks,
        marked_used: space.marked.used,
        marked_total: space.marked.total,
        marked_chunks: space.marked.chunks,
    }
}

/// Space as log lines tell it.
pub(super) fn space_text(space: &DiskSpace) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
    format!(
        "usedspace: {} ({:.2} GiB), totalspace: {} ({:.2} GiB)",
        space.used,
        gib(space.used),
        space.total,
        gib(space.total)
    )
}
