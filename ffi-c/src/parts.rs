//! The parts of a `$batch` or an ExecuteMultiple: fields by number, as of attempts.

use d365_failover_core as core;

use crate::argument::out;
use crate::guard::{Failure, guard};
use crate::handle::{self, Noun, Tag};
use crate::status::d365_status_t;

/// Number field of a part: which request of the batch it answers, counted from 0, those in change
/// sets one by one. Of the one answer to a change set that has failed: its first request.
pub const D365_PART_INDEX: i32 = 1;
/// Number field of a part: its HTTP status; 0 in an ExecuteMultiple, whose parts have none.
pub const D365_PART_STATUS: i32 = 2;
/// Number field of a part: the code of the service's fault, 0 when there was none.
pub const D365_PART_CODE: i32 = 3;

/// What the answer to a `$batch` or an ExecuteMultiple says of the requests in it, in the order of
/// the answer. It never changes.
pub struct d365_parts_t {
    _opaque: (),
}

pub(crate) struct PartList(Vec<core::BatchPart>);

impl PartList {
    pub(crate) fn new(parts: &[core::BatchPart]) -> PartList {
        PartList(parts.to_vec())
    }
}

impl Noun for d365_parts_t {
    type Object = PartList;
    const TAG: Tag = Tag::Parts;
    const NAME: &'static str = "d365_parts_t";
}

/// How many parts were answered. 0 for what is no `$batch` and no ExecuteMultiple.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_parts_count(
    parts: *const d365_parts_t,
    count: *mut usize,
) -> d365_status_t {
    guard(|| {
        let parts = handle::get(parts)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(count, "count") }?.set(parts.0.len());
        Ok(())
    })
}

/// A number of part `i`, counted from 0. `field` is one of D365_PART_INDEX to D365_PART_CODE.
///
/// Errors: D365_NOT_AVAILABLE for a part or field that there is not; D365_NULL_POINTER, and what
/// can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_parts_number(
    parts: *const d365_parts_t,
    i: usize,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let parts = handle::get(parts)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let part = parts.0.get(i);
        let part = part.ok_or_else(|| Failure::absent(&format!("part {i}")))?;
        value.set(match field {
            D365_PART_INDEX => part.index.try_into().unwrap_or(i64::MAX),
            D365_PART_STATUS => part.status.unwrap_or(0).into(),
            D365_PART_CODE => part.code.unwrap_or(0).into(),
            _ => return Err(Failure::absent(&format!("number field {field} of a part"))),
        });
        Ok(())
    })
}

/// Frees the parts; the response that they were asked of stays. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_parts_free(parts: *mut d365_parts_t) -> d365_status_t {
    guard(|| handle::remove(parts).map(drop))
}
