//! This library: its machines, driven as its client drives them. Where calls go, and whether they are
//! sent again, is not decided here.
//!
//! What is decided here, after the client's own code: what a failure's cause is called; that a row is
//! read back; and, in the place of the ledger, which writes are to be verified: all that were acknowledged
//! by a side that is left. That is what the ledger has while a disaster is shorter than
//! `replication_window` and a client's writes are fewer than `ledger_entries`.

mod inquiry;
mod line;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use d365_failover_core::machines::{
    Alternate, Became, Bounds, Budget, Course, Evidence, Failed, Failure, Given, JUST_USED, Limits,
    Moment, Next, Patience, Place, Resending, Rules, RulesOff, Switch, Wait, WaitOut, Watch,
};
use d365_failover_core::{Cause, Fault, Operation, Phase, Preset, Role, Settings};

use self::inquiry::{Asking, Inquiry, LookBack, LookHome};
use self::line::Line;
use super::gate::Gate;
use super::{Client, Timer};
use crate::Time;
use crate::disaster::Disaster;
use crate::truth::{Told, index};
use crate::world::{Outcome, World};

pub(super) struct Ours {
    id: u32,
    given: Given,
    rules: Rules,
    switch: Switch,
    budget: Budget,
    gate: Gate,
    /// When more may go through it, perhaps.
    gate_timed: Option<Time>,
    patience: Patience,
    flights: HashMap<u32, Flight>,
    inquiry: Option<Inquiry>,
    /// Who waits for what an inquiry finds: with a fault…
    asking: Vec<Asking>,
    /// …and before leaving.
    held: Vec<u32>,
    /// …and for an outage to end.
    outlasting: Vec<u32>,
    look_back: Option<LookBack>,
    look_home: Option<LookHome>,
    /// When it looks home no more.
    end: Time,
    /// Its connections to each side.
    lines: [Line; 2],
    timers: u32,
}

/// One call.
struct Flight {
    operation: Operation,
    /// When it began, until it goes to an endpoint.
    begun: Option<Instant>,
    deadline: Time,
    resending: Resending,
    place: Place,
    attempts: usize,
    is_in_doubt: bool,
    stage: Stage,
}

enum Stage {
    /// Until it is decided where it goes; until the gate lets it go; until its fault is heard.
    Waits,
    /// For a connection; the number of its timer.
    StandsInLine(u32),
    UnderWay(UnderWay),
    /// Before it is sent again.
    Pauses,
    /// For an outage to end; the number of its timer.
    Outlasts(u32),
}

struct UnderWay {
    attempt: u32,
    /// The leave to go is counted.
    is_counted: bool,
    /// It reads the row back.
    is_back: bool,
    ends: Time,
    watch: Watch,
    /// What the watch has asked for.
    wait: Wait,
}

/// Who asks where a call goes.
#[derive(Clone, Copy, Debug)]
enum Asker {
    /// An attempt that ended so.
    Fault(Outcome),
    /// This attempt, which is silent.
    Silence(u32),
}

fn cause(outcome: Outcome) -> Cause {
    match outcome {
        Outcome::Answered | Outcome::AlreadyThere => Cause::ServiceFault,
        Outcome::NotHere => Cause::DatacenterNotAvailable,
        Outcome::Unavailable => Cause::Unavailable,
        Outcome::Throttled(_) => Cause::Throttled,
        Outcome::Refused => Cause::Refused,
        Outcome::ConnectTimeout => Cause::ConnectTimeout,
        Outcome::Lost => Cause::Reset,
        Outcome::TimedOut(_) => Cause::AttemptTimeout,
        Outcome::Left(_) => Cause::EndpointLeft,
        Outcome::NoConnection => Cause::LocalFailure,
    }
}

fn status(outcome: Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered => Some(200),
        Outcome::AlreadyThere => Some(412),
        Outcome::NotHere => Some(500),
        Outcome::Throttled(_) => Some(429),
        Outcome::Unavailable => Some(503),
        _ => None,
    }
}

