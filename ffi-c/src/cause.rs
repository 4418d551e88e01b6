//! Causes of faults: what tells a name that does not exist from a refused connection.

use std::ffi::{CStr, c_char};

use d365_failover_core as core;

use crate::status::name_in;

/// Causes (int32): no fault.
pub const D365_CAUSE_NONE: i32 = 0;
/// DNS: there is no such name.
pub const D365_CAUSE_NO_SUCH_NAME: i32 = 1;
/// DNS: try again later.
pub const D365_CAUSE_NAME_TRY_AGAIN: i32 = 2;
/// The connection was refused.
pub const D365_CAUSE_REFUSED: i32 = 3;
/// The network or the host is unreachable.
pub const D365_CAUSE_UNREACHABLE: i32 = 4;
/// The connection was not established in time.
pub const D365_CAUSE_CONNECT_TIMEOUT: i32 = 5;
/// 404 without a service's mark.
pub const D365_CAUSE_NOT_FOUND: i32 = 6;
/// 410 without a service's mark.
pub const D365_CAUSE_GONE: i32 = 7;
/// The 400 page of http.sys that says "Invalid Hostname".
pub const D365_CAUSE_INVALID_HOSTNAME: i32 = 8;
/// A SOAP fault with WS-Addressing `DestinationUnreachable`.
pub const D365_CAUSE_DESTINATION_UNREACHABLE: i32 = 9;
/// Code 0x8004B065, outermost.
pub const D365_CAUSE_DATACENTER_NOT_AVAILABLE: i32 = 10;
/// No whole answer within the attempt's time.
pub const D365_CAUSE_ATTEMPT_TIMEOUT: i32 = 11;
/// No whole answer, or no decision, within the call's deadline.
pub const D365_CAUSE_DEADLINE: i32 = 12;
/// 504.
pub const D365_CAUSE_GATEWAY_TIMEOUT: i32 = 13;
/// The endpoint was left while the call waited for its answer.
pub const D365_CAUSE_ENDPOINT_LEFT: i32 = 14;
/// 502.
pub const D365_CAUSE_BAD_GATEWAY: i32 = 15;
/// 503, or a SOAP fault with WS-Addressing `EndpointUnavailable`.
pub const D365_CAUSE_UNAVAILABLE: i32 = 16;
/// An HTML page where a service should answer.
pub const D365_CAUSE_HTML_PAGE: i32 = 17;
/// The organization is disabled or in motion.
pub const D365_CAUSE_ORGANIZATION_OFF: i32 = 18;
/// The connection was reset.
pub const D365_CAUSE_RESET: i32 = 19;
/// The connection was closed before the whole answer had come.
pub const D365_CAUSE_CLOSED: i32 = 20;
/// The connection was closed in the TLS handshake, or before a byte of the request had left.
pub const D365_CAUSE_CLOSED_UNSENT: i32 = 21;
/// What shows that the peer did not process the request: HTTP/2's REFUSED_STREAM; a GOAWAY whose last
/// stream is below ours (RFC 9113, 8.7); HTTP_1_1_REQUIRED, of our stream or of a connection that it
/// turned down at its first one. Or the library's own word: a kept connection was dead before a byte of
/// the request had left, and of its body, which the application gives, something was read already.
pub const D365_CAUSE_UNPROCESSED: i32 = 22;
/// Something on this machine failed.
pub const D365_CAUSE_LOCAL_FAILURE: i32 = 23;
/// The proxy failed, or refused.
pub const D365_CAUSE_PROXY: i32 = 24;
/// The TLS handshake or a TLS record failed: a certificate that was refused, say.
pub const D365_CAUSE_TLS: i32 = 25;
/// The peer has ended TLS with an alert: a front end that is starting, say.
pub const D365_CAUSE_TLS_ALERT: i32 = 26;
/// 401.
pub const D365_CAUSE_UNAUTHORIZED: i32 = 27;
/// 403.
pub const D365_CAUSE_FORBIDDEN: i32 = 28;
/// The token provider gave no token.
pub const D365_CAUSE_NO_TOKEN: i32 = 29;
/// The answer is larger than its limits, or its coding cannot be taken off.
pub const D365_CAUSE_BAD_MESSAGE: i32 = 30;
/// What came is not HTTP: no status line, no length or two, a chunk that is none, a frame that
/// breaks the protocol. Another try may find better.
pub const D365_CAUSE_MALFORMED: i32 = 31;
/// The application cancelled the call.
pub const D365_CAUSE_CANCELLED: i32 = 32;
/// The service throttles.
pub const D365_CAUSE_THROTTLED: i32 = 33;
/// Any other fault or status.
pub const D365_CAUSE_SERVICE_FAULT: i32 = 34;
/// A 2xx to a write without a mark of the service that was asked.
pub const D365_CAUSE_NO_SERVICE_MARK: i32 = 35;
/// The service's database was not to be had for a moment: it moves to another server.
pub const D365_CAUSE_DATABASE_MOVING: i32 = 36;
/// This machine has no thread, no descriptor, no memory for it.
pub const D365_CAUSE_NO_RESOURCES: i32 = 37;
/// No endpoint of the organization answers, and the call has waited for one (the setting
/// `outage_wait_ms`); nothing of it was sent.
pub const D365_CAUSE_OUTAGE: i32 = 38;

