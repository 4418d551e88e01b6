//! Settling the writes that are to be verified: sending one again, and walking over all.

use d365_failover_core as core;

use crate::argument::out;
use crate::client::d365_client_t;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with, of_call};
use crate::handle;
use crate::ledger::{D365_RESOLUTION_NONE, clamp};
use crate::request::{RequestObject, d365_request_t};
use crate::response::{ResponseObject, d365_response_t, handed_out};
use crate::stack;
use crate::status::d365_status_t;
use crate::text::d365_str_t;
use crate::verify::{verified, write_id};

/// What a walk over the writes to verify may do (uint32, bits): look at each, as d365_client_verify().
/// Without it, what was found before counts.
pub const D365_SETTLE_VERIFY: u32 = 1;
/// Resolve as D365_RESOLUTION_CONFIRMED what is D365_VERIFIED_PRESENT and final.
pub const D365_SETTLE_CONFIRM: u32 = 2;
/// Send again what is D365_VERIFIED_MISSING and final, as d365_client_replay(), where no repeat of it
/// could be done twice.
pub const D365_SETTLE_REPLAY: u32 = 4;
/// All three.
pub const D365_SETTLE_ALL: u32 = 7;

/// Number field of a walk's response: the write that this step is about (D365_LEDGER_ID); -1 when the walk
/// is over.
pub const D365_SETTLED_ID: i32 = 1;
/// Number field of a walk's response: what was found of this write (D365_VERIFIED_...);
/// D365_VERIFIED_NONE where the service would not say, or it is in question no more.
pub const D365_SETTLED_VERIFIED: i32 = 2;
/// Number field of a walk's response: 1 when replication can change no more about that.
pub const D365_SETTLED_IS_FINAL: i32 = 3;
/// Number field of a walk's response: what was done about this write (D365_RESOLUTION_...);
/// D365_RESOLUTION_NONE where it is left.
pub const D365_SETTLED_RESOLUTION: i32 = 4;
/// Number field of a walk's response: how many writes were to be verified when it began.
pub const D365_SETTLED_TOTAL: i32 = 10;
/// Number field of a walk's response: how many it is done with by now.
pub const D365_SETTLED_DONE: i32 = 11;
/// Number field of a walk's response: how many of these are D365_VERIFIED_PRESENT.
pub const D365_SETTLED_PRESENT: i32 = 12;
/// Number field of a walk's response: how many are D365_VERIFIED_MISSING.
pub const D365_SETTLED_MISSING: i32 = 13;
/// Number field of a walk's response: how many are D365_VERIFIED_CONFLICTING.
pub const D365_SETTLED_CONFLICTING: i32 = 14;
/// Number field of a walk's response: how many are D365_VERIFIED_UNVERIFIABLE.
pub const D365_SETTLED_UNVERIFIABLE: i32 = 15;
/// Number field of a walk's response: how many were resolved as confirmed.
pub const D365_SETTLED_CONFIRMED: i32 = 16;
/// Number field of a walk's response: how many were sent again and executed.
pub const D365_SETTLED_REPLAYED: i32 = 17;
/// Number field of a walk's response: how many of those that are done are left to the application.
pub const D365_SETTLED_LEFT: i32 = 18;

fn policy(flags: u32) -> Result<core::SettlePolicy, Failure> {
    if flags & !D365_SETTLE_ALL != 0 || flags == 0 {
        return Err(Failure::argument(format!("flags: {flags} are none")));
    }
    Ok(core::SettlePolicy {
        verify: flags & D365_SETTLE_VERIFY != 0,
        confirm: flags & D365_SETTLE_CONFIRM != 0,
        replay: flags & D365_SETTLE_REPLAY != 0,
    })
}

/// Sends the write `id` (D365_LEDGER_ID) again, which was found to be missing for good, and waits for the
/// answer: a create under its id and with the condition that there is none, a change or a delete with the
/// version that its row was seen to have (`If-Match`). At most one at a time, over all clients and
/// processes of a store. When it was executed, its entry is D365_RESOLUTION_REPLAYED. In doubt again, it is
/// on record so, and D365_EVENT_WRITE_IN_DOUBT is raised; refused, it stays to be verified.
///
/// `is_wanted` 1: the application wants it for just this write, whatever was found of it and whatever a
/// repeat of it does; a condition is set all the same where there is one to set. Else 0.
///
/// Its request must be kept (the setting `ledger_bodies`); it has no credential, which is the provider's,
/// or one that a request of d365_request_new_replay() is given.
///
/// `response` is the caller's, freed by d365_response_free(): that of the write.
///
/// Errors: D365_NOT_AVAILABLE, with why it is not sent again; D365_INVALID_ARGUMENT for another
/// `is_wanted`; as d365_client_send().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_replay(
    client: *mut d365_client_t,
    id: i64,
    is_wanted: i32,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let (id, is_wanted) = (write_id(id)?, flag("is_wanted", is_wanted)?);
        let request = core::Request::replay(id, is_wanted);
        of_call(&request, || {
            let client = handle::get(client)?;
            // SAFETY: NULL or the caller's variable.
            let place = unsafe { out(response, "response") }?;
            stack::check()?;
            place.set(handed_out(client.core.send(&request)?)?);
            Ok(())
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Makes the request that sends the write `id` again, for d365_client_send() and d365_client_submit();
/// d365_client_replay() is this and that in one. Timeouts can be set, and headers, which go in the place of
/// those that are kept.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_NOT_AVAILABLE for a negative number; D365_INVALID_ARGUMENT for another `is_wanted`;
/// D365_NULL_POINTER. Why it is not sent again is told when it is sent.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_replay(
    id: i64,
    is_wanted: i32,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let (id, is_wanted) = (write_id(id)?, flag("is_wanted", is_wanted)?);
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::replay(id, is_wanted));
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

fn flag(what: &str, value: i32) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::argument(format!(
            "{what}: {value} is neither 0 nor 1"
        ))),
    }
}

