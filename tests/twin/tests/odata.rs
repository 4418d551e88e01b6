//! Pages, alternate keys, and the OData v2 endpoint.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use d365_twin::{FaultKind, OrganizationConfig, SideHandle, Twin};
use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};
use support::{ACCOUNTS, client, contoso, twin, url};

const V2: &str = "/XRMServices/2011/OrganizationData.svc/AccountSet";

fn send(twin: &Twin, method: Method, url: &str, headers: &[(&str, &str)], body: Value) -> Response {
    let mut request = client(twin).request(method, url).json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().unwrap()
}

fn get(twin: &Twin, url: &str, page: usize) -> Value {
    let page = format!("odata.maxpagesize={page}");
    let response = client(twin)
        .get(url)
        .header("Prefer", &page)
        .send()
        .unwrap();
    assert_eq!(response.headers()["Preference-Applied"], page.as_str());
    response.json().unwrap()
}

fn create(twin: &Twin, side: &SideHandle, rows: usize) {
    let client = client(twin);
    for row in 0..rows {
        let body = json!({"name": format!("row {row}"), "kind": row % 2});
        client.post(url(side, ACCOUNTS)).json(&body).send().unwrap();
    }
}

fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn pages_are_linked_by_absolute_urls_of_the_host_that_answered() {
    let (twin, org) = contoso();
    create(&twin, &org.primary, 7);
    let asked = "?$select=name&$filter=kind%20eq%200&$count=true";
    let mut link = url(&org.primary, &format!("{ACCOUNTS}{asked}"));
    let mut sizes = Vec::new();
    let mut names = BTreeSet::new();
    loop {
        let page = get(&twin, &link, 3);
        assert_eq!(page["@odata.count"], 4);
        let rows = page["value"].as_array().unwrap();
        sizes.push(rows.len());
        names.extend(rows.iter().map(|row| row["name"].to_string()));
        assert!(rows.iter().all(|row| row.get("kind").is_none()));
        match page.get("@odata.nextLink") {
            Some(next) => link = next.as_str().unwrap().to_owned(),
            None => break,
        }
        let expected = url(&org.primary, &format!("{ACCOUNTS}{asked}&$skiptoken="));
        assert!(link.starts_with(&expected), "{link}");
        assert_eq!(link.matches("skiptoken").count(), 1);
    }
    assert_eq!((sizes, names.len()), (vec![3, 1], 4));
}

#[test]
fn a_page_that_holds_all_has_no_link() {
    let (twin, org) = contoso();
    create(&twin, &org.primary, 4);
    let accounts = url(&org.primary, ACCOUNTS);
    for (path, size) in [(accounts.clone(), 4), (format!("{accounts}?$top=2"), 2)] {
        let page = get(&twin, &path, size);
        assert_eq!(page["value"].as_array().unwrap().len(), size);
        assert!(page.get("@odata.nextLink").is_none(), "{page}");
    }
    let wrong = [("Prefer", "odata.maxpagesize=0")];
    let response = send(&twin, Method::GET, &accounts, &wrong, json!({}));
    assert_eq!(response.status(), 400);
}

#[test]
fn an_upsert_by_alternate_key_creates_once() {
    let (twin, org) = contoso();
    let row = url(&org.primary, &format!("{ACCOUNTS}(name='O''Neil',kind=3)"));
    let first = send(&twin, Method::PATCH, &row, &[], json!({"n": 1}));
    assert_eq!(first.status(), 204);
    let named = first.headers()["OData-EntityId"]
        .to_str()
        .unwrap()
        .to_owned();
    let second = send(&twin, Method::PATCH, &row, &[], json!({"n": 2}));
    assert_eq!(second.headers()["OData-EntityId"], named.as_str());
    let read: Value = client(&twin).get(&row).send().unwrap().json().unwrap();
    let shown = (&read["name"], &read["kind"], &read["n"]);
    assert_eq!(shown, (&json!("O'Neil"), &json!(3), &json!(2)));
    assert!(named.contains(read["accountid"].as_str().unwrap()));
    let counts = org.primary.counts();
    assert_eq!((counts.creates, counts.updates), (1, 1));
}

#[test]
fn alternate_keys_have_their_own_codes() {
    let (twin, org) = contoso();
    let row = url(&org.primary, &format!("{ACCOUNTS}(name='a')"));
    let missing = (404, "0x80060891".to_owned());
    for (method, headers) in [
        (Method::GET, vec![]),
        (Method::DELETE, vec![]),
        (Method::PATCH, vec![("If-Match", "*")]),
    ] {
        let response = send(&twin, method, &row, &headers, json!({}));
        assert_eq!(error(response), missing);
    }
    assert!(org.rows().is_empty());
    let create_only = [("If-None-Match", "*")];
    let made = send(&twin, Method::PATCH, &row, &create_only, json!({}));
    assert_eq!(made.status(), 204);
    let again = send(&twin, Method::PATCH, &row, &create_only, json!({}));
    assert_eq!(error(again), (412, "0x80060892".to_owned()));
    let stale = [("If-Match", "W/\"999\"")];
    let mismatch = (412, "0x80060882".to_owned());
    assert_eq!(
        error(send(&twin, Method::PATCH, &row, &stale, json!({}))),
        mismatch
    );
    assert_eq!(
        error(send(&twin, Method::DELETE, &row, &stale, json!({}))),
        mismatch
    );
    assert_eq!(
        send(&twin, Method::DELETE, &row, &[], json!({})).status(),
        204
    );
    assert!(org.rows().is_empty());
    for wrong in ["(name=)", "(name='a)", "('a')", "(name='a' and n=1)"] {
        let path = url(&org.primary, &format!("{ACCOUNTS}{wrong}"));
        assert_eq!(
            send(&twin, Method::GET, &path, &[], json!({})).status(),
            400,
            "{wrong}"
        );
    }
}

