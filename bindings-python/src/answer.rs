//! Responses and attempts, copied into Python objects so that nothing of the library has to outlive the call.

use std::ffi::CStr;
use std::ptr;

use d365_failover::{
    D365_ATTEMPT_EPOCH, D365_ATTEMPT_FAULT_KIND, D365_ATTEMPT_HTTP_STATUS,
    D365_ATTEMPT_HTTP_VERSION, D365_ATTEMPT_MESSAGE, D365_ATTEMPT_PHASE, D365_ATTEMPT_ROLE,
    D365_ATTEMPT_SERVICE_CODE, D365_ATTEMPT_STARTED_MS, D365_ATTEMPT_TOOK_US, D365_ATTEMPT_URL,
    D365_EFFECT_EXECUTED, D365_EFFECT_NONE, D365_EFFECT_NOT_EXECUTED, D365_PHASE_NOT_SENT,
    D365_PHASE_RESPONDED, D365_PHASE_SENT, D365_ROLE_ALTERNATE, D365_ROLE_PRIMARY,
    d365_attempts_count, d365_attempts_number, d365_attempts_t, d365_attempts_text,
    d365_fault_kind_name, d365_response_attempts, d365_response_body, d365_response_effect,
    d365_response_header_at, d365_response_header_count, d365_response_status,
    d365_response_switched, d365_response_t, d365_response_url,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::abi::{Handle, OK, get, get_object, get_text, no_text, octets, text};
use crate::stream::Stream;

/// `(status, url, headers, content, effect, switched, attempts)`; the content is a `Stream` where it is not read yet.
pub(crate) fn of_response<'py>(
    py: Python<'py>,
    response: Handle<d365_response_t>,
) -> PyResult<Bound<'py, PyAny>> {
    let raw = response.raw();
    // SAFETY: `response` is alive during the block, and the views are copied inside it.
    unsafe {
        let status = get::<i32>(|out| d365_response_status(raw, out)).unwrap_or_default();
        let url = get_text(|out| d365_response_url(raw, out)).unwrap_or_default();
        let count = get::<usize>(|out| d365_response_header_count(raw, out)).unwrap_or_default();
        let headers = PyList::empty(py);
        for index in 0..count {
            let (mut name, mut value) = (no_text(), no_text());
            if d365_response_header_at(raw, index, &raw mut name, &raw mut value) == OK {
                headers.append((text(&name), text(&value)))?;
            }
        }
        let (mut data, mut len) = (ptr::null(), 0);
        let collected = d365_response_body(raw, &raw mut data, &raw mut len) == OK;
        let bytes = collected.then(|| PyBytes::new(py, octets(data, len)));
        let effect = effect_name(get(|out| d365_response_effect(raw, out)).unwrap_or_default());
        let switched = get::<i32>(|out| d365_response_switched(raw, out)).unwrap_or_default() != 0;
        let attempts = match get_object(|out| d365_response_attempts(raw, out)) {
            Some(attempts) => self::attempts(py, &attempts)?,
            None => PyList::empty(py),
        };
        let content = match bytes {
            Some(bytes) => bytes.into_any(),
            None => Bound::new(py, Stream::new(response))?.into_any(),
        };
        Ok((status, url, headers, content, effect, switched, attempts)
            .into_pyobject(py)?
            .into_any())
    }
}

/// One `(role, epoch, phase, fault, http_status, code, started_ms, took_us, url, message, http_version)` an
/// attempt.
pub(crate) fn attempts<'py>(
    py: Python<'py>,
    attempts: &Handle<d365_attempts_t>,
) -> PyResult<Bound<'py, PyList>> {
    let raw = attempts.raw();
    let rows = PyList::empty(py);
    // SAFETY: `attempts` is alive during the block, and the views are copied inside it.
    unsafe {
        let count = get::<usize>(|out| d365_attempts_count(raw, out)).unwrap_or_default();
        for index in 0..count {
            let number = |field| {
                get::<i64>(|out| d365_attempts_number(raw, index, field, out)).unwrap_or_default()
            };
            let words = |field| {
                get_text(|out| d365_attempts_text(raw, index, field, out)).unwrap_or_default()
            };
            let fault = number(D365_ATTEMPT_FAULT_KIND);
            rows.append(PyTuple::new(
                py,
                [
                    role_name(number(D365_ATTEMPT_ROLE))
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_EPOCH).into_pyobject(py)?.into_any(),
                    phase_name(number(D365_ATTEMPT_PHASE))
                        .into_pyobject(py)?
                        .into_any(),
                    (fault != 0)
                        .then(|| fault_name(fault))
                        .into_pyobject(py)?
                        .into_any(),
                    present(number(D365_ATTEMPT_HTTP_STATUS))
                        .into_pyobject(py)?
                        .into_any(),
                    present(number(D365_ATTEMPT_SERVICE_CODE))
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_STARTED_MS)
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_TOOK_US).into_pyobject(py)?.into_any(),
                    words(D365_ATTEMPT_URL).into_pyobject(py)?.into_any(),
                    words(D365_ATTEMPT_MESSAGE).into_pyobject(py)?.into_any(),
                    version_name(number(D365_ATTEMPT_HTTP_VERSION))
                        .into_pyobject(py)?
                        .into_any(),
                ],
            )?)?;
        }
    }
    Ok(rows)
}

fn present(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

pub(crate) fn effect_name(effect: i32) -> &'static str {
    match effect {
        D365_EFFECT_NONE => "none",
        D365_EFFECT_EXECUTED => "executed",
        D365_EFFECT_NOT_EXECUTED => "not_executed",
        // What a newer library may say beyond this is not known here: for a write that is the careful answer.
        _ => "unknown",
    }
}

/// `None` for what is neither endpoint: a host of `allowed_hosts`.
pub(crate) fn role_name(role: i64) -> Option<&'static str> {
    match i32::try_from(role) {
        Ok(0) => None,
        Ok(D365_ROLE_PRIMARY) => Some("primary"),
        Ok(D365_ROLE_ALTERNATE) => Some("alternate"),
        _ => Some("unknown"),
    }
}

/// As the status line has it, which of HTTP/2 is none. `None` where there was no connection.
fn version_name(version: i64) -> Option<&'static str> {
    match version {
        0 => None,
        11 => Some("HTTP/1.1"),
        20 => Some("HTTP/2"),
        _ => Some("unknown"),
    }
}

fn phase_name(phase: i64) -> &'static str {
    match i32::try_from(phase) {
        Ok(D365_PHASE_NOT_SENT) => "not_sent",
        Ok(D365_PHASE_SENT) => "sent",
        Ok(D365_PHASE_RESPONDED) => "responded",
        _ => "unknown",
    }
}

pub(crate) fn fault_name(kind: i64) -> &'static str {
    let kind = i32::try_from(kind).unwrap_or(-1);
    // SAFETY: never null, static, and ended by a NUL.
    unsafe { CStr::from_ptr(d365_fault_kind_name(kind)) }
        .to_str()
        .unwrap_or("unknown")
}
