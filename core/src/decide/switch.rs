//! The organization's switch: where calls go now, and whether a fault moves them.
//!
//! A machine: it is told what has happened and what time it is, and tells what is to be done. A fault
//! is always reported with the place that its attempt was sent to. If calls go elsewhere by then,
//! another one has switched already, and the fault changes nothing. This is what .NET did by comparing
//! addresses; with the epoch it also holds when calls have moved away and back.

use std::time::{Duration, Instant};

use super::alternate::{Alternate, Policy};
use super::evidence::Evidence;
use super::failback::{Home, Ways};
use super::look::{Asks, First, Found, Glance, Heard, Look, Stay};
use super::outage::{Outage, Over};
use super::place::{Move, Place};
use super::preset::Rules;
use super::window::Windows;
use crate::{Order, Probed, Role, Settings};

/// What a look has found holds for so long: calls that fail one after the other do not probe one
/// after the other, and thousands may wait.
const LOOK_HOLDS: Duration = Duration::from_secs(1);
/// An endpoint that is looked at again and again and lives is only slow: each time what was found holds
/// twice as long, up to this.
const LOOK_HOLDS_LONGEST: Duration = Duration::from_secs(8);

/// No decision takes so long: the handlers have their time.
const LONGEST_DECISION: Duration = Duration::from_secs(24 * 3600);

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hold_down: Duration,
    pub probe_timeout: Duration,
    /// How long a call waits for an outage to end.
    pub outage_wait: Duration,
    /// How many wait at most.
    pub max_waiting: usize,
    /// What leads back to the primary.
    pub ways: Ways,
}

impl Limits {
    pub fn of(settings: &Settings, rules: &Rules) -> Limits {
        Limits {
            hold_down: settings.hold_down,
            probe_timeout: settings.probe_timeout,
            outage_wait: settings.outage_wait.unwrap_or(rules.outage_wait),
            max_waiting: settings.max_waiting,
            ways: Ways {
                failback: settings.failback,
                interval: settings.failback_interval,
                after: settings.failback_after,
            },
        }
    }
}

/// Where a call goes that begins, or is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    pub place: Place,
    /// It waits first until it is decided whether its endpoint is left.
    pub waits: bool,
    /// It waits first until an endpoint answers.
    pub waits_out: bool,
    /// Nobody looks yet, and a look goes before it.
    pub looks_first: bool,
    /// The policy is to be read, and not to be waited for.
    pub reads_policy: bool,
}

/// What a fault leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Calls go elsewhere by now: send again there.
    Moved,
    /// There is no alternate.
    NoAlternate,
    /// Whether there is one must be read first.
    ReadPolicy,
    /// That cannot be read, and is not guessed.
    PolicyUnread,
    /// The endpoint stays.
    Stays(Stay),
    /// It is being found out whether it is left: wait for the outcome.
    Joined,
    /// It is to be found out now: the number of the inquiry, and what is to be done for it.
    Began(u64, Vec<Action>),
}

/// How long an outage is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOut {
    /// There is none.
    Over,
    /// Too many wait already.
    Full,
    /// Until then at the latest. It is counted.
    Until(Instant),
}

/// What is to be done for a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the endpoints.
    Ask(Asks),
    /// Raise `EndpointSwitchRequired`, and wait for the reply. What the other one has answered.
    Raise(Option<Probed>),
    /// It is done: raise `EndpointSwitched`.
    Switched(Move, Option<Probed>),
    /// Wait until its handlers have returned.
    AwaitHandlers,
    /// No endpoint answers: raise `OutageStarted`, and let those go who do not wait for one.
    OutageStarted,
    /// One answers: raise `OutageEnded`.
    OutageEnded(Over),
    /// Where calls go by the record of others was looked at: the record holds, or it does not.
    Recalled(bool),
    /// Let those go who wait. An error: why they stay.
    End(Result<(), Stay>),
}

/// What a switch under way hears.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// Of its look.
    Look(Heard, Glance),
    /// The handlers have spoken.
    Replied { is_vetoed: bool },
}

/// Why the application does not switch by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoAlternate,
    /// The operator keeps calls where they are.
    Ordered(Order),
}

