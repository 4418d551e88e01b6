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
        self.0.flights.close();
        self.0.flights.cancel_all();
        if self.0.check_is_own_process().is_ok() {
            self.0.tell_what_is_left();
        }
        self.0.close_threads();
    }
}

impl Client {
    /// Takes no new calls, waits up to `timeout` for those in flight, then cancels the rest.
    /// Decisions that are open are given up. Further times change nothing.
    ///
    /// # Errors
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) from a decision's handler, unless `timeout` is
    /// zero; [`Forked`](crate::ErrorKind::Forked).
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        let _waiting = if timeout.is_zero() {
            None
        } else {
            self.inner.outlet.begin_waiting()?
        };
        self.inner.flights.close();
        let landed = self.inner.flights.wait(timeout);
        self.inner.flights.cancel_all();
        if !landed {
            self.inner.flights.wait(timeout.min(LANDING));
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
}

impl Inner {
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
