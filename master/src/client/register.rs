//! Registration: new sessions, returning ones, tools, and the end (wire-client-master §5, §6).

use crate::VERSION;
use crate::client::answer::Handled;
use crate::client::link::{Conn, State};
use crate::core::Core;
use crate::exports::{self, Export};
use metadata::session::{Session, SessionParams};
use metadata::{Caller, caller::SessionRights};
use proto::client::kind;
use proto::client::message::Message;
use proto::client::register::{
    ChallengeReply, Limits, MetaSessionReply, Passcode, ReconnectReply, Register, Registered,
    Resume, SessionReply,
};
use proto::frame::put_frame;
use proto::version::Version;
use proto::wire::Malformed;
use proto::{Inode, MetaId, NodeKind, SessionId, Status};
use std::net::Ipv4Addr;

/// Clients from this version on are marked by a bit of `sesflags` (wire-client-master §5.2).
const ATTRIBUTE_BIT_SINCE: Version = Version::new(1, 7, 32);

/// How long the master remembers an address whose session could not be resumed, milliseconds.
const REFUSED_MS: u64 = 1_000;

/// An address that was told to register its session anew.
#[derive(Clone, Copy, Debug)]
struct RefusedAddress {
    ip: Ipv4Addr,
    session: SessionId,
    until_ms: u64,
}

/// Addresses that were refused with status 1 in the last second.
#[derive(Debug, Default)]
pub struct RefusedAddresses {
    entries: Vec<RefusedAddress>,
}

impl RefusedAddresses {
    fn expire(&mut self, now_ms: u64) {
        self.entries.retain(|entry| entry.until_ms >= now_ms);
    }

    fn add(&mut self, ip: Ipv4Addr, session: SessionId, now_ms: u64) {
        self.entries.push(RefusedAddress {
            ip,
            session,
            until_ms: now_ms + REFUSED_MS,
        });
    }

    fn contains(&self, ip: Ipv4Addr) -> bool {
        self.entries.iter().any(|entry| entry.ip == ip)
    }

    fn take(&mut self, ip: Ipv4Addr) -> Option<SessionId> {
        let at = self.entries.iter().position(|entry| entry.ip == ip)?;
        Some(self.entries.swap_remove(at).session)
    }
}

/// What a new session is asked for with.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    version: Version,
    info: &'a [u8],
    /// Directory; `None`: a metadata session.
    path: Option<&'a [u8]>,
    resume: Option<Resume>,
    passcode: Option<Passcode>,
}

/// REGISTER.
pub fn register(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Register::decode(payload)?;
    let closes = matches!(request, Register::CloseSession { .. });
    if closes == (conn.state == State::Unregistered) {
        return Err(Malformed);
    }
    core.clients.refused.expire(core.now.mono_ms);
    match request {
        Register::Challenge => {
            let challenge = core.clients.challenges.next();
            if let Some(record) = core.clients.links.get_mut(conn.link) {
                record.challenge = Some(challenge);
            }
            answer(core, conn, conn.version, &ChallengeReply(challenge));
        }
        Register::NewSession {
            version,
            info,
            path,
            resume,
            passcode,
        } => {
            let wanted = Wanted {
                version,
                info,
                path: Some(path),
                resume,
                passcode,
            };
            let reply = match new_session(core, conn, &wanted) {
                Ok(session) => Registered::Session(session_reply(core, session)),
                Err(status) => Registered::Status(status),
            };
            answer(core, conn, version, &reply);
        }
        Register::NewMetaSession {
            version,
            info,
            resume,
            passcode,
        } => {
            let wanted = Wanted {
                version,
                info,
                path: None,
                resume,
                passcode,
            };
            let reply = match new_session(core, conn, &wanted) {
                Ok(session) => Registered::Session(meta_session_reply(core, session)),
                Err(status) => Registered::Status(status),
            };
            answer(core, conn, version, &reply);
        }
        Register::Reconnect {
            session,
            version,
            metaid,
        } => {
            let status = come_back(core, conn, session, metaid)?;
            if status == Status::Ok {
                enter(core, conn, session, version, State::Mount);
                let now_ms = core.now.mono_ms;
                core.clients.repeats.resumed(conn.link, now_ms);
            }
            let reply = ReconnectReply::Status(VERSION, status);
            answer(core, conn, version, &reply);
        }
        Register::Tools { session, version } => {
            let status = come_back(core, conn, session, None)?;
            if status == Status::Ok {
                enter(core, conn, session, version, State::Tools);
            }
            let reply = Registered::<SessionReply>::Status(status);
            answer(core, conn, version, &reply);
        }
        Register::CloseSession { session, metaid } => close_session(core, conn, session, metaid),
    }
    Ok(())
}

