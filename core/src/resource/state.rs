//! What the processes of a machine tell each other of their organizations, in the store that they share:
//! where calls go, the policy, and the operator's override.
//!
//! One thread a store and process has a connection of its own. It writes what clients have to tell, looks
//! once a second whether anything has changed, which costs no query, and tells the clients. Without a store
//! there is none.

mod table;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime};

use self::table::Table;
use super::store::{Store, why};
use super::thread;
use crate::decide::alternate::Policy;
use crate::lock::lock;
use crate::thread_id::ThreadId;
use crate::whereabouts::Whereabouts;
use crate::{Error, ErrorKind, FaultKind, Override, Role, fork};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is on record of an organization.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnRecord {
    pub(crate) whereabouts: Option<Whereabouts>,
    /// The operator's override, and when it ends.
    pub(crate) order: Option<(Override, Option<SystemTime>)>,
    /// What the WSDL said, and when it was read.
    pub(crate) policy: Option<(Policy, SystemTime)>,
}

/// What a client has to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// Its calls go there now. A record younger than this of the same endpoint stays.
    Went {
        role: Role,
        by_fault: bool,
        max_age: Duration,
    },
    /// They were found to be rightly there; for a record older than this.
    Confirmed {
        role: Role,
        older_than: Duration,
    },
    /// What was on record does not hold.
    Forget,
    Policy(Policy),
    Order(Option<(Override, Option<SystemTime>)>),
}

/// What it may be in the middle of waits for other processes at most so long.
const LONGEST_END: Duration = Duration::from_secs(5);

/// How long a reading may take on a busy machine that holds nothing.
const READING: Duration = Duration::from_secs(1);

/// Who is told, once a second, whether anything has changed or not.
pub(crate) trait Hears: Send + Sync {
    fn hears(self: Arc<Self>, told: &OnRecord);
}

/// One client's end of the state. The last one ends the thread.
pub(crate) struct State {
    organization: Arc<str>,
    watch: Arc<Watch>,
}

struct Watch {
    era: u32,
    /// `None`: nobody has anything more to tell.
    jobs: Option<Sender<Job>>,
    thread: Arc<OnceLock<ThreadId>>,
    /// Its other end is closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

enum Job {
    /// Whoever waits for what was told before.
    Flush(Sender<()>),
    /// A client opens: what is on record for it?
    Read(Arc<str>, Sender<Result<OnRecord, Error>>),
    /// It hears of it from now on.
    Join(Arc<str>, Weak<dyn Hears>),
    Write(Arc<str>, News, Option<Sender<Result<(), Error>>>),
}

/// The watches of this process, by their files.
static WATCHES: Mutex<Vec<(PathBuf, Weak<Watch>)>> = Mutex::new(Vec::new());

impl State {
    /// Opens what a store has on record of an organization: its state, and what is there now. Waits for others
    /// until then.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(
        store: &Store,
        organization: &str,
        until: Instant,
    ) -> Result<(State, OnRecord), Error> {
        let state = State {
            organization: organization.into(),
            watch: Watch::of(store)?,
        };
        let (reply, answer) = channel();
        state.post(Job::Read(Arc::clone(&state.organization), reply));
        // Its thread may be in the middle of what it waits for others with.
        let rest = until.saturating_duration_since(Instant::now());
        let told = match answer.recv_timeout(rest.max(READING)) {
            Err(RecvTimeoutError::Timeout) => Err(failed(&held())),
            Err(RecvTimeoutError::Disconnected) => Err(lost()),
            Ok(told) => told,
        };
        Ok((state, told?))
    }

    /// Who hears of what changes.
    pub(crate) fn join(&self, member: Weak<dyn Hears>) {
        self.post(Job::Join(Arc::clone(&self.organization), member));
    }

    /// Tells the others. Nobody waits for it: a record that could not be written costs them a look.
    pub(crate) fn tell(&self, news: News) {
        self.post(Job::Write(Arc::clone(&self.organization), news, None));
    }

    /// The same, and waits until it is on record, and the clients of this process have heard of it. Not
    /// from the runtime's thread.
    ///
    /// # Errors
    /// When it could not be written.
    pub(crate) fn tell_and_wait(&self, news: News) -> Result<(), Error> {
        let organization = Arc::clone(&self.organization);
        self.ask(|reply| Job::Write(organization, news, Some(reply)))
    }

    /// Waits until what was told is on record, within `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let (reply, answer) = channel();
        self.post(Job::Flush(reply));
        let _ = answer.recv_timeout(limit);
    }

    fn post(&self, job: Job) {
        // Without its thread there is nobody to tell.
        if let Some(jobs) = &self.watch.jobs {
            let _ = jobs.send(job);
        }
    }

    fn ask<T>(&self, job: impl FnOnce(Sender<Result<T, Error>>) -> Job) -> Result<T, Error> {
        let (reply, answer) = channel();
        self.post(job(reply));
        answer.recv().unwrap_or_else(|_| Err(lost()))
    }
}

