//! What differs by system. Nothing else of this crate asks for which one it is built.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Event, Uncancelled, new_mark, settle, stack};
#[cfg(windows)]
pub(crate) use windows::{Event, Uncancelled, new_mark, settle, stack};
