//! The verbs of a scenario.

use std::collections::BTreeMap;

use d365_twin::{Authority, Condition, Fault, ProxyFault, Replication, Role};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::expect::{
    BurstCounts, ExpectCall, ExpectEvent, ExpectLedgerEntry, ExpectPrepared, ExpectRefusal,
    ExpectSettled, ExpectState,
};
use crate::names::{Operation, Verified, one_of};
use crate::protocol::{
    FoundOut, Heard, OnRequired, OnSwitched, Override, Prepare, Resolution, Selection, Stream,
    Token,
};
use crate::request::ScenarioRequest;
use crate::seen::{ProxyRequests, Requests};

/// One step.
///
/// `client` is `c` where none is named, `org` the scenario's first organization.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Open(Box<Open>),
    Call(Box<Call>),
    Start(Box<Start>),
    Await(Await),
    /// Cancels a submitted call.
    Cancel {
        call: String,
    },
    Burst(Burst),
    /// The steps, so many times; `${n}` counts from 0.
    Repeat {
        times: usize,
        #[schemars(with = "Vec<Step>")]
        steps: Vec<Value>,
    },
    /// The steps, again and again, until they pass.
    Eventually {
        #[schemars(with = "Vec<Step>")]
        steps: Vec<Value>,
        #[serde(default = "wait_timeout")]
        timeout_ms: u64,
    },
    Fault(SetFault),
    /// Clears a named fault, or all of a side, or all.
    Clear {
        org: Option<String>,
        side: Option<Role>,
        name: Option<String>,
    },
    /// Opens connections to a side that accepts none, until no more fit: then connects hang. They
    /// are closed by `clear`.
    FillBacklog {
        org: Option<String>,
        side: Role,
    },
    /// Sets a fault of a proxy, the scenario's first where none is named; `clear` takes it off.
    ProxyFault {
        proxy: Option<String>,
        fault: ProxyFault,
    },
    /// Says which sides serve.
    Authority {
        org: Option<String>,
        active: Authority,
    },
    /// Says how commits cross.
    Replication {
        org: Option<String>,
        replication: Replication,
    },
    /// Lets what was committed cross now.
    Replicate {
        org: Option<String>,
    },
    SetAutoSwitch(SetAutoSwitch),
    /// Switches by hand.
    SwitchEndpoint {
        #[serde(default = "the_client")]
        client: String,
        expect: Option<ExpectRefusal>,
    },
    /// Reads the WSDL's policy now.
    Discover {
        #[serde(default = "the_client")]
        client: String,
        expect: Option<ExpectRefusal>,
    },
    /// Waits for a condition on a side.
    Wait {
        org: Option<String>,
        side: Role,
        condition: Condition,
        #[serde(default = "wait_timeout")]
        timeout_ms: u64,
    },
    /// The events since the last step that expected events, all of them, in this order.
    ExpectEvents {
        #[serde(default = "the_client")]
        client: String,
        events: Vec<ExpectEvent>,
    },
    /// The entries of the ledger, all of them, in the order of their numbers.
    ExpectLedger {
        #[serde(default = "the_client")]
        client: String,
        selection: Selection,
        entries: Vec<ExpectLedgerEntry>,
    },
    Verify(Verify),
    Replay(Replay),
    Settle(Settle),
    SuspectSince(SuspectSince),
    Maintenance(Maintenance),
    Override(SetOverride),
    Resolve(Resolve),
    /// The client's endpoints.
    ExpectState {
        #[serde(default = "the_client")]
        client: String,
        state: ExpectState,
    },
    ExpectRows(ExpectRows),
    ExpectRequests(Requests),
    ExpectProxyRequests(ProxyRequests),
    /// The attempts that the prepare hook was handed since the last such step, all of them, in this
    /// order.
    ExpectPrepared {
        #[serde(default = "the_client")]
        client: String,
        prepared: Vec<ExpectPrepared>,
    },
    /// What the twin counted at a side, by the names of its counts.
    ExpectCounts {
        org: Option<String>,
        side: Role,
        counts: Map<String, Value>,
    },
    /// Kills the subject's process where it is, and starts another, with this in its environment: the
    /// clients are gone, and so are their calls.
    Restart {
        #[serde(default)]
        environment: BTreeMap<String, String>,
    },
    /// Closes the client.
    Close {
        #[serde(default = "the_client")]
        client: String,
        expect: Option<ExpectRefusal>,
    },
}

