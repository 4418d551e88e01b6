use http::HeaderValue;
use proptest::prelude::*;

use super::samples::*;
use super::*;
use Operation::{Guarded, Idempotent, Read, Unsafe};

type WebApiCase<'a> = (&'a str, &'a str, &'a [Header<'a>], Operation, Option<Guard>);

#[test]
fn the_web_api() {
    const ROW: &str = "/api/data/v9.2/accounts(1)";
    const ROW_2: &str = "/XRMServices/2011/OrganizationData.svc/AccountSet(guid'1')";
    let created = |url: &str| Some(Guard::Created(Row::Url(url.to_owned())));
    let version = |url: &str| Some(Guard::Version(Row::Url(url.to_owned())));
    const STAR: (&str, &str) = ("if-none-match", "*");
    const ETAG: (&str, &str) = ("if-match", "W/\"470867\"");
    #[rustfmt::skip]
    let table: &[WebApiCase<'_>] = &[
        ("GET", ROW, &[], Read, None),
        ("HEAD", ROW, &[], Read, None),
        ("OPTIONS", ROW, &[], Read, None),
        ("GET", BATCH_URL, &[], Read, None),
        ("GET", SOAP_URL, &[], Read, None),
        ("GET", ROW, &[("x-http-method", "DELETE")], Read, None),
        ("POST", "/api/data/v9.2/accounts", &[], Unsafe, None),
        ("POST", "/api/data/v9.2/WinOpportunity", &[], Unsafe, None),
        ("POST", "/api/data/v9.2/accounts", &[STAR], Unsafe, None),
        ("PATCH", ROW, &[], Idempotent, None),
        ("PUT", ROW, &[], Idempotent, None),
        ("MERGE", ROW, &[], Idempotent, None),
        ("DELETE", ROW, &[], Idempotent, None),
        ("PATCH", ROW, &[("if-match", "*")], Idempotent, None),
        ("PATCH", ROW, &[("if-match", " * ")], Idempotent, None),
        ("PATCH", ROW, &[("if-match", "")], Idempotent, None),
        ("PATCH", ROW, &[ETAG, ("if-match", "*")], Idempotent, None),
        // No condition, whatever stands beside it.
        ("PATCH", ROW, &[("if-match", "null"), ("if-none-match", "null")], Idempotent, None),
        ("PATCH", ROW, &[("if-match", " \"NULL\" "), ("if-match", "Null, null")], Idempotent, None),
        ("PATCH", ROW, &[("if-match", "null"), ("if-match", "*")], Idempotent, None),
        ("PATCH", ROW, &[ETAG, ("if-match", "null"), ("if-match", "")], Guarded, version(ROW)),
        ("DELETE", ROW, &[("if-match", "null, W/\"1\""), ("if-none-match", "null")], Guarded, version(ROW)),
        ("PATCH", ROW, &[("if-none-match", "null"), STAR], Guarded, created(ROW)),
        ("PATCH", ROW, &[("if-none-match", "null, *"), ("if-match", "null")], Guarded, created(ROW)),
        ("PATCH", ROW, &[("if-none-match", "W/\"1\"")], Idempotent, None),
        ("PUT", ROW, &[STAR], Idempotent, None),
        ("PATCH", ROW, &[STAR], Guarded, created(ROW)),
        ("PATCH", "https://contoso.crm.test/api/data/v9.2/accounts(1)?$select=name#x", &[STAR], Guarded,
            created("https://contoso.crm.test/api/data/v9.2/accounts(1)")),
        ("PATCH", "/api/data/v9.2/accounts%281%29", &[STAR], Guarded, created("/api/data/v9.2/accounts%281%29")),
        ("PATCH", "/api/data/v9.2/accounts", &[STAR], Guarded, None),
        ("PATCH", ROW, &[ETAG], Guarded, version(ROW)),
        ("PUT", ROW, &[ETAG], Guarded, version(ROW)),
        ("DELETE", ROW, &[ETAG], Guarded, version(ROW)),
        ("PUT", "/api/data/v9.2/accounts(1)/name", &[ETAG], Guarded, None),
        ("POST", ROW_2, &[("x-http-method", "MERGE")], Idempotent, None),
        ("POST", ROW_2, &[("X-HTTP-Method", "DELETE"), ETAG], Guarded, version(ROW_2)),
        ("POST", "/Org/XRMServices/2011/organizationdata.svc/AccountSet(guid'1')/Name", &[("x-http-method", "PUT")], Idempotent, None),
        ("POST", "/XRMServices/2011/OrganizationData.svc/AccountSet", &[], Unsafe, None),
        ("POST", ROW_2, &[("x-http-method", "GET")], Unsafe, None),
        ("POST", ROW_2, &[("x-http-method", "merge")], Unsafe, None),
        ("POST", ROW_2, &[("x-http-method", "PUT"), ("x-http-method-override", "DELETE")], Unsafe, None),
        ("POST", ROW_2, &[("x-http-method", "PUT"), ("x-http-method-override", "PUT")], Idempotent, None),
        ("POST", ROW, &[("x-http-method-override", "PATCH"), STAR], Guarded, created(ROW)),
        // Where it is not known, a create would be done twice.
        ("POST", "/api/data/v9.2/accounts", &[("x-http-method", "MERGE")], Unsafe, None),
        ("POST", "/api/data/v9.2/accounts(1)/Microsoft.Dynamics.CRM.Act", &[("x-http-method", "PUT")], Unsafe, None),
        ("POST", "/MSCRMServices/2007/CrmService.asmx", &[], Unsafe, None),
        ("POST", "https://crm.svc/api/data/v9.2/accounts", &[], Unsafe, None),
        ("BREW", ROW, &[], Unsafe, None),
    ];
    for (method, url, list, operation, guard) in table {
        let expected = Class {
            operation: *operation,
            is_compound: false,
            guard: guard.clone(),
            deletes: None,
            creates_in: None,
        };
        let what = format!("{method} {url} {list:?}");
        assert_eq!(class_of(method, url, list, ""), expected, "{what}");
        // The body makes no difference.
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(
            classify(&method, url, &headers(list), None),
            expected,
            "{what}"
        );
    }
}

fn request_part(request: &str) -> String {
    format!("--b\r\nContent-Type: application/http\r\n\r\n{request}\r\n")
}

fn get(target: &str) -> String {
    request_part(&format!("GET {target} HTTP/1.1\r\n\r\n"))
}

fn change_set(requests: &[&str]) -> String {
    let parts: String = requests
        .iter()
        .map(|request| request_part(request).replace("--b", "--c"))
        .collect();
    format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n")
}

#[test]
fn what_a_path_leads_to() {
    use Service::{OData2, Soap, WebApi};
    let table = [
        ("", WebApi, false),
        ("/api/data/v9.2/accounts", WebApi, false),
        ("/api/data/v9.2/$batch", WebApi, true),
        ("/api/data/v9.2/%24Batch//", WebApi, true),
        ("$BATCH", WebApi, true),
        ("/api/data/v9.2/x$batch", WebApi, false),
        ("/api/data/v9.2/batch", WebApi, false),
        ("/XRMServices/2011/Organization.svc/web", Soap, false),
        ("/XRMServices/2011/Organization.SVC", Soap, false),
        (".svc", Soap, false),
        ("/ab.svc", Soap, false),
        ("/abc.svc/web", Soap, false),
        ("/abcd.svC", Soap, false),
        ("/abcde.svc/", Soap, false),
        ("/a.svc.svc/b", Soap, false),
        ("/a.svcs/.sv", WebApi, false),
        ("/a.s", WebApi, false),
        ("/XRMServices/2011/organizationdata.svc/A", OData2, false),
        ("OrganizationData.svc", OData2, false),
        (
            "/XRMServices/2011/OrganizationData.svc/$batch",
            OData2,
            true,
        ),
        ("/a.svc/OrganizationData.svc", Soap, false),
        ("/MyOrganizationData.svc/A", Soap, false),
    ];
    for (path, service, is_batch) in table {
        assert_eq!(web_api::service(path), service, "{path}");
        assert_eq!(web_api::is_batch(path), is_batch, "{path}");
    }
}

#[test]
fn batches() {
    const PATCH: &str = "PATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\n\r\n{}";
    const DELETE: &str =
        "DELETE https://contoso.crm.test/api/data/v9.2/accounts(1) HTTP/1.1\r\n\r\n";
    const POST: &str =
        "POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}";
    const CREATE: &str = "PATCH /accounts(1) HTTP/1.1\r\nIf-None-Match: *\r\n\r\n{}";
    const GUARDED: &str = "PATCH /accounts(1) HTTP/1.1\r\nif-match:W/\"1\"\r\n\r\n{}";
    const NULL: &str =
        "PATCH /accounts(1) HTTP/1.1\r\nIf-Match: null\r\nIf-None-Match: \"Null\"\r\n\r\n{}";
    const MERGE: &str = "POST /accounts(1) HTTP/1.1\r\nX-HTTP-Method: MERGE\r\n\r\n{}";
    let end = "--b--\r\n";
    let table = [
        (
            format!("{}{}{end}", get("/accounts"), get("/contacts?$top=1")),
            Read,
        ),
        (
            format!("{}{end}", get("https://contoso.crm.test/api")),
            Read,
        ),
        // Who does not close it is perhaps understood all the same.
        (get("/accounts"), Read),
        (
            format!("{}{}{end}", get("/accounts"), change_set(&[PATCH, DELETE])),
            Idempotent,
        ),
        (
            format!("{}{}{end}", change_set(&[PATCH]), get("/accounts")),
            Idempotent,
        ),
        (format!("{}{end}", request_part(DELETE)), Idempotent),
        (format!("{}{end}", change_set(&[MERGE])), Idempotent),
        (format!("{}{end}", change_set(&[NULL])), Idempotent),
        (format!("{}{end}", change_set(&[PATCH, POST])), Unsafe),
        (format!("{}{}{end}", get("/a"), request_part(POST)), Unsafe),
        (format!("{}{end}", change_set(&[CREATE])), Unsafe),
        (format!("{}{end}", change_set(&[GUARDED])), Unsafe),
        (
            format!("{}{end}", request_part("get /a HTTP/1.1\r\n\r\n")),
            Unsafe,
        ),
        (format!("{}{end}", request_part("GET")), Unsafe),
        (
            format!(
                "{}--b\r\nContent-Type: text/plain\r\n\r\nx\r\n{end}",
                get("/a")
            ),
            Unsafe,
        ),
        (format!("{}--b\r\nno headers\r\n{end}", get("/a")), Unsafe),
        (
            format!("{}{end}", get("/a")).replace(
                "application/http\r\n",
                "application/http\r\nContent-Transfer-Encoding: base64\r\n",
            ),
            Unsafe,
        ),
        (end.to_owned(), Unsafe),
        ("{\"requests\":[]}".to_owned(), Unsafe),
        (String::new(), Unsafe),
    ];
    for (body, operation) in &table {
        for url in [
            BATCH_URL,
            "/api/data/v9.2/%24Batch?x",
            "https://contoso.crm.test/api/data/v9.2/$batch/",
        ] {
            for body in [body.clone(), body.replace("\r\n", "\n")] {
                let class = class_of(
                    "POST",
                    url,
                    &[("content-type", "multipart/mixed; boundary=b")],
                    &body,
                );
                assert_eq!(class.operation, *operation, "{body}");
                assert!(class.is_compound && class.guard.is_none(), "{body}");
            }
        }
    }
    let reads = &table[0].0;
    let unreadable: [&[Header<'_>]; 4] = [
        &[],
        &[("content-type", "multipart/mixed")],
        &[("content-type", "application/json; boundary=b")],
        &[
            ("content-type", "multipart/mixed; boundary=b"),
            ("content-encoding", "gzip"),
        ],
    ];
    for list in unreadable {
        let class = class_of("POST", BATCH_URL, list, reads);
        assert_eq!(class, Class::compound(), "{list:?}");
    }
    let list = headers(&[("content-type", "multipart/mixed; boundary=b")]);
    assert_eq!(
        classify(&Method::POST, BATCH_URL, &list, None),
        Class::compound()
    );
}

#[test]
fn batches_in_json() {
    const GET: &str = r#"{"id":"1","method":"GET","url":"accounts"}"#;
    const GET_2: &str = r#"{"id":2,"method":"get","url":"/api/data/v9.2/contacts","headers":null}"#;
    const PATCH: &str = r#"{"id":"1","method":"patch","url":"accounts(1)","headers":{"If-Match":null,"if-none-match":"null"},"body":{"method":"POST"}}"#;
    const GUARDED: &str =
        r#"{"id":"1","method":"PATCH","url":"accounts(1)","headers":{"If-None-Match":"*"}}"#;
    const POST: &str = r#"{"id":"1","method":"POST","url":"accounts"}"#;
    const TWICE: &str = r#"{"id":"1","method":"GET","method":"POST","url":"accounts"}"#;
    #[rustfmt::skip]
    let table: &[(&[&str], Operation)] = &[
        (&[GET], Read),
        (&[GET, GET_2], Read),
        (&[GET, PATCH], Idempotent),
        (&[PATCH, GET], Idempotent),
        (&[GET, GUARDED], Unsafe),
        (&[GET, POST], Unsafe),
        (&[TWICE], Unsafe),
        (&[GET, "{}"], Unsafe),
        (&[GET, "1"], Unsafe),
        (&[], Unsafe),
    ];
    for (requests, operation) in table {
        let body = format!(r#"{{"requests":[{}]}}"#, requests.join(","));
        let list = [("content-type", "Application/JSON; odata.metadata=minimal")];
        let class = class_of("POST", BATCH_URL, &list, &body);
        assert_eq!(class.operation, *operation, "{body}");
        assert!(class.is_compound && class.guard.is_none(), "{body}");
        let cut = &body[..body.len() - 1];
        assert_eq!(class_of("POST", BATCH_URL, &list, cut), Class::compound());
        let twice = body.replacen('{', r#"{"requests":[],"#, 1);
        assert_eq!(
            class_of("POST", BATCH_URL, &list, &twice),
            Class::compound()
        );
        for list in [
            &[][..],
            &[("content-type", "text/plain")],
            &[list[0], ("content-encoding", "gzip")],
        ] {
            assert_eq!(class_of("POST", BATCH_URL, list, &body), Class::compound());
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_requests_do_not_panic(
        method in prop::sample::select(vec!["GET", "POST", "PATCH", "DELETE", "MERGE"]),
        url in "\\PC{0,40}",
        header in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            for name in ["content-type", "soapaction", "if-match", "if-none-match", "x-http-method"] {
                headers.append(name, value.clone());
            }
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for url in [url.as_str(), SOAP_URL, BATCH_URL] {
            let _ = classify(&method, url, &headers, Some(&body));
        }
    }

    #[test]
    fn spoiled_messages_do_not_panic_and_cut_ones_are_never_taken_for_less(
        which in 0usize..4,
        cut in any::<prop::sample::Index>(),
        spoiled in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let row = format!("<a:Id>{ID}</a:Id><a:LogicalName>account</a:LogicalName>");
        let (url, content_type, body) = match which {
            0 => (SOAP_URL, "text/xml", message(&create(&row))),
            1 => (SOAP_URL, "text/xml", message(&execute("a:UpdateRequest", &parameter("Target", &row), "Update"))),
            2 => (SOAP_URL, "text/xml", message(&execute("", "", "ExecuteMultiple"))),
            _ => (BATCH_URL, "multipart/mixed; boundary=b", format!("{}{}--b--", get("/a"), change_set(&["PATCH /a(1) HTTP/1.1\r\n\r\n"]))),
        };
        let headers = headers(&[("content-type", content_type)]);
        let whole = classify(&Method::POST, url, &headers, Some(body.as_bytes()));
        let mut body = body.into_bytes();
        let end = cut.index(body.len());
        if content_type == "text/xml" {
            let class = classify(&Method::POST, url, &headers, Some(&body[..end]));
            prop_assert!(class == whole || class.operation == Unsafe, "{class:?}");
        }
        let place = spoiled.index(body.len());
        body[place] = byte;
        let _ = classify(&Method::POST, url, &headers, Some(&body));
    }
}
