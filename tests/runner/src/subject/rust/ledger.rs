//! The ledger, as it is told and as it is written to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use d365_failover_core::{
    Client, Difference, Error, LedgerEntry, LedgerSelection, Resolution, Response, Settled,
    Verification,
};

use super::records::{answer, error_record};
use crate::protocol::{
    Answer, DifferenceRecord, FoundOut, LedgerRecord, ReplayedRecord, Selection, SettledRecord,
    SuspectedRecord,
};

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

pub(super) fn time(ms: i64) -> SystemTime {
    let distance = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    }
}

pub(super) fn suspect_since(client: &Client, since_ms: i64) -> Answer {
    let since = time(since_ms);
    match client.suspect_since(since) {
        Ok(found) => Answer {
            suspected: Some(SuspectedRecord {
                acknowledged: found.acknowledged,
                is_whole: found.on_record_since <= since,
            }),
            ..Answer::done()
        },
        Err(error) => Answer::refused(error_record(&error)),
    }
}

pub(super) fn verified(found: Result<Option<Verification>, Error>) -> Answer {
    match found {
        Ok(found) => Answer {
            verified: found.map(|found| found.verdict.name().to_owned()),
            ..Answer::done()
        },
        Err(error) => Answer::refused(error_record(&error)),
    }
}

pub(super) fn replayed(outcome: Result<Response, Error>) -> Answer {
    match outcome {
        Ok(response) => Answer {
            replayed: Some(ReplayedRecord {
                status: response.status(),
                effect: response.effect().name().to_owned(),
            }),
            ..Answer::done()
        },
        Err(error) => Answer::refused(error_record(&error)),
    }
}

pub(super) fn settled(done: Result<Settled, Error>) -> Answer {
    match done {
        Ok(settled) => Answer {
            settled: Some(SettledRecord {
                total: settled.total,
                present: settled.present,
                missing: settled.missing,
                conflicting: settled.conflicting,
                unverifiable: settled.unverifiable,
                confirmed: settled.confirmed,
                replayed: settled.replayed,
                left: settled.left,
            }),
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
    let found = entry.verification.as_ref();
    LedgerRecord {
        id: entry.id,
        tag: entry.tag.clone(),
        verified: entry
            .verification
            .as_ref()
            .map(|found| found.verdict.name().to_owned()),
        is_final: entry
            .verification
            .as_ref()
            .is_some_and(|found| found.is_final),
        why: found.map(|found| found.why.clone()),
        differences: found.map_or(Vec::new(), |found| {
            let differences = found.differences.iter();
            let record = |it: &Difference| DifferenceRecord {
                name: it.name.clone(),
                sent: it.sent.clone(),
                found: it.found.clone(),
            };
            differences.map(record).collect()
        }),
        left_out: found.map_or(Vec::new(), |found| found.left_out.clone()),
        is_kept: entry.is_kept,
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
