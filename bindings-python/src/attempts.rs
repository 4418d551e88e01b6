//! Attempts, as Python has them.

use d365_failover::{
    D365_ATTEMPT_CAUSE, D365_ATTEMPT_EPOCH, D365_ATTEMPT_FAULT_KIND, D365_ATTEMPT_HTTP_STATUS,
    D365_ATTEMPT_HTTP_VERSION, D365_ATTEMPT_MESSAGE, D365_ATTEMPT_PHASE, D365_ATTEMPT_ROLE,
    D365_ATTEMPT_SERVICE_CODE, D365_ATTEMPT_STARTED_MS, D365_ATTEMPT_TOOK_US, D365_ATTEMPT_URL,
    d365_attempts_count, d365_attempts_number, d365_attempts_t, d365_attempts_text,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::abi::{Handle, get, get_text};
use crate::names;

/// The HTTP version of the last of them.
pub(crate) fn last_version(attempts: Option<Handle<d365_attempts_t>>) -> Option<&'static str> {
    let attempts = attempts?;
    let raw = attempts.raw();
    // SAFETY: `attempts` is alive during the block.
    let number = unsafe {
        let last = get::<usize>(|out| d365_attempts_count(raw, out))?.checked_sub(1)?;
        get::<i64>(|out| d365_attempts_number(raw, last, D365_ATTEMPT_HTTP_VERSION, out))?
    };
    names::version(number)
}

/// One `(role, epoch, phase, fault, http_status, code, started_ms, took_us, url, message, http_version,
/// cause)` an attempt.
pub(crate) fn rows<'py>(
    py: Python<'py>,
    attempts: Option<Handle<d365_attempts_t>>,
) -> PyResult<Bound<'py, PyList>> {
    let rows = PyList::empty(py);
    let Some(attempts) = attempts else {
        return Ok(rows);
    };
    let raw = attempts.raw();
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
                    names::role(number(D365_ATTEMPT_ROLE))
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_EPOCH).into_pyobject(py)?.into_any(),
                    names::phase(number(D365_ATTEMPT_PHASE))
                        .into_pyobject(py)?
                        .into_any(),
                    (fault != 0)
                        .then(|| names::fault(fault))
                        .into_pyobject(py)?
                        .into_any(),
                    names::present(number(D365_ATTEMPT_HTTP_STATUS))
                        .into_pyobject(py)?
                        .into_any(),
                    names::present(number(D365_ATTEMPT_SERVICE_CODE))
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_STARTED_MS)
                        .into_pyobject(py)?
                        .into_any(),
                    number(D365_ATTEMPT_TOOK_US).into_pyobject(py)?.into_any(),
                    words(D365_ATTEMPT_URL).into_pyobject(py)?.into_any(),
                    words(D365_ATTEMPT_MESSAGE).into_pyobject(py)?.into_any(),
                    names::version(number(D365_ATTEMPT_HTTP_VERSION))
                        .into_pyobject(py)?
                        .into_any(),
                    names::cause(number(D365_ATTEMPT_CAUSE))
                        .into_pyobject(py)?
                        .into_any(),
                ],
            )?)?;
        }
    }
    Ok(rows)
}
