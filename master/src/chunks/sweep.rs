//! The work of a tick: queues by urgency, and a stretch of the pass over all chunks
//! (master-behaviour §7.1, §7.3).

use super::counters::{LoopCounters, LoopReport};
use super::examine::{Look, Outcome};
use super::limits::LimitChange;
use super::planner::Chunks;
use super::queues::{Priority, SHARES};
use super::records::Chunk;
use super::request::Cx;
use super::servers::RemovalState;

/// Ticks of chunk work in a second.
pub const TICKS_PER_SECOND: u32 = 50;
/// Log lines about strange chunks in one pass.
const COMPLAINTS_MAX: u32 = 1000;

/// Where the pass over all chunks is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: u32,
    began: Option<Began>,
    complaints: u32,
}

#[derive(Clone, Copy, Debug)]
struct Began {
    mono_ms: u64,
    unix: u32,
}

impl Sweep {
    /// Whether one more line about a strange chunk may be written in this pass.
    pub fn may_complain(&mut self) -> bool {
        self.complaints += 1;
        self.complaints <= COMPLAINTS_MAX
    }
}

impl Chunks {
    /// Twenty milliseconds passed (§7.1).
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        self.walk_slice(cx);
        if !self.may_work(cx.now) {
            return;
        }
        self.order_by_usage(cx.now.unix);
        let allowance = (self.settings.loop_max_per_second / TICKS_PER_SECOND).max(1);
        self.serve_queues(cx, allowance);
        self.sweep_stretch(cx, allowance);
    }

    fn serve_queues(&mut self, cx: &mut Cx<'_>, allowance: u32) {
        let mut left = allowance;
        for (priority, share) in Priority::ALL.into_iter().zip(SHARES) {
            let waiting = u32::try_from(self.queues.len(priority)).unwrap_or(u32::MAX);
            let guaranteed = (u64::from(allowance) * u64::from(share) / 100) as u32;
            let count = waiting.min(left.max(guaranteed));
            for _ in 0..count {
                let Some(index) = self.queues.pop(priority) else {
                    break;
                };
                self.copies.update(index, |facts| facts.queued = 0);
                let Some(chunk) = Chunk::at(cx.ns, index) else {
                    continue;
                };
                let outcome = self.examine(cx, chunk.id(), Look::Queue);
                if outcome != Outcome::Postponed {
                    self.try_remove(cx, chunk.id());
                }
            }
            left = left.saturating_sub(count);
        }
    }

    /// The part of the pass that is due by now.
    fn sweep_stretch(&mut self, cx: &mut Cx<'_>, allowance: u32) {
        let began = *self.sweep.began.get_or_insert(Began {
            mono_ms: cx.now.mono_ms,
            unix: cx.now.unix,
        });
        let bound = cx.ns.chunk_index_bound();
        let elapsed_ms = cx.now.mono_ms.saturating_sub(began.mono_ms);
        let pass_ms = u64::from(self.settings.loop_min_seconds.max(1)) * 1000;
        // Every stretch goes one chunk further than time demands, so that the first does something.
        let due = (u128::from(bound) * u128::from(elapsed_ms) / u128::from(pass_ms) + 1)
            .min(u128::from(bound)) as u32;
        let end = due.min(self.sweep.next.saturating_add(allowance));
        while self.sweep.next < end {
            let index = self.sweep.next;
            self.sweep.next += 1;
            if let Some(chunk) = Chunk::at(cx.ns, index) {
                self.examine(cx, chunk.id(), Look::Sweep);
                self.try_remove(cx, chunk.id());
            }
        }
        if self.sweep.next >= bound && elapsed_ms >= pass_ms {
            self.end_pass(cx, began);
        }
    }

    fn end_pass(&mut self, cx: &mut Cx<'_>, began: Began) {
        self.report = LoopReport {
            began: began.unix,
            ended: cx.now.unix,
            counters: self.counters,
        };
        let change = self
            .deletion_limit
            .pass_ended(self.counters.deletions(), self.counters.deletions_left());
        match change {
            Some(LimitChange::Raised(limit)) => {
                tracing::info!("DEL_LIMIT temporary increased to: {limit} per server");
            }
            Some(LimitChange::HardLimit(limit)) => {
                tracing::info!("DEL_LIMIT hard limit ({limit} per server) reached");
            }
            Some(LimitChange::Lowered(limit)) => {
                tracing::info!("DEL_LIMIT decreased back to: {limit} per server");
            }
            Some(LimitChange::SoftLimit(limit)) => {
                tracing::info!("DEL_LIMIT back to soft limit ({limit} per server)");
            }
            None => {}
        }
        self.servers.each_mut(|_, server| {
            if server.removal_watched && !server.removal_seen {
                server.removal = RemovalState::Ready;
            }
            server.removal_watched = true;
            server.removal_seen = false;
        });
        self.counters = LoopCounters::default();
        self.sweep = Sweep::default();
    }
}
