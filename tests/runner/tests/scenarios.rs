//! The scenarios themselves: well-formed, and passed by the Rust client.

use std::fs;
use std::path::{Path, PathBuf};

use d365_scenarios::{Run, Runs, Scenario, SubjectKind, lay_out_all, load, schema, write_schema};
use jsonschema::Validator;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn read(path: &Path) -> Value {
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
        at_once: 4,
    };
    let mut out = Vec::new();
    let report = run.play(&mut out).unwrap();
    assert_ne!(report.passed, 0);
    let rust = SubjectKind::Rust.name();
    let for_rust = |scenario: &&Scenario| !scenario.except.iter().any(|name| name == rust);
    let expected = run.scenarios.iter().filter(for_rust).count();
    assert_eq!(report.passed + report.failed, expected);
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

/// Checks what the schema says of a file, or of one of its definitions.
fn validator(of: &str) -> Validator {
    let mut schema = schema();
    schema["$ref"] = of.into();
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|key, _| ["$schema", "$ref", "$defs"].contains(&key.as_str()));
    }
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_files_are_laid_out_and_the_schema_is_written_as_the_types_are() {
    assert_eq!(
        lay_out_all(&root(), true).unwrap(),
        [""; 0],
        "`make schema`"
    );
    assert!(!write_schema(&root(), true).unwrap(), "`make schema`");
}

#[test]
fn every_file_is_as_the_schema_says() {
    let schema_file = root().join("schema.json");
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let files: Vec<_> = files(&root())
        .into_iter()
        .filter(|path| path.parent() != Some(&root()))
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let file = read(&path);
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

/// The schema of a step, when it is filled and written out.
fn step_schema() -> Validator {
    validator("#/$defs/Step")
}

#[test]
fn every_step_is_as_the_schema_says() {
    let schema = step_schema();
    for scenario in load(&root()).unwrap() {
        for step in scenario.steps() {
            let errors: Vec<String> = schema
                .iter_errors(step)
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
    let schema = step_schema();
    let file = |step: &str| -> Value { serde_json::from_str(step).unwrap() };
    assert!(schema.is_valid(&file(r#"{"do": "close", "client": "c"}"#)));
    for bad in [
        r#"{"do": "close", "clent": "c"}"#,
        r#"{"do": "clse"}"#,
        r#"{"do": "fault", "side": "primary", "fault": {"kind": "refused"}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "expect": {"response": {"sttus": 200}}}"#,
        r#"{"do": "expect_state", "state": {"epch": 1}}"#,
        r#"{"do": "fault", "side": "primary", "fault": "${fault}"}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "stream": 10, "expect": {"response": {}}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "expect": {"response": {"read": {"byts": 1}}}}"#,
        r#"{"do": "call", "request": {"plain": {"method": "PUT", "url": "/", "body_reader": {"kind": "one_shot"}}},
            "expect": {"response": {}}}"#,
        r#"{"do": "open", "prepare": {"set_headers": {}}}"#,
        r#"{"do": "expect_prepared", "prepared": [{"rle": null}]}"#,
        r#"{"do": "proxy_fault", "fault": {"kind": "stall"}}"#,
        r#"{"do": "expect_proxy_requests", "side": "primary", "count": 0}"#,
        r#"{"do": "expect_requests", "side": "primary", "cookies": true, "count": 0}"#,
        r#"{"do": "expect_requests", "side": "primary"}"#,
        r#"{"do": "expect_requests", "side": "primary", "count": 1, "at_least": 1}"#,
        r#"{"do": "open", "events": ["EndpointSwitched"]}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "guarded": true, "expect": {"response": {}}}"#,
        r#"{"do": "call", "request": {"who_am_i": "web_api"}, "expect": {"error": {"ledger": {"efect": null}}}}"#,
        r#"{"do": "repeat", "times": 2, "steps": [{"do": "clse"}]}"#,
        r#"{"do": "eventually", "steps": [{"do": "close", "clent": "c"}]}"#,
        r#"{"do": "expect_ledger", "selection": "some", "entries": []}"#,
        r#"{"do": "expect_ledger", "selection": "all", "entries": [{"effect": "none"}]}"#,
        r#"{"do": "resolve", "resolution": "lost"}"#,
        r#"{"do": "resolve", "suspect": 0, "id": "1", "resolution": "lost"}"#,
        r#"{"do": "resolve", "suspect": 0, "resolution": "found"}"#,
    ] {
        assert!(!schema.is_valid(&file(bad)), "{bad}");
    }
}
