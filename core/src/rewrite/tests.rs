use proptest::prelude::*;

use super::*;
use crate::operation::samples::{BATCH_URL, SOAP_URL};
use crate::{AllowedHost, UrlForm};
use http::header::CONTENT_TYPE;

fn contoso() -> Organization {
    Organization::new("https://contoso.crm.test", None, None).unwrap()
}

/// Different base paths, ports and schemes, which is everything that a rewrite has to change.
fn explicit() -> Organization {
    let alternate = Some("https://dr.example.net:8443/a/b");
    Organization::new("http://crm.example.com/Contoso", alternate, None).unwrap()
}

fn by_path() -> Organization {
    Organization::new("http://crm:5555/Contoso", None, Some(UrlForm::Path)).unwrap()
}

fn headers(content_type: &str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())])
}

/// The rewritten body, or the body itself. A body that need not change must not be copied.
fn rewritten(organization: &Organization, role: Role, content_type: &str, body: &[u8]) -> Vec<u8> {
    let body = Bytes::copy_from_slice(body);
    let is_xml = ["text/xml", "application/soap+xml"]
        .iter()
        .any(|known| content_type.to_ascii_lowercase().starts_with(known));
    let url = if is_xml { SOAP_URL } else { BATCH_URL };
    let result = body_for(organization, role, url, &headers(content_type), &body);
    if let Some(result) = &result {
        assert_ne!(result, &body);
    }
    result.unwrap_or(body).to_vec()
}

fn rewritten_text(
    organization: &Organization,
    role: Role,
    content_type: &str,
    body: &str,
) -> String {
    String::from_utf8(rewritten(organization, role, content_type, body.as_bytes())).unwrap()
}

const BATCH: &str = "multipart/mixed; boundary=batch_1";

/// A batch with a change set as Microsoft's own examples have it, for an origin.
fn batch(origin: &str, host: &str, line_break: &str) -> String {
    let change_set = format!(
        "--changeset_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 1

POST {origin}/api/data/v9.2/tasks HTTP/1.1
Host: {host}
Content-Type: application/json;type=entry
Content-Length: 103

{{\"subject\":\"1\",\"regarding@odata.bind\":\"https://contoso.crm.test/api/data/v9.2/accounts(1)\",\"n\":\"GET \"}}
--changeset_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 2

PATCH $1/owner HTTP/1.1
Content-Type: application/json

https://contoso.crm.test/api
--changeset_1--
"
    );
    format!(
        "preamble https://contoso.crm.test/
--batch_1
Content-Type: multipart/mixed; boundary=\"changeset_1\"

{change_set}
--batch_1
Content-Type: application/http
Content-Transfer-Encoding: binary

GET {origin}/api/data/v9.2/accounts?$select=name&$filter=name eq 'a' HTTP/1.1
Accept: application/json

--batch_1
Content-Type: application/http

GET /api/data/v9.2/accounts HTTP/1.1
host:{host}

--batch_1
Content-Type: application/http

GET https://fabrikam.crm.test/api/data/v9.2/accounts HTTP/1.1
Host: fabrikam.crm.test

--batch_1--
epilogue {origin}/
"
    )
    .replace('\n', line_break)
}

#[test]
fn a_batch_in_json() {
    let at = |origin: &str| {
        format!(
            r#"{{"requests": [{{"id":"1","method":"POST","url":"{origin}/api/data/v9.2/accounts?$filter=a eq '\"'",
            "body":{{"url":"https://contoso.crm.test/api"}}}}, {{"id":"2","method":"GET","url":"/api/data/v9.2/accounts"}},
            {{"id":"3","method":"GET","url":"https://fabrikam.crm.test/x"}}]}}"#
        )
    };
    let (primary, alternate) = (
        at("https://contoso.crm.test"),
        at("https://contoso--s.crm.test"),
    );
    let json = "application/json; charset=utf-8";
    let moved = |role, body: &str| rewritten_text(&contoso(), role, json, body);
    assert_eq!(moved(Role::Alternate, &primary), alternate);
    assert_eq!(moved(Role::Primary, &alternate), primary);
    assert_eq!(moved(Role::Primary, &primary), primary);
    let escaped = primary.replace("https://contoso", r"https:\/\/contoso");
    assert!(
        moved(Role::Alternate, &escaped)
            .contains("\"https://contoso--s.crm.test/api/data/v9.2/accounts")
    );
    let cut = &primary[..primary.len() - 1];
    assert_eq!(moved(Role::Alternate, cut), cut);
}

