//! When a call that waits in silence has its endpoint looked at, and what its silence means.
//!
//! A slow endpoint that lives is never left. A dead one is left at once by what loses nothing by it,
//! and after its grace by a write that may be executed yet and is not sent again.

use std::time::{Duration, Instant};

/// A slow call on a living endpoint is looked at ever more rarely.
const LONGEST: Duration = Duration::from_secs(30);

/// A look begins after this part of `probe_after`, so that the silence that is borne anyway counts
/// against the endpoint while its probe has all of its time. Two fifths, in tenths…
const EARLY_TENTHS: u32 = 4;
/// …but one in so long only: to a service that is often as slow as that it would be a request for
/// each call.
const EARLY_AGAIN: Duration = Duration::from_secs(10);

/// What all calls of a client know of early looks.
#[derive(Debug, Default)]
pub struct Patience {
    /// When the last one began.
    early: Option<Instant>,
}

impl Patience {
    /// Whether a look may be early now; then it is counted.
    fn allows_early(&mut self, now: Instant) -> bool {
        let is_over = |early| now.saturating_duration_since(early) >= EARLY_AGAIN;
        let may_be = self.early.is_none_or(is_over);
        if may_be {
            self.early = Some(now);
        }
        may_be
    }
}

/// What the settings and the preset say.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The silence after which the endpoint is looked at.
    pub probe_after: Duration,
    /// How long a write that would be in doubt is waited for; `None`: not at all.
    pub write_grace: Option<Duration>,
}

/// What is to be done for a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Come again then, unless the call has ended.
    Until(Instant),
    /// Report a doubt of its endpoint, and hear where calls go.
    Report,
    /// Others have left the endpoint: find out whether it still answers.
    LookBack,
    /// It ends here; it has heard nothing of the endpoint.
    Leave,
    /// It ends here if it has not ended by then: it is a write that may be executed yet.
    Grace(Instant),
}

/// One call that waits for its endpoint.
#[derive(Debug)]
pub struct Watch {
    bounds: Bounds,
    /// It does not wait longer.
    deadline: Instant,
    /// Silence counts from here on: the beginning, the last move, the end of the last look.
    since: Instant,
    /// How much of it is borne.
    pause: Duration,
    /// Whether the next look may be early.
    may_be_early: bool,
    /// Whether its endpoint was looked at, for the silence that lasts, and not left.
    has_stayed: bool,
}

impl Watch {
    /// A call begins to wait.
    pub fn new(bounds: Bounds, deadline: Instant, now: Instant) -> Watch {
        Watch {
            bounds,
            deadline,
            since: now,
            pause: bounds.probe_after,
            may_be_early: true,
            has_stayed: false,
        }
    }

    /// What is to be done first.
    pub fn begin(&self) -> Wait {
        Wait::Until(self.since + self.early())
    }

    fn early(&self) -> Duration {
        self.bounds.probe_after * EARLY_TENTHS / 10
    }

    /// How long nothing was heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// The time has come that was asked for. `moved`: when something was sent or has come last.
    pub fn woken(&mut self, moved: Option<Instant>, patience: &mut Patience, now: Instant) -> Wait {
        if let Some(moved) = moved.filter(|moved| *moved > self.since) {
            *self = Watch::new(self.bounds, self.deadline, moved);
        }
        if self.silence(now) >= self.pause {
            return Wait::Report;
        }
        if self.may_be_early {
            let early = self.since + self.early();
            if now < early {
                return Wait::Until(early);
            }
            self.may_be_early = false;
            if patience.allows_early(now) {
                return Wait::Report;
            }
        }
        Wait::Until(self.since + self.pause)
    }

    /// Others have left the endpoint, before the time that was asked for. Who was told to stay asks
    /// again at once, and does not bear the rest of a long pause.
    pub fn left(&self, asked_for: Instant) -> Wait {
        if self.has_stayed {
            Wait::Report
        } else {
            Wait::Until(asked_for)
        }
    }

    /// Where calls go was heard. `was_found_dead`: the endpoint was left for that; `has_grace`: its
    /// answer is waited for all the same.
    pub fn heard(
        &mut self,
        goes_elsewhere: bool,
        was_found_dead: bool,
        has_grace: bool,
        now: Instant,
    ) -> Wait {
        match (goes_elsewhere, was_found_dead) {
            (false, _) => self.stay(now),
            // Others may have left it for reasons of their own.
            (true, false) => Wait::LookBack,
            (true, true) => self.leave(has_grace, now),
        }
    }

    /// Whether an endpoint that others have left still answers was found out.
    pub fn looked_back(&mut self, is_alive: bool, has_grace: bool, now: Instant) -> Wait {
        if is_alive {
            self.stay(now)
        } else {
            self.leave(has_grace, now)
        }
    }

    fn stay(&mut self, now: Instant) -> Wait {
        self.since = now;
        self.pause = (self.pause * 2).min(LONGEST.max(self.bounds.probe_after));
        self.may_be_early = false;
        self.has_stayed = true;
        Wait::Until(self.since + self.pause)
    }