#[derive(Debug)]
pub struct Switch {
    rules: Rules,
    limits: Limits,
    pub(super) place: Place,
    pub(super) alternate: Alternate,
    /// Calls were sent: where to start is no question any more.
    has_begun: bool,
    pub(super) inquiry: Option<Inquiry>,
    /// How many there were.
    pub(super) inquiries: u64,
    /// How many calls wait for an outage to end.
    waiting: usize,
    pub(super) home: Home,
    /// The interruptions that are planned.
    windows: Windows,
    /// When calls moved last.
    pub(super) switched: Option<Instant>,
    /// The last change of what the active endpoint has: a switch, or one behind its URL.
    pub(super) changed: Option<Instant>,
    /// What the operator says.
    pub(super) order: Option<Order>,
    /// Which of the others' switches was heard of last.
    pub(super) heard: u64,
    /// What is to be found out before calls go where others are on record to go.
    pub(super) first: Option<First>,
    /// The last answer of handlers that a place is not left…
    pub(super) refused: Option<(Place, Instant, Stay)>,
    /// …and of a look…
    pub(super) looked: Option<(Place, Instant, Stay)>,
    /// …which holds for so long.
    look_holds: Duration,
    /// Whether an endpoint that was left still answered.
    looked_back: Option<(Role, Instant, bool)>,
    /// The place that was left last because it was found dead.
    found_dead: Option<Place>,
}

/// Whether a place is left, while that is not decided.
#[derive(Debug)]
pub(super) struct Inquiry {
    number: u64,
    pub(super) from: Place,
    stage: Stage,
    /// The place is left only if it is found dead.
    must_confirm: bool,
    /// There is another endpoint to go to.
    pub(super) has_other: bool,
    /// Nothing has failed: the primary answers again.
    is_failback: bool,
    /// No endpoint answers, or none did: until it is decided where calls go, they wait.
    pub(super) outage: Option<Outage>,
    /// Calls that begin there wait.
    holds_calls: bool,
}

#[derive(Debug)]
enum Stage {
    Looking(Look),
    /// What was certain without a look is confirmed, because the other one does not answer, or could
    /// not be asked.
    Confirming(Look, Stay),
    /// It is waited until an endpoint answers.
    Outage,
    /// The handlers are asked.
    Asking(Option<Probed>),
}

impl Inquiry {
    fn is_looking(&self) -> bool {
        matches!(self.stage, Stage::Looking(_))
    }
}

impl Switch {
    pub fn new(rules: Rules, limits: Limits, starts_on: Role, alternate: Alternate) -> Switch {
        Switch {
            rules,
            limits,
            place: Place {
                role: starts_on,
                epoch: 0,
            },
            alternate,
            has_begun: false,
            inquiry: None,
            inquiries: 0,
            waiting: 0,
            home: Home::new(limits.ways),
            windows: Windows::default(),
            switched: None,
            changed: None,
            order: None,
            heard: 0,
            first: None,
            refused: None,
            looked: None,
            look_holds: LOOK_HOLDS,
            looked_back: None,
            found_dead: None,
        }
    }

    pub fn place(&self) -> Place {
        self.place
    }

    pub fn alternate(&self) -> &Alternate {
        &self.alternate
    }

    pub fn alternate_mut(&mut self) -> &mut Alternate {
        &mut self.alternate
    }

    /// A call begins, or is sent again.
    pub fn begin(&mut self, is_write: bool, now: Instant) -> Begin {
        self.has_begun = true;
        let reads_policy = self.alternate.is_due(now);
        if reads_policy {
            self.alternate.reading_begins();
        }
        let inquiry = self.inquiry.as_ref();
        let inquiry = inquiry.filter(|inquiry| inquiry.from == self.place);
        let waits_out = inquiry.is_some_and(|inquiry| inquiry.outage.is_some());
        let looks_first = self.first.is_some_and(|first| first.holds(is_write));
        let waits = |inquiry: &Inquiry| inquiry.holds_calls || looks_first;
        Begin {
            place: self.place,
            waits: !waits_out && inquiry.is_some_and(waits),
            waits_out,
            looks_first: looks_first && inquiry.is_none(),
            reads_policy,
        }
    }

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

    /// Whether only the application leads away from where calls go.
    pub fn is_left_by_hand(&self) -> bool {
        self.home.is_manual() && self.place.role == Role::Alternate
    }