fn answer<'a>(core: &mut Core, conn: &Conn, version: Version, reply: &impl Message<'a>) {
    put_frame(
        core.links.out(conn.link),
        kind::reply(kind::REGISTER),
        |out| reply.encode(version, out),
    );
}

/// Makes a session, or changes the one that the client had to what the exports say now.
fn new_session(core: &mut Core, conn: &Conn, wanted: &Wanted<'_>) -> Result<SessionId, Status> {
    let ip = *core.links.peer(conn.link).ip();
    let challenge = core
        .clients
        .links
        .get(conn.link)
        .and_then(|record| record.challenge)
        .unwrap_or_default();
    let path = String::from_utf8_lossy(wanted.path.unwrap_or_default());
    let query = exports::Query {
        address: ip,
        version: wanted.version.0,
        meta: wanted.path.is_none(),
        path: &path,
        passcode: wanted.passcode,
        challenge: &challenge,
    };
    let export = exports::select(&core.clients.exports, &query)?.clone();
    let root = match wanted.path {
        Some(path) => directory(core, path)?,
        None => Inode(0),
    };
    let params = session_params(
        core.clients.exports_checksum,
        &export,
        root,
        ip,
        wanted.info,
    );

    let previous = match wanted.resume {
        Some(resume) => resume
            .metaid
            .is_none_or(|metaid| metaid == core.ns.metaid())
            .then_some(resume.session),
        None => core.clients.refused.take(ip),
    };
    // A session is handed over only to a client that asks for the same part of the file system.
    let previous = previous.filter(|&id| {
        core.ns
            .session(id)
            .is_some_and(|session| session.params.root == root)
    });
    let (ns, mut tx) = core.change();
    let session = match previous {
        Some(id) => {
            ns.session_change(&mut tx, id, params)?;
            id
        }
        None => ns.session_add(&mut tx, params),
    };
    enter(core, conn, session, wanted.version, State::Mount);
    if let Some(record) = core.clients.links.get_mut(conn.link) {
        record.asked_path = Some(path.into());
    }
    Ok(session)
}

/// The directory of a path from the root of the file system.
fn directory(core: &Core, path: &[u8]) -> Result<Inode, Status> {
    let mut inode = Inode::ROOT;
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" => continue,
            b"." | b".." => return Err(Status::Einval),
            _ => {}
        }
        let found = core.ns.lookup(&Caller::MASTER, inode, name);
        inode = match found {
            Ok(found) => found.inode,
            Err(Status::EnoentNoCache) => return Err(Status::Enoent),
            Err(status) => return Err(status),
        };
    }
    match core.ns.node(inode) {
        Some(node) if node.kind == NodeKind::Directory => Ok(inode),
        Some(_) => Err(Status::Enotdir),
        None => Err(Status::Enoent),
    }
}

fn session_params(
    exports_checksum: u64,
    export: &Export,
    root: Inode,
    peer: Ipv4Addr,
    info: &[u8],
) -> SessionParams {
    // 3.0.117 gives a metadata session no common user.
    let (map_all_uid, map_all_gid) = if root == Inode(0) {
        (0, 0)
    } else {
        (export.mapalluid, export.mapallgid)
    };
    SessionParams {
        exports_checksum,
        root,
        flags: export.sesflags,
        umask: export.umask,
        root_uid: export.rootuid,
        root_gid: export.rootgid,
        map_all_uid,
        map_all_gid,
        min_goal: export.mingoal,
        max_goal: export.maxgoal,
        min_trash_seconds: export.mintrashtime,
        max_trash_seconds: export.maxtrashtime,
        disables: export.disables,
        peer,
        info: info.into(),
    }
}

