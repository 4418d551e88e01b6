//! Statuses, kinds and the other numbers of the ABI: a number is never used again for something
//! else.

use std::ffi::{CStr, c_char};

use d365_failover_core as core;

/// What a function answers. 0 is success; a newer library may answer numbers that this header does
/// not list.
pub type d365_status_t = i32;

/// Done.
pub const D365_OK: d365_status_t = 0;
/// A parameter has a value that makes no sense here.
pub const D365_INVALID_ARGUMENT: d365_status_t = 10;
/// A parameter is NULL that must not be.
pub const D365_NULL_POINTER: d365_status_t = 11;
/// A string is not UTF-8.
pub const D365_INVALID_UTF8: d365_status_t = 12;
/// A URL is refused; the message says what to do.
pub const D365_INVALID_URL: d365_status_t = 13;
/// This library has no setting of that name.
pub const D365_UNKNOWN_SETTING: d365_status_t = 14;
/// The setting does not take this value.
pub const D365_INVALID_SETTING: d365_status_t = 15;
/// The handle was freed before, or never was one.
pub const D365_INVALID_HANDLE: d365_status_t = 16;
/// The handle is of another type.
pub const D365_WRONG_HANDLE: d365_status_t = 17;
/// The object has no such thing.
pub const D365_NOT_AVAILABLE: d365_status_t = 18;
/// The client or the queue is closed.
pub const D365_CLOSED: d365_status_t = 30;
/// The call would wait for a decision that this very thread has yet to give.
pub const D365_WOULD_DEADLOCK: d365_status_t = 31;
/// The handle was made by the parent of a fork. A child opens its own.
pub const D365_FORKED: d365_status_t = 32;
/// The organization has no alternate, says its FailoverPolicy; or, of a switch by hand, that was not
/// read yet.
pub const D365_NO_ALTERNATE: d365_status_t = 33;
/// The queue had nothing in time.
pub const D365_EMPTY: d365_status_t = 34;
/// Another thread has it, or is still running.
pub const D365_BUSY: d365_status_t = 35;
/// The decision was already taken.
pub const D365_LATE: d365_status_t = 36;
/// The system has no store of CA certificates; set `ca_bundle`.
pub const D365_NO_CA_STORE: d365_status_t = 37;
/// The client has no queue; d365_settings_set_queue() gives it one.
pub const D365_NO_QUEUE: d365_status_t = 38;
/// This machine has no thread, no descriptor, no memory for it, or the calling thread no stack; the
/// message says which. Try again later. A call that lacked something under way ends with D365_LOCAL and
/// D365_CAUSE_NO_RESOURCES.
pub const D365_NO_RESOURCES: d365_status_t = 39;
/// The operator keeps calls where they are (`D365_FAILOVER` in the environment, or the store's override);
/// the message says how that is lifted.
pub const D365_OVERRIDDEN: d365_status_t = 40;
/// A call ended without a usable response: no such name, refused, unreachable, connect timeout.
/// Each status from here to D365_CANCELLED is 100 + the fault kind of the call, and says that its
/// write, if it was one, was not executed, or was: what is in doubt is D365_WRITE_IN_DOUBT.
pub const D365_ENDPOINT_NOT_FOUND: d365_status_t = 101;
/// The datacenter said that it does not serve the organization now.
pub const D365_DATACENTER_NOT_AVAILABLE: d365_status_t = 102;
/// No answer in time.
pub const D365_TIMEOUT: d365_status_t = 103;
/// The server cannot serve now.
pub const D365_SERVER_UNAVAILABLE: d365_status_t = 104;
/// The connection ended after the request was sent.
pub const D365_CONNECTION_LOST: d365_status_t = 105;
/// This machine could not do it: D365_CAUSE_NO_RESOURCES, no ports, the application's own code for
/// the call.
pub const D365_LOCAL: d365_status_t = 106;
/// TLS failed, or the certificate is not trusted.
pub const D365_TLS: d365_status_t = 107;
/// No token could be had.
pub const D365_AUTHENTICATION: d365_status_t = 108;
/// What came was not HTTP.
pub const D365_PROTOCOL: d365_status_t = 109;
/// The application cancelled the call.
pub const D365_CANCELLED: d365_status_t = 110;
/// A write may have been executed or not, whatever its call failed with (d365_error_kind(),
/// d365_error_cause(); by a defect of the library: D365_FAULT_NONE). Sending it again may do it twice:
/// look first whether it is there (d365_error_ledger_id()). A status of its own, so that a loop that
/// repeats what was lost or late does not catch it.
pub const D365_WRITE_IN_DOUBT: d365_status_t = 150;
/// A defect of the library; the message says where. Of a write: D365_WRITE_IN_DOUBT.
pub const D365_INTERNAL: d365_status_t = 200;

