//! The native module of the Python package: the C ABI, one class a handle, nothing decided here.
//!
//! Everything that a Python user sees is in `python/d365_failover`; this only carries arguments and results across,
//! releases the interpreter while the library waits, and keeps exit, fork and Ctrl-C safe.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod abi;
mod answer;
mod attempts;
mod bell;
mod call;
mod chore;
mod client;
mod errand;
mod functions;
mod gate;
mod ledger;
mod names;
mod outgoing;
mod parts;
mod queue;
mod raise;
mod request;
mod stream;
mod sys;
mod threads;
mod tokens;

use std::ffi::CStr;

use d365_failover::{d365_abi_version, d365_version};
use pyo3::exceptions::PyImportError;
use pyo3::ffi::{PyInterpreterState_Get, PyInterpreterState_GetID};
use pyo3::prelude::*;

/// What is static here, and in pyo3, is of one interpreter; and threads that are not Python's enter the main one.
fn refuse_subinterpreter() -> PyResult<()> {
    // SAFETY: this thread holds an interpreter.
    if unsafe { PyInterpreterState_GetID(PyInterpreterState_Get()) } == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "d365_failover works in the main interpreter of a process, and this is another one: \
         under mod_wsgi set WSGIApplicationGroup %{GLOBAL}",
    ))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    refuse_subinterpreter()?;
    // SAFETY: static text, ended by a NUL.
    let version = unsafe { CStr::from_ptr(d365_version()) };
    module.add("VERSION", version.to_str().unwrap_or_default())?;
    module.add("ABI_VERSION", d365_abi_version())?;
    module.add(
        "NativeFailure",
        module.py().get_type::<raise::NativeFailure>(),
    )?;
    module.add_class::<answer::Answer>()?;
    module.add_class::<client::Client>()?;
    module.add_class::<client::Pending>()?;
    module.add_class::<errand::Errand>()?;
    module.add_class::<bell::Bell>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<call::Job>()?;
    module.add_class::<outgoing::Outgoing>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<request::Walk>()?;
    module.add_class::<queue::Queue>()?;
    module.add_class::<queue::Item>()?;
    module.add_class::<tokens::TokenQueue>()?;
    module.add_class::<tokens::TokenRequest>()?;
    module.add_function(wrap_pyfunction!(functions::url_alternate, module)?)?;
    module.add_function(wrap_pyfunction!(functions::url_primary, module)?)?;
    module.add_function(wrap_pyfunction!(functions::url_shown, module)?)?;
    module.add_function(wrap_pyfunction!(functions::url_is_alternate, module)?)?;
    module.add_function(wrap_pyfunction!(functions::classify, module)?)?;
    module.add_function(wrap_pyfunction!(functions::explain_response, module)?)?;
    module.add_function(wrap_pyfunction!(functions::explain_fault, module)?)?;
    module.add_function(wrap_pyfunction!(client::check_settings, module)?)?;
    module.add_function(wrap_pyfunction!(gate::settle, module)?)?;
    module.add_function(wrap_pyfunction!(gate::set_main_thread, module)?)?;
    module.add_function(wrap_pyfunction!(answer::before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(threads::start_thread, module)?)?;
    Ok(())
}
