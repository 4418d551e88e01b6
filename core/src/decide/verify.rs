//! What can be found out about a write by a look at its row.

use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;
use uuid::Uuid;

use crate::Verified;
use crate::operation::web_api::{self, Service};
use crate::operation::{Class, Guard, Row};

const NO_SUCH_ROW: i32 = 0x8004_0217_u32.cast_signed();
const NO_ROW_OF_THAT_KEY: i32 = 0x8006_0891_u32.cast_signed();
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// What a row says of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: it changed many rows, or values that are not kept, or nobody knows which row.
    Nothing,
    /// Nothing yet: a create whose row only its answer can name.
    Unnamed,
    /// The same over SOAP, in this table.
    UnnamedIn(String),
    /// The row was created by it.
    Created(Row),
    /// The row was deleted by it.
    Deleted(Row),
    /// The row was changed by it, to what is not kept.
    Changed(String),
    /// The row had this version when it had been changed.
    Version(String, String),
}

/// What is there where a row should be, or should be no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// The row, with its version where the answer tells it.
    Row(Option<&'a str>),
    /// The service has said that there is none.
    NoRow,
}

impl Proof {
    /// What a write tells before it is sent.
    pub(crate) fn of_request(
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        class: &Class,
    ) -> Proof {
        let path = web_api::path(url);
        if let Some(Guard::Created(row)) = &class.guard {
            return Proof::Created(row.clone());
        }
        if let Some(row) = &class.deletes {
            return Proof::Deleted(row.clone());
        }
        if let Some(table) = &class.creates_in {
            return Proof::UnnamedIn(table.clone());
        }
        if web_api::is_batch(path) || web_api::service(path) == Service::Soap {
            return Proof::Nothing;
        }
        let row = web_api::row(url);
        match (web_api::written_as(method, url, headers), row) {
            (Some(b"DELETE"), Some(row)) => Proof::Deleted(Row::Url(row.to_owned())),
            (Some(b"PATCH" | b"PUT" | b"MERGE"), Some(row)) => Proof::Changed(row.to_owned()),
            (Some(b"POST"), None) if may_create(path) => Proof::Unnamed,
            _ => Proof::Nothing,
        }
    }

    /// What it tells when it was acknowledged: by an answer that names a row, by URL or, over SOAP,
    /// by id; or its version.
    pub(crate) fn when_executed(
        self,
        row: Option<&str>,
        id: Option<Uuid>,
        version: Option<&str>,
    ) -> Proof {
        if let (Proof::UnnamedIn(table), Some(id)) = (&self, id) {
            let logical_name = table.clone();
            return Proof::Created(Row::Soap { logical_name, id });
        }
        match (self, row, version) {
            (Proof::Unnamed, Some(row), _) => Proof::Created(Row::Url(row.to_owned())),
            // By its id, where the request has named it by a key of its own.
            (Proof::Created(Row::Url(_)), Some(row), _) => Proof::Created(Row::Url(row.to_owned())),
            (Proof::Changed(url), row, Some(version)) => {
                Proof::Version(row.unwrap_or(&url).to_owned(), version.to_owned())
            }
            (proof, ..) => proof,
        }
    }

    /// The row to look at. `None`: none would prove anything.
    pub(crate) fn row(&self) -> Option<Row> {
        match self {
            Proof::Nothing | Proof::Unnamed | Proof::UnnamedIn(_) | Proof::Changed(_) => None,
            Proof::Created(row) | Proof::Deleted(row) => Some(row.clone()),
            Proof::Version(row, _) => Some(Row::Url(row.clone())),
        }
    }

    /// What is found by that look.
    pub(crate) fn verdict(&self, seen: Seen<'_>) -> Verified {
        match (self, seen) {
            // Of a key that means something, somebody else's row may have been there before, or be
            // there since.
            (Proof::Created(row) | Proof::Deleted(row), Seen::Row(_)) if !has_id(row) => {
                Verified::Unverifiable
            }
            (Proof::Created(_), Seen::Row(_)) | (Proof::Deleted(_), Seen::NoRow) => {
                Verified::Present
            }
            (Proof::Created(_), Seen::NoRow) | (Proof::Deleted(_), Seen::Row(_)) => {
                Verified::Missing
            }
            (Proof::Version(_, version), Seen::Row(Some(now))) if version == now => {
                Verified::Present
            }
            // Another version is a later write's, or an earlier one: nobody can say which.
            _ => Verified::Unverifiable,
        }
    }

