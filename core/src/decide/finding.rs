//! What a look at the row says of a write.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::compare::{Comparison, MOST_TOLD, compare, seconds};
use super::subject::{Aim, MODIFIED, Subject, id_of};
use crate::row_answer::Seen;
use crate::values::RowValues;
use crate::{Difference, Verified};

/// A row that was written at most so many seconds before a write may have been written after it:
/// clocks agree only so well.
const MARGIN: i64 = 5;

const NAMED_BY_A_KEY: &str = "the row is named by a key, and may be somebody else's";
const UNTOUCHED: &str = "the row was not written since before the write was sent";
const OF_THAT_VERSION: &str = "the row still has the version that the write wanted to change";
const WRITTEN_SINCE: &str = "the row was written after its delete was sent";
const GONE: &str = "the row is gone, and its values are not known";
const ANOTHER_VERSION: &str =
    "the row has another version, and the values that were sent are not kept";
const NOT_COMPARED: &str = "the row tells none of the values that were sent";
const SEVERAL: &str = "several rows have that key";
const NO_WRITE: &str = "nothing in it writes";
const A_PART: &str = "of a request inside of it no row tells";
const MIXED: &str = "not all of the requests inside of it are there as they were sent";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verified,
    pub(crate) why: &'static str,
    pub(crate) differences: Vec<Difference>,
    pub(crate) left_out: Vec<String>,
    /// Replication may change it by what comes over yet.
    pub(crate) is_open: bool,
}

impl Finding {
    fn of(verdict: Verified, why: &'static str) -> Finding {
        Finding {
            verdict,
            why,
            differences: Vec::new(),
            left_out: Vec::new(),
            is_open: matches!(verdict, Verified::Missing | Verified::Conflicting),
        }
    }

    /// Nothing could be asked.
    pub(crate) fn unverifiable(why: &'static str) -> Finding {
        Finding::of(Verified::Unverifiable, why)
    }

    fn with(self, comparison: Comparison) -> Finding {
        Finding {
            differences: match self.verdict {
                Verified::Conflicting => comparison.differences,
                _ => Vec::new(),
            },
            left_out: comparison.left_out,
            ..self
        }
    }

    /// Whether replication can change nothing any more about it, of a write that ended so long ago. A
    /// row that is there stays, unless an attempt of the write may still come late; one that is not
    /// there may still come over.
    pub(crate) fn is_final(
        &self,
        may_come_late: bool,
        ended_ago: Duration,
        window: Duration,
    ) -> bool {
        !(self.is_open || may_come_late) || ended_ago >= window
    }
}

/// When a write was sent, by the service's clock. `None`: how that goes is not known.
#[derive(Clone, Copy)]
pub(crate) struct Sending(Option<i64>);

impl Sending {
    /// `ago`: how long ago, at most, when the service's clock said `told`.
    pub(crate) fn of(ago: Option<Duration>, told: Option<SystemTime>) -> Sending {
        let since = |told: SystemTime| told.duration_since(SystemTime::UNIX_EPOCH).ok();
        let told = told.and_then(since).map(|since| since.as_secs());
        let seconds = |seconds: u64| i64::try_from(seconds).ok();
        Sending(
            ago.zip(told)
                .and_then(|(ago, told)| Some(seconds(told)? - seconds(ago.as_secs())?)),
        )
    }

    /// By how many seconds a row was written after it.
    fn until(self, row: &RowValues) -> Option<i64> {
        Some(seconds(row.columns.get(MODIFIED)?)? - self.0?)
    }
}

/// What the row, or that there is none, says of a write.
pub(crate) fn find(subject: &Subject, seen: &Seen, sending: Sending) -> Finding {
    match (&subject.aim, seen) {
        (Aim::Created(_) | Aim::Keyed(_), Seen::NoRow) => Finding::of(Verified::Missing, ""),
        (Aim::Deleted(_), Seen::NoRow) => Finding {
            is_open: true,
            ..Finding::of(Verified::Present, "")
        },
        (Aim::Changed(..), Seen::NoRow) => match &subject.sent {
            Some(_) => Finding::of(Verified::Missing, ""),
            None => Finding::unverifiable(GONE),
        },
        (Aim::Created(row), Seen::Row(there)) => created(subject, id_of(row), there),
        (Aim::Keyed(_), Seen::Row(there)) => created(subject, None, there),
        // Of a key that means something, somebody else's row may have been there before, or be
        // there since.
        (Aim::Deleted(row), Seen::Row(_)) if id_of(row).is_none() => {
            Finding::unverifiable(NAMED_BY_A_KEY)
        }
        (Aim::Deleted(_), Seen::Row(there)) => match sending.until(there) {
            Some(after) if after > MARGIN => Finding::of(Verified::Conflicting, WRITTEN_SINCE),
            _ => Finding::of(Verified::Missing, ""),
        },
        (Aim::Changed(_, version), Seen::Row(there)) => {
            if version.is_some() && *version == there.version {
                return Finding::of(Verified::Present, "");
            }
            changed(subject, there, sending)
        }
    }
}