/// Goes over all writes that are to be verified (D365_LEDGER_SUSPECTS), as `flags` say (D365_SETTLE_...),
/// and waits until it is done: looks at each, confirms what is there for good, sends again what is missing
/// for good and may be, and leaves the rest. Raises D365_EVENT_SETTLED, if it may do more than look. To
/// hear of each write as it goes, or to be asked for a timeout, send a request of
/// d365_request_new_settle().
///
/// `response` is the caller's, freed by d365_response_free(): d365_response_settled() has the numbers.
///
/// Errors: D365_INVALID_ARGUMENT for other flags, or none; as d365_client_send(), at the first look that
/// has no answer: what was done until then is on record.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_settle(
    client: *mut d365_client_t,
    flags: u32,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let walk = core::Request::settle(policy(flags)?);
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(response, "response") }?;
        stack::check()?;
        let last = loop {
            let step = client.core.send(&walk)?;
            if step.ledger_id().is_none() {
                break step;
            }
        };
        place.set(handle::insert(ResponseObject::new(last))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Makes the request for a walk over the writes that are to be verified, which are those when it is first
/// sent, by d365_client_send() or d365_client_submit(). Each time that it is sent it brings the next write
/// that it is done with, in whatever order they end, and in the end, again and again, that it is over:
/// d365_response_settled(). Up to four writes are looked at at a time, also between the calls; with a
/// prepare hook one, within them. It serves one call at a time. An error that is no answer of the
/// service's stops it; sent again, it goes on. Headers and timeouts are those of each look, and of each
/// write that is sent again.
///
/// `flags`: D365_SETTLE_.... `request` is the caller's, freed by d365_request_free(); what was begun then
/// goes on to its end.
///
/// Errors: D365_INVALID_ARGUMENT for other flags, or none; D365_NULL_POINTER.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_settle(
    flags: u32,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let policy = policy(flags)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::settle(policy));
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Makes another request for the walk of `walk`, which both go on with: for headers and timeouts of one step, and
/// for bindings that build a request for each call.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_INVALID_ARGUMENT for a request that is no walk; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_settle_on(
    walk: *const d365_request_t,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let walk = handle::get(walk)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let on = walk.snapshot().0.settle_on();
        let on = on.ok_or_else(|| Failure::argument("walk: the request is none".to_owned()))?;
        place.set(handle::insert(RequestObject::new(on))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// A number of a walk's response: D365_SETTLED_ID to D365_SETTLED_LEFT.
///
/// Errors: D365_NOT_AVAILABLE for the response to any other request, and for a field that there is not;
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_settled(
    response: *const d365_response_t,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(value, "value") }?;
        let number = number(&response.response, field);
        place.set(
            number.ok_or_else(|| Failure::absent(&format!("number field {field} of a walk")))?,
        );
        Ok(())
    })
}

fn number(response: &core::Response, field: i32) -> Option<i64> {
    let step = response.settle_step()?;
    let settled = step.settled;
    Some(match field {
        D365_SETTLED_ID => response.ledger_id().map_or(-1, clamp),
        D365_SETTLED_VERIFIED => verified(response.verification()).into(),
        D365_SETTLED_IS_FINAL => response
            .verification()
            .is_some_and(|found| found.is_final)
            .into(),
        D365_SETTLED_RESOLUTION => step
            .resolution
            .map_or(D365_RESOLUTION_NONE, |found| found as i32)
            .into(),
        D365_SETTLED_TOTAL => clamp(settled.total),
        D365_SETTLED_DONE => clamp(settled.done),
        D365_SETTLED_PRESENT => clamp(settled.present),
        D365_SETTLED_MISSING => clamp(settled.missing),
        D365_SETTLED_CONFLICTING => clamp(settled.conflicting),
        D365_SETTLED_UNVERIFIABLE => clamp(settled.unverifiable),
        D365_SETTLED_CONFIRMED => clamp(settled.confirmed),
        D365_SETTLED_REPLAYED => clamp(settled.replayed),
        D365_SETTLED_LEFT => clamp(settled.left),
        _ => return None,
    })
}

/// One sentence for a person about the write of a walk's step: why nothing was done about it, or what the
/// service has answered; it may be empty. The view is valid until the response is freed.
///
/// Errors: D365_NOT_AVAILABLE for the response to any other request; D365_NULL_POINTER, and what can be
/// wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_settled_why(
    response: *const d365_response_t,
    why: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(why, "why") }?;
        let text = response
            .settled_why()
            .ok_or_else(|| Failure::absent("step of a walk"))?;
        place.set(text.view());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_a_policy() {
        let all = policy(D365_SETTLE_ALL).ok().unwrap();
        assert_eq!(all, core::SettlePolicy::default());
        let looks = policy(D365_SETTLE_VERIFY).ok().unwrap();
        assert!(looks.verify && !looks.confirm && !looks.replay);
        for flags in [0, 8, D365_SETTLE_ALL + 1, u32::MAX] {
            assert!(policy(flags).is_err(), "{flags}");
        }
        assert_eq!(
            (flag("x", 0).ok(), flag("x", 1).ok()),
            (Some(false), Some(true))
        );
        assert!(flag("x", 2).is_err());
    }
}
