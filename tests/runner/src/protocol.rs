//! What is said to a subject and what it answers: one JSON object a line, each way.

mod answer;

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use answer::Answer;
pub(crate) use answer::{
    AttemptRecord, BodyReads, DifferenceRecord, ErrorRecord, EventRecord, LedgerRecord,
    OverrideRecord, PartRecord, PreparedRecord, ReadRecord, ReplayedRecord, ResponseRecord,
    SettledRecord, StateRecord, SuspectedRecord,
};

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
    /// The writes on record.
    Ledger {
        /// The client.
        client: String,
        /// Which of them.
        selection: Selection,
    },
    /// Asks what became of a write.
    Verify {
        /// The client.
        client: String,
        /// The write's number.
        id: u64,
        /// Submitted to the library, where it has such a call; else it is waited for.
        submit: bool,
        /// By a read of this.
        url: Option<String>,
    },
    /// Sends a write again.
    Replay {
        /// The client.
        client: String,
        /// The write's number.
        id: u64,
        /// Whatever was found of it.
        wanted: bool,
        /// Submitted to the library, where it has such a call; else it is waited for.
        submit: bool,
    },
    /// Goes over all writes that are to be verified.
    Settle {
        /// The client.
        client: String,
        /// Looks at each.
        verify: bool,
        /// Confirms what is there for good.
        confirm: bool,
        /// Sends again what is missing for good.
        replay: bool,
        /// Step by step, or in one; submitted to the library, where it has such a call.
        submit: bool,
    },
    /// Tells the ledger of a loss of data.
    SuspectSince {
        /// The client.
        client: String,
        /// Up to when data was kept, in milliseconds since 1970.
        since_ms: i64,
    },
    /// Announces an interruption.
    Maintenance {
        /// The client.
        client: String,
        /// From then, in milliseconds since 1970…
        start_ms: i64,
        /// …to then.
        end_ms: i64,
    },
    /// Puts the operator's override into the store.
    Override {
        /// The client.
        client: String,
        /// None: takes it away.
        value: Option<Override>,
        /// When it ends, in milliseconds since 1970.
        until_ms: Option<i64>,
    },
    /// Tells the ledger what was found out about a write.
    Resolve {
        /// The client.
        client: String,
        /// The write's number.
        id: u64,
        /// What was found out.
        resolution: FoundOut,
    },
}

/// Which entries of the ledger are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All that are on record.
    All,
    /// Those to verify.
    Suspects,
}

/// What an application has found out about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundOut {
    /// It was executed.
    Confirmed,
    /// It was not, and was sent again.
    Replayed,
    /// It was not, and will not be.
    Lost,
}

/// Where the operator has calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// Where they are.
    Off,
    /// To the primary.
    Primary,
    /// To the alternate.
    Alternate,
}

/// Where an override stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OverrideSource {
    /// In `D365_FAILOVER`.
    Environment,
    /// In the store.
    Store,
}

/// A kind of event besides EndpointSwitchRequired and EndpointSwitched, in the spelling of
/// [`EventRecord::event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Heard {
    /// A call has ended, and whether its write was executed is not known.
    WriteInDoubt,
    /// An endpoint was left, and writes are to be verified.
    DataLossSuspected,
    /// A call was sent again.
    CallRetried,
    /// A call waits because the service asks for less.
    Throttled,
    /// No endpoint answers.
    OutageStarted,
    /// One answers again.
    OutageEnded,
    /// A walk over the writes to verify is over.
    Settled,
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
    /// Other events that a handler records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Heard>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Resolution {
    /// Its addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// None.
    Failure(ResolveFailure),
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResolveFailure {
    /// There is no such name.
    NoSuchName,
    /// Nobody could say now.
    TryAgain,
    /// The same the first time, and then it is this machine.
    TryAgainOnce,
    /// This machine could not ask.
    Failed,
}

/// What the handler of EndpointSwitchRequired does, after it has recorded the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Its time for connecting, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Its time for one attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u64>,
    /// The operation class, where the application names it.
    pub operation: Option<String>,
    /// The answer's body is read after the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// A create that the library gives an id to.
    #[serde(skip_serializing_if = "is_false")]
    pub guarded_create: bool,
    /// A plain PATCH that may create its row.
    #[serde(skip_serializing_if = "is_false")]
    pub upsert: bool,
    /// What the application calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A body that is read while it is sent: byte i is `(i * 31 + 7) & 0xff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReaderKind {
    /// It can.
    Rewindable,
    /// It is read once.
    OneShot,
}

/// How a stream is read: to its end, to its first failure, or until it is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// By the reading thread.
    #[default]
    Blocking,
    /// In the queue, where there is one.
    Submitted,
}
