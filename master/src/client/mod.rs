//! Clients, tools and monitors on port 9421.
//!
//! A frame is decoded, executed on the namespace and answered in one call; the answer is encoded
//! straight into the output of the connection. What cannot be answered at once (chunk operations,
//! requests that meet a locked chunk, waiting locks) is remembered and answered by a later event.

mod admin_ops;
mod answer;
mod append_ends;
mod attribute_ops;
mod cache_marks;
mod challenges;
mod class_ops;
mod data_ops;
mod dispatch;
pub mod link;
mod lock_ops;
mod lookup_ops;
mod namespace_ops;
pub mod presence;
mod push;
mod queries;
mod register;
mod repeats;
mod trash_ops;
mod waiting;
mod watch;
mod xattr_ops;

use crate::chunks::{Action, OpToken};
use crate::core::Core;
use crate::exports::{self, Export};
use crate::links::LinkId;
use append_ends::AppendEnds;
use cache_marks::CacheMarks;
use challenges::Challenges;
use data_ops::Pending;
use link::LinkTable;
use metadata::session::SessionParams;
use metadata::{Event, Namespace, Tx};
use presence::Presences;
use proto::frame::HEADER_LEN;
use proto::{Inode, SessionId};
use register::RefusedAddresses;
use std::collections::HashMap;
use waiting::WaitingRequests;
use watch::Watch;

/// State of the connections on the client port.
#[derive(Debug)]
pub struct Clients {
    links: LinkTable,
    presences: Presences,
    exports: Vec<Export>,
    exports_checksum: u64,
    refused: RefusedAddresses,
    challenges: Challenges,
    marks: CacheMarks,
    append_ends: AppendEnds,
    waiting: WaitingRequests<LinkId>,
    pending: HashMap<OpToken, Pending>,
    last_token: u64,
    watch: Watch,
    /// Answers that a client may not have got.
    pub repeats: repeats::Repeats,
    scratch: answer::Scratch,
    /// Operations of all sessions since the last minute's sample.
    operations: [u64; link::COUNTERS],
}

impl Clients {
    /// No client yet, and nothing exported. `seed` feeds the challenges.
    pub fn new(seed: u64) -> Clients {
        Clients {
            links: LinkTable::default(),
            presences: Presences::default(),
            exports: Vec::new(),
            exports_checksum: 0,
            refused: RefusedAddresses::default(),
            challenges: Challenges::new(seed),
            marks: CacheMarks::default(),
            append_ends: AppendEnds::default(),
            waiting: WaitingRequests::default(),
            pending: HashMap::new(),
            last_token: 0,
            watch: Watch::default(),
            repeats: repeats::Repeats::default(),
            scratch: answer::Scratch::default(),
            operations: [0; link::COUNTERS],
        }
    }

    /// Connections and version of a session, for the session list.
    pub fn presence(&self, session: SessionId) -> Option<&presence::Presence> {
        self.presences.get(session)
    }

    /// The lines of the exports file.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// Fingerprint of the exports file.
    pub fn exports_checksum(&self) -> u64 {
        self.exports_checksum
    }

    /// Operations of all sessions since the last call, in the order of the session list.
    pub fn take_operations(&mut self) -> [u64; link::COUNTERS] {
        std::mem::take(&mut self.operations)
    }

    /// Adds what was counted on connections to the statistics of their sessions.
    pub(crate) fn flush_counters(&mut self, ns: &mut Namespace) {
        for record in self.links.iter_mut() {
            if let Some(counters) = record.take_counters() {
                for (total, count) in self.operations.iter_mut().zip(counters) {
                    *total += u64::from(count);
                }
                ns.session_add_counts(record.conn.session, &counters);
            }
        }
    }
}

/// The exports file was read. Mounts for which it says something else than before are cut off, so
/// that they register anew; tools stay. (3.0.117 cuts off every mount when any line changed.)
pub fn set_exports(core: &mut Core, exports: Vec<Export>) {
    let checksum = exports::checksum(&exports);
    let old = std::mem::replace(&mut core.clients.exports, exports);
    let old_checksum = std::mem::replace(&mut core.clients.exports_checksum, checksum);
    let mounts: Vec<_> = core
        .clients
        .links
        .iter()
        .filter(|record| record.conn.state == link::State::Mount)
        .cloned()
        .collect();
    for record in mounts {
        let session = core.ns.session(record.conn.session);
        let params = session.map(|session| session.params.clone());
        match params {
            Some(params) if params.exports_checksum == checksum => {}
            Some(params)
                if params.exports_checksum == old_checksum
                    && keeps_rights(core, &old, &record, &params) =>
            {
                // The checksum is that of the whole file: with it the client may come back.
                let params = SessionParams {
                    exports_checksum: checksum,
                    ..params
                };
                let (ns, mut tx) = core.change();
                // The session was found a moment ago.
                let _ = ns.session_change(&mut tx, record.conn.session, params);
            }
            _ => core.links.close(record.conn.link),
        }
    }
}

