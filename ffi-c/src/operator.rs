//! What the operator says, over the application's head.

use d365_failover_core as core;

use crate::argument::{out, time};
use crate::attempts::unix_ms;
use crate::client::d365_client_t;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard_with};
use crate::handle;
use crate::status::{
    D365_OVERRIDE_ALTERNATE, D365_OVERRIDE_FROM_ENVIRONMENT, D365_OVERRIDE_FROM_STORE,
    D365_OVERRIDE_NONE, D365_OVERRIDE_OFF, D365_OVERRIDE_PRIMARY, d365_status_t,
};

/// What the operator says, where calls go because of it or are not moved: D365_OVERRIDE_OFF,
/// D365_OVERRIDE_PRIMARY, D365_OVERRIDE_ALTERNATE, or D365_OVERRIDE_NONE. `source`: where that stands,
/// D365_OVERRIDE_FROM_ENVIRONMENT or D365_OVERRIDE_FROM_STORE; 0 without one. `until_ms`: when it ends, in
/// milliseconds since 1970-01-01 UTC; 0: no end was set. What the environment said when the client was
/// opened goes before what the store says. `source` and `until_ms` may be NULL. No I/O; any thread, any
/// callback.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_current_override(
    client: *const d365_client_t,
    value: *mut i32,
    source: *mut i32,
    until_ms: *mut i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(value, "value") }?;
        let order = client.core.current_override();
        let until = order.and_then(|order| order.until).map_or(0, unix_ms);
        if !source.is_null() {
            let number = order.map_or(0, |order| number_of_source(order.source));
            // SAFETY: the caller's variable.
            unsafe { out(source, "source") }?.set(number);
        }
        if !until_ms.is_null() {
            // SAFETY: the caller's variable.
            unsafe { out(until_ms, "until_ms") }?.set(until);
        }
        place.set(order.map_or(D365_OVERRIDE_NONE, |order| number_of(order.value)));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Puts the operator's override for this organization into the store, for all processes that name it:
/// D365_OVERRIDE_OFF, D365_OVERRIDE_PRIMARY, D365_OVERRIDE_ALTERNATE; D365_OVERRIDE_NONE takes it away.
/// `until_ms`: when it ends by itself, in milliseconds since 1970-01-01 UTC; 0: not before it is taken away.
///
/// This client heeds it before the function returns, the others within about a second. Calls are kept at
/// the endpoint that is named: they go there at once, by a switch with the reason `override` that no handler
/// can veto, whether it answers or not; no fault moves them, and d365_client_switch_endpoint() is refused.
/// A process with `D365_FAILOVER` in its environment stays by that. Waits for the file, not for the network.
///
/// Errors: D365_NOT_AVAILABLE where the client has no `store`; D365_INVALID_ARGUMENT for another number, and
/// for an end that is past; D365_LOCAL when the store could not be written; D365_CLOSED, and what can be
/// wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_set_override(
    client: *mut d365_client_t,
    value: i32,
    until_ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let value = match value {
            D365_OVERRIDE_NONE => None,
            D365_OVERRIDE_OFF => Some(core::Override::Off),
            D365_OVERRIDE_PRIMARY => Some(core::Override::Primary),
            D365_OVERRIDE_ALTERNATE => Some(core::Override::Alternate),
            other => {
                let message = format!("value: {other} is no D365_OVERRIDE_…");
                return Err(Failure::argument(message));
            }
        };
        let until = match until_ms {
            0 => None,
            ms => Some(time("until_ms", ms)?),
        };
        client
            .core
            .set_override(value, until)
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

fn number_of(value: core::Override) -> i32 {
    match value {
        core::Override::Off => D365_OVERRIDE_OFF,
        core::Override::Primary => D365_OVERRIDE_PRIMARY,
        core::Override::Alternate => D365_OVERRIDE_ALTERNATE,
    }
}

fn number_of_source(source: core::OverrideSource) -> i32 {
    match source {
        core::OverrideSource::Environment => D365_OVERRIDE_FROM_ENVIRONMENT,
        core::OverrideSource::Store => D365_OVERRIDE_FROM_STORE,
    }
}
