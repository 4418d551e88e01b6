//! How a write has ended, in the store.

use rusqlite::{Connection, OptionalExtension, params};

use super::row::{self, ACKNOWLEDGED, IN_DOUBT, REPEATED, signed};
use super::{At, Suspected, WriteEnd};
use crate::decide::verify::Proof;
use crate::resource::store::{micros, together};
use crate::{Effect, Resolution, Role};

/// A write that has ended.
pub(super) struct Ending {
    pub(super) id: u64,
    pub(super) organization: i64,
    pub(super) outcome: WriteEnd,
    /// It was sent in an earlier epoch of its client.
    pub(super) is_early: bool,
    pub(super) has_window: bool,
    /// When its last attempt was sent, in microseconds; before all that can be where the clock was set since.
    pub(super) sent: i64,
    pub(super) at: At,
}

/// What is on record of the organization of a write.
#[derive(Default)]
struct Left {
    lost_through: i64,
    /// When the primary and the alternate were left last, and up to which number writes were begun before.
    times: [(Option<i64>, i64); 2],
}

impl Ending {
    /// Puts it on record.
    pub(super) fn record(&self, connection: &Connection) -> rusqlite::Result<Option<Suspected>> {
        if let Some(proof) = &self.outcome.begun_as {
            // Its client knows what is there: a look would cost as much as the record.
            let (suspect, suspected) = self.suspect(&Left::default(), 0, false);
            let is_recorded = match self.outcome.effect {
                Effect::NotExecuted => self.delete(connection)?,
                _ => self.record_first(connection, self.proof(proof), suspect)?,
            };
            if is_recorded {
                return Ok(suspected);
            }
        }
        together(connection, || self.record_again(connection))
    }

    /// What the answer tells of the row beyond what was known.
    fn proof(&self, known: &Proof) -> Option<Proof> {
        if self.outcome.effect != Effect::Executed {
            return None;
        }
        let outcome = &self.outcome;
        let (row, version) = (outcome.row_url.as_deref(), outcome.version.as_deref());
        let proof = known.clone().when_executed(row, outcome.row_id, version);
        (proof != *known).then_some(proof)
    }

    fn left(&self, connection: &Connection) -> rusqlite::Result<Left> {
        const LEFT: &str = "SELECT lost_through, primary_left, primary_left_through, alternate_left, alternate_left_through \
             FROM organizations WHERE id = ?1";
        connection
            .prepare_cached(LEFT)?
            .query_row([self.organization], |row| {
                Ok(Left {
                    lost_through: row.get(0)?,
                    times: [(row.get(1)?, row.get(2)?), (row.get(3)?, row.get(4)?)],
                })
            })
    }

    /// Why it is to be verified from now on.
    fn suspect(
        &self,
        left: &Left,
        started: i64,
        is_claimed: bool,
    ) -> (Option<&'static str>, Option<Suspected>) {
        let outcome = &self.outcome;
        let (left_at, through) = match outcome.role {
            Some(Role::Primary) => left.times[0],
            Some(Role::Alternate) => left.times[1],
            None => (None, 0),
        };
        // Another process has left it since. What was begun before that may have been sent after it, which only a
        // clock says that has gone on as it went; what is sent again was begun at any time.
        let was_left = left_at.is_some_and(|left| match is_claimed {
            true => self.sent <= left,
            false => signed(self.id) <= through && !(started <= left && left < self.sent),
        });
        let is_executed = outcome.effect == Effect::Executed && outcome.role.is_some();
        let is_lost = signed(self.id) <= left.lost_through;
        let is_late = is_executed && (self.is_early || was_left || is_lost);
        // What is sent again was in question already.
        let is_repeated = is_executed && outcome.may_come_late && self.has_window && !is_claimed;
        match outcome.effect {
            Effect::Unknown => (Some(IN_DOUBT), None),
            _ if is_late => (Some(ACKNOWLEDGED), Some(Suspected::Late)),
            _ if is_repeated => (Some(REPEATED), Some(Suspected::Repeated)),
            _ => (None, None),
        }
    }

