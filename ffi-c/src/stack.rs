//! Whether the calling thread has the stack that a call needs. One too small would end the process in
//! the guard page; where it can be known before, it is an error.

use crate::guard::Failure;

/// What a call takes at most, measured, and some more: docs/decisions.md, "The least stack".
pub(crate) const NEEDED: usize = 192 << 10;

/// For the functions that do a call's work on the caller's thread.
pub(crate) fn check() -> Result<(), Failure> {
    match left() {
        Some(left) if left < NEEDED => Err(Failure::lacking(format!(
            "this thread has {} kB of stack left, and a call needs {} kB: give it 256 kB or more \
             (pthread_attr_setstacksize), or submit the call",
            left >> 10,
            NEEDED >> 10
        ))),
        _ => Ok(()),
    }
}

/// `None`: not known. The main thread's grows; and a stack that is not the thread's own, as coroutines
/// have it, is known to its maker only.
#[cfg(target_os = "linux")]
fn left() -> Option<usize> {
    use std::cell::Cell;

    thread_local! {
        /// Where the thread's stack ends and begins. Asking the system costs more than a look at it.
        static BOUNDS: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
    }
    let bounds = BOUNDS.get().unwrap_or_else(|| {
        let bounds = bounds().unwrap_or_default();
        BOUNDS.set(Some(bounds));
        bounds
    });
    let here = std::ptr::from_ref(&bounds).addr();
    (bounds.0..bounds.1)
        .contains(&here)
        .then(|| here - bounds.0)
}

#[cfg(target_os = "linux")]
fn bounds() -> Option<(usize, usize)> {
    use std::mem::MaybeUninit;

    // SAFETY: no arguments; they tell who asks.
    if unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) } {
        return None;
    }
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: on success it initializes what it is given, for the thread that asks.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: initialized above; the outputs are local variables; destroyed once.
    let found = unsafe {
        let found =
            libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        found
    };
    (found == 0).then(|| (lowest.addr(), lowest.addr() + size))
}

#[cfg(not(target_os = "linux"))]
fn left() -> Option<usize> {
    None
}