/// Several rows have the key that one was looked for by.
pub(crate) fn several() -> Finding {
    Finding::unverifiable(SEVERAL)
}

/// What was found of each write inside of one that holds several, as one: all there, none there, or not
/// the same of each.
pub(crate) fn together(parts: Vec<(usize, Finding)>) -> Finding {
    let has = |verdict| {
        parts
            .iter()
            .any(|(_, found): &(usize, Finding)| found.verdict == verdict)
    };
    if parts.is_empty() {
        return Finding::unverifiable(NO_WRITE);
    }
    if has(Verified::Unverifiable) {
        return Finding::unverifiable(A_PART);
    }
    let (is_any_there, is_any_missing) = (has(Verified::Present), has(Verified::Missing));
    let is_open = parts.iter().any(|(_, found)| found.is_open);
    let verdict = match (is_any_there, is_any_missing) {
        _ if has(Verified::Conflicting) => Verified::Conflicting,
        (true, true) => Verified::Conflicting,
        (_, true) => Verified::Missing,
        (_, false) => Verified::Present,
    };
    let mut whole = Finding::of(
        verdict,
        if verdict == Verified::Conflicting {
            MIXED
        } else {
            ""
        },
    );
    whole.is_open |= is_open;
    for (index, found) in parts {
        let named = |name: &str| format!("part {index}: {name}");
        whole
            .left_out
            .extend(found.left_out.iter().map(|name| named(name)));
        if verdict != Verified::Conflicting {
            continue;
        }
        match found.verdict {
            Verified::Missing => whole.differences.push(Difference {
                name: format!("part {index}"),
                sent: "\"present\"".to_owned(),
                found: "\"missing\"".to_owned(),
            }),
            _ => whole
                .differences
                .extend(found.differences.into_iter().map(|it| Difference {
                    name: named(&it.name),
                    ..it
                })),
        }
    }
    whole.differences.truncate(MOST_TOLD);
    whole.left_out.truncate(MOST_TOLD);
    whole
}

fn created(subject: &Subject, id: Option<Uuid>, there: &RowValues) -> Finding {
    let comparison = match &subject.sent {
        Some(sent) => compare(sent, there),
        None => Comparison::default(),
    };
    let is_other = !comparison.differences.is_empty();
    // By its id the row was found; that it has it says nothing.
    let values = subject.sent.iter().flat_map(|sent| &sent.values);
    let ids = values.filter(|sent| id.is_some() && sent.value.id() == id);
    let found = match (id.is_some(), comparison.same > ids.count(), is_other) {
        // Written since, if anything of it is there; else it may be a fragment that another write has
        // made of a row that was missing.
        (true, true, _) | (true, false, false) | (false, true, false) => {
            Finding::of(Verified::Present, "")
        }
        (false, false, false) => Finding::unverifiable(NAMED_BY_A_KEY),
        (_, false, true) | (false, true, true) => Finding::of(Verified::Conflicting, ""),
    };
    found.with(comparison)
}

