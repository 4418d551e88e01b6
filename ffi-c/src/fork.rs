//! Whether this process is a child in which all that exists was made by its parent.
//!
//! `fork()` runs the handlers of `pthread_atfork`; the system call by itself, as a foreign-function interface or a
//! sandbox makes it, does not. So the kernel tells, too: a page that it hands to a child empty, whatever made the child.
//! Looking at it costs a load from memory, and asking who this process is would cost a system call.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use crate::sys;

/// Counts the forks between the first process and this one.
static ERA: AtomicU32 = AtomicU32::new(0);
/// NULL where the kernel does not tell.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// What the kernel hands to a child.
const EMPTY: u32 = 0;
/// A thread of the child is noting the fork.
const BUSY: u32 = 1;
const NOTED: u32 = 2;

/// Changes in a child of a fork, and there before anything else of this crate has done anything.
pub(crate) fn era() -> u32 {
    // SAFETY: NULL, or a page that is never unmapped.
    let mark = unsafe { MARK.load(Ordering::Acquire).as_ref() };
    if let Some(mark) = mark {
        while mark.load(Ordering::Acquire) != NOTED {
            let taken = mark.compare_exchange(EMPTY, BUSY, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                note();
                mark.store(NOTED, Ordering::Release);
            }
            std::hint::spin_loop();
        }
    }
    ERA.load(Ordering::Acquire)
}

/// To be called after the application's code, which may have forked: the core goes on then without a look at a handle.
pub(crate) fn note_if_child() {
    era();
}

/// Only atomics: another thread of the parent may have held any lock, the allocator's included.
fn note() {
    ERA.fetch_add(1, Ordering::AcqRel);
    d365_failover_core::note_fork();
    crate::handle::leave_to_parent();
}

extern "C" fn in_child_of_fork() {
    if MARK.load(Ordering::Acquire).is_null() {
        note();
    } else {
        era();
    }
}

/// Has forks noted from now on. No `Once`: a fork while another thread is inside it would hang the
/// child. Registering twice counts twice at most, and a second page is as good as the first.
pub(crate) fn watch() {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.load(Ordering::Acquire) {
        return;
    }
    MARK.store(sys::new_mark(NOTED), Ordering::Release);
    sys::settle(in_child_of_fork);
    WATCHED.store(true, Ordering::Release);
}

/// How many forks lie between the first process that used this library and this one. What was made
/// under another number is of no use here: its handles answer D365_FORKED, and a binding's own
/// objects can tell by it. Also counts a child that the system call made, without `fork()`, on
/// Linux 4.14 and newer; one of `vfork()` counts not, as it shares its parent's memory. Any thread;
/// costs a few nanoseconds.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_fork_era() -> u32 {
    watch();
    era()
}
