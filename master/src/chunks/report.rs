//! What chunkservers tell: who comes and goes, which copies they have (master-behaviour §6.3–§6.5).

use super::copies::{Copy, CopyState, OperationKind};
use super::planner::Chunks;
use super::records::Chunk;
use super::request::{Action, CommandKind, Cx, ServerId};
use super::servers::{DiskSpace, Identity, LoadReport, RemovalState, Server, Totals};
use proto::chunkserver::ReportedChunk;
use proto::{ChunkId, ChunkVersion, Status};

/// Seconds for which a chunk that nobody knew is kept before it is deleted.
const UNKNOWN_HOLD_SECONDS: u32 = 604_800;

/// At most so many messages about strange reports in a minute.
const THROTTLE_LINES: u32 = 10;
const THROTTLE_SECONDS: u32 = 60;

/// Counts messages of one kind, so that a mass of them does not fill the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Throttle {
    since: u32,
    lines: u32,
}

impl Throttle {
    fn allows(&mut self, now: u32) -> bool {
        if now.saturating_sub(self.since) >= THROTTLE_SECONDS {
            *self = Throttle {
                since: now,
                lines: 0,
            };
        }
        self.lines += 1;
        self.lines <= THROTTLE_LINES
    }
}

impl Chunks {
    /// A server begins to register; `None` when there are too many servers.
    pub fn connect(
        &mut self,
        now: u32,
        identity: Identity,
        space: DiskSpace,
        maintenance: bool,
    ) -> Option<ServerId> {
        // Turns of servers that come at the same moment are spread.
        let turns = self.servers.connected().len();
        let rack = self.rack_number(identity.ip);
        let distance = self.random.below(turns.max(1)) as u32;
        self.servers.add(Server {
            identity,
            labels: 0,
            rack,
            connected: true,
            registering: true,
            space,
            load: 0,
            load_report: LoadReport::Default,
            grace_until: 0,
            maintenance,
            errors: 0,
            writing: 0,
            replications_in: 0,
            replications_out: 0,
            deletions: 0,
            distance,
            correction: 0.0,
            first: true,
            removal: RemovalState::Unknown,
            removal_seen: false,
            removal_watched: false,
            totals: Totals::default(),
            since: now,
        })
    }

    /// A part of the list of copies of a registering server.
    pub fn register_chunks(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        chunks: impl IntoIterator<Item = ReportedChunk>,
    ) {
        for reported in chunks {
            self.has_copy(cx, server, reported);
        }
    }

    /// A server has told all its copies.
    pub fn register_end(&mut self, server: ServerId) {
        let Some(known) = self.servers.get_mut(server) else {
            return;
        };
        known.registering = false;
        if !self.servers.any_registering() {
            self.actions.push(Action::ForgetLocations);
        }
    }

    /// A scan found copies, or the removal mark of their disk changed.
    pub fn found(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        chunks: impl IntoIterator<Item = ReportedChunk>,
    ) {
        self.settle_new(cx.now);
        for reported in chunks {
            self.has_copy(cx, server, reported);
        }
    }

    /// One reported copy (§6.4).
    fn has_copy(&mut self, cx: &mut Cx<'_>, server: ServerId, reported: ReportedChunk) {
        let Some(chunk) = self.known_or_added(cx, server, reported.chunk, Some(reported.version))
        else {
            return;
        };
        let index = chunk.index;
        let marked = reported.marked_for_removal;
        let facts = self.copies.facts(index);
        match self.copies.find_mut(index, server) {
            Some(copy) => {
                if copy.state.is_usable() {
                    copy.state = copy.state.marked(marked);
                }
            }
            None => {
                let state = if reported.version == chunk.record.version {
                    CopyState::Valid
                } else {
                    CopyState::WrongVersion
                };
                self.copies.add(
                    index,
                    Copy {
                        version: reported.version.0,
                        server,
                        state: state.marked(marked),
                    },
                );
                if facts.settled {
                    self.copies.update(index, |facts| facts.settled = false);
                }
                if facts.writing
                    && let Some(server) = self.servers.get_mut(server)
                {
                    server.writing += 1;
                }
            }
        }
        self.recount(cx.ns, &chunk);
    }

