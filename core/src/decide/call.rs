//! One call: what comes after an attempt that has failed.

use std::time::{Duration, Instant};

use super::backoff::{backoff, throttled};
use super::budget::Budget;
use super::evidence::Evidence;
use super::look::Stay;
use super::preset::Rules;
use super::resend::{Failed, Resend};
use crate::{Cause, Fault, Phase};

/// An attempt of which nothing has left costs the endpoint nothing, but not without end.
const MOST_UNSENT: u32 = 2;
/// Where many of a client's calls are turned away, most of them come again as those do that were turned away so
/// many times before.
const MANY_LATER: u32 = 2;
const POOR: &str = "retry_budget is used up";

/// Where a call with a fault goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// To the active endpoint, which is another one now.
    Elsewhere,
    /// Nowhere: there is no other endpoint.
    NoAlternate,
    /// Its endpoint is not left, and may be asked again.
    Here(Stay),
    /// Nowhere: neither this endpoint nor the other one answers a probe.
    OtherSilent,
    /// The same, and it is waited until one does.
    Outage,
    /// Nowhere; the reason completes the sentence of its error.
    Nowhere(&'static str),
}

impl Course {
    /// What the outcome of an inquiry is for a call.
    pub fn of(outcome: Result<(), Stay>) -> Course {
        match outcome {
            Ok(()) => Course::Elsewhere,
            Err(stay @ (Stay::Alive | Stay::Alone | Stay::AloneUnasked)) => Course::Here(stay),
            Err(Stay::OtherSilent) => Course::OtherSilent,
            Err(Stay::Outage) => Course::Outage,
            Err(stay) => Course::Nowhere(stay.why()),
        }
    }

    /// What it is without an inquiry. What was refused a moment ago says nothing against an endpoint
    /// that is only doubted.
    pub fn of_stay(stay: Stay, evidence: Evidence) -> Course {
        if evidence <= Evidence::Weak && !stay.is_of_other() {
            Course::Here(stay)
        } else {
            Course::of(Err(stay))
        }
    }

    /// Why the call is not sent again; `None`: it is.
    fn why(self) -> Option<&'static str> {
        match self {
            Course::Elsewhere => None,
            Course::NoAlternate => Some("the organization has no alternate"),
            Course::Here(stay) => Some(stay.why()),
            Course::OtherSilent => Some(Stay::OtherSilent.why()),
            Course::Outage => Some(Stay::Outage.why()),
            Course::Nowhere(why) => Some(why),
        }
    }
}

/// What was learnt of the row that a write may have made, where it was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowTold {
    /// Its endpoint knows no such row: the write may go again.
    Missing,
    /// Nothing.
    Nothing,
    /// It was not asked for: calls go elsewhere by now, where the row may come over later.
    NotAsked,
}

/// What a call does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The attempt's outcome is the call's. Why it is not sent again, if that was asked.
    End(Option<&'static str>),
    /// Send it again, where calls go by now.
    Again,
    /// The same after a pause, which is shorter than what is left of the call's time. Ends when the
    /// endpoint is left: the other one has asked for nothing.
    Wait {
        pause: Duration,
        /// The service has asked for less.
        is_throttled: bool,
        /// Where calls go there still, the row that the write may have made is read then, in place of
        /// a repeat: see [`Resending::looked`].
        reads_row: bool,
    },
    /// Wait until an endpoint answers, and send it again then, where calls go.
    WaitOut,
    /// Report what the fault says of its endpoint, and hear where calls go.
    Report(Evidence),
}

/// An attempt that has failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub failed: Failed,
    pub fault: &'a Fault,
    /// It went to a host beside the endpoint's: what that one does is not what the endpoint does.
    pub is_at_sibling: bool,
    /// It was the request's own time for connecting that was over, not the client's.
    pub was_in_a_hurry: bool,
    /// It went to no endpoint's host.
    pub is_foreign: bool,
    /// It makes one row, which can be read.
    pub makes_row: bool,
    /// How many there were, with this one. What reads the row is none.
    pub attempts: usize,
}

/// What a decision is given from outside.
pub struct Moment<'a> {
    pub now: Instant,
    /// What is left of the call's time.
    pub left: Duration,
    /// From 0 to 1.
    pub chance: f64,
    pub budget: &'a mut Budget,
}

/// A call, between its attempts.
#[derive(Debug)]
pub struct Resending {
    rules: Rules,
    max_attempts: usize,
    /// How often it was sent again where it was, unprocessed.
    unprocessed: u32,
    /// How often its faults were reported.
    reports: u32,
    /// How often it has waited to be sent again in one place…
    in_place: u32,
    /// …and of these, after attempts of which nothing had left.
    unsent: u32,
    /// Where it may go once its fault was heard, and what the fault says.
    heard: (Resend, Evidence),
    /// It was the last attempt.
    is_last: bool,
    /// Its row is asked for before it is sent again where it was…
    asks_row: bool,
    /// …unless that has told nothing before.
    asked_in_vain: bool,
}

impl Resending {
    pub fn new(rules: Rules, max_attempts: usize) -> Resending {
        Resending {
            rules,
            max_attempts: if rules.counts_attempts {
                max_attempts
            } else {
                usize::MAX
            },
            unprocessed: 0,
            reports: 0,
            in_place: 0,
            unsent: 0,
            heard: (Resend::No, Evidence::Never),
            is_last: false,
            asks_row: false,
            asked_in_vain: false,
        }
    }