/// Whether the present exports give a mount what `old` gave. A mount that came back may not have said
/// which directory it wants: then that is known of the root only.
fn keeps_rights(core: &Core, old: &[Export], record: &link::Link, params: &SessionParams) -> bool {
    let path = match &record.asked_path {
        Some(path) => path,
        None if params.root == Inode::ROOT || params.root == Inode(0) => "",
        None => return false,
    };
    let query = exports::Query {
        address: *core.links.peer(record.conn.link).ip(),
        version: record.conn.version.0,
        meta: params.root == Inode(0),
        path,
        passcode: None,
        challenge: &[0; 32],
    };
    exports::is_same_for(old, &core.clients.exports, &query)
}

/// A connection came in.
pub fn accepted(core: &mut Core, link: LinkId) {
    core.clients.links.open(link);
}

/// A frame came in. Whatever no layout allows closes the connection.
pub fn frame(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) {
    let Some(record) = core.clients.links.get(link) else {
        return;
    };
    let conn = record.conn;
    // What was read together with the frame that closed the connection counts for nothing.
    if core.links.is_closing(link) {
        return;
    }
    let handled = if core.clients.repeats.is_recording() {
        recorded(core, &conn, kind, payload)
    } else {
        dispatch::dispatch(core, &conn, kind, payload)
    };
    if handled.is_err() {
        tracing::debug!(
            "client {}: message {kind} of {} bytes is malformed or not allowed - connection closed",
            core.links.peer(link),
            payload.len(),
        );
        core.links.close(link);
    }
}

/// Executes one message in a cluster: the answers of changes are recorded, and a repetition of what a
/// failed leader did gets the answer that was lost.
fn recorded(core: &mut Core, conn: &link::Conn, kind: u32, payload: &[u8]) -> answer::Handled {
    let now_ms = core.now.mono_ms;
    let before = core
        .clients
        .repeats
        .heard(conn.link, conn.session, now_ms, kind, payload);
    if !repeats::fails_when_repeated(kind) {
        return dispatch::dispatch(core, conn, kind, payload);
    }
    let (lines, written) = (core.out.lines.len(), core.links.written(conn.link));
    dispatch::dispatch(core, conn, kind, payload)?;
    let reply = core.links.written_since(conn.link, written);
    if core.out.lines.len() > lines {
        core.clients
            .repeats
            .answered(conn.session, kind, payload, reply);
    } else if let Some(before) = before
        && reply.len() == HEADER_LEN + STATUS_REPLY
    {
        tracing::info!(
            "client {}: message {kind} was answered by another leader before",
            core.links.peer(conn.link)
        );
        core.links.rewrite(conn.link, written, &before);
    }
    Ok(())
}

/// Length of an answer that is an error: message number and status.
const STATUS_REPLY: usize = 5;

/// A connection is gone: what it waited for is taken back; its session may be without a client now.
pub fn closed(core: &mut Core, link: LinkId) {
    data_ops::cancel_link(core, link);
    core.clients.repeats.closed(link);
    let Some(mut record) = core.clients.links.close(link) else {
        return;
    };
    let session = record.conn.session;
    if let Some(counters) = record.take_counters() {
        core.ns.session_add_counts(session, &counters);
    }
    if let Some(was_closed) = core.clients.presences.detach(session, link) {
        if was_closed {
            core.ns.session_close(session);
        }
        let mut tx = Tx::new(core.now.unix, &mut core.out);
        core.ns.session_disconnected(&mut tx, session);
    }
}

/// Time passed.
pub fn tick(core: &mut Core) {
    watch::tick(core);
}

/// Metadata changed in a way that concerns this room.
pub fn event(core: &mut Core, event: Event) {
    match event {
        Event::LockAnswer {
            session,
            msgid,
            kind,
            status,
        } => lock_ops::lock_answer(core, session, msgid, kind, status),
        Event::ChunkUnlocked(chunk) => data_ops::wake(core, chunk),
        Event::InodeFreed(inode) => {
            core.clients.marks.forget(inode);
            core.clients.append_ends.forget(inode);
        }
        Event::SessionRemoved(session) => {
            core.clients.presences.forget(session);
            core.clients.repeats.forget(session);
        }
        Event::ChunkChanged(_) | Event::ChunkRemoved(_) => {}
    }
}

/// What the planner reports to clients; orders to chunkservers are not for this room.
pub fn planner_action(core: &mut Core, action: Action) {
    match action {
        Action::Finished { token, result } => data_ops::chunk_finished(core, token, result),
        Action::Wake(chunk) => data_ops::wake(core, chunk),
        Action::ForgetLocations => push::forget_locations(core),
        Action::Send { .. } => {}
    }
}
