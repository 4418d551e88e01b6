//! What the model knows of the switch, and what it holds it to.

#[path = "model_heard_tests.rs"]
mod heard;
#[path = "model_moved_tests.rs"]
mod moved;

use super::*;

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

pub(super) struct World {
    pub(super) switch: Switch,
    rules: Rules,
    pub(super) now: Instant,
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
    pub(super) seen: Seen,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) switched: u32,
    pub(super) outages: u32,
    pub(super) vetoes: u32,
    pub(super) joined: u32,
    pub(super) superseded: u32,
    pub(super) went_home: u32,
    pub(super) looked_first: u32,
    pub(super) heeded: u32,
    pub(super) obeyed: u32,
    pub(super) tried: u32,
}

impl World {
    pub(super) fn new(
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
        let order = opens_under.map(moved::ordered);
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

    pub(super) fn does(&mut self, op: &Op) {
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
                let holds = match (stay, evidence) {
                    (Stay::Alive, Evidence::Silence) => LOOK_HOLDS_LONGEST,
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
                    evidence < Evidence::Strong || is_none || held_down && self.rules.holds_down;
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

    /// From now on everything is answered, and well: every inquiry ends, and nobody waits.
    pub(super) fn settles(&mut self) {
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
