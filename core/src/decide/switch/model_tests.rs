//! The switch on random histories, against what it promises.
//!
//! The model knows of the machine only what it says and what it was told: which inquiries run, what
//! each one still waits for, what was answered, and where calls go. A failure prints the shortest
//! history and the line that repeats it; `PROPTEST_CASES` runs more of them.

#[path = "model_world_tests.rs"]
mod world;

use proptest::prelude::*;
use proptest::sample::Index;

use self::world::{Seen, World};
use super::*;
use crate::decide::look::Found;
use crate::decide::switch::inquiry::LOOK_HOLDS_LONGEST;
use crate::decide::switch::{Heed, Refusal, Report, WaitOut};
use std::time::SystemTime;

use crate::decide::failback::Ways;
use crate::decide::look::{Answer, Asks, Glance, Heard};
use crate::decide::outage::Over;
use crate::rule::RulesOff;
use crate::whereabouts::{Whereabouts, Worth};
use crate::{Failback, FailoverPolicy, Override, OverrideSource, Preset, Probed};

const HOLD_DOWN: Duration = Duration::from_secs(30);
const MOST_WAITING: usize = 3;
const INTERVAL: Duration = Duration::from_secs(10);
const GOOD_FOR: Duration = Duration::from_secs(20);
const MAX_AGE: Duration = Duration::from_secs(3600);
/// More answers than any inquiry asks for that is answered well.
const ENOUGH: usize = 200;

#[derive(Clone, Debug)]
enum Op {
    /// A call begins: a write, or a read.
    Begin(bool),
    Report {
        evidence: Evidence,
        /// It was seen where calls went before.
        is_late: bool,
        is_policy_unread: bool,
        is_armed: bool,
    },
    /// Something that was asked for has come about.
    Happens(Index, Comes),
    Pass(Duration),
    /// One that waits for an outage to end waits no more.
    Leaves,
    ByHand,
    /// The operator says something.
    Order(Option<Override>),
    /// Another process has gone to the primary, or to the alternate.
    OtherMoved(bool),
    AutoSwitch(bool),
    Policy(Policy),
    /// The primary is looked at, for calls to go back there, and is found good, or not.
    LooksHome(bool),
    /// An interruption is announced that begins after so long, and lasts so long.
    Window(Duration, Duration),
    /// A call that has waited in vain goes all the same, if it may, and is answered, or not. Or one is
    /// answered where calls went before.
    Tries {
        is_answered: bool,
        is_late: bool,
    },
    /// Whoever carries out an inquiry is gone.
    Dies(Index),
}

/// What comes of whatever was asked for.
#[derive(Clone, Copy, Debug)]
struct Comes {
    answer: Option<Answer>,
    from_provider: bool,
    is_vetoed: bool,
}

const WELL: Comes = Comes {
    answer: Some(Answer::Came(Probed::Serves)),
    from_provider: true,
    is_vetoed: false,
};

fn ops() -> impl Strategy<Value = Vec<Op>> {
    use Evidence::{Never, Silence, Strong, Weak};
    let answer = prop_oneof![
        6 => Just(Some(Answer::Silent)),
        3 => Just(Some(Answer::Came(Probed::Serves))),
        2 => Just(Some(Answer::Came(Probed::Reachable))),
        1 => Just(Some(Answer::NotAsked)),
        1 => Just(None),
    ];
    let comes = (answer, any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |(answer, from_provider, is_vetoed)| Comes {
            answer,
            from_provider,
            is_vetoed,
        },
    );
    let evidence = prop::sample::select(vec![Strong, Strong, Weak, Silence, Never]);
    let rarely = || prop::bool::weighted(0.1);
    let report = (evidence, rarely(), rarely(), prop::bool::weighted(0.9)).prop_map(
        |(evidence, is_late, is_policy_unread, is_armed)| Op::Report {
            evidence,
            is_late,
            is_policy_unread,
            is_armed,
        },
    );
    let policy = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(at_primary, available, endpoint_enabled)| Policy {
            read_from: role(at_primary),
            says: FailoverPolicy {
                available,
                endpoint_enabled,
            },
        },
    );
    let millis = prop::sample::select(vec![1, 50, 400, 999, 1000, 5000, 29_999, 30_000, 3_600_000]);
    let window = prop::sample::select(vec![0, 1, 5, 30, 100]).prop_map(Duration::from_secs);
    let op = prop_oneof![
        3 => any::<bool>().prop_map(Op::Begin),
        6 => report,
        20 => (any::<Index>(), comes).prop_map(|(which, comes)| Op::Happens(which, comes)),
        4 => millis.prop_map(|millis| Op::Pass(Duration::from_millis(millis))),
        1 => Just(Op::Leaves),
        1 => Just(Op::ByHand),
        1 => order().prop_map(Op::Order),
        3 => any::<bool>().prop_map(Op::OtherMoved),
        1 => prop::bool::weighted(0.7).prop_map(Op::AutoSwitch),
        1 => policy.prop_map(Op::Policy),
        4 => prop::bool::weighted(0.9).prop_map(Op::LooksHome),
        1 => (window.clone(), window).prop_map(|(ahead, lasts)| Op::Window(ahead, lasts)),
        2 => (any::<bool>(), rarely())
            .prop_map(|(is_answered, is_late)| Op::Tries { is_answered, is_late }),
        1 => any::<Index>().prop_map(Op::Dies),
    ];
    prop::collection::vec(op, 1..80)
}

