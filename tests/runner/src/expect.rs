//! What a scenario expects, and whether an answer is that.

use std::collections::BTreeMap;

use d365_twin::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compare::differences;
use crate::names::{
    Effect, EventName, FaultKind, HttpVersion, LedgerEffect, Operation, Phase, Probed, Reason,
    Verified, Wanted,
};
use crate::protocol::{
    Answer, ErrorRecord, FoundOut, Override, OverrideSource, PartRecord, ReadRecord, ResponseRecord,
};

/// How a call ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ExpectCall {
    Response(Box<ExpectResponse>),
    Error(Box<ExpectError>),
}

/// A response; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Names in lower case; null: it has none.
    #[serde(default, skip_serializing)]
    #[schemars(with = "BTreeMap<String, Wanted<String>>")]
    headers: BTreeMap<String, Option<String>>,
    #[serde(default, skip_serializing)]
    body_contains: Option<String>,
    #[serde(default, skip_serializing)]
    read: Option<ExpectRead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_reads: Option<ExpectBodyReads>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    switched: Option<bool>,
    /// What the ledger has of the write; null: it is none.
    #[serde(default, skip_serializing)]
    ledger: Wanted<ExpectLedgerEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<ExpectAttempt>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<PartRecord>>,
}

/// What came of reading a stream; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectRead {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Whether they are those of a `body_reader`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<bool>,
    /// Of the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<u64>,
    /// Null: reading did not fail.
    #[serde(default, skip_serializing)]
    error: Wanted<ExpectError>,
}

/// What a body's reader was asked for; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectBodyReads {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewinds: Option<u64>,
}

/// An attempt as the prepare hook was handed it; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectPrepared {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Null: a host of `allowed_hosts`.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    endpoint_url: Wanted<String>,
    /// Null: a host of `allowed_hosts`.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    role: Wanted<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_authorization: Option<bool>,
    /// Null: it is read while it is sent.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    body: Wanted<String>,
}

/// An error; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectError {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing)]
    message_contains: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    switched: Option<bool>,
    /// What the ledger has of the write; null: it is none.
    #[serde(default, skip_serializing)]
    ledger: Wanted<ExpectLedgerEntry>,
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    http_status: Wanted<u16>,
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    code: Wanted<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_reads: Option<ExpectBodyReads>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<ExpectAttempt>>,
}

/// One attempt; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectAttempt {
    /// Null: a host of `allowed_hosts`.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    role: Wanted<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    /// Null: no connection was had.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    http_version: Wanted<HttpVersion>,
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    http_status: Wanted<u16>,
    /// Null: it succeeded.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    fault: Wanted<FaultKind>,
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    code: Wanted<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A verb that is no call is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ExpectRefusal {
    Error(ExpectError),
}

/// One event; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectEvent {
    event: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automatic: Option<bool>,
    /// Null: it was not probed.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    probed: Wanted<Probed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_doubt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// An interruption was planned for then.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<Value>,
}

/// A value that a row has otherwise than it was sent, both as JSON.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectDifference {
    name: String,
    sent: String,
    found: String,
}

/// What a walk over the writes to verify has done; what is not given is none.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExpectSettled {
    total: u64,
    present: u64,
    missing: u64,
    conflicting: u64,
    unverifiable: u64,
    confirmed: u64,
    replayed: u64,
    left: u64,
}

/// A write on record; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectLedgerEntry {
    /// Null: it has none.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    tag: Wanted<String>,
    /// Null: nobody has looked.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    verified: Wanted<Verified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_final: Option<bool>,
    /// What differs, in the order of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<ExpectDifference>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_kept: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    /// Null: it is in flight.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    effect: Wanted<LedgerEffect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_suspect: Option<bool>,
    /// Null: nothing was found out.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    resolution: Wanted<FoundOut>,
    /// Null: there was no attempt.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    role: Wanted<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Null: the answer named none.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    row: Wanted<String>,
    /// Null: it was not known.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    body_length: Wanted<u64>,
    /// Null: there is none.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    body_digest: Wanted<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_ended: Option<bool>,
}

/// A client's state; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectState {
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_url: Option<String>,
    /// Null: there is none.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    alternate_url: Wanted<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_primary: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_auto_switch_enabled: Option<bool>,
    /// Null: there is none.
    #[serde(default, skip_serializing_if = "Wanted::is_open")]
    current_override: Wanted<ExpectOverride>,
}

/// The operator's override; what is not given is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectOverride {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Override>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<OverrideSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_end: Option<bool>,
}

