//! The runner can fail: a wrong expectation and a malformed file are seen.

mod common;

use std::fs;

use common::{call, folder, play, steps_with};
use d365_scenarios::{SubjectKind, load};
use serde_json::{Value, json};

#[test]
fn what_is_right_passes() {
    let step = json!({"do": "expect_state", "state": {"active_url": "${alternate}"}});
    let (failed, out) = play(&steps_with(&step), SubjectKind::Rust);
    assert_eq!(failed, 0, "{out}");
    assert!(out.ends_with("\n1 passed, 0 failed\n"), "{out}");
}

#[test]
fn every_wrong_expectation_fails_at_its_step() {
    let event = json!({"event": "EndpointSwitched"});
    for step in [
        call(json!({"response": {"status": 204}})),
        call(json!({"response": {"url": "${primary}/api/data/v9.2/WhoAmI"}})),
        call(json!({"response": {"headers": {"odata-version": "3.0"}}})),
        call(json!({"response": {"headers": {"no-such-header": "x"}}})),
        call(json!({"response": {"body_contains": "no such text"}})),
        call(json!({"response": {"effect": "executed"}})),
        call(json!({"response": {"switched": true}})),
        call(json!({"response": {"attempts": []}})),
        call(json!({"response": {"attempts": [{"fault": "timeout"}]}})),
        call(json!({"response": {"attempts": [{"http_version": "2"}]}})),
        call(json!({"response": {"attempts": [{"http_version": null}]}})),
        call(json!({"response": {"attempts": [{"role": null}]}})),
        call(json!({"error": {"kind": "timeout"}})),
        json!({"do": "call", "request": {"plain": {"method": "GET", "url": "https://elsewhere.test/"}},
            "expect": {"response": {"status": 200}}}),
        json!({"do": "call", "request": {"plain": {"method": "GET", "url": "https://elsewhere.test/"}},
            "expect": {"error": {"kind": "closed"}}}),
        json!({"do": "call", "request": {"plain": {"method": "GET", "url": "https://elsewhere.test/"}},
            "expect": {"error": {"message_contains": "no such text"}}}),
        json!({"do": "call", "request": {"plain": {"method": "GET", "url": "${nothing}"}},
            "expect": {"error": {}}}),
        json!({"do": "open", "client": "d", "url": "nonsense"}),
        json!({"do": "open", "client": "d", "expect": {"error": {}}}),
        json!({"do": "close", "expect": {"error": {"kind": "closed"}}}),
        json!({"do": "expect_events", "events": []}),
        json!({"do": "expect_events", "events": [event]}),
        json!({"do": "expect_events", "events": [event, event]}),
        json!({"do": "expect_switches",
            "switches": [{"from": "alternate", "reason": "endpoint_not_found", "epoch": 1}]}),
        json!({"do": "expect_switches",
            "switches": [{"from": "primary", "reason": "timeout", "epoch": 1}]}),
        json!({"do": "expect_switches",
            "switches": [{"from": "primary", "reason": "endpoint_not_found", "epoch": 2}]}),
        json!({"do": "expect_state", "state": {"is_primary": true}}),
        json!({"do": "expect_state", "state": {"alternate_url": null}}),
        json!({"do": "expect_rows", "alternate": 1}),
        json!({"do": "expect_rows", "duplicates": 1}),
        json!({"do": "expect_requests", "side": "alternate", "count": 0}),
        json!({"do": "expect_counts", "side": "alternate", "counts": {"received": 0}}),
        json!({"do": "expect_counts", "side": "alternate", "counts": {"recieved": 1}}),
        json!({"do": "wait", "side": "alternate", "condition": {"received_at_least": 99},
            "timeout_ms": 1}),
        json!({"do": "fill_backlog", "side": "alternate"}),
        json!({"do": "clear", "name": "never set"}),
        call(json!({"response": {"headers": {"content-type": null}}})),
        call(json!({"response": {"read": {"bytes": 0}}})),
        call(json!({"response": {"body_reads": {"bytes": 0}}})),
        stream(json!({"bytes": 99})),
        stream(json!({"pattern": true})),
        stream(json!({"sum": 0})),
        stream(json!({"error": {}})),
        upload(json!({"response": {"body_reads": {"bytes": 9}}})),
        upload(json!({"response": {"body_reads": {"rewinds": 1}}})),
        upload(json!({"response": {"body_contains": "\"bytes\":9"}})),
        json!({"do": "expect_prepared", "prepared": [{"role": "alternate"}]}),
        json!({"do": "expect_requests", "side": "alternate", "authorization": true, "count": 1}),
        json!({"do": "expect_requests", "side": "alternate", "accept_encoding": null, "count": 1}),
        json!({"do": "expect_proxy_requests", "count": 1}),
        json!({"do": "expect_proxy_requests", "proxy": "another", "count": 0}),
        json!({"do": "proxy_fault", "proxy": "another", "fault": {"kind": "close"}}),
        json!({"do": "burst", "count": 2, "concurrency": 2, "request": {"who_am_i": "soap"},
            "expect": {"responses": {"200": 1}}}),
        json!({"do": "burst", "count": 2, "concurrency": 2, "request": {"who_am_i": "soap"},
            "expect": {"responses": {"200": 2}, "errors": {"timeout": 1}}}),
    ] {
        let (failed, out) = play(&steps_with(&step), SubjectKind::Rust);
        assert_eq!(failed, 1, "{step} passed");
        assert!(
            out.starts_with("FAILED rust: group/file [dotnet] the scenario\n"),
            "{out}"
        );
        assert!(
            out.contains("  rule: the rule\n  step 4: "),
            "{step}: {out}"
        );
        assert!(out.contains("    journal: {"), "{out}");
        assert!(out.ends_with("\n0 passed, 1 failed\n"), "{out}");
    }
}