impl Watch {
    fn of(store: &Store) -> Result<Arc<Watch>, Error> {
        let era = fork::era();
        let path = store.path();
        let mut watches = lock(&WATCHES);
        watches.retain(|(_, watch)| watch.strong_count() > 0);
        let same = |(other, _): &&(PathBuf, Weak<Watch>)| other == path;
        let running = watches
            .iter()
            .filter(same)
            .find_map(|(_, watch)| watch.upgrade());
        if let Some(watch) = running.filter(|watch| watch.era == era) {
            return Ok(watch);
        }
        let table = Table::open(store).map_err(|error| failed(&error))?;
        let (jobs, queue) = channel();
        let (ends, ended) = channel::<()>();
        let thread = Arc::new(OnceLock::new());
        let known = Arc::clone(&thread);
        let work = move || {
            let _ = known.set(ThreadId::here());
            Work::new(table).run(&queue);
            drop(ends);
        };
        thread::spawn("d365-state", work).map_err(|error| {
            Error::new(
                ErrorKind::NoResources,
                format!("no thread for the store: {error}"),
            )
        })?;
        let watch = Arc::new(Watch {
            era,
            jobs: Some(jobs),
            thread,
            ended: Mutex::new(ended),
        });
        watches.push((path.to_owned(), Arc::downgrade(&watch)));
        Ok(watch)
    }
}

/// With the last client the thread's connection is closed: Windows deletes no file that is open.
impl Drop for Watch {
    fn drop(&mut self) {
        self.jobs = None;
        // A client may have lived to the end of a look; and a child of a fork has no such thread.
        if self.thread.get() != Some(&ThreadId::here()) && fork::era() == self.era {
            let _ = lock(&self.ended).recv_timeout(LONGEST_END);
        }
    }
}

/// The thread's.
struct Work {
    table: Table,
    members: Vec<(Arc<str>, Weak<dyn Hears>)>,
    /// What was read last, and by which version of the file. Empty: it is to be read anew.
    told: HashMap<Arc<str>, OnRecord>,
    version: Option<i64>,
    next: Instant,
}

impl Work {
    fn new(table: Table) -> Work {
        Work {
            table,
            members: Vec::new(),
            told: HashMap::new(),
            version: None,
            next: Instant::now() + INTERVAL,
        }
    }

    fn run(mut self, queue: &Receiver<Job>) {
        let era = fork::era();
        loop {
            let pause = self.next.saturating_duration_since(Instant::now());
            match queue.recv_timeout(pause) {
                Ok(job) => self.does(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.next = Instant::now() + INTERVAL;
                    self.look();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if fork::era() != era {
                return;
            }
        }
    }

    fn does(&mut self, job: Job) {
        match job {
            Job::Read(organization, reply) => {
                let _ = reply.send(
                    self.table
                        .read(&organization)
                        .map_err(|error| failed(&error)),
                );
            }
            Job::Flush(reply) => drop(reply),
            Job::Join(organization, member) => self.members.push((organization, member)),
            Job::Write(organization, news, reply) => {
                let written = self.table.write(&organization, news, SystemTime::now());
                // A connection's own writes change no version.
                self.told.clear();
                if let Some(reply) = reply {
                    if written.is_ok() {
                        self.look();
                    }
                    let _ = reply.send(written.map_err(|error| failed(&error)));
                }
            }
        }
    }

    fn look(&mut self) {
        let version = self.table.version().ok();
        if version != self.version || version.is_none() {
            self.told.clear();
            self.version = version;
        }
        self.members.retain(|(_, member)| member.strong_count() > 0);
        for (organization, member) in &self.members {
            if !self.told.contains_key(organization) {
                let Ok(told) = self.table.read(organization) else {
                    continue;
                };
                self.told.insert(Arc::clone(organization), told);
            }
            if let (Some(member), Some(told)) = (member.upgrade(), self.told.get(organization)) {
                member.hears(told);
            }
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "the store's thread has ended")
}

fn held() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

fn failed(error: &rusqlite::Error) -> Error {
    let why = why(error);
    let message = format!("the store's state could not be read or written: {why}");
    Error::new(ErrorKind::Call(FaultKind::Local), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_store_is_said_in_words_of_the_field() {
        let error = failed(&held());
        let why = "could not be read or written: another process holds it for too long";
        assert!(error.message().ends_with(why), "{error}");
    }
}