    /// The chunk of a report; one that nobody knows is recorded, to be deleted after a week.
    fn known_or_added(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        id: ChunkId,
        version: Option<ChunkVersion>,
    ) -> Option<Chunk> {
        if let Some(chunk) = Chunk::find(cx.ns, id) {
            return Some(chunk);
        }
        let now = cx.now.unix;
        let (version, locked_to) = match version {
            Some(version) => (version, now.saturating_add(UNKNOWN_HOLD_SECONDS)),
            None => (ChunkVersion(0), 0),
        };
        let (ns, mut tx) = cx.parts();
        let added = id != ChunkId::HOLE && ns.chunk_add(&mut tx, id, version, locked_to).is_ok();
        if self.unknown_reports.allows(now)
            && let Some(server) = self.servers.get(server)
        {
            let (ip, port) = (server.identity.ip, server.identity.port);
            if added {
                tracing::warn!(
                    "chunkserver ({ip}:{port}) has nonexistent chunk ({:016X}_{:08X}), so create it for future deletion",
                    id.0,
                    version.0
                );
            } else {
                tracing::warn!(
                    "chunkserver ({ip}:{port}) has nonexistent chunk ({:016X}_{:08X}), id looks wrong - just ignore it",
                    id.0,
                    version.0
                );
            }
        }
        if !added {
            return None;
        }
        let chunk = Chunk::find(cx.ns, id)?;
        self.forget(chunk.index);
        self.recount(cx.ns, &chunk);
        Some(chunk)
    }

    /// Copies are damaged.
    pub fn damaged(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        chunks: impl IntoIterator<Item = ChunkId>,
    ) {
        for id in chunks {
            let Some(chunk) = self.known_or_added(cx, server, id, None) else {
                continue;
            };
            let index = chunk.index;
            match self.copies.find_mut(index, server) {
                Some(copy) => {
                    let state = copy.state;
                    if copy.state != CopyState::Deleting {
                        copy.state = CopyState::Invalid;
                        copy.version = 0;
                    }
                    self.copies.update(index, |facts| facts.settled = false);
                    self.usable_copy_lost(cx, &chunk, server, state);
                }
                None => self.add_copy(
                    index,
                    Copy {
                        version: 0,
                        server,
                        state: CopyState::Invalid,
                    },
                ),
            }
            self.recount(cx.ns, &chunk);
            self.queue_check(cx.ns, cx.now, &chunk);
        }
    }

    /// Copies are gone.
    pub fn lost(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        chunks: impl IntoIterator<Item = ChunkId>,
    ) {
        self.settle_lost(cx.now);
        for id in chunks {
            let Some(chunk) = Chunk::find(cx.ns, id) else {
                continue;
            };
            let replication = self.replications.get(&(chunk.index, server)).copied();
            let Some(copy) = self.copies.find(chunk.index, server) else {
                continue;
            };
            // While a copy is being made the server may well say that it has none.
            if replication.is_some() {
                continue;
            }
            self.remove_copy(chunk.index, server);
            self.usable_copy_lost(cx, &chunk, server, copy.state);
            self.recount(cx.ns, &chunk);
            self.queue_check(cx.ns, cx.now, &chunk);
            self.try_remove(cx, id);
        }
    }

    /// A copy is gone or damaged: whatever was running for it has failed.
    fn usable_copy_lost(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        server: ServerId,
        state: CopyState,
    ) {
        match self.end_replication(chunk.index, server) {
            Some(replication) if replication.rebalance => {}
            Some(_) => self.end_locked_replication(cx, chunk),
            None => self.copy_of_operation_lost(cx, chunk, state),
        }
    }

    /// The operation of a client lost a copy. That counts also when the copy had answered: it can
    /// come back with the version of the operation and without the data that the client writes.
    fn copy_of_operation_lost(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, state: CopyState) {
        let operation = self.copies.facts(chunk.index).operation;
        let of_client = !matches!(operation, OperationKind::None | OperationKind::Replicate);
        if of_client && state.is_usable() {
            self.interrupt(chunk.index, Status::Disconnected);
            self.finish_if_answered(cx, chunk.id());
        }
    }

    /// A disk error.
    pub fn error_occurred(&mut self, server: ServerId) {
        if let Some(server) = self.servers.get_mut(server) {
            server.errors = server.errors.saturating_add(1);
        }
    }

    /// A chunkserver answered an order.
    pub fn status(
        &mut self,
        cx: &mut Cx<'_>,
        server: ServerId,
        kind: CommandKind,
        chunk: ChunkId,
        status: Status,
    ) {
        match kind {
            CommandKind::Delete => self.delete_status(cx, server, chunk, status),
            CommandKind::Replicate => self.replicate_status(cx, server, chunk, status),
            _ => self.operation_status(cx, server, kind, chunk, status),
        }
    }

