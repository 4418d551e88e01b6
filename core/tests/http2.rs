//! HTTP/2: what is proved of each attempt, and what many calls share.

mod support;

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{Client, Effect, FaultKind, HttpVersion, ItemKind, Phase, Queue};
use d365_twin::{
    Fault, FaultKind as Twin_, LastStream, OrgHandle, OrganizationConfig, Twin, TwinConfig,
};
use support::contoso::{LONG, WHO, create, get, settings};
use support::strict::Strict;

fn twin() -> (Twin, OrgHandle) {
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = true;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org)
}

fn client(twin: &Twin) -> Client {
    Client::open(&settings(twin)).unwrap()
}

#[test]
fn calls_share_a_connection() {
    let (twin, org) = twin();
    let client = client(&twin);
    for _ in 0..3 {
        let response = client.send(&get(WHO)).unwrap();
        assert_eq!(response.status(), 200);
        let attempt = &response.attempts()[0];
        assert_eq!(attempt.http_version, Some(HttpVersion::Http2));
        assert_eq!(attempt.phase, Phase::Responded);
        assert!(response.body().starts_with(b"{"), "{:?}", response.body());
    }
    assert_eq!(org.primary.counts().connections, 1);
}

#[test]
fn http2_can_be_switched_off() {
    let (twin, _org) = twin();
    let mut settings = settings(&twin);
    settings.set("http2", "off").unwrap();
    let response = Client::open(&settings).unwrap().send(&get(WHO)).unwrap();
    assert_eq!(
        response.attempts()[0].http_version,
        Some(HttpVersion::Http11)
    );
}

/// Many submitted calls after the protocol is known open as few connections as their streams need.
#[test]
fn a_burst_needs_few_connections() {
    const CALLS: usize = 200;
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.send(&get(WHO)).unwrap();
    for number in 0..CALLS {
        client
            .submit(&create(&format!("row {number}")), number)
            .unwrap();
    }
    for _ in 0..CALLS {
        let mut item = queue.next(Some(LONG)).unwrap();
        assert_eq!(item.kind(), ItemKind::Completion);
        let response = item.take_result().unwrap().unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(response.effect(), Effect::Executed);
    }
    assert_eq!(org.rows().len(), CALLS);
    let connections = org.primary.counts().connections;
    assert!(connections <= 4, "{connections} connections");
}

/// What the peer says it did not process is sent again, once, and done once.
#[test]
fn what_was_not_processed_is_sent_again_at_the_same_endpoint() {
    for (fault, name) in not_processed() {
        let (twin, org) = twin();
        let client = client(&twin);
        client.send(&get(WHO)).unwrap();
        let mut once = Fault::from(fault);
        once.times = Some(1);
        org.primary.fault(once).unwrap();
        let response = client
            .send(&create("row"))
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(response.status(), 204, "{name}");
        assert_eq!(response.effect(), Effect::Executed, "{name}");
        let attempts = response.attempts();
        assert_eq!(attempts.len(), 2, "{name}: {attempts:?}");
        assert_eq!(attempts[0].phase, Phase::Sent, "{name}");
        let fault = attempts[0].fault.as_ref().unwrap();
        assert_eq!(fault.kind, FaultKind::ConnectionLost, "{name}");
        assert_eq!(attempts[1].role, attempts[0].role, "{name}");
        assert_eq!(client.epoch(), 0, "{name}");
        assert_eq!(org.rows().len(), 1, "{name}");
    }
}

#[test]
fn what_is_refused_twice_is_not_executed() {
    for (fault, name) in not_processed() {
        let (twin, org) = twin();
        let client = client(&twin);
        client.send(&get(WHO)).unwrap();
        org.primary.fault(fault).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        assert_eq!(error.effect(), Effect::NotExecuted, "{name}: {error:?}");
        assert_eq!(error.attempts().len(), 2, "{name}: {error:?}");
        assert_eq!(
            error.fault().unwrap().kind,
            FaultKind::ConnectionLost,
            "{name}"
        );
        assert_eq!(org.rows().len(), 0, "{name}");
    }
}

fn not_processed() -> Vec<(Twin_, &'static str)> {
    let goaway = |code, last_stream| Twin_::Goaway {
        code,
        last_stream,
        commit: false,
        answered: false,
    };
    let refused = Twin_::RstStream {
        code: 7,
        commit: false,
        partial: false,
    };
    vec![
        (refused, "REFUSED_STREAM"),
        (goaway(0, LastStream::Below), "GOAWAY NO_ERROR"),
        (goaway(2, LastStream::Below), "GOAWAY INTERNAL_ERROR"),
    ]
}

