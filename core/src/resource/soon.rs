//! What a ledger gives: at once from memory, or when a store has it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::desk::Desk;
use super::race::{First, race};
use crate::{Error, ErrorKind};

/// How often a thread looks whether another has done it.
const MOMENT: Duration = Duration::from_millis(1);

/// What a ledger gives, or why its store has failed.
#[must_use = "what is queued is done by who waits for it, or is left to the store's thread"]
pub(crate) enum Soon<T> {
    /// Memory gives it at once.
    Now(Result<T, Error>),
    /// It is queued; whoever comes next does all that is.
    Later(Later<T>),
}

pub(crate) struct Later<T> {
    result: oneshot::Receiver<Result<T, Error>>,
    work: Arc<dyn Work>,
    ticket: u64,
}

/// Where what is queued is done.
pub(crate) trait Work: Send + Sync {
    /// Does what is queued up to this ticket, on this thread, or waits until it is done.
    fn work(self: Arc<Self>, ticket: u64);
    /// The same, as long as a call may go without being looked after. What is not done by then is left to
    /// the store's own thread.
    fn work_briefly(self: Arc<Self>, ticket: u64);
    /// Has it done by the store's own thread.
    fn wake(self: Arc<Self>);
}

impl<T> Later<T> {
    pub(crate) fn new(
        result: oneshot::Receiver<Result<T, Error>>,
        work: Arc<dyn Work>,
        ticket: u64,
    ) -> Later<T> {
        Later {
            result,
            work,
            ticket,
        }
    }

    fn begin(self, desk: Option<&Desk>) -> Later<T> {
        match desk {
            Some(desk @ Desk::Here(_)) if !desk.is_closed() => {
                let (work, ticket) = (Arc::clone(&self.work), self.ticket);
                desk.post(move || work.work_briefly(ticket));
            }
            _ => Arc::clone(&self.work).wake(),
        }
        self
    }
}

impl<T> Soon<T> {
    pub(crate) fn now(result: T) -> Soon<T> {
        Soon::Now(Ok(result))
    }

    /// Waits on this thread, which may do I/O: never the runtime's.
    pub(crate) fn wait(self) -> Result<T, Error> {
        match self {
            Soon::Now(result) => result,
            Soon::Later(mut later) => {
                later.work.work(later.ticket);
                later.result.try_recv().unwrap_or_else(|_| Err(lost()))
            }
        }
    }

    /// As [`wait`](Soon::wait), and gives up then. It is done all the same.
    pub(crate) fn wait_until(self, until: Instant) -> Result<T, Error> {
        let Soon::Later(mut later) = self else {
            return self.wait();
        };
        Arc::clone(&later.work).work_briefly(later.ticket);
        loop {
            match later.result.try_recv() {
                Ok(result) => return result,
                Err(TryRecvError::Closed) => return Err(lost()),
                Err(TryRecvError::Empty) if Instant::now() < until => std::thread::sleep(MOMENT),
                Err(TryRecvError::Empty) => return Err(held()),
            }
        }
    }

    /// Waits inside of the runtime: `desk` says whether the thread that sends does the work, outside
    /// of the runtime, or the store's own.
    pub(crate) async fn get(self, desk: Option<&Desk>) -> Result<T, Error> {
        match self {
            Soon::Now(result) => result,
            Soon::Later(later) => later
                .begin(desk)
                .result
                .await
                .unwrap_or_else(|_| Err(lost())),
        }
    }

    /// The same, unless `stop` comes before.
    ///
    /// # Errors
    /// What it has come with. What the store does all the same nobody hears of.
    pub(crate) async fn get_unless<S, F: Future<Output = S>>(
        self,
        desk: Option<&Desk>,
        stop: impl FnOnce() -> F,
    ) -> Result<Result<T, Error>, S> {
        let mut later = match self {
            Soon::Now(result) => return Ok(result),
            Soon::Later(later) => later.begin(desk),
        };
        let stop = pin!(stop());
        match race(&mut later.result, stop).await {
            First::Left(result) => Ok(result.unwrap_or_else(|_| Err(lost()))),
            First::Right(stop) => {
                later.result.close();
                later.result.try_recv().map_err(|_| stop)
            }
        }
    }

    /// Nobody waits for it.
    pub(crate) fn leave(self) {
        if let Soon::Later(later) = self {
            later.work.wake();
        }
    }
}

fn held() -> Error {
    Error::new(
        ErrorKind::NoResources,
        "the store has failed: another process holds it for too long",
    )
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the store has not done what it was to do: a defect of this library",
    )
}
