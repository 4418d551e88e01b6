//! What differs by system. Nothing else of the core asks for which one it is built.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::mem::MaybeUninit;
use std::path::PathBuf;

use rustix::net::{RecvFlags, recv};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
#[cfg(unix)]
pub(crate) use unix::{
    Blocked, Lifelines, NO_CERTIFICATE_STORE, SEND_FLAGS, certificates, identity, is_exhausted,
    is_public, make_private, names, network_file_system, new_private_file,
};
#[cfg(unix)]
use unix::{is_host_down, is_other_cut};
#[cfg(windows)]
pub(crate) use windows::{
    Blocked, Lifelines, NO_CERTIFICATE_STORE, SEND_FLAGS, certificates, identity, is_exhausted,
    is_public, make_private, names, network_file_system, new_private_file,
};
#[cfg(windows)]
use windows::{is_host_down, is_other_cut};

/// The certificates that the machine believes: as they are, or where they are.
#[derive(Default)]
pub(crate) struct Certificates {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) folders: Vec<PathBuf>,
    /// Why some are not among them; one sentence each.
    pub(crate) unread: Vec<String>,
}

/// What has come, read into memory that need not be initialized.
pub(crate) fn receive<'a>(
    tcp: &TcpStream,
    room: &'a mut [MaybeUninit<u8>],
) -> io::Result<&'a mut [u8]> {
    let ((read, _), _) = recv(tcp, room, RecvFlags::empty())?;
    Ok(read)
}

/// The kind of an error that the system has a number for.
pub(crate) fn kind(error: &io::Error) -> Option<io::ErrorKind> {
    error.raw_os_error().map(|_| error.kind())
}

/// Whether there is no way to where a connection was to go.
pub(crate) fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        kind(error),
        Some(
            io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkDown
        )
    ) || is_host_down(error)
}

/// Whether the way to the peer was lost under a connection, without the peer's doing.
pub(crate) fn is_cut(error: &io::Error) -> bool {
    matches!(
        kind(error),
        Some(
            io::ErrorKind::TimedOut
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::HostUnreachable
        )
    ) || is_other_cut(error)
}
