//! The Web API as an HTTP client sees it.

mod support;

use d365_twin::{Condition, OrganizationConfig, Scheme};
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use support::{ACCOUNTS, LONG, client, contoso, twin, url};
use uuid::Uuid;

fn send(client: &Client, method: Method, url: &str, body: Option<Value>) -> Response {
    let request = client.request(method, url);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    request.send().expect("an answer")
}

fn error_code(response: Response) -> String {
    let body: Value = response.json().expect("JSON");
    body["error"]["code"].as_str().expect("a code").to_owned()
}

fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().expect("text").to_owned()
}

#[test]
fn create_names_the_row_on_the_host_that_answered() {
    let (twin, org) = contoso();
    let client = client(&twin);
    for side in [&org.primary, &org.alternate] {
        let body = json!({"name": side.role().to_string()});
        let response = send(&client, Method::POST, &url(side, ACCOUNTS), Some(body));
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "OData-Version"), "4.0");
        let row = header(&response, "OData-EntityId");
        assert!(
            row.starts_with(&url(side, "/api/data/v9.2/accounts(")),
            "{row}"
        );
        let read: Value = send(&client, Method::GET, &row, None).json().unwrap();
        assert_eq!(read["name"], side.role().to_string());
        assert!(row.contains(read["accountid"].as_str().unwrap()));
    }
    assert_eq!(org.primary.counts().creates, 1);
    assert_eq!(org.rows().len(), 2);
    org.primary.wait_for(Condition::idle(), LONG).unwrap();
    assert!(twin.journal().iter().all(|entry| entry.answered));
}

#[test]
fn the_host_without_a_port_is_the_default_one() {
    let (twin, org) = contoso();
    let host = org.primary.host();
    let request = client(&twin)
        .post(url(&org.primary, ACCOUNTS))
        .header("Host", &host);
    let response = request.json(&json!({"name": "a"})).send().unwrap();
    let row = header(&response, "OData-EntityId");
    assert!(
        row.starts_with("https://contoso.crm.twin.test/api/data/v9.2/accounts("),
        "{row}"
    );
}

#[test]
fn create_with_representation_and_a_chosen_id() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let id = Uuid::from_u128(0xA11CE);
    let create = || {
        let request = client.post(url(&org.primary, "/api/data/v9.2/opportunities"));
        let request = request.header("Prefer", "return=representation");
        request
            .json(&json!({"name": "o", "opportunityid": id}))
            .send()
            .unwrap()
    };
    let response = create();
    assert_eq!(response.status(), 201);
    let row: Value = response.json().unwrap();
    assert_eq!(row["opportunityid"], json!(id));
    assert_eq!(row["@odata.etag"], "W/\"1\"");
    let response = create();
    assert_eq!(response.status(), 412);
    assert_eq!(error_code(response), "0x80040237");
    assert_eq!(org.primary.counts().committed, 1);
}

#[test]
fn patch_keeps_its_conditions() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let row = url(&org.primary, &format!("{ACCOUNTS}({})", Uuid::from_u128(1)));
    let patch = |header: Option<(&str, &str)>, body: Value| {
        let request = client.patch(&row).json(&body);
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        request.send().unwrap()
    };
    let missing = patch(Some(("If-Match", "*")), json!({"name": "a"}));
    assert_eq!(
        (missing.status().as_u16(), error_code(missing).as_str()),
        (404, "0x80040217")
    );
    assert_eq!(patch(None, json!({"name": "a", "n": 1})).status(), 204);
    let there = patch(Some(("If-None-Match", "*")), json!({"name": "b"}));
    assert_eq!(
        (there.status().as_u16(), error_code(there).as_str()),
        (412, "0x80040237")
    );
    assert_eq!(
        patch(Some(("If-Match", "W/\"1\"")), json!({"n": 2})).status(),
        204
    );
    let stale = patch(Some(("If-Match", "W/\"1\"")), json!({"n": 3}));
    assert_eq!(
        (stale.status().as_u16(), error_code(stale).as_str()),
        (412, "0x80060882")
    );
    let read: Value = send(&client, Method::GET, &row, None).json().unwrap();
    assert_eq!((&read["name"], &read["n"]), (&json!("a"), &json!(2)));
    let counts = org.primary.counts();
    assert_eq!((counts.creates, counts.updates, counts.deletes), (1, 1, 0));
}

