//! The organization's switch: where calls go now, and whether a fault moves them.
//!
//! A machine: it is told what has happened and what time it is, and tells what is to be done. A fault
//! is always reported with the place that its attempt was sent to. If calls go elsewhere by then,
//! another one has switched already, and the fault changes nothing. This is what .NET did by comparing
//! addresses; with the epoch it also holds when calls have moved away and back.

mod home;
mod inquiry;
mod orders;
mod recall;
mod waiting;
mod words;

use std::time::{Duration, Instant};

use self::inquiry::Inquiry;
pub use self::recall::Heed;
pub use self::words::{Action, Begin, Input, Limits, Refusal, Report, WaitOut};
use super::alternate::{Alternate, Policy};
use super::evidence::Evidence;
use super::failback::Home;
use super::look::{First, Look, Stay};
use super::place::{Move, Place};
use super::preset::Rules;
use super::window::Windows;
use crate::{Order, Role};

/// What a look has found holds for so long: calls that fail one after the other do not probe one
/// after the other, and thousands may wait.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Switch {
    rules: Rules,
    limits: Limits,
    place: Place,
    alternate: Alternate,
    /// Calls were sent: where to start is no question any more.
    has_begun: bool,
    inquiry: Option<Inquiry>,
    /// How many there were.
    inquiries: u64,
    /// How many calls wait for an outage to end.
    waiting: usize,
    home: Home,
    /// The interruptions that are planned.
    windows: Windows,
    /// When calls moved last.
    switched: Option<Instant>,
    /// The last change of what the active endpoint has: a switch, or one behind its URL.
    changed: Option<Instant>,
    /// What the operator says.
    order: Option<Order>,
    /// Which of the others' switches was heard of last.
    heard: u64,
    /// What is to be found out before calls go where others are on record to go.
    first: Option<First>,
    /// The last answer of handlers that a place is not left…
    refused: Option<(Place, Instant, Stay)>,
    /// …and of a look…
    looked: Option<(Place, Instant, Stay)>,
    /// …which holds for so long.
    look_holds: Duration,
    /// Whether an endpoint that was left still answered.
    looked_back: Option<(Role, Instant, bool)>,
    /// The place that was left last because it was found dead.
    found_dead: Option<Place>,
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

    /// A fault was seen at `seen_at`. `is_policy_unread`: whether there is an alternate could not be
    /// read; `is_armed`: there is a token for a probe of the other endpoint, or none is needed, asked where
    /// an inquiry begins.
    pub fn report(
        &mut self,
        seen_at: Place,
        evidence: Evidence,
        is_policy_unread: bool,
        is_armed: impl FnOnce() -> bool,
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
            self.alternate.reading_begins();
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
        if let Some(stay) = self.holds_still(must_confirm, evidence, now) {
            return Report::Stays(stay);
        }
        let actions = self.inquire(must_confirm, has_other, is_armed());
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
    fn holds_still(&self, must_confirm: bool, evidence: Evidence, now: Instant) -> Option<Stay> {
        self.refuses(now).or_else(|| {
            let (at, since, stay) = self.looked?;
            // In an interruption that is planned it would not have come to that.
            let is_waited = |at| !self.outage_wait(at).is_zero();
            let is_planned = is_waited(now) && !is_waited(since);
            // Who lives and is slow is not what fails now.
            let held = match evidence {
                Evidence::Silence => self.look_holds,
                _ => LOOK_HOLDS,
            };
            let is_recent = is_within(since, held, now);
            let holds = at == self.place && is_recent && !is_planned;
            (holds && (stay.is_of_other() || must_confirm)).then_some(stay)
        })
    }

    /// Whether what a look has found is that of a moment ago.
    fn has_just_looked(&self, now: Instant) -> bool {
        let is_recent = |(at, since, _): (Place, Instant, Stay)| {
            at == self.place && is_within(since, LOOK_HOLDS, now)
        };
        self.looked.is_some_and(is_recent)
    }

    /// Why handlers have refused to leave the place, as long as that holds.
    fn refuses(&self, now: Instant) -> Option<Stay> {
        let (at, since, stay) = self.refused?;
        let holds = at == self.place && is_within(since, self.limits.hold_down, now);
        // Who switches it on wants to be heard.
        let is_on = stay == Stay::Off && self.order.is_none() && self.alternate.would_switch();
        (holds && self.rules.refusal_holds && !is_on).then_some(stay)
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
    fn goes(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = self.ends_outage(now);
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
            self.outage_gains_other(now);
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
mod tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model;
