//! What the planner knows, and the small steps that every part of it uses.

use super::check::Check;
use super::copies::{Copies, Copy, CopyState, Counted, OperationKind};
use super::counters::{Census, LoopCounters, LoopReport};
use super::limits::DeletionLimit;
use super::operation::Operations;
use super::places::{NoRacks, Places};
use super::queues::{Priority, Queues};
use super::random::Random;
use super::records::{Chunk, Want};
use super::request::{Action, Command, Cx, ServerId};
use super::servers::{Server, Servers};
use super::settings::{ChunkSettings, UniqueMode};
use super::sweep::Sweep;
use super::walk::Walk;
use crate::core::Now;
use metadata::Namespace;
use proto::{ChunkId, ChunkVersion};
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

/// A replication under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replication {
    /// Who gives the copy.
    pub source: ServerId,
    /// Version of the chunk when it began.
    pub version: ChunkVersion,
    /// Made to even out: without lock, and void if the chunk changes meanwhile (§7.7).
    pub rebalance: bool,
}

/// What the planner knows of the chunkserver database (§6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Known servers that are not connected.
    pub absent: u32,
    /// How many of these are in maintenance.
    pub absent_in_maintenance: u32,
}

/// Seconds from the start of the master until the picture can be called stable (§1).
const STABLE_AFTER_MS: u64 = 10_000;
/// Rest after a report of new copies.
const SETTLE_NEW_MS: u64 = 3_000;
/// Rest after a report of lost copies.
const SETTLE_LOST_MS: u64 = 1_000;

/// The planner.
#[derive(Debug)]
pub struct Chunks {
    /// Orders and results, for the shell to drain after each event.
    pub actions: Vec<Action>,
    pub(super) settings: ChunkSettings,
    pub(super) places: Box<dyn Places>,
    /// Names of racks; servers keep the place of theirs.
    pub(super) racks: Vec<Box<str>>,
    pub(super) random: Random,
    pub(super) seed: u64,
    pub(super) started: Now,
    pub(super) servers: Servers,
    pub(super) copies: Copies,
    pub(super) census: Census,
    pub(super) operations: Operations,
    pub(super) replications: HashMap<(u32, ServerId), Replication>,
    /// Deletions without an answer.
    pub(super) deletions: HashSet<(u32, ServerId)>,
    pub(super) queues: Queues,
    pub(super) deletion_limit: DeletionLimit,
    pub(super) presence: Presence,
    pub(super) settle_new_until_ms: u64,
    pub(super) settle_lost_until_ms: u64,
    pub(super) walk: Walk,
    pub(super) sweep: Sweep,
    pub(super) counters: LoopCounters,
    pub(super) report: LoopReport,
    pub(super) check: Check,
    pub(super) last_rebalance_ms: u64,
    pub(super) usage_order: super::rebalance::UsageOrder,
    /// Allocations since the turns of the servers were last set to random values (§5.3).
    pub(super) allocations: u32,
    pub(super) unknown_reports: super::report::Throttle,
}

impl Chunks {
    /// A planner that knows no server yet; `now` is the start of the master.
    pub fn new(settings: &ChunkSettings, now: Now, seed: u64) -> Chunks {
        Chunks {
            actions: Vec::new(),
            places: Box::new(NoRacks),
            racks: Vec::new(),
            random: Random::new(seed),
            seed,
            started: now,
            servers: Servers::default(),
            copies: Copies::default(),
            census: Census::default(),
            operations: Operations::default(),
            replications: HashMap::new(),
            deletions: HashSet::new(),
            queues: Queues::new(settings.queue_length),
            deletion_limit: DeletionLimit::new(settings),
            presence: Presence::default(),
            settle_new_until_ms: 0,
            settle_lost_until_ms: 0,
            walk: Walk::default(),
            sweep: Sweep::default(),
            counters: LoopCounters::default(),
            report: LoopReport::default(),
            check: Check::default(),
            last_rebalance_ms: now.mono_ms,
            usage_order: Default::default(),
            allocations: 0,
            unknown_reports: Default::default(),
            settings: settings.clone(),
        }
    }

