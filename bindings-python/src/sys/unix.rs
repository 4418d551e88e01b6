//! Linux, and what is like it.

use std::ffi::{c_int, c_void};
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;

use d365_failover::{d365_queue_descriptor, d365_queue_t};

use crate::abi::{Failure, read};
use crate::threads::Entry;

/// Set or not, for whoever waits: a pipe with one byte in it, or none.
pub(crate) struct Signal {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { reader, writer })
    }

    /// While it is not set.
    pub(crate) fn set(&self) {
        // The pipe is empty and both of its ends are open: this neither waits nor fails.
        let _ = (&self.writer).write(&[1]);
    }

    /// Waits for a `set` that another thread is about to do.
    pub(crate) fn clear(&self) {
        // A signal's handler may interrupt it, and a byte that is left would be news for nothing.
        let _ = (&self.reader).read_exact(&mut [0]);
    }

    pub(crate) fn waitable(&self) -> Waitable {
        Waitable(self.reader.as_raw_fd())
    }
}

/// A descriptor that is readable while there is something. Of one that lives as long as it is used.
#[derive(Clone, Copy)]
pub(crate) struct Waitable(c_int);

impl Waitable {
    pub(crate) fn of_queue(queue: *const d365_queue_t) -> Result<Self, Failure> {
        // SAFETY: the handle may be any; the outputs are local variables.
        read(|out, error| unsafe { d365_queue_descriptor(queue, out, error) }).map(Self)
    }

    /// What an event loop can wait for.
    pub(crate) fn descriptor(self) -> Option<i32> {
        Some(self.0)
    }

    /// Waits until there is something here, or in `other`. Whether `other` has nothing.
    pub(crate) fn wait_or(self, other: Waitable) -> bool {
        let mut polled = [self.0, other.0].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: two of them, which live through the call.
        while unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        polled[1].revents == 0
    }
}

/// A thread that may be ended in any call of `entry`'s. The number of the error, where there is none.
pub(crate) fn start_thread(entry: Entry, argument: *mut c_void) -> Result<(), i32> {
    type Unwinding = extern "C" fn(*mut c_void) -> *mut c_void;
    // SAFETY: the functions differ in what they say of unwinding only, and who calls it is the C library, which unwinds
    // threads itself. Attributes and the thread's name live through the calls.
    let failed = unsafe {
        let entry: Unwinding = mem::transmute(entry);
        let (mut thread, mut attributes) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let mut failed = libc::pthread_attr_init(attributes.as_mut_ptr());
        if failed == 0 {
            libc::pthread_attr_setdetachstate(
                attributes.as_mut_ptr(),
                libc::PTHREAD_CREATE_DETACHED,
            );
            failed =
                libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), entry, argument);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        failed
    };
    match failed {
        0 => Ok(()),
        number => Err(number),
    }
}
