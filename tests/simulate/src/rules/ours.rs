//! This library: its machines, driven as its client drives them. Where calls go, and whether they are
//! sent again, is not decided here.
//!
//! What is decided here, after the client's own code: what a failure's cause is called; that a row is
//! read back; and, in the place of the ledger, which writes are to be verified: all that were acknowledged
//! by a side that is left. That is what the ledger has while a disaster is shorter than
//! `replication_window` and a client's writes are fewer than `ledger_entries`.

mod failure;
mod inquiry;
mod line;
mod under_way;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use d365_failover_core::machines::{
    Alternate, Became, Budget, Course, Given, JUST_USED, Limits, Patience, Place, Resending,
    RowTold, Rules, RulesOff, Switch, Wait, WaitOut,
};
use d365_failover_core::{Operation, Phase, Preset, Role, Settings};

use self::failure::cause;
use self::inquiry::{Asking, Inquiry, LookBack, LookHome};
use self::line::Line;
use self::under_way::UnderWay;
use super::gate::Gate;
use super::{Client, Timer};
use crate::Time;
use crate::disaster::Disaster;
use crate::outcome::Outcome;
use crate::truth::{Told, index};
use crate::world::World;

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
    /// All, and those of them that do not read its row.
    attempts: usize,
    writes: usize,
    /// Its row is read before it is sent again, if it stays where it is.
    reads_row: bool,
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

/// Who asks where a call goes.
#[derive(Clone, Copy, Debug)]
enum Asker {
    /// An attempt that ended so.
    Fault(Outcome),
    /// This attempt, which is silent.
    Silence(u32),
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
        let looks_in_vain = flight.reads_row && begin.place != flight.place;
        flight.place = begin.place;
        if looks_in_vain {
            return self.looked(call, RowTold::NotAsked, world);
        }
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
        flight.writes += usize::from(!flight.reads_row);
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
        let (reads_row, role) = (flight.reads_row, flight.place.role);
        let operation = match reads_row {
            true => Operation::Read,
            false => flight.operation,
        };
        let wants_fresh = self.rules.wants_fresh && operation == Operation::Unsafe;
        let max_idle = if wants_fresh {
            JUST_USED
        } else {
            Duration::MAX
        };
        let attempt = world.send(call, role, operation, max_idle);
        self.is_under_way(call, attempt, is_counted, reads_row, world);
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
        if flight.reads_row {
            return match outcome {
                Outcome::Answered => self.ends(call, Told::Answered, world),
                Outcome::NoRow => self.looked(call, RowTold::Missing, world),
                _ => self.failed(call, outcome, world),
            };
        }
        if under_way.is_back {
            let told = match outcome {
                Outcome::Answered => Told::Answered,
                _ => Told::InDoubt,
            };
            return self.ends(call, told, world);
        }
        match outcome {
            Outcome::Answered => self.ends(call, Told::Answered, world),
            Outcome::AlreadyThere if flight.writes > 1 && self.rules.reads_back => {
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
                        flight.writes += usize::from(!flight.reads_row);
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
            writes: 0,
            reads_row: false,
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
