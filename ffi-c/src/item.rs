//! Items of the queue: events, decisions, completions, pieces of bodies.

use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use d365_failover_core as core;

use crate::argument::{from_core, out};
use crate::attempts::unix_ms;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::ledger::clamp;
use crate::response::{ResponseObject, d365_response_t};
use crate::status::{D365_FAULT_NONE, d365_status_t, fault_kind, name_in, role};
use crate::text::{Text, d365_str_t};

/// Kind of an item: a fault calls for a switch of endpoints. A decision: the call waits, at most
/// `handler_timeout_ms`, until the item is replied to or freed; freed without a reply it proceeds.
pub const D365_EVENT_ENDPOINT_SWITCH_REQUIRED: i32 = 1;
/// Kind of an item: the endpoint was switched. With the preset `dotnet` the retries leave when the
/// item is freed, or after `handler_timeout_ms`.
pub const D365_EVENT_ENDPOINT_SWITCHED: i32 = 2;
/// Kind of an item: a call has ended, and whether its write was executed is not known. The
/// application asks by d365_client_verify() with D365_ITEM_LEDGER_ID, and then calls
/// d365_client_resolve(). Without that number (D365_NOT_AVAILABLE) it is not on record: the store has failed,
/// and it was sent because the setting `store_failure` says `go_on`.
/// Never dropped, and not waited for; calls may be sent from its callback.
pub const D365_EVENT_WRITE_IN_DOUBT: i32 = 3;
/// Kind of an item: writes are on record that the active endpoint may not have: D365_ITEM_IN_DOUBT and
/// D365_ITEM_ACKNOWLEDGED say how many, d365_client_ledger() which. D365_ITEM_REASON says why:
/// `switched`, an endpoint was left, or one that was left has acknowledged a write; `repeated`, a write
/// was executed after an attempt in doubt, which may still come late; `suspect_since`. Never
/// dropped, and not waited for; calls may be sent from its callback.
pub const D365_EVENT_DATA_LOSS_SUSPECTED: i32 = 4;
/// Kind of an item: a call is sent again. May be dropped.
pub const D365_EVENT_CALL_RETRIED: i32 = 5;
/// Kind of an item: a call waits, for D365_ITEM_RETRY_AFTER_MS, because the service asks for less.
/// May be dropped.
pub const D365_EVENT_THROTTLED: i32 = 6;
/// Kind of an item: a log record. May be dropped.
pub const D365_EVENT_LOG: i32 = 7;
/// Kind of an item: no endpoint answers. Calls that may be sent again, and those that begin, wait
/// until one does, at most for the setting `outage_wait_ms`; with 0 the event never comes.
/// D365_ITEM_REASON names the fault that has begun it, D365_ITEM_MESSAGE what probes have found.
/// Never dropped, and not waited for.
pub const D365_EVENT_OUTAGE_STARTED: i32 = 8;
/// Kind of an item: an outage is over. D365_ITEM_REASON says why: `answered`, by the endpoint
/// D365_ITEM_NEW_URL (if calls do not go there yet, D365_EVENT_ENDPOINT_SWITCH_REQUIRED was raised before,
/// and D365_EVENT_ENDPOINT_SWITCHED follows unless that was vetoed); `manual`, the application has
/// switched by hand; or `override`, the operator has. D365_ITEM_LASTED_MS says how long it was. Never
/// dropped, and not waited for. None comes for an outage in which the client is closed.
pub const D365_EVENT_OUTAGE_ENDED: i32 = 9;
/// Kind of an item: a walk over the writes to verify is over, which may do more than look
/// (d365_client_settle()). D365_ITEM_SETTLED_TOTAL, D365_ITEM_SETTLED_CONFIRMED,
/// D365_ITEM_SETTLED_REPLAYED and D365_ITEM_SETTLED_LEFT have the numbers. Never dropped, and not waited
/// for.
pub const D365_EVENT_SETTLED: i32 = 10;
/// Kind of an item: the store has failed, and a call went on. D365_ITEM_REASON: `begin`: a write was sent
/// that could not be put on record, as the setting `store_failure` says; `end`: the end of the write
/// D365_ITEM_LEDGER_ID could not, and it is in doubt there from now on. D365_ITEM_TAG. May be dropped
/// when the queue is full, counted.
pub const D365_EVENT_STORE_FAILED: i32 = 11;
/// Kind of an item: a submitted call has ended. See d365_item_result().
pub const D365_ITEM_COMPLETION: i32 = 32;
/// Kind of an item: a submitted read of a response's body has ended. See d365_item_body().
pub const D365_ITEM_BODY: i32 = 33;

