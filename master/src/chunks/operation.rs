//! Operations that clients start: writes and truncates, their failures and their ends
//! (master-behaviour §3).

use super::copies::{Copy, CopyState, OperationKind};
use super::planner::Chunks;
use super::records::{Chunk, Want};
use super::request::{
    Action, ChunkGrant, Command, CommandKind, Cx, OpToken, Progress, ServerId, SlotChunk,
    TruncateRequest, WriteRequest,
};
use proto::{ChunkId, ChunkVersion, Inode, Status};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
struct Purpose {
    token: OpToken,
    /// For the order of locations; `None` when the answer has none (truncate).
    client_ip: Option<Ipv4Addr>,
    inode: Inode,
    slot: u32,
    /// What the slot held before.
    previous: ChunkId,
    /// Whether a write changes mtime and ctime.
    changes_mtime: bool,
}

/// An operation that some chunkserver has not answered.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// `None` once the client is gone.
    purpose: Option<Purpose>,
    /// Every failure so far was "no space".
    only_no_space: bool,
    /// Some server may have carried the order out without our knowing: it went, or it answered an
    /// error after which nothing is known.
    doubtful: bool,
}

/// All running operations, by chunk index.
#[derive(Debug, Default)]
pub(super) struct Operations {
    running: HashMap<u32, Running>,
    tokens: HashMap<OpToken, u32>,
}

impl Operations {
    fn begin(&mut self, index: u32, purpose: Purpose) {
        self.tokens.insert(purpose.token, index);
        self.running.insert(
            index,
            Running {
                purpose: Some(purpose),
                only_no_space: true,
                doubtful: false,
            },
        );
    }

    /// Forgets the client of an operation.
    fn take_purpose(&mut self, index: u32) -> Option<Purpose> {
        let purpose = self.running.get_mut(&index)?.purpose.take()?;
        self.tokens.remove(&purpose.token);
        Some(purpose)
    }

    fn end(&mut self, index: u32) -> Option<Purpose> {
        let purpose = self.take_purpose(index);
        self.running.remove(&index);
        purpose
    }

    fn only_no_space(&self, index: u32) -> bool {
        self.running
            .get(&index)
            .is_some_and(|running| running.only_no_space)
    }

    fn is_doubtful(&self, index: u32) -> bool {
        self.running
            .get(&index)
            .is_some_and(|running| running.doubtful)
    }

    fn failed(&mut self, index: u32, status: Status) {
        if let Some(running) = self.running.get_mut(&index) {
            running.only_no_space &= status == Status::NoSpace;
            running.doubtful |= status != Status::NotDone;
        }
    }

