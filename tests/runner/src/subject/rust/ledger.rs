//! The ledger, as it is told and as it is written to.

use d365_failover_core::{Client, LedgerEntry, LedgerSelection, Resolution};

use super::records::{answer, error_record};
use crate::protocol::{Answer, FoundOut, LedgerRecord, Selection};

pub(super) fn ledger(client: &Client, selection: Selection) -> Answer {
    let selection = match selection {
        Selection::All => LedgerSelection::All,
        Selection::Suspects => LedgerSelection::Suspects,
    };
    match client.ledger(selection) {
        Ok(entries) => Answer {
            ledger: Some(entries.iter().map(record).collect()),
            ..Answer::done()
        },
        Err(error) => Answer::refused(error_record(&error)),
    }
}

pub(super) fn resolve(client: &Client, id: u64, resolution: FoundOut) -> Answer {
    let resolution = match resolution {
        FoundOut::Confirmed => Resolution::Confirmed,
        FoundOut::Replayed => Resolution::Replayed,
        FoundOut::Lost => Resolution::Lost,
    };
    answer(client.resolve(id, resolution))
}

fn record(entry: &LedgerEntry) -> LedgerRecord {
    let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    LedgerRecord {
        id: entry.id,
        method: entry.method.clone(),
        url: entry.url.clone(),
        operation: entry.operation.name().to_owned(),
        effect: entry.effect.map(|effect| effect.name().to_owned()),
        is_suspect: entry.is_suspect,
        resolution: entry.resolution.map(|found| found.name().to_owned()),
        role: entry.role.map(|role| role.name().to_owned()),
        epoch: entry.epoch,
        attempts: entry.attempts,
        row: entry.row_url.clone(),
        body_length: entry.body_length,
        body_digest: entry.body_digest.map(hex),
        is_ended: entry.ended.is_some_and(|ended| ended >= entry.started),
    }
}