/// Fault kinds (int32): no fault.
pub const D365_FAULT_NONE: i32 = 0;
/// No such name, refused, unreachable, connect timeout; 404 or 410 without a service's mark.
pub const D365_FAULT_ENDPOINT_NOT_FOUND: i32 = 1;
/// Code 0x8004B065.
pub const D365_FAULT_DATACENTER_NOT_AVAILABLE: i32 = 2;
/// No answer in time; 504.
pub const D365_FAULT_TIMEOUT: i32 = 3;
/// 502, 503, an HTML page at a service path, organization disabled or moving.
pub const D365_FAULT_SERVER_UNAVAILABLE: i32 = 4;
/// Reset or end of file after sending.
pub const D365_FAULT_CONNECTION_LOST: i32 = 5;
/// This machine could not do it.
pub const D365_FAULT_LOCAL: i32 = 6;
/// TLS failed.
pub const D365_FAULT_TLS: i32 = 7;
/// 401, 403, or no token.
pub const D365_FAULT_AUTHENTICATION: i32 = 8;
/// What came was not HTTP.
pub const D365_FAULT_PROTOCOL: i32 = 9;
/// Cancelled by the application.
pub const D365_FAULT_CANCELLED: i32 = 10;
/// 429 and throttling codes; ends as a response.
pub const D365_FAULT_THROTTLED: i32 = 11;
/// Any other fault of the service; ends as a response.
pub const D365_FAULT_SERVICE: i32 = 12;

/// Roles (int32): the primary endpoint of the organization. An attempt that went to a host of the
/// setting `allowed_hosts` has the role 0.
pub const D365_ROLE_PRIMARY: i32 = 1;
/// The alternate endpoint.
pub const D365_ROLE_ALTERNATE: i32 = 2;

/// Overrides of the operator (int32): none.
pub const D365_OVERRIDE_NONE: i32 = 0;
/// No fault moves calls, as with auto-switch off.
pub const D365_OVERRIDE_OFF: i32 = 1;
/// Calls go to the primary, whatever happens.
pub const D365_OVERRIDE_PRIMARY: i32 = 2;
/// Calls go to the alternate, whatever happens.
pub const D365_OVERRIDE_ALTERNATE: i32 = 3;

/// Where an override stands (int32): in `D365_FAILOVER` of the environment, which is read when a client is
/// opened.
pub const D365_OVERRIDE_FROM_ENVIRONMENT: i32 = 1;
/// In the store, where running clients hear of it.
pub const D365_OVERRIDE_FROM_STORE: i32 = 2;

/// Phases (int32): no byte of the request left the machine.
pub const D365_PHASE_NOT_SENT: i32 = 1;
/// Sent, perhaps received; no status line was seen.
pub const D365_PHASE_SENT: i32 = 2;
/// The status line was seen; the body may still be cut.
pub const D365_PHASE_RESPONDED: i32 = 3;

