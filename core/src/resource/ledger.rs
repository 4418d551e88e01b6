//! The writes on record, in memory.
//!
//! What has ended as not executed is of no interest and goes at once. What was acknowledged stays
//! for the time in which a switch would put it in question, within a bound. What is in doubt stays
//! until the application has resolved it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::body::lock;
use crate::{Effect, Error, ErrorKind, LedgerEntry, LedgerSelection, Resolution, Role};

/// How many acknowledged writes are kept; the oldest go first.
const MOST_ACKNOWLEDGED: usize = 100_000;

pub(crate) struct Ledger {
    /// How long before a switch an acknowledged write is in question.
    window: Duration,
    most_acknowledged: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    entries: BTreeMap<u64, LedgerEntry>,
    /// Acknowledged or resolved, by when.
    settled: VecDeque<(Instant, u64)>,
    /// Acknowledged by an endpoint that was left, in the order of their ids: at most as many.
    suspected: VecDeque<u64>,
    /// What was sent in an earlier epoch went to an endpoint that was left since.
    first_epoch: u64,
}

/// How a write ended.
pub(crate) struct Outcome {
    pub(crate) effect: Effect,
    pub(crate) url: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) epoch: u64,
    pub(crate) attempts: usize,
    pub(crate) row_url: Option<String>,
}

/// How many writes a switch puts in question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspects {
    pub(crate) in_doubt: u64,
    pub(crate) acknowledged: u64,
}

impl Ledger {
    pub(crate) fn new(window: Duration) -> Ledger {
        Ledger {
            window,
            most_acknowledged: MOST_ACKNOWLEDGED,
            state: Mutex::default(),
        }
    }

    /// Puts a write on record that is about to be sent. `entry.id` is given here.
    pub(crate) fn begin(&self, mut entry: LedgerEntry) -> u64 {
        let mut state = lock(&self.state);
        state.last_id += 1;
        entry.id = state.last_id;
        state.entries.insert(entry.id, entry);
        state.last_id
    }

    /// The write has ended. Tells whether it was acknowledged by an endpoint that was left before.
    pub(crate) fn end(&self, id: u64, outcome: Outcome, now: Instant, time: SystemTime) -> bool {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.evict(now, self.window, self.most_acknowledged);
        if outcome.effect == Effect::NotExecuted {
            state.entries.remove(&id);
            return false;
        }
        let is_late = outcome.effect == Effect::Executed
            && outcome.role.is_some()
            && outcome.epoch < state.first_epoch;
        let Some(entry) = state.entries.get_mut(&id) else {
            return false;
        };
        entry.ended = Some(time);
        entry.effect = Some(outcome.effect);
        entry.role = outcome.role;
        entry.epoch = outcome.epoch;
        entry.attempts = u32::try_from(outcome.attempts).unwrap_or(u32::MAX);
        entry.row_url = outcome.row_url;
        if let Some(url) = outcome.url {
            entry.url = url;
        }
        entry.is_suspect = outcome.effect == Effect::Unknown || is_late;
        if is_late {
            state.suspected.push_back(id);
        } else if !entry.is_suspect {
            state.settled.push_back((now, id));
        }
        is_late
    }

    /// The endpoint `from` was left in `epoch`. What it has acknowledged within the window is in
    /// question from now on. Tells how much that is, and how much is in doubt in all.
    pub(crate) fn suspect(&self, from: Role, epoch: u64, now: Instant) -> Suspects {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.evict(now, self.window, self.most_acknowledged);
        state.first_epoch = state.first_epoch.max(epoch + 1);
        let (entries, suspected) = (&mut state.entries, &mut state.suspected);
        let mut acknowledged = 0;
        state.settled.retain(|(_, id)| match entries.get_mut(id) {
            Some(entry) if entry.role == Some(from) && entry.resolution.is_none() => {
                entry.is_suspect = true;
                suspected.push_back(*id);
                acknowledged += 1;
                false
            }
            Some(_) => true,
            None => false,
        });
        let in_doubt =
            |entry: &&LedgerEntry| entry.is_suspect && entry.effect == Some(Effect::Unknown);
        let in_doubt = state.entries.values().filter(in_doubt).count() as u64;
        state.evict(now, self.window, self.most_acknowledged);
        Suspects {
            in_doubt,
            acknowledged,
        }
    }

