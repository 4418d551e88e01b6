//! A small history in which every claim is so, to be spoiled.

use std::time::{Duration, SystemTime};

use d365_failover_core::{Effect, ItemKind, LedgerEntry, Operation, Phase, Role};
use uuid::Uuid;

use super::{Rule, judge};
use crate::history::{
    Answer, AttemptSeen, Call, ClientRecord, End, EventSeen, History, Receipt, Rows, Season, Terms,
    Told,
};
use crate::plan::Manner;
use crate::work::{Kind, Work};

/// Call 1 creates a row at the primary, call 2 finds it by its name.
pub(super) fn history() -> History {
    let row = Uuid::from_u128(7);
    let name = "call_000001".to_owned();
    let write = call(1, Kind::Create, 204, Answer::Nothing, Effect::Executed);
    let rows = vec![(row, name.clone())];
    let read = call(2, Kind::Query, 200, Answer::Rows(rows), Effect::None);
    let mut write = write;
    write.told.ledger_id = Some(1);
    write.told.row = Some(row);
    History {
        terms: Terms::default(),
        receipts: vec![receipt(&write, true), receipt(&read, false)],
        calls: vec![write, read],
        clients: vec![ClientRecord {
            name: "a".into(),
            events: Vec::new(),
            ledger: vec![entry()],
            epoch: 0,
            active: Some(Role::Primary),
            update_guard: true,
            was_held: false,
        }],
        rows: Rows {
            primary: [(row, name)].into(),
            alternate: [].into(),
            fragments: Vec::new(),
        },
        weather: Vec::new(),
    }
}

fn call(number: u32, kind: Kind, status: u16, answer: Answer, effect: Effect) -> Call {
    Call {
        number,
        client: 0,
        season: Season::Storm,
        work: Work {
            kind,
            row: None,
            names: vec!["call_000001".into()],
            of: 1,
        },
        misfortune: None,
        begun: u64::from(number) * 10,
        ended: u64::from(number) * 10 + 5,
        deadline: Duration::from_secs(6),
        manner: Manner::Blocking,
        took: Duration::from_millis(1),
        told: Told {
            end: End::Response { status, answer },
            effect,
            ledger_id: None,
            attempts: vec![AttemptSeen {
                role: Some(Role::Primary),
                epoch: 0,
                is_look: false,
                phase: Phase::Responded,
                status: Some(status),
                fault: None,
                took: Duration::from_millis(1),
            }],
            row: None,
        },
    }
}

fn receipt(call: &Call, committed: bool) -> Receipt {
    let status = call.told.attempts.last().and_then(|attempt| attempt.status);
    Receipt {
        seq: u64::from(call.number),
        side: Role::Primary,
        call: Some(call.number),
        method: "POST".into(),
        path: "/".into(),
        committed,
        fault: None,
        status,
        at_ms: 0,
    }
}

fn entry() -> LedgerEntry {
    LedgerEntry {
        tag: None,
        id: 1,
        method: "POST".into(),
        url: "/".into(),
        operation: Operation::Unsafe,
        body_length: None,
        body_digest: None,
        started: SystemTime::UNIX_EPOCH,
        ended: Some(SystemTime::UNIX_EPOCH),
        role: Some(Role::Primary),
        epoch: 0,
        attempts: 1,
        effect: Some(Effect::Executed),
        is_suspect: false,
        is_kept: false,
        row_url: None,
        verification: None,
        resolution: None,
    }
}

pub(super) fn event(kind: ItemKind) -> EventSeen {
    EventSeen {
        at: 50,
        kind,
        time: SystemTime::UNIX_EPOCH,
        epoch: 1,
        from: Some(Role::Primary),
        to: Some(Role::Alternate),
        automatic: true,
        probed: true,
        ledger_id: None,
        vetoed: false,
        message: String::new(),
    }
}

/// The client goes to the alternate after the two calls.
pub(super) fn switch(history: &mut History) {
    let client = &mut history.clients[0];
    let kinds = [
        ItemKind::EndpointSwitchRequired,
        ItemKind::EndpointSwitched,
        ItemKind::DataLossSuspected,
    ];
    client.events.extend(kinds.map(event));
    client.epoch = 1;
    client.active = Some(Role::Alternate);
}

/// Call 1 is executed, and told that nobody knows.
pub(super) fn doubt(history: &mut History) {
    let write = &mut history.calls[0].told;
    write.end = End::Error("connection_lost".into());
    write.effect = Effect::Unknown;
    write.row = None;
    write.attempts[0].phase = Phase::Sent;
    write.attempts[0].status = None;
    history.receipts[0].status = None;
    let client = &mut history.clients[0];
    client.ledger[0].effect = Some(Effect::Unknown);
    client.ledger[0].is_suspect = true;
    let mut raised = event(ItemKind::WriteInDoubt);
    raised.ledger_id = Some(1);
    client.events.push(raised);
}

/// Call 1 is sent to a side once more, and executed there.
pub(super) fn again_on(history: &mut History, side: Role) {
    let mut receipt = history.receipts[0].clone();
    receipt.side = side;
    history.receipts.push(receipt);
    if side == Role::Alternate {
        if history.clients[0].epoch == 0 {
            switch(history);
            history.clients[0].ledger[0].is_suspect = true;
        }
        history.rows.alternate = history.rows.primary.clone();
    }
    let mut attempt = history.calls[0].told.attempts[0].clone();
    attempt.role = Some(side);
    attempt.epoch = u64::from(side == Role::Alternate);
    let entry = &mut history.clients[0].ledger[0];
    entry.role = attempt.role;
    entry.epoch = attempt.epoch;
    history.calls[0].told.attempts.push(attempt);
    entry.attempts = history.calls[0].told.attempts.len() as u32;
}

/// The rules that a history breaks, each once.
pub(super) fn broken(history: &History) -> Vec<Rule> {
    let mut rules: Vec<Rule> = judge(history).iter().map(|found| found.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Every claim is so.
#[track_caller]
pub(super) fn sound(history: &History) {
    let violations = judge(history);
    assert!(violations.is_empty(), "{violations:#?}");
}
