//! Locks that a panic of somebody else does not take away.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panic has left behind is whole: nothing here is changed in two steps that may part.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
