//! The control endpoint, from another process's point of view.

mod support;

use std::thread;

use d365_twin::{Counts, OrgHandle, RowView, Twin, TwinConfig, TwinDescription};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use support::{ACCOUNTS, client, contoso, url};

struct Control {
    client: Client,
    base: String,
}

impl Control {
    fn of(twin: &Twin) -> Control {
        Control {
            client: client(twin),
            base: twin.control_url(),
        }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base)).json(&body);
        let response = request.send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }

    fn delete(&self, path: &str) -> u16 {
        self.client
            .delete(format!("{}{path}", self.base))
            .send()
            .unwrap()
            .status()
            .as_u16()
    }

    fn create(&self, org: &OrgHandle) -> Result<u16, reqwest::Error> {
        let request = self
            .client
            .post(url(&org.primary, ACCOUNTS))
            .json(&json!({"name": "a"}));
        request.send().map(|response| response.status().as_u16())
    }
}

#[test]
fn state_is_the_librarys_description() {
    let (twin, org) = contoso();
    let control = Control::of(&twin);
    let (status, state) = control.get("/state");
    assert_eq!(status, 200);
    let state: TwinDescription = serde_json::from_value(state).unwrap();
    assert_eq!(state, twin.describe());
    assert_eq!(
        state.connect_to["contoso.crm.twin.test:443"],
        format!("127.0.0.1:{}", org.primary.port())
    );
}

#[test]
fn faults_are_set_seen_and_taken_off() {
    let (twin, org) = contoso();
    let control = Control::of(&twin);
    let fault = json!({"org": "contoso", "side": "primary", "kind": "status", "status": 418,
                       "method": "POST", "times": 1});
    let (status, answer) = control.post("/faults", fault);
    assert_eq!(status, 200);
    let id = answer["fault_id"].as_u64().unwrap();
    let (_, state) = control.get("/state");
    let shown = &state["organizations"]["contoso"]["primary"]["faults"][0];
    assert_eq!(
        (&shown["id"], &shown["fault"]["kind"]),
        (&json!(id), &json!("status"))
    );
    assert_eq!(control.create(&org).unwrap(), 418);
    assert_eq!(control.create(&org).unwrap(), 204);
    assert_eq!(control.delete(&format!("/faults/{id}")), 200);
    assert_eq!(control.delete(&format!("/faults/{id}")), 404);

    control.post(
        "/faults",
        json!({"org": "contoso", "side": "primary", "kind": "refuse"}),
    );
    assert!(control.create(&org).unwrap_err().is_connect());
    control.post("/clear", json!({"org": "contoso", "side": "alternate"}));
    assert!(control.create(&org).unwrap_err().is_connect());
    assert_eq!(control.post("/clear", json!({})).0, 200);
    assert_eq!(control.create(&org).unwrap(), 204);
}

#[test]
fn authority_tokens_and_wsdl_are_set() {
    let (twin, org) = contoso();
    let control = Control::of(&twin);
    let passive = json!({"kind": "html_page", "status": 403});
    let body = json!({"org": "contoso", "active": "alternate", "passive": passive});
    assert_eq!(control.post("/authority", body).0, 200);
    assert_eq!(control.create(&org).unwrap(), 403);
    assert_eq!(
        control
            .post("/authority", json!({"org": "contoso", "active": "both"}))
            .0,
        200
    );
    assert_eq!(
        control
            .post("/tokens", json!({"org": "contoso", "tokens": "check"}))
            .0,
        200
    );
    assert_eq!(control.create(&org).unwrap(), 401);
    let wsdl = json!({"org": "contoso", "wsdl": {"unreadable": true}});
    assert_eq!(control.post("/wsdl", wsdl).0, 200);
    let path = url(&org.primary, support::WSDL);
    let text = control.client.get(path).send().unwrap().text().unwrap();
    assert!(roxmltree::Document::parse(&text).is_err());
}

#[test]
fn rows_journal_and_replication_are_seen_and_steered() {
    let (twin, org) = contoso();
    let control = Control::of(&twin);
    let replication = json!({"org": "contoso", "mode": "manual"});
    assert_eq!(control.post("/replication", replication).0, 200);
    control.create(&org).unwrap();
    control.create(&org).unwrap();
    let rows =
        || -> Vec<RowView> { serde_json::from_value(control.get("/rows?org=contoso").1).unwrap() };
    assert!(rows().iter().all(|row| row.primary && !row.alternate));
    assert_eq!(
        control.post("/replicate", json!({"org": "contoso"})).1["crossed"],
        2
    );
    assert_eq!(rows(), org.rows());
    assert!(rows().iter().all(|row| row.same));
    let (_, duplicates) = control.get("/duplicates?org=contoso");
    assert_eq!(duplicates[0]["ids"].as_array().unwrap().len(), 2);
    assert_eq!(
        control.get("/journal").1,
        serde_json::to_value(twin.journal()).unwrap()
    );
    let (_, rest) = control.get("/journal?org=contoso&after=1");
    assert_eq!(
        (rest.as_array().unwrap().len(), &rest[0]["seq"]),
        (1, &json!(2))
    );
}