pub(crate) fn of(fault: Option<&core::Fault>) -> i32 {
    fault.map_or(D365_CAUSE_NONE, |fault| fault.cause as i32)
}

const CAUSE_NAMES: &[(i32, &CStr)] = &[
    (D365_CAUSE_NONE, c"none"),
    (D365_CAUSE_NO_SUCH_NAME, c"no_such_name"),
    (D365_CAUSE_NAME_TRY_AGAIN, c"name_try_again"),
    (D365_CAUSE_REFUSED, c"refused"),
    (D365_CAUSE_UNREACHABLE, c"unreachable"),
    (D365_CAUSE_CONNECT_TIMEOUT, c"connect_timeout"),
    (D365_CAUSE_NOT_FOUND, c"not_found"),
    (D365_CAUSE_GONE, c"gone"),
    (D365_CAUSE_INVALID_HOSTNAME, c"invalid_hostname"),
    (
        D365_CAUSE_DESTINATION_UNREACHABLE,
        c"destination_unreachable",
    ),
    (
        D365_CAUSE_DATACENTER_NOT_AVAILABLE,
        c"datacenter_not_available",
    ),
    (D365_CAUSE_ATTEMPT_TIMEOUT, c"attempt_timeout"),
    (D365_CAUSE_DEADLINE, c"deadline"),
    (D365_CAUSE_GATEWAY_TIMEOUT, c"gateway_timeout"),
    (D365_CAUSE_ENDPOINT_LEFT, c"endpoint_left"),
    (D365_CAUSE_BAD_GATEWAY, c"bad_gateway"),
    (D365_CAUSE_UNAVAILABLE, c"unavailable"),
    (D365_CAUSE_HTML_PAGE, c"html_page"),
    (D365_CAUSE_ORGANIZATION_OFF, c"organization_off"),
    (D365_CAUSE_RESET, c"reset"),
    (D365_CAUSE_CLOSED, c"closed"),
    (D365_CAUSE_CLOSED_UNSENT, c"closed_unsent"),
    (D365_CAUSE_UNPROCESSED, c"unprocessed"),
    (D365_CAUSE_LOCAL_FAILURE, c"local_failure"),
    (D365_CAUSE_PROXY, c"proxy"),
    (D365_CAUSE_TLS, c"tls"),
    (D365_CAUSE_TLS_ALERT, c"tls_alert"),
    (D365_CAUSE_UNAUTHORIZED, c"unauthorized"),
    (D365_CAUSE_FORBIDDEN, c"forbidden"),
    (D365_CAUSE_NO_TOKEN, c"no_token"),
    (D365_CAUSE_BAD_MESSAGE, c"bad_message"),
    (D365_CAUSE_MALFORMED, c"malformed"),
    (D365_CAUSE_CANCELLED, c"cancelled"),
    (D365_CAUSE_THROTTLED, c"throttled"),
    (D365_CAUSE_SERVICE_FAULT, c"service_fault"),
    (D365_CAUSE_NO_SERVICE_MARK, c"no_service_mark"),
    (D365_CAUSE_DATABASE_MOVING, c"database_moving"),
    (D365_CAUSE_NO_RESOURCES, c"no_resources"),
    (D365_CAUSE_OUTAGE, c"outage"),
];

/// The name of a cause: `"no_such_name"`; `"none"` for 0; `"unknown"` for a number that the library
/// does not have.
///
/// Never NULL; static, not to be freed. Any thread. See also d365_error_cause().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_cause_name(cause: i32) -> *const c_char {
    name_in(CAUSE_NAMES, cause).unwrap_or(c"unknown").as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(cause: i32) -> &'static str {
        // SAFETY: the function under test returns static, NUL-terminated names.
        unsafe { CStr::from_ptr(d365_cause_name(cause)) }
            .to_str()
            .unwrap()
    }

    #[test]
    fn every_cause_has_its_number_and_name() {
        for (cause, number) in core::Cause::ALL.into_iter().zip(1..) {
            assert_eq!(cause as i32, number, "{cause:?}");
            assert_eq!(name(number), cause.name());
        }
        assert_eq!(CAUSE_NAMES.len(), core::Cause::ALL.len() + 1);
        assert_eq!(name(0), "none");
        for number in [-1, CAUSE_NAMES.len() as i32, i32::MIN, i32::MAX] {
            assert_eq!(name(number), "unknown", "{number}");
        }
    }
}
