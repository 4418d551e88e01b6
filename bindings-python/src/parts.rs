//! What a batch's answer says of its requests, as Python has it.

use d365_failover::{
    D365_PART_CODE, D365_PART_INDEX, D365_PART_STATUS, d365_parts_count, d365_parts_number,
    d365_response_parts, d365_response_t,
};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::abi::{get, get_object};
use crate::names;

/// One `(index, status, code)` a part. The handle may be any.
pub(crate) fn rows<'py>(
    py: Python<'py>,
    response: *const d365_response_t,
) -> PyResult<Bound<'py, PyList>> {
    let rows = PyList::empty(py);
    // SAFETY: a handle is never dereferenced; the output is the getter's own.
    let Some(parts) = get_object(|out| unsafe { d365_response_parts(response, out) }) else {
        return Ok(rows);
    };
    let raw = parts.raw();
    // SAFETY: `parts` is alive during the block.
    unsafe {
        let count = get::<usize>(|out| d365_parts_count(raw, out)).unwrap_or_default();
        for part in 0..count {
            let number = |field| {
                get::<i64>(|out| d365_parts_number(raw, part, field, out)).unwrap_or_default()
            };
            rows.append((
                number(D365_PART_INDEX),
                names::present(number(D365_PART_STATUS)),
                names::present(number(D365_PART_CODE)),
            ))?;
        }
    }
    Ok(rows)
}