    fn leave(&self, has_grace: bool, now: Instant) -> Wait {
        match self.bounds.write_grace {
            Some(grace) if has_grace => Wait::Grace(self.deadline.min(now + grace)),
            _ => Wait::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const EARLY: Duration = Duration::from_millis(400);
    const BOUNDS: Bounds = Bounds {
        probe_after: SECOND,
        write_grace: Some(Duration::from_secs(10)),
    };

    fn watch(now: Instant) -> Watch {
        Watch::new(BOUNDS, now + SECOND * 300, now)
    }

    /// One whose client has looked early just now.
    fn patient(now: Instant) -> Patience {
        Patience { early: Some(now) }
    }

    #[test]
    fn looks_become_rare_and_progress_makes_them_prompt_again() {
        for (probe_after, pauses) in [(1, [2, 4, 8, 16, 30, 30]), (60, [60; 6])] {
            let mut now = Instant::now();
            let bounds = Bounds {
                probe_after: SECOND * probe_after,
                ..BOUNDS
            };
            let mut patience = patient(now);
            let mut watch = Watch::new(bounds, now + SECOND * 300, now);
            let mut borne = probe_after;
            for pause in pauses {
                now += SECOND * borne;
                patience.early = Some(now);
                borne = pause;
                assert_eq!(watch.woken(None, &mut patience, now), Wait::Report);
                let next = watch.heard(false, false, false, now);
                assert_eq!(next, Wait::Until(now + SECOND * pause), "{pause}");
            }
            let moved = now + SECOND;
            let woken = watch.woken(Some(moved), &mut patience, moved);
            assert_eq!(woken, Wait::Until(moved + bounds.probe_after * 2 / 5));
        }
    }

    #[test]
    fn silence_counts_from_the_last_move_and_not_from_one_before_the_call() {
        let now = Instant::now();
        let mut patience = patient(now);
        let mut watch = watch(now + SECOND);
        let due = now + SECOND * 2;
        assert_eq!(watch.woken(Some(now), &mut patience, due), Wait::Report);
        let moved = due - EARLY / 2;
        let woken = watch.woken(Some(moved), &mut patience, due);
        assert_eq!(woken, Wait::Until(moved + EARLY));
        assert_eq!(watch.silence(due), EARLY / 2);
        // What has moved it once does not again.
        let early = moved + EARLY;
        let pause = Wait::Until(moved + SECOND);
        assert_eq!(watch.woken(Some(moved), &mut patience, early), pause);
        patience.early = None;
        assert_eq!(watch.woken(Some(moved), &mut patience, early), pause);
    }

    #[test]
    fn one_look_in_ten_seconds_is_early() {
        let begin = Instant::now();
        let mut patience = Patience::default();
        let mut early = |now: Instant| {
            let mut watch = watch(now);
            assert_eq!(watch.begin(), Wait::Until(now + EARLY));
            let woken = watch.woken(None, &mut patience, now + EARLY);
            if woken != Wait::Report {
                assert_eq!(woken, Wait::Until(now + SECOND));
                let due = watch.woken(None, &mut patience, now + SECOND);
                assert_eq!(due, Wait::Report);
            }
            woken == Wait::Report
        };
        assert!(early(begin));
        assert!(!early(begin) && !early(begin + EARLY_AGAIN - SECOND));
        assert!(early(begin + EARLY_AGAIN));
        assert!(!early(begin + EARLY_AGAIN));
    }

    #[test]
    fn after_an_early_look_the_next_one_is_not() {
        let now = Instant::now();
        let mut patience = Patience::default();
        let mut watch = watch(now);
        assert_eq!(watch.woken(None, &mut patience, now + EARLY), Wait::Report);
        let next = watch.heard(false, false, false, now + EARLY);
        assert_eq!(next, Wait::Until(now + EARLY + SECOND * 2));
        patience.early = None;
        let woken = watch.woken(None, &mut patience, now + SECOND * 2);
        assert_eq!(woken, next);
    }

    #[test]
    fn what_a_silence_means() {
        let now = Instant::now();
        let grace = Wait::Grace(now + SECOND * 10);
        for (found_dead, alive, has_grace, expected) in [
            (true, None, false, Wait::Leave),
            (true, None, true, grace),
            (false, Some(false), false, Wait::Leave),
            (false, Some(false), true, grace),
            (false, Some(true), true, Wait::Until(now + SECOND * 2)),
        ] {
            let mut watch = watch(now);
            let mut next = watch.heard(true, found_dead, has_grace, now);
            if let Some(is_alive) = alive {
                assert_eq!(next, Wait::LookBack);
                next = watch.looked_back(is_alive, has_grace, now);
            }
            assert_eq!(next, expected, "{found_dead} {alive:?} {has_grace}");
        }
    }

    #[test]
    fn who_was_told_to_stay_asks_again_as_soon_as_others_leave() {
        let now = Instant::now();
        let mut patience = patient(now);
        for probe_after in [SECOND, SECOND * 60] {
            let bounds = Bounds {
                probe_after,
                ..BOUNDS
            };
            let mut watch = Watch::new(bounds, now + SECOND * 300, now);
            let due = now + probe_after;
            assert_eq!(watch.left(due), Wait::Until(due));
            assert_eq!(watch.woken(None, &mut patience, due), Wait::Report);
            let later = watch.heard(false, false, false, due);
            let Wait::Until(until) = later else {
                panic!("{later:?}");
            };
            assert_eq!(watch.left(until), Wait::Report);
            // It has moved since: its silence is a new one.
            let moved = due + SECOND;
            let woken = watch.woken(Some(moved), &mut patience, moved);
            assert_eq!(woken, Wait::Until(moved + probe_after * 2 / 5));
            assert_eq!(watch.left(until), Wait::Until(until));
        }
    }

    #[test]
    fn a_grace_ends_with_the_deadline_and_may_be_none() {
        let now = Instant::now();
        let mut hurried = Watch::new(BOUNDS, now + SECOND, now);
        let left = hurried.heard(true, true, true, now);
        assert_eq!(left, Wait::Grace(now + SECOND));
        let bounds = Bounds {
            write_grace: None,
            ..BOUNDS
        };
        let mut graceless = Watch::new(bounds, now + SECOND, now);
        assert_eq!(graceless.heard(true, true, true, now), Wait::Leave);
    }
}
