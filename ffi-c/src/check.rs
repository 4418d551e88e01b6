//! The request that looks at one endpoint, step by step.

use d365_failover_core as core;

use crate::argument::out;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard_with};
use crate::handle;
use crate::request::{RequestObject, d365_request_t};
use crate::status::{D365_ROLE_ALTERNATE, D365_ROLE_PRIMARY, d365_status_t};

/// Makes the request that looks at one endpoint (D365_ROLE_...), whichever is active, for
/// d365_client_send(), d365_client_send_cancellable() and d365_client_submit(): a token, a probe
/// (`GET` of the setting `probe_path`) on a connection of its own, and the WSDL's failover policy. It
/// changes nothing: no switch, no event. d365_request_set_timeout_ms() limits the whole,
/// d365_request_set_attempt_timeout_ms() the token and the probe, each (else the setting
/// `probe_timeout_ms`, and five times that for a token).
///
/// The response has the status 0 and no attempts. Its body is a JSON object, also where the endpoint
/// fails; more members may come in later versions:
///
/// - `role`, `url`, `verdict`: `"serves"`, `"reachable"` (it answers, and wants a token or another
///   one), `"failed"`;
/// - `steps`, in their order: `step` (`token`, `proxy`, `dns`, `tcp`, `tls`, `http`, `policy`), `outcome`
///   (`ok`, `failed`, `skipped`), `took_ms`, `detail`;
/// - `http_status`, `http_version`: of the probe's answer, or null;
/// - `fault`: `kind`, `cause`, `code`, `message` of what the probe failed with, or null;
/// - `policy`: `available`, `endpoint_enabled`, or null where it was not read.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_INVALID_ARGUMENT for another role; D365_NULL_POINTER.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_check(
    role: i32,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let role = match role {
            D365_ROLE_PRIMARY => core::Role::Primary,
            D365_ROLE_ALTERNATE => core::Role::Alternate,
            _ => return Err(Failure::argument(format!("role: {role} is none"))),
        };
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::check(role));
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}