    /// An interruption is planned from `start` to `end`.
    pub fn announce(&mut self, start: Instant, end: Instant, now: Instant) {
        self.windows.announce(start, end, now);
    }

    /// Whether an interruption is planned for now.
    pub fn is_planned(&self, now: Instant) -> bool {
        self.windows.until(now).is_some()
    }

    /// A fault was seen at `seen_at`. `is_policy_unread`: whether there is an alternate could not be
    /// read; `is_armed`: there is a token for a probe of the other endpoint, or none is needed.
    pub fn report(
        &mut self,
        seen_at: Place,
        evidence: Evidence,
        is_policy_unread: bool,
        is_armed: bool,
        now: Instant,
    ) -> Report {
        if self.place != seen_at {
            return Report::Moved;
        }
        if evidence == Evidence::Never {
            return Report::Stays(Stay::Alive);
        }
        if self.outage().is_some() {
            return Report::Stays(Stay::Outage);
        }
        let kept = self.kept();
        if kept.is_none() && is_policy_unread && !self.rules.asks_unread_alternate {
            return Report::PolicyUnread;
        }
        if kept.is_none() && self.alternate.needs_policy(now) && !is_policy_unread {
            return Report::ReadPolicy;
        }
        // What it said when it was read last holds.
        let has_other = self.has_other();
        if !has_other && self.outage_wait(now).is_zero() {
            return kept.map_or(Report::NoAlternate, Report::Stays);
        }
        let must_confirm = !has_other || evidence < Evidence::Strong || self.holds_down(now);
        let is_under_way = |inquiry: &Inquiry| {
            // What is certain waits for no doubt's look, where nothing else is to be found out.
            let is_certain = !must_confirm && !self.rules.asks_other;
            inquiry.from == seen_at && !(is_certain && inquiry.is_looking())
        };
        if self.inquiry.as_ref().is_some_and(is_under_way) {
            return Report::Joined;
        }
        if let Some(stay) = self.holds_still(must_confirm, now) {
            return Report::Stays(stay);
        }
        let actions = self.inquire(must_confirm, has_other, is_armed);
        Report::Began(self.inquiries, actions)
    }

    /// Whether the outcome of an inquiry is one for this fault, which has begun it, or joined it: what
    /// was found alive for another's doubt is no answer to what is certain.
    pub fn answers(evidence: Evidence, has_begun: bool, outcome: Result<(), Stay>) -> bool {
        match outcome {
            Err(Stay::Superseded) => false,
            Err(Stay::Alive) => has_begun || evidence < Evidence::Strong,
            _ => true,
        }
    }

    fn holds_down(&self, now: Instant) -> bool {
        let within = |since| is_within(since, self.limits.hold_down, now);
        self.rules.holds_down && self.switched.is_some_and(within)
    }

    /// Why the place is not even looked at.
    fn holds_still(&self, must_confirm: bool, now: Instant) -> Option<Stay> {
        self.refuses(now).or_else(|| {
            let (at, since, stay) = self.looked?;
            let holds = at == self.place && is_within(since, self.look_holds, now);
            (holds && (stay.is_of_other() || must_confirm)).then_some(stay)
        })
    }

    /// Whether what a look has found is that of a moment ago.
    pub(super) fn has_just_looked(&self, now: Instant) -> bool {
        let is_recent = |(at, since, _): (Place, Instant, Stay)| {
            at == self.place && is_within(since, LOOK_HOLDS, now)
        };
        self.looked.is_some_and(is_recent)
    }

    /// Why handlers have refused to leave the place, as long as that holds.
    pub(super) fn refuses(&self, now: Instant) -> Option<Stay> {
        let (at, since, stay) = self.refused?;
        let holds = at == self.place && is_within(since, self.limits.hold_down, now);
        // Who switches it on wants to be heard.
        let is_on = stay == Stay::Off && self.order.is_none() && self.alternate.would_switch();
        (holds && self.rules.refusal_holds && !is_on).then_some(stay)
    }

