//! The writes on record, as Python has them.

use d365_failover::{
    D365_LEDGER_ATTEMPTS, D365_LEDGER_BODY_DIGEST, D365_LEDGER_BODY_LENGTH, D365_LEDGER_EFFECT,
    D365_LEDGER_ENDED_MS, D365_LEDGER_EPOCH, D365_LEDGER_ID, D365_LEDGER_IS_FINAL,
    D365_LEDGER_IS_KEPT, D365_LEDGER_IS_SUSPECT, D365_LEDGER_METHOD, D365_LEDGER_OPERATION,
    D365_LEDGER_RESOLUTION, D365_LEDGER_ROLE, D365_LEDGER_ROW_URL, D365_LEDGER_STARTED_MS,
    D365_LEDGER_TAG, D365_LEDGER_URL, D365_LEDGER_VERIFIED, D365_LEDGER_VERIFIED_MS,
    d365_ledger_count, d365_ledger_number, d365_ledger_t, d365_ledger_text,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::abi::{Handle, get, get_text};
use crate::names;

/// One `(id, method, url, operation, effect, is_suspect, resolution, role, epoch, attempts, started_ms, ended_ms,
/// row_url, body_length, body_digest, tag, verified, verified_ms, is_final, is_kept)` a write.
pub(crate) fn rows(py: Python<'_>, ledger: Handle<d365_ledger_t>) -> PyResult<Bound<'_, PyList>> {
    let raw = ledger.raw();
    let rows = PyList::empty(py);
    // SAFETY: `ledger` is alive.
    let count = get::<usize>(|out| unsafe { d365_ledger_count(raw, out) }).unwrap_or_default();
    for index in 0..count {
        let number = |field| {
            // SAFETY: `ledger` is alive.
            get::<i64>(|out| unsafe { d365_ledger_number(raw, index, field, out) })
                .unwrap_or_default()
        };
        let words = |field| {
            // SAFETY: `ledger` is alive, and the view is copied.
            get_text(|out| unsafe { d365_ledger_text(raw, index, field, out) }).unwrap_or_default()
        };
        let known = |number: i64| (number >= 0).then_some(number);
        let named = |text: String| (!text.is_empty()).then_some(text);
        let effect = known(number(D365_LEDGER_EFFECT));
        rows.append(PyTuple::new(
            py,
            [
                number(D365_LEDGER_ID).into_pyobject(py)?.into_any(),
                words(D365_LEDGER_METHOD).into_pyobject(py)?.into_any(),
                words(D365_LEDGER_URL).into_pyobject(py)?.into_any(),
                names::operation(number(D365_LEDGER_OPERATION))
                    .into_pyobject(py)?
                    .into_any(),
                effect
                    .map(|effect| names::effect(i32::try_from(effect).unwrap_or(-1)))
                    .into_pyobject(py)?
                    .into_any(),
                (number(D365_LEDGER_IS_SUSPECT) != 0)
                    .into_pyobject(py)?
                    .to_owned()
                    .into_any(),
                names::resolution(number(D365_LEDGER_RESOLUTION))
                    .into_pyobject(py)?
                    .into_any(),
                names::role(number(D365_LEDGER_ROLE))
                    .into_pyobject(py)?
                    .into_any(),
                number(D365_LEDGER_EPOCH).into_pyobject(py)?.into_any(),
                number(D365_LEDGER_ATTEMPTS).into_pyobject(py)?.into_any(),
                number(D365_LEDGER_STARTED_MS).into_pyobject(py)?.into_any(),
                known(number(D365_LEDGER_ENDED_MS))
                    .into_pyobject(py)?
                    .into_any(),
                named(words(D365_LEDGER_ROW_URL))
                    .into_pyobject(py)?
                    .into_any(),
                known(number(D365_LEDGER_BODY_LENGTH))
                    .into_pyobject(py)?
                    .into_any(),
                named(words(D365_LEDGER_BODY_DIGEST))
                    .into_pyobject(py)?
                    .into_any(),
                named(words(D365_LEDGER_TAG)).into_pyobject(py)?.into_any(),
                names::verified(number(D365_LEDGER_VERIFIED))
                    .into_pyobject(py)?
                    .into_any(),
                known(number(D365_LEDGER_VERIFIED_MS))
                    .into_pyobject(py)?
                    .into_any(),
                (number(D365_LEDGER_IS_FINAL) != 0)
                    .into_pyobject(py)?
                    .to_owned()
                    .into_any(),
                (number(D365_LEDGER_IS_KEPT) != 0)
                    .into_pyobject(py)?
                    .to_owned()
                    .into_any(),
            ],
        )?)?;
    }
    Ok(rows)
}