impl Ours {
    pub(super) fn new(
        id: u32,
        settings: &Settings,
        preset: Preset,
        now: Instant,
        disaster: &Disaster,
    ) -> Ours {
        let rules = Rules::of(preset, RulesOff::default());
        let limits = Limits::of(settings, &rules);
        let given = Given::of(settings);
        let mut switch = Switch::new(rules, limits, Role::Primary, Alternate::exists(true));
        if let Some([from, to]) = disaster.window {
            switch.announce(now + from, now + to, now);
        }
        Ours {
            id,
            given,
            rules,
            switch,
            budget: Budget::new(given.retry_budget),
            gate: Gate::new(now),
            gate_timed: None,
            patience: Patience::default(),
            flights: HashMap::new(),
            inquiry: None,
            asking: Vec::new(),
            held: Vec::new(),
            outlasting: Vec::new(),
            look_back: None,
            look_home: None,
            end: disaster.ends,
            lines: [(); 2].map(|()| Line::new(given.max_connections)),
            timers: 0,
        }
    }

    fn timer(&mut self) -> u32 {
        self.timers += 1;
        self.timers
    }

    /// Where a call goes that begins, or is sent again.
    fn goes(&mut self, call: u32, world: &mut World<'_>) {
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        let is_write = flight.operation != Operation::Read;
        let begin = self.switch.begin(is_write, world.instant());
        flight.place = begin.place;
        flight.stage = Stage::Waits;
        if begin.waits_out {
            return self.outlasts(call, world);
        }
        if begin.waits && self.inquiry.is_some() {
            return self.held.push(call);
        }
        let begun = flight.begun.take();
        if let Some(begun) = begun.filter(|_| self.rules.ramps) {
            self.gate.begins(begun);
        }
        self.lets_go(world);
        match self.gate.enter(call, begun, world.instant()) {
            Some(is_counted) => self.leaves(call, is_counted, world),
            None => self.waits_for_gate(world),
        }
    }

    /// Waits until the outage is over.
    fn outlasts(&mut self, call: u32, world: &mut World<'_>) {
        let until = match self.switch.wait_out(world.instant()) {
            WaitOut::Over => return self.goes(call, world),
            WaitOut::Full => return self.fails(call, world),
            WaitOut::Until(until) => world.time_of(until),
        };
        let timer = self.timer();
        if let Some(flight) = self.flights.get_mut(&call) {
            flight.stage = Stage::Outlasts(timer);
            world.wake(
                self.id,
                until.min(flight.deadline),
                Timer::Outage(call, timer),
            );
            self.outlasting.push(call);
        }
    }

    /// The outage is over, or one has waited long enough.
    fn outlasts_no_more(&mut self, call: u32) -> bool {
        let waits = |flight: &Flight| matches!(flight.stage, Stage::Outlasts(_));
        let has_waited = self.flights.get(&call).is_some_and(waits);
        if has_waited {
            self.switch.waits_no_more();
        }
        has_waited
    }

    /// Who waits has itself woken when it may go.
    fn waits_for_gate(&mut self, world: &mut World<'_>) {
        let Some(pause) = self.gate.pause() else {
            return;
        };
        let at = world.now() + pause;
        if self.gate_timed.is_none_or(|timed| at < timed) {
            self.gate_timed = Some(at);
            world.wake(self.id, at, Timer::Gate);
        }
    }

    /// A call leaves, unless its place was left meanwhile.
    fn leaves(&mut self, call: u32, is_counted: bool, world: &mut World<'_>) {
        let place = self.switch.place();
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        flight.attempts += 1;
        if self.rules.leaves_no_left_place && place.epoch != flight.place.epoch {
            self.passes(is_counted, Became::Unsent, world);
            return self.failed(call, Outcome::Left(Phase::NotSent), world);
        }
        let role = flight.place.role;
        if self.lines[index(role)].takes() {
            self.goes_out(call, is_counted, world);
        } else {
            self.stands_in_line(call, is_counted, world);
        }
    }

    /// A call is sent, on a connection that it may have.
    fn goes_out(&mut self, call: u32, is_counted: bool, world: &mut World<'_>) {
        let Some(flight) = self.flights.get(&call) else {
            return;
        };
        let (operation, role) = (flight.operation, flight.place.role);
        let wants_fresh = self.rules.wants_fresh && operation == Operation::Unsafe;
        let max_idle = if wants_fresh {
            JUST_USED
        } else {
            Duration::MAX
        };
        let attempt = world.send(call, role, operation, max_idle);
        self.is_under_way(call, attempt, is_counted, false, world);
    }

