//! Calls that fail in random ways, against what is promised of what is sent again.

use proptest::prelude::*;

use super::*;
use crate::rule::RulesOff;
use crate::{Effect, FaultKind, Operation, Order, Override, OverrideSource, Preset};

const MAX_ATTEMPTS: usize = 4;
/// What the setting `retry_budget` is, and what a client may spend at once and in a second.
const SHARE: f64 = 0.2;
const FLOOR: f64 = 10.0;

/// How one attempt fails, and what is said of it.
#[derive(Clone, Debug)]
struct Blow {
    failed: Failed,
    retry_after: Option<Duration>,
    is_at_sibling: bool,
    was_in_a_hurry: bool,
    is_foreign: bool,
    /// Its row can be read, and a look at it tells this.
    makes_row: bool,
    told: RowTold,
    course: Course,
    took: Duration,
}

#[derive(Clone, Debug)]
struct Story {
    blows: Vec<Blow>,
    deadline: Duration,
}

/// Only what can be: nothing is answered that was not sent, and a refusal is an answer.
fn failed(operation: Operation, is_compound: bool) -> impl Strategy<Value = Failed> {
    let effects = vec![
        None,
        Some(Effect::Executed),
        Some(Effect::NotExecuted),
        Some(Effect::Unknown),
    ];
    (
        prop::sample::select(&Cause::ALL[..]),
        prop::sample::select(vec![Phase::NotSent, Phase::Sent, Phase::Responded]),
        prop::sample::select(vec![200, 204, 404, 429, 500, 503]),
        any::<bool>(),
        prop::sample::select(effects),
    )
        .prop_map(move |(cause, phase, status, is_acknowledged, parts)| {
            let is_refusal = matches!(cause, Cause::Throttled | Cause::DatacenterNotAvailable);
            let phase = if is_refusal { Phase::Responded } else { phase };
            let has_status = phase == Phase::Responded;
            Failed {
                operation,
                is_compound,
                phase,
                http_status: has_status.then_some(status),
                is_acknowledged: has_status && status < 300 && is_acknowledged && !is_refusal,
                cause,
                parts_effect: parts.filter(|_| has_status && is_compound),
            }
        })
}

fn blow(operation: Operation, is_compound: bool) -> impl Strategy<Value = Blow> {
    let order = Order {
        value: Override::Primary,
        source: OverrideSource::Store,
        until: None,
    };
    let courses = vec![
        Course::Elsewhere,
        Course::Elsewhere,
        Course::NoAlternate,
        Course::Here(Stay::Alive),
        Course::Here(Stay::Alive),
        Course::Here(Stay::Alone),
        // What keeps calls where they are, for a doubt and for what is certain.
        Course::of_stay(Stay::ByHand, Evidence::Weak),
        Course::of_stay(Stay::ByHand, Evidence::Strong),
        Course::of_stay(Stay::Ordered(order), Evidence::Weak),
        Course::of_stay(Stay::Ordered(order), Evidence::Strong),
        Course::of_stay(Stay::Vetoed, Evidence::Weak),
        Course::of_stay(Stay::Vetoed, Evidence::Strong),
        Course::OtherSilent,
        Course::Outage,
        Course::Nowhere("for the test"),
    ];
    let told = [0, 1, 7, 600].map(|seconds| Some(Duration::from_secs(seconds)));
    let rarely = || prop::bool::weighted(0.1);
    (
        failed(operation, is_compound),
        prop_oneof![2 => Just(None), 1 => prop::sample::select(told.to_vec())],
        (rarely(), rarely(), rarely()),
        prop::sample::select(courses),
        prop::sample::select(vec![RowTold::Missing, RowTold::Nothing, RowTold::NotAsked]),
        prop::sample::select(vec![0, 0, 0, 3]).prop_map(Duration::from_millis),
    )
        .prop_map(
            move |(failed, retry_after, rare, course, told, took)| Blow {
                failed,
                retry_after,
                is_at_sibling: rare.0,
                was_in_a_hurry: rare.1,
                is_foreign: rare.2,
                makes_row: operation == Operation::Guarded && !is_compound,
                told,
                course,
                took,
            },
        )
}

