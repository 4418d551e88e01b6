//! Where threads leave the interpreter to wait, and how exit and fork treat them.
//!
//! A thread that asks for the interpreter while it is being finalized is ended by CPython, through whatever frames it
//! has; Rust frames abort the process then. So every wait is counted, exit lets nobody in any more and gives the counted
//! ones time to come back, and one that comes later never returns.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use d365_failover::D365_CLOSED;
use pyo3::prelude::*;

use crate::abi::Failure;

static WAITING: AtomicUsize = AtomicUsize::new(0);
static SETTLING: AtomicBool = AtomicBool::new(false);
static EXITING: AtomicBool = AtomicBool::new(false);
static FINALIZER: Mutex<Option<ThreadId>> = Mutex::new(None);
static GENERATION: AtomicU64 = AtomicU64::new(0);

struct Counted {
    generation: u64,
}

impl Counted {
    fn new() -> Self {
        WAITING.fetch_add(1, Ordering::SeqCst);
        Self {
            generation: generation(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A signal's handler may have forked: the child counts anew.
        if self.generation == generation() {
            WAITING.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Runs `call` without the interpreter. At exit `CLOSED`, without having left it.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    if SETTLING.load(Ordering::SeqCst) && !is_finalizer() {
        return Err(Failure::of(D365_CLOSED));
    }
    let counted = Counted::new();
    let outcome = py.detach(|| {
        let outcome = call();
        if exiting() && !is_finalizer() {
            park_for_ever();
        }
        outcome
    });
    drop(counted);
    outcome
}

fn park_for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn is_finalizer() -> bool {
    *FINALIZER.lock().unwrap_or_else(PoisonError::into_inner) == Some(thread::current().id())
}

/// Whether the interpreter must not be entered any more.
pub(crate) fn exiting() -> bool {
    EXITING.load(Ordering::SeqCst)
}

/// The process as counted by forks: what was made in another one is dead here.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::SeqCst)
}

/// Waits, at most `timeout_ms`, for the threads that are inside the library, then lets none come back.
///
/// Called once, at exit, after every client was shut down. Answers whether all came back.
#[pyfunction]
pub(crate) fn settle(py: Python<'_>, timeout_ms: u64) -> bool {
    *FINALIZER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
    // Holding the interpreter: nobody stands between the check in `wait` and being counted.
    SETTLING.store(true, Ordering::SeqCst);
    let end = Instant::now() + Duration::from_millis(timeout_ms);
    let settled = py.detach(|| {
        while WAITING.load(Ordering::SeqCst) > 0 {
            if Instant::now() >= end {
                return false;
            }
            // Runs once in a process, after the last call was cancelled: not worth a condition variable in every call.
            thread::sleep(Duration::from_millis(1));
        }
        true
    });
    EXITING.store(true, Ordering::SeqCst);
    settled
}

/// Makes everything dead that the parent made. For `os.register_at_fork`.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    // The threads that were waiting exist only in the parent.
    WAITING.store(0, Ordering::SeqCst);
}

/// What a signal's handler has raised while the library was waiting.
#[derive(Default)]
pub(crate) struct Interrupt {
    pub(crate) error: Option<PyErr>,
}

/// Asked by the library on the thread that waits, about every 20 ms, with an `Interrupt`.
pub(crate) extern "C" fn check_signals(user_data: *mut c_void) -> i32 {
    if exiting() {
        return 1;
    }
    // SAFETY: who waits handed in its own `Interrupt` and does not touch it before the library is done with it.
    let interrupt = unsafe { &mut *user_data.cast::<Interrupt>() };
    let checked = Python::try_attach(|py| py.check_signals());
    match checked {
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            interrupt.error = Some(error);
            1
        }
        None => 1,
    }
}
