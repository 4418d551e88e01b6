//! What this machine has run out of.

use std::io;

use rustix::io::Errno;

/// Whether the system had nothing left of what was asked for: descriptors, buffers, memory, threads.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN)
    )
}
