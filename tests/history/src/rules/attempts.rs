//! What attempts say of themselves agrees with what the sides have received.

use std::collections::BTreeMap;

use d365_failover_core::{ItemKind, Operation, Phase, Role};

use super::{Rule, Violation};
use crate::history::{AttemptSeen, Call, History};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for call in &history.calls {
        let mut wrong = |text: String| found.push(Violation::of_call(Rule::Attempts, call, text));
        let attempts = &call.told.attempts;
        let looks = attempts.iter().filter(|attempt| attempt.is_look).count();
        let is_guarded = call.work.operation() == Operation::Guarded;
        if looks > 0 && !is_guarded {
            wrong("it has looked at a row, and needs not".into());
        }
        let sent = attempts.len() - looks;
        if looks > sent {
            wrong(format!(
                "it has looked at a row {looks} times after {sent} attempts"
            ));
        }
        // Over SOAP a look is sent to the same URL.
        let unseen_looks = usize::from(is_guarded && call.work.kind.is_soap());
        if sent > history.terms.max_attempts * (1 + unseen_looks) {
            wrong(format!("it was attempted {sent} times"));
        }
        let epochs = attempts.windows(2);
        if epochs.into_iter().any(|pair| pair[0].epoch > pair[1].epoch) {
            wrong("the epochs of its attempts fall".into());
        }
        for attempt in attempts {
            let there = role_at(history, call, attempt.epoch);
            if attempt.role.is_some_and(|role| there != Some(role)) {
                wrong(format!(
                    "an attempt of epoch {} went to the {:?}, where the client was not then",
                    attempt.epoch, attempt.role
                ));
            }
        }
        for side in [Role::Primary, Role::Alternate] {
            for text in on_side(history, call, side) {
                wrong(text);
            }
        }
    }
    found
}

/// Where the client was at an epoch, by its events; it starts at the primary.
fn role_at(history: &History, call: &Call, epoch: u64) -> Option<Role> {
    if epoch == 0 {
        return Some(Role::Primary);
    }
    let events = &history.clients.get(call.client)?.events;
    let mut switches = events
        .iter()
        .filter(|event| event.kind == ItemKind::EndpointSwitched);
    switches.find(|event| event.epoch == epoch)?.to
}

fn on_side(history: &History, call: &Call, side: Role) -> Vec<String> {
    let mut wrong = Vec::new();
    let went = || {
        let attempts = call.told.attempts.iter();
        attempts.filter(move |attempt| attempt.role == Some(side) && !attempt.is_look)
    };
    let count = |is: fn(&AttemptSeen) -> bool| went().filter(|attempt| is(attempt)).count();
    let sent = count(|attempt| attempt.phase != Phase::NotSent);
    let received = history
        .receipts_of(call.number)
        .filter(|receipt| receipt.side == side)
        .count();
    if received > sent {
        wrong.push(format!(
            "the {} has received it {received} times, and it says that it was sent {sent} times",
            side.name()
        ));
    }
    let mut statuses: BTreeMap<Option<u16>, usize> = BTreeMap::new();
    for receipt in history.receipts_of(call.number) {
        if receipt.side == side {
            *statuses.entry(receipt.status).or_default() += 1;
        }
    }
    let mut take = |status| match statuses.get_mut(&status) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    for status in went().filter_map(|attempt| attempt.status) {
        // A side whose connection was reset in that very moment does not know what has left.
        if !take(Some(status)) && !take(None) {
            wrong.push(format!(
                "it says that the {} has answered {status}, which that has not",
                side.name()
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{broken, history, sound, switch};
    use crate::work::Kind;

    #[test]
    fn an_attempt_that_was_not_sent_is_in_no_journal() {
        let mut bad = history();
        bad.calls[0].told.attempts[0].phase = Phase::NotSent;
        assert!(broken(&bad).contains(&Rule::Attempts));
    }

    #[test]
    fn an_answer_that_was_never_given() {
        let mut bad = history();
        bad.receipts[0].status = Some(503);
        assert!(broken(&bad).contains(&Rule::Attempts));
    }

    #[test]
    fn a_place_where_the_client_was_not() {
        let mut bad = history();
        bad.calls[0].told.attempts[0].role = Some(Role::Alternate);
        assert!(broken(&bad).contains(&Rule::Attempts));
        let mut bad = history();
        bad.calls[0].told.attempts[0].epoch = 1;
        assert!(broken(&bad).contains(&Rule::Attempts));
    }

    #[test]
    fn too_many_attempts_and_epochs_that_fall() {
        let mut bad = history();
        let attempt = AttemptSeen {
            phase: Phase::NotSent,
            status: None,
            ..bad.calls[0].told.attempts[0].clone()
        };
        bad.calls[0].told.attempts = vec![attempt.clone(); 5];
        assert!(broken(&bad).contains(&Rule::Attempts));
        let mut bad = history();
        switch(&mut bad);
        bad.clients[0].ledger[0].is_suspect = true;
        sound(&bad);
        let later = AttemptSeen {
            epoch: 1,
            role: Some(Role::Alternate),
            ..attempt
        };
        bad.calls[0].told.attempts.insert(0, later);
        bad.clients[0].ledger[0].attempts = 2;
        assert!(broken(&bad).contains(&Rule::Attempts));
    }

    #[test]
    fn only_a_guarded_write_looks_at_its_row() {
        let mut bad = history();
        let look = AttemptSeen {
            is_look: true,
            status: Some(200),
            ..bad.calls[0].told.attempts[0].clone()
        };
        bad.calls[0].told.attempts.push(look.clone());
        bad.clients[0].ledger[0].attempts = 2;
        assert_eq!(broken(&bad), [Rule::Attempts]);
        bad.calls[0].work.kind = Kind::GuardedCreate;
        sound(&bad);
        // One look after each attempt is enough.
        bad.calls[0].told.attempts.push(look);
        bad.clients[0].ledger[0].attempts = 3;
        assert!(broken(&bad).contains(&Rule::Attempts));
    }
}
