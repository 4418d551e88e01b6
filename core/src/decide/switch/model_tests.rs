//! The switch on random histories, against what it promises.
//!
//! The model knows of the machine only what it says and what it was told: which inquiries run, what
//! each one still waits for, what was answered, and where calls go. A failure prints the shortest
//! history and the line that repeats it; `PROPTEST_CASES` runs more of them.

use proptest::prelude::*;
use proptest::sample::Index;

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
    use Evidence::{Never, Strong, Weak};
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
    let evidence = prop::sample::select(vec![Strong, Strong, Weak, Weak, Never]);
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

/// What an inquiry still waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Awaits {
    Look(Asks),
    Reply,
}

/// What the model knows of one that runs.
#[derive(Debug)]
struct Inquiry {
    number: u64,
    from: Place,
    /// It may leave the place only if that is silent.
    doubts: bool,
    /// Nothing has failed: looks were good.
    is_failback: bool,
    /// There was no other endpoint to go to when it began.
    is_alone: bool,
    awaits: Vec<Awaits>,
    /// What the endpoints have answered since they were last looked at: here, there.
    answers: [Option<Answer>; 2],
    is_from_provider: bool,
    was_probed: bool,
    raised: Option<Option<Probed>>,
    /// An outage was to be waited out since it began. (A window may have ended meanwhile.)
    had_wait: bool,
    outage: Option<Instant>,
    /// A call may be tried in it that has waited in vain: one for each look.
    may_try: bool,
    /// When an endpoint has answered that is to be gone to.
    answered_at: Option<Instant>,
}

impl Inquiry {
    /// The outage that is over for it, once an endpoint has answered that is to be gone to.
    fn over(&self) -> Option<Over> {
        let probed = self.raised??;
        Some(Over {
            answered: Some((self.from.role.other(), probed)),
            lasted: self.answered_at? - self.outage?,
        })
    }
}

struct World {
    switch: Switch,
    rules: Rules,
    now: Instant,
    order: Option<Order>,
    /// What must be looked at before a call goes.
    first: Option<First>,
    place: Place,
    /// Where they went before, the last one at the end.
    before: Vec<Place>,
    is_on: bool,
    has_begun: bool,
    waiting: usize,
    outage_wait: Duration,
    failback: Failback,
    /// From when to when interruptions were announced.
    windows: Vec<(Instant, Instant)>,
    /// A fault has moved calls to the alternate, and since when looks at the primary are good.
    is_away: bool,
    good_since: Option<Instant>,
    switched: Option<Instant>,
    /// Those that were not told their end yet.
    running: Vec<Inquiry>,
    /// The one whose outcome is waited for by calls.
    live: Option<u64>,
    refused: Option<(Place, Instant, Stay)>,
    /// Auto-switch was set since the last refusal.
    was_set: bool,
    /// What a look has found last.
    found: Option<(Place, Instant, Stay)>,
    /// What of the machine's paths a history has been through.
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    switched: u32,
    outages: u32,
    vetoes: u32,
    joined: u32,
    superseded: u32,
    went_home: u32,
    looked_first: u32,
    heeded: u32,
    obeyed: u32,
    tried: u32,
}

