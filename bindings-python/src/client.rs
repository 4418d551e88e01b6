//! The client: blocking calls, submitted calls, endpoints.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use d365_failover::{
    D365_FORKED, D365_NO_ALTERNATE, d365_client_active_url, d365_client_alternate_url,
    d365_client_current_override, d365_client_endpoint_auto_switch_enabled, d365_client_epoch,
    d365_client_is_primary, d365_client_ledger_evicted, d365_client_maintenance, d365_client_open,
    d365_client_primary_url, d365_client_send, d365_client_send_fields,
    d365_client_set_endpoint_auto_switch_enabled, d365_client_statistics, d365_client_submit,
    d365_client_subscribe, d365_client_t, d365_error_t, d365_pending_cancel,
    d365_pending_ledger_id, d365_pending_t, d365_queue_close, d365_queue_new, d365_queue_t,
    d365_request_set_check, d365_response_t, d365_settings_new, d365_settings_set,
    d365_settings_set_prepare, d365_settings_set_queue, d365_settings_t, d365_status_t, d365_str_t,
    d365_text_t, d365_text_view,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyDictMethods, PyString, PyTuple};

use crate::abi::{Failure, Handle, chars, get, get_text, make, no_text, read, run, text};
use crate::answer::Answer;
use crate::bell::Bell;
use crate::call::{self, Call};
use crate::errand::Errand;
use crate::gate::Interrupt;
use crate::queue::Queue;
use crate::request::{self, Fields};
use crate::tokens::{Channel, TokenQueue};
use crate::{chore, gate, raise};

type Settings = Vec<(PyBackedStr, PyBackedStr)>;

fn settings_of(url: &str, settings: &Settings) -> Result<Handle<d365_settings_t>, Failure> {
    // SAFETY: every pointer below is of a value that lives through its call.
    unsafe {
        let made = make(|out, error| d365_settings_new(chars(url), url.len(), out, error))?;
        for (key, value) in settings {
            run(|error| {
                d365_settings_set(
                    made.raw(),
                    chars(key),
                    key.len(),
                    chars(value),
                    value.len(),
                    error,
                )
            })?;
        }
        Ok(made)
    }
}

/// Refuses what can be refused before a client is opened, without I/O.
#[pyfunction]
pub(crate) fn check_settings(py: Python<'_>, url: &str, settings: Settings) -> PyResult<()> {
    match settings_of(url, &settings) {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.into_exception(py)),
    }
}

/// A client with the queue of its events and completions.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Client {
    client: Arc<Handle<d365_client_t>>,
    queue: Arc<Handle<d365_queue_t>>,
    tokens: Option<Arc<Channel>>,
}

impl Client {
    fn raw(&self, py: Python<'_>) -> PyResult<*mut d365_client_t> {
        if self.client.is_of_this_process() {
            Ok(self.client.raw())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }

    /// As `raw`, for what is sent: the library says what is known of a write that it refuses.
    fn raw_for(&self, request: &Bound<'_, PyTuple>) -> PyResult<*mut d365_client_t> {
        let client = self.client.raw();
        if self.client.is_of_this_process() {
            return Ok(client);
        }
        let built = request::build(request)?;
        // SAFETY: handles may be of another process, and the outputs are `make`'s own.
        let refused =
            make(|out, error| unsafe { d365_client_send(client, built.raw(), out, error) });
        let failure = refused.map_or_else(
            |failure| failure,
            |_: Handle<d365_response_t>| Failure::of(D365_FORKED),
        );
        Err(failure.into_exception(request.py()))
    }

    fn url(
        &self,
        py: Python<'_>,
        getter: unsafe extern "C" fn(
            *const d365_client_t,
            *mut d365_str_t,
            *mut *mut d365_error_t,
        ) -> d365_status_t,
    ) -> PyResult<Result<String, Failure>> {
        let raw = self.raw(py)?;
        let mut view = no_text();
        // SAFETY: the view lives as long as the client, which outlives this call.
        let told = run(|error| unsafe { getter(raw, &raw mut view, error) });
        Ok(told.map(|()| text(&view)))
    }
}

#[pymethods]
impl Client {
    #[new]
    fn new(
        py: Python<'_>,
        url: &str,
        settings: Settings,
        tokens: bool,
        prepare: bool,
    ) -> PyResult<Self> {
        let opened = gate::wait(py, || -> Result<Self, Failure> {
            let made = settings_of(url, &settings)?;
            // SAFETY: every pointer below is of a value that lives through its call; handles are freed after their last use.
            unsafe {
                let queue: Handle<d365_queue_t> = make(|out, error| d365_queue_new(0, out, error))?;
                run(|error| {
                    d365_settings_set_queue(made.raw(), queue.raw(), ptr::null_mut(), error)
                })?;
                let tokens = if tokens {
                    Some(Channel::install(&made)?)
                } else {
                    None
                };
                if prepare {
                    run(|error| {
                        d365_settings_set_prepare(
                            made.raw(),
                            Some(call::prepare),
                            ptr::null_mut(),
                            None,
                            error,
                        )
                    })?;
                }
                let client = make(|out, error| d365_client_open(made.raw(), out, error))?;
                Ok(Self {
                    client: Arc::new(client),
                    queue: Arc::new(queue),
                    tokens,
                })
            }
        });
        opened.map_err(|failure| failure.into_exception(py))
    }

