//! The report: what the terminal shows, and more, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use d365_twin::{JournalEntry, Role, RowView};
use serde::Serialize;

use crate::line::{Line, SwitchEvent};
use crate::record::{Record, ms_since};
use crate::rows::{Comparison, DuplicateRows, Row};
use crate::timeline::{Entry, first_success};
use crate::verdict::{Outcome, Verdict};
use crate::writes::Writes;

/// A whole drill.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DrillReport {
    /// The worst of the rounds.
    pub(crate) verdict: Outcome,
    pub(crate) rounds: Vec<Report>,
}

impl DrillReport {
    pub(crate) fn new(rounds: Vec<Report>) -> DrillReport {
        DrillReport {
            verdict: Outcome::of(rounds.iter().map(|round| round.verdict.outcome)),
            rounds,
        }
    }
}

/// A round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// Its name: preset and fault.
    pub(crate) round: String,
    /// What happens in it, for people.
    pub(crate) words: String,
    pub(crate) preset: String,
    /// The fault that the primary had.
    pub(crate) fault: String,
    /// Whether it was made. If not, all times count from when the round was given up.
    pub(crate) disaster: bool,
    /// When answers of executed creates began to be lost, in milliseconds since the fault.
    pub(crate) lost_answers_ms: Option<f64>,
    pub(crate) organization: OrganizationReport,
    /// Milliseconds from a commit to its arrival at the other side, until the fault.
    pub(crate) replication_lag_ms: u64,
    pub(crate) timeline: Vec<Entry>,
    pub(crate) applications: Vec<ApplicationReport>,
}

/// The organization that all work with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OrganizationReport {
    pub(crate) primary_url: String,
    pub(crate) alternate_url: String,
}

impl OrganizationReport {
    pub(crate) fn is_primary(&self, url: &str) -> bool {
        url.trim_end_matches('/') == self.primary_url
    }

    pub(crate) fn is_alternate(&self, url: &str) -> bool {
        url.trim_end_matches('/') == self.alternate_url
    }
}

/// An event, and when it was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EventReport {
    /// Milliseconds since the fault.
    pub(crate) ms: f64,
    #[serde(flatten)]
    pub(crate) event: SwitchEvent,
}

/// What one application was told, and what there is.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ApplicationReport {
    /// `c`, `java` or `python`.
    pub(crate) language: String,
    /// Calls that it made, failed ones included.
    pub(crate) calls: u64,
    /// Calls that succeeded with more than one attempt.
    pub(crate) retried: u64,
    /// Calls that failed.
    pub(crate) errors: u64,
    pub(crate) errors_by_kind: BTreeMap<String, u64>,
    /// Calls that failed since the fault.
    pub(crate) errors_after_fault: u64,
    /// A call succeeded after the last that failed.
    pub(crate) goes_on: bool,
    /// The events that it saw, in its order.
    pub(crate) events: Vec<EventReport>,
    /// From the fault to the first success after EndpointSwitched; none if that came before.
    pub(crate) ms_to_first_success: Option<f64>,
    /// The longest time between two successes.
    pub(crate) longest_gap_ms: Option<f64>,
    /// Calls that succeeded after EndpointSwitched.
    pub(crate) successes_after_switch: BTreeMap<&'static str, u64>,
    /// Rows that it was told of.
    pub(crate) rows_told: u64,
    /// Of these, rows that are on at least one side.
    pub(crate) rows_found: u64,
    /// Of these, the others: rows that are nowhere.
    pub(crate) rows_missing: Vec<Row>,
    /// Of the rows that it was told of, those that only the primary had when the application had
    /// ended: a dead primary replicates nothing until it is back.
    pub(crate) rows_on_primary_only: u64,
    /// Of these, rows that the application's ledger does not suspect.
    pub(crate) rows_lost_in_silence: Vec<Row>,
    /// Writes that its ledger wants to be verified.
    pub(crate) suspects: u64,
    /// Of these, those that were found to be there for good.
    pub(crate) suspects_confirmed: u64,
    /// Of these, those that were found to be missing at the alternate.
    pub(crate) suspects_missing: u64,
    /// Of these, those that were sent again because they were missing for good, and were executed.
    pub(crate) suspects_replayed: u64,
    /// Of these, those that are in question still: missing ones that may come over or could be done
    /// twice, and those that no row can tell.
    pub(crate) suspects_left: u64,
    /// Rows of it that the alternate wrote.
    pub(crate) rows_written_at_alternate: u64,
    /// Creates that failed.
    pub(crate) creates_failed: u64,
    /// Of these, creates that are in doubt.
    pub(crate) creates_in_doubt: u64,
    /// Of these, creates whose row is there.
    pub(crate) creates_in_doubt_executed: u64,
    /// Rows that are there and that it was never told of: creates that were executed though they
    /// failed, and copies.
    pub(crate) rows_untold: Vec<Row>,
    /// Rows that are there more than once, counted without the first.
    pub(crate) duplicates: u64,
    pub(crate) duplicate_rows: Vec<DuplicateRows>,
    /// What it was told of its creates and is not so, and what it was not told.
    pub(crate) false_claims: Vec<String>,
    /// What was wrong with the program itself.
    pub(crate) troubles: Vec<String>,
}

