//! How many calls an application begins: the load that an endpoint is used to.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls are counted for each quarter of a second…
const QUARTERS_A_SECOND: u64 = 4;
const QUARTER: Duration = Duration::from_millis(250);
/// …of the last four seconds.
const SLOTS: usize = 16;
/// A crowd that was held may be so many times as large as the mean, in tenths.
const MORE_TENTHS: u64 = 12;
/// What was offered when a fault was seen counts for so long: while an endpoint is silent, those
/// who wait for an answer begin no further calls.
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

    /// A call begins.
    pub fn count(&self, now: Instant) {
        let quarter = self.quarter(now);
        let slot = &self.slots[quarter as usize % SLOTS];
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let counted = if seen >> COUNT_BITS == quarter {
                seen + 1
            } else {
                quarter << COUNT_BITS | 1
            };
            match slot.compare_exchange_weak(seen, counted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// How many calls a second an endpoint may get that takes this load over: somewhat more than
    /// the mean of the last seconds, and as many as in the busiest quarter.
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
        let since = now.saturating_duration_since(self.opened) - QUARTER * begun as u32;
        let millis = u64::try_from(since.max(QUARTER).as_millis()).unwrap_or(u64::MAX);
        let more = total * 1000 * MORE_TENTHS / 10 / millis;
        more.max(busiest.unwrap_or_default() * QUARTERS_A_SECOND)
    }
}

/// What was offered when a fault was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered(Option<(Instant, u64)>);

impl Remembered {
    /// A fault was seen. The most of the last minute counts.
    pub fn note(&mut self, allowance: u64, now: Instant) {
        if allowance >= self.at(now) {
            self.0 = Some((now, allowance));
        }
    }

    /// What is remembered.
    pub fn at(self, now: Instant) -> u64 {
        let noted = self
            .0
            .filter(|(noted, _)| now.saturating_duration_since(*noted) < REMEMBERED);
        noted.map_or(0, |(_, allowance)| allowance)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_most_of_a_minute_is_remembered() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        assert_eq!(remembered.at(now), 0);
        remembered.note(500, now);
        remembered.note(20, now + SECOND * 30);
        assert_eq!(remembered.at(now + SECOND * 59), 500);
        assert_eq!(remembered.at(now + SECOND * 60), 0);
        remembered.note(20, now + SECOND * 60);
        assert_eq!(remembered.at(now + SECOND * 61), 20);
    }
}
