//! Guarded creates, and what is read back of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use uuid::Uuid;

use super::Rewritten;
use super::guarded_create::{GuardedCreate, guarded_create};
use super::read_back::{created_answer, read_back};
use crate::Operation;
use crate::operation::samples::*;
use crate::operation::{Class, Guard, Row, classify};

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const OURS: &str = "99999999-8888-4777-a666-555555555555";
const SET: &str = "/api/data/v9.2/accounts";

fn id(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap()
}

fn guarded(
    method: &str,
    url: &str,
    list: &[Header<'_>],
    body: &str,
) -> Result<GuardedCreate, &'static str> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    guarded_create(&method, url, &headers(list), &body, id(OURS))
}

fn class(request: &Rewritten) -> Class {
    classify(
        &request.method,
        &request.url,
        &request.headers,
        Some(&request.body),
    )
}

fn body(request: &Rewritten) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

fn soap_guard(text: &str) -> Guard {
    Guard::Created(Row::Soap {
        logical_name: "account".to_owned(),
        id: id(text),
    })
}

fn row(text: &str) -> String {
    format!(
        "<a:Attributes>{}</a:Attributes><a:Id>{text}</a:Id><a:LogicalName>account</a:LogicalName>",
        parameter("name", "ü &amp; <a:Id>1</a:Id>")
    )
}

fn create_request(text: &str) -> String {
    execute(
        "a:CreateRequest",
        &parameter("Target", &row(text)),
        "Create",
    )
}

fn action(name: &str) -> String {
    format!("{SERVICES}/IOrganizationService/{name}")
}

/// A message of SOAP 1.2 with WS-Addressing.
fn addressed(name: &str, operation: &str) -> String {
    let header = format!(
        "<w:Action s:mustUnderstand=\"1\"> {} </w:Action><w:MessageID>urn:uuid:&lt;1&gt;</w:MessageID>",
        action(name)
    );
    envelope(V12, &header, operation)
}

#[test]
fn a_create_at_an_entity_set() {
    let ours = format!("({OURS})");
    #[rustfmt::skip]
    let table = [
        (SET, format!("{SET}{ours}"), ""),
        ("api/data/v9.2/accounts", format!("api/data/v9.2/accounts{ours}"), ""),
        ("https://contoso.crm.test/api/data/v9.2/new_things?$select=name#x",
            format!("https://contoso.crm.test/api/data/v9.2/new_things{ours}"), "?$select=name#x"),
        ("/Contoso/API/Data/V10.11/accounts/?a=(1)", format!("/Contoso/API/Data/V10.11/accounts{ours}"), "?a=(1)"),
    ];
    for (url, row, query) in table {
        let list = [
            ("content-type", "application/json"),
            ("prefer", "return=representation"),
            ("if-none-match", "\"1\""),
            ("if-match", "null"),
        ];
        let made = guarded("POST", url, &list, "{\"name\":\"a\"}").unwrap();
        assert_eq!(made.request.method, Method::PATCH, "{url}");
        assert_eq!(made.request.url, format!("{row}{query}"));
        let mut expected = headers(&list);
        expected.insert("if-none-match", HeaderValue::from_static("*"));
        expected.remove("if-match");
        assert_eq!(made.request.headers, expected);
        assert_eq!(body(&made.request), "{\"name\":\"a\"}");
        assert_eq!(made.guard, Guard::Created(Row::Url(row)));
        let class = class(&made.request);
        assert_eq!(
            (class.operation, class.guard),
            (Operation::Guarded, Some(made.guard))
        );
    }
}

