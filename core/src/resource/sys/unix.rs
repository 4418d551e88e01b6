//! Linux, and what is like it.

use std::io;

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
