//! A file's steps as a form that each scenario fills with its own values.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The step with every string that is nothing but `${name}` replaced by the value of that name.
///
/// Other names are variables, and stay until the step is played.
pub(crate) fn fill(step: &Value, with: &Map<String, Value>) -> Value {
    match step {
        Value::String(text) => name(text)
            .and_then(|name| with.get(name))
            .unwrap_or(step)
            .clone(),
        Value::Array(items) => items.iter().map(|item| fill(item, with)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (key.clone(), fill(item, with)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Adds the names that the step has places for.
pub(crate) fn places_of<'a>(step: &'a Value, found: &mut BTreeSet<&'a str>) {
    match step {
        Value::String(text) => found.extend(name(text)),
        Value::Array(items) => items.iter().for_each(|item| places_of(item, found)),
        Value::Object(map) => map.values().for_each(|item| places_of(item, found)),
        _ => {}
    }
}

fn name(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_takes_the_place_of_its_name_at_any_depth() {
        let with = json!({"fault": {"kind": "refuse"}, "status": 503, "none": null});
        let Value::Object(with) = with else {
            unreachable!()
        };
        let step = json!({"fault": "${fault}", "expect": [{"status": "${status}", "code": "${none}"}],
            "url": "${primary}", "text": "<${status}>"});
        assert_eq!(
            fill(&step, &with),
            json!({"fault": {"kind": "refuse"}, "expect": [{"status": 503, "code": null}],
                "url": "${primary}", "text": "<${status}>"})
        );
        let mut found = BTreeSet::new();
        places_of(&step, &mut found);
        assert_eq!(
            found,
            BTreeSet::from(["fault", "none", "primary", "status"])
        );
    }
}