    /// Counts the chunks of a file system that was just loaded.
    pub fn attach(&mut self, ns: &Namespace) {
        for index in 0..ns.chunk_index_bound() {
            if let Some(chunk) = Chunk::at(ns, index) {
                self.recount(ns, &chunk);
            }
        }
    }

    /// Changes the settings. The priority queues are emptied when their length changes.
    pub fn reload(&mut self, settings: &ChunkSettings) {
        if settings.queue_length != self.settings.queue_length {
            for index in self.queues.reset(settings.queue_length) {
                self.copies.update(index, |facts| facts.queued = 0);
            }
        }
        self.deletion_limit.reload(settings);
        self.settings = settings.clone();
    }

    /// Takes over a (new) topology.
    pub fn set_places(&mut self, places: Box<dyn Places>) {
        self.places = places;
        self.racks.clear();
        for id in self.servers.connected().to_vec() {
            let ip = self.servers.get(id).map(|server| server.identity.ip);
            let rack = ip.and_then(|ip| self.rack_number(ip));
            if let Some(server) = self.servers.get_mut(id) {
                server.rack = rack;
            }
        }
    }

    /// Number of the rack of an address; `None` when it is undefined.
    pub(super) fn rack_number(&mut self, ip: Ipv4Addr) -> Option<u32> {
        let rack = self.places.rack(ip);
        if rack.is_empty() {
            return None;
        }
        let place = match self.racks.iter().position(|known| **known == *rack) {
            Some(place) => place,
            None => {
                self.racks.push(rack.into());
                self.racks.len() - 1
            }
        };
        u32::try_from(place).ok()
    }

    /// Which servers of the database are away.
    pub fn set_presence(&mut self, presence: Presence) {
        self.presence = presence;
    }

    /// More than ten seconds after the start, and nobody registers (§1).
    pub(super) fn is_stable(&self, now: Now) -> bool {
        now.mono_ms.saturating_sub(self.started.mono_ms) > STABLE_AFTER_MS
            && !self.servers.any_registering()
    }

    /// Stable, and no new copies were reported in the last seconds (§3.3 ¹).
    pub(super) fn is_settled_for_writing(&self, now: Now) -> bool {
        self.is_stable(now) && now.mono_ms >= self.settle_new_until_ms
    }

    /// Nothing registers, nothing is being forgotten, nothing was just reported.
    pub(super) fn is_quiet(&self, now: Now) -> bool {
        !self.servers.any_registering()
            && !self.walk.is_running()
            && now.mono_ms >= self.settle_new_until_ms
            && now.mono_ms >= self.settle_lost_until_ms
    }

    /// Whatever has no copy now has none at all: quiet, and every known server is connected.
    pub fn is_complete(&self, now: Now) -> bool {
        self.is_quiet(now) && self.presence.absent == 0
    }

    /// Background work may be done (§7.1 (3)).
    pub(super) fn may_work(&self, now: Now) -> bool {
        let since_start_ms = now.mono_ms.saturating_sub(self.started.mono_ms);
        self.is_quiet(now)
            && since_start_ms >= u64::from(self.settings.delay_init_seconds) * 1000
            && !self.servers.connected().is_empty()
    }

    /// All absent servers are in maintenance: nothing is replicated for them (§6.6).
    pub(super) fn is_undergoal_suspended(&self) -> bool {
        self.presence.absent != 0 && self.presence.absent == self.presence.absent_in_maintenance
    }

    pub(super) fn settle_new(&mut self, now: Now) {
        self.settle_new_until_ms = now.mono_ms + SETTLE_NEW_MS;
    }

    pub(super) fn settle_lost(&mut self, now: Now) {
        self.settle_lost_until_ms = now.mono_ms + SETTLE_LOST_MS;
    }

