//! What happened: the calls and what each was told, the events, the ledgers, what both sides
//! received and executed, and the rows that they have in the end. Plain data.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use d365_failover_core::{Effect, ItemKind, LedgerEntry, Phase, Role};
use uuid::Uuid;

use crate::plan::Manner;
use crate::work::Work;

/// A whole history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What the clients have promised.
    pub terms: Terms,
    /// The calls.
    pub calls: Vec<Call>,
    /// The clients, by their numbers.
    pub clients: Vec<ClientRecord>,
    /// Every request that a side has read whole, in the order of arrival.
    pub receipts: Vec<Receipt>,
    /// The rows of both sides in the end, when everything has crossed that could.
    pub rows: Rows,
    /// What was done to the sides.
    pub weather: Vec<Change>,
}

/// What the clients of a history have promised.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Attempts of one call.
    pub max_attempts: usize,
    /// How long after a veto nothing is asked again; none: no such promise.
    pub hold_down: Option<Duration>,
    /// Whether the other side is asked before a switch.
    pub probes: bool,
    /// How much later than its deadline a call may end, on a machine that has other things to do.
    pub slack: Duration,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            max_attempts: 4,
            hold_down: None,
            probes: false,
            slack: Duration::from_secs(5),
        }
    }
}

/// One call of an application.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number in the history.
    pub number: u32,
    /// The client that made it.
    pub client: usize,
    /// When.
    pub season: Season,
    /// What it was to do.
    pub work: Work,
    /// The fault that was set for it alone, as JSON.
    pub misfortune: Option<String>,
    /// The logical time of its start.
    pub begun: u64,
    /// The logical time of its end.
    pub ended: u64,
    /// The time that it was given.
    pub deadline: Duration,
    /// How it was made.
    pub manner: Manner,
    /// The time that it took.
    pub took: Duration,
    /// What it was told.
    pub told: Told,
}

/// When a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// While faults came and went.
    Storm,
    /// After everything was healed: it must succeed.
    Healed,
}

/// What a call was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The end.
    pub end: End,
    /// What is said about the write.
    pub effect: Effect,
    /// Its number in the ledger.
    pub ledger_id: Option<u64>,
    /// The attempts.
    pub attempts: Vec<AttemptSeen>,
    /// The row that the answer names.
    pub row: Option<Uuid>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a response.
    Response {
        /// Its HTTP status.
        status: u16,
        /// What it says.
        answer: Answer,
    },
    /// With an error; its kind and message.
    Error(String),
}

/// What a response says about rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing that is checked.
    Nothing,
    /// The rows that were found, with their names.
    Rows(Vec<(Uuid, String)>),
    /// The service says that there is no such row.
    Absent,
    /// A status that says success, and a body that is none.
    Broken(String),
}

