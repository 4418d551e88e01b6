//! A submitted call that can still be cancelled.

use d365_failover_core as core;

use crate::error::d365_error_t;
use crate::guard::{guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::status::d365_status_t;

/// A call that d365_client_submit() took.
pub struct d365_pending_t {
    _opaque: (),
}

impl Noun for d365_pending_t {
    type Object = core::Pending;
    const TAG: Tag = Tag::Pending;
    const NAME: &'static str = "d365_pending_t";
}

/// Cancels the call: its completion says D365_CANCELLED, unless it was already done. Does not wait
/// for it; the completion comes through the queue in every case. May be called again.
///
/// Errors: what can be wrong with a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn d365_pending_cancel(
    pending: *mut d365_pending_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        handle::get(pending)?.cancel();
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees the handle; the call goes on. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn d365_pending_free(pending: *mut d365_pending_t) -> d365_status_t {
    guard(|| handle::remove(pending).map(drop))
}