    /// The entries, the oldest first.
    pub(crate) fn list(&self, selection: LedgerSelection, now: Instant) -> Vec<LedgerEntry> {
        let mut state = lock(&self.state);
        state.evict(now, self.window, self.most_acknowledged);
        let entries = state.entries.values();
        entries
            .filter(|entry| selection == LedgerSelection::All || entry.is_suspect)
            .cloned()
            .collect()
    }

    /// Takes what the application has found out.
    pub(crate) fn resolve(&self, id: u64, found: Resolution, now: Instant) -> Result<(), Error> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(entry) = state.entries.get_mut(&id) else {
            return Err(nothing(id, "it is not on record"));
        };
        if !entry.is_suspect {
            return Err(nothing(id, "nothing is in question about it"));
        }
        entry.is_suspect = false;
        entry.resolution = Some(found);
        state.settled.push_back((now, id));
        Ok(())
    }
}

impl State {
    fn evict(&mut self, now: Instant, window: Duration, most: usize) {
        while self.suspected.len() > most {
            if let Some(id) = self.suspected.pop_front()
                && self.entries.get(&id).is_some_and(|entry| entry.is_suspect)
            {
                self.entries.remove(&id);
            }
        }
        while let Some(&(since, id)) = self.settled.front() {
            if self.settled.len() <= most && now.saturating_duration_since(since) <= window {
                return;
            }
            self.settled.pop_front();
            self.entries.remove(&id);
        }
    }
}