    /// The end of what was begun and has none, as long as its endpoint was not left. Tells whether that
    /// is so.
    fn record_first(
        &self,
        connection: &Connection,
        proof: Option<Proof>,
        suspect: Option<&str>,
    ) -> rusqlite::Result<bool> {
        let outcome = &self.outcome;
        let is_plain = suspect.is_none() && !outcome.may_come_late;
        // Of a column that is NULL nothing is greater. Without a word on `suspect` no index is looked at.
        macro_rules! end {
            ($role:literal, $doubt:literal) => {
                concat!(
                    "UPDATE writes SET ended = ?2, effect = ?3, role = ?4, epoch = ?5, attempts = ?6, \
                     row_url = ?7, url = coalesce(?8, url), proof = coalesce(?9, proof)",
                    $doubt,
                    " WHERE id = ?1 AND ended IS NULL AND NOT EXISTS ( \
                     SELECT 1 FROM organizations WHERE id = ?12 AND (lost_through >= ?1 OR ",
                    $role,
                    "_left_through >= ?1 AND NOT (started <= ",
                    $role,
                    "_left AND ",
                    $role,
                    "_left < ?13)))"
                )
            };
            ($role:literal) => {
                match is_plain {
                    true => end!($role, ""),
                    false => end!($role, ", suspect = ?10, may_come_late = ?11"),
                }
            };
        }
        let end = match outcome.role {
            Some(Role::Alternate) => end!("alternate"),
            _ => end!("primary"),
        };
        let is_acknowledged = outcome.effect == Effect::Executed && outcome.role.is_some();
        let ended = connection.prepare_cached(end)?.execute(params![
            signed(self.id),
            micros(self.at.time),
            outcome.effect.name(),
            outcome.role.map(Role::name),
            signed(outcome.epoch),
            signed(outcome.attempts as u64),
            outcome.row_url,
            outcome.url,
            proof.as_ref().map(row::written),
            suspect,
            outcome.may_come_late,
            is_acknowledged.then_some(self.organization),
            self.sent,
        ])?;
        Ok(ended == 1)
    }

    /// Forgets what was begun and not executed, unless its number is the last one: that is not given
    /// again, because the application may know it.
    fn delete(&self, connection: &Connection) -> rusqlite::Result<bool> {
        const DELETE: &str = "DELETE FROM writes WHERE id = ?1 AND ended IS NULL \
            AND id < (SELECT max(id) FROM writes)";
        let deleted = connection
            .prepare_cached(DELETE)?
            .execute([signed(self.id)])?;
        Ok(deleted == 1)
    }

    /// The end of what may have had one before, or of what was not executed.
    fn record_again(&self, connection: &Connection) -> rusqlite::Result<Option<Suspected>> {
        const FIND: &str =
            "SELECT proof, started, replayed_by IS NOT NULL FROM writes WHERE id = ?1";
        let (id, outcome) = (signed(self.id), &self.outcome);
        let attempts = signed(outcome.attempts as u64);
        let found = connection
            .prepare_cached(FIND)?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let Some((proof, started, is_claimed)): Option<(String, i64, bool)> = found.optional()?
        else {
            return Ok(None);
        };
        if outcome.effect == Effect::NotExecuted && is_claimed {
            // It is as it was.
            connection.execute(
                "UPDATE writes SET replayed_by = NULL, verified = NULL, attempts = attempts + ?2
                 WHERE id = ?1",
                params![id, attempts],
            )?;
            return Ok(None);
        }
        if outcome.effect == Effect::NotExecuted {
            const DELETE: &str =
                "DELETE FROM writes WHERE id = ?1 AND id < (SELECT max(id) FROM writes)";
            const MARK: &str =
                "UPDATE writes SET effect = 'not_executed', ended = ?2 WHERE id = ?1";
            if connection.prepare_cached(DELETE)?.execute([id])? == 0 {
                let mark = params![id, micros(self.at.time)];
                connection.prepare_cached(MARK)?.execute(mark)?;
            }
            return Ok(None);
        }
        let (suspect, suspected) = self.suspect(&self.left(connection)?, started, is_claimed);
        let proof = self.proof(&row::read(&proof));
        let may_come_late = match outcome.effect {
            Effect::Unknown if is_claimed => true,
            _ => outcome.may_come_late,
        };
        let is_replayed = is_claimed && suspect.is_none();
        const END: &str = "UPDATE writes SET ended = ?2, effect = ?3, role = ?4, epoch = ?5, \
            attempts = attempts + ?6, row_url = coalesce(?7, row_url), url = coalesce(?8, url), \
            proof = coalesce(?9, proof), suspect = ?10, may_come_late = ?11, resolution = ?12, \
            replayed_by = NULL, verified = iif(?12 IS NULL, NULL, verified) WHERE id = ?1";
        connection.prepare_cached(END)?.execute(params![
            id,
            micros(self.at.time),
            outcome.effect.name(),
            outcome.role.map(Role::name),
            signed(outcome.epoch),
            attempts,
            outcome.row_url,
            outcome.url,
            proof.as_ref().map(row::written),
            suspect,
            may_come_late,
            is_replayed.then_some(Resolution::Replayed.name()),
        ])?;
        Ok(suspected)
    }
}
