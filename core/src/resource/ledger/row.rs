//! A write on record as a row of the store, and back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Row, ToSql};
use serde::{Deserialize, Serialize};

use super::steps::Steps;
use super::{At, Question, Write};
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::resource::store::{micros, time};
use crate::{Difference, Effect, LedgerEntry, Operation, Resolution, Role, Verification, Verified};

/// Why a write is to be verified.
pub(super) const IN_DOUBT: &str = "in_doubt";
pub(super) const ACKNOWLEDGED: &str = "acknowledged";
pub(super) const REPEATED: &str = "repeated";

/// The columns of an entry, in the order in which [`entry`] reads them.
pub(super) const ENTRY: &str = "id, tag, method, url, operation, body_length, body_digest, started, \
    ended, role, epoch, attempts, effect, suspect, kept_method IS NOT NULL, row_url, verified, \
    verified_final, verified_time, verified_details, resolution";
/// Those of a question, for [`question`].
pub(super) const QUESTION: &str = "proof, may_come_late, kept_method, kept_url, kept_headers, \
    kept_body, kept_upsert";
/// After the columns of the entry.
const QUESTION_AT: usize = 21;

pub(super) fn insert(
    connection: &rusqlite::Connection,
    organization: i64,
    process: i64,
    write: &Write,
) -> rusqlite::Result<u64> {
    macro_rules! insert {
        ($columns:literal, $values:literal) => {
            concat!(
                "INSERT INTO writes (organization, process, tag, method, url, operation, \
                 body_length, body_digest, started, epoch, proof",
                $columns,
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11",
                $values,
                ")"
            )
        };
    }
    let kept = write.kept.as_deref();
    let insert = match kept {
        None => insert!("", ""),
        Some(_) => insert!(
            ", kept_method, kept_url, kept_headers, kept_body, kept_upsert",
            ", ?12, ?13, ?14, ?15, ?16"
        ),
    };
    let (tag, method) = (write.tag.as_deref(), write.method.as_str());
    let operation = write.operation.name();
    let (length, started) = (write.body_length.map(signed), micros(write.started));
    let (epoch, proof) = (signed(write.epoch), written(&write.proof));
    let known: [&dyn ToSql; 11] = [
        &organization,
        &process,
        &tag,
        &method,
        &write.url,
        &operation,
        &length,
        &write.body_digest,
        &started,
        &epoch,
        &proof,
    ];
    let mut statement = connection.prepare_cached(insert)?;
    match kept {
        None => statement.execute(known.as_slice())?,
        Some(kept) => {
            let lines = kept.headers.iter();
            let headers = lines.fold(String::new(), |text, (name, value)| {
                text + name + ": " + value + "\n"
            });
            let body = &kept.body[..];
            let kept: [&dyn ToSql; 5] = [&kept.method, &kept.url, &headers, &body, &kept.is_upsert];
            statement.execute([known.as_slice(), kept.as_slice()].concat().as_slice())?
        }
    };
    Ok(unsigned(connection.last_insert_rowid()))
}

/// `over`: what was repeated and ended before is no suspect any more.
pub(super) fn entry(row: &Row<'_>, over: i64) -> rusqlite::Result<LedgerEntry> {
    let ended: Option<i64> = row.get(8)?;
    let suspect: Option<String> = row.get(13)?;
    let is_over = suspect.as_deref() == Some(REPEATED) && ended.is_some_and(|ended| ended < over);
    let verdict: Option<String> = row.get(16)?;
    let verdict = verdict.as_deref().and_then(verdict_of);
    let verification = match verdict {
        None => None,
        Some(verdict) => {
            let found = Verification::new(verdict, row.get(17)?, time(row.get(18)?));
            let details: Option<String> = row.get(19)?;
            Some(with_details(found, details.as_deref()))
        }
    };
    let operation: String = row.get(4)?;
    let operation = match operation.as_str() {
        "idempotent" => Operation::Idempotent,
        "guarded" => Operation::Guarded,
        "unsafe" => Operation::Unsafe,
        _ => return Err(strange(4, "operation")),
    };
    let digest: Option<[u8; 32]> = row.get(6)?;
    let role: Option<String> = row.get(9)?;
    let effect: Option<String> = row.get(12)?;
    let resolution: Option<String> = row.get(20)?;
    Ok(LedgerEntry {
        id: unsigned(row.get(0)?),
        tag: row.get(1)?,
        method: row.get(2)?,
        url: row.get(3)?,
        operation,
        body_length: row.get::<_, Option<i64>>(5)?.map(unsigned),
        body_digest: digest,
        started: time(row.get(7)?),
        ended: ended.map(time),
        role: role.as_deref().and_then(role_of),
        epoch: unsigned(row.get(10)?),
        attempts: row.get(11)?,
        effect: effect.as_deref().and_then(effect_of),
        is_suspect: suspect.is_some() && !is_over,
        is_kept: row.get(14)?,
        row_url: row.get(15)?,
        verification,
        resolution: resolution.as_deref().and_then(resolution_of),
    })
}