#[test]
fn a_batch_with_a_change_set() {
    let organization = contoso();
    let (primary, alternate) = ("https://contoso.crm.test", "https://contoso--s.crm.test");
    for line_break in ["\r\n", "\n"] {
        let at_primary = batch(primary, "contoso.crm.test", line_break);
        // The epilogue is no request.
        let epilogue = |origin: &str| format!("epilogue {origin}/");
        let at_alternate = batch(alternate, "contoso--s.crm.test", line_break)
            .replace(&epilogue(alternate), &epilogue(primary));
        let to = |role, body: &str| rewritten_text(&organization, role, BATCH, body);
        assert_eq!(to(Role::Alternate, &at_primary), at_alternate);
        assert_eq!(to(Role::Primary, &at_alternate), at_primary);
        assert_eq!(to(Role::Primary, &at_primary), at_primary);
        assert_eq!(to(Role::Alternate, &at_alternate), at_alternate);
    }
}

/// One part, to see a single line change.
fn part(mime: &str, request: &str) -> String {
    format!("--batch_1\r\nContent-Type: application/http\r\n{mime}\r\n{request}\r\n--batch_1--\r\n")
}

#[test]
fn request_lines() {
    let table = [
        // (organization, where to, the line, the line there)
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.crm.test/a HTTP/1.1",
            "GET https://contoso--s.crm.test/a HTTP/1.1",
        ),
        (
            contoso(),
            Role::Primary,
            "GET https://contoso--s.crm.test/a HTTP/1.1",
            "GET https://contoso.crm.test/a HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.api.crm.test/a HTTP/1.1",
            "GET https://contoso--s.api.crm.test/a HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET HTTPS://Contoso.CRM.test:443/A%2f?x=%20 HTTP/1.1",
            "GET https://contoso--s.crm.test/A%2f?x=%20 HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.crm.test HTTP/1.1",
            "GET https://contoso--s.crm.test HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.crm.test?a HTTP/1.1",
            "GET https://contoso--s.crm.test?a HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET  https://contoso.crm.test/a#b  HTTP/1.1",
            "GET  https://contoso--s.crm.test/a#b  HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.crm.test/a",
            "GET https://contoso--s.crm.test/a",
        ),
        (
            contoso(),
            Role::Alternate,
            "\r\nGET https://contoso.crm.test/a HTTP/1.1",
            "\r\nGET https://contoso--s.crm.test/a HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "GET https://contoso.crm.test/ü HTTP/1.1",
            "GET https://contoso--s.crm.test/ü HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "DELETE https://contoso.crm.test/a(b='A\\1')?c='d\\e' HTTP/1.1",
            "DELETE https://contoso--s.crm.test/a(b='A\\1')?c='d\\e' HTTP/1.1",
        ),
        (
            contoso(),
            Role::Alternate,
            "DELETE https://contoso.crm.test/a(b='c/../d')#e HTTP/1.1",
            "DELETE https://contoso--s.crm.test/a(b='c/../d')#e HTTP/1.1",
        ),
        (
            explicit(),
            Role::Alternate,
            "DELETE http://crm.example.com/Contoso/a(b='A\\1') HTTP/1.1",
            "DELETE https://dr.example.net:8443/a/b/a(b='A%5C1') HTTP/1.1",
        ),
        (
            explicit(),
            Role::Alternate,
            "GET http://crm.example.com/Contoso/api/x?y HTTP/1.1",
            "GET https://dr.example.net:8443/a/b/api/x?y HTTP/1.1",
        ),
        (
            explicit(),
            Role::Alternate,
            "GET http://crm.example.com/Contoso HTTP/1.1",
            "GET https://dr.example.net:8443/a/b HTTP/1.1",
        ),
        (
            explicit(),
            Role::Primary,
            "GET https://dr.example.net:8443/a/b/api/x?y HTTP/1.1",
            "GET http://crm.example.com/Contoso/api/x?y HTTP/1.1",
        ),
        (
            explicit(),
            Role::Alternate,
            "GET http://crm.example.com/x/../Contoso/api HTTP/1.1",
            "GET https://dr.example.net:8443/a/b/api HTTP/1.1",
        ),
        (
            explicit(),
            Role::Alternate,
            "GET http://crm.example.com/Contoso/x/../api HTTP/1.1",
            "GET https://dr.example.net:8443/a/b/api HTTP/1.1",
        ),
        (
            by_path(),
            Role::Alternate,
            "GET http://crm:5555/Contoso/api HTTP/1.1",
            "GET http://crm:5555/Contoso--s/api HTTP/1.1",
        ),
        (
            by_path(),
            Role::Primary,
            "GET http://crm:5555/Contoso--s/api HTTP/1.1",
            "GET http://crm:5555/Contoso/api HTTP/1.1",
        ),
    ];
    for (organization, role, line, expected) in table {
        let got = rewritten_text(
            &organization,
            role,
            BATCH,
            &part("", &format!("{line}\r\n\r\n")),
        );
        assert_eq!(got, part("", &format!("{expected}\r\n\r\n")), "{line}");
    }
}

