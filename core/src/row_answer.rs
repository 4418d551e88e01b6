//! What an answer to a read of a row says: the row, that there is none, or nothing.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

use crate::classify::text;
use crate::operation::Row;
use crate::values::{self, odata, soap};

const NO_SUCH_ROW: i32 = 0x8004_0217_u32.cast_signed();
const NO_ROW_OF_THAT_KEY: i32 = 0x8006_0891_u32.cast_signed();
/// SOAP: the table has no such column.
const NO_SUCH_COLUMN: i32 = 0x8004_1103_u32.cast_signed();
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// What is there where a row should be, or should be no more.
pub(crate) enum Seen {
    /// The row, as far as its answer tells of it.
    Row(values::RowValues),
    /// The service has said that there is none.
    NoRow,
}

/// What an answer of the service says of the row that was asked for. `None`: nothing.
///
/// `is_marked`: that the service has made it shows outside of the row itself. `version`: the answer's
/// `ETag`.
pub(crate) fn seen(
    asked: &Row,
    status: u16,
    code: Option<i32>,
    is_marked: bool,
    body: &[u8],
    version: Option<&str>,
) -> Option<Seen> {
    match (status, code) {
        (200, _) if is_row(asked, body, is_marked) => {
            let mut row = row(asked, body);
            row.version = version.map(str::to_owned).or(row.version);
            Some(Seen::Row(row))
        }
        (_, Some(NO_SUCH_ROW | NO_ROW_OF_THAT_KEY)) => Some(Seen::NoRow),
        // An unknown set is no missing row.
        (404, None | Some(0)) if is_marked && !names_a_segment(body) => Some(Seen::NoRow),
        _ => None,
    }
}

/// The rows of a list that was asked for. `None`: the answer is none of the service's.
pub(crate) fn rows(status: u16, is_marked: bool, body: &[u8]) -> Option<Vec<values::RowValues>> {
    let rows = odata::rows(body).filter(|_| status == 200)?;
    let names_odata = || text(&body[..body.len().min(256)]).contains("\"@odata.");
    (is_marked || names_odata()).then_some(rows)
}

/// Whether the service has refused to read columns that the row does not have.
pub(crate) fn lacks_a_column(asked: &Row, status: u16, code: Option<i32>, is_marked: bool) -> bool {
    match asked {
        Row::Url(_) => status == 400 && is_marked,
        Row::Soap { .. } => code == Some(NO_SUCH_COLUMN),
    }
}

/// What a body that is a row tells of it. Of OData v2, whose values are written otherwise: nothing.
pub(crate) fn row(asked: &Row, body: &[u8]) -> values::RowValues {
    let row = match asked {
        Row::Url(_) => odata::row(body),
        Row::Soap { .. } => soap::entity(&text(body)).map(soap::Entity::row),
    };
    row.unwrap_or_default()
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
    #[derive(Deserialize)]
    struct Row {
        #[serde(rename = "@odata.etag")]
        version: String,
    }
    // Of most answers that alone is asked.
    static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"@odata.etag"));
    VERSION.find(body)?;
    let row: Row = serde_json::from_slice(body).ok()?;
    Some(row.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::samples::ID;

    type Answer<'a> = (u16, Option<i32>, bool, &'a [u8], Option<bool>);

    fn is_there(seen: Seen) -> bool {
        matches!(seen, Seen::Row(_))
    }

    #[test]
    fn only_the_service_says_that_a_row_is_there_or_not() {
        let row = br#"{"@odata.etag":"W/\"1\"","accountid":"1"}"#;
        let no_such = br#"{"error":{"code":"0x80040217","message":"Does Not Exist"}}"#;
        let no_set =
            br#"{"error":{"code":"","message":"Resource not found for the segment 'x'."}}"#;
        let there = Some(true);
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
            (200, None, true, br#"{"d":{"AccountId":"1"}}"#, there),
            (200, None, true, br#"{"d":{"results":[]}}"#, None),
            (404, Some(NO_SUCH_ROW), true, no_such, Some(false)),
            (500, Some(NO_SUCH_ROW), true, b"<Envelope/>", Some(false)),
            (404, None, true, no_set, None),
            (404, None, false, b"", None),
            (403, None, true, b"{}", None),
        ];
        for (status, code, is_marked, body, expected) in table {
            let asked = Row::Url("/api/data/v9.2/accounts(1)".to_owned());
            let got = seen(&asked, status, code, is_marked, body, None).map(is_there);
            assert_eq!(got, expected, "{status} {}", String::from_utf8_lossy(body));
        }
        let asked = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        let answer: &[u8] = b"<s:Envelope><s:Body><RetrieveResponse/></s:Body></s:Envelope>";
        for (body, expected) in [(answer, there), (br#"{"status":"maintenance"}"#, None)] {
            let got = seen(&asked, 200, None, true, body, None).map(is_there);
            assert_eq!(got, expected);
        }
        assert_eq!(version_in(row).as_deref(), Some("W/\"1\""));
    }

    #[test]
    fn the_version_is_the_headers_or_the_rows() {
        let asked = Row::Url("/accounts(1)".to_owned());
        let body = br#"{"@odata.etag":"W/\"1\""}"#;
        for (header, expected) in [(Some("W/\"2\""), "W/\"2\""), (None, "W/\"1\"")] {
            let Some(Seen::Row(row)) = seen(&asked, 200, None, true, body, header) else {
                panic!("no row");
            };
            assert_eq!(row.version.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_list_is_the_services_or_nobodys() {
        let context = br#"{"@odata.context":"x","value":[{"name":"a"}]}"#;
        let plain = br#"{"value":[]}"#;
        let table: [(u16, bool, &[u8], Option<usize>); 6] = [
            (200, true, context, Some(1)),
            (200, false, context, Some(1)),
            (200, true, plain, Some(0)),
            (200, false, plain, None),
            (404, true, plain, None),
            (200, true, br#"{"name":"a"}"#, None),
        ];
        for (status, is_marked, body, expected) in table {
            let got = rows(status, is_marked, body).map(|rows| rows.len());
            assert_eq!(got, expected, "{status} {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_column_that_there_is_not() {
        let (url, soap) = (
            Row::Url(String::new()),
            Row::Soap {
                logical_name: String::new(),
                id: uuid::Uuid::nil(),
            },
        );
        let table = [
            (&url, 400, None, true, true),
            (&url, 400, None, false, false),
            (&url, 404, None, true, false),
            (&soap, 500, Some(NO_SUCH_COLUMN), true, true),
            (&soap, 500, Some(NO_SUCH_ROW), true, false),
        ];
        for (asked, status, code, is_marked, expected) in table {
            let got = lacks_a_column(asked, status, code, is_marked);
            assert_eq!(got, expected, "{asked:?} {status} {code:?}");
        }
    }
}
