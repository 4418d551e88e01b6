//! One side: what it is capable of, who waits there, and what it does with a request.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// What a side is, as far as a request can meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Requests arrive.
    Open,
    /// There is a machine, and nobody listens.
    Refuses,
    /// Whatever is sent there vanishes, and so does what it sends.
    Hole,
}

/// How a side takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is worked at from now on.
    AtOnce,
    /// It waits for its turn.
    Queued,
    /// There are too many.
    Rejected,
}

/// One side of the organization.
#[derive(Debug)]
pub struct Side {
    /// How it can be met.
    pub path: Path,
    /// Whether it is the organization's; else it answers 0x8004B065.
    pub serves: bool,
    /// Its front end answers 503 in its place.
    pub is_unavailable: bool,
    /// The share of the calls that its front end answers 503.
    pub falters: f64,
    /// What each answer to a call is late.
    pub delay: Duration,
    /// What each answer to a probe is late.
    pub probe_delay: Duration,
    /// It closes the connection of each write, and executes one half of them.
    pub loses_writes: bool,
    /// The share of its workers that work.
    pub share: f64,
    /// When it died, if it did: what it had executed by then may have come over, or not.
    pub died: Option<Time>,
    /// Its process: what an earlier one worked at has no end.
    pub process: u32,
    workers: f64,
    busy: usize,
    longest: usize,
    queue: VecDeque<u32>,
}

impl Side {
    /// With so many workers, where at most so many requests wait.
    #[must_use]
    pub fn new(workers: f64, longest: usize) -> Side {
        Side {
            path: Path::Open,
            serves: true,
            is_unavailable: false,
            falters: 0.0,
            delay: Duration::ZERO,
            probe_delay: Duration::ZERO,
            loses_writes: false,
            share: 1.0,
            died: None,
            process: 0,
            workers,
            busy: 0,
            longest,
            queue: VecDeque::new(),
        }
    }

    fn has_worker(&self) -> bool {
        (self.busy as f64) < self.workers * self.share
    }

    /// A request has come.
    pub fn take(&mut self, request: u32) -> Taken {
        if self.has_worker() {
            self.busy += 1;
            Taken::AtOnce
        } else if self.queue.len() < self.longest {
            self.queue.push_back(request);
            Taken::Queued
        } else {
            Taken::Rejected
        }
    }

    /// One was done. Who is worked at next.
    pub fn done(&mut self) -> Option<u32> {
        self.busy -= 1;
        self.work_on()
    }

    /// Who waits and can be worked at.
    pub fn work_on(&mut self) -> Option<u32> {
        if !self.has_worker() {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.busy += 1;
        Some(next)
    }

    /// Its process ends, and with it all that it had.
    pub fn dies(&mut self) {
        self.process += 1;
        self.busy = 0;
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_worked_at_as_there_are_workers_and_the_rest_waits_in_its_order() {
        let mut side = Side::new(2.0, 2);
        let taken = [1, 2, 3, 4, 5].map(|request| side.take(request));
        use Taken::{AtOnce, Queued, Rejected};
        assert_eq!(taken, [AtOnce, AtOnce, Queued, Queued, Rejected]);
        assert_eq!(
            [side.done(), side.done(), side.done()],
            [Some(3), Some(4), None]
        );
        side.dies();
        assert_eq!(side.take(6), AtOnce);
        assert_eq!(side.process, 1);
    }
}
