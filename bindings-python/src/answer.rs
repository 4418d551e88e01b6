//! Responses. What of one is asked for is converted then, and kept; the rest of it never is.
//!
//! The handle of the library is dead in the child of a fork, where the response must still be readable. So what holds
//! one is listed, and converts everything just before a fork.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use d365_failover::{
    D365_SETTLED_ID, D365_SETTLED_LEFT, D365_SETTLED_RESOLUTION, D365_SETTLED_TOTAL,
    d365_response_attempts, d365_response_body, d365_response_effect, d365_response_elapsed_us,
    d365_response_header_at, d365_response_header_count, d365_response_ledger_id,
    d365_response_reason_phrase, d365_response_settled, d365_response_settled_why,
    d365_response_status, d365_response_switched, d365_response_t, d365_response_tag,
    d365_response_url, d365_response_verified, d365_str_t,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};

use crate::abi::{Handle, OK, get, get_object, get_text, no_text, octets, text};
use crate::stream::{Begun, Stream};
use crate::{attempts, names, parts};

/// A body that is longer is not kept twice: as Python's bytes, and by the library.
const MOST_KEPT: usize = 32 << 10;

/// Who has a response has `d365_failover`'s own class of it, and so gets its exceptions.
const FOREIGN: &str = "this response came before a fork that Python was not told of: what was not read of it in the \
    parent is not known in the child";

/// What is known of a write, and whether the call met a switch.
struct WriteTold {
    tag: Option<String>,
    effect: Py<PyString>,
    switched: bool,
    ledger_id: Option<i64>,
    verified: Option<&'static str>,
    elapsed_us: i64,
}

/// What is converted when it is asked for.
struct Lazy {
    /// `None`: everything is converted.
    response: Option<Handle<d365_response_t>>,
    url: PyOnceLock<Py<PyString>>,
    headers: PyOnceLock<Py<PyList>>,
    octets: PyOnceLock<Py<PyTuple>>,
    reason: PyOnceLock<Py<PyString>>,
    version: PyOnceLock<Option<&'static str>>,
    attempts: PyOnceLock<Py<PyList>>,
    parts: PyOnceLock<Py<PyList>>,
    told: PyOnceLock<WriteTold>,
}

impl Lazy {
    fn new(response: Option<Handle<d365_response_t>>) -> Self {
        Self {
            response,
            url: PyOnceLock::new(),
            headers: PyOnceLock::new(),
            octets: PyOnceLock::new(),
            reason: PyOnceLock::new(),
            version: PyOnceLock::new(),
            attempts: PyOnceLock::new(),
            parts: PyOnceLock::new(),
            told: PyOnceLock::new(),
        }
    }

    /// The handle. In a child of a fork that told Python nothing, what was not converted before is not known.
    fn raw(&self, py: Python<'_>) -> PyResult<*mut d365_response_t> {
        match &self.response {
            Some(response) if !response.is_of_this_process() => {
                let made = py.import("d365_failover._exceptions")?;
                let error = made.call_method1("of_kind", ("forked", FOREIGN))?;
                Err(PyErr::from_value(error))
            }
            response => Ok(response.as_ref().map_or(ptr::null_mut(), Handle::raw)),
        }
    }

    fn url(&self, py: Python<'_>) -> PyResult<&Py<PyString>> {
        self.url.get_or_try_init(py, || {
            let raw = self.raw(py)?;
            // SAFETY: the response lives as long as `self`; the view is copied.
            let url = get_text(|out| unsafe { d365_response_url(raw, out) });
            Ok(PyString::new(py, &url.unwrap_or_default()).unbind())
        })
    }

    fn headers(&self, py: Python<'_>) -> PyResult<&Py<PyList>> {
        self.headers.get_or_try_init(py, || {
            let headers = PyList::empty(py);
            self.each_header(py, |name, value| headers.append((text(name), text(value))))?;
            Ok(headers.unbind())
        })
    }

    fn octets(&self, py: Python<'_>) -> PyResult<&Py<PyTuple>> {
        self.octets.get_or_try_init(py, || {
            let mut pairs = Vec::new();
            self.each_header(py, |name, value| {
                // SAFETY: the views are those of a header, which lives through this call.
                let (name, value) = unsafe {
                    (
                        octets(name.data.cast(), name.len),
                        octets(value.data.cast(), value.len),
                    )
                };
                pairs.push((PyBytes::new(py, name), PyBytes::new(py, value)));
                Ok(())
            })?;
            PyTuple::new(py, pairs).map(Bound::unbind)
        })
    }

    fn each_header(
        &self,
        py: Python<'_>,
        mut take: impl FnMut(&d365_str_t, &d365_str_t) -> PyResult<()>,
    ) -> PyResult<()> {
        let raw = self.raw(py)?;
        // SAFETY: the response lives as long as `self`.
        let count = get::<usize>(|out| unsafe { d365_response_header_count(raw, out) });
        for index in 0..count.unwrap_or_default() {
            let (mut name, mut value) = (no_text(), no_text());
            // SAFETY: as above; whoever takes the views copies them.
            let told =
                unsafe { d365_response_header_at(raw, index, &raw mut name, &raw mut value) };
            if told == OK {
                take(&name, &value)?;
            }
        }
        Ok(())
    }

