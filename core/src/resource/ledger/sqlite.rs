//! The writes on record, in a store that the processes of a machine share.
//!
//! An entry that was begun may have been sent: there is no third state between, which would be one more
//! transaction for each attempt. So what a process that died has begun, and not ended, is in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::row::{self, ACKNOWLEDGED, ENTRY, IN_DOUBT, QUESTION, REPEATED, signed, window_start};
use super::{At, Ledger, Question, Soon, Suspected, Suspects, WriteEnd, nothing};
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::resource::store::{Store, micros, time};
use crate::{
    Effect, Error, LedgerEntry, LedgerSelection, Organization, Resolution, Role, SuspectedSince,
    Verification,
};

/// What is over is deleted in portions, so that nobody waits for long.
const PORTION: i64 = 500;
/// So often, in writes.
const PORTION_EACH: u64 = 250;

pub(crate) struct Sqlite {
    store: Arc<Store>,
    organization: i64,
    window: Duration,
    retention: Duration,
    /// What was sent in an earlier epoch of this client went to an endpoint that was left since.
    first_epoch: AtomicU64,
    ended: AtomicU64,
    /// How many entries of dead processes were taken over when it was opened.
    taken_over: u64,
}

/// Those of an organization that are to be verified. What was repeated is so within the window.
const SUSPECTS: &str = "organization = :organization AND suspect IS NOT NULL
    AND NOT (suspect = 'repeated' AND ended < :window)";

impl Sqlite {
    /// # Errors
    /// When the store fails.
    pub(crate) fn open(
        store: Arc<Store>,
        organization: &Organization,
        window: Duration,
        retention: Duration,
    ) -> Result<Sqlite, Error> {
        let pair = organization.pair();
        let (asking, now) = (Arc::clone(&store), SystemTime::now());
        let opened = store.ask(0, move |connection| {
            connection.execute(
                "INSERT OR IGNORE INTO organizations (pair, on_record_since) VALUES (?1, ?2)",
                params![pair, micros(now)],
            )?;
            let find = "SELECT id FROM organizations WHERE pair = ?1";
            let organization = connection.query_row(find, [pair], |row| row.get(0))?;
            let taken_over = take_over(connection, &asking, now)?;
            Ok(Ok((organization, taken_over)))
        });
        let (organization, taken_over) = opened.wait()?;
        Ok(Sqlite {
            store,
            organization,
            window,
            retention,
            first_epoch: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            taken_over,
        })
    }

    /// Has something done to what is on record, after what the dead have left was taken over.
    fn look<T: Send + 'static>(
        &self,
        at: At,
        function: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Soon<T> {
        let store = Arc::clone(&self.store);
        self.store.ask(0, move |connection| {
            take_over(connection, &store, at.time)?;
            function(connection).map(Ok)
        })
    }
}

/// What a process that has died began and did not end is in doubt from now on. Tells how much that is.
fn take_over(connection: &Connection, store: &Store, now: SystemTime) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached("SELECT id FROM processes")?;
    let processes = find.query_map([], |row| row.get(0))?;
    let mut count = 0;
    for process in processes.collect::<rusqlite::Result<Vec<i64>>>()? {
        if !store.has_died(process) {
            continue;
        }
        count += connection.execute(
            "UPDATE writes SET effect = 'unknown', suspect = ?1, ended = ?2
             WHERE ended IS NULL AND process = ?3",
            params![IN_DOUBT, micros(now), process],
        )?;
        // What it was sending again may have been executed.
        count += connection.execute(
            "UPDATE writes SET effect = 'unknown', suspect = ?1, ended = ?2, may_come_late = 1,
                 resolution = NULL, verified = NULL, replayed_by = NULL
             WHERE replayed_by = ?3",
            params![IN_DOUBT, micros(now), process],
        )?;
        connection.execute("DELETE FROM processes WHERE id = ?1", [process])?;
    }
    Ok(count as u64)
}

impl Ledger for Sqlite {
    fn is_on_disk(&self) -> bool {
        true
    }

    fn taken_over(&self) -> u64 {
        self.taken_over
    }

    fn begin(&self, entry: LedgerEntry, proof: Proof, kept: Option<Arc<Kept>>) -> Soon<u64> {
        let (organization, process) = (self.organization, self.store.process());
        let bytes = kept.as_ref().map_or(0, |kept| kept.body.len());
        self.store.ask(bytes, move |connection| {
            let kept = kept.as_deref();
            row::insert(connection, organization, process, &entry, &proof, kept).map(Ok)
        })
    }