    /// Chunks with a running operation.
    pub fn indexes(&self) -> Vec<u32> {
        self.running.keys().copied().collect()
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

impl Chunks {
    /// Prepares a slot for writing (§3.3, from the chunk phase on). Makes the WRITE line itself.
    pub fn write(&mut self, cx: &mut Cx<'_>, request: &WriteRequest) -> Progress {
        let result = match request.slot {
            SlotChunk::Hole => self.create(cx, request),
            SlotChunk::Own(chunk) => self.write_own(cx, request, chunk),
            SlotChunk::Shared(chunk) => {
                self.ready(cx, chunk, request.continues).and_then(|chunk| {
                    let purpose = write_purpose(request, chunk.id());
                    self.duplicate(cx, &chunk, purpose, None)
                })
            }
        };
        result.unwrap_or_else(Progress::Refused)
    }

    /// Cuts or extends the chunk in a slot (§3.5). Makes the TRUNC line and, at the end, the UNLOCK
    /// line; the LENGTH line is the caller's, when the answer has come.
    pub fn truncate(&mut self, cx: &mut Cx<'_>, request: &TruncateRequest) -> Progress {
        let (id, shared) = match request.slot {
            // Without a chunk there is nothing to cut.
            SlotChunk::Hole => return Progress::Refused(Status::NoChunk),
            SlotChunk::Own(id) => (id, false),
            SlotChunk::Shared(id) => (id, true),
        };
        let purpose = Purpose {
            token: request.token,
            client_ip: None,
            inode: request.inode,
            slot: request.index,
            previous: id,
            changes_mtime: false,
        };
        let length = request.length_in_chunk;
        let result = self.ready(cx, id, false).and_then(|chunk| {
            if shared {
                self.duplicate(cx, &chunk, purpose, Some(length))
            } else {
                self.raise_version(cx, &chunk, purpose, Some(length))
            }
        });
        result.unwrap_or_else(Progress::Refused)
    }

    /// The writer is done (§3.4): UNLOCK line, and whatever work the chunk now needs.
    ///
    /// # Errors
    /// [`Status::NoChunk`] for an unknown chunk.
    pub fn write_end(&mut self, cx: &mut Cx<'_>, chunk: ChunkId) -> Result<(), Status> {
        let found = Chunk::find(cx.ns, chunk).ok_or(Status::NoChunk)?;
        let (ns, mut tx) = cx.parts();
        ns.unlock_chunk(&mut tx, chunk)?;
        self.set_writing(found.index, false);
        self.work_now(cx, chunk);
        Ok(())
    }

    /// The client of a pending request is gone: the request is rolled back at once (§3.7).
    pub fn cancel(&mut self, cx: &mut Cx<'_>, token: OpToken) {
        let Some(&index) = self.operations.tokens.get(&token) else {
            return;
        };
        if let Some(purpose) = self.operations.take_purpose(index) {
            self.roll_back(cx, index, purpose);
        }
    }

    /// Tests of a slot's chunk before it may be changed.
    fn ready(&mut self, cx: &mut Cx<'_>, id: ChunkId, continues: bool) -> Result<Chunk, Status> {
        let chunk = Chunk::find(cx.ns, id).ok_or(Status::NoChunk)?;
        if self.drop_gone(chunk.index) {
            self.recount(cx.ns, &chunk);
        }
        if chunk.is_locked(cx.now.unix) && !continues {
            return Err(Status::Locked);
        }
        if self.copies.facts(chunk.index).operation != OperationKind::None {
            return Err(Status::ChunkBusy);
        }
        let valid = self.count(chunk.index, |state| state == CopyState::Valid);
        let needed = usize::from(cx.ns.copies_needed(&chunk.record));
        if !self.is_settled_for_writing(cx.now) && valid < needed {
            return Err(Status::Eagain);
        }
        if self.count(chunk.index, CopyState::is_confirmed) == 0 {
            return Err(if self.is_complete(cx.now) {
                Status::ChunkLost
            } else {
                Status::CsNotPresent
            });
        }
        Ok(chunk)
    }

    fn create(&mut self, cx: &mut Cx<'_>, request: &WriteRequest) -> Result<Progress, Status> {
        let want = Want::at_creation(cx.ns, request.class).ok_or(Status::Einval)?;
        let servers = self.choose(cx.now, &want, request.client_ip)?;
        let (ns, mut tx) = cx.parts();
        let id = ns.write_chunk(
            &mut tx,
            request.inode,
            request.index,
            true,
            request.changes_mtime,
        )?;
        let chunk = Chunk::find(cx.ns, id).ok_or(Status::NoChunk)?;
        let purpose = write_purpose(request, ChunkId::HOLE);
        let command = Command::Create {
            chunk: id,
            version: chunk.record.version,
        };
        for &server in &servers {
            if let Some(server) = self.servers.get_mut(server) {
                server.totals.created += 1;
            }
        }
        self.begin_new(
            cx,
            &chunk,
            OperationKind::Create,
            &servers,
            command,
            purpose,
        );
        Ok(Progress::Pending)
    }

    fn write_own(
        &mut self,
        cx: &mut Cx<'_>,
        request: &WriteRequest,
        id: ChunkId,
    ) -> Result<Progress, Status> {
        let chunk = self.ready(cx, id, request.continues)?;
        if !self.copies.facts(chunk.index).settled {
            return self.raise_version(cx, &chunk, write_purpose(request, id), None);
        }
        let (ns, mut tx) = cx.parts();
        ns.write_chunk(
            &mut tx,
            request.inode,
            request.index,
            false,
            request.changes_mtime,
        )?;
        self.set_writing(chunk.index, true);
        Ok(Progress::Granted(ChunkGrant {
            chunk: id,
            version: chunk.record.version,
            servers: self.locations(chunk.index, request.client_ip),
        }))
    }

    /// SET_VERSION or TRUNCATE on every good copy.
    fn raise_version(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        purpose: Purpose,
        length: Option<u32>,
    ) -> Result<Progress, Status> {
        let (ns, mut tx) = cx.parts();
        match length {
            None => ns.write_chunk(
                &mut tx,
                purpose.inode,
                purpose.slot,
                true,
                purpose.changes_mtime,
            )?,
            Some(_) => ns.trunc_chunk(&mut tx, purpose.inode, purpose.slot)?,
        };
        let raised = Chunk::find(cx.ns, chunk.id()).ok_or(Status::NoChunk)?;
        let kind = match length {
            None => OperationKind::SetVersion,
            Some(_) => OperationKind::Truncate,
        };
        self.set_writing(chunk.index, true);
        self.order_version(&raised, chunk.record.version, kind, length);
        self.operations.begin(chunk.index, purpose);
        Ok(Progress::Pending)
    }

    /// Makes every good copy busy and orders its version to be raised to the chunk's.
    fn order_version(
        &mut self,
        chunk: &Chunk,
        old_version: ChunkVersion,
        kind: OperationKind,
        length: Option<u32>,
    ) {
        let index = chunk.index;
        let (id, version) = (chunk.id(), chunk.record.version);
        let command = match length {
            None => Command::SetVersion {
                chunk: id,
                version,
                old_version,
            },
            Some(length) => Command::Truncate {
                chunk: id,
                length,
                version,
                old_version,
            },
        };
        self.copies.update(index, |facts| {
            facts.operation = kind;
            facts.interrupted = false;
        });
        for copy in self.copies.of_mut(index) {
            if copy.state.is_confirmed() {
                copy.state = copy.state.busy();
                copy.version = version.0;
                self.actions.push(Action::Send {
                    server: copy.server,
                    command,
                });
            }
        }
    }

    /// DUPLICATE or DUPLICATE+TRUNCATE of a shared chunk into a new one.
    fn duplicate(
        &mut self,
        cx: &mut Cx<'_>,
        source: &Chunk,
        purpose: Purpose,
        length: Option<u32>,
    ) -> Result<Progress, Status> {
        let servers: Vec<ServerId> = self
            .copies
            .of(source.index)
            .iter()
            .filter(|copy| copy.state.is_confirmed())
            .map(|copy| copy.server)
            .collect();
        let (ns, mut tx) = cx.parts();
        let id = match length {
            None => ns.write_chunk(
                &mut tx,
                purpose.inode,
                purpose.slot,
                true,
                purpose.changes_mtime,
            )?,
            Some(_) => ns.trunc_chunk(&mut tx, purpose.inode, purpose.slot)?,
        };
        let chunk = Chunk::find(cx.ns, id).ok_or(Status::NoChunk)?;
        let (version, source_version) = (chunk.record.version, source.record.version);
        let (kind, command) = match length {
            None => (
                OperationKind::Duplicate,
                Command::Duplicate {
                    chunk: id,
                    version,
                    source: source.id(),
                    source_version,
                },
            ),
            Some(length) => (
                OperationKind::DuplicateTruncate,
                Command::DuplicateTruncate {
                    chunk: id,
                    version,
                    source: source.id(),
                    source_version,
                    length,
                },
            ),
        };
        self.begin_new(cx, &chunk, kind, &servers, command, purpose);
        Ok(Progress::Pending)
    }

    /// Records the busy copies of a new chunk and sends the orders that make them.
    fn begin_new(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        kind: OperationKind,
        servers: &[ServerId],
        command: Command,
        purpose: Purpose,
    ) {
        self.forget(chunk.index);
        for &server in servers {
            self.add_copy(
                chunk.index,
                Copy {
                    version: chunk.record.version.0,
                    server,
                    state: CopyState::Busy,
                },
            );
            self.send(server, command);
        }
        self.copies
            .update(chunk.index, |facts| facts.operation = kind);
        self.set_writing(chunk.index, true);
        self.operations.begin(chunk.index, purpose);
        self.recount(cx.ns, chunk);
    }

    /// A chunkserver answered an order of a client's operation.
    pub(super) fn operation_status(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        kind: CommandKind,
        id: ChunkId,
        status: Status,
    ) {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return;
        };
        let index = chunk.index;
        let operation = self.copies.facts(index).operation;
        if expected(operation) != Some(kind) {
            tracing::warn!(
                "got unexpected status (expected: {operation:?} ; got: {kind:?}) for chunk {}",
                chunk
            );
        }
        if self.is_rebalance(index, server) {
            return;
        }
        let Some(copy) = self.copies.find_mut(index, server) else {
            return;
        };
        if !copy.state.is_busy() {
            return;
        }
        let makes_new = matches!(
            operation,
            OperationKind::Create | OperationKind::Duplicate | OperationKind::DuplicateTruncate
        );
        match status {
            Status::Ok => copy.state = copy.state.valid(),
            Status::NotDone if makes_new => {
                self.remove_copy(index, server);
            }
            Status::NotDone => {
                copy.state = copy.state.wrong_version();
                copy.version = chunk.record.version.0.wrapping_sub(1);
            }
            _ => {
                copy.state = CopyState::Invalid;
                copy.version = 0;
            }
        }
        if status != Status::Ok {
            self.interrupt(index, status);
        }
        self.finish_if_answered(cx, id);
    }

    /// The running operation of a chunk failed on one copy.
    pub(super) fn interrupt(&mut self, index: u32, status: Status) {
        self.operations.failed(index, status);
        self.copies.update(index, |facts| {
            facts.interrupted = true;
            facts.settled = false;
        });
    }

    /// Ends an operation when no server owes an answer any more.
    pub(super) fn finish_if_answered(&mut self, cx: &mut Cx<'_>, id: ChunkId) {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return;
        };
        let index = chunk.index;
        self.recount(cx.ns, &chunk);
        let facts = self.copies.facts(index);
        if matches!(
            facts.operation,
            OperationKind::None | OperationKind::Replicate
        ) || self
            .copies
            .of(index)
            .iter()
            .any(|copy| copy.state.is_busy() && !self.is_rebalance(index, copy.server))
        {
            return;
        }
        if self.count(index, CopyState::is_confirmed) == 0 {
            self.fail(cx, &chunk, facts.operation);
        } else if facts.interrupted && chunk.is_referenced() {
            self.emergency_increase(cx, &chunk);
        } else {
            self.succeed(cx, &chunk, facts.interrupted);
        }
    }

