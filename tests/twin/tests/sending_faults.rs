//! Faults while an answer is sent, and while a request is read, seen from the bare socket.

mod support;

use std::io::ErrorKind::{self, ConnectionReset, UnexpectedEof};

use d365_twin::{Condition, ErrorCode, Fault, FaultKind, OrgHandle, Twin};
use serde_json::{Value, json};
use support::{ACCOUNTS, LONG, Raw, SOAP, WHO_AM_I, content_length, contoso, kind};

const ROW: &str = r#"{"name": "a"}"#;

/// A fault as a scenario writes it.
fn fault(text: Value) -> Fault {
    serde_json::from_value(text).unwrap()
}

/// Sends `GET WhoAmI` under a fault; returns what came, and how it ended.
fn get_under(text: Value) -> (String, Option<ErrorKind>) {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(fault(text)).unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "GET", WHO_AM_I, "");
    let (bytes, end) = raw.read_to_end();
    (String::from_utf8(bytes).unwrap(), kind(&end))
}

#[test]
fn cut_head_sends_a_part_and_ends() {
    for (end, expected) in [
        (json!({}), Some(UnexpectedEof)),
        (json!({"close_notify": true}), None),
        (json!({"reset": true}), Some(ConnectionReset)),
    ] {
        let mut text = json!({"kind": "cut_head"});
        text.as_object_mut()
            .unwrap()
            .extend(end.as_object().unwrap().clone());
        let (sent, end) = get_under(text.clone());
        assert!(sent.starts_with("HTTP/1.1 200 OK\r\n"), "{sent}");
        assert!(!sent.contains("\r\n\r\n"), "{sent}");
        assert_eq!(end, expected, "{text}");
    }
    let (sent, end) = get_under(json!({"kind": "cut_head", "bytes": 9}));
    assert_eq!((sent.as_str(), end), ("HTTP/1.1 ", Some(UnexpectedEof)));
    let (sent, end) = get_under(json!({"kind": "cut_head", "bytes": 0, "reset": true}));
    assert_eq!((sent.as_str(), end), ("", Some(ConnectionReset)));
}

#[test]
fn cut_head_has_executed_and_has_answered_from_the_status_line_on() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for (bytes, answered) in [(9, false), (40, true)] {
        side.clear().unwrap();
        side.fault(fault(json!({"kind": "cut_head", "bytes": bytes})))
            .unwrap();
        let mut raw = Raw::connect(&twin, side).unwrap();
        raw.send(side, "POST", ACCOUNTS, ROW);
        raw.read_to_end().1.unwrap_err();
        side.wait_for(Condition::idle(), LONG).unwrap();
        let entry = twin.journal().pop().unwrap();
        assert_eq!((entry.committed, entry.answered), (true, answered));
    }
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn cut_body_ends_as_it_is_told() {
    for (text, expected) in [
        (
            json!({"kind": "cut_body", "reset": true}),
            Some(ConnectionReset),
        ),
        (json!({"kind": "cut_body", "close_notify": true}), None),
        (json!({"kind": "cut_body"}), Some(UnexpectedEof)),
    ] {
        let (sent, end) = get_under(text);
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        assert_eq!((body.len(), end), (content_length(head) / 2, expected));
    }
}

#[test]
fn wrong_length_claims_more_or_less_than_it_sends() {
    let mut lengths = [1, 100, -10, -1_000_000].map(|by| {
        let (sent, end) = get_under(json!({"kind": "wrong_length", "by": by}));
        assert_eq!(end, Some(UnexpectedEof));
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        let whole: Value = serde_json::from_str(body).unwrap();
        assert!(whole["UserId"].is_string());
        content_length(head) as i64 - body.len() as i64
    });
    let length_of_the_body = -lengths[3];
    lengths[3] += length_of_the_body;
    assert!(length_of_the_body > 100);
    assert_eq!(lengths, [1, 100, -10, 0]);
}

/// A request whose answer stands still in its body; returns the connection and the rest's length.
fn stalled(twin: &Twin, org: &OrgHandle, method: &str, path: &str) -> (Raw, String, usize) {
    let side = &org.primary;
    let mut raw = Raw::connect(twin, side).unwrap();
    raw.send(side, method, path, if method == "POST" { ROW } else { "" });
    let head = raw.read_head();
    let length = content_length(&head);
    let half = raw.read_bytes(length / 2);
    assert!(raw.is_silent());
    (raw, head + &half, length - length / 2)
}

#[test]
fn stall_body_sends_head_and_half_and_goes_on_when_cleared() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::stall_body()).times(1))
        .unwrap();
    let (mut raw, sent, rest) = stalled(&twin, &org, "GET", WHO_AM_I);
    side.wait_for(Condition::answered(1), LONG).unwrap();
    let counts = side.counts();
    assert_eq!((counts.in_flight, counts.faults["stall_body"]), (1, 1));
    assert!(twin.journal()[0].answered);
    side.clear().unwrap();
    let whole = sent + &raw.read_bytes(rest);
    let (_, body) = whole.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<Value>(body).unwrap()["UserId"].is_string());
    side.wait_for(Condition::idle(), LONG).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    assert_eq!((side.counts().connections, side.counts().answered), (1, 2));
}

