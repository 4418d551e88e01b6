//! The writes on record.
//!
//! What has ended as not executed is of no interest and goes at once. What was acknowledged stays
//! for the time in which a switch would put it in question, within a bound. What is in doubt stays
//! until the application has resolved it.

mod ending;
mod keeping;
mod memory;
mod row;
mod sqlite;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use uuid::Uuid;

pub(crate) use self::memory::Memory;
pub(crate) use self::sqlite::Sqlite;
pub(crate) use super::soon::Soon;
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::operation::classify;
use crate::{
    Effect, Error, ErrorKind, LedgerEntry, LedgerSelection, Operation, Resolution, Role,
    SuspectedSince, Verification,
};

/// Where writes are on record: in memory, or in a store that outlives the process. What a store is
/// asked for is given by [`Soon`]: it is queued, and done outside of the runtime.
pub(crate) trait Ledger: Send + Sync {
    /// Whether it does I/O, which the thread that sends can do itself.
    fn is_on_disk(&self) -> bool;

    /// How many writes it held, when it was opened, of processes that have died before these had ended.
    fn taken_over(&self) -> u64;

    /// Puts a write on record that may be sent as soon as its number is given.
    fn begin(&self, write: Write) -> Soon<u64>;

    /// The write has ended. Tells why it is in question, if it is although it was executed.
    fn end(&self, id: u64, outcome: WriteEnd, at: At) -> Soon<Option<Suspected>>;

    /// The endpoint `from` was left in `epoch`. What it has acknowledged within the window is in
    /// question from now on. Tells how much that is, with what may still come late, and how much is
    /// in doubt in all.
    fn suspect(&self, from: Role, epoch: u64, at: At) -> Soon<Suspects>;

    /// What was acknowledged after `since` is in question from now on, at whichever endpoint; and
    /// what is in flight, once it is.
    fn suspect_since(&self, since: SystemTime, at: At) -> Soon<SuspectedSince>;

    /// The entries, the oldest first.
    fn list(&self, selection: LedgerSelection, at: At) -> Soon<Vec<LedgerEntry>>;

    /// How many are to be verified.
    fn count_suspects(&self, at: At) -> Soon<usize>;

    /// What can be asked about a write that has ended, and what it is asked for: [`VERIFIED`] or
    /// [`SENT_AGAIN`].
    fn question(&self, id: u64, purpose: &'static str) -> Soon<Question>;

    /// The write is about to be sent again, by this caller and nobody else, of whatever process, until
    /// [`end`](Ledger::end) is told how that ended: executed, it is replayed; in doubt, it is in doubt from
    /// now on; not executed, it is as it was, and nobody has looked at it. Of one that dies in between it
    /// is in doubt.
    fn claim(&self, id: u64, at: At) -> Soon<()>;

    /// Takes what a look at the row has found.
    fn verified(&self, id: u64, found: Verification) -> Soon<()>;

    /// Takes what the application has found out.
    fn resolve(&self, id: u64, found: Resolution, at: At) -> Soon<()>;

    /// How many acknowledged writes went from the record unverified because it was full.
    fn evicted(&self) -> u64;

    /// The same, when it is time to say it: with the first, and each time it has become ten times as
    /// many.
    fn evicted_to_tell(&self) -> Option<u64>;
}

/// When something happens, by the clock of this process and by that of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) clock: Instant,
    pub(crate) time: SystemTime,
}

impl At {
    pub(crate) fn now() -> At {
        At {
            clock: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

/// What can be asked about a write that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) entry: LedgerEntry,
    pub(crate) proof: Proof,
    pub(crate) kept: Option<Arc<Kept>>,
    /// How long ago it began, at most. `None`: not known.
    pub(crate) begun_ago: Option<Duration>,
    /// How long ago it has ended, at least.
    pub(crate) ended_ago: Duration,
    /// When that was.
    pub(crate) asked: Instant,
    /// One of its attempts may still be executed.
    pub(crate) may_come_late: bool,
}

impl Question {
    /// Whether its request is kept, and holds several.
    pub(crate) fn is_compound(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| {
            let class = kept
                .method()
                .map(|method| classify(&method, &kept.url, &kept.header_map(), Some(&kept.body)));
            class.is_some_and(|class| class.is_compound)
        })
    }
}

/// A write before it is sent. See [`LedgerEntry`].
pub(crate) struct Write {
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) operation: Operation,
    pub(crate) body_length: Option<u64>,
    pub(crate) body_digest: Option<[u8; 32]>,
    pub(crate) started: SystemTime,
    pub(crate) epoch: u64,
    pub(crate) proof: Proof,
    pub(crate) kept: Option<Arc<Kept>>,
}

/// How a write ended.
pub(crate) struct WriteEnd {
    pub(crate) effect: Effect,
    pub(crate) url: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) epoch: u64,
    pub(crate) attempts: usize,
    pub(crate) row_url: Option<String>,
    /// The id of the row, where an answer of SOAP names it.
    pub(crate) row_id: Option<Uuid>,
    /// The row's version, where the answer names it.
    pub(crate) version: Option<String>,
    /// An earlier attempt may still be executed.
    pub(crate) may_come_late: bool,
    /// When its last attempt began.
    pub(crate) sent: Option<SystemTime>,
    /// What was put on record of it when it began, where its client still knows: a store then need not
    /// look. `None` of one that is sent again.
    pub(crate) begun_as: Option<Proof>,
}

/// How many writes are in question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspects {
    pub(crate) in_doubt: u64,
    pub(crate) acknowledged: u64,
}

/// Why a write that was acknowledged is in question from its end on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspected {
    /// By an endpoint that was left before, or one that has lost writes.
    Late,
    /// After an attempt in doubt.
    Repeated,
}

impl WriteEnd {
    /// Of what was put on record for a call that left before anything of it was sent.
    fn unsent() -> WriteEnd {
        WriteEnd {
            effect: Effect::NotExecuted,
            url: None,
            role: None,
            epoch: 0,
            attempts: 0,
            row_url: None,
            row_id: None,
            version: None,
            may_come_late: false,
            sent: None,
            begun_as: None,
        }
    }
}

/// What a write cannot be, where there is none to ask about.
pub(crate) const VERIFIED: &str = "verified";
pub(crate) const SENT_AGAIN: &str = "sent again";

fn nothing(id: u64, done: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::NotAvailable,
        format!("the write {id} cannot be {done}: {why}"),
    )
}
