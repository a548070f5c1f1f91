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

/// Servers by usage, as of the beginning of a tick: looked at for every chunk of the pass.
#[derive(Debug, Default)]
pub(super) struct UsageOrder {
    /// Possible targets, emptiest first.
    targets: Vec<(f64, ServerId)>,
    some_full: bool,
}

impl Chunks {
    /// Brings the order of servers up to date.
    pub(super) fn order_by_usage(&mut self, now: u32) {
        let order = &mut self.usage_order;
        order.targets.clear();
        order.some_full = false;
        for (id, server) in self.servers.iter() {
            if server.is_full() {
                order.some_full = true;
            } else if !server.is_spared(now) {
                order.targets.push((server.usage(), id));
            }
        }
        order.targets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Moves a copy to an emptier server, if the usages are far enough apart.
    pub(super) fn rebalance(&mut self, cx: &mut Cx<'_>, chunk: &Chunk, want: &Want) {
        let index = chunk.index;
        if !self.queues.is_empty_through(Priority::WrongLabels) && !self.usage_order.some_full {
            return;
        }
        let waited_s = cx.now.mono_ms.saturating_sub(self.last_rebalance_ms) as f64 / 1000.0;
        let acceptable = self.settings.acceptable_difference;
        let is_due = |difference: f64| {
            difference > acceptable || difference > 0.0 && waited_s > SLOW_SECONDS / difference
        };
        if !is_due(self.difference_max(index))
            || self
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
        if !is_due(difference) {
            return;
        }
        self.last_rebalance_ms = cx.now.mono_ms;
        self.counters.rebalance += 1;
        self.order_replication(cx, chunk, source, destination, true);
    }

    /// No move of a copy of this chunk evens out more.
    fn difference_max(&self, index: u32) -> f64 {
        let emptiest = self
            .usage_order
            .targets
            .first()
            .map_or(1.0, |&(usage, _)| usage);
        self.copies
            .of(index)
            .iter()
            .filter(|copy| copy.state == CopyState::Valid)
            .filter_map(|copy| self.servers.get(copy.server))
            .map(|server| server.usage() - emptiest)
            .fold(0.0, f64::max)
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
            for &(target_usage, target) in &self.usage_order.targets {
                let difference = usage - target_usage;
                if difference <= best.map_or(0.0, |(difference, _, _)| difference) {
                    break;
                }
                if !self.servers.is_connected(target) || self.copies.find(index, target).is_some() {
                    continue;
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
