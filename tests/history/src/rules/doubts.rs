//! The ledger and the events say of every write in doubt that it is, and of no other.

use std::collections::BTreeMap;

use d365_failover_core::{Effect, ItemKind};

use super::{Rule, Violation};
use crate::history::{Call, ClientRecord, History};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let clients = history.clients.iter().enumerate();
    clients
        .flat_map(|(number, client)| of_client(history, number, client))
        .collect()
}

fn of_client(history: &History, number: usize, client: &ClientRecord) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut by_id: BTreeMap<u64, &Call> = BTreeMap::new();
    for call in history.calls.iter().filter(|call| call.client == number) {
        let mut wrong = |text: String| found.push(Violation::of_call(Rule::Doubt, call, text));
        let effect = call.told.effect;
        let Some(id) = call.told.ledger_id else {
            if matches!(effect, Effect::Unknown | Effect::Executed) {
                wrong(format!(
                    "it is {}, and has no number in the ledger",
                    effect.name()
                ));
            }
            continue;
        };
        if call.work.is_read() {
            wrong(format!("a read has the number {id} in the ledger"));
        }
        if let Some(other) = by_id.insert(id, call) {
            wrong(format!(
                "it has the number {id} in the ledger, as call {} has",
                other.number
            ));
        }
        let entry = client.ledger.iter().find(|entry| entry.id == id);
        if let Some(entry) = entry {
            let place = call
                .told
                .attempts
                .last()
                .map(|last| (last.role, last.epoch));
            let attempts = call.told.attempts.len();
            if entry.attempts as usize != attempts
                || place.is_some_and(|place| place != (entry.role, entry.epoch))
            {
                wrong(format!(
                    "it had {attempts} attempts, the last at {place:?}, and the ledger says {}, \
                     {:?}, {}",
                    entry.attempts, entry.role, entry.epoch
                ));
            }
        }
        match (effect, entry) {
            (Effect::Unknown, Some(entry))
                if entry.effect == Some(Effect::Unknown) && entry.is_suspect => {}
            (Effect::Executed, Some(entry)) if entry.effect == Some(Effect::Executed) => {}
            (Effect::NotExecuted | Effect::None, None) => {}
            (effect, Some(entry)) => wrong(format!(
                "it was told {}, and the ledger says {:?}, suspect: {}",
                effect.name(),
                entry.effect,
                entry.is_suspect
            )),
            (effect, None) => wrong(format!(
                "it was told {}, and the ledger has no entry {id}",
                effect.name()
            )),
        }
    }
    let in_doubt = |id: &u64| {
        by_id
            .get(id)
            .is_some_and(|call| call.told.effect == Effect::Unknown)
    };
    let mut told: BTreeMap<u64, usize> = BTreeMap::new();
    for event in &client.events {
        if event.kind == ItemKind::WriteInDoubt {
            *told.entry(event.ledger_id.unwrap_or_default()).or_default() += 1;
        }
    }
    for (id, call) in by_id.iter().filter(|(id, _)| in_doubt(id)) {
        let times = told.get(id).copied().unwrap_or_default();
        if times != 1 {
            let text = format!("it is in doubt, and WriteInDoubt was raised {times} times");
            found.push(Violation::of_call(Rule::Doubt, call, text));
        }
    }
    for id in told.keys().filter(|id| !in_doubt(id)) {
        let text = format!("WriteInDoubt was raised for {id}, which no call was told unknown");
        found.push(Violation::of_client(Rule::Doubt, number, text));
    }
    for entry in &client.ledger {
        if !by_id.contains_key(&entry.id) {
            let text = format!(
                "the ledger has {} ({:?}) of no call",
                entry.id, entry.effect
            );
            found.push(Violation::of_client(Rule::Doubt, number, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{broken, doubt, event, history, sound};

    #[test]
    fn a_doubt_is_on_record_and_told_of_once() {
        let mut fine = history();
        doubt(&mut fine);
        sound(&fine);
        let mut bad = fine.clone();
        bad.clients[0].ledger[0].is_suspect = false;
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = fine.clone();
        bad.clients[0].events.clear();
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = fine.clone();
        let again = bad.clients[0].events[0].clone();
        bad.clients[0].events.push(again);
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = fine.clone();
        bad.clients[0].ledger.clear();
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = fine;
        bad.calls[0].told.ledger_id = None;
        assert!(broken(&bad).contains(&Rule::Doubt));
    }

    #[test]
    fn an_event_about_a_write_that_is_not_in_doubt() {
        let mut bad = history();
        let mut raised = event(ItemKind::WriteInDoubt);
        raised.ledger_id = Some(1);
        bad.clients[0].events.push(raised);
        assert!(broken(&bad).contains(&Rule::Doubt));
    }

    #[test]
    fn a_ledger_that_disagrees_with_what_was_told() {
        let mut bad = history();
        bad.clients[0].ledger[0].effect = None;
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = history();
        bad.clients[0].ledger[0].effect = Some(Effect::Unknown);
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = history();
        let mut stray = bad.clients[0].ledger[0].clone();
        stray.id = 77;
        bad.clients[0].ledger.push(stray);
        assert!(broken(&bad).contains(&Rule::Doubt));
    }

    #[test]
    fn a_ledger_that_tells_of_other_attempts() {
        let mut bad = history();
        bad.clients[0].ledger[0].attempts = 2;
        assert_eq!(broken(&bad), [Rule::Doubt]);
        let mut bad = history();
        bad.clients[0].ledger[0].role = None;
        assert_eq!(broken(&bad), [Rule::Doubt]);
    }

    #[test]
    fn one_number_for_two_writes_and_a_number_for_a_read() {
        let mut bad = history();
        let mut twin = bad.calls[0].clone();
        twin.number = 3;
        bad.calls.push(twin);
        assert!(broken(&bad).contains(&Rule::Doubt));
        let mut bad = history();
        bad.calls[1].told.ledger_id = Some(5);
        assert!(broken(&bad).contains(&Rule::Doubt));
    }
}
