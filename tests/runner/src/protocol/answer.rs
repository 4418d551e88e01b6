//! What a subject answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::Wanted;

/// The answer to one request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// Why not.
    #[serde(default)]
    pub error: Option<ErrorRecord>,
    /// Of a call.
    #[serde(default)]
    pub response: Option<ResponseRecord>,
    /// Of `state`.
    #[serde(default)]
    pub state: Option<StateRecord>,
    /// Of `events`.
    #[serde(default)]
    pub events: Option<Vec<EventRecord>>,
    /// Of `prepared`.
    #[serde(default)]
    pub prepared: Option<Vec<PreparedRecord>>,
    /// Of `ledger`.
    #[serde(default)]
    pub ledger: Option<Vec<LedgerRecord>>,
    /// Of `verify`: `present`, `missing`, `unverifiable` or `conflicting`.
    #[serde(default)]
    pub verified: Option<String>,
    /// Of `replay`.
    #[serde(default)]
    pub replayed: Option<ReplayedRecord>,
    /// Of `settle`.
    #[serde(default)]
    pub settled: Option<SettledRecord>,
    /// Of `suspect_since`.
    #[serde(default)]
    pub suspected: Option<SuspectedRecord>,
}

impl Answer {
    /// Done.
    pub fn done() -> Answer {
        Answer {
            ok: true,
            ..Answer::default()
        }
    }

    /// Not done.
    pub fn refused(error: ErrorRecord) -> Answer {
        Answer {
            error: Some(error),
            ..Answer::default()
        }
    }

    /// A call's response.
    pub fn response(response: ResponseRecord) -> Answer {
        Answer {
            response: Some(response),
            ..Answer::done()
        }
    }
}

/// What a loss of data has put in question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuspectedRecord {
    /// How many writes that were acknowledged.
    pub acknowledged: u64,
    /// Whether the record goes as far back as was asked for.
    pub is_whole: bool,
}

/// A response as a subject tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResponseRecord {
    /// HTTP status.
    pub status: u16,
    /// The URL that answered.
    pub url: String,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body as text; of a stream the first 64 KiB of what was read.
    pub body: String,
    /// Of a stream: what came of reading it.
    #[serde(default)]
    pub read: Option<ReadRecord>,
    /// What the body's reader was asked for, where it has one.
    #[serde(default)]
    pub body_reads: Option<BodyReads>,
    /// `none`, `executed`, `not_executed`, `unknown`.
    pub effect: String,
    /// Whether the call met a switch.
    pub switched: bool,
    /// The write's number in the ledger; none: it is a read's.
    #[serde(default)]
    pub ledger_id: Option<u64>,
    /// All attempts, the first one first.
    pub attempts: Vec<AttemptRecord>,
    /// What the answer to a batch says of its requests.
    #[serde(default)]
    pub parts: Vec<PartRecord>,
}

/// What the answer to a batch says of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartRecord {
    /// Which request.
    pub index: usize,
    /// HTTP status, if it has one.
    #[schemars(with = "Wanted<u16>")]
    pub status: Option<u16>,
    /// Service code, if it has one.
    #[schemars(with = "Wanted<i32>")]
    pub code: Option<i32>,
}

/// An error as a subject tells it. Errors of usage have only kind and message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// The status name: `timeout`, `closed`, `invalid_url`, …
    pub kind: String,
    /// The class of the exception, in languages that have them.
    #[serde(default, rename = "type")]
    pub class: Option<String>,
    /// For a person.
    pub message: String,
    /// `none`, `executed`, `not_executed`, `unknown`.
    #[serde(default)]
    pub effect: Option<String>,
    /// Whether the call met a switch.
    #[serde(default)]
    pub switched: Option<bool>,
    /// HTTP status of the last attempt.
    #[serde(default)]
    pub http_status: Option<u16>,
    /// Service code of the last attempt.
    #[serde(default)]
    pub code: Option<i32>,
    /// What the body's reader was asked for, where it has one.
    #[serde(default)]
    pub body_reads: Option<BodyReads>,
    /// The request's tag; none: it had none, or an error of usage.
    #[serde(default)]
    pub tag: Option<String>,
    /// The write's number in the ledger; none: it is a read's, or an error of usage.
    #[serde(default)]
    pub ledger_id: Option<u64>,
    /// All attempts, the first one first.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
}

/// What came of reading a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadRecord {
    /// How many bytes were read.
    pub bytes: u64,
    /// Whether they are those of a [`BodyReader`](super::BodyReader).
    pub pattern: bool,
    /// Their sum.
    pub sum: u64,
    /// How reading failed; none: it did not.
    pub error: Option<ErrorRecord>,
}

/// What a body's reader was asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BodyReads {
    /// How many bytes it gave, in all.
    pub bytes: u64,
    /// How often it went back to the first.
    pub rewinds: u64,
}

/// An attempt as the prepare hook was handed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PreparedRecord {
    /// Where it goes.
    pub url: String,
    /// Base URL of the endpoint; none: a host of `allowed_hosts`.
    pub endpoint_url: Option<String>,
    /// `primary` or `alternate`; none: a host of `allowed_hosts`.
    pub role: Option<String>,
    /// The epoch in which it leaves.
    pub epoch: u64,
    /// Counts the call's attempts from 1.
    pub attempt: usize,
    /// HTTP method.
    pub method: String,
    /// Whether it carries `Authorization`.
    pub has_authorization: bool,
    /// Body as text; none: it is read while it is sent.
    pub body: Option<String>,
}

