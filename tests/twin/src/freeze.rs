//! A side's sockets, silent while a black hole is set: nothing is read, nothing is written, and no
//! connection ends.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Waker};

/// Shared by a side and its sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freeze(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_frozen: RwLock<bool>,
    /// Those that would read or write.
    waiting: Mutex<Vec<Waker>>,
}

impl Freeze {
    /// When this returns no socket is being read or written any more, or all go on.
    pub(crate) fn set(&self, is_frozen: bool) {
        let mut state = self
            .0
            .is_frozen
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *state = is_frozen;
        drop(state);
        if !is_frozen {
            let waiting = std::mem::take(&mut *self.waiting());
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// The right to read or write for as long as it is held; none while frozen, and then the task
    /// is woken by the thaw.
    pub(crate) fn pass(&self, context: &Context<'_>) -> Option<Pass<'_>> {
        let state = self
            .0
            .is_frozen
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if *state {
            // Under the lock, so that the thaw finds it.
            self.waiting().push(context.waker().clone());
            return None;
        }
        Some(Pass(state))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side does not freeze while this is held.
pub(crate) struct Pass<'a>(#[allow(dead_code, reason = "it is held")] RwLockReadGuard<'a, bool>);
