//! The ledger: a client's writes as they were when it was asked, fields by number.

use std::ffi::{CStr, c_char};

use d365_failover_core as core;

use crate::argument::out;
use crate::attempts::unix_ms;
use crate::guard::{Failure, guard};
use crate::handle::{self, Noun, Tag};
use crate::status::{d365_status_t, effect, name_in, operation, role};
use crate::text::{Text, d365_str_t};
use crate::verify::verified;

/// Which writes d365_client_ledger() lists (int32): all that are on record.
pub const D365_LEDGER_ALL: i32 = 0;
/// Those to verify: in doubt; acknowledged by an endpoint shortly before that was left, or after the
/// time that d365_client_suspect_since() was given; or executed after an attempt in doubt, which may
/// still come late and undo what was written since, for the setting `replication_window_ms`. Less what
/// is resolved.
pub const D365_LEDGER_SUSPECTS: i32 = 1;
/// Those that this process has sent. Without the setting `store` the same as D365_LEDGER_ALL.
pub const D365_LEDGER_MINE: i32 = 2;

/// Number field of a write on record: its number at its client, from 1 on, for
/// d365_client_resolve().
pub const D365_LEDGER_ID: i32 = 1;
/// Number field of a write on record: what a repeat of it would do (D365_OPERATION_...).
pub const D365_LEDGER_OPERATION: i32 = 2;
/// Number field of a write on record: what is known of it (D365_EFFECT_...); -1 while it is in
/// flight.
pub const D365_LEDGER_EFFECT: i32 = 3;
/// Number field of a write on record: 1 when it is one of D365_LEDGER_SUSPECTS, else 0.
pub const D365_LEDGER_IS_SUSPECT: i32 = 4;
/// Number field of a write on record: what the application has found out (D365_RESOLUTION_...).
pub const D365_LEDGER_RESOLUTION: i32 = 5;
/// Number field of a write on record: the endpoint of the last attempt (D365_ROLE_...); 0 when there
/// was none yet, or it went to a host of the setting `allowed_hosts`.
pub const D365_LEDGER_ROLE: i32 = 6;
/// Number field of a write on record: the epoch (count of switches) of the last attempt.
pub const D365_LEDGER_EPOCH: i32 = 7;
/// Number field of a write on record: when its call began, in milliseconds since 1970-01-01 UTC.
pub const D365_LEDGER_STARTED_MS: i32 = 8;
/// Number field of a write on record: when its call ended, likewise; -1 while it is in flight.
pub const D365_LEDGER_ENDED_MS: i32 = 9;
/// Number field of a write on record: the length of its body in bytes; -1 for one that is read while
/// it is sent, and whose length was not told.
pub const D365_LEDGER_BODY_LENGTH: i32 = 10;
/// Number field of a write on record: how many attempts there were; 0 while it is in flight.
pub const D365_LEDGER_ATTEMPTS: i32 = 11;
/// Number field of a write on record: what d365_client_verify() has found last (D365_VERIFIED_...).
pub const D365_LEDGER_VERIFIED: i32 = 12;
/// Number field of a write on record: when that was, in milliseconds since 1970-01-01 UTC; -1 for
/// never.
pub const D365_LEDGER_VERIFIED_MS: i32 = 13;
/// Number field of a write on record: 1 when replication can change no more about what was found. Only
/// when the setting `replication_window_ms` has passed since the write ended are final:
/// D365_VERIFIED_MISSING, D365_VERIFIED_CONFLICTING, the D365_VERIFIED_PRESENT of a delete, and whatever was found of a write of
/// which an attempt may still come late. Resolve a write when it is 1, whichever verdict it has.
pub const D365_LEDGER_IS_FINAL: i32 = 14;
/// Number field of a write on record: 1 when its request is kept (the setting `ledger_bodies`), so that
/// its values can be compared with the row's and it can be sent again; else 0.
pub const D365_LEDGER_IS_KEPT: i32 = 15;
/// Text field of a write on record: the method that it was sent with.
pub const D365_LEDGER_METHOD: i32 = 20;
/// Text field of a write on record: its URL. While it is in flight what the application gave, then
/// that of the last attempt, without what a log should not show.
pub const D365_LEDGER_URL: i32 = 21;
/// Text field of a write on record: the row that the answer named (`OData-EntityId`, `Location`), as
/// an absolute URL at either endpoint, whatever host the answer named; empty when it named none.
pub const D365_LEDGER_ROW_URL: i32 = 22;
/// Text field of a write on record: the SHA-256 of the body that the application gave, 64 digits in
/// lower-case hexadecimal; empty for no body, for one that is read while it is sent, and with
/// `ledger_bodies` = `off`.
pub const D365_LEDGER_BODY_DIGEST: i32 = 23;
/// Text field of a write on record: the tag of its request (d365_request_set_tag()); empty for none.
pub const D365_LEDGER_TAG: i32 = 24;
/// Text field of a write on record: one sentence for a person about what was found: why it is
/// D365_VERIFIED_UNVERIFIABLE, or what else the verdict goes by; empty where there is nothing to say.
pub const D365_LEDGER_WHY: i32 = 25;
/// Text field of a write on record: the names of the values that were sent and could not be compared,
/// separated by commas, at most 50; empty for none.
pub const D365_LEDGER_LEFT_OUT: i32 = 26;