fn stories() -> impl Strategy<Value = Vec<Story>> {
    use Operation::{Guarded, Idempotent, Read, Unsafe};
    let operation = prop::sample::select(vec![Read, Idempotent, Guarded, Unsafe]);
    let story = (operation, prop::bool::weighted(0.3)).prop_flat_map(|(operation, is_compound)| {
        (
            prop::collection::vec(blow(operation, is_compound), 1..8),
            prop::sample::select(vec![100, 1000, 300_000]),
        )
            .prop_map(|(blows, deadline)| Story {
                blows,
                deadline: Duration::from_millis(deadline),
            })
    });
    prop::collection::vec(story, 1..25)
}

/// Whether the attempt may have executed something.
fn may_be_executed(failed: &Failed) -> bool {
    let says_no = match failed.cause {
        Cause::Unprocessed => failed.http_status.is_none(),
        // Of several operations some may have been let through, unless the parts say that none was.
        Cause::Throttled | Cause::DatacenterNotAvailable => match failed.parts_effect {
            Some(effect) => effect == Effect::NotExecuted,
            None => !failed.is_compound,
        },
        _ => false,
    };
    failed.phase != Phase::NotSent && !says_no
}

/// Whether the service has said that it was executed.
fn is_executed(failed: &Failed) -> bool {
    failed
        .parts_effect
        .map_or(failed.is_acknowledged && !failed.is_compound, |effect| {
            effect == Effect::Executed
        })
}

/// Whether another try, here or elsewhere, meets the same.
fn is_nobody_s_fault(failed: &Failed) -> bool {
    match failed.cause {
        Cause::DatabaseMoving => false,
        Cause::NameTryAgain | Cause::Proxy | Cause::TlsAlert => failed.phase != Phase::NotSent,
        Cause::Malformed | Cause::EndpointLeft | Cause::Throttled => false,
        Cause::Outage => true,
        cause => matches!(
            cause.kind(),
            FaultKind::Local
                | FaultKind::Tls
                | FaultKind::Authentication
                | FaultKind::Protocol
                | FaultKind::Cancelled
                | FaultKind::Service
        ),
    }
}

/// All calls of a client, and what they have spent.
struct World {
    rules: Rules,
    began: Instant,
    now: Instant,
    budget: Budget,
    calls: u32,
    paid: u32,
}

impl World {
    fn new(preset: Preset) -> World {
        let now = Instant::now();
        World {
            rules: Rules::of(preset, RulesOff::default()),
            began: now,
            now,
            budget: Budget::new(SHARE),
            calls: 0,
            paid: 0,
        }
    }

    fn may_spend(&self) -> f64 {
        let seconds = self.now.duration_since(self.began).as_secs_f64();
        FLOOR + SHARE * f64::from(self.calls) + FLOOR * seconds
    }
}

/// One call, as the model sees it.
struct Told {
    call: Resending,
    sent: usize,
    reports: u32,
    unprocessed: u32,
    unsent: u32,
    has_asked_in_vain: bool,
    end: Instant,
}

impl Told {
    /// One that was sent so often and may last so long.
    fn new(world: &World, sent: usize, lasts: Duration) -> Told {
        Told {
            call: Resending::new(world.rules, MAX_ATTEMPTS),
            sent,
            reports: 0,
            unprocessed: 0,
            unsent: 0,
            has_asked_in_vain: false,
            end: world.now + lasts,
        }
    }

    fn decides(
        &mut self,
        world: &mut World,
        blow: &Blow,
        decide: impl FnOnce(&mut Resending, &Failure<'_>, Moment<'_>) -> Next,
    ) -> Next {
        let fault = Fault {
            retry_after: blow.retry_after,
            ..Fault::new(blow.failed.cause, "")
        };
        let failure = Failure {
            failed: blow.failed,
            fault: &fault,
            is_at_sibling: blow.is_at_sibling,
            was_in_a_hurry: blow.was_in_a_hurry,
            is_foreign: blow.is_foreign,
            makes_row: blow.makes_row,
            attempts: self.sent,
        };
        let moment = Moment {
            now: world.now,
            left: self.end.saturating_duration_since(world.now),
            chance: 0.5,
            budget: &mut world.budget,
        };
        decide(&mut self.call, &failure, moment)
    }

