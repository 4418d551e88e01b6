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
        json!({"do": "burst", "count": 1, "concurrency": 1, "request": {"who_am_i": "web_api"},
            "expect": {"responses": {"200": 1}, "effects": {"executed": 1}}}),
        call(json!({"response": {"ledger": {}}})),
        create(json!(null)),
        create(json!({"method": "PUT"})),
        create(json!({"url": "${primary}/api/data/v9.2/accounts"})),
        create(json!({"operation": "idempotent"})),
        create(json!({"effect": "unknown"})),
        create(json!({"effect": null})),
        create(json!({"is_suspect": true})),
        create(json!({"resolution": "lost"})),
        create(json!({"role": "primary"})),
        create(json!({"role": null})),
        create(json!({"epoch": 0})),
        create(json!({"attempts": 2})),
        create(json!({"row": null})),
        create(json!({"body_length": null})),
        create(json!({"body_digest": null})),
        create(json!({"is_ended": false})),
        json!({"do": "expect_ledger", "selection": "all", "entries": [{}]}),
        json!({"do": "resolve", "suspect": 0, "resolution": "lost"}),
        json!({"do": "resolve", "id": "99", "resolution": "lost"}),
        json!({"do": "resolve", "id": "99", "resolution": "lost", "expect": {"error": {"kind": "closed"}}}),
        json!({"do": "resolve", "id": "99", "suspect": 0, "resolution": "lost"}),
        json!({"do": "repeat", "times": 2, "steps": [{"do": "expect_rows", "alternate": 1}]}),
        json!({"do": "eventually", "timeout_ms": 50, "steps": [{"do": "expect_rows", "alternate": 1}]}),
        json!({"do": "expect_requests", "side": "alternate", "at_least": 2}),
        json!({"do": "expect_requests", "side": "alternate", "at_most": 0}),
        json!({"do": "expect_requests", "side": "alternate"}),
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

/// A create, and what the ledger must have of it.
fn create(ledger: Value) -> Value {
    json!({"do": "call", "request": {"create": {"via": "web_api", "name": "row"}},
        "expect": {"response": {"status": 204, "ledger": ledger}}})
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
fn what_the_ledger_has_passes_and_nothing_else_does() {
    let right = json!({"method": "POST", "url": "${alternate}/api/data/v9.2/accounts", "operation": "unsafe",
        "effect": "executed", "is_suspect": false, "resolution": null, "role": "alternate", "epoch": 1,
        "attempts": 1, "row": "${row}", "body_length": 14, "is_ended": true,
        "body_digest": "e75a96f6d8feb235ddb0110116ae7b15df1b96209eb175181f860474e69638b9"});
    let mut saved = create(json!({"operation": "unsafe"}));
    saved["save"] = json!({"row": {"header": "odata-entityid"}, "id": "ledger_id"});
    let with = |entries: Value, resolved: &str, error: &str| {
        let mut steps = steps_with(&json!({"do": "repeat", "times": 1, "steps": [saved]}));
        steps.push(json!({"do": "expect_ledger", "selection": "all", "entries": entries}));
        steps.push(json!({"do": "expect_ledger", "selection": "suspects", "entries": []}));
        steps.push(
            json!({"do": "resolve", "id": resolved, "resolution": "lost",
            "expect": {"error": {"kind": error}}}),
        );
        play(&steps, SubjectKind::Rust)
    };
    let mut wrong = right.clone();
    wrong["body_digest"] = json!("0");
    let (failed, out) = with(json!([right]), "${id}", "not_available");
    assert_eq!(failed, 0, "{out}");
    for (entries, resolved, error) in [
        (json!([]), "${id}", "not_available"),
        (json!([right, right]), "${id}", "not_available"),
        (json!([wrong]), "${id}", "not_available"),
        (json!([right]), "${id}", "closed"),
        (json!([right]), "no number", "not_available"),
    ] {
        let (failed, out) = with(entries, resolved, error);
        assert_eq!(failed, 1, "{out}");
    }
}

#[test]
fn a_repetition_says_which_step_of_it_has_failed() {
    let who = call(json!({"response": {"status": 200}}));
    let counted = |times: usize, name: &str| {
        let steps = json!([who, {"do": "wait", "side": name, "condition": {"received_at_least": 3}, "timeout_ms": 1}]);
        play(
            &steps_with(&json!({"do": "repeat", "times": times, "steps": steps})),
            SubjectKind::Rust,
        )
    };
    let (failed, out) = counted(2, "primary");
    assert_eq!(failed, 1, "{out}");
    assert!(out.contains("    [0] step 2: "), "{out}");
    let steps = json!([{"do": "repeat", "times": 2, "steps": [who]},
        {"do": "expect_requests", "side": "alternate", "count": 3}]);
    let (failed, out) = play(
        &steps_with(&json!({"do": "repeat", "times": 2, "steps": steps})),
        SubjectKind::Rust,
    );
    assert_eq!(failed, 1, "{out}");
    assert!(out.contains("    [1] step 2: expected 3 "), "{out}");
}

#[test]
fn what_passes_in_the_end_passes() {
    let steps = json!([call(json!({"response": {"status": 200}})),
        {"do": "expect_requests", "side": "alternate", "at_least": 4}]);
    let (failed, out) = play(
        &steps_with(&json!({"do": "eventually", "steps": steps})),
        SubjectKind::Rust,
    );
    assert_eq!(failed, 0, "{out}");
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
            json!({"do": "repeat", "times": 2, "steps": [{"do": "clse"}]}),
            "step 1: unknown variant `clse`",
        ),
        (
            json!({"do": "eventually", "steps": [{"do": "close", "clent": "c"}]}),
            "step 1: unknown field `clent`",
        ),
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
