//! HTTP/2: what it shares with HTTP/1.1, and the faults that only it has.

mod support;

use std::io;

use d365_twin::{
    Condition, Fault, FaultKind, JournalEntry, LastStream, OrgHandle, OrganizationConfig, Scheme,
    Twin, TwinConfig,
};
use h2::Reason;
use http::Method;
use serde_json::{Value, json};
use support::h2_client::{Answer, H2};
use support::{ACCOUNTS, LONG, Raw, WHO_AM_I, client, client_config, contoso, twin, url};

const ROW: &str = r#"{"name": "a"}"#;

fn http2() -> (Twin, OrgHandle) {
    let mut config = OrganizationConfig::new("contoso");
    config.http2 = true;
    twin(config)
}

fn fault(text: Value) -> Fault {
    serde_json::from_value(text).unwrap()
}

fn last(twin: &Twin) -> JournalEntry {
    twin.journal().pop().expect("an entry")
}

#[test]
fn it_is_offered_where_it_is_set_beside_http1() {
    let (twin, org) = http2();
    let h2 = H2::connect(&twin, &org.primary);
    assert_eq!(h2.answer(h2.post()).unwrap().status, 204);
    let answer = h2.answer(h2.send(Method::GET, WHO_AM_I, "")).unwrap();
    assert!(answer.body.contains("OrganizationId"), "{answer:?}");
    org.primary.wait_for(Condition::idle(), LONG).unwrap();
    assert!(
        twin.journal()
            .iter()
            .all(|entry| entry.http2 && entry.answered)
    );
    let request = client(&twin).post(url(&org.primary, ACCOUNTS)).body(ROW);
    assert_eq!(request.send().unwrap().status(), 204);
    assert!(!last(&twin).http2);
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn it_is_set_for_each_side() {
    let (twin, org) = contoso();
    let mut config = client_config(&twin);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = Raw::shake_hands(config, &org.primary, Raw::tcp(&org.primary).unwrap());
    assert!(refused.is_err());
    let mut config = OrganizationConfig::new("fabrikam");
    config.alternate_http2 = Some(true);
    let org = twin.add_organization(config).unwrap();
    let goaway = || fault(json!({"kind": "goaway"}));
    let error = org.primary.fault(goaway()).unwrap_err().to_string();
    assert!(error.contains("set `http2`"), "{error}");
    org.alternate.fault(goaway()).unwrap();
}

#[test]
fn what_cannot_be_is_refused() {
    let mut plain = OrganizationConfig::new("contoso");
    (plain.scheme, plain.http2) = (Scheme::Http, true);
    assert!(Twin::start(TwinConfig::new([plain])).is_err());
    for (text, word) in [
        (json!({"kind": "goaway", "answered": true}), "set `commit`"),
        (
            json!({"kind": "rst_stream", "partial": true}),
            "set `commit`",
        ),
        (
            json!({"kind": "rst_stream", "commit": true}),
            "another `code`",
        ),
        (
            json!({"kind": "rst_stream", "commit": true, "code": 13}),
            "another `code`",
        ),
    ] {
        let error = serde_json::from_value::<Fault>(text).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn streams_are_answered_as_they_are_ready() {
    let (twin, org) = http2();
    let side = &org.primary;
    side.fault(fault(json!({"kind": "stall", "method": "POST"})))
        .unwrap();
    let h2 = H2::connect(&twin, side);
    let stalled = [h2.post(), h2.post()];
    side.wait_for(Condition::committed(2), LONG).unwrap();
    let answer = h2.answer(h2.send(Method::GET, WHO_AM_I, "")).unwrap();
    assert_eq!(answer.status, 200);
    side.wait_for(Condition::answered(1), LONG).unwrap();
    assert_eq!((side.counts().in_flight, side.counts().connections), (2, 1));
    side.clear().unwrap();
    for response in stalled {
        assert_eq!(h2.answer(response).unwrap().status, 204);
    }
}

/// Sends one POST under a fault; returns what became of it, and of the connection.
fn post_under(
    text: Value,
) -> (
    Result<Answer, h2::Error>,
    Result<(), h2::Error>,
    JournalEntry,
    usize,
) {
    let (twin, org) = http2();
    let side = &org.primary;
    let h2 = H2::connect(&twin, side);
    h2.answer(h2.send(Method::GET, WHO_AM_I, "")).unwrap();
    side.fault(fault(text)).unwrap();
    let answer = h2.answer(h2.post());
    side.wait_for(Condition::idle(), LONG).unwrap();
    (answer, h2.end(), last(&twin), org.rows().len())
}

#[test]
fn goaway_below_the_request_says_that_it_was_not_executed() {
    for code in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let (answer, end, entry, rows) =
            post_under(json!({"kind": "goaway", "code": u32::from(code)}));
        let error = answer.unwrap_err();
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(code));
        assert_eq!((rows, entry.committed, entry.answered), (0, false, false));
        assert_eq!(end.is_ok(), code == Reason::NO_ERROR, "{end:?}");
    }
}

#[test]
fn goaway_at_or_above_the_request_leaves_it_in_doubt() {
    for last_stream in ["ours", "max"] {
        let text = json!({"kind": "goaway", "last_stream": last_stream, "commit": true});
        let (answer, _, entry, rows) = post_under(text);
        let error = answer.unwrap_err();
        // The GOAWAY spares the stream; the connection's end does not.
        assert!(error.is_io() || !error.is_reset(), "{error:?}");
        assert!(!(error.is_go_away() && error.is_remote()), "{error:?}");
        assert_eq!((rows, entry.committed, entry.answered), (1, true, false));
    }
}

#[test]
fn goaway_does_not_lie_of_what_was_executed() {
    for last_stream in ["below", "ours"] {
        let text = json!({"kind": "goaway", "commit": true, "last_stream": last_stream});
        let (answer, _, entry, rows) = post_under(text);
        let error = answer.unwrap_err();
        assert!(!(error.is_go_away() && error.is_remote()), "{error:?}");
        assert_eq!((rows, entry.committed), (1, true));
    }
}

/// A request that meets the GOAWAY after later ones of its connection were received.
#[test]
fn goaway_spares_later_streams_that_are_executed() {
    for (text, rows) in [
        (json!({"kind": "goaway", "times": 1}), 2),
        (
            json!({"kind": "goaway", "times": 1, "last_stream": "ours", "commit": true}),
            3,
        ),
    ] {
        let (twin, org) = http2();
        let side = &org.primary;
        let h2 = H2::connect(&twin, side);
        let (first, mut body) = h2.begin(h2.request(Method::POST, ACCOUNTS), false);
        side.fault(fault(json!({"kind": "stall", "times": 2})))
            .unwrap();
        let later = [h2.post(), h2.post()];
        side.wait_for(Condition::committed(2), LONG).unwrap();
        side.fault(fault(text)).unwrap();
        body.send_data(ROW.into(), true).unwrap();
        side.wait_for(Condition::received(3), LONG).unwrap();
        if rows == 2 {
            let error = h2.answer(first).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM), "{error:?}");
        }
        side.clear().unwrap();
        for later in later {
            assert_eq!(h2.answer(later).unwrap().status, 204);
        }
        side.wait_for(Condition::idle(), LONG).unwrap();
        assert_eq!(org.rows().len(), rows);
    }
}

