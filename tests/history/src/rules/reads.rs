//! A read's answer is some state that was there, and of what was asked for.

use d365_failover_core::{Effect, Role};
use uuid::Uuid;

use super::{Rule, Violation};
use crate::history::{Answer, Call, End, History};
use crate::work::{Kind, RowOf};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for read in history.calls.iter().filter(|call| call.work.is_read()) {
        let End::Response { status, answer } = &read.told.end else {
            continue;
        };
        let mut wrong = |text: String| found.push(Violation::of_call(Rule::Read, read, text));
        let Some(write) = history.call(read.work.of) else {
            continue;
        };
        match answer {
            Answer::Nothing if (200..=299).contains(status) => {
                wrong(format!("it succeeded with {status}, and has no rows"));
            }
            Answer::Nothing => {}
            Answer::Broken(body) => wrong(format!("{status} with a body that is none: {body}")),
            Answer::Absent => {
                if let Some(text) = absent(history, read, write) {
                    wrong(text);
                }
            }
            Answer::Rows(rows) => {
                for text in shown(history, read, write, rows) {
                    wrong(text);
                }
            }
        }
    }
    found
}

/// Whether the write may have been done before the read has ended.
fn may_show(history: &History, read: &Call, write: &Call) -> bool {
    let executions = |side| history.executions(write.number, side);
    write.begun < read.ended && executions(Role::Primary) + executions(Role::Alternate) > 0
}

/// Whether the side that was read has acknowledged the write before. No other call writes its
/// row, so nothing can have undone it there.
fn must_show(read: &Call, write: &Call) -> bool {
    let place = |call: &Call| call.last_place().map(|(role, _)| role);
    write.told.effect == Effect::Executed
        && write.ended < read.begun
        && place(write).is_some()
        && place(write) == place(read)
}

fn deletes(write: &Call) -> bool {
    write.work.kind.traits().rows_made == 0
}

fn absent(history: &History, read: &Call, write: &Call) -> Option<String> {
    let was_there = write.work.kind.traits().row == RowOf::Seeded;
    if was_there && !(deletes(write) && may_show(history, read, write)) {
        return Some("it found no row where one was all the time".into());
    }
    (must_show(read, write) && !deletes(write)).then(|| not_shown(write))
}

fn not_shown(write: &Call) -> String {
    format!(
        "it does not show call {}, which the same side has acknowledged before",
        write.number
    )
}

fn shown(history: &History, read: &Call, write: &Call, rows: &[(Uuid, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let asked_name = read.work.names.first();
    let is_query = read.work.kind == Kind::Query;
    for (id, name) in rows {
        let known = read.work.row.or(write.work.row);
        if known.is_some_and(|known| known != *id) {
            wrong.push(format!("it shows the row {id}, which was not asked for"));
        }
        if is_query && asked_name != Some(name) {
            wrong.push(format!(
                "it shows a row named {name}, which was not asked for"
            ));
        } else if write.work.seeded_name().as_ref() == Some(name) {
            if must_show(read, write) {
                wrong.push(not_shown(write));
            }
        } else if !write.work.names.contains(name) {
            wrong.push(format!("it shows the name {name}, which nobody has given"));
        } else if !may_show(history, read, write) {
            wrong.push(format!("it shows call {} before it began", write.number));
        }
    }
    if rows.len() > 1 {
        wrong.push(format!("it shows {} rows of one name", rows.len()));
    }
    if rows.is_empty() && must_show(read, write) && !deletes(write) {
        wrong.push(not_shown(write));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{broken, history, sound};
    use crate::work::seeded_name;

    fn answered(answer: Answer) -> History {
        let mut history = history();
        history.calls[1].told.end = End::Response {
            status: 200,
            answer,
        };
        history
    }

    fn own() -> Uuid {
        Uuid::from_u128(7)
    }

    #[test]
    fn rows_that_are_not_what_was_asked_for() {
        let other = Uuid::from_u128(8);
        for rows in [
            vec![(own(), "call_000009".to_owned())],
            vec![(other, "call_000001".to_owned())],
            vec![
                (own(), "call_000001".to_owned()),
                (own(), "call_000001".to_owned()),
            ],
        ] {
            let mut bad = answered(Answer::Rows(rows));
            bad.calls[1].work.row = Some(own());
            assert!(broken(&bad).contains(&Rule::Read), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_that_is_cut() {
        let bad = answered(Answer::Broken("{\"value".into()));
        assert!(broken(&bad).contains(&Rule::Read));
        let bad = answered(Answer::Nothing);
        assert!(broken(&bad).contains(&Rule::Read));
    }

    #[test]
    fn what_the_same_side_has_acknowledged_is_shown() {
        let mut bad = answered(Answer::Rows(Vec::new()));
        assert!(broken(&bad).contains(&Rule::Read));
        bad.calls[1].begun = 0;
        sound(&bad);
    }

    #[test]
    fn what_nobody_has_begun_is_not_shown() {
        let mut bad = history();
        bad.calls[0].begun = 90;
        bad.calls[0].ended = 91;
        assert!(broken(&bad).contains(&Rule::Read));
    }

    #[test]
    fn a_seeded_row_is_there_until_it_is_deleted() {
        let mut bad = answered(Answer::Absent);
        bad.calls[0].told.row = None;
        bad.calls[0].work.kind = Kind::Update;
        bad.calls[0].work.row = Some(own());
        bad.calls[1].work.kind = Kind::Retrieve;
        bad.calls[1].work.row = Some(own());
        assert!(broken(&bad).contains(&Rule::Read));
        let rows = vec![(own(), seeded_name(1))];
        let mut stale = bad.clone();
        stale.calls[1].told.end = End::Response {
            status: 200,
            answer: Answer::Rows(rows),
        };
        assert!(broken(&stale).contains(&Rule::Read));
        stale.calls[1].begun = 0;
        sound(&stale);
        bad.calls[0].work.kind = Kind::Delete;
        bad.rows.primary.clear();
        sound(&bad);
    }
}
