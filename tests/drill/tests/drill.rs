//! The whole drill with the real twin, and with shell scripts as applications.

use std::process::Command;

use serde_json::{Value, json};

const STANDIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/standin.sh");

struct Run {
    code: Option<i32>,
    out: String,
    /// Of the first round.
    report: Value,
    rounds: Vec<Value>,
}

impl Run {
    fn reasons(&self) -> Vec<&str> {
        let reasons = self.report["reasons"].as_array().expect("reasons");
        reasons.iter().filter_map(Value::as_str).collect()
    }

    fn has_reason(&self, part: &str) -> bool {
        self.reasons().iter().any(|reason| reason.contains(part))
    }

    fn application(&self, language: &str) -> &Value {
        let all = self.report["applications"].as_array().expect("a list");
        let found = all.iter().find(|one| one["language"] == language);
        found.unwrap_or_else(|| panic!("no {language} in {}", self.report))
    }
}

/// One round, unless the arguments ask for more.
fn drill(modes: &[(&str, &str)], arguments: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_d365-drill"));
    command
        .args(["--c", STANDIN, "--java", STANDIN, "--python", STANDIN])
        .args(["--rounds-before", "2", "--rounds-after", "2"])
        .args(arguments)
        .arg("--report")
        .arg(&path);
    for (application, mode) in modes {
        command.env(format!("STANDIN_{application}"), mode);
    }
    for (name, default) in [("--preset", "safe"), ("--fault", "refuse")] {
        if !arguments.contains(&name) {
            command.args([name, default]);
        }
    }
    let output = command.output().unwrap();
    let report = std::fs::read(&path).map(|text| serde_json::from_slice(&text).unwrap());
    let report: Value = report.unwrap_or_default();
    let rounds = report["rounds"].as_array().cloned().unwrap_or_default();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        report: rounds.first().cloned().unwrap_or_default(),
        rounds,
    }
}

#[test]
fn honest_applications_pass_and_the_report_has_it_all() {
    let run = drill(&[], &["--also", &format!("other={STANDIN}")]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    assert_eq!(run.report["verdict"], "PASS");
    assert_eq!(run.report["reasons"], json!([]));
    assert_eq!(run.report["preset"], "safe");
    assert_eq!(run.report["fault"], "refuse");
    assert_eq!(run.report["disaster"], true);
    for language in ["c", "java", "python", "other"] {
        let one = run.application(language);
        assert_eq!(one["events"][0]["event"], "EndpointSwitchRequired");
        assert_eq!(one["events"][1]["event"], "EndpointSwitched");
        assert_eq!(
            one["events"][1]["new_url"],
            run.report["organization"]["alternate_url"]
        );
        assert!(one["calls"].as_u64() >= Some(16), "{one}");
        assert!(one["rows_told"].as_u64() >= Some(8), "{one}");
        assert_eq!(one["rows_told"], one["rows_found"]);
        assert_eq!(one["duplicates"], 0);
        assert!(
            one["rows_written_at_alternate"].as_u64() >= Some(4),
            "{one}"
        );
        assert!(one["ms_to_first_success"].as_f64() > Some(0.0), "{one}");
        // Cut off once, given up by a gateway once, at least.
        assert!(one["creates_in_doubt"].as_u64() >= Some(2), "{one}");
        assert!(
            one["creates_in_doubt_executed"].as_u64() >= Some(2),
            "{one}"
        );
        assert!(one["suspects"].as_u64() >= Some(6), "{one}");
        let timeline = run.report["timeline"].as_array().unwrap();
        let mine = timeline.iter().filter(|entry| entry["who"] == language);
        let told = mine.filter(|entry| entry["what"] != "error" && entry["what"] != "WriteInDoubt");
        let told: Vec<&str> = told.filter_map(|entry| entry["what"].as_str()).collect();
        let order = [
            "ready",
            "EndpointSwitchRequired",
            "EndpointSwitched",
            "DataLossSuspected",
            "first success",
        ];
        assert_eq!(told, order);
    }
    assert!(run.out.ends_with("\nPASS\n"), "{}", run.out);
    for word in [
        "lost",
        "doubled",
        "in doubt",
        "suspects",
        "sent again",
        "never told of",
    ] {
        assert!(run.out.contains(&format!("\n  {word:<13}  ")), "{word}");
    }
    assert!(
        run.out
            .lines()
            .all(|line| line.is_ascii() && line.len() <= 100),
        "{}",
        run.out
    );
}

const PAGE: &str = r#"{"kind": "html_page", "status": 503}"#;

#[test]
fn a_drill_is_as_good_as_its_worst_round() {
    let presets = ["--preset", "dotnet", "--preset", "safe"];
    let run = drill(&[("java", "doubler")], &presets);
    let outcomes: Vec<(&Value, &Value)> = run
        .rounds
        .iter()
        .map(|round| (&round["round"], &round["verdict"]))
        .collect();
    let expected = json!([
        ["dotnet-refuse", "PASS"],
        ["dotnet-refuse-504", "PASS"],
        ["safe-refuse", "FAIL"]
    ]);
    assert_eq!(json!(outcomes), expected, "{}", run.out);
    assert_eq!(run.code, Some(1));
    assert!(run.out.ends_with("\nFAIL\n"), "{}", run.out);
    assert!(run.out.contains("\nTIMELINE"), "of the one that failed");
}

#[test]
fn where_a_preset_stays_an_application_that_leaves_comes_to_light() {
    let page = ["--preset", "dotnet", "--fault", PAGE];
    let honest = drill(&[], &page);
    assert_eq!(honest.code, Some(0), "{}", honest.out);
    let c = honest.application("c");
    assert_eq!(c["events"], json!([]));
    assert!(c["errors_after_fault"].as_u64() >= Some(2), "{c}");

    let run = drill(&[("python", "hasty")], &page);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("python: saw EndpointSwitchRequired, where nothing moves"));
    assert!(!run.has_reason("java: "), "{:?}", run.reasons());
}