impl World {
    fn new(
        preset: Preset,
        alternate: Alternate,
        outage_wait: Duration,
        failback: Failback,
        record: Option<(Role, Duration)>,
        opens_under: Option<Override>,
    ) -> World {
        let rules = Rules::of(preset, RulesOff::default());
        let limits = Limits {
            hold_down: HOLD_DOWN,
            probe_timeout: Duration::from_secs(1),
            outage_wait,
            max_waiting: MOST_WAITING,
            ways: Ways {
                failback,
                interval: INTERVAL,
                after: GOOD_FOR,
            },
        };
        let is_on = alternate.auto_switch();
        let mut switch = Switch::new(rules, limits, Role::Primary, alternate);
        let now = Instant::now();
        let mut first = None;
        let order = opens_under.map(ordered);
        if let Some(order) = order {
            switch.begins_under(order);
        }
        let pinned = match opens_under {
            Some(Override::Primary) => Some(Role::Primary),
            Some(Override::Alternate) => Some(Role::Alternate),
            Some(Override::Off) | None => None,
        };
        assert_eq!(switch.place().role, pinned.unwrap_or(Role::Primary));
        if let Some((role, age)) = record {
            let wall = SystemTime::UNIX_EPOCH + MAX_AGE * 1000;
            let record = Whereabouts {
                role,
                switched: wall - age,
                confirmed: wall - age,
                by_fault: false,
                switches: 1,
            };
            switch.recall(&record, MAX_AGE, wall, now);
            let (begins, first_then) = match record.worth(MAX_AGE, wall) {
                Worth::Word => (role, First::AtRecord),
                Worth::Hint => (Role::Primary, First::InSpiteOfRecord),
            };
            assert_eq!(switch.place().role, pinned.unwrap_or(begins));
            let is_elsewhere = role == Role::Alternate && pinned.is_none();
            first = is_elsewhere.then_some(first_then);
        }
        World {
            rules,
            now,
            order,
            first,
            place: switch.place(),
            before: Vec::new(),
            switch,
            is_on,
            has_begun: false,
            waiting: 0,
            outage_wait,
            failback,
            windows: Vec::new(),
            is_away: false,
            good_since: None,
            switched: record.and_then(|(_, age)| {
                let is_word = age <= MAX_AGE;
                now.checked_sub(age).filter(|_| is_word && pinned.is_none())
            }),
            running: Vec::new(),
            live: None,
            refused: None,
            was_set: false,
            found: None,
            seen: Seen::default(),
        }
    }

    /// How long a call that begins to wait waits for an outage to end.
    fn wait(&self) -> Duration {
        let mut end = self.now;
        let mut windows = self.windows.clone();
        windows.sort();
        for (from, to) in windows {
            // One that is to come counts where the ones before it last until then.
            if from <= end && (from <= self.now || end > self.now) {
                end = end.max(to);
            }
        }
        self.outage_wait.max(end - self.now)
    }

    fn one(&mut self, number: u64) -> &mut Inquiry {
        let one = self.running.iter_mut().find(|one| one.number == number);
        one.expect("an inquiry that has ended is not asked for anything")
    }

    /// The inquiry that is about where calls go now.
    fn current(&self) -> Option<&Inquiry> {
        let one = self
            .running
            .iter()
            .find(|one| Some(one.number) == self.live)?;
        (one.from == self.place).then_some(one)
    }

    fn is_out(&self) -> bool {
        self.current().is_some_and(|one| one.outage.is_some())
    }

    fn does(&mut self, op: &Op) {
        match op {
            Op::Begin(is_write) => self.begin(*is_write),
            Op::Report {
                evidence,
                is_late,
                is_policy_unread,
                is_armed,
            } => {
                // Away and back as well: the same endpoint, and not the same place.
                let late = self.before.iter().nth_back(1).or(self.before.last());
                let seen_at = late.copied().filter(|_| *is_late).unwrap_or(self.place);
                self.report(seen_at, *evidence, *is_policy_unread, *is_armed);
            }
            Op::Happens(which, comes) => {
                let awaited = self.running.iter().map(|one| one.awaits.len()).sum();
                if awaited > 0 {
                    self.happens(which.index(awaited), *comes);
                }
            }
            Op::Pass(time) => self.now += *time,
            Op::Leaves => {
                if self.waiting > 0 {
                    self.waiting -= 1;
                    self.switch.waits_no_more();
                }
            }
            Op::ByHand => self.by_hand(),
            Op::Order(value) => self.orders(*value),
            Op::OtherMoved(is_primary) => self.other_moved(role(*is_primary)),
            Op::AutoSwitch(on) => {
                self.switch.alternate_mut().set_auto_switch(*on);
                self.was_set |= *on;
            }
            Op::Policy(policy) => self.policy(*policy),
            Op::LooksHome(is_good) => self.looks_home(*is_good),
            Op::Window(ahead, lasts) => {
                let (start, end) = (self.now + *ahead, self.now + *ahead + *lasts);
                self.switch.announce(start, end, self.now);
                self.windows.push((start, end));
            }
            Op::Tries {
                is_answered,
                is_late,
            } => self.tries(*is_answered, *is_late),
            Op::Dies(which) => {
                if !self.running.is_empty() {
                    let dead = self.running.remove(which.index(self.running.len()));
                    self.switch.give_up(dead.number);
                    self.live.take_if(|live| *live == dead.number);
                }
            }
        }
        assert_eq!(self.switch.place(), self.place);
        for one in &self.running {
            // Else it would never end, and calls wait for it.
            assert!(!one.awaits.is_empty(), "{one:?}");
        }
    }

