//! Windows.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::AtomicU32;

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentThreadStackLimits, INFINITE, ResetEvent, SetEvent, WaitForSingleObject,
};

/// What a host's own loop waits for: the handle of an event that is signaled while it is set.
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) const KIND: &str = "event";

    pub(crate) fn new() -> io::Result<Event> {
        const MANUAL_RESET: i32 = 1;
        const NOT_SIGNALED: i32 = 0;
        // SAFETY: the pointers are NULL, for the default security and for no name.
        let handle = unsafe { CreateEventW(ptr::null(), MANUAL_RESET, NOT_SIGNALED, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened just now, and nobody else knows of it.
        Ok(Event(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(crate) fn descriptor(&self) -> Option<i32> {
        None
    }

    pub(crate) fn handle(&self) -> Option<*mut c_void> {
        Some(self.0.as_raw_handle())
    }

    /// Each is taken back by one `clear`.
    pub(crate) fn set(&self) {
        // SAFETY: the handle is open as long as `self`. It does not fail on an event.
        let _ = unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Waits for a `set` that another thread is about to do.
    pub(crate) fn clear(&self) {
        let handle = self.0.as_raw_handle();
        // SAFETY: the handle is open as long as `self`. Neither fails on an event.
        let _ = unsafe {
            WaitForSingleObject(handle, INFINITE);
            ResetEvent(handle)
        };
    }
}

/// Before the first handle of a process is made. The library's threads outlive a FreeLibrary():
/// unmapping their code would crash the process. There is no fork.
pub(crate) fn settle(in_child: extern "C" fn()) {
    let mut module = ptr::null_mut();
    // SAFETY: with this flag the name is an address inside of the module that is meant, and a
    // function of this library is one; the module goes into this function's own variable.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            in_child as *const () as *const u16,
            &raw mut module,
        );
    }
}

/// Nobody cancels a thread.
pub(crate) struct Uncancelled;

impl Uncancelled {
    pub(crate) fn new() -> Uncancelled {
        Uncancelled
    }
}

/// Where the calling thread's stack ends and begins.
pub(crate) fn stack() -> Option<(usize, usize)> {
    let (mut lowest, mut highest) = (0, 0);
    // SAFETY: it writes the local variables, from what the thread has at hand.
    unsafe { GetCurrentThreadStackLimits(&raw mut lowest, &raw mut highest) };
    Some((lowest, highest))
}

/// There is no fork.
pub(crate) fn new_mark(_: u32) -> *mut AtomicU32 {
    ptr::null_mut()
}
