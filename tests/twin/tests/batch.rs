//! `$batch` as an HTTP client sees it.

mod support;

use d365_twin::{OrganizationConfig, Replication, SideHandle, Twin};
use serde_json::{Value, json};
use support::{client, contoso, twin, url};

const BATCH: &str = "/api/data/v9.2/$batch";

/// What came back: status of the batch, and of its parts in order.
struct Answer {
    status: u16,
    parts: Vec<u16>,
    text: String,
}

fn send(twin: &Twin, side: &SideHandle, parts: &[String], prefer: &str) -> Answer {
    let mut body: String = parts
        .iter()
        .map(|part| format!("--batch_1\r\n{part}\r\n"))
        .collect();
    body += "--batch_1--\r\n";
    let request = client(twin)
        .post(url(side, BATCH))
        .header("Content-Type", "multipart/mixed; boundary=\"batch_1\"")
        .header("Prefer", prefer);
    let response = request.body(body).send().unwrap();
    let status = response.status().as_u16();
    let text = response.text().unwrap();
    let parts = text
        .lines()
        .filter_map(|line| line.strip_prefix("HTTP/1.1 "))
        .map(|line| line[..3].parse().unwrap())
        .collect();
    Answer {
        status,
        parts,
        text,
    }
}

/// A request as a part; `id` is its `Content-ID`.
fn part(id: Option<u32>, method: &str, target: &str, body: &str) -> String {
    let id = id.map_or(String::new(), |id| format!("Content-ID: {id}\r\n"));
    format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}\r\n{method} \
         {target} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}"
    )
}

fn change_set(parts: &[String]) -> String {
    let changes: String = parts
        .iter()
        .map(|part| format!("--changes_1\r\n{part}\r\n"))
        .collect();
    format!("Content-Type: multipart/mixed; boundary=changes_1\r\n\r\n{changes}--changes_1--\r\n")
}

