//! Lets calls go to an endpoint by and by after a switch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::decide::offered::{Offered, Remembered};
use crate::decide::ramp::{Ramp, STEP};
use crate::lock::lock;

/// Open at first, and mostly: then it costs one look.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Door>);

struct Door {
    offered: Offered,
    is_ramped: AtomicBool,
    crowd: Mutex<Crowd>,
}

#[derive(Default)]
struct Crowd {
    remembered: Remembered,
    ramp: Option<Ramp>,
    /// Who waits, in the order of their coming.
    waiting: VecDeque<oneshot::Sender<Pass>>,
}

/// The leave to go. Given back with what became of it.
pub(crate) struct Pass {
    door: Arc<Door>,
    is_counted: bool,
    used: Used,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// It says nothing of the endpoint.
    Not,
    Answered,
    Failed,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate(Arc::new(Door {
            offered: Offered::new(Instant::now()),
            is_ramped: AtomicBool::new(false),
            crowd: Mutex::default(),
        }))
    }

    /// The application begins a call.
    pub(crate) fn begins(&self, now: Instant) {
        self.0.offered.count(now);
    }

    /// A fault was seen: from now on fewer calls begin, perhaps, because they wait.
    pub(crate) fn note_fault(&self) {
        let now = Instant::now();
        let allowance = self.0.offered.allowance(now);
        lock(&self.0.crowd).remembered.note(allowance, now);
    }

    /// From now on few may go at first, and then not many more in a time than are offered.
    pub(crate) fn ramp(&self) {
        let now = Instant::now();
        let mut crowd = lock(&self.0.crowd);
        let allowance = self.0.offered.allowance(now);
        let allowance = allowance.max(crowd.remembered.at(now));
        crowd.ramp = Some(Ramp::new(allowance, now));
        self.0.is_ramped.store(true, Ordering::Release);
    }

    /// Waits until one more may go.
    pub(crate) async fn enter(&self) -> Pass {
        if !self.0.is_ramped.load(Ordering::Acquire) {
            return self.0.pass(false);
        }
        let (mut turn, mut pause) = {
            let mut crowd = lock(&self.0.crowd);
            self.0.let_go(&mut crowd);
            let before = crowd.waiting.len();
            let Some(ramp) = &mut crowd.ramp else {
                return self.0.pass(false);
            };
            if before == 0 && ramp.enter(Instant::now()) {
                return self.0.pass(true);
            }
            let pause = ramp.wait(before);
            let (sender, turn) = oneshot::channel();
            crowd.waiting.push_back(sender);
            (turn, pause)
        };
        loop {
            if let Ok(turn) = timeout(pause, &mut turn).await {
                return turn.unwrap_or_else(|_| self.0.pass(false));
            }
            // Time has gone by, which lets more go, also where nobody has answered.
            self.0.let_go(&mut lock(&self.0.crowd));
            pause = STEP;
        }
    }
}

impl Door {
    fn pass(self: &Arc<Self>, is_counted: bool) -> Pass {
        Pass {
            door: Arc::clone(self),
            is_counted,
            used: Used::Not,
        }
    }

    fn leave(self: &Arc<Self>, used: Used) {
        let mut guard = lock(&self.crowd);
        let crowd = &mut *guard;
        let Some(ramp) = &mut crowd.ramp else {
            return;
        };
        match used {
            Used::Not => ramp.give_back(),
            Used::Answered => ramp.leave(true),
            Used::Failed => ramp.leave(false),
        }
        self.let_go(crowd);
        let is_over = |ramp: &Ramp| ramp.is_over(Instant::now());
        let is_over = crowd.waiting.is_empty() && crowd.ramp.as_ref().is_some_and(is_over);
        if is_over && used == Used::Answered {
            // Nobody waits, and the endpoint answers: there is no crowd any more.
            crowd.ramp = None;
            self.is_ramped.store(false, Ordering::Release);
        }
    }

    /// Lets go who may go by now, in the order of their coming.
    fn let_go(self: &Arc<Self>, crowd: &mut Crowd) {
        let Some(ramp) = &mut crowd.ramp else {
            return;
        };
        if crowd.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        ramp.offer(self.offered.allowance(now), now);
        while !crowd.waiting.is_empty() && ramp.enter(now) {
            let Some(next) = crowd.waiting.pop_front() else {
                break;
            };
            if let Err(mut unwanted) = next.send(self.pass(true)) {
                // Its own drop would come here again.
                unwanted.is_counted = false;
                ramp.give_back();
            }
        }
    }
}

impl Pass {
    /// The endpoint has answered.
    pub(crate) fn answered(mut self) {
        self.used = Used::Answered;
    }

    /// The endpoint has failed.
    pub(crate) fn failed(mut self) {
        self.used = Used::Failed;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_counted {
            self.door.leave(self.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whoever waits has a timer.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let runtime = runtime();
        let _entered = runtime.enter();
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// One whose application has offered so much that time is no bound.
    fn busy() -> Gate {
        let gate = Gate::new();
        let now = Instant::now();
        (0..1_000_000).for_each(|_| gate.begins(now));
        gate
    }

    fn entered(gate: &Gate) -> Vec<Pass> {
        std::iter::from_fn(|| now(gate.enter()))
            .take(10_000)
            .collect()
    }

    #[test]
    fn an_open_gate_lets_everybody_go() {
        let gate = Gate::new();
        assert_eq!(entered(&gate).len(), 10_000);
    }

    #[test]
    fn a_ramped_gate_lets_more_go_with_each_answer() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let gate = busy();
        gate.ramp();
        let mut first = entered(&gate);
        let count = first.len();
        assert!(count < 100, "{count}");
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(gate.enter())).collect();
        let mut polled = |index: usize| {
            let waiting: &mut Pin<Box<_>> = &mut waiting[index];
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        };
        for index in 0..3 {
            assert!(polled(index).is_pending());
        }
        // An answer lets two go. One of them has left without taking its turn: the next has it.
        first.pop().unwrap().answered();
        drop(waiting.remove(0));
        let mut polled = |index: usize| {
            let waiting: &mut Pin<Box<_>> = &mut waiting[index];
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        };
        assert!(polled(0).is_ready());
        assert!(polled(1).is_ready());
    }

    #[test]
    fn the_gate_opens_when_nobody_waits_and_the_endpoint_answers() {
        let gate = busy();
        gate.ramp();
        now(gate.enter()).unwrap().failed();
        drop(now(gate.enter()));
        assert!(entered(&gate).len() < 100);
        now(gate.enter()).unwrap().answered();
        assert_eq!(entered(&gate).len(), 10_000);
    }

    #[test]
    fn what_was_offered_at_the_fault_counts() {
        let gate = busy();
        gate.note_fault();
        let crowd = lock(&gate.0.crowd);
        assert!(crowd.remembered.at(Instant::now()) >= 1_000_000);
    }
}