fn changed(subject: &Subject, there: &RowValues, sending: Sending) -> Finding {
    let Some(sent) = &subject.sent else {
        return Finding::unverifiable(ANOTHER_VERSION);
    };
    let comparison = compare(sent, there);
    if comparison.differences.is_empty() {
        return match comparison.same {
            0 => Finding::unverifiable(NOT_COMPARED).with(comparison),
            _ => Finding::of(Verified::Present, "").with(comparison),
        };
    }
    let is_of_that_version = subject.condition.is_some() && subject.condition == there.version;
    // What the write itself says of the time proves nothing.
    let writes_time = sent.values.iter().any(|value| value.column == MODIFIED);
    let is_untouched = !writes_time && sending.until(there).is_some_and(|after| after < -MARGIN);
    let found = match (is_of_that_version, is_untouched) {
        (true, _) => Finding::of(Verified::Missing, OF_THAT_VERSION),
        (false, true) => Finding::of(Verified::Missing, UNTOUCHED),
        (false, false) => Finding::of(Verified::Conflicting, ""),
    };
    found.with(comparison)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::decide::verify::Proof;
    use crate::kept::Kept;
    use crate::operation::classify;
    use crate::operation::samples::{Header, ID, SOAP_URL, headers};
    use crate::values::odata;
    use crate::verify_keys::VerifyKeys;
    use Verified::{Conflicting, Missing, Present, Unverifiable};

    const UNKNOWN: Sending = Sending(None);

    fn subject(
        method: &str,
        url: &str,
        list: &[Header<'_>],
        body: Option<&str>,
    ) -> Result<Subject, &'static str> {
        let map = headers(list);
        let method_ = Method::from_bytes(method.as_bytes()).unwrap();
        let class = classify(&method_, url, &map, Some(b""));
        let kept = body.map(|body| Kept {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: list
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Bytes::from(body.to_owned()),
            is_upsert: false,
        });
        let proof = Proof::of_request(&method_, url, &map, &class);
        Subject::of(&proof, kept.as_ref(), &VerifyKeys::default())
    }

    fn row(json: &str) -> Seen {
        Seen::Row(odata::row(json.as_bytes()).unwrap())
    }

    fn verdict(subject: &Result<Subject, &'static str>, seen: &Seen) -> Verified {
        match subject {
            Ok(subject) => find(subject, seen, UNKNOWN).verdict,
            Err(_) => Unverifiable,
        }
    }

    #[test]
    fn what_a_row_says_of_a_write_whose_values_are_not_kept() {
        type Case<'a> = (&'a str, &'a str, &'a [Header<'a>], Verified, Verified);
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let by_key = "/api/data/v9.2/accounts(accountnumber='A1')";
        let v2 = format!("/XRMServices/2011/OrganizationData.svc/AccountSet(guid'{ID}')");
        let (there, gone) = (row(r#"{"@odata.etag":"W/\"1\""}"#), Seen::NoRow);
        let new = ("if-none-match", "*");
        let keyed = |key: &str| format!("/api/data/v9.2/accounts({})", key.replace("ID", ID));
        let (named, quoted, both, own) = (
            keyed("cr_extid=ID"),
            keyed("name='ID'"),
            keyed("a=1,b=ID"),
            keyed("accountid=ID"),
        );
        let (text, ends_so, v2_named) = (keyed("'ID'"), keyed("name='(ID'"), keyed("a=guid'ID'"));
        let (image, link) = (
            format!("{by_id}/entityimage"),
            format!("{by_id}/primarycontactid/$ref"),
        );
        const NEITHER: (Verified, Verified) = (Unverifiable, Unverifiable);
        fn neither<'a>(method: &'a str, url: &'a str, list: &'a [Header<'a>]) -> Case<'a> {
            (method, url, list, NEITHER.0, NEITHER.1)
        }
        let table: [Case<'_>; 22] = [
            ("PATCH", &named, &[new], Unverifiable, Missing),
            ("PATCH", &quoted, &[new], Unverifiable, Missing),
            ("DELETE", &both, &[], Unverifiable, Present),
            ("DELETE", &own, &[], Unverifiable, Present),
            ("DELETE", &text, &[], Unverifiable, Present),
            ("DELETE", &ends_so, &[], Unverifiable, Present),
            ("DELETE", &v2_named, &[], Unverifiable, Present),
            ("PATCH", &by_id, &[new], Present, Missing),
            ("PATCH", by_key, &[new], Unverifiable, Missing),
            ("DELETE", &by_id, &[], Missing, Present),
            ("DELETE", by_key, &[], Unverifiable, Present),
            ("DELETE", &v2, &[], Missing, Present),
            (
                "POST",
                &v2,
                &[("x-http-method", "DELETE")],
                Missing,
                Present,
            ),
            neither("POST", &v2, &[("x-http-method", "MERGE")]),
            neither("PATCH", &by_id, &[]),
            neither("PATCH", &by_id, &[("if-match", "W/\"1\"")]),
            neither("POST", "/api/data/v9.2/accounts", &[]),
            neither("POST", "/api/data/v9.2/$batch", &[]),
            neither("POST", "/api/data/v9.2/WinOpportunity", &[]),
            neither("PATCH", &image, &[]),
            neither("DELETE", &link, &[]),
            neither("POST", SOAP_URL, &[]),
        ];
        for (method, url, list, when_there, when_gone) in table {
            let subject = subject(method, url, list, None);
            assert_eq!(verdict(&subject, &there), when_there, "{method} {url}");
            assert_eq!(verdict(&subject, &gone), when_gone, "{method} {url}");
            if (when_there, when_gone) == NEITHER {
                assert!(subject.is_err(), "nothing is asked: {method} {url}");
            }
        }
    }

    #[test]
    fn the_version_that_an_answer_named() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let proof = Proof::Version(by_id, "W/\"7\"".to_owned());
        let changed = Subject::of(&proof, None, &VerifyKeys::default());
        let table = [
            (row(r#"{"@odata.etag":"W/\"7\""}"#), Present),
            (row(r#"{"@odata.etag":"W/\"8\""}"#), Unverifiable),
            (row(r#"{"@odata.etag":"W/\"6\""}"#), Unverifiable),
            (row("{}"), Unverifiable),
            (Seen::NoRow, Unverifiable),
        ];
        for (nth, (seen, expected)) in table.iter().enumerate() {
            assert_eq!(verdict(&changed, seen), *expected, "{nth}");
        }
    }

    #[test]
    fn what_a_row_says_of_a_write_whose_values_are_kept() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let by_key = "/api/data/v9.2/accounts(accountnumber='A1')".to_owned();
        let new = ("if-none-match", "*");
        let seventh = ("if-match", "W/\"7\"");
        let (a, ab) = (r#"{"name":"a"}"#, r#"{"name":"a","n":1}"#);
        let accounts = "/api/data/v9.2/accounts";
        let with_id = format!(r#"{{"accountid":"{ID}","name":"a"}}"#);
        let of_another = format!(r#"{{"accountid":"{ID}","name":"b"}}"#);
        let id_alone = format!(r#"{{"accountid":"{ID}"}}"#);
        let gone = "";
        let older = r#"{"name":"b","modifiedon":"2026-01-01T00:00:00Z"}"#;
        let newer = r#"{"name":"b","modifiedon":"2026-01-03T00:00:00Z"}"#;
        let just_before = r#"{"name":"b","modifiedon":"2026-01-01T23:59:57Z"}"#;
        let before = r#"{"name":"b","modifiedon":"2026-01-01T23:59:55Z"}"#;
        let just_after = r#"{"modifiedon":"2026-01-02T00:00:05Z"}"#;
        let is_seventh = r#"{"name":"b","@odata.etag":"W/\"7\""}"#;
        let time = r#"{"name":"a","modifiedon":"2026-01-02T00:00:00Z"}"#;
        type Case<'a> = (
            &'a str,
            &'a str,
            &'a [Header<'a>],
            &'a str,
            &'a str,
            Verified,
        );
        let table: [Case<'_>; 33] = [
            ("PATCH", &by_id, &[], a, a, Present),
            ("PATCH", &by_id, &[], ab, a, Present),
            ("PATCH", &by_id, &[], a, r#"{"name":"b"}"#, Conflicting),
            (
                "PATCH",
                &by_id,
                &[],
                ab,
                r#"{"name":"a","n":2}"#,
                Conflicting,
            ),
            ("PATCH", &by_id, &[], a, gone, Missing),
            ("PATCH", &by_id, &[], a, "{}", Unverifiable),
            ("PATCH", &by_id, &[], a, older, Missing),
            ("PATCH", &by_id, &[], a, newer, Conflicting),
            ("PATCH", &by_id, &[], a, just_before, Conflicting),
            ("PATCH", &by_id, &[], a, before, Conflicting),
            ("PATCH", &by_id, &[], time, older, Conflicting),
            ("PATCH", &by_id, &[seventh], a, is_seventh, Missing),
            ("PATCH", &by_id, &[], a, is_seventh, Conflicting),
            ("PATCH", &by_key, &[], a, a, Present),
            ("PUT", &by_id, &[], a, a, Present),
            // Its own: written since, or a fragment.
            ("PATCH", &by_id, &[new], a, a, Present),
            (
                "PATCH",
                &by_id,
                &[new],
                ab,
                r#"{"name":"a","n":2}"#,
                Present,
            ),
            (
                "PATCH",
                &by_id,
                &[new],
                ab,
                r#"{"name":null,"n":null}"#,
                Conflicting,
            ),
            ("PATCH", &by_id, &[new], a, "{}", Present),
            ("POST", accounts, &[], &with_id, &with_id, Present),
            ("POST", accounts, &[], &with_id, &of_another, Conflicting),
            ("POST", accounts, &[], &id_alone, &of_another, Present),
            ("PATCH", &by_id, &[new], a, gone, Missing),
            // By a key: perhaps another's.
            ("PATCH", &by_key, &[new], a, a, Present),
            (
                "PATCH",
                &by_key,
                &[new],
                ab,
                r#"{"name":"a","n":2}"#,
                Conflicting,
            ),
            ("PATCH", &by_key, &[new], a, "{}", Unverifiable),
            ("PATCH", &by_key, &[new], a, r#"{"name":"b"}"#, Conflicting),
            ("PATCH", &by_key, &[new], a, gone, Missing),
            ("DELETE", &by_id, &[], "", older, Missing),
            ("DELETE", &by_id, &[], "", newer, Conflicting),
            ("DELETE", &by_id, &[], "", just_after, Missing),
            ("DELETE", &by_id, &[], "", gone, Present),
            ("DELETE", &by_key, &[], "", newer, Unverifiable),
        ];
        // 2026-01-02T00:00:00Z
        let sending = Sending(Some(1_767_312_000));
        for (method, url, list, body, there, expected) in table {
            let subject = subject(method, url, list, Some(body)).unwrap();
            let seen = match there {
                "" => Seen::NoRow,
                there => row(there),
            };
            let found = find(&subject, &seen, sending);
            assert_eq!(
                found.verdict, expected,
                "{method} {url} {list:?} {body} {there}"
            );
            let shows = found.verdict == Conflicting && method != "DELETE";
            assert_eq!(
                !found.differences.is_empty(),
                shows,
                "{method} {url} {there}"
            );
        }
    }

    #[test]
    fn what_was_not_compared_is_told() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let by_key = "/api/data/v9.2/accounts(accountnumber='A1')";
        let new = ("if-none-match", "*");
        let body = r#"{"name":"a","inner":[{}]}"#;
        let (a, b, neither) = (r#"{"name":"a"}"#, r#"{"name":"b"}"#, "{}");
        let table: [(&str, &[Header<'_>], &str, Verified); 7] = [
            (&by_id, &[], a, Present),
            (&by_id, &[], b, Conflicting),
            (&by_id, &[], neither, Unverifiable),
            (&by_id, &[new], a, Present),
            (&by_id, &[new], b, Conflicting),
            (by_key, &[new], a, Present),
            (by_key, &[new], neither, Unverifiable),
        ];
        for (url, list, there, expected) in table {
            let subject = subject("PATCH", url, list, Some(body)).unwrap();
            let found = find(&subject, &row(there), UNKNOWN);
            assert_eq!(found.verdict, expected, "{url} {list:?} {there}");
            let names = ["inner", "name"];
            let left_out = &names[..1 + usize::from(there == neither)];
            assert_eq!(found.left_out, left_out, "{url} {list:?} {there}");
        }
    }

    #[test]
    fn a_clock_that_goes_wrong_is_known_by_the_services() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let there = odata::row(br#"{"modifiedon":"1970-01-01T00:16:40Z"}"#).unwrap();
        // how long ago, and now by the service's clock
        let table = [
            (Some(100), Some(1100), Some(0)),
            (Some(90), Some(1100), Some(-10)),
            (Some(100), None, None),
            (None, Some(1100), None),
        ];
        for (ago, told, expected) in table {
            let sending = Sending::of(ago.map(Duration::from_secs), told.map(at));
            assert_eq!(sending.until(&there), expected, "{ago:?} {told:?}");
        }
        assert_eq!(Sending(Some(0)).until(&RowValues::default()), None);
    }

    #[test]
    fn what_may_still_come_over_is_not_final() {
        const NO_WINDOW: Duration = Duration::ZERO;
        const WINDOW: Duration = Duration::from_secs(900);
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let created = subject("PATCH", &by_id, &[("if-none-match", "*")], None).unwrap();
        let deleted = subject("DELETE", &by_id, &[], None).unwrap();
        let changed = subject("PATCH", &by_id, &[], Some(r#"{"name":"a"}"#)).unwrap();
        let just_now = Duration::from_secs(1);
        let (there, other) = (row(r#"{"name":"a"}"#), row(r#"{"name":"b"}"#));
        let table = [
            (&created, &there, false, just_now, WINDOW, true),
            (&created, &there, true, just_now, WINDOW, false),
            (&created, &there, true, WINDOW, WINDOW, true),
            (&created, &Seen::NoRow, false, just_now, WINDOW, false),
            (&created, &Seen::NoRow, false, WINDOW, WINDOW, true),
            (&created, &Seen::NoRow, true, just_now, NO_WINDOW, true),
            (&deleted, &Seen::NoRow, false, just_now, WINDOW, false),
            (&deleted, &Seen::NoRow, false, WINDOW, WINDOW, true),
            (&changed, &there, false, just_now, WINDOW, true),
            (&changed, &there, true, just_now, WINDOW, false),
            (&changed, &there, true, WINDOW, WINDOW, true),
            (&changed, &other, false, just_now, WINDOW, false),
            (&changed, &other, false, WINDOW, WINDOW, true),
        ];
        for (nth, (subject, seen, may_come_late, ago, window, expected)) in
            table.into_iter().enumerate()
        {
            let found = find(subject, seen, UNKNOWN);
            let got = found.is_final(may_come_late, ago, window);
            assert_eq!(got, expected, "{nth}: {found:?} {may_come_late} {ago:?}");
        }
        let nothing = Finding::unverifiable(SEVERAL);
        assert!(nothing.is_final(false, just_now, WINDOW));
        assert!(!nothing.is_final(true, just_now, WINDOW));
    }

    #[test]
    fn what_holds_several_is_there_where_all_of_it_is() {
        let found = |verdict| Finding::of(verdict, "");
        let table: [(&[Verified], Verified); 8] = [
            (&[], Unverifiable),
            (&[Present, Present], Present),
            (&[Missing, Missing], Missing),
            (&[Present, Missing], Conflicting),
            (&[Present, Conflicting], Conflicting),
            (&[Missing, Conflicting], Conflicting),
            (&[Present, Unverifiable], Unverifiable),
            (&[Missing, Unverifiable], Unverifiable),
        ];
        for (parts, expected) in table {
            let list = parts.iter().map(|verdict| found(*verdict)).enumerate();
            let whole = together(list.collect());
            assert_eq!(whole.verdict, expected, "{parts:?}");
            let missing = parts.iter().enumerate();
            let missing = missing.filter(|(_, verdict)| **verdict == Missing);
            let missing: Vec<_> = missing.map(|(nth, _)| format!("part {nth}")).collect();
            let names = whole.differences.iter().map(|it| it.name.clone());
            let (why, missing) = match expected {
                Conflicting => (MIXED, missing),
                Unverifiable if parts.is_empty() => (NO_WRITE, Vec::new()),
                Unverifiable => (A_PART, Vec::new()),
                Present | Missing => ("", Vec::new()),
            };
            assert_eq!((whole.why, names.collect()), (why, missing), "{parts:?}");
        }
        let differs = Finding {
            differences: vec![Difference {
                name: "name".to_owned(),
                sent: "1".to_owned(),
                found: "2".to_owned(),
            }],
            left_out: vec!["inner".to_owned()],
            ..found(Conflicting)
        };
        let whole = together(vec![(0, found(Present)), (3, differs)]);
        assert_eq!(whole.differences[0].name, "part 3: name");
        assert_eq!(whole.left_out, ["part 3: inner"]);
        let deleted = Finding {
            is_open: true,
            ..found(Present)
        };
        assert!(together(vec![(0, found(Present)), (1, deleted)]).is_open);
    }

    #[test]
    fn several_rows_of_a_key_tell_nothing() {
        assert_eq!(several().verdict, Unverifiable);
    }
}