/// Text field of an item: the endpoint before the switch.
pub const D365_ITEM_PREVIOUS_URL: i32 = 1;
/// Text field of an item: the endpoint after the switch; of D365_EVENT_OUTAGE_ENDED, the one that
/// answers.
pub const D365_ITEM_NEW_URL: i32 = 2;
/// Text field of an item: why, the name of a fault kind, `failback` or `manual`; of
/// D365_EVENT_DATA_LOSS_SUSPECTED `switched`, `repeated` or `suspect_since`; of
/// D365_EVENT_STORE_FAILED `begin` or `end`; of
/// D365_EVENT_OUTAGE_ENDED `answered`, `manual`, `override` or `closed`.
pub const D365_ITEM_REASON: i32 = 3;
/// Text field of an item: a sentence for a person.
pub const D365_ITEM_MESSAGE: i32 = 4;
/// Text field of D365_EVENT_WRITE_IN_DOUBT, D365_EVENT_CALL_RETRIED and D365_EVENT_THROTTLED: the
/// method of the call.
pub const D365_ITEM_METHOD: i32 = 5;
/// Text field of the same: where the call went, as d365_url_shown() shows it.
pub const D365_ITEM_URL: i32 = 6;
/// Text field of the same: the tag of the call's request (d365_request_set_tag()); there for those that
/// have one.
pub const D365_ITEM_TAG: i32 = 7;
/// Number field of an item: its number in the queue, from 1 on.
pub const D365_ITEM_SEQ: i32 = 20;
/// Number field of an event: when, in milliseconds since 1970-01-01 UTC.
pub const D365_ITEM_TIME_MS: i32 = 21;
/// Number field of an event: the epoch after it.
pub const D365_ITEM_EPOCH: i32 = 22;
/// Number field of an event: the role before the switch (D365_ROLE_...).
pub const D365_ITEM_PREVIOUS_ROLE: i32 = 23;
/// Number field of an event: the role after the switch, or of who answers after an outage
/// (D365_ROLE_...).
pub const D365_ITEM_NEW_ROLE: i32 = 24;
/// Number field of an event: 1 when the library caused it, 0 when the application or the operator did.
pub const D365_ITEM_AUTOMATIC: i32 = 25;
/// Number field of an event: the fault that caused it (D365_FAULT_...; D365_FAULT_NONE for none).
pub const D365_ITEM_FAULT_KIND: i32 = 26;
/// Number field of an event: how grave, 1 error, 2 warning, 3 information, 4 debug.
pub const D365_ITEM_LEVEL: i32 = 27;
/// Number field of an item: how many items were dropped since the one before it.
pub const D365_ITEM_DROPPED: i32 = 28;
/// Number field of an item: 1 when a reply to it counts.
pub const D365_ITEM_IS_DECISION: i32 = 29;
/// Number field of D365_EVENT_WRITE_IN_DOUBT: the write's number in its client's ledger, for
/// d365_client_resolve().
pub const D365_ITEM_LEDGER_ID: i32 = 30;
/// Number field of D365_EVENT_DATA_LOSS_SUSPECTED: how many writes on record are in doubt.
pub const D365_ITEM_IN_DOUBT: i32 = 31;
/// Number field of D365_EVENT_DATA_LOSS_SUSPECTED: how many writes on record were acknowledged and are
/// in question: by the endpoint that was left, within the setting `replication_window_ms` before that;
/// after an attempt in doubt; or since the time of d365_client_suspect_since().
pub const D365_ITEM_ACKNOWLEDGED: i32 = 32;
/// Number field of D365_EVENT_ENDPOINT_SWITCH_REQUIRED, D365_EVENT_ENDPOINT_SWITCHED and
/// D365_EVENT_OUTAGE_ENDED: what a probe has found at D365_ITEM_NEW_URL (D365_PROBED_...).
pub const D365_ITEM_PROBED: i32 = 33;
/// Number field of D365_EVENT_THROTTLED: how long the call waits, in milliseconds.
pub const D365_ITEM_RETRY_AFTER_MS: i32 = 34;
/// Number field of D365_EVENT_OUTAGE_ENDED: how long no endpoint has answered, in milliseconds.
pub const D365_ITEM_LASTED_MS: i32 = 35;
/// Number field of an event: 1 when it came in a time for which d365_client_maintenance() has announced
/// an interruption, else 0.
pub const D365_ITEM_PLANNED: i32 = 36;

