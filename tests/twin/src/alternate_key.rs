//! How a Web API path names a row: by its id, or by the values of an alternate key.

use serde_json::Value;
use uuid::Uuid;

use crate::odata_query::literal;
use crate::session::Row;

/// What stands in the parentheses after an entity set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RowKey {
    Id(Uuid),
    Alternate(AlternateKey),
}

/// Attributes and their values, `name='x',number=3`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlternateKey(Vec<(String, Value)>);

impl RowKey {
    /// Reads what stands between the parentheses.
    pub(crate) fn parse(text: &str) -> Option<RowKey> {
        match Uuid::try_parse(text) {
            Ok(id) => Some(RowKey::Id(id)),
            Err(_) => AlternateKey::parse(text).map(RowKey::Alternate),
        }
    }
}

impl AlternateKey {
    fn parse(text: &str) -> Option<AlternateKey> {
        let mut terms = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = rest.split_once('=')?;
            let name = name.trim();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                return None;
            }
            let (value, after) = literal(after.trim_start())?;
            terms.push((name.to_owned(), value));
            let after = after.trim_start();
            if after.is_empty() {
                return Some(AlternateKey(terms));
            }
            rest = after.strip_prefix(',')?;
        }
    }

    pub(crate) fn matches(&self, row: &Row) -> bool {
        let AlternateKey(terms) = self;
        terms
            .iter()
            .all(|(name, value)| row.get(name) == Some(value))
    }

    /// The attributes that a row has which is created under this key.
    pub(crate) fn attributes(&self) -> Row {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_ids_or_values() {
        let id = "00000000-0000-0000-0000-000000000007";
        assert_eq!(RowKey::parse(id), Some(RowKey::Id(Uuid::from_u128(7))));
        let Some(RowKey::Alternate(key)) = RowKey::parse("name='O''Neil, A=1',n=3") else {
            panic!("no key");
        };
        assert_eq!(
            Value::Object(key.attributes()),
            json!({"name": "O'Neil, A=1", "n": 3})
        );
        assert!(
            key.matches(
                json!({"name": "O'Neil, A=1", "n": 3, "m": 1})
                    .as_object()
                    .unwrap()
            )
        );
        assert!(!key.matches(json!({"name": "O'Neil, A=1"}).as_object().unwrap()));
        for text in [
            "",
            "x",
            "name=",
            "name='x",
            "name='x' n=3",
            "=3",
            "name='x',",
            "a b=3",
        ] {
            assert_eq!(RowKey::parse(text), None, "{text}");
        }
    }
}
