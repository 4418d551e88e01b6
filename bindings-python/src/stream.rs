//! The body of a response that is read after its call has ended.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use d365_failover::{
    D365_BUSY, D365_EFFECT_UNKNOWN, D365_FORKED, d365_response_cancel, d365_response_effect,
    d365_response_free, d365_response_read_checked, d365_response_read_ready,
    d365_response_submit_read, d365_response_t,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::abi::{Failure, Handle, OK, get, octets, run};
use crate::bell::Bell;
use crate::chore::Brought;
use crate::errand::Errand;
use crate::gate::Interrupt;
use crate::{gate, names, parts};

/// How much is asked for at a time of what has come with the head: most small answers at once.
const HERE: usize = 8 << 10;

/// What has come of a body with its head.
pub(crate) struct Begun {
    bytes: Vec<u8>,
    pub(crate) has_ended: bool,
}

impl Begun {
    pub(crate) fn of(response: &Handle<d365_response_t>) -> Self {
        let mut begun = Self {
            bytes: Vec::new(),
            has_ended: false,
        };
        let mut buffer = [MaybeUninit::<u8>::uninit(); HERE];
        loop {
            let (mut len, mut has_ended) = (0, 0);
            let start = buffer.as_mut_ptr().cast::<u8>();
            // SAFETY: buffer and outputs are local variables.
            let status = unsafe {
                d365_response_read_ready(
                    response.raw(),
                    start,
                    buffer.len(),
                    &raw mut len,
                    &raw mut has_ended,
                    ptr::null_mut(),
                )
            };
            // SAFETY: so many bytes of the buffer were written just now.
            let piece = unsafe { octets(start, len) };
            begun.bytes.extend_from_slice(piece);
            begun.has_ended = has_ended != 0;
            // What is wrong with the body is told to whoever reads on.
            if status != OK || len == 0 || begun.has_ended {
                return begun;
            }
        }
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(most.min(self.bytes.len()));
        std::mem::replace(&mut self.bytes, rest)
    }
}

/// A body that is not read yet. Closed or forgotten before its end, it takes its connection with it.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Stream {
    begun: Mutex<Begun>,
    /// `None`: all of it has come with the head.
    response: Option<Arc<Handle<d365_response_t>>>,
    generation: u32,
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
    pub(crate) fn new(begun: Begun, response: Option<Handle<d365_response_t>>) -> Self {
        Self {
            begun: Mutex::new(begun),
            response: response.map(Arc::new),
            generation: gate::generation(),
            is_being_read: AtomicBool::new(false),
        }
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.generation == gate::generation() {
            Ok(())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Stream {
    /// The next bytes, at most `most`, as far as they have come with the head; none at the end. `None`: they are waited
    /// for.
    fn ready<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.check(py)?;
        let mut begun = self.begun();
        if begun.bytes.is_empty() && self.response.is_some() {
            return Ok(None);
        }
        Ok(Some(PyBytes::new(py, &begun.take(most))))
    }

    /// All of it, where it has come with the head; `None` where it has not.
    fn whole<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.check(py)?;
        if self.response.is_some() {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.begun().bytes);
        Ok(Some(PyBytes::new(py, &whole)))
    }

    /// Waits for the next bytes, at most `most`; none at the end. Signals are handled meanwhile; what comes after one
    /// of them has raised is the next read's.
    fn read<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        if let Some(piece) = self.ready(py, most)? {
            return Ok(piece);
        }
        let Some(response) = &self.response else {
            return Ok(PyBytes::new(py, &[]));
        };
        let turn = Turn::take(&self.is_being_read);
        let _turn = turn.map_err(|failure| failure.into_exception(py))?;
        let mut interrupt = Interrupt::default();
        let asked = gate::handles_signals().then_some(&mut interrupt);
        let got = gate::wait_on(py, || read(response, most, asked));
        match (got, interrupt.error) {
            (Ok(piece), None) => Ok(PyBytes::new(py, &piece)),
            (Err(failure), None) => Err(failure.into_exception(py)),
            (_, Some(interrupted)) => Err(interrupted),
        }
    }

    /// Reads what `ready` does not have, without waiting: the bell rings when the errand has brought the bytes.
    fn errand(&self, py: Python<'_>, most: usize, bell: PyRef<'_, Bell>) -> PyResult<Errand> {
        self.check(py)?;
        let response = self.response.clone();
        Errand::start(bell.clone(), move || match response {
            Some(response) => read(&response, most, None).map(Brought::Bytes),
            None => Ok(Brought::NOTHING),
        })
        .map_err(|failure| failure.into_exception(py))
    }

    /// Reads without waiting: one piece of the body with `key` comes in the client's queue.
    fn submit(&self, py: Python<'_>, most: usize, key: usize) -> PyResult<()> {
        self.check(py)?;
        let response = self.response.as_ref();
        let raw = response.map_or(ptr::null_mut(), |response| response.raw());
        let data = ptr::without_provenance_mut(key);
        // SAFETY: the handle may be any; `data` is a number that only comes back.
        run(|error| unsafe { d365_response_submit_read(raw, most, data, error) })
            .map_err(|failure| failure.into_exception(py))
    }

    /// What the response is known for by now: its effect and its parts. `None`: all was known with the head.
    fn told<'py>(&self, py: Python<'py>) -> PyResult<Option<(&'static str, Bound<'py, PyList>)>> {
        let Some(response) = &self.response else {
            return Ok(None);
        };
        let raw = response.raw();
        // SAFETY: the handle may be any; the output is the getter's own.
        let effect = get(|out| unsafe { d365_response_effect(raw, out) });
        let effect = names::effect(effect.unwrap_or(D365_EFFECT_UNKNOWN));
        Ok(Some((effect, parts::rows(py, raw)?)))
    }

    /// Ends a read that waits, too. Idempotent.
    fn close(&self) {
        if let Some(response) = &self.response
            && response.is_of_this_process()
        {
            // Here and not with the last owner, one of which may be reading. A second time both only give a status.
            // SAFETY: the handle may be any.
            unsafe { d365_response_cancel(response.raw(), ptr::null_mut()) };
            d365_response_free(response.raw());
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

fn read(
    response: &Handle<d365_response_t>,
    most: usize,
    interrupt: Option<&mut Interrupt>,
) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0; most];
    let mut len = 0;
    let check = interrupt.is_some().then_some(gate::check_signals as _);
    let data = interrupt.map_or(ptr::null_mut(), |interrupt| {
        ptr::from_mut(interrupt).cast::<c_void>()
    });
    // SAFETY: buffer and length live through the call, and so does what the check is asked with.
    run(|error| unsafe {
        d365_response_read_checked(
            response.raw(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut len,
            check,
            data,
            error,
        )
    })?;
    buffer.truncate(len);
    Ok(buffer)
}
