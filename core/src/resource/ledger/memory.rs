//! The writes on record, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::{At, Ledger, Question, SENT_AGAIN, Soon, Suspected, Suspects, WriteEnd, nothing};
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::lock::lock;
use crate::{
    Effect, LedgerEntry, LedgerSelection, Resolution, Role, SuspectedSince, Verification, Verified,
};

pub(crate) struct Memory {
    /// How long before a switch an acknowledged write is in question.
    window: Duration,
    /// How many acknowledged writes are kept; the oldest go first.
    most_acknowledged: usize,
    pub(super) opened: SystemTime,
    state: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    last_id: u64,
    /// Apart from the tree, whose nodes are moved about.
    entries: BTreeMap<u64, Box<Record>>,
    /// Acknowledged or resolved, by when.
    settled: VecDeque<(Instant, u64)>,
    /// Executed, while an earlier attempt may still come late; by when.
    repeated: VecDeque<(Instant, u64)>,
    /// Acknowledged, and in question until they are resolved: at most as many.
    suspected: BTreeSet<u64>,
    /// What was sent in an earlier epoch went to an endpoint that was left since.
    first_epoch: u64,
    /// What was begun up to this number may have gone to a side that has lost writes.
    lost_through: u64,
    /// Acknowledged until then, and on record no more.
    forgotten: Option<SystemTime>,
    /// How many went because of the bound that nobody had verified.
    evicted: u64,
    told: u64,
}

struct Record {
    entry: LedgerEntry,
    proof: Proof,
    kept: Option<Arc<Kept>>,
    may_come_late: bool,
    /// It is being sent again.
    is_claimed: bool,
}

impl Memory {
    pub(crate) fn new(window: Duration, most_acknowledged: usize) -> Memory {
        Memory {
            window,
            most_acknowledged,
            opened: SystemTime::now(),
            state: Mutex::default(),
        }
    }

    fn evict(&self, state: &mut Records, now: Instant) {
        let is_over = |since| now.saturating_duration_since(since) > self.window;
        while state.suspected.len() > self.most_acknowledged
            && let Some(id) = state.suspected.pop_first()
        {
            state.forget(id, true);
        }
        while let Some(&(since, id)) = state.repeated.front()
            && (state.repeated.len() > self.most_acknowledged || is_over(since))
        {
            state.repeated.pop_front();
            state.forget(id, !is_over(since));
        }
        while let Some(&(since, id)) = state.settled.front()
            && (state.settled.len() > self.most_acknowledged || is_over(since))
        {
            state.settled.pop_front();
            state.forget(id, !is_over(since));
        }
    }

    fn ended(&self, id: u64, outcome: WriteEnd, at: At) -> Option<Suspected> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        let is_again = state
            .entries
            .get_mut(&id)
            .is_some_and(|record| std::mem::take(&mut record.is_claimed));
        if is_again {
            return state.end_again(id, outcome, at);
        }
        if outcome.effect == Effect::NotExecuted {
            state.entries.remove(&id);
            return None;
        }
        let is_executed = outcome.effect == Effect::Executed && outcome.role.is_some();
        let is_late =
            is_executed && (outcome.epoch < state.first_epoch || id <= state.lost_through);
        let is_repeated = is_executed && outcome.may_come_late && !self.window.is_zero();
        let Record {
            entry,
            proof,
            may_come_late,
            ..
        } = state.entries.get_mut(&id)?.as_mut();
        *may_come_late = outcome.may_come_late;
        if outcome.effect == Effect::Executed {
            let known = std::mem::replace(proof, Proof::Nothing);
            *proof = known.when_executed(
                outcome.row_url.as_deref(),
                outcome.row_id,
                outcome.version.as_deref(),
            );
        }
        entry.ended = Some(at.time);
        entry.effect = Some(outcome.effect);
        entry.role = outcome.role;
        entry.epoch = outcome.epoch;
        entry.attempts = u32::try_from(outcome.attempts).unwrap_or(u32::MAX);
        entry.row_url = outcome.row_url;
        if let Some(url) = outcome.url {
            entry.url = url;
        }
        entry.is_suspect = outcome.effect == Effect::Unknown || is_late || is_repeated;
        if is_late {
            state.suspected.insert(id);
            return Some(Suspected::Late);
        }
        if is_repeated {
            state.repeated.push_back((at.clock, id));
            return Some(Suspected::Repeated);
        }
        if outcome.effect == Effect::Executed {
            state.settled.push_back((at.clock, id));
        }
        None
    }
}

