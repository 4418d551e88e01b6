//! Handles of the C ABI that are freed when they go out of scope.

use std::ptr;

use d365_failover as c;

/// A type of the C ABI and its free function.
pub(crate) trait Release {
    fn release(handle: *mut Self);
}

macro_rules! release {
    ($($noun:ty => $free:path),* $(,)?) => {$(
        impl Release for $noun {
            fn release(handle: *mut Self) {
                // What the free function would complain of (a stale handle) cannot be here: this one was never given away.
                let _ = $free(handle);
            }
        }
    )*};
}

release! {
    c::d365_attempts_t => c::d365_attempts_free,
    c::d365_parts_t => c::d365_parts_free,
    c::d365_client_t => c::d365_client_free,
    c::d365_error_t => c::d365_error_free,
    c::d365_fault_t => c::d365_fault_free,
    c::d365_item_t => c::d365_item_free,
    c::d365_ledger_t => c::d365_ledger_free,
    c::d365_pending_t => c::d365_pending_free,
    c::d365_queue_t => c::d365_queue_free,
    c::d365_request_t => c::d365_request_free,
    c::d365_response_t => c::d365_response_free,
    c::d365_settings_t => c::d365_settings_free,
    c::d365_text_t => c::d365_text_free,
    c::d365_token_request_t => c::d365_token_request_free,
}

/// One handle, owned.
pub(crate) struct Owned<T: Release>(*mut T);

impl<T: Release> Owned<T> {
    pub(crate) fn new(handle: *mut T) -> Owned<T> {
        Owned(handle)
    }

    pub(crate) fn get(&self) -> *mut T {
        self.0
    }

    /// The handle as Java keeps it; freeing it is now Java's.
    pub(crate) fn into_long(mut self) -> i64 {
        to_long(std::mem::replace(&mut self.0, ptr::null_mut()))
    }
}

impl<T: Release> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            T::release(self.0);
        }
    }
}

/// A handle is a number that looks like a pointer and is never dereferenced, so that a `long` carries it.
pub(crate) fn to_long<T>(handle: *mut T) -> i64 {
    handle.addr() as i64
}

/// The reverse of `to_long`. Whatever number comes, the C ABI answers with a status.
pub(crate) fn from_long<T>(value: i64) -> *mut T {
    ptr::without_provenance_mut(value as usize)
}
