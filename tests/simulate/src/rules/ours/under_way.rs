//! An attempt under way: how long it is waited for, and what its silence means.

use std::time::Instant;

use d365_failover_core::Operation;
use d365_failover_core::machines::{Bounds, Evidence, Place, Wait, Watch};

use super::{Asker, Flight, Ours, Stage};
use crate::Time;
use crate::outcome::Outcome;
use crate::rules::Timer;
use crate::world::World;

pub(super) struct UnderWay {
    pub(super) attempt: u32,
    /// The leave to go is counted.
    pub(super) is_counted: bool,
    /// It reads the row back.
    pub(super) is_back: bool,
    pub(super) ends: Time,
    pub(super) watch: Watch,
    /// What the watch has asked for.
    pub(super) wait: Wait,
}

impl Ours {
    pub(super) fn is_under_way(
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
    pub(super) fn waits(&mut self, call: u32, attempt: u32, wait: Wait, world: &mut World<'_>) {
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
                self.consider(
                    call,
                    place,
                    Evidence::Silence,
                    Asker::Silence(attempt),
                    world,
                );
            }
            Wait::LookBack => self.looks_back(call, attempt, place.role, world),
            Wait::Leave => self.gives_up(call, Outcome::Left(world.phase(attempt)), world),
        }
    }

    /// An attempt has lasted long.
    pub(super) fn lasts(&mut self, call: u32, attempt: u32, world: &mut World<'_>) {
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
    pub(super) fn hears_of_silence(
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
        let has_grace = !under_way.is_back && rules.has_grace(operation, phase, goes_again);
        let wait = hear(&mut under_way.watch, found_dead, has_grace, world.instant());
        self.waits(call, attempt, wait, world);
    }

    pub(super) fn gives_up(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        if let Some(Flight {
            stage: Stage::UnderWay(under_way),
            ..
        }) = self.flights.get(&call)
        {
            world.abandon(under_way.attempt);
            self.attempt_ended(call, outcome, world);
        }
    }
}
