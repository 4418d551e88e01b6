//! The names that scenarios use, and what is wanted of what may be absent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::protocol::Heard;

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    None,
    Executed,
    NotExecuted,
    Unknown,
}

/// What is known of a write on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LedgerEffect {
    Executed,
    Unknown,
}

/// Why an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    EndpointNotFound,
    DatacenterNotAvailable,
    Timeout,
    ServerUnavailable,
    ConnectionLost,
    Local,
    Tls,
    Authentication,
    Protocol,
    Cancelled,
    Throttled,
    Service,
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    NotSent,
    Sent,
    Responded,
}

/// Which HTTP was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum HttpVersion {
    #[serde(rename = "1.1")]
    Http1,
    #[serde(rename = "2")]
    Http2,
}

/// What a repeat of a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Read,
    Idempotent,
    Guarded,
    Unsafe,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Idempotent => "idempotent",
            Operation::Guarded => "guarded",
            Operation::Unsafe => "unsafe",
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verified {
    Present,
    Missing,
    Unverifiable,
    Conflicting,
}

/// What a probe has found at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Probed {
    Reachable,
    Serves,
}

/// An event, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum EventName {
    Switch(SwitchEvent),
    Heard(Heard),
}

/// The events of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum SwitchEvent {
    EndpointSwitchRequired,
    EndpointSwitched,
}

/// Why an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Reason {
    Fault(FaultKind),
    Other(OtherReason),
}

/// Why an event came where no attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OtherReason {
    Manual,
    Switched,
    Repeated,
    SuspectSince,
    Answered,
    Failback,
    OtherProcess,
    StoredState,
    Override,
    Closed,
}

/// What is wanted of something that may be absent. Null is something to want: that it is absent;
/// what is not given is not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<T>(Option<Option<T>>);

impl<T> Wanted<T> {
    /// What is wanted, if it is looked at.
    pub(crate) fn given(&self) -> Option<&Option<T>> {
        self.0.as_ref()
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Default for Wanted<T> {
    fn default() -> Wanted<T> {
        Wanted(None)
    }
}

impl<T: Serialize> Serialize for Wanted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

// Serde takes a null for an absent option; here it is something to want.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Wanted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wanted<T>, D::Error> {
        Option::deserialize(deserializer).map(|wanted| Wanted(Some(wanted)))
    }
}

impl<T: JsonSchema> JsonSchema for Wanted<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Wanted{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [generator.subschema_for::<T>(), {"const": null}]})
    }
}

/// Of a schema: exactly one of these keys is there.
pub(crate) fn one_of<const N: usize>(keys: [&str; N]) -> [Value; N] {
    keys.map(|key| json!({"required": [key]}))
}
