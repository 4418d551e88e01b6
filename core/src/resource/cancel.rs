//! A wish to end something, that can be waited for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Cancel {
    is_cancelled: AtomicBool,
    is_taken: AtomicBool,
    changed: Notify,
    /// The write that it would end, once that is on record.
    pub(crate) write: OnceLock<u64>,
}

impl Cancel {
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether it was a call's before; from here on it is.
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    pub(crate) async fn cancelled(&self) {
        loop {
            // Made before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            if self.is_cancelled() {
                return;
            }
            changed.await;
        }
    }
}
