//! What is said to a subject and what it answers: one JSON object a line, each way.

use std::collections::BTreeMap;

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
    /// The call's deadline with all its attempts, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The operation class, where the application names it.
    pub operation: Option<String>,
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
    /// Body as text.
    pub body: String,
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
    /// All attempts, the first one first.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
}

/// One attempt of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// `primary` or `alternate`.
    pub role: String,
    /// The epoch in which it left.
    pub epoch: u64,
    /// `not_sent`, `sent`, `responded`.
    pub phase: String,
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