#[test]
fn wait_returns_when_it_holds_and_tells_what_it_saw_when_not() {
    let (twin, org) = contoso();
    let control = Control::of(&twin);
    let stall = json!({"org": "contoso", "side": "primary", "kind": "stall"});
    control.post("/faults", stall);
    thread::scope(|scope| {
        let call = scope.spawn(|| control.create(&org).unwrap());
        let (status, counts) =
            control.get("/wait?org=contoso&side=primary&in_flight_at_least=1&timeout_ms=30000");
        assert_eq!(status, 200);
        let counts: Counts = serde_json::from_value(counts).unwrap();
        assert_eq!((counts.in_flight, counts.received), (1, 1));
        control.post("/clear", json!({"org": "contoso"}));
        assert_eq!(call.join().unwrap(), 204);
    });
    let (status, error) =
        control.get("/wait?org=contoso&side=primary&received_at_least=2&timeout_ms=1");
    assert_eq!(status, 408);
    assert!(
        error["error"].as_str().unwrap().contains("\"received\":1"),
        "{error}"
    );
}

#[test]
fn organizations_are_added_while_it_runs() {
    let (twin, _) = contoso();
    let control = Control::of(&twin);
    let (status, added) = control.post("/orgs", json!({"name": "fabrikam", "scheme": "http"}));
    assert_eq!(
        (status, &added["primary"]["url"]),
        (200, &json!("http://fabrikam.crm.twin.test"))
    );
    let fabrikam = twin.org("fabrikam").unwrap();
    assert_eq!(Control::of(&twin).create(&fabrikam).unwrap(), 204);
    let (status, error) = control.post("/orgs", json!({"name": "fabrikam"}));
    assert_eq!(status, 400);
    assert!(error["error"].as_str().unwrap().contains("another name"));
    let host = json!({"name": "other", "primary_host": "contoso.crm.twin.test"});
    assert!(
        control.post("/orgs", host).1["error"]
            .as_str()
            .unwrap()
            .contains("taken")
    );
}

#[test]
fn mistakes_are_refused_with_a_word_of_help() {
    let (twin, _) = contoso();
    let control = Control::of(&twin);
    for (path, body, status, word) in [
        (
            "/faults",
            json!({"org": "contoso", "kind": "cut_body"}),
            400,
            "side",
        ),
        (
            "/faults",
            json!({"org": "nobody", "side": "primary", "kind": "cut_body"}),
            404,
            "nobody",
        ),
        (
            "/faults",
            json!({"org": "contoso", "side": "primary", "kind": "x"}),
            400,
            "cut_body",
        ),
        ("/authority", json!({"org": "contoso"}), 400, "active"),
        (
            "/replication",
            json!({"org": "contoso", "mode": "lag", "lag": 1}),
            400,
            "lag_ms",
        ),
        ("/nothing", json!({}), 404, "/faults"),
    ] {
        let (answered, error) = control.post(path, body);
        assert_eq!(answered, status, "{path}: {error}");
        assert!(
            error["error"].as_str().unwrap().contains(word),
            "{path}: {error}"
        );
    }
    assert_eq!(control.get("/rows").0, 400);
    assert_eq!(
        control
            .get("/wait?org=contoso&side=primary&recieved_at_least=1")
            .0,
        400
    );
    assert_eq!(control.get("/journal?side=primary").0, 400);
}

#[test]
fn a_port_that_is_taken_is_an_error_also_within_a_runtime() {
    let (twin, _) = contoso();
    let config = TwinConfig {
        control_port: twin.control_port(),
        ..TwinConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let started = runtime.block_on(async { Twin::start(config).map(drop) });
    assert!(
        started
            .unwrap_err()
            .to_string()
            .contains("control endpoint")
    );
    let started = runtime.block_on(async { Twin::start(TwinConfig::default()).map(drop) });
    assert!(started.is_ok());
}

#[test]
fn shutdown_is_asked_of_the_owner() {
    let (twin, _) = contoso();
    let control = Control::of(&twin);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| twin.wait_for_shutdown_request());
        assert_eq!(control.post("/shutdown", json!({})).0, 200);
        waiting.join().unwrap();
    });
}