    /// Some copy failed: the good ones get one more version before the client is answered, so that
    /// the failed one can never be taken for good (§3.7).
    fn emergency_increase(&mut self, cx: &mut Cx<'_>, chunk: &Chunk) {
        let old_version = chunk.record.version;
        let version = ChunkVersion(old_version.0.wrapping_add(1));
        let (ns, mut tx) = cx.parts();
        if ns.chunk_set_version(&mut tx, chunk.id(), version).is_err() {
            return;
        }
        let Some(raised) = Chunk::find(cx.ns, chunk.id()) else {
            return;
        };
        self.order_version(&raised, old_version, OperationKind::SetVersion, None);
    }

    fn end_operation(&mut self, index: u32, settled: bool) {
        self.copies.update(index, |facts| {
            facts.operation = OperationKind::None;
            facts.interrupted = false;
            facts.settled = settled;
        });
    }

    fn succeed(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, interrupted: bool) {
        self.end_operation(chunk.index, !interrupted);
        let Some(purpose) = self.operations.end(chunk.index) else {
            self.after_operation(cx, chunk.id());
            return;
        };
        let servers = match purpose.client_ip {
            Some(client_ip) => self.locations(chunk.index, client_ip),
            None => Vec::new(),
        };
        if purpose.client_ip.is_none() {
            let (ns, mut tx) = cx.parts();
            if let Err(status) = ns.unlock_chunk(&mut tx, chunk.id()) {
                tracing::error!("chunk {}: unlocking failed: {status}", chunk);
            }
            self.set_writing(chunk.index, false);
        }
        self.actions.push(Action::Finished {
            token: purpose.token,
            result: Ok(ChunkGrant {
                chunk: chunk.id(),
                version: chunk.record.version,
                servers,
            }),
        });
        if purpose.client_ip.is_none() {
            self.after_operation(cx, chunk.id());
        }
    }

