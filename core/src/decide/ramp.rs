//! Which calls may leave for an endpoint after a switch, so that all who have waited do not arrive in
//! one instant: few at first, and then not many more in a time than the application offers.
//!
//! Two bounds hold at once. So many may be *under way*: few at first, more with each answer and with
//! time. And so many may *leave* in a time: what was offered and somewhat more, beside the first few.

use std::time::{Duration, Instant};

/// What an endpoint is trusted with at first, whatever was offered.
const FIRST: usize = 16;
/// How long it takes until it is trusted with twice as much under way, whatever it does: slow calls
/// must not hold up all others.
pub const STEP: Duration = Duration::from_millis(100);
/// So many a second may leave in any case.
const LEAST: u64 = FIRST as u64;
/// A crowd that nobody has had to wait in for so long is over.
const QUIET: Duration = Duration::from_secs(1);

const NANOS: u128 = 1_000_000_000;

/// What became of one that might leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It did not leave after all.
    Unsent,
    /// It has left, and its end says nothing of what the endpoint can bear.
    Untold,
    /// The endpoint has answered it.
    Answered,
    /// The endpoint has failed.
    Failed,
}

#[derive(Debug)]
pub struct Ramp {
    began: Instant,
    most: usize,
    under_way: usize,
    /// How many may leave in a second.
    allowance: u64,
    /// How many may leave now, in parts of a call: as many as there are nanoseconds in a second.
    saved: u128,
    /// Up to when that was saved up.
    saved_at: Instant,
    /// When somebody has had to wait last.
    held: Instant,
}

impl Ramp {
    /// Calls go to an endpoint from now on that may get so many a second.
    pub fn new(allowance: u64, now: Instant) -> Ramp {
        Ramp {
            began: now,
            most: FIRST,
            under_way: 0,
            allowance: allowance.max(LEAST),
            saved: FIRST as u128 * NANOS,
            saved_at: now,
            held: now,
        }
    }

    /// More is offered by now, perhaps.
    pub fn offer(&mut self, allowance: u64, now: Instant) {
        self.save(now);
        self.allowance = self.allowance.max(allowance);
    }