/// `None`: it is in flight.
pub(super) fn question(
    row: &Row<'_>,
    over: i64,
    steps: &Steps,
    at: At,
) -> rusqlite::Result<Option<Question>> {
    let entry = entry(row, over)?;
    let Some(ended) = entry.ended else {
        return Ok(None);
    };
    let method: Option<String> = row.get(QUESTION_AT + 2)?;
    let kept = match method {
        None => None,
        Some(method) => {
            let headers: String = row.get(QUESTION_AT + 4)?;
            let headers = headers.lines().filter_map(|line| line.split_once(": "));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Some(Arc::new(Kept {
                method,
                url: row.get(QUESTION_AT + 3)?,
                headers: headers.collect(),
                body: Bytes::from(row.get::<_, Vec<u8>>(QUESTION_AT + 5)?),
                is_upsert: row.get(QUESTION_AT + 6)?,
            }))
        }
    };
    let started = entry.started;
    Ok(Some(Question {
        entry,
        proof: read(&row.get::<_, String>(QUESTION_AT)?),
        kept,
        begun_ago: steps.ago(started, at).map(|(_, most)| most),
        ended_ago: steps
            .ago(ended, at)
            .map_or(Duration::ZERO, |(least, _)| least),
        asked: at.clock,
        may_come_late: row.get(QUESTION_AT + 1)?,
    }))
}

/// What a verification says besides its verdict.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    why: String,
    /// Name, sent, found.
    differences: Vec<(String, String, String)>,
    left_out: Vec<String>,
    is_there: bool,
    version: Option<String>,
}

pub(super) fn details(found: &Verification) -> String {
    let differences = found.differences.iter();
    let differences = differences
        .map(|it| (it.name.clone(), it.sent.clone(), it.found.clone()))
        .collect();
    let details = Details {
        why: found.why.clone(),
        differences,
        left_out: found.left_out.clone(),
        is_there: found.is_there,
        version: found.version.clone(),
    };
    serde_json::to_string(&details).unwrap_or_default()
}

fn with_details(found: Verification, details: Option<&str>) -> Verification {
    let details: Details = details
        .and_then(|details| serde_json::from_str(details).ok())
        .unwrap_or_default();
    let differences = details.differences.into_iter();
    Verification {
        why: details.why,
        differences: differences
            .map(|(name, sent, found)| Difference { name, sent, found })
            .collect(),
        left_out: details.left_out,
        is_there: details.is_there,
        version: details.version,
        ..found
    }
}

/// A proof that a later version has written proves nothing to this one.
pub(super) fn read(proof: &str) -> Proof {
    serde_json::from_str(proof).unwrap_or(Proof::Nothing)
}

pub(super) fn written(proof: &Proof) -> String {
    serde_json::to_string(proof).unwrap_or_default()
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn role_of(name: &str) -> Option<Role> {
    [Role::Primary, Role::Alternate]
        .into_iter()
        .find(|role| role.name() == name)
}

fn effect_of(name: &str) -> Option<Effect> {
    [Effect::Executed, Effect::NotExecuted, Effect::Unknown]
        .into_iter()
        .find(|effect| effect.name() == name)
}

fn verdict_of(name: &str) -> Option<Verified> {
    [
        Verified::Present,
        Verified::Missing,
        Verified::Unverifiable,
        Verified::Conflicting,
    ]
    .into_iter()
    .find(|verdict| verdict.name() == name)
}

fn resolution_of(name: &str) -> Option<Resolution> {
    [
        Resolution::Confirmed,
        Resolution::Replayed,
        Resolution::Lost,
    ]
    .into_iter()
    .find(|resolution| resolution.name() == name)
}

fn strange(column: usize, name: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, name.to_owned(), Type::Text)
}
