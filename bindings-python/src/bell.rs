//! What wakes an event loop when one of its calls needs the application's code, or has ended.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

/// A pipe that is readable while there are numbers.
#[pyclass(frozen, module = "d365_failover._native")]
#[derive(Clone)]
pub(crate) struct Bell(Arc<Inner>);

struct Inner {
    rung: Mutex<Vec<usize>>,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Bell {
    pub(crate) fn is(&self, other: &Bell) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn ring(&self, key: usize) {
        let mut rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.push(key);
        if rung.len() == 1 {
            // The pipe is empty and both of its ends are open: this neither waits nor fails.
            let _ = (&self.0.writer).write(&[1]);
        }
    }
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self(Arc::new(Inner {
            rung: Mutex::default(),
            reader,
            writer,
        })))
    }

    fn descriptor(&self) -> i32 {
        self.0.reader.as_raw_fd()
    }

    /// The numbers that it was rung with. Does not wait.
    fn take(&self) -> Vec<usize> {
        let mut rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !rung.is_empty() {
            // There is the one byte that was written when the first number came.
            let _ = (&self.0.reader).read(&mut [0]);
        }
        std::mem::take(&mut rung)
    }
}
