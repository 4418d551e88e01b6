//! Lets calls go to an endpoint by and by after a switch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::decide::offered::{Offered, Remembered};
use crate::decide::ramp::{Became, Ramp, STEP};
use crate::lock::lock;

/// Whoever waits looks at least so often: what is offered may have changed.
const LOOK: Duration = Duration::from_secs(1);

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
    /// How many ramps there were.
    ramps: u64,
    /// Who waits, in the order of their coming.
    waiting: VecDeque<oneshot::Sender<Leave>>,
    /// How many wait no more who have.
    gone: u64,
}

/// The leave to go, not taken yet.
pub(crate) struct Leave(Option<Counted>);

/// It was taken. Given back with what became of it.
pub(crate) struct Pass {
    counted: Option<Counted>,
    /// When it was taken.
    pub(crate) left: Instant,
}

struct Counted {
    door: Arc<Door>,
    /// The number of the ramp that it counts for: a later one is another endpoint's, or another crowd's.
    ramp: u64,
    became: Became,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate::opened(Instant::now())
    }

    fn opened(at: Instant) -> Gate {
        Gate(Arc::new(Door {
            offered: Offered::new(at),
            is_ramped: AtomicBool::new(false),
            crowd: Mutex::default(),
        }))
    }

    /// A call goes to an endpoint that the application has begun then.
    pub(crate) fn begins(&self, begun: Instant) {
        self.0.offered.count(begun);
    }

    /// How many calls a second are offered.
    #[cfg(test)]
    pub(crate) fn offered(&self) -> f64 {
        self.0.offered.allowance(Instant::now())
    }

    /// A fault was seen, and is looked into: from now on fewer calls begin, perhaps, because they wait.
    pub(crate) fn fault_begins(&self) {
        let now = Instant::now();
        let allowance = self.0.offered.allowance(now);
        lock(&self.0.crowd).remembered.begins(allowance, now);
    }

    /// What came of a fault is over.
    pub(crate) fn fault_ends(&self) {
        lock(&self.0.crowd).remembered.ends(Instant::now());
    }

    /// From now on few may go at first, and then not many more in a time than are offered. `chance` is
    /// from 0 to 1.
    pub(crate) fn ramp(&self, chance: f64) {
        let gathered = lock(&self.0.crowd).remembered.lasted(Instant::now());
        self.ramp_after(gathered, chance);
    }

    /// The same of those who have gathered in so long.
    pub(crate) fn ramp_after(&self, gathered: Duration, chance: f64) {
        let now = Instant::now();
        let mut guard = lock(&self.0.crowd);
        let crowd = &mut *guard;
        let load = self.0.offered.load(now);
        let allowance = load.allowance.max(crowd.remembered.at(now));
        let mut ramp = Ramp::new(allowance, gathered, chance, now);
        ramp.offer(load, now);
        crowd.ramp = Some(ramp);
        crowd.ramps += 1;
        self.0.is_ramped.store(true, Ordering::Release);
        // Who waits from an earlier ramp: those who went in it let nobody go in this one.
        self.0.let_go(crowd);
    }

    /// Waits until one more may go, of a call that has begun then and has not been sent, or of an earlier
    /// one.
    pub(crate) async fn enter(&self, begun: Option<Instant>) -> Leave {
        if !self.0.is_ramped.load(Ordering::Acquire) {
            return Leave(None);
        }
        let (mut turn, number, mut pause) = {
            let mut guard = lock(&self.0.crowd);
            let crowd = &mut *guard;
            let Some(ramp) = &mut crowd.ramp else {
                return Leave(None);
            };
            let now = Instant::now();
            let before = crowd.waiting.len();
            if before == 0 && ramp.enter(begun, now) {
                return self.0.leave(crowd.ramps);
            }
            let (sender, turn) = oneshot::channel();
            crowd.waiting.push_back(sender);
            ramp.gather(before + 1, begun, now);
            let number = crowd.gone + before as u64;
            // Time has gone by, and whoever has come has brought a leave with him.
            self.0.let_go(crowd);
            (turn, number, crowd.pause(number))
        };
        loop {
            if let Ok(turn) = timeout(pause, &mut turn).await {
                return turn.unwrap_or(Leave(None));
            }
            // Time has gone by, which lets more go, also where nobody has answered.
            let mut crowd = lock(&self.0.crowd);
            self.0.let_go(&mut crowd);
            pause = crowd.pause(number);
        }
    }
}

impl Crowd {
    /// How long whoever has come as this one waits before it looks again.
    fn pause(&self, number: u64) -> Duration {
        let before = number.saturating_sub(self.gone) as usize;
        match self.ramp.as_ref().map(|ramp| ramp.wait(before)) {
            // It is room that is lacking, and not time.
            None | Some(Duration::ZERO) => STEP,
            Some(wait) => wait.min(LOOK),
        }
    }
}

impl Door {
    fn leave(self: &Arc<Self>, ramp: u64) -> Leave {
        Leave(Some(Counted {
            door: Arc::clone(self),
            ramp,
            became: Became::Unsent,
        }))
    }

    fn returned(self: &Arc<Self>, number: u64, became: Became) {
        let mut guard = lock(&self.crowd);
        let crowd = &mut *guard;
        let Some(ramp) = crowd.ramp.as_mut().filter(|_| crowd.ramps == number) else {
            return;
        };
        ramp.leave(became);
        self.let_go(crowd);
        let is_over = |ramp: &Ramp| ramp.is_over(Instant::now());
        let is_over = crowd.waiting.is_empty() && crowd.ramp.as_ref().is_some_and(is_over);
        if is_over && became == Became::Answered {
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
        ramp.offer(self.offered.load(now), now);
        while !crowd.waiting.is_empty() && ramp.enter(None, now) {
            let Some(next) = crowd.waiting.pop_front() else {
                break;
            };
            crowd.gone += 1;
            if let Err(unwanted) = next.send(self.leave(crowd.ramps)) {
                // Its own drop would come here again.
                unwanted.forget();
                ramp.leave(Became::Unsent);
            }
        }
    }
}

impl Leave {
    /// It is taken now. What is dropped without an end has left all the same.
    pub(crate) fn take(self) -> Pass {
        let mut counted = self.0;
        if let Some(counted) = &mut counted {
            counted.became = Became::Untold;
        }
        Pass {
            counted,
            left: Instant::now(),
        }
    }

