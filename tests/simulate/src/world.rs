//! The world that clients live in: its time, its two sides, and what becomes of their requests.

use std::time::{Duration, Instant};

use d365_failover_core::{Operation, Phase, Role};
use fastrand::Rng;

use crate::Time;
use crate::agenda::Agenda;
use crate::arrivals::{Call, SERVICE, rate};
use crate::disaster::{Change, Disaster, is_cut_off};
use crate::figures::Records;
use crate::outcome::Outcome;
use crate::rules::Timer;
use crate::side::{Path, Side, Taken};
use crate::truth::{Told, Truth, index};

/// The way there and back, to the primary and to the alternate.
const ROUND_TRIP: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(40)];
/// How many of those a connection takes, with its TLS.
const HANDSHAKES: u32 = 2;
/// How long a connection is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(20);
/// How long a WhoAmI is worked at.
const PROBE_SERVICE: Duration = Duration::from_millis(5);
/// What a side is capable of, over the rate of the calls.
const CAPACITY: f64 = 1.5;
/// How long requests wait at most for their turn.
const LONGEST_QUEUE: f64 = 0.7;
/// When those may come again that are too many.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What a client hears.
#[derive(Clone, Copy, Debug)]
pub enum Notice {
    /// Its application begins a call.
    Begins(u32),
    /// The attempt of a call has ended.
    Ended {
        /// Whose.
        client: u32,
        /// Of which call.
        call: u32,
        /// Which attempt.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// A probe has ended.
    Probed(u32, u32, Outcome),
    /// It is the time that was asked for.
    Woken(u32, Timer),
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Connected(u32),
    Arrives(u32),
    Served(u32, u32),
    Ends(u32, Outcome),
    Wakes(u32, Timer),
    Changes(usize),
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    client: u32,
    /// `None`: a probe.
    call: Option<u32>,
    operation: Operation,
    role: Role,
    is_connected: bool,
    is_sent: bool,
    is_over: bool,
    moved: Time,
}

/// The world.
#[derive(Debug)]
pub struct World<'a> {
    now: Time,
    base: Instant,
    calls: &'a [Call],
    next_call: usize,
    agenda: Agenda<Event>,
    changes: Vec<(Time, Change)>,
    sides: [Side; 2],
    is_some_cut_off: bool,
    attempts: Vec<Attempt>,
    /// When each client's connection to each side was used last.
    idle: Vec<[Option<Time>; 2]>,
    has_connected: Vec<[bool; 2]>,
    /// The writes that were acknowledged to each client.
    acknowledged: Vec<Vec<u32>>,
    chance: Rng,
    /// What was executed.
    pub truth: Truth,
    /// What is counted.
    pub records: Records,
}

