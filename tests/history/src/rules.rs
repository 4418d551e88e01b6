//! The rules: pure functions over a history, which say what was claimed and is not so.

mod attempts;
mod deadlines;
mod doubles;
mod doubts;
mod effects;
mod events;
mod fragments;
mod healing;
mod losses;
mod reads;
#[cfg(test)]
mod testing;

use std::fmt;

use crate::history::{Call, History};

pub(crate) use losses::is_there;

/// What a history is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was said to be executed was executed; every write is told its effect.
    Executed,
    /// What was said not to be executed was executed nowhere, and never will be.
    NotExecuted,
    /// An unsafe write is executed at most once over both sides, a guarded one at most once on
    /// each, and neither makes a second row.
    Doubled,
    /// An acknowledged write is on a side; one that the active side lacks is a suspect.
    Lost,
    /// Every write in doubt is on record as such, and told of by one event; nothing else is.
    Doubt,
    /// An update that is guarded makes no row of what it changes.
    Fragment,
    /// A read's answer is a state that was there.
    Read,
    /// Switches are announced, in pairs, and their epochs rise by one.
    Events,
    /// No call ends long after its deadline.
    Deadline,
    /// What attempts say of themselves agrees with what the sides have received.
    Attempts,
    /// After everything is healed every call succeeds.
    Healed,
}

/// A claim that is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: Rule,
    /// The client.
    pub client: usize,
    /// The call, where it is about one.
    pub call: Option<u32>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: client {}", self.rule, self.client)?;
        if let Some(call) = self.call {
            write!(out, ", call {call}")?;
        }
        write!(out, ": {}", self.text)
    }
}

impl Violation {
    fn of_call(rule: Rule, call: &Call, text: impl Into<String>) -> Violation {
        Violation {
            rule,
            client: call.client,
            call: Some(call.number),
            text: text.into(),
        }
    }

    fn of_client(rule: Rule, client: usize, text: impl Into<String>) -> Violation {
        Violation {
            rule,
            client,
            call: None,
            text: text.into(),
        }
    }
}

/// Judges a history. An empty answer: every claim in it is so.
#[must_use]
pub fn judge(history: &History) -> Vec<Violation> {
    let rules = [
        effects::check,
        doubles::check,
        losses::check,
        doubts::check,
        fragments::check,
        reads::check,
        events::check,
        deadlines::check,
        attempts::check,
        healing::check,
    ];
    rules.iter().flat_map(|check| check(history)).collect()
}
