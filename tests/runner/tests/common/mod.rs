//! What the tests of the runner have in common: a folder of one scenario, and playing it; the
//! tables that scenarios show.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use d365_scenarios::{Run, Scenario, SubjectKind, load};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with one file that holds one crossing scenario.
pub fn folder(steps: &[Value]) -> TempDir {
    let file = json!({"$schema": "../schema.json", "about": "a test", "proxies": [{}], "scenarios": [
        {"name": "the scenario", "rule": "the rule", "runs": "crossing", "steps": steps}]});
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("group")).unwrap();
    fs::write(folder.path().join("group/file.json"), file.to_string()).unwrap();
    folder
}

/// Plays the steps with a subject; what failed, and everything that was written.
pub fn play(steps: &[Value], subject: SubjectKind) -> (usize, String) {
    let folder = folder(steps);
    let run = Run {
        scenarios: load(folder.path()).unwrap(),
        subjects: vec![subject],
        at_once: 1,
    };
    let mut out = Vec::new();
    let report = run.play(&mut out).unwrap();
    (report.failed, String::from_utf8(out).unwrap())
}

pub fn call(expect: Value) -> Value {
    json!({"do": "call", "request": {"who_am_i": "web_api"}, "expect": expect})
}

/// A client, a call that switches, and then `step`.
pub fn steps_with(step: &Value) -> Vec<Value> {
    vec![
        json!({"do": "open", "on_required": "proceed", "on_switched": "listen",
            "settings": {"auto_switch": "on"}}),
        json!({"do": "fault", "side": "primary", "fault": {"kind": "refuse"}}),
        call(json!({"response": {"status": 200}})),
        step.clone(),
        json!({"do": "expect_switches",
            "switches": [{"from": "primary", "reason": "endpoint_not_found", "epoch": 1}]}),
    ]
}

/// What is in a row, and the rows of its variants.
pub type Rows = [(&'static str, &'static [&'static str])];

/// All that there are.
pub fn scenarios() -> Vec<Scenario> {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")).unwrap()
}

/// The files together show these rows, in this variant of them where they have variants: each of them
/// once, and no others.
pub fn assert_shown(
    scenarios: &[Scenario],
    files: &[&str],
    variant: Option<&str>,
    tables: &[&Rows],
) {
    let wanted: BTreeSet<&str> = tables
        .iter()
        .flat_map(|rows| rows.iter())
        .flat_map(|(_, variants)| variants.iter().copied())
        .collect();
    let mut shown = BTreeSet::new();
    for scenario in scenarios
        .iter()
        .filter(|s| files.contains(&s.file.as_str()) && s.variant.as_deref() == variant)
    {
        let row = scenario.row.as_deref();
        let row = row.unwrap_or_else(|| panic!("{} shows no row", scenario.title()));
        assert!(
            shown.insert(row),
            "{}: `{row}` is shown twice",
            scenario.title()
        );
    }
    let missing: Vec<_> = wanted.difference(&shown).collect();
    let unknown: Vec<_> = shown.difference(&wanted).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{files:?} {variant:?}: missing {missing:?}, unknown {unknown:?}"
    );
}