#[test]
fn delete_says_whether_there_was_a_row() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let row = url(&org.primary, &format!("{ACCOUNTS}({})", Uuid::from_u128(1)));
    assert_eq!(
        send(&client, Method::PATCH, &row, Some(json!({"name": "a"}))).status(),
        204
    );
    assert_eq!(send(&client, Method::DELETE, &row, None).status(), 204);
    let gone = send(&client, Method::DELETE, &row, None);
    assert_eq!(
        (gone.status().as_u16(), error_code(gone).as_str()),
        (404, "0x80040217")
    );
    assert!(org.rows().is_empty());
    assert_eq!(org.primary.counts().deletes, 1);
}

#[test]
fn queries_filter_select_count_and_limit() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let accounts = url(&org.primary, ACCOUNTS);
    for name in ["a", "b", "b"] {
        send(
            &client,
            Method::POST,
            &accounts,
            Some(json!({"name": name, "n": 1})),
        );
    }
    let ask = |query: &str| -> Value {
        send(&client, Method::GET, &format!("{accounts}?{query}"), None)
            .json()
            .unwrap()
    };
    let found = ask("$filter=name%20eq%20'b'&$select=name&$top=1&$count=true");
    assert_eq!(found["@odata.count"], 2);
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    assert_eq!(found["value"][0]["name"], "b");
    assert!(found["value"][0].get("n").is_none());
    let context = url(&org.primary, "/api/data/v9.2/$metadata#accounts");
    assert_eq!(ask("$top=9")["@odata.context"], context);
    assert_eq!(ask("$expand=x")["error"]["code"], "0x80040203");
    assert_eq!(org.duplicates().len(), 1);
    assert_eq!(org.duplicates()[0].ids.len(), 2);
}

#[test]
fn who_am_i_is_the_same_organization_on_both_sides() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let ask = |side| -> Value {
        let url = url(side, "/api/data/v9.2/WhoAmI");
        send(&client, Method::GET, &url, None).json().unwrap()
    };
    let (primary, alternate) = (ask(&org.primary), ask(&org.alternate));
    for name in ["BusinessUnitId", "UserId", "OrganizationId"] {
        assert!(Uuid::try_parse(primary[name].as_str().unwrap()).is_ok());
        assert_eq!(primary[name], alternate[name]);
    }
}

#[test]
fn what_is_not_there_is_told_apart() {
    let (twin, org) = contoso();
    let client = client(&twin);
    let get = |path: &str| send(&client, Method::GET, &url(&org.primary, path), None);
    let row = get(&format!("{ACCOUNTS}({})", Uuid::from_u128(9)));
    assert_eq!(header(&row, "OData-Version"), "4.0");
    assert_eq!(
        (row.status().as_u16(), error_code(row).as_str()),
        (404, "0x80040217")
    );
    let path = get("/nowhere");
    assert_eq!(path.status(), 404);
    assert!(path.headers().get("OData-Version").is_none());
    assert!(header(&path, "Content-Type").starts_with("text/html"));
    let method = send(
        &client,
        Method::PUT,
        &url(&org.primary, ACCOUNTS),
        Some(json!({})),
    );
    assert_eq!(
        (method.status().as_u16(), header(&method, "Allow").as_str()),
        (405, "GET, POST")
    );
}

#[test]
fn another_host_is_an_invalid_hostname() {
    let (twin, org) = contoso();
    let request = client(&twin).get(url(&org.primary, "/api/data/v9.2/WhoAmI"));
    let response = request.header("Host", org.alternate.host()).send().unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().unwrap().contains("Invalid Hostname"));
    assert_eq!(org.primary.counts().wrong_host, 1);
}

#[test]
fn an_alias_answers_under_its_own_name() {
    let mut config = OrganizationConfig::new("contoso");
    config.primary_aliases = vec!["contoso.api.crm.twin.test".into()];
    let (twin, org) = twin(config);
    let url = format!(
        "https://contoso.api.crm.twin.test:{}{ACCOUNTS}",
        org.primary.port()
    );
    let response = send(
        &client(&twin),
        Method::POST,
        &url,
        Some(json!({"name": "a"})),
    );
    assert!(header(&response, "OData-EntityId").starts_with(&url));
}

#[test]
fn a_side_can_be_plain() {
    let mut config = OrganizationConfig::new("contoso");
    config.scheme = Scheme::Http;
    let (twin, org) = twin(config);
    assert_eq!(org.primary.url(), "http://contoso.crm.twin.test");
    assert_eq!(org.connect_to()[0].0, "contoso.crm.twin.test:80");
    let response = send(
        &client(&twin),
        Method::POST,
        &url(&org.primary, ACCOUNTS),
        Some(json!({"name": "a"})),
    );
    assert_eq!(response.status(), 204);
}