    fn end(&self, id: u64, outcome: WriteEnd, at: At) -> Soon<Option<Suspected>> {
        let is_early = outcome.epoch < self.first_epoch.load(Ordering::Acquire);
        let (organization, has_window) = (self.organization, !self.window.is_zero());
        let over = self
            .ended
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(PORTION_EACH);
        let over = over.then(|| window_start(at, self.retention));
        self.store.ask(0, move |connection| {
            if let Some(over) = over {
                forget(connection, organization, over)?;
            }
            end(connection, id, outcome, is_early, has_window, at).map(Ok)
        })
    }

    fn suspect(&self, from: Role, epoch: u64, at: At) -> Soon<Suspects> {
        self.first_epoch.fetch_max(epoch + 1, Ordering::AcqRel);
        let (organization, window) = (self.organization, window_start(at, self.window));
        self.look(at, move |connection| {
            let left = match from {
                Role::Primary => "UPDATE organizations SET primary_left = ?2 WHERE id = ?1",
                Role::Alternate => "UPDATE organizations SET alternate_left = ?2 WHERE id = ?1",
            };
            connection.execute(left, params![organization, micros(at.time)])?;
            question(connection, organization, window, Some(from))?;
            // Also those that another process has put in question, which has left it before.
            let acknowledged = connection.query_row(
                "SELECT count(*) FROM writes WHERE organization = ?1 AND ended >= ?2
                     AND (suspect = 'repeated' OR suspect = 'acknowledged' AND role = ?3)",
                params![organization, window, from.name()],
                |row| row.get(0).map(row::unsigned),
            )?;
            Ok(Suspects {
                in_doubt: in_doubt(connection, organization)?,
                acknowledged,
            })
        })
    }

    fn suspect_since(&self, since: SystemTime, at: At) -> Soon<SuspectedSince> {
        let organization = self.organization;
        self.look(at, move |connection| {
            connection.execute(
                "UPDATE organizations SET lost_through = (SELECT coalesce(max(id), 0) FROM writes)
                 WHERE id = ?1",
                [organization],
            )?;
            let acknowledged = question(connection, organization, micros(since), None)?;
            let on_record_since = connection.query_row(
                "SELECT on_record_since FROM organizations WHERE id = ?1",
                [organization],
                |row| row.get(0).map(time),
            )?;
            Ok(SuspectedSince {
                acknowledged,
                in_doubt: in_doubt(connection, organization)?,
                on_record_since,
            })
        })
    }

    fn list(&self, selection: LedgerSelection, at: At) -> Soon<Vec<LedgerEntry>> {
        let (organization, window) = (self.organization, window_start(at, self.window));
        let process = self.store.process();
        self.look(at, move |connection| {
            let meant = match selection {
                LedgerSelection::All => "organization = :organization AND :window = :window",
                LedgerSelection::Mine => {
                    "organization = :organization AND :window = :window AND process = :process"
                }
                LedgerSelection::Suspects => SUSPECTS,
            };
            let list = format!(
                "SELECT {ENTRY} FROM writes WHERE {meant} AND :process = :process
                     AND effect IS NOT 'not_executed' ORDER BY id"
            );
            let mut list = connection.prepare_cached(&list)?;
            let of = named_params! {
                ":organization": organization,
                ":window": window,
                ":process": process,
            };
            let entries = list.query_map(of, |row| row::entry(row, window))?;
            entries.collect()
        })
    }

    fn count_suspects(&self, at: At) -> Soon<usize> {
        let (organization, window) = (self.organization, window_start(at, self.window));
        self.look(at, move |connection| {
            let count = format!("SELECT count(*) FROM writes WHERE {SUSPECTS}");
            let of = named_params! { ":organization": organization, ":window": window };
            let count: u32 = connection.query_row(&count, of, |row| row.get(0))?;
            Ok(count as usize)
        })
    }

    fn question(&self, id: u64) -> Soon<Question> {
        let (organization, window) = (self.organization, window_start(At::now(), self.window));
        self.store.ask(0, move |connection| {
            let find = format!(
                "SELECT {ENTRY}, {QUESTION} FROM writes WHERE id = ?1 AND organization = ?2
                     AND effect IS NOT 'not_executed'"
            );
            let mut find = connection.prepare_cached(&find)?;
            let found =
                find.query_row([signed(id), organization], |row| row::question(row, window));
            Ok(match found.optional()? {
                Some(Some(question)) => Ok(question),
                Some(None) => Err(nothing(id, "verified", "it is in flight")),
                None => Err(nothing(id, "verified", "it is not on record")),
            })
        })
    }

