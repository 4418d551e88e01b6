//! What several have asked for, in one transaction.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot::Sender;

use crate::Error;

/// Something to be done in a transaction, and who waits for it.
pub(super) trait Job: Send {
    /// Whether it is a transaction by itself where no other job is.
    fn is_whole(&self) -> bool;

    /// # Errors
    /// What it was to do is not done.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Tells who waits: after the commit, or why there was none.
    fn done(self: Box<Self>, result: Result<(), &Error>);
}

pub(super) struct Asked<T, F, U> {
    function: F,
    is_whole: bool,
    /// Takes back what nobody has heard of. `None`: it stays.
    undo: Option<U>,
    value: Option<Result<T, Error>>,
    sender: Sender<Result<T, Error>>,
}

impl<T, F, U> Asked<T, F, U> {
    pub(super) fn new(
        function: F,
        is_whole: bool,
        undo: Option<U>,
        sender: Sender<Result<T, Error>>,
    ) -> Asked<T, F, U> {
        Asked {
            function,
            is_whole,
            undo,
            value: None,
            sender,
        }
    }
}

impl<T, F, U> Job for Asked<T, F, U>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<Result<T, Error>> + Send,
    U: FnOnce(T) + Send,
{
    fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let is_unwanted = self.undo.is_some() && self.sender.is_closed();
        if !is_unwanted {
            self.value = Some((self.function)(connection)?);
        }
        Ok(())
    }

    fn done(self: Box<Self>, result: Result<(), &Error>) {
        let result = match (result, self.value) {
            (Ok(()), Some(value)) => value,
            (Ok(()), None) => return,
            (Err(error), _) => Err(error.clone()),
        };
        if let Err(Ok(unheard)) = self.sender.send(result)
            && let Some(undo) = self.undo
        {
            undo(unheard);
        }
    }
}

/// Whether who is about to commit lets others ask first. Where other processes want the processor, that gives it to
/// them for milliseconds: then it is left for a while.
#[derive(Default)]
pub(super) struct Gathering {
    /// How many jobs the last group had.
    pub(super) size: usize,
    /// For how many groups it is left yet, and for how many the last time.
    left: u32,
    pause: u32,
}

impl Gathering {
    /// What a thread is away at most where its own process's others alone come first.
    const LONGEST: Duration = Duration::from_millis(2);
    const SHORTEST_PAUSE: u32 = 16;
    const LONGEST_PAUSE: u32 = 4096;

    pub(super) fn is_due(&mut self) -> bool {
        let is_over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_over && self.size > 1
    }

    pub(super) fn was_away(&mut self, time: Duration) {
        self.pause = match time > Gathering::LONGEST {
            true => (self.pause * 4).clamp(Gathering::SHORTEST_PAUSE, Gathering::LONGEST_PAUSE),
            false => self.pause / 2,
        };
        self.left = self.pause;
    }
}

/// Does all jobs in one transaction, and tells each what became of it. `is_brief`: where another process
/// holds the store, gives them back.
pub(super) fn commit(
    connection: &Connection,
    mut jobs: Vec<Box<dyn Job>>,
    is_brief: bool,
    failed: &dyn Fn(&str) -> Error,
) -> Option<Vec<Box<dyn Job>>> {
    if jobs.is_empty() {
        return None;
    }
    let mut own = Vec::with_capacity(jobs.len());
    let committed = transact(connection, &mut jobs, &mut own);
    let is_held = |error: &rusqlite::Error| {
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && connection.is_autocommit()
    };
    if is_brief && own.is_empty() && committed.as_ref().is_err_and(is_held) {
        return Some(jobs);
    }
    if committed.is_err() && !connection.is_autocommit() {
        let _ = run(connection, "ROLLBACK");
    }
    let committed = committed.map_err(|error| failed(&why(&error)));
    own.resize_with(jobs.len(), || None);
    for (job, own) in jobs.into_iter().zip(own) {
        let result = match &committed {
            Ok(()) => own.map_or(Ok(()), |error| Err(failed(&why(&error)))),
            Err(error) => Err(error.clone()),
        };
        match &result {
            Ok(()) => job.done(Ok(())),
            Err(error) => job.done(Err(error)),
        }
    }
    None
}

fn transact(
    connection: &Connection,
    jobs: &mut [Box<dyn Job>],
    own: &mut Vec<Option<rusqlite::Error>>,
) -> rusqlite::Result<()> {
    if let [job] = jobs
        && job.is_whole()
    {
        return job.run(connection);
    }
    run(connection, "BEGIN IMMEDIATE")?;
    for job in jobs {
        match job.run(connection) {
            Ok(()) => own.push(None),
            // It was rolled back as a whole: with a full disk, say.
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(error) => own.push(Some(error)),
        }
    }
    run(connection, "COMMIT")
}

/// Has several statements done as one, in the transaction that there is or in one of their own.
pub(crate) fn together<T>(
    connection: &Connection,
    statements: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if !connection.is_autocommit() {
        return statements();
    }
    run(connection, "BEGIN IMMEDIATE")?;
    let done = statements();
    if done.is_ok() {
        run(connection, "COMMIT")?;
    } else if !connection.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    done
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// What has kept the store from being read or written, for a person.
pub(crate) fn why(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it for too long".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_come_first_where_there_are_any_and_seldom_where_that_takes_long() {
        let (short, long) = (Duration::from_micros(300), Duration::from_millis(4));
        let mut gathering = Gathering::default();
        assert!(!gathering.is_due());
        gathering.size = 1;
        assert!(!gathering.is_due());
        gathering.size = 2;
        // How long it took to come back, and how many groups it is left for then.
        for (away, left) in [
            (short, 0),
            (long, 16),
            (long, 64),
            (short, 32),
            (short, 16),
            (long, 64),
            (long, 256),
            (long, 1024),
            (long, 4096),
            (long, 4096),
        ] {
            assert!(gathering.is_due());
            gathering.was_away(away);
            let seen = std::iter::repeat_with(|| gathering.is_due()).take_while(|is_due| !is_due);
            assert_eq!(seen.count(), left, "{away:?}");
        }
    }
}