#[test]
fn stall_body_with_a_time_ends_by_itself() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(fault(json!({"kind": "stall_body", "ms": 20})))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    for _ in 0..2 {
        raw.send(side, "GET", WHO_AM_I, "");
        assert!(raw.read_answer().contains("UserId"));
    }
}

#[test]
fn any_answer_can_stall() {
    let unavailable = json!({"kind": "datacenter_not_available", "status": 500});
    for (answer, path, status, mark) in [
        (
            json!({"kind": "status", "status": 504, "body": "late, late"}),
            ACCOUNTS,
            504,
            "late, late",
        ),
        (
            json!({"kind": "html_page", "status": 503}),
            ACCOUNTS,
            503,
            "</html>",
        ),
        (unavailable.clone(), ACCOUNTS, 500, "0x8004b065"),
        (unavailable, SOAP, 500, "<ErrorCode>-2147176347</ErrorCode>"),
        (
            json!({"kind": "service_fault", "code": "0x80072322", "status": 429}),
            ACCOUNTS,
            429,
            "0x80072322",
        ),
    ] {
        let (twin, org) = contoso();
        let side = &org.primary;
        side.fault(fault(json!({"kind": "stall_body", "answer": answer})))
            .unwrap();
        let (mut raw, sent, rest) = stalled(&twin, &org, "POST", path);
        assert!(sent.starts_with(&format!("HTTP/1.1 {status} ")), "{sent}");
        side.clear().unwrap();
        let whole = sent + &raw.read_bytes(rest);
        assert!(whole.contains(mark), "{whole}");
        assert!(org.rows().is_empty());
        assert_eq!(twin.journal()[0].status, Some(status));
    }
}

#[test]
fn an_answer_that_is_disturbed_can_have_been_executed() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let code = ErrorCode(0x8004_4151);
    let timeout = FaultKind::ServiceFault {
        code,
        message: String::new(),
        status: 500,
        commit: true,
    };
    let cut = FaultKind::CutBody {
        reset: false,
        close_notify: false,
        answer: Some(Box::new(timeout)),
    };
    side.fault(cut).unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    let (bytes, end) = raw.read_to_end();
    assert!(bytes.starts_with(b"HTTP/1.1 500 "));
    assert_eq!((kind(&end), org.rows().len()), (Some(UnexpectedEof), 1));
}

#[test]
fn a_client_that_leaves_a_stalled_body_is_no_longer_in_flight() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::stall_body()).unwrap();
    let stalled = stalled(&twin, &org, "GET", WHO_AM_I);
    drop(stalled);
    side.wait_for(Condition::idle(), LONG).unwrap();
    let gone = Condition {
        open_connections_at_most: Some(0),
        ..Condition::default()
    };
    side.wait_for(gone, LONG).unwrap();
}

#[test]
fn refuse_resets_a_stalled_body() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::stall_body()).unwrap();
    let (mut raw, ..) = stalled(&twin, &org, "GET", WHO_AM_I);
    side.fault(FaultKind::Refuse {
        keep_existing: false,
    })
    .unwrap();
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
}

#[test]
fn a_client_that_wanted_one_answer_gets_one() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(fault(json!({"kind": "stall_body", "ms": 0})))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send_bytes(&format!(
        "GET {WHO_AM_I} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        side.host()
    ));
    let (bytes, end) = raw.read_to_end();
    assert!(String::from_utf8(bytes).unwrap().contains("UserId"));
    assert_eq!(kind(&end), None);
}

#[test]
fn slow_drip_sends_pieces_until_it_is_cleared() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(fault(
        json!({"kind": "slow_drip", "bytes": 12, "every_ms": 3_600_000}),
    ))
    .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "GET", WHO_AM_I, "");
    assert_eq!(raw.read_bytes(12), "HTTP/1.1 200");
    assert!(raw.is_silent());
    let counts = side.counts();
    assert_eq!((counts.in_flight, counts.answered), (1, 0));
    side.clear().unwrap();
    assert!(raw.read_answer().contains("UserId"));
    side.fault(fault(
        json!({"kind": "slow_drip", "bytes": 50, "every_ms": 1}),
    ))
    .unwrap();
    raw.send(side, "GET", WHO_AM_I, "");
    assert!(raw.read_answer().contains("UserId"));
}

#[test]
fn reset_within_request_waits_for_that_much_of_the_body() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::ResetWithinRequest { bytes: 60 }).method("POST"))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send_bytes(&format!(
        "POST {ACCOUNTS} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n{}",
        side.host(),
        "x".repeat(40)
    ));
    side.wait_for(Condition::faults(1), LONG).unwrap();
    assert!(raw.is_silent());
    raw.send_bytes(&"x".repeat(20));
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
    let counts = side.counts();
    assert_eq!((counts.received, counts.committed), (0, 0));
    assert!(twin.journal().is_empty());
}

#[test]
fn reset_within_request_resets_a_shorter_one_at_its_end() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::ResetWithinRequest { bytes: 60 })
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
    assert_eq!(side.counts().faults["reset_within_request"], 1);
    assert!(org.rows().is_empty());
}
