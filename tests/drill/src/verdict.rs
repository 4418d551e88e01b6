//! Whether the drill was passed.

use serde::Serialize;

use crate::line::{CALLS, REQUIRED, SWITCHED};
use crate::report::{ApplicationReport, EventReport, OrganizationReport};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Outcome {
    /// Each application went on, and nothing that it was told of is lost.
    Pass,
    /// The disaster was never made, so nothing is known.
    Inconclusive,
    /// Something is wrong.
    Fail,
}

impl Outcome {
    /// Of all rounds: the worst.
    pub(crate) fn of(rounds: impl Iterator<Item = Outcome>) -> Outcome {
        rounds.max().unwrap_or(Outcome::Inconclusive)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "PASS",
            Outcome::Fail => "FAIL",
            Outcome::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// How it ended, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    #[serde(rename = "verdict")]
    pub(crate) outcome: Outcome,
    /// Everything that speaks against a pass.
    pub(crate) reasons: Vec<String>,
    /// What the preset allows, and one should know.
    pub(crate) notes: Vec<String>,
}

/// What the applications are judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) organization: &'a OrganizationReport,
    /// Rounds that each must have made after its switch.
    pub(crate) rounds_after: usize,
    /// The preset resends unsafe writes blindly, as .NET, and may double rows.
    pub(crate) is_blind: bool,
    /// Whether the preset leaves the primary for this disaster. If not, calls fail until it is over.
    pub(crate) is_left: bool,
    /// The applications were killed and started again, and all their creates can be sent again:
    /// each is settled.
    pub(crate) is_killed: bool,
    /// Nobody may switch before that, in milliseconds since the fault.
    pub(crate) earliest_ms: f64,
}

/// Judges. `undone` says why the disaster was not made, if it was not.
pub(crate) fn judge(
    applications: &[ApplicationReport],
    rules: Rules<'_>,
    undone: Option<&str>,
) -> Verdict {
    let mut reasons = Vec::new();
    for application in applications {
        let mut against = application.troubles.clone();
        match (undone, rules.is_left) {
            (None, true) => {
                against.extend(events(application, rules));
                against.extend(progress(application, rules));
            }
            (None, false) => against.extend(stay(application)),
            (Some(_), _) => {}
        }
        against.extend(rows(application, rules));
        let named = against.into_iter();
        reasons.extend(named.map(|reason| format!("{}: {reason}", application.language)));
    }
    let outcome = match (reasons.is_empty(), undone) {
        (false, _) => Outcome::Fail,
        (true, Some(_)) => Outcome::Inconclusive,
        (true, None) => Outcome::Pass,
    };
    reasons.extend(undone.map(str::to_owned));
    let doubled: u64 = applications.iter().map(|app| app.duplicates).sum();
    let notes = (rules.is_blind && doubled > 0).then(|| {
        format!(
            "{doubled} creates were executed twice: the .NET SDK sends each again whose answer is \
             lost; the preset safe does not"
        )
    });
    Verdict {
        outcome,
        reasons,
        notes: notes.into_iter().collect(),
    }
}

fn events(application: &ApplicationReport, rules: Rules<'_>) -> Vec<String> {
    let mut against = Vec::new();
    let organization = rules.organization;
    let all = &application.events;
    for name in [REQUIRED, SWITCHED] {
        let count = all.iter().filter(|seen| seen.event.event == name).count();
        if count != 1 {
            against.push(format!("saw {count} {name}, not 1"));
        }
    }
    if against.is_empty() && all[0].event.event == SWITCHED {
        against.push("saw EndpointSwitched before EndpointSwitchRequired".into());
    }
    for EventReport { ms, event } in all {
        let (name, from, to) = (event.event, &event.previous_url, &event.new_url);
        if *ms < rules.earliest_ms {
            against.push(format!("saw {name} {:.1} ms before the fault", -ms));
        }
        if !organization.is_primary(from) || !organization.is_alternate(to) {
            against.push(format!(
                "{name} leads from {from} to {to}, not from the primary to the alternate"
            ));
        }
    }
    against
}

/// Where the preset does not leave the primary.
fn stay(application: &ApplicationReport) -> Vec<String> {
    let mut against = Vec::new();
    if let Some(seen) = application.events.first() {
        against.push(format!("saw {}, where nothing moves", seen.event.event));
    }
    if application.errors_after_fault == 0 {
        against.push("no call of it has met the disaster".into());
    }
    if !application.goes_on {
        against.push("no call succeeded after the disaster was over".into());
    }
    against
}