#[test]
fn goaway_keeps_later_streams_from_being_executed() {
    for (text, rows) in [
        (json!({"kind": "goaway", "times": 1}), 0),
        (
            json!({"kind": "goaway", "times": 1, "last_stream": "ours", "commit": true}),
            1,
        ),
    ] {
        let (twin, org) = http2();
        let side = &org.primary;
        let h2 = H2::connect(&twin, side);
        let (_first, mut body) = h2.begin(h2.request(Method::POST, ACCOUNTS), false);
        side.fault(fault(json!({"kind": "stall_before_commit", "times": 2})))
            .unwrap();
        let later = [h2.post(), h2.post()];
        side.wait_for(Condition::in_flight(2), LONG).unwrap();
        side.fault(fault(text)).unwrap();
        body.send_data(ROW.into(), true).unwrap();
        for later in later {
            let error = h2.answer(later).unwrap_err();
            assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        }
        side.clear().unwrap();
        side.wait_for(Condition::idle(), LONG).unwrap();
        assert_eq!(org.rows().len(), rows);
    }
}

#[test]
fn goaway_can_come_before_the_answer() {
    for last_stream in [LastStream::Ours, LastStream::Max] {
        let last_stream = serde_json::to_value(last_stream).unwrap();
        let (answer, end, entry, rows) = post_under(json!({
            "kind": "goaway", "last_stream": last_stream, "commit": true, "answered": true,
        }));
        assert_eq!(answer.unwrap().status, 204);
        assert!(end.is_ok(), "{end:?}");
        assert_eq!((rows, entry.answered), (1, true));
    }
}