/// A stream of 100 bytes, and what must come of reading it.
fn stream(read: Value) -> Value {
    json!({"do": "call", "request": {"plain": {"method": "GET", "url": "/bulk/100"}},
        "stream": {"read": 10}, "expect": {"response": {"read": read}}})
}

/// A body of 10 bytes that is read, and how the call must end.
fn upload(expect: Value) -> Value {
    let reader = json!({"kind": "one_shot", "size": 10, "chunk": 3});
    json!({"do": "call", "request": {"plain": {"method": "PUT", "url": "/bulk", "body_reader": reader}},
        "expect": expect})
}

#[test]
fn what_a_hook_and_a_reader_saw_passes_and_nothing_else_does() {
    let step = stream(json!({"bytes": 100, "error": null}));
    let (failed, out) = play(&steps_with(&step), SubjectKind::Rust);
    assert_eq!(failed, 0, "{out}");
    let step = upload(json!({"response": {"body_reads": {"bytes": 10, "rewinds": 0}}}));
    let (failed, out) = play(&steps_with(&step), SubjectKind::Rust);
    assert_eq!(failed, 0, "{out}");
    let right = json!({"url": "${primary}/api/data/v9.2/WhoAmI", "endpoint_url": "${primary}",
        "role": "primary", "epoch": 0, "attempt": 1, "method": "GET", "has_authorization": false,
        "body": ""});
    let seen = |prepared: Value| {
        let steps = [
            json!({"do": "open", "prepare": {}}),
            call(json!({"response": {"status": 200}})),
            json!({"do": "expect_prepared", "prepared": prepared}),
            json!({"do": "expect_prepared", "prepared": []}),
        ];
        play(&steps, SubjectKind::Rust)
    };
    let (failed, out) = seen(json!([right]));
    assert_eq!(failed, 0, "{out}");
    for (key, wrong) in [
        ("url", json!("${primary}/")),
        ("endpoint_url", json!(null)),
        ("role", json!("alternate")),
        ("epoch", json!(1)),
        ("attempt", json!(2)),
        ("method", json!("POST")),
        ("has_authorization", json!(true)),
        ("body", json!(null)),
    ] {
        let mut prepared = right.clone();
        prepared[key] = wrong;
        let (failed, out) = seen(json!([prepared]));
        assert_eq!(failed, 1, "{key} passed");
        assert!(out.contains(&format!("[0].{key}: expected ")), "{out}");
    }
    assert_eq!(seen(json!([])).0, 1);
    assert_eq!(seen(json!([right, right])).0, 1);
}

#[test]
fn what_no_step_has_looked_at_fails_at_the_end() {
    let mut unseen = steps_with(&json!({"do": "replicate"}));
    unseen.pop();
    let (failed, out) = play(&unseen, SubjectKind::Rust);
    assert_eq!(failed, 1, "{out}");
    assert!(
        out.contains("events of `c`: it: expected 0 items, got 2"),
        "{out}"
    );

    let started = json!({"do": "start", "call": "x", "request": {"who_am_i": "soap"}});
    let (failed, out) = play(&steps_with(&started), SubjectKind::Rust);
    assert_eq!(failed, 1, "{out}");
    assert!(
        out.contains("call `x` was started and not awaited"),
        "{out}"
    );
}

#[test]
fn a_malformed_file_is_an_error_that_says_where() {
    for (step, said) in [
        (
            json!({"do": "close", "clent": "c"}),
            "step 1: unknown field `clent`",
        ),
        (json!({"do": "clse"}), "step 1: unknown variant `clse`"),
        (
            json!({"do": "burst", "count": 1, "concurrency": 1, "request": {"who_are_you": "soap"},
                "expect": {}}),
            "unknown variant `who_are_you`",
        ),
        (
            json!({"do": "fault", "side": "primary", "fault": {"kind": "refuse", "tims": 1}}),
            "`tims`",
        ),
    ] {
        let folder = folder(&[step]);
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`the scenario`"), "{error}");
        assert!(error.contains(said), "{error}");
    }
    for text in [
        "{",
        r#"{"$schema": "", "about": "", "scenarios": [], "more": 1}"#,
        r#"{"$schema": "", "about": "", "scenarios": [
            {"name": "n", "rule": "r", "runs": "core"}]}"#,
        r#"{"$schema": "", "about": "", "steps": [{"do": "replicate", "org": "${org}"}], "scenarios": [
            {"name": "n", "rule": "r", "runs": "core", "with": {"orgg": "contoso"}}]}"#,
    ] {
        let folder = folder(&[]);
        fs::write(folder.path().join("group/file.json"), text).unwrap();
        assert!(load(folder.path()).is_err(), "{text}");
    }
}
