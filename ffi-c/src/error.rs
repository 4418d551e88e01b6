//! The error object: why a function failed, and of a call all that is known about its end.

use d365_failover_core as core;

use crate::argument::out;
use crate::attempts::{AttemptList, d365_attempts_t};
use crate::cause;
use crate::guard::{Failure, guard};
use crate::handle::{self, Noun, Tag};
use crate::ledger::clamp;
use crate::response::{ResponseObject, d365_response_t};
use crate::status::{self, D365_FAULT_NONE, d365_status_t};
use crate::text::{Text, d365_str_t};

/// Why a function failed. Made by the library, owned by the caller, freed by d365_error_free(). It
/// never changes.
pub struct d365_error_t {
    _opaque: (),
}

pub(crate) struct ErrorObject {
    status: d365_status_t,
    error: core::Error,
    message: Text,
    tag: Option<Text>,
}

impl ErrorObject {
    pub(crate) fn new(failure: Failure) -> ErrorObject {
        let message = Text::new(failure.error.to_string());
        ErrorObject {
            status: failure.status,
            tag: failure.error.tag().map(Text::new),
            error: failure.error,
            message,
        }
    }
}

impl Noun for d365_error_t {
    type Object = ErrorObject;
    const TAG: Tag = Tag::Error;
    const NAME: &'static str = "d365_error_t";
}

/// The status that the failed function returned.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_status(
    error: *const d365_error_t,
    status: *mut d365_status_t,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(status, "status") }?.set(error.status);
        Ok(())
    })
}

/// A sentence for a person: what went wrong and, where the library knows it, what to do. The view
/// is valid until the error is freed. The wording may change between releases; programs decide by
/// status and kind.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_message(
    error: *const d365_error_t,
    message: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(message, "message") }?.set(error.message.view());
        Ok(())
    })
}

/// The fault kind of a call that failed (D365_FAULT_...), also of one whose status is
/// D365_WRITE_IN_DOUBT; D365_FAULT_NONE for errors of usage and of state.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_kind(
    error: *const d365_error_t,
    fault_kind: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        let kind = match error.error.kind() {
            core::ErrorKind::Call(kind) => status::fault_kind(kind),
            _ => D365_FAULT_NONE,
        };
        // SAFETY: NULL or the caller's variable.
        unsafe { out(fault_kind, "fault_kind") }?.set(kind);
        Ok(())
    })
}

/// What exactly made the call fail (D365_CAUSE_...), finer than the kind: whether a name does not
/// exist, a connection was refused or was not made in time. D365_CAUSE_NONE for errors of usage and
/// of state.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle. See also d365_cause_name().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_cause(
    error: *const d365_error_t,
    cause: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(cause, "cause") }?.set(cause::of(error.error.fault()));
        Ok(())
    })
}

/// How far the last attempt of the call came (D365_PHASE_...).
///
/// Errors: D365_NOT_AVAILABLE when there was no attempt; D365_NULL_POINTER, and what can be wrong
/// with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_phase(
    error: *const d365_error_t,
    phase: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(phase, "phase") }?;
        let last = error
            .error
            .attempts()
            .last()
            .ok_or_else(|| Failure::absent("attempt"))?;
        place.set(status::phase(last.phase));
        Ok(())
    })
}

/// What is known of the call's effect over all its attempts (D365_EFFECT_...). D365_EFFECT_UNKNOWN:
/// the write is in doubt, the status is D365_WRITE_IN_DOUBT, and sending it again may do it twice.
/// D365_EFFECT_NOT_EXECUTED also for a write that was refused before it was begun, by a status of usage
/// or of state (D365_CLOSED, D365_NO_RESOURCES, D365_INVALID_URL, ...); to send one on record again
/// (d365_client_replay()) is a write of its own. D365_EFFECT_NONE for a read, for what is no call, and
/// in the child of a fork inside of the call, which is the parent's.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_effect(
    error: *const d365_error_t,
    effect: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(effect, "effect") }?.set(status::effect(error.error.effect()));
        Ok(())
    })
}

/// 1 if the call met a switch of endpoints, else 0.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_switched(
    error: *const d365_error_t,
    switched: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(switched, "switched") }?.set(error.error.switched().into());
        Ok(())
    })
}

