//! The report on a terminal: plain characters, at most 100 columns.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::report::{ApplicationReport, Report};
use crate::timeline::Entry;
use crate::verdict::Outcome;

const WIDTH: usize = 100;
const LABEL: usize = 44;
/// As many lines of errors the timeline has for one application; the table counts them all.
const SHOWN_ERRORS: usize = 6;

/// The whole report; `colour` paints the verdict.
pub(crate) fn show(report: &Report, colour: bool) -> String {
    let zero = ["the drill was given up", "the fault"][usize::from(report.disaster)];
    let mut out = format!("TIMELINE (milliseconds since {zero})\n");
    timeline(&mut out, report);
    out.push_str("\nAPPLICATIONS\n");
    for (label, cell) in rows(&report.applications) {
        let mut text = format!("  {label:<LABEL$}");
        for application in &report.applications {
            // Writing to a String cannot fail.
            let _ = write!(text, "{:>10}", cell(application));
        }
        line(&mut out, &text);
    }
    verdict(&mut out, report, colour);
    out
}

fn timeline(out: &mut String, report: &Report) {
    let organization = &report.organization;
    let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
    for Entry {
        ms,
        who,
        what,
        detail,
    } in &report.timeline
    {
        let detail = detail.replace(&organization.primary_url, "primary");
        let mut detail = detail.replace(&organization.alternate_url, "alternate");
        if *what == "error" {
            let shown = errors.entry(who).or_default();
            *shown += 1;
            match (*shown).cmp(&SHOWN_ERRORS) {
                Ordering::Less => {}
                Ordering::Equal => detail = "(and perhaps more: see below)".into(),
                Ordering::Greater => continue,
            }
        }
        line(out, &format!("{ms:>10.1}  {who:<9}  {what:<24}  {detail}"));
    }
}

type Cell = Box<dyn Fn(&ApplicationReport) -> String>;

fn rows(applications: &[ApplicationReport]) -> Vec<(String, Cell)> {
    let mut rows: Vec<(String, Cell)> = Vec::new();
    let mut row = |label: &str, cell: Cell| rows.push((label.to_owned(), cell));
    row("", Box::new(|app| app.language.clone()));
    row("calls", Box::new(|app| app.calls.to_string()));
    row("  retried", Box::new(|app| app.retried.to_string()));
    row("  errors", Box::new(|app| app.errors.to_string()));
    let kinds = applications
        .iter()
        .flat_map(|app| app.errors_by_kind.keys());
    for kind in kinds.cloned().collect::<BTreeSet<String>>() {
        let label = format!("    {kind}");
        let count = move |app: &ApplicationReport| app.errors_by_kind.get(&kind).copied();
        row(
            &label,
            Box::new(move |app| count(app).unwrap_or(0).to_string()),
        );
    }
    row("events", Box::new(|app| app.events.len().to_string()));
    row(
        "fault to first success, ms",
        Box::new(|app| ms(app.ms_to_first_success)),
    );
    row(
        "longest gap between two successes, ms",
        Box::new(|app| ms(app.longest_gap_ms)),
    );
    row("rows told of", Box::new(|app| app.rows_told.to_string()));
    row(
        "  found on either side",
        Box::new(|app| app.rows_found.to_string()),
    );
    row(
        "  MISSING",
        Box::new(|app| app.rows_missing.len().to_string()),
    );
    row(
        "  only on the primary, not yet replicated",
        Box::new(|app| app.rows_on_primary_only.to_string()),
    );
    row(
        "    of these NOT SUSPECTED by the ledger",
        Box::new(|app| app.rows_lost_in_silence.len().to_string()),
    );
    row(
        "suspects of the ledger",
        Box::new(|app| app.suspects.to_string()),
    );
    row(
        "  confirmed by verify",
        Box::new(|app| app.suspects_confirmed.to_string()),
    );
    row(
        "  missing at the alternate, as yet",
        Box::new(|app| app.suspects_missing.to_string()),
    );
    row("  left", Box::new(|app| app.suspects_left.to_string()));
    row(
        "rows written at the alternate",
        Box::new(|app| app.rows_written_at_alternate.to_string()),
    );
    row(
        "creates that failed",
        Box::new(|app| app.creates_failed.to_string()),
    );
    row(
        "  in doubt",
        Box::new(|app| app.creates_in_doubt.to_string()),
    );
    row(
        "    of these executed",
        Box::new(|app| app.creates_in_doubt_executed.to_string()),
    );
    row(
        "rows found, but never told of",
        Box::new(|app| app.rows_untold.len().to_string()),
    );
    row("duplicates", Box::new(|app| app.duplicates.to_string()));
    rows
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn verdict(out: &mut String, report: &Report, colour: bool) {
    let verdict = &report.verdict;
    let paint = match verdict.outcome {
        Outcome::Pass => "\x1b[1;32m",
        Outcome::Fail => "\x1b[1;31m",
        Outcome::Inconclusive => "\x1b[1;33m",
    };
    let name = verdict.outcome.name();
    match colour {
        true => line(out, &format!("\n{paint}{name}\x1b[0m")),
        false => line(out, &format!("\n{name}")),
    }
    for reason in &verdict.reasons {
        // Whole, however long: the terminal wraps it.
        out.push_str(&format!("  {reason}\n"));
    }
    for note in &verdict.notes {
        out.push_str(&format!("  {note}\n"));
    }
}

fn line(out: &mut String, text: &str) {
    let text = text.trim_end();
    match text.char_indices().nth(WIDTH) {
        None => out.push_str(text),
        Some(_) => {
            out.extend(text.chars().take(WIDTH - 3));
            out.push_str("...");
        }
    }
    out.push('\n');
}
