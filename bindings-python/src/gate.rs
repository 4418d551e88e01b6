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

use d365_failover::{D365_CLOSED, d365_fork_era};
use pyo3::prelude::*;

use crate::abi::Failure;

/// How many threads wait, and in the upper half in which process: the parent's wait only there.
static WAITING: AtomicU64 = AtomicU64::new(0);
static SETTLING: AtomicBool = AtomicBool::new(false);
static EXITING: AtomicBool = AtomicBool::new(false);
static FINALIZER: Mutex<Option<ThreadId>> = Mutex::new(None);

/// How many threads of this process wait.
fn waiting() -> u32 {
    count_of(WAITING.load(Ordering::SeqCst), generation())
}

fn count_of(waiting: u64, generation: u32) -> u32 {
    match (waiting >> 32) as u32 == generation {
        true => waiting as u32,
        false => 0,
    }
}

fn recount(generation: u32, change: impl Fn(u32) -> u32) {
    let changed = |waiting| {
        let count = change(count_of(waiting, generation));
        Some(u64::from(generation) << 32 | u64::from(count))
    };
    // It never refuses.
    let _ = WAITING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed);
}

struct Counted {
    generation: u32,
}

impl Counted {
    fn new() -> Self {
        let generation = generation();
        recount(generation, |count| count + 1);
        Self { generation }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A signal's handler may have forked: the child counts anew.
        if self.generation == generation() {
            recount(self.generation, |count| count.saturating_sub(1));
        }
    }
}

/// Runs `call` without the interpreter. At exit `CLOSED`, without having left it.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    // Counted before it looks: exit either sees it or is seen.
    let counted = Counted::new();
    if is_shut() {
        return Err(Failure::of(D365_CLOSED));
    }
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

/// The same for what has begun, and of which `CLOSED` would not be true: at exit it never comes back.
pub(crate) fn wait_on<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    if is_shut() {
        py.detach(|| park_for_ever());
    }
    wait(py, call)
}

/// Whether exit lets this thread in no more.
fn is_shut() -> bool {
    SETTLING.load(Ordering::SeqCst) && !is_finalizer()
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
pub(crate) fn generation() -> u32 {
    d365_fork_era()
}

/// Waits, at most `timeout_ms`, for the threads that are inside the library, then lets none come back.
///
/// Called once, at exit, after every client was shut down. Answers whether all came back.
#[pyfunction]
pub(crate) fn settle(py: Python<'_>, timeout_ms: u64) -> bool {
    *FINALIZER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
    SETTLING.store(true, Ordering::SeqCst);
    let end = Instant::now() + Duration::from_millis(timeout_ms);
    let settled = py.detach(|| {
        while waiting() > 0 {
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

/// The one thread on which Python handles signals, as it numbers threads.
static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);

/// Tells which it is: another one in the child of a fork.
#[pyfunction]
pub(crate) fn set_main_thread(number: usize) {
    MAIN_THREAD.store(number, Ordering::Relaxed);
}

/// Whether signals are handled on this thread.
pub(crate) fn handles_signals() -> bool {
    // SAFETY: it only tells a number.
    let here = unsafe { pyo3::ffi::PyThread_get_thread_ident() };
    MAIN_THREAD.load(Ordering::Relaxed) == here as usize
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