    /// An attempt has failed. Tells whether the request is sent again.
    fn fails(&mut self, world: &mut World, blow: &Blow) -> bool {
        world.now += blow.took;
        let next = self.decides(world, blow, |call, failure, moment| {
            call.after(failure, moment)
        });
        let Next::Report(evidence) = next else {
            return self.goes_on(world, blow, None, next);
        };
        self.reports += 1;
        assert!(!blow.is_foreign && evidence <= world.rules.evidence(blow.failed.cause));
        let forgives = world.rules.forgives_haste;
        let is_mild = blow.is_at_sibling || forgives && blow.was_in_a_hurry;
        assert!(!is_mild || evidence <= Evidence::Weak);
        let next = self.decides(world, blow, |call, failure, moment| {
            call.hear(blow.course, failure, moment)
        });
        if self.is_owed(world, blow) {
            let expected = match blow.course {
                Course::Elsewhere => Next::Again,
                Course::Outage if blow.retry_after.is_none() => Next::WaitOut,
                _ => next,
            };
            assert_eq!(next, expected);
        }
        self.goes_on(world, blow, Some(evidence), next)
    }

    /// Whether it must be sent again where there is another endpoint, or will be one.
    fn is_owed(&self, world: &World, blow: &Blow) -> bool {
        let failed = &blow.failed;
        let is_safe = world.rules.counts_attempts;
        let is_repeatable = failed.operation == Operation::Read || !may_be_executed(failed);
        // What became of a call by its deadline is over.
        let is_over = failed.cause == Cause::Deadline && failed.phase != Phase::NotSent;
        let is_met_again = is_nobody_s_fault(failed);
        is_safe && self.sent < MAX_ATTEMPTS && is_repeatable && !is_over && !is_met_again
    }

    fn goes_on(
        &mut self,
        world: &mut World,
        blow: &Blow,
        reported: Option<Evidence>,
        next: Next,
    ) -> bool {
        let failed = &blow.failed;
        match next {
            Next::End(_) => return false,
            Next::Again if reported.is_none() => {
                self.unprocessed += 1;
                assert!(failed.cause == Cause::Unprocessed && failed.http_status.is_none());
                assert_eq!(self.unprocessed, 1);
            }
            Next::Again => assert_eq!(blow.course, Course::Elsewhere),
            Next::WaitOut => assert_eq!(blow.course, Course::Outage),
            Next::Wait {
                pause,
                is_throttled,
                reads_row,
            } => {
                assert_eq!(is_throttled, reported.is_none());
                assert_eq!(is_throttled, failed.cause == Cause::Throttled);
                assert!(blow.retry_after.is_none_or(|told| pause >= told));
                // At the endpoint that has sent it away it would be sent away again.
                assert_ne!(failed.cause, Cause::DatacenterNotAvailable);
                self.waits(world, blow, reported);
                // Others go on meanwhile.
                assert!(world.now + pause < self.end);
                if reads_row {
                    return self.looks(world, blow);
                }
            }
            Next::Report(_) => panic!("what was heard is not reported again"),
        }
        if world.rules.counts_attempts {
            assert!(self.sent < MAX_ATTEMPTS);
            assert!(!is_nobody_s_fault(failed), "{failed:?}");
            if failed.operation == Operation::Unsafe {
                assert!(!may_be_executed(failed), "{failed:?}");
            }
            if failed.operation != Operation::Read && failed.cause != Cause::Unprocessed {
                assert!(!is_executed(failed), "{failed:?}");
            }
        }
        self.sent += 1;
        true
    }

