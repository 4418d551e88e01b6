//! What outlives the process: an SQLite database that the processes of a machine share.
//!
//! Each process has one connection to a store, however many clients it has. What they ask for is
//! queued; whoever comes next commits in one transaction all that is.

mod connection;
mod group;
mod opening;
mod reading;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;
use uuid::Uuid;

pub(crate) use self::connection::Held;
use self::group::{Asked, Gathering, Job};
pub(crate) use self::group::{together, why};
pub(crate) use self::opening::LONGEST_LOCK;
use self::opening::{BRIEF, waiting_until};
use super::soon::{Later, Soon, Work};
use super::threads::Threads;
use super::{sys, thread};
use crate::lock::lock;
use crate::{Error, ErrorKind, StoreDurability, fork};

/// What is committed before the log is taken over into the file, in pages.
const CHECKPOINT_AFTER: u64 = 4000;
/// The log is not let grow longer, in pages: then all wait until it is taken over.
const LONGEST_LOG: i64 = 16_000;
const PAGE: u64 = 4096;
/// About what a write has, without its body.
const ROW: u64 = 512;
/// How often is looked whether the path still means the file that is open.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// How long letting go of a store may take whoever does it.
const LONGEST_FREE: Duration = Duration::from_millis(250);

pub(crate) struct Store {
    path: PathBuf,
    fork_era: u32,
    /// Which file it is: the path may come to mean another one.
    identity: Option<(u64, u64)>,
    /// What it commits survives a loss of power: one of its clients has asked for it.
    survives_power: AtomicBool,
    /// The number of this process in the store, held as long as it lives.
    process: i64,
    /// `None`: given on to what closes it.
    lifelines: Option<sys::Lifelines>,
    queue: Mutex<Queue>,
    /// Those of an even and of an odd group: while one is committed the next gathers, and nobody is woken
    /// for the other's sake.
    done: [Condvar; 2],
    connection: Held,
    thread: Arc<Threads>,
    reader: Mutex<Option<Held>>,
    readers: Arc<Threads>,
    /// When the path was last seen to mean this file.
    seen: Mutex<Instant>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Job>>,
    /// The number of the group that gathers, and how many groups are done.
    group: u64,
    done: u64,
    /// How many threads wait for an even group, and for an odd one.
    sleepers: [usize; 2],
    /// Somebody commits.
    is_busy: bool,
    gathering: Gathering,
    /// About how many bytes the group that gathers writes.
    bytes: u64,
    /// Pages committed since the log was taken over.
    pages: u64,
    is_thread_awake: bool,
    /// A group that waits for another process, left to who can wait.
    left: Option<(u64, Vec<Box<dyn Job>>)>,
}

/// No write with a lower number is in flight. They are in no index, which would cost each write two pages: by
/// the moments that are kept there is little to look through.
pub(crate) const LOWEST_OPEN: &str = "SELECT coalesce(max(
    (SELECT max(id_from) FROM moments WHERE organization = organizations.id)), 0) FROM organizations";

/// One for each path, in each process. One that is being opened or closed is there as one that is dead.
static STORES: Mutex<BTreeMap<(u32, PathBuf), Weak<Store>>> = Mutex::new(BTreeMap::new());
static CLOSED: Condvar = Condvar::new();