/// What the twin has to say, once the applications have ended.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// When the fault was made, or the round given up; from the round's start.
    pub(crate) zero: Duration,
    /// When answers began to be lost, likewise.
    pub(crate) lost_answers: Option<Duration>,
    /// The rows while the sides were still parted.
    pub(crate) parted: Vec<RowView>,
    /// The rows after replication had gone on.
    pub(crate) healed: Vec<RowView>,
    pub(crate) journal: Vec<JournalEntry>,
    /// The names of the rows whose creates were held when the applications were killed.
    pub(crate) held: Vec<String>,
}

impl ApplicationReport {
    pub(crate) fn new(language: &str, record: &Record, evidence: &Evidence) -> ApplicationReport {
        let zero = evidence.zero;
        let told = record.told();
        let rows = Comparison::new(language, &told, &evidence.healed);
        let prefix = format!("{language}-");
        let held = evidence.held.iter().map(String::as_str);
        let held = held.filter(|name| name.starts_with(&prefix)).collect();
        let writes = Writes::new(record, &evidence.parted, &rows, held);
        let mut report = ApplicationReport {
            language: language.to_owned(),
            ms_to_first_success: first_success(record)
                .map(|at| ms_since(zero, at))
                .filter(|ms| *ms >= 0.0),
            longest_gap_ms: longest_gap(record),
            goes_on: goes_on(record),
            rows_told: rows.told as u64,
            rows_found: (rows.told - rows.missing.len()) as u64,
            rows_missing: rows.missing,
            rows_untold: rows.untold,
            duplicates: rows
                .duplicates
                .iter()
                .map(|rows| rows.ids.len() as u64 - 1)
                .sum(),
            duplicate_rows: rows.duplicates,
            rows_on_primary_only: writes.on_primary_only,
            rows_lost_in_silence: writes.lost_in_silence,
            suspects: writes.suspects,
            suspects_confirmed: writes.confirmed,
            suspects_missing: writes.missing,
            suspects_replayed: writes.replayed,
            suspects_left: writes.left,
            creates_in_doubt: writes.in_doubt,
            creates_in_doubt_executed: writes.in_doubt_executed,
            false_claims: writes.false_claims,
            troubles: record.troubles.clone(),
            ..ApplicationReport::default()
        };
        let at_alternate = |entry: &&JournalEntry| {
            let name = entry.name.as_deref();
            entry.committed
                && entry.side == Role::Alternate
                && name.is_some_and(|name| name.starts_with(&prefix))
        };
        report.rows_written_at_alternate =
            evidence.journal.iter().filter(at_alternate).count() as u64;
        for (at, line) in &record.said {
            report.count(ms_since(zero, *at), line);
        }
        for (_, line) in record.after_switch() {
            if let Line::Ok(what) = line {
                *report.successes_after_switch.entry(what).or_default() += 1;
            }
        }
        let counted = calls(record.said_last());
        if let Some(done) = record.done().filter(|done| *done != counted) {
            let text = format!("says that it made {done} calls, but told of {counted}");
            report.troubles.push(text);
        }
        report
    }

    pub(crate) fn after_switch(&self, what: &str) -> u64 {
        let count = self.successes_after_switch.get(what);
        count.copied().unwrap_or(0)
    }

    /// Writes that it was told of and that are gone, or may be without anybody's knowing.
    pub(crate) fn lost(&self) -> usize {
        self.rows_missing.len() + self.rows_lost_in_silence.len()
    }

    fn count(&mut self, ms: f64, line: &Line) {
        match line {
            Line::Ok(_) => self.calls += 1,
            Line::Retried(_) => self.retried += 1,
            Line::Error { kind, what, .. } => {
                self.calls += 1;
                self.errors += 1;
                self.errors_after_fault += u64::from(ms >= 0.0);
                *self.errors_by_kind.entry(kind.clone()).or_default() += 1;
                self.creates_failed += u64::from(what.starts_with("create"));
            }
            Line::Event(event) => self.events.push(EventReport {
                ms,
                event: event.clone(),
            }),
            Line::Ready
            | Line::Created { .. }
            | Line::Failed { .. }
            | Line::InDoubt(_)
            | Line::LossSuspected { .. }
            | Line::Suspect { .. }
            | Line::Settled { .. }
            | Line::Done(_) => {}
        }
    }
}

fn calls(said: &[(Duration, Line)]) -> u64 {
    let calls = said.iter().filter(|(_, line)| {
        // What was retried is in addition to its success.
        matches!(line, Line::Ok(_) | Line::Error { .. })
    });
    calls.count() as u64
}

fn goes_on(record: &Record) -> bool {
    let mut last = record.said.iter().rev();
    last.find_map(|(_, line)| match line {
        Line::Ok(_) => Some(true),
        Line::Error { .. } => Some(false),
        _ => None,
    })
    .unwrap_or(false)
}

fn longest_gap(record: &Record) -> Option<f64> {
    let ok = record
        .said
        .iter()
        .filter(|(_, line)| matches!(line, Line::Ok(_)));
    let times: Vec<Duration> = ok.map(|(at, _)| *at).collect();
    let gaps = times.windows(2).map(|two| ms_since(two[0], two[1]));
    gaps.max_by(f64::total_cmp)
}
