//! The writes on record, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use slab::Slab;

use super::steps::Steps;
use super::{
    At, Ledger, Question, SENT_AGAIN, Soon, Suspected, Suspects, Write, WriteEnd, nothing,
};
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::lock::lock;
use crate::operation::Row;
use crate::{
    Effect, LedgerEntry, LedgerSelection, Operation, Resolution, Role, SuspectedSince,
    Verification, Verified,
};

pub(crate) struct Memory {
    /// How long before a switch an acknowledged write is in question.
    window: Duration,
    /// How many acknowledged writes are kept; the oldest go first.
    most_acknowledged: usize,
    pub(super) opened: SystemTime,
    /// How the machine's clock was set meanwhile.
    steps: Steps,
    state: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    last_id: u64,
    entries: Entries,
    /// The last texts that were put on record: mostly the next is the same.
    begun_at: Arc<str>,
    ended_at: Arc<str>,
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

/// The records by their numbers. A place that has become free is taken again: each by itself would be memory from between what
/// calls take and give back, which finds its place the more slowly the more often that is broken up.
#[derive(Default)]
struct Entries {
    places: BTreeMap<u64, usize>,
    records: Slab<Record>,
}

impl Entries {
    fn insert(&mut self, id: u64, record: Record) {
        let place = self.records.insert(record);
        self.places.insert(id, place);
    }

    fn get(&self, id: u64) -> Option<&Record> {
        self.records.get(*self.places.get(&id)?)
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Record> {
        self.records.get_mut(*self.places.get(&id)?)
    }

    fn remove(&mut self, id: u64) -> Option<Record> {
        self.records.try_remove(self.places.remove(&id)?)
    }

    /// The oldest first.
    fn iter(&self) -> impl Iterator<Item = (u64, &Record)> {
        let placed = |(id, place): (&u64, &usize)| Some((*id, self.records.get(*place)?));
        self.places.iter().filter_map(placed)
    }

    fn values(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|(_, record)| record)
    }
}

/// A text, shared with the one before if it is the same.
fn shared(last: &mut Arc<str>, text: &str) -> Arc<str> {
    if **last != *text {
        *last = text.into();
    }
    Arc::clone(last)
}

/// What a [`LedgerEntry`] and its question are made of. There are as many as the bound allows, and each is memory that no other
/// call has touched yet: so what few have is apart, and no text stands here twice.
struct Record {
    tag: Option<Arc<str>>,
    method: Method,
    url: Arc<str>,
    row_url: Option<Box<str>>,
    proof: Known,
    kept: Option<Arc<Kept>>,
    verification: Option<Box<Verification>>,
    started: SystemTime,
    ended: Option<SystemTime>,
    body_length: Option<u64>,
    epoch: u64,
    attempts: u32,
    body_digest: Option<[u8; 32]>,
    operation: Operation,
    role: Option<Role>,
    effect: Option<Effect>,
    resolution: Option<Resolution>,
    is_suspect: bool,
    may_come_late: bool,
    /// It is being sent again.
    is_claimed: bool,
}

/// A proof.
enum Known {
    Nothing,
    Unnamed,
    /// That the row of `row_url` was created.
    RowUrl,
    Other(Box<Proof>),
}

impl Known {
    fn of(proof: Proof, row_url: Option<&str>) -> Known {
        match proof {
            Proof::Nothing => Known::Nothing,
            Proof::Unnamed => Known::Unnamed,
            Proof::Created(Row::Url(url)) if Some(&*url) == row_url => Known::RowUrl,
            other => Known::Other(Box::new(other)),
        }
    }

    fn proof(&self, row_url: Option<&str>) -> Proof {
        match self {
            Known::Nothing => Proof::Nothing,
            Known::Unnamed => Proof::Unnamed,
            Known::RowUrl => Proof::Created(Row::Url(row_url.unwrap_or_default().to_owned())),
            Known::Other(proof) => (**proof).clone(),
        }
    }
}

impl Record {
    fn new(write: Write, url: Arc<str>) -> Record {
        Record {
            tag: write.tag,
            method: write.method,
            url,
            row_url: None,
            proof: Known::of(write.proof, None),
            kept: write.kept,
            verification: None,
            started: write.started,
            ended: None,
            body_length: write.body_length,
            epoch: write.epoch,
            attempts: 0,
            body_digest: write.body_digest,
            operation: write.operation,
            role: None,
            effect: None,
            resolution: None,
            is_suspect: false,
            may_come_late: false,
            is_claimed: false,
        }
    }