/// Opens a client on the first organization's primary, or on `url`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) url: Option<String>,
    /// By their names in C.
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
    pub(crate) on_required: Option<OnRequired>,
    pub(crate) on_switched: Option<OnSwitched>,
    /// Other kinds of events that are recorded.
    #[serde(default)]
    pub(crate) events: Vec<Heard>,
    pub(crate) token: Option<Token>,
    /// What is found for these hosts, and nothing for others.
    pub(crate) resolver: Option<BTreeMap<String, Resolution>>,
    pub(crate) prepare: Option<Prepare>,
    #[serde(default)]
    pub(crate) trust: Trust,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// A blocking call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) request: ScenarioRequest,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) attempt_timeout_ms: Option<u64>,
    pub(crate) operation: Option<Operation>,
    #[serde(default)]
    pub(crate) guarded_create: bool,
    #[serde(default)]
    pub(crate) upsert: bool,
    pub(crate) tag: Option<String>,
    pub(crate) stream: Option<Stream>,
    pub(crate) expect: ExpectCall,
    /// Variables that are set from what came of it.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, Save>,
}

/// A call that runs beside the steps that follow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    /// Names it.
    pub(crate) call: String,
    pub(crate) request: ScenarioRequest,
    /// Submitted to the library; a blocking call on a thread of its own by default.
    #[serde(default)]
    pub(crate) submit: bool,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) attempt_timeout_ms: Option<u64>,
    pub(crate) operation: Option<Operation>,
    #[serde(default)]
    pub(crate) guarded_create: bool,
    #[serde(default)]
    pub(crate) upsert: bool,
    pub(crate) tag: Option<String>,
    pub(crate) stream: Option<Stream>,
}

/// The end of a started call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Await {
    pub(crate) call: String,
    pub(crate) expect: ExpectCall,
    /// Variables that are set from what came of it.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, Save>,
}

/// Many calls, `concurrency` at a time, to the end of the last; `${i}` counts them from 0.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) count: usize,
    pub(crate) concurrency: usize,
    /// A request, read anew for each call.
    #[schemars(with = "ScenarioRequest")]
    pub(crate) request: Value,
    pub(crate) expect: BurstCounts,
}

/// Sets a fault, now or later, until it is cleared or for a time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetFault {
    pub(crate) org: Option<String>,
    pub(crate) side: Role,
    pub(crate) fault: Fault,
    /// Names the fault for `clear`.
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) after_ms: u64,
    pub(crate) for_ms: Option<u64>,
}

/// Sets EndpointAutoSwitchEnabled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAutoSwitch {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) enabled: bool,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Asks what became of the write `id`, or of the suspect that stands at that place in the list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_of(["suspect", "id"])))]
pub(crate) struct Verify {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) suspect: Option<usize>,
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) submit: bool,
    /// By a read of this.
    pub(crate) url: Option<String>,
    pub(crate) verified: Option<Verified>,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Sends the write `id` again, or the suspect that stands at that place in the list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_of(["suspect", "id"])))]
pub(crate) struct Replay {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) suspect: Option<usize>,
    pub(crate) id: Option<String>,
    /// The application wants it for just this write, whatever was found of it.
    #[serde(default)]
    pub(crate) wanted: bool,
    #[serde(default)]
    pub(crate) submit: bool,
    /// The status of the service's answer.
    pub(crate) status: Option<u16>,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Goes over all writes that are to be verified.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settle {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    #[serde(default = "yes")]
    pub(crate) verify: bool,
    #[serde(default = "yes")]
    pub(crate) confirm: bool,
    #[serde(default = "yes")]
    pub(crate) replay: bool,
    #[serde(default)]
    pub(crate) submit: bool,
    pub(crate) settled: Option<ExpectSettled>,
    pub(crate) expect: Option<ExpectRefusal>,
}

