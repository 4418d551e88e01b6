//! `${name}` in the strings of a step.

use std::collections::BTreeMap;

use serde_json::Value;

/// What the names stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// Counts the calls of a burst; it is left alone until the burst sets it.
pub(crate) const COUNTER: &str = "i";
/// Counts the repetitions of a `repeat`, whose steps are looked at one by one.
pub(crate) const REPETITION: &str = "n";

impl Variables {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    pub(crate) fn get(&self, name: &str) -> Result<String, String> {
        self.0
            .get(name)
            .cloned()
            .ok_or_else(|| format!("no variable `{name}`"))
    }

    /// The value with every variable replaced, in strings at any depth; keys stay as they are.
    pub(crate) fn apply(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.apply_to_text(text)?),
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.apply(item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.apply(item)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    fn apply_to_text(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let end = from
                .find('}')
                .ok_or_else(|| format!("`{text}`: no `}}` after `${{`"))?;
            let name = &from[2..end];
            match self.0.get(name) {
                Some(value) => out.push_str(value),
                None if name == COUNTER => out.push_str(&from[..=end]),
                None => {
                    let known: Vec<_> = self.0.keys().map(String::as_str).collect();
                    return Err(format!(
                        "`{text}`: no variable `{name}`; there are {}",
                        known.join(", ")
                    ));
                }
            }
            rest = &from[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::default();
        variables.set("primary", "https://contoso.crm.twin.test");
        variables
    }

    #[test]
    fn strings_are_replaced_at_any_depth_and_keys_are_not() {
        let got = variables()
            .apply(&json!({"${primary}": [1, {"a": "<${primary}/x>"}]}))
            .unwrap();
        assert_eq!(
            got,
            json!({"${primary}": [1, {"a": "<https://contoso.crm.twin.test/x>"}]})
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_what_there_is() {
        let error = variables().apply(&json!("${primry}")).unwrap_err();
        assert!(
            error.contains("no variable `primry`; there are primary"),
            "{error}"
        );
        assert!(variables().apply(&json!("${primary")).is_err());
    }

    #[test]
    fn the_counter_waits_for_its_burst() {
        let mut variables = variables();
        assert_eq!(
            variables.apply(&json!("row ${i}")).unwrap(),
            json!("row ${i}")
        );
        variables.set(COUNTER, "3");
        assert_eq!(variables.apply(&json!("row ${i}")).unwrap(), json!("row 3"));
    }
}
