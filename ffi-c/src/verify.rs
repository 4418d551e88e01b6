//! Verifying writes on record: what became of them, and which are in question.

use std::ffi::{CStr, c_char, c_void};

use d365_failover_core as core;

use crate::argument::{out, text, time};
use crate::attempts::unix_ms;
use crate::client::{d365_client_t, submit};
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with};
use crate::handle;
use crate::ledger::clamp;
use crate::pending::d365_pending_t;
use crate::request::{RequestObject, d365_request_t};
use crate::response::d365_response_t;
use crate::stack;
use crate::status::{d365_status_t, name_in};

/// What a look at its row says of a write (int32): nobody has looked.
pub const D365_VERIFIED_NONE: i32 = 0;
/// It was executed: the row that it created is there, the one that it deleted is not, the one that it
/// changed has the version that its answer named, or the values that were sent. Final or not:
/// D365_LEDGER_IS_FINAL.
pub const D365_VERIFIED_PRESENT: i32 = 1;
/// Its effect is not there. Not final until the setting `replication_window_ms` has passed since the
/// write ended: it may still come over. See D365_LEDGER_IS_FINAL.
pub const D365_VERIFIED_MISSING: i32 = 2;
/// No look at a row could tell: an action (also by SOAP's Execute), an upload, an update in doubt whose
/// values are not kept, a create in doubt whose row nobody knows. D365_LEDGER_WHY says why. A person has
/// to look, or the application by d365_request_new_verify_with().
pub const D365_VERIFIED_UNVERIFIABLE: i32 = 3;
/// The row is there, with other values than were sent: d365_ledger_difference_count(). Somebody has
/// written it since, or the write was not executed.
pub const D365_VERIFIED_CONFLICTING: i32 = 4;

const VERIFIED_NAMES: &[(i32, &CStr)] = &[
    (D365_VERIFIED_NONE, c"none"),
    (D365_VERIFIED_PRESENT, c"present"),
    (D365_VERIFIED_MISSING, c"missing"),
    (D365_VERIFIED_UNVERIFIABLE, c"unverifiable"),
    (D365_VERIFIED_CONFLICTING, c"conflicting"),
];

/// The name of what was found (D365_VERIFIED_...): `"present"`; `"none"` for 0; `"unknown"` for a
/// number that the library does not have.
///
/// Never NULL; static, not to be freed. Any thread. See also d365_client_verify().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_verified_name(verified: i32) -> *const c_char {
    name_in(VERIFIED_NAMES, verified)
        .unwrap_or(c"unknown")
        .as_ptr()
}

/// The number of what was found.
pub(crate) fn verified(found: Option<&core::Verification>) -> i32 {
    found.map_or(D365_VERIFIED_NONE, |found| found.verdict as i32)
}

pub(crate) fn write_id(id: i64) -> Result<u64, Failure> {
    u64::try_from(id).map_err(|_| Failure::absent(&format!("write {id}")))
}

/// Asks the active endpoint what became of the write `id` (D365_LEDGER_ID), by a read of its row, and
/// waits for the answer: D365_VERIFIED_PRESENT and its like. Works for every write on record that has ended. The read is no write on record. What was found
/// stands in the entry from then on (D365_LEDGER_VERIFIED); to resolve it, when it is final
/// (D365_LEDGER_IS_FINAL), is the application's: d365_client_resolve().
///
/// A create is proved by its row, a delete by the row's absence, an update by the version that its
/// answer named, or, where its request is kept (the setting `ledger_bodies`), by the values that it sent;
/// a create whose row nobody knows by a key (the setting `verify_keys`). For all else nothing is sent. The
/// read has the provider's token, else the
/// `Authorization` that the application last sent to that endpoint, and the prepare hook. To set other
/// headers or a timeout, send a request of d365_request_new_verify().
///
/// Errors: D365_NOT_AVAILABLE for a number that is not on record, or in flight. As d365_client_send();
/// and the status of the answer's fault for one that says neither that the row is there nor that it is
/// not (401, 403, a front end's 404, 5xx): the entry stays as it is then.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_verify(
    client: *mut d365_client_t,
    id: i64,
    verified: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let id = write_id(id)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(verified, "verified") }?;
        stack::check()?;
        let found = client.core.verify(id)?;
        place.set(found.verdict as i32);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// As d365_client_verify(), without waiting. After D365_OK exactly one item D365_ITEM_COMPLETION with
