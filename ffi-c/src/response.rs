//! The response: status, headers, body, and what is known of the call.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use d365_failover_core as core;

use crate::argument::{out, room, text, to_core};
use crate::attempts::{AttemptList, d365_attempts_t};
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with, of_read};
use crate::handle::{self, Noun, Tag};
use crate::ledger::clamp;
use crate::parts::{PartList, d365_parts_t};
use crate::request::{Check, d365_check_fn};
use crate::stack;
use crate::status::{self, d365_status_t};
use crate::text::{Text, d365_str_t};

/// The answer to a call. Made by the library, owned by the caller, freed by d365_response_free().
/// But for how much of its body was read, and what that tells of a batch, it never changes.
pub struct d365_response_t {
    _opaque: (),
}

pub(crate) struct ResponseObject {
    pub(crate) response: core::Response,
    url: OnceLock<Text>,
    tag: Option<Text>,
    reason: OnceLock<Text>,
    why: OnceLock<Text>,
    /// Copied when first asked for: many applications read nothing but the body.
    headers: OnceLock<Box<[(Text, Text)]>>,
}

impl ResponseObject {
    pub(crate) fn new(response: core::Response) -> ResponseObject {
        ResponseObject {
            tag: response.tag().map(Text::new),
            response,
            url: OnceLock::new(),
            reason: OnceLock::new(),
            why: OnceLock::new(),
            headers: OnceLock::new(),
        }
    }

    fn url(&self) -> &Text {
        self.url.get_or_init(|| Text::new(self.response.url()))
    }

    /// What a step of a walk says.
    pub(crate) fn settled_why(&self) -> Option<&Text> {
        let step = self.response.settle_step()?;
        Some(self.why.get_or_init(|| Text::new(&step.why)))
    }

    fn headers(&self) -> &[(Text, Text)] {
        self.headers.get_or_init(|| {
            let pair = |(name, value): (&str, &http::HeaderValue)| {
                let value = core::readable(value.as_bytes());
                (Text::new(name), Text::new(value))
            };
            self.response.header_lines().into_iter().map(pair).collect()
        })
    }
}

impl Noun for d365_response_t {
    type Object = ResponseObject;
    const TAG: Tag = Tag::Response;
    const NAME: &'static str = "d365_response_t";
}

/// The handle of a call's response. Without one the call has done what it did all the same.
pub(crate) fn handed_out(response: core::Response) -> Result<*mut d365_response_t, Failure> {
    let kept = response.clone();
    handle::insert(ResponseObject::new(response)).map_err(|failure| failure.after(&kept))
}

/// The HTTP status, 100 to 999. Any status is a response; the library makes an error only of what
/// starts a failover.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_status(
    response: *const d365_response_t,
    status: *mut i32,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(status, "status") }?.set(response.response.status().into());
        Ok(())
    })
}

/// What the status is called: as it came over HTTP/1.1 where the answer says anything, on one line
/// and cut to 200 characters, without the credential that was sent; else as the standard has it
/// ("Not Found"), and empty for a status that it does not know. The view is valid until the response
/// is freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_reason_phrase(
    response: *const d365_response_t,
    reason: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(reason, "reason") }?;
        let reason = response
            .reason
            .get_or_init(|| Text::new(response.response.reason_phrase()));
        place.set(reason.view());
        Ok(())
    })
}

/// How long the call took, in microseconds, with all attempts and pauses: to its end; where its body
/// is not collected, to the end of its head.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle. See also D365_ATTEMPT_TOOK_US.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_elapsed_us(
    response: *const d365_response_t,
    elapsed_us: *mut i64,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        let elapsed = response.response.elapsed().as_micros();
        // SAFETY: NULL or the caller's variable.
        unsafe { out(elapsed_us, "elapsed_us") }?.set(elapsed.try_into().unwrap_or(i64::MAX));
        Ok(())
    })
}

/// The URL that answered, on the endpoint that answered. The view is valid until the response is
/// freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_url(
    response: *const d365_response_t,
    url: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(url, "url") }?.set(response.url().view());
        Ok(())
    })
}

/// How many headers there are; one that came twice counts twice.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_header_count(
    response: *const d365_response_t,
    count: *mut usize,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(count, "count") }?.set(response.headers().len());
        Ok(())
    })
}

/// Header `index`, counted from 0, in the order in which they came: its name as it came, over
/// HTTP/1.1 in any case and over HTTP/2 in lower case, and its value. A value that is not UTF-8 is
/// read as Latin-1. The views are valid until the response is freed.
///
/// Errors: D365_NOT_AVAILABLE for an index that there is not; D365_NULL_POINTER, and what can be
/// wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_header_at(
    response: *const d365_response_t,
    index: usize,
    name: *mut d365_str_t,
    value: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let (name, value) = unsafe { (out(name, "name")?, out(value, "value")?) };
        let header = response.headers().get(index);
        let header = header.ok_or_else(|| Failure::absent(&format!("header {index}")))?;
        name.set(header.0.view());
        value.set(header.1.view());
        Ok(())
    })
}

