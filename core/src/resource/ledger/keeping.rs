//! What goes from the store by and by, what the dead have left in it, and from which number on to look for what
//! ended of late: by moments, one for some hundred writes.

use std::time::SystemTime;

use rusqlite::{Connection, params};

use super::row::IN_DOUBT;
use crate::resource::store::{LOWEST_OPEN, Store, micros};

/// What is over is looked through in portions, so that nobody waits for long.
const PORTION: i64 = 500;
/// So often, in writes.
pub(super) const PORTION_EACH: u64 = 250;

/// What has ended first at a time or later has this number or a higher one.
pub(super) fn first_since(
    connection: &Connection,
    organization: i64,
    time: i64,
) -> rusqlite::Result<i64> {
    // A moment tells by the clock of its time, which may have been set since, of what has ended by another.
    const FIRST: &str = "SELECT coalesce(max(id_from), 0) FROM moments WHERE organization = ?1 AND id_from <
        coalesce((SELECT min(id_from) FROM moments WHERE organization = ?1 AND time >= ?2), 1 << 62)";
    connection
        .prepare_cached(FIRST)?
        .query_row([organization, time], |row| row.get(0))
}

/// Keeps that by now all have ended up to the first one that has not. By the clock of this moment: what is on
/// record by now has not ended later.
pub(super) fn mark(connection: &Connection, organization: i64) -> rusqlite::Result<()> {
    const MARK: &str = "INSERT OR IGNORE INTO moments (organization, id_from, time)
        SELECT ?1, coalesce(
            (SELECT min(id) FROM writes WHERE ended IS NULL AND id >=
                (SELECT coalesce(max(id_from), 0) FROM moments WHERE organization = ?1)),
            (SELECT max(id) + 1 FROM writes)), ?2";
    connection
        .prepare_cached(MARK)?
        .execute([organization, micros(SystemTime::now())])?;
    Ok(())
}

/// Deletes some of what has ended before `over` and is in no question: beyond `from`. Tells where to go on
/// the next time.
pub(super) fn forget(
    connection: &Connection,
    organization: i64,
    over: i64,
    from: i64,
) -> rusqlite::Result<i64> {
    // The oldest moments tell it: there are few before the first that is later.
    const BEFORE: &str = "SELECT max(id_from) FROM moments WHERE organization = ?1 AND id_from <
        coalesce((SELECT min(id_from) FROM moments WHERE organization = ?1 AND time > ?2), 1 << 62)";
    const LAST: &str = "SELECT max(id), count(*) FROM
        (SELECT id FROM writes WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3)";
    const RECORDED: &str =
        "UPDATE organizations SET on_record_since = max(on_record_since, coalesce(
            (SELECT max(ended) FROM writes WHERE id > ?3 AND id <= ?4 AND ended < ?2
                AND organization = ?1 AND suspect IS NULL), on_record_since))
        WHERE id = ?1";
    const DELETE: &str = "DELETE FROM writes WHERE id > ?3 AND id <= ?4 AND ended < ?2
        AND organization = ?1 AND suspect IS NULL AND id < (SELECT max(id) FROM writes)";
    const MOMENTS: &str = "DELETE FROM moments WHERE organization = ?1 AND id_from < ?2";
    let before: Option<i64> = connection
        .prepare_cached(BEFORE)?
        .query_row([organization, over], |row| row.get(0))?;
    let Some(before) = before else {
        return Ok(0);
    };
    connection
        .prepare_cached(MOMENTS)?
        .execute([organization, before])?;
    let (last, count): (Option<i64>, i64) = connection
        .prepare_cached(LAST)?
        .query_row([from, before, PORTION], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let Some(last) = last else {
        return Ok(0);
    };
    let portion = params![organization, over, from, last];
    connection.prepare_cached(RECORDED)?.execute(portion)?;
    connection.prepare_cached(DELETE)?.execute(portion)?;
    Ok(if count < PORTION { 0 } else { last })
}

/// What a process that has died began and did not end is in doubt from now on. Tells how much that is.
pub(super) fn take_over(
    connection: &Connection,
    store: &Store,
    now: SystemTime,
) -> rusqlite::Result<u64> {
    let mut count = 0;
    for process in dead(connection, store)? {
        let begun = format!(
            "UPDATE writes SET effect = 'unknown', suspect = ?1, ended = ?2
             WHERE id >= ({LOWEST_OPEN}) AND ended IS NULL AND process = ?3"
        );
        count += connection.execute(&begun, params![IN_DOUBT, micros(now), process])?;
        // What it was sending again may have been executed.
        count += connection.execute(
            "UPDATE writes SET effect = 'unknown', suspect = ?1, ended = ?2, may_come_late = 1,
                 resolution = NULL, verified = NULL, replayed_by = NULL
             WHERE suspect IS NOT NULL AND replayed_by = ?3",
            params![IN_DOUBT, micros(now), process],
        )?;
        connection.execute("DELETE FROM processes WHERE id = ?1", [process])?;
    }
    Ok(count as u64)
}

/// The processes that have died.
pub(super) fn dead(connection: &Connection, store: &Store) -> rusqlite::Result<Vec<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM processes")?;
    let processes = find.query_map([], |row| row.get(0))?;
    let processes = processes.filter(|process| match process {
        Ok(process) => store.has_died(*process),
        Err(_) => true,
    });
    processes.collect()
}