impl Ledger for Memory {
    fn is_on_disk(&self) -> bool {
        false
    }

    fn taken_over(&self) -> u64 {
        0
    }

    fn begin(&self, mut entry: LedgerEntry, proof: Proof, kept: Option<Arc<Kept>>) -> Soon<u64> {
        let mut state = lock(&self.state);
        state.last_id += 1;
        let id = state.last_id;
        entry.id = id;
        let record = Box::new(Record {
            entry,
            proof,
            kept,
            may_come_late: false,
            is_claimed: false,
        });
        state.entries.insert(id, record);
        Soon::now(id)
    }

    fn end(&self, id: u64, outcome: WriteEnd, at: At) -> Soon<Option<Suspected>> {
        Soon::now(self.ended(id, outcome, at))
    }

    fn suspect(&self, from: Role, epoch: u64, at: At) -> Soon<Suspects> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        state.first_epoch = state.first_epoch.max(epoch + 1);
        let acknowledged = state.question(|entry| entry.role == Some(from));
        let suspects = Suspects {
            in_doubt: state.in_doubt(),
            acknowledged: acknowledged + state.repeated.len() as u64,
        };
        self.evict(state, at.clock);
        Soon::now(suspects)
    }

    fn suspect_since(&self, since: SystemTime, at: At) -> Soon<SuspectedSince> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        state.lost_through = state.last_id;
        let acknowledged = state
            .question(|entry| entry.role.is_some() && entry.ended.is_some_and(|at| at >= since));
        let suspects = SuspectedSince {
            acknowledged,
            in_doubt: state.in_doubt(),
            on_record_since: state.forgotten.unwrap_or(self.opened),
        };
        self.evict(state, at.clock);
        Soon::now(suspects)
    }

    fn list(&self, selection: LedgerSelection, at: At) -> Soon<Vec<LedgerEntry>> {
        let mut state = lock(&self.state);
        self.evict(&mut state, at.clock);
        let entries = state.entries.values().map(|record| &record.entry);
        let meant =
            entries.filter(|entry| selection != LedgerSelection::Suspects || entry.is_suspect);
        Soon::now(meant.cloned().collect())
    }

    fn count_suspects(&self, at: At) -> Soon<usize> {
        let mut state = lock(&self.state);
        self.evict(&mut state, at.clock);
        let entries = state.entries.values();
        Soon::now(entries.filter(|record| record.entry.is_suspect).count())
    }

    fn question(&self, id: u64, purpose: &'static str) -> Soon<Question> {
        let state = lock(&self.state);
        let why = match state.entries.get(&id) {
            None => "it is not on record",
            Some(record) => match record.entry.ended {
                Some(ended) => {
                    return Soon::now(Question {
                        entry: record.entry.clone(),
                        proof: record.proof.clone(),
                        kept: record.kept.clone(),
                        ended,
                        may_come_late: record.may_come_late,
                    });
                }
                None => "it is in flight",
            },
        };
        Soon::Now(Err(nothing(id, purpose, why)))
    }

    fn claim(&self, id: u64, _: At) -> Soon<()> {
        let mut state = lock(&self.state);
        let why = match state.entries.get_mut(&id) {
            None => "it is not on record",
            Some(record) if record.is_claimed => "it is being sent again already",
            Some(record) if !record.entry.is_suspect => "nothing is in question about it",
            Some(record) => {
                record.is_claimed = true;
                return Soon::now(());
            }
        };
        Soon::Now(Err(nothing(id, SENT_AGAIN, why)))
    }

    fn verified(&self, id: u64, found: Verification) -> Soon<()> {
        if let Some(record) = lock(&self.state).entries.get_mut(&id) {
            record.entry.verification = Some(found);
        }
        Soon::now(())
    }

    fn resolve(&self, id: u64, found: Resolution, at: At) -> Soon<()> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        let why = match state.entries.get_mut(&id).map(Box::as_mut) {
            None => "it is not on record",
            Some(record) if record.is_claimed => "it is being sent again",
            Some(Record {
                entry,
                may_come_late,
                ..
            }) if entry.is_suspect => {
                entry.is_suspect = false;
                entry.resolution = Some(found);
                if !state.suspected.remove(&id) && *may_come_late {
                    state.repeated.retain(|(_, other)| *other != id);
                }
                state.settled.push_back((at.clock, id));
                return Soon::now(());
            }
            Some(_) => "nothing is in question about it",
        };
        Soon::Now(Err(nothing(id, "resolved", why)))
    }

    fn evicted(&self) -> u64 {
        lock(&self.state).evicted
    }

    fn evicted_to_tell(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        let is_due = state.evicted >= 1 && state.evicted / 10 >= state.told;
        is_due.then(|| {
            state.told = state.evicted;
            state.evicted
        })
    }
}