    pub(super) fn send(&mut self, server: ServerId, command: Command) {
        self.actions.push(Action::Send { server, command });
    }

    /// Adds a copy, and keeps the servers' count of chunks being written.
    pub(super) fn add_copy(&mut self, index: u32, copy: Copy) {
        self.copies.add(index, copy);
        let writing = self.copies.facts(index).writing;
        self.copies.update(index, |facts| facts.settled = false);
        if writing && let Some(server) = self.servers.get_mut(copy.server) {
            server.writing += 1;
        }
    }

    /// Removes a copy, and whatever was running for it.
    pub(super) fn remove_copy(&mut self, index: u32, server: ServerId) -> Option<Copy> {
        let copy = self.copies.remove(index, server)?;
        let writing = self.copies.facts(index).writing;
        if copy.state.is_usable() {
            self.copies.update(index, |facts| facts.settled = false);
        }
        if writing && let Some(server) = self.servers.get_mut(server) {
            server.writing = server.writing.saturating_sub(1);
        }
        self.end_deletion(index, server);
        self.end_replication(index, server);
        Some(copy)
    }

    /// Takes an unanswered deletion off the server's count.
    pub(super) fn end_deletion(&mut self, index: u32, server: ServerId) {
        if self.deletions.remove(&(index, server))
            && let Some(server) = self.servers.get_mut(server)
        {
            server.deletions = server.deletions.saturating_sub(1);
        }
    }

    /// Takes a replication off the counts of both servers.
    pub(super) fn end_replication(
        &mut self,
        index: u32,
        destination: ServerId,
    ) -> Option<Replication> {
        let replication = self.replications.remove(&(index, destination))?;
        if let Some(server) = self.servers.get_mut(destination) {
            server.replications_in = server.replications_in.saturating_sub(1);
        }
        if let Some(server) = self.servers.get_mut(replication.source) {
            server.replications_out = server.replications_out.saturating_sub(1);
        }
        Some(replication)
    }

    /// Marks the servers of a chunk as being written to, or takes the mark off.
    pub(super) fn set_writing(&mut self, index: u32, writing: bool) {
        if self.copies.facts(index).writing == writing {
            return;
        }
        self.copies.update(index, |facts| facts.writing = writing);
        for copy in self.copies.of(index) {
            if let Some(server) = self.servers.get_mut(copy.server) {
                server.writing = if writing {
                    server.writing + 1
                } else {
                    server.writing.saturating_sub(1)
                };
            }
        }
    }

    /// Drops the copies of servers that are gone (§7.2 rule 1); tells whether there were any.
    pub(super) fn drop_gone(&mut self, index: u32) -> bool {
        let mut dropped = false;
        while let Some(server) = self
            .copies
            .of(index)
            .iter()
            .map(|copy| copy.server)
            .find(|&server| !self.servers.is_connected(server))
        {
            self.remove_copy(index, server);
            dropped = true;
        }
        dropped
    }

    /// Brings the counters of the monitors up to date for a chunk.
    pub(super) fn recount(&mut self, ns: &Namespace, chunk: &Chunk) {
        let copies = self.copies.of(chunk.index);
        let count = |test: fn(CopyState) -> bool| {
            copies
                .iter()
                .filter(|copy| test(copy.state))
                .count()
                .min(10) as u8
        };
        let counted = Counted {
            counted: true,
            archived: chunk.record.archived,
            needed: ns.copies_needed(&chunk.record).min(10),
            usable: count(CopyState::is_usable),
            regular: count(CopyState::is_regular),
            class: chunk.record.class.0,
        };
        self.replace_count(chunk.index, counted);
    }

    fn replace_count(&mut self, index: u32, counted: Counted) {
        let old = self.copies.facts(index).counted;
        if old != counted {
            self.census.change(old, counted);
            self.copies.update(index, |facts| facts.counted = counted);
        }
    }