    fn begin(&mut self, is_write: bool) {
        self.has_begun = true;
        let begin = self.switch.begin(is_write, self.now);
        assert_eq!(begin.place, self.place);
        assert_eq!(begin.waits_out, self.is_out());
        let is_held = match self.first {
            None => false,
            Some(First::AtRecord) => is_write,
            Some(First::InSpiteOfRecord) => true,
        };
        // No such call goes before somebody has looked.
        assert!(!is_held || begin.looks_first || begin.waits || begin.waits_out);
        assert_eq!(begin.looks_first, is_held && self.current().is_none());
        if begin.waits {
            assert!(self.current().is_some() && !begin.waits_out);
            assert!(self.rules.holds_calls || is_held);
        }
        if begin.looks_first {
            self.looks_first();
        }
        let expected = match (self.is_out(), self.waiting < MOST_WAITING) {
            (false, _) => WaitOut::Over,
            (true, false) => WaitOut::Full,
            (true, true) => WaitOut::Until(self.now + self.wait()),
        };
        let found = self.switch.wait_out(self.now);
        let is_answered = self.current().is_some_and(|one| one.answered_at.is_some());
        if self.is_out() && is_answered {
            // All wait for the handlers, to their own deadlines.
            let longest = self.now + self.wait();
            assert!(matches!(found, WaitOut::Until(until) if until > longest));
        } else {
            assert_eq!(found, expected);
        }
        self.waiting += usize::from(matches!(found, WaitOut::Until(_)));
    }

    fn tries(&mut self, is_answered: bool, is_late: bool) {
        let now = self.now;
        if let Some(before) = self.before.last().filter(|_| is_late) {
            // What is answered there says nothing of where calls go.
            self.switch.is_answered(*before, now);
            return;
        }
        let current = self.current();
        let may_try = current.is_some_and(|one| one.may_try && one.answered_at.is_none());
        assert_eq!(self.switch.tries(), may_try);
        let Some(number) = self.live.filter(|_| may_try) else {
            return;
        };
        let one = self.one(number);
        one.may_try = false;
        if !is_answered {
            return;
        }
        one.answers[0] = Some(Answer::Came(Probed::Reachable));
        self.seen.tried += 1;
        self.switch.is_answered(self.place, now);
        assert!(!self.switch.tries());
        let woken = Input::Look(Heard::Woken, Glance::default());
        let actions = self.switch.hear(number, woken, now, 0.5);
        assert!(matches!(
            actions[..],
            [Action::OutageEnded(_), .., Action::End(Err(Stay::Alive))]
        ));
        self.asked(number, &actions);
    }

    fn is_recent(&self, found: Option<(Place, Instant, Stay)>, stay: Stay, time: Duration) -> bool {
        let is_so =
            |(place, since, what)| place == self.place && what == stay && self.now < since + time;
        found.is_some_and(is_so)
    }

