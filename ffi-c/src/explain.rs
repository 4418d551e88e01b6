//! What a client would do about an answer, or about a fault.

use std::time::Instant;

use d365_failover_core as core;

use crate::argument::{bytes, out, slice};
use crate::error::d365_error_t;
use crate::fault::{d365_header_t, header_map, http_status, preset_of};
use crate::guard::{Failure, guard_with};
use crate::handle;
use crate::request::d365_request_t;
use crate::status::{D365_PHASE_NOT_SENT, D365_PHASE_SENT, d365_status_t};
use crate::text::{Text, d365_text_t};

/// Tells what a client with a preset (D365_PRESET_...) and its settings would do about this answer to
/// the first attempt of `request`: status (100 to 999), `header_count` headers, and as much of the body as
/// there is. Pure: no client, no I/O; by the same rules as a client. A JSON object; more members may come
/// in later versions:
///
/// - `operation`, `is_compound`: what a repeat of the request does, and whether it holds several;
/// - `phase`, `http_status`;
/// - `fault`: `kind`, `cause`, `code`, `retry_after_ms`, `message`; null for what is none;
/// - `evidence` against the endpoint: `never`, `weak`, `strong`; `switch`: `no`,
///   `if_only_the_other_answers` (probes decide), `if_the_other_answers`, `at_once`;
/// - `effect` of a write; `parts` of a request that holds several, or null;
/// - `next`: null where there is no fault; `switched` and `stayed`: what is done where calls go elsewhere
///   then, or stay: `again_after_ms`, the least, and `reads_row`, whether the row of a guarded create is read then in
///   place of a repeat; or null where it is not sent again. With time and `retry_budget` enough;
/// - `ends_as`, where it is not sent again: `response` or `error`.
///
/// `explanation` is the caller's, freed by d365_text_free().
///
/// Errors: D365_INVALID_ARGUMENT for a status or a header that HTTP does not have, another preset, a guarded
/// create that the request cannot be (d365_request_set_guarded_create()), and a request without a method of its own
/// (d365_request_new_verify(), d365_request_new_replay(), ...); D365_NULL_POINTER, D365_INVALID_UTF8, and what can
/// be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_explain_response(
    request: *const d365_request_t,
    preset: i32,
    status: i32,
    headers: *const d365_header_t,
    header_count: usize,
    body: *const u8,
    body_len: usize,
    explanation: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let work = || {
        let request = handle::get(request)?;
        let (preset, status) = (preset_of(preset)?, http_status(status)?);
        // SAFETY: headers and bytes of the caller's that are valid during the call.
        let (headers, body) = unsafe {
            (
                header_map(slice(headers, header_count, "headers")?)?,
                bytes(body, body_len, "body")?,
            )
        };
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(explanation, "explanation") }?;
        let (request, _) = request.snapshot();
        let told =
            core::explain_response(&request, preset, Instant::now(), status, &headers, body)?;
        place.set(handle::insert(Text::new(told))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, work) }
}

/// As d365_explain_response(), of an attempt that ended with `cause` (D365_CAUSE_...) before a status
/// had come; `phase` is D365_PHASE_NOT_SENT or D365_PHASE_SENT.
///
/// Errors: D365_INVALID_ARGUMENT for another cause, phase or preset, and for the request as there; D365_NULL_POINTER,
/// and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_explain_fault(
    request: *const d365_request_t,
    preset: i32,
    cause: i32,
    phase: i32,
    explanation: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let work = || {
        let request = handle::get(request)?;
        let preset = preset_of(preset)?;
        let cause = core::Cause::ALL
            .into_iter()
            .find(|known| *known as i32 == cause)
            .ok_or_else(|| Failure::argument(format!("cause: {cause} is none")))?;
        let phase = match phase {
            D365_PHASE_NOT_SENT => core::Phase::NotSent,
            D365_PHASE_SENT => core::Phase::Sent,
            _ => {
                let message = format!("phase: {phase} is none without an answer");
                return Err(Failure::argument(message));
            }
        };
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(explanation, "explanation") }?;
        let (request, _) = request.snapshot();
        let told = core::explain_fault(&request, preset, Instant::now(), cause, phase)?;
        place.set(handle::insert(Text::new(told))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, work) }
}