    /// Whether replication can change nothing any more about a verdict on a write that ended so long
    /// ago. A row that is there stays, unless an attempt of the write may still come late; one that is
    /// not there may still come over.
    pub(crate) fn is_final(
        &self,
        verdict: Verified,
        may_come_late: bool,
        ended_ago: Duration,
        window: Duration,
    ) -> bool {
        let stays = match (self, verdict) {
            (Proof::Deleted(_), Verified::Present) | (_, Verified::Missing) => false,
            _ => !may_come_late,
        };
        stays || ended_ago >= window
    }
}

/// Whether a `POST` there may create a row that its answer names.
fn may_create(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.is_some_and(|last| !last.starts_with('$') && !last.contains("Microsoft.Dynamics.CRM."))
}

/// Whether a row is named by its id: nobody else's has the same. Before which column's value a name
/// stands is not known here: it may be one of the application's.
fn has_id(row: &Row) -> bool {
    let Row::Url(url) = row else {
        return true;
    };
    let last = web_api::path(url).rsplit('/').next().unwrap_or_default();
    let key = last
        .split_once('(')
        .and_then(|(_, key)| key.strip_suffix(')'));
    key.is_some_and(|key| {
        // So OData v2 writes it.
        let v2 = key.strip_prefix("guid'");
        let id = v2.map_or(Some(key), |key| key.strip_suffix('\''));
        id.is_some_and(|id| Uuid::try_parse(id).is_ok())
    })
}

/// What an answer of the service says of the row that was asked for. `None`: nothing.
///
/// `is_marked`: that the service has made it shows outside of the row itself.
pub(crate) fn seen<'a>(
    asked: &Row,
    status: u16,
    code: Option<i32>,
    is_marked: bool,
    body: &[u8],
    version: Option<&'a str>,
) -> Option<Seen<'a>> {
    match (status, code) {
        (200, _) if is_row(asked, body, is_marked) => Some(Seen::Row(version)),
        (_, Some(NO_SUCH_ROW | NO_ROW_OF_THAT_KEY)) => Some(Seen::NoRow),
        // An unknown set is no missing row.
        (404, None | Some(0)) if is_marked && !names_a_segment(body) => Some(Seen::NoRow),
        _ => None,
    }
}

fn names_a_segment(body: &[u8]) -> bool {
    String::from_utf8_lossy(body)
        .to_ascii_lowercase()
        .contains("segment")
}

