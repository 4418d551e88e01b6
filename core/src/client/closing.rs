//! The end of a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Client, Inner};
use crate::resource::ledger::At;
use crate::{Error, Level};

/// What is cancelled ends at once, unless a check function holds its thread.
const LANDING: Duration = Duration::from_secs(1);

/// Ends the client when the last [`Client`] is dropped; tasks hold only [`Inner`].
pub(super) struct Life(pub(super) Arc<Inner>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.cancel();
        if self.0.check_is_own_process().is_ok() {
            self.0.tell_what_is_left();
        }
        self.0.close_threads();
    }
}

impl Client {
    /// Takes no new calls, waits up to `timeout` for those in flight, then cancels the rest. What was
    /// cancelled is on record when this returns, unless its own function holds it for over a second, or
    /// this thread holds a decision. Decisions that are open are given up. Further times change nothing.
    ///
    /// # Errors
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) from a decision's handler, unless `timeout` is
    /// zero; [`Forked`](crate::ErrorKind::Forked).
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        let waiting = self.inner.outlet.begin_waiting();
        if !timeout.is_zero()
            && let Err(error) = waiting
        {
            return Err(error);
        }
        self.inner.flights.close();
        self.inner.flights.wait(timeout);
        self.inner.cancel();
        if waiting.is_ok() {
            self.inner.flights.wait_for_calls(LANDING);
        }
        if let Some(state) = &self.inner.state {
            state.flush(timeout.min(LANDING));
        }
        self.inner.tell_what_is_left();
        if self.inner.transport.close_idle() {
            self.inner.nudge();
        }
        self.inner.close_threads();
        Ok(())
    }

    /// Takes no new calls and cancels those in flight, without waiting: for who cannot wait.
    pub fn cancel_all(&self) {
        self.inner.cancel();
    }
}

impl Inner {
    fn cancel(&self) {
        self.flights.close();
        if self.check_is_own_process().is_ok() {
            self.ends_outage();
        }
        self.flights.cancel_all();
    }

    /// Says, once, how many writes nobody has verified when the client is closed.
    fn tell_what_is_left(&self) {
        if self.told_suspects.swap(true, Ordering::AcqRel) {
            return;
        }
        let count = self.ledger.count_suspects(At::now()).wait().unwrap_or(0);
        if count > 0 {
            self.log(Level::Warn, || {
                format!(
                    "the client is closed with {count} writes that are to be verified and not \
                     resolved"
                )
            });
        }
    }

    /// Lets the threads end that have nothing to do any more.
    fn close_threads(&self) {
        self.engine.close();
        self.threads.close();
        if let Some(tokens) = &self.tokens {
            tokens.close();
        }
    }
}
