//! Each rule of the preset `safe` is needed: a scenario that shows it passes with the rule, and fails
//! without it.

use std::collections::BTreeSet;
use std::path::Path;

use d365_failover_core::Rule;
use d365_scenarios::{Run, Scenario, SubjectKind, load};

/// A rule, and the file and the name of a scenario that shows it; of a row of the matrix the variant
/// for writes that a repeat does twice.
const SHOWN: &[(Rule, &str, &str)] = &[
    (
        Rule::EndpointNotFound,
        "safe/evidence_strong",
        "connect refused, and the other side answers",
    ),
    (
        Rule::NoService,
        "safe/evidence_weak_alive",
        "404 without a mark",
    ),
    (
        Rule::DatacenterNotAvailable,
        "safe/evidence_strong",
        "0x8004B065, and the other side answers",
    ),
    (Rule::Timeout, "safe/evidence_weak_alive", "504"),
    (Rule::ServerUnavailable, "safe/evidence_weak_alive", "503"),
    (
        Rule::ConnectionLost,
        "safe/evidence_weak_alive",
        "a reset connection",
    ),
    (
        Rule::NameServer,
        "safe/evidence_weak_alive",
        "a name server that says: try again",
    ),
    (Rule::Local, "safe/evidence_never", "a resolver that fails"),
    (Rule::NotTheEndpoint, "safe/evidence_never", "401"),
    (
        Rule::Throttling,
        "safe/throttled",
        "several operations in one request",
    ),
    (
        Rule::Answered,
        "safe/evidence_never",
        "500 with a code that says nothing",
    ),
    (
        Rule::ResendNotSent,
        "safe/matrix_connections",
        "connect refused",
    ),
    (
        Rule::ResendUnprocessed,
        "safe/matrix_connections",
        "REFUSED_STREAM",
    ),
    (Rule::ResendThrottled, "safe/matrix_answers", "429"),
    (Rule::ResendNotHere, "safe/matrix_answers", "0x8004B065"),
    (
        Rule::ResendExecuted,
        "safe/matrix_answers",
        "a 2xx whose body is cut",
    ),
    (
        Rule::ResendLost,
        "safe/matrix_connections",
        "EOF on a reused connection",
    ),
    (
        Rule::ResendTimedOut,
        "safe/matrix_connections",
        "a timeout after the request",
    ),
    (Rule::ResendFrontEnd, "safe/matrix_answers", "a bare 503"),
    (
        Rule::ResendDatabase,
        "safe/matrix_answers",
        "a database that moves",
    ),
    (
        Rule::ProbeOther,
        "safe/evidence_strong",
        "connect refused, and the other side is dead",
    ),
    (Rule::ConfirmDead, "safe/evidence_weak_alive", "502"),
    (
        Rule::HoldDown,
        "safe/one_switch",
        "strong evidence in the hold-down, and this side is alive",
    ),
    (Rule::RefusalHolds, "safe/refusals", "a veto holds"),
    (
        Rule::Watch,
        "safe/slow",
        "a query of five seconds on a healthy side",
    ),
    (
        Rule::WriteGrace,
        "safe/black_hole",
        "a write that is answered within its grace",
    ),
    (
        Rule::FreshConnection,
        "safe/retries",
        "a connection that has waited is not trusted with a create",
    ),
    (
        Rule::UpdateGuard,
        "safe/guards_across_a_switch",
        "a PATCH of a row that has not crossed yet makes no fragment",
    ),
    (
        Rule::ReadBack,
        "safe/guarded",
        "an id of the application's, and If-None-Match: *",
    ),
    (
        Rule::Ramp,
        "safe/many",
        "calls leave by and by after a switch",
    ),
];

fn play(scenario: &Scenario, subject: SubjectKind) -> (bool, String) {
    let run = Run {
        scenarios: vec![scenario.clone()],
        subjects: vec![subject],
        at_once: 1,
    };
    let mut out = Vec::new();
    let report = run.play(&mut out).unwrap();
    (report.is_good(), String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn a_scenario_shows_each_rule() {
    let scenarios = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")).unwrap();
    let mut wrong = Vec::new();
    for (rule, file, name) in SHOWN {
        let scenario = scenarios
            .iter()
            .find(|scenario| {
                let variant = scenario.variant.as_deref();
                scenario.file == *file
                    && scenario.name == *name
                    && variant.is_none_or(|variant| variant == "unsafe")
            })
            .unwrap_or_else(|| panic!("{file} has no `{name}`"));
        let (passes, out) = play(scenario, SubjectKind::Rust);
        if !passes {
            wrong.push(format!("{rule:?}: fails with the rule: {out}"));
            continue;
        }
        let (passes, out) = play(scenario, SubjectKind::RustWithout(*rule));
        if passes {
            wrong.push(format!("{rule:?}: passes without the rule: {out}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table above has each rule that there is.
#[test]
fn no_rule_is_forgotten() {
    let source = include_str!("../../../core/src/rule.rs");
    let (_, variants) = source.split_once("pub enum Rule {").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let there: BTreeSet<String> = variants
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .map(str::to_owned)
        .collect();
    let shown = SHOWN.iter().map(|(rule, ..)| format!("{rule:?}"));
    assert_eq!(shown.collect::<BTreeSet<_>>(), there);
}