impl<'a> World<'a> {
    /// With so many clients, whose calls these are.
    #[must_use]
    pub fn new(disaster: &Disaster, calls: &'a [Call], clients: u32, seed: u64) -> World<'a> {
        let capacity = rate(clients) * CAPACITY;
        let side = || {
            let workers = (capacity * SERVICE.as_secs_f64()).max(2.0);
            Side::new(workers, (capacity * LONGEST_QUEUE) as usize)
        };
        let mut world = World {
            now: Time::ZERO,
            base: Instant::now(),
            calls,
            next_call: 0,
            agenda: Agenda::new(),
            changes: disaster.changes.clone(),
            sides: [side(), side()],
            is_some_cut_off: false,
            attempts: Vec::new(),
            idle: vec![[None; 2]; clients as usize],
            has_connected: vec![[false; 2]; clients as usize],
            acknowledged: vec![Vec::new(); clients as usize],
            chance: Rng::with_seed(seed),
            truth: Truth::new(calls.len()),
            records: Records::new(calls.len()),
        };
        for (index, (at, _)) in disaster.changes.iter().enumerate() {
            world.agenda.put(*at, Event::Changes(index));
        }
        world
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The same for the machines.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.base + self.now
    }

    /// What the machines call a time.
    #[must_use]
    pub fn time_of(&self, instant: Instant) -> Time {
        instant.saturating_duration_since(self.base)
    }

    /// A number from 0 to 1.
    pub fn chance(&mut self) -> f64 {
        self.chance.f64()
    }

    /// What a call is.
    #[must_use]
    pub fn call(&self, call: u32) -> &Call {
        &self.calls[call as usize]
    }

    fn put_in(&mut self, time: Duration, event: Event) {
        self.agenda.put(self.now + time, event);
    }

    /// How a client meets a side.
    fn path(&self, client: u32, role: Role) -> Path {
        let is_hidden = self.is_some_cut_off && role == Role::Primary && is_cut_off(client);
        match is_hidden {
            true => Path::Hole,
            false => self.sides[index(role)].path,
        }
    }

    // ---- what clients do --------------------------------------------------------------------------

    /// Sends a call's request, on a connection that was used within `max_idle`, or on a new one.
    pub fn send(&mut self, call: u32, role: Role, operation: Operation, max_idle: Duration) -> u32 {
        let client = self.call(call).client;
        let idle = self.idle[client as usize][index(role)];
        let is_kept = idle.is_some_and(|since| self.now - since < max_idle.min(IDLE));
        self.records.sends(self.now);
        self.begin(client, Some(call), role, operation, is_kept)
    }

    /// Probes a side, on a connection of its own, for so long.
    pub fn probe(&mut self, client: u32, role: Role, timeout: Duration) -> u32 {
        self.records.probes(self.now);
        let attempt = self.begin(client, None, role, Operation::Read, false);
        let end = Outcome::TimedOut(Phase::Sent);
        self.put_in(timeout, Event::Ends(attempt, end));
        attempt
    }

    fn begin(
        &mut self,
        client: u32,
        call: Option<u32>,
        role: Role,
        operation: Operation,
        is_kept: bool,
    ) -> u32 {
        let attempt = u32::try_from(self.attempts.len()).expect("fewer than four thousand million");
        self.attempts.push(Attempt {
            client,
            call,
            operation,
            role,
            is_connected: is_kept,
            is_sent: is_kept,
            is_over: false,
            moved: self.now,
        });
        let way = ROUND_TRIP[index(role)];
        if is_kept {
            self.put_in(way / 2, Event::Arrives(attempt));
            return attempt;
        }
        match self.path(client, role) {
            Path::Open => self.put_in(way * HANDSHAKES, Event::Connected(attempt)),
            Path::Refuses => self.put_in(way, Event::Ends(attempt, Outcome::Refused)),
            Path::Hole => {
                self.put_in(
                    CONNECT_TIMEOUT,
                    Event::Ends(attempt, Outcome::ConnectTimeout),
                );
            }
        }
        attempt
    }

    /// A client listens no more.
    pub fn abandon(&mut self, attempt: u32) {
        let attempt = &mut self.attempts[attempt as usize];
        attempt.is_over = true;
        if attempt.call.is_some() {
            self.idle[attempt.client as usize][index(attempt.role)] = None;
        }
    }

    /// How far an attempt has come that has no answer.
    #[must_use]
    pub fn phase(&self, attempt: u32) -> Phase {
        match self.attempts[attempt as usize].is_sent {
            true => Phase::Sent,
            false => Phase::NotSent,
        }
    }

    /// Whether an attempt's connection has come about.
    #[must_use]
    pub fn is_connected(&self, attempt: u32) -> bool {
        self.attempts[attempt as usize].is_connected
    }

    /// When something of an attempt was sent, or came, last.
    #[must_use]
    pub fn moved_at(&self, attempt: u32) -> Instant {
        self.base + self.attempts[attempt as usize].moved
    }

    /// The shortest time in which a client was connected to a side.
    #[must_use]
    pub fn best_connect(&self, client: u32, role: Role) -> Option<Duration> {
        let has = self.has_connected[client as usize][index(role)];
        has.then_some(ROUND_TRIP[index(role)] * HANDSHAKES)
    }

    /// Wakes a client.
    pub fn wake(&mut self, client: u32, at: Time, timer: Timer) {
        self.agenda
            .put(at.max(self.now), Event::Wakes(client, timer));
    }

    /// A call has ended. `at`: who has answered, or was asked last.
    pub fn end(&mut self, call: u32, told: Told, at: Role) {
        let Call {
            client, operation, ..
        } = *self.call(call);
        self.records.ends(call, self.now, told);
        if operation != Operation::Read {
            self.truth.tell(call, told, at);
            if told == Told::Answered {
                self.acknowledged[client as usize].push(call);
            }
        }
    }

    /// A client leaves a side.
    pub fn leaves(&mut self, client: u32, from: Role) {
        let side = &self.sides[index(from)];
        let serves = side.serves && !side.is_unavailable;
        let is_false = self.path(client, from) == Path::Open && serves;
        self.records.leaves(self.now, is_false);
    }

    /// A client puts on record what a side has acknowledged to it and may not have handed on.
    pub fn suspects(&mut self, client: u32, of: Role) {
        for call in &self.acknowledged[client as usize] {
            self.truth.suspect(*call, of);
        }
    }

    // ---- what becomes of it -----------------------------------------------------------------------

    /// What comes next, and to whom. `None`: nothing any more.
    pub fn what_comes(&mut self) -> Option<Notice> {
        loop {
            let call = self.calls.get(self.next_call);
            let next = self.agenda.next_at();
            if let Some(call) = call
                && next.is_none_or(|next| call.at < next)
            {
                self.now = call.at;
                self.next_call += 1;
                return u32::try_from(self.next_call - 1).ok().map(Notice::Begins);
            }
            let (at, event) = self.agenda.take()?;
            self.now = at;
            if let Some(notice) = self.happens(event) {
                return Some(notice);
            }
        }
    }

    fn happens(&mut self, event: Event) -> Option<Notice> {
        match event {
            Event::Connected(attempt) => self.connected(attempt),
            Event::Arrives(attempt) => self.arrives(attempt),
            Event::Served(attempt, process) => self.served(attempt, process),
            Event::Ends(attempt, outcome) => return self.ends(attempt, outcome),
            Event::Wakes(client, timer) => return Some(Notice::Woken(client, timer)),
            Event::Changes(index) => self.change(self.changes[index].1),
        }
        None
    }

    fn connected(&mut self, number: u32) {
        let attempt = &mut self.attempts[number as usize];
        if attempt.is_over {
            return;
        }
        let Attempt { client, role, .. } = *attempt;
        attempt.is_connected = true;
        attempt.is_sent = true;
        attempt.moved = self.now;
        self.has_connected[client as usize][index(role)] = true;
        self.put_in(ROUND_TRIP[index(role)] / 2, Event::Arrives(number));
    }

    fn arrives(&mut self, number: u32) {
        let Attempt {
            client,
            call,
            operation,
            role,
            ..
        } = self.attempts[number as usize];
        match self.path(client, role) {
            Path::Open => {}
            Path::Refuses => return self.answer(number, Outcome::Lost),
            Path::Hole => return,
        }
        self.records.arrives(self.now, role, call.is_some());
        let side = &mut self.sides[index(role)];
        let falters = call.is_some() && side.falters > 0.0 && self.chance.f64() < side.falters;
        if side.is_unavailable || falters {
            return self.answer(number, Outcome::Unavailable);
        }
        if !side.serves {
            return self.answer(number, Outcome::NotHere);
        }
        if side.loses_writes && operation != Operation::Read {
            if self.chance.bool() {
                self.execute(number);
            }
            return self.answer(number, Outcome::Lost);
        }
        match side.take(number) {
            Taken::AtOnce => self.work(number),
            Taken::Queued => {}
            Taken::Rejected => self.answer(number, Outcome::Throttled(RETRY_AFTER)),
        }
    }

    fn work(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        let time = attempt
            .call
            .map_or(PROBE_SERVICE, |call| self.call(call).service);
        let process = self.sides[index(attempt.role)].process;
        self.put_in(time, Event::Served(number, process));
    }

    fn served(&mut self, number: u32, process: u32) {
        let attempt = self.attempts[number as usize];
        let side = &mut self.sides[index(attempt.role)];
        if side.process != process {
            return;
        }
        let next = side.done();
        let delay = match attempt.call {
            Some(_) => side.delay,
            None => side.probe_delay,
        };
        if let Some(next) = next {
            self.work(next);
        }
        let outcome = self.execute(number);
        if self.path(attempt.client, attempt.role) == Path::Open {
            let way = ROUND_TRIP[index(attempt.role)] / 2;
            self.put_in(delay + way, Event::Ends(number, outcome));
        }
    }

    fn execute(&mut self, number: u32) -> Outcome {
        let Attempt {
            call,
            operation,
            role,
            ..
        } = self.attempts[number as usize];
        let Some(call) = call else {
            return Outcome::Answered;
        };
        let other_died = self.sides[index(role.other())].died;
        if operation == Operation::Read {
            let reads_row = self.call(call).operation != Operation::Read;
            return match reads_row && !self.truth.has(call, role, self.now, other_died) {
                true => Outcome::NoRow,
                false => Outcome::Answered,
            };
        }
        let is_new = self
            .truth
            .execute(call, operation, role, self.now, other_died);
        match is_new {
            true => Outcome::Answered,
            false => Outcome::AlreadyThere,
        }
    }

    fn answer(&mut self, number: u32, outcome: Outcome) {
        let way = ROUND_TRIP[index(self.attempts[number as usize].role)] / 2;
        self.put_in(way, Event::Ends(number, outcome));
    }

    fn ends(&mut self, number: u32, outcome: Outcome) -> Option<Notice> {
        let attempt = &mut self.attempts[number as usize];
        if std::mem::replace(&mut attempt.is_over, true) {
            return None;
        }
        let Attempt {
            client, call, role, ..
        } = *attempt;
        let is_answer = outcome.phase() == Phase::Responded;
        let idle = &mut self.idle[client as usize][index(role)];
        let Some(call) = call else {
            // A probe's connection is kept for calls.
            if is_answer {
                *idle = Some(self.now);
            }
            return Some(Notice::Probed(client, number, outcome));
        };
        *idle = is_answer.then_some(self.now);
        Some(Notice::Ended {
            client,
            call,
            attempt: number,
            outcome,
        })
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Path(role, path) => {
                let now = self.now;
                let side = &mut self.sides[index(role)];
                side.path = path;
                side.died = (path != Path::Open).then(|| side.died.unwrap_or(now));
                if path == Path::Refuses {
                    self.dies(role);
                }
            }
            Change::Serves(role, serves) => self.sides[index(role)].serves = serves,
            Change::Unavailable(role, is_unavailable) => {
                self.sides[index(role)].is_unavailable = is_unavailable;
            }
            Change::Falters(role, share) => self.sides[index(role)].falters = share,
            Change::Delay(role, delay, probe_delay) => {
                let side = &mut self.sides[index(role)];
                (side.delay, side.probe_delay) = (delay, probe_delay);
            }
            Change::LosesWrites(role, loses) => self.sides[index(role)].loses_writes = loses,
            Change::Share(role, share) => {
                self.sides[index(role)].share = share;
                while let Some(next) = self.sides[index(role)].work_on() {
                    self.work(next);
                }
            }
            Change::CutsOff(are_some) => self.is_some_cut_off = are_some,
        }
    }

    /// A side's machines end. One half of the writes that they were working at had been executed.
    fn dies(&mut self, role: Role) {
        let process = self.sides[index(role)].process;
        let is_of_it = |event: &Event| match *event {
            Event::Served(number, of) if of == process => {
                (self.attempts[number as usize].role == role).then_some(number)
            }
            _ => None,
        };
        let mut worked_at: Vec<u32> = self.agenda.events().filter_map(is_of_it).collect();
        worked_at.sort_unstable();
        for number in worked_at {
            if self.chance.bool() {
                self.execute(number);
            }
        }
        self.sides[index(role)].dies();
        for idle in &mut self.idle {
            idle[index(role)] = None;
        }
        for number in 0..self.attempts.len() {
            let attempt = self.attempts[number];
            if attempt.role == role && !attempt.is_over {
                let outcome = match attempt.is_sent {
                    true => Outcome::Lost,
                    false => Outcome::Refused,
                };
                self.answer(number as u32, outcome);
            }
        }
    }

    /// When each side ended for good.
    #[must_use]
    pub fn died(&self) -> [Option<Time>; 2] {
        [self.sides[0].died, self.sides[1].died]
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