    /// Forgets a chunk whose record is gone, or an index that a new chunk got.
    pub(super) fn forget(&mut self, index: u32) {
        self.replace_count(index, Counted::default());
        self.set_writing(index, false);
        let servers: Vec<_> = self
            .copies
            .of(index)
            .iter()
            .map(|copy| copy.server)
            .collect();
        for server in servers {
            self.remove_copy(index, server);
        }
        self.copies.clear(index);
    }

    /// Number of copies that pass a test.
    pub(super) fn count(&self, index: u32, test: impl Fn(CopyState) -> bool) -> usize {
        self.copies
            .of(index)
            .iter()
            .filter(|copy| test(copy.state))
            .count()
    }

    /// Whether a copy is the destination of a rebalance.
    pub(super) fn is_rebalance(&self, index: u32, server: ServerId) -> bool {
        self.replications
            .get(&(index, server))
            .is_some_and(|replication| replication.rebalance)
    }

    /// Place of a server for the unique modes.
    pub(super) fn group(&self, server: &Server) -> Option<u32> {
        match self.settings.unique_mode {
            UniqueMode::Off => None,
            UniqueMode::Ip => Some(server.identity.ip.into()),
            UniqueMode::Rack => server.rack,
        }
    }

    /// Whether labels (or places) bind for these wishes.
    pub(super) fn is_labelled(&self, want: &Want) -> bool {
        self.settings.unique_mode != UniqueMode::Off || want.labels.has_labels()
    }

    /// Puts a chunk that something happened to into its queue (§7.3).
    pub(super) fn queue_check(&mut self, ns: &Namespace, now: Now, chunk: &Chunk) {
        const RECENT_LOCK_SECONDS: u32 = 3600;
        let facts = self.copies.facts(chunk.index);
        let record = &chunk.record;
        let recently_locked = record.locked_to != 0
            && record.locked_to.saturating_add(RECENT_LOCK_SECONDS) >= now.unix;
        if facts.queued != 0 || !chunk.is_referenced() || recently_locked {
            return;
        }
        if let Some(priority) = self.priority(ns, chunk) {
            self.enqueue(chunk.index, priority);
        }
    }

    /// Puts a chunk into a queue.
    pub(super) fn enqueue(&mut self, index: u32, priority: Priority) {
        if self.copies.facts(index).queued != 0 {
            return;
        }
        self.copies
            .update(index, |facts| facts.queued = priority as u8 + 1);
        if let Some(evicted) = self.queues.push(priority, index) {
            self.copies.update(evicted, |facts| facts.queued = 0);
        }
    }

    /// How urgent a chunk is.
    pub(super) fn priority(&self, ns: &Namespace, chunk: &Chunk) -> Option<Priority> {
        let want = Want::of(ns, &chunk.record)?;
        let valid = self.count(chunk.index, |state| state == CopyState::Valid);
        let marked = self.count(chunk.index, |state| state == CopyState::MarkedValid);
        let wrong_labels = valid == want.copies()
            && self.is_labelled(&want)
            && self.unmatched(chunk.index, &want) != 0;
        Priority::of(valid, marked, want.copies(), wrong_labels)
    }

    /// Removes the record of a chunk that nothing speaks for any more (§7.9).
    pub(super) fn try_remove(&mut self, cx: &mut Cx<'_>, chunk: ChunkId) {
        let Some(chunk) = Chunk::find(cx.ns, chunk) else {
            return;
        };
        let facts = self.copies.facts(chunk.index);
        if chunk.is_referenced()
            || chunk.is_locked(cx.now.unix)
            || !self.copies.of(chunk.index).is_empty()
            || facts.queued != 0
            || facts.operation != OperationKind::None
            || !self.is_complete(cx.now)
        {
            return;
        }
        let (ns, mut tx) = cx.parts();
        if ns
            .chunk_del(&mut tx, chunk.record.id, chunk.record.version)
            .is_ok()
        {
            self.forget(chunk.index);
        }
    }
}