/// One attempt, as the call tells of it.
#[derive(Clone, Debug)]
pub struct AttemptSeen {
    /// The endpoint.
    pub role: Option<Role>,
    /// The epoch.
    pub epoch: u64,
    /// Whether it is the library's own look at the row that a write is about.
    pub is_look: bool,
    /// How far it got.
    pub phase: Phase,
    /// The status of its answer.
    pub status: Option<u16>,
    /// Its fault.
    pub fault: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What one client has told beside its calls' ends.
#[derive(Clone, Debug, Default)]
pub struct ClientRecord {
    /// Its name in stories.
    pub name: String,
    /// Its events, in their order.
    pub events: Vec<EventSeen>,
    /// Its ledger in the end.
    pub ledger: Vec<LedgerEntry>,
    /// Its epoch in the end.
    pub epoch: u64,
    /// Its active endpoint in the end; none: it never said.
    pub active: Option<Role>,
    /// Whether its updates create nothing after a switch.
    pub update_guard: bool,
    /// Whether auto-switch was off for a time, so that what was announced may come to nothing.
    pub was_held: bool,
}

/// An event.
#[derive(Clone, Debug)]
pub struct EventSeen {
    /// When it was taken out of the queue, in logical time.
    pub at: u64,
    /// Its kind.
    pub kind: ItemKind,
    /// When it happened.
    pub time: SystemTime,
    /// Its epoch.
    pub epoch: u64,
    /// The endpoint that is left.
    pub from: Option<Role>,
    /// The endpoint that is gone to.
    pub to: Option<Role>,
    /// Whether a fault caused it.
    pub automatic: bool,
    /// Whether the other side has answered a probe.
    pub probed: bool,
    /// The write that it is about.
    pub ledger_id: Option<u64>,
    /// Whether the handler has said no, in time.
    pub vetoed: bool,
    /// Its sentence.
    pub message: String,
}

/// A request that a side has read whole, or answered at its head.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Its place in the journal.
    pub seq: u64,
    /// The side.
    pub side: Role,
    /// The call that it belongs to; none for probes and what was there before.
    pub call: Option<u32>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Whether a row was written.
    pub committed: bool,
    /// The fault that acted on it.
    pub fault: Option<String>,
    /// The status that was answered, if an answer was begun.
    pub status: Option<u16>,
    /// Milliseconds since the twin's start.
    pub at_ms: u64,
}

/// The rows of both sides: names by id.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Of the primary.
    pub primary: BTreeMap<Uuid, String>,
    /// Of the alternate.
    pub alternate: BTreeMap<Uuid, String>,
    /// Those of which only what an update has changed is there.
    pub fragments: Vec<(Role, Uuid)>,
}

/// Something that was done to the sides.
#[derive(Clone, Debug)]
pub struct Change {
    /// When, in logical time.
    pub at: u64,
    /// What.
    pub text: String,
}

impl Rows {
    /// Those of one side.
    #[must_use]
    pub fn of(&self, role: Role) -> &BTreeMap<Uuid, String> {
        match role {
            Role::Primary => &self.primary,
            Role::Alternate => &self.alternate,
        }
    }

    /// The ids of the rows that have this name, over both sides.
    #[must_use]
    pub fn ids(&self, name: &str) -> Vec<Uuid> {
        let both = self.primary.iter().chain(&self.alternate);
        let mut ids: Vec<Uuid> = both
            .filter(|(_, has)| *has == name)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Call {
    /// The endpoint and epoch of the last attempt.
    #[must_use]
    pub fn last_place(&self) -> Option<(Role, u64)> {
        let last = self.told.attempts.last()?;
        Some((last.role?, last.epoch))
    }

    /// Whether the service has answered what was asked; that there is no such row is an answer.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        match &self.told.end {
            End::Response { answer, .. } if *answer == Answer::Absent => true,
            End::Response { status, answer } => {
                (200..=299).contains(status) && !matches!(answer, Answer::Broken(_))
            }
            End::Error(_) => false,
        }
    }
}

impl History {
    /// What the sides have received of a call.
    pub fn receipts_of(&self, number: u32) -> impl Iterator<Item = &Receipt> {
        let all = self.receipts.iter();
        all.filter(move |receipt| receipt.call == Some(number))
    }

    /// How often a call was executed on a side.
    #[must_use]
    pub fn executions(&self, number: u32, side: Role) -> usize {
        let receipts = self.receipts_of(number);
        receipts
            .filter(|receipt| receipt.side == side && receipt.committed)
            .count()
    }

    /// The entry of a call in its client's ledger.
    #[must_use]
    pub fn entry_of(&self, call: &Call) -> Option<&LedgerEntry> {
        let id = call.told.ledger_id?;
        let ledger = &self.clients.get(call.client)?.ledger;
        ledger.iter().find(|entry| entry.id == id)
    }

    /// The call with this number.
    #[must_use]
    pub fn call(&self, number: u32) -> Option<&Call> {
        self.calls.iter().find(|call| call.number == number)
    }
}
