//! Sessions and their operation counters (wire-admin §4.2, §4.11).

use crate::core::Core;
use crate::links::LinkId;
use metadata::Tx;
use metadata::session::Session;
use proto::admin::{
    CONNECTED, COUNTERS, GetSessions, ListedSession, SessionCommand, SessionCommandStatus,
    SessionEntry, SessionForm, SessionList,
};
use proto::list::{List, Text};
use proto::version::Version;
use proto::{Inode, SessionId, Status};

/// What is gathered of a session before it is encoded.
struct Row<'a> {
    session: &'a Session,
    open_files: u32,
    path: Vec<u8>,
    current: Vec<u8>,
    last: Vec<u8>,
}

/// Sessions: connected ones for old forms, all for those that tell connections.
pub(super) fn list(core: &mut Core, link: LinkId, request: GetSessions) {
    let form = SessionForm::of_request(request);
    core.clients.flush_counters(&mut core.ns);
    let mut out = Vec::new();
    let rows: Vec<Row<'_>> = core
        .ns
        .sessions()
        .filter(|session| form.has_connections() || connections(core, session.id) != 0)
        .map(|session| Row {
            session,
            open_files: u32::try_from(core.ns.files_of(session.id).count()).unwrap_or(u32::MAX),
            path: root_path(core, session),
            current: numbers(&session.counters.current),
            last: numbers(&session.counters.last_hour),
        })
        .collect();
    let listed = rows.iter().filter_map(|row| {
        Some(ListedSession {
            entry: entry(core, row),
            current: List::new(&row.current).ok()?,
            last: List::new(&row.last).ok()?,
        })
    });
    SessionList::encode(COUNTERS, listed, form, &mut out);
    core.links.out(link).extend_from_slice(&out);
}

fn connections(core: &Core, session: SessionId) -> usize {
    core.clients
        .presence(session)
        .map_or(0, |presence| presence.links.len())
}

fn numbers(counters: &[u32]) -> Vec<u8> {
    counters
        .iter()
        .flat_map(|count| count.to_be_bytes())
        .collect()
}

fn root_path(core: &Core, session: &Session) -> Vec<u8> {
    if session.is_meta() {
        return b".".to_vec();
    }
    let mut path = b"/".to_vec();
    if session.params.root != Inode::ROOT
        && let Some(first) = core
            .ns
            .paths(Inode::ROOT, session.params.root)
            .into_iter()
            .next()
    {
        path.extend_from_slice(&first);
    }
    path
}

fn entry<'a>(core: &Core, row: &'a Row<'_>) -> SessionEntry<'a> {
    let session = row.session;
    let params = &session.params;
    let links = connections(core, session.id);
    let expire_s = match links {
        0 if session.closed => 0,
        0 => core
            .settings
            .session_sustain_seconds
            .saturating_sub(core.now.unix.saturating_sub(session.disconnected)),
        _ => CONNECTED,
    };
    SessionEntry {
        session: session.id,
        ip: params.peer,
        version: core
            .clients
            .presence(session.id)
            .map_or(Version(0), |presence| presence.version),
        open_files: row.open_files,
        sockets: u8::try_from(links).unwrap_or(u8::MAX),
        expire_s,
        info: Text(&params.info),
        path: Text(&row.path),
        flags: params.flags,
        umask: params.umask,
        root_uid: params.root_uid,
        root_gid: params.root_gid,
        mapall_uid: params.map_all_uid,
        mapall_gid: params.map_all_gid,
        min_goal: params.min_goal,
        max_goal: params.max_goal,
        min_trashtime_s: params.min_trash_seconds,
        max_trashtime_s: params.max_trash_seconds,
        disables: params.disables,
    }
}

/// Removes a session that has no connection.
pub(super) fn command(core: &mut Core, link: LinkId, command: SessionCommand) {
    let status = if command.action != 0 {
        Status::Einval
    } else if core.ns.session(command.session).is_none() {
        Status::NotFound
    } else if connections(core, command.session) != 0 {
        Status::Active
    } else {
        let mut tx = Tx::new(core.now.unix, &mut core.out);
        match core.ns.session_del(&mut tx, command.session) {
            Ok(()) => Status::Ok,
            Err(status) => status,
        }
    };
    SessionCommandStatus { status }.encode(core.links.out(link));
}