    fn fail(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, operation: OperationKind) {
        let index = chunk.index;
        let changes_version = matches!(
            operation,
            OperationKind::SetVersion | OperationKind::Truncate
        );
        let doubtful = self.operations.is_doubtful(index);
        if let Some(purpose) = self.operations.take_purpose(index) {
            let status = if self.operations.only_no_space(index) {
                Status::NoSpace
            } else {
                Status::NotDone
            };
            self.roll_back(cx, index, purpose);
            self.actions.push(Action::Finished {
                token: purpose.token,
                result: Err(status),
            });
        }
        if changes_version && self.keep_untouched(cx, chunk, doubtful) {
            return;
        }
        self.end_operation(index, false);
        self.operations.end(index);
        self.after_operation(cx, chunk.id());
    }

    /// Copies on which a failed operation did not even start count again; `true` when that takes
    /// another operation.
    ///
    /// The real master takes the version back by one. That is safe only if nobody can have the
    /// version that was ordered: a server that carried the order out and went before it could say so
    /// would later be taken for good, with old data, once the next write gives that version again.
    /// In doubt the untouched copies get a version that nobody has.
    fn keep_untouched(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, doubtful: bool) -> bool {
        let index = chunk.index;
        let before = chunk.record.version.0.wrapping_sub(1);
        let untouched = |copy: &Copy| copy.state.is_wrong_version() && copy.version == before;
        if !self.copies.of(index).iter().any(untouched) {
            return false;
        }
        let version = if doubtful {
            chunk.record.version.0.wrapping_add(1)
        } else {
            before
        };
        let (ns, mut tx) = cx.parts();
        if ns
            .chunk_set_version(&mut tx, chunk.id(), ChunkVersion(version))
            .is_err()
        {
            return false;
        }
        for copy in self.copies.of_mut(index) {
            if untouched(copy) {
                copy.state = copy.state.valid();
            }
        }
        if !doubtful {
            return false;
        }
        let Some(raised) = Chunk::at(cx.ns, index) else {
            return false;
        };
        self.order_version(
            &raised,
            ChunkVersion(before),
            OperationKind::SetVersion,
            None,
        );
        true
    }