    fn save(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.saved_at);
        self.saved_at = now;
        let more = since.as_nanos() * u128::from(self.allowance);
        self.saved = (self.saved + more).min(FIRST as u128 * NANOS);
    }

    /// Whether one more may leave now; it is counted.
    pub fn enter(&mut self, now: Instant) -> bool {
        self.save(now);
        let steps = now.saturating_duration_since(self.began).as_millis() / STEP.as_millis();
        let by_time = u32::try_from(steps)
            .ok()
            .and_then(|steps| FIRST.checked_shl(steps))
            .filter(|most| *most >= FIRST)
            .unwrap_or(usize::MAX);
        let may_leave = self.under_way < self.most.max(by_time) && self.saved >= NANOS;
        if may_leave {
            self.under_way += 1;
            self.saved -= NANOS;
        } else {
            self.held = now;
        }
        may_leave
    }

    /// How long somebody waits at least before whom so many wait.
    pub fn wait(&self, before: usize) -> Duration {
        let wanted = (before as u128 + 1) * NANOS;
        let nanos = wanted.saturating_sub(self.saved) / u128::from(self.allowance);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// One that was counted has ended. An answer makes room for two; a fault of the endpoint halves
    /// what it is trusted with. What has not left is as if it had never come; whatever has left has
    /// used its part of the time, also where its end says nothing.
    pub fn leave(&mut self, became: Became) {
        self.under_way = self.under_way.saturating_sub(1);
        match became {
            Became::Unsent => self.saved = (self.saved + NANOS).min(FIRST as u128 * NANOS),
            Became::Untold => {}
            Became::Answered => self.most = self.most.saturating_add(1),
            Became::Failed => self.most = (self.most / 2).max(FIRST),
        }
    }

    /// Whether there is no crowd any more: where nobody waits, less leaves than may.
    pub fn is_over(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.saved_at).as_nanos();
        let saved = self.saved + since * u128::from(self.allowance);
        let is_quiet = now.saturating_duration_since(self.held) >= QUIET;
        is_quiet || saved >= FIRST as u128 * NANOS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many a second as never bound.
    const PLENTY: u64 = 1_000_000_000_000;
    const MOMENT: Duration = Duration::from_micros(1);

    /// How many leave within a millisecond or so.
    fn entered(ramp: &mut Ramp, mut now: Instant) -> usize {
        (0..100_000)
            .take_while(|_| {
                now += Duration::from_nanos(10);
                ramp.enter(now)
            })
            .count()
    }

    #[test]
    fn time_doubles_what_may_be_under_way() {
        let now = Instant::now();
        let mut ramp = Ramp::new(PLENTY, now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP * 3), FIRST * 6);
        assert_eq!(entered(&mut ramp, now + STEP * 1000), 100_000);
    }

    #[test]
    fn answers_double_what_may_be_under_way_and_faults_halve_it() {
        let now = Instant::now();
        let mut ramp = Ramp::new(PLENTY, now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        for _ in 0..FIRST {
            ramp.leave(Became::Answered);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT), FIRST * 2);
        for _ in 0..FIRST * 2 {
            ramp.leave(Became::Answered);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT * 2), FIRST * 4);
        for _ in 0..FIRST * 4 {
            ramp.leave(Became::Failed);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT * 3), FIRST);
    }

    /// Ten thousand who wait, an endpoint that is done with each at once, and looks every so often.
    #[test]
    fn in_any_time_leaves_what_may_and_the_first_few() {
        use Became::{Answered, Failed, Untold};
        // At least so many leave in four seconds.
        for (allowance, look, became, least) in [
            (1200, 1, Answered, 4800),
            (1200, 7, Answered, 4700),
            (12_000, 1, Answered, 10_000),
            (16, 100, Answered, 64),
            // Each is throttled.
            (1200, 1, Untold, 4800),
            (1200, 1, Failed, 4800),
        ] {
            let begin = Instant::now();
            let mut ramp = Ramp::new(allowance, begin);
            let mut left: Vec<u64> = Vec::new();
            for millis in (0..4000).step_by(look) {
                let now = begin + Duration::from_millis(millis);
                while left.len() < 10_000 && ramp.enter(now) {
                    left.push(millis);
                    ramp.leave(became);
                }
            }
            let most = allowance as usize / 10 + FIRST;
            for (index, first) in left.iter().enumerate() {
                let within = left[index..].iter().take_while(|at| *at - first < 100);
                let within = within.count();
                assert!(within <= most, "{within} of {most} from {first} ms on");
            }
            assert!(left.len() >= least, "{} of {least}", left.len());
        }
    }

    #[test]
    fn what_is_offered_later_counts_as_well() {
        let now = Instant::now();
        let mut ramp = Ramp::new(0, now);
        while ramp.enter(now) {
            ramp.leave(Became::Answered);
        }
        assert!(!ramp.enter(now + MOMENT));
        ramp.offer(1000, now);
        assert!(ramp.enter(now + Duration::from_millis(1)));
        ramp.offer(20, now + Duration::from_millis(1));
        assert!(ramp.enter(now + Duration::from_millis(2)));
    }

    #[test]
    fn who_waits_knows_how_long_at_least() {
        let now = Instant::now();
        let mut ramp = Ramp::new(100, now);
        assert_eq!(ramp.wait(0), Duration::ZERO);
        while ramp.enter(now) {
            ramp.leave(Became::Answered);
        }
        assert_eq!(ramp.wait(0), Duration::from_millis(10));
        assert_eq!(ramp.wait(99), Duration::from_secs(1));
        assert!(ramp.enter(now + ramp.wait(0)));
        assert!(!ramp.enter(now + ramp.wait(0)));
    }

    #[test]
    fn what_did_not_leave_is_as_if_it_had_never_come() {
        let now = Instant::now();
        let mut ramp = Ramp::new(100, now);
        while ramp.enter(now) {}
        ramp.leave(Became::Unsent);
        assert!(ramp.enter(now) && !ramp.enter(now));
    }

    #[test]
    fn a_crowd_is_over_when_less_leaves_than_may_or_nobody_has_waited_for_a_while() {
        let now = Instant::now();
        let mut ramp = Ramp::new(160, now);
        assert!(ramp.is_over(now));
        while ramp.enter(now) {}
        assert!(!ramp.is_over(now + STEP / 2));
        assert!(ramp.is_over(now + STEP));
        let mut ramp = Ramp::new(0, now);
        while ramp.enter(now) {}
        assert!(!ramp.is_over(now + QUIET - STEP));
        assert!(ramp.is_over(now + QUIET));
    }
}
