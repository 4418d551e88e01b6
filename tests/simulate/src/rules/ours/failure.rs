//! An attempt that has failed: what it is called, and what comes next.

use d365_failover_core::machines::{Failed, Failure, Moment, Next, Resending, RowTold};
use d365_failover_core::{Cause, Fault, Operation};

use super::{Asker, Ours, Stage};
use crate::outcome::Outcome;
use crate::rules::Timer;
use crate::world::World;

pub(super) fn cause(outcome: Outcome) -> Cause {
    match outcome {
        Outcome::Answered | Outcome::AlreadyThere | Outcome::NoRow => Cause::ServiceFault,
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
        Outcome::NoRow => Some(404),
        Outcome::NotHere => Some(500),
        Outcome::Throttled(_) => Some(429),
        Outcome::Unavailable => Some(503),
        _ => None,
    }
}

impl Ours {
    /// What comes after an attempt that has failed.
    pub(super) fn failed(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        let reads_row = self
            .flights
            .get(&call)
            .is_some_and(|flight| flight.reads_row);
        let next = self.decide(
            call,
            outcome,
            world,
            |resending, failure, moment| match reads_row {
                true => resending.looked_in_vain(failure, moment),
                false => resending.after(failure, moment),
            },
        );
        if let Some(flight) = self.flights.get_mut(&call) {
            flight.reads_row = false;
        }
        match (next, self.flights.get(&call)) {
            (Next::Report(evidence), Some(flight)) => {
                let place = flight.place;
                self.consider(call, place, evidence, Asker::Fault(outcome), world);
            }
            (next, _) => self.does(call, next, world),
        }
    }

    /// What comes after a look at its row, which was not found.
    pub(super) fn looked(&mut self, call: u32, told: RowTold, world: &mut World<'_>) {
        let Some(flight) = self.flights.get_mut(&call) else {
            return;
        };
        flight.reads_row = false;
        let next = self.decide(call, Outcome::NoRow, world, |resending, failure, moment| {
            resending.looked(told, failure.attempts, moment)
        });
        self.does(call, next, world);
    }

    pub(super) fn decide(
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
            operation: match flight.reads_row {
                true => Operation::Read,
                false => flight.operation,
            },
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
            makes_row: !flight.reads_row && flight.operation == Operation::Guarded,
            attempts: flight.writes,
        };
        let moment = Moment {
            now: world.instant(),
            left: flight.deadline.saturating_sub(world.now()),
            chance: world.chance(),
            budget: &mut self.budget,
        };
        decision(&mut flight.resending, &failure, moment)
    }

    pub(super) fn does(&mut self, call: u32, next: Next, world: &mut World<'_>) {
        match next {
            Next::Again => self.goes(call, world),
            Next::Wait {
                pause, reads_row, ..
            } => {
                let place = self.switch.place();
                let Some(flight) = self.flights.get_mut(&call) else {
                    return;
                };
                if place != flight.place {
                    return self.goes(call, world);
                }
                flight.stage = Stage::Pauses;
                flight.reads_row = reads_row;
                let timer = Timer::Pause(call, flight.attempts as u32);
                world.wake(self.id, world.now() + pause, timer);
            }
            Next::WaitOut => self.outlasts(call, world),
            Next::End(_) | Next::Report(_) => self.fails(call, world),
        }
    }
}
