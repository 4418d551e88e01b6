//! The report on a terminal: plain characters, at most 100 columns.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::report::{ApplicationReport, DrillReport, Report};
use crate::timeline::Entry;
use crate::verdict::Outcome;

const WIDTH: usize = 100;
const LABEL: usize = 44;
/// As many lines of errors the timeline has for one application; the table counts them all.
const SHOWN_ERRORS: usize = 6;

/// What the words of the tables mean, for who sees them for the first time.
const WORDS: &str = "  lost           rows that an application was told of and that are nowhere; or that the alternate
                 lacks and the library names no suspects. None may be.
  doubled        creates that were executed more than once. Under safe none may be; dotnet sends
                 again what may have been executed, as the .NET SDK did, and its doubles are
                 counted only.
  in doubt       creates that ended without an answer of the service. The library cannot know
                 whether they were executed, says so, and keeps them on record.
  suspects       writes on record that somebody should look at after the disaster: those in doubt,
                 and those that the primary had acknowledged so shortly before it died that they
                 may not have reached the alternate. A list of work, and no losses: where nothing
                 is lost, each row that an application was told of was found in the end.
  sent again     suspects that the alternate lacked for good, and that can be sent twice without
                 being done twice. Where the applications were killed each create is such a one,
                 and so none may be left.
  never told of  rows that are there although their create ended without an answer: executed, but
                 in doubt for the application. Copies count here as well.
";

/// Each round's table, what all came to, and what its words mean; `colour` paints the verdicts.
pub(crate) fn show(report: &DrillReport, colour: bool) -> String {
    let mut out = String::new();
    for round in &report.rounds {
        show_round(&mut out, round, colour);
        out.push('\n');
    }
    out.push_str("ALL ROUNDS\n");
    let heads = ["lost", "doubled", "in doubt", "suspects"];
    let heads = heads.map(|head| format!("{head:>9}")).concat();
    line(
        &mut out,
        &format!("  {:<14}{:<46}{heads}", "", "of all applications together"),
    );
    for round in &report.rounds {
        let sum =
            |of: fn(&ApplicationReport) -> u64| round.applications.iter().map(of).sum::<u64>();
        let sums = [
            sum(|app| app.lost() as u64),
            sum(|app| app.duplicates),
            sum(|app| app.creates_in_doubt),
            sum(|app| app.suspects),
        ];
        let sums = sums.map(|sum| format!("{sum:>9}")).concat();
        let name = paint(round.verdict.outcome, colour);
        let pad = " ".repeat(14 - round.verdict.outcome.name().len());
        let what = format!("{}: {}", round.preset, round.words);
        // Its colour takes no room.
        let _ = writeln!(out, "  {name}{pad}{what:<46}{sums}");
    }
    let _ = write!(out, "\n{WORDS}\n{}\n", paint(report.verdict, colour));
    out
}

fn show_round(out: &mut String, report: &Report, colour: bool) {
    line(out, &format!("ROUND {}: {}", report.round, report.words));
    // When all is well, the times of each call say little; the report has them.
    if report.verdict.outcome != Outcome::Pass {
        let zero = ["the round was given up", "the fault"][usize::from(report.disaster)];
        let _ = writeln!(out, "\nTIMELINE (milliseconds since {zero})");
        timeline(out, report);
        out.push('\n');
    }
    for (label, cell) in rows(&report.applications) {
        let mut text = format!("  {label:<LABEL$}");
        for application in &report.applications {
            // Writing to a String cannot fail.
            let _ = write!(text, "{:>10}", cell(application));
        }
        line(out, &text);
    }
    verdict(out, report, colour);
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
        "  missing at the alternate",
        Box::new(|app| app.suspects_missing.to_string()),
    );
    row(
        "    of these sent again by settle",
        Box::new(|app| app.suspects_replayed.to_string()),
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

fn paint(outcome: Outcome, colour: bool) -> String {
    let code = match outcome {
        Outcome::Pass => "\x1b[1;32m",
        Outcome::Fail => "\x1b[1;31m",
        Outcome::Inconclusive => "\x1b[1;33m",
    };
    match colour {
        true => format!("{code}{}\x1b[0m", outcome.name()),
        false => outcome.name().to_owned(),
    }
}

fn verdict(out: &mut String, report: &Report, colour: bool) {
    let verdict = &report.verdict;
    let _ = writeln!(out, "  {}", paint(verdict.outcome, colour));
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
