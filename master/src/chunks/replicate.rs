//! Making one more copy: destination, source, order (master-behaviour §7.4–§7.6).

use super::copies::{Copy, CopyState, OperationKind};
use super::examine::Outcome;
use super::limits::{Reason, Work, may_replicate};
use super::matching::match_labels;
use super::planner::{Chunks, Replication};
use super::queues::Priority;
use super::records::{Chunk, Want};
use super::request::{Command, Cx, ServerId};
use metadata::storage_class::LabelMode;

/// Seconds of the lock that a replication holds.
const LOCK_SECONDS: u32 = 120;

/// How a server stands to being a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Has the copy already.
    Present,
    /// Can take one now.
    Ready,
    /// Overloaded or in maintenance.
    Spared,
    /// Has enough replications.
    Busy,
}

/// Where a copy may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Server(ServerId),
    /// Later, perhaps.
    Wait,
    /// Not as things are.
    Nowhere,
}

impl Chunks {
    /// Orders one copy of a chunk that lacks copies or labels.
    pub(super) fn replicate(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        want: &Want,
        priority: Priority,
    ) -> Outcome {
        let reason = match priority {
            Priority::LastOfMany | Priority::LastOfTwo => Reason::Endangered,
            _ => Reason::Undergoal,
        };
        let second = cx.now.unix;
        let lacks_copies = priority != Priority::WrongLabels;
        let destination = self.destination(chunk.index, want, reason, second, lacks_copies);
        let ordered = match destination {
            Destination::Server(destination) => {
                match self.source(chunk.index, destination, reason, second) {
                    Some(source) => {
                        self.order_replication(cx, chunk, source, destination, false);
                        true
                    }
                    None => false,
                }
            }
            Destination::Wait => false,
            Destination::Nowhere => {
                if !lacks_copies {
                    self.counters.labels_dont_match += 1;
                }
                return Outcome::Rest;
            }
        };
        let counters = &mut self.counters;
        let (done, left) = if lacks_copies {
            (&mut counters.undergoal, &mut counters.undergoal_left)
        } else {
            (&mut counters.wrong_labels, &mut counters.wrong_labels_left)
        };
        if ordered {
            *done += 1;
            Outcome::Working
        } else {
            *left += 1;
            self.enqueue(chunk.index, priority);
            Outcome::Postponed
        }
    }

    /// Whether one more replication may run at a server.
    pub(super) fn under_limit(
        &self,
        id: ServerId,
        work: Work,
        reason: Reason,
        second: u32,
    ) -> bool {
        let limits = match work {
            Work::Write => &self.settings.write_limits,
            Work::Read => &self.settings.read_limits,
        };
        self.servers.get(id).is_some_and(|server| {
            may_replicate(
                limits,
                reason,
                server.replications(work),
                self.seed,
                id,
                second,
            )
        })
    }

