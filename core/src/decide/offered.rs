//! How many calls an application begins: the load that an endpoint is used to.

use std::array;
use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls are counted for each quarter of a second, of the last four seconds…
const QUARTER: Duration = Duration::from_millis(250);
/// …and for each four seconds, of the last minute.
const FOUR_SECONDS: Duration = Duration::from_secs(4);
const SLOTS: usize = 16;
/// So many quarters say how many begin now.
const LAST: u64 = 4;
/// Fewer in four seconds say too little by themselves: then the minute counts.
const ENOUGH: u64 = 16;
/// A crowd that was held may be so many times as large as the mean.
const MORE: f64 = 1.2;
/// So many of those who had to wait for each who begins: what chance makes of many clients' waiting is above it.
const BESIDE: f64 = 0.13;
/// So many times the square root of a quarter's calls lie above the mean in hardly any quarter of an
/// even load, of calls that come as they like: what is above is a crowd.
const DEVIATIONS: f64 = 4.0;
/// What was offered when a fault was seen counts for so long after what came of it: while an endpoint
/// is silent, those who wait for an answer begin no further calls.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What an endpoint may get to which so much is offered.
pub fn more(offered: f64) -> f64 {
    offered * MORE
}

/// What of those who had to wait an endpoint may get beside as many who begin.
pub fn beside(waited: f64) -> f64 {
    waited * BESIDE
}

/// So many calls a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// What an endpoint may get that takes it over.
    pub allowance: f64,
    /// How many have begun in the last second or, where they are few, minute.
    pub begin: f64,
}

/// Counts without a lock: every call comes by.
#[derive(Debug)]
pub struct Offered {
    opened: Instant,
    quarters: Ring,
    minute: Ring,
}

impl Offered {
    pub fn new(now: Instant) -> Offered {
        Offered {
            opened: now,
            quarters: Ring::new(QUARTER),
            minute: Ring::new(FOUR_SECONDS),
        }
    }

    /// A call that goes to an endpoint has begun then.
    pub fn count(&self, begun: Instant) {
        let since = begun.saturating_duration_since(self.opened);
        self.quarters.count(since);
        self.minute.count(since);
    }

    /// How many calls a second an endpoint may get that takes this load over: somewhat more than
    /// the mean of the last seconds; and as many as in the busiest quarter, if a crowd came in it and
    /// not just more than in others by chance.
    pub fn allowance(&self, now: Instant) -> f64 {
        self.load(now).allowance
    }

    /// The same, and how many begin.
    pub fn load(&self, now: Instant) -> Load {
        let since = now.saturating_duration_since(self.opened);
        let lately = self.quarters.sums(since);
        let (mean, begin) = if lately.total < ENOUGH {
            let mean = self.minute.sums(since).mean_after_first();
            (mean, mean)
        } else {
            (lately.mean(), lately.mean_at_last())
        };
        let allowance = if lately.has_crowd() {
            more(mean).max(lately.busiest as f64 / QUARTER.as_secs_f64())
        } else {
            more(mean)
        };
        Load { allowance, begin }
    }
}

/// The last so many equal times, and how many calls began in each.
#[derive(Debug)]
struct Ring {
    time: Duration,
    /// Each has the number of its time, and below that the calls that began in it.
    slots: [AtomicU64; SLOTS],
}

const COUNT_BITS: u32 = 32;

