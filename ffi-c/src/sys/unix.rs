//! Linux.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a host's own loop waits for: a descriptor that is readable while it is set.
pub(crate) struct Event(File);

impl Event {
    pub(crate) const KIND: &str = "descriptor";

    pub(crate) fn new() -> io::Result<Event> {
        // SAFETY: it is given numbers, and gives one.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened just now, and nobody else knows of it.
        Ok(Event(unsafe { File::from_raw_fd(descriptor) }))
    }

    pub(crate) fn descriptor(&self) -> Option<i32> {
        Some(self.0.as_raw_fd())
    }

    pub(crate) fn handle(&self) -> Option<*mut c_void> {
        None
    }

    /// Each is taken back by one `clear`.
    pub(crate) fn set(&self) {
        // It fails only when the counter is full, and then it is readable.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Waits for a `set` that another thread is about to do.
    pub(crate) fn clear(&self) {
        let mut asked = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        while (&self.0).read(&mut [0; 8]).is_err() {
            // SAFETY: one entry, a local variable.
            unsafe { libc::poll(&raw mut asked, 1, -1) };
        }
    }
}

/// Before the first handle of a process is made. The library stays mapped by the linker's word
/// (`-z nodelete`); `in_child` is called in each child of fork, before anything else there.
pub(crate) fn settle(in_child: extern "C" fn()) {
    if cfg!(miri) {
        return;
    }
    // SAFETY: the handler is an `extern "C"` function that does only atomic operations; the shared
    // library stays mapped as long as it is registered.
    unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    }
}

/// Holds back pthread_cancel() of the calling thread until it is dropped. It ends a thread by unwinding
/// it, which no frame of Rust's with something to clean up can be left by: the process would be
/// aborted, or what the call holds be held for ever.
pub(crate) struct Uncancelled(c_int);

const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    // POSIX's; the libc crate does not have it.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl Uncancelled {
    pub(crate) fn new() -> Uncancelled {
        let mut before = 0;
        // SAFETY: it writes the local variable, and changes nothing but this thread's own state.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        Uncancelled(before)
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: NULL is allowed. It acts on a cancellation only where the thread's type is
        // asynchronous, which no function but those of POSIX's short list may be called with.
        unsafe { pthread_setcancelstate(self.0, ptr::null_mut()) };
    }
}

/// What is taken for the main thread's stack where its limit is higher, or none.
const MOST_OF_MAIN: usize = 64 << 20;
/// Arguments, environment, and what else is told to a new process, are at most above it.
const TOP: usize = 8 << 20;

/// Where the calling thread's stack ends and begins; the main thread's, which grows, where it may end. `None`: not known.
pub(crate) fn stack() -> Option<(usize, usize)> {
    thread_local! {
        /// Asking the system costs more than a look at it.
        static BOUNDS: Cell<Option<Option<(usize, usize)>>> = const { Cell::new(None) };
    }
    BOUNDS.get().unwrap_or_else(|| {
        let bounds = ask_for_stack();
        BOUNDS.set(Some(bounds));
        bounds
    })
}

fn ask_for_stack() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut lowest, mut size) = (ptr::null_mut(), 0);
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
    if found != 0 {
        return None;
    }
    let (lowest, highest) = (lowest.addr(), lowest.addr() + size);
    // What the kernel has put on top of the main thread's. musl tells what of that is there already.
    // SAFETY: it only tells a number.
    let top = unsafe { libc::getauxval(libc::AT_RANDOM) } as usize;
    if (lowest..highest + TOP).contains(&top) {
        return Some((lowest.min(highest.checked_sub(most_of_main()?)?), highest));
    }
    Some((lowest, highest))
}

fn most_of_main() -> Option<usize> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: on success it initializes what it is given.
    unsafe {
        (libc::getrlimit(libc::RLIMIT_STACK, limit.as_mut_ptr()) == 0).then(|| {
            let most = usize::try_from(limit.assume_init().rlim_cur).unwrap_or(MOST_OF_MAIN);
            most.min(MOST_OF_MAIN)
        })
    }
}

/// A page that holds `value`, and that children get empty; NULL before Linux 4.14.
pub(crate) fn new_mark(value: u32) -> *mut AtomicU32 {
    const SIZE: usize = 1;
    if cfg!(miri) {
        return ptr::null_mut();
    }
    // SAFETY: a mapping of its own, of at least a page, aligned to one; what fails leaves nothing behind.
    unsafe {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        let page = libc::mmap(ptr::null_mut(), SIZE, protection, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        if libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, SIZE);
            return ptr::null_mut();
        }
        let mark = page.cast::<AtomicU32>();
        (*mark).store(value, Ordering::Release);
        mark
    }
}
