//! Settling against sides that answer otherwise than a twin does.
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, LedgerSelection, Request, Resolution, Settings,
    SettlePolicy, Verified,
};
use support::serve::{Do, Side, json, serve};

const ROW: &str = "/api/data/v9.2/accounts(11111111-2222-3333-4444-555555555555)";
const NO_ROW: &str = r#"{"error":{"code":"0x80040217","message":"account Does Not Exist"}}"#;

fn open(primary: &Side, alternate: &Side) -> Client {
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let rules = format!(
        "contoso.crm.script.test:80:127.0.0.1:{},contoso--s.crm.script.test:80:127.0.0.1:{}",
        primary.port, alternate.port
    );
    for (key, value) in [
        ("connect_to", &*rules),
        ("auto_switch", "off"),
        ("alternate_url", "http://contoso--s.crm.script.test"),
        ("ledger_bodies", "full"),
        ("retry_budget", "0"), // neither a repeat nor a look at the row
        ("replication_window_ms", "0"),
        ("outage_wait_ms", "0"),
    ] {
        settings.set(key, value).unwrap();
    }
    Client::open(&settings).unwrap()
}

/// A write whose answer is lost.
fn doubted(client: &Client, method: &str, url: &str, condition: Option<&str>) -> u64 {
    let mut request = Request::new(method, url).unwrap();
    request.add_header("Authorization", "Bearer mine").unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    if let Some(condition) = condition {
        request.add_header(condition, "*").unwrap();
    }
    request.set_body(r#"{"name":"new"}"#);
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    error.ledger_id().unwrap()
}

fn is_write(line: &str) -> bool {
    !line.starts_with("GET")
}

#[test]
fn a_table_that_lacks_a_column_is_read_whole() {
    let primary = serve(|line, _| match line {
        line if is_write(line) => Do::Close,
        line if line.contains("$select") => json(
            "400 Bad Request",
            r#"{"error":{"code":"0x0","message":"Could not find a property named 'modifiedon'"}}"#,
        ),
        _ => json("200 OK", r#"{"@odata.etag":"W/\"1\"","name":"new"}"#),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    let id = doubted(&client, "PATCH", ROW, None);
    let found = client.verify(id).unwrap();
    assert_eq!((found.verdict, found.is_final), (Verified::Present, true));
    assert_eq!(primary.count("$select=name,modifiedon"), 1);
    assert_eq!(found.version.as_deref(), Some("W/\"1\""));
}

#[test]
fn a_walk_stops_where_nobody_answers_and_goes_on_with_the_same() {
    let primary = serve(|line, times| match line {
        line if is_write(line) => Do::Close,
        _ if times == 1 => Do::Close,
        _ => json("404 Not Found", NO_ROW),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    let id = doubted(&client, "PATCH", ROW, Some("If-None-Match"));
    let policy = SettlePolicy {
        replay: false,
        ..SettlePolicy::default()
    };
    let walk = Request::settle(policy);
    let error = client.send(&walk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    let step = client.send(&walk).unwrap();
    assert_eq!(step.ledger_id(), Some(id));
    assert_eq!(step.verification().unwrap().verdict, Verified::Missing);
    for _ in 0..2 {
        let over = client.send(&walk).unwrap();
        assert_eq!(over.ledger_id(), None);
        let settled = over.settle_step().unwrap().settled;
        assert_eq!((settled.total, settled.done, settled.left), (1, 1, 1));
    }
}

#[test]
fn four_are_looked_at_at_a_time() {
    let most = Arc::new(AtomicUsize::new(0));
    let (together, at_once, seen) = (Barrier::new(4), AtomicUsize::new(0), Arc::clone(&most));
    let primary = serve(move |line, _| match line {
        line if is_write(line) => Do::Close,
        // A look at the side, by a call that waits for long: it is none at a row.
        line if !line.contains("/accounts(") => json("200 OK", "{}"),
        _ => {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(now, Ordering::SeqCst);
            together.wait();
            at_once.fetch_sub(1, Ordering::SeqCst);
            // Those that come next would not fill a barrier while these are answered.
            json("404 Not Found", NO_ROW)
        }
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    for n in 0..8 {
        let url = format!("/api/data/v9.2/accounts(11111111-2222-3333-4444-00000000000{n})");
        doubted(&client, "PATCH", &url, Some("If-None-Match"));
    }
    let policy = SettlePolicy {
        replay: false,
        ..SettlePolicy::default()
    };
    let settled = client.settle(policy).unwrap();
    assert_eq!((settled.total, settled.missing), (8, 8));
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn what_is_sent_again_has_the_headers_that_are_kept_and_those_that_it_is_given() {
    let primary = serve(|line, times| match line {
        line if is_write(line) && times == 1 => Do::Close,
        line if is_write(line) => json("204 No Content", ""),
        _ => json("404 Not Found", NO_ROW),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    let id = doubted(&client, "PATCH", ROW, Some("If-None-Match"));
    client.verify(id).unwrap();
    let mut again = Request::replay(id, false);
    again.add_header("Authorization", "Bearer newer").unwrap();
    client.send(&again).unwrap();
    let seen = primary.seen.lock().unwrap();
    let writes: Vec<_> = seen.iter().filter(|(line, _)| is_write(line)).collect();
    let [(_, first), (_, second)] = writes[..] else {
        panic!("{writes:?}");
    };
    assert_eq!(first["authorization"], "Bearer mine");
    assert_eq!(second["authorization"], "Bearer newer");
    for name in ["content-type", "if-none-match"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert!(client.ledger(LedgerSelection::Suspects).unwrap().is_empty());
}

#[test]
fn an_answer_that_is_no_row_is_the_end_of_its_step_alone() {
    let primary = serve(|line, _| match line {
        line if is_write(line) => Do::Close,
        line if line.contains("0001)") => json(
            "403 Forbidden",
            r#"{"error":{"code":"0x80040220","message":"no privilege"}}"#,
        ),
        _ => json("200 OK", r#"{"@odata.etag":"W/\"1\"","name":"new"}"#),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    for n in 1..=2 {
        let url = format!("/api/data/v9.2/accounts(11111111-2222-3333-4444-00000000000{n})");
        doubted(&client, "PATCH", &url, Some("If-None-Match"));
    }
    let settled = client.settle(SettlePolicy::default()).unwrap();
    assert_eq!((settled.done, settled.confirmed, settled.left), (2, 1, 1));
    let left = client.ledger(LedgerSelection::Suspects).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].verification, None);
    assert_eq!(left[0].resolution, None::<Resolution>);
}

#[test]
fn what_others_have_resolved_meanwhile_is_not_left() {
    let primary = serve(|line, _| match line {
        line if is_write(line) => Do::Close,
        _ => json("404 Not Found", NO_ROW),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = open(&primary, &alternate);
    let ids: Vec<u64> = (0..6)
        .map(|n| {
            let url = format!("/api/data/v9.2/accounts(11111111-2222-3333-4444-00000000000{n})");
            doubted(&client, "PATCH", &url, Some("If-None-Match"))
        })
        .collect();
    let policy = SettlePolicy {
        replay: false,
        ..SettlePolicy::default()
    };
    let walk = Request::settle(policy);
    client.send(&walk).unwrap();
    // At most five have begun: four at a time, and one of them was told.
    client.resolve(ids[5], Resolution::Lost).unwrap();
    let settled = loop {
        let step = client.send(&walk).unwrap();
        if step.ledger_id().is_none() {
            break step.settle_step().unwrap().settled;
        }
    };
    assert_eq!((settled.total, settled.done, settled.left), (6, 6, 5));
    assert_eq!(client.ledger(LedgerSelection::Suspects).unwrap().len(), 5);
}