    pub(super) fn inquire(
        &mut self,
        must_confirm: bool,
        has_other: bool,
        is_armed: bool,
    ) -> Vec<Action> {
        let looks_here = must_confirm && (self.rules.confirms_doubts || !has_other);
        // Where others went, they have left what may be dead: it is not asked without need.
        let is_enough = looks_here && self.first.is_some();
        let looks_there = has_other && self.rules.asks_other && !is_enough;
        let look = self.look(looks_here, looks_there);
        let first = look.begin();
        self.inquiries += 1;
        self.inquiry = Some(Inquiry {
            number: self.inquiries,
            from: self.place,
            must_confirm,
            has_other,
            is_failback: false,
            outage: None,
            // It is certain that calls would fail here.
            holds_calls: self.rules.holds_calls && !looks_here && is_armed,
            stage: Stage::Looking(look),
        });
        match first {
            Some(asks) => vec![Action::Ask(asks)],
            None => self.ask_handlers(None),
        }
    }

    fn look(&self, this: bool, other: bool) -> Look {
        Look::new(self.place.role, this, other, self.limits.probe_timeout)
    }

    /// Takes what has happened to an inquiry. `chance` is from 0 to 1.
    pub fn hear(&mut self, number: u64, input: Input, now: Instant, chance: f64) -> Vec<Action> {
        let inquiry = self.inquiry.as_mut();
        let Some(inquiry) = inquiry.filter(|inquiry| inquiry.number == number) else {
            return vec![Action::End(Err(Stay::Superseded))];
        };
        let from = inquiry.from;
        if self.place != from {
            // The application has switched by hand meanwhile: there is nothing to decide.
            return self.end(Ok(()));
        }
        match (&mut inquiry.stage, input) {
            (Stage::Looking(look), Input::Look(heard, glance)) => {
                let asks = look.hear(heard, glance, now);
                inquiry.holds_calls = self.rules.holds_calls && look.asks_only_other();
                let (has_other, was_seen) = (inquiry.has_other, look.has_seen_this());
                let is_there = look.is_there();
                match look.found() {
                    None => asks.into_iter().map(Action::Ask).collect(),
                    Some(Found::Go(None)) if !has_other && is_there => self.stays(Stay::Alone, now),
                    Some(Found::Go(None)) if !has_other => self.outage_begins(now, chance),
                    Some(Found::Go(None)) if self.rules.asks_other => self.looks_there(),
                    Some(Found::Go(probed)) => self.ask_handlers(probed),
                    Some(Found::Stay(Stay::Alive)) if !has_other => self.stays(Stay::Alone, now),
                    Some(Found::Stay(stay))
                        if stay.is_of_other() && !is_there && !self.outage_wait(now).is_zero() =>
                    {
                        if was_seen {
                            self.outage_begins(now, chance)
                        } else {
                            self.confirm(stay)
                        }
                    }
                    Some(Found::Stay(stay)) => self.stays(stay, now),
                }
            }
            (Stage::Confirming(look, other), Input::Look(heard, glance)) => {
                let asks = look.hear(heard, glance, now);
                let alone = match other {
                    Stay::OtherUnasked => Stay::AloneUnasked,
                    _ => Stay::Alone,
                };
                match look.found() {
                    None => asks.into_iter().map(Action::Ask).collect(),
                    Some(Found::Go(_)) if !look.is_there() => self.outage_begins(now, chance),
                    Some(_) => self.stays(alone, now),
                }
            }
            (Stage::Outage, Input::Look(heard, _)) => self.outlast(heard, now, chance),
            (Stage::Asking(probed), Input::Replied { is_vetoed }) => {
                let (probed, must_confirm) = (*probed, inquiry.must_confirm);
                let is_failback = inquiry.is_failback;
                let over = inquiry.outage.as_ref().map(|outage| outage.over(now));
                let over = over.map(Action::OutageEnded).into_iter();
                // Auto-switch is read only now, so a handler may have set it.
                if is_vetoed || !self.auto_switch() {
                    if is_failback {
                        self.home.stays_away();
                        // No answer to whoever has met a fault meanwhile.
                        return self.end(Err(Stay::Superseded));
                    }
                    let off = self.order.map_or(Stay::Off, Stay::Ordered);
                    let stay = if is_vetoed { Stay::Vetoed } else { off };
                    self.refused = Some((from, now, stay));
                    return over.chain(self.end(Err(stay))).collect();
                }
                self.found_dead = must_confirm.then_some(from);
                let done = Action::Switched(self.move_on(now), probed);
                if self.place.role == Role::Alternate {
                    self.home.leaves(now);
                } else {
                    self.home.moves(is_failback, now);
                }
                let handlers = self.rules.awaits_switched.then_some(Action::AwaitHandlers);
                let end = self.end(Ok(()));
                over.chain([done]).chain(handlers).chain(end).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The place stays, a look has found.
    fn stays(&mut self, stay: Stay, now: Instant) -> Vec<Action> {
        let is_again = |(at, since, before)| {
            let recent = self.look_holds + LOOK_HOLDS_LONGEST;
            (at, before, stay) == (self.place, Stay::Alive, Stay::Alive)
                && is_within(since, recent, now)
        };
        self.look_holds = if self.looked.is_some_and(is_again) {
            (self.look_holds * 2).min(LOOK_HOLDS_LONGEST)
        } else {
            LOOK_HOLDS
        };
        self.looked = Some((self.place, now, stay));
        let is_alive = matches!(stay, Stay::Alive | Stay::Alone | Stay::AloneUnasked);
        let first = self.first.filter(|_| is_alive);
        let recalled = first.map(|first| Action::Recalled(first.is_at_record()));
        recalled.into_iter().chain(self.end(Err(stay))).collect()
    }

    /// What is certain is no outage as long as the endpoint answers probes.
    fn confirm(&mut self, other: Stay) -> Vec<Action> {
        let look = self.look(true, false);
        let first = look.begin();
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.holds_calls = false;
            inquiry.stage = Stage::Confirming(look, other);
        }
        first.into_iter().map(Action::Ask).collect()
    }

    /// What goes before calls has found this one dead: only now is the other one asked.
    fn looks_there(&mut self) -> Vec<Action> {
        let look = self.look(false, true);
        let first = look.begin();
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.stage = Stage::Looking(look);
        }
        first.into_iter().map(Action::Ask).collect()
    }

    fn outage_begins(&mut self, now: Instant, chance: f64) -> Vec<Action> {
        let Some(inquiry) = &mut self.inquiry else {
            return Vec::new();
        };
        let (outage, next) = Outage::new(inquiry.from.role, inquiry.has_other, now, chance);
        inquiry.stage = Stage::Outage;
        inquiry.must_confirm = true;
        inquiry.outage = Some(outage);
        vec![Action::OutageStarted, Action::Ask(Asks::Wake(next))]
    }

    fn outlast(&mut self, heard: Heard, now: Instant, chance: f64) -> Vec<Action> {
        let Some(inquiry) = &mut self.inquiry else {
            return Vec::new();
        };
        let (from, Some(outage)) = (inquiry.from, &mut inquiry.outage) else {
            return Vec::new();
        };
        let asks = outage.hear(heard, now, chance);
        let Some((role, probed)) = outage.answered() else {
            return asks.into_iter().map(Action::Ask).collect();
        };
        if role != from.role {
            // The handlers first: who hears of the end may hold them up.
            return self.ask_handlers(Some(probed));
        }
        let mut actions = vec![Action::OutageEnded(outage.over(now))];
        actions.extend(self.stays(Stay::Alive, now));
        actions
    }

    fn ask_handlers(&mut self, probed: Option<Probed>) -> Vec<Action> {
        self.alternate.has_answered();
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.holds_calls = self.rules.holds_calls && !inquiry.is_failback;
            inquiry.stage = Stage::Asking(probed);
        }
        vec![Action::Raise(probed)]
    }

