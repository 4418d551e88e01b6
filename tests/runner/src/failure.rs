//! Why a scenario failed.

use std::fmt;

use serde_json::Value;

use crate::expect::json;
use crate::protocol::Answer;
use crate::subject::Broken;

/// Why a scenario failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Counts the steps from 1; 0: before the first.
    pub step: usize,
    /// The step as it stands in the scenario.
    pub text: String,
    /// What was not as expected.
    pub differences: Vec<String>,
    /// What was got, where there was an answer.
    pub got: Option<Value>,
    /// The last entries of the twin's journal.
    pub journal: Vec<String>,
    /// Whether the subject cannot be used any more.
    pub broken: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "  step {}: {}", self.step, self.text)?;
        for difference in &self.differences {
            writeln!(out, "    {difference}")?;
        }
        if let Some(got) = &self.got {
            writeln!(out, "    got: {got}")?;
        }
        for entry in &self.journal {
            writeln!(out, "    journal: {entry}")?;
        }
        Ok(())
    }
}

/// What is wrong at a step.
pub(crate) enum Wrong {
    /// The answer is not as expected.
    Answer(Vec<String>, Value),
    /// The step could not be done.
    Step(String),
    /// The subject is of no use any more.
    Subject(Broken),
}

impl Wrong {
    pub(crate) fn is_of_the_subject(&self) -> bool {
        matches!(self, Wrong::Subject(_))
    }

    /// Says where in a step it was.
    pub(crate) fn at(self, place: &str) -> Wrong {
        match self {
            Wrong::Answer(differences, got) => Wrong::Answer(
                differences
                    .iter()
                    .map(|text| format!("{place}: {text}"))
                    .collect(),
                got,
            ),
            Wrong::Step(text) => Wrong::Step(format!("{place}: {text}")),
            broken @ Wrong::Subject(_) => broken,
        }
    }
}

impl From<Broken> for Wrong {
    fn from(broken: Broken) -> Wrong {
        Wrong::Subject(broken)
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Wrong {
        Wrong::Step(text)
    }
}

/// Nothing is wrong, or what was found is.
pub(crate) fn differ(found: Vec<String>, got: Value) -> Result<(), Wrong> {
    if found.is_empty() {
        Ok(())
    } else {
        Err(Wrong::Answer(found, got))
    }
}

/// The same with the answer that it was found in.
pub(crate) fn compared(found: Vec<String>, answer: &Answer) -> Result<(), Wrong> {
    let got = match (&answer.response, &answer.error) {
        (Some(response), _) => json(response),
        (None, Some(error)) => json(error),
        (None, None) => "done".into(),
    };
    differ(found, got)
}
