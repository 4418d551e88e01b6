//! Lets calls go to an endpoint by and by after a switch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::decide::ramp::{Ramp, STEP};
use crate::lock::lock;

/// Open at first, and mostly: then it costs one look.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_ramped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ramp: Option<Ramp>,
    /// Who waits, in the order of their coming.
    waiting: VecDeque<oneshot::Sender<Pass>>,
}

/// The leave to go. Given back with what became of it.
pub(crate) struct Pass {
    gate: Arc<Shared>,
    is_counted: bool,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It says nothing of the endpoint.
    Unused,
    Answered,
    Failed,
}

impl Gate {
    /// From now on few may go, and more with each answer.
    pub(crate) fn ramp(&self) {
        lock(&self.0.state).ramp = Some(Ramp::new(Instant::now()));
        self.0.is_ramped.store(true, Ordering::Release);
    }

    /// Waits until one more may go.
    pub(crate) async fn enter(&self) -> Pass {
        if !self.0.is_ramped.load(Ordering::Acquire) {
            return self.0.pass(false);
        }
        let mut turn = {
            let mut state = lock(&self.0.state);
            let Some(ramp) = &mut state.ramp else {
                return self.0.pass(false);
            };
            if ramp.enter(Instant::now()) {
                return self.0.pass(true);
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        loop {
            if let Ok(turn) = timeout(STEP, &mut turn).await {
                return turn.unwrap_or_else(|_| self.0.pass(false));
            }
            // Time has gone by, which lets more go, also where nobody has answered.
            self.0.let_go(&mut lock(&self.0.state));
        }
    }
}

impl Shared {
    fn pass(self: &Arc<Self>, is_counted: bool) -> Pass {
        Pass {
            gate: Arc::clone(self),
            is_counted,
            outcome: Outcome::Unused,
        }
    }

    fn leave(self: &Arc<Self>, outcome: Outcome) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(ramp) = &mut state.ramp else {
            return;
        };
        match outcome {
            Outcome::Unused => ramp.give_back(),
            Outcome::Answered => ramp.leave(true),
            Outcome::Failed => ramp.leave(false),
        }
        self.let_go(state);
        if state.waiting.is_empty() && outcome == Outcome::Answered {
            // Nobody waits, and the endpoint answers: there is no crowd any more.
            state.ramp = None;
            self.is_ramped.store(false, Ordering::Release);
        }
    }
}

impl Shared {
    /// Lets go who may go by now, in the order of their coming.
    fn let_go(self: &Arc<Self>, state: &mut State) {
        let Some(ramp) = &mut state.ramp else {
            return;
        };
        let now = Instant::now();
        while !state.waiting.is_empty() && ramp.enter(now) {
            let Some(next) = state.waiting.pop_front() else {
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
        self.outcome = Outcome::Answered;
    }

    /// The endpoint has failed.
    pub(crate) fn failed(mut self) {
        self.outcome = Outcome::Failed;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_counted {
            self.gate.leave(self.outcome);
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

    fn entered(gate: &Gate) -> Vec<Pass> {
        std::iter::from_fn(|| now(gate.enter()))
            .take(10_000)
            .collect()
    }

    #[test]
    fn an_open_gate_lets_everybody_go() {
        let gate = Gate::default();
        assert_eq!(entered(&gate).len(), 10_000);
    }

    #[test]
    fn a_ramped_gate_lets_more_go_with_each_answer() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let gate = Gate::default();
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
        let gate = Gate::default();
        gate.ramp();
        now(gate.enter()).unwrap().failed();
        drop(now(gate.enter()));
        assert!(entered(&gate).len() < 100);
        now(gate.enter()).unwrap().answered();
        assert_eq!(entered(&gate).len(), 10_000);
    }
}
