//! Evening out the usage of servers (master-behaviour §7.7).

use super::copies::CopyState;
use super::limits::{Reason, Work};
use super::matching::match_labels;
use super::planner::Chunks;
use super::queues::Priority;
use super::records::{Chunk, Want};
use super::request::{Cx, ServerId};
use super::settings::UniqueMode;

/// Above this multiple of the acceptable difference there are more moves at a time.
const FAST_FACTOR: f64 = 1.5;
/// Seconds between two moves for a difference of 1.
const SLOW_SECONDS: f64 = 0.01;

impl Chunks {
    /// Moves a copy to an emptier server, if the usages are far enough apart.
    pub(super) fn rebalance(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, want: &Want) {
        let index = chunk.index;
        let some_full = self.servers.iter().any(|(_, server)| server.is_full());
        if !self.queues.is_empty_through(Priority::WrongLabels) && !some_full {
            return;
        }
        if self
            .copies
            .of(index)
            .iter()
            .any(|copy| self.is_rebalance(index, copy.server))
        {
            return;
        }
        let Some((difference, source, destination)) = self.best_move(cx.now.unix, index, want)
        else {
            return;
        };
        let acceptable = self.settings.acceptable_difference;
        if difference <= acceptable {
            let waited_s = cx.now.mono_ms.saturating_sub(self.last_rebalance_ms) as f64 / 1000.0;
            if waited_s <= SLOW_SECONDS / difference {
                return;
            }
        }
        self.last_rebalance_ms = cx.now.mono_ms;
        self.counters.rebalance += 1;
        self.order_replication(cx, chunk, source, destination, true);
    }

    /// Limits that a move has to respect.
    fn move_reason(&self, difference: f64) -> Reason {
        if difference > self.settings.acceptable_difference * FAST_FACTOR {
            Reason::FastRebalance
        } else {
            Reason::Rebalance
        }
    }

    /// The pair of servers with the greatest difference of usage that limits and labels allow.
    fn best_move(&self, now: u32, index: u32, want: &Want) -> Option<(f64, ServerId, ServerId)> {
        let mut targets: Vec<(f64, ServerId)> = self
            .servers
            .iter()
            .filter(|(id, server)| {
                !server.is_spared(now)
                    && !server.is_full()
                    && self.copies.find(index, *id).is_none()
            })
            .map(|(id, server)| (server.usage(), id))
            .collect();
        targets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sources: Vec<ServerId> = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state == CopyState::Valid)
            .map(|copy| copy.server)
            .collect();
        let matched = if self.is_labelled(want) {
            match_labels(
                want.labels.expressions(),
                &self.candidates_of(sources.iter().copied()),
            )
        } else {
            Default::default()
        };
        let mut best: Option<(f64, ServerId, ServerId)> = None;
        for (place, &source) in sources.iter().enumerate() {
            let Some(from) = self.servers.get(source) else {
                continue;
            };
            let usage = from.usage();
            for &(target_usage, target) in &targets {
                let difference = usage - target_usage;
                if difference <= best.map_or(0.0, |(difference, _, _)| difference) {
                    break;
                }
                let reason = self.move_reason(difference);
                if !self.under_limit(source, Work::Read, reason, now) {
                    break;
                }
                if self.under_limit(target, Work::Write, reason, now)
                    && self.fits_instead(want, &sources, place, &matched, target)
                {
                    best = Some((difference, source, target));
                    break;
                }
            }
        }
        best
    }

    /// Whether a server may take the place of the copy at `place` in the list of copies.
    fn fits_instead(
        &self,
        want: &Want,
        sources: &[ServerId],
        place: usize,
        matched: &[Option<usize>],
        target: ServerId,
    ) -> bool {
        let Some(server) = self.servers.get(target) else {
            return false;
        };
        if self.settings.unique_mode != UniqueMode::Off {
            let group = self.group(server);
            let taken = sources.iter().enumerate().any(|(other, &id)| {
                other != place
                    && group.is_some()
                    && self
                        .servers
                        .get(id)
                        .is_some_and(|other| self.group(other) == group)
            });
            if taken {
                return false;
            }
        }
        if !want.labels.has_labels() {
            return true;
        }
        let expressions = want.labels.expressions();
        match matched.iter().position(|&taken| taken == Some(place)) {
            Some(expression) => expressions
                .get(expression)
                .is_some_and(|expression| expression.matches(server.labels)),
            // An unmatched copy may go where it meets an expression that nobody meets.
            None => {
                want.mode != metadata::storage_class::LabelMode::Loose
                    && expressions.iter().zip(matched).any(|(expression, taken)| {
                        taken.is_none() && expression.matches(server.labels)
                    })
            }
        }
    }
}