    fn is_under_way(
        &mut self,
        call: u32,
        attempt: u32,
        is_counted: bool,
        is_back: bool,
        world: &mut World<'_>,
    ) {
        let now = world.now();
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        let bounds = Bounds {
            probe_after: self.given.probe_after,
            write_grace: self.rules.has_write_grace.then_some(self.given.write_grace),
        };
        let left = flight.deadline.saturating_sub(now);
        let watch = Watch::new(bounds, world.instant() + left, world.instant());
        let ends = now + self.given.attempt_timeout.min(left);
        let wait = match self.rules.watches {
            true => watch.begin(),
            false => Wait::Until(world.instant() + self.given.attempt_timeout),
        };
        flight.stage = Stage::UnderWay(UnderWay {
            attempt,
            is_counted,
            is_back,
            ends,
            watch,
            wait,
        });
        self.waits(call, attempt, wait, world);
    }

    fn under_way(&mut self, call: u32, attempt: u32) -> Option<(&mut UnderWay, Operation, Place)> {
        let flight = self.flights.get_mut(&call)?;
        let (operation, place) = (flight.operation, flight.place);
        match &mut flight.stage {
            Stage::UnderWay(now) if now.attempt == attempt => Some((now, operation, place)),
            _ => None,
        }
    }

    /// Does what the watch of an attempt asks for.
    fn waits(&mut self, call: u32, attempt: u32, wait: Wait, world: &mut World<'_>) {
        let id = self.id;
        let Some((under_way, _, place)) = self.under_way(call, attempt) else {
            return;
        };
        under_way.wait = wait;
        let end = under_way.ends;
        let timer = Timer::Attempt(call, attempt);
        match wait {
            Wait::Until(at) | Wait::Grace(at) => {
                let at = world.time_of(at).min(end);
                world.wake(id, at, timer);
            }
            Wait::Report => {
                world.wake(id, end, timer);
                self.consider(call, place, Evidence::Weak, Asker::Silence(attempt), world);
            }
            Wait::LookBack => self.looks_back(call, attempt, place.role, world),
            Wait::Leave => self.gives_up(call, Outcome::Left(world.phase(attempt)), world),
        }
    }

    /// An attempt has lasted long.
    fn lasts(&mut self, call: u32, attempt: u32, world: &mut World<'_>) {
        let (now, instant) = (world.now(), world.instant());
        let phase = world.phase(attempt);
        let moved = world.moved_at(attempt);
        let watches = self.rules.watches;
        let mut patience = std::mem::take(&mut self.patience);
        let under_way = self.under_way(call, attempt);
        let wait = under_way.and_then(|(under_way, ..)| match under_way.wait {
            _ if now >= under_way.ends => Some(Wait::Leave),
            Wait::Grace(until) if instant >= until => Some(Wait::Leave),
            Wait::Until(at) if watches && instant >= at => {
                Some(under_way.watch.woken(Some(moved), &mut patience, instant))
            }
            // A timer of earlier on.
            _ => None,
        });
        self.patience = patience;
        let ends = self
            .under_way(call, attempt)
            .map(|(under_way, ..)| under_way.ends);
        match wait {
            Some(_) if ends.is_some_and(|ends| now >= ends) => {
                self.gives_up(call, Outcome::TimedOut(phase), world);
            }
            Some(wait) => self.waits(call, attempt, wait, world),
            None => {}
        }
    }

    /// What was found out for an attempt that is silent.
    fn hears_of_silence(
        &mut self,
        call: u32,
        attempt: u32,
        world: &mut World<'_>,
        hear: impl FnOnce(&mut Watch, bool, bool, Instant) -> Wait,
    ) {
        let (phase, rules) = (world.phase(attempt), self.rules);
        let most = self.given.max_attempts;
        let goes_again = self
            .flights
            .get(&call)
            .is_some_and(|flight| flight.attempts < most);
        let found_dead = self
            .flights
            .get(&call)
            .is_some_and(|flight| self.switch.was_found_dead(flight.place));
        let Some((under_way, operation, _)) = self.under_way(call, attempt) else {
            return;
        };
        let has_grace = !under_way.is_back && rules.has_grace(operation, false, phase, goes_again);
        let wait = hear(&mut under_way.watch, found_dead, has_grace, world.instant());
        self.waits(call, attempt, wait, world);
    }

    fn gives_up(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        if let Some(Flight {
            stage: Stage::UnderWay(under_way),
            ..
        }) = self.flights.get(&call)
        {
            world.abandon(under_way.attempt);
            self.attempt_ended(call, outcome, world);
        }
    }

