//! Whether this process is a child that its parent's objects are of no use in.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the first process and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called in the child of a fork, before anything else of this crate: by a handler of
/// `pthread_atfork`, say. It does nothing that such a handler must not. The alternative, to ask the
/// system who this process is, would be a system call more for each call.
pub fn note_fork() {
    FORKS.fetch_add(1, Ordering::AcqRel);
}

/// Changes with each fork that was noted.
pub(crate) fn era() -> u32 {
    FORKS.load(Ordering::Acquire)
}
