//! The body of a response that is read after its call has ended.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d365_failover::{
    D365_BUSY, D365_CANCELLED, D365_EFFECT_UNKNOWN, D365_FORKED, D365_NO_RESOURCES,
    d365_response_cancel, d365_response_effect, d365_response_free, d365_response_read,
    d365_response_submit_read, d365_response_t, spawn,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::abi::{Failure, Handle, get, run};
use crate::{gate, names, parts};

/// How long a signal may wait to be looked at.
const SLICE: Duration = Duration::from_millis(100);

/// A body that is not read yet. Closed or forgotten before its end, it takes its connection with it.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Stream {
    response: Arc<Handle<d365_response_t>>,
    reader: Mutex<Option<Arc<Reader>>>,
    is_being_read: AtomicBool,
}

/// The right to read. One has it at a time.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(is_being_read: &'a AtomicBool) -> Result<Self, Failure> {
        if is_being_read.swap(true, Ordering::AcqRel) {
            return Err(Failure::of(D365_BUSY));
        }
        Ok(Self(is_being_read))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Stream {
    pub(crate) fn new(response: Handle<d365_response_t>) -> Self {
        Self {
            response: Arc::new(response),
            reader: Mutex::default(),
            is_being_read: AtomicBool::new(false),
        }
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.response.is_of_this_process() {
            Ok(())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }

    /// The thread that reads for one that has signals to look at. Once there is one, it reads for all.
    fn reader(&self, is_wanted: bool) -> Result<Option<Arc<Reader>>, Failure> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() && is_wanted {
            *reader = Some(Reader::start(&self.response)?);
        }
        Ok(reader.clone())
    }
}

#[pymethods]
impl Stream {
    /// Waits for the next bytes, at most `most`; none at the end. With `check`, signals are handled meanwhile; what comes
    /// after one of them has raised is the next read's.
    fn read<'py>(
        &self,
        py: Python<'py>,
        most: usize,
        check: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.check(py)?;
        let begun =
            Turn::take(&self.is_being_read).and_then(|turn| Ok((turn, self.reader(check)?)));
        let (_turn, reader) = begun.map_err(|failure| failure.into_exception(py))?;
        let Some(reader) = reader else {
            let read = gate::wait(py, || read(&self.response, most));
            let piece = read.map_err(|failure| failure.into_exception(py))?;
            return Ok(PyBytes::new(py, &piece));
        };
        loop {
            let waited = gate::wait(py, || reader.wait(most).transpose());
            match waited.map_err(|failure| failure.into_exception(py))? {
                Some(piece) => return Ok(PyBytes::new(py, &piece)),
                None if check => py.check_signals()?,
                None => {}
            }
        }
    }

    /// Reads without waiting: one piece of the body with `key` comes in the client's queue.
    fn submit(&self, py: Python<'_>, most: usize, key: usize) -> PyResult<()> {
        self.check(py)?;
        let data = ptr::without_provenance_mut(key);
        // SAFETY: the response is alive; `data` is a number that only comes back.
        run(|error| unsafe { d365_response_submit_read(self.response.raw(), most, data, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    /// What the response is known for by now: its effect and its parts.
    fn told<'py>(&self, py: Python<'py>) -> PyResult<(&'static str, Bound<'py, PyList>)> {
        let raw = self.response.raw();
        // SAFETY: the handle may be any; the output is the getter's own.
        let effect = get(|out| unsafe { d365_response_effect(raw, out) });
        let effect = names::effect(effect.unwrap_or(D365_EFFECT_UNKNOWN));
        Ok((effect, parts::rows(py, raw)?))
    }

    /// Ends a read that waits, too. Idempotent.
    fn close(&self) {
        if self.response.is_of_this_process() {
            // Here and not with the last owner, one of which may be reading. A second time both only give a status.
            // SAFETY: the handle may be any.
            unsafe { d365_response_cancel(self.response.raw(), ptr::null_mut()) };
            d365_response_free(self.response.raw());
            if let Ok(Some(reader)) = self.reader(false) {
                reader.close();
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

fn read(response: &Handle<d365_response_t>, most: usize) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0; most];
    let mut len = 0;
    // SAFETY: buffer and length live through the call.
    run(|error| unsafe {
        d365_response_read(
            response.raw(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut len,
            error,
        )
    })?;
    buffer.truncate(len);
    Ok(buffer)
}

/// Reads on a thread of its own, so that another one can wait in slices.
struct Reader {
    state: Mutex<Reading>,
    changed: Condvar,
}

#[derive(Default)]
struct Reading {
    wanted: Option<usize>,
    /// From when bytes are wanted until they are handed out.
    is_begun: bool,
    got: Option<Result<Vec<u8>, Failure>>,
    is_closed: bool,
}

impl Reader {
    fn start(response: &Arc<Handle<d365_response_t>>) -> Result<Arc<Self>, Failure> {
        let reader = Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (own, response) = (Arc::clone(&reader), Arc::clone(response));
        spawn("d365-read", move || own.run(&response))
            .map_err(|_| Failure::of(D365_NO_RESOURCES))?;
        Ok(reader)
    }

    fn state(&self) -> MutexGuard<'_, Reading> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, response: &Handle<d365_response_t>) {
        let mut state = self.state();
        loop {
            let Some(most) = state.wanted.take() else {
                if state.is_closed {
                    return;
                }
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let got = read(response, most);
            state = self.state();
            state.got = Some(got);
            self.changed.notify_all();
        }
    }

    /// Waits a while for a piece, at most `most` bytes.
    fn wait(&self, most: usize) -> Option<Result<Vec<u8>, Failure>> {
        let mut state = self.state();
        if !state.is_begun {
            state.is_begun = true;
            state.wanted = Some(most);
            self.changed.notify_all();
        }
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, SLICE, |state| state.got.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let Some(mut got) = state.got.take() else {
            // The thread may have left before it saw what is wanted.
            return state.is_closed.then(|| Err(Failure::of(D365_CANCELLED)));
        };
        state.is_begun = false;
        if let Ok(piece) = &mut got
            && piece.len() > most
        {
            // Wanted by a read that was interrupted and had more room.
            state.got = Some(Ok(piece.split_off(most)));
            state.is_begun = true;
        }
        Some(got)
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }
}
