//! The connections that this process has to its stores, of which a child of a fork knows.
//!
//! SQLite takes an open connection, which the child inherits with the memory, for one whose locks its process
//! holds, and takes none for the next. The parent then takes the log away under it. So the child closes all
//! that it has inherited before it opens its own: the parent's locks keep that from touching the file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result, ffi};

use crate::fork;
use crate::lock::lock;

/// So long the list of connections may be held, by a thread of the parent if need be.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// All that are open, in this process and in those that it is a child of.
static OPEN: Mutex<Vec<Arc<Open>>> = Mutex::new(Vec::new());

struct Open {
    path: PathBuf,
    era: u32,
    /// Locked by whoever uses it: at a fork, in the middle of something.
    connection: Mutex<Option<Connection>>,
}

/// A connection, which is closed with this; unless it was given on, to another that closes it.
pub(crate) struct Held {
    open: Arc<Open>,
    is_given_on: bool,
}

impl Held {
    /// `open` is told whether this process has no other to the file. Then alone it may read the file by
    /// itself: to close that takes away all locks that the process has on it, SQLite's as well, and others
    /// take the log away under it.
    ///
    /// # Errors
    /// Those of `open`.
    pub(crate) fn open<E>(
        path: &Path,
        open: impl FnOnce(bool) -> std::result::Result<Connection, E>,
    ) -> std::result::Result<Held, E> {
        // Over the opening: what a fork meets in the middle of it nobody could close.
        let mut all = lock(&OPEN);
        let era = fork::era();
        let is_first = !all.iter().any(|open| open.era == era && open.path == path);
        let held = Arc::new(Open {
            path: path.to_owned(),
            era,
            connection: Mutex::new(Some(open(is_first)?)),
        });
        all.push(Arc::clone(&held));
        Ok(Held {
            open: held,
            is_given_on: false,
        })
    }

    pub(super) fn give_on(&mut self) -> Held {
        let is_given_on = std::mem::replace(&mut self.is_given_on, true);
        Held {
            open: Arc::clone(&self.open),
            is_given_on,
        }
    }

    /// # Errors
    /// Those of `use_it`, and when it is closed.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        match &mut *lock(&self.open.connection) {
            Some(connection) => use_it(connection),
            None => Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_MISUSE),
                Some("it is closed".to_owned()),
            )),
        }
    }

    pub(crate) fn close(&self) {
        if self.open.era == fork::era() {
            drop(lock(&self.open.connection).take());
            lock(&OPEN).retain(|open| !Arc::ptr_eq(open, &self.open));
            return;
        }
        // Whoever holds a lock here is a thread of the parent: then it is left as it is.
        if let (Ok(mut connection), Ok(mut all)) =
            (self.open.connection.try_lock(), OPEN.try_lock())
        {
            drop(connection.take());
            all.retain(|open| !Arc::ptr_eq(open, &self.open));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_given_on {
            self.close();
        }
    }
}

/// Closes those to this file that were inherited. `false`: the parent was in the middle of something.
pub(super) fn leave_inherited(path: &Path) -> bool {
    let since = Instant::now();
    let mut all = loop {
        match OPEN.try_lock() {
            Ok(all) => break all,
            Err(TryLockError::Poisoned(poisoned)) => break PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) if since.elapsed() < LONGEST_WAIT => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return false,
        }
    };
    let era = fork::era();
    let is_inherited = |open: &Arc<Open>| open.era != era && open.path == path;
    let inherited: Vec<_> = all
        .iter()
        .filter(|open| is_inherited(open))
        .cloned()
        .collect();
    let mut connections = Vec::new();
    for open in &inherited {
        match open.connection.try_lock() {
            Ok(connection) => connections.push(connection),
            Err(TryLockError::Poisoned(poisoned)) => connections.push(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        }
    }
    for connection in &mut connections {
        drop(connection.take());
    }
    drop(connections);
    all.retain(|open| !is_inherited(open));
    true
}