#[test]
fn a_soap_create() {
    let table = [
        ("Create", create(&row(NIL)), create(&row(OURS)), OURS),
        (
            "Create",
            create(&row(" {00000000-0000-0000-0000-000000000000} ")),
            create(&row(OURS)),
            OURS,
        ),
        ("Execute", create_request(NIL), create_request(OURS), OURS),
        // Whoever has chosen an id keeps it.
        ("Create", create(&row(ID)), create(&row(ID)), ID),
        ("Execute", create_request(ID), create_request(ID), ID),
    ];
    for (name, from, to, chosen) in table {
        let soap_action = format!("\"{}\"", action(name));
        for mark in ["", "\u{FEFF}"] {
            for (list, from, to) in [
                (
                    vec![("soapaction", soap_action.as_str())],
                    message(&from),
                    message(&to),
                ),
                (
                    vec![("content-type", "application/soap+xml")],
                    addressed(name, &from),
                    addressed(name, &to),
                ),
            ] {
                let (from, to) = (format!("{mark}{from}"), format!("{mark}{to}"));
                let made = guarded("POST", SOAP_URL, &list, &from).unwrap();
                assert_eq!(body(&made.request), to);
                assert_eq!(made.request.headers, headers(&list));
                assert_eq!(
                    (&made.request.method, made.request.url.as_str()),
                    (&Method::POST, SOAP_URL)
                );
                assert_eq!(made.guard, soap_guard(chosen));
                let class = class(&made.request);
                assert_eq!(
                    (class.operation, class.guard),
                    (Operation::Guarded, Some(made.guard))
                );
            }
        }
    }
}

#[test]
fn requests_that_cannot_be_guarded_and_why() {
    let nil = create(&row(NIL));
    let signature = "<x:Security xmlns:x=\"urn:x\"><d:Signature xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"/></x:Security>";
    let signed = envelope(V11, signature, &nil)
        .replace("<s:Body>", "<s:Body u:Id=\"_1\" xmlns:u=\"urn:u\">");
    let logical = "<a:LogicalName>account</a:LogicalName>";
    let cut = message(&nil).split("</Create>").next().unwrap().to_owned();
    type Case<'a> = (&'a str, &'a str, &'a [Header<'a>], String, &'a str);
    #[rustfmt::skip]
    let table: &[Case<'_>] = &[
        ("PATCH", "/api/data/v9.2/accounts(1)", &[], String::new(), "made of a POST"),
        ("GET", SET, &[], String::new(), "made of a POST"),
        ("POST", BATCH_URL, &[], String::new(), "$batch"),
        ("POST", "/api/data/v9.2/%24batch", &[], String::new(), "$batch"),
        ("POST", "/api/data/v9.2/accounts(1)", &[], String::new(), "a row"),
        ("POST", "/api/data/v9.2/accounts%281%29", &[], String::new(), "a row"),
        ("POST", "/api/data/v9.2/Fn(x=1)", &[], String::new(), "a row"),
        ("POST", "/api/data/v9.2/accounts(1)/contact_customer_accounts", &[], String::new(), "navigation"),
        ("POST", "/api/data/v9.2/accounts(1)/contact_customer_accounts/$ref", &[], String::new(), "navigation"),
        ("POST", "/api/data/v9.2/accounts/Microsoft.Dynamics.CRM.CreateMultiple", &[], String::new(), "an action"),
        ("POST", "/api/data/v9.2/Microsoft.Dynamics.CRM.Act", &[], String::new(), "an action"),
        ("POST", "/api/data/v9.2/accounts(1)/Microsoft.Dynamics.CRM.Act", &[], String::new(), "an action"),
        ("POST", "/api/data/v9.2/$metadata", &[], String::new(), "no entity set"),
        ("POST", "/api/data/v9.2/", &[], String::new(), "no entity set"),
        ("POST", "/api/data/v9.2", &[], String::new(), "no entity set"),
        ("POST", "/api/data/v9/accounts", &[], String::new(), "neither"),
        ("POST", "/accounts", &[], String::new(), "neither"),
        ("POST", "", &[], String::new(), "neither"),
        ("POST", "/x?/api/data/v9.2/accounts", &[], String::new(), "neither"),
        ("POST", "/XRMServices/2011/OrganizationData.svc/AccountSet", &[], String::new(), "OData v2"),
        ("POST", SET, &[("x-http-method", "MERGE")], String::new(), "X-HTTP-Method"),
        ("POST", SET, &[("if-match", "*")], String::new(), "If-Match"),
        ("POST", SOAP_URL, &[], String::new(), "no whole SOAP message"),
        ("POST", SOAP_URL, &[], cut.clone(), "no whole SOAP message"),
        ("POST", SOAP_URL, &[("content-encoding", "gzip")], message(&nil), "no whole SOAP message"),
        ("POST", SOAP_URL, &[], message(&operation("Update", "")), "no Create"),
        ("POST", SOAP_URL, &[], message(&execute("a:ExecuteMultipleRequest", "", "ExecuteMultiple")), "no Create"),
        ("POST", SOAP_URL, &[], message(&execute("a:CreateRequest", "", "Update")), "no Create"),
        ("POST", SOAP_URL, &[("soapaction", "\"x/Update\"")], message(&nil), "different"),
        ("POST", SOAP_URL, &[], addressed("Update", &nil), "different"),
        ("POST", SOAP_URL, &[], message(&create(logical)), "no Id"),
        ("POST", SOAP_URL, &[], message(&create(&format!("{logical}<a:Id>{NIL}</a:Id>"))), "no Id"),
        ("POST", SOAP_URL, &[], message(&create(&format!("<a:Id i:nil=\"true\"/>{logical}"))), "no Id"),
        ("POST", SOAP_URL, &[], message(&create(&row("account 1"))), "no GUID"),
        ("POST", SOAP_URL, &[], message(&create(&format!("<a:Id>{NIL}</a:Id>"))), "no LogicalName"),
        ("POST", SOAP_URL, &[], signed.clone(), "signed"),
    ];
    for (method, url, list, body, why) in table {
        let error = guarded(method, url, list, body).err().unwrap();
        assert!(error.contains(why), "{method} {url}: {error}");
        assert!(!error.contains("  "), "{error}");
    }
    // The id is the application's own, and nothing is changed.
    guarded("POST", SOAP_URL, &[], &signed.replace(NIL, ID)).unwrap();
    // Only other elements are signed.
    guarded("POST", SOAP_URL, &[], &signed.replace("u:Id", "u:x")).unwrap();
}