/// Mostly none.
fn order() -> impl Strategy<Value = Option<Override>> {
    prop::sample::select(vec![
        None,
        None,
        None,
        Some(Override::Off),
        Some(Override::Primary),
        Some(Override::Alternate),
    ])
}

/// What is on record when a client opens: nothing, or where others went, and how long ago that was
/// confirmed.
fn records() -> impl Strategy<Value = Option<(Role, Duration)>> {
    let age = prop::sample::select(vec![Duration::from_secs(1), MAX_AGE, MAX_AGE * 2]);
    let record = (any::<bool>(), age).prop_map(|(is_primary, age)| (role(is_primary), age));
    prop::option::of(record)
}

fn role(is_primary: bool) -> Role {
    if is_primary {
        Role::Primary
    } else {
        Role::Alternate
    }
}

fn alternates() -> impl Strategy<Value = fn() -> Alternate> {
    prop::sample::select(vec![
        (|| Alternate::exists(true)) as fn() -> Alternate,
        || Alternate::exists(true),
        || Alternate::exists(false),
        Alternate::undecided,
    ])
}

proptest! {
    #[test]
    fn it_keeps_its_promises(
        ops in ops(),
        preset in prop::sample::select(vec![Preset::Safe, Preset::Safe, Preset::Dotnet]),
        alternate in alternates(),
        outage_wait in prop::sample::select(vec![Duration::ZERO, Duration::from_secs(20)]),
        failback in prop::sample::select(vec![
            Failback::OnFault,
            Failback::OnFault,
            Failback::Probe,
            Failback::Probe,
            Failback::Manual,
        ]),
        record in records(),
        opens_under in order(),
    ) {
        let mut world =
            World::new(preset, alternate(), outage_wait, failback, record, opens_under);
        for op in &ops {
            world.does(op);
        }
        world.settles();
    }

    /// The whole of `dotnet`, as .NET has it: what is certain asks the handlers, one at a time, and
    /// what they say is done.
    #[test]
    fn dotnet_is_as_simple_as_this(
        ops in prop::collection::vec((0..6, any::<bool>()), 1..60),
        mut is_on in any::<bool>(),
    ) {
        let (alternate, failback) = (Alternate::exists(is_on), Failback::OnFault);
        let mut world = World::new(Preset::Dotnet, alternate, Duration::ZERO, failback, None, None);
        let (switch, now) = (&mut world.switch, world.now);
        let (mut place, mut asking) = (switch.place(), None);
        for (op, flag) in ops {
            match op {
                0 | 1 => {
                    let report = switch.report(place, Evidence::Strong, false, || flag, now);
                    match asking {
                        Some((_, from)) if from == place => assert_eq!(report, Report::Joined),
                        _ => {
                            let Report::Began(number, actions) = report else {
                                panic!("{report:?}");
                            };
                            assert_eq!(actions, [Action::Raise(None)]);
                            asking = Some((number, place));
                        }
                    }
                }
                2 | 3 => {
                    let Some((number, from)) = asking.take() else {
                        continue;
                    };
                    let input = Input::Replied { is_vetoed: flag };
                    let end = match (from == place, flag, is_on) {
                        (false, ..) => vec![Action::End(Ok(()))],
                        (true, true, _) => vec![Action::End(Err(Stay::Vetoed))],
                        (true, false, false) => vec![Action::End(Err(Stay::Off))],
                        (true, false, true) => {
                            let done = Move::on_from(place);
                            place = done.to;
                            let done = Action::Switched(done, None);
                            vec![done, Action::AwaitHandlers, Action::End(Ok(()))]
                        }
                    };
                    assert_eq!(switch.hear(number, input, now, 0.0), end);
                }
                4 => {
                    let done = Move::on_from(place);
                    let actions = switch.switch_by_hand(now);
                    assert_eq!(actions, Ok(vec![Action::Switched(done, None)]));
                    place = done.to;
                }
                _ => {
                    is_on = flag;
                    switch.alternate_mut().set_auto_switch(flag);
                }
            }
            assert_eq!(switch.place(), place);
            assert!(!switch.begin(true, now).waits);
        }
    }
}

/// The histories go where there is something to see.
#[test]
fn histories_go_everywhere() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = Seen::default();
    for preset in [Preset::Safe, Preset::Dotnet] {
        for _ in 0..200 {
            let ops = ops().new_tree(&mut runner).unwrap().current();
            let wait = Duration::from_secs(20);
            let record = records().new_tree(&mut runner).unwrap().current();
            let alternate = Alternate::exists(true);
            let mut world = World::new(preset, alternate, wait, Failback::Probe, record, None);
            world.seen = seen;
            ops.iter().for_each(|op| world.does(op));
            seen = world.seen;
        }
    }
    let Seen {
        switched,
        outages,
        vetoes,
        joined,
        superseded,
        went_home,
        looked_first,
        heeded,
        obeyed,
        tried,
    } = seen;
    let counts = [
        switched,
        outages,
        vetoes,
        joined,
        superseded,
        went_home,
        looked_first,
        heeded,
        obeyed,
        tried,
    ];
    assert!(counts.iter().all(|count| *count > 5), "{seen:?}");
}
