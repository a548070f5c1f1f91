//! Reading, writing and cutting chunks (wire-client-master §11.3, §12.2–§12.5).
//!
//! A request that meets a locked or busy chunk waits as it came; one that needs the chunkservers is
//! kept as a [`Pending`] until the planner reports its end.

use crate::chunks::{
    self, ChunkGrant, Cx, OpToken, Progress, SlotChunk, TruncateRequest, WriteRequest,
};
use crate::client::answer::Handled;
use crate::client::link::{Conn, Counter};
use crate::client::push;
use crate::client::waiting::{WAIT_MS, Waiting};
use crate::core::Core;
use crate::links::LinkId;
use metadata::Caller;
use metadata::access::disable;
use metadata::length::TruncatePlan;
use proto::client::attributes::{Truncate, TruncateReply, truncate_flag};
use proto::client::chunks::{
    CHUNK_INDEX_MAX, ChunkReply, ChunkRequest, Location, Server, WriteEnd, chunk_flag,
};
use proto::client::message::{List, Message};
use proto::client::push::ChunkChanged;
use proto::client::{Credentials, Gids, kind};
use proto::{ChunkId, ChunkVersion, Inode, Status};

/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 1 << 26;

/// What became of a request that may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Answered; the chunk is as it was.
    Answered,
    /// The chunk is locked for this request now.
    Locked,
    /// The request waits.
    Waits,
}

/// A request whose chunk operation is under way.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    conn: Conn,
    msgid: u32,
    inode: Inode,
    index: u32,
    kind: PendingKind,
}

#[derive(Clone, Copy, Debug)]
enum PendingKind {
    Write,
    Truncate { length: u64, uid: u32, gid: u32 },
}

impl Pending {
    /// The connection that gets the answer.
    pub fn link(&self) -> LinkId {
        self.conn.link
    }
}

/// A server as the planner names it, for a client.
pub fn server(location: &chunks::Location) -> Server {
    Server {
        ip: location.ip,
        port: location.port,
        version: location.version,
        labels: location.labels,
    }
}

impl Core {
    /// A token for a chunk operation.
    fn next_token(&mut self) -> OpToken {
        self.clients.last_token += 1;
        OpToken(self.clients.last_token)
    }

    fn planner(&mut self) -> (&mut chunks::Chunks, Cx<'_>) {
        let cx = Cx {
            now: self.now,
            ns: &mut self.ns,
            out: &mut self.out,
        };
        (&mut self.chunks, cx)
    }

    /// Makes a request wait for its chunk, or answers why it cannot be served.
    fn wait_or_refuse(
        &mut self,
        conn: &Conn,
        request: u32,
        payload: &[u8],
        chunk: ChunkId,
        msgid: u32,
        status: Status,
    ) -> Step {
        if matches!(status, Status::Locked | Status::ChunkBusy) && self.clients.waiting.has_room() {
            let waiting = Waiting {
                link: conn.link,
                kind: request,
                payload: payload.into(),
                status,
                deadline_ms: self.now.mono_ms + WAIT_MS,
            };
            self.clients.waiting.push(chunk, waiting);
            return Step::Waits;
        }
        self.answer_status(conn, request, msgid, status_for(conn, request, status));
        Step::Answered
    }

    fn answer_chunk(
        &mut self,
        conn: &Conn,
        request: u32,
        msgid: u32,
        length: u64,
        (chunk, version): (ChunkId, ChunkVersion),
        locations: &[chunks::Location],
    ) {
        let mut servers = std::mem::take(&mut self.clients.scratch.servers);
        servers.clear();
        servers.extend(locations.iter().map(server));
        let reply = ChunkReply {
            msgid,
            length,
            location: Location {
                chunk,
                version,
                servers: List::Values(&servers),
            },
        };
        self.answer(conn, request, &reply);
        self.clients.scratch.servers = servers;
    }
}