    fn claim(&self, id: u64, at: At) -> Soon<()> {
        let (organization, window) = (self.organization, window_start(at, self.window));
        let (store, process) = (Arc::clone(&self.store), self.store.process());
        self.store.ask(0, move |connection| {
            take_over(connection, &store, at.time)?;
            let claim = format!(
                "UPDATE writes SET replayed_by = :process
                 WHERE id = :id AND replayed_by IS NULL AND {SUSPECTS}"
            );
            let claimed = connection.execute(
                &claim,
                named_params! {
                    ":id": signed(id),
                    ":organization": organization,
                    ":window": window,
                    ":process": process,
                },
            )?;
            let lacks = |is_claimed| match is_claimed {
                Some(true) => "it is being sent again already",
                Some(false) => "nothing is in question about it",
                None => "it is not on record",
            };
            Ok(match claimed {
                1 => Ok(()),
                _ => Err(nothing(
                    id,
                    "sent again",
                    lacks(is_claimed(connection, id, organization)?),
                )),
            })
        })
    }

    fn verified(&self, id: u64, found: Verification) -> Soon<()> {
        let organization = self.organization;
        self.store.ask(0, move |connection| {
            let of = params![
                signed(id),
                organization,
                found.verdict.name(),
                found.is_final,
                micros(found.time),
                row::details(&found)
            ];
            connection.execute(
                "UPDATE writes SET verified = ?3, verified_final = ?4, verified_time = ?5,
                     verified_details = ?6
                 WHERE id = ?1 AND organization = ?2",
                of,
            )?;
            Ok(Ok(()))
        })
    }

    fn resolve(&self, id: u64, found: Resolution, at: At) -> Soon<()> {
        let (organization, window) = (self.organization, window_start(at, self.window));
        self.store.ask(0, move |connection| {
            let resolve = format!(
                "UPDATE writes SET suspect = NULL, resolution = :resolution
                 WHERE id = :id AND replayed_by IS NULL AND {SUSPECTS}"
            );
            let resolved = connection.execute(
                &resolve,
                named_params! {
                    ":id": signed(id),
                    ":organization": organization,
                    ":window": window,
                    ":resolution": found.name(),
                },
            )?;
            if resolved == 1 {
                return Ok(Ok(()));
            }
            let why = match is_claimed(connection, id, organization)? {
                Some(true) => "it is being sent again",
                Some(false) => "nothing is in question about it",
                None => "it is not on record",
            };
            Ok(Err(nothing(id, "resolved", why)))
        })
    }

    fn evicted(&self) -> u64 {
        0
    }

    fn evicted_to_tell(&self) -> Option<u64> {
        None
    }
}

/// Whether a write is being sent again. `None`: it is not on record.
fn is_claimed(
    connection: &Connection,
    id: u64,
    organization: i64,
) -> rusqlite::Result<Option<bool>> {
    let find = "SELECT replayed_by IS NOT NULL FROM writes
                WHERE id = ?1 AND organization = ?2 AND effect IS NOT 'not_executed'";
    connection
        .query_row(find, [signed(id), organization], |row| row.get(0))
        .optional()
}