/// Number field of D365_EVENT_SETTLED: how many writes were to be verified.
pub const D365_ITEM_SETTLED_TOTAL: i32 = 37;
/// Number field of D365_EVENT_SETTLED: how many were resolved as confirmed.
pub const D365_ITEM_SETTLED_CONFIRMED: i32 = 38;
/// Number field of D365_EVENT_SETTLED: how many were sent again and executed.
pub const D365_ITEM_SETTLED_REPLAYED: i32 = 39;
/// Number field of D365_EVENT_SETTLED: how many are left to the application.
pub const D365_ITEM_SETTLED_LEFT: i32 = 40;

/// What a probe has found at an endpoint (int32): it was not probed.
pub const D365_PROBED_NONE: i32 = 0;
/// A living front end answers; without credentials more cannot be known.
pub const D365_PROBED_REACHABLE: i32 = 1;
/// The organization answers an authenticated request.
pub const D365_PROBED_SERVES: i32 = 2;

/// Decisions (int32): go on, here: switch.
pub const D365_PROCEED: i32 = 1;
/// Do not: the endpoint stays, and the call that met the fault gets it.
pub const D365_VETO: i32 = 2;

const EVENT_KIND_NAMES: &[(i32, &CStr)] = &[
    (
        D365_EVENT_ENDPOINT_SWITCH_REQUIRED,
        c"EndpointSwitchRequired",
    ),
    (D365_EVENT_ENDPOINT_SWITCHED, c"EndpointSwitched"),
    (D365_EVENT_WRITE_IN_DOUBT, c"WriteInDoubt"),
    (D365_EVENT_DATA_LOSS_SUSPECTED, c"DataLossSuspected"),
    (D365_EVENT_CALL_RETRIED, c"CallRetried"),
    (D365_EVENT_THROTTLED, c"Throttled"),
    (D365_EVENT_LOG, c"Log"),
    (D365_EVENT_OUTAGE_STARTED, c"OutageStarted"),
    (D365_EVENT_OUTAGE_ENDED, c"OutageEnded"),
    (D365_EVENT_SETTLED, c"Settled"),
    (D365_EVENT_STORE_FAILED, c"StoreFailed"),
    (D365_ITEM_COMPLETION, c"Completion"),
    (D365_ITEM_BODY, c"Body"),
];

/// The name of an item's kind: `"EndpointSwitchRequired"`; `"unknown"` for a number that the
/// library does not have.
///
/// Never NULL; static, not to be freed. Any thread.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_event_kind_name(kind: i32) -> *const c_char {
    name_in(EVENT_KIND_NAMES, kind)
        .unwrap_or(c"unknown")
        .as_ptr()
}

const PROBED_NAMES: &[(i32, &CStr)] = &[
    (D365_PROBED_NONE, c"none"),
    (D365_PROBED_REACHABLE, c"reachable"),
    (D365_PROBED_SERVES, c"serves"),
];

/// The name of what a probe has found (D365_PROBED_...): `"serves"`; `"none"` for 0; `"unknown"` for
/// a number that the library does not have.
///
/// Never NULL; static, not to be freed. Any thread.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_probed_name(probed: i32) -> *const c_char {
    name_in(PROBED_NAMES, probed).unwrap_or(c"unknown").as_ptr()
}

/// One event, completion or piece of a body. Freeing it is the acknowledgement that the library may
/// wait for.
pub struct d365_item_t {
    _opaque: (),
}

struct EventObject {
    event: core::Event,
    previous_url: Option<Text>,
    new_url: Option<Text>,
    reason: Text,
    message: Text,
    method: Option<Text>,
    url: Option<Text>,
    tag: Option<Text>,
}

impl EventObject {
    fn new(event: &core::Event) -> EventObject {
        EventObject {
            previous_url: event.previous_url.as_ref().map(Text::new),
            new_url: event.new_url.as_ref().map(Text::new),
            reason: Text::new(event.reason),
            message: Text::new(&event.message),
            method: event.method.as_ref().map(Text::new),
            url: event.url.as_ref().map(Text::new),
            tag: event.tag.as_ref().map(Text::new),
            event: event.clone(),
        }
    }

    fn text(&self, field: i32) -> Option<&Text> {
        match field {
            D365_ITEM_PREVIOUS_URL => self.previous_url.as_ref(),
            D365_ITEM_NEW_URL => self.new_url.as_ref(),
            D365_ITEM_REASON => Some(&self.reason),
            D365_ITEM_MESSAGE => Some(&self.message),
            D365_ITEM_METHOD => self.method.as_ref(),
            D365_ITEM_URL => self.url.as_ref(),
            D365_ITEM_TAG => self.tag.as_ref(),
            _ => None,
        }
    }

