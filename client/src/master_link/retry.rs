//! How long to wait between tries (client-behaviour, conventions).

use std::time::Duration;

const STEP: Duration = Duration::from_millis(300);
const FIRST: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_secs(10);
/// From this try on the wait is [`LATE`].
const LATE_FROM: u32 = 30;

/// The standard delay after try number `n`, counted from 1.
pub fn standard_delay(n: u32) -> Duration {
    if n < LATE_FROM {
        FIRST + STEP * n.saturating_sub(1)
    } else {
        FIRST + LATE
    }
}

/// Sum of the standard delays of `tries` tries: how long a request waits for a link.
pub fn patience(tries: u32) -> Duration {
    let growing = tries.min(LATE_FROM - 1);
    let late = tries.saturating_sub(LATE_FROM - 1);
    FIRST * tries + STEP * (growing * growing.saturating_sub(1) / 2) + LATE.saturating_mul(late)
}

/// Wait before asking again for a chunk that is locked or whose servers are busy: without end.
pub fn locked_delay(n: u32) -> Duration {
    match n {
        0..=2 => FIRST,
        3..=6 => Duration::from_millis(100),
        _ => Duration::from_millis(500),
    }
}

#[cfg(test)]
mod tests {
    use super::{patience, standard_delay};
    use std::time::Duration;

    #[test]
    fn waits_add_up_to_what_the_real_client_shows() {
        for (tries, patience_ms) in [(0, 0), (1, 1), (5, 3_005), (29, 121_829), (30, 131_830)] {
            assert_eq!(
                patience(tries),
                Duration::from_millis(patience_ms),
                "{tries}"
            );
            let sum: Duration = (1..=tries).map(standard_delay).sum();
            assert_eq!(sum, patience(tries), "{tries}");
        }
    }
}
