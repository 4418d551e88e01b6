//! Events, log records and completions, taken from the client's queue.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use d365_failover::{
    D365_CLOSED, D365_EMPTY, D365_FORKED, D365_INVALID_HANDLE, D365_ITEM_BODY,
    D365_ITEM_COMPLETION, d365_item_body, d365_item_kind, d365_item_number, d365_item_reply,
    d365_item_result, d365_item_t, d365_item_text, d365_item_user_data, d365_queue_next,
    d365_queue_t, d365_response_t, d365_status_t,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::abi::{Failure, Handle, OK, get, get_text, make, octets, run};
use crate::answer::Answer;
use crate::bell::Bell;
use crate::sys::Waitable;
use crate::{gate, names};

/// A client's queue. Does not keep the client alive.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Queue {
    queue: Arc<Handle<d365_queue_t>>,
    /// A thread takes what comes. Locked while another one takes something, in which it does not enter Python.
    has_thread: Mutex<bool>,
}

impl Queue {
    pub(crate) fn new(queue: Arc<Handle<d365_queue_t>>) -> Self {
        Self {
            queue,
            has_thread: Mutex::new(false),
        }
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.queue.is_of_this_process() {
            Ok(())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }

    fn wait(&self) -> Result<Handle<d365_item_t>, Failure> {
        let queue = self.queue.raw();
        // SAFETY: the queue is alive as long as `self`.
        make(|out, error| unsafe { d365_queue_next(queue, -1, out, error) })
    }

    fn has_thread(&self) -> MutexGuard<'_, bool> {
        self.has_thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_unless_left(&self) -> Option<Handle<d365_item_t>> {
        let has_thread = self.has_thread();
        if *has_thread { None } else { self.poll().ok() }
    }

    /// What is there. Mostly there is nothing, and no error is made to say so.
    fn poll(&self) -> Result<Handle<d365_item_t>, d365_status_t> {
        let mut item = ptr::null_mut();
        // SAFETY: the queue is alive as long as `self`.
        match unsafe { d365_queue_next(self.queue.raw(), 0, &raw mut item, ptr::null_mut()) } {
            OK => Ok(Handle::own(item)),
            status => Err(status),
        }
    }
}

#[pymethods]
impl Queue {
    /// Waits for the next item; `None` once the queue is closed and empty.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Item>> {
        self.check(py)?;
        match gate::wait(py, || self.wait()) {
            Ok(item) => Ok(Some(Item::new(item))),
            Err(failure) if failure.status == D365_CLOSED => Ok(None),
            Err(failure) => Err(failure.into_exception(py)),
        }
    }

    /// From now on a thread takes what comes.
    fn leave_to_thread(&self) {
        *self.has_thread() = true;
    }

    /// The events and log records that are there, unless they are left to a thread; without waiting. `None` for none.
    pub(crate) fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.queue.is_of_this_process() {
            return Ok(None);
        }
        let mut items = None;
        // Making an object may run other Python code, which may have left them to a thread.
        while let Some(item) = self.poll_unless_left() {
            let items = items.get_or_insert_with(|| PyList::empty(py));
            items.append(Item::new(item))?;
        }
        Ok(items)
    }

    /// What is there, at most `limit` items, without waiting; and whether the queue is closed and empty.
    ///
    /// A completion is `(key, answer or exception)`, a piece of a body `(key, bytes or exception)`, anything else an `Item`.
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<(Bound<'py, PyList>, bool)> {
        self.check(py)?;
        let items = PyList::empty(py);
        while items.len() < limit {
            match self.poll() {
                Ok(item) if kind(&item) == D365_ITEM_COMPLETION => {
                    items.append(completion(py, &item)?)?
                }
                Ok(item) if kind(&item) == D365_ITEM_BODY => items.append(piece(py, &item)?)?,
                Ok(item) => items.append(Item::new(item))?,
                Err(D365_EMPTY) => break,
                Err(D365_CLOSED) => return Ok((items, true)),
                Err(status) => return Err(Failure::of(status).into_exception(py)),
            }
        }
        Ok((items, false))
    }

    /// A file descriptor that is readable while items wait, or the queue is closed. `None`: the system has none for it.
    fn descriptor(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        self.check(py)?;
        Waitable::of_queue(self.queue.raw())
            .map(Waitable::descriptor)
            .map_err(|failure| failure.into_exception(py))
    }

    /// Waits until it has items or is closed, or `other` is rung. Whether `other` was not.
    fn wait_or(&self, py: Python<'_>, other: PyRef<'_, Bell>) -> PyResult<bool> {
        self.check(py)?;
        let (queue, other) = (Arc::clone(&self.queue), other.clone());
        gate::wait(py, || {
            Ok(Waitable::of_queue(queue.raw())?.wait_or(other.waitable()))
        })
        .map_err(|failure| failure.into_exception(py))
    }
}

