//! How much may be sent again in one place, as a share of what is sent: retries must not be what
//! keeps an endpoint down.

use std::time::{Duration, Instant};

/// What one more costs. Counted in thousandths, so that shares add up.
const ONE: u64 = 1000;
/// At least so many a second, so that a quiet client may retry at all.
const FLOOR: u64 = 10 * ONE;
/// What was saved up: at most the floor of ten seconds.
const MOST: u64 = 10 * FLOOR;
/// After so long nothing more is saved up.
const MOST_SAVED_IN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Budget {
    /// What a call brings in.
    share: u64,
    saved: u64,
    /// When the floor was last paid.
    paid: Option<Instant>,
}

impl Budget {
    /// `share` of the calls, from 0 to 1. 0: nothing at all.
    pub fn new(share: f64) -> Budget {
        Budget {
            share: (share * ONE as f64).round() as u64,
            saved: FLOOR,
            paid: None,
        }
    }

    /// A call has begun.
    pub fn deposit(&mut self) {
        self.saved = (self.saved + self.share).min(MOST);
    }

    /// How many may be sent again now.
    pub fn left(&self, now: Instant) -> u64 {
        if self.share == 0 {
            return 0;
        }
        (self.saved + self.earned(now)).min(MOST) / ONE
    }

    fn earned(&self, now: Instant) -> u64 {
        let since = self.paid.unwrap_or(now);
        let waited = now.saturating_duration_since(since).min(MOST_SAVED_IN);
        u64::try_from(waited.as_micros()).unwrap_or(0) * FLOOR / 1_000_000
    }

    /// Whether one more may be sent again now; it is counted.
    pub fn withdraw(&mut self, now: Instant) -> bool {
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
}