    /// The queue, for a thread or an event loop that must not keep the client alive.
    #[getter]
    fn queue(&self) -> Queue {
        Queue::new(Arc::clone(&self.queue))
    }

    /// Whether the client belongs to the parent of a fork.
    #[getter]
    fn forked(&self) -> bool {
        !self.client.is_of_this_process()
    }

    /// The requests for tokens, if the client was made with a provider.
    #[getter]
    fn tokens(&self) -> Option<TokenQueue> {
        self.tokens
            .as_ref()
            .map(|channel| TokenQueue::new(Arc::clone(channel)))
    }

    /// Sends and waits, and then takes what is in `queue`: the answer, or with what was there. Signals are handled meanwhile.
    fn send<'py>(
        &self,
        request: &Bound<'py, PyTuple>,
        queue: PyRef<'py, Queue>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        self.raw_for(request)?;
        if let Some(fields) = Fields::of(request)? {
            return self.send_fields(py, fields, &queue);
        }
        let built = request::build(request)?;
        let mut interrupt = Interrupt::default();
        let check = gate::handles_signals();
        if check {
            let data = (&raw mut interrupt).cast::<c_void>();
            // SAFETY: asked only during the send below, which `interrupt` outlives.
            run(|error| unsafe {
                d365_request_set_check(built.raw(), Some(gate::check_signals), data, error)
            })
            .map_err(|failure| failure.into_exception(py))?;
        }
        let client = &self.client;
        let outcome = gate::wait(py, || {
            // SAFETY: client and request outlive the call.
            make(|out, error| unsafe { d365_client_send(client.raw(), built.raw(), out, error) })
        });
        answered(py, outcome, interrupt, check, &queue)
    }