    /// The row is read in place of a repeat. Tells whether the request is sent again.
    fn looks(&mut self, world: &mut World, blow: &Blow) -> bool {
        assert!(blow.makes_row && may_be_executed(&blow.failed) && !is_executed(&blow.failed));
        assert!(matches!(blow.course, Course::Here(_) | Course::NoAlternate));
        assert!(world.rules.counts_attempts && !self.has_asked_in_vain);
        self.has_asked_in_vain = blow.told == RowTold::Nothing;
        let sent = self.sent;
        match self.decides(world, blow, |call, _, moment| {
            call.looked(blow.told, sent, moment)
        }) {
            Next::End(None) => assert_eq!(sent, MAX_ATTEMPTS),
            Next::End(Some(why)) => assert_eq!(why, POOR),
            next => {
                assert_eq!(next, Next::Again);
                assert!(sent < MAX_ATTEMPTS);
                if blow.told != RowTold::NotAsked {
                    self.pays(world);
                }
                self.sent += 1;
                return true;
            }
        }
        false
    }

    fn pays(&mut self, world: &mut World) {
        world.paid += 1;
        assert!(f64::from(world.paid) <= world.may_spend());
    }

    fn waits(&mut self, world: &mut World, blow: &Blow, reported: Option<Evidence>) {
        let has_told = blow.retry_after.is_some();
        match blow.course {
            _ if reported.is_none() => {}
            Course::Here(_) => {}
            Course::NoAlternate => assert_eq!(reported, Some(Evidence::Weak)),
            Course::OtherSilent | Course::Outage => assert!(has_told),
            course => panic!("{course:?}"),
        }
        let is_unsent = reported.is_some() && blow.failed.phase == Phase::NotSent;
        let is_free = has_told || is_unsent && self.unsent < 2;
        self.unsent += u32::from(is_unsent);
        if !is_free {
            self.pays(world);
        }
    }
}

proptest! {
    #[test]
    fn what_is_sent_again_keeps_its_promises(
        stories in stories(),
        preset in prop::sample::select(vec![Preset::Safe, Preset::Safe, Preset::Dotnet]),
    ) {
        let mut world = World::new(preset);
        for story in &stories {
            world.calls += 1;
            world.budget.deposit();
            let mut told = Told::new(&world, 1, story.deadline);
            for blow in &story.blows {
                if !told.fails(&mut world, blow) {
                    break;
                }
            }
            if preset == Preset::Dotnet {
                // The one retry, and the one of HTTP/2 beneath it.
                prop_assert!(told.reports <= 1 && told.sent <= 3 && world.paid == 0);
            }
        }
    }

    /// Many calls that fail in one instant share one budget, and spend it.
    #[test]
    fn a_crowd_spends_its_budget_and_no_more(calls in 1..60u32) {
        let mut world = World::new(Preset::Safe);
        let blow = Blow {
            failed: Failed::unanswered(Operation::Read, Phase::Sent, Cause::Reset),
            retry_after: None,
            is_at_sibling: false,
            was_in_a_hurry: false,
            is_foreign: false,
            makes_row: false,
            told: RowTold::Nothing,
            course: Course::Here(Stay::Alive),
            took: Duration::ZERO,
        };
        for _ in 0..calls {
            world.calls += 1;
            world.budget.deposit();
            let mut told = Told::new(&world, 1, Duration::from_secs(300));
            told.fails(&mut world, &blow);
        }
        // Shares are counted in thousandths.
        let most = world.may_spend() + 0.001;
        prop_assert_eq!(world.paid, calls.min(most as u32));
    }

    /// Who has something to spend does not end where waiting helps.
    #[test]
    fn what_is_doubted_is_sent_again_where_it_was(
        blow in blow(Operation::Read, false),
        attempts in 1..MAX_ATTEMPTS,
    ) {
        let mut world = World::new(Preset::Safe);
        let blow = Blow {
            course: Course::Here(Stay::Alive),
            retry_after: None,
            is_foreign: false,
            ..blow
        };
        let mut told = Told::new(&world, attempts, Duration::from_secs(300));
        let goes_on = told.fails(&mut world, &blow);
        let is_over = blow.failed.cause == Cause::Deadline && blow.failed.phase != Phase::NotSent;
        let is_sent_away = blow.failed.cause == Cause::DatacenterNotAvailable;
        prop_assert_eq!(goes_on, !(is_nobody_s_fault(&blow.failed) || is_over || is_sent_away));
    }
}