/// The status as the client's version understands it.
fn status_for(conn: &Conn, request: u32, status: Status) -> Status {
    let version = conn.version;
    match (request, status) {
        (kind::WRITE_CHUNK, Status::Eagain) if !version.has_try_again() => Status::Locked,
        (kind::WRITE_CHUNK | kind::WRITE_CHUNK_END, Status::Erofs)
            if !version.has_erofs_in_write() =>
        {
            Status::Io
        }
        (_, other) => other,
    }
}

/// Whether the master sets the times, since the client does not send AMTIME_INODES.
fn sets_times(conn: &Conn, flags: Option<u8>) -> bool {
    !conn.version.has_change_pushes() && flags.is_none_or(|it| it & chunk_flag::MAY_SET_TIMES != 0)
}

/// READ_CHUNK.
pub fn read_chunk(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    try_read(core, conn, payload).map(|_| ())
}

fn try_read(core: &mut Core, conn: &Conn, payload: &[u8]) -> Result<Step, proto::wire::Malformed> {
    let request = ChunkRequest::decode(payload, conn.version)?;
    let mut step = Step::Answered;
    core.as_session(conn, |core, who| {
        let refused = match read(core, conn, who, &request) {
            Ok(()) => return,
            Err(refused) => refused,
        };
        let Refused { chunk, status } = refused;
        step = core.wait_or_refuse(
            conn,
            kind::READ_CHUNK,
            payload,
            chunk,
            request.msgid,
            status,
        );
    })?;
    Ok(step)
}

/// Why a chunk request is not served, and the chunk that it may wait for.
struct Refused {
    chunk: ChunkId,
    status: Status,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        let chunk = ChunkId::HOLE;
        // Without a chunk there is nothing to wait for.
        debug_assert!(!matches!(status, Status::Locked | Status::ChunkBusy));
        Refused { chunk, status }
    }
}

fn read(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &ChunkRequest,
) -> Result<(), Refused> {
    if who.is_denied(disable::READ) {
        return Err(Status::Eperm.into());
    }
    let inode = core.inode_or_open(who, request.inode, true)?;
    let node = core.ns.node(inode).ok_or(Status::Enoent)?;
    if !node.kind.has_data() {
        return Err(Status::Eperm.into());
    }
    if request.index > CHUNK_INDEX_MAX {
        return Err(Status::IndexTooBig.into());
    }
    let chunk = core.ns.file_chunk(inode, request.index);
    let (place, servers) = if chunk == ChunkId::HOLE {
        ((chunk, ChunkVersion(0)), Vec::new())
    } else {
        let ip = *core.links.peer(conn.link).ip();
        let locations = core
            .chunks
            .read(&core.ns, core.now, chunk, ip)
            .map_err(|status| Refused { chunk, status })?;
        ((chunk, locations.version), locations.servers)
    };
    if sets_times(conn, request.flags) {
        let atime_mode = core.settings.atime_mode;
        let touch = metadata::attributes::AmTime {
            inode,
            atime: core.now.unix,
            mtime: 0,
        };
        let (ns, mut tx) = core.change();
        ns.am_time(&mut tx, std::iter::once(touch), atime_mode);
    }
    core.clients.marks.validate(inode, who.session);
    // What is refused does not count.
    core.count(conn, Counter::Read);
    core.answer_chunk(
        conn,
        kind::READ_CHUNK,
        request.msgid,
        node.length,
        place,
        &servers,
    );
    Ok(())
}

/// WRITE_CHUNK.
pub fn write_chunk(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    try_write(core, conn, payload).map(|_| ())
}

fn try_write(core: &mut Core, conn: &Conn, payload: &[u8]) -> Result<Step, proto::wire::Malformed> {
    let request = ChunkRequest::decode(payload, conn.version)?;
    let mut step = Step::Answered;
    core.as_session(conn, |core, who| {
        step = match write(core, conn, who, &request) {
            Ok(()) => Step::Locked,
            Err(Refused { chunk, status }) => core.wait_or_refuse(
                conn,
                kind::WRITE_CHUNK,
                payload,
                chunk,
                request.msgid,
                status,
            ),
        };
    })?;
    Ok(step)
}