fn progress(application: &ApplicationReport, rules: Rules<'_>) -> Vec<String> {
    let mut against = Vec::new();
    let made = CALLS.map(|what| (what, application.after_switch(what)));
    let rounds = made.iter().map(|(_, count)| *count).min().unwrap_or(0);
    if rounds < rules.rounds_after as u64 {
        let calls = made.map(|(name, count)| format!("{name} {count}"));
        against.push(format!(
            "made {rounds} rounds after its switch, not {} ({})",
            rules.rounds_after,
            calls.join(", ")
        ));
    }
    if application.rows_written_at_alternate == 0 {
        against.push("no row of it was written at the alternate".into());
    }
    against
}

fn rows(application: &ApplicationReport, rules: Rules<'_>) -> Vec<String> {
    let mut against: Vec<String> = application
        .rows_missing
        .iter()
        .map(|row| {
            format!(
                "was told of row {} ({}), which is nowhere",
                row.id, row.name
            )
        })
        .collect();
    against.extend(application.rows_lost_in_silence.iter().map(|row| {
        format!(
            "was told of row {} ({}), which the alternate lacks and its ledger does not suspect",
            row.id, row.name
        )
    }));
    against.extend(application.false_claims.iter().cloned());
    if rules.is_killed && application.suspects_left > 0 {
        against.push(format!(
            "{} of its writes are in question still, and each could be settled",
            application.suspects_left
        ));
    }
    if rules.is_killed && application.rows_on_primary_only > 0 {
        against.push(format!(
            "{} rows that it was told of are not at the alternate, where all was settled",
            application.rows_on_primary_only
        ));
    }
    if application.duplicates > 0 && !rules.is_blind {
        against.push(format!("{} rows are doubled", application.duplicates));
    }
    against
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::SwitchEvent;
    use crate::rows::{DuplicateRows, Row};

    fn event(ms: f64, event: &'static str) -> EventReport {
        EventReport {
            ms,
            event: SwitchEvent {
                event,
                previous_url: "https://a.test/".into(),
                new_url: "https://b.test".into(),
                reason: "endpoint_not_found".into(),
            },
        }
    }

    fn good() -> ApplicationReport {
        ApplicationReport {
            language: "c".into(),
            events: vec![event(1.0, REQUIRED), event(1.0, SWITCHED)],
            successes_after_switch: CALLS.map(|what| (what, 5)).into(),
            rows_told: 20,
            rows_found: 20,
            rows_written_at_alternate: 10,
            ..ApplicationReport::default()
        }
    }

    fn row() -> Row {
        Row {
            id: uuid::Uuid::nil(),
            name: "c-web-1".into(),
        }
    }

    /// By the rules of a preset that leaves the primary, otherwise as is said.
    fn judged_by(
        applications: &[ApplicationReport],
        undone: Option<&str>,
        differ: impl FnOnce(&mut Rules<'_>),
    ) -> Verdict {
        let organization = OrganizationReport {
            primary_url: "https://a.test".into(),
            alternate_url: "https://b.test".into(),
        };
        let mut rules = Rules {
            organization: &organization,
            rounds_after: 5,
            is_blind: false,
            is_left: true,
            is_killed: false,
            earliest_ms: 0.0,
        };
        differ(&mut rules);
        judge(applications, rules, undone)
    }

    fn judged(application: ApplicationReport, is_blind: bool, undone: Option<&str>) -> Verdict {
        judged_by(&[good(), application], undone, |rules| {
            rules.is_blind = is_blind;
            rules.earliest_ms = if is_blind { -5.0 } else { 0.0 };
        })
    }

    #[test]
    fn a_good_drill_is_passed() {
        let verdict = judged(good(), false, None);
        assert_eq!((verdict.outcome, verdict.reasons), (Outcome::Pass, vec![]));
    }

    #[test]
    fn each_thing_that_is_wrong_fails_and_is_named() {
        let spoiled = |spoil: fn(&mut ApplicationReport), word: &str| {
            let mut application = good();
            spoil(&mut application);
            let verdict = judged(application, true, None);
            assert_eq!(verdict.outcome, Outcome::Fail, "{word}");
            assert_eq!(verdict.reasons.len(), 1, "{:?}", verdict.reasons);
            assert!(verdict.reasons[0].contains(word), "{:?}", verdict.reasons);
        };
        spoiled(|app| app.events.swap(0, 1), "before EndpointSwitchRequired");
        spoiled(
            |app| app.events.insert(0, app.events[0].clone()),
            "2 EndpointSwitchRequired",
        );
        spoiled(|app| app.events.truncate(1), "0 EndpointSwitched, not 1");
        spoiled(|app| app.events[0].ms = -5.1, "before the fault");
        spoiled(
            |app| app.events[1].event.new_url = "https://a.test".into(),
            "to the alternate",
        );
        spoiled(
            |app| app.successes_after_switch.clear(),
            "made 0 rounds after its switch, not 5",
        );
        spoiled(
            |app| *app.successes_after_switch.get_mut("read-web").unwrap() = 4,
            "read-web 4",
        );
        spoiled(|app| app.rows_written_at_alternate = 0, "at the alternate");
        spoiled(|app| app.rows_missing = vec![row()], "is nowhere");
        spoiled(
            |app| app.rows_lost_in_silence = vec![row()],
            "does not suspect",
        );
        spoiled(|app| app.false_claims = vec!["it lied".into()], "it lied");
        spoiled(|app| app.troubles = vec!["ended".into()], "c: ended");
    }

    #[test]
    fn errors_and_writes_in_doubt_alone_do_not_fail() {
        let mut application = good();
        application.errors = 1;
        application.creates_failed = 1;
        application.rows_untold = vec![row()];
        assert_eq!(judged(application, false, None).outcome, Outcome::Pass);
    }

    #[test]
    fn where_a_preset_stays_calls_fail_and_go_on() {
        let judged = |spoil: fn(&mut ApplicationReport)| {
            let mut application = good();
            application.events.clear();
            application.errors_after_fault = 3;
            application.goes_on = true;
            spoil(&mut application);
            let verdict = judged_by(&[application], None, |rules| {
                (rules.is_blind, rules.is_left) = (true, false);
            });
            verdict.reasons
        };
        assert_eq!(judged(|_| ()), Vec::<String>::new());
        assert!(judged(|app| app.events = good().events)[0].contains("where nothing moves"));
        assert!(judged(|app| app.errors_after_fault = 0)[0].contains("has met the disaster"));
        assert!(judged(|app| app.goes_on = false)[0].contains("was over"));
        assert!(judged(|app| app.rows_missing = vec![row()])[0].contains("is nowhere"));
    }

    #[test]
    fn after_a_kill_nothing_is_left() {
        let reasons = |spoil: fn(&mut ApplicationReport), is_killed| {
            let mut application = good();
            spoil(&mut application);
            judged_by(&[application], None, |rules| rules.is_killed = is_killed).reasons
        };
        assert_eq!(reasons(|_| (), true), Vec::<String>::new());
        let left: fn(&mut ApplicationReport) = |app| app.suspects_left = 1;
        assert!(reasons(left, true)[0].contains("in question still"));
        assert_eq!(reasons(left, false), Vec::<String>::new());
        let there = reasons(|app| app.rows_on_primary_only = 1, true);
        assert!(there[0].contains("not at the alternate"), "{there:?}");
    }

    #[test]
    fn only_a_blind_preset_may_switch_when_answers_are_lost() {
        let mut application = good();
        application.events[0].ms = -0.1;
        assert_eq!(
            judged(application.clone(), true, None).outcome,
            Outcome::Pass
        );
        let verdict = judged(application, false, None);
        assert!(verdict.reasons[0].contains("before the fault"));
    }

    #[test]
    fn duplicates_fail_where_the_preset_rules_them_out() {
        let mut application = good();
        application.duplicates = 1;
        application.rows_untold = vec![row()];
        application.duplicate_rows = vec![DuplicateRows {
            name: "c-web-1".into(),
            ids: vec![uuid::Uuid::nil(), uuid::Uuid::from_u128(1)],
        }];
        let verdict = judged(application.clone(), true, None);
        assert_eq!(verdict.outcome, Outcome::Pass);
        assert!(verdict.notes[0].starts_with("1 creates"), "{verdict:?}");
        let verdict = judged(application, false, None);
        assert_eq!((verdict.outcome, verdict.notes), (Outcome::Fail, vec![]));
    }

    #[test]
    fn without_a_disaster_only_what_is_wrong_anyway_fails() {
        let mut application = good();
        application.events.clear();
        let verdict = judged(application.clone(), true, Some("too slow"));
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert_eq!(verdict.reasons, ["too slow"]);
        application.troubles = vec!["ended".into()];
        let verdict = judged(application, true, Some("too slow"));
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(verdict.reasons, ["c: ended", "too slow"]);
    }
}
