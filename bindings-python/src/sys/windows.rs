//! Windows.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use d365_failover::{d365_queue_t, d365_queue_wait_handle, spawn};
use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects, WaitForSingleObject,
};

use crate::abi::{Failure, run};
use crate::threads::Entry;

/// Set or not, for whoever waits: an event that is reset by hand.
pub(crate) struct Signal(OwnedHandle);

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        const MANUAL_RESET: i32 = 1;
        const NOT_SIGNALED: i32 = 0;
        // SAFETY: the pointers are NULL, for the default security and for no name.
        let handle = unsafe { CreateEventW(ptr::null(), MANUAL_RESET, NOT_SIGNALED, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened just now, and nobody else knows of it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(crate) fn set(&self) {
        // SAFETY: the handle is open as long as `self`. It does not fail on an event.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Waits for a `set` that another thread is about to do.
    pub(crate) fn clear(&self) {
        let handle = self.0.as_raw_handle();
        // SAFETY: as above.
        unsafe {
            WaitForSingleObject(handle, INFINITE);
            ResetEvent(handle)
        };
    }

    pub(crate) fn waitable(&self) -> Waitable {
        Waitable(self.0.as_raw_handle().addr())
    }
}

/// An event that is signaled while there is something. Of one that lives as long as it is used.
#[derive(Clone, Copy)]
pub(crate) struct Waitable(usize);

impl Waitable {
    pub(crate) fn of_queue(queue: *const d365_queue_t) -> Result<Self, Failure> {
        let mut handle = ptr::null_mut();
        // SAFETY: the handle may be any; the outputs are local variables.
        run(|error| unsafe { d365_queue_wait_handle(queue, &raw mut handle, error) })?;
        Ok(Self(handle.addr()))
    }

    /// What an event loop can wait for: none of Python's own can for an event.
    pub(crate) fn descriptor(self) -> Option<i32> {
        None
    }

    /// Waits until there is something here, or in `other`. Whether `other` has nothing.
    pub(crate) fn wait_or(self, other: Waitable) -> bool {
        const ALL: i32 = 0;
        let handles = [other.0, self.0].map(ptr::without_provenance_mut::<c_void>);
        // SAFETY: two of them, which are open through the call. It tells the first that is signaled.
        unsafe { WaitForMultipleObjects(2, handles.as_ptr(), ALL, INFINITE) != WAIT_OBJECT_0 }
    }
}

/// A thread that may be ended in any call of `entry`'s: that unwinds nothing here. The number of the error, where there
/// is none.
pub(crate) fn start_thread(entry: Entry, argument: *mut c_void) -> Result<(), i32> {
    let argument = argument.expose_provenance();
    // SAFETY: the argument is what the caller has for the entry.
    let run = move || unsafe {
        entry(ptr::with_exposed_provenance_mut(argument));
    };
    match spawn("d365-python", run) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.raw_os_error().unwrap_or_default()),
    }
}
