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
//! - While something is under way at a host, the host is monitored: asked every 5 s, and dead when it
//!   has not answered three times. What is under way there is broken off then, and failover begins. With
//!   the wrapper's defaults that takes a silent host up to 41 s; here it is the 16.3 s of a typical
//!   configuration, because an attempt is over before 41 s.

use std::time::Duration;

use d365_failover_core::{Operation, Role};

use super::Timer;
use super::backoff::full_jitter;
use super::rival::{News, Policy, Then, Tried, Where};
use crate::Time;
use crate::outcome::Outcome;
use crate::truth::index;
use crate::world::World;

/// When a host is asked first, after something has gone there: dead after 16.3 s.
const MONITORED_AFTER: Duration = Duration::from_millis(1300);
const MONITOR_INTERVAL: Duration = Duration::from_secs(5);
const MONITOR_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_SILENCES: u32 = 3;
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
const SEARCH_TIME: Duration = Duration::from_secs(300);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const ROLES: [Role; 2] = [Role::Primary, Role::Alternate];
const TOKENS: u32 = 500;
const COST: u32 = 5;
const MAX_ATTEMPTS: u32 = 3;
const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(20);

pub(super) struct Aws {
    at: Role,
    tokens: u32,
    failover: Option<Failover>,
    monitors: [Monitor; 2],
    timers: u32,
}

/// Of one host.
#[derive(Clone, Copy, Default)]
struct Monitor {
    under_way: u32,
    /// Of the next time it is asked.
    timer: u32,
    check: Option<u32>,
    began: Time,
    silences: u32,
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
            monitors: [Monitor::default(); 2],
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

impl Aws {
    fn monitors_in(&mut self, role: Role, at: Time, client: u32, world: &mut World<'_>) {
        self.timers += 1;
        self.monitors[index(role)].timer = self.timers;
        world.wake(client, at, Timer::Look(self.timers));
    }

    fn sends(&mut self, client: u32, world: &mut World<'_>) {
        let role = self.at;
        self.monitors[index(role)].under_way += 1;
        if self.monitors[index(role)].under_way == 1 {
            self.monitors_in(role, world.now() + MONITORED_AFTER, client, world);
        }
    }

    /// Nothing is asked of a host any more at which nothing is under way.
    fn ends(&mut self, role: Role) {
        let monitor = &mut self.monitors[index(role)];
        monitor.under_way -= 1;
        if monitor.under_way == 0 {
            *monitor = Monitor::default();
        }
    }

    fn monitored(
        &mut self,
        probe: u32,
        outcome: Outcome,
        client: u32,
        world: &mut World<'_>,
    ) -> News {
        let is_of = |role: &Role| self.monitors[index(*role)].check == Some(probe);
        let Some(role) = ROLES.into_iter().find(is_of) else {
            return News::default();
        };
        let monitor = &mut self.monitors[index(role)];
        monitor.check = None;
        monitor.silences = match outcome {
            Outcome::Answered | Outcome::Throttled(_) => 0,
            _ => monitor.silences + 1,
        };
        if monitor.silences == MOST_SILENCES {
            return News {
                lets_go: false,
                breaks_off: Some(role),
            };
        }
        let next = monitor.began + MONITOR_INTERVAL;
        self.monitors_in(role, next, client, world);
        News::default()
    }
}

impl Policy for Aws {
    fn goes(&mut self, _: u32, client: u32, world: &mut World<'_>) -> Where {
        match self.failover {
            None => {
                self.sends(client, world);
                Where::To(self.at)
            }
            Some(_) => Where::Wait(SEARCH_TIME),
        }
    }

    fn answered(&mut self, role: Role) {
        self.ends(role);
        self.tokens = (self.tokens + 1).min(TOKENS);
    }

    fn failed(&mut self, tried: &Tried, client: u32, world: &mut World<'_>) -> Then {
        self.ends(tried.at);
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
        let is_it = |(asked, _): &(u32, Role)| *asked == probe;
        let of = |failover: &Failover| failover.probes.iter().position(is_it);
        let (Some(at), Some(failover)) = (self.failover.as_ref().and_then(of), &mut self.failover)
        else {
            return self.monitored(probe, outcome, client, world);
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
        let is_of = |role: &Role| self.monitors[index(*role)].timer == number;
        if let Some(role) = ROLES.into_iter().find(is_of) {
            let monitor = &mut self.monitors[index(role)];
            monitor.began = world.now();
            monitor.check = Some(world.probe(client, role, MONITOR_TIMEOUT));
            return News::default();
        }
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