fn nothing(id: u64, why: &str) -> Error {
    Error::new(
        ErrorKind::NotAvailable,
        format!("the write {id} cannot be resolved: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    const WINDOW: Duration = Duration::from_secs(300);

    fn entry() -> LedgerEntry {
        LedgerEntry {
            id: 0,
            method: "POST".to_owned(),
            url: "/x".to_owned(),
            operation: Operation::Unsafe,
            body_length: Some(0),
            body_digest: None,
            started: SystemTime::UNIX_EPOCH,
            ended: None,
            role: None,
            epoch: 0,
            attempts: 0,
            effect: None,
            is_suspect: false,
            row_url: None,
            resolution: None,
        }
    }

    fn outcome(effect: Effect, role: Role) -> Outcome {
        Outcome {
            effect,
            url: None,
            role: Some(role),
            epoch: 0,
            attempts: 1,
            row_url: None,
        }
    }

    fn end(ledger: &Ledger, id: u64, outcome: Outcome, now: Instant) {
        ledger.end(id, outcome, now, SystemTime::UNIX_EPOCH);
    }

    fn ids(ledger: &Ledger, selection: LedgerSelection, now: Instant) -> Vec<u64> {
        let list = ledger.list(selection, now);
        list.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn a_write_is_on_record_while_it_is_in_flight_and_gone_when_it_was_not_executed() {
        let (ledger, now) = (Ledger::new(WINDOW), Instant::now());
        let id = ledger.begin(entry());
        assert_eq!(ledger.list(LedgerSelection::All, now)[0].effect, None);
        assert!(ids(&ledger, LedgerSelection::Suspects, now).is_empty());
        end(
            &ledger,
            id,
            outcome(Effect::NotExecuted, Role::Primary),
            now,
        );
        assert!(ids(&ledger, LedgerSelection::All, now).is_empty());
    }

    #[test]
    fn what_is_in_doubt_stays_until_it_is_resolved() {
        let (ledger, now) = (Ledger::new(WINDOW), Instant::now());
        let id = ledger.begin(entry());
        end(&ledger, id, outcome(Effect::Unknown, Role::Primary), now);
        let later = now + WINDOW * 10;
        assert_eq!(ids(&ledger, LedgerSelection::Suspects, later), [id]);
        ledger.resolve(id, Resolution::Lost, later).unwrap();
        assert!(ids(&ledger, LedgerSelection::Suspects, later).is_empty());
        let list = ledger.list(LedgerSelection::All, later);
        assert_eq!(list[0].resolution, Some(Resolution::Lost));
        let again = ledger.resolve(id, Resolution::Lost, later).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotAvailable);
        assert!(ids(&ledger, LedgerSelection::All, later + WINDOW * 2).is_empty());
    }

    #[test]
    fn a_switch_puts_in_question_what_the_old_endpoint_has_acknowledged_within_the_window() {
        let (ledger, now) = (Ledger::new(WINDOW), Instant::now());
        let old = ledger.begin(entry());
        end(&ledger, old, outcome(Effect::Executed, Role::Primary), now);
        let later = now + WINDOW + Duration::from_secs(1);
        let recent = ledger.begin(entry());
        end(
            &ledger,
            recent,
            outcome(Effect::Executed, Role::Primary),
            later,
        );
        let elsewhere = ledger.begin(entry());
        end(
            &ledger,
            elsewhere,
            outcome(Effect::Executed, Role::Alternate),
            later,
        );
        let in_doubt = ledger.begin(entry());
        end(
            &ledger,
            in_doubt,
            outcome(Effect::Unknown, Role::Primary),
            later,
        );
        let in_flight = ledger.begin(entry());
        let suspects = ledger.suspect(Role::Primary, 0, later);
        assert_eq!((suspects.in_doubt, suspects.acknowledged), (1, 1));
        assert_eq!(
            ids(&ledger, LedgerSelection::Suspects, later),
            [recent, in_doubt]
        );
        let late = outcome(Effect::Executed, Role::Primary);
        assert!(ledger.end(in_flight, late, later, SystemTime::UNIX_EPOCH));
        // The way back puts in question what the alternate has acknowledged, and nothing anew.
        let back = ledger.suspect(Role::Alternate, 1, later);
        assert_eq!((back.in_doubt, back.acknowledged), (1, 1));
        assert_eq!(
            ids(&ledger, LedgerSelection::Suspects, later),
            [recent, elsewhere, in_doubt, in_flight]
        );
    }

    #[test]
    fn the_bound_takes_the_oldest_acknowledged_and_nothing_in_doubt() {
        let now = Instant::now();
        let ledger = Ledger {
            most_acknowledged: 2,
            ..Ledger::new(WINDOW)
        };
        let in_doubt = ledger.begin(entry());
        end(
            &ledger,
            in_doubt,
            outcome(Effect::Unknown, Role::Primary),
            now,
        );
        let acknowledged: Vec<u64> = (0..4).map(|_| ledger.begin(entry())).collect();
        for id in &acknowledged {
            end(&ledger, *id, outcome(Effect::Executed, Role::Primary), now);
        }
        assert_eq!(
            ids(&ledger, LedgerSelection::All, now),
            [in_doubt, acknowledged[2], acknowledged[3]]
        );
    }

    #[test]
    fn acknowledged_suspects_are_bounded_too() {
        let now = Instant::now();
        let ledger = Ledger {
            most_acknowledged: 2,
            ..Ledger::new(WINDOW)
        };
        let mut all = Vec::new();
        for epoch in 0..3 {
            for _ in 0..2 {
                let id = ledger.begin(entry());
                let executed = Outcome {
                    epoch,
                    ..outcome(Effect::Executed, Role::Primary)
                };
                end(&ledger, id, executed, now);
                all.push(id);
            }
            ledger.suspect(Role::Primary, epoch, now);
        }
        assert_eq!(ids(&ledger, LedgerSelection::Suspects, now), all[4..]);
    }

    #[test]
    fn nothing_in_question_cannot_be_resolved() {
        let (ledger, now) = (Ledger::new(WINDOW), Instant::now());
        let id = ledger.begin(entry());
        for id in [id, 99] {
            let error = ledger.resolve(id, Resolution::Confirmed, now).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAvailable);
        }
    }
}