#[test]
fn request_lines_that_stay() {
    for line in [
        "GET /api/data/v9.2/accounts HTTP/1.1",
        "GET accounts HTTP/1.1",
        "GET $1/owner HTTP/1.1",
        "GET //contoso.crm.test/a HTTP/1.1",
        "GET https:/contoso.crm.test/a HTTP/1.1",
        "GET http://contoso.crm.test/a HTTP/1.1",
        "GET https://contoso.crm.test:8443/a HTTP/1.1",
        "GET https://contoso.crm.test.evil.example/a HTTP/1.1",
        "GET https://u:p@contoso.crm.test/a HTTP/1.1",
        "GET https://evil.example/?https://contoso.crm.test/ HTTP/1.1",
        "GET https://contoso.crm.test\u{b}/a HTTP/1.1",
        "HTTP/1.1 200 OK",
        "https://contoso.crm.test/a",
        "GET https://[::1 HTTP/1.1",
        "",
    ] {
        let body = part("", &format!("{line}\r\n\r\n"));
        assert_eq!(
            rewritten_text(&contoso(), Role::Alternate, BATCH, &body),
            body,
            "{line}"
        );
    }
    let allowed = AllowedHost::parse_list("files.example.com").unwrap();
    let organization = contoso().with_allowed_hosts(allowed);
    let body = part("", "GET https://files.example.com/a HTTP/1.1\r\n\r\n");
    assert_eq!(
        rewritten_text(&organization, Role::Alternate, BATCH, &body),
        body
    );
}

#[test]
fn host_headers() {
    let table = [
        (
            contoso(),
            Role::Alternate,
            "contoso.crm.test",
            "contoso--s.crm.test",
        ),
        (
            contoso(),
            Role::Alternate,
            "CONTOSO.crm.test:443",
            "contoso--s.crm.test",
        ),
        (
            contoso(),
            Role::Primary,
            "contoso--s.api.crm.test",
            "contoso.api.crm.test",
        ),
        (
            contoso(),
            Role::Alternate,
            "contoso--s.crm.test",
            "contoso--s.crm.test",
        ),
        (
            contoso(),
            Role::Alternate,
            "contoso.crm.test:80",
            "contoso.crm.test:80",
        ),
        (
            contoso(),
            Role::Alternate,
            "contoso.crm.test/x",
            "contoso.crm.test/x",
        ),
        (
            contoso(),
            Role::Alternate,
            "fabrikam.crm.test",
            "fabrikam.crm.test",
        ),
        (contoso(), Role::Alternate, "", ""),
        (
            explicit(),
            Role::Alternate,
            "crm.example.com",
            "dr.example.net:8443",
        ),
        (
            explicit(),
            Role::Alternate,
            "crm.example.com:80",
            "dr.example.net:8443",
        ),
        (
            explicit(),
            Role::Primary,
            "dr.example.net:8443",
            "crm.example.com",
        ),
        (
            explicit(),
            Role::Primary,
            "dr.example.net",
            "dr.example.net",
        ),
        (by_path(), Role::Alternate, "crm:5555", "crm:5555"),
    ];
    for (organization, role, host, expected) in table {
        let request =
            |host: &str| format!("GET /a HTTP/1.1\r\nX: Host: y\r\nHOST: {host} \r\n\r\n");
        let got = rewritten_text(&organization, role, BATCH, &part("", &request(host)));
        assert_eq!(got, part("", &request(expected)), "{host}");
    }
}