/// Whether a body is the one row that was asked for: no list of them, no error, no page, and nothing
/// that a gateway says in the service's place.
pub(crate) fn is_row(asked: &Row, body: &[u8], is_marked: bool) -> bool {
    if let Row::Soap { .. } = asked {
        let text = String::from_utf8_lossy(body);
        return text.contains("Envelope") && text.contains("RetrieveResponse");
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let body = body.trim_ascii_start();
    if body.starts_with(b"<") {
        let start = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
        return start.contains("<entry") && start.contains(ATOM) && !start.contains("<feed");
    }
    let Ok(Value::Object(row)) = serde_json::from_slice(body) else {
        return false;
    };
    let names_odata = |name: &String| name.starts_with("@odata.") || name.starts_with("odata.");
    let (row, is_marked) = match row.get("d") {
        Some(Value::Object(row)) => (row, true),
        _ => (&row, is_marked || row.keys().any(names_odata)),
    };
    is_marked
        && !row.contains_key("error")
        && !["value", "results"]
            .iter()
            .any(|list| row.get(*list).is_some_and(Value::is_array))
}

/// The version that a row's JSON tells of itself.
pub(crate) fn version_in(body: &[u8]) -> Option<String> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let row: Value = serde_json::from_slice(body).ok()?;
    Some(row.get("@odata.etag")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::samples::{Header, ID, SOAP_URL, class_of, create, headers, message};

    type Case<'a> = (&'a str, &'a str, &'a [Header<'a>], Verified, Verified);
    type Answer<'a> = (u16, Option<i32>, bool, &'a [u8], Option<Seen<'a>>);

    const NO_WINDOW: Duration = Duration::ZERO;
    const WINDOW: Duration = Duration::from_secs(900);

    fn proof(method: &str, url: &str, list: &[Header<'_>]) -> Proof {
        let class = class_of(method, url, list, "");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Proof::of_request(&method, url, &headers(list), &class)
    }

    #[test]
    fn what_a_row_says_of_a_write() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let by_key = "/api/data/v9.2/accounts(accountnumber='A1')";
        let v2 = format!("/XRMServices/2011/OrganizationData.svc/AccountSet(guid'{ID}')");
        let (there, gone) = (Seen::Row(Some("W/\"1\"")), Seen::NoRow);
        use Verified::{Missing, Present, Unverifiable};
        let new = ("if-none-match", "*");
        let keyed = |key: &str| format!("/api/data/v9.2/accounts({})", key.replace("ID", ID));
        let (named, quoted, both, own) = (
            keyed("cr_extid=ID"),
            keyed("name='ID'"),
            keyed("a=1,b=ID"),
            keyed("accountid=ID"),
        );
        let (text, ends_so, v2_named) = (keyed("'ID'"), keyed("name='(ID'"), keyed("a=guid'ID'"));
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
            (
                "POST",
                &v2,
                &[("x-http-method", "MERGE")],
                Unverifiable,
                Unverifiable,
            ),
            ("PATCH", &by_id, &[], Unverifiable, Unverifiable),
            (
                "PATCH",
                &by_id,
                &[("if-match", "W/\"1\"")],
                Unverifiable,
                Unverifiable,
            ),
            (
                "POST",
                "/api/data/v9.2/accounts",
                &[],
                Unverifiable,
                Unverifiable,
            ),
            (
                "POST",
                "/api/data/v9.2/$batch",
                &[],
                Unverifiable,
                Unverifiable,
            ),
            (
                "POST",
                "/api/data/v9.2/WinOpportunity",
                &[],
                Unverifiable,
                Unverifiable,
            ),
            (
                "PATCH",
                &format!("{by_id}/entityimage"),
                &[],
                Unverifiable,
                Unverifiable,
            ),
            (
                "DELETE",
                &format!("{by_id}/primarycontactid/$ref"),
                &[],
                Unverifiable,
                Unverifiable,
            ),
            (
                "POST",
                "/XRMServices/2011/Organization.svc/web",
                &[],
                Unverifiable,
                Unverifiable,
            ),
        ];
        for (method, url, list, when_there, when_gone) in table {
            let proof = proof(method, url, list);
            assert_eq!(proof.verdict(there), when_there, "{method} {url}");
            assert_eq!(proof.verdict(gone), when_gone, "{method} {url}");
            if (when_there, when_gone) == (Unverifiable, Unverifiable) {
                assert_eq!(proof.row(), None, "nothing is asked: {method} {url}");
            }
        }
    }

    #[test]
    fn an_answer_names_the_row_of_a_create_and_the_version_of_a_change() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let created = proof("POST", "/api/data/v9.2/accounts", &[]);
        let named = created.clone().when_executed(Some(&by_id), None, None);
        assert_eq!(named.verdict(Seen::NoRow), Verified::Missing);
        assert_eq!(created.when_executed(None, None, None).row(), None);
        let action = format!("{by_id}/Microsoft.Dynamics.CRM.QualifyLead");
        let acted = proof("POST", &action, &[]).when_executed(Some(&by_id), None, None);
        assert_eq!(acted.row(), None);
        let linked = format!("{by_id}/contact_customer_accounts/$ref");
        let linked = proof("POST", &linked, &[]).when_executed(Some(&by_id), None, None);
        assert_eq!(linked.row(), None);
        let changed = proof("PATCH", &by_id, &[]);
        let changed = changed.when_executed(None, None, Some("W/\"7\""));
        let table = [
            (Seen::Row(Some("W/\"7\"")), Verified::Present),
            (Seen::Row(Some("W/\"8\"")), Verified::Unverifiable),
            (Seen::Row(Some("W/\"6\"")), Verified::Unverifiable),
            (Seen::Row(None), Verified::Unverifiable),
            (Seen::NoRow, Verified::Unverifiable),
        ];
        for (seen, expected) in table {
            assert_eq!(changed.verdict(seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn an_answer_of_soap_names_the_row_by_id() {
        let message = message(&create("<a:LogicalName>account</a:LogicalName>"));
        let class = class_of("POST", SOAP_URL, &[], &message);
        let sent = Proof::of_request(&Method::POST, SOAP_URL, &headers(&[]), &class);
        assert_eq!(sent.row(), None);
        let id = ID.parse().ok();
        assert_eq!(sent.clone().when_executed(None, None, None).row(), None);
        let named = sent.when_executed(None, id, None);
        assert_eq!(named.verdict(Seen::Row(None)), Verified::Present);
        assert_eq!(named.verdict(Seen::NoRow), Verified::Missing);
        let nothing = proof("POST", SOAP_URL, &[]);
        assert_eq!(nothing.when_executed(None, id, None).row(), None);
    }

    #[test]
    fn what_may_still_come_over_is_not_final() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let created = proof("PATCH", &by_id, &[("if-none-match", "*")]);
        let deleted = proof("DELETE", &by_id, &[]);
        let changed = proof("PATCH", &by_id, &[]).when_executed(None, None, Some("W/\"7\""));
        let just_now = Duration::from_secs(1);
        use Verified::{Missing, Present, Unverifiable};
        let table = [
            (&created, Present, false, just_now, WINDOW, true),
            (&created, Present, true, just_now, WINDOW, false),
            (&created, Present, true, WINDOW, WINDOW, true),
            (&created, Missing, false, just_now, WINDOW, false),
            (&created, Missing, false, WINDOW, WINDOW, true),
            (&created, Missing, true, just_now, NO_WINDOW, true),
            (&deleted, Present, false, just_now, WINDOW, false),
            (&deleted, Present, false, WINDOW, WINDOW, true),
            (&changed, Present, false, just_now, WINDOW, true),
            (&changed, Present, true, just_now, WINDOW, false),
            (&changed, Present, true, WINDOW, WINDOW, true),
            (&changed, Unverifiable, true, just_now, WINDOW, false),
        ];
        for (proof, verdict, may_come_late, ago, window, expected) in table {
            let got = proof.is_final(verdict, may_come_late, ago, window);
            assert_eq!(
                got, expected,
                "{proof:?} {verdict:?} {may_come_late} {ago:?}"
            );
        }
    }

    #[test]
    fn only_the_service_says_that_a_row_is_there_or_not() {
        let row = br#"{"@odata.etag":"W/\"1\"","accountid":"1"}"#;
        let no_such = br#"{"error":{"code":"0x80040217","message":"Does Not Exist"}}"#;
        let no_set =
            br#"{"error":{"code":"","message":"Resource not found for the segment 'x'."}}"#;
        let there = Some(Seen::Row(None));
        let atom = br#"<?xml version="1.0"?><entry xmlns="http://www.w3.org/2005/Atom"/>"#;
        let feed = br#"<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id></entry></feed>"#;
        let table: [Answer<'_>; 20] = [
            (200, None, true, row, there),
            (200, None, false, row, there),
            (
                200,
                None,
                false,
                br#"{"odata.metadata":"x","name":"a"}"#,
                there,
            ),
            (200, None, false, br#"{"d":{"AccountId":"1"}}"#, there),
            (200, None, false, br#"{"status":"maintenance"}"#, None),
            (200, None, true, br#"{"name":"no metadata"}"#, there),
            (200, None, false, br#"{"d":"x"}"#, None),
            (200, None, false, b"{}", None),
            (200, None, false, atom, there),
            (200, None, true, feed, None),
            (200, None, true, br#"{"value":[]}"#, None),
            (
                200,
                None,
                true,
                br#"{"error":{"code":"","message":"x"}}"#,
                None,
            ),
            (200, None, false, b"<html><body>login</body></html>", None),
            (
                200,
                None,
                true,
                br#"{"d":{"AccountId":"1"}}"#,
                Some(Seen::Row(None)),
            ),
            (200, None, true, br#"{"d":{"results":[]}}"#, None),
            (404, Some(NO_SUCH_ROW), true, no_such, Some(Seen::NoRow)),
            (
                500,
                Some(NO_SUCH_ROW),
                true,
                b"<Envelope/>",
                Some(Seen::NoRow),
            ),
            (404, None, true, no_set, None),
            (404, None, false, b"", None),
            (403, None, true, b"{}", None),
        ];
        for (status, code, is_marked, body, expected) in table {
            let asked = Row::Url("/api/data/v9.2/accounts(1)".to_owned());
            let got = seen(&asked, status, code, is_marked, body, None);
            assert_eq!(got, expected, "{status} {}", String::from_utf8_lossy(body));
        }
        let asked = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        let answer: &[u8] = b"<s:Envelope><s:Body><RetrieveResponse/></s:Body></s:Envelope>";
        for (body, expected) in [(answer, there), (br#"{"status":"maintenance"}"#, None)] {
            assert_eq!(seen(&asked, 200, None, true, body, None), expected);
        }
        assert_eq!(version_in(row).as_deref(), Some("W/\"1\""));
    }
}
