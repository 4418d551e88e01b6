//! A walk over the writes that are to be verified: which are looked at, and which are told of.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::lock::lock;
use crate::{Error, Resolution, Response, SettlePolicy, Settled, Verification, Verified};

/// What became of one write.
pub(crate) struct Done {
    pub(crate) id: u64,
    pub(crate) found: Option<Verification>,
    pub(crate) resolution: Option<Resolution>,
    /// Whether it is in question still.
    pub(crate) is_left: bool,
    pub(crate) why: String,
    pub(crate) answer: Response,
}

/// A walk, shared by the calls of one request.
pub(crate) struct Walk {
    pub(crate) policy: SettlePolicy,
    state: Mutex<Walked>,
    changed: Notify,
}

#[derive(Default)]
struct Walked {
    has_begun: bool,
    todo: VecDeque<u64>,
    running: usize,
    ended: VecDeque<Result<Done, Error>>,
    settled: Settled,
    /// Nothing is begun until the application has heard of an error.
    is_stopped: bool,
    is_told: bool,
}

/// What a call of a walk does next.
pub(crate) enum Next {
    /// Looks at this one.
    Begin(u64),
    /// Tells of this one.
    Tell(Box<Done>, Settled),
    /// Tells of this error. What it is about stays to be done.
    Fail(Error),
    /// Waits for those under way.
    Wait,
    /// All are done; whether this is the first to say so.
    Over(Settled, bool),
}

impl Walk {
    pub(crate) fn new(policy: SettlePolicy) -> Walk {
        Walk {
            policy,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn has_begun(&self) -> bool {
        lock(&self.state).has_begun
    }

    /// Over these. The first that says so counts.
    pub(crate) fn begin(&self, suspects: Vec<u64>) {
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.has_begun, true) {
            state.todo = suspects.into();
            state.settled.total = state.todo.len() as u64;
        }
    }

    /// At most so many at a time.
    pub(crate) fn next(&self, most: usize) -> Next {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        match state.ended.pop_front() {
            Some(Ok(done)) => {
                count(&mut state.settled, &done);
                return Next::Tell(Box::new(done), state.settled);
            }
            Some(Err(error)) => {
                state.is_stopped = false;
                return Next::Fail(error);
            }
            None => {}
        }
        if state.running < most
            && !state.is_stopped
            && let Some(id) = state.todo.pop_front()
        {
            state.running += 1;
            return Next::Begin(id);
        }
        if state.running > 0 {
            return Next::Wait;
        }
        let is_first = !std::mem::replace(&mut state.is_told, true);
        Next::Over(state.settled, is_first)
    }

    /// What was begun has ended.
    pub(crate) fn ended(&self, id: u64, done: Result<Done, Error>) {
        let mut state = lock(&self.state);
        state.running -= 1;
        if done.is_err() {
            state.is_stopped = true;
            state.todo.push_front(id);
        }
        state.ended.push_back(done);
        drop(state);
        self.changed.notify_one();
    }

    /// Ready when one has ended.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn count(settled: &mut Settled, done: &Done) {
    settled.done += 1;
    settled.left += u64::from(done.is_left);
    match done.found.as_ref().map(|found| found.verdict) {
        Some(Verified::Present) => settled.present += 1,
        Some(Verified::Missing) => settled.missing += 1,
        Some(Verified::Conflicting) => settled.conflicting += 1,
        Some(Verified::Unverifiable) => settled.unverifiable += 1,
        None => {}
    }
    match done.resolution {
        Some(Resolution::Confirmed) => settled.confirmed += 1,
        Some(Resolution::Replayed) => settled.replayed += 1,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::ErrorKind;
    use crate::ending::ResponseData;

    fn done(id: u64, verdict: Option<Verified>, resolution: Option<Resolution>) -> Done {
        Done {
            id,
            found: verdict.map(|verdict| Verification::new(verdict, true, SystemTime::UNIX_EPOCH)),
            resolution,
            is_left: resolution.is_none(),
            why: String::new(),
            answer: Response::new(ResponseData::default()),
        }
    }

    fn next(walk: &Walk) -> String {
        walk.begin(vec![1, 2, 3]);
        match walk.next(2) {
            Next::Begin(id) => format!("begin {id}"),
            Next::Tell(done, settled) => format!("tell {} of {}", done.id, settled.total),
            Next::Fail(_) => "fail".to_owned(),
            Next::Wait => "wait".to_owned(),
            Next::Over(settled, is_first) => format!("over {} {is_first}", settled.done),
        }
    }

    #[test]
    fn so_many_at_a_time_each_told_of_once() {
        let walk = Walk::new(SettlePolicy::default());
        assert_eq!(
            [next(&walk), next(&walk), next(&walk)],
            ["begin 1", "begin 2", "wait"]
        );
        walk.ended(
            2,
            Ok(done(
                2,
                Some(Verified::Present),
                Some(Resolution::Confirmed),
            )),
        );
        assert_eq!(
            [next(&walk), next(&walk), next(&walk)],
            ["tell 2 of 3", "begin 3", "wait"]
        );
        walk.ended(1, Ok(done(1, Some(Verified::Missing), None)));
        walk.ended(3, Ok(done(3, None, None)));
        let told: Vec<String> = (0..4).map(|_| next(&walk)).collect();
        assert_eq!(
            told,
            ["tell 1 of 3", "tell 3 of 3", "over 3 true", "over 3 false"]
        );
        let Next::Over(settled, _) = walk.next(2) else {
            panic!("not over");
        };
        let expected = Settled {
            total: 3,
            done: 3,
            present: 1,
            missing: 1,
            confirmed: 1,
            left: 2,
            ..Settled::default()
        };
        assert_eq!(settled, expected);
    }

    #[test]
    fn an_error_stops_it_and_the_next_call_goes_on_with_the_same() {
        let walk = Walk::new(SettlePolicy::default());
        assert_eq!([next(&walk), next(&walk)], ["begin 1", "begin 2"]);
        let error = || Error::new(ErrorKind::Internal, "x");
        walk.ended(1, Err(error()));
        walk.ended(2, Ok(done(2, None, None)));
        let told: Vec<String> = (0..4).map(|_| next(&walk)).collect();
        assert_eq!(told, ["fail", "tell 2 of 3", "begin 1", "begin 3"]);
    }
}