impl Records {
    /// Puts in question what was acknowledged, is not resolved, and is meant. Tells how much.
    fn question(&mut self, is_meant: impl Fn(&LedgerEntry) -> bool) -> u64 {
        let (entries, suspected) = (&mut self.entries, &mut self.suspected);
        let mut count = 0;
        let mut stays = |(_, id): &(Instant, u64)| match entries.get_mut(id).map(Box::as_mut) {
            Some(Record { entry, .. }) if entry.may_be_lost() && is_meant(entry) => {
                entry.is_suspect = true;
                entry.resolution = None;
                // The look was at what was there before.
                if let Some(found) = &mut entry.verification {
                    found.is_final = false;
                }
                suspected.insert(*id);
                count += 1;
                false
            }
            Some(_) => true,
            None => false,
        };
        self.settled.retain(&mut stays);
        self.repeated.retain(&mut stays);
        count
    }

    /// A write that was sent again has ended. Of what became of the first sending that tells nothing,
    /// unless it was executed.
    fn end_again(&mut self, id: u64, outcome: WriteEnd, at: At) -> Option<Suspected> {
        let is_late =
            outcome.role.is_some() && (outcome.epoch < self.first_epoch || id <= self.lost_through);
        let Record {
            entry,
            proof,
            may_come_late,
            ..
        } = self.entries.get_mut(&id)?.as_mut();
        // It was looked at before.
        let found = entry.verification.take();
        let attempts = u32::try_from(outcome.attempts).unwrap_or(u32::MAX);
        entry.attempts = entry.attempts.saturating_add(attempts);
        if outcome.effect == Effect::NotExecuted {
            return None;
        }
        entry.ended = Some(at.time);
        entry.effect = Some(outcome.effect);
        entry.role = outcome.role;
        entry.epoch = outcome.epoch;
        if let Some(url) = outcome.url {
            entry.url = url;
        }
        if !self.suspected.remove(&id) && *may_come_late {
            self.repeated.retain(|(_, other)| *other != id);
        }
        if outcome.effect == Effect::Unknown {
            *may_come_late = true;
            return None;
        }
        let known = std::mem::replace(proof, Proof::Nothing);
        *proof = known.when_executed(
            outcome.row_url.as_deref(),
            outcome.row_id,
            outcome.version.as_deref(),
        );
        *may_come_late = outcome.may_come_late;
        entry.row_url = outcome.row_url.or(entry.row_url.take());
        entry.is_suspect = is_late;
        if is_late {
            self.suspected.insert(id);
            return Some(Suspected::Late);
        }
        entry.verification = found;
        entry.resolution = Some(Resolution::Replayed);
        self.settled.push_back((at.clock, id));
        None
    }

    fn in_doubt(&self) -> u64 {
        let entries = self.entries.values().map(|record| &record.entry);
        let in_doubt =
            |entry: &&LedgerEntry| entry.is_suspect && entry.effect == Some(Effect::Unknown);
        entries.filter(in_doubt).count() as u64
    }

    fn forget(&mut self, id: u64, is_too_early: bool) {
        let Some(record) = self.entries.remove(&id) else {
            return;
        };
        let entry = &record.entry;
        let found = entry.verification.as_ref().map(|found| found.verdict);
        if is_too_early && entry.resolution.is_none() && found != Some(Verified::Present) {
            self.evicted += 1;
        }
        self.forgotten = self.forgotten.max(entry.ended);
    }
}