#[test]
fn what_applications_do_to_rows_comes_to_light() {
    let run = drill(
        &[("c", "liar"), ("java", "doubler"), ("python", "silent")],
        &["--preset", "dotnet"],
    );
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("c: was told of row 00000000-0000-4000-8000-000000000000"));
    assert!(run.has_reason("python: "), "{:?}", run.reasons());
    assert!(!run.has_reason("java: "), "{:?}", run.reasons());
    let java = run.application("java");
    assert_eq!(java["duplicates"], 1);
    assert_eq!(java["duplicate_rows"][0]["name"], "java-web-1");
    // A create in flight at the fault may be one more.
    assert!(java["rows_untold"].as_array().map(Vec::len) >= Some(1));

    let run = drill(&[("java", "doubler")], &[]);
    assert_eq!(run.reasons(), ["java: 1 rows are doubled"]);
}

#[test]
fn what_applications_do_not_know_of_their_writes_comes_to_light() {
    let run = drill(&[("c", "forgetful"), ("python", "boaster")], &[]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("is in doubt, but no suspect of its ledger"));
    assert!(run.has_reason("was not executed, but its row is there"));
    assert!(!run.has_reason("java: "), "{:?}", run.reasons());
}

#[test]
fn wrong_events_and_words_on_standard_error_fail() {
    let run = drill(
        &[
            ("c", "backwards"),
            ("java", "twice"),
            ("python", "grumbles"),
        ],
        &[],
    );
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("c: saw EndpointSwitched before EndpointSwitchRequired"));
    assert!(run.has_reason("java: saw 2 EndpointSwitchRequired, not 1"));
    assert!(run.has_reason("python: wrote to standard error: a warning"));
}

#[test]
fn an_application_that_dies_or_talks_nonsense_fails_the_drill() {
    let run = drill(&[("java", "dies")], &[]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("java: ended before it was asked to"));
    assert!(run.has_reason("java: ended with exit status: 7"));
    assert_eq!(run.report["disaster"], false);

    let run = drill(&[("python", "garbage")], &[]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("python: said `Segmentation fault, surely`"));
}

#[test]
fn without_a_disaster_nothing_is_known() {
    let run = drill(
        &[("c", "idle")],
        &["--timeout", "1", "--rounds-before", "1"],
    );
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert_eq!(run.report["verdict"], "INCONCLUSIVE");
    assert_eq!(run.report["disaster"], false);
    assert!(run.has_reason("not ready"), "{:?}", run.reasons());

    // One that no hold catches: its creates are not what it was told to make.
    let run = killed_with(&[("c", "outdated")], &["--timeout", "15"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    let caught = "not all were in the middle of a create in 15 s (";
    assert!(run.has_reason(caught), "{:?}", run.reasons());
    assert!(!run.has_reason("c-web"), "{:?}", run.reasons());
    for name in ["java-web", "python-web"] {
        assert!(run.has_reason(name), "{:?}", run.reasons());
    }
}

/// The last round, in which the applications were killed.
fn killed(modes: &[(&str, &str)]) -> Run {
    killed_with(modes, &[])
}

fn killed_with(modes: &[(&str, &str)], arguments: &[&str]) -> Run {
    let window = ["--killed", "--replication-window", "1"];
    let mut run = drill(modes, &[&window, arguments].concat());
    run.report = run.rounds.pop().unwrap_or_default();
    assert_eq!(run.report["round"], "safe-refuse-killed", "{}", run.out);
    run
}

#[test]
fn an_application_that_is_killed_finds_its_writes_in_its_store() {
    let run = killed(&[]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    for language in ["c", "java", "python"] {
        let one = run.application(language);
        assert_eq!(one["creates_in_doubt"], 1, "{one}");
        // The one that was under way, and what nothing carried over.
        assert!(one["suspects_replayed"].as_u64() >= Some(3), "{one}");
        assert_eq!(one["suspects_left"], 0, "{one}");
        assert_eq!(one["rows_on_primary_only"], 0, "{one}");
    }
}

#[test]
fn what_is_lost_with_an_application_that_is_killed_comes_to_light() {
    let run = killed(&[("c", "amnesiac"), ("python", "lazy")]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.has_reason("was under way when it was killed, and its store says nothing of it"));
    assert!(run.has_reason("which the alternate lacks and its ledger does not suspect"));
    assert!(run.has_reason("was under way when it was killed, and is not settled"));
    assert!(run.has_reason("of its writes are in question still, and each could be settled"));
    assert!(!run.has_reason("java: "), "{:?}", run.reasons());
}

#[test]
fn what_cannot_begin_says_so() {
    assert_eq!(drill(&[], &["--fault", "earthquake"]).code, Some(3));
    assert_eq!(drill(&[], &["--c", "/nowhere/at/all"]).code, Some(3));
    for also in ["other", "=true", "c=true", "c-other=true"] {
        assert_eq!(drill(&[], &["--also", also]).code, Some(3), "{also}");
    }
}