/// What a GOAWAY covers may have been executed, and so may what other resets end.
#[test]
fn what_may_have_been_processed_is_in_doubt() {
    let goaway = |code, last_stream, commit| Twin_::Goaway {
        code,
        last_stream,
        commit,
        answered: false,
    };
    let reset = |code, commit| Twin_::RstStream {
        code,
        commit,
        partial: false,
    };
    for (fault, rows) in [
        (goaway(0, LastStream::Ours, true), 1),
        (goaway(2, LastStream::Ours, false), 0),
        (goaway(0, LastStream::Max, true), 1),
        // HTTP_1_1_REQUIRED, of a connection that has answered before.
        (goaway(13, LastStream::Ours, true), 1),
        (reset(2, true), 1),
        (reset(8, false), 0),
        (Twin_::CommitThenReset, 1),
        (Twin_::CloseAfterRequest { close_notify: true }, 0),
    ] {
        let (twin, org) = twin();
        let client = client(&twin);
        client.send(&get(WHO)).unwrap();
        org.primary.fault(fault.clone()).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        let attempts = error.attempts();
        assert_eq!(attempts.len(), 1, "{fault:?}: {error:?}");
        assert_eq!(attempts[0].phase, Phase::Sent, "{fault:?}");
        assert_eq!(error.effect(), Effect::Unknown, "{fault:?}");
        assert_eq!(org.rows().len(), rows, "{fault:?}");
    }
}

/// An orderly shutdown answers what it covers, and costs the next call a connection.
#[test]
fn an_orderly_goodbye_costs_no_call() {
    let (twin, org) = twin();
    let client = client(&twin);
    client.send(&get(WHO)).unwrap();
    let mut once = Fault::from(Twin_::Goaway {
        code: 0,
        last_stream: LastStream::Ours,
        commit: true,
        answered: true,
    });
    once.times = Some(1);
    org.primary.fault(once).unwrap();
    for name in ["during", "after"] {
        let response = client.send(&create(name)).unwrap();
        assert_eq!(response.attempts().len(), 1, "{name}");
        assert_eq!(response.status(), 204, "{name}");
    }
    assert_eq!(org.primary.counts().connections, 2);
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn a_goodbye_while_idle_costs_nothing() {
    let (twin, org) = twin();
    let client = client(&twin);
    client.send(&create("first")).unwrap();
    org.primary.fault(Twin_::CloseIdle).unwrap();
    let response = client.send(&create("second")).unwrap();
    assert_eq!(response.attempts().len(), 1, "{:?}", response.attempts());
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn a_body_that_is_cut_after_a_2xx_was_executed() {
    let (twin, org) = twin();
    let client = client(&twin);
    org.primary
        .fault(Twin_::RstStream {
            code: 2,
            commit: true,
            partial: true,
        })
        .unwrap();
    let mut request = create("row");
    request
        .add_header("Prefer", "return=representation")
        .unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.effect(), Effect::Executed, "{error:?}");
    assert_eq!(error.attempts()[0].phase, Phase::Responded);
    assert_eq!(org.rows().len(), 1);
}

/// A limit that is low from the beginning, lowered while calls are in flight, or 0 for a while.
#[test]
fn no_more_streams_are_begun_than_the_peer_allows() {
    const CALLS: usize = 60;
    // The server is a strict one: it holds its client to the first limit before it is read.
    for (first, later) in [
        (5, vec![]),
        (1, vec![]),
        (100, vec![5]),
        (100, vec![1, 20]),
        (100, vec![0, 30]),
        (0, vec![3]),
        (5, vec![0, 1, 2, 0, 100]),
    ] {
        let server = Arc::new(Strict::start(first, Duration::from_millis(5)));
        let queue = Queue::new(0).unwrap();
        let settings = server.settings();
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        let name = format!("{first} {later:?}");
        let steps = {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                let mut limit_now = first;
                for (step, limit) in later.into_iter().enumerate() {
                    let begun = if limit_now == 0 { 0 } else { 1 + 3 * step };
                    server.wait_for(|seen| seen.connections > 0 && seen.executed >= begun);
                    server.limit(limit);
                    server.wait_for(|seen| seen.acknowledged > step || seen.executed > CALLS);
                    limit_now = limit;
                }
            })
        };
        client.send(&get(WHO)).unwrap();
        for number in 0..CALLS {
            client
                .submit(&create(&format!("row {number}")), number)
                .unwrap();
        }
        for _ in 0..CALLS {
            let mut item = queue.next(Some(LONG)).unwrap();
            assert_eq!(item.kind(), ItemKind::Completion, "{name}");
            let response = item.take_result().unwrap();
            let response = response.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(response.effect(), Effect::Executed, "{name}");
        }
        steps.join().unwrap();
        let seen = server.seen();
        assert_eq!(
            (seen.excesses, seen.executed),
            (0, CALLS + 1),
            "{name}: {seen:?}"
        );
    }
}

