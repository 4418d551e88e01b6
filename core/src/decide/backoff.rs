//! How long to wait before sending again in the same place.

use std::time::Duration;

const BASE: Duration = Duration::from_millis(400);
const CAP: Duration = Duration::from_secs(5);
/// A throttled call that was told no time.
const THROTTLED_BASE: Duration = Duration::from_secs(1);
const THROTTLED_CAP: Duration = Duration::from_secs(30);
/// How far calls are spread that were all told the same time.
const SPREAD: Duration = Duration::from_secs(5);

/// What the service asks for, or else a bound that doubles. `random` is from 0 to 1.
///
/// The three pauses between four attempts are 1.4 s at least: a front end that restarts, a
/// failover of whatever is behind it, takes about a second.
pub(crate) fn backoff(retry_after: Option<Duration>, resends: u32, random: f64) -> Duration {
    let pause = jittered(BASE, CAP, resends, random);
    let Some(time) = retry_after else {
        return pause;
    };
    // Up to five seconds more; those who wait for little are spread little. Who is told "at once"
    // would use up his attempts at once.
    let spread = time + SPREAD.min(time / 2).mul_f64(random);
    spread.max(pause)
}

/// As [`backoff`], of a call that was asked to come less often.
///
/// What the service asks for is the least. It tells the same time to all whom it turns away, so these
/// are spread over as long again; and whoever comes then and is turned away once more was one of too
/// many: twice the time.
pub(crate) fn throttled(retry_after: Option<Duration>, resends: u32, random: f64) -> Duration {
    let Some(time) = retry_after else {
        return jittered(THROTTLED_BASE, THROTTLED_CAP, resends, random);
    };
    let least = doubled(time, resends).min(THROTTLED_CAP);
    let spread = time.max(least) + least.mul_f64(random);
    spread.max(jittered(BASE, CAP, resends, random))
}

fn doubled(time: Duration, times: u32) -> Duration {
    time.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX))
}

/// Half of a bound that doubles, and a random share of the other half.
fn jittered(base: Duration, cap: Duration, resends: u32, random: f64) -> Duration {
    let half = doubled(base, resends).min(cap) / 2;
    half + half.mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_doubles_with_a_floor_of_its_half() {
        assert_eq!(backoff(None, 0, 0.0), BASE / 2);
        assert_eq!(backoff(None, 0, 1.0), BASE);
        assert_eq!(backoff(None, 1, 0.5), BASE + BASE / 2);
        assert_eq!(backoff(None, 3, 1.0), BASE * 8);
        // Who waits for little is spread over half of it.
        assert_eq!(backoff(Some(BASE * 2), 0, 1.0), BASE * 3);
        for resends in [10, 31, 32, u32::MAX] {
            assert_eq!(backoff(None, resends, 1.0), CAP);
            assert_eq!(backoff(None, resends, 0.0), CAP / 2);
        }
        assert_eq!(throttled(None, 0, 1.0), THROTTLED_BASE);
        assert_eq!(throttled(None, 0, 0.0), THROTTLED_BASE / 2);
        assert_eq!(throttled(None, 40, 1.0), THROTTLED_CAP);
    }

    #[test]
    fn four_attempts_outlast_a_second() {
        let shortest: Duration = (0..3).map(|resends| backoff(None, resends, 0.0)).sum();
        assert_eq!(shortest, Duration::from_millis(1400));
    }

    #[test]
    fn what_the_service_asks_for_is_never_cut_and_exceeded_by_little() {
        for is_throttled in [false, true] {
            let asked = if is_throttled { throttled } else { backoff };
            for seconds in [0, 1, 7, 60, 3600] {
                let time = Duration::from_secs(seconds);
                let most = if is_throttled {
                    (time + THROTTLED_CAP).max(THROTTLED_CAP * 2)
                } else {
                    time + SPREAD
                };
                for resends in [0, 1, 9, u32::MAX] {
                    for random in [0.0, 0.5, 1.0] {
                        let pause = asked(Some(time), resends, random);
                        assert!(
                            pause >= time && pause <= most,
                            "{time:?} {pause:?} {most:?}"
                        );
                    }
                }
            }
            let minute = Duration::from_secs(60);
            assert_eq!(asked(Some(minute), 0, 0.0), minute);
            assert_eq!(asked(Some(Duration::ZERO), 0, 0.0), BASE / 2);
            assert_eq!(asked(Some(Duration::ZERO), 1, 1.0), BASE * 2);
        }
        let seconds = Duration::from_secs;
        assert_eq!(backoff(Some(seconds(60)), 9, 1.0), seconds(65));
    }

    #[test]
    fn who_is_turned_away_again_waits_twice_as_long_and_is_spread_over_as_long_again() {
        let seconds = Duration::from_secs;
        for (asked, resends, from, to) in [
            (2, 0, 2, 4),
            (2, 1, 4, 8),
            (2, 2, 8, 16),
            (2, 9, 30, 60),
            (20, 0, 20, 40),
            (20, 1, 30, 60),
            (300, 0, 300, 330),
            (300, 3, 300, 330),
        ] {
            let pause = |random| throttled(Some(seconds(asked)), resends, random);
            let found = (pause(0.0), pause(1.0));
            assert_eq!(found, (seconds(from), seconds(to)), "{asked} s, {resends}");
        }
    }
}