    /// A leave is given back.
    fn passes(&mut self, is_counted: bool, became: Became, world: &mut World<'_>) {
        if !is_counted {
            return;
        }
        self.gate.leave(became);
        self.lets_go(world);
        if became == Became::Answered {
            self.gate.opens(world.instant());
        }
    }

    fn lets_go(&mut self, world: &mut World<'_>) {
        for call in self.gate.let_go(world.instant()) {
            self.leaves(call, true, world);
        }
        self.waits_for_gate(world);
    }

    fn attempt_ended(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        let stage = std::mem::replace(&mut flight.stage, Stage::Waits);
        let Stage::UnderWay(under_way) = stage else {
            flight.stage = stage;
            return;
        };
        let role = flight.place.role;
        self.lines[index(role)].gives_back();
        self.line_moves(role, world);
        let cause = cause(outcome);
        let became = Became::of(Some(cause), self.rules.evidence(cause));
        self.passes(under_way.is_counted, became, world);
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        if under_way.is_back {
            let told = match outcome {
                Outcome::Answered => Told::Answered,
                _ => Told::InDoubt,
            };
            return self.ends(call, told, world);
        }
        match outcome {
            Outcome::Answered => self.ends(call, Told::Answered, world),
            Outcome::AlreadyThere if flight.attempts > 1 && self.rules.reads_back => {
                // On the connection that it had.
                self.lines[index(role)].keeps();
                let attempt = world.send(call, role, Operation::Read, Duration::MAX);
                self.is_under_way(call, attempt, false, true, world);
            }
            _ => {
                let is_write = flight.operation != Operation::Read;
                flight.is_in_doubt |= is_write && outcome.is_doubtful();
                self.failed(call, outcome, world);
            }
        }
    }

    /// What comes after an attempt that has failed.
    fn failed(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        let next = self.decide(call, outcome, world, |resending, failure, moment| {
            resending.after(failure, moment)
        });
        match (next, self.flights.get(&call)) {
            (Next::Report(evidence), Some(flight)) => {
                let place = flight.place;
                self.consider(call, place, evidence, Asker::Fault(outcome), world);
            }
            (next, _) => self.does(call, next, world),
        }
    }

    fn decide(
        &mut self,
        call: u32,
        outcome: Outcome,
        world: &mut World<'_>,
        decision: impl FnOnce(&mut Resending, &Failure<'_>, Moment<'_>) -> Next,
    ) -> Next {
        let Some(flight) = self.flights.get_mut(&call) else {
            return Next::End(None);
        };
        let mut fault = Fault::new(cause(outcome), "");
        if let Outcome::Throttled(time) = outcome {
            fault.retry_after = Some(time);
        }
        let failed = Failed {
            operation: flight.operation,
            is_compound: false,
            phase: outcome.phase(),
            http_status: status(outcome),
            is_acknowledged: false,
            cause: fault.cause,
            parts_effect: None,
        };
        let failure = Failure {
            failed,
            fault: &fault,
            is_at_sibling: false,
            was_in_a_hurry: false,
            is_foreign: false,
            attempts: flight.attempts,
        };
        let moment = Moment {
            now: world.instant(),
            left: flight.deadline.saturating_sub(world.now()),
            chance: world.chance(),
            budget: &mut self.budget,
        };
        decision(&mut flight.resending, &failure, moment)
    }

    fn does(&mut self, call: u32, next: Next, world: &mut World<'_>) {
        match next {
            Next::Again => self.goes(call, world),
            Next::Wait { pause, .. } => {
                let place = self.switch.place();
                let Some(flight) = self.flights.get_mut(&call) else {
                    return;
                };
                if place != flight.place {
                    return self.goes(call, world);
                }
                flight.stage = Stage::Pauses;
                let timer = Timer::Pause(call, flight.attempts as u32);
                world.wake(self.id, world.now() + pause, timer);
            }
            Next::WaitOut => self.outlasts(call, world),
            Next::End(_) | Next::Report(_) => self.fails(call, world),
        }
    }

    fn fails(&mut self, call: u32, world: &mut World<'_>) {
        let is_in_doubt = |flight: &Flight| flight.is_in_doubt;
        let told = match self.flights.get(&call).is_some_and(is_in_doubt) {
            true => Told::InDoubt,
            false => Told::Failed,
        };
        self.ends(call, told, world);
    }

