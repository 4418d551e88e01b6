//! After a switch an update does not make a row where it belongs to one that has not crossed.

use super::{Rule, Violation};
use crate::history::{Call, History};
use crate::work::RowOf;

pub(super) fn check(history: &History) -> Vec<Violation> {
    let is_guarded = |call: &&Call| {
        let client = history.clients.get(call.client);
        call.work.kind.traits().row == RowOf::Lone
            && client.is_some_and(|client| client.update_guard)
    };
    let mut found = Vec::new();
    for call in history.calls.iter().filter(is_guarded) {
        for (side, row) in &history.rows.fragments {
            if call.work.row == Some(*row) {
                let text = format!("it has made a fragment of a row on the {}", side.name());
                found.push(Violation::of_call(Rule::Fragment, call, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use d365_failover_core::Role;
    use uuid::Uuid;

    use super::*;
    use crate::rules::testing::{broken, history, sound};
    use crate::work::Kind;

    #[test]
    fn a_fragment_that_a_guarded_update_has_made() {
        let row = Uuid::from_u128(7);
        let mut bad = history();
        bad.calls[0].work.kind = Kind::UpdateLone;
        bad.calls[0].work.row = Some(row);
        sound(&bad);
        bad.rows.fragments.push((Role::Alternate, row));
        assert_eq!(broken(&bad), [Rule::Fragment]);
        bad.clients[0].update_guard = false;
        sound(&bad);
    }
}
