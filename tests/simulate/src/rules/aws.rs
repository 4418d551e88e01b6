//! What the AWS Advanced JDBC Wrapper does with its failover, and the AWS SDK with its retries.
//!
//! - A connection that fails, a timeout, "not here": failover. Both sides are asked, every 2 s, for the
//!   one that serves, for at most 300 s; one failover for all calls of a client, who wait for it. Then
//!   the call ends with 08S02 (switched) or, of a write that may have been executed, 08007 (unknown).
//! - After 08S02 the application repeats the call, as it is told to: once. What was not sent, and
//!   guarded writes, as well. After 08007 it does not.
//! - Throttled: the SDK's standard mode, three attempts with full jitter, from a bucket of 500 tokens: 5
//!   a retry for throttling, which an answer brings back.
//!
//! Its host monitoring is left out: with its defaults it finds a silent host dead after 41 s, and the
//! application's time for an attempt is over before that.

use std::time::Duration;

use d365_failover_core::{Operation, Role};

use super::Timer;
use super::backoff::full_jitter;
use super::rival::{News, Policy, Then, Tried, Where};
use crate::Time;
use crate::world::{Outcome, World};

const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
const SEARCH_TIME: Duration = Duration::from_secs(300);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const TOKENS: u32 = 500;
const COST: u32 = 5;
const MAX_ATTEMPTS: u32 = 3;
const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(20);

pub(super) struct Aws {
    at: Role,
    tokens: u32,
    failover: Option<Failover>,
    timers: u32,
}

/// The search for the side that serves.
struct Failover {
    since: Time,
    probes: Vec<(u32, Role)>,
    timer: u32,
}

impl Default for Aws {
    fn default() -> Aws {
        Aws {
            at: Role::Primary,
            tokens: TOKENS,
            failover: None,
            timers: 0,
        }
    }
}

impl Aws {
    fn search(&mut self, since: Time, client: u32, world: &mut World<'_>) {
        self.timers += 1;
        let ask = |role| (world.probe(client, role, PROBE_TIMEOUT), role);
        self.failover = Some(Failover {
            since,
            probes: [self.at.other(), self.at].map(ask).into(),
            timer: self.timers,
        });
        let timer = Timer::Look(self.timers);
        world.wake(client, world.now() + SEARCH_INTERVAL, timer);
    }
}

impl Policy for Aws {
    fn goes(&mut self, _: u32, _: u32, _: &mut World<'_>) -> Where {
        match self.failover {
            None => Where::To(self.at),
            Some(_) => Where::Wait(SEARCH_TIME),
        }
    }

    fn answered(&mut self, _: Role) {
        self.tokens = (self.tokens + 1).min(TOKENS);
    }

    fn failed(&mut self, tried: &Tried, client: u32, world: &mut World<'_>) -> Then {
        match tried.outcome {
            Outcome::Answered | Outcome::AlreadyThere => return Then::End,
            Outcome::Throttled(time) => {
                if tried.attempts >= MAX_ATTEMPTS || self.tokens < COST {
                    return Then::End;
                }
                self.tokens -= COST;
                let pause = full_jitter(BASE, CAP, tried.attempts, world.chance());
                return Then::Again(time.max(pause));
            }
            _ => {}
        }
        if self.failover.is_none() && tried.at == self.at {
            self.search(world.now(), client, world);
        }
        let may_repeat = tried.operation != Operation::Unsafe || !tried.outcome.is_doubtful();
        match tried.attempts {
            1 if may_repeat => Then::Again(Duration::ZERO),
            _ => Then::End,
        }
    }

    fn probed(&mut self, probe: u32, outcome: Outcome, client: u32, world: &mut World<'_>) -> News {
        let Some(failover) = &mut self.failover else {
            return News::default();
        };
        let Some(at) = failover
            .probes
            .iter()
            .position(|(asked, _)| *asked == probe)
        else {
            return News::default();
        };
        let (_, role) = failover.probes.swap_remove(at);
        if !matches!(outcome, Outcome::Answered | Outcome::Throttled(_)) {
            return News::default();
        }
        if role != self.at {
            world.leaves(client, self.at);
            self.at = role;
        }
        self.failover = None;
        News {
            lets_go: true,
            breaks_off: None,
        }
    }

    fn woken(&mut self, number: u32, client: u32, world: &mut World<'_>) -> News {
        let Some(failover) = self.failover.take_if(|failover| failover.timer == number) else {
            return News::default();
        };
        if world.now() - failover.since < SEARCH_TIME {
            self.search(failover.since, client, world);
            return News::default();
        }
        News {
            lets_go: true,
            breaks_off: None,
        }
    }
}
