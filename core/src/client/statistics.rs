//! What a client has counted, as JSON: one text in all languages, which more can be added to.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::Inner;
use crate::Role;
use crate::lock::lock;
use crate::resource::ledger::At;
use crate::resource::statistics::{BOUNDS_MS, Side};

impl Inner {
    /// The counters now. They are read one after the other: calls in flight may be in one, and not
    /// yet in another.
    pub(super) fn snapshot(&self) -> Value {
        let counted = &self.statistics;
        let resends: Map<String, Value> = counted
            .resends()
            .map(|(cause, count)| (cause.name().to_owned(), count.into()))
            .collect();
        let now = Instant::now();
        let (place, auto_switch) = {
            let board = self.board();
            let switch = &board.switch;
            (switch.place(), switch.alternate().auto_switch())
        };
        json!({
            "active": place.role.name(),
            "auto_switch": auto_switch,
            "switches": place.epoch,
            "outages": counted.outages.get(),
            "throttled": counted.throttled.get(),
            "calls": {
                "in_flight": self.flights.count(),
                "answered": counted.answered.get(),
                "failed": counted.failed.get(),
            },
            "resends": resends,
            "retries_left": self.rules.spends_budget.then(|| lock(&self.budget).left(now)),
            "writes": {
                "in_doubt": counted.in_doubt.get(),
                // A store that has failed takes the other numbers from nobody.
                "suspects": self.ledger.count_suspects(At::now()).wait().ok(),
                "evicted": self.ledger.evicted(),
            },
            "endpoints": {
                "primary": self.side(Role::Primary),
                "alternate": self.side(Role::Alternate),
            },
        })
    }

    fn side(&self, role: Role) -> Value {
        let side: &Side = self.statistics.side(role);
        let latencies = side.latencies.counts();
        json!({
            "url": self.organization.url(role),
            "attempts": latencies.iter().sum::<u64>(),
            "failed": side.failed.get(),
            "bytes_sent": side.traffic.sent.get(),
            "bytes_received": side.traffic.received.get(),
            "probes": {
                "serves": side.serves.get(),
                "reachable": side.reachable.get(),
                "failed": side.silent.get(),
            },
            "latency_ms": { "bounds": BOUNDS_MS, "counts": latencies },
        })
    }
}