fn row(name: &str) -> String {
    format!(r#"{{"name": "{name}"}}"#)
}

/// The JSON bodies of the parts.
fn bodies(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn each_part_is_answered_in_its_order() {
    let (twin, org) = contoso();
    let absolute = url(&org.primary, "/api/data/v9.2/accounts");
    let answer = send(
        &twin,
        &org.primary,
        &[
            part(None, "POST", "/api/data/v9.2/accounts", &row("a")),
            part(None, "POST", &absolute, &row("b")),
            part(None, "POST", "accounts", &row("c")),
            part(None, "GET", "accounts?$filter=name%20eq%20'b'", ""),
        ],
        "",
    );
    assert_eq!(
        (answer.status, answer.parts),
        (200, vec![204, 204, 204, 200])
    );
    let found = &bodies(&answer.text)[0]["value"];
    assert_eq!(found[0]["name"], "b");
    let entity = url(&org.primary, "/api/data/v9.2/accounts(");
    let named = format!("odata-entityid: {entity}");
    assert_eq!(answer.text.matches(&named).count(), 3);
    let counts = org.primary.counts();
    assert_eq!((counts.received, counts.committed), (1, 3));
    let journal = twin.journal();
    assert!(journal[0].committed && journal[0].path == BATCH);
}

#[test]
fn a_part_without_headers_or_empty_line_is_a_request() {
    let (twin, org) = contoso();
    let bare = "Content-Type: application/http\r\n\r\nGET /api/data/v9.2/WhoAmI HTTP/1.1".into();
    let answer = send(&twin, &org.primary, &[bare], "");
    assert_eq!(answer.parts, [200]);
    assert!(answer.text.contains("OrganizationId"));
}

#[test]
fn the_first_failure_ends_the_batch_unless_it_goes_on() {
    let missing = "accounts(00000000-0000-0000-0000-000000000001)";
    let parts = [
        part(None, "POST", "accounts", &row("a")),
        part(None, "DELETE", missing, ""),
        part(None, "POST", "accounts", &row("b")),
    ];
    let (twin, org) = contoso();
    let answer = send(&twin, &org.primary, &parts, "");
    assert_eq!((answer.status, answer.parts), (404, vec![204, 404]));
    assert!(answer.text.contains("0x80040217"));
    assert_eq!(org.rows().len(), 1);
    let answer = send(&twin, &org.primary, &parts, "odata.continue-on-error");
    assert_eq!((answer.status, answer.parts), (200, vec![204, 404, 204]));
    assert_eq!(org.rows().len(), 3);
}

#[test]
fn a_change_set_refers_to_its_own_rows() {
    let (twin, org) = contoso();
    let bound = r#"{"name": "c", "parentcustomerid_account@odata.bind": "$1"}"#;
    let answer = send(
        &twin,
        &org.primary,
        &[change_set(&[
            part(Some(1), "POST", "/api/data/v9.2/accounts", &row("a")),
            part(Some(2), "POST", "/api/data/v9.2/contacts", bound),
            part(Some(3), "PATCH", "$1", &row("renamed")),
        ])],
        "",
    );
    assert_eq!((answer.status, answer.parts), (200, vec![204, 204, 204]));
    assert!(answer.text.contains("boundary=changesetresponse_"));
    let ids = answer.text.matches("Content-ID: ").count();
    assert_eq!(ids, 3);
    let rows = org.rows();
    assert_eq!(rows[0].name.as_deref(), Some("renamed"));
    assert_eq!(
        rows[1].attributes["_parentcustomerid_account_value"],
        rows[0].id.to_string()
    );
}

#[test]
fn a_change_set_happens_whole_or_not() {
    let mut config = OrganizationConfig::new("contoso");
    config.replication = Replication::manual();
    let (twin, org) = twin(config);
    let missing = "accounts(00000000-0000-0000-0000-000000000001)";
    let failing = change_set(&[
        part(Some(1), "POST", "accounts", &row("a")),
        part(Some(2), "DELETE", missing, ""),
        part(Some(3), "POST", "accounts", &row("b")),
    ]);
    let before = part(None, "POST", "accounts", &row("before"));
    let after = change_set(&[part(Some(1), "POST", "accounts", &row("after"))]);
    let parts = [before, failing, after];
    let answer = send(&twin, &org.primary, &parts, "odata.continue-on-error");
    assert_eq!((answer.status, answer.parts), (200, vec![204, 404, 204]));
    let mut names: Vec<_> = org.rows().into_iter().filter_map(|row| row.name).collect();
    names.sort();
    assert_eq!(names, ["after", "before"]);
    let counts = org.primary.counts();
    assert_eq!(
        (counts.committed, counts.creates, counts.deletes),
        (2, 2, 0)
    );
    assert_eq!(org.replicate().unwrap(), 2);
    assert!(org.rows().iter().all(|row| row.same));
}

#[test]
fn what_a_change_set_must_not_hold_undoes_it() {
    let (twin, org) = contoso();
    for wrong in [
        part(Some(2), "GET", "accounts", ""),
        part(Some(2), "PATCH", "$7", &row("b")),
        part(Some(2), "POST", "contacts", r#"{"a@odata.bind": "$7"}"#),
        part(Some(2), "POST", "$batch", ""),
        part(
            Some(2),
            "POST",
            "https://elsewhere.twin.test/api/data/v9.2/accounts",
            "{}",
        ),
        "Content-Type: application/http\r\n\r\nno request".into(),
    ] {
        let first = part(Some(1), "POST", "accounts", &row("a"));
        let answer = send(&twin, &org.primary, &[change_set(&[first, wrong])], "");
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    assert!(org.rows().is_empty());
    let counts = org.primary.counts();
    assert_eq!((counts.committed, counts.wrong_host), (0, 1));
    assert!(twin.journal().iter().all(|entry| !entry.committed));
}

#[test]
fn a_part_for_the_other_side_is_refused_and_counted() {
    let (twin, org) = contoso();
    let other = format!("{}/api/data/v9.2/accounts", org.alternate.url());
    let parts = [part(None, "POST", &other, &row("a"))];
    let answer = send(&twin, &org.primary, &parts, "");
    assert_eq!((answer.status, answer.parts), (400, vec![400]));
    assert_eq!(org.primary.counts().wrong_host, 1);
    assert!(org.rows().is_empty());
}

#[test]
fn what_is_no_batch_is_refused() {
    let (twin, org) = contoso();
    for (content_type, body) in [
        ("application/json", "{}"),
        ("multipart/mixed", "--b--"),
        ("multipart/mixed; boundary=b", "--c--"),
    ] {
        let request = client(&twin)
            .post(url(&org.primary, BATCH))
            .header("Content-Type", content_type);
        let response = request.body(body).send().unwrap();
        assert_eq!(response.status(), 400, "{content_type}");
        assert_eq!(response.headers()["OData-Version"], "4.0");
    }
    let response = client(&twin).get(url(&org.primary, BATCH)).send().unwrap();
    assert_eq!(response.status(), 405);
}

/// Sends a batch in JSON: its status, and of each answer id and status.
fn send_json(
    twin: &Twin,
    side: &SideHandle,
    requests: Value,
    prefer: &str,
) -> (u16, Vec<(String, u64)>, Value) {
    let request = client(twin)
        .post(url(side, BATCH))
        .header("Content-Type", "application/json")
        .header("Prefer", prefer);
    let response = request
        .body(json!({ "requests": requests }).to_string())
        .send()
        .unwrap();
    let status = response.status().as_u16();
    let answer: Value = response.json().unwrap();
    let responses = answer["responses"].as_array().into_iter().flatten();
    let told = responses
        .map(|one| {
            let id = one["id"].as_str().unwrap().to_owned();
            (id, one["status"].as_u64().unwrap())
        })
        .collect();
    (status, told, answer)
}

#[test]
fn a_batch_in_json_goes_as_far_as_one_in_parts() {
    let missing = "accounts(00000000-0000-0000-0000-000000000001)";
    let requests = json!([
        {"id": "a", "method": "post", "url": "accounts", "body": {"name": "a"}},
        {"id": "b", "method": "DELETE", "url": format!("/api/data/v9.2/{missing}")},
        {"id": "c", "method": "PATCH", "url": "$a", "body": {"name": "renamed"},
            "headers": {"If-Match": "*"}},
        {"id": "d", "method": "GET", "url": "$a?$select=name"}
    ]);
    let (twin, org) = contoso();
    let (status, told, answer) = send_json(&twin, &org.primary, requests.clone(), "");
    assert_eq!(status, 200);
    assert_eq!(told, [("a".into(), 204), ("b".into(), 404)]);
    assert_eq!(
        answer["responses"][1]["body"]["error"]["code"],
        "0x80040217"
    );
    assert_eq!(org.rows().len(), 1);
    let prefer = "odata.continue-on-error";
    let (_, told, answer) = send_json(&twin, &org.primary, requests, prefer);
    let told: Vec<u64> = told.into_iter().map(|(_, status)| status).collect();
    assert_eq!(told, [204, 404, 204, 200]);
    assert_eq!(answer["responses"][3]["body"]["name"], "renamed");
    let row = answer["responses"][0]["headers"]["odata-entityid"].as_str();
    assert!(row.unwrap().contains("accounts("));
}

#[test]
fn a_group_in_json_happens_whole_or_not() {
    let group = |second: &str| {
        json!([
            {"id": "1", "atomicityGroup": "g", "method": "POST", "url": "accounts", "body": {"name": "a"}},
            {"id": "2", "atomicityGroup": "g", "method": second, "url": "accounts", "body": {"name": "b"}},
            {"id": "3", "method": "GET", "url": "accounts"}
        ])
    };
    let (twin, org) = contoso();
    let (status, told, _) = send_json(&twin, &org.primary, group("DELETE"), "");
    assert_eq!((status, told.len()), (200, 1));
    assert!(told[0].0 == "2" && told[0].1 >= 400, "{told:?}");
    assert_eq!((org.rows().len(), org.primary.counts().committed), (0, 0));
    let (_, told, answer) = send_json(&twin, &org.primary, group("POST"), "");
    assert_eq!(
        told,
        [("1".into(), 204), ("2".into(), 204), ("3".into(), 200)]
    );
    assert_eq!(answer["responses"][1]["atomicityGroup"], "g");
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn nothing_is_left_of_a_group_in_json_that_did_not_happen() {
    let group = |second: Value| {
        json!([
            {"id": "1", "atomicityGroup": "g", "method": "POST", "url": "accounts", "body": {"name": "a"}},
            second,
            {"id": "3", "method": "PATCH", "url": "$1", "body": {"name": "b"}}
        ])
    };
    let (twin, org) = contoso();
    for malformed in [
        json!({"id": "2", "atomicityGroup": "g", "method": "DELETE", "url": "$1", "headers": {"X": 1}}),
        json!({"id": "2", "atomicityGroup": "g", "method": "no method", "url": "$1"}),
    ] {
        let (status, told, answer) = send_json(&twin, &org.primary, group(malformed), "");
        assert_eq!((status, told.len()), (400, 0), "{answer}");
        assert_eq!((org.rows().len(), org.primary.counts().committed), (0, 0));
    }
    let failing = json!({"id": "2", "atomicityGroup": "g", "method": "DELETE", "url": "accounts"});
    let prefer = "odata.continue-on-error";
    let (_, told, answer) = send_json(&twin, &org.primary, group(failing), prefer);
    let ids: Vec<&str> = told.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["2", "3"]);
    let said = answer["responses"][1]["body"]["error"]["message"].as_str();
    assert_eq!(said, Some("Content-ID Reference: '$1' not found."));
    assert!(org.rows().is_empty());
}

#[test]
fn what_is_no_batch_in_json_is_refused() {
    let (twin, org) = contoso();
    for body in ["{", "{}", r#"{"requests": [{"id": "1"}]}"#] {
        let request = client(&twin).post(url(&org.primary, BATCH));
        let request = request.header("Content-Type", "application/json");
        assert_eq!(request.body(body).send().unwrap().status(), 400, "{body}");
    }
}
