//! The faults that can be set on a side, as they are written in a scenario or sent to the control
//! endpoint.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TwinError;
use crate::fault_kind::FaultKind;

/// Names a fault that is set on a side; unique within one twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

impl fmt::Display for FaultId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A fault, and the requests that it meets.
///
/// The first fault set on a side that matches a request and is armed acts on it, alone. A fault
/// that matches but is still skipping consumes one skip and leaves the request to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Fault {
    /// What happens.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only requests with this method, in any case. Default: every method.
    pub method: Option<String>,
    /// Only requests whose path and query begin with this. Default: every path.
    pub path: Option<String>,
    /// Only requests whose path and query contain this. Default: every path.
    pub path_contains: Option<String>,
    /// True: only requests on a connection that had another before; false: only first ones.
    /// Default: both.
    pub reused: Option<bool>,
    /// How many matching requests pass before the fault acts; 0 by default.
    pub skip: u64,
    /// After how many hits the fault stops acting; none (default): never. What it holds (stalled
    /// requests) stays held until the fault is cleared.
    pub times: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
struct Matcher {
    /// Only requests with this method, in any case.
    method: Option<String>,
    /// Only requests whose path and query begin with this.
    path: Option<String>,
    /// Only requests whose path and query contain this.
    path_contains: Option<String>,
    /// Only requests on a connection that had another before, or only first ones.
    reused: Option<bool>,
    /// How many matching requests pass before the fault acts.
    #[serde(default)]
    skip: u64,
    /// After how many hits the fault stops acting.
    times: Option<u64>,
}

const MATCHER: [&str; 6] = ["method", "path", "path_contains", "reused", "skip", "times"];

// Derived code cannot refuse unknown keys of a flattened enum, and a misspelt key in a scenario
// would turn a fault into another one in silence.
impl TryFrom<Map<String, Value>> for Fault {
    type Error = TwinError;

    fn try_from(mut keys: Map<String, Value>) -> Result<Fault, TwinError> {
        let wrong = |error: serde_json::Error| TwinError::invalid(format!("fault: {error}"));
        let matcher: Map<String, Value> = MATCHER
            .iter()
            .filter_map(|key| keys.remove_entry(*key))
            .collect();
        let matcher: Matcher = serde_json::from_value(matcher.into()).map_err(wrong)?;
        let given = Value::from(keys);
        let kind: FaultKind = serde_json::from_value(given.clone()).map_err(wrong)?;
        refuse_unknown_keys(&kind, &given)?;
        let fault = Fault {
            kind,
            method: matcher.method,
            path: matcher.path,
            path_contains: matcher.path_contains,
            reused: matcher.reused,
            skip: matcher.skip,
            times: matcher.times,
        };
        fault.check()?;
        Ok(fault)
    }
}

// A kind's keys, and those of the matcher.
impl JsonSchema for Fault {
    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Matcher::json_schema(generator);
        let kind = Value::from(generator.subschema_for::<FaultKind>());
        schema.insert(
            "description".into(),
            "A fault, and the requests that it meets.".into(),
        );
        schema.insert("allOf".into(), vec![kind].into());
        schema.insert("unevaluatedProperties".into(), false.into());
        schema
    }
}