    /// Gives the slot back what it held before, and unlocks the chunk.
    fn roll_back(&mut self, cx: &mut Cx<'_>, index: u32, purpose: Purpose) {
        let Some(chunk) = Chunk::at(cx.ns, index) else {
            return;
        };
        let (ns, mut tx) = cx.parts();
        if let Err(status) = ns.rollback_chunk(
            &mut tx,
            purpose.inode,
            purpose.slot,
            purpose.previous,
            chunk.id(),
        ) {
            tracing::error!(
                "chunk {}: rolling back inode {} slot {} failed: {status}",
                chunk,
                purpose.inode,
                purpose.slot
            );
        }
        self.set_writing(index, false);
        if let Some(chunk) = Chunk::at(cx.ns, index) {
            self.recount(cx.ns, &chunk);
        }
        if purpose.previous != chunk.id() && purpose.previous != ChunkId::HOLE {
            self.changed(cx, purpose.previous);
        }
    }

    /// An operation or lock ended: waiting requests, the queue, the end of the record.
    pub(super) fn after_operation(&mut self, cx: &mut Cx<'_>, id: ChunkId) {
        if let Some(chunk) = Chunk::find(cx.ns, id) {
            self.recount(cx.ns, &chunk);
            self.queue_check(cx.ns, cx.now, &chunk);
        }
        self.actions.push(Action::Wake(id));
        self.try_remove(cx, id);
    }
}

fn write_purpose(request: &WriteRequest, previous: ChunkId) -> Purpose {
    Purpose {
        token: request.token,
        client_ip: Some(request.client_ip),
        inode: request.inode,
        slot: request.index,
        previous,
        changes_mtime: request.changes_mtime,
    }
}

/// Answers that an operation waits for.
fn expected(operation: OperationKind) -> Option<CommandKind> {
    match operation {
        OperationKind::None => None,
        OperationKind::Create => Some(CommandKind::Create),
        OperationKind::SetVersion => Some(CommandKind::SetVersion),
        OperationKind::Duplicate => Some(CommandKind::Duplicate),
        OperationKind::Truncate => Some(CommandKind::Truncate),
        OperationKind::DuplicateTruncate => Some(CommandKind::DuplicateTruncate),
        OperationKind::Replicate => Some(CommandKind::Replicate),
    }
}
