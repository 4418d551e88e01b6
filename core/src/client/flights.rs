//! The calls in flight, and how they are ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    count: usize,
    /// Who waits for them. Waking is a system call, and mostly there is nobody.
    waiting: usize,
    is_closed: bool,
}

/// One call in flight.
pub(super) struct Flight(Arc<Flights>);

impl Flights {
    fn state(&self) -> MutexGuard<'_, Count> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Result<Flight, Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(closed());
        }
        state.count += 1;
        Ok(Flight(Arc::clone(self)))
    }

    /// One more of what is in flight already, also when no further call is let in.
    fn again(self: &Arc<Self>) -> Flight {
        self.state().count += 1;
        Flight(Arc::clone(self))
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
        self.state().count
    }

    /// Whether all calls are to end.
    pub(super) fn are_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until all calls are to end.
    pub(super) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits until no call is in flight. `false`: the time was over first.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let mut state = self.state();
        state.waiting += 1;
        let (mut state, _) = self
            .landed
            .wait_timeout_while(state, timeout, |state| state.count > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.count == 0
    }
}

impl Flight {
    /// What outlives this one: a body that is read after its call has ended.
    pub(super) fn again(&self) -> Flight {
        self.0.again()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.count -= 1;
        if state.count == 0 && state.waiting > 0 {
            self.0.landed.notify_all();
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is closed; open another one")
}