/// What the application has found out about a write (int32): nothing yet.
pub const D365_RESOLUTION_NONE: i32 = 0;
/// It was executed, and is there.
pub const D365_RESOLUTION_CONFIRMED: i32 = 1;
/// It was not there, and was sent again.
pub const D365_RESOLUTION_REPLAYED: i32 = 2;
/// It is not there, and will not be.
pub const D365_RESOLUTION_LOST: i32 = 3;

const RESOLUTION_NAMES: &[(i32, &CStr)] = &[
    (D365_RESOLUTION_NONE, c"none"),
    (D365_RESOLUTION_CONFIRMED, c"confirmed"),
    (D365_RESOLUTION_REPLAYED, c"replayed"),
    (D365_RESOLUTION_LOST, c"lost"),
];

/// The name of a resolution: `"confirmed"`; `"none"` for 0; `"unknown"` for a number that the library
/// does not have.
///
/// Never NULL; static, not to be freed. Any thread. See also d365_client_resolve().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_resolution_name(resolution: i32) -> *const c_char {
    name_in(RESOLUTION_NAMES, resolution)
        .unwrap_or(c"unknown")
        .as_ptr()
}

/// Writes of one client, the oldest first, as they were when d365_client_ledger() listed them. It
/// never changes; what has become of a write since then, another list says.
pub struct d365_ledger_t {
    _opaque: (),
}

struct EntryObject {
    entry: core::LedgerEntry,
    method: Text,
    url: Text,
    row_url: Text,
    body_digest: Text,
    tag: Text,
    why: Text,
    left_out: Text,
    differences: Vec<[Text; 3]>,
}

pub(crate) struct LedgerList(Vec<EntryObject>);

impl LedgerList {
    pub(crate) fn new(entries: Vec<core::LedgerEntry>) -> LedgerList {
        let object = |entry: core::LedgerEntry| EntryObject {
            why: Text::new(found(&entry).map_or("", |found| found.why.as_str())),
            left_out: Text::new(
                found(&entry).map_or(String::new(), |found| found.left_out.join(",")),
            ),
            differences: found(&entry).map_or(Vec::new(), |found| {
                let differences = found.differences.iter();
                let texts = differences.map(|it| [&it.name, &it.sent, &it.found]);
                texts
                    .map(|texts| texts.map(|text| Text::new(text.as_str())))
                    .collect()
            }),
            method: Text::new(&entry.method),
            url: Text::new(&entry.url),
            row_url: Text::new(entry.row_url.as_deref().unwrap_or_default()),
            tag: Text::new(entry.tag.as_deref().unwrap_or_default()),
            body_digest: Text::new(hex(entry.body_digest.as_ref().map_or(&[], |all| &all[..]))),
            entry,
        };
        LedgerList(entries.into_iter().map(object).collect())
    }