#[test]
fn mime_lengths_follow() {
    let request = "GET https://contoso.crm.test/a HTTP/1.1\r\nHost: contoso.crm.test\r\n\
                   Content-Length: 5\r\n\r\nhello";
    let there = request.replace("contoso.", "contoso--s.");
    let from_length = request.len();
    let with_length =
        |request: &str, length: &str| part(&format!("content-length : {length} \r\n"), request);
    let length = |request: &str| request.len().to_string();
    let to = |role, body: &str| rewritten_text(&contoso(), role, BATCH, body);
    let (from, expected) = (
        with_length(request, &length(request)),
        with_length(&there, &length(&there)),
    );
    assert_eq!(to(Role::Alternate, &from), expected);
    assert_eq!(to(Role::Primary, &expected), from);
    for wrong in ["x", "-1", "99999999999999999999", "2"] {
        // To the shorter name, so that 2 would fall below 0.
        let got = to(Role::Primary, &with_length(&there, wrong));
        assert_eq!(got, with_length(request, wrong), "{wrong}");
    }
    let nested = |request: &str| {
        let inner = part(&format!("Content-Length: {}\r\n", request.len()), request)
            .replace("batch_1", "set");
        format!(
            "--batch_1\r\nContent-Type: multipart/mixed;\r\n\tboundary=set\r\n\
             Content-Length: {}\r\n\r\n{inner}\r\n--batch_1--\r\n",
            inner.len()
        )
    };
    // With the second, the inner length gets a digit more, and the outer one counts it.
    let longer = |request: &str| format!("{request}{}", "o".repeat(98 - from_length));
    for (request, there) in [
        (request.to_owned(), there.clone()),
        (longer(request), longer(&there)),
    ] {
        assert_eq!(to(Role::Alternate, &nested(&request)), nested(&there));
        assert_eq!(to(Role::Primary, &nested(&there)), nested(&request));
    }
}

#[test]
fn parts_that_are_no_requests_stay() {
    let request = "GET https://contoso.crm.test/a HTTP/1.1\r\n\r\n";
    let whole = part("", request);
    for body in [
        whole.replace("application/http", "application/json"),
        whole.replace("Content-Type: application/http\r\n", ""),
        whole.replace("batch_1", "batch_12"),
        whole.replace("--batch_1", " --batch_1"),
        part("Content-Transfer-Encoding: base64\r\n", request),
        whole.replace("\r\n\r\n", "\r\n"),
        request.to_owned(),
        String::new(),
    ] {
        assert_eq!(
            rewritten_text(&contoso(), Role::Alternate, BATCH, &body),
            body
        );
    }
    for content_type in [
        "multipart/mixed",
        "multipart/mixed; boundary=batch",
        "multipart/form-data; boundary=batch_1",
        "application/json",
    ] {
        let got = rewritten_text(&contoso(), Role::Alternate, content_type, &whole);
        assert_eq!(got, whole, "{content_type}");
    }
    let mut headers = headers(BATCH);
    headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    let body = Bytes::from(whole.clone());
    for headers in [headers, HeaderMap::new()] {
        let got = body_for(&contoso(), Role::Alternate, BATCH_URL, &headers, &body);
        assert_eq!(got, None);
    }
}

