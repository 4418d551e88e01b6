//! How far an attempt has got, told from outside of its future: the future of an attempt that
//! ran out of time is dropped, and its phase must be known all the same.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use super::socket::Wire;
use crate::Phase;

#[derive(Default)]
pub(crate) struct Progress {
    /// The socket that the request goes out on, and its counter before.
    wire: Mutex<Option<(Arc<Wire>, u64)>>,
    /// The status of the answer; 0 as long as there is none.
    status: AtomicU16,
}

impl Progress {
    /// The request goes out on this socket from now on.
    pub(super) fn watch(&self, wire: &Arc<Wire>) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Arc::clone(wire), wire.written()));
    }

    pub(super) fn responded(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Release);
    }

    /// The status of the answer, once its head was read.
    pub(crate) fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        if self.status().is_some() {
            return Phase::Responded;
        }
        let wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        match &*wire {
            Some((wire, before)) if wire.written() != *before => Phase::Sent,
            _ => Phase::NotSent,
        }
    }
}
