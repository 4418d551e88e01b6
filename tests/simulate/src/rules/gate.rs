//! The gate of the library's client: lets calls go by and by after a switch, as its ramp says.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use d365_failover_core::machines::{Became, Offered, Ramp, Remembered, STEP};

#[derive(Debug)]
pub(super) struct Gate {
    offered: Offered,
    remembered: Remembered,
    ramp: Option<Ramp>,
    waiting: VecDeque<u32>,
}

impl Gate {
    pub(super) fn new(now: Instant) -> Gate {
        Gate {
            offered: Offered::new(now),
            remembered: Remembered::default(),
            ramp: None,
            waiting: VecDeque::new(),
        }
    }

    /// A call goes to an endpoint that the application has begun then.
    pub(super) fn begins(&self, begun: Instant) {
        self.offered.count(begun);
    }

    /// A fault was seen, and is looked into.
    pub(super) fn fault_begins(&mut self, now: Instant) {
        self.remembered.begins(self.offered.allowance(now), now);
    }

    /// What came of it is over.
    pub(super) fn fault_ends(&mut self, now: Instant) {
        self.remembered.ends(now);
    }

    /// From now on few may go, and then not many more in a time than are offered.
    pub(super) fn ramp(&mut self, chance: f64, now: Instant) {
        let allowance = self.offered.allowance(now);
        let allowance = allowance.max(self.remembered.at(now));
        let gathered = self.remembered.lasted(now);
        self.ramp = Some(Ramp::new(allowance, gathered, chance, now));
    }

    /// Whether a call may go, before whom nobody waits: `Some`, and whether it is counted. `None`: it
    /// waits.
    pub(super) fn enter(
        &mut self,
        call: u32,
        begun: Option<Instant>,
        now: Instant,
    ) -> Option<bool> {
        let Some(ramp) = &mut self.ramp else {
            return Some(false);
        };
        if self.waiting.is_empty() && ramp.enter(begun, now) {
            return Some(true);
        }
        self.waiting.push_back(call);
        ramp.gather(self.waiting.len(), begun, now);
        None
    }

    /// Whether a call has waited, which it does no more.
    pub(super) fn gives_up(&mut self, call: u32) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != call);
        self.waiting.len() < before
    }

    /// When the next one may go at the earliest, while somebody waits.
    pub(super) fn pause(&self) -> Option<Duration> {
        let ramp = self.ramp.as_ref().filter(|_| !self.waiting.is_empty())?;
        Some(ramp.wait(0).clamp(Duration::from_millis(1), STEP * 20))
    }

    /// A counted one has ended.
    pub(super) fn leave(&mut self, became: Became) {
        if let Some(ramp) = &mut self.ramp {
            ramp.leave(became);
        }
    }

    /// Who may go by now, in the order of their coming.
    pub(super) fn let_go(&mut self, now: Instant) -> Vec<u32> {
        let mut gone = Vec::new();
        let Some(ramp) = self.ramp.as_mut().filter(|_| !self.waiting.is_empty()) else {
            return gone;
        };
        ramp.offer(self.offered.load(now), now);
        while !self.waiting.is_empty() && ramp.enter(None, now) {
            gone.extend(self.waiting.pop_front());
        }
        gone
    }

    /// The endpoint has answered: where nobody waits there may be no crowd any more.
    pub(super) fn opens(&mut self, now: Instant) {
        self.ramp
            .take_if(|ramp| self.waiting.is_empty() && ramp.is_over(now));
    }
}
