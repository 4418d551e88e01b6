//! What a client counts, always: one addition in a place of its own for each thing that happens, which
//! waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Cause, Probed, Role};

/// What a class of a histogram holds at most, in milliseconds; after the last there is one for the rest.
pub(crate) const BOUNDS_MS: [u64; 16] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];

/// The numbers of causes are below this.
const CAUSES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What went over the connections to an endpoint, with TLS and all.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

/// How long attempts took.
#[derive(Debug, Default)]
pub(crate) struct Latencies([Counter; BOUNDS_MS.len() + 1]);

impl Latencies {
    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_MS.partition_point(|bound| micros > bound * 1_000);
        self.0[class].one();
    }

    /// How many there are in each class.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(Counter::get).collect()
    }
}

/// What concerns one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) failed: Counter,
    pub(crate) latencies: Latencies,
    pub(crate) serves: Counter,
    pub(crate) reachable: Counter,
    pub(crate) silent: Counter,
    pub(crate) traffic: Arc<Traffic>,
}

impl Side {
    pub(crate) fn probed(&self, found: Option<Probed>) {
        match found {
            Some(Probed::Serves) => self.serves.one(),
            Some(Probed::Reachable) => self.reachable.one(),
            None => self.silent.one(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    pub(crate) in_doubt: Counter,
    pub(crate) throttled: Counter,
    pub(crate) outages: Counter,
    resends: [Counter; CAUSES],
    sides: [Side; 2],
}

impl Default for Statistics {
    fn default() -> Statistics {
        Statistics {
            answered: Counter::default(),
            failed: Counter::default(),
            in_doubt: Counter::default(),
            throttled: Counter::default(),
            outages: Counter::default(),
            resends: std::array::from_fn(|_| Counter::default()),
            sides: Default::default(),
        }
    }
}

impl Statistics {
    pub(crate) fn side(&self, role: Role) -> &Side {
        match role {
            Role::Primary => &self.sides[0],
            Role::Alternate => &self.sides[1],
        }
    }

    /// An attempt has ended.
    pub(crate) fn attempted(&self, role: Role, took: Duration, has_failed: bool) {
        let side = self.side(role);
        side.latencies.note(took);
        if has_failed {
            side.failed.one();
        }
    }

    /// A call is sent again because of this.
    pub(crate) fn resent(&self, cause: Cause) {
        if let Some(counter) = self.resends.get(cause as usize) {
            counter.one();
        }
    }

    /// Of which causes calls were sent again, and how often.
    pub(crate) fn resends(&self) -> impl Iterator<Item = (Cause, u64)> {
        let count = |cause: Cause| self.resends.get(cause as usize).map_or(0, Counter::get);
        let counted = Cause::ALL
            .into_iter()
            .map(move |cause| (cause, count(cause)));
        counted.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_class_that_holds_it() {
        for (micros, class) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_000, 1),
            (100_000_000, 15),
            (100_000_001, 16),
            (u64::MAX, 16),
        ] {
            let latencies = Latencies::default();
            latencies.note(Duration::from_micros(micros));
            let counts = latencies.counts();
            assert_eq!(
                counts.iter().position(|count| *count == 1),
                Some(class),
                "{micros}"
            );
            assert_eq!(counts.iter().sum::<u64>(), 1);
        }
    }

    #[test]
    fn every_cause_has_its_counter() {
        let statistics = Statistics::default();
        for cause in Cause::ALL {
            statistics.resent(cause);
        }
        assert_eq!(statistics.resends().count(), Cause::ALL.len());
    }
}