    fn number(&self, field: i32) -> Option<i64> {
        let event = &self.event;
        Some(match field {
            D365_ITEM_TIME_MS => unix_ms(event.time),
            D365_ITEM_EPOCH => clamp(event.epoch),
            D365_ITEM_PREVIOUS_ROLE => role(event.previous_role?).into(),
            D365_ITEM_NEW_ROLE => role(event.new_role?).into(),
            D365_ITEM_AUTOMATIC => event.automatic.into(),
            D365_ITEM_FAULT_KIND => event.fault_kind.map_or(D365_FAULT_NONE, fault_kind).into(),
            D365_ITEM_LEVEL => event.level as i64,
            D365_ITEM_LEDGER_ID => clamp(event.ledger_id?),
            D365_ITEM_IN_DOUBT => clamp(event.in_doubt?),
            D365_ITEM_ACKNOWLEDGED => clamp(event.acknowledged?),
            D365_ITEM_PROBED if can_be_probed(event.kind) => event
                .probed
                .map_or(D365_PROBED_NONE, |probed| probed as i32)
                .into(),
            D365_ITEM_RETRY_AFTER_MS => millis(event.retry_after?),
            D365_ITEM_PLANNED => event.planned.into(),
            D365_ITEM_LASTED_MS => millis(event.lasted?),
            D365_ITEM_SETTLED_TOTAL => clamp(event.settled?.total),
            D365_ITEM_SETTLED_CONFIRMED => clamp(event.settled?.confirmed),
            D365_ITEM_SETTLED_REPLAYED => clamp(event.settled?.replayed),
            D365_ITEM_SETTLED_LEFT => clamp(event.settled?.left),
            _ => return None,
        })
    }
}

fn can_be_probed(kind: core::ItemKind) -> bool {
    matches!(
        kind,
        core::ItemKind::EndpointSwitchRequired
            | core::ItemKind::EndpointSwitched
            | core::ItemKind::OutageEnded
    )
}

fn millis(time: std::time::Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}

pub(crate) struct ItemObject {
    event: Option<EventObject>,
    /// Its drop is the acknowledgement, at the latest when a lookup on another thread lets go of
    /// the object.
    item: Mutex<core::Item>,
}

impl ItemObject {
    pub(crate) fn new(item: core::Item) -> ItemObject {
        ItemObject {
            event: item.event().map(EventObject::new),
            item: Mutex::new(item),
        }
    }

    fn lock(&self) -> MutexGuard<'_, core::Item> {
        self.item.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, field: i32) -> Option<i64> {
        match field {
            D365_ITEM_SEQ => Some(clamp(self.lock().seq())),
            D365_ITEM_DROPPED => Some(clamp(self.lock().dropped())),
            D365_ITEM_IS_DECISION => Some(self.lock().is_decision().into()),
            _ => self.event.as_ref()?.number(field),
        }
    }
}

impl Noun for d365_item_t {
    type Object = ItemObject;
    const TAG: Tag = Tag::Item;
    const NAME: &'static str = "d365_item_t";
}

/// What it is: D365_EVENT_..., D365_ITEM_COMPLETION or D365_ITEM_BODY; a newer library may give
/// others.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_kind(item: *const d365_item_t, kind: *mut i32) -> d365_status_t {
    guard(|| {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(kind, "kind") }?.set(item.lock().kind() as i32);
        Ok(())
    })
}

/// The pointer that d365_settings_set_queue() was given for the client that the item is from.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_client_data(
    item: *const d365_item_t,
    user_data: *mut *mut c_void,
) -> d365_status_t {
    guard(|| {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(user_data, "user_data") }?.set(from_core(item.lock().client_data()));
        Ok(())
    })
}

/// A text of the item: D365_ITEM_PREVIOUS_URL to D365_ITEM_TAG. The view is valid until the
/// item is freed.
///
/// Errors: D365_NOT_AVAILABLE for a field that this item or this library does not have;
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_text(
    item: *const d365_item_t,
    field: i32,
    value: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let text = item.event.as_ref().and_then(|event| event.text(field));
        let text = text.ok_or_else(|| Failure::absent(&format!("text field {field}")))?;
        value.set(text.view());
        Ok(())
    })
}

/// A number of the item: D365_ITEM_SEQ to D365_ITEM_PLANNED.
///
/// Errors: D365_NOT_AVAILABLE for a field that this item or this library does not have;
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_number(
    item: *const d365_item_t,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let number = item.number(field);
        value.set(number.ok_or_else(|| Failure::absent(&format!("number field {field}")))?);
        Ok(())
    })
}