fn write(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &ChunkRequest,
) -> Result<(), Refused> {
    let flags = request.flags.unwrap_or(0);
    if who.is_denied(disable::WRITE) {
        return Err(Status::Eperm.into());
    }
    if who.is_read_only() {
        return Err(Status::Erofs.into());
    }
    if core.chunks.space().available == 0 && flags & chunk_flag::USE_RESERVE == 0 {
        return Err(Status::NoSpace.into());
    }
    let inode = core.inode_or_open(who, request.inode, true)?;
    let slot = core.ns.write_check(who, inode, request.index)?;
    let token = core.next_token();
    let write = WriteRequest {
        inode,
        index: request.index,
        class: slot.class,
        slot: slot.chunk,
        continues: flags & chunk_flag::CONTINUE != 0,
        changes_mtime: sets_times(conn, request.flags),
        client_ip: *core.links.peer(conn.link).ip(),
        token,
    };
    let pending = Pending {
        conn: *conn,
        msgid: request.msgid,
        inode,
        index: request.index,
        kind: PendingKind::Write,
    };
    let (planner, mut cx) = core.planner();
    match planner.write(&mut cx, &write) {
        Progress::Granted(grant) => written(core, &pending, &grant),
        Progress::Pending => {
            core.clients.pending.insert(token, pending);
        }
        Progress::Refused(status) => {
            let chunk = chunk_of(write.slot);
            return Err(Refused { chunk, status });
        }
    }
    Ok(())
}

fn chunk_of(slot: SlotChunk) -> ChunkId {
    match slot {
        SlotChunk::Hole => ChunkId::HOLE,
        SlotChunk::Own(chunk) | SlotChunk::Shared(chunk) => chunk,
    }
}

/// The chunk is ready for the writer.
fn written(core: &mut Core, pending: &Pending, grant: &ChunkGrant) {
    let Pending { conn, inode, .. } = pending;
    let length = core.ns.node(*inode).map_or(0, |node| node.length);
    core.count(conn, Counter::Write);
    core.clients.marks.changed_by(*inode, conn.session);
    let change = ChunkChanged {
        msgid: 0,
        inode: *inode,
        index: pending.index,
        chunk: grant.chunk,
        version: grant.version,
        length,
        truncated: false,
    };
    push::chunk_changed(core, &change, conn.link);
    let place = (grant.chunk, grant.version);
    core.answer_chunk(
        conn,
        kind::WRITE_CHUNK,
        pending.msgid,
        length,
        place,
        &grant.servers,
    );
}

/// WRITE_CHUNK_END.
pub fn write_chunk_end(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = WriteEnd::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let result = end_write(core, conn, who, &request)
            .map_err(|status| status_for(conn, kind::WRITE_CHUNK_END, status));
        core.answer_done(conn, kind::WRITE_CHUNK_END, request.msgid, result);
    })
}

fn end_write(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &WriteEnd,
) -> Result<(), Status> {
    // Who may not write holds no lock: nothing to unlock, nothing changed.
    if who.is_denied(disable::WRITE) {
        return Err(Status::Eperm);
    }
    if who.is_read_only() {
        return Err(Status::Erofs);
    }
    let inode = core.inode_or_open(who, request.inode, true)?;
    let changes_mtime = sets_times(conn, request.flags);
    // Beyond this point the writer is done, whatever the length comes to: the chunk is unlocked.
    let grown = if request.length == 0 {
        Ok(false)
    } else {
        let (ns, mut tx) = core.change();
        ns.write_end(&mut tx, who, inode, request.length, changes_mtime)
    };
    let (planner, mut cx) = core.planner();
    let unlocked = planner.write_end(&mut cx, request.chunk);
    // Who waited for the chunk is answered before anybody hears of this end (§12.5).
    core.drain_events();

    if let Some(node) = core.ns.node(inode) {
        core.clients.marks.changed_by(inode, who.session);
        core.clients.append_ends.reached(inode, node.length);
        match request.index {
            Some(index) => {
                let version = core
                    .ns
                    .chunk(request.chunk)
                    .map_or(ChunkVersion(0), |(_, record)| record.version);
                let change = ChunkChanged {
                    msgid: 0,
                    inode,
                    index,
                    chunk: request.chunk,
                    version,
                    length: node.length,
                    truncated: false,
                };
                push::chunk_changed(core, &change, conn.link);
            }
            None if grown == Ok(true) => {
                push::length_changed(core, inode, node.length, Some(conn.link));
            }
            None => {}
        }
    }
    grown?;
    unlocked
}