    fn reason(&self, py: Python<'_>) -> PyResult<&Py<PyString>> {
        self.reason.get_or_try_init(py, || {
            let raw = self.raw(py)?;
            // SAFETY: the response lives as long as `self`; the view is copied.
            let reason = get_text(|out| unsafe { d365_response_reason_phrase(raw, out) });
            Ok(PyString::new(py, &reason.unwrap_or_default()).unbind())
        })
    }

    /// Of the last attempt.
    fn version(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        let version = self.version.get_or_try_init(py, || {
            let raw = self.raw(py)?;
            // SAFETY: the response lives as long as `self`.
            let listed = get_object(|out| unsafe { d365_response_attempts(raw, out) });
            Ok::<_, PyErr>(attempts::last_version(listed))
        });
        version.copied()
    }

    fn attempts(&self, py: Python<'_>) -> PyResult<&Py<PyList>> {
        self.attempts.get_or_try_init(py, || {
            let raw = self.raw(py)?;
            // SAFETY: the response lives as long as `self`.
            let listed = get_object(|out| unsafe { d365_response_attempts(raw, out) });
            attempts::rows(py, listed).map(Bound::unbind)
        })
    }

    fn parts(&self, py: Python<'_>) -> PyResult<&Py<PyList>> {
        self.parts
            .get_or_try_init(py, || parts::rows(py, self.raw(py)?).map(Bound::unbind))
    }

    fn told(&self, py: Python<'_>) -> PyResult<&WriteTold> {
        self.told.get_or_try_init(py, || {
            let raw = self.raw(py)?;
            // SAFETY: the response lives as long as `self`.
            unsafe {
                let effect = get(|out| d365_response_effect(raw, out)).unwrap_or_default();
                let switched = get::<i32>(|out| d365_response_switched(raw, out));
                Ok(WriteTold {
                    tag: get_text(|out| d365_response_tag(raw, out)),
                    effect: PyString::intern(py, names::effect(effect)).unbind(),
                    switched: switched.unwrap_or_default() != 0,
                    ledger_id: get(|out| d365_response_ledger_id(raw, out)),
                    verified: get::<i32>(|out| d365_response_verified(raw, out))
                        .and_then(|verified| names::verified(verified.into())),
                    elapsed_us: get(|out| d365_response_elapsed_us(raw, out)).unwrap_or_default(),
                })
            }
        })
    }

    fn convert(&self, py: Python<'_>) -> PyResult<()> {
        if self.response.is_some() {
            self.url(py)?;
            self.told(py)?;
            self.headers(py)?;
            self.reason(py)?;
            self.version(py)?;
            self.attempts(py)?;
            self.parts(py)?;
        }
        Ok(())
    }
}

/// The answers that are not converted. Touched only by threads that hold the interpreter, so no fork finds it locked.
#[derive(Default)]
struct Listed {
    answers: Vec<Option<Arc<Lazy>>>,
    vacant: Vec<usize>,
}

static LISTED: Mutex<Listed> = Mutex::new(Listed {
    answers: Vec::new(),
    vacant: Vec::new(),
});

fn listed() -> MutexGuard<'static, Listed> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of an answer in the list, until it is dropped.
struct Shelf(usize);

impl Shelf {
    fn take(answer: &Arc<Lazy>) -> Self {
        let mut listed = listed();
        let answer = Some(Arc::clone(answer));
        match listed.vacant.pop() {
            Some(place) => {
                listed.answers[place] = answer;
                Self(place)
            }
            None => {
                listed.answers.push(answer);
                Self(listed.answers.len() - 1)
            }
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let mut listed = listed();
        let answer = listed.answers[self.0].take();
        listed.vacant.push(self.0);
        drop(listed);
        drop(answer);
    }
}

/// Converts what a child could not. For `os.register_at_fork`.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) -> PyResult<()> {
    let answers: Vec<Arc<Lazy>> = listed().answers.iter().flatten().cloned().collect();
    answers.iter().try_for_each(|answer| answer.convert(py))
}

/// A response.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Answer {
    #[pyo3(get)]
    status: i32,
    /// `None` where it is not read yet.
    #[pyo3(get)]
    content: Option<Py<PyBytes>>,
    stream: Mutex<Option<Stream>>,
    lazy: Arc<Lazy>,
    _place: Option<Shelf>,
}