fn kind(item: &Handle<d365_item_t>) -> i32 {
    // SAFETY: the item is alive.
    get(|out| unsafe { d365_item_kind(item.raw(), out) }).unwrap_or_default()
}

fn completion<'py>(
    py: Python<'py>,
    item: &Handle<d365_item_t>,
) -> PyResult<(usize, Bound<'py, PyAny>)> {
    // SAFETY: the item is alive; what it hands out is owned here.
    let result: Result<Handle<d365_response_t>, Failure> =
        make(|out, error| unsafe { d365_item_result(item.raw(), out, error) });
    let outcome = match result {
        Ok(response) => Bound::new(py, Answer::of(py, response)?)?.into_any(),
        Err(failure) => exception(py, failure),
    };
    Ok((key(item), outcome))
}

fn piece<'py>(py: Python<'py>, item: &Handle<d365_item_t>) -> PyResult<(usize, Bound<'py, PyAny>)> {
    let (mut data, mut len) = (ptr::null(), 0);
    // SAFETY: the item is alive, and its bytes are copied before it is freed.
    let outcome = unsafe {
        match run(|error| d365_item_body(item.raw(), &raw mut data, &raw mut len, error)) {
            Ok(()) => PyBytes::new(py, octets(data, len)).into_any(),
            Err(failure) => exception(py, failure),
        }
    };
    Ok((key(item), outcome))
}

/// The number that a call or a read was submitted with.
fn key(item: &Handle<d365_item_t>) -> usize {
    let mut data = ptr::null_mut::<c_void>();
    // SAFETY: the item is alive.
    unsafe { d365_item_user_data(item.raw(), &raw mut data) };
    data.addr()
}

fn exception(py: Python<'_>, failure: Failure) -> Bound<'_, PyAny> {
    let value = failure.into_exception(py).into_value(py);
    value.into_bound(py).into_any()
}

/// An event or a log record. What waits for it goes on when it is done, or forgotten.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Item {
    item: Mutex<Option<Handle<d365_item_t>>>,
}

impl Item {
    fn new(item: Handle<d365_item_t>) -> Self {
        Self {
            item: Mutex::new(Some(item)),
        }
    }

    fn with<T>(&self, read: impl FnOnce(*mut d365_item_t) -> T) -> Option<T> {
        let item = self.item.lock().unwrap_or_else(PoisonError::into_inner);
        item.as_ref()
            .filter(|item| item.is_of_this_process())
            .map(|item| read(item.raw()))
    }
}

#[pymethods]
impl Item {
    #[getter]
    fn kind(&self) -> i32 {
        // SAFETY: alive under the lock.
        self.with(|raw| get(|out| unsafe { d365_item_kind(raw, out) }))
            .flatten()
            .unwrap_or_default()
    }

    fn text(&self, field: i32) -> Option<String> {
        // SAFETY: alive under the lock.
        self.with(|raw| get_text(|out| unsafe { d365_item_text(raw, field, out) }))
            .flatten()
    }

    fn number(&self, field: i32) -> Option<i64> {
        // SAFETY: alive under the lock.
        self.with(|raw| get(|out| unsafe { d365_item_number(raw, field, out) }))
            .flatten()
    }

    fn role(&self, field: i32) -> Option<&'static str> {
        self.number(field).and_then(names::role)
    }

    fn reply(&self, py: Python<'_>, decision: i32) -> PyResult<()> {
        // SAFETY: alive under the lock.
        self.with(|raw| run(|error| unsafe { d365_item_reply(raw, decision, error) }))
            .unwrap_or_else(|| Err(Failure::of(D365_INVALID_HANDLE)))
            .map_err(|failure| failure.into_exception(py))
    }

    /// Lets go on what waits for this item. Idempotent.
    fn done(&self) {
        let item = self
            .item
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(item);
    }
}