/// The value of the first header of that name, in whatever case the name is given. The view is
/// valid until the response is freed.
///
/// Errors: D365_NOT_AVAILABLE when the response has no such header; D365_NULL_POINTER,
/// D365_INVALID_UTF8, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_header(
    response: *const d365_response_t,
    name: *const c_char,
    name_len: usize,
    value: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: text of the caller's that is valid during the call.
        let name = unsafe { text(name, name_len, "name") }?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let found = response
            .headers()
            .iter()
            .find(|(known, _)| known.as_str().eq_ignore_ascii_case(name));
        value.set(found.ok_or_else(|| Failure::absent(name))?.1.view());
        Ok(())
    })
}

/// The whole body: `len` bytes at `data`, which is not NULL even when there are none, and not
/// NUL-terminated. It is valid until the response is freed. It is decoded from the transfer
/// encoding, and from a `Content-Encoding` that the library has asked for (setting `decompress`):
/// the response then has neither `Content-Encoding` nor `Content-Length`.
///
/// Errors: D365_NOT_AVAILABLE for a body that is read (d365_request_set_streaming());
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_body(
    response: *const d365_response_t,
    data: *mut *const u8,
    len: *mut usize,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variables.
        let (data, len) = unsafe { (out(data, "data")?, out(len, "len")?) };
        if response.response.is_streaming() {
            return Err(Failure::absent("collected body"));
        }
        let body = response.response.body();
        data.set(body.as_ptr());
        len.set(body.len());
        Ok(())
    })
}

/// Reads the next bytes of the body: at most `capacity`, which is above 0, into `buffer`. `len` is
/// how many came, 0 only at the end, and then again each time. Of a body that is not collected it
/// waits for the next byte, at most the request's attempt timeout, or that of the setting
/// `attempt_timeout_ms`, and for as long as the client is open; a collected one is read from its first byte on, and d365_response_body() stays.
///
/// A body that breaks off gives the status of its fault, the first time and each time after that:
/// D365_CONNECTION_LOST, D365_TIMEOUT, ... (D365_WRITE_IN_DOUBT where it leaves a write in doubt);
/// D365_CANCELLED after the client was shut down or freed, but for what had come by then.
/// The error then has the attempts of the call, the phase D365_PHASE_RESPONDED and the effect of the
/// call: a write that was answered with 200 was executed, though its answer is not whole, unless it
/// is a `$batch` or an ExecuteMultiple. Nothing is sent again.
///
/// Errors: besides the read's own, D365_BUSY while another thread reads or a submitted read is under
/// way; D365_INVALID_ARGUMENT for a capacity of 0; D365_WOULD_DEADLOCK and D365_NO_RESOURCES,
/// as d365_client_send(); D365_NULL_POINTER, and what can be wrong with a handle. See also
/// d365_response_submit_read().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_read(
    response: *mut d365_response_t,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let response = &handle::get(response)?.response;
        of_read(response, || {
            // SAFETY: memory of the caller's that nobody else uses during the call.
            let buffer = unsafe { room(buffer, capacity, "buffer") }?;
            // SAFETY: NULL or the caller's variable.
            let len = unsafe { out(len, "len") }?;
            stack::check()?;
            len.set(response.read(buffer)?);
            Ok(())
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// As d365_response_read(), and asks `check` with `user_data` about every 20 ms of waiting, on this
/// thread, whether to go on: for interpreters that have signals to look at. When it answers other
/// than 0, the status is D365_CANCELLED (or D365_WRITE_IN_DOUBT), and what would have come is the
/// next read's. `check` may call the library; NULL is asked nothing.
///
/// Errors: as d365_response_read(). See also d365_request_set_check().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_read_checked(
    response: *mut d365_response_t,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
    check: d365_check_fn,
    user_data: *mut c_void,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let response = &handle::get(response)?.response;
        of_read(response, || {
            // SAFETY: memory of the caller's that nobody else uses during the call.
            let buffer = unsafe { room(buffer, capacity, "buffer") }?;
            // SAFETY: NULL or the caller's variable.
            let len = unsafe { out(len, "len") }?;
            stack::check()?;
            let count = match Check::new(check, user_data) {
                Some(check) => response.read_with_check(buffer, &mut || check.cancels())?,
                None => response.read(buffer)?,
            };
            len.set(count);
            Ok(())
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Reads what is here already of the body, without waiting: at most `capacity` bytes, which is above
/// 0, into `buffer`. `len` is how many came, and `has_ended` 1 if they are the last, else 0. 0 and 0:
/// the next ones have to be waited for, with d365_response_read() or d365_response_submit_read(). As
/// much as 64 kB of a body that is not collected comes with its head, if it is there by then: a small
/// one mostly whole.
///
/// Errors: as d365_response_read(), without D365_WOULD_DEADLOCK and D365_NO_RESOURCES.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_read_ready(
    response: *mut d365_response_t,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
    has_ended: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let response = &handle::get(response)?.response;
        of_read(response, || {
            // SAFETY: memory of the caller's that nobody else uses during the call.
            let buffer = unsafe { room(buffer, capacity, "buffer") }?;
            // SAFETY: NULL or the caller's variables.
            let (len, has_ended) = unsafe { (out(len, "len")?, out(has_ended, "has_ended")?) };
            let (count, is_end) = response.read_ready(buffer)?;
            len.set(count);
            has_ended.set(is_end.into());
            Ok(())
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Reads the next bytes of a body that is not collected, at most `most`, without waiting. After
/// D365_OK exactly one item D365_ITEM_BODY with `user_data` comes through the client's queue,
/// whatever becomes of the read; what is wrong before that is this function's status, and no item
/// comes. The response may be freed at once.
///
/// Errors: D365_NOT_AVAILABLE for a collected body; D365_BUSY while another read is under way;
/// the status of a body that broke off before; D365_INVALID_ARGUMENT for 0; D365_NO_QUEUE,
/// D365_NO_RESOURCES without a thread to read with, D365_CLOSED, and what can be wrong with a handle.
/// See also d365_item_body().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_submit_read(
    response: *mut d365_response_t,
    most: usize,
    user_data: *mut c_void,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let response = &handle::get(response)?.response;
        of_read(response, || {
            let read = response.submit_read(most, to_core(user_data));
            read.map_err(Failure::from)
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Ends the reading of a body that is not collected, from any thread: a read that waits, a submitted
/// one too, and every further one give D365_CANCELLED. The connection is closed, or its stream reset,
/// at once. Does nothing to a collected body.
///
/// Errors: what can be wrong with a handle. See also d365_response_free(), which does not end a read
/// that waits.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_cancel(
    response: *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        handle::get(response)?.response.cancel();
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// What is known of the call's effect over all its attempts (D365_EFFECT_...). Of a `$batch` or an
/// ExecuteMultiple whose body is not collected: D365_EFFECT_UNKNOWN until it was read to its end,
/// because only its parts tell.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_effect(
    response: *const d365_response_t,
    effect: *mut i32,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(effect, "effect") }?.set(status::effect(response.response.effect()));
        Ok(())
    })
}

/// 1 if the call met a switch of endpoints, else 0.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_switched(
    response: *const d365_response_t,
    switched: *mut i32,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(switched, "switched") }?.set(response.response.switched().into());
        Ok(())
    })
}

