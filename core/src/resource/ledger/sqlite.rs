//! The writes on record, in a store that the processes of a machine share.
//!
//! An entry that was begun may have been sent: there is no third state between, which would be one more
//! transaction for each attempt. So what a process that died has begun, and not ended, is in doubt.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::ending::Ending;
use super::keeping::{PORTION_EACH, dead, first_since, forget, mark, take_over};
use super::row::{self, ENTRY, QUESTION, signed};
use super::steps::Steps;
use super::{
    At, Ledger, Question, SENT_AGAIN, Soon, Suspected, Suspects, Write, WriteEnd, nothing,
};
use crate::resource::store::{Store, micros, time};
use crate::{
    Error, LedgerEntry, LedgerSelection, Organization, Resolution, Role, SuspectedSince,
    Verification,
};

pub(crate) struct Sqlite {
    store: Arc<Store>,
    organization: i64,
    window: Duration,
    retention: Duration,
    /// What was sent in an earlier epoch of this client went to an endpoint that was left since.
    first_epoch: AtomicU64,
    ended: AtomicU64,
    /// Up to which number was looked through for what is over.
    looked_through: Arc<AtomicI64>,
    /// How the machine's clock was set meanwhile.
    steps: Arc<Steps>,
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
        until: Instant,
    ) -> Result<Sqlite, Error> {
        let pair = organization.pair();
        let (asking, at) = (Arc::clone(&store), At::now());
        let opened = store.ask(0, move |connection| {
            connection.execute(
                "INSERT OR IGNORE INTO organizations (pair, on_record_since) VALUES (?1, ?2)",
                params![pair, micros(at.time)],
            )?;
            let find = "SELECT id FROM organizations WHERE pair = ?1";
            let organization = connection.query_row(find, [pair], |row| row.get(0))?;
            let taken_over = take_over(connection, &asking, at.time)?;
            Ok(Ok((organization, taken_over)))
        });
        let (organization, taken_over) = opened.wait_until(until)?;
        Ok(Sqlite {
            store,
            organization,
            window,
            retention,
            first_epoch: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            looked_through: Arc::default(),
            steps: Arc::new(Steps::new(at)),
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

    /// Has something read, after what the dead have left was taken over.
    fn read<T: Send + 'static>(
        &self,
        at: At,
        function: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
    ) -> Soon<T> {
        let store = Arc::clone(&self.store);
        self.store.read(move |connection| {
            if !dead(connection, &store)?.is_empty() {
                let writing = Arc::clone(&store);
                let taken = store.ask(0, move |connection| {
                    take_over(connection, &writing, at.time).map(Ok)
                });
                if let Err(error) = taken.wait() {
                    return Ok(Err(error));
                }
            }
            function(connection)
        })
    }
}

impl Ledger for Sqlite {
    fn is_on_disk(&self) -> bool {
        true
    }

    fn taken_over(&self) -> u64 {
        self.taken_over
    }

    fn begin(&self, write: Write) -> Soon<u64> {
        let (organization, process) = (self.organization, self.store.process());
        let bytes = write.kept.as_ref().map_or(0, |kept| kept.body.len());
        let insert = move |connection: &Connection| {
            row::insert(connection, organization, process, &write).map(Ok)
        };
        let store = Arc::downgrade(&self.store);
        let undo = move |id| take_back(&store, organization, id);
        self.store.ask_one(bytes, insert, Some(undo))
    }

    fn end(&self, id: u64, outcome: WriteEnd, at: At) -> Soon<Option<Suspected>> {
        self.steps.note(at);
        let number = self.ended.fetch_add(1, Ordering::Relaxed);
        let over = number.is_multiple_of(PORTION_EACH);
        let over = over.then(|| self.steps.window_start(at, self.retention));
        let looked_through = Arc::clone(&self.looked_through);
        let ending = Ending {
            id,
            organization: self.organization,
            is_early: outcome.epoch < self.first_epoch.load(Ordering::Acquire),
            has_window: !self.window.is_zero(),
            sent: self.steps.sent(outcome.sent, at),
            outcome,
            at,
        };
        let Some(over) = over else {
            let record = move |connection: &Connection| ending.record(connection).map(Ok);
            return self.store.ask_one(0, record, None::<fn(_)>);
        };
        self.store.ask(0, move |connection| {
            let organization = ending.organization;
            let suspected = ending.record(connection)?;
            mark(connection, organization)?;
            let from = looked_through.load(Ordering::Relaxed);
            let next = forget(connection, organization, over, from)?;
            looked_through.store(next, Ordering::Relaxed);
            Ok(Ok(suspected))
        })
    }

    fn suspect(&self, from: Role, epoch: u64, at: At) -> Soon<Suspects> {
        self.first_epoch.fetch_max(epoch + 1, Ordering::AcqRel);
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        self.look(at, move |connection| {
            let left = match from {
                Role::Primary => {
                    "UPDATE organizations SET primary_left = ?2, primary_left_through =
                         (SELECT coalesce(max(id), 0) FROM writes) WHERE id = ?1"
                }
                Role::Alternate => {
                    "UPDATE organizations SET alternate_left = ?2, alternate_left_through =
                         (SELECT coalesce(max(id), 0) FROM writes) WHERE id = ?1"
                }
            };
            connection.execute(left, params![organization, micros(at.time)])?;
            question(connection, organization, window, Some(from))?;
            // Also those that another process has put in question, which has left it before.
            let acknowledged = connection.query_row(
                "SELECT count(*) FROM writes
                 WHERE organization = ?1 AND suspect IS NOT NULL AND ended >= ?2
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
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        let process = self.store.process();
        self.read(at, move |connection| {
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
            entries.collect::<rusqlite::Result<_>>().map(Ok)
        })
    }

    fn count_suspects(&self, at: At) -> Soon<usize> {
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        self.read(at, move |connection| {
            let count = format!("SELECT count(*) FROM writes WHERE {SUSPECTS}");
            let of = named_params! { ":organization": organization, ":window": window };
            let count: u32 = connection.query_row(&count, of, |row| row.get(0))?;
            Ok(Ok(count as usize))
        })
    }

    fn question(&self, id: u64, purpose: &'static str) -> Soon<Question> {
        let at = At::now();
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        let steps = Arc::clone(&self.steps);
        self.read(at, move |connection| {
            let find = format!(
                "SELECT {ENTRY}, {QUESTION} FROM writes WHERE id = ?1 AND organization = ?2
                     AND effect IS NOT 'not_executed'"
            );
            let mut find = connection.prepare_cached(&find)?;
            let found = find.query_row([signed(id), organization], |row| {
                row::question(row, window, &steps, at)
            });
            Ok(match found.optional()? {
                Some(Some(question)) => Ok(question),
                Some(None) => Err(nothing(id, purpose, "it is in flight")),
                None => Err(nothing(id, purpose, "it is not on record")),
            })
        })
    }

    fn claim(&self, id: u64, at: At) -> Soon<()> {
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        let (store, process) = (Arc::clone(&self.store), self.store.process());
        let weak = Arc::downgrade(&self.store);
        let undo = move |()| take_back(&weak, organization, id);
        let claim = move |connection: &Connection| {
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
                    SENT_AGAIN,
                    lacks(is_claimed(connection, id, organization)?),
                )),
            })
        };
        self.store.ask_unless_left(claim, undo)
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
        let (organization, window) = (self.organization, self.steps.window_start(at, self.window));
        let store = Arc::clone(&self.store);
        self.store.ask(0, move |connection| {
            take_over(connection, &store, at.time)?;
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

/// A call has left that had put a write on record, or had claimed it: nothing of it was sent. Done with what
/// is asked for next.
fn take_back(store: &Weak<Store>, organization: i64, id: u64) {
    let Some(store) = store.upgrade() else {
        return;
    };
    let ending = Ending {
        id,
        organization,
        is_early: false,
        has_window: false,
        sent: i64::MAX,
        outcome: WriteEnd::unsent(),
        at: At::now(),
    };
    drop(store.ask(0, move |connection| ending.record(connection).map(Ok)));
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

/// Puts in question what was acknowledged since, and is not resolved. Tells how much.
fn question(
    connection: &Connection,
    organization: i64,
    since: i64,
    role: Option<Role>,
) -> rusqlite::Result<u64> {
    let first = first_since(connection, organization, since)?;
    let mut questioned = 0;
    for meant in ["id >= ?4", "resolution = 'replayed' AND id < ?4"] {
        // The look was at what was there before.
        let question = format!(
            "UPDATE writes SET suspect = 'acknowledged', resolution = NULL,
                 verified_final = iif(verified IS NULL, NULL, 0)
             WHERE {meant} AND organization = ?1 AND ended >= ?2 AND effect = 'executed'
                 AND role IS NOT NULL AND (?3 IS NULL OR role = ?3)
                 AND (resolution IS NULL OR resolution = 'replayed')
                 AND suspect IS NOT 'acknowledged'"
        );
        let of = params![organization, since, role.map(Role::name), first];
        questioned += connection.execute(&question, of)?;
    }
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
