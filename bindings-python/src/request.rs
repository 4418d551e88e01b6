//! One request, from Python's arguments to the ABI's object.

use std::ptr;

use d365_failover::{
    D365_ROLE_ALTERNATE, D365_ROLE_PRIMARY, d365_error_t, d365_header_t, d365_request_add_header,
    d365_request_fields_t, d365_request_new, d365_request_new_check, d365_request_new_discover,
    d365_request_new_replay, d365_request_new_settle, d365_request_new_settle_on,
    d365_request_new_verify, d365_request_new_verify_with, d365_request_set_attempt_timeout_ms,
    d365_request_set_body, d365_request_set_body_reader, d365_request_set_connect_timeout_ms,
    d365_request_set_guarded_create, d365_request_set_operation, d365_request_set_read_timeout_ms,
    d365_request_set_streaming, d365_request_set_tag, d365_request_set_timeout_ms,
    d365_request_set_upsert, d365_request_t, d365_status_t,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::abi::{Failure, Handle, chars, make, run};
use crate::call;

const STREAMING: u32 = 1;
const GUARDED_CREATE: u32 = 2;
const UPSERT: u32 = 4;
const DISCOVERS: u32 = 8;
const REPLAYS: u32 = 16;
const WANTED: u32 = 32;
const CHECKS_PRIMARY: u32 = 64;
const CHECKS_ALTERNATE: u32 = 128;

/// What it is about on record.
#[derive(FromPyObject)]
pub(crate) enum About {
    Write(i64),
    Walk(Py<Walk>),
}

/// A walk over the writes to verify, of which each call brings a step.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Walk(Handle<d365_request_t>);

#[pymethods]
impl Walk {
    #[new]
    fn new(py: Python<'_>, flags: u32) -> PyResult<Self> {
        // SAFETY: the outputs are local variables.
        make(|out, error| unsafe { d365_request_new_settle(flags, out, error) })
            .map(Walk)
            .map_err(|failure| failure.into_exception(py))
    }
}

/// What a request is, as the ABI takes it in one piece. It points into Python's objects, which are held here.
pub(crate) struct Fields<'py> {
    pub(crate) told: Told,
    headers: Vec<d365_header_t>,
    /// Their names and values.
    _texts: Vec<Pair<'py>>,
}

type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// What crosses to where the interpreter is not held.
pub(crate) struct Told(d365_request_fields_t);

// SAFETY: it is only read, while a `Fields` holds what it points to.
unsafe impl Send for Told {}
// SAFETY: as above.
unsafe impl Sync for Told {}

impl Told {
    pub(crate) fn raw(&self) -> &d365_request_fields_t {
        &self.0
    }

    pub(crate) fn raw_mut(&mut self) -> &mut d365_request_fields_t {
        &mut self.0
    }
}

