//! The faults that can be set on a side, as they are written in a scenario or sent to the control
//! endpoint.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TwinError;
use crate::error_code::ErrorCode;

/// Names a fault that is set on a side; unique within one twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

impl fmt::Display for FaultId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What happens instead of an ordinary answer.
///
/// "Reset" is a TCP RST (SO_LINGER 0), "close" a FIN. Only the kinds that say so execute the
/// request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The listener is closed: connects are refused. The port stays reserved, and the same port
    /// listens again when the fault is cleared.
    Refuse {
        /// False (default): every connection of the side is reset. True: they live on and are
        /// served.
        #[serde(default)]
        keep_existing: bool,
    },
    /// The listener stays with the smallest backlog and nothing is accepted: a connect succeeds
    /// in the backlog or hangs. Requests on connections that were accepted before are read and
    /// never answered. When the fault is cleared, what waits in the backlog is accepted and
    /// served, as after a thaw.
    ListenNeverAccept,
    /// The request is read, not executed, and never answered; the connection stays open.
    AcceptNeverAnswer,
    /// The request is executed, then the connection is closed with no byte of answer.
    CommitThenClose {
        /// Whether TLS says goodbye (close_notify) before the FIN. False by default: a process
        /// that dies does not.
        #[serde(default)]
        close_notify: bool,
    },
    /// The request is executed, then the connection is reset with no byte of answer.
    CommitThenReset,
    /// The request is executed at once and answered late.
    Stall {
        /// Milliseconds; none (default): until the fault is cleared.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// The request is executed late and then answered. It is executed also when its client has
    /// left meanwhile: a late commit.
    StallBeforeCommit {
        /// Milliseconds; none (default): until the fault is cleared.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// A new connection is reset as soon as it is accepted, one that is kept alive when its next
    /// request's head arrives. With a matcher only heads are looked at.
    ResetBeforeRequest,
    /// The request is read whole, not executed, and the connection reset.
    ResetAfterRequest,
    /// The request is read whole, not executed, and the connection closed.
    CloseAfterRequest {
        /// As in `CommitThenClose`.
        #[serde(default)]
        close_notify: bool,
    },
    /// A front end's page, `text/html`.
    HtmlPage {
        /// HTTP status, 200 by default.
        #[serde(default = "ok")]
        status: u16,
        /// Whether the request is executed before; false by default.
        #[serde(default)]
        commit: bool,
    },
    /// Any answer.
    Status {
        /// HTTP status.
        status: u16,
        /// Headers of the answer; `Content-Length` is added.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body of the answer, empty by default.
        #[serde(default)]
        body: String,
        /// Whether the request is executed before; false by default.
        #[serde(default)]
        commit: bool,
    },
    /// 0x8004B065 in the form of the path: a SOAP fault, or an OData error.
    DatacenterNotAvailable {
        /// HTTP status on the Web API, 503 by default. SOAP faults come with 500.
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// Any service fault in the form of the path.
    ServiceFault {
        /// The code as it is written in error lists: hex (`0x80040237`) or decimal
        /// (`-2147220937`).
        code: ErrorCode,
        /// The message, empty by default.
        #[serde(default)]
        message: String,
        /// HTTP status on the Web API, 500 by default. SOAP faults come with 500.
        #[serde(default = "server_error")]
        status: u16,
        /// Whether the request is executed before; false by default.
        #[serde(default)]
        commit: bool,
    },
    /// The request is executed; status, headers and half of the body are sent, then the
    /// connection is closed. An answer without a body is sent as it is.
    CutBody,
    /// Connections that wait for a next request are closed now; nothing remains set.
    CloseIdle,
}

fn ok() -> u16 {
    200
}

fn server_error() -> u16 {
    500
}

fn unavailable() -> u16 {
    503
}

impl FaultKind {
    /// The kind's name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Refuse { .. } => "refuse",
            FaultKind::ListenNeverAccept => "listen_never_accept",
            FaultKind::AcceptNeverAnswer => "accept_never_answer",
            FaultKind::CommitThenClose { .. } => "commit_then_close",
            FaultKind::CommitThenReset => "commit_then_reset",
            FaultKind::Stall { .. } => "stall",
            FaultKind::StallBeforeCommit { .. } => "stall_before_commit",
            FaultKind::ResetBeforeRequest => "reset_before_request",
            FaultKind::ResetAfterRequest => "reset_after_request",
            FaultKind::CloseAfterRequest { .. } => "close_after_request",
            FaultKind::HtmlPage { .. } => "html_page",
            FaultKind::Status { .. } => "status",
            FaultKind::DatacenterNotAvailable { .. } => "datacenter_not_available",
            FaultKind::ServiceFault { .. } => "service_fault",
            FaultKind::CutBody => "cut_body",
            FaultKind::CloseIdle => "close_idle",
        }
    }

    /// 0x8004B065 with the default status.
    pub fn datacenter_not_available() -> FaultKind {
        FaultKind::DatacenterNotAvailable {
            status: unavailable(),
        }
    }

    /// Whether the fault is made at the listener or at idle connections, so that no request is
    /// there to be matched or counted.
    fn is_of_the_listener(&self) -> bool {
        matches!(
            self,
            FaultKind::Refuse { .. } | FaultKind::ListenNeverAccept | FaultKind::CloseIdle
        )
    }

    /// What a passive side may answer: a fault that executes nothing and needs a request.
    pub(crate) fn check_passive(&self) -> Result<(), TwinError> {
        let fits = match self {
            FaultKind::AcceptNeverAnswer
            | FaultKind::ResetAfterRequest
            | FaultKind::CloseAfterRequest { .. }
            | FaultKind::DatacenterNotAvailable { .. } => true,
            FaultKind::HtmlPage { commit, .. }
            | FaultKind::Status { commit, .. }
            | FaultKind::ServiceFault { commit, .. } => !commit,
            _ => false,
        };
        if !fits {
            return Err(TwinError::invalid(format!(
                "a passive side cannot answer `{}`: take accept_never_answer, reset_after_request, \
                 close_after_request, datacenter_not_available, or html_page, status, service_fault \
                 without `commit`",
                self.name()
            )));
        }
        self.check_status()
    }

    fn check_status(&self) -> Result<(), TwinError> {
        let status = match self {
            FaultKind::HtmlPage { status, .. }
            | FaultKind::Status { status, .. }
            | FaultKind::DatacenterNotAvailable { status }
            | FaultKind::ServiceFault { status, .. } => *status,
            _ => return Ok(()),
        };
        if !(200..=999).contains(&status) {
            return Err(TwinError::invalid(format!(
                "status {status} is none: take a number from 200 to 999"
            )));
        }
        if let FaultKind::Status { headers, .. } = self {
            for (name, value) in headers {
                if http::HeaderName::try_from(name).is_err()
                    || http::HeaderValue::try_from(value).is_err()
                {
                    return Err(TwinError::invalid(format!(
                        "`{name}: {value}` is no header"
                    )));
                }
            }
        }
        Ok(())
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
    /// How many matching requests pass before the fault acts; 0 by default.
    pub skip: u64,
    /// After how many hits the fault stops acting; none (default): never. What it holds (stalled
    /// requests) stays held until the fault is cleared.
    pub times: Option<u64>,
}

#[derive(Deserialize)]
struct Matcher {
    method: Option<String>,
    path: Option<String>,
    path_contains: Option<String>,
    #[serde(default)]
    skip: u64,
    times: Option<u64>,
}

const MATCHER: [&str; 5] = ["method", "path", "path_contains", "skip", "times"];

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
        let given: Vec<String> = keys.keys().cloned().collect();
        let kind: FaultKind = serde_json::from_value(keys.into()).map_err(wrong)?;
        let known = serde_json::to_value(&kind).map_err(wrong)?;
        if let Some(key) = given.iter().find(|key| known.get(key.as_str()).is_none()) {
            return Err(TwinError::invalid(format!(
                "fault: `{}` has no key `{key}`",
                kind.name()
            )));
        }
        let fault = Fault {
            kind,
            method: matcher.method,
            path: matcher.path,
            path_contains: matcher.path_contains,
            skip: matcher.skip,
            times: matcher.times,
        };
        fault.check()?;
        Ok(fault)
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Fault {
        Fault {
            kind,
            method: None,
            path: None,
            path_contains: None,
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
        self.method.is_some() || self.path.is_some() || self.path_contains.is_some()
    }

    pub(crate) fn matches(&self, method: &str, path_and_query: &str) -> bool {
        self.method
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
                "`{}` sees no request: leave out method, path, path_contains, skip and times",
                self.kind.name()
            )));
        }
        self.kind.check_status()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
    fn a_misspelt_key_is_refused_by_name() {
        for (text, key) in [
            (json!({"kind": "reset_after_request", "tims": 1}), "tims"),
            (
                json!({"kind": "refuse", "keep_exsting": true}),
                "keep_exsting",
            ),
        ] {
            let error = serde_json::from_value::<Fault>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn a_listener_fault_takes_no_matcher() {
        let fault = Fault::from(FaultKind::ListenNeverAccept).times(1);
        assert!(fault.check().unwrap_err().to_string().contains("leave out"));
    }
}