    fn report(&mut self, at: Place, evidence: Evidence, is_policy_unread: bool, is_armed: bool) {
        let held_down = self
            .switched
            .is_some_and(|then| self.now < then + HOLD_DOWN);
        let has_no_alternate = self.switch.alternate().is_none();
        let stays_by_hand = self.failback == Failback::Manual && self.place.role == Role::Alternate;
        let pin = self.pin();
        let is_none = has_no_alternate || stays_by_hand || pin.is_some();
        let report = self
            .switch
            .report(at, evidence, is_policy_unread, || is_armed, self.now);
        assert_eq!(report == Report::Moved, at != self.place);
        if at == self.place && evidence == Evidence::Never {
            assert_eq!(report, Report::Stays(Stay::Alive));
            return;
        }
        match report {
            Report::Moved => {}
            Report::NoAlternate => {
                assert!(has_no_alternate && pin.is_none() && self.wait().is_zero());
            }
            Report::Stays(Stay::ByHand) => assert!(stays_by_hand && self.wait().is_zero()),
            Report::ReadPolicy => assert!(!is_policy_unread && pin.is_none()),
            Report::PolicyUnread => {
                assert!(!self.rules.asks_unread_alternate && pin.is_none());
            }
            Report::Joined => {
                assert!(self.current().is_some());
                self.seen.joined += 1;
            }
            Report::Stays(Stay::Outage) => assert!(self.is_out()),
            Report::Stays(stay @ Stay::Ordered(order)) => {
                assert_eq!(Some(order), self.order);
                let is_refused = self.is_recent(self.refused, stay, HOLD_DOWN);
                let is_found = self.is_recent(self.found, stay, LOOK_HOLDS);
                let is_kept = pin.is_some() && (self.wait().is_zero() || is_found);
                assert!(is_kept || is_refused && self.rules.refusal_holds);
            }
            Report::Stays(stay @ (Stay::Vetoed | Stay::Off)) => {
                assert!(self.rules.refusal_holds);
                assert!(self.is_recent(self.refused, stay, HOLD_DOWN));
            }
            Report::Stays(stay) => {
                let holds = match stay {
                    Stay::Alive => LOOK_HOLDS_LONGEST,
                    _ => LOOK_HOLDS,
                };
                assert!(self.is_recent(self.found, stay, holds));
                // That it answers is no answer to what is certain.
                let is_certain = evidence == Evidence::Strong && !held_down && !is_none;
                assert!(stay != Stay::Alive || !is_certain);
            }
            Report::Began(number, actions) => {
                let is_overtaken = !self.rules.asks_other && evidence == Evidence::Strong;
                if let Some(current) = self.current() {
                    assert!(is_overtaken && current.doubts && current.raised.is_none());
                }
                assert!(self.live.is_none_or(|live| live < number));
                let doubts =
                    evidence == Evidence::Weak || is_none || held_down && self.rules.holds_down;
                self.runs(number, doubts, false, &actions);
            }
        }
    }

    /// An inquiry has begun.
    fn runs(&mut self, number: u64, doubts: bool, is_failback: bool, actions: &[Action]) {
        self.live = Some(number);
        let had_wait = !is_failback && !self.wait().is_zero();
        let is_alone = self.is_alone();
        self.running.push(Inquiry {
            number,
            from: self.place,
            doubts,
            is_failback,
            is_alone,
            awaits: Vec::new(),
            answers: [None, None],
            is_from_provider: false,
            was_probed: false,
            raised: None,
            had_wait,
            outage: None,
            may_try: false,
            answered_at: None,
        });
        self.asked(number, actions);
    }

    fn pin(&self) -> Option<Order> {
        self.order.filter(|order| order.value != Override::Off)
    }

    fn is_kept(&self) -> bool {
        self.pin().is_some() || self.switch.is_left_by_hand()
    }

    fn is_alone(&self) -> bool {
        self.is_kept() || self.switch.alternate().is_none()
    }

    fn looks_first(&mut self) {
        let is_alone = self.is_alone();
        let began = self.switch.look_first(self.now);
        assert_eq!(began.is_none(), is_alone && self.wait().is_zero());
        match began {
            None => self.first = None,
            Some((number, actions)) => {
                self.seen.looked_first += 1;
                self.runs(number, true, false, &actions);
            }
        }
    }

    fn other_moved(&mut self, role: Role) {
        let is_busy = self.current().is_some();
        let wall = SystemTime::UNIX_EPOCH + MAX_AGE * 1000;
        let record = Whereabouts {
            role,
            switched: wall,
            confirmed: wall,
            by_fault: true,
            switches: self.switch.heard + 1,
        };
        match self.switch.hears_of(&record, MAX_AGE, wall, self.now) {
            Heed::Nothing => {}
            Heed::Later => {
                let is_recent = |found: Option<(Place, Instant, Stay)>| {
                    found.is_some_and(|(place, ..)| place == self.place)
                };
                assert!(is_busy || is_recent(self.found) || is_recent(self.refused));
            }
            Heed::Look(number, actions) => {
                assert!(role != self.place.role && !is_busy);
                assert!(self.order.is_none() && !self.is_kept());
                self.seen.heeded += 1;
                self.runs(number, true, false, &actions);
            }
        }
    }

    fn orders(&mut self, value: Option<Override>) {
        let order = value.map(ordered);
        if order == self.order {
            assert_eq!(self.switch.obey(order, self.now), []);
            return;
        }
        self.order = order;
        (self.refused, self.found) = (None, None);
        let goes = match value {
            Some(Override::Primary) => self.place.role == Role::Alternate,
            Some(Override::Alternate) => self.place.role == Role::Primary,
            Some(Override::Off) | None => false,
        };
        if self.pin().is_some() {
            self.first = None;
        }
        self.seen.obeyed += u32::from(goes);
        let expected = if goes { self.goes() } else { Vec::new() };
        assert_eq!(self.switch.obey(order, self.now), expected);
        let is_alone = self.is_alone();
        if let Some(one) = self.current()
            && !goes
            && one.outage.is_none()
            && one.is_alone != is_alone
        {
            // Whoever waits for it asks anew.
            self.live = None;
        }
    }

