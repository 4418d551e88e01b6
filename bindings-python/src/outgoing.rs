//! An attempt that was not sent yet, as the prepare hook sees it.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use d365_failover::{
    D365_INVALID_HANDLE, D365_NOT_AVAILABLE, D365_OUTGOING_ATTEMPT, D365_OUTGOING_EPOCH,
    D365_OUTGOING_ROLE, d365_outgoing_body, d365_outgoing_endpoint_url, d365_outgoing_fail,
    d365_outgoing_header, d365_outgoing_method, d365_outgoing_number, d365_outgoing_remove_header,
    d365_outgoing_set_body, d365_outgoing_set_header, d365_outgoing_t, d365_outgoing_url,
    d365_status_t, d365_str_t,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::abi::{Failure, OK, chars, no_text, octets, run, text};
use crate::names;

/// The library's handle for as long as its callback runs. Views of it are copied under the lock.
pub(crate) struct Lent(Mutex<Option<*mut d365_outgoing_t>>);

// SAFETY: handles are no addresses, and every function of the ABI is thread-safe on every handle.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    pub(crate) fn new(raw: *mut d365_outgoing_t) -> Self {
        Self(Mutex::new(Some(raw)))
    }

    pub(crate) fn take_back(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Says why an attempt is not to be sent, and what its callback answers.
pub(crate) fn fail(outgoing: *mut d365_outgoing_t, message: &str) -> i32 {
    // SAFETY: inside of the callback, and the message is copied.
    unsafe { d365_outgoing_fail(outgoing, chars(message), message.len(), ptr::null_mut()) };
    1
}

#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Outgoing {
    lent: Arc<Lent>,
}

impl Outgoing {
    pub(crate) fn new(lent: Arc<Lent>) -> Self {
        Self { lent }
    }

    fn with<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(*mut d365_outgoing_t) -> Result<T, Failure>,
    ) -> PyResult<T> {
        let lent = self.lent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let worked = match *lent {
            Some(raw) => work(raw),
            None => Err(Failure::of(D365_INVALID_HANDLE)),
        };
        drop(lent);
        worked.map_err(|failure| failure.into_exception(py))
    }

    fn text(
        &self,
        py: Python<'_>,
        getter: impl FnOnce(*mut d365_outgoing_t, *mut d365_str_t) -> d365_status_t,
    ) -> PyResult<Option<String>> {
        self.with(py, |raw| {
            let mut view = no_text();
            present(getter(raw, &raw mut view)).map(|is_there| is_there.then(|| text(&view)))
        })
    }

    fn number(&self, py: Python<'_>, field: i32) -> PyResult<i64> {
        self.with(py, |raw| {
            let mut value = 0;
            // SAFETY: `value` lives through the call.
            present(unsafe { d365_outgoing_number(raw, field, &raw mut value) }).map(|_| value)
        })
    }
}

fn present(status: d365_status_t) -> Result<bool, Failure> {
    match status {
        OK => Ok(true),
        D365_NOT_AVAILABLE => Ok(false),
        status => Err(Failure::of(status)),
    }
}

#[pymethods]
impl Outgoing {
    #[getter]
    fn url(&self, py: Python<'_>) -> PyResult<String> {
        // SAFETY: the view is copied while the attempt is lent.
        let url = self.text(py, |raw, out| unsafe { d365_outgoing_url(raw, out) })?;
        Ok(url.unwrap_or_default())
    }

    #[getter]
    fn endpoint_url(&self, py: Python<'_>) -> PyResult<Option<String>> {
        // SAFETY: the view is copied while the attempt is lent.
        self.text(py, |raw, out| unsafe {
            d365_outgoing_endpoint_url(raw, out)
        })
    }

    #[getter]
    fn method(&self, py: Python<'_>) -> PyResult<String> {
        // SAFETY: the view is copied while the attempt is lent.
        let method = self.text(py, |raw, out| unsafe { d365_outgoing_method(raw, out) })?;
        Ok(method.unwrap_or_default())
    }

    #[getter]
    fn role(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        self.number(py, D365_OUTGOING_ROLE).map(names::role)
    }

    #[getter]
    fn epoch(&self, py: Python<'_>) -> PyResult<i64> {
        self.number(py, D365_OUTGOING_EPOCH)
    }

    #[getter]
    fn number_of_attempt(&self, py: Python<'_>) -> PyResult<i64> {
        self.number(py, D365_OUTGOING_ATTEMPT)
    }

    fn header(&self, py: Python<'_>, name: &str) -> PyResult<Option<String>> {
        // SAFETY: the name lives through the call, and the view is copied while the attempt is lent.
        self.text(py, |raw, out| unsafe {
            d365_outgoing_header(raw, chars(name), name.len(), out)
        })
    }

    fn set_header(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        self.with(py, |raw| {
            // SAFETY: both texts live through the call.
            run(|error| unsafe {
                d365_outgoing_set_header(
                    raw,
                    chars(name),
                    name.len(),
                    chars(value),
                    value.len(),
                    error,
                )
            })
        })
    }

    fn remove_header(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.with(py, |raw| {
            // SAFETY: the name lives through the call.
            run(|error| unsafe { d365_outgoing_remove_header(raw, chars(name), name.len(), error) })
        })
    }

    /// The body; `None` for one that is read while it is sent.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.with(py, |raw| {
            let (mut data, mut len) = (ptr::null(), 0);
            // SAFETY: the outputs live through the call; the bytes are copied while the attempt is lent.
            unsafe {
                let told = present(d365_outgoing_body(raw, &raw mut data, &raw mut len));
                told.map(|is_there| is_there.then(|| PyBytes::new(py, octets(data, len))))
            }
        })
    }

    fn set_content(&self, py: Python<'_>, content: &[u8]) -> PyResult<()> {
        self.with(py, |raw| {
            // SAFETY: the bytes live through the call.
            run(|error| unsafe {
                d365_outgoing_set_body(raw, content.as_ptr(), content.len(), error)
            })
        })
    }
}