/// One attempt of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// `primary` or `alternate`; none: a host of `allowed_hosts`.
    pub role: Option<String>,
    /// The epoch in which it left.
    pub epoch: u64,
    /// `not_sent`, `sent`, `responded`.
    pub phase: String,
    /// `1.1` or `2`; none while no connection was had.
    #[serde(default)]
    pub http_version: Option<String>,
    /// HTTP status, if one was seen.
    pub http_status: Option<u16>,
    /// The fault's kind; none: it succeeded.
    pub fault: Option<String>,
    /// Service code, if one was seen.
    pub code: Option<i32>,
    /// Where it went.
    pub url: String,
}

/// A client's endpoints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateRecord {
    /// Base URL of the primary, without a slash at the end.
    pub primary_url: String,
    /// Base URL of the alternate; none where there is no alternate.
    pub alternate_url: Option<String>,
    /// The one that calls go to.
    pub active_url: String,
    /// Whether that is the primary.
    pub is_primary: bool,
    /// Counts switches.
    pub epoch: u64,
    /// EndpointAutoSwitchEnabled.
    pub endpoint_auto_switch_enabled: bool,
    /// What the operator says.
    pub current_override: Option<OverrideRecord>,
}

/// An override of the operator's that is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverrideRecord {
    /// `off`, `primary`, `alternate`
    pub value: String,
    /// `environment`, `store`
    pub source: String,
    /// Whether it ends by itself.
    pub has_end: bool,
}

/// What came of a write that was sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayedRecord {
    /// The service's status.
    pub status: u16,
    /// `executed`, …
    pub effect: String,
}

/// What a walk over the writes to verify has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledRecord {
    /// How many there were.
    pub total: u64,
    /// How many are there.
    pub present: u64,
    /// How many are not.
    pub missing: u64,
    /// How many are there with other values.
    pub conflicting: u64,
    /// Of how many nobody knows.
    pub unverifiable: u64,
    /// How many were confirmed.
    pub confirmed: u64,
    /// How many were sent again and executed.
    pub replayed: u64,
    /// How many are left.
    pub left: u64,
}

/// A value that a row has otherwise than it was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DifferenceRecord {
    /// Its name.
    pub name: String,
    /// JSON.
    pub sent: String,
    /// JSON.
    pub found: String,
}

/// One event that a handler saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its kind: `EndpointSwitchRequired`, `WriteInDoubt`, …
    pub event: String,
    /// Base URL of the endpoint that is left; empty where none is.
    #[serde(default)]
    pub previous_url: String,
    /// Base URL of the endpoint that is taken; empty where none is.
    #[serde(default)]
    pub new_url: String,
    /// The epoch that the switch begins; else the current one.
    pub epoch: u64,
    /// Why; empty where nothing is to be said.
    #[serde(default)]
    pub reason: String,
    /// False: switched by hand.
    pub automatic: bool,
    /// What a probe has found at the new endpoint: `reachable` or `serves`.
    #[serde(default)]
    pub probed: Option<String>,
    /// The write in doubt.
    #[serde(default)]
    pub ledger_id: Option<u64>,
    /// How many writes are in doubt.
    #[serde(default)]
    pub in_doubt: Option<u64>,
    /// How many writes the endpoint has acknowledged shortly before it was left.
    #[serde(default)]
    pub acknowledged: Option<u64>,
    /// How long the call waits, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// How long an outage was, in milliseconds.
    #[serde(default)]
    pub lasted_ms: Option<u64>,
    /// How many writes a walk has gone over.
    #[serde(default)]
    pub total: Option<u64>,
    /// How many it has confirmed.
    #[serde(default)]
    pub confirmed: Option<u64>,
    /// How many it has sent again.
    #[serde(default)]
    pub replayed: Option<u64>,
    /// How many it has left.
    #[serde(default)]
    pub left: Option<u64>,
    /// An interruption was planned for then.
    #[serde(default)]
    pub planned: bool,
    /// Of the call.
    #[serde(default)]
    pub tag: Option<String>,
    /// Of the call.
    #[serde(default)]
    pub method: Option<String>,
    /// Of the call.
    #[serde(default)]
    pub url: Option<String>,
    /// What came of a call that the handler made.
    #[serde(default)]
    pub inner: Option<Value>,
}

/// A write on record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Its number.
    pub id: u64,
    /// What the application calls it.
    #[serde(default)]
    pub tag: Option<String>,
    /// `present`, `missing`, `unverifiable`, `conflicting`; none: nobody has looked.
    #[serde(default)]
    pub verified: Option<String>,
    /// Why; for a person.
    #[serde(default)]
    pub why: Option<String>,
    /// What differs.
    pub differences: Vec<DifferenceRecord>,
    /// What was not compared.
    pub left_out: Vec<String>,
    /// Whether its request is kept.
    pub is_kept: bool,
    /// Whether replication changes no more about that.
    #[serde(default)]
    pub is_final: bool,
    /// HTTP method.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// `idempotent`, `guarded`, `unsafe`.
    pub operation: String,
    /// `executed`, `unknown`; none: it is in flight.
    pub effect: Option<String>,
    /// Whether it is to be verified.
    pub is_suspect: bool,
    /// `confirmed`, `replayed`, `lost`; none: nothing was found out.
    pub resolution: Option<String>,
    /// `primary` or `alternate`; none: there was no attempt, or a host of `allowed_hosts`.
    pub role: Option<String>,
    /// The epoch of the last attempt.
    pub epoch: u64,
    /// How many attempts there were.
    pub attempts: u32,
    /// The URL of the row that the answer named.
    pub row: Option<String>,
    /// The body's length in bytes; none: it was not known.
    pub body_length: Option<u64>,
    /// The body's SHA-256 in hex.
    pub body_digest: Option<String>,
    /// Whether the call has ended.
    pub is_ended: bool,
}
