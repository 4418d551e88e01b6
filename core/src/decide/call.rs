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
    /// How many there were, with this one.
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
        let resend = if is_last { Resend::No } else { resend };
        self.heard = (resend, evidence);
        Next::Report(evidence)
    }

    /// What the switch has said of the fault that was reported.
    pub fn hear(&mut self, course: Course, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let may_wait = self.rules.waits_in_place;
        match (course, self.heard) {
            (_, (Resend::No, _)) => Next::End(None),
            // Nothing says that it is dead, and there is nowhere else to go.
            (Course::NoAlternate, (Resend::Anywhere, Evidence::Weak))
            | (Course::Here(_), (Resend::Anywhere, _))
                if may_wait =>
            {
                self.wait_in_place(failure, moment)
            }
            // Whoever says when to come again will be there.
            (Course::OtherSilent | Course::Outage, (Resend::Anywhere, _))
                if may_wait && failure.fault.retry_after.is_some() =>
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

    /// Waits before the request is sent again where it was.
    fn wait_in_place(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let retry_after = failure.fault.retry_after;
        let was_unsent = failure.failed.phase == Phase::NotSent;
        // Who is told a time has been reckoned with.
        let is_free = was_unsent && self.unsent < MOST_UNSENT || retry_after.is_some();
        if !is_free && !moment.budget.withdraw(moment.now) {
            return Next::End(Some("retry_budget is used up"));
        }
        self.unsent += u32::from(was_unsent);
        let pause = backoff(retry_after, self.in_place, moment.chance);
        self.in_place += 1;
        wait(pause, false, moment.left)
    }

    /// Waits as long as the service asks for.
    fn wait_for_service(&mut self, failure: &Failure<'_>, moment: Moment<'_>) -> Next {
        let retry_after = failure.fault.retry_after;
        // Who is told a time has been reckoned with; who is not, guesses.
        if retry_after.is_none() && !moment.budget.withdraw(moment.now) {
            return Next::End(Some("retry_budget is used up"));
        }
        let pause = throttled(retry_after, self.in_place, moment.chance);
        self.in_place += 1;
        wait(pause, true, moment.left)
    }
}

fn wait(pause: Duration, is_throttled: bool, left: Duration) -> Next {
    if pause >= left {
        return Next::End(Some("its deadline is over before it may be"));
    }
    Next::Wait {
        pause,
        is_throttled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RulesOff;
    use crate::{Operation, Preset};

    const END: Next = Next::End(None);

    /// A call, and what it may spend.
    struct World {
        call: Resending,
        budget: Budget,
        attempts: usize,
        left: Duration,
    }

    fn world(preset: Preset) -> World {
        let rules = Rules::of(preset, RulesOff::default());
        World {
            call: Resending::new(rules, 4),
            budget: Budget::new(0.2),
            attempts: 0,
            left: Duration::from_secs(300),
        }
    }

    fn failed(operation: Operation, phase: Phase, cause: Cause) -> Failed {
        Failed {
            operation,
            is_compound: false,
            phase,
            http_status: None,
            is_acknowledged: false,
            cause,
            parts_effect: None,
        }
    }

    impl World {
        fn with(
            &mut self,
            failed: Failed,
            fault: &Fault,
            decide: impl Fn(&mut Resending, &Failure<'_>, Moment<'_>) -> Next,
        ) -> Next {
            let failure = Failure {
                failed,
                fault,
                is_at_sibling: false,
                was_in_a_hurry: false,
                is_foreign: false,
                attempts: self.attempts,
            };
            let moment = Moment {
                now: Instant::now(),
                left: self.left,
                chance: 0.0,
                budget: &mut self.budget,
            };
            decide(&mut self.call, &failure, moment)
        }

        fn after(&mut self, operation: Operation, cause: Cause) -> Next {
            self.attempts += 1;
            let failed = failed(operation, Phase::Sent, cause);
            let after = |call: &mut Resending, failure: &Failure<'_>, moment: Moment<'_>| {
                call.after(failure, moment)
            };
            self.with(failed, &Fault::new(cause, ""), after)
        }

        /// The same, and what the switch says then.
        fn heard(&mut self, operation: Operation, cause: Cause, course: Course) -> Next {
            let reported = self.after(operation, cause);
            assert!(matches!(reported, Next::Report(_)), "{reported:?}");
            let failed = failed(operation, Phase::Sent, cause);
            let hear = |call: &mut Resending, failure: &Failure<'_>, moment: Moment<'_>| {
                call.hear(course, failure, moment)
            };
            self.with(failed, &Fault::new(cause, ""), hear)
        }
    }

    fn is_wait(next: Next) -> bool {
        matches!(next, Next::Wait { .. })
    }

    #[test]
    fn dotnet_has_one_retry_and_only_for_what_starts_failover() {
        let read = Operation::Read;
        let mut dotnet = world(Preset::Dotnet);
        let strong = Next::Report(Evidence::Strong);
        assert_eq!(dotnet.after(read, Cause::Refused), strong);
        assert_eq!(dotnet.after(read, Cause::Refused), END);
        assert_eq!(world(Preset::Dotnet).after(read, Cause::Reset), END);
        assert_eq!(world(Preset::Dotnet).after(read, Cause::Malformed), END);
        let mut dotnet = world(Preset::Dotnet);
        let elsewhere = dotnet.heard(Operation::Unsafe, Cause::Deadline, Course::Elsewhere);
        assert_eq!(elsewhere, Next::Again);
        let mut dotnet = world(Preset::Dotnet);
        let here = Course::Here(Stay::Alive);
        let why = Next::End(Some(Stay::Alive.why()));
        assert_eq!(dotnet.heard(read, Cause::Refused, here), why);
    }

    #[test]
    fn what_was_not_processed_is_sent_again_once_and_is_no_failover() {
        let read = Operation::Read;
        let mut dotnet = world(Preset::Dotnet);
        assert_eq!(dotnet.after(read, Cause::Unprocessed), Next::Again);
        assert_eq!(dotnet.after(read, Cause::Unprocessed), END);
        let refused = dotnet.after(read, Cause::Refused);
        assert_eq!(refused, Next::Report(Evidence::Strong));
        let mut safe = world(Preset::Safe);
        assert_eq!(
            safe.after(Operation::Unsafe, Cause::Unprocessed),
            Next::Again
        );
        let second = safe.heard(Operation::Unsafe, Cause::Unprocessed, Course::Elsewhere);
        assert_eq!(second, Next::Again);
        let mut safe = world(Preset::Safe);
        safe.after(Operation::Unsafe, Cause::Unprocessed);
        let here = Course::Here(Stay::Alive);
        let second = safe.heard(Operation::Unsafe, Cause::Unprocessed, here);
        assert!(is_wait(second), "{second:?}");
    }

    #[test]
    fn safe_reports_what_is_evidence_also_of_what_is_not_sent_again() {
        let (read, write) = (Operation::Read, Operation::Unsafe);
        let elsewhere = Course::Elsewhere;
        for (operation, cause, expected) in [
            (read, Cause::Reset, Next::Again),
            (write, Cause::Reset, END),
            (read, Cause::Malformed, Next::Again),
            (read, Cause::EndpointLeft, Next::Again),
        ] {
            let next = world(Preset::Safe).heard(operation, cause, elsewhere);
            assert_eq!(next, expected, "{operation:?} {cause:?}");
        }
        for (operation, cause) in [
            (read, Cause::LocalFailure),
            (read, Cause::BadMessage),
            (write, Cause::Malformed),
        ] {
            assert_eq!(world(Preset::Safe).after(operation, cause), END);
        }
        assert!(is_wait(world(Preset::Safe).after(write, Cause::Throttled)));
    }

    #[test]
    fn what_was_refused_a_moment_ago_says_nothing_against_what_is_only_doubted() {
        let nowhere = |stay: Stay| Course::Nowhere(stay.why());
        for (stay, evidence, expected) in [
            (Stay::Vetoed, Evidence::Never, Course::Here(Stay::Vetoed)),
            (Stay::Vetoed, Evidence::Weak, Course::Here(Stay::Vetoed)),
            (Stay::Vetoed, Evidence::Strong, nowhere(Stay::Vetoed)),
            (Stay::OtherSilent, Evidence::Weak, Course::OtherSilent),
            (
                Stay::OtherUnasked,
                Evidence::Weak,
                nowhere(Stay::OtherUnasked),
            ),
            (Stay::OtherSilent, Evidence::Strong, Course::OtherSilent),
        ] {
            assert_eq!(
                Course::of_stay(stay, evidence),
                expected,
                "{stay:?} {evidence:?}"
            );
        }
    }

    #[test]
    fn who_was_in_a_hurry_has_only_a_doubt() {
        for (preset, expected) in [
            (Preset::Safe, Evidence::Weak),
            (Preset::Dotnet, Evidence::Strong),
        ] {
            let fault = Fault::new(Cause::ConnectTimeout, "");
            let failed = failed(Operation::Read, Phase::NotSent, fault.cause);
            let hurried = |call: &mut Resending, failure: &Failure<'_>, moment: Moment<'_>| {
                let hurried = Failure {
                    was_in_a_hurry: true,
                    ..*failure
                };
                call.after(&hurried, moment)
            };
            let next = world(preset).with(failed, &fault, hurried);
            assert_eq!(next, Next::Report(expected));
        }
    }

    #[test]
    fn the_last_attempt_s_evidence_counts_and_it_is_not_sent_again() {
        let mut safe = world(Preset::Safe);
        safe.attempts = 3;
        let last = safe.heard(Operation::Read, Cause::Reset, Course::Elsewhere);
        assert_eq!(last, END);
        assert_eq!(safe.after(Operation::Read, Cause::Throttled), END);
    }

    #[test]
    fn an_outage_is_waited_out_by_what_may_be_sent_again() {
        let (read, write) = (Operation::Read, Operation::Unsafe);
        for (operation, cause, expected) in [
            (read, Cause::Reset, Next::WaitOut),
            (read, Cause::Refused, Next::WaitOut),
            // Wherever calls go then, it has executed nothing.
            (write, Cause::DatacenterNotAvailable, Next::WaitOut),
            (write, Cause::Reset, END),
        ] {
            let mut safe = world(Preset::Safe);
            safe.budget = Budget::new(0.0);
            let next = safe.heard(operation, cause, Course::Outage);
            assert_eq!(next, expected, "{operation:?} {cause:?}");
        }
        let mut dotnet = world(Preset::Dotnet);
        let next = dotnet.heard(write, Cause::Refused, Course::Outage);
        assert_eq!(next, Next::WaitOut);
    }

    #[test]
    fn whoever_was_told_a_time_comes_then_in_an_outage_as_well() {
        for course in [Course::Outage, Course::OtherSilent] {
            let mut safe = world(Preset::Safe);
            let failed = failed(Operation::Read, Phase::Responded, Cause::Unavailable);
            let told = Fault {
                retry_after: Some(Duration::from_secs(7)),
                ..Fault::new(Cause::Unavailable, "")
            };
            let next = safe.with(failed, &told, |call, failure, moment| {
                call.after(failure, moment)
            });
            assert!(matches!(next, Next::Report(_)), "{next:?}");
            let next = safe.with(failed, &told, |call, failure, moment| {
                call.hear(course, failure, moment)
            });
            assert!(is_wait(next), "{next:?}");
        }
    }

    #[test]
    fn where_the_endpoint_stays_it_waits_within_budget_and_deadline() {
        let here = Course::Here(Stay::Alive);
        let mut safe = world(Preset::Safe);
        assert!(is_wait(safe.heard(Operation::Read, Cause::Reset, here)));
        let mut safe = world(Preset::Safe);
        let none = safe.heard(Operation::Read, Cause::Reset, Course::NoAlternate);
        assert!(is_wait(none));
        let mut safe = world(Preset::Safe);
        let certain = safe.heard(Operation::Read, Cause::Refused, Course::NoAlternate);
        assert_eq!(certain, Next::End(Course::NoAlternate.why()));
        let mut safe = world(Preset::Safe);
        safe.left = Duration::from_millis(1);
        let late = safe.heard(Operation::Read, Cause::Reset, here);
        assert_eq!(
            late,
            Next::End(Some("its deadline is over before it may be"))
        );
        let mut safe = world(Preset::Safe);
        safe.budget = Budget::new(0.0);
        let poor = safe.heard(Operation::Read, Cause::Reset, here);
        assert_eq!(poor, Next::End(Some("retry_budget is used up")));
    }
}

#[cfg(test)]
#[path = "call_model_tests.rs"]
mod model;