    fn at(&self, index: usize) -> Result<&EntryObject, Failure> {
        self.0
            .get(index)
            .ok_or_else(|| Failure::absent(&format!("write {index} of the list")))
    }
}

fn found(entry: &core::LedgerEntry) -> Option<&core::Verification> {
    entry.verification.as_ref()
}

impl EntryObject {
    fn number(&self, field: i32) -> Option<i64> {
        let entry = &self.entry;
        Some(match field {
            D365_LEDGER_ID => clamp(entry.id),
            D365_LEDGER_OPERATION => operation(entry.operation).into(),
            D365_LEDGER_EFFECT => entry.effect.map_or(-1, effect).into(),
            D365_LEDGER_IS_SUSPECT => entry.is_suspect.into(),
            D365_LEDGER_RESOLUTION => entry
                .resolution
                .map_or(D365_RESOLUTION_NONE, |found| found as i32)
                .into(),
            D365_LEDGER_ROLE => entry.role.map_or(0, role).into(),
            D365_LEDGER_EPOCH => clamp(entry.epoch),
            D365_LEDGER_STARTED_MS => unix_ms(entry.started),
            D365_LEDGER_ENDED_MS => entry.ended.map_or(-1, unix_ms),
            D365_LEDGER_BODY_LENGTH => entry.body_length.map_or(-1, clamp),
            D365_LEDGER_ATTEMPTS => entry.attempts.into(),
            D365_LEDGER_VERIFIED => verified(entry.verification.as_ref()).into(),
            D365_LEDGER_VERIFIED_MS => entry
                .verification
                .as_ref()
                .map_or(-1, |found| unix_ms(found.time)),
            D365_LEDGER_IS_FINAL => entry
                .verification
                .as_ref()
                .is_some_and(|found| found.is_final)
                .into(),
            D365_LEDGER_IS_KEPT => entry.is_kept.into(),
            _ => return None,
        })
    }

    fn text(&self, field: i32) -> Option<&Text> {
        Some(match field {
            D365_LEDGER_METHOD => &self.method,
            D365_LEDGER_URL => &self.url,
            D365_LEDGER_ROW_URL => &self.row_url,
            D365_LEDGER_BODY_DIGEST => &self.body_digest,
            D365_LEDGER_TAG => &self.tag,
            D365_LEDGER_WHY => &self.why,
            D365_LEDGER_LEFT_OUT => &self.left_out,
            _ => return None,
        })
    }
}

impl Noun for d365_ledger_t {
    type Object = LedgerList;
    const TAG: Tag = Tag::Ledger;
    const NAME: &'static str = "d365_ledger_t";
}

pub(crate) fn clamp(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The selection of a number of the ABI.
pub(crate) fn selection(number: i32) -> Result<core::LedgerSelection, Failure> {
    match number {
        D365_LEDGER_ALL => Ok(core::LedgerSelection::All),
        D365_LEDGER_SUSPECTS => Ok(core::LedgerSelection::Suspects),
        D365_LEDGER_MINE => Ok(core::LedgerSelection::Mine),
        _ => Err(Failure::argument(format!("selection: {number} is none"))),
    }
}

/// The resolution of a number of the ABI.
pub(crate) fn resolution(number: i32) -> Result<core::Resolution, Failure> {
    match number {
        D365_RESOLUTION_CONFIRMED => Ok(core::Resolution::Confirmed),
        D365_RESOLUTION_REPLAYED => Ok(core::Resolution::Replayed),
        D365_RESOLUTION_LOST => Ok(core::Resolution::Lost),
        _ => Err(Failure::argument(format!("resolution: {number} is none"))),
    }
}

/// How many writes the list has.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_ledger_count(
    ledger: *const d365_ledger_t,
    count: *mut usize,
) -> d365_status_t {
    guard(|| {
        let ledger = handle::get(ledger)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(count, "count") }?.set(ledger.0.len());
        Ok(())
    })
}

