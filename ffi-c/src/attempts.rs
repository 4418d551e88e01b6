//! The attempts of a call: fields by number, so that a new field is no new function.

use std::time::{SystemTime, UNIX_EPOCH};

use d365_failover_core as core;

use crate::argument::out;
use crate::cause;
use crate::guard::{Failure, guard};
use crate::handle::{self, Noun, Tag};
use crate::status::{D365_FAULT_NONE, d365_status_t, fault_kind, phase, role};
use crate::text::{Text, d365_str_t};

/// Number field of an attempt: the endpoint it went to (D365_ROLE_...), 0 for a host of the setting
/// `allowed_hosts`, which is neither.
pub const D365_ATTEMPT_ROLE: i32 = 1;
/// Number field of an attempt: the epoch (count of switches) it was made in.
pub const D365_ATTEMPT_EPOCH: i32 = 2;
/// Number field of an attempt: how far it came (D365_PHASE_...).
pub const D365_ATTEMPT_PHASE: i32 = 3;
/// Number field of an attempt: why it failed (D365_FAULT_...; D365_FAULT_NONE when it did not).
pub const D365_ATTEMPT_FAULT_KIND: i32 = 4;
/// Number field of an attempt: the HTTP status, 0 when there was none.
pub const D365_ATTEMPT_HTTP_STATUS: i32 = 5;
/// Number field of an attempt: the code of the service's fault, 0 when there was none.
pub const D365_ATTEMPT_SERVICE_CODE: i32 = 6;
/// Number field of an attempt: when it started, in milliseconds since 1970-01-01 UTC.
pub const D365_ATTEMPT_STARTED_MS: i32 = 7;
/// Number field of an attempt: how long it took, in microseconds.
pub const D365_ATTEMPT_TOOK_US: i32 = 8;
/// Number field of an attempt: the version of HTTP that was spoken, 11 or 20; 0 when it came to no
/// connection.
pub const D365_ATTEMPT_HTTP_VERSION: i32 = 9;
/// Number field of an attempt: what exactly made it fail (D365_CAUSE_...; D365_CAUSE_NONE when it did
/// not).
pub const D365_ATTEMPT_CAUSE: i32 = 10;
/// Text field of an attempt: the URL it went to.
pub const D365_ATTEMPT_URL: i32 = 20;
/// Text field of an attempt: the message of its fault, empty when it had none.
pub const D365_ATTEMPT_MESSAGE: i32 = 21;

/// The attempts of one call in the order in which they were made. It never changes.
pub struct d365_attempts_t {
    _opaque: (),
}

struct AttemptObject {
    attempt: core::Attempt,
    url: Text,
    message: Text,
}

pub(crate) struct AttemptList(Vec<AttemptObject>);

impl AttemptList {
    pub(crate) fn new(attempts: &[core::Attempt]) -> AttemptList {
        let object = |attempt: &core::Attempt| AttemptObject {
            url: Text::new(&attempt.url),
            message: Text::new(attempt.fault.as_ref().map_or("", |fault| &fault.message)),
            attempt: attempt.clone(),
        };
        AttemptList(attempts.iter().map(object).collect())
    }

    fn at(&self, index: usize) -> Result<&AttemptObject, Failure> {
        self.0
            .get(index)
            .ok_or_else(|| Failure::absent(&format!("attempt {index}")))
    }
}

impl Noun for d365_attempts_t {
    type Object = AttemptList;
    const TAG: Tag = Tag::Attempts;
    const NAME: &'static str = "d365_attempts_t";
}

/// Milliseconds since 1970; a clock before that gives a negative number.
pub(crate) fn unix_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_millis().try_into().unwrap_or(i64::MAX),
        Err(before) => before
            .duration()
            .as_millis()
            .try_into()
            .map_or(i64::MIN, |ms: i64| -ms),
    }
}

/// How many attempts there are. 0 when the call failed before the first one.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_attempts_count(
    attempts: *const d365_attempts_t,
    count: *mut usize,
) -> d365_status_t {
    guard(|| {
        let attempts = handle::get(attempts)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(count, "count") }?.set(attempts.0.len());
        Ok(())
    })
}

/// A number of attempt `index`, counted from 0. `field` is one of D365_ATTEMPT_ROLE to
/// D365_ATTEMPT_CAUSE.
///
/// Errors: D365_NOT_AVAILABLE for an index or field that there is not; D365_NULL_POINTER, and what
/// can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_attempts_number(
    attempts: *const d365_attempts_t,
    index: usize,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let attempts = handle::get(attempts)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let attempt = &attempts.at(index)?.attempt;
        let fault = attempt.fault.as_ref();
        value.set(match field {
            D365_ATTEMPT_ROLE => attempt.role.map_or(0, role).into(),
            D365_ATTEMPT_EPOCH => attempt.epoch.try_into().unwrap_or(i64::MAX),
            D365_ATTEMPT_PHASE => phase(attempt.phase).into(),
            D365_ATTEMPT_FAULT_KIND => fault
                .map_or(D365_FAULT_NONE, |fault| fault_kind(fault.kind))
                .into(),
            D365_ATTEMPT_HTTP_STATUS => attempt.http_status.unwrap_or(0).into(),
            D365_ATTEMPT_SERVICE_CODE => fault.and_then(|fault| fault.code).unwrap_or(0).into(),
            D365_ATTEMPT_STARTED_MS => unix_ms(attempt.started),
            D365_ATTEMPT_TOOK_US => attempt.took.as_micros().try_into().unwrap_or(i64::MAX),
            D365_ATTEMPT_HTTP_VERSION => attempt.http_version.map_or(0, |version| version as i64),
            D365_ATTEMPT_CAUSE => cause::of(fault).into(),
            _ => {
                return Err(Failure::absent(&format!(
                    "number field {field} of an attempt"
                )));
            }
        });
        Ok(())
    })
}

/// A text of attempt `index`, counted from 0. `field` is D365_ATTEMPT_URL or D365_ATTEMPT_MESSAGE.
/// The view is valid until the attempts are freed.
///
/// Errors: D365_NOT_AVAILABLE for an index or field that there is not; D365_NULL_POINTER, and what
/// can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_attempts_text(
    attempts: *const d365_attempts_t,
    index: usize,
    field: i32,
    value: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let attempts = handle::get(attempts)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let attempt = attempts.at(index)?;
        value.set(match field {
            D365_ATTEMPT_URL => attempt.url.view(),
            D365_ATTEMPT_MESSAGE => attempt.message.view(),
            _ => {
                return Err(Failure::absent(&format!(
                    "text field {field} of an attempt"
                )));
            }
        });
        Ok(())
    })
}

/// Frees the attempts and ends their views; the response or error that they were asked of stays.
/// NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_attempts_free(attempts: *mut d365_attempts_t) -> d365_status_t {
    guard(|| handle::remove(attempts).map(drop))
}

#[cfg(test)]
mod tests {
    use d365_failover_core as core;

    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_counted_from_1970_both_ways() {
        assert_eq!(
            unix_ms(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)),
            1_700_000_000_123
        );
        assert_eq!(unix_ms(UNIX_EPOCH - Duration::from_millis(5)), -5);
    }

    #[test]
    fn versions_have_the_numbers_of_the_header() {
        use core::HttpVersion as V;
        assert_eq!(
            [V::Http11, V::Http2].map(|version| version as i64),
            [11, 20]
        );
    }
}
