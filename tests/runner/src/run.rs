//! Plays scenarios with subjects, and counts.

use std::io::{self, Write};

use crate::file::{Runs, Scenario};
use crate::play::play;
use crate::subject::{Subject, SubjectKind};

/// What is played with whom.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// The subjects.
    pub subjects: Vec<SubjectKind>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Scenarios that passed, each counted for each subject.
    pub passed: usize,
    /// Scenarios that failed, and subjects that did not end well.
    pub failed: usize,
}

impl Report {
    /// Something was played and nothing failed.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl Run {
    /// Which scenarios are played with a subject.
    pub fn of<'a>(&'a self, subject: &'a SubjectKind) -> impl Iterator<Item = &'a Scenario> {
        let all = !matches!(subject, SubjectKind::Agent { .. });
        self.scenarios.iter().filter(move |scenario| {
            let excepted = scenario.except.iter().any(|name| name == subject.name());
            (all || scenario.runs == Runs::Crossing) && !excepted
        })
    }

    /// Plays everything; a line for each scenario and subject, what failed in detail, and the
    /// counts in the last line.
    pub fn play(&self, out: &mut dyn Write) -> io::Result<Report> {
        let mut report = Report::default();
        for subject in &self.subjects {
            self.play_with(subject, out, &mut report)?;
        }
        writeln!(out, "{} passed, {} failed", report.passed, report.failed)?;
        Ok(report)
    }

    fn play_with(
        &self,
        kind: &SubjectKind,
        out: &mut dyn Write,
        report: &mut Report,
    ) -> io::Result<()> {
        let mut running: Option<Box<dyn Subject>> = None;
        for scenario in self.of(kind) {
            let mut subject = match running.take().map_or_else(|| kind.start(), Ok) {
                Ok(subject) => subject,
                Err(broken) => {
                    report.failed += 1;
                    writeln!(
                        out,
                        "FAILED {}: {}\n  {broken}",
                        kind.name(),
                        scenario.title()
                    )?;
                    continue;
                }
            };
            match play(scenario, &mut *subject) {
                Ok(()) => {
                    report.passed += 1;
                    writeln!(out, "ok {}: {}", kind.name(), scenario.title())?;
                    running = Some(subject);
                }
                Err(failure) => {
                    report.failed += 1;
                    writeln!(out, "FAILED {}: {}", kind.name(), scenario.title())?;
                    write!(out, "  rule: {}\n{failure}", scenario.rule)?;
                    // One that failed may hold what belongs to no later scenario.
                    if !failure.broken {
                        finish(&mut *subject, kind, out, report)?;
                    }
                }
            }
        }
        match running {
            Some(mut subject) => finish(&mut *subject, kind, out, report),
            None => Ok(()),
        }
    }
}

fn finish(
    subject: &mut dyn Subject,
    kind: &SubjectKind,
    out: &mut dyn Write,
    report: &mut Report,
) -> io::Result<()> {
    if let Err(broken) = subject.finish() {
        report.failed += 1;
        writeln!(out, "FAILED {}: its end: {broken}", kind.name())?;
    }
    Ok(())
}