/// What an application stores may look like a batch, or like a message.
#[test]
fn only_what_goes_to_a_batch_or_a_service_is_rewritten() {
    let request = "GET https://contoso.crm.test/a HTTP/1.1\r\n\r\n";
    let json = r#"{"requests":[{"id":"1","method":"GET","url":"https://contoso.crm.test/a"}]}"#;
    let xml = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header>\
         <a:To xmlns:a=\"http://www.w3.org/2005/08/addressing\">https://contoso.crm.test{SOAP_URL}</a:To>\
         </s:Header><s:Body/></s:Envelope>"
    );
    let multipart = part("", request);
    for (url, is_batch, is_soap) in [
        (BATCH_URL, true, false),
        (
            "https://contoso.crm.test/api/data/v9.2/$batch?x=1",
            true,
            false,
        ),
        ("/api/data/v9.2/%24batch/", true, false),
        ("/XRMServices/2011/OrganizationData.svc/$batch", true, false),
        (SOAP_URL, false, true),
        ("/api/data/v9.2/new_Store", false, false),
        ("/api/data/v9.2/accounts", false, false),
        ("/api/data/v9.2/accounts(1)/new_file", false, false),
        ("/api/data/v9.2/new_Store?name=$batch", false, false),
        (
            "/XRMServices/2011/OrganizationData.svc/AccountSet",
            false,
            false,
        ),
    ] {
        for (content_type, body, expected) in [
            (BATCH, multipart.as_str(), is_batch),
            ("application/json", json, is_batch),
            ("text/xml", &xml, is_soap),
            ("application/soap+xml", &xml, is_soap),
        ] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let headers = headers(content_type);
            let got = body_for(&contoso(), Role::Alternate, url, &headers, &body);
            assert_eq!(got.is_some(), expected, "{url} {content_type}");
        }
    }
}

#[test]
fn a_batch_that_is_not_closed_and_one_nested_too_deep() {
    let request = "GET https://contoso.crm.test/a HTTP/1.1\r\n\r\n";
    let open = part("", request).replace("--batch_1--\r\n", "");
    let there = open.replace("contoso.", "contoso--s.");
    assert_eq!(
        rewritten_text(&contoso(), Role::Alternate, BATCH, &open),
        there
    );
    let nest = |depth: usize| {
        (1..depth).rev().fold(
            part("", request).replace("batch_1", &format!("batch_{depth}")),
            |inner, level| {
                format!(
                    "--batch_{level}\r\nContent-Type: multipart/mixed; boundary=batch_{}\r\n\r\n\
                     {inner}\r\n--batch_{level}--\r\n",
                    level + 1
                )
            },
        )
    };
    for (depth, changes) in [(1, true), (2, true), (3, true), (4, false), (1000, false)] {
        let body = nest(depth);
        let got = rewritten_text(&contoso(), Role::Alternate, BATCH, &body);
        assert_eq!(got != body, changes, "{depth}");
    }
}

const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";
const WSA: &str = "http://www.w3.org/2005/08/addressing";
const WSA_2004: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const SOAP: &str = "application/soap+xml; charset=utf-8; action=\"x\"";
const SERVICE: &str = "/XRMServices/2011/Organization.svc";

fn message(soap: &str, header: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><s:Envelope xmlns:s="{soap}" xmlns:a="{WSA}"><s:Header>{header}</s:Header><s:Body><a:To>https://contoso.crm.test/</a:To></s:Body></s:Envelope>"#
    )
}

#[test]
fn the_to_of_every_dialect() {
    let primary = format!("https://contoso.crm.test{SERVICE}");
    let alternate = format!("https://contoso--s.crm.test{SERVICE}");
    for to in [
        "<a:Action>x</a:Action><a:To s:mustUnderstand=\"1\">$URL</a:To>".to_owned(),
        format!("<To xmlns=\"{WSA}\">\r\n  $URL\r\n</To><x/>"),
        format!("<q:To xmlns:q='{WSA_2004}'>$URL</q:To>"),
        "<a:To><![CDATA[ $URL ]]></a:To>".to_owned(),
        "<a:MessageID>ü</a:MessageID><!-- c --><a:To>$URL</a:To><x><a:To>y</a:To></x>".to_owned(),
        "<a:To>$URL?a=1&amp;b=2</a:To>".to_owned(),
        "<a:ReplyTo><a:Address>https://contoso.crm.test/</a:Address></a:ReplyTo><a:To>$URL</a:To>"
            .to_owned(),
    ] {
        for (soap, content_type) in [(SOAP_1_1, "text/xml"), (SOAP_1_2, SOAP)] {
            for bom in ["", "\u{feff}"] {
                let at = |url: &str| format!("{bom}{}", message(soap, &to.replace("$URL", url)));
                let organization = contoso();
                let go = |role, body: &str| rewritten_text(&organization, role, content_type, body);
                assert_eq!(go(Role::Alternate, &at(&primary)), at(&alternate), "{to}");
                assert_eq!(go(Role::Primary, &at(&alternate)), at(&primary), "{to}");
                assert_eq!(go(Role::Primary, &at(&primary)), at(&primary), "{to}");
            }
        }
    }
}

