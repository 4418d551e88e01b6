//! How the machine's clock was set while a ledger is open. Times on record are that clock's; how long ago they
//! were is told by the clock of the process, which nobody sets.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::At;
use crate::lock::lock;
use crate::resource::store::micros;

/// What is less is no setting of the clock, in microseconds.
const LEAST: i64 = 1_000_000;
/// So many are kept: a clock that is set more often tells nothing anyway.
const MOST: usize = 1000;

pub(super) struct Steps {
    begin: Instant,
    state: Mutex<VecDeque<Step>>,
}

/// By how much the machine's clock was ahead of the process's, in microseconds, and when that was seen first and last.
#[derive(Clone, Copy)]
struct Step {
    ahead: i64,
    first: Instant,
    last: Instant,
}

impl Steps {
    pub(super) fn new(at: At) -> Steps {
        let begin = at.clock;
        let first = Step {
            ahead: micros(at.time),
            first: begin,
            last: begin,
        };
        Steps {
            begin,
            state: Mutex::new(VecDeque::from([first])),
        }
    }

    /// Takes a look at both clocks: whenever a time goes on record, or is compared.
    pub(super) fn note(&self, at: At) {
        let ahead = micros(at.time) - self.process(at.clock);
        let mut steps = lock(&self.state);
        if let Some(last) = steps.back_mut()
            && (ahead - last.ahead).abs() < LEAST
        {
            last.last = last.last.max(at.clock);
            return;
        }
        if steps.len() == MOST {
            steps.pop_front();
        }
        steps.push_back(Step {
            ahead,
            first: at.clock,
            last: at.clock,
        });
    }

    /// From when on what has ended is within the window, by whatever the machine's clock said in its time.
    pub(super) fn window_start(&self, at: At, window: Duration) -> i64 {
        self.note(at);
        let steps = lock(&self.state);
        let begin = at.clock.checked_sub(window);
        let ends = steps.iter().skip(1).map(|next| Some(next.first));
        let in_effect = steps.iter().zip(ends.chain([None])).filter(|(_, end)| {
            // Of the last one, and of a window that began before all clocks, there is no doubt.
            end.zip(begin).is_none_or(|(end, begin)| end > begin)
        });
        let ahead = in_effect.map(|(step, _)| step.ahead).min();
        let ahead = ahead.unwrap_or_default();
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        (self.process(at.clock) + ahead).saturating_sub(window)
    }

    /// When an attempt was sent, by a clock that says since then what it said. Where it does not, the attempt may
    /// have been sent before whatever is compared with it.
    pub(super) fn sent(&self, sent: Option<SystemTime>, at: At) -> i64 {
        let Some(sent) = sent.map(micros) else {
            return i64::MAX;
        };
        let steps = lock(&self.state);
        let was_set = steps.back().is_some_and(|last| {
            let was = sent.saturating_sub(last.ahead);
            let is_after = was > self.process(at.clock).saturating_add(LEAST);
            let is_before = was < self.process(last.first).saturating_sub(LEAST);
            is_after || is_before && steps.len() > 1
        });
        if was_set { i64::MIN } else { sent }
    }

    /// How long ago a time on record was, at least and at most. `None`: by no clock that was seen.
    pub(super) fn ago(&self, then: SystemTime, at: At) -> Option<(Duration, Duration)> {
        self.note(at);
        let steps = lock(&self.state);
        let (then, now) = (micros(then), self.process(at.clock));
        // It was set at some moment between the last look before and the first look after.
        let lasts = steps.iter().map(|step| self.process(step.last));
        let begins = [i64::MIN].into_iter().chain(lasts);
        let firsts = steps.iter().map(|step| self.process(step.first));
        let ends = firsts.skip(1).chain([now]);
        let possible = steps.iter().zip(begins.zip(ends));
        let possible = possible.filter_map(|(step, (begin, end))| {
            let was = then.saturating_sub(step.ahead);
            let is_possible =
                begin.saturating_sub(LEAST) <= was && was <= end.saturating_add(LEAST);
            let ago = now.saturating_sub(was).try_into().unwrap_or_default();
            is_possible.then(|| Duration::from_micros(ago))
        });
        possible.fold(None, |known, ago| {
            let (least, most) = known.unwrap_or((ago, ago));
            Some((least.min(ago), most.max(ago)))
        })
    }

    fn process(&self, clock: Instant) -> i64 {
        let since = clock.saturating_duration_since(self.begin);
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}
