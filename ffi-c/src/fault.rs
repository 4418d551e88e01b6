//! The classifier: what a response of any HTTP library means.

use std::ffi::c_char;

use d365_failover_core as core;

use crate::argument::{bytes, out, slice, text};
use crate::cause;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::status::{
    D365_FAULT_NONE, D365_PRESET_DOTNET, D365_PRESET_SAFE, d365_status_t, fault_kind,
};
use crate::text::{Text, d365_str_t};

/// A header that comes in: two texts with their lengths (D365_NTS allowed).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct d365_header_t {
    /// The name, in any case.
    pub name: *const c_char,
    /// Its length in bytes.
    pub name_len: usize,
    /// The value.
    pub value: *const c_char,
    /// Its length in bytes.
    pub value_len: usize,
}

/// What a response means. It never changes.
pub struct d365_fault_t {
    _opaque: (),
}

pub(crate) struct FaultObject {
    fault: Option<core::Fault>,
    message: Text,
}

impl Noun for d365_fault_t {
    type Object = FaultObject;
    const TAG: Tag = Tag::Fault;
    const NAME: &'static str = "d365_fault_t";
}

/// # Safety
/// The texts of the headers are valid during the call.
pub(crate) unsafe fn header_map(headers: &[d365_header_t]) -> Result<http::HeaderMap, Failure> {
    let mut map = http::HeaderMap::with_capacity(headers.len().min(64));
    for header in headers {
        // SAFETY: by the contract of this function.
        let (name, value) = unsafe {
            (
                text(header.name, header.name_len, "header name")?,
                text(header.value, header.value_len, "header value")?,
            )
        };
        let refused = |_| Failure::argument(format!("{name:?} is no header name"));
        let key = http::HeaderName::from_bytes(name.as_bytes()).map_err(refused)?;
        let refused = |_| Failure::argument(format!("{name}: the value is no header value"));
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(refused)?;
        core::append_header(&mut map, key, value)?;
    }
    Ok(map)
}

pub(crate) fn preset_of(preset: i32) -> Result<core::Preset, Failure> {
    match preset {
        D365_PRESET_DOTNET => Ok(core::Preset::Dotnet),
        D365_PRESET_SAFE => Ok(core::Preset::Safe),
        _ => Err(Failure::argument(format!("preset: {preset} is none"))),
    }
}

pub(crate) fn http_status(status: i32) -> Result<u16, Failure> {
    u16::try_from(status)
        .ok()
        .filter(|status| (100..1000).contains(status))
        .ok_or_else(|| Failure::argument(format!("http_status: {status} is none")))
}

/// Classifies a response of whatever HTTP library: status (100 to 999), `header_count` headers, and
/// as much of the body as there is. Any response is taken: one that is no fault gives the kind
/// D365_FAULT_NONE. Pure: no client, no I/O. Whether a 2xx to a write bears its service's mark (the
/// setting `service_mark`) is not looked at: what was asked is not known here.
///
/// `fault` is the caller's, freed by d365_fault_free().
///
/// Errors: D365_INVALID_ARGUMENT for a status or a header that HTTP does not have;
/// D365_NULL_POINTER, D365_INVALID_UTF8.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_from_response(
    status: i32,
    headers: *const d365_header_t,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    fault: *mut *mut d365_fault_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let work = || {
        let status = http_status(status)?;
        // SAFETY: headers of the caller's that are valid during the call.
        let headers = unsafe { header_map(slice(headers, header_count, "headers")?) }?;
        // SAFETY: bytes of the caller's that are valid during the call.
        let body = unsafe { bytes(body, body_len, "body") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(fault, "fault") }?;
        let fault = core::classify_response(status, &headers, body);
        let message = Text::new(fault.as_ref().map_or("", |fault| &fault.message));
        place.set(handle::insert(FaultObject { fault, message })?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, work) }
}

/// The kind (D365_FAULT_...); D365_FAULT_NONE for a response that is no fault.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_kind(
    fault: *const d365_fault_t,
    kind: *mut i32,
) -> d365_status_t {
    guard(|| {
        let fault = handle::get(fault)?;
        let number = fault
            .fault
            .as_ref()
            .map_or(D365_FAULT_NONE, |fault| fault_kind(fault.kind));
        // SAFETY: NULL or the caller's variable.
        unsafe { out(kind, "kind") }?.set(number);
        Ok(())
    })
}

/// What exactly it is (D365_CAUSE_...), finer than the kind; D365_CAUSE_NONE for a response that is no
/// fault.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle. See also d365_cause_name().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_cause(
    fault: *const d365_fault_t,
    cause: *mut i32,
) -> d365_status_t {
    guard(|| {
        let fault = handle::get(fault)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(cause, "cause") }?.set(cause::of(fault.fault.as_ref()));
        Ok(())
    })
}

/// The code that the service named: -2147176347 is 0x8004B065, datacenter not available.
///
/// Errors: D365_NOT_AVAILABLE when it named none; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_service_code(
    fault: *const d365_fault_t,
    code: *mut i32,
) -> d365_status_t {
    guard(|| {
        let fault = handle::get(fault)?;
        // SAFETY: NULL or the caller's variable.
        let code = unsafe { out(code, "code") }?;
        let number = fault.fault.as_ref().and_then(|fault| fault.code);
        code.set(number.ok_or_else(|| Failure::absent("service code"))?);
        Ok(())
    })
}

/// How long the service asked to wait, in milliseconds.
///
/// Errors: D365_NOT_AVAILABLE when it did not ask; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_retry_after_ms(
    fault: *const d365_fault_t,
    ms: *mut i64,
) -> d365_status_t {
    guard(|| {
        let fault = handle::get(fault)?;
        // SAFETY: NULL or the caller's variable.
        let ms = unsafe { out(ms, "ms") }?;
        let wait = fault.fault.as_ref().and_then(|fault| fault.retry_after);
        let wait = wait.ok_or_else(|| Failure::absent("retry-after"))?;
        ms.set(wait.as_millis().try_into().unwrap_or(i64::MAX));
        Ok(())
    })
}

/// A sentence for a person; empty for a response that is no fault. The view is valid until the
/// fault is freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_message(
    fault: *const d365_fault_t,
    message: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let fault = handle::get(fault)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(message, "message") }?.set(fault.message.view());
        Ok(())
    })
}

/// 1 if such a response makes a client with this preset (D365_PRESET_...) turn to the other endpoint,
/// else 0. With D365_PRESET_SAFE it then depends on probes whether the client switches.
///
/// Errors: D365_INVALID_ARGUMENT for another preset; D365_NULL_POINTER, and what can be wrong with
/// a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_fault_starts_failover(
    fault: *const d365_fault_t,
    preset: i32,
    starts: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let fault = handle::get(fault)?;
        // SAFETY: NULL or the caller's variable.
        let starts = unsafe { out(starts, "starts") }?;
        let preset = preset_of(preset)?;
        let answer = fault
            .fault
            .as_ref()
            .is_some_and(|fault| fault.starts_failover(preset));
        starts.set(answer.into());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees a fault and ends its views. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_fault_free(fault: *mut d365_fault_t) -> d365_status_t {
    guard(|| handle::remove(fault).map(drop))
}