#[test]
fn a_to_with_entities_and_another_base() {
    let organization =
        Organization::new("https://a.example/x", Some("https://b.example/r&d"), None).unwrap();
    for (given, expected) in [
        ("https://a.example/x/api", "https://b.example/r&amp;d/api"),
        (
            "https&#58;//a.example/x/api?1&amp;2",
            "https://b.example/r&amp;d/api?1&amp;2",
        ),
        (
            "https://a.example/x/./api?1&amp;2",
            "https://b.example/r&amp;d/api?1&amp;2",
        ),
    ] {
        let to = |url: &str| message(SOAP_1_2, &format!("<a:To>{url}</a:To>"));
        let got = rewritten_text(&organization, Role::Alternate, SOAP, &to(given));
        assert_eq!(got, to(expected));
    }
    let back = message(SOAP_1_2, "<a:To>https://b.example/r&amp;d/api</a:To>");
    let expected = message(SOAP_1_2, "<a:To>https://a.example/x/api</a:To>");
    assert_eq!(
        rewritten_text(&organization, Role::Primary, SOAP, &back),
        expected
    );
}

#[test]
fn a_message_that_stays() {
    let to = "<a:To>https://contoso.crm.test/</a:To>";
    let dsig = "xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"";
    let long = format!("<x>{}</x>{to}", "y".repeat(300_000));
    for (soap, header) in [
        (
            SOAP_1_2,
            format!(
                "{to}<o:Security xmlns:o=\"urn:o\"><d:Signature {dsig}><x/></d:Signature></o:Security>"
            ),
        ),
        (SOAP_1_2, format!("<d:Signature {dsig}/>{to}")),
        (
            SOAP_1_2,
            "<a:To>https://fabrikam.crm.test/</a:To>".to_owned(),
        ),
        (SOAP_1_2, "<a:To>http://contoso.crm.test/</a:To>".to_owned()),
        (SOAP_1_2, "<a:To>/api</a:To>".to_owned()),
        (SOAP_1_2, "<a:To/>".to_owned()),
        (SOAP_1_2, "<a:To></a:To>".to_owned()),
        (
            SOAP_1_2,
            "<a:To>https://contoso<!-- -->.crm.test/</a:To>".to_owned(),
        ),
        (
            SOAP_1_2,
            "<a:To>https://contoso.crm.test/&undefined;</a:To>".to_owned(),
        ),
        (
            SOAP_1_2,
            "<a:To><![CDATA[https://contoso.crm.test/]]>x<![CDATA[y]]></a:To>".to_owned(),
        ),
        (SOAP_1_2, "<To>https://contoso.crm.test/</To>".to_owned()),
        (
            SOAP_1_2,
            "<To xmlns=\"urn:x\">https://contoso.crm.test/</To>".to_owned(),
        ),
        (SOAP_1_2, format!("<x>{to}</x>")),
        (SOAP_1_2, format!("{to}<x></y>")),
        (SOAP_1_2, format!("{to}</s:Body>")),
        (SOAP_1_2, long),
        ("urn:no-soap", to.to_owned()),
    ] {
        let body = message(soap, &header);
        assert_eq!(
            rewritten_text(&contoso(), Role::Alternate, SOAP, &body),
            body,
            "{header}"
        );
    }
    let whole = message(SOAP_1_2, to);
    let header_end = whole.find("</s:Header>").unwrap();
    for body in [
        &whole[..header_end],
        &whole.replace("<s:Header>", "<s:Header/><s:Header>"),
        &whole.replace("<?xml version=\"1.0\"?>", "<!DOCTYPE x>"),
        &whole.replace("s:Header", "s:header"),
        &whole.replace("s:Envelope", "s:envelope"),
    ] {
        assert_eq!(
            &rewritten_text(&contoso(), Role::Alternate, SOAP, body),
            body
        );
    }
    let changed = rewritten(
        &contoso(),
        Role::Alternate,
        SOAP,
        &[whole.as_bytes(), b"\xFF"].concat(),
    );
    assert!(changed.ends_with(b"\xFF") && changed.len() == whole.len() + 4);
}

