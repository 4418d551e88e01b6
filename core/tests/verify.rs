//! Writes in doubt: what the log says of them when nobody listens, and what asks about them.
mod support;

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{
    Client, ErrorKind, FaultKind, ItemKind, LedgerSelection, Level, Operation, Queue, Request,
    Settings, Verified,
};
use support::serve::{Do, Side, json, serve};

const ROW: &str = "/api/data/v9.2/accounts(11111111-2222-3333-4444-555555555555)";

fn settings(primary: &Side, alternate: &Side) -> Settings {
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let rules = format!(
        "contoso.crm.script.test:80:127.0.0.1:{},contoso--s.crm.script.test:80:127.0.0.1:{}",
        primary.port, alternate.port
    );
    settings.set("connect_to", &rules).unwrap();
    settings.set("auto_switch", "off").unwrap();
    settings
        .set("alternate_url", "http://contoso--s.crm.script.test")
        .unwrap();
    settings
}

/// A delete whose answer is lost.
fn doubted(client: &Client) -> u64 {
    let mut request = Request::new("DELETE", ROW).unwrap();
    request.add_header("Authorization", "Bearer mine").unwrap();
    request.set_operation(Some(Operation::Unsafe));
    request.set_tag("order 17").unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.tag(), Some("order 17"));
    error.ledger_id().unwrap()
}

#[test]
fn the_log_tells_of_doubt_of_loss_and_of_what_is_left() {
    let (primary, alternate) = (serve(|_, _| Do::Close), serve(|_, _| Do::Close));
    let settings = settings(&primary, &alternate);
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::Log.bit()).unwrap();
    let id = doubted(&client);
    client.switch_endpoint().unwrap();
    client.shutdown(Duration::ZERO).unwrap();
    client.shutdown(Duration::ZERO).unwrap();
    drop(client);
    let mut told = Vec::new();
    while let Ok(item) = queue.next(Some(Duration::ZERO)) {
        let event = item.event().unwrap();
        told.push((event.level, event.message.clone()));
    }
    let of = |part: &str| {
        let found: Vec<_> = told
            .iter()
            .filter(|(_, text)| text.contains(part))
            .collect();
        assert_eq!(found.len(), 1, "{part}: {told:?}");
        found[0].0
    };
    assert_eq!(of(&format!("the write {id} (order 17) to")), Level::Warn);
    assert_eq!(of("1 writes in doubt"), Level::Warn);
    assert_eq!(of("switched from the primary"), Level::Info);
    assert_eq!(of("closed with 1 writes"), Level::Warn);
}

#[test]
fn who_is_asked_about_a_write_is_told_what_the_application_has_told_it() {
    let primary = serve(|line, _| match line.split(' ').next().unwrap() {
        "DELETE" => Do::Close,
        _ => json(
            "404 Not Found",
            r#"{"error":{"code":"0x80040217","message":"account Does Not Exist"}}"#,
        ),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = Client::open(&settings(&primary, &alternate)).unwrap();
    let id = doubted(&client);
    let found = client.verify(id).unwrap();
    assert_eq!((found.verdict, found.is_final), (Verified::Present, false));
    let seen = primary.seen.lock().unwrap();
    let (line, headers) = seen.last().unwrap();
    assert_eq!(*line, format!("GET {ROW}"));
    assert_eq!(headers["authorization"], "Bearer mine");
    assert_eq!(client.ledger(LedgerSelection::All).unwrap().len(), 1);
}

#[test]
fn a_table_that_there_is_not_is_no_missing_row() {
    let primary = serve(|line, _| match line.split(' ').next().unwrap() {
        "DELETE" => Do::Close,
        _ => json(
            "404 Not Found",
            r#"{"error":{"code":"0x8006088a","message":"Resource not found for the segment 'x'."}}"#,
        ),
    });
    let alternate = serve(|_, _| Do::Close);
    let client = Client::open(&settings(&primary, &alternate)).unwrap();
    let id = doubted(&client);
    let error = client.verify(id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Service));
    let entries = client.ledger(LedgerSelection::Suspects).unwrap();
    assert_eq!(entries[0].verification, None);
}

#[test]
fn what_the_end_of_a_client_cancels_is_on_record_when_it_is_closed() {
    let primary = serve(|_, _| Do::Answer("204 No Content", "", Duration::from_secs(60)));
    let alternate = serve(|_, _| Do::Close);
    let client = Client::open(&settings(&primary, &alternate)).unwrap();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || doubted(&client))
        })
        .collect();
    while primary.seen.lock().unwrap().len() < calls.len() {
        std::thread::yield_now();
    }
    client.shutdown(Duration::ZERO).unwrap();
    let mut suspects = client.ledger(LedgerSelection::Suspects).unwrap();
    suspects.sort_by_key(|entry| entry.id);
    let mut told: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(
        suspects.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        told
    );
}