impl Ring {
    fn new(time: Duration) -> Ring {
        Ring {
            time,
            slots: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn number(&self, since: Duration) -> u64 {
        since.as_millis() as u64 / self.time.as_millis() as u64
    }

    fn count(&self, since: Duration) {
        let number = self.number(since);
        let slot = &self.slots[number as usize % SLOTS];
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let counted = match (seen >> COUNT_BITS).cmp(&number) {
                Less => (number << COUNT_BITS) + 1,
                Equal => seen + 1,
                // It has waited for so long that its time does not count any more.
                Greater => return,
            };
            match slot.compare_exchange_weak(seen, counted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    fn sums(&self, since: Duration) -> Sums {
        let last = self.number(since);
        let first = last.saturating_sub(SLOTS as u64 - 1);
        let mut sums = Sums {
            time: self.time,
            ..Sums::default()
        };
        for number in first..=last {
            let slot = self.slots[number as usize % SLOTS].load(Ordering::Relaxed);
            let count = slot & u64::from(u32::MAX);
            if slot >> COUNT_BITS != number {
                continue;
            }
            if sums.total == 0 {
                let before = Duration::from_millis(number * self.time.as_millis() as u64);
                sums.since_first = since - before;
            }
            sums.total += count;
            if last - number < LAST {
                sums.last += count;
            }
            sums.busiest = sums.busiest.max(count);
        }
        sums
    }
}

/// What a ring has counted.
#[derive(Debug, Default)]
struct Sums {
    time: Duration,
    total: u64,
    /// In the last four of its times.
    last: u64,
    busiest: u64,
    /// From the beginning of the first time in which a call began.
    since_first: Duration,
}

impl Sums {
    fn mean(&self) -> f64 {
        self.total as f64 / self.since_first.max(self.time).as_secs_f64()
    }

    fn mean_at_last(&self) -> f64 {
        let time = self.since_first.clamp(self.time, self.time * LAST as u32);
        self.last as f64 / time.as_secs_f64()
    }

    /// The first one of few says only that their time has begun.
    fn mean_after_first(&self) -> f64 {
        let after_first = self.total.saturating_sub(1) as f64;
        after_first / self.since_first.max(self.time).as_secs_f64()
    }

    /// Whether so many calls in one of its times are more than chance makes of all.
    fn has_crowd(&self) -> bool {
        let busiest = self.busiest as f64;
        busiest - self.mean() * self.time.as_secs_f64() > DEVIATIONS * busiest.sqrt()
    }
}

/// What was offered when a fault was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    noted: Option<(Instant, f64)>,
    /// How many faults are looked into.
    looked_into: usize,
    /// Since when.
    since: Option<Instant>,
}

impl Remembered {
    /// A fault was seen, and is looked into. The most of the last minute counts.
    pub fn begins(&mut self, allowance: f64, now: Instant) {
        if allowance >= self.at(now) {
            self.noted = Some((now, allowance));
        }
        self.since.get_or_insert(now);
        self.looked_into += 1;
    }

    /// What came of a fault is over, be it an outage of hours. Its minute begins.
    pub fn ends(&mut self, now: Instant) {
        self.looked_into = self.looked_into.saturating_sub(1);
        self.since.take_if(|_| self.looked_into == 0);
        if let Some((noted, _)) = &mut self.noted {
            *noted = now;
        }
    }

    /// What is remembered.
    pub fn at(self, now: Instant) -> f64 {
        let counts =
            |noted| self.looked_into > 0 || now.saturating_duration_since(noted) < REMEMBERED;
        let noted = self.noted.filter(|(noted, _)| counts(*noted));
        noted.map_or(0.0, |(_, allowance)| allowance)
    }

    /// How long it has been looked into a fault.
    pub fn lasted(self, now: Instant) -> Duration {
        let since = self.since.unwrap_or(now);
        now.saturating_duration_since(since)
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
            let [least, most] = [1.1, 1.2001].map(|more| f64::from(a_second) * more);
            assert!(
                (least..=most).contains(&allowance),
                "{a_second}: {allowance}"
            );
        }
    }

    #[test]
    fn how_many_begin_is_of_the_last_second_or_minute() {
        for (a_second, time, silence, expected) in [
            // Of the quarter that has just begun there are none.
            (100, SECOND * 9, Duration::ZERO, 75.0),
            (100, SECOND * 9, QUARTER * 2, 25.0),
            (100, SECOND * 9, SECOND, 0.0),
            (100, QUARTER * 2, Duration::ZERO, 100.0),
            (1, SECOND * 41, SECOND, 40.0 / 45.0),
        ] {
            let (offered, now) = offered(a_second, time);
            let begin = offered.load(now + silence).begin;
            assert!((begin - expected).abs() < 0.01, "{begin} of {expected}");
        }
    }

    #[test]
    fn who_has_only_begun_is_taken_by_the_time_since() {
        let (offered, now) = offered(100, SECOND);
        let allowance = offered.allowance(now);
        assert!((110.0..=121.0).contains(&allowance), "{allowance}");
    }

    #[test]
    fn a_crowd_counts_as_it_came() {
        let (offered, now) = offered(800, QUARTER);
        assert_eq!(offered.allowance(now + SECOND * 2), 800.0);
    }

    #[test]
    fn a_crowd_is_more_than_chance_makes() {
        for (busiest, expected) in [(25, 24.0), (26, 104.0)] {
            let opened = Instant::now();
            let offered = Offered::new(opened);
            (0..busiest).for_each(|_| offered.count(opened));
            (busiest..40).for_each(|_| offered.count(opened + SECOND));
            assert_eq!(offered.allowance(opened + SECOND * 2), expected);
        }
    }

    #[test]
    fn what_is_four_seconds_ago_counts_as_of_the_minute() {
        let opened = Instant::now();
        let offered = Offered::new(opened);
        (0..16).for_each(|_| offered.count(opened));
        assert_eq!(offered.allowance(opened + SECOND * 4), 4.5);
    }

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (offered, now) = offered(100, SECOND);
        assert!(offered.allowance(now + SECOND * 5) > 0.0);
        assert_eq!(offered.allowance(now + SECOND * 64), 0.0);
        let later = now + SECOND * 4_000_000;
        (0..16).for_each(|_| offered.count(later));
        assert_eq!(offered.allowance(later), 64.0 * MORE);
    }

    #[test]
    fn of_few_calls_the_minute_counts() {
        for (every, calls) in [(2, 30), (3, 20), (10, 7)] {
            let opened = Instant::now();
            let offered = Offered::new(opened);
            for call in 0..calls {
                offered.count(opened + SECOND * every * call);
            }
            let allowance = offered.allowance(opened + SECOND * every * calls);
            let expected = MORE / f64::from(every);
            assert!(
                (expected * 0.75..=expected * 1.05).contains(&allowance),
                "every {every} s: {allowance}"
            );
        }
        // A pair says nothing of the seconds that come.
        let (offered, now) = offered(8, QUARTER);
        let allowance = offered.allowance(now);
        assert!((0.1..=0.5).contains(&allowance), "{allowance}");
    }

    #[test]
    fn nothing_is_offered_at_first() {
        let now = Instant::now();
        assert_eq!(Offered::new(now).allowance(now), 0.0);
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
        assert_eq!(offered.allowance(now), 16_000.0 * MORE);
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
                    offered.allowance(opened + SECOND * 6) / a_second
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
        assert_eq!(offered.allowance(now), 225.0 * 4.0);
    }

    #[test]
    fn the_most_of_a_minute_is_remembered_and_of_an_outage_however_long() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        assert_eq!(remembered.at(now), 0.0);
        for (allowance, seconds) in [(500.0, 0), (20.0, 30)] {
            remembered.begins(allowance, now + SECOND * seconds);
            remembered.ends(now + SECOND * seconds);
        }
        assert_eq!(remembered.at(now + SECOND * 89), 500.0);
        assert_eq!(remembered.at(now + SECOND * 90), 0.0);
        // Two are looked into: an outage, and what a switch by hand has cut short.
        let now = now + SECOND * 90;
        remembered.begins(20.0, now);
        remembered.begins(10.0, now + SECOND);
        remembered.ends(now + SECOND * 2);
        assert_eq!(remembered.at(now + SECOND * 3600), 20.0);
        remembered.ends(now + SECOND * 3600);
        assert_eq!(remembered.at(now + SECOND * 3659), 20.0);
        assert_eq!(remembered.at(now + SECOND * 3660), 0.0);
        remembered.begins(5.0, now + SECOND * 3660);
        assert_eq!(remembered.at(now + SECOND * 3661), 5.0);
    }

    #[test]
    fn how_long_it_was_looked_into_is_that_of_the_first_fault_that_still_is() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        assert_eq!(remembered.lasted(now), Duration::ZERO);
        remembered.begins(1.0, now);
        remembered.begins(1.0, now + SECOND);
        remembered.ends(now + SECOND * 2);
        assert_eq!(remembered.lasted(now + SECOND * 3), SECOND * 3);
        remembered.ends(now + SECOND * 3);
        assert_eq!(remembered.lasted(now + SECOND * 4), Duration::ZERO);
    }
}