#[test]
fn reading_a_row_back_at_the_web_api() {
    const ROW: &str = "https://contoso.crm.test/api/data/v9.2/accounts(1)";
    let guard = Guard::Version(Row::Url(ROW.to_owned()));
    let kept = [
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("mscrmcallerid", ID),
        ("odata-version", "4.0"),
        ("accept", "application/json"),
        ("x-ms-client-request-id", "1"),
    ];
    let left_out = [
        ("if-match", "W/\"1\""),
        ("If-None-Match", "*"),
        ("content-type", "application/json"),
        ("content-length", "2"),
        ("content-encoding", "gzip"),
        ("prefer", "return=representation"),
        ("expect", "100-continue"),
        ("x-http-method", "MERGE"),
        ("x-http-method-override", "MERGE"),
        ("mscrm.suppressduplicatedetection", "false"),
    ];
    let list = [&kept[..], &left_out].concat();
    let got = read_back(
        &guard,
        &format!("{ROW}?$select=x"),
        &headers(&list),
        &Bytes::from("{}"),
    )
    .unwrap();
    assert_eq!((got.method.clone(), got.url.as_str()), (Method::GET, ROW));
    assert_eq!(got.headers, headers(&kept));
    assert!(got.body.is_empty());
    assert_eq!(class(&got).operation, Operation::Read);
}