    /// An attempt has failed.
    pub fn after(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let failed = &failure.failed;
        let is_last = failure.attempts >= self.max_attempts;
        let weight = self.rules.evidence(failed.cause);
        let was_in_a_hurry = failure.was_in_a_hurry && self.rules.forgives_haste;
        let evidence = if failure.is_at_sibling || was_in_a_hurry {
            weight.min(Evidence::Weak)
        } else {
            weight
        };
        let resend = match self.rules.resend(failed) {
            Resend::Unprocessed if self.unprocessed == 0 => {
                self.unprocessed += 1;
                return if is_last {
                    Next::End(None)
                } else {
                    Next::Again
                };
            }
            // Refused twice counts against the endpoint; executed it was not.
            Resend::Unprocessed if evidence > Evidence::Never => Resend::Anywhere,
            Resend::Throttled if is_last => return Next::End(None),
            Resend::Throttled => return self.wait_for_service(failure, moment),
            resend if evidence > Evidence::Never || failed.cause == Cause::EndpointLeft => resend,
            // A proxy, a handshake, a resolver, garbled bytes, a database: it says nothing of the
            // endpoint, and may be over.
            Resend::Anywhere if failed.may_pass() => Resend::Anywhere,
            // The cause is elsewhere: here or there, it would meet the same.
            _ => return Next::End(None),
        };
        if failure.is_foreign || self.reports >= self.rules.most_reports {
            return Next::End(None);
        }
        self.reports += 1;
        // The last one: its evidence counts all the same.
        self.is_last = is_last;
        self.asks_row = failure.makes_row && !self.asked_in_vain && self.rules.asks_row(failed);
        self.heard = (resend, evidence);
        Next::Report(evidence)
    }

    /// What the switch has said of the fault that was reported.
    pub fn hear(&mut self, course: Course, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        // At the other side it may be missing because it has not come over yet.
        self.asks_row &= matches!(course, Course::Here(_) | Course::NoAlternate);
        match (course, self.heard) {
            (_, (Resend::No, _)) => Next::End(None),
            _ if self.is_last && !self.asks_row => Next::End(None),
            // Nothing says that it is dead, and there is nowhere else to go.
            (Course::NoAlternate, (Resend::Anywhere, Evidence::Weak))
            | (Course::Here(_), (Resend::Anywhere, _)) => self.wait_in_place(failure, moment),
            // Whoever says when to come again will be there.
            (Course::OtherSilent | Course::Outage, (Resend::Anywhere, _))
                if failure.fault.retry_after.is_some() =>
            {
                self.wait_in_place(failure, moment)
            }
            // It costs nothing and counts as nothing: whoever waits sends nothing.
            (Course::Outage, _) => Next::WaitOut,
            (course, _) => match course.why() {
                None => Next::Again,
                why => Next::End(why),
            },
        }
    }

    /// The row that the write may have made was looked for, and was not found. What comes after `attempts` of
    /// the write.
    pub fn looked(&mut self, told: RowTold, attempts: usize, moment: Moment<'_>) -> Next {
        self.asked_in_vain |= told == RowTold::Nothing;
        if attempts >= self.max_attempts {
            return Next::End(None);
        }
        // It is a request more.
        if told != RowTold::NotAsked && !moment.budget.withdraw(moment.now) {
            return Next::End(Some(POOR));
        }
        Next::Again
    }

    /// The row could not be read: the failure is that of the read.
    pub fn looked_in_vain(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        self.asked_in_vain = true;
        let again = Moment {
            budget: &mut *moment.budget,
            ..moment
        };
        match self.after(failure, again) {
            // What it met the write need not meet: it may not be let read.
            Next::End(None) => self.looked(RowTold::Nothing, failure.attempts, moment),
            next => next,
        }
    }

    /// Waits before the request is sent again where it was.
    fn wait_in_place(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let retry_after = failure.fault.retry_after;
        let was_unsent = failure.failed.phase == Phase::NotSent;
        // Who is told a time has been reckoned with.
        let is_free = was_unsent && self.unsent < MOST_UNSENT || retry_after.is_some();
        if !is_free && !moment.budget.withdraw(moment.now) {
            return Next::End(Some(POOR));
        }
        self.unsent += u32::from(was_unsent);
        let pause = backoff(retry_after, self.in_place, moment.chance);
        self.in_place += 1;
        wait(pause, false, self.asks_row, moment.left)
    }

    /// Waits as long as the service asks for.
    fn wait_for_service(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let retry_after = failure.fault.retry_after;
        // Who is told a time has been reckoned with; who is not, guesses.
        if retry_after.is_none() && !moment.budget.withdraw(moment.now) {
            return Next::End(Some(POOR));
        }
        let pause = |resends| throttled(retry_after, resends, moment.chance);
        let is_one_of_many = retry_after.is_some() && !moment.budget.withdraw_told(moment.now);
        let later = is_one_of_many.then(|| pause(self.in_place + MANY_LATER));
        let in_time = later.filter(|later| *later < moment.left);
        let pause = in_time.unwrap_or_else(|| pause(self.in_place));
        self.in_place += 1;
        wait(pause, true, false, moment.left)
    }
}

fn wait(pause: Duration, is_throttled: bool, reads_row: bool, left: Duration) -> Next {
    if pause >= left {
        return Next::End(Some("its deadline is over before it may be"));
    }
    Next::Wait {
        pause,
        is_throttled,
        reads_row,
    }
}

#[cfg(test)]
#[path = "call_model_tests.rs"]
mod model;
#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
