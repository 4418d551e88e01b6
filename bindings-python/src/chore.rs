//! What of a client's may wait for a file or for calls, besides calls.

use d365_failover::{
    D365_INVALID_ARGUMENT, d365_client_ledger, d365_client_resolve, d365_client_set_override,
    d365_client_shutdown, d365_client_suspect_since, d365_client_switch_endpoint, d365_client_t,
    d365_ledger_t,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::abi::{Failure, Handle, make, run};
use crate::ledger;

/// What comes of it.
pub(crate) enum Brought {
    Bytes(Vec<u8>),
    Ledger(Handle<d365_ledger_t>),
    /// How many acknowledged writes are in question, and since when the record has all, in ms.
    Suspected(i64, i64),
}

impl Brought {
    pub(crate) const NOTHING: Self = Self::Bytes(Vec::new());

    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(match self {
            Self::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
            Self::Ledger(ledger) => ledger::rows(py, ledger)?.into_any(),
            Self::Suspected(count, since) => (count, since).into_pyobject(py)?.into_any(),
        })
    }
}

/// Does one, by its name, with the numbers that the function of the ABI takes.
pub(crate) fn work(
    client: &Handle<d365_client_t>,
    what: &str,
    numbers: &[i64],
) -> Result<Brought, Failure> {
    let raw = client.raw();
    let small = |number: i64| i32::try_from(number).unwrap_or(-1);
    let (mut count, mut since) = (0, 0);
    // SAFETY: the client lives through the calls; the outputs are local variables.
    unsafe {
        match (what, numbers) {
            ("ledger", &[selection]) => {
                return make(|out, error| d365_client_ledger(raw, small(selection), out, error))
                    .map(Brought::Ledger);
            }
            ("suspect_since", &[since_ms]) => {
                run(|error| {
                    let (count, since) = (&raw mut count, &raw mut since);
                    d365_client_suspect_since(raw, since_ms, count, since, error)
                })?;
                return Ok(Brought::Suspected(count, since));
            }
            ("resolve", &[id, resolution]) => {
                run(|error| d365_client_resolve(raw, id, small(resolution), error))
            }
            ("set_override", &[value, until_ms]) => {
                run(|error| d365_client_set_override(raw, small(value), until_ms, error))
            }
            ("switch_endpoint", &[]) => run(|error| d365_client_switch_endpoint(raw, error)),
            ("shutdown", &[timeout_ms]) => {
                run(|error| d365_client_shutdown(raw, timeout_ms, error))
            }
            _ => Err(Failure::of(D365_INVALID_ARGUMENT)),
        }
    }?;
    Ok(Brought::NOTHING)
}
