//! Whether the calling thread has what a call needs: stack, as one too small would end the process in the guard page,
//! and its local data. Where it can be known before, it is an error.

use crate::guard::{Failure, check_locals, is_ending};
use crate::sys;

/// What a call takes at most, measured, and some more: docs/decisions.md, "The least stack".
pub(crate) const NEEDED: usize = 192 << 10;

/// For the functions that do a call's work on the caller's thread.
pub(crate) fn check() -> Result<(), Failure> {
    check_locals()?;
    match left() {
        Some(left) if left < NEEDED => Err(Failure::lacking(format!(
            "this thread has {} kB of stack left, and a call needs {} kB: give it 256 kB or more \
             (pthread_attr_setstacksize), or submit the call",
            left >> 10,
            NEEDED >> 10
        ))),
        _ => Ok(()),
    }
}

/// Whether a call's work can be begun here: of a stack that is not known it is not asked for.
pub(crate) fn has_room() -> bool {
    !is_ending() && left().is_some_and(|left| left >= NEEDED)
}

/// `None`: not known. A stack that is not the thread's own, as coroutines have it, is known to its
/// maker only.
fn left() -> Option<usize> {
    let (lowest, highest) = sys::stack()?;
    let here = std::ptr::from_ref(&lowest).addr();
    (lowest..highest).contains(&here).then(|| here - lowest)
}
