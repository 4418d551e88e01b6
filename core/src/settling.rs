//! What a walk over the writes that are to be verified may do, and what it has done.

use crate::Resolution;

/// What [`Request::settle`](crate::Request::settle) may do with each write that is to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SettlePolicy {
    /// Looks at its row. Without it, what was found before counts.
    pub verify: bool,
    /// Resolves as confirmed what is finally present.
    pub confirm: bool,
    /// Sends again what is finally missing, where no repeat of it could be done twice, and resolves it
    /// as replayed when it was executed.
    pub replay: bool,
}

impl Default for SettlePolicy {
    fn default() -> SettlePolicy {
        SettlePolicy {
            verify: true,
            confirm: true,
            replay: true,
        }
    }
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many writes were to be verified when it began.
    pub total: u64,
    /// How many it is done with.
    pub done: u64,
    /// Of these, what was found of them, as it stands on record: these,
    pub present: u64,
    /// these,
    pub missing: u64,
    /// these,
    pub conflicting: u64,
    /// these; and nothing of the others, because the service would not say, or they are in question no
    /// more.
    pub unverifiable: u64,
    /// How many were resolved as confirmed.
    pub confirmed: u64,
    /// How many were sent again and executed.
    pub replayed: u64,
    /// How many are left to the application: those that are still in question. What others have resolved
    /// meanwhile is not.
    pub left: u64,
}

/// One step of a walk: what became of one write, or, without one, that it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleStep {
    /// What was done about it. `None`: nothing.
    pub resolution: Option<Resolution>,
    /// One sentence for a person: why nothing was done, or what the service has answered. May be empty.
    pub why: String,
    /// How far the walk has come with it.
    pub settled: Settled,
}
