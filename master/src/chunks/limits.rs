//! How much work may run at one server: replications and deletions (master-behaviour §7.4, §7.8).

use super::random::fixed_fraction;
use super::request::ServerId;
use super::settings::{ChunkSettings, ReplicationLimits};

/// Side of a replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Into the server.
    Write,
    /// Out of the server.
    Read,
}

/// Why a replication is made; each has its own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Priorities 0 and 1.
    Endangered = 0,
    /// Priorities 2 to 5.
    Undergoal = 1,
    /// Evening out.
    Rebalance = 2,
    /// Evening out of great differences.
    FastRebalance = 3,
}

/// Whether one more replication may start beside `running` ones: with whole limits as many as they
/// say, with 0.25 one during a quarter of the seconds.
pub fn may_replicate(
    limits: &ReplicationLimits,
    reason: Reason,
    running: u32,
    seed: u64,
    server: ServerId,
    second: u32,
) -> bool {
    let limit = limits.0[reason as usize];
    let running = f64::from(running);
    if running + 1.0 <= limit {
        return true;
    }
    running < limit
        && running + fixed_fraction(seed, u64::from(server.0), u64::from(second)) < limit
}

/// Why the deletion limit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitChange {
    /// To this many.
    Raised(u32),
    /// As far as it goes.
    HardLimit(u32),
    /// To this many.
    Lowered(u32),
    /// Where it began.
    SoftLimit(u32),
}

/// Deletions that may be unanswered at one server.
#[derive(Clone, Debug)]
pub struct DeletionLimit {
    current: f64,
    soft: f64,
    hard: f64,
    passes: u32,
    done: u64,
    undone: u64,
    undone_before: u64,
}

/// Passes over the chunks between two changes of the limit.
const PASSES: u32 = 16;

impl DeletionLimit {
    /// Starts at the soft limit.
    pub fn new(settings: &ChunkSettings) -> DeletionLimit {
        let soft = f64::from(settings.delete_soft_limit.max(1));
        DeletionLimit {
            current: soft,
            soft,
            hard: f64::from(settings.delete_hard_limit).max(soft),
            passes: 0,
            done: 0,
            undone: 0,
            undone_before: 0,
        }
    }

    /// Takes new limits over.
    pub fn reload(&mut self, settings: &ChunkSettings) {
        if settings.delete_soft_limit == 0 {
            return;
        }
        self.soft = f64::from(settings.delete_soft_limit);
        self.hard = f64::from(settings.delete_hard_limit).max(self.soft);
        self.current = self.current.clamp(self.soft, self.hard);
    }

    /// Whether a server with so many unanswered deletions may get one more.
    pub fn allows(&self, unanswered: u32) -> bool {
        f64::from(unanswered) < self.current
    }

    /// Limit per server, whole number.
    pub fn current(&self) -> u32 {
        self.current as u32
    }

    /// A pass is over: `done` deletions were ordered, `undone` were wanted and not allowed.
    pub fn pass_ended(&mut self, done: u64, undone: u64) -> Option<LimitChange> {
        self.done += done;
        self.undone += undone;
        self.passes += 1;
        if self.passes < PASSES {
            return None;
        }
        let (done, undone) = (self.done, self.undone);
        let before = self.undone_before;
        self.undone_before = undone;
        (self.passes, self.done, self.undone) = (0, 0, 0);
        if undone > done && undone > before && self.current < self.hard {
            self.current *= 1.5;
            if self.current >= self.hard {
                self.current = self.hard;
                return Some(LimitChange::HardLimit(self.current()));
            }
            return Some(LimitChange::Raised(self.current()));
        }
        if undone < before && self.current > self.soft {
            self.current /= 1.5;
            if self.current <= self.soft {
                self.current = self.soft;
                return Some(LimitChange::SoftLimit(self.current()));
            }
            return Some(LimitChange::Lowered(self.current()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{DeletionLimit, LimitChange, Reason, may_replicate};
    use crate::chunks::{ChunkSettings, ReplicationLimits, ServerId};

    #[test]
    fn whole_limits_mean_what_they_say_and_fractions_a_part_of_the_seconds() {
        let limits = ReplicationLimits([2.0, 1.0, 0.0, 0.25]);
        let may = |reason, running, second| {
            may_replicate(&limits, reason, running, 9, ServerId(4), second)
        };
        for second in 0..50 {
            for (reason, running, expected) in [
                (Reason::Endangered, 0, true),
                (Reason::Endangered, 1, true),
                (Reason::Endangered, 2, false),
                (Reason::Undergoal, 1, false),
                (Reason::Rebalance, 0, false),
                (Reason::FastRebalance, 1, false),
            ] {
                assert_eq!(
                    may(reason, running, second),
                    expected,
                    "{reason:?} {running}"
                );
            }
        }
        let open = (0..1000)
            .filter(|&second| may(Reason::FastRebalance, 0, second))
            .count();
        assert!((200..300).contains(&open), "{open} of 1000 seconds");
    }

    #[test]
    fn the_deletion_limit_grows_with_the_backlog_and_shrinks_again() {
        let mut limit = DeletionLimit::new(&ChunkSettings {
            delete_hard_limit: 25,
            ..ChunkSettings::default()
        });
        let mut round = |undone: u64| (0..16).filter_map(|_| limit.pass_ended(10, undone)).last();
        assert_eq!(round(100), Some(LimitChange::Raised(15)));
        assert_eq!(round(200), Some(LimitChange::Raised(22)));
        assert_eq!(round(300), Some(LimitChange::HardLimit(25)));
        assert_eq!(round(400), None);
        assert_eq!(round(100), Some(LimitChange::Lowered(16)));
        assert_eq!(round(50), Some(LimitChange::Lowered(11)));
        assert_eq!(round(0), Some(LimitChange::SoftLimit(10)));
        assert!(limit.allows(9) && !limit.allows(10));
    }
}
