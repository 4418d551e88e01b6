//! What a call does between its attempts.

use super::*;
use crate::rule::RulesOff;
use crate::{Operation, Preset};

const END: Next = Next::End(None);

/// A call, and what it may spend.
struct World {
    call: Resending,
    budget: Budget,
    attempts: usize,
    makes_row: bool,
    left: Duration,
}

fn world(preset: Preset) -> World {
    let rules = Rules::of(preset, RulesOff::default());
    World {
        call: Resending::new(rules, 4),
        budget: Budget::new(0.2),
        attempts: 0,
        makes_row: false,
        left: Duration::from_secs(300),
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
            makes_row: self.makes_row,
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
        let failed = Failed::unanswered(operation, Phase::Sent, cause);
        let after = |call: &mut Resending, failure: &Failure<'_>, moment: Moment<'_>| {
            call.after(failure, moment)
        };
        self.with(failed, &Fault::new(cause, ""), after)
    }

    /// The same, and what the switch says then.
    fn heard(&mut self, operation: Operation, cause: Cause, course: Course) -> Next {
        let reported = self.after(operation, cause);
        assert!(matches!(reported, Next::Report(_)), "{reported:?}");
        let failed = Failed::unanswered(operation, Phase::Sent, cause);
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
    // Nobody waits where it was, whoever has said when to come again.
    let mut dotnet = world(Preset::Dotnet);
    let told = Fault {
        retry_after: Some(Duration::from_secs(1)),
        ..Fault::new(Cause::Refused, "")
    };
    let refused = Failed::unanswered(read, Phase::NotSent, told.cause);
    assert_eq!(dotnet.after(read, told.cause), strong);
    let next = dotnet.with(refused, &told, |call, failure, moment| {
        call.hear(Course::OtherSilent, failure, moment)
    });
    assert_eq!(next, Next::End(Course::OtherSilent.why()));
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
        let failed = Failed::unanswered(Operation::Read, Phase::NotSent, fault.cause);
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
        let failed = Failed::unanswered(Operation::Read, Phase::Responded, Cause::Unavailable);
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

/// What comes after an attempt that ended so, at an endpoint that stays.
fn stays(safe: &mut World, phase: Phase, cause: Cause, retry_after: Option<u64>) -> Next {
    safe.attempts += 1;
    let fault = Fault {
        retry_after: retry_after.map(Duration::from_secs),
        ..Fault::new(cause, "")
    };
    let failed = Failed::unanswered(Operation::Read, phase, cause);
    let next = safe.with(failed, &fault, |call, failure, moment| {
        call.after(failure, moment)
    });
    match next {
        Next::Report(_) => safe.with(failed, &fault, |call, failure, moment| {
            call.hear(Course::Here(Stay::Alive), failure, moment)
        }),
        next => next,
    }
}

#[test]
fn what_is_spent_of_the_budget() {
    const POOR: Next = Next::End(Some("retry_budget is used up"));
    let (unsent, refused) = (Phase::NotSent, Cause::Refused);
    let (answered, busy) = (Phase::Responded, Cause::Unavailable);
    // How many of these are free.
    for (phase, cause, retry_after, free) in [
        (unsent, refused, None, 2),
        (Phase::Sent, Cause::Reset, None, 0),
        (answered, busy, None, 0),
        (answered, busy, Some(1), 3),
        (answered, Cause::Throttled, None, 0),
        (answered, Cause::Throttled, Some(1), 3),
        // Who is told a time, and has not been let in.
        (unsent, refused, Some(1), 3),
    ] {
        let mut safe = world(Preset::Safe);
        safe.budget = Budget::new(0.0);
        for attempt in 1..4 {
            let next = stays(&mut safe, phase, cause, retry_after);
            let expected = attempt <= free;
            assert_eq!(
                is_wait(next),
                expected,
                "{cause:?}, {retry_after:?}: {next:?}"
            );
            if !expected {
                assert_eq!(next, POOR);
                break;
            }
        }
    }
    // What had left is none of those that are free.
    let mut safe = world(Preset::Safe);
    assert!(is_wait(stays(&mut safe, Phase::Sent, Cause::Reset, None)));
    safe.budget = Budget::new(0.0);
    for expected in [true, true, false] {
        let next = stays(&mut safe, unsent, refused, None);
        assert_eq!(is_wait(next), expected);
    }
}

#[test]
fn each_pause_of_a_call_is_longer() {
    for (cause, retry_after) in [
        (Cause::Reset, None),
        (Cause::Throttled, None),
        (Cause::Throttled, Some(1)),
    ] {
        let mut safe = world(Preset::Safe);
        let pauses = [(); 3].map(|()| {
            let next = stays(&mut safe, Phase::Responded, cause, retry_after);
            let Next::Wait { pause, .. } = next else {
                panic!("{next:?}");
            };
            pause
        });
        assert_eq!(pauses[1], pauses[0] * 2, "{cause:?}");
        assert_eq!(pauses[2], pauses[0] * 4, "{cause:?}");
    }
}

#[test]
fn where_many_are_turned_away_most_come_again_later() {
    let mut many = world(Preset::Safe);
    let seconds = Duration::from_secs;
    let mut budget = Budget::new(0.0);
    for (times, retry_after, left, expected) in [
        // Who is told no time is none of them.
        (1, None, 300, Err(Some("retry_budget is used up"))),
        (3, Some(2), 300, Ok(2)),
        (1, Some(2), 300, Ok(8)),
        (1, Some(2), 9, Ok(8)),
        // Rather soon than not at all.
        (1, Some(2), 8, Ok(2)),
        (
            1,
            Some(2),
            2,
            Err(Some("its deadline is over before it may be")),
        ),
        // The second time.
        (0, Some(2), 300, Ok(16)),
        // Who is told a long time comes then.
        (1, Some(300), 600, Ok(300)),
    ] {
        for _ in 0..times.max(1) {
            let attempts = many.attempts;
            if times > 0 {
                many = world(Preset::Safe);
            }
            many.left = seconds(left);
            many.budget = std::mem::replace(&mut budget, Budget::new(0.0));
            let next = stays(&mut many, Phase::Responded, Cause::Throttled, retry_after);
            let expected = match expected {
                Ok(pause) => Next::Wait {
                    pause: seconds(pause),
                    is_throttled: true,
                    reads_row: false,
                },
                Err(why) => Next::End(why),
            };
            assert_eq!(
                next, expected,
                "{retry_after:?} of {left}, after {attempts}"
            );
            budget = std::mem::replace(&mut many.budget, Budget::new(0.0));
        }
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

/// A guarded create, whose attempts end so at an endpoint that stays.
fn creates() -> World {
    World {
        makes_row: true,
        ..world(Preset::Safe)
    }
}

impl World {
    fn looked(&mut self, told: RowTold) -> Next {
        let attempts = self.attempts;
        let failed = Failed::unanswered(Operation::Guarded, Phase::Sent, Cause::Reset);
        self.with(failed, &Fault::new(Cause::Reset, ""), |call, _, moment| {
            call.looked(told, attempts, moment)
        })
    }

    /// The row could not be read.
    fn looked_in_vain(&mut self, phase: Phase, cause: Cause) -> Next {
        let makes_row = std::mem::take(&mut self.makes_row);
        let failed = Failed::unanswered(Operation::Read, phase, cause);
        let next = self.with(failed, &Fault::new(cause, ""), |call, failure, moment| {
            call.looked_in_vain(failure, moment)
        });
        self.makes_row = makes_row;
        next
    }
}

fn reads_row(next: Next) -> bool {
    matches!(next, Next::Wait { reads_row, .. } if reads_row)
}

#[test]
fn the_row_is_read_where_it_may_be_and_nobody_has_answered() {
    let guarded = Operation::Guarded;
    let (alive, alone) = (Course::Here(Stay::Alive), Course::Here(Stay::Alone));
    for (cause, course, expected) in [
        (Cause::Reset, alive, true),
        (Cause::Closed, alone, true),
        (Cause::Malformed, alive, true),
        (Cause::AttemptTimeout, alive, true),
        (Cause::Reset, Course::NoAlternate, true),
        // A front end has answered, or the database: most were not handed on.
        (Cause::Unavailable, alive, false),
        (Cause::BadGateway, alive, false),
        (Cause::GatewayTimeout, alive, false),
        (Cause::DatabaseMoving, alive, false),
        // At the other side it may be missing because it has not come over yet.
        (Cause::Reset, Course::Elsewhere, false),
        (Cause::Reset, Course::Outage, false),
        (Cause::EndpointLeft, Course::Elsewhere, false),
    ] {
        let next = creates().heard(guarded, cause, course);
        assert_eq!(reads_row(next), expected, "{cause:?} {course:?}: {next:?}");
    }
    // What makes no row has none.
    let mut changes = world(Preset::Safe);
    let next = changes.heard(guarded, Cause::Reset, alive);
    assert!(is_wait(next) && !reads_row(next), "{next:?}");
    let mut off = RulesOff::default();
    off.switch_off(crate::rule::Rule::ReadBack);
    let mut without = creates();
    without.call = Resending::new(Rules::of(Preset::Safe, off), 4);
    let next = without.heard(guarded, Cause::Reset, alive);
    assert!(is_wait(next) && !reads_row(next), "{next:?}");
    // Nothing of it has left.
    let unsent = stays(&mut creates(), Phase::NotSent, Cause::Refused, None);
    assert!(is_wait(unsent) && !reads_row(unsent), "{unsent:?}");
}

#[test]
fn what_a_look_at_the_row_leads_to() {
    let (guarded, here) = (Operation::Guarded, Course::Here(Stay::Alive));
    for told in [RowTold::Missing, RowTold::Nothing, RowTold::NotAsked] {
        let mut creates = creates();
        for attempt in 1..=4 {
            let next = creates.heard(guarded, Cause::Reset, here);
            let asks = attempt == 1 || told != RowTold::Nothing;
            assert_eq!(reads_row(next), asks, "{told:?} {attempt}: {next:?}");
            // Each attempt in doubt is looked after, the last one as well.
            let expected = if attempt < 4 { Next::Again } else { END };
            if asks {
                assert_eq!(creates.looked(told), expected, "{told:?} {attempt}");
            }
            if attempt == 4 && !asks {
                assert_eq!(next, END);
            }
        }
        let mut poor = self::creates();
        poor.heard(guarded, Cause::Reset, here);
        poor.budget = Budget::new(0.0);
        // Where none was sent, none was spent.
        let expected = match told {
            RowTold::NotAsked => Next::Again,
            _ => Next::End(Some(POOR)),
        };
        assert_eq!(poor.looked(told), expected, "{told:?}");
    }
    let mut once = creates();
    once.call = Resending::new(Rules::of(Preset::Safe, RulesOff::default()), 1);
    let next = once.heard(guarded, Cause::Reset, here);
    assert!(reads_row(next), "{next:?}");
    assert_eq!(once.looked(RowTold::Missing), END);
}

#[test]
fn a_row_that_cannot_be_read_is_asked_for_once_and_the_write_goes_on() {
    let (guarded, here) = (Operation::Guarded, Course::Here(Stay::Alive));
    for (phase, cause, expected) in [
        // Not let read, or no answer that tells.
        (Phase::Responded, Cause::Forbidden, Some(Next::Again)),
        (Phase::Responded, Cause::ServiceFault, Some(Next::Again)),
        (Phase::NotSent, Cause::LocalFailure, Some(Next::Again)),
        // It counts against the endpoint, as any read.
        (Phase::Sent, Cause::Reset, None),
        (Phase::Responded, Cause::Unavailable, None),
        (Phase::NotSent, Cause::Refused, None),
        (Phase::Sent, Cause::EndpointLeft, None),
    ] {
        let mut creates = creates();
        assert!(reads_row(creates.heard(guarded, Cause::Reset, here)));
        let next = creates.looked_in_vain(phase, cause);
        match expected {
            Some(expected) => assert_eq!(next, expected, "{cause:?}"),
            None => assert!(matches!(next, Next::Report(_)), "{cause:?}: {next:?}"),
        }
        let again = creates.heard(guarded, Cause::Reset, here);
        assert!(is_wait(again) && !reads_row(again), "{cause:?}: {again:?}");
    }
    let mut creates = creates();
    creates.attempts = 3;
    assert!(reads_row(creates.heard(guarded, Cause::Reset, here)));
    assert_eq!(
        creates.looked_in_vain(Phase::Responded, Cause::Forbidden),
        END
    );
}
