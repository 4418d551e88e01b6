//! The schema of the scenarios' files, made from the types that read them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use d365_twin::{Condition, Fault, ProxyFault, TwinConfig};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::file::LoadError;
use crate::layout::lay_out;
use crate::part::Part;
use crate::step::Step;

/// Where it stands, in the folder of the scenarios.
const FILE: &str = "schema.json";
/// What stands for steps and is none: see [`words`](crate::words).
const MORE_VERBS: [&str; 1] = ["expect_switches"];

/// Writes the schema into the folder of the scenarios, or only looks whether it is there: whether
/// it was not.
pub fn write_schema(root: &Path, only_look: bool) -> Result<bool, LoadError> {
    let path = root.join(FILE);
    let text = lay_out(&schema().to_string()).map_err(|text| LoadError::Malformed {
        path: path.clone(),
        text,
    })?;
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    if !only_look {
        fs::write(&path, text).map_err(|source| LoadError::Io { path, source })?;
    }
    Ok(true)
}

/// A step as it stands in a file: with places, or a block's name.
pub(crate) struct Form;

impl JsonSchema for Form {
    fn schema_name() -> Cow<'static, str> {
        "Form".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = json!(Step::json_schema(generator));
        let mut verbs: BTreeSet<&str> = MORE_VERBS.into();
        let steps = step["oneOf"].as_array().into_iter().flatten();
        verbs.extend(steps.filter_map(|step| step["properties"]["do"]["const"].as_str()));
        json_schema!({
            "description": "A step in which `${name}` may stand for a value of `with`, written with short words \
                or without; filled and written out it is a `Step`. Or the name of a block.",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "required": ["do"], "properties": {"do": {"enum": verbs}}},
            ],
        })
    }
}

/// The schema.
pub fn schema() -> Value {
    let mut of_the_twin = SchemaSettings::draft2020_12().into_generator();
    of_the_twin.subschema_for::<TwinConfig>();
    of_the_twin.subschema_for::<Fault>();
    of_the_twin.subschema_for::<ProxyFault>();
    of_the_twin.subschema_for::<Condition>();
    let of_the_twin = of_the_twin.take_definitions(true);

    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<Part>();
    generator.subschema_for::<Step>();
    let mut definitions = generator.take_definitions(true);
    for (name, definition) in &mut definitions {
        if !of_the_twin.contains_key(name) {
            without_null(definition);
        }
        without_noise(definition);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenarios of d365-failover",
        "$ref": "#/$defs/Part",
        "required": ["$schema", "about", "scenarios"],
        "$defs": definitions,
    })
}

/// What is left out is not written as null; where null says something, it is a constant.
fn without_null(schema: &mut Value) {
    if let Value::Object(map) = schema {
        if let Some(Value::Array(types)) = map.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                map.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(any)) = map.get_mut("anyOf") {
            any.retain(|one| *one != json!({"type": "null"}));
            if let [Value::Object(only)] = &any[..] {
                let only = only.clone();
                map.remove("anyOf");
                map.extend(only);
            }
        }
    }
    within(schema, without_null);
}

/// What says nothing to who writes a scenario.
fn without_noise(schema: &mut Value) {
    if let Value::Object(map) = schema {
        if map.contains_key("const") {
            map.remove("type");
        }
        if map.contains_key("type") {
            map.remove("format");
        }
        if let Some(Value::String(text)) = map.get_mut("description") {
            let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
            *text = paragraphs.collect::<Vec<_>>().join("\n\n");
        }
        if map.get("default").is_some_and(Value::is_null) {
            map.remove("default");
        }
    }
    within(schema, without_noise);
}

fn within(schema: &mut Value, change: fn(&mut Value)) {
    match schema {
        Value::Object(map) => map.values_mut().for_each(change),
        Value::Array(items) => items.iter_mut().for_each(change),
        _ => {}
    }
}
