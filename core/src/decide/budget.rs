//! How much may be sent again in one place, as a share of what is sent: retries must not be what
//! keeps an endpoint down.

use std::time::Instant;

/// What one more costs. Counted in millionths, so that shares and moments add up.
const ONE: u64 = 1_000_000;
/// At least so many a second, so that a quiet client may retry at all.
const FLOOR: u64 = 10 * ONE;
/// So many may be saved up.
const MOST: u64 = 100 * ONE;
/// Of those who are told when to come again so many come then: a few at first, then a share of the calls, and
/// two a minute. More, and all quiet clients of a fleet were let come then.
const TOLD_FIRST: u64 = 3 * ONE;
const TOLD_SHARE: u64 = ONE / 5;
const TOLD_FLOOR: u64 = ONE / 30;

/// What a client may spend.
#[derive(Debug)]
pub struct Budget {
    again: Purse,
    told: Purse,
}

#[derive(Debug)]
struct Purse {
    /// What a call brings in.
    share: u64,
    /// What a second does.
    floor: u64,
    saved: u64,
    /// When the floor was last paid.
    paid: Option<Instant>,
}

impl Budget {
    /// `share` of the calls, from 0 to 1. 0: nothing at all.
    pub fn new(share: f64) -> Budget {
        let share = (share * ONE as f64).round() as u64;
        Budget {
            again: Purse::new(share, FLOOR, FLOOR),
            told: Purse::new(TOLD_SHARE, TOLD_FLOOR, TOLD_FIRST),
        }
    }

    /// A call has begun.
    pub fn deposit(&mut self) {
        self.again.deposit();
        self.told.deposit();
    }

    /// How many may be sent again now.
    pub fn left(&self, now: Instant) -> u64 {
        self.again.left(now)
    }

    /// Whether one more may be sent again now; it is counted.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        self.again.withdraw(now)
    }

    /// Whether one more that was told when to come again may come then; it is counted. The others come
    /// later: an endpoint that turns many of a client's calls away is told the same by all of them.
    pub fn withdraw_told(&mut self, now: Instant) -> bool {
        self.told.withdraw(now)
    }
}

impl Purse {
    fn new(share: u64, floor: u64, saved: u64) -> Purse {
        Purse {
            share,
            floor,
            saved,
            paid: None,
        }
    }

    fn deposit(&mut self) {
        self.saved = (self.saved + self.share).min(MOST);
    }

    fn left(&self, now: Instant) -> u64 {
        if self.share == 0 {
            return 0;
        }
        (self.saved + self.earned(now)).min(MOST) / ONE
    }

    fn earned(&self, now: Instant) -> u64 {
        let since = self.paid.unwrap_or(now);
        let waited = now.saturating_duration_since(since).as_micros();
        let earned = waited.saturating_mul(self.floor.into()) / 1_000_000;
        u64::try_from(earned).unwrap_or(MOST).min(MOST)
    }

    fn withdraw(&mut self, now: Instant) -> bool {
        if self.share == 0 {
            return false;
        }
        self.saved = (self.saved + self.earned(now)).min(MOST);
        self.paid = Some(now);
        let is_enough = self.saved >= ONE;
        if is_enough {
            self.saved -= ONE;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn withdrawn(budget: &mut Budget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_quiet_client_has_the_floor() {
        let (mut budget, now) = (Budget::new(0.2), Instant::now());
        assert_eq!(withdrawn(&mut budget, now), 10);
        assert_eq!(withdrawn(&mut budget, now), 0);
        assert_eq!(withdrawn(&mut budget, now + Duration::from_secs(1)), 10);
        assert_eq!(withdrawn(&mut budget, now + Duration::from_secs(600)), 100);
    }

    #[test]
    fn a_busy_client_has_its_share() {
        let (mut budget, now) = (Budget::new(0.2), Instant::now());
        withdrawn(&mut budget, now);
        for _ in 0..100 {
            budget.deposit();
        }
        assert_eq!(withdrawn(&mut budget, now), 20);
    }

    #[test]
    fn what_is_left_is_what_may_be_withdrawn() {
        let (mut budget, now) = (Budget::new(0.2), Instant::now());
        for seconds in [0, 1, 3, 600] {
            let now = now + Duration::from_secs(seconds);
            let left = budget.left(now);
            assert_eq!(withdrawn(&mut budget, now) as u64, left);
            assert_eq!(budget.left(now), 0);
        }
    }

    #[test]
    fn no_share_is_no_retry() {
        assert_eq!(Budget::new(0.0).left(Instant::now()), 0);
        assert!(!Budget::new(0.0).withdraw(Instant::now()));
    }

    #[test]
    fn of_many_who_were_told_a_time_a_few_come_then() {
        // Whatever the setting is.
        for share in [0.0, 0.2, 1.0] {
            let (mut budget, now) = (Budget::new(share), Instant::now());
            let left = budget.left(now);
            let told = |budget: &mut Budget, millis, expected| {
                let now = now + Duration::from_millis(millis);
                let told = (0..1000).take_while(|_| budget.withdraw_told(now));
                assert_eq!(told.count(), expected, "{share}, {millis}");
            };
            told(&mut budget, 0, 3);
            // Two a minute, also where it is asked for often.
            (1..300).for_each(|look| told(&mut budget, look * 100, 0));
            told(&mut budget, 30_100, 1);
            (0..10).for_each(|_| budget.deposit());
            told(&mut budget, 30_100, 2);
            told(&mut budget, 10_000_000, 100);
            let brought = (share * 10.0) as u64;
            assert_eq!(budget.left(now), left + brought, "it is not theirs");
        }
    }
}