/// `user_data` comes through the client's queue; d365_response_verified() of its result says what was
/// found.
///
/// `pending` may be NULL; else it is the caller's, freed by d365_pending_free().
///
/// Errors: D365_NOT_AVAILABLE for a number that is not on record, or in flight; D365_NO_QUEUE,
/// D365_NO_RESOURCES, D365_CLOSED, D365_FORKED, and what can be wrong with a handle. Then no item comes.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_submit_verify(
    client: *mut d365_client_t,
    id: i64,
    user_data: *mut c_void,
    pending: *mut *mut d365_pending_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let request = core::Request::verify(write_id(id)?);
        // SAFETY: NULL or the caller's variable.
        unsafe { submit(&client, &request, user_data, pending) }
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Makes the request that asks about the write `id`, for d365_client_send() and d365_client_submit()
/// of the client that has it on record; d365_client_verify() is this and that in one. Headers and a
/// timeout can be set; method, URL and body are the library's.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_NOT_AVAILABLE for a negative number; D365_NULL_POINTER. One that is not on record, or
/// in flight, is told when it is sent.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_verify(
    id: i64,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let id = write_id(id)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::verify(id));
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// As d365_request_new_verify(), by a read of the URL that the application names: of the row that the
/// write must have created or changed, or of a list of the rows that it may be (`$filter` by a key that
/// only the application knows). An empty list, or no such row: D365_VERIFIED_MISSING; one row with the
/// values that were sent: D365_VERIFIED_PRESENT, with others: D365_VERIFIED_CONFLICTING; several rows, and
/// one whose values cannot be compared because the request is not kept (the setting `ledger_bodies`):
/// D365_VERIFIED_UNVERIFIABLE.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_NOT_AVAILABLE for a negative number; D365_INVALID_ARGUMENT for a URL that is not UTF-8;
/// D365_NULL_POINTER. What else can be wrong with the URL is told when it is sent.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_verify_with(
    id: i64,
    url: *const c_char,
    url_len: usize,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let id = write_id(id)?;
        // SAFETY: NULL or `url_len` bytes of the caller's.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::verify_with(id, url));
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// What was found about the write that the request asked about: D365_VERIFIED_PRESENT and its like. Where nothing was to be asked, the response
/// has the status 0 and no attempts.
///
/// Errors: D365_NOT_AVAILABLE for the response to any other request; D365_NULL_POINTER, and what can
/// be wrong with a handle. See also d365_client_submit_verify().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_verified(
    response: *const d365_response_t,
    verified: *mut i32,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(verified, "verified") }?;
        let found = response.response.verification();
        place.set(found.ok_or_else(|| Failure::absent("verdict"))?.verdict as i32);
        Ok(())
    })
}

/// Writes acknowledged at `since_ms` (milliseconds since 1970-01-01 UTC) or later may be lost,
/// whatever endpoint is active: after a failover behind one URL, whose operator names the time up to
/// which data was kept. They are D365_LEDGER_SUSPECTS from now on, as after a switch, and so are those
/// in flight once they are acknowledged. Raises D365_EVENT_DATA_LOSS_SUSPECTED with the reason
/// `suspect_since`. From now on `update_guard` holds for `replication_window_ms`. Sends nothing. Works
/// after d365_client_shutdown().
///
/// `acknowledged` gets how many they are, `on_record_since_ms` from when on the record has all that was
/// acknowledged: later than `since_ms`, when there may have been more, which are on record no more.
/// Either may be NULL.
///
/// Errors: D365_INVALID_ARGUMENT for a time in the future; what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_suspect_since(
    client: *mut d365_client_t,
    since_ms: i64,
    acknowledged: *mut i64,
    on_record_since_ms: *mut i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let found = client.core.suspect_since(time("since_ms", since_ms)?)?;
        for (place, value) in [
            (acknowledged, clamp(found.acknowledged)),
            (on_record_since_ms, unix_ms(found.on_record_since)),
        ] {
            if !place.is_null() {
                // SAFETY: not NULL, thus the caller's variable.
                unsafe { out(place, "output") }?.set(value);
            }
        }
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// How many acknowledged writes went from the record before `replication_window_ms` was over, and
/// before anybody had verified or resolved them, because there were more than the setting
/// `ledger_entries` says. A log record tells of it, with the first and with each tenfold.
///
/// Errors: D365_FORKED, D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_ledger_evicted(
    client: *const d365_client_t,
    evicted: *mut i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(evicted, "evicted") }?.set(clamp(client.core.ledger_evicted()?));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

#[cfg(test)]
mod tests {
    use d365_failover_core as core;

    use super::*;

    #[test]
    fn verdicts_have_the_numbers_and_names_of_the_core() {
        use core::Verified as V;
        let all = [V::Present, V::Missing, V::Unverifiable, V::Conflicting];
        for (found, number) in all.into_iter().zip(1..) {
            assert_eq!(found as i32, number);
            // SAFETY: the name is static.
            let name = unsafe { CStr::from_ptr(d365_verified_name(number)) };
            assert_eq!(name.to_str(), Ok(found.name()));
        }
    }
}
