//! The whole story of a call, for whoever has to find out why a claim is not so.

use std::fmt::Write;

use crate::history::{Call, History};
use crate::rules::Violation;

/// How many events of a client are shown around a violation that is about no call.
const NEAR: usize = 40;

/// What is known about a violation.
#[must_use]
pub fn tell(history: &History, violation: &Violation) -> String {
    let mut text = format!("{violation}\n");
    match violation.call.and_then(|number| history.call(number)) {
        Some(call) => {
            of_call(history, call, &mut text);
            if call.work.is_read()
                && let Some(write) = history.call(call.work.of)
            {
                text.push_str("  it reads what this call writes:\n");
                of_call(history, write, &mut text);
            }
        }
        None => of_client(history, violation.client, &mut text),
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {line}");
}

fn of_call(history: &History, call: &Call, text: &mut String) {
    line(
        text,
        format_args!(
            "call {} of client {}, {:?}, {:?} row {:?} names {:?}, from {} to {} ({:?} of {:?}, {:?})",
            call.number,
            call.client,
            call.season,
            call.work.kind,
            call.work.row,
            call.work.names,
            call.begun,
            call.ended,
            call.took,
            call.deadline,
            call.manner
        ),
    );
    if let Some(misfortune) = &call.misfortune {
        line(text, format_args!("misfortune {misfortune}"));
    }
    for attempt in &call.told.attempts {
        line(
            text,
            format_args!(
                "{} at {:?}, epoch {}, {}, status {:?}, {:?}: {}",
                if attempt.is_look { "look" } else { "attempt" },
                attempt.role,
                attempt.epoch,
                attempt.phase.name(),
                attempt.status,
                attempt.took,
                attempt.fault.as_deref().unwrap_or("no fault")
            ),
        );
    }
    line(
        text,
        format_args!(
            "told {:?}, effect {}, ledger id {:?}, row {:?}",
            call.told.end,
            call.told.effect.name(),
            call.told.ledger_id,
            call.told.row
        ),
    );
    for receipt in history.receipts_of(call.number) {
        line(
            text,
            format_args!(
                "received #{} by the {} at {} ms: {} {}, committed {}, fault {:?}, status {:?}",
                receipt.seq,
                receipt.side.name(),
                receipt.at_ms,
                receipt.method,
                receipt.path,
                receipt.committed,
                receipt.fault,
                receipt.status
            ),
        );
    }
    match history.entry_of(call) {
        Some(entry) => line(text, format_args!("ledger {entry:?}")),
        None => line(text, format_args!("no ledger entry")),
    }
    for (side, rows) in [
        ("primary", &history.rows.primary),
        ("alternate", &history.rows.alternate),
    ] {
        for (id, name) in rows {
            if call.work.names.contains(name) || call.work.row == Some(*id) {
                line(text, format_args!("row of the {side}: {id} {name}"));
            }
        }
    }
    happenings(history, call, text);
}

/// Events and weather of the call's time.
fn happenings(history: &History, call: &Call, text: &mut String) {
    let mut all: Vec<(u64, String)> = Vec::new();
    if let Some(client) = history.clients.get(call.client) {
        for event in &client.events {
            let is_ours = event.ledger_id.is_some() && event.ledger_id == call.told.ledger_id;
            if is_ours || (call.begun..=call.ended + 20).contains(&event.at) {
                all.push((event.at, describe(event)));
            }
        }
    }
    let before = history
        .weather
        .iter()
        .rev()
        .filter(|change| change.at < call.begun);
    let during = history
        .weather
        .iter()
        .filter(|change| (call.begun..=call.ended).contains(&change.at));
    for change in before.take(5).chain(during) {
        all.push((change.at, format!("weather: {}", change.text)));
    }
    all.sort();
    for (at, what) in all {
        line(text, format_args!("{at}: {what}"));
    }
}

fn describe(event: &crate::history::EventSeen) -> String {
    format!(
        "{} epoch {} {:?} -> {:?}{}{}, ledger id {:?}: {}",
        event.kind.name(),
        event.epoch,
        event.from,
        event.to,
        if event.automatic { "" } else { " by hand" },
        if event.vetoed { " VETOED" } else { "" },
        event.ledger_id,
        event.message
    )
}

fn of_client(history: &History, number: usize, text: &mut String) {
    let Some(client) = history.clients.get(number) else {
        return;
    };
    line(
        text,
        format_args!(
            "{}: epoch {}, active {:?}, {} entries in the ledger",
            client.name,
            client.epoch,
            client.active,
            client.ledger.len()
        ),
    );
    let switches = client
        .events
        .iter()
        .filter(|event| event.from.is_some() || event.ledger_id.is_some());
    for event in switches.rev().take(NEAR) {
        line(text, format_args!("{}: {}", event.at, describe(event)));
    }
}

/// All that happened, in logical time.
#[must_use]
pub fn tell_all(history: &History) -> String {
    let mut all: Vec<(u64, String)> = Vec::new();
    for call in &history.calls {
        all.push((
            call.begun,
            format!(
                "client {} call {} {:?} begins{}",
                call.client,
                call.number,
                call.work.kind,
                call.misfortune
                    .as_ref()
                    .map_or(String::new(), |it| format!(", misfortune {it}"))
            ),
        ));
        all.push((
            call.ended,
            format!(
                "client {} call {} ends: {:?}, {}, {} attempts, {:?}",
                call.client,
                call.number,
                call.told.end,
                call.told.effect.name(),
                call.told.attempts.len(),
                call.took
            ),
        ));
    }
    for (number, client) in history.clients.iter().enumerate() {
        for event in &client.events {
            all.push((event.at, format!("client {number} {}", describe(event))));
        }
    }
    for change in &history.weather {
        all.push((change.at, format!("weather: {}", change.text)));
    }
    all.sort();
    let mut text = String::new();
    for (at, what) in all {
        line(&mut text, format_args!("{at}: {what}"));
    }
    text
}
