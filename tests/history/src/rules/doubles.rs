//! Nothing is done twice that would show.

use d365_failover_core::{Operation, Role};

use super::{Rule, Violation};
use crate::history::History;

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for call in history.calls.iter().filter(|call| !call.work.is_read()) {
        let mut wrong = |text| found.push(Violation::of_call(Rule::Doubled, call, text));
        let on = |side| history.executions(call.number, side);
        let (primary, alternate) = (on(Role::Primary), on(Role::Alternate));
        let is_doubled = match call.work.operation() {
            Operation::Unsafe => primary + alternate > 1,
            // The guard is one store's: both may execute it before they hear of each other.
            Operation::Guarded => primary > 1 || alternate > 1,
            Operation::Idempotent | Operation::Read => false,
        };
        if is_doubled {
            wrong(format!(
                "executed {primary} times on the primary and {alternate} times on the alternate"
            ));
        }
        for name in &call.work.names {
            let ids = history.rows.ids(name);
            if ids.len() > 1 {
                wrong(format!("{} rows are named {name}: {ids:?}", ids.len()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::rules::testing::{again_on, broken, history, sound};
    use crate::work::Kind;

    #[test]
    fn an_unsafe_write_on_both_sides() {
        let mut bad = history();
        again_on(&mut bad, Role::Alternate);
        assert!(broken(&bad).contains(&Rule::Doubled));
    }

    #[test]
    fn a_guarded_write_may_be_on_both_sides_and_not_twice_on_one() {
        let mut bad = history();
        bad.calls[0].work.kind = Kind::CreateOnly;
        again_on(&mut bad, Role::Alternate);
        sound(&bad);
        again_on(&mut bad, Role::Alternate);
        assert!(broken(&bad).contains(&Rule::Doubled));
    }

    #[test]
    fn an_idempotent_write_may_be_repeated() {
        let mut bad = history();
        bad.calls[0].work.kind = Kind::Upsert;
        again_on(&mut bad, Role::Primary);
        sound(&bad);
    }

    #[test]
    fn a_second_row_of_a_guarded_create() {
        let mut bad = history();
        bad.calls[0].work.kind = Kind::GuardedCreate;
        let name = bad.calls[0].work.names[0].clone();
        bad.rows.alternate.insert(Uuid::from_u128(99), name);
        assert!(broken(&bad).contains(&Rule::Doubled));
    }
}
