//! The number by which a store knows a process.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::moment::micros;
use super::opening;
use crate::resource::sys;

/// No write with a lower number is in flight. They are in no index, which would cost each write two pages: by
/// the moments that are kept there is little to look through.
pub(crate) const LOWEST_OPEN: &str = "SELECT coalesce(max(
    (SELECT max(id_from) FROM moments WHERE organization = organizations.id)), 0) FROM organizations";

/// Gives this process a number that no other one holds.
pub(super) fn register(
    connection: &Connection,
    lifelines: &mut sys::Lifelines,
) -> Result<i64, String> {
    let mut register = || -> rusqlite::Result<Option<i64>> {
        let last: Option<i64> = connection
            .query_row("SELECT max(id) FROM processes", [], |row| row.get(0))
            .optional()?
            .flatten();
        // A file that was put in this one's place may have numbers that living processes hold.
        let mut taken = (last.unwrap_or(0) + 1..).take(1000);
        let Some(process) = taken.find(|process| lifelines.take(*process).unwrap_or(false)) else {
            return Ok(None);
        };
        let now = micros(SystemTime::now());
        connection.execute(
            "INSERT INTO processes (id, uuid, pid, opened) VALUES (?1, ?2, ?3, ?4)",
            params![process, Uuid::new_v4().to_string(), std::process::id(), now],
        )?;
        Ok(Some(process))
    };
    let mut run = || {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let process = register();
        connection.execute_batch(if process.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        })?;
        process
    };
    match run() {
        Ok(Some(process)) => Ok(process),
        Ok(None) => Err("no lock can be had beside it: does its file system lock?".to_owned()),
        Err(error) => Err(opening::why(&error)),
    }
}

/// Of a process that leaves nothing in flight. What it leaves is looked for before others have to wait.
pub(super) fn unregister(connection: &Connection, process: i64) -> rusqlite::Result<()> {
    let find = format!(
        "SELECT EXISTS (SELECT 1 FROM writes
             WHERE id >= ({LOWEST_OPEN}) AND ended IS NULL AND process = ?1)"
    );
    let is_left: bool = connection.query_row(&find, [process], |row| row.get(0))?;
    if !is_left {
        connection.execute("DELETE FROM processes WHERE id = ?1", [process])?;
    }
    Ok(())
}
