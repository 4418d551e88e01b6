//! What a side has seen, and conditions on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a side has seen since it started; gauges are marked as such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted, including those that were reset at once or failed in TLS.
    pub connections: u64,
    /// Gauge: connections open now.
    pub open_connections: u64,
    /// Requests read whole, or answered at their head.
    pub received: u64,
    /// The same by method and service: `POST web_api`, `POST soap`, `POST discovery`,
    /// `GET odata_v2`, `GET wsdl`, `GET bulk`, `GET other`.
    pub received_by: BTreeMap<String, u64>,
    /// Gauge: requests received, and neither answered whole nor dropped with their connection.
    pub in_flight: u64,
    /// Rows created.
    pub creates: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Writes of rows: the sum of the three.
    pub committed: u64,
    /// Answers handed to the socket; one that stops within counts from its status line on.
    pub answered: u64,
    /// Answers 401, for a missing, unknown or foreign token.
    pub rejected_tokens: u64,
    /// Of these, for a token of another host.
    pub wrong_audience: u64,
    /// Tokens of another host, checked or not.
    pub foreign_tokens: u64,
    /// Requests whose `Host` is none of the side's (answered 400, as http.sys does), and requests
    /// within a batch to another host.
    pub wrong_host: u64,
    /// Requests (or connections, for `reset_before_request`, `close_idle` and the faults of the
    /// handshake) that a fault met, by kind.
    pub faults: BTreeMap<String, u64>,
}

/// What to wait for on a side; everything given must hold at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// `received` is at least this.
    pub received_at_least: Option<u64>,
    /// `in_flight` is at least this.
    pub in_flight_at_least: Option<u64>,
    /// `in_flight` is at most this.
    pub in_flight_at_most: Option<u64>,
    /// `committed` is at least this.
    pub committed_at_least: Option<u64>,
    /// `answered` is at least this.
    pub answered_at_least: Option<u64>,
    /// `connections` is at least this.
    pub connections_at_least: Option<u64>,
    /// `open_connections` is at most this.
    pub open_connections_at_most: Option<u64>,
    /// The sum of `faults` is at least this.
    pub faults_at_least: Option<u64>,
    /// Commits of the organization that have not crossed are at most this.
    pub replication_waiting_at_most: Option<u64>,
}

impl Condition {
    /// At least `requests` were read whole.
    pub fn received(requests: u64) -> Condition {
        Condition {
            received_at_least: Some(requests),
            ..Condition::default()
        }
    }

    /// At least `requests` are received and unanswered.
    pub fn in_flight(requests: u64) -> Condition {
        Condition {
            in_flight_at_least: Some(requests),
            ..Condition::default()
        }
    }

    /// No request is received and unanswered.
    pub fn idle() -> Condition {
        Condition {
            in_flight_at_most: Some(0),
            ..Condition::default()
        }
    }

    /// At least that many writes of rows.
    pub fn committed(writes: u64) -> Condition {
        Condition {
            committed_at_least: Some(writes),
            ..Condition::default()
        }
    }

    /// At least `requests` were answered.
    pub fn answered(requests: u64) -> Condition {
        Condition {
            answered_at_least: Some(requests),
            ..Condition::default()
        }
    }

    /// At least `connections` were accepted.
    pub fn connections(connections: u64) -> Condition {
        Condition {
            connections_at_least: Some(connections),
            ..Condition::default()
        }
    }

    /// Faults have met at least `hits` requests or connections.
    pub fn faults(hits: u64) -> Condition {
        Condition {
            faults_at_least: Some(hits),
            ..Condition::default()
        }
    }

    /// Everything committed has crossed to the other side.
    pub fn replicated() -> Condition {
        Condition {
            replication_waiting_at_most: Some(0),
            ..Condition::default()
        }
    }

    pub(crate) fn holds(&self, counts: &Counts, replication_waiting: u64) -> bool {
        let at_least = |want: Option<u64>, have: u64| want.is_none_or(|want| have >= want);
        let at_most = |want: Option<u64>, have: u64| want.is_none_or(|want| have <= want);
        at_least(self.received_at_least, counts.received)
            && at_least(self.in_flight_at_least, counts.in_flight)
            && at_most(self.in_flight_at_most, counts.in_flight)
            && at_least(self.committed_at_least, counts.committed)
            && at_least(self.answered_at_least, counts.answered)
            && at_least(self.connections_at_least, counts.connections)
            && at_most(self.open_connections_at_most, counts.open_connections)
            && at_least(self.faults_at_least, counts.faults.values().sum())
            && at_most(self.replication_waiting_at_most, replication_waiting)
    }
}