impl Store {
    /// Opens a store, or gives the one that a client of this process has open. Waits for others until then.
    ///
    /// # Errors
    /// When there is something at the path that is no store, or that cannot be used.
    pub(crate) fn open(
        path: &Path,
        durability: StoreDurability,
        until: Instant,
    ) -> Result<Arc<Store>, Error> {
        let path = waiting_until(until, || opening::locate(path))?;
        let key = (fork::era(), path);
        let mut stores = loop {
            match STORES.try_lock() {
                Ok(stores) => break stores,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        ErrorKind::NoResources,
                        "the list of open stores is held for too long, perhaps by a thread of the parent of \
                         this process",
                    ));
                }
            }
        };
        // One that is being closed would release the lock of the next.
        while let Some(store) = stores.get(&key) {
            if let Some(store) = store.upgrade() {
                drop(stores);
                store.is_to_survive(durability)?;
                return Ok(store);
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                let message = format!(
                    "store = {}: another client of this process has been opening or closing it for too long, perhaps \
                     because another process holds it",
                    key.1.display()
                );
                return Err(Error::new(ErrorKind::NoResources, message));
            }
            stores = CLOSED
                .wait_timeout(stores, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        leave_inherited(&mut stores, &key)?;
        stores.insert(key.clone(), Weak::new());
        drop(stores);
        // Whoever opens another one does not wait.
        let opening = Opening(&key);
        let opened = waiting_until(until, || Store::open_anew(&key.1, durability));
        let store = Arc::new(opened?);
        lock(&STORES).insert(key.clone(), Arc::downgrade(&store));
        drop(opening);
        Ok(store)
    }

    fn open_anew(path: &Path, durability: StoreDurability) -> Result<Store, Error> {
        let connection = Held::open(path, |is_first| opening::open(path, durability, is_first))?;
        let failed = |why: String| {
            let message = format!("store = {}: {why}", path.display());
            Error::new(ErrorKind::InvalidSetting, message)
        };
        let mut lifelines = sys::Lifelines::open(path)
            .map_err(|error| failed(format!("no file for its locks: {error}")))?;
        let mut process = Err(String::new());
        let registered = connection.with(|connection| {
            process = register(connection, &mut lifelines);
            Ok(())
        });
        registered.map_err(|error| failed(error.to_string()))?;
        let process = process.map_err(failed)?;
        Ok(Store {
            fork_era: fork::era(),
            identity: sys::identity(path),
            path: path.to_owned(),
            survives_power: AtomicBool::new(durability == StoreDurability::Power),
            process,
            lifelines: Some(lifelines),
            queue: Mutex::default(),
            done: [Condvar::new(), Condvar::new()],
            connection,
            thread: Threads::new("d365-store", 1),
            reader: Mutex::new(None),
            readers: Threads::new("d365-reader", 1),
            seen: Mutex::new(Instant::now()),
        })
    }

    /// Another client of this process opens it, and wants this durability.
    ///
    /// # Errors
    /// When the file that is open is there no more: what that client writes would be lost.
    fn is_to_survive(&self, durability: StoreDurability) -> Result<(), Error> {
        if !self.is_in_place(Duration::ZERO) {
            let message = format!(
                "store = {}: {GONE}, and clients of this process have it open; close them first",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        let power = StoreDurability::Power;
        if durability == power && !self.survives_power.load(Ordering::Acquire) {
            let set = self
                .connection
                .with(|connection| opening::survive(connection, power));
            set.map_err(|error| self.failed(&error.to_string()))?;
            self.survives_power.store(true, Ordering::Release);
        }
        Ok(())
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
    pub(crate) fn connect_beside(&self) -> rusqlite::Result<Held> {
        Held::open(&self.path, |_| opening::reopen(&self.path))
    }

    /// The number of this process.
    pub(crate) fn process(&self) -> i64 {
        self.process
    }

    /// Whether the process of that number has died.
    pub(crate) fn has_died(&self, process: i64) -> bool {
        let lifelines = self.lifelines.as_ref();
        process != self.process && lifelines.is_some_and(|lifelines| !lifelines.is_held(process))
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
        self.queue_up(bytes, false, once(function), None::<fn(T)>)
    }

    /// The same, which `undo` takes back where nobody hears of it any more.
    pub(crate) fn ask_unless_left<T: Send + 'static>(
        self: &Arc<Self>,
        function: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
        undo: impl FnOnce(T) + Send + 'static,
    ) -> Soon<T> {
        self.queue_up(0, false, once(function), Some(undo))
    }

    /// As [`ask`](Store::ask) with what is one statement, or does its several [`together`]: where
    /// nobody else has asked for anything, that needs no further one. It is done again where another
    /// process held the store, and had done nothing then.
    pub(crate) fn ask_one<T: Send + 'static>(
        self: &Arc<Self>,
        bytes: usize,
        function: impl FnMut(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
        undo: Option<impl FnOnce(T) + Send + 'static>,
    ) -> Soon<T> {
        self.queue_up(bytes, true, function, undo)
    }

    fn queue_up<T: Send + 'static>(
        self: &Arc<Self>,
        bytes: usize,
        is_whole: bool,
        function: impl FnMut(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
        undo: Option<impl FnOnce(T) + Send + 'static>,
    ) -> Soon<T> {
        let (sender, result) = oneshot::channel();
        let job = Asked::new(function, is_whole, undo, sender);
        let ticket = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Box::new(job));
            queue.bytes += ROW + bytes as u64;
            queue.group
        };
        let work = Arc::clone(self) as Arc<dyn Work>;
        Soon::Later(Later::new(result, work, ticket))
    }

    /// Does what is queued, until this group is done. `is_brief`: unless that takes longer than a call may
    /// go without being looked after.
    fn work_until(&self, group: u64, is_brief: bool) {
        let parity = parity(group);
        let mut since = None;
        let mut queue = lock(&self.queue);
        while queue.done <= group {
            if !is_brief && let Some((group, jobs)) = queue.left.take() {
                drop(queue);
                let turn = Turn { store: self, group };
                self.commit(jobs, false);
                drop(turn);
                queue = lock(&self.queue);
                continue;
            }
            if queue.is_busy {
                let longest = match is_brief {
                    true => BRIEF.saturating_sub(since.get_or_insert_with(Instant::now).elapsed()),
                    false => LONGEST_LOCK,
                };
                if longest.is_zero() {
                    return;
                }
                queue.sleepers[parity] += 1;
                queue = self.done[parity]
                    .wait_timeout(queue, longest)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                queue.sleepers[parity] -= 1;
                continue;
            }
            queue.is_busy = true;
            if queue.gathering.is_due() {
                // A transaction costs more than to let come first who is about to ask.
                drop(queue);
                let since = Instant::now();
                std::thread::yield_now();
                let away = since.elapsed();
                queue = lock(&self.queue);
                queue.gathering.was_away(away);
            }
            let jobs = std::mem::take(&mut queue.waiting);
            queue.gathering.size = jobs.len();
            queue.pages += 1 + std::mem::take(&mut queue.bytes) / PAGE;
            let group = queue.group;
            queue.group += 1;
            drop(queue);
            // A panic would leave all others waiting.
            let turn = Turn { store: self, group };
            if let Some(jobs) = self.commit(jobs, is_brief) {
                // It is still this group's.
                std::mem::forget(turn);
                lock(&self.queue).left = Some((group, jobs));
                for done in &self.done {
                    done.notify_all();
                }
                return;
            }
            drop(turn);
            queue = lock(&self.queue);
        }
    }

    /// Gives back what is left to who can wait longer.
    fn commit(&self, jobs: Vec<Box<dyn Job>>, is_brief: bool) -> Option<Vec<Box<dyn Job>>> {
        if jobs.is_empty() {
            return None;
        }
        let mut jobs = Some(jobs);
        let mut failed = None;
        if self.is_in_place(LOOK_EACH) {
            let committed = self.connection.with(|connection| {
                let jobs = jobs.take().unwrap_or_default();
                let failed = |why: &str| match self.is_in_place(Duration::ZERO) {
                    true => self.failed(why),
                    false => self.failed(GONE),
                };
                let longest = if is_brief { BRIEF } else { LONGEST_LOCK };
                Ok(waiting_until(Instant::now() + longest, || {
                    group::commit(connection, jobs, is_brief, &failed)
                }))
            });
            match committed {
                Ok(left) => return left,
                Err(error) => failed = Some(error),
            }
        }
        let jobs = jobs?;
        let error = match failed {
            Some(error) => self.failed(&error.to_string()),
            None => self.failed(GONE),
        };
        for job in jobs {
            job.done(Err(&error));
        }
        None
    }

    /// Whether the path means the file that is open: as it was seen so long ago at most.
    fn is_in_place(&self, most: Duration) -> bool {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        if self.identity.is_none() || now.saturating_duration_since(*seen) < most {
            return true;
        }
        let is_in_place = sys::identity(&self.path) == self.identity;
        if is_in_place {
            *seen = now;
        }
        is_in_place
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
            let (is_asked, group) = {
                let mut queue = lock(&self.queue);
                let is_asked = !queue.waiting.is_empty() || queue.left.is_some();
                if !is_asked && queue.pages < CHECKPOINT_AFTER {
                    queue.is_thread_awake = false;
                    return;
                }
                (is_asked, queue.group)
            };
            if is_asked {
                self.work_until(group, false);
            }
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
        }
        self.take_over_log();
    }

    fn take_over_log(&self) {
        // A connection of its own, so that nobody waits for the disk.
        let Ok(own) = self.connect_beside() else {
            return;
        };
        let checkpoint = |connection: &Connection, mode: &str| -> rusqlite::Result<i64> {
            let pragma = format!("PRAGMA wal_checkpoint({mode})");
            connection.query_row(&pragma, [], |row| row.get(1))
        };
        let Ok(log) = own.with(|own| checkpoint(own, "PASSIVE")) else {
            return;
        };
        if log > LONGEST_LOG {
            // Without waiting for who reads.
            let _ = self
                .connection
                .with(|connection| checkpoint(connection, "PASSIVE"));
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

const GONE: &str = "its file is gone, or another one is in its place";

fn parity(group: u64) -> usize {
    usize::from(!group.is_multiple_of(2))
}

/// One commits, and all of its group hear when that is done; of the next, one.
struct Turn<'a> {
    store: &'a Store,
    group: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (mine, next) = (parity(self.group), parity(self.group + 1));
        let mut queue = lock(&self.store.queue);
        queue.is_busy = false;
        queue.done = self.group + 1;
        let [is_waited_for, is_next] = [mine, next].map(|parity| queue.sleepers[parity] > 0);
        drop(queue);
        // To wake nobody is a call of the system as well.
        if is_waited_for {
            self.store.done[mine].notify_all();
        }
        if is_next {
            self.store.done[next].notify_one();
        }
    }
}