/// TRUNCATE.
pub fn truncate(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    core.count(conn, Counter::Setattr);
    try_truncate(core, conn, payload).map(|_| ())
}

fn try_truncate(
    core: &mut Core,
    conn: &Conn,
    payload: &[u8],
) -> Result<Step, proto::wire::Malformed> {
    let request = Truncate::decode(payload, conn.version)?;
    let mut step = Step::Answered;
    core.as_caller(conn, &request.caller, |core, who| {
        step = match cut(core, conn, who, &request) {
            Ok(step) => step,
            Err(Refused { chunk, status }) => {
                core.wait_or_refuse(conn, kind::TRUNCATE, payload, chunk, request.msgid, status)
            }
        };
    })?;
    Ok(step)
}

fn cut(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &Truncate<'_>,
) -> Result<Step, Refused> {
    let Truncate { flags, length, .. } = *request;
    let inode = core.target_or_open(who, request.inode, flags & truncate_flag::OPENED != 0);
    let plan = core.ns.truncate_check(who, inode, flags, length)?;
    let present = core.ns.node(inode).ok_or(Status::Enoent)?.length;
    if flags & truncate_flag::RESERVE != 0 {
        let end = core.clients.append_ends.end(inode, present);
        let added = (end - present).saturating_add(length);
        if present.saturating_add(added) > LENGTH_MAX {
            return Err(Status::IndexTooBig.into());
        }
        core.ns.reserve_check(inode, length, added)?;
        let (offset, end) = core
            .clients
            .append_ends
            .reserve(inode, present, length)
            .filter(|&(_, end)| end <= LENGTH_MAX)
            .ok_or(Status::IndexTooBig)?;
        core.clients.marks.changed_by(inode, who.session);
        push::length_changed(core, inode, end, Some(conn.link));
        answer_truncate(core, conn, who, request.msgid, inode, offset);
        return Ok(Step::Answered);
    }
    core.clients.append_ends.forget(inode);
    let (index, chunk, shared) = match plan {
        TruncatePlan::NoChange => {
            if flags & truncate_flag::UPDATE == 0 {
                push::length_changed(core, inode, length, Some(conn.link));
            }
            answer_truncate(core, conn, who, request.msgid, inode, present);
            return Ok(Step::Answered);
        }
        TruncatePlan::SetLength => {
            let is_update = flags & truncate_flag::UPDATE != 0;
            let (ns, mut tx) = core.change();
            let previous = ns.set_length(&mut tx, inode, length, !is_update)?;
            if !is_update {
                core.clients.marks.changed_by(inode, who.session);
            }
            // As in 3.0.117 also when the length stays; an update is no news then.
            if previous != length || !is_update {
                push::length_changed(core, inode, length, Some(conn.link));
            }
            answer_truncate(core, conn, who, request.msgid, inode, previous);
            return Ok(Step::Answered);
        }
        TruncatePlan::Chunk {
            index,
            chunk,
            shared,
        } => (index, chunk, shared),
    };

    let token = core.next_token();
    let pending = Pending {
        conn: *conn,
        msgid: request.msgid,
        inode,
        index,
        kind: PendingKind::Truncate {
            length,
            uid: who.sent_uid,
            gid: who.sent_gid,
        },
    };
    let operation = TruncateRequest {
        inode,
        index,
        slot: if shared {
            SlotChunk::Shared(chunk)
        } else {
            SlotChunk::Own(chunk)
        },
        length_in_chunk: (length % CHUNK_BYTES) as u32,
        token,
    };
    let (planner, mut cx) = core.planner();
    match planner.truncate(&mut cx, &operation) {
        Progress::Granted(grant) => truncated(core, &pending, &grant),
        Progress::Pending => {
            core.clients.pending.insert(token, pending);
        }
        Progress::Refused(status) => return Err(Refused { chunk, status }),
    }
    Ok(Step::Locked)
}