    fn destination(
        &mut self,
        index: u32,
        want: &Want,
        reason: Reason,
        second: u32,
        lacks_copies: bool,
    ) -> Destination {
        let mut others: Vec<(Standing, ServerId)> = Vec::new();
        for (id, server) in self.servers.iter() {
            if server.is_full() || self.copies.find(index, id).is_some() {
                continue;
            }
            let standing = if !self.under_limit(id, Work::Write, reason, second) {
                Standing::Busy
            } else if server.is_spared(second) {
                Standing::Spared
            } else {
                Standing::Ready
            };
            others.push((standing, id));
        }
        self.random.shuffle(&mut others);
        if self.settings.replications_respect_topology >= 2 {
            self.nearest_first(index, &mut others);
        }
        others.sort_by_key(|&(standing, _)| standing);
        let usable = |standing: Standing| {
            standing == Standing::Ready
                || standing == Standing::Spared && reason == Reason::Endangered
        };
        let any = match others.first() {
            Some(&(standing, id)) if usable(standing) => Destination::Server(id),
            Some(_) => Destination::Wait,
            None => Destination::Nowhere,
        };
        if !self.is_labelled(want) {
            return any;
        }
        let present = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state == CopyState::Valid)
            .map(|copy| (Standing::Present, copy.server));
        let all: Vec<(Standing, ServerId)> = present.chain(others.iter().copied()).collect();
        let candidates = self.candidates_of(all.iter().map(|&(_, id)| id));
        let matching = match_labels(want.labels.expressions(), &candidates);
        let mut wait = false;
        let mut missing = false;
        for place in matching.iter().take(want.copies()) {
            let Some(&(standing, id)) = place.and_then(|place| all.get(place)) else {
                missing = true;
                continue;
            };
            if usable(standing) {
                return Destination::Server(id);
            }
            wait |= standing != Standing::Present;
        }
        // No server with the right labels can take it now.
        let any_will_do = lacks_copies
            && match want.mode {
                LabelMode::Loose => wait || missing,
                LabelMode::Standard => missing && !wait,
                LabelMode::Strict => false,
            };
        if any_will_do {
            any
        } else if wait {
            Destination::Wait
        } else {
            Destination::Nowhere
        }
    }

    /// Servers beside a copy come first, order kept.
    fn nearest_first(&self, index: u32, servers: &mut [(Standing, ServerId)]) {
        let copies = self.copies.of(index);
        servers.sort_by_key(|&(_, id)| {
            let Some(server) = self.servers.get(id) else {
                return true;
            };
            !copies.iter().any(|copy| {
                copy.state.is_confirmed()
                    && self.servers.get(copy.server).is_some_and(|source| {
                        self.places.distance(source.identity.ip, server.identity.ip) <= 1
                    })
            })
        });
    }

    /// A server that gives the copy: one with a regular copy, else one with a marked disk.
    pub(super) fn source(
        &mut self,
        index: u32,
        destination: ServerId,
        reason: Reason,
        second: u32,
    ) -> Option<ServerId> {
        let near = self.settings.replications_respect_topology >= 1;
        for state in [CopyState::Valid, CopyState::MarkedValid] {
            let mut sources: Vec<ServerId> = self
                .copies
                .of(index)
                .iter()
                .filter(|copy| copy.state == state)
                .map(|copy| copy.server)
                .filter(|&id| self.under_limit(id, Work::Read, reason, second))
                .collect();
            if sources.is_empty() {
                continue;
            }
            self.random.shuffle(&mut sources);
            if near && let Some(target) = self.servers.get(destination) {
                sources.sort_by_key(|&id| {
                    self.servers.get(id).map_or(u32::MAX, |source| {
                        self.places.distance(source.identity.ip, target.identity.ip)
                    })
                });
            }
            return sources.first().copied();
        }
        None
    }

    /// Sends the order, under a lock unless the copy only evens out.
    pub(super) fn order_replication(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        source: ServerId,
        destination: ServerId,
        rebalance: bool,
    ) {
        let index = chunk.index;
        let Some(giver) = self.servers.get_mut(source) else {
            return;
        };
        giver.replications_out += 1;
        giver.totals.read += 1;
        let command = Command::Replicate {
            chunk: chunk.id(),
            version: chunk.record.version,
            ip: giver.identity.ip,
            port: giver.identity.port,
        };
        if let Some(taker) = self.servers.get_mut(destination) {
            taker.replications_in += 1;
            taker.totals.written += 1;
        }
        self.add_copy(
            index,
            Copy {
                version: chunk.record.version.0,
                server: destination,
                state: CopyState::Busy,
            },
        );
        self.replications.insert(
            (index, destination),
            Replication {
                source,
                version: chunk.record.version,
                rebalance,
            },
        );
        if !rebalance {
            self.copies
                .update(index, |facts| facts.operation = OperationKind::Replicate);
            cx.ns
                .lock_chunk_unlogged(chunk.id(), cx.now.unix.saturating_add(LOCK_SECONDS));
        }
        self.send(destination, command);
    }
}