    /// One of the things that are waited for comes about.
    fn happens(&mut self, mut which: usize, comes: Comes) {
        let one = self.running.iter_mut().find_map(|one| {
            let has = which < one.awaits.len();
            if !has {
                which -= one.awaits.len();
            }
            has.then_some(one)
        });
        let one = one.expect("there is one");
        let (number, from) = (one.number, one.from);
        let side = |role: Role| usize::from(role != from.role);
        let input = match one.awaits.remove(which) {
            Awaits::Reply => Input::Replied {
                is_vetoed: comes.is_vetoed,
            },
            Awaits::Look(asks) => {
                let heard = match asks {
                    Asks::Authorize(role) | Asks::Renew(role) => {
                        if comes.answer.is_none() {
                            Heard::NoToken(role)
                        } else {
                            if role != from.role {
                                one.is_from_provider = comes.from_provider;
                            }
                            Heard::Authorized {
                                role,
                                from_provider: comes.from_provider,
                            }
                        }
                    }
                    Asks::Probe(role) => {
                        let answer = comes.answer.unwrap_or(Answer::Silent);
                        let said = &mut one.answers[side(role)];
                        // One answer to two probes is an answer.
                        let is_worse = answer == Answer::Silent && said.is_some();
                        if role != from.role || !(is_worse || came(*said)) {
                            *said = Some(answer);
                        }
                        Heard::Probed(role, answer)
                    }
                    Asks::Wake(then) => {
                        self.now = self.now.max(then);
                        Heard::Woken
                    }
                };
                Input::Look(heard, Glance::default())
            }
        };
        let has_wait = !self.wait().is_zero();
        self.one(number).had_wait |= has_wait;
        self.is_on = self.order.is_none() && self.switch.alternate().auto_switch();
        let actions = self.switch.hear(number, input, self.now, 0.5);
        if let Input::Replied { is_vetoed } = input {
            self.replied(number, is_vetoed, &actions);
        }
        self.asked(number, &actions);
    }

    /// What follows from the handlers' reply.
    fn replied(&mut self, number: u64, is_vetoed: bool, actions: &[Action]) {
        let is_current = self.current().is_some_and(|one| one.number == number);
        let switches = actions
            .iter()
            .any(|action| matches!(action, Action::Switched(..)));
        assert_eq!(switches, is_current && !is_vetoed && self.is_on);
        if is_current && !switches && self.one(number).is_failback {
            // No answer to whoever has met a fault meanwhile.
            assert_eq!(actions, [Action::End(Err(Stay::Superseded))]);
            self.good_since = None;
        } else if is_current && !switches {
            let off = self.order.map_or(Stay::Off, Stay::Ordered);
            let stay = if is_vetoed { Stay::Vetoed } else { off };
            let over = self.one(number).over().map(Action::OutageEnded);
            let expected: Vec<_> = over.into_iter().chain([Action::End(Err(stay))]).collect();
            assert_eq!(actions, expected);
            self.refused = Some((self.place, self.now, stay));
            self.was_set = false;
            self.seen.vetoes += 1;
        }
    }

