//! The pure functions: URLs and faults.

use std::ffi::c_char;

use d365_failover::{
    D365_FAULT_NONE, D365_PHASE_NOT_SENT, D365_PHASE_SENT, D365_PRESET_DOTNET, d365_error_t,
    d365_explain_fault, d365_explain_response, d365_fault_cause, d365_fault_from_response,
    d365_fault_kind, d365_fault_message, d365_fault_retry_after_ms, d365_fault_service_code,
    d365_fault_starts_failover, d365_header_t, d365_status_t, d365_text_t, d365_text_view,
    d365_url_alternate, d365_url_is_alternate, d365_url_primary, d365_url_shown,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

use crate::abi::{Failure, Handle, chars, get, get_text, make, read};
use crate::names;
use crate::request;

type Rewrite = unsafe extern "C" fn(
    *const c_char,
    usize,
    *mut *mut d365_text_t,
    *mut *mut d365_error_t,
) -> d365_status_t;

fn rewrite(py: Python<'_>, url: &str, function: Rewrite) -> PyResult<String> {
    // SAFETY: `url` lives through the call.
    let text = make(|out, error| unsafe { function(chars(url), url.len(), out, error) })
        .map_err(|failure| failure.into_exception(py))?;
    // SAFETY: `text` is alive.
    Ok(get_text(|out| unsafe { d365_text_view(text.raw(), out) }).unwrap_or_default())
}

#[pyfunction]
pub(crate) fn url_alternate(py: Python<'_>, url: &str) -> PyResult<String> {
    rewrite(py, url, d365_url_alternate)
}

#[pyfunction]
pub(crate) fn url_primary(py: Python<'_>, url: &str) -> PyResult<String> {
    rewrite(py, url, d365_url_primary)
}

#[pyfunction]
pub(crate) fn url_shown(py: Python<'_>, url: &str) -> PyResult<String> {
    rewrite(py, url, d365_url_shown)
}

#[pyfunction]
pub(crate) fn url_is_alternate(py: Python<'_>, url: &str) -> PyResult<bool> {
    // SAFETY: `url` lives through the call.
    read::<i32>(|out, error| unsafe { d365_url_is_alternate(chars(url), url.len(), out, error) })
        .map(|flag| flag != 0)
        .map_err(|failure| failure.into_exception(py))
}

/// `(kind, code, retry_after_ms, message, starts_failover, cause)`, or `None` for what is no fault.
type Fault = (
    &'static str,
    Option<i32>,
    Option<i64>,
    String,
    bool,
    Option<&'static str>,
);

#[pyfunction]
pub(crate) fn classify(
    py: Python<'_>,
    status: i32,
    headers: Vec<(PyBackedStr, PyBackedStr)>,
    body: &[u8],
) -> PyResult<Option<Fault>> {
    classified(status, &headers, body).map_err(|failure| failure.into_exception(py))
}

/// They point into what they are made from.
fn of_headers(headers: &[(PyBackedStr, PyBackedStr)]) -> Vec<d365_header_t> {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| d365_header_t {
        name: chars(name),
        name_len: name.len(),
        value: chars(value),
        value_len: value.len(),
    });
    headers.collect()
}

fn classified(
    status: i32,
    headers: &[(PyBackedStr, PyBackedStr)],
    body: &[u8],
) -> Result<Option<Fault>, Failure> {
    let headers = of_headers(headers);
    // SAFETY: headers, body and fault live through the calls that get them.
    unsafe {
        let fault = make(|out, error| {
            d365_fault_from_response(
                status,
                headers.as_ptr(),
                headers.len(),
                body.as_ptr(),
                body.len(),
                out,
                error,
            )
        })?;
        let raw = fault.raw();
        let kind = get::<i32>(|out| d365_fault_kind(raw, out)).unwrap_or_default();
        if kind == D365_FAULT_NONE {
            return Ok(None);
        }
        Ok(Some((
            names::fault(kind.into()),
            get::<i32>(|out| d365_fault_service_code(raw, out)),
            get::<i64>(|out| d365_fault_retry_after_ms(raw, out)),
            get_text(|out| d365_fault_message(raw, out)).unwrap_or_default(),
            read::<i32>(|out, error| {
                d365_fault_starts_failover(raw, D365_PRESET_DOTNET, out, error)
            })? != 0,
            names::cause(
                get::<i32>(|out| d365_fault_cause(raw, out))
                    .unwrap_or_default()
                    .into(),
            ),
        )))
    }
}

/// What would be done about an answer to a request, as JSON.
#[pyfunction]
pub(crate) fn explain_response(
    py: Python<'_>,
    request: &Bound<'_, PyTuple>,
    preset: i32,
    status: i32,
    headers: Vec<(PyBackedStr, PyBackedStr)>,
    body: &[u8],
) -> PyResult<String> {
    let headers = of_headers(&headers);
    let built = request::build(request)?;
    // SAFETY: request, headers and body live through the call.
    let told = make(|out, error| unsafe {
        d365_explain_response(
            built.raw(),
            preset,
            status,
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            out,
            error,
        )
    });
    explained(py, told)
}

/// The same of a fault, by the name of its cause; `was_sent`: a byte of the request had left.
#[pyfunction]
pub(crate) fn explain_fault(
    py: Python<'_>,
    request: &Bound<'_, PyTuple>,
    preset: i32,
    cause: &str,
    was_sent: bool,
) -> PyResult<String> {
    let phase = if was_sent {
        D365_PHASE_SENT
    } else {
        D365_PHASE_NOT_SENT
    };
    // The numbers begin at 1 and have no gap.
    let known = (1..)
        .map_while(|number: i32| names::cause(number.into()).filter(|name| *name != "unknown"))
        .collect::<Vec<_>>();
    let Some(number) = known.iter().position(|name| *name == cause) else {
        let why = format!("cause: {cause:?} is none of {}", known.join(", "));
        let made = py.import("d365_failover._exceptions")?;
        return Err(PyErr::from_value(
            made.call_method1("of_kind", ("invalid_argument", why))?,
        ));
    };
    let number = i32::try_from(number + 1).unwrap_or(i32::MAX);
    let built = request::build(request)?;
    // SAFETY: the request lives through the call.
    let told = make(|out, error| unsafe {
        d365_explain_fault(built.raw(), preset, number, phase, out, error)
    });
    explained(py, told)
}

fn explained(py: Python<'_>, told: Result<Handle<d365_text_t>, Failure>) -> PyResult<String> {
    let text = told.map_err(|failure| failure.into_exception(py))?;
    // SAFETY: `text` is alive.
    Ok(get_text(|out| unsafe { d365_text_view(text.raw(), out) }).unwrap_or_default())
}
