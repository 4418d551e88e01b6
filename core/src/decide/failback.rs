//! Going home: how calls that a fault has moved to the alternate go back to the primary by themselves.

use std::time::{Duration, Instant};

use crate::Failback;

/// A failback that is followed by a fault within this time was too early.
const RELAPSE: Duration = Duration::from_secs(3600);

/// What the settings say of it.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    pub failback: Failback,
    /// How often the primary is looked at…
    pub interval: Duration,
    /// …and for how long each look must be a good one.
    pub after: Duration,
}

/// What is known of the primary while calls go to the alternate because of a fault.
#[derive(Debug)]
struct Away {
    next: Instant,
    /// Since when each look was a good one.
    good_since: Option<Instant>,
}

/// The way home.
#[derive(Debug)]
pub struct Home {
    ways: Ways,
    away: Option<Away>,
    /// When looks have led back last.
    went_home: Option<Instant>,
    /// How often that was too early, one time after the other.
    relapses: u32,
}

impl Home {
    pub fn new(ways: Ways) -> Home {
        Home {
            ways,
            away: None,
            went_home: None,
            relapses: 0,
        }
    }

    /// Whether a fault at the alternate leads back.
    pub fn is_manual(&self) -> bool {
        self.ways.failback == Failback::Manual
    }

    /// A fault has moved calls to the alternate.
    pub fn leaves(&mut self, now: Instant) {
        let is_relapse = |home| now.saturating_duration_since(home) < RELAPSE;
        self.relapses = match self.went_home.take() {
            Some(home) if is_relapse(home) => self.relapses.saturating_add(1),
            _ => 0,
        };
        self.away = (self.ways.failback == Failback::Probe).then(|| Away {
            next: now + self.ways.interval,
            good_since: None,
        });
    }

    /// Calls have gone elsewhere. `by_looks`: home, because looks were good.
    pub fn moves(&mut self, by_looks: bool, now: Instant) {
        self.away = None;
        self.went_home = by_looks.then_some(now);
    }

    /// When the primary is looked at next. `None`: it is not.
    pub fn next_look(&self) -> Option<Instant> {
        self.away.as_ref().map(|away| away.next)
    }

    /// What a look at the primary has found. Tells whether it was good for long enough.
    pub fn looked(&mut self, is_good: bool, now: Instant) -> bool {
        let Some(away) = &mut self.away else {
            return false;
        };
        away.next = now + self.ways.interval;
        if !is_good {
            away.good_since = None;
            return false;
        }
        let since = *away.good_since.get_or_insert(now);
        let after = self.ways.after;
        let doubled = after.saturating_mul(1u32.checked_shl(self.relapses).unwrap_or(u32::MAX));
        now.saturating_duration_since(since) >= doubled
    }

    /// Nobody goes home this time: the looks begin anew.
    pub fn stays_away(&mut self) {
        if let Some(away) = &mut self.away {
            away.good_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);
    const AFTER: Duration = Duration::from_secs(300);

    fn home(failback: Failback) -> Home {
        Home::new(Ways {
            failback,
            interval: INTERVAL,
            after: AFTER,
        })
    }

    fn probed() -> Home {
        home(Failback::Probe)
    }

    /// How long good looks take to lead home.
    fn goes_home(home: &mut Home, now: &mut Instant) -> Duration {
        let left = *now;
        for _ in 0..10_000 {
            *now = home.next_look().unwrap();
            if home.looked(true, *now) {
                return *now - left;
            }
        }
        panic!("never");
    }

    #[test]
    fn good_looks_for_long_enough_lead_home() {
        let (mut home, mut now) = (probed(), Instant::now());
        assert_eq!(home.next_look(), None);
        home.leaves(now);
        assert_eq!(home.next_look(), Some(now + INTERVAL));
        // The first good one is no time yet.
        assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER);
        home.moves(true, now);
        assert_eq!(home.next_look(), None);
    }

    #[test]
    fn a_bad_look_or_a_veto_begins_anew() {
        let (mut home, mut now) = (probed(), Instant::now());
        home.leaves(now);
        for _ in 0..5 {
            now += INTERVAL;
            assert!(!home.looked(true, now));
        }
        now += INTERVAL;
        assert!(!home.looked(false, now));
        assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER);
        home.stays_away();
        assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER);
    }

    #[test]
    fn each_relapse_within_an_hour_doubles_the_time() {
        let (mut home, mut now) = (probed(), Instant::now());
        home.leaves(now);
        for doubled in [1, 2, 4, 8] {
            assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER * doubled);
            home.moves(true, now);
            now += RELAPSE - Duration::from_secs(1);
            home.leaves(now);
        }
        goes_home(&mut home, &mut now);
        home.moves(true, now);
        now += RELAPSE;
        home.leaves(now);
        assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER);
        // Back because of a fault at the alternate: that was no failback of the looks.
        home.moves(false, now);
        home.leaves(now);
        assert_eq!(goes_home(&mut home, &mut now), INTERVAL + AFTER);
    }

    #[test]
    fn so_many_relapses_are_no_overflow() {
        let (mut home, now) = (probed(), Instant::now());
        home.leaves(now);
        home.relapses = u32::MAX;
        home.looked(true, now);
        assert!(!home.looked(true, now + RELAPSE * 1000));
    }

    #[test]
    fn other_forms_look_at_nothing() {
        for failback in [Failback::OnFault, Failback::Manual] {
            let (mut home, now) = (home(failback), Instant::now());
            home.leaves(now);
            assert_eq!(home.next_look(), None);
            assert!(!home.looked(true, now));
            assert_eq!(home.is_manual(), failback == Failback::Manual);
        }
    }
}
