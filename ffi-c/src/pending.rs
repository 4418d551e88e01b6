//! A call that can still be cancelled from elsewhere.

use d365_failover_core as core;

use crate::argument::out;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::ledger::clamp;
use crate::status::d365_status_t;

/// A call that any thread can cancel: one that d365_client_submit() took, or one that a thread waits
/// for in d365_client_send_cancellable().
pub struct d365_pending_t {
    _opaque: (),
}

impl Noun for d365_pending_t {
    type Object = core::Pending;
    const TAG: Tag = Tag::Pending;
    const NAME: &'static str = "d365_pending_t";
}

/// Makes what one call of d365_client_send_cancellable() can be cancelled by.
///
/// `pending` is the caller's, freed by d365_pending_free().
///
/// Errors: D365_NULL_POINTER.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_pending_new(
    pending: *mut *mut d365_pending_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(pending, "pending") }?;
        place.set(handle::insert(core::Pending::new())?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Cancels the call: its completion says D365_CANCELLED, or D365_WRITE_IN_DOUBT of a write that may
/// have been executed, unless it was already done; d365_client_send_cancellable() returns with the same, and sends
/// nothing where it was not called yet. Whatever the call waits for, its connection is closed, or its
/// stream reset, at once. Does not wait
/// for it; the completion of a submitted call comes through the queue in every case. May be called
/// again. Any thread.
///
/// Errors: what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
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

/// The number of the call's write in its client's ledger, from before it is sent: for who does not
/// wait for its end. Works after the call has ended.
///
/// Errors: D365_NOT_AVAILABLE for a read, and until the write is on record, for a moment after
/// d365_client_submit(); D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_pending_ledger_id(
    pending: *const d365_pending_t,
    id: *mut i64,
) -> d365_status_t {
    guard(|| {
        let pending = handle::get(pending)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(id, "id") }?;
        let id = pending.ledger_id();
        place.set(clamp(id.ok_or_else(|| Failure::absent("ledger id"))?));
        Ok(())
    })
}

/// Frees the handle; the call goes on. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_pending_free(pending: *mut d365_pending_t) -> d365_status_t {
    guard(|| handle::remove(pending).map(drop))
}
