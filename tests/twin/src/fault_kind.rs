//! What a fault does, as it is written in a scenario or sent to the control endpoint.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::coding::Coding;
use crate::error_code::ErrorCode;

/// What happens instead of an ordinary answer.
///
/// "Reset" is a TCP RST (SO_LINGER 0), "close" a FIN. Only the kinds that say so execute the
/// request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(transform = open)]
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
    /// The side is not heard of any more, from one moment to the next: what is sent to it is not
    /// read, what it would answer does not leave, no connection ends, and connects hang as with
    /// `listen_never_accept`. Requests that were read before are executed. When the fault is
    /// cleared, everything goes on, as after a thaw.
    BlackHole,
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
    /// The request is not executed: too many came. On the Web API 429 with `Retry-After` and the
    /// code, over SOAP a fault whose ErrorDetails hold `Retry-After`.
    Throttled {
        /// Seconds to wait; 1 by default.
        #[serde(default = "one")]
        retry_after: u64,
        /// One of the three throttling codes; 0x80072322 by default.
        #[serde(default = "too_many_requests")]
        code: ErrorCode,
        /// How a SOAP fault writes the time; none (default): as `PT7S`.
        #[serde(default)]
        soap_duration: Option<String>,
    },
    /// Part of the head of the answer is sent, then the connection ends. On HTTP/2 no frame of the
    /// answer is sent.
    CutHead {
        /// How many bytes, at most the whole head; none (default): half of it.
        #[serde(default)]
        bytes: Option<u64>,
        /// True: with an RST. False (default): with a close.
        #[serde(default)]
        reset: bool,
        /// As in `CommitThenClose`.
        #[serde(default)]
        close_notify: bool,
        /// What is answered: a kind that is an answer. None (default): the request is executed,
        /// and what the service answers is sent.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// Head and half of the body are sent, then the connection ends. An answer without a body is
    /// sent as it is.
    CutBody {
        /// True: with an RST. False (default): with a close.
        #[serde(default)]
        reset: bool,
        /// As in `CommitThenClose`.
        #[serde(default)]
        close_notify: bool,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// Head and half of the body are sent, the rest late. An answer without a body is sent as it
    /// is.
    StallBody {
        /// Milliseconds; none (default): until the fault is cleared.
        #[serde(default)]
        ms: Option<u64>,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// `Content-Length` is wrong: the whole body is sent under it, then the connection is closed.
    /// An answer without a body is sent as it is. On HTTP/2 the stream ends, and the connection
    /// lives on.
    WrongLength {
        /// What is added to the body's length: 1 by default; negative claims less than is sent,
        /// at least 0. 0 is refused.
        #[serde(default = "one_more")]
        by: i64,
        /// As in `CommitThenClose`.
        #[serde(default)]
        close_notify: bool,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// The answer, its head as well, comes in small pieces; a fault that is cleared ends the
    /// pauses. On HTTP/2 the head comes whole, and the body in frames of that size.
    SlowDrip {
        /// Bytes of a piece, 1 or more; 1 by default.
        #[serde(default = "one")]
        bytes: u64,
        /// Milliseconds between two pieces.
        every_ms: u64,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// The body of the answer is coded, whether or not the client accepts that, with the
    /// `Content-Encoding` that says so. It is an answer as well: `cut_body` with a `coded` answer
    /// ends the connection in the middle of the coded bytes.
    Coded {
        /// The coding.
        coding: Coding,
        /// The answer's body is that many spaces instead, which are few bytes on the wire; at most
        /// 2^33. None (default): the body is the answer's own.
        #[serde(default)]
        inflated: Option<u64>,
        /// True: the first half of the coded bytes, as a whole body with a length that fits. False
        /// by default.
        #[serde(default)]
        truncated: bool,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// An interim answer (RFC 9110, 15.2) comes before the answer.
    Informational {
        /// Its status, 103 by default: 100, or 102 to 199.
        #[serde(default = "early_hints")]
        status: u16,
        /// Its headers; a `Link` by default.
        #[serde(default = "a_link")]
        headers: BTreeMap<String, String>,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// The body of the answer comes in chunks (on HTTP/2 in frames, as ever), and headers follow
    /// it. An answer without a body is sent as it is.
    Trailers {
        /// The trailers; `x-twin-trailer: 1` by default.
        #[serde(default = "a_trailer")]
        headers: BTreeMap<String, String>,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// The answer is sent whole, as one after which the connection lives on, and then it ends: a
    /// client that uses it again meets the end. With `skip` after so many requests. On HTTP/2
    /// without a GOAWAY; with one, it is `goaway` with `commit` and `answered`.
    CloseAfterAnswer {
        /// True: with an RST. False (default): with a close.
        #[serde(default)]
        reset: bool,
        /// As in `CommitThenClose`.
        #[serde(default)]
        close_notify: bool,
        /// As in `CutHead`.
        #[serde(default)]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Option<Box<FaultKind>>,
    },
    /// The answer comes when the head of the request was read, and none of its body: a client that
    /// expects `100-continue` gets it instead. Then the connection is closed; on HTTP/2 the stream
    /// is reset with NO_ERROR, and the connection lives on. The request is not executed.
    AnswerAtHead {
        /// What is answered: an answer without `commit`. 417 by default.
        #[serde(default = "expectation_failed")]
        #[schemars(extend("unevaluatedProperties" = false))]
        answer: Box<FaultKind>,
    },
    /// A request that expects `100-continue` is not told to go on; it is served when its body has
    /// come nevertheless. Meets no other requests.
    WithholdContinue,
    /// The connection is reset when that much of the request's body was read, or all of a shorter
    /// one. The request is not executed, and stands in no journal, since it was not read whole.
    ResetWithinRequest {
        /// Bytes of the body; 0 resets at the head.
        bytes: u64,
    },
    /// HTTP/2 only: the connection says GOAWAY, takes no new request, and closes when the others
    /// that it has are answered.
    Goaway {
        /// The error code as a number; 0 (NO_ERROR) by default.
        #[serde(default)]
        code: u32,
        /// Which requests the GOAWAY says may have been executed; `below` by default. It tells the
        /// truth: the number is raised to the highest stream of the connection that is processed,
        /// the request's own under `commit` among them, and later ones are never executed. Where
        /// a later one is processed, a request that is not is told so by RST_STREAM with
        /// REFUSED_STREAM.
        #[serde(default)]
        last_stream: LastStream,
        /// Whether the request is executed before; false by default.
        #[serde(default)]
        commit: bool,
        /// Whether the request is answered after the GOAWAY; needs `commit`. False by default.
        #[serde(default)]
        answered: bool,
    },
    /// HTTP/2 only: the request's stream is reset; the connection lives on.
    RstStream {
        /// The error code as a number; 7 (REFUSED_STREAM) by default. Under `commit` another than
        /// 7 and 13, which say that the request was not processed.
        #[serde(default = "refused_stream")]
        code: u32,
        /// Whether the request is executed before; false by default.
        #[serde(default)]
        commit: bool,
        /// Whether head and half of the body are sent before; needs `commit`. An answer without a
        /// body is sent as it is. False by default.
        #[serde(default)]
        partial: bool,
    },
    /// A new connection ends when its ClientHello was read.
    BreakHandshake {
        /// How.
        how: Broken,
    },
    /// A new connection is shown another certificate. Whoever accepts it is served.
    Certificate {
        /// Which.
        which: Certificate,
    },
    /// Connections that wait for a next request are closed now; nothing remains set.
    CloseIdle,
}

/// Of the schema: a [`Fault`](crate::Fault) adds keys, so whoever has a kind alone closes it.
fn open(schema: &mut Schema) {
    let kinds = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for kind in kinds.into_iter().flatten().filter_map(Value::as_object_mut) {
        kind.remove("additionalProperties");
    }
}

/// The last stream that a GOAWAY names; later ones were not executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastStream {
    /// The one before the request's own, which was not executed.
    #[default]
    Below,
    /// The request's own.
    Ours,
    /// 2^31 - 1, as a server begins an orderly shutdown.
    Max,
}

/// How a TLS handshake ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// With the fatal alert `handshake_failure`, then a close.
    Alert,
    /// With a close.
    Eof,
    /// With an RST.
    Reset,
}

/// A certificate that a client should refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// Of the twin's CA, for another host.
    OtherHost,
    /// For the side's hosts, of a CA that nobody knows.
    OtherCa,
    /// For the side's hosts, of the twin's CA, expired in 2021.
    Expired,
}

fn too_many_requests() -> ErrorCode {
    ErrorCode(0x8007_2322)
}

fn early_hints() -> u16 {
    103
}

fn a_link() -> BTreeMap<String, String> {
    BTreeMap::from([("link".to_owned(), "</style.css>; rel=preload".to_owned())])
}

fn a_trailer() -> BTreeMap<String, String> {
    BTreeMap::from([("x-twin-trailer".to_owned(), "1".to_owned())])
}

fn expectation_failed() -> Box<FaultKind> {
    Box::new(FaultKind::Status {
        status: 417,
        headers: BTreeMap::new(),
        body: String::new(),
        commit: false,
    })
}

fn refused_stream() -> u32 {
    7
}

fn one() -> u64 {
    1
}

fn one_more() -> i64 {
    1
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
            FaultKind::BlackHole => "black_hole",
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
            FaultKind::Throttled { .. } => "throttled",
            FaultKind::CutHead { .. } => "cut_head",
            FaultKind::CutBody { .. } => "cut_body",
            FaultKind::StallBody { .. } => "stall_body",
            FaultKind::WrongLength { .. } => "wrong_length",
            FaultKind::SlowDrip { .. } => "slow_drip",
            FaultKind::Coded { .. } => "coded",
            FaultKind::Informational { .. } => "informational",
            FaultKind::Trailers { .. } => "trailers",
            FaultKind::CloseAfterAnswer { .. } => "close_after_answer",
            FaultKind::AnswerAtHead { .. } => "answer_at_head",
            FaultKind::WithholdContinue => "withhold_continue",
            FaultKind::ResetWithinRequest { .. } => "reset_within_request",
            FaultKind::Goaway { .. } => "goaway",
            FaultKind::RstStream { .. } => "rst_stream",
            FaultKind::BreakHandshake { .. } => "break_handshake",
            FaultKind::Certificate { .. } => "certificate",
            FaultKind::CloseIdle => "close_idle",
        }
    }

    /// 0x8004B065 with the default status.
    pub fn datacenter_not_available() -> FaultKind {
        FaultKind::DatacenterNotAvailable {
            status: unavailable(),
        }
    }

    /// `cut_body` with every default.
    pub fn cut_body() -> FaultKind {
        FaultKind::CutBody {
            reset: false,
            close_notify: false,
            answer: None,
        }
    }

    /// `stall_body` until the fault is cleared.
    pub fn stall_body() -> FaultKind {
        FaultKind::StallBody {
            ms: None,
            answer: None,
        }
    }
}