fn refuse_unknown_keys(kind: &FaultKind, given: &Value) -> Result<(), TwinError> {
    let known = serde_json::to_value(kind)
        .map_err(|error| TwinError::invalid(format!("fault: {error}")))?;
    let mut keys = given.as_object().into_iter().flat_map(Map::keys);
    if let Some(key) = keys.find(|key| known.get(key.as_str()).is_none()) {
        return Err(TwinError::invalid(format!(
            "fault: `{}` has no key `{key}`",
            kind.name()
        )));
    }
    match kind.answer() {
        Some(answer) => refuse_unknown_keys(answer, &given["answer"]),
        None => Ok(()),
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Fault {
        Fault {
            kind,
            method: None,
            path: None,
            path_contains: None,
            reused: None,
            skip: 0,
            times: None,
        }
    }
}

impl Fault {
    /// Meets only requests with this method.
    pub fn method(mut self, method: &str) -> Fault {
        self.method = Some(method.to_owned());
        self
    }

    /// Meets only requests whose path and query begin with `prefix`.
    pub fn path(mut self, prefix: &str) -> Fault {
        self.path = Some(prefix.to_owned());
        self
    }

    /// Meets only requests whose path and query contain `part`.
    pub fn path_contains(mut self, part: &str) -> Fault {
        self.path_contains = Some(part.to_owned());
        self
    }

    /// Meets only requests on a connection that had another before, or only first ones.
    pub fn reused(mut self, reused: bool) -> Fault {
        self.reused = Some(reused);
        self
    }

    /// Lets `requests` matching requests pass first.
    pub fn skip(mut self, requests: u64) -> Fault {
        self.skip = requests;
        self
    }

    /// Stops acting after `hits` hits.
    pub fn times(mut self, hits: u64) -> Fault {
        self.times = Some(hits);
        self
    }

    pub(crate) fn has_matcher(&self) -> bool {
        self.method.is_some()
            || self.path.is_some()
            || self.path_contains.is_some()
            || self.reused.is_some()
    }

    pub(crate) fn matches(&self, method: &str, path_and_query: &str, reused: bool) -> bool {
        self.reused.is_none_or(|want| want == reused)
            && self
                .method
                .as_deref()
                .is_none_or(|want| want.eq_ignore_ascii_case(method))
            && self
                .path
                .as_deref()
                .is_none_or(|want| path_and_query.starts_with(want))
            && self
                .path_contains
                .as_deref()
                .is_none_or(|want| path_and_query.contains(want))
    }

    /// Says what is wrong with a fault that could not do what it says.
    pub(crate) fn check(&self) -> Result<(), TwinError> {
        let counts = self.skip > 0 || self.times.is_some();
        if self.kind.is_of_the_listener() && (self.has_matcher() || counts) {
            return Err(TwinError::invalid(format!(
                "`{}` sees no request: leave out method, path, path_contains, reused, skip and times",
                self.kind.name()
            )));
        }
        if self.kind.is_of_the_handshake() && self.has_matcher() {
            return Err(TwinError::invalid(format!(
                "`{}` sees no request: leave out method, path, path_contains and reused",
                self.kind.name()
            )));
        }
        self.kind.check()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error_code::ErrorCode;

    #[test]
    fn json_round_trip_keeps_every_key() {
        let text = json!({
            "kind": "service_fault", "code": "-2147220937", "message": "m", "status": 412,
            "method": "post", "path_contains": "accounts", "skip": 1, "times": 2
        });
        let fault: Fault = serde_json::from_value(text).unwrap();
        let FaultKind::ServiceFault { code, .. } = &fault.kind else {
            panic!("{fault:?}")
        };
        assert_eq!(*code, ErrorCode(0x8004_0237));
        let again: Fault = serde_json::from_value(serde_json::to_value(&fault).unwrap()).unwrap();
        assert_eq!(fault, again);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, word) in [
            (json!({"kind": "reset_after_request", "tims": 1}), "tims"),
            (
                json!({"kind": "refuse", "keep_exsting": true}),
                "keep_exsting",
            ),
            (
                json!({"kind": "stall_body", "answer": {"kind": "html_page", "stat": 504}}),
                "stat",
            ),
            (
                json!({"kind": "cut_head", "answer": {"kind": "cut_body"}}),
                "cut_body",
            ),
            (json!({"kind": "wrong_length", "by": 0}), "by 0"),
            (
                json!({"kind": "slow_drip", "bytes": 0, "every_ms": 1}),
                "0 bytes",
            ),
            (
                json!({"kind": "cut_body", "reset": true, "close_notify": true}),
                "close_notify",
            ),
            (
                json!({"kind": "break_handshake", "how": "eof", "method": "GET"}),
                "leave out method",
            ),
        ] {
            let error = serde_json::from_value::<Fault>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_listener_fault_takes_no_matcher() {
        let fault = Fault::from(FaultKind::ListenNeverAccept).times(1);
        assert!(fault.check().unwrap_err().to_string().contains("leave out"));
    }
}
