//! Failures of the ABI as exceptions.
//!
//! What is raised here is data; the classes that users see are Python's own, made of it in `_exceptions.py`. Python code
//! is not run from here: a thread that loses the interpreter in the middle of it, at exit, would be ended through Rust's
//! frames.

use std::ffi::CStr;

use d365_failover::{
    D365_CANCELLED, D365_FAULT_NONE, D365_FORKED, D365_INTERNAL, D365_WRITE_IN_DOUBT,
    d365_error_attempts, d365_error_cause, d365_error_effect, d365_error_http_status,
    d365_error_kind, d365_error_ledger_id, d365_error_message, d365_error_provider_data,
    d365_error_response, d365_error_retry_after_ms, d365_error_service_code, d365_error_switched,
    d365_error_tag, d365_response_attempts, d365_response_effect, d365_response_ledger_id,
    d365_response_status, d365_response_switched, d365_response_t, d365_response_tag,
    d365_status_name, d365_status_t,
};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::abi::{Failure, Handle, get, get_object, get_text};
use crate::answer::Answer;
use crate::{attempts, names};

create_exception!(
    d365_failover._native,
    NativeFailure,
    PyException,
    "(kind, message, effect, switched, status, code, retry_after_ms, attempts, response, ledger_id, tag, cause)"
);

impl Failure {
    pub(crate) fn of(status: d365_status_t) -> Self {
        Self {
            status,
            error: None,
        }
    }

    /// The exception for this failure; or what went wrong while it was made.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        self.build(py).unwrap_or_else(|error| error)
    }

    fn build(self, py: Python<'_>) -> PyResult<PyErr> {
        let kind = status_name(self.status);
        let Some(error) = &self.error else {
            let nothing = (
                kind,
                "",
                "none",
                false,
                py.None(),
                py.None(),
                py.None(),
                PyList::empty(py).unbind(),
                py.None(),
                py.None(),
                py.None(),
                py.None(),
            );
            return Ok(NativeFailure::new_err(nothing));
        };
        let raw = error.raw();
        // SAFETY: `error` is alive for the whole block; every output is the getter's own.
        unsafe {
            let attempts = attempts::rows(py, get_object(|out| d365_error_attempts(raw, out)))?;
            let response = get_object(|out| d365_error_response(raw, out))
                .map(|response| Answer::of(py, response))
                .transpose()?;
            // Which class it is, the effect tells; what it is, the kind of the fault.
            let kind = match self.status {
                D365_WRITE_IN_DOUBT => get::<i32>(|out| d365_error_kind(raw, out))
                    .filter(|fault| *fault != D365_FAULT_NONE)
                    .map_or(status_name(D365_INTERNAL), |fault| {
                        names::fault(fault.into())
                    }),
                _ => kind,
            };
            // Who uses Python has no handles, of which that would speak.
            let message = match self.status {
                D365_FORKED => None,
                _ => get_text(|out| d365_error_message(raw, out)),
            };
            let cause = get::<i32>(|out| d365_error_cause(raw, out)).unwrap_or_default();
            let failure = NativeFailure::new_err((
                kind,
                message.unwrap_or_default(),
                names::effect(get(|out| d365_error_effect(raw, out)).unwrap_or_default()),
                get::<i32>(|out| d365_error_switched(raw, out)).unwrap_or_default() != 0,
                get::<i32>(|out| d365_error_http_status(raw, out)),
                get::<i32>(|out| d365_error_service_code(raw, out)),
                get::<i64>(|out| d365_error_retry_after_ms(raw, out)),
                attempts.unbind(),
                response,
                get::<i64>(|out| d365_error_ledger_id(raw, out)),
                get_text(|out| d365_error_tag(raw, out)),
                names::cause(cause.into()),
            ));
            if let Some(number) = get::<i64>(|out| d365_error_provider_data(raw, out)) {
                failure.value(py).setattr("provider_data", number)?;
            }
            Ok(failure)
        }
    }
}

/// What a call that was done when it was interrupted is said to be.
pub(crate) fn completed(py: Python<'_>, response: Handle<d365_response_t>) -> PyResult<PyErr> {
    let raw = response.raw();
    // SAFETY: `response` is alive for the whole block; every output is the getter's own.
    unsafe {
        let attempts = attempts::rows(py, get_object(|out| d365_response_attempts(raw, out)))?;
        let ledger_id = get::<i64>(|out| d365_response_ledger_id(raw, out));
        let tag = get_text(|out| d365_response_tag(raw, out));
        Ok(NativeFailure::new_err((
            status_name(D365_CANCELLED),
            "the call was done when it was interrupted",
            names::effect(get(|out| d365_response_effect(raw, out)).unwrap_or_default()),
            get::<i32>(|out| d365_response_switched(raw, out)).unwrap_or_default() != 0,
            get::<i32>(|out| d365_response_status(raw, out)),
            py.None(),
            py.None(),
            attempts.unbind(),
            Answer::of(py, response)?,
            ledger_id,
            tag,
            py.None(),
        )))
    }
}

fn status_name(status: d365_status_t) -> &'static str {
    // SAFETY: never null, static, and ended by a NUL.
    unsafe { CStr::from_ptr(d365_status_name(status)) }
        .to_str()
        .unwrap_or("unknown")
}