    fn end(&mut self, outcome: Result<(), Stay>) -> Vec<Action> {
        self.inquiry = None;
        // Whatever was found, it was looked.
        self.first = None;
        vec![Action::End(outcome)]
    }

    /// A look at the primary, for calls at the alternate to go back there, and when it is due.
    /// `None`: none is, as long as calls do not move.
    pub fn look_home(&self) -> Option<(Instant, Look)> {
        let next = self.home.next_look()?;
        Some((next, self.look(false, true)))
    }

    /// What such a look has found that began when calls went to `from`. Perhaps that begins an inquiry:
    /// its number, and what is to be done for it.
    pub fn looked_home(
        &mut self,
        from: Place,
        found: Found,
        now: Instant,
    ) -> Option<(u64, Vec<Action>)> {
        if self.place != from {
            return None;
        }
        let probed = match found {
            Found::Go(probed) => probed,
            Found::Stay(_) => None,
        };
        let is_time = self.home.looked(probed.is_some(), now);
        if !self.auto_switch() {
            self.home.stays_away();
            return None;
        }
        // Asked again with the next look that is a good one.
        if !is_time || self.inquiry.is_some() || self.refuses(now).is_some() {
            return None;
        }
        self.inquiries += 1;
        self.inquiry = Some(Inquiry {
            number: self.inquiries,
            from,
            must_confirm: false,
            has_other: true,
            is_failback: true,
            outage: None,
            holds_calls: false,
            stage: Stage::Asking(probed),
        });
        Some((self.inquiries, vec![Action::Raise(probed)]))
    }

