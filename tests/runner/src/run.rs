//! Plays scenarios with subjects, and counts.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SendError, Sender, channel};
use std::thread;

use crate::file::{Runs, Scenario};
use crate::play::play;
use crate::subject::{Broken, Subject, SubjectKind};

/// What is played with whom.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// The subjects.
    pub subjects: Vec<SubjectKind>,
    /// How many are played at once, each with a twin and a subject of its own: mostly they wait.
    pub at_once: usize,
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

    /// Plays everything; a line for each scenario and subject in the order in which they end, what
    /// failed in detail, and the counts in the last line.
    pub fn play(&self, out: &mut dyn Write) -> io::Result<Report> {
        let mut report = Report::default();
        for kind in &self.subjects {
            self.play_with(kind, out, &mut report)?;
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
        let scenarios: Vec<&Scenario> = self.of(kind).collect();
        let next = AtomicUsize::new(0);
        let (told, ear) = channel();
        // All are started before one plays: a process that is being started has for a moment the
        // twins' listeners open, and a side that refuses would not refuse.
        let many = self.at_once.clamp(1, scenarios.len().max(1));
        let players: Vec<Player<'_>> = (0..many)
            .map(|_| Player {
                kind,
                running: Some(kind.start()),
                told: told.clone(),
            })
            .collect();
        drop(told);
        thread::scope(|scope| {
            for player in players {
                scope.spawn(|| player.play(&scenarios, &next));
            }
            for Told { passed, text } in ear {
                match passed {
                    true => report.passed += 1,
                    false => report.failed += 1,
                }
                out.write_all(text.as_bytes())?;
            }
            Ok(())
        })
    }
}

/// How a scenario went, or a subject's end.
struct Told {
    passed: bool,
    text: String,
}

/// Plays one scenario after the other, with one subject as long as it does well.
struct Player<'a> {
    kind: &'a SubjectKind,
    running: Option<Result<Box<dyn Subject>, Broken>>,
    told: Sender<Told>,
}

impl Player<'_> {
    /// Nobody listens any more when nothing can be written.
    fn play(mut self, scenarios: &[&Scenario], next: &AtomicUsize) -> Result<(), SendError<Told>> {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            self.play_one(scenario)?;
        }
        match self.running.take() {
            Some(Ok(subject)) => self.finish(subject),
            _ => Ok(()),
        }
    }

    fn play_one(&mut self, scenario: &Scenario) -> Result<(), SendError<Told>> {
        let title = format!("{}: {}", self.kind.name(), scenario.title());
        let running = self.running.take().unwrap_or_else(|| self.kind.start());
        let mut subject = match running {
            Ok(subject) => subject,
            Err(broken) => return self.tell(false, format!("FAILED {title}\n  {broken}\n")),
        };
        match play(scenario, &mut *subject) {
            Ok(()) => {
                self.running = Some(Ok(subject));
                self.tell(true, format!("ok {title}\n"))
            }
            Err(failure) => {
                let rule = &scenario.rule;
                self.tell(false, format!("FAILED {title}\n  rule: {rule}\n{failure}"))?;
                // One that failed may hold what belongs to no later scenario.
                match failure.broken {
                    true => Ok(()),
                    false => self.finish(subject),
                }
            }
        }
    }

    fn finish(&self, mut subject: Box<dyn Subject>) -> Result<(), SendError<Told>> {
        match subject.finish() {
            Ok(()) => Ok(()),
            Err(broken) => {
                let name = self.kind.name();
                self.tell(false, format!("FAILED {name}: its end: {broken}\n"))
            }
        }
    }

    fn tell(&self, passed: bool, text: String) -> Result<(), SendError<Told>> {
        self.told.send(Told { passed, text })
    }
}
