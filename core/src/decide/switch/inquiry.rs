//! Whether a place is left, while that is not decided: the look, then the handlers.

use std::time::{Duration, Instant};

use super::{Action, Input, LOOK_HOLDS, Switch, is_within};
use crate::decide::look::{Asks, Found, Heard, Look, Stay};
use crate::decide::outage::Outage;
use crate::decide::place::Place;
use crate::{Probed, Role};

/// An endpoint that is looked at again and again and lives is only slow: each time what was found holds
/// twice as long for silence, up to this.
pub(super) const LOOK_HOLDS_LONGEST: Duration = Duration::from_secs(8);

/// Whether a place is left, while that is not decided.
#[derive(Debug)]
pub(super) struct Inquiry {
    pub(super) number: u64,
    pub(super) from: Place,
    pub(super) stage: Stage,
    /// The place is left only if it is found dead.
    pub(super) must_confirm: bool,
    /// There is another endpoint to go to.
    pub(super) has_other: bool,
    /// Nothing has failed: the primary answers again.
    pub(super) is_failback: bool,
    /// No endpoint answers, or none did: until it is decided where calls go, they wait.
    pub(super) outage: Option<Outage>,
    /// Calls that begin there wait.
    pub(super) holds_calls: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
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
    pub(super) fn is_looking(&self) -> bool {
        matches!(self.stage, Stage::Looking(_))
    }
}

impl Switch {
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

    pub(super) fn look(&self, this: bool, other: bool) -> Look {
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
                    let off = self.order.map_or(Stay::Off, Stay::Ordered);
                    let stay = if is_vetoed { Stay::Vetoed } else { off };
                    if is_failback {
                        self.home.stays_away();
                        // No answer to whoever has met a fault meanwhile.
                        let end = self.end(Err(Stay::Superseded));
                        return [Action::StaysAway(stay)].into_iter().chain(end).collect();
                    }
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

    /// Nobody waits for an endpoint any more.
    pub fn ends_outage(&mut self, now: Instant) -> Vec<Action> {
        let over = self.outage().map(|outage| outage.over(now));
        if over.is_some() {
            self.inquiry = None;
        }
        over.map(Action::OutageEnded).into_iter().collect()
    }

    /// Whoever carried out an inquiry has ended, without an outcome perhaps.
    pub fn give_up(&mut self, number: u64) {
        self.inquiry.take_if(|inquiry| inquiry.number == number);
    }
}

#[cfg(test)]
#[path = "inquiry_tests.rs"]
mod tests;