fn any_organization() -> impl Strategy<Value = Organization> {
    prop_oneof![Just(contoso()), Just(explicit()), Just(by_path())]
}

proptest! {
    #[test]
    fn there_and_back_is_the_same(
        organization in any_organization(),
        rest in "(/[a-zA-Z0-9._~!$&'()*+,;=:@%-]{0,10}){0,3}(\\?[a-z=&$ /?]{0,10})?",
        line_break in prop::sample::select(vec!["\r\n", "\n"]),
        padding in "[ -~]{0,20}",
    ) {
        // Dot segments are resolved where a base path stands before them.
        prop_assume!(!rest.split(['/', '?']).any(|part| part.replace("%2e", ".").replace("%2E", ".").trim_matches('.').is_empty() && !part.is_empty()));
        let primary = organization.url(Role::Primary);
        let host = primary.split('/').nth(2).unwrap();
        let request = format!(
            "--b\nContent-Type: application/http\nContent-Length: 100\n\n\
             POST {primary}{rest} HTTP/1.1\nHost: {host}\nX: {padding}\n\n{padding}{primary}\n--b--\n"
        ).replace('\n', line_break);
        let soap = message(SOAP_1_2, &format!("<a:To>{primary}{}</a:To>", quick_xml::escape::escape(rest.trim_end())));
        for (content_type, body) in [("multipart/mixed; boundary=b", request), (SOAP, soap)] {
            let there = rewritten_text(&organization, Role::Alternate, content_type, &body);
            prop_assert_ne!(&there, &body);
            let back = rewritten_text(&organization, Role::Primary, content_type, &there);
            prop_assert_eq!(back, body);
        }
    }

    #[test]
    fn a_body_that_does_not_name_the_pair_stays(
        organization in any_organization(),
        target in "[a-z$/.:@0-9]{0,30}",
        body in "[ -~\r\n]{0,200}",
    ) {
        let names = |text: &str| ["contoso", "crm", "example"].iter().any(|part| text.contains(part));
        prop_assume!(!names(&target) && !names(&body));
        let batch = part("", &format!("GET {target} HTTP/1.1\r\nHost: {target}\r\n\r\n{body}"));
        let soap = message(SOAP_1_1, &format!("<a:To>{target}</a:To>"));
        for (content_type, body) in [(BATCH, &batch), ("text/xml", &soap), (BATCH, &body)] {
            for role in [Role::Primary, Role::Alternate] {
                let got = rewritten_text(&organization, role, content_type, body);
                prop_assert_eq!(&got, body);
            }
        }
    }

    #[test]
    fn arbitrary_and_spoiled_bodies_do_not_panic(
        organization in any_organization(),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        spoiled in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let primary = organization.url(Role::Primary);
        let documents = [
            (BATCH, noise.clone()),
            (BATCH, batch(primary, "contoso.crm.test", "\r\n").into_bytes()),
            (SOAP, noise),
            (SOAP, message(SOAP_1_2, &format!("<a:To>{primary}</a:To>")).into_bytes()),
        ];
        for (content_type, mut body) in documents {
            for (place, byte) in &spoiled {
                if !body.is_empty() {
                    let place = place.index(body.len());
                    body[place] = *byte;
                }
            }
            let there = rewritten(&organization, Role::Alternate, content_type, &body);
            let again = rewritten(&organization, Role::Alternate, content_type, &there);
            prop_assert_eq!(again, there, "a second rewrite changes nothing");
        }
    }
}
