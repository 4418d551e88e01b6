//! What outlives the process: an SQLite database that the processes of a machine share.
//!
//! Each process has one connection to a store, however many clients it has. What they ask for is
//! queued; whoever comes next commits in one transaction all that is.

mod connection;
mod group;
mod moment;
mod opening;
mod process;
mod queue;
mod reading;
mod stores;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

pub(crate) use self::connection::Held;
use self::group::{Asked, Job};
pub(crate) use self::group::{together, why};
pub(crate) use self::moment::{micros, time};
pub(crate) use self::opening::LONGEST_LOCK;
use self::opening::{BRIEF, waiting_until};
pub(crate) use self::process::LOWEST_OPEN;
use self::queue::Queue;
use super::soon::{Later, Soon, Work};
use super::sys;
use super::threads::Threads;
use crate::lock::lock;
use crate::{Error, ErrorKind, StoreDurability, fork};

/// The log is not let grow longer, in pages: then all wait until it is taken over.
const LONGEST_LOG: i64 = 16_000;
/// How often is looked whether the path still means the file that is open.
const LOOK_EACH: Duration = Duration::from_secs(1);

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
    queue: Queue,
    connection: Held,
    thread: Arc<Threads>,
    reader: Mutex<Option<Held>>,
    readers: Arc<Threads>,
    /// When the path was last seen to mean this file.
    seen: Mutex<Instant>,
}

impl Store {
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
            process = process::register(connection, &mut lifelines);
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
            queue: Queue::default(),
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
        let ticket = self.queue.push(Box::new(job), bytes);
        let work = Arc::clone(self) as Arc<dyn Work>;
        Soon::Later(Later::new(result, work, ticket))
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

    /// Commits what is queued, until this group is done.
    fn work_until(&self, group: u64, is_brief: bool) {
        self.queue.work_until(group, is_brief, |jobs, is_brief| {
            self.commit(jobs, is_brief)
        });
    }

    /// Waits until what was asked for up to now is done.
    fn flush(&self) {
        if let Some(group) = self.queue.last() {
            self.work_until(group, false);
        }
    }

    /// On the store's own thread.
    fn run(&self) {
        while !self.queue.lets_thread_sleep() {
            self.flush();
            if self.queue.has_long_log() {
                self.take_over_log();
            }
        }
    }

    /// Takes the log over into the file, beside those who commit.
    fn take_over_log(&self) {
        self.queue.takes_over();
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
        if !self.queue.wakes_thread() {
            return;
        }
        let store = Arc::clone(self);
        if self.thread.run(move || store.run()).is_err() {
            // Better late on whichever thread this is than never.
            self.run();
        }
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
}

const GONE: &str = "its file is gone, or another one is in its place";

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
        if self.queue.leaves_work(ticket) {
            self.have_thread();
        }
    }

    fn work_briefly(self: Arc<Self>, ticket: u64) {
        self.work_until(ticket, true);
        if self.queue.leaves_work(ticket) {
            self.have_thread();
        }
    }

    fn wake(self: Arc<Self>) {
        self.have_thread();
    }
}