    /// The same for a request that has no more than this.
    fn ask<'py>(
        &self,
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyString>,
        headers: Option<&Bound<'py, PyDict>>,
        content: Option<&Bound<'py, PyBytes>>,
        queue: PyRef<'py, Queue>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pairs = headers.into_iter().flat_map(PyDictMethods::iter).map(Ok);
        let fields = Fields::new(method, url, pairs, content)?;
        self.send_fields(method.py(), fields, &queue)
    }

    /// Sends without waiting: one completion with `key` comes in the queue.
    fn submit(&self, request: &Bound<'_, PyTuple>, key: usize) -> PyResult<Pending> {
        let raw = self.raw_for(request)?;
        let data = ptr::without_provenance_mut(key);
        let built = request::build(request)?;
        // SAFETY: client and request live through the call; `data` is a number that only comes back.
        make(|out, error| unsafe { d365_client_submit(raw, built.raw(), data, out, error) })
            .map(|pending| Pending { pending })
            .map_err(|failure| failure.into_exception(request.py()))
    }

    /// Sends what needs the application's code: a body that is read, a prepare hook. With a bell, rung with `key`, for an
    /// event loop.
    #[pyo3(signature = (request, bell=None, key=0))]
    fn begin(
        &self,
        request: &Bound<'_, PyTuple>,
        bell: Option<PyRef<'_, Bell>>,
        key: usize,
    ) -> PyResult<Call> {
        self.raw_for(request)?;
        let bell = bell.map(|bell| (bell.clone(), key));
        Call::start(Arc::clone(&self.client), request::build(request)?, bell)
            .map_err(|failure| failure.into_exception(request.py()))
    }

    fn subscribe(&self, py: Python<'_>, mask: u64) -> PyResult<()> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        run(|error| unsafe { d365_client_subscribe(raw, mask, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn primary_url(&self, py: Python<'_>) -> PyResult<String> {
        self.url(py, d365_client_primary_url)?
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn alternate_url(&self, py: Python<'_>) -> PyResult<Option<String>> {
        match self.url(py, d365_client_alternate_url)? {
            Ok(url) => Ok(Some(url)),
            Err(failure) if failure.status == D365_NO_ALTERNATE => Ok(None),
            Err(failure) => Err(failure.into_exception(py)),
        }
    }

    #[getter]
    fn active_url(&self, py: Python<'_>) -> PyResult<String> {
        self.url(py, d365_client_active_url)?
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn is_primary(&self, py: Python<'_>) -> PyResult<bool> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        let told = read::<i32>(|out, error| unsafe { d365_client_is_primary(raw, out, error) });
        told.map(|flag| flag != 0)
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn epoch(&self, py: Python<'_>) -> PyResult<u64> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        read(|out, error| unsafe { d365_client_epoch(raw, out, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn get_endpoint_auto_switch_enabled(&self, py: Python<'_>) -> PyResult<bool> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        let told = read::<i32>(|out, error| unsafe {
            d365_client_endpoint_auto_switch_enabled(raw, out, error)
        });
        told.map(|flag| flag != 0)
            .map_err(|failure| failure.into_exception(py))
    }

    #[setter]
    fn set_endpoint_auto_switch_enabled(&self, py: Python<'_>, enabled: bool) -> PyResult<()> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        run(|error| unsafe {
            d365_client_set_endpoint_auto_switch_enabled(raw, i32::from(enabled), error)
        })
        .map_err(|failure| failure.into_exception(py))
    }

    /// What the operator says: its number, where it stands, its end in ms.
    #[getter]
    fn current_override(&self, py: Python<'_>) -> PyResult<(i32, i32, i64)> {
        let raw = self.raw(py)?;
        let (mut value, mut source, mut until) = (0, 0, 0);
        // SAFETY: the client lives through the call; the outputs are local variables.
        run(|error| unsafe {
            let (said, stands) = (&raw mut value, &raw mut source);
            d365_client_current_override(raw, said, stands, &raw mut until, error)
        })
        .map_err(|failure| failure.into_exception(py))?;
        Ok((value, source, until))
    }

    /// An interruption is planned, from and to these times in ms.
    fn maintenance(&self, py: Python<'_>, start_ms: i64, end_ms: i64) -> PyResult<()> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        run(|error| unsafe { d365_client_maintenance(raw, start_ms, end_ms, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    #[getter]
    fn ledger_evicted(&self, py: Python<'_>) -> PyResult<i64> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        read(|out, error| unsafe { d365_client_ledger_evicted(raw, out, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    /// What it has counted, as JSON.
    fn statistics(&self, py: Python<'_>) -> PyResult<String> {
        let raw = self.raw(py)?;
        // SAFETY: the client lives through the call.
        let made = make(|out, error| unsafe { d365_client_statistics(raw, out, error) });
        let text: Handle<d365_text_t> = made.map_err(|failure| failure.into_exception(py))?;
        // SAFETY: `text` is alive.
        Ok(get_text(|out| unsafe { d365_text_view(text.raw(), out) }).unwrap_or_default())
    }

    /// Does what may wait for a file or for calls, and waits: `"ledger"`, `"suspect_since"`, `"resolve"`,
    /// `"set_override"`, `"switch_endpoint"`, `"shutdown"`.
    fn r#do<'py>(
        &self,
        py: Python<'py>,
        what: &str,
        numbers: Vec<i64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.raw(py)?;
        let client = &self.client;
        gate::wait(py, || chore::work(client, what, &numbers))
            .map_err(|failure| failure.into_exception(py))?
            .into_python(py)
    }

    /// The same without waiting: the bell rings when it is done.
    fn errand(
        &self,
        py: Python<'_>,
        what: String,
        numbers: Vec<i64>,
        bell: PyRef<'_, Bell>,
    ) -> PyResult<Errand> {
        self.raw(py)?;
        let client = Arc::clone(&self.client);
        Errand::start(bell.clone(), move || chore::work(&client, &what, &numbers))
            .map_err(|failure| failure.into_exception(py))
    }

    /// Ends what waits for events or for requests of tokens, at once.
    fn close_queues(&self, py: Python<'_>) -> PyResult<()> {
        self.raw(py)?;
        self.end_queues();
        Ok(())
    }
}

