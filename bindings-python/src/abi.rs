//! The C ABI in Rust's terms: owned handles, failures, views.

use std::ffi::c_char;
use std::ptr;
use std::slice;

use d365_failover::{
    d365_attempts_free, d365_attempts_t, d365_client_free, d365_client_t, d365_error_free,
    d365_error_t, d365_fault_free, d365_fault_t, d365_item_free, d365_item_t, d365_ledger_free,
    d365_ledger_t, d365_parts_free, d365_parts_t, d365_pending_free, d365_pending_t,
    d365_queue_free, d365_queue_t, d365_request_free, d365_request_t, d365_response_free,
    d365_response_t, d365_settings_free, d365_settings_t, d365_status_t, d365_str_t,
    d365_text_free, d365_text_t, d365_token_request_free, d365_token_request_t,
};

use crate::gate;

pub(crate) const OK: d365_status_t = d365_failover::D365_OK;

/// What a handle type is freed with.
pub(crate) trait Release {
    fn release(handle: *mut Self);
}

macro_rules! release {
    ($($handle:ident with $free:ident,)*) => {$(
        impl Release for $handle {
            fn release(handle: *mut Self) {
                $free(handle);
            }
        }
    )*};
}

release! {
    d365_attempts_t with d365_attempts_free,
    d365_parts_t with d365_parts_free,
    d365_client_t with d365_client_free,
    d365_error_t with d365_error_free,
    d365_fault_t with d365_fault_free,
    d365_item_t with d365_item_free,
    d365_ledger_t with d365_ledger_free,
    d365_pending_t with d365_pending_free,
    d365_queue_t with d365_queue_free,
    d365_request_t with d365_request_free,
    d365_response_t with d365_response_free,
    d365_settings_t with d365_settings_free,
    d365_text_t with d365_text_free,
    d365_token_request_t with d365_token_request_free,
}

/// A handle of the library, freed with its owner, in the process that made it and in no other.
pub(crate) struct Handle<T: Release> {
    raw: *mut T,
    generation: u32,
}

// SAFETY: handles are no addresses, and every function of the ABI is thread-safe on every handle.
unsafe impl<T: Release> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T: Release> Sync for Handle<T> {}

impl<T: Release> Handle<T> {
    pub(crate) fn own(raw: *mut T) -> Self {
        Self {
            raw,
            generation: gate::generation(),
        }
    }

    pub(crate) fn raw(&self) -> *mut T {
        self.raw
    }

    pub(crate) fn is_of_this_process(&self) -> bool {
        self.generation == gate::generation()
    }
}

impl<T: Release> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.is_of_this_process() {
            T::release(self.raw);
        }
    }
}

/// Why a function of the ABI failed.
pub(crate) struct Failure {
    pub(crate) status: d365_status_t,
    pub(crate) error: Option<Handle<d365_error_t>>,
}

/// Calls a function whose only output is the error.
pub(crate) fn run(
    call: impl FnOnce(*mut *mut d365_error_t) -> d365_status_t,
) -> Result<(), Failure> {
    let mut error = ptr::null_mut();
    match call(&raw mut error) {
        OK => Ok(()),
        status => Err(Failure {
            status,
            error: (!error.is_null()).then(|| Handle::own(error)),
        }),
    }
}

/// Calls a function that makes an object.
pub(crate) fn make<T: Release>(
    call: impl FnOnce(*mut *mut T, *mut *mut d365_error_t) -> d365_status_t,
) -> Result<Handle<T>, Failure> {
    let mut made = ptr::null_mut();
    run(|error| call(&raw mut made, error))?;
    Ok(Handle::own(made))
}

/// Calls a function that tells a value and can explain a failure.
pub(crate) fn read<V: Default>(
    call: impl FnOnce(*mut V, *mut *mut d365_error_t) -> d365_status_t,
) -> Result<V, Failure> {
    let mut value = V::default();
    run(|error| call(&raw mut value, error))?;
    Ok(value)
}

/// Calls a getter; `None` is "the object has no such thing".
pub(crate) fn get<V: Default>(call: impl FnOnce(*mut V) -> d365_status_t) -> Option<V> {
    let mut value = V::default();
    (call(&raw mut value) == OK).then_some(value)
}

/// Calls a getter that hands out an object.
pub(crate) fn get_object<T: Release>(
    call: impl FnOnce(*mut *mut T) -> d365_status_t,
) -> Option<Handle<T>> {
    let mut made = ptr::null_mut();
    (call(&raw mut made) == OK).then(|| Handle::own(made))
}

/// Calls a getter of text.
pub(crate) fn get_text(call: impl FnOnce(*mut d365_str_t) -> d365_status_t) -> Option<String> {
    let mut view = no_text();
    (call(&raw mut view) == OK).then(|| text(&view))
}

pub(crate) fn no_text() -> d365_str_t {
    d365_str_t {
        data: ptr::null(),
        len: 0,
    }
}

/// Copies a view. Header values may hold any octet: what is not UTF-8 is read as Latin-1, as `http.client` does.
pub(crate) fn text(view: &d365_str_t) -> String {
    // SAFETY: a view that the library wrote, of an object that is still alive at every call of this function.
    let bytes = unsafe { octets(view.data.cast(), view.len) };
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&octet| char::from(octet)).collect(),
    }
}

/// # Safety
/// `data` is null, or points to `len` bytes that outlive `'a`.
pub(crate) unsafe fn octets<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise, and not null.
    unsafe { slice::from_raw_parts(data, len) }
}

/// Text as the ABI takes it.
pub(crate) fn chars(text: &str) -> *const c_char {
    text.as_ptr().cast()
}
