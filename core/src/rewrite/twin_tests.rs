//! What is made of requests, sent to a real server.

use d365_twin::{OrgHandle, OrganizationConfig, Twin, TwinConfig};
use http::Method;
use uuid::Uuid;

use super::Rewritten;
use super::guarded_create::guarded_create;
use super::read_back::{created_answer, read_back};
use crate::operation::samples::*;
use crate::{Client, Request, Response, Settings};

const ORIGIN: &str = "https://contoso.crm.twin.test";

fn client() -> (Twin, OrgHandle, Client) {
    let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")])).unwrap();
    let mut settings = Settings::new(ORIGIN).unwrap();
    let rules: Vec<String> = twin
        .connect_to()
        .iter()
        .map(|(from, to)| format!("{from}:{to}"))
        .collect();
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings
        .set("ca_bundle", twin.ca_file().to_str().unwrap())
        .unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org, Client::open(&settings).unwrap())
}

fn send(client: &Client, rewritten: &Rewritten) -> Response {
    let mut request = Request::new(rewritten.method.as_str(), &rewritten.url).unwrap();
    for (name, value) in &rewritten.headers {
        request
            .add_header(name.as_str(), value.to_str().unwrap())
            .unwrap();
    }
    request.set_body(rewritten.body.clone());
    client.send(&request).unwrap()
}

#[test]
fn a_guarded_create_its_repeat_and_what_is_read_back() {
    let id = Uuid::from_u128(0x9999_8888_4777_a666_5555_5555_5555_5555);
    let entity = "<a:Attributes/><a:Id>00000000-0000-0000-0000-000000000000</a:Id>\
                  <a:LogicalName>account</a:LogicalName>";
    let action = format!("{SERVICES}/IOrganizationService/Create");
    let header = format!(
        "<w:Action s:mustUnderstand=\"1\">{action}</w:Action><w:MessageID>urn:uuid:7</w:MessageID>"
    );
    let of_1_2 = format!("application/soap+xml; charset=utf-8; action=\"{action}\"");
    // Where, its headers, its body, and what a repeat is answered with.
    let table = [
        (
            "/api/data/v9.2/accounts",
            vec![("content-type", "application/json")],
            "{\"name\":\"a\"}".to_owned(),
            412,
        ),
        (
            "/XRMServices/2011/Organization.svc/web",
            vec![
                ("content-type", "text/xml; charset=utf-8"),
                ("soapaction", action.as_str()),
            ],
            envelope(V11, "", &create(entity)),
            500,
        ),
        (
            "/XRMServices/2011/Organization.svc",
            vec![("content-type", of_1_2.as_str())],
            envelope(V12, &header, &create(entity)),
            500,
        ),
    ];
    for (path, list, body, repeated) in table {
        let (_twin, org, client) = client();
        let url = format!("{ORIGIN}{path}");
        let made = guarded_create(&Method::POST, &url, &headers(&list), &body.into(), id).unwrap();
        let sent = &made.request;
        let back = read_back(&made.guard, &sent.url, &sent.headers, &sent.body).unwrap();
        let missing = send(&client, &back);
        assert!(
            matches!(missing.status(), 404 | 500),
            "{path}: {}",
            missing.status()
        );

        let answer = send(&client, sent);
        let found = send(&client, &back);
        assert_eq!(
            found.status(),
            200,
            "{path}: {}",
            String::from_utf8_lossy(found.body())
        );
        assert!(
            String::from_utf8_lossy(found.body()).contains(&id.to_string()),
            "{path}"
        );
        assert_eq!(send(&client, sent).status(), repeated, "{path}");
        assert_eq!(org.rows().len(), 1, "{path}");

        let row_url = format!("{ORIGIN}/api/data/v9.2/accounts({id})");
        let ours = created_answer(&made.guard, &sent.headers, &sent.body, &row_url).unwrap();
        assert_eq!(ours.status().as_u16(), answer.status(), "{path}");
        for (name, value) in ours.headers() {
            assert_eq!(answer.headers().get(name), Some(value), "{path}");
        }
        let without_prefixes = |body: &[u8]| {
            let text = String::from_utf8_lossy(body).replace("w:", "a:");
            text.replace(&format!(" xmlns:a=\"{WSA}\""), "")
                .replace(&format!(" xmlns:w=\"{WSA}\""), "")
        };
        assert_eq!(
            without_prefixes(ours.body()),
            without_prefixes(answer.body()),
            "{path}"
        );
    }
}
