//! What MongoDB's driver specifications say, with the two sides as its servers.
//!
//! - A monitor of each server on a connection of its own: a heartbeat every 10 s, at most 10 s long.
//!   One that fails makes the server unknown, and breaks off what is under way there.
//! - A network error that is no timeout, and "not here", make the server unknown and have it checked at
//!   once; while a call waits for a server, all are checked every 0.5 s. A timeout after sending says *slow*, not *down*, and marks nothing.
//! - A call goes to a server that serves, the primary by preference, and waits for one at most 30 s.
//! - Reads are retried once. Writes are retried once only where the server would notice a repeat, which
//!   here are the guarded ones.

use std::time::Duration;

use d365_failover_core::{Operation, Phase, Role};

use super::Timer;
use super::rival::{News, Policy, Then, Tried, Where};
use crate::Time;
use crate::outcome::Outcome;
use crate::truth::index;
use crate::world::World;

const HEARTBEAT: Duration = Duration::from_secs(10);
const MIN_HEARTBEAT: Duration = Duration::from_millis(500);
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
const SELECTION: Duration = Duration::from_secs(30);
const ROLES: [Role; 2] = [Role::Primary, Role::Alternate];

pub(super) struct MongoDb {
    id: u32,
    end: Time,
    servers: [Server; 2],
    /// Where calls went last.
    at: Role,
    /// Calls wait for a server.
    is_waited_for: bool,
    timers: u32,
}

#[derive(Clone, Copy)]
struct Server {
    serves: bool,
    check: Option<u32>,
    began: Time,
    /// The timer of its next check.
    next: u32,
}

impl MongoDb {
    pub(super) fn new(id: u32, end: Time) -> MongoDb {
        let server = Server {
            serves: true,
            check: None,
            began: Time::ZERO,
            next: 0,
        };
        MongoDb {
            id,
            end,
            servers: [server; 2],
            at: Role::Primary,
            is_waited_for: false,
            timers: 0,
        }
    }

    fn check_in(&mut self, role: Role, time: Duration, world: &mut World<'_>) {
        // Two numbers a timer, one for each server.
        self.timers += 1;
        let number = self.timers * 2 + index(role) as u32;
        self.servers[index(role)].next = number;
        world.wake(self.id, world.now() + time, Timer::Look(number));
    }

    fn check(&mut self, role: Role, world: &mut World<'_>) {
        if world.now() > self.end {
            return;
        }
        let server = &mut self.servers[index(role)];
        if server.check.is_none() {
            server.began = world.now();
            server.check = Some(world.probe(self.id, role, CHECK_TIMEOUT));
        }
    }

    fn check_soon(&mut self, role: Role, world: &mut World<'_>) {
        let server = self.servers[index(role)];
        if server.check.is_none() {
            let since = world.now() - server.began;
            self.check_in(role, MIN_HEARTBEAT.saturating_sub(since), world);
        }
    }

    fn selected(&self) -> Option<Role> {
        ROLES
            .into_iter()
            .find(|role| self.servers[index(*role)].serves)
    }
}

impl Policy for MongoDb {
    fn starts(&mut self, _: u32, world: &mut World<'_>) {
        for role in ROLES {
            let first = HEARTBEAT.mul_f64(world.chance());
            self.check_in(role, first, world);
        }
    }

    fn goes(&mut self, _: u32, client: u32, world: &mut World<'_>) -> Where {
        let Some(role) = self.selected() else {
            self.is_waited_for = true;
            for role in ROLES {
                self.check_soon(role, world);
            }
            return Where::Wait(SELECTION);
        };
        if role != self.at {
            world.leaves(client, self.at);
            self.at = role;
        }
        Where::To(role)
    }

    fn failed(&mut self, tried: &Tried, _: u32, world: &mut World<'_>) -> Then {
        let is_of_server = match tried.outcome {
            Outcome::Refused
            | Outcome::ConnectTimeout
            | Outcome::Lost
            | Outcome::NotHere
            | Outcome::Unavailable => true,
            Outcome::TimedOut(phase) => phase == Phase::NotSent,
            Outcome::Left(_) | Outcome::NoConnection => false,
            Outcome::Answered | Outcome::AlreadyThere | Outcome::NoRow | Outcome::Throttled(_) => {
                return Then::End;
            }
        };
        if is_of_server {
            self.servers[index(tried.at)].serves = false;
            self.check_soon(tried.at, world);
        }
        let may_repeat = tried.operation != Operation::Unsafe || !tried.outcome.is_doubtful();
        match tried.attempts {
            1 if may_repeat => Then::Again(Duration::ZERO),
            _ => Then::End,
        }
    }

    fn probed(&mut self, probe: u32, outcome: Outcome, _: u32, world: &mut World<'_>) -> News {
        let Some(role) = ROLES
            .into_iter()
            .find(|role| self.servers[index(*role)].check == Some(probe))
        else {
            return News::default();
        };
        let server = &mut self.servers[index(role)];
        server.check = None;
        let serves = matches!(outcome, Outcome::Answered | Outcome::Throttled(_));
        let was_serving = std::mem::replace(&mut server.serves, serves);
        let took = world.now() - server.began;
        self.is_waited_for &= !serves;
        let every = if self.is_waited_for {
            MIN_HEARTBEAT
        } else {
            HEARTBEAT
        };
        self.check_in(role, every.saturating_sub(took), world);
        News {
            lets_go: serves,
            breaks_off: (was_serving && !serves).then_some(role),
        }
    }

    fn woken(&mut self, number: u32, _: u32, world: &mut World<'_>) -> News {
        let role = ROLES[number as usize % 2];
        if self.servers[index(role)].next == number {
            self.check(role, world);
        }
        News::default()
    }
}
