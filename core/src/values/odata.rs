//! Values in the JSON of OData v4.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Columns, RowValues, Sent, SentValue, Value};
use crate::byte_set::is_identifier;

const BIND: &str = "@odata.bind";

/// The members of an object, with numbers as they are written. Of two of one name the last counts, as
/// for most readers.
fn members(body: &[u8]) -> Option<BTreeMap<String, &RawValue>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).ok()
}

/// `None`: several values, or parts of a value.
fn value(raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'n' => Some(Value::Null),
        b't' => Some(Value::Bool(true)),
        b'f' => Some(Value::Bool(false)),
        b'"' => Some(Value::Text(serde_json::from_str(text).ok()?)),
        b'{' | b'[' => None,
        _ => Some(Value::Number(text.to_owned())),
    }
}

/// What the body of a create or an update sends. `None`: it is no object.
///
/// A reference to another row by its id is compared with the lookup's column. Left out are other
/// references, rows that are created with it, lists, and annotations.
pub(crate) fn sent(body: &[u8]) -> Option<Sent> {
    let mut sent = Sent::default();
    for (name, raw) in members(body)? {
        let value = value(raw);
        let compared = match (name.strip_suffix(BIND), value) {
            (Some(property), Some(value)) => bound(property, &value),
            // Says nothing of the row.
            (None, _) if name.starts_with('@') || name.starts_with("odata.") => continue,
            (None, Some(value)) if is_identifier(&name) => Some((name.clone(), value)),
            _ => None,
        };
        match compared {
            Some((column, value)) if is_identifier(&column) => sent.values.push(SentValue {
                name,
                column,
                value,
            }),
            _ => sent.left_out.push(name),
        }
    }
    Some(sent)
}

/// The column of a reference, and what it holds. `None`: the other row is named by a key, by a part of
/// the same batch, or is one of several.
fn bound(property: &str, value: &Value) -> Option<(String, Value)> {
    let column = format!("_{}_value", property.to_ascii_lowercase());
    match value {
        Value::Null => Some((column, Value::Null)),
        Value::Text(link) => {
            let (_, key) = link
                .trim_end_matches('/')
                .strip_suffix(')')?
                .rsplit_once('(')?;
            let id = Uuid::try_parse(key).ok()?;
            Some((column, Value::Text(id.to_string())))
        }
        _ => None,
    }
}

/// The row in an answer to a read of it. `None`: it is no object.
pub(crate) fn row(body: &[u8]) -> Option<RowValues> {
    row_of(members(body)?)
}

/// The rows of a list. `None`: it is none.
pub(crate) fn rows(body: &[u8]) -> Option<Vec<RowValues>> {
    let members = members(body)?;
    let list: Vec<BTreeMap<String, &RawValue>> =
        serde_json::from_str(members.get("value")?.get()).ok()?;
    list.into_iter().map(row_of).collect()
}

fn row_of(members: BTreeMap<String, &RawValue>) -> Option<RowValues> {
    let version = members.get("@odata.etag").and_then(|raw| match value(raw) {
        Some(Value::Text(version)) => Some(version),
        _ => None,
    });
    let columns = members.into_iter().filter(|(name, _)| is_identifier(name));
    let columns: Columns = columns
        .filter_map(|(name, raw)| Some((name, value(raw)?)))
        .collect();
    Some(RowValues {
        columns,
        leaves_out_null: false,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AAAAAAAA-0000-0000-0000-00000000000a";

    fn shown(sent: &Sent) -> Vec<String> {
        let values = sent.values.iter().map(|sent| {
            let value = match &sent.value {
                Value::Null => "null".to_owned(),
                Value::Bool(value) => value.to_string(),
                Value::Number(text) => text.clone(),
                Value::Text(text) => format!("'{text}'"),
            };
            format!("{}={value}", sent.column)
        });
        let left_out = sent.left_out.iter().map(|name| format!("-{name}"));
        values.chain(left_out).collect()
    }

    #[test]
    fn what_a_body_sends_and_what_of_it_can_be_compared() {
        let id = ID.to_ascii_lowercase();
        let table: [(&str, Option<&[&str]>); 15] = [
            (
                r#"{"name":"a","n":1,"b":true,"x":null}"#,
                Some(&["b=true", "n=1", "name='a'", "x=null"]),
            ),
            (
                r#"{"price":1234567890123.4500}"#,
                Some(&["price=1234567890123.4500"]),
            ),
            (
                r#"{"@odata.type":"x","odata.type":"y","name":"a"}"#,
                Some(&["name='a'"]),
            ),
            (r#"{"name@odata.type":"x"}"#, Some(&["-name@odata.type"])),
            (
                &format!(r#"{{"Owner@odata.bind":"/contacts({ID})"}}"#),
                Some(&[&format!("_owner_value='{id}'")]),
            ),
            (
                &format!(r#"{{"o@odata.bind":"https://x/api/data/v9.2/contacts({ID})"}}"#),
                Some(&[&format!("_o_value='{id}'")]),
            ),
            (r#"{"o@odata.bind":null}"#, Some(&["_o_value=null"])),
            (
                r#"{"o@odata.bind":"/contacts(email='x')"}"#,
                Some(&["-o@odata.bind"]),
            ),
            (r#"{"o@odata.bind":"$1"}"#, Some(&["-o@odata.bind"])),
            (
                r#"{"o@odata.bind":["/contacts(1)"]}"#,
                Some(&["-o@odata.bind"]),
            ),
            (
                r#"{"inner":{"name":"a"},"list":[1]}"#,
                Some(&["-inner", "-list"]),
            ),
            (r#"{"a,b":1}"#, Some(&["-a,b"])),
            ("\u{feff}{}", Some(&[])),
            ("[1]", None),
            ("{", None),
        ];
        for (body, expected) in table {
            let got = sent(body.as_bytes()).map(|sent| shown(&sent));
            let expected =
                expected.map(|list| list.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn a_row_has_columns_and_a_version() {
        let body = br#"{"@odata.etag":"W/\"7\"","name":"a","name@x":"b","n":1.50,"inner":{}}"#;
        let row = row(body).unwrap();
        assert_eq!(row.version.as_deref(), Some("W/\"7\""));
        let names: Vec<&String> = row.columns.keys().collect();
        assert_eq!(names, ["n", "name"]);
        assert!(row.columns["n"] == Value::Number("1.50".to_owned()));
        assert_eq!(rows(br#"{"value":[{"a":1},{}]}"#).unwrap().len(), 2);
        assert!(rows(body).is_none());
    }
}