/// What is done at most once, as what may be done again.
fn once<T>(
    function: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> impl FnMut(&Connection) -> rusqlite::Result<T> {
    let mut function = Some(function);
    move |connection| match function.take() {
        Some(function) => function(connection),
        None => Err(rusqlite::Error::InvalidQuery),
    }
}

impl Work for Store {
    fn work(self: Arc<Self>, ticket: u64) {
        self.work_until(ticket, false);
        if lock(&self.queue).pages >= CHECKPOINT_AFTER {
            self.have_thread();
        }
    }

    fn work_briefly(self: Arc<Self>, ticket: u64) {
        self.work_until(ticket, true);
        let needs_thread = {
            let queue = lock(&self.queue);
            queue.done <= ticket || queue.pages >= CHECKPOINT_AFTER
        };
        if needs_thread {
            self.have_thread();
        }
    }

    fn wake(self: Arc<Self>) {
        self.have_thread();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if fork::era() != self.fork_era {
            if let Ok(mut stores) = STORES.try_lock() {
                stores.remove(&(self.fork_era, self.path.clone()));
            }
            return;
        }
        self.thread.close();
        self.readers.close();
        let queue = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (_, mut left) = queue.left.take().unwrap_or_default();
        left.append(&mut queue.waiting);
        let closing = Closing {
            key: (self.fork_era, self.path.clone()),
            process: self.process,
            reader: lock(&self.reader).take(),
            connection: self.connection.give_on(),
            lifelines: self.lifelines.take(),
            left,
        };
        // Who lets the last client go may be an event loop, or collect garbage: other processes are waited for, and
        // whoever opens another store, on a thread.
        let shared = Arc::new(Mutex::new(Some(closing)));
        let theirs = Arc::clone(&shared);
        let (over, is_over) = mpsc::channel::<()>();
        let begun = thread::spawn("d365-closing", move || {
            close(&theirs);
            drop(over);
        });
        match begun {
            Ok(_) => drop(is_over.recv_timeout(LONGEST_FREE)),
            Err(_) => close(&shared),
        }
    }
}

struct Opening<'a>(&'a (u32, PathBuf));

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut stores = lock(&STORES);
        if stores
            .get(self.0)
            .is_some_and(|store| store.strong_count() == 0)
        {
            stores.remove(self.0);
        }
        CLOSED.notify_all();
    }
}

