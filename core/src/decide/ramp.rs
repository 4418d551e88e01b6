//! How many calls may be at an endpoint at once after a switch: few at first, and more with each
//! answer, so that all who have waited do not arrive in one instant.

/// What an endpoint is trusted with at first.
const FIRST: usize = 16;

#[derive(Debug)]
pub(crate) struct Ramp {
    most: usize,
    under_way: usize,
}

impl Ramp {
    pub(crate) fn new() -> Ramp {
        Ramp {
            most: FIRST,
            under_way: 0,
        }
    }

    /// Whether one more may leave now; it is counted.
    pub(crate) fn enter(&mut self) -> bool {
        let may_leave = self.under_way < self.most;
        if may_leave {
            self.under_way += 1;
        }
        may_leave
    }

    /// One that was counted did not leave after all.
    pub(crate) fn give_back(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// One has ended. An answer makes room for two; a fault of the endpoint halves what it is
    /// trusted with.
    pub(crate) fn leave(&mut self, was_answered: bool) {
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

    fn entered(ramp: &mut Ramp) -> usize {
        (0..100_000).take_while(|_| ramp.enter()).count()
    }

    #[test]
    fn answers_double_what_may_leave_and_faults_halve_it() {
        let mut ramp = Ramp::new();
        assert_eq!(entered(&mut ramp), FIRST);
        for _ in 0..FIRST {
            ramp.leave(true);
        }
        assert_eq!(entered(&mut ramp), FIRST * 2);
        for _ in 0..FIRST * 2 {
            ramp.leave(true);
        }
        assert_eq!(entered(&mut ramp), FIRST * 4);
        for _ in 0..FIRST * 4 {
            ramp.leave(false);
        }
        assert_eq!(entered(&mut ramp), FIRST);
    }
}