fn yes() -> bool {
    true
}

/// Tells of a loss of data: what was acknowledged since is to be verified.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspectSince {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    /// Milliseconds since 1970: a variable that was saved as `now`.
    pub(crate) since: String,
    /// How many writes that were acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// Whether the record goes as far back as was asked for.
    pub(crate) is_whole: Option<bool>,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Announces an interruption, from and to so many milliseconds after now.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maintenance {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Puts the operator's override into the client's store.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOverride {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    /// Absent: takes it away.
    pub(crate) value: Option<Override>,
    /// How long after now it ends by itself.
    pub(crate) for_ms: Option<i64>,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// Tells the ledger what was found out about the write `id`, or about the suspect that stands at
/// that place in the list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_of(["suspect", "id"])))]
pub(crate) struct Resolve {
    #[serde(default = "the_client")]
    pub(crate) client: String,
    pub(crate) suspect: Option<usize>,
    pub(crate) id: Option<String>,
    pub(crate) resolution: FoundOut,
    pub(crate) expect: Option<ExpectRefusal>,
}

/// The rows of an organization.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectRows {
    pub(crate) org: Option<String>,
    /// Only rows of this name.
    pub(crate) name: Option<String>,
    /// How many the primary has.
    pub(crate) primary: Option<usize>,
    /// How many the alternate has.
    pub(crate) alternate: Option<usize>,
    /// How many names stand for more than one row, of all rows.
    pub(crate) duplicates: Option<usize>,
}

/// Whose certificates the client trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trust {
    /// The twin's.
    #[default]
    Twin,
    /// Those of an authority that signed nothing here.
    Stranger,
}

/// What is kept of a response, as a variable for later steps.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Save {
    /// A header, by its name in lower case.
    Header(String),
    /// A text in the JSON body, by its JSON pointer.
    Json(String),
    /// The write's number in the ledger; an error has one as well.
    LedgerId,
    /// When it had ended, in milliseconds since 1970.
    Now,
}

fn the_client() -> String {
    "c".to_owned()
}

fn wait_timeout() -> u64 {
    10_000
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_at_any_depth() {
        let good = json!({"do": "call", "request": {"who_am_i": "web_api"},
            "expect": {"response": {"status": 200, "attempts": [{"fault": null}]}}});
        serde_json::from_value::<Step>(good).unwrap();
        for bad in [
            json!({"do": "close", "clent": "c"}),
            json!({"do": "clse"}),
            json!({"do": "call", "request": {"who_am_i": "web_api", "x": 1},
                "expect": {"response": {"status": 200}}}),
            json!({"do": "call", "request": {"create": {"via": "soap", "name": "a", "idd": "b"}},
                "expect": {"response": {"status": 200}}}),
            json!({"do": "call", "request": {"who_am_i": "web_api"},
                "expect": {"response": {"sttus": 200}}}),
            json!({"do": "call", "request": {"who_am_i": "web_api"},
                "expect": {"response": {"attempts": [{"falt": null}]}}}),
            json!({"do": "fault", "side": "primary", "fault": {"kind": "refuse", "tims": 1}}),
            json!({"do": "wait", "side": "primary", "condition": {"recieved_at_least": 1}}),
            json!({"do": "expect_events", "events": [{"event": "EndpointSwitched", "rason": ""}]}),
            json!({"do": "expect_state", "state": {"epch": 1}}),
        ] {
            assert!(
                serde_json::from_value::<Step>(bad.clone()).is_err(),
                "{bad}"
            );
        }
    }
}