/// The attempts of the call, the last of which gave this response: a new handle, freed by
/// d365_attempts_free().
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_attempts(
    response: *const d365_response_t,
    attempts: *mut *mut d365_attempts_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(attempts, "attempts") }?;
        place.set(handle::insert(AttemptList::new(
            response.response.attempts(),
        ))?);
        Ok(())
    })
}

/// What the answer to a `$batch` or an ExecuteMultiple says of the requests in it: a new handle,
/// freed by d365_parts_free(). There are none for other requests, for an answer that cannot be read
/// or is larger than 16 MiB, and for a body that is not collected until it was read to its end. A
/// request without a part was not executed, where the batch stops at the first that fails; or it
/// was, where an ExecuteMultiple asked for no responses.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_parts(
    response: *const d365_response_t,
    parts: *mut *mut d365_parts_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(parts, "parts") }?;
        place.set(handle::insert(PartList::new(response.response.parts()))?);
        Ok(())
    })
}

/// The number of the write in its client's ledger, for d365_client_resolve().
///
/// Errors: D365_NOT_AVAILABLE for a read; D365_NULL_POINTER, and what can be wrong with a handle. See
/// also d365_client_ledger().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_ledger_id(
    response: *const d365_response_t,
    id: *mut i64,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(id, "id") }?;
        let id = response.response.ledger_id();
        place.set(clamp(id.ok_or_else(|| Failure::absent("ledger id"))?));
        Ok(())
    })
}

/// The tag of the call's request (d365_request_set_tag()). The view is valid until the response is
/// freed.
///
/// Errors: D365_NOT_AVAILABLE for a request without one; D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_response_tag(
    response: *const d365_response_t,
    tag: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let response = handle::get(response)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(tag, "tag") }?;
        let tag = response.tag.as_ref();
        place.set(tag.ok_or_else(|| Failure::absent("tag"))?.view());
        Ok(())
    })
}

/// Frees a response and ends its views. The connection of a body that was not read to its end is
/// closed. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_response_free(response: *mut d365_response_t) -> d365_status_t {
    guard(|| handle::remove(response).map(drop))
}