#[test]
fn reading_a_row_back_by_soap() {
    let retrieve = format!(
        "<Retrieve xmlns=\"{SERVICES}\"><entityName>account</entityName><id>{ID}</id>\
         <columnSet xmlns:a=\"{CONTRACTS}\"><a:AllColumns>true</a:AllColumns>\
         <a:Columns xmlns:b=\"http://schemas.microsoft.com/2003/10/Serialization/Arrays\"></a:Columns></columnSet></Retrieve>"
    );
    let quoted = |name: &str| format!("\"{}\"", action(name));
    let of_1_2 = |name: &str| {
        format!(
            "application/soap+xml; charset=utf-8; action=\"{}\"",
            action(name)
        )
    };
    for (name, sent) in [
        ("Create", create(&row(ID))),
        ("Execute", create_request(ID)),
        (
            "Execute",
            execute("a:UpdateRequest", &parameter("Target", &row(ID)), "Update"),
        ),
    ] {
        let space = " \n ";
        let with_action = (
            addressed(name, &format!("{space}{sent}")),
            addressed("Retrieve", &retrieve)
                .replace("> http", ">http")
                .replace("Retrieve </w", "Retrieve</w"),
        );
        let without = (envelope(V11, "", &sent), envelope(V11, "", &retrieve));
        let table = [
            (
                &without,
                vec![
                    ("soapaction", quoted(name)),
                    ("content-type", "text/xml; charset=utf-8".to_owned()),
                ],
                vec![
                    ("soapaction", quoted("Retrieve")),
                    ("content-type", "text/xml; charset=utf-8".to_owned()),
                ],
            ),
            (&without, vec![], vec![]),
            (
                &with_action,
                vec![("content-type", of_1_2(name))],
                vec![("content-type", of_1_2("Retrieve"))],
            ),
            (
                &with_action,
                vec![
                    ("content-type", "application/soap+xml".to_owned()),
                    ("content-length", "7".to_owned()),
                    ("authorization", "Bearer x".to_owned()),
                ],
                vec![
                    ("content-type", "application/soap+xml".to_owned()),
                    ("authorization", "Bearer x".to_owned()),
                ],
            ),
        ];
        for ((from, to), before, after) in table {
            let texts = |list: &[(&'static str, String)]| {
                let list: Vec<Header<'_>> = list
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                headers(&list)
            };
            for mark in ["", "\u{FEFF}"] {
                let sent = Bytes::from(format!("{mark}{from}"));
                let got = read_back(&soap_guard(ID), SOAP_URL, &texts(&before), &sent).unwrap();
                assert_eq!(body(&got), format!("{mark}{to}"));
                assert_eq!(got.headers, texts(&after));
                assert_eq!((&got.method, got.url.as_str()), (&Method::POST, SOAP_URL));
                assert_eq!(class(&got).operation, Operation::Read);
            }
        }
    }
}

#[test]
fn messages_that_cannot_be_read_back() {
    let signature = "<d:Signature xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"/>";
    let sent = addressed("Create", &create(&row(ID)));
    let signed = sent.replace("</s:Header>", &format!("{signature}</s:Header>"));
    let table = [
        (sent.clone(), true),
        // The signature is over something else.
        (signed.clone(), true),
        (signed.replace("<w:Action ", "<w:Action ID=\"a\" "), false),
        (signed.replace("<s:Body", "<s:Body w:Id=\"a\""), false),
        (sent.replace("<s:Body", "<s:Body w:Id=\"a\""), true),
        (sent.replace("</s:Body>", ""), false),
        ("{}".to_owned(), false),
    ];
    for (body, can) in table {
        let got = read_back(
            &soap_guard(ID),
            SOAP_URL,
            &HeaderMap::new(),
            &Bytes::from(body.clone()),
        );
        assert_eq!(got.is_some(), can, "{body}");
    }
}

#[test]
fn the_answer_to_a_create_whose_row_was_found() {
    const ROW: &str = "https://contoso.crm.test/api/data/v9.2/accounts(1)";
    let answer = |guard: &Guard, body: &str| {
        created_answer(
            guard,
            &HeaderMap::new(),
            &Bytes::copy_from_slice(body.as_bytes()),
            ROW,
        )
    };
    let row_guard = Guard::Created(Row::Url(ROW.to_owned()));
    let got = answer(&row_guard, "{}").unwrap();
    assert_eq!(got.status(), 204);
    assert_eq!(
        got.headers(),
        &headers(&[("odata-entityid", ROW), ("odata-version", "4.0")])
    );
    assert!(got.body().is_empty());

    let created = format!(
        "<CreateResponse xmlns=\"{SERVICES}\"><CreateResult>{ID}</CreateResult></CreateResponse>"
    );
    let executed = format!(
        "<ExecuteResponse xmlns=\"{SERVICES}\"><ExecuteResult i:type=\"a:CreateResponse\" xmlns:a=\"{CONTRACTS}\" xmlns:i=\"{INSTANCE}\">\
         <a:ResponseName>Create</a:ResponseName><a:Results xmlns:b=\"{GENERIC}\"><a:KeyValuePairOfstringanyType><b:key>id</b:key>\
         <b:value i:type=\"c:guid\" xmlns:c=\"http://schemas.microsoft.com/2003/10/Serialization/\">{ID}</b:value>\
         </a:KeyValuePairOfstringanyType></a:Results></ExecuteResult></ExecuteResponse>"
    );
    let header = |name: &str| {
        format!(
            "<s:Header xmlns:w=\"{WSA}\"><w:Action s:mustUnderstand=\"1\">{}Response</w:Action>\
         <w:RelatesTo>urn:uuid:&lt;1&gt;</w:RelatesTo></s:Header>",
            action(name)
        )
    };
    let table = [
        (
            message(&create(&row(ID))),
            V11,
            "text/xml",
            String::new(),
            &created,
        ),
        (
            message(&create_request(ID)),
            V11,
            "text/xml",
            String::new(),
            &executed,
        ),
        (
            envelope(V12, "", &create(&row(ID))),
            V12,
            "application/soap+xml",
            String::new(),
            &created,
        ),
        (
            addressed("Create", &create(&row(ID))),
            V12,
            "application/soap+xml",
            header("Create"),
            &created,
        ),
        (
            addressed("Execute", &create_request(ID)),
            V12,
            "application/soap+xml",
            header("Execute"),
            &executed,
        ),
    ];
    for (sent, soap, media_type, header, content) in table {
        let got = answer(&soap_guard(ID), &sent).unwrap();
        assert_eq!(got.status(), 200);
        assert_eq!(
            got.headers(),
            &headers(&[("content-type", &format!("{media_type}; charset=utf-8"))])
        );
        let expected = format!(
            "<s:Envelope xmlns:s=\"{soap}\">{header}<s:Body>{content}</s:Body></s:Envelope>"
        );
        assert_eq!(got.body(), &expected);
    }
    let version = Guard::Version(Row::Url(ROW.to_owned()));
    assert!(answer(&version, "{}").is_none());
    assert!(answer(&soap_guard(ID), "{}").is_none());
    assert!(answer(&soap_guard(ID), &message(&operation("Update", ""))).is_none());
}

proptest! {
    #[test]
    fn arbitrary_requests_do_not_panic_and_what_is_made_is_guarded(
        url in prop_oneof![
            "\\PC{0,40}",
            "(https://[a-z.]{1,10})?(/[a-z]{1,5})?/api/data/v[0-9]\\.[0-9](/[a-zA-Z_.()$%0-9]{0,10}){0,3}(\\?[a-z()=]{0,9})?",
            Just(SOAP_URL.to_owned()),
        ],
        header in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        id in any::<u128>().prop_map(Uuid::from_u128),
    ) {
        prop_assume!(!id.is_nil());
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            for name in ["content-type", "soapaction", "prefer"] {
                headers.append(name, value.clone());
            }
        }
        let body = Bytes::from(body);
        if let Ok(made) = guarded_create(&Method::POST, &url, &headers, &body, id) {
            let class = class(&made.request);
            prop_assert_eq!(class.operation, Operation::Guarded);
            prop_assert_eq!(class.guard.as_ref(), Some(&made.guard));
            let back = read_back(&made.guard, &made.request.url, &made.request.headers, &made.request.body);
            prop_assert_eq!(super::guard_tests::class(&back.unwrap()).operation, Operation::Read);
        }
        for guard in [soap_guard(ID), Guard::Created(Row::Url(url.clone()))] {
            let _ = read_back(&guard, &url, &headers, &body);
            let _ = created_answer(&guard, &headers, &body, &url);
        }
    }

    #[test]
    fn spoiled_messages_do_not_panic_and_the_id_changes_nothing_else(
        is_execute in any::<bool>(),
        spoiled in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        id in any::<u128>().prop_map(Uuid::from_u128),
    ) {
        prop_assume!(!id.is_nil());
        let sent = if is_execute { create_request(NIL) } else { create(&row(NIL)) };
        let mut body = addressed(if is_execute { "Execute" } else { "Create" }, &sent).into_bytes();
        for (place, byte) in &spoiled {
            let place = place.index(body.len());
            body[place] = *byte;
        }
        let body = Bytes::from(body);
        let headers = HeaderMap::new();
        let made = guarded_create(&Method::POST, SOAP_URL, &headers, &body, id);
        prop_assert!(made.is_ok() || !spoiled.is_empty());
        if let Ok(made) = made {
            let changed = &made.request.body;
            if *changed != body {
                let same = body.iter().zip(changed).take_while(|(a, b)| a == b).count();
                let same_at_end = body.iter().rev().zip(changed.iter().rev()).take_while(|(a, b)| a == b).count();
                prop_assert!(same + same_at_end + NIL.len() >= changed.len().min(body.len()));
            }
            let again = guarded_create(&Method::POST, SOAP_URL, &headers, changed, Uuid::max()).unwrap();
            prop_assert_eq!(&again.request.body, changed);
            prop_assert_eq!(&again.guard, &made.guard);
            let _ = read_back(&made.guard, SOAP_URL, &headers, changed);
            let _ = created_answer(&made.guard, &headers, changed, "");
        }
    }
}
