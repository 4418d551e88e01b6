//! Whether a row that was read back is the one that was sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::Value;

use crate::classify::xml::{Visit, walk};
use crate::operation::{Guard, Row};

/// Whether a row has what was sent, as far as both say it. Under an id of the application's own
/// somebody else may have created another row. A value that the service writes in another way
/// counts as another, and so does a row that shares no value with what was sent: then it is not
/// known whose row it is.
pub(crate) fn is_as_sent(guard: &Guard, sent: &[u8], row: &[u8]) -> bool {
    match guard.row() {
        Row::Url(_) => is_object_as_sent(sent, row),
        Row::Soap { .. } => is_entity_as_sent(
            &String::from_utf8_lossy(sent),
            &String::from_utf8_lossy(row),
        ),
    }
}

fn is_object_as_sent(sent: &[u8], row: &[u8]) -> bool {
    let (Ok(Value::Object(sent)), Ok(Value::Object(row))) =
        (serde_json::from_slice(sent), serde_json::from_slice(row))
    else {
        return false;
    };
    let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    agree(
        sent.iter()
            .filter(|(name, value)| is_plain(value) && !name.contains('@'))
            .map(|(name, value)| row.get(name).map(|there| there == value)),
    )
}

fn is_entity_as_sent(sent: &str, row: &str) -> bool {
    let (sent, row) = (attributes(sent), attributes(row));
    let compared = sent.iter();
    agree(compared.map(|(name, value)| row.get(name).map(|there| there == value)))
}

/// Whether some values were found the same, and none another. `None`: only one side says it.
fn agree(mut compared: impl Iterator<Item = Option<bool>>) -> bool {
    let mut is_any_same = false;
    compared.all(|is_same| {
        is_any_same |= is_same == Some(true);
        is_same != Some(false)
    }) && is_any_same
}

/// The attributes of the first entity of a message whose values are plain text.
fn attributes(message: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut key = String::new();
    // Related entities stand deeper, or come later.
    let mut depth = None;
    walk(message, |path, visit| {
        let Visit::End(ended) = visit else {
            if path.last().is_some_and(|last| last.local == "Attributes") {
                depth.get_or_insert(path.len() + 2);
            }
            return ControlFlow::Continue(());
        };
        match path {
            [.., attributes, pair, last]
                if attributes.local == "Attributes"
                    && pair.local == "KeyValuePairOfstringanyType"
                    && depth == Some(path.len()) =>
            {
                match last.local.as_str() {
                    "key" => ended.text.clone_into(&mut key),
                    "value" if !ended.text.is_empty() => {
                        found.insert(std::mem::take(&mut key), ended.text.to_owned());
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            }
            [.., last] if last.local == "Attributes" && depth == Some(path.len() + 2) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_as_sent_when_nothing_that_both_say_differs() {
        let table = [
            (
                r#"{"name":"a","n":1}"#,
                r#"{"name":"a","n":1,"other":2}"#,
                true,
            ),
            (r#"{"name":"a"}"#, r#"{"name":"b"}"#, false),
            (r#"{"n":1}"#, r#"{"n":2}"#, false),
            (r#"{"hidden":"a"}"#, r#"{"name":"b"}"#, false),
            (
                r#"{"owner@odata.bind":"/x(1)"}"#,
                r#"{"owner@odata.bind":"y"}"#,
                false,
            ),
            (r#"{"inner":{"a":1}}"#, r#"{"inner":null}"#, false),
            ("{}", "{}", false),
            (r#"{"n":1,"inner":{}}"#, r#"{"n":1,"inner":null}"#, true),
            ("{", "{}", false),
            ("{}", "<html>", false),
        ];
        for (sent, row, expected) in table {
            let is_as_sent = is_object_as_sent(sent.as_bytes(), row.as_bytes());
            assert_eq!(is_as_sent, expected, "{sent} {row}");
        }
    }

    fn message(element: &str, attributes: &[(&str, &str)]) -> String {
        let pairs: String = attributes
            .iter()
            .map(|(key, value)| {
                format!(
                    "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key><b:value>{value}</b:value>\
                     </a:KeyValuePairOfstringanyType>"
                )
            })
            .collect();
        format!(
            "<s:Envelope xmlns:s=\"s\" xmlns:a=\"a\" xmlns:b=\"b\"><s:Body><x><{element}>\
             <a:Attributes>{pairs}</a:Attributes><a:RelatedEntities><a:Attributes>\
             <a:KeyValuePairOfstringanyType><b:key>name</b:key><b:value>deep</b:value>\
             </a:KeyValuePairOfstringanyType></a:Attributes></a:RelatedEntities></{element}></x></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn an_entity_is_as_sent_when_no_attribute_that_both_say_differs() {
        let sent = message(
            "entity",
            &[("name", "a &amp; b"), ("owner", "<c:Id>1</c:Id>")],
        );
        let same = [("name", "a &amp; b"), ("createdon", "now"), ("owner", "x")];
        assert!(is_entity_as_sent(&sent, &message("RetrieveResult", &same)));
        let other = [("name", "other")];
        assert!(!is_entity_as_sent(
            &sent,
            &message("RetrieveResult", &other)
        ));
        assert!(!is_entity_as_sent(&sent, &message("RetrieveResult", &[])));
    }
}