    fn entry(&self, id: u64) -> LedgerEntry {
        LedgerEntry {
            id,
            tag: self.tag.as_deref().map(str::to_owned),
            method: self.method.to_string(),
            url: self.url.to_string(),
            operation: self.operation,
            body_length: self.body_length,
            body_digest: self.body_digest,
            started: self.started,
            ended: self.ended,
            role: self.role,
            epoch: self.epoch,
            attempts: self.attempts,
            effect: self.effect,
            is_suspect: self.is_suspect,
            is_kept: self.kept.is_some(),
            row_url: self.row_url.as_deref().map(str::to_owned),
            verification: self.verification.as_deref().cloned(),
            resolution: self.resolution,
        }
    }

    /// Whether a switch can put it in question: what the application has settled it cannot.
    fn may_be_lost(&self) -> bool {
        matches!(self.resolution, None | Some(Resolution::Replayed))
    }

    /// Its last attempt.
    fn end(&mut self, outcome: &WriteEnd, url: Option<Arc<str>>, at: At) {
        self.ended = Some(at.time);
        self.effect = Some(outcome.effect);
        self.role = outcome.role;
        self.epoch = outcome.epoch;
        if let Some(url) = url {
            self.url = url;
        }
    }

    /// What its answer has named.
    fn prove(&mut self, outcome: &WriteEnd) {
        let row = outcome.row_url.as_deref();
        self.proof = match (std::mem::replace(&mut self.proof, Known::Nothing), row) {
            (Known::Unnamed | Known::RowUrl, Some(_)) => Known::RowUrl,
            (Known::Other(known), _) => {
                let proof = known.when_executed(row, outcome.row_id, outcome.version.as_deref());
                Known::of(proof, row)
            }
            (known, _) => known,
        };
    }
}

impl Memory {
    pub(crate) fn new(window: Duration, most_acknowledged: usize) -> Memory {
        let at = At::now();
        Memory {
            window,
            most_acknowledged,
            opened: at.time,
            steps: Steps::new(at),
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
        self.steps.note(at);
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        let url = state.url_at_end(&outcome);
        let record = state.entries.get_mut(id)?;
        if std::mem::take(&mut record.is_claimed) {
            return state.end_again(id, outcome, url, at);
        }
        if outcome.effect == Effect::NotExecuted {
            state.entries.remove(id);
            return None;
        }
        let is_executed = outcome.effect == Effect::Executed && outcome.role.is_some();
        let is_late =
            is_executed && (outcome.epoch < state.first_epoch || id <= state.lost_through);
        let is_repeated = is_executed && outcome.may_come_late && !self.window.is_zero();
        record.may_come_late = outcome.may_come_late;
        if outcome.effect == Effect::Executed {
            record.prove(&outcome);
        }
        record.end(&outcome, url, at);
        record.attempts = u32::try_from(outcome.attempts).unwrap_or(u32::MAX);
        record.row_url = outcome.row_url.map(Into::into);
        record.is_suspect = outcome.effect == Effect::Unknown || is_late || is_repeated;
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

    fn begin(&self, write: Write) -> Soon<u64> {
        let mut state = lock(&self.state);
        state.last_id += 1;
        let id = state.last_id;
        let url = shared(&mut state.begun_at, &write.url);
        state.entries.insert(id, Record::new(write, url));
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
        let acknowledged = state.question(|record| record.role == Some(from));
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
            .question(|record| record.role.is_some() && record.ended.is_some_and(|at| at >= since));
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
        let meant = state
            .entries
            .iter()
            .filter(|(_, record)| selection != LedgerSelection::Suspects || record.is_suspect);
        Soon::now(meant.map(|(id, record)| record.entry(id)).collect())
    }

    fn count_suspects(&self, at: At) -> Soon<usize> {
        let mut state = lock(&self.state);
        self.evict(&mut state, at.clock);
        let entries = state.entries.values();
        Soon::now(entries.filter(|record| record.is_suspect).count())
    }

    fn question(&self, id: u64, purpose: &'static str) -> Soon<Question> {
        let at = At::now();
        let state = lock(&self.state);
        let why = match state.entries.get(id) {
            None => "it is not on record",
            Some(record) => match record.ended {
                Some(ended) => {
                    let begun_ago = self.steps.ago(record.started, at);
                    let ended_ago = self.steps.ago(ended, at);
                    return Soon::now(Question {
                        entry: record.entry(id),
                        proof: record.proof.proof(record.row_url.as_deref()),
                        kept: record.kept.clone(),
                        begun_ago: begun_ago.map(|(_, most)| most),
                        ended_ago: ended_ago.map_or(Duration::ZERO, |(least, _)| least),
                        asked: at.clock,
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
        let why = match state.entries.get_mut(id) {
            None => "it is not on record",
            Some(record) if record.is_claimed => "it is being sent again already",
            Some(record) if !record.is_suspect => "nothing is in question about it",
            Some(record) => {
                record.is_claimed = true;
                return Soon::now(());
            }
        };
        Soon::Now(Err(nothing(id, SENT_AGAIN, why)))
    }

    fn verified(&self, id: u64, found: Verification) -> Soon<()> {
        if let Some(record) = lock(&self.state).entries.get_mut(id) {
            record.verification = Some(Box::new(found));
        }
        Soon::now(())
    }

    fn resolve(&self, id: u64, found: Resolution, at: At) -> Soon<()> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        self.evict(state, at.clock);
        let why = match state.entries.get_mut(id) {
            None => "it is not on record",
            Some(record) if record.is_claimed => "it is being sent again",
            Some(record) if record.is_suspect => {
                record.is_suspect = false;
                record.resolution = Some(found);
                if !state.suspected.remove(&id) && record.may_come_late {
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
    fn url_at_end(&mut self, outcome: &WriteEnd) -> Option<Arc<str>> {
        let url = outcome.url.as_deref();
        url.map(|url| shared(&mut self.ended_at, url))
    }

    /// Puts in question what was acknowledged, is not resolved, and is meant. Tells how much.
    fn question(&mut self, is_meant: impl Fn(&Record) -> bool) -> u64 {
        let (entries, suspected) = (&mut self.entries, &mut self.suspected);
        let mut count = 0;
        let mut stays = |(_, id): &(Instant, u64)| match entries.get_mut(*id) {
            Some(record) if record.may_be_lost() && is_meant(record) => {
                record.is_suspect = true;
                record.resolution = None;
                // The look was at what was there before.
                if let Some(found) = &mut record.verification {
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
    fn end_again(
        &mut self,
        id: u64,
        outcome: WriteEnd,
        url: Option<Arc<str>>,
        at: At,
    ) -> Option<Suspected> {
        let is_late =
            outcome.role.is_some() && (outcome.epoch < self.first_epoch || id <= self.lost_through);
        let record = self.entries.get_mut(id)?;
        // It was looked at before.
        let found = record.verification.take();
        let attempts = u32::try_from(outcome.attempts).unwrap_or(u32::MAX);
        record.attempts = record.attempts.saturating_add(attempts);
        if outcome.effect == Effect::NotExecuted {
            return None;
        }
        record.end(&outcome, url, at);
        if !self.suspected.remove(&id) && record.may_come_late {
            self.repeated.retain(|(_, other)| *other != id);
        }
        if outcome.effect == Effect::Unknown {
            record.may_come_late = true;
            return None;
        }
        record.prove(&outcome);
        record.may_come_late = outcome.may_come_late;
        if let Some(row_url) = outcome.row_url {
            record.row_url = Some(row_url.into());
        }
        record.is_suspect = is_late;
        if is_late {
            self.suspected.insert(id);
            return Some(Suspected::Late);
        }
        record.verification = found;
        record.resolution = Some(Resolution::Replayed);
        self.settled.push_back((at.clock, id));
        None
    }

    fn in_doubt(&self) -> u64 {
        let suspects = self.entries.values().filter(|record| record.is_suspect);
        let effects = suspects.map(|record| record.effect);
        effects
            .filter(|effect| *effect == Some(Effect::Unknown))
            .count() as u64
    }

    fn forget(&mut self, id: u64, is_too_early: bool) {
        let Some(record) = self.entries.remove(id) else {
            return;
        };
        let found = record.verification.as_ref().map(|found| found.verdict);
        if is_too_early && record.resolution.is_none() && found != Some(Verified::Present) {
            self.evicted += 1;
        }
        self.forgotten = self.forgotten.max(record.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand are kept, and the texts are the rest of what one takes.
    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 208, "{}", size_of::<Record>());
    }
}
