//! What outlives the process: an SQLite database that the processes of a machine share.
//!
//! Each process has one connection to a store, however many clients it has. What they ask for is
//! queued; whoever comes next commits in one transaction all that is.

mod group;
mod opening;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::group::{Asked, Job};
use super::soon::{Later, Soon, Work};
use super::sys;
use super::threads::Threads;
use crate::lock::lock;
use crate::{Error, ErrorKind, StoreDurability, fork};

/// What is committed before the log is taken over into the file, in pages.
const CHECKPOINT_AFTER: u64 = 1000;
/// The log is not let grow longer, in pages: then all wait until it is taken over.
const LONGEST_LOG: i64 = 16_000;
const PAGE: u64 = 4096;
/// Of the registry, in the child of a fork that came while a thread of the parent was in there.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Store {
    path: PathBuf,
    fork_era: u32,
    /// Which file it is: the path may come to mean another one.
    identity: Option<(u64, u64)>,
    /// The number of this process in the store, held as long as it lives.
    process: i64,
    lifelines: sys::Lifelines,
    queue: Mutex<Queue>,
    done: Condvar,
    connection: Mutex<Option<Connection>>,
    thread: Arc<Threads>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Job>>,
    /// How many were ever queued, and how many of them are done.
    asked: u64,
    done: u64,
    /// Somebody commits.
    is_busy: bool,
    /// Pages committed since the log was taken over.
    pages: u64,
    is_thread_awake: bool,
    /// The log is being taken over.
    is_taking_over: bool,
}

/// One for each path, in each process.
static STORES: Mutex<BTreeMap<(u32, PathBuf), Weak<Store>>> = Mutex::new(BTreeMap::new());
static CLOSED: Condvar = Condvar::new();

impl Store {
    /// Opens a store, or gives the one that a client of this process has open.
    ///
    /// # Errors
    /// When there is something at the path that is no store, or that cannot be used.
    pub(crate) fn open(path: &Path, durability: StoreDurability) -> Result<Arc<Store>, Error> {
        let path = opening::locate(path)?;
        let key = (fork::era(), path);
        let since = Instant::now();
        let mut stores = loop {
            match STORES.try_lock() {
                Ok(stores) => break stores,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if since.elapsed() < LONGEST_WAIT => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        ErrorKind::NoResources,
                        "another thread has been opening a store for too long, perhaps one of the \
                         parent of this process",
                    ));
                }
            }
        };
        // One that is being closed would release the lock of the next.
        while let Some(store) = stores.get(&key) {
            if let Some(store) = store.upgrade() {
                return Ok(store);
            }
            stores = CLOSED
                .wait_timeout(stores, LONGEST_WAIT)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if since.elapsed() >= LONGEST_WAIT {
                break;
            }
        }
        leave_inherited(&mut stores, &key)?;
        let store = Arc::new(Store::open_anew(&key.1, durability)?);
        stores.insert(key, Arc::downgrade(&store));
        Ok(store)
    }

    fn open_anew(path: &Path, durability: StoreDurability) -> Result<Store, Error> {
        let connection = opening::open(path, durability)?;
        let failed = |why: String| {
            let message = format!("store = {}: {why}", path.display());
            Error::new(ErrorKind::InvalidSetting, message)
        };
        let mut lifelines = sys::Lifelines::open(path)
            .map_err(|error| failed(format!("no file for its locks: {error}")))?;
        let process = register(&connection, &mut lifelines).map_err(failed)?;
        Ok(Store {
            fork_era: fork::era(),
            identity: sys::identity(path),
            path: path.to_owned(),
            process,
            lifelines,
            queue: Mutex::default(),
            done: Condvar::new(),
            connection: Mutex::new(Some(connection)),
            thread: Threads::new("d365-store", 1),
        })
    }

    /// Where it is, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What whoever opens it should know.
    pub(crate) fn told(&self) -> Option<String> {
        let found = fs::metadata(&self.path).ok()?;
        sys::is_public(&found).then(|| {
            format!(
                "store = {}: everybody on this machine may read what was written; take that away \
                 (chmod o= of the file and of what stands beside it)",
                self.path.display()
            )
        })
    }

    /// Another connection, of whoever looks whether others have written: one's own writes change no
    /// version.
    pub(crate) fn connect_beside(&self) -> rusqlite::Result<Connection> {
        opening::reopen(&self.path)
    }

    /// The number of this process.
    pub(crate) fn process(&self) -> i64 {
        self.process
    }

    /// Whether the process of that number has died.
    pub(crate) fn has_died(&self, process: i64) -> bool {
        process != self.process && !self.lifelines.is_held(process)
    }

    /// Has something done in the next transaction. `bytes`: about how much it writes.
    ///
    /// A function that fails has changed nothing: the transaction is committed with what others have
    /// done. What it gives as an error of its own is told to who waits for it.
    pub(crate) fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        bytes: usize,
        function: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
    ) -> Soon<T> {
        let (sender, result) = oneshot::channel();
        let job = Asked::new(function, sender);
        let ticket = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Box::new(job));
            queue.asked += 1;
            queue.pages += 1 + bytes as u64 / PAGE;
            queue.asked
        };
        let work = Arc::clone(self) as Arc<dyn Work>;
        Soon::Later(Later::new(result, work, ticket))
    }

    /// Does what is queued, until so many are done.
    fn work_until(&self, ticket: u64) {
        let mut queue = lock(&self.queue);
        while queue.done < ticket {
            if queue.is_busy {
                queue = self
                    .done
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.is_busy = true;
            let jobs = std::mem::take(&mut queue.waiting);
            let through = queue.asked;
            drop(queue);
            // A panic would leave all others waiting.
            let turn = Turn {
                store: self,
                through,
            };
            self.commit(jobs);
            drop(turn);
            queue = lock(&self.queue);
        }
    }

    fn commit(&self, jobs: Vec<Box<dyn Job>>) {
        let connection = lock(&self.connection);
        let failed = match &*connection {
            _ if self.identity.is_some() && sys::identity(&self.path) != self.identity => {
                "its file is gone, or another one is in its place".to_owned()
            }
            None => "it is closed".to_owned(),
            Some(connection) => {
                group::commit(connection, jobs, &|why| self.failed(why));
                return;
            }
        };
        let error = self.failed(&failed);
        for job in jobs {
            job.done(Err(&error));
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::NoResources,
            format!("the store {} has failed: {why}", self.path.display()),
        )
    }

    /// On the store's own thread.
    fn run(&self) {
        loop {
            let ticket = {
                let mut queue = lock(&self.queue);
                if queue.waiting.is_empty() && queue.pages < CHECKPOINT_AFTER {
                    queue.is_thread_awake = false;
                    return;
                }
                queue.asked
            };
            self.work_until(ticket);
            self.take_over();
        }
    }

    /// Takes the log over into the file, beside those who commit.
    fn take_over(&self) {
        {
            let mut queue = lock(&self.queue);
            if queue.pages < CHECKPOINT_AFTER {
                return;
            }
            queue.pages = 0;
            queue.is_taking_over = true;
        }
        self.take_over_log();
        lock(&self.queue).is_taking_over = false;
    }

    fn take_over_log(&self) {
        // A connection of its own, so that nobody waits for the disk.
        let Ok(own) = opening::reopen(&self.path) else {
            return;
        };
        let checkpoint = |connection: &Connection, mode: &str| -> rusqlite::Result<i64> {
            let pragma = format!("PRAGMA wal_checkpoint({mode})");
            connection.query_row(&pragma, [], |row| row.get(1))
        };
        let Ok(log) = checkpoint(&own, "PASSIVE") else {
            return;
        };
        if log > LONGEST_LOG
            && let Some(connection) = &*lock(&self.connection)
        {
            // Without waiting for who reads.
            let _ = checkpoint(connection, "PASSIVE");
        }
    }

    fn have_thread(self: &Arc<Self>) {
        {
            let mut queue = lock(&self.queue);
            if queue.is_thread_awake {
                return;
            }
            queue.is_thread_awake = true;
        }
        let store = Arc::clone(self);
        if self.thread.run(move || store.run()).is_err() {
            // Better late on whichever thread this is than never.
            self.run();
        }
    }
}

