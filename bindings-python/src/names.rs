//! The numbers of the ABI as the words that Python has for them.

use std::ffi::CStr;

use d365_failover::{
    D365_EFFECT_EXECUTED, D365_EFFECT_NONE, D365_EFFECT_NOT_EXECUTED, D365_OPERATION_GUARDED,
    D365_OPERATION_IDEMPOTENT, D365_OPERATION_READ, D365_PHASE_NOT_SENT, D365_PHASE_RESPONDED,
    D365_PHASE_SENT, D365_ROLE_ALTERNATE, D365_ROLE_PRIMARY, d365_cause_name, d365_fault_kind_name,
    d365_resolution_name, d365_verified_name,
};

pub(crate) fn present(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

pub(crate) fn effect(effect: i32) -> &'static str {
    match effect {
        D365_EFFECT_NONE => "none",
        D365_EFFECT_EXECUTED => "executed",
        D365_EFFECT_NOT_EXECUTED => "not_executed",
        // What a newer library may say beyond this is not known here: for a write that is the careful answer.
        _ => "unknown",
    }
}

/// `None` for what is neither endpoint: a host of `allowed_hosts`.
pub(crate) fn role(role: i64) -> Option<&'static str> {
    match i32::try_from(role) {
        Ok(0) => None,
        Ok(D365_ROLE_PRIMARY) => Some("primary"),
        Ok(D365_ROLE_ALTERNATE) => Some("alternate"),
        _ => Some("unknown"),
    }
}

/// As the status line has it, which of HTTP/2 is none. `None` where there was no connection.
pub(crate) fn version(version: i64) -> Option<&'static str> {
    match version {
        0 => None,
        11 => Some("HTTP/1.1"),
        20 => Some("HTTP/2"),
        _ => Some("unknown"),
    }
}

pub(crate) fn phase(phase: i64) -> &'static str {
    match i32::try_from(phase) {
        Ok(D365_PHASE_NOT_SENT) => "not_sent",
        Ok(D365_PHASE_SENT) => "sent",
        Ok(D365_PHASE_RESPONDED) => "responded",
        _ => "unknown",
    }
}

pub(crate) fn fault(kind: i64) -> &'static str {
    let kind = i32::try_from(kind).unwrap_or(-1);
    // SAFETY: never null, static, and ended by a NUL.
    unsafe { CStr::from_ptr(d365_fault_kind_name(kind)) }
        .to_str()
        .unwrap_or("unknown")
}

/// `None` where there is no fault.
pub(crate) fn cause(cause: i64) -> Option<&'static str> {
    let number = i32::try_from(cause).unwrap_or(-1);
    // SAFETY: never null, static, and ended by a NUL.
    let name = unsafe { CStr::from_ptr(d365_cause_name(number)) };
    (number != 0).then(|| name.to_str().unwrap_or("unknown"))
}

pub(crate) fn operation(operation: i64) -> &'static str {
    match i32::try_from(operation) {
        Ok(D365_OPERATION_READ) => "read",
        Ok(D365_OPERATION_IDEMPOTENT) => "idempotent",
        Ok(D365_OPERATION_GUARDED) => "guarded",
        // What is not known here is as careful as can be.
        _ => "unsafe",
    }
}

/// `None` for what nobody has looked at.
pub(crate) fn verified(verified: i64) -> Option<&'static str> {
    let number = i32::try_from(verified).unwrap_or(-1);
    // SAFETY: never null, static, and ended by a NUL.
    let name = unsafe { CStr::from_ptr(d365_verified_name(number)) };
    (number != 0).then(|| name.to_str().unwrap_or("unknown"))
}

/// `None` for what the application has not told yet.
pub(crate) fn resolution(resolution: i64) -> Option<&'static str> {
    let number = i32::try_from(resolution).unwrap_or(-1);
    // SAFETY: never null, static, and ended by a NUL.
    let name = unsafe { CStr::from_ptr(d365_resolution_name(number)) };
    (number != 0).then(|| name.to_str().unwrap_or("unknown"))
}
