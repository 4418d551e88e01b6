//! How long to wait before sending again in the same place.

use std::time::Duration;

const BASE: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_secs(2);
/// A throttled call that was told no time.
const THROTTLED_BASE: Duration = Duration::from_secs(1);
const THROTTLED_CAP: Duration = Duration::from_secs(30);
/// How far calls are spread that were all told the same time.
const SPREAD: Duration = Duration::from_secs(5);

/// Full jitter: a random share of a bound that doubles. `random` is from 0 to 1.
pub(crate) fn backoff(resends: u32, random: f64) -> Duration {
    exponential(BASE, CAP, resends).mul_f64(random)
}

/// What the service asks for, and up to five seconds more; without a word of it, a random share of
/// a bound that doubles.
pub(crate) fn throttled(retry_after: Option<Duration>, resends: u32, random: f64) -> Duration {
    match retry_after {
        // Those who wait for little are spread little.
        Some(time) => time + SPREAD.min(time / 2).mul_f64(random),
        None => exponential(THROTTLED_BASE, THROTTLED_CAP, resends).mul_f64(random),
    }
}

fn exponential(base: Duration, cap: Duration, resends: u32) -> Duration {
    base.saturating_mul(1u32.checked_shl(resends).unwrap_or(u32::MAX))
        .min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_share_of_a_bound_that_doubles() {
        assert_eq!(backoff(0, 1.0), BASE);
        assert_eq!(backoff(1, 0.5), BASE);
        assert_eq!(backoff(3, 1.0), BASE * 8);
        for resends in [10, 31, 32, u32::MAX] {
            assert_eq!(backoff(resends, 1.0), CAP);
        }
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn what_the_service_asks_for_is_never_cut_and_never_exceeded_by_more_than_five_seconds() {
        let minute = Duration::from_secs(60);
        assert_eq!(throttled(Some(minute), 0, 0.0), minute);
        assert_eq!(throttled(Some(minute), 9, 1.0), minute + SPREAD);
        assert_eq!(throttled(Some(Duration::ZERO), 0, 1.0), Duration::ZERO);
        assert_eq!(throttled(None, 0, 1.0), THROTTLED_BASE);
        assert_eq!(throttled(None, 40, 1.0), THROTTLED_CAP);
    }
}
