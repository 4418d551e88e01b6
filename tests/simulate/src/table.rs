//! The figures as a table.

use std::fmt::Write;

use crate::figures::Figures;

const HEAD: [&str; 11] = [
    "rules",
    "recovered after p50, p99, last",
    "failed",
    "over 5 s",
    "extra requests: all, probes",
    "peak at primary, alternate",
    "with probes",
    "duplicates",
    "unknown",
    "lost: reported, not",
    "switches: false, all",
];

/// A table in Markdown for each disaster. `about`: what happens in one.
#[must_use]
pub fn table(figures: &[Figures], about: impl Fn(&str) -> &'static str) -> String {
    let mut text = String::new();
    for group in figures.chunk_by(|one, other| one.disaster == other.disaster) {
        let first = &group[0];
        let _ = writeln!(text, "**{}**: {}\n", first.disaster, about(first.disaster));
        let _ = writeln!(text, "| {} |", HEAD.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(HEAD.len()));
        for figures in group {
            let _ = writeln!(text, "| {} |", row(figures).join(" | "));
        }
        text.push('\n');
    }
    text
}

fn row(figures: &Figures) -> [String; 11] {
    let time = |time: Option<f64>| time.map_or("never".to_owned(), |time| format!("{time:.1} s"));
    let share = |count: u32| {
        let percent = f64::from(count) / f64::from(figures.calls.max(1)) * 100.0;
        format!("{percent:.2} %")
    };
    let peak = |peak: [f64; 2]| format!("{:.2}, {:.2}", peak[0], peak[1]);
    let writes = &figures.writes;
    [
        figures.rules.to_owned(),
        figures.recovered.map(time).join(", "),
        share(figures.failed),
        share(figures.late),
        format!("{:.1} %, {:.1} %", figures.extra, figures.probes),
        peak(figures.peak),
        peak(figures.peak_with_probes),
        writes.duplicates.to_string(),
        writes.unknown.to_string(),
        format!("{}, {}", writes.lost_reported, writes.lost_unreported),
        format!("{}, {}", figures.false_switches, figures.switches),
    ]
}
