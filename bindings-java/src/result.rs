//! Responses, attempts and views, packed.

use std::ffi::CStr;

use d365_failover as c;

use crate::failure::{Failure, check, owned, value};
use crate::owned::Owned;
use crate::packet::Writer;

pub(crate) const EMPTY: c::d365_str_t = c::d365_str_t {
    data: std::ptr::null(),
    len: 0,
};

/// Calls a function of the C ABI that hands out a view.
pub(crate) fn view(
    call: impl FnOnce(*mut c::d365_str_t) -> c::d365_status_t,
) -> Result<c::d365_str_t, Failure> {
    value(EMPTY, |out, _| call(out))
}

/// Packs the text of a view, or an empty one.
///
/// # Safety
/// The view's object has not been freed.
pub(crate) unsafe fn text(packet: &mut Writer, view: Option<c::d365_str_t>) {
    // SAFETY: a view of a living object.
    packet.bytes(view.map_or(&[][..], |view| unsafe { slice(view) }));
}

/// # Safety
/// The view's object has not been freed, and will not be while the slice is used.
unsafe fn slice<'a>(view: c::d365_str_t) -> &'a [u8] {
    if view.data.is_null() {
        return &[];
    }
    // SAFETY: the C ABI says that a view has `len` bytes as long as its object lives.
    unsafe { std::slice::from_raw_parts(view.data.cast(), view.len) }
}

/// Packs a response; its body comes last.
pub(crate) fn response(packet: &mut Writer, response: &Owned<c::d365_response_t>) {
    let handle = response.get();
    // SAFETY: every output is a local variable, every view is of `response`, which lives until the end.
    unsafe {
        packet.int(value(0, |out, _| c::d365_response_status(handle, out)).unwrap_or(0));
        let reason = view(|out| c::d365_response_reason_phrase(handle, out)).ok();
        text(packet, reason);
        packet.long(value(0, |out, _| c::d365_response_elapsed_us(handle, out)).unwrap_or(0));
        text(packet, view(|out| c::d365_response_url(handle, out)).ok());
        let count = value(0, |out, _| c::d365_response_header_count(handle, out)).unwrap_or(0);
        packet.int(count as i32);
        for index in 0..count {
            let (mut name, mut content) = (EMPTY, EMPTY);
            let _ = check(|_| {
                c::d365_response_header_at(handle, index, &raw mut name, &raw mut content)
            });
            text(packet, Some(name));
            text(packet, Some(content));
        }
        packet.int(
            value(0, |out, _| c::d365_response_effect(handle, out))
                .unwrap_or(c::D365_EFFECT_UNKNOWN),
        );
        packet.int(value(0, |out, _| c::d365_response_switched(handle, out)).unwrap_or(0));
        packet.optional(
            value(0, |out, _| c::d365_response_ledger_id(handle, out)).ok(),
            Writer::long,
        );
        text(packet, view(|out| c::d365_response_tag(handle, out)).ok());
        packet.int(value(0, |out, _| c::d365_response_verified(handle, out)).unwrap_or(0));
        let list = owned(|out, _| c::d365_response_attempts(handle, out)).ok();
        attempts(packet, list.as_ref());
        parts(packet, handle);
        settled(packet, handle);
        let (mut data, mut len) = (std::ptr::null(), 0);
        let _ = check(|_| c::d365_response_body(handle, &raw mut data, &raw mut len));
        packet.bytes(if data.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(data, len)
        });
    }
}

/// Packs a cause by its name; no fault is an empty text.
pub(crate) fn cause(packet: &mut Writer, cause: i32) {
    // SAFETY: the function hands out static NUL-terminated text, never NULL.
    let name = unsafe { CStr::from_ptr(c::d365_cause_name(cause)) };
    packet.bytes(match cause {
        c::D365_CAUSE_NONE => &[],
        _ => name.to_bytes(),
    });
}

/// Packs what a step of a walk has done; of any other response that there is none.
fn settled(packet: &mut Writer, response: *const c::d365_response_t) {
    let step = c::D365_SETTLED_ID..=c::D365_SETTLED_RESOLUTION;
    let whole = c::D365_SETTLED_TOTAL..=c::D365_SETTLED_LEFT;
    // SAFETY: every output is a local variable; the handle is never dereferenced.
    unsafe {
        let Ok(why) = view(|out| c::d365_response_settled_why(response, out)) else {
            packet.int(0);
            return;
        };
        packet.int(1);
        for field in step.chain(whole) {
            let number = value(0, |out, _| c::d365_response_settled(response, field, out));
            packet.long(number.unwrap_or(0));
        }
        text(packet, Some(why));
    }
}

/// Packs what a batch's answer says of its requests.
pub(crate) fn parts(packet: &mut Writer, response: *const c::d365_response_t) {
    // SAFETY: every output is a local variable; the handle is never dereferenced.
    unsafe {
        let Ok(parts) = owned(|out, _| c::d365_response_parts(response, out)) else {
            packet.int(0);
            return;
        };
        let handle = parts.get();
        let count = value(0, |out, _| c::d365_parts_count(handle, out)).unwrap_or(0);
        packet.int(count as i32);
        for part in 0..count {
            for field in [c::D365_PART_INDEX, c::D365_PART_STATUS, c::D365_PART_CODE] {
                let number = value(0, |out, _| c::d365_parts_number(handle, part, field, out));
                packet.long(number.unwrap_or(0));
            }
        }
    }
}

/// Packs a list of attempts; none is an empty one.
pub(crate) fn attempts(packet: &mut Writer, attempts: Option<&Owned<c::d365_attempts_t>>) {
    const NUMBERS: [i32; 9] = [
        c::D365_ATTEMPT_ROLE,
        c::D365_ATTEMPT_EPOCH,
        c::D365_ATTEMPT_PHASE,
        c::D365_ATTEMPT_FAULT_KIND,
        c::D365_ATTEMPT_HTTP_STATUS,
        c::D365_ATTEMPT_SERVICE_CODE,
        c::D365_ATTEMPT_STARTED_MS,
        c::D365_ATTEMPT_TOOK_US,
        c::D365_ATTEMPT_HTTP_VERSION,
    ];
    let Some(attempts) = attempts else {
        packet.int(0);
        return;
    };
    let handle = attempts.get();
    // SAFETY: every output is a local variable, every view is of `attempts`, which lives until the end.
    unsafe {
        let count = value(0, |out, _| c::d365_attempts_count(handle, out)).unwrap_or(0);
        packet.int(count as i32);
        for index in 0..count {
            for field in NUMBERS {
                packet.long(
                    value(0, |out, _| {
                        c::d365_attempts_number(handle, index, field, out)
                    })
                    .unwrap_or(0),
                );
            }
            for field in [c::D365_ATTEMPT_URL, c::D365_ATTEMPT_MESSAGE] {
                let content = view(|out| c::d365_attempts_text(handle, index, field, out)).ok();
                text(packet, content);
            }
            let number = value(0, |out, _| {
                c::d365_attempts_number(handle, index, c::D365_ATTEMPT_CAUSE, out)
            });
            cause(packet, number.unwrap_or(0) as i32);
        }
    }
}
