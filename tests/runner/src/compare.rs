//! Is what was got what was expected?

use serde_json::Value;

/// Every place where `got` is not as `expected`.
///
/// Objects: what is expected must be there, what else is there is not looked at. Arrays: as many
/// items, each as its own. Everything else: equal.
pub(crate) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, got, &mut found);
    found
}

fn compare(path: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
    let here = if path.is_empty() { "it" } else { path };
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (key, value) in expected {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match got.get(key) {
                    Some(got) => compare(&path, value, got, found),
                    None => found.push(format!("{path}: expected {value}, got none")),
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                found.push(format!(
                    "{here}: expected {} items, got {}",
                    expected.len(),
                    got.len()
                ));
                return;
            }
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{path}[{index}]"), expected, got, found);
            }
        }
        _ if expected == got => {}
        _ => found.push(format!("{here}: expected {expected}, got {got}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_may_have_more_than_is_expected() {
        assert!(differences(&json!({"a": 1}), &json!({"a": 1, "b": 2})).is_empty());
        let found = differences(&json!({"a": {"b": 1}}), &json!({"a": {"c": 1}}));
        assert_eq!(found, ["a.b: expected 1, got none"]);
    }

    #[test]
    fn an_array_must_have_exactly_what_is_expected() {
        assert!(differences(&json!([1, 2]), &json!([1, 2])).is_empty());
        assert_eq!(
            differences(&json!([1]), &json!([1, 2])),
            ["it: expected 1 items, got 2"]
        );
        assert_eq!(
            differences(&json!([1, 2]), &json!([1, 3])),
            ["[1]: expected 2, got 3"]
        );
    }

    #[test]
    fn null_is_a_value() {
        assert!(differences(&json!({"a": null}), &json!({"a": null})).is_empty());
        assert_eq!(
            differences(&json!({"a": null}), &json!({"a": 1})),
            ["a: expected null, got 1"]
        );
    }
}