/// One commits, and all hear when that is done.
struct Turn<'a> {
    store: &'a Store,
    through: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.store.queue);
        queue.is_busy = false;
        queue.done = self.through;
        self.store.done.notify_all();
    }
}

impl Work for Store {
    fn work(self: Arc<Self>, ticket: u64) {
        self.work_until(ticket);
        if lock(&self.queue).pages >= CHECKPOINT_AFTER {
            self.have_thread();
        }
    }

    fn wake(self: Arc<Self>) {
        self.have_thread();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let connection = self
            .connection
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let queue = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        if fork::era() != self.fork_era {
            if queue.is_busy || queue.is_taking_over {
                // It is in the middle of what a thread of the parent does.
                std::mem::forget(connection);
                return;
            }
            drop(connection);
            if let Ok(mut stores) = STORES.try_lock() {
                stores.remove(&(self.fork_era, self.path.clone()));
            }
            return;
        }
        self.thread.close();
        if let Some(connection) = connection {
            group::commit(&connection, std::mem::take(&mut queue.waiting), &|why| {
                Error::new(ErrorKind::NoResources, why)
            });
            // Where it fails the next that opens the store does it.
            let _ = connection.execute(
                "DELETE FROM processes WHERE id = ?1 AND NOT EXISTS
                     (SELECT 1 FROM writes WHERE ended IS NULL AND process = ?1)",
                [self.process],
            );
        }
        self.lifelines.release(self.process);
        let mut stores = lock(&STORES);
        stores.remove(&(self.fork_era, self.path.clone()));
        CLOSED.notify_all();
    }
}

/// SQLite takes an open connection, which a child of a fork inherits with the memory, for one whose locks
/// this process holds, and takes none for the next. So the child closes it first: the parent's locks keep
/// that from touching the file.
fn leave_inherited(
    stores: &mut BTreeMap<(u32, PathBuf), Weak<Store>>,
    (era, path): &(u32, PathBuf),
) -> Result<(), Error> {
    let busy = || {
        let message = format!(
            "store = {}: the parent was writing to it when it forked this process, which can open it \
             only after an exec; let clients be idle when you fork, or start processes afresh",
            path.display()
        );
        Error::new(ErrorKind::NoResources, message)
    };
    let inherited: Vec<_> = stores
        .keys()
        .filter(|(other_era, other)| other_era != era && other == path)
        .cloned()
        .collect();
    for key in inherited {
        // Without its store: it was dropped in the middle of something.
        let store = stores[&key].upgrade().ok_or_else(busy)?;
        // Whoever holds a lock here is a thread of the parent.
        let queue = store.queue.try_lock().map_err(|_| busy())?;
        if queue.is_busy || queue.is_taking_over {
            return Err(busy());
        }
        drop(queue);
        let connection = store.connection.try_lock().map_err(|_| busy())?.take();
        drop(connection);
        stores.remove(&key);
    }
    Ok(())
}

/// Gives this process a number that no other one holds.
fn register(connection: &Connection, lifelines: &mut sys::Lifelines) -> Result<i64, String> {
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
        Err(error) => Err(error.to_string()),
    }
}

/// A time as the store keeps it.
pub(crate) fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |ago| -ago),
    }
}

pub(crate) fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}