impl<'py> Fields<'py> {
    /// Of what the caller holds while they are used.
    pub(crate) fn new(
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyString>,
        headers: impl Iterator<Item = PyResult<Pair<'py>>>,
        body: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Self> {
        let (method, url) = (method.to_str()?, url.to_str()?);
        let mut fields = Fields {
            told: Told(d365_request_fields_t {
                method: chars(method),
                method_len: method.len(),
                url: chars(url),
                url_len: url.len(),
                ..d365_request_fields_t::default()
            }),
            headers: Vec::new(),
            _texts: Vec::new(),
        };
        for pair in headers {
            let texts = pair?;
            let (name, value) = (texts.0.cast::<PyString>()?, texts.1.cast::<PyString>()?);
            let (name, value) = (name.to_str()?, value.to_str()?);
            fields.headers.push(d365_header_t {
                name: chars(name),
                name_len: name.len(),
                value: chars(value),
                value_len: value.len(),
            });
            // What they were taken from is Python's to change.
            fields._texts.push(texts);
        }
        let raw = fields.told.raw_mut();
        raw.headers = fields.headers.as_ptr();
        raw.header_count = fields.headers.len();
        if let Some(body) = body {
            let body = body.as_bytes();
            (raw.body, raw.body_len) = (body.as_ptr(), body.len());
        }
        Ok(fields)
    }

    /// Of a request's tuple, as [`build`] takes it. `None`: it is no such request.
    pub(crate) fn of(request: &Bound<'py, PyTuple>) -> PyResult<Option<Self>> {
        let field = |index| request.get_borrowed_item(index);
        let ms = |index| Ok::<_, PyErr>(field(index)?.extract::<Option<i64>>()?.unwrap_or(0));
        let flags: u32 = field(6)?.extract()?;
        let body = field(3)?;
        let is_whole = body.is_none() || body.cast::<PyBytes>().is_ok();
        if !is_whole || flags & !(STREAMING | GUARDED_CREATE | UPSERT) != 0 || !field(8)?.is_none()
        {
            return Ok(None);
        }
        let (method, url, headers) = (field(0)?, field(1)?, field(2)?);
        let (method, url) = (method.cast::<PyString>()?, url.cast::<PyString>()?);
        let headers = headers.cast::<PyList>()?;
        let body = body.cast::<PyBytes>().ok();
        let pairs = headers.iter().map(|pair| {
            let pair = pair.cast::<PyTuple>()?;
            Ok((pair.get_item(0)?, pair.get_item(1)?))
        });
        let mut fields = Fields::new(&method, &url, pairs, body.as_deref())?;
        let raw = fields.told.raw_mut();
        raw.timeout_ms = ms(4)?;
        raw.connect_timeout_ms = ms(9)?;
        raw.attempt_timeout_ms = ms(10)?;
        raw.read_timeout_ms = ms(11)?;
        raw.operation = field(5)?.extract()?;
        raw.is_streaming = i32::from(flags & STREAMING != 0);
        raw.is_guarded_create = i32::from(flags & GUARDED_CREATE != 0);
        raw.is_upsert = i32::from(flags & UPSERT != 0);
        let tag = field(7)?;
        if !tag.is_none() {
            let tag = tag.cast::<PyString>()?;
            let tag = tag.to_str()?;
            (raw.tag, raw.tag_len) = (chars(tag), tag.len());
        }
        Ok(Some(fields))
    }
}

/// Makes one of `(method, url, headers, body, timeout_ms, operation, flags, tag, ledger_id, connect_timeout_ms,
/// attempt_timeout_ms, read_timeout_ms)`; the body is bytes, or `(length, rewindable)` of what the call asks for by and by.
///
/// One that is about writes on record, discovers, or checks, has only headers and times besides, and the URL that the application
/// names.
pub(crate) fn build(request: &Bound<'_, PyTuple>) -> PyResult<Handle<d365_request_t>> {
    let failed = |failure: Failure| failure.into_exception(request.py());
    // Each where it stands: in every call, and of most there is nothing.
    let field = |index| request.get_borrowed_item(index);
    let number = |index| field(index)?.extract::<Option<i64>>();
    let (method, url) = (field(0)?.cast::<PyString>()?, field(1)?.cast::<PyString>()?);
    let (method, url) = (method.to_str()?, url.to_str()?);
    let flags: u32 = field(6)?.extract()?;
    let about = field(8)?.extract()?;
    // SAFETY: every pointer below is of a value that lives through its call, and is copied by it.
    unsafe {
        let request = make(|out, error| match &about {
            _ if flags & DISCOVERS != 0 => d365_request_new_discover(out, error),
            _ if flags & CHECKS_PRIMARY != 0 => {
                d365_request_new_check(D365_ROLE_PRIMARY, out, error)
            }
            _ if flags & CHECKS_ALTERNATE != 0 => {
                d365_request_new_check(D365_ROLE_ALTERNATE, out, error)
            }
            Some(About::Walk(walk)) => d365_request_new_settle_on(walk.get().0.raw(), out, error),
            Some(About::Write(id)) if flags & REPLAYS != 0 => {
                let is_wanted = i32::from(flags & WANTED != 0);
                d365_request_new_replay(*id, is_wanted, out, error)
            }
            Some(About::Write(id)) if url.is_empty() => d365_request_new_verify(*id, out, error),
            Some(About::Write(id)) => {
                d365_request_new_verify_with(*id, chars(url), url.len(), out, error)
            }
            None => d365_request_new(
                chars(method),
                method.len(),
                chars(url),
                url.len(),
                out,
                error,
            ),
        })
        .map_err(failed)?;
        let raw = request.raw();
        let set = |set: &dyn Fn(*mut *mut d365_error_t) -> d365_status_t| run(set).map_err(failed);
        for pair in field(2)?.cast::<PyList>()?.iter() {
            let pair = pair.cast::<PyTuple>()?;
            let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
            let (name, value) = (name.cast::<PyString>()?, value.cast::<PyString>()?);
            let (name, value) = (name.to_str()?, value.to_str()?);
            let (name, name_len) = (chars(name), name.len());
            let (value, value_len) = (chars(value), value.len());
            set(&|error| d365_request_add_header(raw, name, name_len, value, value_len, error))?;
        }
        let body = field(3)?;
        if let Ok(body) = body.cast::<PyBytes>() {
            let body = body.as_bytes();
            set(&|error| d365_request_set_body(raw, body.as_ptr(), body.len(), error))?;
        } else if let Some((length, rewindable)) = body.extract::<Option<(i64, bool)>>()? {
            let rewind = rewindable.then_some(call::rewind as _);
            let read = Some(call::read as _);
            let nothing = ptr::null_mut();
            set(&|error| {
                d365_request_set_body_reader(raw, read, rewind, length, nothing, None, error)
            })?;
        }
        if flags & STREAMING != 0 {
            set(&|error| d365_request_set_streaming(raw, 1, error))?;
        }
        if flags & GUARDED_CREATE != 0 {
            set(&|error| d365_request_set_guarded_create(raw, 1, error))?;
        }
        if flags & UPSERT != 0 {
            set(&|error| d365_request_set_upsert(raw, 1, error))?;
        }
        if let Some(ms) = number(4)? {
            set(&|error| d365_request_set_timeout_ms(raw, ms, error))?;
        }
        if let Some(ms) = number(9)? {
            set(&|error| d365_request_set_connect_timeout_ms(raw, ms, error))?;
        }
        if let Some(ms) = number(10)? {
            set(&|error| d365_request_set_attempt_timeout_ms(raw, ms, error))?;
        }
        if let Some(ms) = number(11)? {
            set(&|error| d365_request_set_read_timeout_ms(raw, ms, error))?;
        }
        let tag = field(7)?;
        if !tag.is_none() {
            let tag = tag.cast::<PyString>()?;
            let tag = tag.to_str()?;
            set(&|error| d365_request_set_tag(raw, chars(tag), tag.len(), error))?;
        }
        let operation: i32 = field(5)?.extract()?;
        if operation != 0 {
            set(&|error| d365_request_set_operation(raw, operation, error))?;
        }
        Ok(request)
    }
}
