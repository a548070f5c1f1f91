//! Whether it is worth to wait awake for the next request.
//!
//! To fall asleep and to be woken by another processor costs some ten microseconds, and a hundred
//! from a deep sleep: more than a peer on a fast network needs for its next request. So the master
//! polls for a moment before it sleeps, as long as that pays.

use std::time::Duration;

/// How long it waits awake: about what falling asleep and being woken cost together.
pub const LINGER_MAX: Duration = Duration::from_micros(30);
/// After so many vain waits in a row, one in [`PROBE_PERIOD`] turns is tried.
const VAIN_MAX: u32 = 3;
/// Turns between two attempts while nothing comes soon enough.
const PROBE_PERIOD: u32 = 64;

/// What the last waits brought.
#[derive(Debug, Default)]
pub struct Lingering {
    /// Waits in a row in which nothing came.
    vain: u32,
    /// Turns since the last wait.
    skipped: u32,
}

impl Lingering {
    /// Whether to wait awake at the end of this turn.
    pub fn is_worth_it(&mut self) -> bool {
        if self.vain < VAIN_MAX || self.skipped >= PROBE_PERIOD {
            self.skipped = 0;
            return true;
        }
        self.skipped += 1;
        false
    }

    /// Something came while it waited, or nothing did.
    pub fn learn(&mut self, heard: bool) {
        self.vain = if heard {
            0
        } else {
            self.vain.saturating_add(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Lingering, PROBE_PERIOD, VAIN_MAX};

    #[test]
    fn vain_waits_end_and_are_tried_again_now_and_then() {
        let mut lingering = Lingering::default();
        for _ in 0..VAIN_MAX {
            assert!(lingering.is_worth_it());
            lingering.learn(false);
        }
        for _ in 0..PROBE_PERIOD {
            assert!(!lingering.is_worth_it());
        }
        assert!(lingering.is_worth_it(), "a probe");
        lingering.learn(false);
        assert!(!lingering.is_worth_it(), "in vain: rare again");
        for _ in 1..PROBE_PERIOD {
            lingering.is_worth_it();
        }
        assert!(lingering.is_worth_it());
        lingering.learn(true);
        assert!(lingering.is_worth_it(), "one success is enough");
    }
}
