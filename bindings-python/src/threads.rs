//! Threads of Python for when Python makes none: from the end of the main thread on CPython 3.12.0, from the first
//! `atexit` handler on later ones. CPython only refuses to begin them; until it finalizes, any thread may enter.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::sys;

// As in pyo3's own declarations, but for the unwinding: until 3.14 CPython ends a thread that wants the interpreter of a
// process that exits by `pthread_exit`, which unwinds it.
unsafe extern "C-unwind" {
    fn PyGILState_Ensure() -> c_int;
    fn PyGILState_Release(state: c_int);
    fn PyObject_CallNoArgs(callable: *mut PyObject) -> *mut PyObject;
    fn PyErr_WriteUnraisable(object: *mut PyObject);
    fn Py_DecRef(object: *mut PyObject);
}

/// The thread. Nothing in it is to be dropped, so that it may be ended in any of its calls.
unsafe extern "C-unwind" fn enter(work: *mut c_void) -> *mut c_void {
    let work = work.cast::<PyObject>();
    // SAFETY: `work` is a reference that belongs to this thread, and is used only with the interpreter.
    unsafe {
        let state = PyGILState_Ensure();
        let done = PyObject_CallNoArgs(work);
        if done.is_null() {
            PyErr_WriteUnraisable(work);
        } else {
            Py_DecRef(done);
        }
        Py_DecRef(work);
        PyGILState_Release(state);
    }
    ptr::null_mut()
}

/// What runs on a new thread.
pub(crate) type Entry = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// Calls `work` on a new thread, which no exit waits for. `threading` calls it a dummy.
#[pyfunction]
pub(crate) fn start_thread(work: Py<PyAny>) -> PyResult<()> {
    match sys::start_thread(enter, work.as_ptr().cast()) {
        Ok(()) => {
            // The thread's now.
            mem::forget(work);
            Ok(())
        }
        Err(number) => Err(PyRuntimeError::new_err(format!(
            "no thread can be made: error {number}"
        ))),
    }
}