/// A low limit that is known by now holds no call up until another one is answered.
#[test]
fn calls_above_a_low_limit_get_connections_of_their_own() {
    const CALLS: usize = 8;
    for limit in [1, 2] {
        let server = Strict::start(limit, Duration::ZERO);
        let queue = Queue::new(0).unwrap();
        let settings = server.settings();
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        client.send(&get(WHO)).unwrap();
        server.latency(LONG * 10);
        for number in 0..CALLS {
            client
                .submit(&create(&format!("row {number}")), number)
                .unwrap();
        }
        server.wait_for(|seen| seen.executed == CALLS + 1);
        assert_eq!(server.seen().excesses, 0, "{limit}");
        client.shutdown(Duration::ZERO).unwrap();
    }
}

/// HTTP_1_1_REQUIRED of a connection of which nobody had an answer yet, but which carried several:
/// what it covers may have been executed, and what is above its last stream was not.
#[test]
fn one_of_many_that_a_goodbye_covers_is_in_doubt() {
    const CALLS: usize = 3;
    for covered in [1, CALLS] {
        let server = Strict::start(100, LONG * 10);
        let queue = Queue::new(0).unwrap();
        let settings = server.settings();
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        for number in 0..CALLS {
            client
                .submit(&create(&format!("row {number}")), number)
                .unwrap();
            server.wait_for(|seen| seen.executed == number + 1);
        }
        assert_eq!(server.seen().connections, 1);
        server.turn_down(covered);
        for _ in 0..CALLS {
            let mut item = queue.next(Some(LONG)).unwrap();
            let error = item.take_result().unwrap().unwrap_err();
            let name = format!("{covered} {error:?}");
            assert_eq!(error.attempts().len(), 1, "{name}");
            // Which this server does not speak.
            let is_resent = error.attempts()[0].phase == Phase::NotSent;
            assert_eq!(is_resent, item.user_data().unwrap() >= covered, "{name}");
            let effect = if is_resent {
                Effect::NotExecuted
            } else {
                Effect::Unknown
            };
            assert_eq!(error.effect(), effect, "{name}");
        }
    }
}

/// HTTP_1_1_REQUIRED: not processed, sent over HTTP/1.1 at once, and so is all that follows.
#[test]
fn a_peer_that_wants_http1_gets_it() {
    const HTTP_1_1_REQUIRED: u32 = 13;
    let goaway = |last_stream| Twin_::Goaway {
        code: HTTP_1_1_REQUIRED,
        last_stream,
        commit: false,
        answered: false,
    };
    let reset = Twin_::RstStream {
        code: HTTP_1_1_REQUIRED,
        commit: false,
        partial: false,
    };
    for (fault, is_first) in [
        (reset.clone(), true),
        (reset, false),
        (goaway(LastStream::Below), true),
        (goaway(LastStream::Below), false),
        // A whole connection that was turned down, whatever it names as its last stream.
        (goaway(LastStream::Ours), true),
    ] {
        for preset in ["safe", "dotnet"] {
            for is_write in [false, true] {
                let name = format!("{fault:?} {is_first} {preset} {is_write}");
                let (twin, org) = twin();
                let mut settings = settings(&twin);
                settings.set("preset", preset).unwrap();
                settings.set("max_attempts", "1").unwrap();
                // A look's probes would be counted.
                settings.set("probe_after_ms", "0").unwrap();
                let client = Client::open(&settings).unwrap();
                if !is_first {
                    client.send(&get(WHO)).unwrap();
                }
                org.primary.fault(fault.clone()).unwrap();
                for row in 1..=2 {
                    let request = if is_write { create("row") } else { get(WHO) };
                    let response = client.send(&request);
                    let response = response.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                    let [attempt] = response.attempts() else {
                        panic!("{name}: {:?}", response.attempts());
                    };
                    assert_eq!(attempt.http_version, Some(HttpVersion::Http11), "{name}");
                    assert_eq!(attempt.phase, Phase::Responded, "{name}");
                    assert_eq!(org.rows().len(), if is_write { row } else { 0 }, "{name}");
                }
                assert_eq!(org.primary.counts().connections, 2, "{name}");
                assert!(client.is_primary(), "{name}");
            }
        }
    }
}
