//! What the C ABI refused, and how it is packed.

use std::ffi::CStr;
use std::ptr;

use d365_failover as c;

use crate::owned::Owned;
use crate::packet::Writer;
use crate::result::{self, text, view};

/// A status that is not OK, with its error object if there is one.
pub(crate) struct Failure {
    status: c::d365_status_t,
    error: Option<Owned<c::d365_error_t>>,
}

/// Calls the C ABI; functions without an error object leave the pointer alone.
pub(crate) fn check(
    call: impl FnOnce(*mut *mut c::d365_error_t) -> c::d365_status_t,
) -> Result<(), Failure> {
    let mut error = ptr::null_mut();
    let status = call(&raw mut error);
    if status == c::D365_OK {
        return Ok(());
    }
    let error = (!error.is_null()).then(|| Owned::new(error));
    Err(Failure { status, error })
}

/// Calls a function of the C ABI that hands out one value.
pub(crate) fn value<T: Copy>(
    initial: T,
    call: impl FnOnce(*mut T, *mut *mut c::d365_error_t) -> c::d365_status_t,
) -> Result<T, Failure> {
    let mut out = initial;
    check(|error| call(&raw mut out, error))?;
    Ok(out)
}

/// Calls a function of the C ABI that hands out a new handle.
pub(crate) fn owned<T: crate::owned::Release>(
    call: impl FnOnce(*mut *mut T, *mut *mut c::d365_error_t) -> c::d365_status_t,
) -> Result<Owned<T>, Failure> {
    value(ptr::null_mut(), call).map(Owned::new)
}

impl Failure {
    pub(crate) fn is(&self, status: c::d365_status_t) -> bool {
        self.status == status
    }

    pub(crate) fn name(&self) -> String {
        self.status_name().to_string_lossy().into_owned()
    }

    fn status_name(&self) -> &'static CStr {
        // SAFETY: the function hands out static NUL-terminated text, never NULL.
        unsafe { CStr::from_ptr(c::d365_status_name(self.status)) }
    }

    /// What `ErrorKind` says: of a write in doubt what its call failed with, since its class says the
    /// rest.
    fn kind(&self) -> i32 {
        match &self.error {
            Some(error) if self.is(c::D365_WRITE_IN_DOUBT) => {
                // SAFETY: the output is a local variable.
                let fault = value(0, |out, _| unsafe { c::d365_error_kind(error.get(), out) });
                match fault.unwrap_or(c::D365_FAULT_NONE) {
                    c::D365_FAULT_NONE => c::D365_INTERNAL,
                    fault => c::D365_ENDPOINT_NOT_FOUND - c::D365_FAULT_ENDPOINT_NOT_FOUND + fault,
                }
            }
            _ => self.status,
        }
    }

    /// The packet that `Outcome.java` reads: status, name, message, and what is known of the call.
    pub(crate) fn packet(&self) -> Writer {
        let mut packet = Writer::default();
        packet.int(self.kind());
        packet.bytes(self.status_name().to_bytes());
        let Some(error) = &self.error else {
            packet.optional(None, Writer::int);
            return packet;
        };
        packet.optional(Some(error.get()), error_fields);
        packet
    }
}

fn error_fields(packet: &mut Writer, error: *mut c::d365_error_t) {
    // SAFETY: every output is a local variable; `error` is a handle, which is never dereferenced.
    unsafe {
        text(packet, view(|out| c::d365_error_message(error, out)).ok());
        packet.int(
            value(0, |out, _| c::d365_error_effect(error, out)).unwrap_or(c::D365_EFFECT_UNKNOWN),
        );
        packet.int(value(0, |out, _| c::d365_error_switched(error, out)).unwrap_or(0));
        packet.optional(
            value(0, |out, _| c::d365_error_ledger_id(error, out)).ok(),
            Writer::long,
        );
        text(packet, view(|out| c::d365_error_tag(error, out)).ok());
        packet.optional(
            value(0, |out, _| c::d365_error_http_status(error, out)).ok(),
            Writer::int,
        );
        packet.optional(
            value(0, |out, _| c::d365_error_service_code(error, out)).ok(),
            Writer::int,
        );
        packet.optional(
            value(0, |out, _| c::d365_error_retry_after_ms(error, out)).ok(),
            Writer::long,
        );
        let attempts = owned(|out, _| c::d365_error_attempts(error, out)).ok();
        result::attempts(packet, attempts.as_ref());
        let response = owned(|out, _| c::d365_error_response(error, out)).ok();
        packet.optional(response, |packet, response| {
            result::response(packet, &response)
        });
        packet.optional(
            value(0, |out, _| c::d365_error_provider_data(error, out)).ok(),
            Writer::long,
        );
        result::cause(
            packet,
            value(0, |out, _| c::d365_error_cause(error, out)).unwrap_or(0),
        );
    }
}
