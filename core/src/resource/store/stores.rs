//! The stores that this process has open, and how the last client of one closes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak, mpsc};
use std::time::{Duration, Instant};

use super::Store;
use super::connection::{self, Held};
use super::group::{self, Job};
use super::opening::{self, waiting_until};
use super::process::unregister;
use crate::lock::lock;
use crate::resource::{sys, thread};
use crate::{Error, ErrorKind, StoreDurability, fork};

/// How long letting go of a store may take whoever does it.
const LONGEST_FREE: Duration = Duration::from_millis(250);

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
        no_other_copy(&key)?;
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
        let left = self.queue.take();
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
            Ok(()) => drop(is_over.recv_timeout(LONGEST_FREE)),
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
    if let Some(mut lifelines) = closing.lifelines.take() {
        lifelines.release(closing.process);
        // Closed before the next opens it, whose lock would go with it.
        drop(lifelines);
    }
    lock(&STORES).remove(&closing.key);
    CLOSED.notify_all();
}

/// Another copy of this library that the process has loaded would take this one's writes for those of a dead process, and
/// each the other's locks away. A child of a fork has what its parent had open.
fn no_other_copy((era, path): &(u32, PathBuf)) -> Result<(), Error> {
    if *era > 0 || !sys::Lifelines::are_open(path) {
        return Ok(());
    }
    let message = format!(
        "store = {}: another copy of this library has it open in this process, and each would take the other's locks \
         away; load one copy, or give each a store of its own",
        path.display()
    );
    Err(Error::new(ErrorKind::InvalidSetting, message))
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