/// Effects (int32): a read, which has none.
pub const D365_EFFECT_NONE: i32 = 0;
/// The write was executed.
pub const D365_EFFECT_EXECUTED: i32 = 1;
/// The write was not executed: refused by the service, or never sent.
pub const D365_EFFECT_NOT_EXECUTED: i32 = 2;
/// The write is in doubt.
pub const D365_EFFECT_UNKNOWN: i32 = 3;

/// Operations (int32): the library tells by method and headers.
pub const D365_OPERATION_AUTO: i32 = 0;
/// Changes nothing.
pub const D365_OPERATION_READ: i32 = 1;
/// Same effect when repeated.
pub const D365_OPERATION_IDEMPOTENT: i32 = 2;
/// A repeat is detected: If-Match, If-None-Match, an id chosen by the application.
pub const D365_OPERATION_GUARDED: i32 = 3;
/// A repeat does it again.
pub const D365_OPERATION_UNSAFE: i32 = 4;

/// Presets (int32): what the .NET SDK does.
pub const D365_PRESET_DOTNET: i32 = 1;
/// No switch without proof, and no write sent twice that could be executed twice. The default.
pub const D365_PRESET_SAFE: i32 = 2;

fn status_of(kind: core::ErrorKind) -> d365_status_t {
    use core::ErrorKind;
    match kind {
        ErrorKind::InvalidArgument => D365_INVALID_ARGUMENT,
        ErrorKind::InvalidUrl => D365_INVALID_URL,
        ErrorKind::UnknownSetting => D365_UNKNOWN_SETTING,
        ErrorKind::InvalidSetting => D365_INVALID_SETTING,
        ErrorKind::NotAvailable => D365_NOT_AVAILABLE,
        ErrorKind::Closed => D365_CLOSED,
        ErrorKind::WouldDeadlock => D365_WOULD_DEADLOCK,
        ErrorKind::Forked => D365_FORKED,
        ErrorKind::NoAlternate => D365_NO_ALTERNATE,
        ErrorKind::Empty => D365_EMPTY,
        ErrorKind::Busy => D365_BUSY,
        ErrorKind::Late => D365_LATE,
        ErrorKind::NoCaStore => D365_NO_CA_STORE,
        ErrorKind::NoQueue => D365_NO_QUEUE,
        ErrorKind::NoResources => D365_NO_RESOURCES,
        ErrorKind::Overridden => D365_OVERRIDDEN,
        ErrorKind::Call(kind) => 100 + fault_kind(kind),
        _ => D365_INTERNAL,
    }
}

/// What a function answers that failed with this.
pub(crate) fn status_of_error(error: &core::Error) -> d365_status_t {
    match error.effect() {
        core::Effect::Unknown => D365_WRITE_IN_DOUBT,
        _ => status_of(error.kind()),
    }
}

pub(crate) fn fault_kind(kind: core::FaultKind) -> i32 {
    use core::FaultKind;
    match kind {
        FaultKind::EndpointNotFound => D365_FAULT_ENDPOINT_NOT_FOUND,
        FaultKind::DatacenterNotAvailable => D365_FAULT_DATACENTER_NOT_AVAILABLE,
        FaultKind::Timeout => D365_FAULT_TIMEOUT,
        FaultKind::ServerUnavailable => D365_FAULT_SERVER_UNAVAILABLE,
        FaultKind::ConnectionLost => D365_FAULT_CONNECTION_LOST,
        FaultKind::Local => D365_FAULT_LOCAL,
        FaultKind::Tls => D365_FAULT_TLS,
        FaultKind::Authentication => D365_FAULT_AUTHENTICATION,
        FaultKind::Protocol => D365_FAULT_PROTOCOL,
        FaultKind::Cancelled => D365_FAULT_CANCELLED,
        FaultKind::Throttled => D365_FAULT_THROTTLED,
        FaultKind::Service => D365_FAULT_SERVICE,
    }
}

