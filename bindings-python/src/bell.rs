//! What wakes an event loop when one of its calls needs the application's code, or has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use crate::gate;
use crate::sys::{Signal, Waitable};

/// Set while there are numbers.
#[pyclass(frozen, module = "d365_failover._native")]
#[derive(Clone)]
pub(crate) struct Bell(Arc<Rung>);

struct Rung {
    rung: Mutex<Vec<usize>>,
    signal: Signal,
    generation: u32,
}

impl Bell {
    pub(crate) fn is(&self, other: &Bell) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn waitable(&self) -> Waitable {
        self.0.signal.waitable()
    }

    /// `None` in the child of a fork: the signal is its parent's.
    fn rung(&self) -> Option<MutexGuard<'_, Vec<usize>>> {
        (self.0.generation == gate::generation())
            .then(|| self.0.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self(Arc::new(Rung {
            rung: Mutex::default(),
            signal: Signal::new()?,
            generation: gate::generation(),
        })))
    }

    pub(crate) fn ring(&self, key: usize) {
        let Some(mut rung) = self.rung() else {
            return;
        };
        rung.push(key);
        let is_first = rung.len() == 1;
        // Who is woken by it finds the lock free.
        drop(rung);
        if is_first {
            self.0.signal.set();
        }
    }

    /// A file descriptor that is readable while there are numbers. `None`: the system has none for it.
    fn descriptor(&self) -> Option<i32> {
        self.waitable().descriptor()
    }

    /// Waits until it or `other` is rung. Whether `other` was not.
    fn wait_or(&self, py: Python<'_>, other: PyRef<'_, Bell>) -> PyResult<bool> {
        let (mine, other) = (self.clone(), other.clone());
        gate::wait(py, || Ok(mine.waitable().wait_or(other.waitable())))
            .map_err(|failure| failure.into_exception(py))
    }

    /// The numbers that it was rung with. Does not wait.
    fn take(&self) -> Vec<usize> {
        let Some(mut rung) = self.rung() else {
            return Vec::new();
        };
        if !rung.is_empty() {
            self.0.signal.clear();
        }
        std::mem::take(&mut rung)
    }
}