/// Answers a decision: D365_PROCEED or D365_VETO. The item is still to be freed.
///
/// Errors: D365_LATE when the decision was taken before, by a reply or because its time was over;
/// D365_NOT_AVAILABLE for an item that is no decision; D365_INVALID_ARGUMENT for another number;
/// what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_reply(
    item: *mut d365_item_t,
    decision: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let item = handle::get(item)?;
        let decision = match decision {
            D365_PROCEED => core::Decision::Proceed,
            D365_VETO => core::Decision::Veto,
            _ => return Err(Failure::argument(format!("decision: {decision} is none"))),
        };
        item.lock().reply(decision).map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The pointer that d365_client_submit() or d365_response_submit_read() was given.
///
/// Errors: D365_NOT_AVAILABLE for an event; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_user_data(
    item: *const d365_item_t,
    user_data: *mut *mut c_void,
) -> d365_status_t {
    guard(|| {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(user_data, "user_data") }?;
        let value = item
            .lock()
            .user_data()
            .ok_or_else(|| Failure::absent("user_data"))?;
        place.set(from_core(value));
        Ok(())
    })
}

/// How the submitted call ended, given once: D365_OK and a response, or the call's status and an
/// error, exactly as d365_client_send() would have answered. Both are the caller's.
///
/// Errors: besides the call's own, D365_NOT_AVAILABLE the second time and for an item that is no
/// completion; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_result(
    item: *mut d365_item_t,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(response, "response") }?;
        let result = item
            .lock()
            .take_result()
            .ok_or_else(|| Failure::absent("result"))?;
        place.set(handle::insert(ResponseObject::new(result?))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// What the submitted read gave: D365_OK and `len` bytes at `data`, which is not NULL even when there
/// are none; `len` is 0 only at the end of the body. Or the status of the read that failed and an
/// error, exactly as d365_response_read() would have answered. It may be asked again. The bytes are
/// valid until the item is freed.
///
/// Errors: besides the read's own, D365_NOT_AVAILABLE for an item that is no D365_ITEM_BODY;
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_item_body(
    item: *const d365_item_t,
    data: *mut *const u8,
    len: *mut usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let item = handle::get(item)?;
        // SAFETY: NULL or the caller's variables.
        let (data, len) = unsafe { (out(data, "data")?, out(len, "len")?) };
        let item = item.lock();
        let piece = item.body().ok_or_else(|| Failure::absent("body"))?;
        let piece = piece.as_ref().map_err(|error| error.clone())?;
        data.set(piece.as_ptr());
        len.set(piece.len());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees an item and ends its views: the acknowledgement. A decision that was not answered
/// proceeds. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_item_free(item: *mut d365_item_t) -> d365_status_t {
    guard(|| handle::remove(item).map(drop))
}

#[cfg(test)]
mod tests {
    use d365_failover_core as core;

    use super::*;

    #[test]
    fn kinds_have_the_numbers_and_names_of_the_core() {
        use core::ItemKind as K;
        let kinds = [
            K::EndpointSwitchRequired,
            K::EndpointSwitched,
            K::WriteInDoubt,
            K::DataLossSuspected,
            K::CallRetried,
            K::Throttled,
            K::Log,
            K::OutageStarted,
            K::OutageEnded,
            K::Settled,
            K::StoreFailed,
            K::Completion,
            K::Body,
        ];
        assert_eq!(kinds.len(), EVENT_KIND_NAMES.len());
        for (kind, (number, name)) in kinds.into_iter().zip(EVENT_KIND_NAMES) {
            assert_eq!(kind as i32, *number);
            assert_eq!(name.to_str(), Ok(kind.name()));
        }
        // SAFETY: the name is static.
        let unknown = unsafe { CStr::from_ptr(d365_event_kind_name(99)) };
        assert_eq!(unknown, c"unknown");
    }

    #[test]
    fn what_a_probe_found_has_the_numbers_and_names_of_the_core() {
        for (probed, number) in [core::Probed::Reachable, core::Probed::Serves]
            .into_iter()
            .zip(1..)
        {
            assert_eq!(probed as i32, number);
            // SAFETY: the name is static.
            let name = unsafe { CStr::from_ptr(d365_probed_name(number)) };
            assert_eq!(name.to_str(), Ok(probed.name()));
        }
    }

    #[test]
    fn levels_have_the_numbers_of_the_header() {
        use core::Level as L;
        assert_eq!(
            [L::Error, L::Warn, L::Info, L::Debug].map(|level| level as i64),
            [1, 2, 3, 4]
        );
    }
}
