//! How an attempt ends.

use std::time::Duration;

use d365_failover_core::Phase;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its answer.
    Answered,
    /// A guarded create whose row is there.
    AlreadyThere,
    /// There is no such row.
    NoRow,
    /// 0x8004B065.
    NotHere,
    /// 503 of a front end.
    Unavailable,
    /// 429, and when it may come again.
    Throttled(Duration),
    /// The connection was refused.
    Refused,
    /// There was no connection in time.
    ConnectTimeout,
    /// The connection was lost after sending.
    Lost,
    /// The client has waited long enough.
    TimedOut(Phase),
    /// The client's endpoint was left.
    Left(Phase),
    /// No connection was free all the time.
    NoConnection,
}

impl Outcome {
    /// How far it had come.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Outcome::Answered
            | Outcome::AlreadyThere
            | Outcome::NoRow
            | Outcome::NotHere
            | Outcome::Unavailable
            | Outcome::Throttled(_) => Phase::Responded,
            Outcome::Refused | Outcome::ConnectTimeout | Outcome::NoConnection => Phase::NotSent,
            Outcome::Lost => Phase::Sent,
            Outcome::TimedOut(phase) | Outcome::Left(phase) => phase,
        }
    }

    /// Whether a write may have been executed by it, and nobody has said so.
    #[must_use]
    pub fn is_doubtful(self) -> bool {
        self.phase() == Phase::Sent || self == Outcome::Unavailable
    }
}
