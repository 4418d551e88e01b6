//! A thread of the library's: made here and nowhere else.

use std::io;
use std::thread::Builder;

use super::sys::Blocked;

/// Starts a thread that takes no signal of the application's. A signal that is sent to the process is
/// delivered to any thread that does not block it: to one of these, if the application blocks it in
/// its own for `signalfd` or `sigwait`, and its default action ends the process.
///
/// # Errors
/// When the system has no thread to give. `body` is dropped.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // A thread begins with the signals blocked that its maker has blocked.
    let _blocked = Blocked::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where threads are made"
    )]
    Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(())
}
