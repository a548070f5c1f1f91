//! What one chunk needs: the rules in their order (master-behaviour §7.2).

use super::copies::{CopyState, OperationKind};
use super::matching::{Candidate, match_labels};
use super::planner::Chunks;
use super::queues::Priority;
use super::records::{Chunk, Want};
use super::request::{Action, Command, Cx, ServerId};
use super::servers::RemovalState;
use metadata::Namespace;
use proto::{ChunkId, ChunkVersion};

/// Who asks for a look at a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The pass over all chunks.
    Sweep,
    /// A priority queue, or the end of a write.
    Queue,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing is left to do for now.
    Rest,
    /// Something was ordered.
    Working,
    /// Something is to be done, but limits do not allow it now.
    Postponed,
}

/// Percent of a marked disk's server that must be free for rule 12.
const ROOM_PERCENT: u64 = 1;

impl Chunks {
    /// Looks at a chunk and orders at most one kind of work.
    pub(super) fn examine(&mut self, cx: &mut Cx<'_>, id: ChunkId, look: Look) -> Outcome {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return Outcome::Rest;
        };
        let outcome = self.rules(cx, &chunk, look);
        if let Some(chunk) = Chunk::find(cx.ns, id) {
            self.recount(cx.ns, &chunk);
        }
        outcome
    }

    /// Work that is due at the end of a write or of an evening-out copy, without waiting for the
    /// queues (§3.4); then waiting requests.
    pub(super) fn work_now(&mut self, cx: &mut Cx<'_>, id: ChunkId) {
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            return;
        };
        self.recount(cx.ns, &chunk);
        if chunk.is_referenced() && self.priority(cx.ns, &chunk).is_some() {
            if self.may_work(cx.now) {
                if self.examine(cx, id, Look::Queue) == Outcome::Postponed {
                    self.queue_check(cx.ns, cx.now, &chunk);
                }
            } else {
                self.queue_check(cx.ns, cx.now, &chunk);
            }
        }
        self.actions.push(Action::Wake(id));
        self.try_remove(cx, id);
    }

    fn rules(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, look: Look) -> Outcome {
        let index = chunk.index;
        let now = cx.now.unix;
        let sweep = look == Look::Sweep;
        self.drop_gone(index); // 1
        let locked = chunk.is_locked(now);
        let referenced = chunk.is_referenced();
        if !locked {
            self.set_writing(index, false); // 2
        }
        let operation = self.copies.facts(index).operation;
        let want = Want::of(cx.ns, &chunk.record);
        let needed = want.map_or(0, |want| want.copies());
        self.note_removal(index, needed); // 4
        if !locked {
            // 5
            if referenced
                && self.count(index, CopyState::is_usable) == 0
                && !self.repair_by_itself(cx, chunk, needed, sweep)
            {
                return Outcome::Rest;
            }
            if operation == OperationKind::None {
                self.settle_stray_busy(index, chunk);
            }
        }
        if sweep {
            self.delete_bad(chunk, locked); // 6
            if operation == OperationKind::Replicate && !locked {
                self.give_up_replication(cx, chunk); // 7
            }
        }
        let operation = self.copies.facts(index).operation;
        if operation != OperationKind::None || locked {
            // 8
            if sweep {
                if referenced {
                    self.counters.locked_used += 1;
                } else {
                    self.counters.locked_unused += 1;
                }
            }
            return Outcome::Rest;
        }
        let Some(want) = want.filter(|_| referenced) else {
            // 9
            if sweep {
                self.delete_unused(chunk);
            }
            return Outcome::Rest;
        };
        let valid = self.count(index, |state| state == CopyState::Valid);
        let marked = self.count(index, |state| state == CopyState::MarkedValid);
        if sweep && valid >= needed {
            self.delete_wrong_versions(chunk); // 10
        }
        if valid > needed {
            return self.delete_surplus(cx, chunk, &want, valid - needed); // 11
        }
        if sweep && valid < needed && self.clean_disk(chunk, valid, marked) {
            return Outcome::Working; // 12
        }
        let unmatched = if self.is_labelled(&want) {
            self.unmatched(index, &want) // 13
        } else {
            0
        };
        if (valid < needed || unmatched > 0) && valid + marked > 0 && !self.is_undergoal_suspended()
        {
            // 14
            let Some(priority) = Priority::of(valid, marked, needed, unmatched > 0) else {
                return Outcome::Rest;
            };
            if sweep && self.waits_for_urgent(priority) {
                self.enqueue(index, priority);
                return Outcome::Rest;
            }
            let outcome = self.replicate(cx, chunk, &want, priority);
            if outcome != Outcome::Rest {
                return outcome;
            }
        }
        if sweep && valid == needed {
            self.rebalance(cx, chunk, &want); // 15
        }
        Outcome::Rest
    }

    /// A queue of higher priority holds work, which comes first.
    fn waits_for_urgent(&self, priority: Priority) -> bool {
        match (priority as usize).checked_sub(1) {
            None => false,
            Some(above) => !self.queues.is_empty_through(Priority::ALL[above]),
        }
    }

    /// Servers whose marked disks are needed are not ready for removal.
    fn note_removal(&mut self, index: u32, needed: usize) {
        if self.count(index, CopyState::is_regular) >= needed {
            return;
        }
        for copy in self.copies.of(index) {
            if matches!(copy.state, CopyState::MarkedValid | CopyState::MarkedBusy)
                && let Some(server) = self.servers.get_mut(copy.server)
            {
                server.removal = RemovalState::InProgress;
                server.removal_seen = true;
            }
        }
    }

    /// No usable copy: takes over a version that is one off when enough copies agree on it, with a
    /// SETVERSION line; tells whether the chunk has usable copies now.
    ///
    /// Only when every known server is here: a server that is away may have the right version, and
    /// its copy would be deleted as a wrong one after the repair.
    fn repair_by_itself(
        &mut self,
        cx: &mut Cx<'_>,
        chunk: &Chunk,
        needed: usize,
        sweep: bool,
    ) -> bool {
        let index = chunk.index;
        let version = chunk.record.version.0;
        let wrong: Vec<u32> = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state.is_wrong_version())
            .map(|copy| copy.version)
            .collect();
        let best = wrong.iter().copied().max().unwrap_or(0);
        if !wrong.is_empty()
            && wrong.len() >= needed
            && best != 0
            && best.abs_diff(version) == 1
            && self.copies.facts(index).operation == OperationKind::None
            && self.is_complete(cx.now)
        {
            tracing::warn!(
                "chunk {} has only invalid copies ({}) - fixing it",
                chunk,
                wrong.len()
            );
            let (ns, mut tx) = cx.parts();
            if ns
                .chunk_set_version(&mut tx, chunk.id(), ChunkVersion(best))
                .is_ok()
            {
                self.take_version(index, best);
                return true;
            }
        }
        if sweep {
            let total = self.copies.of(index).len();
            let text = if total == 0 {
                "there are no copies".to_owned()
            } else if wrong.is_empty() {
                format!("has only invalid copies ({total}) - please repair it manually")
            } else {
                format!(
                    "has only copies with wrong versions ({}) - please repair it manually",
                    wrong.len()
                )
            };
            self.complain(chunk, &text);
        }
        false
    }

    /// A busy copy without anything that could end its state.
    fn settle_stray_busy(&mut self, index: u32, chunk: &Chunk) {
        let stray: Vec<ServerId> = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state.is_busy() && !self.is_rebalance(index, copy.server))
            .map(|copy| copy.server)
            .collect();
        for server in stray {
            tracing::warn!("chunk {} has unexpected BUSY copies - fixing", chunk);
            self.make_invalid(index, server);
        }
    }

    fn make_invalid(&mut self, index: u32, server: ServerId) {
        if let Some(copy) = self.copies.find_mut(index, server) {
            copy.state = CopyState::Invalid;
            copy.version = 0;
        }
        self.copies.update(index, |facts| facts.settled = false);
    }

    /// Orders a deletion if the server may get one.
    fn delete(&mut self, chunk: &Chunk, server: ServerId, version: ChunkVersion) -> bool {
        let index = chunk.index;
        // An order that is not answered is not repeated: the answer to the first might let a new copy
        // be made there, which the second would delete.
        if self.deletions.contains(&(index, server)) {
            return true;
        }
        let Some(known) = self.servers.get_mut(server) else {
            return false;
        };
        if !self.deletion_limit.allows(known.deletions) {
            return false;
        }
        known.deletions += 1;
        known.totals.deleted += 1;
        self.deletions.insert((index, server));
        let mut usable = false;
        if let Some(copy) = self.copies.find_mut(index, server) {
            usable = copy.state.is_usable();
            copy.state = CopyState::Deleting;
            copy.version = 0;
        }
        if usable {
            self.copies.update(index, |facts| facts.settled = false);
        }
        self.send(
            server,
            Command::Delete {
                chunk: chunk.id(),
                version,
            },
        );
        true
    }

    /// Rule 6. Bad copies go only beside a good one, or when nothing needs the chunk.
    fn delete_bad(&mut self, chunk: &Chunk, locked: bool) {
        let index = chunk.index;
        let good = self.count(index, CopyState::is_confirmed) > 0;
        let unused = !chunk.is_referenced() && !locked;
        if !good && !unused {
            return;
        }
        for copy in self.copies.of(index).to_vec() {
            let bad = match copy.state {
                CopyState::Invalid | CopyState::WrongVersion | CopyState::MarkedWrongVersion => {
                    true
                }
                CopyState::Deleting => {
                    if self.deletions.contains(&(index, copy.server)) {
                        continue;
                    }
                    self.complain(
                        chunk,
                        "copy hasn't been deleted since previous loop - retry",
                    );
                    true
                }
                _ => false,
            };
            if bad {
                if self.delete(chunk, copy.server, ChunkVersion(0)) {
                    self.counters.invalid += 1;
                } else {
                    self.counters.invalid_left += 1;
                }
            }
        }
    }

    /// Rule 7. The lock of a replication expired without an answer.
    fn give_up_replication(&mut self, cx: &mut Cx<'_>, chunk: &Chunk) {
        let index = chunk.index;
        self.complain(chunk, "hasn't been replicated since previous loop - retry");
        for copy in self.copies.of(index).to_vec() {
            if copy.state.is_busy() && !self.is_rebalance(index, copy.server) {
                self.end_replication(index, copy.server);
                self.make_invalid(index, copy.server);
            }
        }
        self.end_locked_replication(cx, chunk);
    }

    /// Rule 9.
    fn delete_unused(&mut self, chunk: &Chunk) {
        for copy in self.copies.of(chunk.index).to_vec() {
            if copy.state.is_confirmed() {
                if self.delete(chunk, copy.server, chunk.record.version) {
                    self.counters.unused += 1;
                } else {
                    self.counters.unused_left += 1;
                }
            }
        }
    }

    /// Rule 10.
    fn delete_wrong_versions(&mut self, chunk: &Chunk) {
        for copy in self.copies.of(chunk.index).to_vec() {
            if copy.state.is_wrong_version() {
                if self.delete(chunk, copy.server, ChunkVersion(0)) {
                    self.counters.invalid += 1;
                } else {
                    self.counters.invalid_left += 1;
                }
            }
        }
    }

    /// Good regular copies, emptiest server first.
    fn valid_by_usage(&self, index: u32) -> Vec<(f64, ServerId)> {
        let mut list: Vec<(f64, ServerId)> = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state == CopyState::Valid)
            .filter_map(|copy| Some((self.servers.get(copy.server)?.usage(), copy.server)))
            .collect();
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        list
    }

    /// Rule 11.
    fn delete_surplus(
        &mut self,
        cx: &Cx<'_>,
        chunk: &Chunk,
        want: &Want,
        surplus: usize,
    ) -> Outcome {
        let list = self.valid_by_usage(chunk.index);
        let mut kept = vec![false; list.len()];
        if self.is_labelled(want) {
            let candidates = self.candidates_of(list.iter().map(|&(_, server)| server));
            for place in match_labels(want.labels.expressions(), &candidates)
                .into_iter()
                .flatten()
            {
                kept[place] = true;
            }
        }
        let mut left = surplus;
        let mut postponed = false;
        for (&(_, server), _) in list.iter().zip(&kept).rev().filter(|(_, kept)| !**kept) {
            if left == 0 {
                break;
            }
            if self
                .servers
                .get(server)
                .is_none_or(|server| server.is_spared(cx.now.unix))
            {
                continue;
            }
            if self.delete(chunk, server, ChunkVersion(0)) {
                self.counters.overgoal += 1;
                left -= 1;
            } else {
                self.counters.overgoal_left += 1;
                postponed = true;
            }
        }
        if postponed && left > 0 {
            self.enqueue(chunk.index, Priority::Overgoal);
            return Outcome::Postponed;
        }
        Outcome::Working
    }

    /// Rule 12: every server has a copy, some on marked disks; one of those makes room.
    fn clean_disk(&mut self, chunk: &Chunk, valid: usize, marked: usize) -> bool {
        let index = chunk.index;
        if valid + marked < self.servers.connected().len()
            || valid + marked < 2
            || !self.queues.is_empty_through(Priority::OneRegular)
        {
            return false;
        }
        for copy in self.copies.of(index).to_vec() {
            let has_room = self.servers.get(copy.server).is_some_and(|server| {
                server.space.total > 0 && server.free() > server.space.total / 100 * ROOM_PERCENT
            });
            if copy.state == CopyState::MarkedValid && has_room {
                if self.delete(chunk, copy.server, ChunkVersion(0)) {
                    self.counters.disk_clean += 1;
                    return true;
                }
                self.counters.disk_clean_left += 1;
            }
        }
        false
    }

    pub(super) fn candidates_of(&self, servers: impl Iterator<Item = ServerId>) -> Vec<Candidate> {
        servers
            .map(|id| {
                self.servers.get(id).map_or(
                    Candidate {
                        labels: 0,
                        group: None,
                    },
                    |server| self.candidate(server),
                )
            })
            .collect()
    }

    /// Rule 13: expressions that no good regular copy meets.
    pub(super) fn unmatched(&self, index: u32, want: &Want) -> usize {
        let candidates = self.candidates_of(
            self.copies
                .of(index)
                .iter()
                .filter(|copy| copy.state == CopyState::Valid)
                .map(|copy| copy.server),
        );
        let matching = match_labels(want.labels.expressions(), &candidates);
        want.copies() - matching.iter().flatten().count()
    }

    /// Fewer usable copies than needed, for the file-system check.
    pub(super) fn is_undergoal(&self, ns: &Namespace, chunk: &Chunk) -> bool {
        self.count(chunk.index, CopyState::is_usable) < usize::from(ns.copies_needed(&chunk.record))
    }
}
