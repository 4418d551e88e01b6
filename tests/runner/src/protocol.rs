//! What is said to a subject and what it answers: one JSON object a line, each way.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One request to a subject.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Who are you?
    Hello,
    /// Opens a client.
    Open(Open),
    /// A blocking call.
    Call(Call),
    /// A call that runs beside what follows, until it is awaited.
    Start {
        /// Names the call.
        call: String,
        /// True: submitted to the library; false: a blocking call on a thread of its own.
        submit: bool,
        /// The call.
        #[serde(flatten)]
        request: Call,
    },
    /// The outcome of a started call.
    Await {
        /// The call.
        call: String,
    },
    /// Cancels a submitted call.
    Cancel {
        /// The call.
        call: String,
    },
    /// The client's endpoints and which of them is active.
    State {
        /// The client.
        client: String,
    },
    /// Sets EndpointAutoSwitchEnabled.
    SetAutoSwitch {
        /// The client.
        client: String,
        /// The value.
        enabled: bool,
    },
    /// Switches by hand.
    SwitchEndpoint {
        /// The client.
        client: String,
    },
    /// Reads the WSDL's policy now.
    Discover {
        /// The client.
        client: String,
    },
    /// Closes the client, and waits for what is in flight.
    Close {
        /// The client.
        client: String,
    },
    /// The events since the client was opened.
    Events {
        /// The client.
        client: String,
        /// Waits until so many were seen.
        at_least: usize,
        /// How long to wait for them; then what is there is the answer.
        timeout_ms: u64,
    },
    /// What the client's prepare hook has seen since it was opened.
    Prepared {
        /// The client.
        client: String,
    },
}

/// Opens a client.
#[derive(Clone, Debug, Serialize)]
pub struct Open {
    /// Names the client for later requests.
    pub client: String,
    /// URL of the organization.
    pub url: String,
    /// Settings by their names in C; `connect_to` is an object `host:port` → `address:port`.
    pub settings: Map<String, Value>,
    /// The handler of EndpointSwitchRequired.
    pub on_required: Option<OnRequired>,
    /// The handler of EndpointSwitched.
    pub on_switched: Option<OnSwitched>,
    /// The token provider.
    pub token: Option<Token>,
    /// What is found for these hosts, instead of asking the system; nothing for others. With the
    /// Rust client alone. Absent: the system is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<BTreeMap<String, Resolution>>,
    /// The prepare hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
}

/// What the prepare hook does to each attempt, in this order, after it has recorded it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Sets these headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_header: BTreeMap<String, String>,
    /// Takes these away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_header: Vec<String>,
    /// Sends this text instead of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_body: Option<String>,
    /// Fails with this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<String>,
    /// The number of the call's first attempt that it fails; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_from: Option<usize>,
}

/// What comes of resolving a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Resolution {
    /// Its addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// None.
    Failure(ResolveFailure),
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveFailure {
    /// There is no such name.
    NoSuchName,
    /// Nobody could say now.
    TryAgain,
    /// This machine could not ask.
    Failed,
}

/// What the handler of EndpointSwitchRequired does, after it has recorded the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRequired {
    /// Nothing.
    Proceed,
    /// Vetoes the switch.
    Veto,
    /// Sets EndpointAutoSwitchEnabled to false.
    DisableAutoSwitch,
    /// Sets EndpointAutoSwitchEnabled to true.
    EnableAutoSwitch,
    /// Raises an exception; frees the item without a reply where there are none.
    Throw,
    /// Makes a blocking call.
    Call,
}

/// What the handler of EndpointSwitched does, after it has recorded the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSwitched {
    /// Nothing.
    Listen,
    /// Raises an exception; frees the item without a reply where there are none.
    Throw,
    /// Makes a blocking call.
    Call,
    /// Removes itself.
    Unsubscribe,
}

/// What the token provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// Gives the token that the twin takes at that host.
    ByHost,
    /// Raises an exception.
    Fail,
}

/// One call of the application.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The client.
    pub client: String,
    /// HTTP method.
    pub method: String,
    /// Absolute, or relative to the organization.
    pub url: String,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// Body, as text.
    pub body: Option<String>,
    /// A body that is read while it is sent, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_reader: Option<BodyReader>,
    /// The call's deadline with all its attempts, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The operation class, where the application names it.
    pub operation: Option<String>,
    /// The answer's body is read after the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
}

/// A body that is read while it is sent: byte i is `(i * 31 + 7) & 0xff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyReader {
    /// Whether it can be read again.
    pub kind: ReaderKind,
    /// How many bytes it has.
    pub size: u64,
    /// How many bytes a read gives at most.
    pub chunk: usize,
    /// Whether its length is told; false by default.
    #[serde(default)]
    pub length: bool,
    /// The length that is told, right or wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<u64>,
    /// The read fails that would give this byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_at: Option<u64>,
}

/// Whether a reader can go back to its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReaderKind {
    /// It can.
    Rewindable,
    /// It is read once.
    OneShot,
}

/// How a stream is read: to its end, to its first failure, or until it is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// How many bytes a read takes at most.
    pub read: usize,
    /// The response is freed when so many bytes were read, or more. Default: at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<u64>,
    /// How it is waited for the bytes.
    #[serde(default)]
    pub reads: Reads,
}

/// How the bytes of a stream are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// By the reading thread.
    #[default]
    Blocking,
    /// In the queue, where there is one.
    Submitted,
}

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
    /// All attempts, the first one first.
    pub attempts: Vec<AttemptRecord>,
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
    /// All attempts, the first one first.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
}

/// What came of reading a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadRecord {
    /// How many bytes were read.
    pub bytes: u64,
    /// Whether they are those of a [`BodyReader`].
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
}

/// One event that a handler saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// `EndpointSwitchRequired` or `EndpointSwitched`.
    pub event: String,
    /// Base URL of the endpoint that is left.
    pub previous_url: String,
    /// Base URL of the endpoint that is taken.
    pub new_url: String,
    /// The epoch that the switch begins.
    pub epoch: u64,
    /// Why.
    pub reason: String,
    /// False: switched by hand.
    pub automatic: bool,
    /// What came of a call that the handler made.
    #[serde(default)]
    pub inner: Option<Value>,
}
