//! Attribute values between `i:type` and JSON.

use roxmltree::Node;
use serde_json::Value;

use crate::xml::{child, escaped};

pub(crate) const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";

/// Reads a `value` element. Numbers and booleans become JSON's; everything else (dates, ids, and
/// the simple content of option sets and money) stays the text that it is.
pub(crate) fn read_value(value: Node<'_, '_>) -> Value {
    if value.attribute((INSTANCE, "nil")) == Some("true") {
        return Value::Null;
    }
    let full_type = value.attribute((INSTANCE, "type")).unwrap_or_default();
    let kind = full_type.rsplit(':').next().unwrap_or_default();
    // Of a reference its id, as the Web API has it.
    let value = match kind {
        "EntityReference" => child(value, "Id").unwrap_or(value),
        _ => value,
    };
    let text: String = value
        .descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect();
    let read = match kind {
        "int" | "long" | "short" => text.trim().parse::<i64>().ok().map(Value::from),
        "decimal" | "double" | "float" => text.trim().parse::<f64>().ok().map(Value::from),
        "boolean" => text.trim().parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    read.unwrap_or(Value::String(text))
}

/// Writes a `b:value` element.
pub(crate) fn write_value(value: &Value) -> String {
    let (kind, text) = match value {
        Value::Bool(flag) => ("boolean", flag.to_string()),
        Value::Number(number) if number.is_f64() => ("double", number.to_string()),
        Value::Number(number) => match number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) {
            true => ("int", number.to_string()),
            false => ("long", number.to_string()),
        },
        Value::String(text) => ("string", text.clone()),
        other => ("string", other.to_string()),
    };
    format!(
        r#"<b:value i:type="c:{kind}" xmlns:c="{SCHEMA}">{}</b:value>"#,
        escaped(&text)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_there_and_back() {
        for value in [
            json!("a <b> & c"),
            json!(7),
            json!(-3_000_000_000_i64),
            json!(2.5),
            json!(true),
        ] {
            let text = format!(
                r#"<x xmlns:b="urn:b" xmlns:i="{INSTANCE}">{}</x>"#,
                write_value(&value)
            );
            let document = roxmltree::Document::parse(&text).unwrap();
            let element = document.root_element().first_element_child().unwrap();
            assert_eq!(read_value(element), value);
        }
    }
}
