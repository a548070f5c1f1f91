//! The right to serve, limited in time.
//!
//! A leader may serve as long as no other can have been elected: until the lease that a quorum gave
//! it by acknowledging its messages ends, less a margin for clocks that run at different speeds. The
//! clock counts the time for which the machine was suspended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds of the clock that runs while the machine sleeps.
fn clock_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// Proof that this node may serve now. Whoever answers a client or commands a chunkserver needs one,
/// made for the occasion and not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    term: u64,
    until_ns: u64,
}

impl Lease {
    /// The lease of a node that shares its service with nobody.
    pub const UNSHARED: Lease = Lease {
        term: 0,
        until_ns: u64::MAX,
    };

    /// Term of the leader that may serve.
    pub fn term(self) -> u64 {
        self.term
    }

    /// Whether it still holds.
    pub fn is_valid(self) -> bool {
        clock_ns() < self.until_ns
    }

    /// How long it still holds.
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.until_ns.saturating_sub(clock_ns()))
    }
}

/// Where the replication leaves the newest lease.
#[derive(Debug, Default)]
pub(crate) struct LeaseClock {
    term: AtomicU64,
    until_ns: AtomicU64,
    /// No lease is given in this term or before: its leader gave its leadership away.
    revoked: AtomicU64,
}

impl LeaseClock {
    /// A quorum acknowledged, `ago` before now, what the leader of `term` sent then; nobody else is
    /// elected for `length` after that.
    pub fn extend(&self, term: u64, ago: Duration, length: Duration) {
        let age_ns = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let until = clock_ns().saturating_sub(age_ns).saturating_add(length_ns);
        if self.term.load(Ordering::Acquire) != term {
            self.until_ns.store(0, Ordering::Release);
            self.term.store(term, Ordering::Release);
        }
        self.until_ns.fetch_max(until, Ordering::AcqRel);
    }

    /// This node does not lead.
    pub fn end(&self) {
        self.until_ns.store(0, Ordering::Release);
    }

    /// The leader of `term` is about to give its leadership away: it serves no more.
    pub fn revoke(&self, term: u64) {
        self.revoked.fetch_max(term, Ordering::AcqRel);
        self.end();
    }

    /// A revoked term did not end after all: its leader serves again. Only with the knowledge that
    /// nobody else can have been elected.
    pub fn current(&self) -> Option<Lease> {
        let until_ns = self.until_ns.load(Ordering::Acquire);
        let term = self.term.load(Ordering::Acquire);
        if term <= self.revoked.load(Ordering::Acquire) {
            return None;
        }
        let lease = Lease { term, until_ns };
        lease.is_valid().then_some(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::LeaseClock;
    use std::time::Duration;

    #[test]
    fn a_lease_holds_from_the_acknowledged_message_for_its_length() {
        let clock = LeaseClock::default();
        assert_eq!(clock.current(), None);
        let cases = [
            (0, 60_000, true),
            (59_000, 60_000, true),
            (61_000, 60_000, false),
        ];
        for (term, (ago, length, holds)) in (1..).zip(cases) {
            clock.extend(
                term,
                Duration::from_millis(ago),
                Duration::from_millis(length),
            );
            assert_eq!(clock.current().is_some(), holds, "{ago} of {length}");
        }
    }

    #[test]
    fn who_gives_the_leadership_away_serves_no_more_in_that_term() {
        let clock = LeaseClock::default();
        let length = Duration::from_secs(60);
        clock.extend(3, Duration::ZERO, length);
        clock.revoke(3);
        clock.extend(3, Duration::ZERO, length);
        assert_eq!(clock.current(), None);
        clock.extend(4, Duration::ZERO, length);
        assert_eq!(clock.current().unwrap().term(), 4);
        clock.end();
        assert_eq!(clock.current(), None);
    }
}