    fn delete_status(&mut self, cx: &mut Cx<'_>, server: ServerId, id: ChunkId, status: Status) {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return;
        };
        self.end_deletion(chunk.index, server);
        let deleting = self
            .copies
            .find(chunk.index, server)
            .is_some_and(|copy| copy.state == CopyState::Deleting);
        if deleting && matches!(status, Status::Ok | Status::NoChunk) {
            self.remove_copy(chunk.index, server);
            self.recount(cx.ns, &chunk);
            self.try_remove(cx, id);
        }
    }

    fn replicate_status(&mut self, cx: &mut Cx<'_>, server: ServerId, id: ChunkId, status: Status) {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return;
        };
        let Some(replication) = self.end_replication(chunk.index, server) else {
            return;
        };
        let void = replication.version != chunk.record.version
            || replication.rebalance
                && (chunk.is_locked(cx.now.unix)
                    || self.copies.facts(chunk.index).operation != OperationKind::None);
        if status != Status::Ok {
            self.remove_copy(chunk.index, server);
        } else if let Some(copy) = self.copies.find_mut(chunk.index, server)
            && copy.state.is_busy()
        {
            if void {
                copy.state = CopyState::Invalid;
                copy.version = 0;
            } else {
                copy.state = copy.state.valid();
            }
        }
        if replication.rebalance {
            self.recount(cx.ns, &chunk);
            self.work_now(cx, id);
        } else {
            self.end_locked_replication(cx, &chunk);
        }
    }

    /// The replication that held the chunk's lock is over.
    pub(super) fn end_locked_replication(&mut self, cx: &mut Cx<'_>, chunk: &Chunk) {
        self.copies
            .update(chunk.index, |facts| facts.operation = OperationKind::None);
        cx.ns.lock_chunk_unlogged(chunk.id(), 0);
        self.after_operation(cx, chunk.id());
    }

    /// A server is gone: what ran there has failed, its copies count no more (§6.5).
    pub fn disconnect(&mut self, cx: &mut Cx<'_>, server: ServerId) {
        if !self.servers.is_connected(server) {
            return;
        }
        self.servers.disconnect(server);
        self.walk.begin(server, cx.ns.chunk_index_bound());
        self.check.pause(cx.now);
        self.servers.each_mut(|_, other| {
            other.removal = RemovalState::Unknown;
            other.removal_seen = false;
            other.removal_watched = false;
        });
        let mut affected = self.operations.indexes();
        affected.extend(
            self.replications
                .keys()
                .filter(|(_, destination)| *destination == server)
                .map(|&(index, _)| index),
        );
        affected.sort_unstable();
        affected.dedup();
        for index in affected {
            let Some(copy) = self.copies.find(index, server) else {
                continue;
            };
            let Some(chunk) = Chunk::at(cx.ns, index) else {
                continue;
            };
            let replication = self.replications.get(&(index, server)).copied();
            self.remove_copy(index, server);
            match replication {
                Some(replication) if replication.rebalance => {}
                Some(_) => self.end_locked_replication(cx, &chunk),
                None => self.copy_of_operation_lost(cx, &chunk, copy.state),
            }
        }
        self.actions.push(Action::ForgetLocations);
    }

    /// References, class or archive flag of a chunk changed, or it was unlocked.
    pub fn changed(&mut self, cx: &mut Cx<'_>, id: ChunkId) {
        if let Some(chunk) = Chunk::find(cx.ns, id) {
            self.recount(cx.ns, &chunk);
            self.queue_check(cx.ns, cx.now, &chunk);
            self.try_remove(cx, id);
        }
    }

    /// New space figures of a server.
    pub fn set_space(&mut self, server: ServerId, space: DiskSpace) {
        if let Some(server) = self.servers.get_mut(server) {
            server.space = space;
        }
    }

    /// New labels of a server.
    pub fn set_labels(&mut self, server: ServerId, labels: u32) {
        if let Some(server) = self.servers.get_mut(server) {
            server.labels = labels;
        }
    }

    /// A server goes into maintenance or leaves it.
    pub fn set_maintenance(&mut self, server: ServerId, maintenance: bool) {
        if let Some(server) = self.servers.get_mut(server) {
            server.maintenance = maintenance;
        }
    }

    /// Reports that a strange chunk state was found; bounded by the pass.
    pub(super) fn complain(&mut self, chunk: &Chunk, what: &str) {
        if self.sweep.may_complain() {
            tracing::warn!("chunk {}: {what}", chunk);
        }
    }
}
