//! Windows.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// Who may read it is inherited from its folder.
pub(crate) fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a file. Who may read it is inherited from its folder.
pub(crate) fn new_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// A file that is open cannot be taken away.
pub(crate) fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Not told without a handle; one is what almost all have.
pub(crate) fn names(_: &Metadata) -> u64 {
    1
}

/// Its folder says who may.
pub(crate) fn is_public(_: &Metadata) -> bool {
    false
}

pub(crate) fn network_file_system(folder: &Path) -> Option<&'static str> {
    let is_share = folder.to_str().is_some_and(|path| {
        path.starts_with(r"\\?\UNC\") || (path.starts_with(r"\\") && !path.starts_with(r"\\?\"))
    });
    is_share.then_some("a share of the network")
}

/// Numbers that a process holds as long as it lives: files that nobody else can open meanwhile, and
/// that go with it.
pub(crate) struct Lifelines {
    path: PathBuf,
    held: BTreeMap<i64, File>,
}

impl Lifelines {
    /// Of the processes that have `store` open.
    pub(crate) fn open(store: &Path) -> io::Result<Lifelines> {
        Ok(Lifelines {
            path: store.to_owned(),
            held: BTreeMap::new(),
        })
    }

    /// One that is open is nobody else's, in this process as in others.
    pub(crate) fn are_open(_: &Path) -> bool {
        false
    }

    fn path(&self, number: i64) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!("-lock-{number}"));
        path.into()
    }

    /// `false`: another process holds it.
    pub(crate) fn take(&mut self, number: i64) -> io::Result<bool> {
        const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(0)
            .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
            .open(self.path(number));
        match file {
            Ok(file) => {
                self.held.insert(number, file);
                Ok(true)
            }
            Err(error) if is_shared(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether another process holds it. Where nobody can tell, it does.
    pub(crate) fn is_held(&self, number: i64) -> bool {
        match File::open(self.path(number)) {
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    pub(crate) fn release(&mut self, number: i64) {
        self.held.remove(&number);
    }
}

fn is_shared(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    const ERROR_DELETE_PENDING: i32 = 303;
    matches!(
        error.raw_os_error(),
        Some(ERROR_SHARING_VIOLATION | ERROR_DELETE_PENDING)
    ) || error.kind() == io::ErrorKind::PermissionDenied
}

/// There are no signals to keep from a thread.
pub(crate) struct Blocked;

impl Blocked {
    pub(crate) fn new() -> Blocked {
        Blocked
    }
}
