//! The scenarios themselves: well-formed, and passed by the Rust client.

use std::fs;
use std::path::{Path, PathBuf};

use d365_scenarios::{Run, Runs, SubjectKind, load};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_rust_client_passes_every_scenario() {
    let run = Run {
        scenarios: load(&root()).unwrap(),
        subjects: vec![SubjectKind::Rust],
    };
    let mut out = Vec::new();
    let report = run.play(&mut out).unwrap();
    assert_eq!(report.passed + report.failed, run.scenarios.len());
    assert!(report.is_good(), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn there_are_scenarios_of_both_kinds() {
    let scenarios = load(&root()).unwrap();
    for runs in [Runs::Core, Runs::Crossing] {
        assert!(
            scenarios.iter().any(|scenario| scenario.runs == runs),
            "{runs:?}"
        );
    }
}

#[test]
fn every_file_is_as_the_schema_says() {
    let schema_file = root().join("schema.json");
    let schema = jsonschema::validator_for(&json(&schema_file)).unwrap();
    let files: Vec<_> = files(&root())
        .into_iter()
        .filter(|path| *path != schema_file)
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let file = json(&path);
        let errors: Vec<String> = schema
            .iter_errors(&file)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        let named = path
            .parent()
            .unwrap()
            .join(file["$schema"].as_str().unwrap());
        assert_eq!(
            named.canonicalize().unwrap(),
            schema_file.canonicalize().unwrap()
        );
    }
}

/// The schema of a scenario's steps, when they are filled.
fn steps_schema() -> jsonschema::Validator {
    let mut schema = json(&root().join("schema.json"));
    let definitions = schema["$defs"].take();
    jsonschema::validator_for(&serde_json::json!({
        "$schema": schema["$schema"], "$defs": definitions, "$ref": "#/$defs/steps"
    }))
    .unwrap()
}

#[test]
fn every_step_is_as_the_schema_says() {
    let schema = steps_schema();
    for scenario in load(&root()).unwrap() {
        for step in scenario.steps() {
            let steps = Value::Array(vec![step.clone()]);
            let errors: Vec<String> = schema
                .iter_errors(&steps)
                .map(|error| error.to_string())
                .collect();
            assert!(
                errors.is_empty(),
                "{}: {step}: {errors:#?}",
                scenario.title()
            );
        }
    }
}

#[test]
fn the_schema_refuses_what_the_runner_refuses() {
    let schema = steps_schema();
    let file = |step: &str| -> Value {
        let step: Value = serde_json::from_str(step).unwrap();
        Value::Array(vec![step])
    };
    assert!(schema.is_valid(&file(r#"{"do": "close", "client": "c"}"#)));
    for bad in [
        r#"{"do": "close", "clent": "c"}"#,
        r#"{"do": "clse"}"#,
        r#"{"do": "fault", "side": "primary", "fault": {"kind": "refused"}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "expect": {"response": {"sttus": 200}}}"#,
        r#"{"do": "expect_state", "state": {"epch": 1}}"#,
        r#"{"do": "fault", "side": "primary", "fault": "${fault}"}"#,
    ] {
        assert!(!schema.is_valid(&file(bad)), "{bad}");
    }
}
