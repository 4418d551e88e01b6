//! The calls of all clients: when each begins, whose it is, and what it does. The same for all rule
//! sets.

use std::time::Duration;

use d365_failover_core::Operation;
use fastrand::Rng;

use crate::Time;

/// How many calls a client makes a second, in the mean.
pub const RATE: f64 = 0.5;
/// One client in so many is busy…
const BUSY: u32 = 100;
/// …and all of these together make this share of the calls.
const SHARE_OF_BUSY: f64 = 0.4;
/// How long a call is worked at, in the mean.
pub const SERVICE: Duration = Duration::from_millis(40);

/// A call that begins.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// When it begins.
    pub at: Time,
    /// Whose it is.
    pub client: u32,
    /// What a repeat does.
    pub operation: Operation,
    /// How long it is worked at.
    pub service: Duration,
}

/// A time in which more calls begin.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// From when…
    pub from: Time,
    /// …until when.
    pub to: Time,
    /// How many times as many.
    pub factor: f64,
}

/// All calls that begin before `end`, in their order.
///
/// Together they come evenly, one in each step of the rate, so that whatever is above it is the
/// rules' doing; each client's own come at random.
#[must_use]
pub fn arrivals(seed: u64, clients: u32, end: Time, rush: Option<Rush>) -> Vec<Call> {
    let mut chance = Rng::with_seed(seed);
    let busy = (clients / BUSY).max(1);
    let mut calls = Vec::new();
    let mut at = 0.0;
    while at < end.as_secs_f64() {
        let step = 1.0 / (rate(clients) * factor(rush, Duration::from_secs_f64(at)));
        let is_busy = chance.f64() < SHARE_OF_BUSY;
        let client = if is_busy || busy == clients {
            chance.u32(..busy)
        } else {
            chance.u32(busy..clients)
        };
        calls.push(Call {
            at: Duration::from_secs_f64(at + step * chance.f64()),
            client,
            operation: operation(chance.f64()),
            service: SERVICE.mul_f64(0.25 - 0.75 * (1.0 - chance.f64()).ln()),
        });
        at += step;
    }
    calls
}

/// How many calls all clients begin in a second.
#[must_use]
pub fn rate(clients: u32) -> f64 {
    f64::from(clients) * RATE
}

/// How many times as many begin at a time.
#[must_use]
pub fn factor(rush: Option<Rush>, at: Time) -> f64 {
    rush.filter(|rush| rush.from <= at && at < rush.to)
        .map_or(1.0, |rush| rush.factor)
}

fn operation(random: f64) -> Operation {
    match random {
        ..0.6 => Operation::Read,
        ..0.8 => Operation::Guarded,
        _ => Operation::Unsafe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Time = Duration::from_secs(20);

    #[test]
    fn a_seed_gives_the_same_calls_and_another_seed_others() {
        let shown = |seed| format!("{:?}", arrivals(seed, 50, END, None));
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
    }

    #[test]
    fn calls_come_evenly_and_a_rush_brings_its_factor() {
        let rush = Rush {
            from: Duration::from_secs(5),
            to: Duration::from_secs(10),
            factor: 3.0,
        };
        let calls = arrivals(1, 1000, END, Some(rush));
        let within = |second: u64| {
            let is_then = |call: &&Call| call.at.as_secs() == second;
            calls.iter().filter(is_then).count() as f64
        };
        for (second, expected) in [(1, 500.0), (7, 1500.0), (12, 500.0)] {
            let count = within(second);
            assert!((count - expected).abs() < 5.0, "{second}: {count}");
        }
        assert!(calls.is_sorted_by_key(|call| call.at));
    }

    #[test]
    fn all_clients_call_and_service_takes_its_mean() {
        let calls = arrivals(3, 100, Duration::from_secs(400), None);
        for client in 0..100 {
            assert!(calls.iter().any(|call| call.client == client), "{client}");
        }
        let all: Duration = calls.iter().map(|call| call.service).sum();
        let mean = all / u32::try_from(calls.len()).unwrap();
        assert!(mean.abs_diff(SERVICE) < SERVICE / 20, "{mean:?}");
    }
}
