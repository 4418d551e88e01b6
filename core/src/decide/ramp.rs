//! How many calls may be at an endpoint at once after a switch: few at first, and more with each
//! answer, so that all who have waited do not arrive in one instant.

use std::time::{Duration, Instant};

/// What an endpoint is trusted with at first.
const FIRST: usize = 16;
/// How long it takes until it is trusted with twice as much, whatever it does: slow calls must not
/// hold up all others.
pub const STEP: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Ramp {
    began: Instant,
    most: usize,
    under_way: usize,
}

impl Ramp {
    pub fn new(now: Instant) -> Ramp {
        Ramp {
            began: now,
            most: FIRST,
            under_way: 0,
        }
    }

    /// Whether one more may leave now; it is counted.
    pub fn enter(&mut self, now: Instant) -> bool {
        let steps = now.saturating_duration_since(self.began).as_millis() / STEP.as_millis();
        let by_time = u32::try_from(steps)
            .ok()
            .and_then(|steps| FIRST.checked_shl(steps))
            .filter(|most| *most >= FIRST)
            .unwrap_or(usize::MAX);
        let may_leave = self.under_way < self.most.max(by_time);
        if may_leave {
            self.under_way += 1;
        }
        may_leave
    }

    /// One that was counted did not leave after all.
    pub fn give_back(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// One has ended. An answer makes room for two; a fault of the endpoint halves what it is
    /// trusted with.
    pub fn leave(&mut self, was_answered: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if was_answered {
            self.most = self.most.saturating_add(1);
        } else {
            self.most = (self.most / 2).max(FIRST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(ramp: &mut Ramp, now: Instant) -> usize {
        (0..100_000).take_while(|_| ramp.enter(now)).count()
    }

    #[test]
    fn time_doubles_what_may_leave() {
        let now = Instant::now();
        let mut ramp = Ramp::new(now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP * 3), FIRST * 6);
        assert_eq!(entered(&mut ramp, now + STEP * 1000), 100_000);
    }

    #[test]
    fn answers_double_what_may_leave_and_faults_halve_it() {
        let now = Instant::now();
        let mut ramp = Ramp::new(now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        for _ in 0..FIRST {
            ramp.leave(true);
        }
        assert_eq!(entered(&mut ramp, now), FIRST * 2);
        for _ in 0..FIRST * 2 {
            ramp.leave(true);
        }
        assert_eq!(entered(&mut ramp, now), FIRST * 4);
        for _ in 0..FIRST * 4 {
            ramp.leave(false);
        }
        assert_eq!(entered(&mut ramp, now), FIRST);
    }
}