    fn ends(&mut self, call: u32, told: Told, world: &mut World<'_>) {
        let Some(flight) = self.flights.remove(&call) else {
            return;
        };
        let role = flight.place.role;
        world.end(call, told, role);
        // Acknowledged by a side that was left meanwhile.
        if flight.place.epoch < self.switch.place().epoch {
            world.truth.suspect(call, role);
        }
    }

    /// What was found out for a call.
    fn course(&mut self, call: u32, asker: Asker, course: Course, world: &mut World<'_>) {
        match asker {
            Asker::Fault(outcome) => {
                let next = self.decide(call, outcome, world, |resending, failure, moment| {
                    resending.hear(course, failure, moment)
                });
                self.does(call, next, world);
            }
            Asker::Silence(attempt) => {
                let goes_elsewhere = course == Course::Elsewhere;
                self.hears_of_silence(call, attempt, world, |watch, found_dead, executed, now| {
                    watch.heard(goes_elsewhere, found_dead, executed, now)
                });
            }
        }
    }

    /// Wakes who pauses at a place that was left, or waits there.
    fn wakes_from(&mut self, from: Place, world: &mut World<'_>) {
        let is_there = |(call, flight): (&u32, &Flight)| (flight.place == from).then_some(*call);
        let mut calls: Vec<u32> = self.flights.iter().filter_map(is_there).collect();
        calls.sort_unstable();
        for call in calls {
            let Some(flight) = self.flights.get(&call) else {
                continue;
            };
            match &flight.stage {
                Stage::Pauses => self.goes(call, world),
                Stage::StandsInLine(_) if self.rules.watches => {
                    let is_counted = self.lines[index(from.role)].gives_up(call);
                    self.passes(is_counted, Became::Unsent, world);
                    self.failed(call, Outcome::Left(Phase::NotSent), world);
                }
                Stage::Waits if self.rules.watches && self.gate.gives_up(call) => {
                    if let Some(flight) = self.flights.get_mut(&call) {
                        flight.attempts += 1;
                    }
                    self.failed(call, Outcome::Left(Phase::NotSent), world);
                }
                Stage::UnderWay(under_way) if self.rules.watches => {
                    if let Wait::Until(at) = under_way.wait
                        && under_way.watch.left(at) == Wait::Report
                    {
                        let attempt = under_way.attempt;
                        self.waits(call, attempt, Wait::Report, world);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Client for Ours {
    fn begins(&mut self, call: u32, world: &mut World<'_>) {
        if self.rules.spends_budget {
            self.budget.deposit();
        }
        let flight = Flight {
            operation: world.call(call).operation,
            begun: Some(world.instant()),
            deadline: world.now() + self.given.deadline,
            resending: Resending::new(self.rules, self.given.max_attempts),
            place: self.switch.place(),
            attempts: 0,
            is_in_doubt: false,
            stage: Stage::Waits,
        };
        self.flights.insert(call, flight);
        self.goes(call, world);
    }

    fn ended(&mut self, call: u32, _: u32, outcome: Outcome, world: &mut World<'_>) {
        self.attempt_ended(call, outcome, world);
    }

    fn probed(&mut self, probe: u32, outcome: Outcome, world: &mut World<'_>) {
        self.probe_ended(probe, outcome, world);
    }

    fn woken(&mut self, timer: Timer, world: &mut World<'_>) {
        match timer {
            Timer::Attempt(call, attempt) => self.lasts(call, attempt, world),
            Timer::Gate => {
                self.gate_timed = None;
                self.lets_go(world);
            }
            Timer::Look(number) => self.look_woken(number, world),
            Timer::Line(call, timer) => self.has_stood_long(call, timer, world),
            Timer::Outage(call, timer) => {
                let flight = self.flights.get(&call);
                let is_it =
                    |flight: &Flight| matches!(flight.stage, Stage::Outlasts(now) if now == timer);
                if flight.is_some_and(is_it) {
                    self.outlasts_no_more(call);
                    self.fails(call, world);
                }
            }
            Timer::Pause(call, attempts) => {
                let is_it = self.flights.get(&call).is_some_and(|flight| {
                    matches!(flight.stage, Stage::Pauses) && flight.attempts as u32 == attempts
                });
                if is_it {
                    self.goes(call, world);
                }
            }
        }
    }
}
