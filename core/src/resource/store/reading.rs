//! What is read from the store: on a connection of its own, which in the log's mode waits for nobody who
//! writes, and lets nobody wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{GONE, Store, group};
use crate::Error;
use crate::lock::lock;
use crate::resource::soon::{Later, Soon, Work};

impl Store {
    /// Has something read, after what was asked for before.
    pub(crate) fn read<T: Send + 'static>(
        self: &Arc<Self>,
        function: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
    ) -> Soon<T> {
        let (sender, result) = oneshot::channel();
        let work = Arc::new(Reading {
            store: Arc::clone(self),
            job: Mutex::new(Some((function, sender))),
        });
        Soon::Later(Later::new(result, work, 0))
    }

    fn read_now<T>(
        &self,
        function: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>>,
    ) -> Result<T, Error> {
        self.flush();
        let mut reader = lock(&self.reader);
        if !self.is_in_place(Duration::ZERO) {
            return Err(self.failed(GONE));
        }
        let failed = |error: rusqlite::Error| self.failed(&group::why(&error));
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(self.connect_beside().map_err(failed)?),
        };
        reader
            .with(|connection| function(connection))
            .map_err(failed)?
    }
}

/// What is to be read, and who waits for it.
type Asked<T, F> = (F, oneshot::Sender<Result<T, Error>>);

struct Reading<T, F> {
    store: Arc<Store>,
    job: Mutex<Option<Asked<T, F>>>,
}

impl<T, F> Work for Reading<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<Result<T, Error>> + Send + 'static,
{
    fn work(self: Arc<Self>, _: u64) {
        let job = lock(&self.job).take();
        if let Some((function, sender)) = job {
            // Who has left needs no answer.
            let _ = sender.send(self.store.read_now(function));
        }
    }

    fn work_briefly(self: Arc<Self>, ticket: u64) {
        // Who reads waits for no other process.
        self.work(ticket);
    }

    fn wake(self: Arc<Self>) {
        let reading = Arc::clone(&self);
        if self.store.readers.run(move || reading.work(0)).is_err() {
            // Better late on whichever thread this is than never.
            self.work(0);
        }
    }
}
