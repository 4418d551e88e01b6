//! A retry library around an ordinary HTTP client (tenacity, Polly, Resilience4j, reqwest-retry): up to
//! five attempts with full jitter, `random(0, 1) * min(20 s, 0.5 s * 2^n)`, of whatever looks
//! transient, POST as well: reqwest-retry 0.9 and Java's HttpURLConnection were seen to send one twice.
//! It knows both URLs and takes them in turn, the primary first; who is throttled waits as he is told.
//!
//! With a circuit breaker (Polly's simple one): five failures of an endpoint one after the other, and
//! for 30 s nothing goes there; then one call is let through to see. Calls go to the first endpoint
//! whose breaker is closed. (Thresholds of 100 calls, as Polly's other one and Resilience4j's have
//! them, would never trip for most of these clients.)

use std::time::Duration;

use d365_failover_core::Role;

use super::rival::{Policy, Then, Tried, Where};
use crate::Time;
use crate::outcome::Outcome;
use crate::truth::index;
use crate::world::World;

const MAX_ATTEMPTS: u32 = 5;
const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(20);
const FAILURES: u32 = 5;
const BREAK: Duration = Duration::from_secs(30);

/// A bound that doubles, with full jitter.
pub(super) fn full_jitter(base: Duration, cap: Duration, attempts: u32, random: f64) -> Duration {
    (base * (1 << attempts.saturating_sub(1).min(16)))
        .min(cap)
        .mul_f64(random)
}

pub(super) struct Backoff {
    breakers: Option<[Breaker; 2]>,
}

#[derive(Clone, Copy, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Time>,
}

impl Breaker {
    /// Whether a call may go; when it has been open for its time, one.
    fn lets_through(&mut self, now: Time) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + BREAK);
                true
            }
        }
    }
}

impl Backoff {
    pub(super) fn without_breaker() -> Backoff {
        Backoff { breakers: None }
    }

    pub(super) fn with_breaker() -> Backoff {
        Backoff {
            breakers: Some(Default::default()),
        }
    }
}

impl Policy for Backoff {
    fn goes(&mut self, attempts: u32, _: u32, world: &mut World<'_>) -> Where {
        let Some(breakers) = &mut self.breakers else {
            return Where::To(match attempts % 2 {
                0 => Role::Primary,
                _ => Role::Alternate,
            });
        };
        let now = world.now();
        let mut roles = [Role::Primary, Role::Alternate].into_iter();
        let role = roles.find(|role| breakers[index(*role)].lets_through(now));
        role.map_or(Where::Nowhere, Where::To)
    }

    fn answered(&mut self, at: Role) {
        if let Some(breakers) = &mut self.breakers {
            breakers[index(at)] = Breaker::default();
        }
    }

    fn failed(&mut self, tried: &Tried, client: u32, world: &mut World<'_>) -> Then {
        if tried.outcome == Outcome::AlreadyThere {
            return Then::End;
        }
        let is_throttled = matches!(tried.outcome, Outcome::Throttled(_));
        if let (Some(breakers), false) = (&mut self.breakers, is_throttled) {
            let breaker = &mut breakers[index(tried.at)];
            breaker.failures += 1;
            if breaker.failures >= FAILURES && breaker.open_until.is_none() {
                breaker.open_until = Some(world.now() + BREAK);
                world.leaves(client, tried.at);
            }
        }
        if tried.attempts >= MAX_ATTEMPTS {
            return Then::End;
        }
        let pause = full_jitter(BASE, CAP, tried.attempts, world.chance());
        match tried.outcome {
            Outcome::Throttled(time) => Then::Again(time + pause),
            _ => Then::Again(pause),
        }
    }
}