impl Answer {
    pub(crate) fn of(py: Python<'_>, response: Handle<d365_response_t>) -> PyResult<Self> {
        let raw = response.raw();
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: `response` is alive during the block, and the bytes are copied inside it.
        let (status, content) = unsafe {
            let status = get::<i32>(|out| d365_response_status(raw, out)).unwrap_or_default();
            let collected = d365_response_body(raw, &raw mut data, &raw mut len) == OK;
            let bytes = collected.then(|| PyBytes::new(py, octets(data, len)).unbind());
            (status, bytes)
        };
        let begun = content.is_none().then(|| Begun::of(&response));
        let is_read_later = begun.as_ref().is_some_and(|begun| !begun.has_ended);
        let mut lazy = Lazy::new(Some(response));
        let mut rest = None;
        if is_read_later || len > MOST_KEPT {
            lazy.convert(py)?;
            lazy.octets(py)?;
            rest = lazy.response.take().filter(|_| is_read_later);
        }
        let stream = begun.map(|begun| Stream::new(begun, rest));
        let lazy = Arc::new(lazy);
        let place = lazy.response.is_some().then(|| Shelf::take(&lazy));
        Ok(Self {
            status,
            content,
            stream: Mutex::new(stream),
            lazy,
            _place: place,
        })
    }
}

#[pymethods]
impl Answer {
    /// One that was taken apart by `__reduce__`.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "what a response has")]
    fn new(
        py: Python<'_>,
        status: i32,
        url: Py<PyString>,
        headers: Py<PyList>,
        content: Option<Py<PyBytes>>,
        effect: Py<PyString>,
        switched: bool,
        attempts: Py<PyList>,
        ledger_id: Option<i64>,
        parts: Py<PyList>,
        tag: Option<String>,
        reason: Py<PyString>,
        elapsed_us: i64,
    ) -> Self {
        let lazy = Lazy::new(None);
        let told = WriteTold {
            tag,
            effect,
            switched,
            ledger_id,
            verified: None,
            elapsed_us,
        };
        // They are empty as yet.
        let _ = lazy.url.set(py, url);
        let _ = lazy.headers.set(py, headers);
        let _ = lazy.reason.set(py, reason);
        let _ = lazy.attempts.set(py, attempts);
        let _ = lazy.parts.set(py, parts);
        let _ = lazy.told.set(py, told);
        Self {
            status,
            content,
            stream: Mutex::default(),
            lazy: Arc::new(lazy),
            _place: None,
        }
    }

    #[getter]
    fn url(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.lazy.url(py)?.clone_ref(py))
    }

    /// Pairs of name and value, as they came.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        Ok(self.lazy.headers(py)?.clone_ref(py))
    }

    #[getter]
    fn effect(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.lazy.told(py)?.effect.clone_ref(py))
    }

    #[getter]
    fn switched(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lazy.told(py)?.switched)
    }

    #[getter]
    fn ledger_id(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        Ok(self.lazy.told(py)?.ledger_id)
    }

    #[getter]
    fn tag(&self, py: Python<'_>) -> PyResult<Option<&str>> {
        Ok(self.lazy.told(py)?.tag.as_deref())
    }

    #[getter]
    fn reason(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        Ok(self.lazy.reason(py)?.clone_ref(py))
    }

    /// `headers` in octets. Not of a copy.
    #[getter]
    fn octets(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Ok(self.lazy.octets(py)?.clone_ref(py))
    }

    /// The HTTP version of the last attempt. Not of a copy.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        self.lazy.version(py)
    }

    #[getter]
    fn elapsed_us(&self, py: Python<'_>) -> PyResult<i64> {
        Ok(self.lazy.told(py)?.elapsed_us)
    }

    /// What was found out about the write that was asked about.
    #[getter]
    fn verified(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        Ok(self.lazy.told(py)?.verified)
    }

    /// What a step of a walk has done, `(numbers, why)`; the numbers are the ABI's, from D365_SETTLED_ID on.
    #[getter]
    fn settled(&self, py: Python<'_>) -> PyResult<Option<(Vec<i64>, String)>> {
        let raw = self.lazy.raw(py)?;
        // SAFETY: the response lives as long as `self`.
        unsafe {
            let number = |field| get::<i64>(|out| d365_response_settled(raw, field, out));
            let step = D365_SETTLED_ID..=D365_SETTLED_RESOLUTION;
            let whole = D365_SETTLED_TOTAL..=D365_SETTLED_LEFT;
            let numbers: Option<Vec<i64>> = step.chain(whole).map(number).collect();
            let why = get_text(|out| d365_response_settled_why(raw, out));
            Ok(numbers.zip(why))
        }
    }

    #[getter]
    fn attempts(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        Ok(self.lazy.attempts(py)?.clone_ref(py))
    }

    #[getter]
    fn parts(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        Ok(self.lazy.parts(py)?.clone_ref(py))
    }

    /// What the content is to be read from, where it is not read yet. The caller's from then on.
    fn take_stream(&self) -> Option<Stream> {
        self.stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let told = this.lazy.told(py)?;
        let parts = (
            this.status,
            this.lazy.url(py)?,
            this.lazy.headers(py)?,
            &this.content,
            &told.effect,
            told.switched,
            this.lazy.attempts(py)?,
            told.ledger_id,
            this.lazy.parts(py)?,
            &told.tag,
            this.lazy.reason(py)?,
            told.elapsed_us,
        );
        Ok((slf.get_type(), parts.into_pyobject(py)?))
    }
}
