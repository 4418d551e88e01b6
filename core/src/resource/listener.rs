//! The handlers of a client that run now, and the threads that they run on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::lock::lock;
use crate::thread_id::ThreadId;
use crate::{Error, ErrorKind};

/// The handlers of one client that run now: from the taking of an event out of the queue to the
/// dropping of its item.
#[derive(Default)]
pub(crate) struct Listener {
    state: Mutex<Handlers>,
    /// How many threads hold an event. Read before the lock is taken, on the way of every call.
    holders: AtomicUsize,
    /// A thread that holds an event has begun to wait for a call.
    blocked: Notify,
}

#[derive(Default)]
struct Handlers {
    /// A thread stands here once for each event that it holds.
    threads: Vec<ThreadId>,
    /// Threads that hold a decision which they have not given.
    deciding: Vec<ThreadId>,
    /// Handlers of other than chatty events, until they have said all that is waited for.
    handlers: usize,
    /// Calls that threads which hold an event wait for.
    blocked: usize,
}

impl Listener {
    fn state(&self) -> MutexGuard<'_, Handlers> {
        lock(&self.state)
    }

    pub(super) fn begin_holding(&self, thread: ThreadId) {
        let mut state = self.state();
        state.threads.push(thread);
        self.holders.store(state.threads.len(), Ordering::Release);
    }

    pub(super) fn end_holding(&self, thread: ThreadId) {
        let mut state = self.state();
        remove(&mut state.threads, thread);
        self.holders.store(state.threads.len(), Ordering::Release);
    }

    pub(super) fn begin_handler(&self, thread: ThreadId, is_decision: bool) {
        let mut state = self.state();
        state.handlers += 1;
        if is_decision {
            state.deciding.push(thread);
        }
    }

    pub(super) fn end_handler(&self, thread: ThreadId, is_decision: bool) {
        let mut state = self.state();
        state.handlers -= 1;
        if is_decision {
            remove(&mut state.deciding, thread);
        }
    }

    /// Whether a handler is running.
    pub(super) fn is_busy(&self) -> bool {
        self.state().handlers > 0
    }

    /// This thread is about to wait for a call.
    pub(super) fn begin_waiting(&self) -> Result<Option<Waiting<'_>>, Error> {
        if self.holders.load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        let thread = ThreadId::here();
        let mut state = self.state();
        if state.deciding.contains(&thread) {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                "a blocking call from the handler of EndpointSwitchRequired would wait for the \
                 decision that this handler has not given yet; call after it has returned, or \
                 from the handler of EndpointSwitched",
            ));
        }
        if !state.threads.contains(&thread) {
            return Ok(None);
        }
        state.blocked += 1;
        drop(state);
        self.blocked.notify_waiters();
        Ok(Some(Waiting(self)))
    }

    /// Waits until a thread that holds an event waits for a call while another event, not taken
    /// yet, stands behind it: the call may be one that waits for the handler of just that event.
    /// A call from that event's own handler is waited for: it goes on at the new endpoint.
    pub(super) async fn any_waiting_before(&self, is_taken: &AtomicBool) {
        loop {
            let blocked = self.blocked.notified();
            if self.state().blocked > 0 && !is_taken.load(Ordering::Acquire) {
                return;
            }
            blocked.await;
        }
    }
}

/// A handler's thread that waits for a call.
pub(crate) struct Waiting<'a>(&'a Listener);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().blocked -= 1;
    }
}

fn remove(threads: &mut Vec<ThreadId>, thread: ThreadId) {
    if let Some(index) = threads.iter().position(|other| *other == thread) {
        threads.swap_remove(index);
    }
}
