//! Who waits for an outage to end, and how long.

use std::time::{Duration, Instant};

use super::{Switch, WaitOut};
use crate::decide::outage::Outage;
use crate::decide::place::Place;

/// No decision takes so long: the handlers have their time.
const LONGEST_DECISION: Duration = Duration::from_secs(86_400);

impl Switch {
    /// A call would wait for the outage to end.
    pub fn wait_out(&mut self, now: Instant) -> WaitOut {
        let Some(outage) = self.outage() else {
            return WaitOut::Over;
        };
        if self.waiting >= self.limits.max_waiting && outage.answered().is_none() {
            return WaitOut::Full;
        }
        self.waiting += 1;
        WaitOut::Until(self.waits_until(now, now))
    }

    /// How long a call waits that has begun to at `began`: asked again then, because an interruption
    /// may have been announced meanwhile, and once an endpoint has answered, only the handlers are
    /// waited for.
    pub fn waits_until(&self, began: Instant, now: Instant) -> Instant {
        let outage = self.outage();
        if outage.is_some_and(|outage| outage.answered().is_some()) {
            return now + LONGEST_DECISION;
        }
        let waits = began + self.limits.outage_wait;
        let planned = self.windows.until(now);
        planned.map_or(waits, |planned| planned.max(waits))
    }

    /// Whether a call that has waited in vain goes all the same, to be the one that finds out.
    pub fn tries(&mut self) -> bool {
        self.outage_mut().is_some_and(Outage::tries)
    }

    /// Such a call was answered at `place`.
    pub fn is_answered(&mut self, place: Place, now: Instant) {
        if place == self.place
            && let Some(outage) = self.outage_mut()
        {
            outage.is_answered(now);
        }
    }

    /// There is a reason to look again in the outage that there is, if there is one.
    pub fn hints(&mut self, now: Instant) {
        if let Some(outage) = self.outage_mut() {
            outage.hints(now);
        }
    }

    /// Completes the sentence of a call's error that has waited from `began` to `until`.
    pub fn has_waited_for(&self, began: Instant, until: Instant) -> &'static str {
        if until > began + self.limits.outage_wait {
            "to the end of the interruption that is planned"
        } else {
            "outage_wait"
        }
    }

    fn outage_mut(&mut self) -> Option<&mut Outage> {
        let place = self.place;
        let inquiry = self.inquiry.as_mut();
        let inquiry = inquiry.filter(|inquiry| inquiry.from == place);
        inquiry.and_then(|inquiry| inquiry.outage.as_mut())
    }

    /// One that was counted waits no more.
    pub fn waits_no_more(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// The outage that there is.
    pub fn outage(&self) -> Option<&Outage> {
        let inquiry = self.inquiry.as_ref();
        let inquiry = inquiry.filter(|inquiry| inquiry.from == self.place);
        inquiry.and_then(|inquiry| inquiry.outage.as_ref())
    }

    /// How long an outage that begins now is waited for: one that is planned, to its planned end.
    pub(super) fn outage_wait(&self, now: Instant) -> Duration {
        let planned = self.windows.until(now).map(|until| until - now);
        self.limits.outage_wait.max(planned.unwrap_or_default())
    }

    /// An outage of one endpoint is one of two now.
    pub(super) fn outage_gains_other(&mut self, now: Instant) {
        if let Some(inquiry) = &mut self.inquiry
            && let Some(outage) = &mut inquiry.outage
        {
            inquiry.has_other = true;
            outage.gains_other(now);
        }
    }

    /// An interruption is planned from `start` to `end`.
    pub fn announce(&mut self, start: Instant, end: Instant, now: Instant) {
        self.windows.announce(start, end, now);
        // Nor would it have where it is planned from before what was found.
        self.looked.take_if(|(_, _, stay)| stay.is_of_other());
    }

    /// Whether an interruption is planned for now.
    pub fn is_planned(&self, now: Instant) -> bool {
        self.windows.until(now).is_some()
    }
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
