//! The writes on record, as Python has them.

use d365_failover::{
    D365_LEDGER_ATTEMPTS, D365_LEDGER_BODY_DIGEST, D365_LEDGER_BODY_LENGTH, D365_LEDGER_EFFECT,
    D365_LEDGER_ENDED_MS, D365_LEDGER_EPOCH, D365_LEDGER_ID, D365_LEDGER_IS_FINAL,
    D365_LEDGER_IS_KEPT, D365_LEDGER_IS_SUSPECT, D365_LEDGER_LEFT_OUT, D365_LEDGER_METHOD,
    D365_LEDGER_OPERATION, D365_LEDGER_RESOLUTION, D365_LEDGER_ROLE, D365_LEDGER_ROW_URL,
    D365_LEDGER_STARTED_MS, D365_LEDGER_TAG, D365_LEDGER_URL, D365_LEDGER_VERIFIED,
    D365_LEDGER_VERIFIED_MS, D365_LEDGER_WHY, d365_ledger_count, d365_ledger_difference,
    d365_ledger_difference_count, d365_ledger_number, d365_ledger_t, d365_ledger_text,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::abi::{Handle, get, get_text, no_text};
use crate::names;

/// One `(id, method, url, operation, effect, is_suspect, resolution, role, epoch, attempts, started_ms, ended_ms,
/// row_url, body_length, body_digest, tag, verified, verified_ms, is_final, is_kept,
/// why, left_out, differences)` a write; a difference is `(name, sent, found)`.
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
                named(words(D365_LEDGER_WHY)).into_pyobject(py)?.into_any(),
                words(D365_LEDGER_LEFT_OUT).into_pyobject(py)?.into_any(),
                differences(py, &ledger, index)?.into_any(),
            ],
        )?)?;
    }
    Ok(rows)
}

fn differences<'py>(
    py: Python<'py>,
    ledger: &Handle<d365_ledger_t>,
    index: usize,
) -> PyResult<Bound<'py, PyList>> {
    let raw = ledger.raw();
    // SAFETY: `ledger` is alive.
    let count = get::<usize>(|out| unsafe { d365_ledger_difference_count(raw, index, out) });
    let told = PyList::empty(py);
    for nth in 0..count.unwrap_or_default() {
        let part = |which: usize| {
            get_text(|out| {
                let mut views = [no_text(), no_text(), no_text()];
                let [name, sent, found] = views.each_mut().map(|view| &raw mut *view);
                // SAFETY: `ledger` is alive, the views are local variables, and one of them is copied.
                unsafe {
                    let status = d365_ledger_difference(raw, index, nth, name, sent, found);
                    out.write([name, sent, found][which].read());
                    status
                }
            })
            .unwrap_or_default()
        };
        told.append((part(0), part(1), part(2)))?;
    }
    Ok(told)
}