/// What is left to be done of a store that nobody uses any more.
struct Closing {
    key: (u32, PathBuf),
    process: i64,
    reader: Option<Held>,
    connection: Held,
    lifelines: Option<sys::Lifelines>,
    left: Vec<Box<dyn Job>>,
}

fn close(closing: &Mutex<Option<Closing>>) {
    let closing = lock(closing).take();
    let Some(mut closing) = closing else {
        return;
    };
    drop(closing.reader);
    // Where it fails the next that opens the store does it.
    let _ = closing.connection.with(|connection| {
        group::commit(connection, closing.left, false, &|why| {
            Error::new(ErrorKind::NoResources, why)
        });
        unregister(connection, closing.process)
    });
    closing.connection.close();
    if let Some(lifelines) = &mut closing.lifelines {
        lifelines.release(closing.process);
    }
    lock(&STORES).remove(&closing.key);
    CLOSED.notify_all();
}

/// Of the parent's stores nothing is left that could touch this one.
fn leave_inherited(
    stores: &mut BTreeMap<(u32, PathBuf), Weak<Store>>,
    (era, path): &(u32, PathBuf),
) -> Result<(), Error> {
    stores.retain(|(other_era, other), _| other_era == era || other != path);
    if connection::leave_inherited(path) {
        return Ok(());
    }
    let message = format!(
        "store = {}: the parent was at work on it when it forked this process, which can open it \
         only after an exec; let clients be idle when you fork, or start processes afresh",
        path.display()
    );
    Err(Error::new(ErrorKind::NoResources, message))
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
        Err(error) => Err(opening::why(&error)),
    }
}

/// Of a process that leaves nothing in flight. What it leaves is looked for before others have to wait.
fn unregister(connection: &Connection, process: i64) -> rusqlite::Result<()> {
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