/// How many calls of a burst ended how: all of them, no others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BurstCounts {
    /// By HTTP status.
    #[serde(default)]
    pub(crate) responses: BTreeMap<String, usize>,
    /// By kind.
    #[serde(default)]
    pub(crate) errors: BTreeMap<String, usize>,
    /// By what is known of their writes; none: that is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) effects: Option<BTreeMap<String, usize>>,
}

impl BurstCounts {
    pub(crate) fn add(&mut self, answer: &Answer) {
        let effect = match (&answer.response, &answer.error) {
            (Some(response), _) => Some(response.effect.clone()),
            (None, Some(error)) => error.effect.clone(),
            (None, None) => None,
        };
        if let (Some(effects), Some(effect)) = (&mut self.effects, effect) {
            *effects.entry(effect).or_default() += 1;
        }
        match (&answer.response, &answer.error) {
            (Some(response), _) => {
                *self
                    .responses
                    .entry(response.status.to_string())
                    .or_default() += 1
            }
            (None, Some(error)) => *self.errors.entry(error.kind.clone()).or_default() += 1,
            (None, None) => {
                *self
                    .errors
                    .entry("neither response nor error".into())
                    .or_default() += 1
            }
        }
    }
}

/// The JSON form of what is expected or was got; these types have no form that could fail.
pub(crate) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| Value::String(error.to_string()))
}

fn lacks(what: &str, text: &str, part: Option<&str>) -> Option<String> {
    let part = part.filter(|part| !text.contains(part))?;
    Some(format!(
        "{what}: expected something with `{part}`, got `{text}`"
    ))
}

impl ExpectCall {
    /// What the ledger must have of the write, where that is looked at.
    pub(crate) fn ledger(&self) -> Option<Option<&ExpectLedgerEntry>> {
        let ledger = match self {
            ExpectCall::Response(response) => &response.ledger,
            ExpectCall::Error(error) => &error.ledger,
        };
        ledger.given().map(Option::as_ref)
    }

    pub(crate) fn differences(&self, answer: &Answer) -> Vec<String> {
        match (self, &answer.response, &answer.error) {
            (ExpectCall::Response(expected), Some(response), _) => expected.differences(response),
            (ExpectCall::Error(expected), _, Some(error)) => expected.differences(error),
            (ExpectCall::Response(_), None, _) => vec!["expected a response, got an error".into()],
            (ExpectCall::Error(_), _, None) => vec!["expected an error, got none".into()],
        }
    }
}

impl ExpectResponse {
    fn differences(&self, response: &ResponseRecord) -> Vec<String> {
        let mut found = differences(&json(self), &json(response));
        for (name, expected) in &self.headers {
            let got = response.headers.get(name);
            if expected.as_ref() != got {
                found.push(format!(
                    "headers.{name}: expected {}, got {}",
                    json(expected),
                    json(&got)
                ));
            }
        }
        found.extend(lacks("body", &response.body, self.body_contains.as_deref()));
        if let Some(expected) = &self.read {
            match &response.read {
                Some(read) => found.extend(expected.differences(read)),
                None => found.push("read: expected a stream, got a whole body".into()),
            }
        }
        found
    }
}

impl ExpectRead {
    fn differences(&self, read: &ReadRecord) -> Vec<String> {
        let mut found = differences(&json(self), &json(read));
        match (self.error.given(), &read.error) {
            (None, _) | (Some(None), None) => {}
            (Some(None), Some(_)) => found.push("error: expected none".into()),
            (Some(Some(_)), None) => found.push("error: expected one, got none".into()),
            (Some(Some(expected)), Some(error)) => {
                let more = expected.differences(error);
                found.extend(more.into_iter().map(|text| format!("error.{text}")));
            }
        }
        found
            .into_iter()
            .map(|text| format!("read.{text}"))
            .collect()
    }
}

impl ExpectError {
    fn differences(&self, error: &ErrorRecord) -> Vec<String> {
        let mut found = differences(&json(self), &json(error));
        found.extend(lacks(
            "message",
            &error.message,
            self.message_contains.as_deref(),
        ));
        found
    }
}

/// Whether a verb that is no call was done, or refused as expected.
pub(crate) fn refusal_differences(
    expected: Option<&ExpectRefusal>,
    answer: &Answer,
) -> Vec<String> {
    match (expected, &answer.error) {
        (None, None) if answer.ok => Vec::new(),
        (None, _) => vec!["expected it to be done".into()],
        (Some(ExpectRefusal::Error(expected)), Some(error)) => expected.differences(error),
        (Some(_), None) => vec!["expected an error, got none".into()],
    }
}
