//! What stands around an answer: `Expect: 100-continue`, interim answers, trailers; and answers
//! without a body.

mod support;

use bytes::Bytes;
use d365_twin::{Condition, Fault, FaultKind, OrgHandle, OrganizationConfig, SideHandle, Twin};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use support::h2_client::H2;
use support::{ACCOUNTS, LONG, Raw, WHO_AM_I, contoso, twin};

const ROW: &str = r#"{"name": "a"}"#;

fn http2() -> (Twin, OrgHandle) {
    twin(OrganizationConfig {
        http2: true,
        ..OrganizationConfig::new("contoso")
    })
}

fn fault(text: Value) -> Fault {
    serde_json::from_value(text).unwrap()
}

/// Sends a head that expects `100-continue`, and no body.
fn expecting(twin: &Twin, side: &SideHandle) -> Raw {
    let mut raw = Raw::connect(twin, side).unwrap();
    raw.send_bytes(&format!(
        "POST {ACCOUNTS} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        side.host(),
        ROW.len()
    ));
    raw
}

#[test]
fn the_100_comes_before_the_body() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut raw = expecting(&twin, side);
    assert_eq!(raw.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(side.counts().received, 0);
    raw.send_bytes(ROW);
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    assert!(twin.journal()[0].expects_continue);
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    assert!(!twin.journal()[1].expects_continue);
}

#[test]
fn a_refusal_comes_instead_of_the_100() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for (answer, status, text) in [
        (Value::Null, 417, ""),
        (json!({"kind": "status", "status": 401}), 401, ""),
        (
            json!({"kind": "datacenter_not_available"}),
            503,
            "0x8004b065",
        ),
    ] {
        let mut keys = json!({"kind": "answer_at_head", "times": 1});
        if !answer.is_null() {
            keys["answer"] = answer;
        }
        side.fault(fault(keys)).unwrap();
        let mut raw = expecting(&twin, side);
        let answer = raw.read_answer();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(text), "{answer}");
        let (rest, end) = raw.read_to_end();
        assert!(rest.is_empty() && end.is_ok(), "{end:?}");
        let entry = twin.journal().pop().unwrap();
        assert_eq!(entry.fault.as_deref(), Some("answer_at_head"));
        assert_eq!((entry.status, entry.committed), (Some(status), false));
    }
    side.wait_for(Condition::idle(), LONG).unwrap();
    assert!(org.rows().is_empty());
    assert_eq!(side.counts().faults["answer_at_head"], 3);
}

#[test]
fn a_refusal_at_the_head_reaches_a_client_that_is_sending() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(fault(json!({"kind": "answer_at_head"})))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send_bytes(&format!(
        "POST {ACCOUNTS} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n{}",
        side.host(),
        "a".repeat(200_000)
    ));
    let answer = raw.read_answer();
    assert!(answer.starts_with("HTTP/1.1 417"), "{answer}");
    assert!(raw.read_to_end().1.is_ok());
}

#[test]
fn the_100_is_withheld_and_the_request_is_served() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::WithholdContinue).times(1))
        .unwrap();
    let mut other = Raw::connect(&twin, side).unwrap();
    other.send(side, "POST", ACCOUNTS, ROW);
    assert!(other.read_answer().starts_with("HTTP/1.1 204"));
    let mut raw = expecting(&twin, side);
    side.wait_for(Condition::faults(1), LONG).unwrap();
    assert!(raw.is_silent());
    raw.send_bytes(ROW);
    let answer = raw.read_answer();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert_eq!(org.rows().len(), 2);
    let mut raw = expecting(&twin, side);
    assert!(raw.read_head().starts_with("HTTP/1.1 100"));
}

#[test]
fn on_http2_the_100_and_its_refusals_are_the_same() {
    let (twin, org) = http2();
    let side = &org.primary;
    let h2 = H2::connect(&twin, side);
    let expecting = || {
        let mut request = h2.request(Method::POST, ACCOUNTS);
        let expectation = HeaderValue::from_static("100-continue");
        request.headers_mut().insert("expect", expectation);
        h2.begin(request, false)
    };
    let (mut response, mut stream) = expecting();
    let interim = h2.wait(std::future::poll_fn(|context| {
        response.poll_informational(context)
    }));
    assert_eq!(interim.unwrap().unwrap().status(), 100);
    stream.send_data(Bytes::from(ROW), true).unwrap();
    assert_eq!(h2.answer(response).unwrap().status, 204);

    let id = side
        .fault(fault(json!({"kind": "answer_at_head"})))
        .unwrap();
    let (response, mut stream) = expecting();
    assert_eq!(h2.answer(response).unwrap().status, 417);
    let reset = h2.wait(std::future::poll_fn(|context| stream.poll_reset(context)));
    assert_eq!(reset.unwrap(), h2::Reason::NO_ERROR);
    side.clear_fault(id).unwrap();

    side.fault(FaultKind::WithholdContinue).unwrap();
    let (response, mut stream) = expecting();
    side.wait_for(Condition::faults(2), LONG).unwrap();
    stream.send_data(Bytes::from(ROW), true).unwrap();
    assert_eq!(h2.answer(response).unwrap().status, 204);
    assert_eq!(org.rows().len(), 2);
    assert_eq!(side.counts().connections, 1);
}

