//! The connections of a client to one side: who has one, and who waits for one, as `max_connections` says.

use std::collections::VecDeque;

use d365_failover_core::Role;
use d365_failover_core::machines::Became;

use super::super::Timer;
use super::{Ours, Stage};
use crate::outcome::Outcome;
use crate::truth::index;
use crate::world::World;

pub(super) struct Line {
    most: usize,
    taken: usize,
    /// In the order of their coming, and whether each one's leave to go is counted.
    waiting: VecDeque<(u32, bool)>,
}

impl Line {
    pub(super) fn new(most: usize) -> Line {
        Line {
            most,
            taken: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Whether one is free; then it is taken.
    pub(super) fn takes(&mut self) -> bool {
        let is_free = self.taken < self.most;
        self.taken += usize::from(is_free);
        is_free
    }

    /// One that was given back is used on.
    pub(super) fn keeps(&mut self) {
        self.taken += 1;
    }

    pub(super) fn gives_back(&mut self) {
        self.taken -= 1;
    }

    /// A call waits no more. Whether its leave to go is counted.
    pub(super) fn gives_up(&mut self, call: u32) -> bool {
        let place = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == call);
        let waited = place.and_then(|place| self.waiting.remove(place));
        waited.is_some_and(|(_, is_counted)| is_counted)
    }
}

impl Ours {
    pub(super) fn stands_in_line(&mut self, call: u32, is_counted: bool, world: &mut World<'_>) {
        let timer = self.timer();
        let longest = self.given.attempt_timeout;
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        flight.stage = Stage::StandsInLine(timer);
        let until = (world.now() + longest).min(flight.deadline);
        self.lines[index(flight.place.role)]
            .waiting
            .push_back((call, is_counted));
        world.wake(self.id, until, Timer::Line(call, timer));
    }

    /// A connection is free again.
    pub(super) fn line_moves(&mut self, role: Role, world: &mut World<'_>) {
        let line = &mut self.lines[index(role)];
        if line.waiting.is_empty() || !line.takes() {
            return;
        }
        if let Some((call, is_counted)) = line.waiting.pop_front() {
            self.goes_out(call, is_counted, world);
        }
    }

    pub(super) fn has_stood_long(&mut self, call: u32, timer: u32, world: &mut World<'_>) {
        let Some(flight) = self.flights.get(&call) else {
            return;
        };
        if !matches!(flight.stage, Stage::StandsInLine(now) if now == timer) {
            return;
        }
        let is_counted = self.lines[index(flight.place.role)].gives_up(call);
        self.passes(is_counted, Became::Unsent, world);
        self.failed(call, Outcome::NoConnection, world);
    }
}