    /// An inquiry asks for this.
    fn asked(&mut self, number: u64, actions: &[Action]) {
        for (index, action) in actions.iter().enumerate() {
            match action {
                Action::Ask(asks) => {
                    let one = self.one(number);
                    match *asks {
                        Asks::Authorize(role) => {
                            one.answers[usize::from(role != one.from.role)] = None;
                            one.may_try = one.outage.is_some();
                        }
                        Asks::Probe(role) => one.was_probed |= role == one.from.role,
                        _ => {}
                    }
                    one.awaits.push(Awaits::Look(*asks));
                }
                Action::Raise(probed) => self.raises(number, *probed),
                Action::Switched(done, probed) => {
                    assert_eq!(self.one(number).raised, Some(*probed));
                    let is_failback = self.one(number).is_failback;
                    self.seen.went_home += u32::from(is_failback);
                    self.moves(*done);
                    self.is_away = !is_failback && done.to.role == Role::Alternate;
                }
                Action::AwaitHandlers => assert!(self.rules.awaits_switched),
                Action::OutageStarted => {
                    let wait = self.wait();
                    let had_wait = self.one(number).had_wait;
                    assert!(had_wait || !wait.is_zero());
                    assert!(!self.is_out());
                    let now = self.now;
                    let one = self.one(number);
                    assert!(one.was_probed && !came(one.answers[0]), "{one:?}");
                    one.outage = Some(now);
                    one.may_try = true;
                    self.seen.outages += 1;
                }
                Action::OutageEnded(over) => {
                    let now = self.now;
                    let one = self.one(number);
                    let end = one.answered_at.unwrap_or(now);
                    assert_eq!(one.outage.map(|then| end - then), Some(over.lasted));
                    let (role, probed) = over.answered.expect("somebody has answered");
                    let side = usize::from(role != one.from.role);
                    // Before calls go elsewhere the handlers have decided.
                    assert_eq!(side == 1, one.raised.is_some());
                    assert_eq!(one.answers[side], Some(Answer::Came(probed)));
                    one.awaits.clear();
                }
                Action::Recalled(holds) => {
                    assert_eq!(index + 2, actions.len());
                    let is_at_record = self.first == Some(First::AtRecord);
                    assert_eq!((self.first.is_some(), *holds), (true, is_at_record));
                }
                Action::End(outcome) => {
                    assert_eq!(index + 1, actions.len());
                    self.ends(number, *outcome);
                }
            }
        }
    }

    fn raises(&mut self, number: u64, probed: Option<Probed>) {
        assert_eq!(self.current().map(|one| one.number), Some(number));
        assert!(self.pin().is_none());
        if let Some(order) = self.order {
            assert!(
                !self.is_recent(self.refused, Stay::Ordered(order), HOLD_DOWN)
                    || !self.rules.refusal_holds
            );
        }
        if self.rules.refusal_holds && !self.one(number).is_failback {
            // A veto holds, and so does auto-switch that is off, until it is set.
            assert!(!self.is_recent(self.refused, Stay::Vetoed, HOLD_DOWN));
            assert!(self.was_set || !self.is_recent(self.refused, Stay::Off, HOLD_DOWN));
        }
        let (asks_other, now) = (self.rules.asks_other, self.now);
        let one = self.one(number);
        assert_eq!(one.raised, None);
        one.answered_at = one.outage.map(|_| now);
        if one.is_failback {
            assert_eq!(probed, Some(Probed::Serves));
        } else if asks_other || one.outage.is_some() {
            let probed = probed.expect("none is left unless the other one answers");
            assert_eq!(one.answers[1], Some(Answer::Came(probed)));
            assert!(!one.is_from_provider || probed == Probed::Serves);
        }
        if one.doubts {
            assert!(one.was_probed && !came(one.answers[0]), "{one:?}");
        }
        one.raised = Some(probed);
        one.awaits = vec![Awaits::Reply];
    }

    fn moves(&mut self, done: Move) {
        assert_eq!(done.from, self.place);
        assert_eq!(done.to.epoch, self.place.epoch + 1);
        assert_eq!(done.to.role, self.place.role.other());
        self.before.push(self.place);
        self.place = done.to;
        self.switched = Some(self.now);
        (self.is_away, self.good_since) = (false, None);
        self.first = None;
        self.seen.switched += 1;
    }

    fn ends(&mut self, number: u64, outcome: Result<(), Stay>) {
        let is_live = self.live == Some(number);
        let index = self.running.iter().position(|one| one.number == number);
        let one = self.running.remove(index.expect("it has not ended before"));
        match outcome {
            Ok(()) => assert_ne!(one.from, self.place),
            Err(Stay::Superseded) => {
                assert!(!is_live || one.is_failback);
                self.seen.superseded += 1;
            }
            Err(Stay::Vetoed | Stay::Off) => assert!(one.raised.is_some()),
            Err(Stay::Ordered(order)) => {
                assert_eq!(Some(order), self.order);
                let is_dead = one.was_probed && !came(one.answers[0]);
                assert!(one.raised.is_some() || self.pin().is_some() && is_dead);
            }
            Err(Stay::Alive | Stay::Alone | Stay::AloneUnasked) => {
                let has_no_alternate = one.answers[0] == Some(Answer::NotAsked);
                assert!(came(one.answers[0]) || has_no_alternate, "{one:?}");
            }
            Err(stay) => {
                assert!(stay != Stay::Outage && self.wait().is_zero());
                // With credentials that it does not let in, an answer is none.
                let is_refused = one.answers[1] == Some(Answer::Came(Probed::Reachable));
                assert!(!came(one.answers[1]) || is_refused, "{one:?}");
            }
        }
        if let Err(stay) = outcome
            && one.raised.is_none()
            && !matches!(stay, Stay::Vetoed | Stay::Off | Stay::Superseded)
        {
            self.found = Some((one.from, self.now, stay));
        }
        if is_live {
            (self.live, self.first) = (None, None);
        }
    }

