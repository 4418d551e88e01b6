//! A thread of the library's: made here and nowhere else.

use std::io;
use std::thread::{Builder, Thread};

/// Starts a thread that takes no signal of the application's. A signal that is sent to the process is
/// delivered to any thread that does not block it: to one of these, if the application blocks it in
/// its own for `signalfd` or `sigwait`, and its default action ends the process.
///
/// # Errors
/// When the system has no thread to give. `body` is dropped.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    // A thread begins with the signals blocked that its maker has blocked.
    let _blocked = Blocked::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where threads are made"
    )]
    let thread = Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(thread.thread().clone())
}

/// The signals that this thread blocks until it is dropped, and had not blocked before.
struct Blocked(#[cfg(unix)] Option<nix::sys::signal::SigSet>);

#[cfg(unix)]
impl Blocked {
    fn new() -> Blocked {
        use nix::sys::signal::{SigSet, SigmaskHow, Signal};
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

#[cfg(unix)]
impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing to do where it fails: it fails for a bad argument only.
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(not(unix))]
impl Blocked {
    fn new() -> Blocked {
        Blocked()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc;

    use super::*;

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
