//! What was acknowledged is somewhere, and what the application must look after is on record.

use d365_failover_core::{Effect, ItemKind, LedgerEntry, Role};

use super::{Rule, Violation};
use crate::history::{Call, EventSeen, History, Rows};
use crate::work::{Kind, Work};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let acknowledged = |call: &&Call| call.told.effect == Effect::Executed && !call.work.is_read();
    let mut found = Vec::new();
    for call in history.calls.iter().filter(acknowledged) {
        let mut wrong = |text: String| found.push(Violation::of_call(Rule::Lost, call, text));
        let is_suspect = history.entry_of(call).is_some_and(|entry| entry.is_suspect);
        let (primary, alternate) = (
            is_there(&history.rows, &call.work, Role::Primary),
            is_there(&history.rows, &call.work, Role::Alternate),
        );
        let active = history
            .clients
            .get(call.client)
            .and_then(|client| client.active);
        let on_active = match active {
            Some(Role::Primary) => primary,
            Some(Role::Alternate) => alternate,
            None => true,
        };
        if !primary && !alternate {
            wrong("acknowledged, and on neither side".into());
        } else if !on_active && !is_suspect {
            wrong("acknowledged, not on the active side, and no suspect in the ledger".into());
        }
        if let Some(left) = left_after(history, call)
            && !is_suspect
        {
            wrong(format!(
                "its endpoint was left at epoch {left}, shortly after it was acknowledged, and it \
                 is no suspect in the ledger"
            ));
        }
        if let Some(row) = call.told.row {
            let mut names = [Role::Primary, Role::Alternate]
                .into_iter()
                .filter_map(|role| history.rows.of(role).get(&row));
            if !names.any(|name| call.work.names.contains(name)) {
                wrong(format!(
                    "its answer names the row {row}, which is not its own"
                ));
            }
        }
    }
    let clients = history.clients.iter().enumerate();
    let untold = clients.filter(|(_, client)| {
        let acknowledged = |entry: &LedgerEntry| entry.effect == Some(Effect::Executed);
        let is_told = |event: &EventSeen| event.kind == ItemKind::DataLossSuspected;
        let mut ledger = client.ledger.iter();
        ledger.any(|entry| entry.is_suspect && acknowledged(entry))
            && !client.events.iter().any(is_told)
    });
    found.extend(untold.map(|(number, _)| {
        let text = "it has acknowledged writes to verify, and DataLossSuspected was never raised";
        Violation::of_client(Rule::Lost, number, text)
    }));
    found
}

/// Whether a side shows that the write was done there. No other call writes its row.
pub(crate) fn is_there(rows: &Rows, work: &Work, side: Role) -> bool {
    let rows = rows.of(side);
    match (work.kind, work.row) {
        (Kind::Delete | Kind::DeleteVersion | Kind::SoapDelete, Some(row)) => {
            !rows.contains_key(&row)
        }
        (_, Some(row)) => rows.get(&row).is_some_and(|name| work.names.contains(name)),
        (_, None) => work
            .names
            .iter()
            .all(|name| rows.values().any(|has| has == name)),
    }
}

/// The epoch of the switch that has left the endpoint that acknowledged the call.
fn left_after(history: &History, call: &Call) -> Option<u64> {
    let (role, epoch) = call.last_place()?;
    let events = &history.clients.get(call.client)?.events;
    let left = events.iter().find(|event| {
        event.kind == ItemKind::EndpointSwitched && event.epoch > epoch && event.from == Some(role)
    });
    left.map(|event| event.epoch)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::rules::testing::{broken, history, sound, switch};

    #[test]
    fn an_acknowledged_row_that_is_nowhere() {
        let mut bad = history();
        bad.rows.primary.clear();
        assert!(broken(&bad).contains(&Rule::Lost));
    }

    #[test]
    fn a_row_that_the_active_side_lacks_is_a_suspect() {
        let mut bad = history();
        switch(&mut bad);
        assert!(broken(&bad).contains(&Rule::Lost));
        bad.clients[0].ledger[0].is_suspect = true;
        sound(&bad);
    }

    #[test]
    fn what_was_acknowledged_before_a_switch_is_a_suspect_also_when_it_has_crossed() {
        let mut bad = history();
        switch(&mut bad);
        bad.rows.alternate = bad.rows.primary.clone();
        assert!(broken(&bad).contains(&Rule::Lost));
    }

    #[test]
    fn a_loss_that_nobody_is_told_of() {
        let mut bad = history();
        switch(&mut bad);
        bad.clients[0].ledger[0].is_suspect = true;
        sound(&bad);
        let told = ItemKind::DataLossSuspected;
        bad.clients[0].events.retain(|event| event.kind != told);
        assert_eq!(broken(&bad), [Rule::Lost]);
    }

    #[test]
    fn half_a_batch() {
        let mut bad = history();
        bad.calls[0].work.kind = Kind::Batch;
        bad.calls[0].work.names.push("call_000001-2".into());
        assert!(broken(&bad).contains(&Rule::Lost));
    }

    #[test]
    fn a_deletion_that_did_not_happen() {
        let mut bad = history();
        let work = &mut bad.calls[0].work;
        work.kind = Kind::Delete;
        work.row = bad.rows.primary.keys().next().copied();
        bad.rows.alternate = bad.rows.primary.clone();
        bad.calls[0].told.row = None;
        assert!(broken(&bad).contains(&Rule::Lost));
        bad.rows.primary.clear();
        bad.rows.alternate.clear();
        bad.calls.truncate(1);
        bad.receipts.truncate(1);
        sound(&bad);
    }

    #[test]
    fn another_calls_row_in_the_answer() {
        let mut bad = history();
        bad.calls[0].told.row = Some(Uuid::from_u128(99));
        assert!(broken(&bad).contains(&Rule::Lost));
    }
}
