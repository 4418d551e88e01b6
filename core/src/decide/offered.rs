//! How many calls an application begins: the load that an endpoint is used to.

use std::array;
use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls are counted for each quarter of a second…
const QUARTERS_A_SECOND: u64 = 4;
const QUARTER: Duration = Duration::from_millis(250);
/// …of the last four seconds.
const SLOTS: usize = 16;
/// A crowd that was held may be so many times as large as the mean, in tenths.
const MORE_TENTHS: u64 = 12;
/// So many times the square root of a quarter's calls lie above the mean in hardly any quarter of an
/// even load, of calls that come as they like: what is above is a crowd.
const DEVIATIONS: u128 = 4;
/// What was offered when a fault was seen counts for so long after what came of it: while an endpoint
/// is silent, those who wait for an answer begin no further calls.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Counts without a lock: every call comes by.
#[derive(Debug)]
pub struct Offered {
    opened: Instant,
    /// Each has the number of its quarter, and below that the calls that began in it.
    slots: [AtomicU64; SLOTS],
}

const COUNT_BITS: u32 = 32;

impl Offered {
    pub fn new(now: Instant) -> Offered {
        Offered {
            opened: now,
            slots: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn quarter(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.opened);
        since.as_secs() * QUARTERS_A_SECOND + u64::from(since.subsec_millis()) / 250
    }

    /// A call that goes to an endpoint has begun then.
    pub fn count(&self, begun: Instant) {
        let quarter = self.quarter(begun);
        let slot = &self.slots[quarter as usize % SLOTS];
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let counted = match (seen >> COUNT_BITS).cmp(&quarter) {
                Less => quarter << COUNT_BITS | 1,
                Equal => seen + 1,
                // It has waited for so long that its quarter does not count any more.
                Greater => return,
            };
            match slot.compare_exchange_weak(seen, counted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// How many calls a second an endpoint may get that takes this load over: somewhat more than
    /// the mean of the last seconds; and as many as in the busiest quarter, if a crowd came in it and
    /// not just more than in others by chance.
    pub fn allowance(&self, now: Instant) -> u64 {
        let last = self.quarter(now);
        let first = last.saturating_sub(SLOTS as u64 - 1);
        let counted = |quarter: u64| {
            let slot = self.slots[quarter as usize % SLOTS].load(Ordering::Relaxed);
            let is_of_it = slot >> COUNT_BITS == quarter;
            if is_of_it {
                slot & u64::from(u32::MAX)
            } else {
                0
            }
        };
        let mut quarters = (first..=last).map(|quarter| (quarter, counted(quarter)));
        let Some((begun, _)) = quarters.clone().find(|(_, count)| *count > 0) else {
            return 0;
        };
        let total: u64 = quarters.clone().map(|(_, count)| count).sum();
        let busiest = quarters.by_ref().map(|(_, count)| count).max();
        let busiest = busiest.unwrap_or_default();
        let since = now.saturating_duration_since(self.opened) - QUARTER * begun as u32;
        let millis = u64::try_from(since.max(QUARTER).as_millis()).unwrap_or(u64::MAX);
        let more = total * 1000 * MORE_TENTHS / 10 / millis;
        if is_crowd(busiest, total, millis) {
            more.max(busiest * QUARTERS_A_SECOND)
        } else {
            more
        }
    }
}

/// Whether so many calls in one quarter are more than chance makes of `total` calls in `millis`.
fn is_crowd(busiest: u64, total: u64, millis: u64) -> bool {
    let [busiest, total, millis] = [busiest, total, millis].map(u128::from);
    let above = (busiest * millis).saturating_sub(total * QUARTER.as_millis());
    above * above > DEVIATIONS * DEVIATIONS * busiest * millis * millis
}

/// What was offered when a fault was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    noted: Option<(Instant, u64)>,
    /// How many faults are looked into.
    looked_into: usize,
}

impl Remembered {
    /// A fault was seen, and is looked into. The most of the last minute counts.
    pub fn begins(&mut self, allowance: u64, now: Instant) {
        if allowance >= self.at(now) {
            self.noted = Some((now, allowance));
        }
        self.looked_into += 1;
    }

    /// What came of a fault is over, be it an outage of hours. Its minute begins.
    pub fn ends(&mut self, now: Instant) {
        self.looked_into = self.looked_into.saturating_sub(1);
        if let Some((noted, _)) = &mut self.noted {
            *noted = now;
        }
    }

    /// What is remembered.
    pub fn at(self, now: Instant) -> u64 {
        let counts =
            |noted| self.looked_into > 0 || now.saturating_duration_since(noted) < REMEMBERED;
        let noted = self.noted.filter(|(noted, _)| counts(*noted));
        noted.map_or(0, |(_, allowance)| allowance)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One that has counted so many calls a second, evenly, for so long, a while after it began.
    fn offered(a_second: u32, time: Duration) -> (Offered, Instant) {
        let opened = Instant::now();
        let begin = opened + SECOND * 7;
        let offered = Offered::new(opened);
        let calls = time.as_millis() as u32 * a_second / 1000;
        for call in 0..calls {
            offered.count(begin + time * call / calls);
        }
        (offered, begin + time)
    }

    #[test]
    fn an_even_load_may_be_exceeded_by_a_fifth() {
        for a_second in [40, 1000, 20_000] {
            let (offered, now) = offered(a_second, SECOND * 9);
            let allowance = offered.allowance(now);
            let least = u64::from(a_second) * 11 / 10;
            let most = u64::from(a_second) * 12 / 10;
            assert!(
                (least..=most).contains(&allowance),
                "{a_second}: {allowance}"
            );
        }
    }

    #[test]
    fn who_has_only_begun_is_taken_by_the_time_since() {
        let (offered, now) = offered(100, SECOND);
        let allowance = offered.allowance(now);
        assert!((110..=121).contains(&allowance), "{allowance}");
    }

    #[test]
    fn a_crowd_counts_as_it_came() {
        let (offered, now) = offered(800, QUARTER);
        assert_eq!(offered.allowance(now + SECOND * 2), 800);
    }

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (offered, now) = offered(100, SECOND);
        assert_eq!(offered.allowance(now + SECOND * 5), 0);
        let later = now + SECOND * 4_000_000;
        offered.count(later);
        assert_eq!(offered.allowance(later), 4);
    }

    #[test]
    fn nothing_is_offered_at_first() {
        let now = Instant::now();
        assert_eq!(Offered::new(now).allowance(now), 0);
    }

    #[test]
    fn calls_of_many_threads_are_all_counted() {
        let now = Instant::now();
        let offered = Offered::new(now);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| offered.count(now)));
            }
        });
        assert_eq!(offered.allowance(now), 4000 * QUARTERS_A_SECOND * 12 / 10);
    }

    /// Where the busiest quarter always counted, the mean of this was 1.2 to 2.3 times what was offered.
    #[test]
    fn calls_that_come_as_they_like_are_no_crowd() {
        let seed = RandomState::new().hash_one(0_u64);
        let mut state = seed;
        // SplitMix64.
        let mut uniform = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        for a_second in [10.0, 40.0, 100.0, 400.0] {
            let mut allowances: Vec<f64> = (0..500)
                .map(|_| {
                    let opened = Instant::now();
                    let offered = Offered::new(opened);
                    let mut at = 0.0;
                    loop {
                        at -= (1.0 - uniform()).ln() / a_second;
                        if at >= 6.0 {
                            break;
                        }
                        offered.count(opened + Duration::from_secs_f64(at));
                    }
                    offered.allowance(opened + SECOND * 6) as f64 / a_second
                })
                .collect();
            allowances.sort_by(f64::total_cmp);
            let mean = allowances.iter().sum::<f64>() / allowances.len() as f64;
            let p99 = allowances[allowances.len() * 99 / 100];
            // The mean of four seconds is itself by chance.
            let most = 1.2 * (1.0 + 3.5 / (a_second * 3.75).sqrt());
            assert!(
                (1.05..=1.3).contains(&mean) && p99 <= most,
                "{a_second}: mean {mean}, p99 {p99} of {most}; seed {seed}"
            );
        }
    }

    #[test]
    fn a_call_counts_when_it_began_and_takes_no_newer_one_s_place() {
        let (offered, now) = offered(100, SECOND * 9);
        let before = offered.allowance(now);
        // They have waited, and go now: some for long, some for two seconds.
        (0..10_000).for_each(|_| offered.count(now - SECOND * 7));
        assert_eq!(offered.allowance(now), before);
        (0..200).for_each(|_| offered.count(now - SECOND * 2));
        assert_eq!(offered.allowance(now), 225 * QUARTERS_A_SECOND);
    }

    #[test]
    fn the_most_of_a_minute_is_remembered_and_of_an_outage_however_long() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        assert_eq!(remembered.at(now), 0);
        for (allowance, seconds) in [(500, 0), (20, 30)] {
            remembered.begins(allowance, now + SECOND * seconds);
            remembered.ends(now + SECOND * seconds);
        }
        assert_eq!(remembered.at(now + SECOND * 89), 500);
        assert_eq!(remembered.at(now + SECOND * 90), 0);
        // Two are looked into: an outage, and what a switch by hand has cut short.
        let now = now + SECOND * 90;
        remembered.begins(20, now);
        remembered.begins(10, now + SECOND);
        remembered.ends(now + SECOND * 2);
        assert_eq!(remembered.at(now + SECOND * 3600), 20);
        remembered.ends(now + SECOND * 3600);
        assert_eq!(remembered.at(now + SECOND * 3659), 20);
        assert_eq!(remembered.at(now + SECOND * 3660), 0);
        remembered.begins(5, now + SECOND * 3660);
        assert_eq!(remembered.at(now + SECOND * 3661), 5);
    }
}
