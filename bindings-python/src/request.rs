//! One request, from Python's arguments to the ABI's object.

use d365_failover::{
    d365_request_add_header, d365_request_new, d365_request_set_body, d365_request_set_operation,
    d365_request_set_timeout_ms, d365_request_t,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;

use crate::abi::{Failure, Handle, chars, make, run};

/// `(method, url, headers, body, timeout_ms, operation)`
pub(crate) type Request<'py> = (
    PyBackedStr,
    PyBackedStr,
    Vec<(PyBackedStr, PyBackedStr)>,
    Option<Bound<'py, PyBytes>>,
    Option<i64>,
    i32,
);

pub(crate) fn build(request: &Request<'_>) -> Result<Handle<d365_request_t>, Failure> {
    let (method, url, headers, body, timeout_ms, operation) = request;
    // SAFETY: every pointer below is of a value that lives through its call, and is copied by it.
    unsafe {
        let request = make(|out, error| {
            d365_request_new(
                chars(method),
                method.len(),
                chars(url),
                url.len(),
                out,
                error,
            )
        })?;
        let raw = request.raw();
        for (name, value) in headers {
            run(|error| {
                d365_request_add_header(
                    raw,
                    chars(name),
                    name.len(),
                    chars(value),
                    value.len(),
                    error,
                )
            })?;
        }
        if let Some(body) = body {
            let body = body.as_bytes();
            run(|error| d365_request_set_body(raw, body.as_ptr(), body.len(), error))?;
        }
        if let Some(timeout_ms) = *timeout_ms {
            run(|error| d365_request_set_timeout_ms(raw, timeout_ms, error))?;
        }
        if *operation != 0 {
            run(|error| d365_request_set_operation(raw, *operation, error))?;
        }
        Ok(request)
    }
}