pub(crate) fn role(role: core::Role) -> i32 {
    match role {
        core::Role::Primary => D365_ROLE_PRIMARY,
        core::Role::Alternate => D365_ROLE_ALTERNATE,
    }
}

pub(crate) fn phase(phase: core::Phase) -> i32 {
    match phase {
        core::Phase::NotSent => D365_PHASE_NOT_SENT,
        core::Phase::Sent => D365_PHASE_SENT,
        core::Phase::Responded => D365_PHASE_RESPONDED,
    }
}

pub(crate) fn effect(effect: core::Effect) -> i32 {
    match effect {
        core::Effect::None => D365_EFFECT_NONE,
        core::Effect::Executed => D365_EFFECT_EXECUTED,
        core::Effect::NotExecuted => D365_EFFECT_NOT_EXECUTED,
        core::Effect::Unknown => D365_EFFECT_UNKNOWN,
    }
}

pub(crate) fn operation(operation: core::Operation) -> i32 {
    match operation {
        core::Operation::Read => D365_OPERATION_READ,
        core::Operation::Idempotent => D365_OPERATION_IDEMPOTENT,
        core::Operation::Guarded => D365_OPERATION_GUARDED,
        core::Operation::Unsafe => D365_OPERATION_UNSAFE,
    }
}

const STATUS_NAMES: &[(d365_status_t, &CStr)] = &[
    (D365_OK, c"ok"),
    (D365_INVALID_ARGUMENT, c"invalid_argument"),
    (D365_NULL_POINTER, c"null_pointer"),
    (D365_INVALID_UTF8, c"invalid_utf8"),
    (D365_INVALID_URL, c"invalid_url"),
    (D365_UNKNOWN_SETTING, c"unknown_setting"),
    (D365_INVALID_SETTING, c"invalid_setting"),
    (D365_INVALID_HANDLE, c"invalid_handle"),
    (D365_WRONG_HANDLE, c"wrong_handle"),
    (D365_NOT_AVAILABLE, c"not_available"),
    (D365_CLOSED, c"closed"),
    (D365_WOULD_DEADLOCK, c"would_deadlock"),
    (D365_FORKED, c"forked"),
    (D365_NO_ALTERNATE, c"no_alternate"),
    (D365_EMPTY, c"empty"),
    (D365_BUSY, c"busy"),
    (D365_LATE, c"late"),
    (D365_NO_CA_STORE, c"no_ca_store"),
    (D365_NO_QUEUE, c"no_queue"),
    (D365_NO_RESOURCES, c"no_resources"),
    (D365_OVERRIDDEN, c"overridden"),
    (D365_WRITE_IN_DOUBT, c"write_in_doubt"),
    (D365_INTERNAL, c"internal"),
];

const FAULT_KIND_NAMES: &[(i32, &CStr)] = &[
    (D365_FAULT_NONE, c"none"),
    (D365_FAULT_ENDPOINT_NOT_FOUND, c"endpoint_not_found"),
    (
        D365_FAULT_DATACENTER_NOT_AVAILABLE,
        c"datacenter_not_available",
    ),
    (D365_FAULT_TIMEOUT, c"timeout"),
    (D365_FAULT_SERVER_UNAVAILABLE, c"server_unavailable"),
    (D365_FAULT_CONNECTION_LOST, c"connection_lost"),
    (D365_FAULT_LOCAL, c"local"),
    (D365_FAULT_TLS, c"tls"),
    (D365_FAULT_AUTHENTICATION, c"authentication"),
    (D365_FAULT_PROTOCOL, c"protocol"),
    (D365_FAULT_CANCELLED, c"cancelled"),
    (D365_FAULT_THROTTLED, c"throttled"),
    (D365_FAULT_SERVICE, c"service"),
];

pub(crate) fn name_in(
    names: &'static [(i32, &'static CStr)],
    number: i32,
) -> Option<&'static CStr> {
    names
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
}

const UNKNOWN: &CStr = c"unknown";

