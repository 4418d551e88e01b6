//! Keeps a thread from being cancelled inside of the library.

/// Holds back pthread_cancel() of the calling thread until it is dropped. It ends a thread by unwinding
/// it, which no frame of Rust's with something to clean up can be left by: the process would be
/// aborted, or what the call holds be held for ever.
pub(crate) struct Uncancelled(#[cfg(target_os = "linux")] std::ffi::c_int);

#[cfg(target_os = "linux")]
mod pthread {
    use std::ffi::c_int;

    pub(super) const PTHREAD_CANCEL_DISABLE: c_int = 1;

    unsafe extern "C" {
        // POSIX's; the libc crate does not have it.
        pub(super) fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
}

#[cfg(target_os = "linux")]
impl Uncancelled {
    pub(crate) fn new() -> Uncancelled {
        let mut before = 0;
        // SAFETY: it writes the local variable, and changes nothing but this thread's own state.
        unsafe {
            pthread::pthread_setcancelstate(pthread::PTHREAD_CANCEL_DISABLE, &raw mut before)
        };
        Uncancelled(before)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: NULL is allowed. It acts on a cancellation only where the thread's type is
        // asynchronous, which no function but those of POSIX's short list may be called with.
        unsafe { pthread::pthread_setcancelstate(self.0, std::ptr::null_mut()) };
    }
}

#[cfg(not(target_os = "linux"))]
impl Uncancelled {
    pub(crate) fn new() -> Uncancelled {
        Uncancelled()
    }
}