#[test]
fn an_interim_answer_comes_before_the_answer() {
    let (twin, org) = http2();
    let side = &org.primary;
    side.fault(fault(
        json!({"kind": "informational", "headers": {"link": "</a>"}}),
    ))
    .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    for _ in 0..2 {
        raw.send(side, "GET", WHO_AM_I, "");
        let interim = raw.read_head();
        assert_eq!(interim, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        assert!(raw.read_answer().starts_with("HTTP/1.1 200"));
    }
    let h2 = H2::connect(&twin, side);
    let (mut response, _) = h2.begin(h2.request(Method::GET, WHO_AM_I), true);
    let interim = h2.wait(std::future::poll_fn(|context| {
        response.poll_informational(context)
    }));
    let interim = interim.unwrap().unwrap();
    assert_eq!(
        (interim.status().as_u16(), &interim.headers()["link"]),
        (103, &"</a>".parse().unwrap())
    );
    assert_eq!(h2.answer(response).unwrap().status, 200);
    for status in [101, 99, 200] {
        let text = json!({"kind": "informational", "status": status});
        assert!(serde_json::from_value::<Fault>(text).is_err());
    }
}

#[test]
fn trailers_follow_a_chunked_answer() {
    let (twin, org) = http2();
    let side = &org.primary;
    let answer = json!({"kind": "status", "status": 200, "body": "a body"});
    side.fault(fault(
        json!({"kind": "trailers", "headers": {"retry-after": "7"},
                            "answer": answer}),
    ))
    .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    let body = "6\r\na body\r\n0\r\nretry-after: 7\r\n\r\n";
    for _ in 0..2 {
        raw.send(side, "GET", WHO_AM_I, "");
        let head = raw.read_head();
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert_eq!(raw.read_bytes(body.len()), body);
    }
    let h2 = H2::connect(&twin, side);
    let (response, _) = h2.begin(h2.request(Method::GET, WHO_AM_I), true);
    let trailers = h2.wait(async {
        let mut body = response.await.unwrap().into_body();
        while body.data().await.is_some() {}
        body.trailers().await.unwrap().unwrap()
    });
    assert_eq!(trailers["retry-after"], "7");
}

/// The answers to one request on HTTP/1.1, as a head and the beginning of what follows it, and on
/// HTTP/2.
fn heads(
    twin: &Twin,
    side: &SideHandle,
    method: &str,
    path: &str,
    header: (&'static str, &str),
) -> (String, http::Response<h2::RecvStream>) {
    let mut raw = Raw::connect(twin, side).unwrap();
    let (name, value) = header;
    raw.send_bytes(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n{name}: {value}\r\n\r\n",
        side.host()
    ));
    let head = raw.read_head();
    raw.send(side, "POST", ACCOUNTS, "{}");
    let next = raw.read_answer();
    assert!(next.starts_with("HTTP/1.1 204"), "a body came: {next}");
    let h2 = H2::connect(twin, side);
    let mut request = h2.request(method.parse().unwrap(), path);
    request.headers_mut().insert(name, value.parse().unwrap());
    let (response, _) = h2.begin(request, true);
    let mut response = h2.wait(response).unwrap();
    assert!(h2.wait(response.body_mut().data()).is_none());
    (head, response)
}

#[test]
fn head_is_answered_as_get_without_the_body() {
    let (twin, org) = http2();
    let side = &org.primary;
    let (head, response) = heads(&twin, side, "HEAD", WHO_AM_I, ("accept", "*/*"));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = support::content_length(&head);
    assert!(length > 100, "{head}");
    assert_eq!(
        response.headers()["content-length"],
        length.to_string().as_str()
    );
    assert_eq!(twin.journal()[0].method, "HEAD");
    side.fault(fault(json!({"kind": "informational", "path": WHO_AM_I})))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "HEAD", WHO_AM_I, "");
    raw.read_head();
    assert_eq!(support::content_length(&raw.read_head()), length);
    raw.send(side, "POST", ACCOUNTS, "{}");
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
}

#[test]
fn a_row_that_is_known_is_answered_304() {
    let (twin, org) = http2();
    let side = &org.primary;
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    raw.read_answer();
    let path = format!("{ACCOUNTS}({})", org.rows()[0].id);
    raw.send(side, "GET", &path, "");
    let answer = raw.read_answer();
    let etag = answer.lines().find_map(|line| line.strip_prefix("etag: "));
    let etag = etag.expect("an ETag").to_owned();
    let (head, response) = heads(&twin, side, "GET", &path, ("if-none-match", &etag));
    assert!(head.starts_with("HTTP/1.1 304"), "{head}");
    assert!(head.contains(&format!("etag: {etag}\r\n")), "{head}");
    assert_eq!(response.status(), 304);
    assert_eq!(response.headers()["etag"], etag.as_str());
}
