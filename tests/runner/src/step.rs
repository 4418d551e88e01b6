//! The verbs of a scenario.

use std::collections::BTreeMap;

use d365_twin::{Authority, Condition, Fault, ProxyFault, Replication, Role};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::expect::{
    BurstCounts, ExpectCall, ExpectEvent, ExpectLedgerEntry, ExpectPrepared, ExpectRefusal,
    ExpectState,
};
use crate::protocol::{
    FoundOut, Heard, OnRequired, OnSwitched, Prepare, Resolution, Selection, Stream, Token,
};
use crate::request::ScenarioRequest;
use crate::seen::{ProxyRequests, Requests};

/// One step.
///
/// `client` is `c` where none is named, `org` the scenario's first organization.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Opens a client on the first organization's primary, or on `url`.
    Open {
        #[serde(default = "the_client")]
        client: String,
        url: Option<String>,
        #[serde(default)]
        settings: Map<String, Value>,
        on_required: Option<OnRequired>,
        on_switched: Option<OnSwitched>,
        /// Other kinds of events that are recorded.
        #[serde(default)]
        events: Vec<Heard>,
        token: Option<Token>,
        /// What is found for these hosts, and nothing for others.
        resolver: Option<BTreeMap<String, Resolution>>,
        prepare: Option<Prepare>,
        #[serde(default)]
        trust: Trust,
        expect: Option<ExpectRefusal>,
    },
    /// A blocking call.
    Call {
        #[serde(default = "the_client")]
        client: String,
        request: ScenarioRequest,
        timeout_ms: Option<u64>,
        connect_timeout_ms: Option<u64>,
        attempt_timeout_ms: Option<u64>,
        operation: Option<String>,
        #[serde(default)]
        guarded_create: bool,
        #[serde(default)]
        upsert: bool,
        tag: Option<String>,
        stream: Option<Stream>,
        expect: Box<ExpectCall>,
        #[serde(default)]
        save: BTreeMap<String, Save>,
    },
    /// A call that runs beside the steps that follow.
    Start {
        #[serde(default = "the_client")]
        client: String,
        call: String,
        request: ScenarioRequest,
        #[serde(default)]
        submit: bool,
        timeout_ms: Option<u64>,
        connect_timeout_ms: Option<u64>,
        attempt_timeout_ms: Option<u64>,
        operation: Option<String>,
        #[serde(default)]
        guarded_create: bool,
        #[serde(default)]
        upsert: bool,
        tag: Option<String>,
        stream: Option<Stream>,
    },
    /// The end of a started call.
    Await {
        call: String,
        expect: Box<ExpectCall>,
        #[serde(default)]
        save: BTreeMap<String, Save>,
    },
    /// Cancels a submitted call.
    Cancel { call: String },
    /// Many calls, `concurrency` at a time, to the end of the last; `${i}` counts them from 0.
    Burst {
        #[serde(default = "the_client")]
        client: String,
        count: usize,
        concurrency: usize,
        /// A request, read anew for each call.
        request: Value,
        expect: BurstCounts,
    },
    /// The steps, so many times; `${n}` counts from 0.
    Repeat { times: usize, steps: Vec<Value> },
    /// The steps, again and again, until they pass.
    Eventually {
        steps: Vec<Value>,
        #[serde(default = "wait_timeout")]
        timeout_ms: u64,
    },
    /// Sets a fault, now or later, until it is cleared or for a time.
    Fault {
        org: Option<String>,
        side: Role,
        fault: Fault,
        /// Names the fault for `clear`.
        name: Option<String>,
        #[serde(default)]
        after_ms: u64,
        for_ms: Option<u64>,
    },
    /// Clears a named fault, or all of a side, or all.
    Clear {
        org: Option<String>,
        side: Option<Role>,
        name: Option<String>,
    },
    /// Opens connections to a side that accepts none, until no more fit: then connects hang. They
    /// are closed by `clear`.
    FillBacklog { org: Option<String>, side: Role },
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
    Replicate { org: Option<String> },
    /// Sets EndpointAutoSwitchEnabled.
    SetAutoSwitch {
        #[serde(default = "the_client")]
        client: String,
        enabled: bool,
        expect: Option<ExpectRefusal>,
    },
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
    /// The events since the last such step are those of these automatic switches, and no others:
    /// for each Required and Switched, in this order.
    ExpectSwitches {
        #[serde(default = "the_client")]
        client: String,
        org: Option<String>,
        switches: Vec<ExpectSwitch>,
    },
    /// The entries of the ledger, all of them, in the order of their numbers.
    ExpectLedger {
        #[serde(default = "the_client")]
        client: String,
        selection: Selection,
        entries: Vec<ExpectLedgerEntry>,
    },
    /// Asks what became of the write `id`, or of the suspect that stands at that place in the list.
    Verify {
        #[serde(default = "the_client")]
        client: String,
        suspect: Option<usize>,
        id: Option<String>,
        #[serde(default)]
        submit: bool,
        verified: Option<String>,
        expect: Option<ExpectRefusal>,
    },
    /// Tells of a loss of data: what was acknowledged since is to be verified.
    SuspectSince {
        #[serde(default = "the_client")]
        client: String,
        /// Milliseconds since 1970: a variable that was saved as `now`.
        since: String,
        acknowledged: Option<u64>,
        is_whole: Option<bool>,
        expect: Option<ExpectRefusal>,
    },
    /// Tells the ledger what was found out about the write `id`, or about the suspect that stands
    /// at that place in the list of them.
    Resolve {
        #[serde(default = "the_client")]
        client: String,
        suspect: Option<usize>,
        id: Option<String>,
        resolution: FoundOut,
        expect: Option<ExpectRefusal>,
    },
    /// The client's endpoints.
    ExpectState {
        #[serde(default = "the_client")]
        client: String,
        state: ExpectState,
    },
    /// The rows of an organization.
    ExpectRows {
        org: Option<String>,
        /// Only rows of this name.
        name: Option<String>,
        /// How many the primary has.
        primary: Option<usize>,
        /// How many the alternate has.
        alternate: Option<usize>,
        /// How many names stand for more than one row.
        duplicates: Option<usize>,
    },
    /// How many requests of the twin's journal are so.
    ExpectRequests(Requests),
    /// How many requests of a proxy's journal are so.
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
    /// Closes the client.
    Close {
        #[serde(default = "the_client")]
        client: String,
        expect: Option<ExpectRefusal>,
    },
}

/// One automatic switch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSwitch {
    /// The side that is left.
    pub(crate) from: Role,
    pub(crate) reason: String,
    pub(crate) epoch: u64,
}

/// Whose certificates the client trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trust {
    /// The twin's.
    #[default]
    Twin,
    /// Those of an authority that signed nothing here.
    Stranger,
}

/// What is kept of a response, as a variable for later steps.
#[derive(Clone, Debug, Deserialize)]
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
