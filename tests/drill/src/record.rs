//! What one application said, and when.

use std::time::Duration;

use uuid::Uuid;

use crate::line::{CALLS, Line, SWITCHED};

/// A flood of garbage is told by its beginning.
const MAX_TROUBLES: usize = 10;

/// What one application said, and when (counted from the drill's start).
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) said: Vec<(Duration, Line)>,
    /// What was wrong with the program itself, not with its calls.
    pub(crate) troubles: Vec<String>,
    /// A line was no line of the protocol, or the program ended unasked.
    pub(crate) broken: bool,
    /// All that it wrote, for `--dir`.
    pub(crate) transcript: Vec<String>,
    /// How much it had said when it was started again; 0: it was not.
    pub(crate) again_from: usize,
}

impl Record {
    /// Takes a line of its standard output.
    pub(crate) fn hear(&mut self, at: Duration, text: &str) {
        self.transcript.push(text.to_owned());
        match text.parse() {
            Ok(line) => self.said.push((at, line)),
            Err(why) => {
                self.broken = true;
                self.trouble(format!("said `{text}`: {why}"));
            }
        }
    }

    /// Takes a line of its standard error. The library is silent there, so whatever comes is
    /// trouble, but for notices that Java prints on its own, and what its logging prints.
    pub(crate) fn hear_stderr(&mut self, text: &str) {
        self.transcript.push(format!("stderr: {text}"));
        let notice = ["Picked up ", "WARNING: ", "log: "];
        if !notice.iter().any(|begin| text.starts_with(begin)) {
            self.trouble(format!("wrote to standard error: {text}"));
        }
    }

    pub(crate) fn trouble(&mut self, text: String) {
        if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(text);
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        let mut last = self.said_last().iter();
        last.any(|(_, line)| *line == Line::Ready)
    }

    /// When it first was.
    pub(crate) fn ready_at(&self) -> Option<Duration> {
        let mut said = self.said.iter();
        said.find_map(|(at, line)| (*line == Line::Ready).then_some(*at))
    }

    /// What follows, the application says that was started in its place.
    pub(crate) fn begin_again(&mut self) {
        self.again_from = self.said.len();
        self.transcript.push("--- killed, and started again".into());
    }

    /// What the application said that runs or ran last.
    pub(crate) fn said_last(&self) -> &[(Duration, Line)] {
        &self.said[self.again_from..]
    }

    /// What it counted, once it is done.
    pub(crate) fn done(&self) -> Option<u64> {
        self.said.iter().find_map(|(_, line)| match line {
            Line::Done(calls) => Some(*calls),
            _ => None,
        })
    }

    /// Whether it has met a fault since it had said so many lines: a create of it failed, or it has
    /// begun to switch.
    pub(crate) fn has_met_fault_since(&self, lines: usize) -> bool {
        let mut since = self.said.iter().skip(lines);
        since.any(|(_, line)| matches!(line, Line::Failed { .. } | Line::Event(_)))
    }

    /// What it said after its EndpointSwitched; nothing without one.
    pub(crate) fn after_switch(&self) -> &[(Duration, Line)] {
        let switched = |line: &Line| matches!(line, Line::Event(event) if event.event == SWITCHED);
        let at = self.said.iter().position(|(_, line)| switched(line));
        at.map_or(&[], |at| &self.said[at + 1..])
    }

    /// The rows that it was told of.
    pub(crate) fn told(&self) -> Vec<(Uuid, &str)> {
        let told = self.said.iter().filter_map(|(_, line)| match line {
            Line::Created { id, name, .. } => Some((*id, name.as_str())),
            _ => None,
        });
        told.collect()
    }
}

/// Rounds of which each call succeeded.
pub(crate) fn rounds(said: &[(Duration, Line)]) -> usize {
    let successes = |what| {
        said.iter()
            .filter(|(_, line)| *line == Line::Ok(what))
            .count()
    };
    CALLS.into_iter().map(successes).min().unwrap_or(0)
}

/// Calls of these that failed.
pub(crate) fn errors(said: &[(Duration, Line)]) -> usize {
    let errors = said
        .iter()
        .filter(|(_, line)| matches!(line, Line::Error { .. }));
    errors.count()
}

/// Milliseconds from `zero` to `at`, negative before it.
pub(crate) fn ms_since(zero: Duration, at: Duration) -> f64 {
    (at.as_micros() as f64 - zero.as_micros() as f64) / 1000.0
}