/// A number of write `index` of the list, counted from 0. `field` is one of D365_LEDGER_ID to
/// D365_LEDGER_IS_KEPT.
///
/// Errors: D365_NOT_AVAILABLE for an index or field that there is not; D365_NULL_POINTER, and what
/// can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_ledger_number(
    ledger: *const d365_ledger_t,
    index: usize,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let ledger = handle::get(ledger)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        let number = ledger.at(index)?.number(field);
        value.set(number.ok_or_else(|| {
            Failure::absent(&format!("number field {field} of a write on record"))
        })?);
        Ok(())
    })
}

/// A text of write `index` of the list, counted from 0. `field` is one of D365_LEDGER_METHOD to
/// D365_LEDGER_LEFT_OUT. The view is valid until the list is freed.
///
/// Errors: D365_NOT_AVAILABLE for an index or field that there is not; D365_NULL_POINTER, and what
/// can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_ledger_text(
    ledger: *const d365_ledger_t,
    index: usize,
    field: i32,
    text: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let ledger = handle::get(ledger)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(text, "text") }?;
        let entry = ledger.at(index)?;
        let text = entry
            .text(field)
            .ok_or_else(|| Failure::absent(&format!("text field {field} of a write on record")))?;
        place.set(text.view());
        Ok(())
    })
}

/// How many values of write `index` of the list, counted from 0, the row has otherwise than they were
/// sent, at most 50: of one that is D365_VERIFIED_CONFLICTING.
///
/// Errors: D365_NOT_AVAILABLE for an index that there is not; D365_NULL_POINTER, and what can be wrong
/// with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_ledger_difference_count(
    ledger: *const d365_ledger_t,
    index: usize,
    count: *mut usize,
) -> d365_status_t {
    guard(|| {
        let ledger = handle::get(ledger)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(count, "count") }?;
        place.set(ledger.at(index)?.differences.len());
        Ok(())
    })
}

/// One of these values, counted from 0: its name as the write has it, what was sent and what the row has,
/// both as JSON; one of more than 200 characters is cut. The views are valid until the list is freed.
///
/// Errors: D365_NOT_AVAILABLE for an index or a value that there is not; D365_NULL_POINTER, and what can
/// be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_ledger_difference(
    ledger: *const d365_ledger_t,
    index: usize,
    difference: usize,
    name: *mut d365_str_t,
    sent: *mut d365_str_t,
    found: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let ledger = handle::get(ledger)?;
        // SAFETY: NULL or the caller's variables.
        let places = unsafe { (out(name, "name")?, out(sent, "sent")?, out(found, "found")?) };
        let texts = ledger.at(index)?.differences.get(difference);
        let [name, sent, found] =
            texts.ok_or_else(|| Failure::absent(&format!("difference {difference}")))?;
        places.0.set(name.view());
        places.1.set(sent.view());
        places.2.set(found.view());
        Ok(())
    })
}

