//! Windows.

use std::io;

use super::Certificates;

/// Nothing to ask for: no signal comes of a connection that is gone.
pub(crate) const SEND_FLAGS: i32 = 0;

/// What to do where there are no certificates to verify servers with.
pub(crate) const NO_CERTIFICATE_STORE: &str =
    "put them into the store \"Trusted Root Certification Authorities\"";

const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
const ERROR_NOT_ENOUGH_MEMORY: i32 = 8;
const ERROR_OUTOFMEMORY: i32 = 14;
const ERROR_MAX_THRDS_REACHED: i32 = 164;
const ERROR_NO_SYSTEM_RESOURCES: i32 = 1450;
const WSAEMFILE: i32 = 10024;
const WSAENETRESET: i32 = 10052;
const WSAENOBUFS: i32 = 10055;
const WSAESHUTDOWN: i32 = 10058;
const WSAEHOSTDOWN: i32 = 10064;

/// The store "Trusted Root Certification Authorities", of the user and of the machine. Windows puts
/// some of its own into it only when it needs them itself.
pub(crate) fn certificates() -> Certificates {
    let found = rustls_native_certs::load_native_certs();
    Certificates {
        certificates: found.certs,
        unread: found.errors.iter().map(ToString::to_string).collect(),
        ..Certificates::default()
    }
}

/// Whether the system had nothing left of what was asked for: handles, buffers, memory, threads.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_TOO_MANY_OPEN_FILES
                | ERROR_NOT_ENOUGH_MEMORY
                | ERROR_OUTOFMEMORY
                | ERROR_MAX_THRDS_REACHED
                | ERROR_NO_SYSTEM_RESOURCES
                | WSAEMFILE
                | WSAENOBUFS
        )
    )
}

pub(super) fn is_host_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEHOSTDOWN)
}

/// Of numbers that the standard library has no kind for.
pub(super) fn is_other_cut(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(WSAENETRESET | WSAESHUTDOWN))
}

/// There are no signals to keep from a thread.
pub(crate) struct Blocked;

impl Blocked {
    pub(crate) fn new() -> Blocked {
        Blocked
    }
}
