//! The calls in flight, and how they are ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::resource::cancel::Cancel;
use crate::{Error, ErrorKind};

#[derive(Default)]
pub(super) struct Flights {
    state: Mutex<Count>,
    landed: Condvar,
    cancel: Cancel,
}

#[derive(Default)]
struct Count {
    calls: usize,
    /// That are read after their call has ended.
    bodies: usize,
    /// Who waits for them. Waking is a system call, and mostly there is nobody.
    waiting: usize,
    is_closed: bool,
}

/// One call in flight, or the body of one that has ended.
pub(super) struct Flight {
    of: Arc<Flights>,
    is_body: bool,
    /// When the application has given the call away: its time begins then, however late it is come to.
    pub(super) began: Instant,
}

impl Flights {
    fn state(&self) -> MutexGuard<'_, Count> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Result<Flight, Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(closed());
        }
        state.calls += 1;
        drop(state);
        Ok(Flight {
            of: Arc::clone(self),
            is_body: false,
            began: Instant::now(),
        })
    }

    pub(super) fn check_is_open(&self) -> Result<(), Error> {
        if self.state().is_closed {
            return Err(closed());
        }
        Ok(())
    }

    /// Lets no further call in.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
    }

    /// Ends all calls in flight.
    pub(super) fn cancel_all(&self) {
        self.cancel.cancel();
    }

    pub(super) fn count(&self) -> usize {
        self.state().in_flight()
    }

    /// Whether all calls are to end.
    pub(super) fn are_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until all calls are to end.
    pub(super) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits until nothing is in flight, at most for `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        self.wait_while(timeout, |state| state.in_flight() > 0);
    }

    /// The same for calls alone: a body is read by who has it, or never.
    pub(super) fn wait_for_calls(&self, timeout: Duration) {
        self.wait_while(timeout, |state| state.calls > 0);
    }

    fn wait_while(&self, timeout: Duration, goes_on: impl Fn(&Count) -> bool) {
        let mut state = self.state();
        state.waiting += 1;
        let (mut state, _) = self
            .landed
            .wait_timeout_while(state, timeout, |state| goes_on(state))
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }
}

impl Count {
    fn in_flight(&self) -> usize {
        self.calls + self.bodies
    }
}

impl Flight {
    /// What outlives this one, also when no further call is let in: a body that is read after its call
    /// has ended.
    pub(super) fn body(&self) -> Flight {
        self.of.state().bodies += 1;
        Flight {
            of: Arc::clone(&self.of),
            is_body: true,
            began: self.began,
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.of.state();
        if self.is_body {
            state.bodies -= 1;
        } else {
            state.calls -= 1;
        }
        if state.calls == 0 && state.waiting > 0 {
            self.of.landed.notify_all();
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is closed; open another one")
}