/// The HTTP status of the answer that made the call fail.
///
/// Errors: D365_NOT_AVAILABLE when no answer came; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_http_status(
    error: *const d365_error_t,
    status: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let status = unsafe { out(status, "status") }?;
        let of_fault = error.error.fault().and_then(|fault| fault.http_status);
        let of_response = || error.error.response().map(core::Response::status);
        let number = of_fault
            .or_else(of_response)
            .ok_or_else(|| Failure::absent("HTTP status"))?;
        status.set(number.into());
        Ok(())
    })
}

/// The code of the service's fault: -2147176347 is 0x8004B065, datacenter not available.
///
/// Errors: D365_NOT_AVAILABLE when the service named none; D365_NULL_POINTER, and what can be wrong
/// with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_service_code(
    error: *const d365_error_t,
    code: *mut i32,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let code = unsafe { out(code, "code") }?;
        let number = error.error.fault().and_then(|fault| fault.code);
        code.set(number.ok_or_else(|| Failure::absent("service code"))?);
        Ok(())
    })
}

/// How long the service asked to wait before the next try, in milliseconds.
///
/// Errors: D365_NOT_AVAILABLE when it did not ask; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_retry_after_ms(
    error: *const d365_error_t,
    ms: *mut i64,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let ms = unsafe { out(ms, "ms") }?;
        let wait = error.error.fault().and_then(|fault| fault.retry_after);
        let wait = wait.ok_or_else(|| Failure::absent("retry-after"))?;
        ms.set(wait.as_millis().try_into().unwrap_or(i64::MAX));
        Ok(())
    })
}

/// The response that made the call fail, as far as it came: a new handle, freed by
/// d365_response_free().
///
/// Errors: D365_NOT_AVAILABLE when no response came; D365_NULL_POINTER, and what can be wrong with
/// a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_response(
    error: *const d365_error_t,
    response: *mut *mut d365_response_t,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(response, "response") }?;
        let response = error
            .error
            .response()
            .ok_or_else(|| Failure::absent("response"))?;
        place.set(handle::insert(ResponseObject::new(response.clone()))?);
        Ok(())
    })
}

/// The attempts of the call, none for errors of usage: a new handle, freed by d365_attempts_free().
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_attempts(
    error: *const d365_error_t,
    attempts: *mut *mut d365_attempts_t,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(attempts, "attempts") }?;
        place.set(handle::insert(AttemptList::new(error.error.attempts()))?);
        Ok(())
    })
}

/// The number of the write in its client's ledger, for d365_client_resolve(). One that was not
/// executed (D365_EFFECT_NOT_EXECUTED) has been taken off the ledger again.
///
/// Errors: D365_NOT_AVAILABLE for a read, and for a call that was not begun; D365_NULL_POINTER, and
/// what can be wrong with a handle. See also d365_client_ledger().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_ledger_id(
    error: *const d365_error_t,
    id: *mut i64,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(id, "id") }?;
        let id = error.error.ledger_id();
        place.set(clamp(id.ok_or_else(|| Failure::absent("ledger id"))?));
        Ok(())
    })
}

/// What the token provider gave to d365_token_request_fail_with(), where the call has failed for
/// that: all calls that waited for this token have the same.
///
/// Errors: D365_NOT_AVAILABLE for every other error; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_provider_data(
    error: *const d365_error_t,
    data: *mut i64,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(data, "data") }?;
        let fault = error.error.fault();
        let data = fault.and_then(|fault| fault.provider_data);
        place.set(data.ok_or_else(|| Failure::absent("provider data"))?);
        Ok(())
    })
}

/// The tag of the call's request (d365_request_set_tag()). The view is valid until the error is freed.
///
/// Errors: D365_NOT_AVAILABLE for a request without one, and for what is no call; D365_NULL_POINTER, and
/// what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_error_tag(
    error: *const d365_error_t,
    tag: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let error = handle::get(error)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(tag, "tag") }?;
        let tag = error.tag.as_ref().ok_or_else(|| Failure::absent("tag"))?;
        place.set(tag.view());
        Ok(())
    })
}

/// Frees an error and ends its views. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_error_free(error: *mut d365_error_t) -> d365_status_t {
    guard(|| handle::remove(error).map(drop))
}