fn end(
    connection: &Connection,
    id: u64,
    outcome: WriteEnd,
    is_early: bool,
    has_window: bool,
    at: At,
) -> rusqlite::Result<Option<Suspected>> {
    const FIND: &str = "SELECT proof, lost_through, primary_left, alternate_left, \
            replayed_by IS NOT NULL FROM writes \
            JOIN organizations ON organizations.id = organization WHERE writes.id = ?1";
    let found = connection
        .prepare_cached(FIND)?
        .query_row([signed(id)], |row| {
            Ok(Found {
                proof: row.get(0)?,
                lost_through: row.get(1)?,
                left: [row.get(2)?, row.get(3)?],
                is_claimed: row.get(4)?,
            })
        });
    let Some(found) = found.optional()? else {
        return Ok(None);
    };
    if outcome.effect == Effect::NotExecuted && found.is_claimed {
        // It is as it was.
        connection.execute(
            "UPDATE writes SET replayed_by = NULL, verified = NULL, attempts = attempts + ?2
             WHERE id = ?1",
            params![signed(id), signed(outcome.attempts as u64)],
        )?;
        return Ok(None);
    }
    if outcome.effect == Effect::NotExecuted {
        // The last number is not given again: the application may know it.
        const DELETE: &str =
            "DELETE FROM writes WHERE id = ?1 AND id < (SELECT max(id) FROM writes)";
        const MARK: &str = "UPDATE writes SET effect = 'not_executed', ended = ?2 WHERE id = ?1";
        if connection.prepare_cached(DELETE)?.execute([signed(id)])? == 0 {
            let mark = params![signed(id), micros(at.time)];
            connection.prepare_cached(MARK)?.execute(mark)?;
        }
        return Ok(None);
    }
    let left = match outcome.role {
        Some(Role::Primary) => found.left[0],
        Some(Role::Alternate) => found.left[1],
        None => None,
    };
    // Another process has left it since.
    let was_left = left
        .zip(outcome.sent)
        .is_some_and(|(left, sent)| micros(sent) <= left);
    let is_executed = outcome.effect == Effect::Executed && outcome.role.is_some();
    let is_late = is_executed && (is_early || was_left || signed(id) <= found.lost_through);
    // What is sent again was in question already.
    let is_repeated = is_executed && outcome.may_come_late && has_window && !found.is_claimed;
    let (suspect, suspected) = match outcome.effect {
        Effect::Unknown => (Some(IN_DOUBT), None),
        _ if is_late => (Some(ACKNOWLEDGED), Some(Suspected::Late)),
        _ if is_repeated => (Some(REPEATED), Some(Suspected::Repeated)),
        _ => (None, None),
    };
    let mut proof = found.proof;
    if outcome.effect == Effect::Executed {
        let known = row::read(&proof).when_executed(
            outcome.row_url.as_deref(),
            outcome.row_id,
            outcome.version.as_deref(),
        );
        proof = row::written(&known);
    }
    let may_come_late = match outcome.effect {
        Effect::Unknown if found.is_claimed => true,
        _ => outcome.may_come_late,
    };
    let is_replayed = found.is_claimed && suspect.is_none();
    const END: &str = "UPDATE writes SET ended = :ended, effect = :effect, role = :role, \
        epoch = :epoch, attempts = attempts + :attempts, row_url = coalesce(:row_url, row_url), \
        url = coalesce(:url, url), proof = :proof, suspect = :suspect, may_come_late = :late, \
        resolution = :resolution, replayed_by = NULL, \
        verified = iif(:resolution IS NULL, NULL, verified) WHERE id = :id";
    connection.prepare_cached(END)?.execute(named_params! {
        ":id": signed(id),
        ":ended": micros(at.time),
        ":effect": outcome.effect.name(),
        ":role": outcome.role.map(Role::name),
        ":epoch": signed(outcome.epoch),
        ":attempts": signed(outcome.attempts as u64),
        ":row_url": outcome.row_url,
        ":url": outcome.url,
        ":proof": proof,
        ":suspect": suspect,
        ":late": may_come_late,
        ":resolution": is_replayed.then_some(Resolution::Replayed.name()),
    })?;
    Ok(suspected)
}

/// What is on record of a write that ends.
struct Found {
    proof: String,
    lost_through: i64,
    /// When the primary and the alternate were left last.
    left: [Option<i64>; 2],
    /// It was sent again.
    is_claimed: bool,
}

/// Puts in question what was acknowledged since, and is not resolved. Tells how much.
fn question(
    connection: &Connection,
    organization: i64,
    since: i64,
    role: Option<Role>,
) -> rusqlite::Result<u64> {
    // The look was at what was there before.
    let questioned = connection.execute(
        "UPDATE writes SET suspect = 'acknowledged', resolution = NULL,
             verified_final = iif(verified IS NULL, NULL, 0)
         WHERE organization = ?1 AND ended >= ?2 AND effect = 'executed' AND role IS NOT NULL
             AND (?3 IS NULL OR role = ?3) AND (resolution IS NULL OR resolution = 'replayed')
             AND suspect IS NOT 'acknowledged'",
        params![organization, since, role.map(Role::name)],
    )?;
    Ok(questioned as u64)
}

fn in_doubt(connection: &Connection, organization: i64) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM writes
         WHERE organization = ?1 AND suspect IS NOT NULL AND effect = 'unknown'",
        [organization],
        |row| row.get(0).map(row::unsigned),
    )
}

/// Deletes some of what has ended before `over` and is in no question.
fn forget(connection: &Connection, organization: i64, over: i64) -> rusqlite::Result<()> {
    const LAST: &str = "SELECT max(ended) FROM (SELECT ended FROM writes WHERE ended < ?2
        AND organization = ?1 AND suspect IS NULL AND id < (SELECT max(id) FROM writes)
        ORDER BY ended LIMIT ?3)";
    const RECORDED: &str =
        "UPDATE organizations SET on_record_since = max(on_record_since, ?2) WHERE id = ?1";
    const DELETE: &str = "DELETE FROM writes WHERE ended <= ?2 AND organization = ?1
        AND suspect IS NULL AND id < (SELECT max(id) FROM writes)";
    let find = params![organization, over, PORTION];
    let last: Option<i64> = connection
        .prepare_cached(LAST)?
        .query_row(find, |row| row.get(0))?;
    if let Some(last) = last {
        let through = params![organization, last];
        connection.prepare_cached(RECORDED)?.execute(through)?;
        connection.prepare_cached(DELETE)?.execute(through)?;
    }
    Ok(())
}
