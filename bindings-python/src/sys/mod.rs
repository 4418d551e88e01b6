//! What differs by system. Nothing else of the module asks for which one it is built.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Signal, Waitable, start_thread};
#[cfg(windows)]
pub(crate) use windows::{Signal, Waitable, start_thread};
