//! The tables `state` and `override` of a store, by a connection of their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Result, Row, TransactionBehavior, params};

use super::{News, OnRecord};
use crate::decide::alternate::Policy;
use crate::resource::store::{Held, Store};
use crate::whereabouts::Whereabouts;
use crate::{FailoverPolicy, Override, Role};

pub(super) struct Table(Held);

impl Table {
    pub(super) fn open(store: &Store) -> Result<Table> {
        Ok(Table(store.connect_beside()?))
    }

    /// Changes with what others write.
    pub(super) fn version(&self) -> Result<i64> {
        self.0.with(|connection| {
            connection.pragma_query_value(None, "data_version", |row| row.get(0))
        })
    }

    pub(super) fn read(&self, organization: &str) -> Result<OnRecord> {
        self.0.with(|connection| read(connection, organization))
    }

    pub(super) fn write(&self, organization: &str, news: News, now: SystemTime) -> Result<()> {
        self.0
            .with(|connection| write(connection, organization, news, now))
    }
}

fn read(connection: &Connection, organization: &str) -> Result<OnRecord> {
    let mut select = connection.prepare_cached(
        "SELECT role, switched, confirmed, by_fault, switches,
                    policy_role, policy_available, policy_enabled, policy_read
             FROM state WHERE pair = ?1",
    )?;
    let state = select
        .query_row([organization], |row| Ok((whereabouts(row)?, policy(row)?)))
        .optional()?;
    let (whereabouts, policy) = state.unwrap_or_default();
    let mut select =
        connection.prepare_cached("SELECT value, until FROM override WHERE pair = ?1")?;
    let order = select
        .query_row([organization], |row| {
            let (value, until): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            // What a newer library has written, or a hand has misspelt, is nobody's order.
            Ok(Override::named(&value).map(|value| (value, until.map(time))))
        })
        .optional()?
        .flatten();
    Ok(OnRecord {
        whereabouts,
        order,
        policy,
    })
}

fn write(
    connection: &mut Connection,
    organization: &str,
    news: News,
    now: SystemTime,
) -> Result<()> {
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    let now = since_1970(now);
    match news {
        News::Went {
            role,
            by_fault,
            max_age,
        } => {
            // Who follows has not moved them: since when, and why, the first one knows.
            let oldest = now.saturating_sub(micros(max_age));
            let follows = transaction.execute(
                "UPDATE state SET confirmed = ?2 WHERE pair = ?1 AND role = ?3
                     AND confirmed BETWEEN ?4 AND ?2",
                params![organization, now, role.name(), oldest],
            )?;
            if follows == 0 {
                transaction.execute(
                    "INSERT INTO state
                            (pair, role, switched, confirmed, by_fault, switches)
                         VALUES (?1, ?2, ?3, ?3, ?4, 1)
                         ON CONFLICT (pair) DO UPDATE SET role = ?2, switched = ?3,
                            confirmed = ?3, by_fault = ?4, switches = switches + 1",
                    params![organization, role.name(), now, by_fault],
                )?;
            }
        }
        News::Confirmed { role, older_than } => {
            let older = now.saturating_sub(micros(older_than));
            transaction.execute(
                "UPDATE state SET confirmed = ?2 WHERE pair = ?1 AND role = ?3
                     AND confirmed NOT BETWEEN ?4 AND ?2",
                params![organization, now, role.name(), older],
            )?;
        }
        News::Forget => {
            transaction.execute(
                "UPDATE state SET role = NULL WHERE pair = ?1",
                params![organization],
            )?;
        }
        News::Policy(policy) => {
            let says = policy.says;
            transaction.execute(
                "INSERT INTO state (pair, policy_role, policy_available,
                        policy_enabled, policy_read) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (pair) DO UPDATE SET policy_role = ?2,
                        policy_available = ?3, policy_enabled = ?4, policy_read = ?5",
                params![
                    organization,
                    policy.read_from.name(),
                    says.available,
                    says.endpoint_enabled,
                    now
                ],
            )?;
        }
        News::Order(None) => {
            transaction.execute(
                "DELETE FROM override WHERE pair = ?1",
                params![organization],
            )?;
        }
        News::Order(Some((value, until))) => {
            transaction.execute(
                "INSERT OR REPLACE INTO override (pair, value, until)
                     VALUES (?1, ?2, ?3)",
                params![organization, value.name(), until.map(since_1970)],
            )?;
        }
    }
    transaction.commit()
}

fn whereabouts(row: &Row<'_>) -> Result<Option<Whereabouts>> {
    let Some(role) = role(row, 0)? else {
        return Ok(None);
    };
    Ok(Some(Whereabouts {
        role,
        switched: time(row.get(1)?),
        confirmed: time(row.get(2)?),
        by_fault: row.get(3)?,
        switches: row.get::<_, i64>(4)?.unsigned_abs(),
    }))
}

fn policy(row: &Row<'_>) -> Result<Option<(Policy, SystemTime)>> {
    let Some(read_from) = role(row, 5)? else {
        return Ok(None);
    };
    let says = FailoverPolicy {
        available: row.get(6)?,
        endpoint_enabled: row.get(7)?,
    };
    Ok(Some((Policy { read_from, says }, time(row.get(8)?))))
}

fn role(row: &Row<'_>, column: usize) -> Result<Option<Role>> {
    let name: Option<String> = row.get(column)?;
    let roles = [Role::Primary, Role::Alternate];
    Ok(name.and_then(|name| roles.into_iter().find(|role| role.name() == name)))
}

fn micros(time: Duration) -> i64 {
    time.as_micros().try_into().unwrap_or(i64::MAX)
}

fn since_1970(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, micros)
}

fn time(since_1970: i64) -> SystemTime {
    let since = Duration::from_micros(since_1970.max(0).unsigned_abs());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