/// Frees the list and ends its views; the client keeps its records. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_ledger_free(ledger: *mut d365_ledger_t) -> d365_status_t {
    guard(|| handle::remove(ledger).map(drop))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use d365_failover_core as core;

    use super::*;

    fn entry() -> core::LedgerEntry {
        core::LedgerEntry {
            id: 7,
            tag: None,
            method: "POST".to_owned(),
            url: "/accounts".to_owned(),
            operation: core::Operation::Unsafe,
            body_length: None,
            body_digest: None,
            started: UNIX_EPOCH + Duration::from_millis(5),
            ended: None,
            role: None,
            epoch: 2,
            attempts: 0,
            effect: None,
            is_suspect: false,
            is_kept: false,
            row_url: None,
            verification: None,
            resolution: None,
        }
    }

    fn numbers(entry: core::LedgerEntry) -> Vec<Option<i64>> {
        let list = LedgerList::new(vec![entry]);
        let fields = D365_LEDGER_ID - 1..=D365_LEDGER_IS_KEPT + 1;
        fields.map(|field| list.0[0].number(field)).collect()
    }

    fn texts(entry: core::LedgerEntry) -> Vec<Option<String>> {
        let list = LedgerList::new(vec![entry]);
        let fields = D365_LEDGER_METHOD - 1..=D365_LEDGER_LEFT_OUT + 1;
        let text = |field| Some(list.0[0].text(field)?.as_str().to_owned());
        fields.map(text).collect()
    }

    #[test]
    fn what_is_not_known_of_a_write_in_flight_has_a_value_of_its_own() {
        let wanted = [7, 4, -1, 0, 0, 0, 2, 5, -1, -1, 0, 0, -1, 0, 0].map(Some);
        let got = numbers(entry());
        assert_eq!(got[1..=wanted.len()], wanted);
        assert_eq!((got[0], got[wanted.len() + 1]), (None, None));
        let texts = texts(entry());
        let wanted = ["POST", "/accounts", "", "", "", "", ""].map(|text| Some(text.to_owned()));
        assert_eq!(texts[1..8], wanted);
        assert_eq!((&texts[0], &texts[8]), (&None, &None));
    }

    #[test]
    fn all_that_is_known_is_told() {
        let mut entry = entry();
        entry.operation = core::Operation::Guarded;
        entry.body_length = Some(3);
        entry.body_digest = Some([0xa0; 32]);
        entry.ended = Some(UNIX_EPOCH + Duration::from_millis(9));
        entry.role = Some(core::Role::Alternate);
        entry.attempts = 2;
        entry.effect = Some(core::Effect::Unknown);
        entry.is_suspect = true;
        entry.is_kept = true;
        entry.row_url = Some("https://x/accounts(1)".to_owned());
        entry.resolution = Some(core::Resolution::Lost);
        entry.tag = Some("order 17".to_owned());
        entry.verification = Some(core::Verification::new(
            core::Verified::Missing,
            true,
            UNIX_EPOCH + Duration::from_millis(11),
        ));
        entry.verification.as_mut().unwrap().why = "because".to_owned();
        entry.verification.as_mut().unwrap().left_out = vec!["a".to_owned(), "b".to_owned()];
        let wanted = [7, 3, 3, 1, 3, 2, 2, 5, 9, 3, 2, 2, 11, 1, 1].map(Some);
        assert_eq!(numbers(entry.clone())[1..=wanted.len()], wanted);
        let texts = texts(entry);
        assert_eq!(texts[3].as_deref(), Some("https://x/accounts(1)"));
        assert_eq!(texts[4], Some("a0".repeat(32)));
        assert_eq!(texts[5].as_deref(), Some("order 17"));
        assert_eq!(texts[6].as_deref(), Some("because"));
        assert_eq!(texts[7].as_deref(), Some("a,b"));
    }

    #[test]
    fn resolutions_have_the_numbers_and_names_of_the_core() {
        use core::Resolution as R;
        for (found, number) in [R::Confirmed, R::Replayed, R::Lost].into_iter().zip(1..) {
            assert_eq!(found as i32, number);
            assert_eq!(resolution(number).ok(), Some(found));
            // SAFETY: the name is static.
            let name = unsafe { CStr::from_ptr(d365_resolution_name(number)) };
            assert_eq!(name.to_str(), Ok(found.name()));
        }
        for number in [-1, D365_RESOLUTION_NONE, 4, i32::MAX] {
            assert!(resolution(number).is_err(), "{number}");
        }
    }
}