    fn forget(self) {
        if let Some(mut counted) = self.0 {
            counted.ramp = 0;
        }
    }
}

impl Pass {
    pub(crate) fn ended(mut self, became: Became) {
        if let Some(counted) = &mut self.counted {
            counted.became = became;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.ramp > 0 {
            self.door.returned(self.ramp, self.became);
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

    /// One whose application has offered so much that time is no bound, and offers nothing now.
    fn busy() -> Gate {
        let before = Instant::now() - LOOK * 3;
        let gate = Gate::opened(before);
        (0..1_000_000).for_each(|_| gate.begins(before + LOOK));
        gate
    }

    fn entered(gate: &Gate) -> Vec<Leave> {
        std::iter::from_fn(|| now(gate.enter(None)))
            .take(10_000)
            .collect()
    }

    #[test]
    fn an_open_gate_lets_everybody_go() {
        let gate = Gate::new();
        assert_eq!(entered(&gate).len(), 10_000);
    }

    #[test]
    fn a_ramped_gate_lets_go_who_begins_when_nobody_waits() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let gate = Gate::new();
        gate.ramp(0.0);
        let alone = |gate: &Gate| now(gate.enter(Some(Instant::now())));
        for _ in 0..100 {
            alone(&gate).unwrap().take().ended(Became::Answered);
        }
        gate.ramp(0.0);
        let mut context = Context::from_waker(Waker::noop());
        let mut crowd: Vec<_> = (0..20).map(|_| Box::pin(gate.enter(None))).collect();
        let crowd = crowd
            .iter_mut()
            .map(|turn| turn.as_mut().poll(&mut context));
        let crowd: Vec<_> = crowd.collect();
        assert!(crowd.iter().any(Poll::is_pending));
        assert!(alone(&gate).is_none(), "behind those who wait");
    }

    #[test]
    fn who_comes_lets_the_first_go_who_waits() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let gate = Gate::new();
        // Who waits has gathered in days.
        gate.ramp_after(Duration::from_secs(1_000_000), 0.0);
        let _first = now(gate.enter(None)).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(gate.enter(None));
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut next = pin!(gate.enter(Some(Instant::now())));
        assert!(next.as_mut().poll(&mut context).is_pending());
        let gone = first.as_mut().poll(&mut context);
        assert!(gone.is_ready());
        assert!(next.as_mut().poll(&mut context).is_pending());
    }

    #[test]
    fn a_ramped_gate_lets_more_go_with_each_answer() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let gate = busy();
        gate.ramp(0.0);
        let mut first = entered(&gate);
        let count = first.len();
        assert!(count < 100, "{count}");
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(gate.enter(None))).collect();
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
        first.pop().unwrap().take().ended(Became::Answered);
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
        gate.ramp(0.0);
        now(gate.enter(None)).unwrap().take().ended(Became::Failed);
        drop(now(gate.enter(None)));
        assert!(entered(&gate).len() < 100);
        now(gate.enter(None))
            .unwrap()
            .take()
            .ended(Became::Answered);
        assert_eq!(entered(&gate).len(), 10_000);
    }

    #[test]
    fn what_has_left_gives_no_turn_back_and_what_has_not_does() {
        type End = fn(Leave);
        let ends: [(End, bool); 5] = [
            (drop, true),
            (|leave| drop(leave.take()), false),
            (|leave| leave.take().ended(Became::Untold), false),
            (|leave| leave.take().ended(Became::Failed), false),
            (|leave| leave.take().ended(Became::Answered), false),
        ];
        for (number, (end, gives_back)) in ends.into_iter().enumerate() {
            // Nothing was offered, and who waits has gathered in days: one goes.
            let gate = Gate::new();
            gate.ramp_after(Duration::from_secs(1_000_000), 0.0);
            let first = entered(&gate);
            assert_eq!(first.len(), 1);
            // The gate stays as it is while somebody waits.
            let mut waiting = Box::pin(gate.enter(None));
            let runtime = runtime();
            let _entered = runtime.enter();
            let polled = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            first.into_iter().for_each(end);
            drop((polled, waiting));
            let more = entered(&gate).len();
            assert_eq!(more, usize::from(gives_back), "row {number}");
        }
    }

    #[test]
    fn the_end_of_what_an_earlier_ramp_let_go_does_not_touch_a_later_one() {
        for became in [Became::Untold, Became::Answered, Became::Failed] {
            let gate = busy();
            gate.ramp(0.0);
            let first = entered(&gate);
            gate.ramp(0.0);
            let _second = now(gate.enter(None)).unwrap();
            let ramp = || format!("{:?}", lock(&gate.0.crowd).ramp);
            let before = ramp();
            for leave in first {
                leave.take().ended(became);
            }
            assert_eq!(ramp(), before, "{became:?}");
            drop(now(gate.enter(None)).unwrap());
            assert_ne!(ramp(), before);
        }
    }

    #[test]
    fn what_was_offered_at_the_fault_counts() {
        let gate = busy();
        gate.fault_begins();
        let crowd = lock(&gate.0.crowd);
        assert!(crowd.remembered.at(Instant::now()) >= 1e6);
    }
}
