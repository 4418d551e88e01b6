//! What clients have asked a store for, in groups: while one is committed the next gathers, and whoever comes
//! next commits it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::group::{Gathering, Job};
use super::opening::{BRIEF, LONGEST_LOCK};
use crate::lock::lock;

/// What is committed before the log is taken over into the file, in pages.
const CHECKPOINT_AFTER: u64 = 4000;
const PAGE: u64 = 4096;
/// About what a write has, without its body.
const ROW: u64 = 512;

type Jobs = Vec<Box<dyn Job>>;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Those of an even and of an odd group: nobody is woken for the other's sake.
    done: [Condvar; 2],
}

#[derive(Default)]
struct State {
    waiting: Jobs,
    /// The number of the group that gathers, and how many groups are done.
    group: u64,
    done: u64,
    /// How many threads wait for an even group, and for an odd one.
    sleepers: [usize; 2],
    /// Somebody commits.
    is_busy: bool,
    gathering: Gathering,
    /// About how many bytes the group that gathers writes.
    bytes: u64,
    /// Pages committed since the log was taken over.
    pages: u64,
    is_thread_awake: bool,
    /// A group that waits for another process, left to who can wait.
    left: Option<(u64, Jobs)>,
}

impl Queue {
    /// `bytes`: about how much it writes. Gives the number of its group.
    pub(super) fn push(&self, job: Box<dyn Job>, bytes: usize) -> u64 {
        let mut state = lock(&self.state);
        state.waiting.push(job);
        state.bytes += ROW + bytes as u64;
        state.group
    }

    /// Has what is queued committed, until this group is done. `is_brief`: unless that takes longer than a call may
    /// go without being looked after. `commit` gives back what is left to who can wait longer.
    pub(super) fn work_until(
        &self,
        group: u64,
        is_brief: bool,
        commit: impl Fn(Jobs, bool) -> Option<Jobs>,
    ) {
        let parity = parity(group);
        let mut since = None;
        let mut state = lock(&self.state);
        while state.done <= group {
            if !is_brief && let Some((group, jobs)) = state.left.take() {
                drop(state);
                let turn = Turn { queue: self, group };
                commit(jobs, false);
                drop(turn);
                state = lock(&self.state);
                continue;
            }
            if state.is_busy {
                let longest = match is_brief {
                    true => BRIEF.saturating_sub(since.get_or_insert_with(Instant::now).elapsed()),
                    false => LONGEST_LOCK,
                };
                if longest.is_zero() {
                    return;
                }
                state.sleepers[parity] += 1;
                state = self.done[parity]
                    .wait_timeout(state, longest)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                state.sleepers[parity] -= 1;
                continue;
            }
            state.is_busy = true;
            if state.gathering.is_due() {
                // A transaction costs more than to let come first who is about to ask.
                drop(state);
                let since = Instant::now();
                std::thread::yield_now();
                let away = since.elapsed();
                state = lock(&self.state);
                state.gathering.was_away(away);
            }
            let jobs = std::mem::take(&mut state.waiting);
            state.gathering.size = jobs.len();
            state.pages += 1 + std::mem::take(&mut state.bytes) / PAGE;
            let group = state.group;
            state.group += 1;
            drop(state);
            // A panic would leave all others waiting.
            let turn = Turn { queue: self, group };
            if let Some(jobs) = commit(jobs, is_brief) {
                // It is still this group's.
                std::mem::forget(turn);
                lock(&self.state).left = Some((group, jobs));
                for done in &self.done {
                    done.notify_all();
                }
                return;
            }
            drop(turn);
            state = lock(&self.state);
        }
    }

    /// Whether there is something for the store's own thread after a work on this group.
    pub(super) fn leaves_work(&self, group: u64) -> bool {
        let state = lock(&self.state);
        state.done <= group || state.pages >= CHECKPOINT_AFTER
    }

    /// The last group with anything in it that is not done.
    pub(super) fn last(&self) -> Option<u64> {
        let state = lock(&self.state);
        match state.waiting.is_empty() {
            false => Some(state.group),
            true if state.is_busy => state.group.checked_sub(1),
            true => None,
        }
    }

    /// Whether the log is to be taken over.
    pub(super) fn has_long_log(&self) -> bool {
        lock(&self.state).pages >= CHECKPOINT_AFTER
    }

    /// The log is taken over now.
    pub(super) fn takes_over(&self) {
        lock(&self.state).pages = 0;
    }

    /// Whether the store's own thread sleeps. It is awake from now on.
    pub(super) fn wakes_thread(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).is_thread_awake, true)
    }

    /// Whether the store's own thread has nothing to do. It sleeps from now on.
    pub(super) fn lets_thread_sleep(&self) -> bool {
        let mut state = lock(&self.state);
        let is_asked = !state.waiting.is_empty() || state.left.is_some();
        state.is_thread_awake = is_asked || state.pages >= CHECKPOINT_AFTER;
        !state.is_thread_awake
    }

    /// All that is not done.
    pub(super) fn take(&mut self) -> Jobs {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (_, mut left) = state.left.take().unwrap_or_default();
        left.append(&mut state.waiting);
        left
    }
}

fn parity(group: u64) -> usize {
    usize::from(!group.is_multiple_of(2))
}

/// One commits, and all of its group hear when that is done; of the next, one.
struct Turn<'a> {
    queue: &'a Queue,
    group: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (mine, next) = (parity(self.group), parity(self.group + 1));
        let mut state = lock(&self.queue.state);
        state.is_busy = false;
        state.done = self.group + 1;
        let [is_waited_for, is_next] = [mine, next].map(|parity| state.sleepers[parity] > 0);
        drop(state);
        // To wake nobody is a call of the system as well.
        if is_waited_for {
            self.queue.done[mine].notify_all();
        }
        if is_next {
            self.queue.done[next].notify_one();
        }
    }
}