impl Client {
    /// In the child of a fork the library says what is known of a write that it refuses.
    fn send_fields<'py>(
        &self,
        py: Python<'py>,
        mut fields: Fields<'py>,
        queue: &Queue,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut interrupt = Interrupt::default();
        let check = gate::handles_signals();
        if check {
            let raw = fields.told.raw_mut();
            raw.check = Some(gate::check_signals);
            raw.check_data = (&raw mut interrupt).cast::<c_void>();
        }
        let (client, told) = (&self.client, &fields.told);
        let outcome = gate::wait(py, || {
            // SAFETY: the client outlives the call, and so does what is pointed to; `interrupt` is not touched meanwhile.
            make(|out, error| unsafe {
                d365_client_send_fields(client.raw(), told.raw(), out, error)
            })
        });
        answered(py, outcome, interrupt, check, queue)
    }

    fn end_queues(&self) {
        // SAFETY: the queue is alive. With no time to wait, and no thread of the library in it, nothing can be said to fail.
        unsafe { d365_queue_close(self.queue.raw(), 0, ptr::null_mut()) };
        if let Some(channel) = &self.tokens {
            channel.close();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.client.is_of_this_process() {
            self.end_queues();
        }
    }
}

/// How a call has ended that was waited for, with what its signals' handlers have raised.
fn answered<'py>(
    py: Python<'py>,
    outcome: Result<Handle<d365_response_t>, Failure>,
    mut interrupt: Interrupt,
    check: bool,
    queue: &Queue,
) -> PyResult<Bound<'py, PyAny>> {
    if check && interrupt.error.is_none() {
        // One that came after the library asked last would be raised past the outcome.
        interrupt.error = py.check_signals().err();
    }
    match (outcome, interrupt.error) {
        (Ok(response), None) => {
            let answer = Bound::new(py, Answer::of(py, response)?)?;
            match queue.take(py)? {
                None => Ok(answer.into_any()),
                Some(items) => Ok((answer, items).into_pyobject(py)?.into_any()),
            }
        }
        (Err(failure), None) => Err(failure.into_exception(py)),
        (outcome, Some(interrupted)) => {
            // What became of a write is not lost over a Ctrl-C.
            let cause = match outcome {
                Ok(response) => raise::completed(py, response)?,
                Err(failure) => failure.into_exception(py),
            };
            interrupted.set_cause(py, Some(cause));
            Err(interrupted)
        }
    }
}

/// A submitted call.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Pending {
    pending: Handle<d365_pending_t>,
}

#[pymethods]
impl Pending {
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        if !self.pending.is_of_this_process() {
            return Err(Failure::of(D365_FORKED).into_exception(py));
        }
        // SAFETY: the handle is alive.
        run(|error| unsafe { d365_pending_cancel(self.pending.raw(), error) })
            .map_err(|failure| failure.into_exception(py))
    }

    /// The write on record; `None` of a read, and before it is.
    fn ledger_id(&self) -> Option<i64> {
        if !self.pending.is_of_this_process() {
            return None;
        }
        // SAFETY: the handle is alive.
        get(|out| unsafe { d365_pending_ledger_id(self.pending.raw(), out) })
    }
}
