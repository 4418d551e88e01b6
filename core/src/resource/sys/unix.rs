//! Linux, and what is like it.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, c_short};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::Certificates;

/// A write to a connection that the peer has reset must be an error and not a signal: the process
/// is the application's, and SIGPIPE would end it.
pub(crate) const SEND_FLAGS: i32 = SendFlags::NOSIGNAL.bits().cast_signed();

/// What to do where there are no certificates to verify servers with.
pub(crate) const NO_CERTIFICATE_STORE: &str = "install one (Debian: ca-certificates)";

/// Where OpenSSL has its own.
pub(crate) fn certificates() -> Certificates {
    let found = openssl_probe::probe();
    Certificates {
        files: found.cert_file.into_iter().collect(),
        folders: found.cert_dir,
        ..Certificates::default()
    }
}

/// Whether the system had nothing left of what was asked for: descriptors, buffers, memory, threads.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        number(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN)
    )
}

pub(super) fn is_host_down(error: &io::Error) -> bool {
    number(error) == Some(Errno::HOSTDOWN)
}

pub(super) fn is_other_cut(_: &io::Error) -> bool {
    false
}

fn number(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// The signals that this thread blocks until it is dropped, and had not blocked before.
pub(crate) struct Blocked(Option<SigSet>);

impl Blocked {
    pub(crate) fn new() -> Blocked {
        /// A thread raises these itself, by what it does: handlers of crashes, and of virtual machines
        /// that catch a NULL by them, need them on the thread. Blocked, they end the process unheard.
        const OF_A_FAULT: [Signal; 6] = [
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGSEGV,
            Signal::SIGSYS,
            Signal::SIGTRAP,
        ];
        let mut signals = SigSet::all();
        for signal in OF_A_FAULT {
            signals.remove(signal);
        }
        Blocked(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing to do where it fails: it fails for a bad argument only.
            let _ = before.thread_set_mask();
        }
    }
}

/// Makes a file that only its owner may read and write.
pub(crate) fn new_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Lets only its owner read and write a file.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Which file a path means now.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// How many names a file has.
pub(crate) fn names(found: &Metadata) -> u64 {
    found.nlink()
}

/// Whether others than its owner and its group may read a file.
pub(crate) fn is_public(found: &Metadata) -> bool {
    found.mode() & 0o004 != 0
}

/// The name of the network's file system that a folder is on, where it is on one.
pub(crate) fn network_file_system(folder: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        const NAMES: [(i128, &str); 6] = [
            (0x6969, "NFS"),
            (0x517B, "SMB"),
            (0xFE53_4D42, "SMB"),
            (0xFF53_4D42, "SMB (CIFS)"),
            (0x5346_414F, "AFS"),
            (0x00C3_6400, "Ceph"),
        ];
        let kind = i128::from(rustix::fs::statfs(folder).ok()?.f_type) & 0xFFFF_FFFF;
        let known = NAMES.iter().find(|(number, _)| *number == kind);
        known.map(|(_, name)| *name)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        None
    }
}

/// Numbers that a process holds as long as it lives: bytes of a file, locked. The system releases such
/// a lock when the process ends, however it ends, and a child of a fork does not have it.
pub(crate) struct Lifelines(File);

impl Lifelines {
    /// Of the processes that have `store` open.
    pub(crate) fn open(store: &Path) -> io::Result<Lifelines> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(Lifelines::file_of(store))?;
        Ok(Lifelines(file))
    }

    fn file_of(store: &Path) -> PathBuf {
        let mut path = store.as_os_str().to_owned();
        path.push("-lock");
        PathBuf::from(path)
    }

    /// Whether this process has the file open, told without opening it: who closes it takes all locks of the process
    /// on it away. Linux only.
    pub(crate) fn are_open(store: &Path) -> bool {
        let Some(file) = identity(&Lifelines::file_of(store)) else {
            return false;
        };
        let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
        open.flatten()
            .any(|entry| identity(&entry.path()) == Some(file))
    }

    /// `false`: another process holds it.
    pub(crate) fn take(&mut self, number: i64) -> io::Result<bool> {
        let lock = byte(number, libc::F_WRLCK);
        match fcntl(&self.0, FcntlArg::F_SETLK(&lock)) {
            Ok(_) => Ok(true),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether another process holds it. Where nobody can tell, it does.
    pub(crate) fn is_held(&self, number: i64) -> bool {
        let mut lock = byte(number, libc::F_WRLCK);
        let told = fcntl(&self.0, FcntlArg::F_GETLK(&mut lock));
        told.is_err() || i64::from(lock.l_type) != i64::from(libc::F_UNLCK)
    }

    pub(crate) fn release(&mut self, number: i64) {
        // Closing the file does it as well.
        let _ = fcntl(&self.0, FcntlArg::F_SETLK(&byte(number, libc::F_UNLCK)));
    }
}

fn byte(number: i64, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as c_short,
        l_whence: libc::SEEK_SET as c_short,
        l_start: number,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crate::resource::thread::spawn;

    /// As /proc says it: a bit for each signal.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    #[test]
    fn a_thread_blocks_what_is_not_its_own_fault_and_its_maker_what_it_did_before() {
        /// SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGILL, SIGSYS; SIGKILL and SIGSTOP, which nobody can
        /// block; 32 and 33, which are the C library's own.
        const OPEN: [u32; 10] = [5, 7, 8, 11, 4, 31, 9, 19, 32, 33];
        let before = blocked();
        let (sender, receiver) = mpsc::channel();
        spawn("d365-test", move || sender.send(blocked()).unwrap()).unwrap();
        let wanted = (1..=64)
            .filter(|signal| !OPEN.contains(signal))
            .fold(0, |mask, signal| mask | 1 << (signal - 1));
        assert_eq!(receiver.recv().unwrap() & !before, wanted & !before);
        assert_eq!(blocked(), before);
    }
}
