//! `executed` and `not_executed` are so.

use d365_failover_core::{Effect, Role};

use super::{Rule, Violation};
use crate::history::History;

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for call in &history.calls {
        let times = history.executions(call.number, Role::Primary)
            + history.executions(call.number, Role::Alternate);
        let mut wrong = |rule, text: String| found.push(Violation::of_call(rule, call, text));
        match (call.work.is_read(), call.told.effect) {
            (true, Effect::None) | (false, Effect::Unknown) => {}
            (true, effect) => wrong(
                Rule::Executed,
                format!("a read says that its effect is {}", effect.name()),
            ),
            (false, Effect::None) => wrong(
                Rule::Executed,
                format!("a write says nothing of its effect: {:?}", call.told.end),
            ),
            (false, Effect::Executed) if times == 0 => wrong(
                Rule::Executed,
                "it says that it was executed, and no side has executed it".into(),
            ),
            (false, Effect::NotExecuted) if times > 0 => wrong(
                Rule::NotExecuted,
                format!("it says that it was not executed, and it was, {times} times"),
            ),
            (false, Effect::Executed | Effect::NotExecuted) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{broken, history, sound};

    #[test]
    fn what_is_so_is_sound() {
        sound(&history());
    }

    #[test]
    fn an_executed_that_no_side_has_executed() {
        let mut bad = history();
        bad.receipts[0].committed = false;
        bad.rows.primary.clear();
        assert!(broken(&bad).contains(&Rule::Executed));
    }

    #[test]
    fn a_not_executed_that_was() {
        let mut bad = history();
        bad.calls[0].told.effect = Effect::NotExecuted;
        assert!(broken(&bad).contains(&Rule::NotExecuted));
    }

    #[test]
    fn a_write_that_says_nothing_and_a_read_that_says_something() {
        let mut bad = history();
        bad.calls[0].told.effect = Effect::None;
        assert!(broken(&bad).contains(&Rule::Executed));
        let mut bad = history();
        bad.calls[1].told.effect = Effect::Executed;
        assert!(broken(&bad).contains(&Rule::Executed));
    }
}