    fn by_hand(&mut self) {
        let refusal = match self.pin() {
            Some(order) => Some(Refusal::Ordered(order)),
            None if self.switch.alternate().is_available() => None,
            None => Some(Refusal::NoAlternate),
        };
        let found = self.switch.switch_by_hand(self.now);
        let expected = match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(self.goes()),
        };
        assert_eq!(found, expected);
    }

    /// A person moves calls: what is done for it.
    fn goes(&mut self) -> Vec<Action> {
        let current = self.current();
        let now = self.now;
        let over = current.and_then(|one| {
            let then = one.outage?;
            Some(one.over().unwrap_or(Over {
                answered: None,
                lasted: now - then,
            }))
        });
        let had_outage = self.is_out();
        let done = Move::on_from(self.place);
        let over = over.map(Action::OutageEnded);
        let expected: Vec<_> = over
            .into_iter()
            .chain([Action::Switched(done, None)])
            .collect();
        if had_outage {
            self.live = None;
        }
        self.moves(done);
        expected
    }

    fn looks_home(&mut self, is_good: bool) {
        let next = self.switch.look_home().map(|(next, _)| next);
        let is_looked_for = self.failback == Failback::Probe && self.is_away;
        assert_eq!(next.is_some(), is_looked_for);
        let Some(next) = next else {
            return;
        };
        self.now = self.now.max(next);
        let found = if is_good {
            Found::Go(Some(Probed::Serves))
        } else {
            Found::Stay(Stay::OtherSilent)
        };
        self.good_since = is_good.then(|| self.good_since.unwrap_or(self.now));
        let is_on = self.order.is_none() && self.switch.alternate().auto_switch();
        let begun = self.switch.looked_home(self.place, found, self.now);
        if !is_on {
            self.good_since = None;
        }
        let Some((number, actions)) = begun else {
            return;
        };
        assert!(
            self.good_since
                .is_some_and(|since| self.now >= since + GOOD_FOR)
        );
        assert!(self.current().is_none() && is_on);
        let is_vetoed = self.is_recent(self.refused, Stay::Vetoed, HOLD_DOWN);
        assert!(!(is_vetoed && self.rules.refusal_holds));
        assert!(self.live.is_none_or(|live| live < number));
        self.runs(number, false, true, &actions);
    }

    fn policy(&mut self, policy: Policy) {
        let is_left = self.switch.set_policy(policy, self.now);
        if let Some(left) = is_left {
            assert_eq!(left, self.place);
            assert!(self.pin().is_none());
            assert!(!policy.says.endpoint_enabled && policy.read_from == left.role);
        } else if self.switch.place() != self.place {
            // Where it would have started had it known.
            assert!(!self.has_begun && self.place.epoch == 0);
            self.place.role = self.place.role.other();
        }
    }

    /// From now on everything is answered, and well: every inquiry ends, and nobody waits.
    fn settles(&mut self) {
        for _ in 0..ENOUGH {
            if self.running.is_empty() {
                self.begin(true);
            }
            if self.running.is_empty() {
                break;
            }
            self.happens(0, WELL);
        }
        assert!(self.running.is_empty(), "{:?}", self.running);
        let begin = self.switch.begin(true, self.now);
        assert!(!begin.looks_first);
        assert!(!begin.waits && !begin.waits_out);
        assert_eq!(self.switch.wait_out(self.now), WaitOut::Over);
    }
}

fn ordered(value: Override) -> Order {
    Order {
        value,
        source: OverrideSource::Store,
        until: None,
    }
}

fn came(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Came(_)))
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