    /// Whoever carried out an inquiry has ended, without an outcome perhaps.
    pub fn give_up(&mut self, number: u64) {
        self.inquiry.take_if(|inquiry| inquiry.number == number);
    }

    /// Switches because the application says so.
    pub fn switch_by_hand(&mut self, now: Instant) -> Result<Vec<Action>, Refusal> {
        if let Some((order, _)) = self.pin() {
            return Err(Refusal::Ordered(order));
        }
        if !self.alternate.is_available() {
            return Err(Refusal::NoAlternate);
        }
        Ok(self.goes(now))
    }

    /// Switches because a person says so. Whether the other endpoint answers is theirs to know.
    pub(super) fn goes(&mut self, now: Instant) -> Vec<Action> {
        let over = self.outage().map(|outage| outage.over(now));
        if over.is_some() {
            self.inquiry = None;
        }
        let mut actions: Vec<Action> = over.map(Action::OutageEnded).into_iter().collect();
        self.home.moves(false, now);
        actions.push(Action::Switched(self.move_on(now), None));
        actions
    }

    fn move_on(&mut self, now: Instant) -> Move {
        let done = Move::on_from(self.place);
        self.place = done.to;
        self.switched = Some(now);
        self.changed = Some(now);
        self.first = None;
        done
    }

    /// Takes what a WSDL says. Tells the place that is to be left, by a switch like any other,
    /// because calls were sent there already.
    pub fn set_policy(&mut self, policy: Policy, now: Instant) -> Option<Place> {
        let is_news = self.alternate.set_policy(policy.says, now);
        if is_news && self.kept().is_none() {
            self.outage_gains_other();
        }
        let is_disabled = !policy.says.endpoint_enabled && self.place.role == policy.read_from;
        if !is_news || !is_disabled || self.pin().is_some() {
            return None;
        }
        if self.has_begun || self.place.epoch > 0 {
            return Some(self.place);
        }
        // No switch, but where the client would have started had it known.
        self.place.role = policy.read_from.other();
        None
    }

    /// An outage of one endpoint is one of two now.
    pub(super) fn outage_gains_other(&mut self) {
        if let Some(inquiry) = &mut self.inquiry
            && let Some(outage) = &mut inquiry.outage
        {
            inquiry.has_other = true;
            outage.gains_other();
        }
    }

    /// Behind the active endpoint there is another side now, says the application.
    pub fn has_lost(&mut self, now: Instant) {
        self.changed = Some(now);
    }

    /// Whether it is not longer ago than this that the active endpoint may lack rows.
    pub fn has_changed_within(&self, time: Duration, now: Instant) -> bool {
        self.changed
            .is_some_and(|since| is_within(since, time, now))
    }

    /// A look at an endpoint that calls do not go to any more, for a call that waits there. An error:
    /// what was found a moment ago.
    pub fn look_back(&self, role: Role, now: Instant) -> Result<Look, bool> {
        match self.looked_back {
            Some((at, since, is_alive)) if at == role && is_within(since, LOOK_HOLDS, now) => {
                Err(is_alive)
            }
            _ => Ok(Look::new(role, true, false, self.limits.probe_timeout)),
        }
    }

    /// What such a look has found.
    pub fn looked_back(&mut self, role: Role, is_alive: bool, now: Instant) {
        self.looked_back = Some((role, now, is_alive));
    }

    /// Whether this place was left because it was found dead. Others may have left it for reasons of
    /// their own, or the application by hand.
    pub fn was_found_dead(&self, place: Place) -> bool {
        self.found_dead == Some(place)
    }
}

fn is_within(since: Instant, time: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) < time
}

#[cfg(test)]
#[path = "switch_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "switch_model_tests.rs"]
mod model;