/// The name of a status: `"endpoint_not_found"`; `"unknown"` for a number that the library does not
/// have.
///
/// Never NULL; static, not to be freed. Any thread. See also d365_fault_kind_name().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_status_name(status: d365_status_t) -> *const c_char {
    let name = name_in(STATUS_NAMES, status);
    let of_call = || name_in(&FAULT_KIND_NAMES[1..], status.wrapping_sub(100));
    name.or_else(of_call).unwrap_or(UNKNOWN).as_ptr()
}

/// The name of a fault kind: `"timeout"`; `"none"` for 0; `"unknown"` for a number that the library
/// does not have.
///
/// Never NULL; static, not to be freed. Any thread.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_fault_kind_name(kind: i32) -> *const c_char {
    name_in(FAULT_KIND_NAMES, kind).unwrap_or(UNKNOWN).as_ptr()
}

#[cfg(test)]
mod tests {
    use d365_failover_core as core;

    use super::*;
    use std::collections::HashSet;

    const FAULT_KINDS: [core::FaultKind; 12] = [
        core::FaultKind::EndpointNotFound,
        core::FaultKind::DatacenterNotAvailable,
        core::FaultKind::Timeout,
        core::FaultKind::ServerUnavailable,
        core::FaultKind::ConnectionLost,
        core::FaultKind::Local,
        core::FaultKind::Tls,
        core::FaultKind::Authentication,
        core::FaultKind::Protocol,
        core::FaultKind::Cancelled,
        core::FaultKind::Throttled,
        core::FaultKind::Service,
    ];

    fn name(text: *const c_char) -> &'static str {
        // SAFETY: the functions under test return static, NUL-terminated names.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap()
    }

    #[test]
    fn every_kind_of_error_has_a_status_of_its_own() {
        use core::ErrorKind as K;
        let states = [
            (K::InvalidArgument, 10),
            (K::InvalidUrl, 13),
            (K::UnknownSetting, 14),
            (K::InvalidSetting, 15),
            (K::NotAvailable, 18),
            (K::Closed, 30),
            (K::WouldDeadlock, 31),
            (K::Forked, 32),
            (K::NoAlternate, 33),
            (K::Empty, 34),
            (K::Busy, 35),
            (K::Late, 36),
            (K::NoCaStore, 37),
            (K::NoQueue, 38),
            (K::NoResources, 39),
            (K::Overridden, 40),
            (K::Internal, 200),
        ];
        for (kind, status) in states {
            assert_eq!(status_of(kind), status, "{kind:?}");
            assert_ne!(name(d365_status_name(status)), "unknown", "{kind:?}");
        }
    }

    #[test]
    fn a_call_that_failed_says_its_fault_kind() {
        for (kind, number) in FAULT_KINDS.into_iter().zip(1..) {
            assert_eq!(fault_kind(kind), number);
            assert_eq!(status_of(core::ErrorKind::Call(kind)), 100 + number);
            assert_eq!(name(d365_fault_kind_name(number)), kind.name());
            assert_eq!(name(d365_status_name(100 + number)), kind.name());
        }
    }

    #[test]
    fn names_and_numbers_are_unique() {
        for names in [STATUS_NAMES, FAULT_KIND_NAMES] {
            let numbers: HashSet<_> = names.iter().map(|(number, _)| number).collect();
            let texts: HashSet<_> = names.iter().map(|(_, text)| text).collect();
            assert_eq!((numbers.len(), texts.len()), (names.len(), names.len()));
        }
    }

    #[test]
    fn an_unknown_number_has_a_name_too() {
        for number in [-1, 1, 99, 100, 113, 201, i32::MIN, i32::MAX] {
            assert_eq!(name(d365_status_name(number)), "unknown", "{number}");
        }
        for number in [-1, 13, i32::MIN, i32::MAX] {
            assert_eq!(name(d365_fault_kind_name(number)), "unknown", "{number}");
        }
    }
}
