//! What takes a while besides calls, for who must not wait in it: an event loop, a greenlet.
//!
//! A thread of its own does it, which never enters the interpreter: executors take nothing any more once the main
//! thread has ended.

use std::sync::{Arc, Mutex, PoisonError};

use d365_failover::{D365_FORKED, D365_NO_RESOURCES, spawn};
use pyo3::prelude::*;

use crate::abi::Failure;
use crate::bell::Bell;
use crate::chore::Brought;
use crate::gate;

type Ended = Result<Brought, Failure>;

/// One of them. Forgotten, it goes on.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Errand {
    outcome: Arc<Mutex<Option<Ended>>>,
    generation: u32,
}

impl Errand {
    /// Rings when it is done.
    pub(crate) fn start(
        bell: Bell,
        work: impl FnOnce() -> Ended + Send + 'static,
    ) -> Result<Self, Failure> {
        let outcome = Arc::new(Mutex::default());
        let theirs = Arc::clone(&outcome);
        let go = move || {
            let done = work();
            *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            bell.ring(0);
        };
        spawn("d365-errand", go).map_err(|_| Failure::of(D365_NO_RESOURCES))?;
        Ok(Self {
            outcome,
            generation: gate::generation(),
        })
    }
}

#[pymethods]
impl Errand {
    /// What it has brought, if it is done: empty bytes for what brings nothing. Raises what it has failed with. Told once.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.generation != gate::generation() {
            return Err(Failure::of(D365_FORKED).into_exception(py));
        }
        let outcome = self
            .outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match outcome.transpose() {
            Ok(brought) => brought.map(|brought| brought.into_python(py)).transpose(),
            Err(failure) => Err(failure.into_exception(py)),
        }
    }
}
