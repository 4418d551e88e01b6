//! A file's steps as a form that each scenario fills with its own values.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The step with every `${name}` replaced by the value of that name: a string that is nothing else
/// by the value, whatever that is; within a longer one by its text, which is `-` of a null.
///
/// Other names are variables, and stay until the step is played.
pub(crate) fn fill(step: &Value, with: &Map<String, Value>) -> Value {
    match step {
        Value::String(text) => match whole(text).and_then(|name| with.get(name)) {
            Some(value) => value.clone(),
            None => Value::String(fill_text(text, with)),
        },
        Value::Array(items) => items.iter().map(|item| fill(item, with)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (key.clone(), fill(item, with)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn fill_text(text: &str, with: &Map<String, Value>) -> String {
    let mut filled = text.to_owned();
    for name in names(text) {
        let value = match with.get(name) {
            Some(Value::String(value)) => value.clone(),
            Some(Value::Null) => "-".to_owned(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => continue,
        };
        filled = filled.replace(&format!("${{{name}}}"), &value);
    }
    filled
}

/// Adds the names that the step has places for.
pub(crate) fn places_of(step: &Value, found: &mut BTreeSet<String>) {
    match step {
        Value::String(text) => found.extend(names(text).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| places_of(item, found)),
        Value::Object(map) => map.values().for_each(|item| places_of(item, found)),
        _ => {}
    }
}

/// The name of a text that is nothing but `${name}`.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains('}')).then_some(name)
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("${").skip(1);
    after.filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_takes_the_place_of_its_name_at_any_depth() {
        let with =
            json!({"fault": {"kind": "refuse"}, "status": 503, "none": null, "word": "sent"});
        let Value::Object(with) = with else {
            unreachable!()
        };
        let step = json!({"fault": "${fault}", "expect": [{"status": "${status}", "code": "${none}"}],
            "url": "${primary}", "text": "<${status}> ${word} ${none} ${primary}${n}", "odd": "${fault}${"});
        assert_eq!(
            fill(&step, &with),
            json!({"fault": {"kind": "refuse"}, "expect": [{"status": 503, "code": null}],
                "url": "${primary}", "text": "<503> sent - ${primary}${n}", "odd": "${fault}${"})
        );
        let mut found = BTreeSet::new();
        places_of(&step, &mut found);
        let names = ["fault", "n", "none", "primary", "status", "word"];
        assert_eq!(found, names.map(str::to_owned).into());
    }
}