/// Whether a session may be used again by this connection. An address that was refused a moment ago
/// is not expected to try the same again: its connection is closed.
fn come_back(
    core: &mut Core,
    conn: &Conn,
    id: SessionId,
    metaid: Option<MetaId>,
) -> Result<Status, Malformed> {
    let ip = *core.links.peer(conn.link).ip();
    if core.clients.refused.contains(ip) {
        return Err(Malformed);
    }
    let known = core.ns.session(id).filter(|session| {
        metaid.is_none_or(|metaid| metaid == core.ns.metaid())
            && session.params.peer != Ipv4Addr::UNSPECIFIED
    });
    let Some(session) = known else {
        return Ok(Status::BadSessionId);
    };
    if is_welcome(session, ip, core.clients.exports_checksum) {
        return Ok(Status::Ok);
    }
    core.clients.refused.add(ip, id, core.now.mono_ms);
    Ok(Status::Eperm)
}

fn is_welcome(session: &Session, ip: Ipv4Addr, exports_checksum: u64) -> bool {
    let params = &session.params;
    params.exports_checksum == exports_checksum
        && (params.peer == ip || params.flags & SessionRights::DYNAMIC_IP != 0)
}

/// The connection belongs to the session from now on.
fn enter(core: &mut Core, conn: &Conn, session: SessionId, version: Version, state: State) {
    let Some(record) = core.clients.links.get_mut(conn.link) else {
        return;
    };
    record.conn.state = state;
    record.conn.version = version;
    record.conn.session = session;
    record.challenge = None;
    let mount = (state == State::Mount).then_some(version);
    core.clients.presences.attach(session, conn.link, mount);
    core.ns.session_connected(session);
    core.ns
        .session_announced(session, version >= ATTRIBUTE_BIT_SINCE);
}

fn limits(params: &SessionParams) -> Limits {
    Limits {
        goal_min: params.min_goal,
        goal_max: params.max_goal,
        trash_time_min: params.min_trash_seconds,
        trash_time_max: params.max_trash_seconds,
    }
}

fn session_reply(core: &Core, id: SessionId) -> SessionReply {
    let reply = SessionReply {
        version: VERSION,
        session: id,
        metaid: core.ns.metaid(),
        ..SessionReply::default()
    };
    let Some(session) = core.ns.session(id) else {
        return reply;
    };
    let params = &session.params;
    SessionReply {
        flags: params.flags,
        umask: params.umask,
        root_uid: params.root_uid,
        root_gid: params.root_gid,
        map_all_uid: params.map_all_uid,
        map_all_gid: params.map_all_gid,
        limits: limits(params),
        disables: params.disables,
        ..reply
    }
}

fn meta_session_reply(core: &Core, id: SessionId) -> MetaSessionReply {
    let reply = MetaSessionReply {
        version: VERSION,
        session: id,
        metaid: core.ns.metaid(),
        ..MetaSessionReply::default()
    };
    match core.ns.session(id) {
        Some(session) => MetaSessionReply {
            flags: session.params.flags,
            limits: limits(&session.params),
            ..reply
        },
        None => reply,
    }
}

/// CLOSESESSION: of the connection's own session only.
fn close_session(core: &mut Core, conn: &Conn, session: SessionId, metaid: Option<MetaId>) {
    let status = if metaid.is_some_and(|metaid| metaid != core.ns.metaid()) {
        Status::BadSessionId
    } else {
        if session == conn.session {
            core.clients.presences.close(session);
        }
        Status::Ok
    };
    if conn.version.has_close_reply() {
        let reply = Registered::<SessionReply>::Status(status);
        answer(core, conn, conn.version, &reply);
    }
    core.links.close(conn.link);
}