#[test]
fn a_declared_key_is_unique_on_its_side() {
    let mut config = OrganizationConfig::new("contoso");
    let keys = vec![vec!["name".into(), "kind".into()]];
    config.alternate_keys = BTreeMap::from([("account".into(), keys)]);
    let (twin, org) = twin(config);
    let violated = (412, "0x80060892".to_owned());
    let accounts = url(&org.primary, ACCOUNTS);
    let create = |body: Value| send(&twin, Method::POST, &accounts, &[], body);
    assert_eq!(create(json!({"name": "a", "kind": 1})).status(), 204);
    assert_eq!(error(create(json!({"name": "a", "kind": 1}))), violated);
    let second = create(json!({"name": "a", "kind": 2}));
    let second = second.headers()["OData-EntityId"]
        .to_str()
        .unwrap()
        .to_owned();
    let clash = send(&twin, Method::PATCH, &second, &[], json!({"kind": 1}));
    assert_eq!(error(clash), violated);
    assert_eq!(
        send(&twin, Method::PATCH, &second, &[], json!({"n": 1})).status(),
        204
    );
    for _ in 0..2 {
        assert_eq!(create(json!({"name": "a"})).status(), 204);
    }
    let other = send(
        &twin,
        Method::POST,
        &url(&org.alternate, ACCOUNTS),
        &[],
        json!({"name": "a", "kind": 1}),
    );
    assert_eq!(other.status(), 204);
    assert_eq!(org.primary.counts().committed, 5);
}

#[test]
fn v2_reads_the_rows_of_the_web_api() {
    let (twin, org) = contoso();
    create(&twin, &org.primary, 3);
    let path = url(
        &org.primary,
        &format!("{V2}?$select=Name&$filter=Name%20eq%20'row%201'"),
    );
    let response = client(&twin).get(path).send().unwrap();
    assert_eq!(response.headers()["DataServiceVersion"], "2.0;");
    let body: Value = response.json().unwrap();
    let rows = body["d"]["results"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["Name"]), (1, &json!("row 1")));
    let uri = rows[0]["__metadata"]["uri"].as_str().unwrap();
    let id = rows[0]["AccountId"].as_str().unwrap();
    assert_eq!(uri, url(&org.primary, &format!("{V2}(guid'{id}')")));
    let body: Value = client(&twin).get(uri).send().unwrap().json().unwrap();
    assert_eq!(body["d"]["Kind"], 1);
    assert_eq!(org.primary.counts().received_by["GET odata_v2"], 2);
}

#[test]
fn v2_has_pages() {
    let (twin, org) = contoso();
    create(&twin, &org.primary, 51);
    let body: Value = client(&twin)
        .get(url(&org.primary, V2))
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(body["d"]["results"].as_array().unwrap().len(), 50);
    let next = body["d"]["__next"].as_str().unwrap();
    assert!(next.starts_with(&url(&org.primary, V2)), "{next}");
    let body: Value = client(&twin).get(next).send().unwrap().json().unwrap();
    assert_eq!(body["d"]["results"].as_array().unwrap().len(), 1);
    assert!(body["d"].get("__next").is_none());
}

#[test]
fn v2_errors_have_an_object_for_a_message() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let v2_error = |response: Response| {
        assert_eq!(response.headers()["DataServiceVersion"], "2.0;");
        assert!(response.headers().get("OData-Version").is_none());
        let status = response.status().as_u16();
        let body: Value = response.json().unwrap();
        assert_eq!(body["error"]["message"]["lang"], "en-US");
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    };
    let row = format!("{V2}(guid'00000000-0000-0000-0000-000000000001')");
    for (path, status, code) in [
        (row, 404, "-2147220969"),
        (format!("{V2}(1)"), 400, "-2147220989"),
        (format!("{V2}?$skip=1"), 400, "-2147220989"),
        (
            "/XRMServices/2011/OrganizationData.svc/Account".into(),
            404,
            "-2147088248",
        ),
    ] {
        let response = client(&twin).get(url(side, &path)).send().unwrap();
        assert_eq!(v2_error(response), (status, code.to_owned()), "{path}");
    }
    let write = send(&twin, Method::POST, &url(side, V2), &[], json!({}));
    assert_eq!(
        (write.status().as_u16(), &write.headers()["Allow"]),
        (405, &"GET".parse().unwrap())
    );
    side.fault(FaultKind::datacenter_not_available()).unwrap();
    let response = client(&twin).get(url(side, V2)).send().unwrap();
    assert_eq!(v2_error(response), (503, "-2147176347".to_owned()));
}