/// Largest length of a file, bytes.
const LENGTH_MAX: u64 = (CHUNK_INDEX_MAX as u64 + 1) * CHUNK_BYTES;

/// The chunk has been cut: now the file is.
fn truncated(core: &mut Core, pending: &Pending, grant: &ChunkGrant) {
    let Pending { conn, inode, .. } = *pending;
    let PendingKind::Truncate { length, uid, gid } = pending.kind else {
        return;
    };
    let (ns, mut tx) = core.change();
    let previous = match ns.set_length(&mut tx, inode, length, true) {
        Ok(previous) => previous,
        Err(status) => return core.answer_status(&conn, kind::TRUNCATE, pending.msgid, status),
    };
    core.clients.marks.changed_by(inode, conn.session);
    let change = ChunkChanged {
        msgid: 0,
        inode,
        index: pending.index,
        chunk: grant.chunk,
        version: grant.version,
        length,
        truncated: true,
    };
    push::chunk_changed(core, &change, conn.link);
    let caller = Credentials {
        uid,
        gids: Gids::Single(gid),
    };
    let msgid = pending.msgid;
    // The connection is open: its requests are cancelled when it ends.
    let _ = core.as_caller(&conn, &caller, |core, who| {
        answer_truncate(core, &conn, who, msgid, inode, previous);
    });
}

fn answer_truncate(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    msgid: u32,
    inode: Inode,
    previous_length: u64,
) {
    let result = core.ns.attr(who, inode).map(|attr| TruncateReply {
        msgid,
        previous_length,
        attr,
    });
    core.answer_result(conn, kind::TRUNCATE, msgid, result);
}

/// The planner reports the end of an operation that was [`Progress::Pending`].
pub fn chunk_finished(core: &mut Core, token: OpToken, result: Result<ChunkGrant, Status>) {
    let Some(pending) = core.clients.pending.remove(&token) else {
        return;
    };
    let request = match pending.kind {
        PendingKind::Write => kind::WRITE_CHUNK,
        PendingKind::Truncate { .. } => kind::TRUNCATE,
    };
    match result {
        Ok(grant) if request == kind::WRITE_CHUNK => written(core, &pending, &grant),
        Ok(grant) => truncated(core, &pending, &grant),
        Err(status) => core.answer_status(&pending.conn, request, pending.msgid, status),
    }
}

/// A connection ended: what it asked for is taken back.
pub fn cancel_link(core: &mut Core, link: LinkId) {
    core.clients.waiting.drop_link(&link);
    let tokens: Vec<OpToken> = core
        .clients
        .pending
        .iter()
        .filter(|(_, pending)| pending.link() == link)
        .map(|(&token, _)| token)
        .collect();
    for token in tokens {
        core.clients.pending.remove(&token);
        let (planner, mut cx) = core.planner();
        planner.cancel(&mut cx, token);
    }
}

/// A chunk is no longer locked or busy: whoever waits for it tries again, in order of arrival, until
/// one of them locks it.
pub fn wake(core: &mut Core, chunk: ChunkId) {
    for _ in 0..core.clients.waiting.waiting_for(chunk) {
        let Some(request) = core.clients.waiting.pop(chunk) else {
            return;
        };
        let Some(record) = core.clients.links.get(request.link) else {
            continue;
        };
        let conn = record.conn;
        let step = match request.kind {
            kind::READ_CHUNK => try_read(core, &conn, &request.payload),
            kind::WRITE_CHUNK => try_write(core, &conn, &request.payload),
            _ => try_truncate(core, &conn, &request.payload),
        };
        if step == Ok(Step::Locked) {
            return;
        }
    }
}

/// Requests that have waited too long get their status.
pub fn expire(core: &mut Core) {
    for request in core.clients.waiting.expired(core.now.mono_ms) {
        let Some(record) = core.clients.links.get(request.link) else {
            continue;
        };
        let conn = record.conn;
        let msgid = request
            .payload
            .first_chunk()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes));
        core.answer_status(&conn, request.kind, msgid, request.status);
    }
}