#[test]
fn goaway_lets_earlier_streams_finish() {
    let (twin, org) = http2();
    let side = &org.primary;
    side.fault(fault(json!({"kind": "stall_before_commit", "times": 1})))
        .unwrap();
    side.fault(fault(json!({"kind": "goaway"}))).unwrap();
    let h2 = H2::connect(&twin, side);
    let earlier = h2.post();
    side.wait_for(Condition::in_flight(1), LONG).unwrap();
    let error = h2.answer(h2.post()).unwrap_err();
    assert!(error.is_go_away(), "{error:?}");
    side.clear().unwrap();
    assert_eq!(h2.answer(earlier).unwrap().status, 204);
    h2.end().unwrap();
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn rst_stream_ends_one_stream_before_or_after_execution() {
    for (text, code, rows) in [
        (json!({"kind": "rst_stream"}), Reason::REFUSED_STREAM, 0),
        (
            json!({"kind": "rst_stream", "code": 2, "commit": true}),
            Reason::INTERNAL_ERROR,
            1,
        ),
        (json!({"kind": "rst_stream", "code": 8}), Reason::CANCEL, 0),
    ] {
        let (twin, org) = http2();
        let mut once = fault(text);
        once.times = Some(1);
        org.primary.fault(once).unwrap();
        let h2 = H2::connect(&twin, &org.primary);
        let error = h2.answer(h2.post()).unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error:?}");
        assert_eq!((error.reason(), org.rows().len()), (Some(code), rows));
        assert_eq!(h2.answer(h2.post()).unwrap().status, 204);
        assert_eq!(org.primary.counts().connections, 1);
    }
}

#[test]
fn rst_stream_can_cut_an_answer() {
    let (twin, org) = http2();
    org.primary
        .fault(fault(
            json!({"kind": "rst_stream", "code": 2, "commit": true, "partial": true}),
        ))
        .unwrap();
    let h2 = H2::connect(&twin, &org.primary);
    let response = h2.send(Method::GET, WHO_AM_I, "");
    h2.wait(async {
        let response = response.await.unwrap();
        let length: usize = response.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut body = response.into_body();
        let half = body.data().await.unwrap().unwrap();
        assert_eq!(half.len(), length / 2);
        let error = body.data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    });
}

#[test]
fn requests_of_http1_pass_faults_of_http2() {
    let (twin, org) = http2();
    org.primary
        .fault(fault(json!({"kind": "rst_stream", "times": 1})))
        .unwrap();
    let request = client(&twin).post(url(&org.primary, ACCOUNTS)).body(ROW);
    assert_eq!(request.send().unwrap().status(), 204);
    let h2 = H2::connect(&twin, &org.primary);
    assert!(h2.answer(h2.post()).unwrap_err().is_reset());
}

#[test]
fn ends_of_the_connection_are_the_same() {
    for (text, rows) in [
        (json!({"kind": "commit_then_close"}), 1),
        (
            json!({"kind": "commit_then_close", "close_notify": true}),
            1,
        ),
        (json!({"kind": "commit_then_reset"}), 1),
        (json!({"kind": "reset_after_request"}), 0),
        (json!({"kind": "reset_before_request", "method": "POST"}), 0),
        (json!({"kind": "reset_within_request", "bytes": 5}), 0),
        (json!({"kind": "cut_head"}), 1),
    ] {
        let (answer, end, _, committed) = post_under(text.clone());
        let error = answer.unwrap_err();
        assert!(
            !error.is_reset() && !error.is_go_away(),
            "{text}: {error:?}"
        );
        assert_eq!(committed, rows, "{text}");
        let reset = text["kind"].as_str().unwrap().contains("reset");
        let is_reset = end
            .err()
            .and_then(|error| error.get_io().map(io::Error::kind))
            .is_some_and(|kind| kind == io::ErrorKind::ConnectionReset);
        assert_eq!(is_reset, reset, "{text}");
    }
}

