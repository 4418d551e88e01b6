//! One timeline of the faults and of what happened to each application.

use std::time::Duration;

use serde::Serialize;

use crate::line::Line;
use crate::record::{Record, ms_since};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Entry {
    /// Milliseconds since the fault; negative before it.
    pub(crate) ms: f64,
    /// An application's language, or the side of the twin.
    pub(crate) who: String,
    /// `ready`, an event's name, `error`, `first success`, or what the twin did.
    pub(crate) what: &'static str,
    /// More about it, perhaps empty.
    pub(crate) detail: String,
}

impl Entry {
    pub(crate) fn new(ms: f64, who: &str, what: &'static str, detail: String) -> Entry {
        let who = who.to_owned();
        Entry {
            ms,
            who,
            what,
            detail,
        }
    }
}

/// What happened to one application, in the order in which it said so.
pub(crate) fn entries(who: &str, record: &Record, zero: Duration) -> Vec<Entry> {
    let first = first_success(record);
    let entry = |(at, line): &(Duration, Line)| {
        let (what, detail) = match line {
            Line::Ready => ("ready", String::new()),
            Line::Event(event) => (
                event.event,
                format!(
                    "{} -> {} ({})",
                    event.previous_url, event.new_url, event.reason
                ),
            ),
            Line::Error {
                kind,
                what,
                message,
            } => ("error", format!("{what} {kind}: {message}")),
            Line::InDoubt(ledger) => ("WriteInDoubt", format!("the write {ledger}")),
            Line::LossSuspected {
                in_doubt,
                acknowledged,
            } => (
                "DataLossSuspected",
                format!("{in_doubt} in doubt, {acknowledged} acknowledged"),
            ),
            Line::Ok(what) if first == Some(*at) => ("first success", (*what).to_owned()),
            _ => return None,
        };
        Some(Entry::new(ms_since(zero, *at), who, what, detail))
    };
    record.said.iter().filter_map(entry).collect()
}

/// When its first call after EndpointSwitched succeeded.
pub(crate) fn first_success(record: &Record) -> Option<Duration> {
    let mut after = record.after_switch().iter();
    after.find_map(|(at, line)| matches!(line, Line::Ok(_)).then_some(*at))
}

/// Sorts by time; what happened at the same time stays in its order.
pub(crate) fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| one.ms.total_cmp(&other.ms));
    entries
}
