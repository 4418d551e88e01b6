//! The small part of OData's query options that the twin understands.

use serde_json::Value;
use url::form_urlencoded;
use uuid::Uuid;

use crate::reply::ServiceError;
use crate::session::{Row, id_attribute};

/// `$filter` with `eq` and `and`, `$select`, `$top`, `$count`, `$skiptoken`; anything else is an error, so that a
/// test never believes in an option that did nothing.
#[derive(Debug)]
pub(crate) struct Query {
    filter: Vec<(String, Value)>,
    select: Option<Vec<String>>,
    pub(crate) top: usize,
    pub(crate) count: bool,
    /// The last row of the page before.
    pub(crate) after: Option<Uuid>,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            filter: Vec::new(),
            select: None,
            top: usize::MAX,
            count: false,
            after: None,
        }
    }
}

impl Query {
    pub(crate) fn parse(query: &str) -> Result<Query, ServiceError> {
        let mut parsed = Query::default();
        for (option, value) in form_urlencoded::parse(query.as_bytes()) {
            match option.as_ref() {
                "$filter" => parsed.filter = filter(&value)?,
                "$select" => {
                    parsed.select = Some(value.split(',').map(|name| name.trim().into()).collect());
                }
                "$top" => {
                    parsed.top = value.parse().map_err(|_| unknown(&option, &value))?;
                }
                "$count" => {
                    parsed.count = value.parse().map_err(|_| unknown(&option, &value))?;
                }
                "$skiptoken" => {
                    let after = Uuid::try_parse(&value).map_err(|_| unknown(&option, &value))?;
                    parsed.after = Some(after);
                }
                _ => return Err(unknown(&option, &value)),
            }
        }
        Ok(parsed)
    }

    /// The same for the attributes' logical names, which are those of the schema in lower case.
    pub(crate) fn in_lower_case(mut self) -> Query {
        for (name, _) in &mut self.filter {
            name.make_ascii_lowercase();
        }
        for name in self.select.iter_mut().flatten() {
            name.make_ascii_lowercase();
        }
        self
    }

    pub(crate) fn matches(&self, row: &Row) -> bool {
        self.filter
            .iter()
            .all(|(name, value)| row.get(name).unwrap_or(&Value::Null) == value)
    }

    /// The attributes that are asked for; the id is always among them.
    pub(crate) fn select(&self, entity: &str, row: &Row) -> Row {
        let Some(select) = &self.select else {
            return row.clone();
        };
        let id = id_attribute(entity);
        row.iter()
            .filter(|(name, _)| **name == id || select.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

fn unknown(option: &str, value: &str) -> ServiceError {
    ServiceError::invalid(format!("the twin does not understand {option}={value}"))
}

/// `name eq 'x' and …`; a literal may hold " and ", so the text is read from its start.
fn filter(text: &str) -> Result<Vec<(String, Value)>, ServiceError> {
    let wrong = || unknown("$filter", text);
    let mut terms = Vec::new();
    let mut rest = text.trim();
    loop {
        let (name, after) = rest.split_once(" eq ").ok_or_else(wrong)?;
        let (value, after) = literal(after.trim_start()).ok_or_else(wrong)?;
        terms.push((name.trim().to_owned(), value));
        if after.is_empty() {
            return Ok(terms);
        }
        rest = after.trim_start().strip_prefix("and ").ok_or_else(wrong)?;
    }
}

/// The literal at the start, up to a space or a comma, and what follows it.
pub(crate) fn literal(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let mut value = String::new();
        let mut rest = quoted;
        loop {
            let (part, after) = rest.split_once('\'')?;
            value.push_str(part);
            let Some(escaped) = after.strip_prefix('\'') else {
                return Some((Value::String(value), after));
            };
            value.push('\'');
            rest = escaped;
        }
    }
    let end = text.find([' ', ',']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match serde_json::from_str(word) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::String(Uuid::try_parse(word).ok()?.to_string()),
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        json!({"accountid": "00000000-0000-0000-0000-000000000007", "name": "A and B's", "n": 3})
            .as_object()
            .unwrap()
            .clone()
    }

    #[test]
    fn filters_compare_each_literal() {
        for (filter, expected) in [
            ("name eq 'A and B''s'", true),
            ("name eq 'A and B''s' and n eq 3", true),
            ("name eq 'A' and n eq 3", false),
            ("accountid eq 00000000-0000-0000-0000-000000000007", true),
            ("missing eq null", true),
        ] {
            let query = format!("$filter={}", filter.replace(' ', "%20"));
            assert_eq!(
                Query::parse(&query).unwrap().matches(&row()),
                expected,
                "{filter}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for query in [
            "$filter=name%20ne%20'x'",
            "$filter=name%20eq%20'x",
            "$expand=a",
            "$top=x",
            "$skiptoken=x",
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn select_keeps_the_id() {
        let shown = Query::parse("$select=n").unwrap().select("account", &row());
        assert_eq!(shown.keys().collect::<Vec<_>>(), ["accountid", "n"]);
    }
}