#[test]
fn answers_are_disturbed_by_the_frame() {
    let (twin, org) = http2();
    let side = &org.primary;
    let h2 = H2::connect(&twin, side);
    side.fault(FaultKind::stall_body()).unwrap();
    let response = h2.send(Method::GET, WHO_AM_I, "");
    let (mut body, half, length) = h2.wait(async {
        let response = response.await.unwrap();
        let length: usize = response.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut body = response.into_body();
        let half = body.data().await.unwrap().unwrap();
        (body, half, length)
    });
    assert_eq!(half.len(), length / 2);
    side.wait_for(Condition::answered(1), LONG).unwrap();
    assert_eq!(side.counts().in_flight, 1);
    side.clear().unwrap();
    let rest = h2.wait(body.data()).unwrap().unwrap();
    assert_eq!(half.len() + rest.len(), length);
    side.fault(fault(
        json!({"kind": "slow_drip", "bytes": 7, "every_ms": 1}),
    ))
    .unwrap();
    let response = h2.send(Method::GET, WHO_AM_I, "");
    let piece = h2.wait(async { response.await.unwrap().into_body().data().await });
    assert_eq!(piece.unwrap().unwrap().len(), 7);
    side.clear().unwrap();
    side.fault(fault(json!({"kind": "wrong_length", "by": 1})))
        .unwrap();
    let error = h2.answer(h2.send(Method::GET, WHO_AM_I, "")).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR));
    side.clear().unwrap();
    side.fault(FaultKind::cut_body()).unwrap();
    let error = h2.answer(h2.send(Method::GET, WHO_AM_I, "")).unwrap_err();
    assert!(!error.is_reset(), "{error:?}");
    assert_eq!(side.counts().connections, 1);
}

#[test]
fn a_client_that_resets_its_stream_is_no_longer_in_flight() {
    let (twin, org) = http2();
    let side = &org.primary;
    for text in [
        json!({"kind": "accept_never_answer"}),
        json!({"kind": "stall_before_commit"}),
        json!({"kind": "stall_body", "answer": {"kind": "html_page"}}),
    ] {
        side.fault(fault(text)).unwrap();
        let h2 = H2::connect(&twin, side);
        let response = h2.post();
        side.wait_for(Condition::in_flight(1), LONG).unwrap();
        drop(response);
        side.wait_for(Condition::idle(), LONG).unwrap();
        side.clear().unwrap();
        assert_eq!(h2.answer(h2.post()).unwrap().status, 204);
    }
}

#[test]
fn refuse_resets_and_close_idle_says_goodbye() {
    let (twin, org) = http2();
    let side = &org.primary;
    let h2 = H2::connect(&twin, side);
    assert_eq!(h2.answer(h2.post()).unwrap().status, 204);
    side.wait_for(Condition::idle(), LONG).unwrap();
    side.fault(FaultKind::CloseIdle).unwrap();
    h2.end().unwrap();
    let h2 = H2::connect(&twin, side);
    side.fault(FaultKind::Stall { ms: None }).unwrap();
    let response = h2.post();
    side.wait_for(Condition::committed(2), LONG).unwrap();
    side.fault(FaultKind::Refuse {
        keep_existing: false,
    })
    .unwrap();
    let error = h2.answer(response).unwrap_err();
    assert_eq!(
        error.get_io().map(io::Error::kind),
        Some(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(side.counts().in_flight, 0);
}

#[test]
fn many_streams_wait_and_all_are_answered() {
    const CALLS: u64 = 100;
    let (twin, org) = http2();
    let side = &org.primary;
    side.fault(FaultKind::StallBeforeCommit { ms: None })
        .unwrap();
    let h2 = H2::connect(&twin, side);
    let calls: Vec<_> = (0..CALLS).map(|_| h2.post()).collect();
    side.wait_for(Condition::in_flight(CALLS), LONG).unwrap();
    side.clear().unwrap();
    for call in calls {
        assert_eq!(h2.answer(call).unwrap().status, 204);
    }
    assert_eq!(
        (org.rows().len() as u64, side.counts().connections),
        (CALLS, 1)
    );
}

#[test]
fn an_answered_connection_ends_with_and_without_a_goodbye() {
    let goaway = json!({"kind": "goaway", "last_stream": "ours", "commit": true, "answered": true});
    for text in [json!({"kind": "close_after_answer"}), goaway] {
        let (answer, _, entry, rows) = post_under(text);
        assert_eq!(answer.unwrap().status, 204);
        assert_eq!((rows, entry.committed, entry.answered), (1, true, true));
    }
}
