//! What runs a client's futures.
//!
//! One tokio runtime of a single thread, with the reactor that all of the client's sockets are
//! registered with. A blocking call drives it on the caller's own thread: no hop between threads
//! on the way to the socket and back. If several callers block, tokio lets one of them drive for
//! all, and hands over when it leaves. Work that no caller waits for (submitted calls, a switch,
//! the WSDL) is driven by a thread of the library's own, which exists once there was such work
//! and steps aside while callers come one after the other: two threads that take turns cost two
//! futex calls each. So a connection never depends on the caller that opened it.

use std::future::Future;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use super::begun::{self, Work};
use super::race::race;
use super::thread;

/// How long the driver thread that has stepped aside waits for a further blocking call before it
/// takes over again. So late may submitted work be, once, after a burst of blocking calls.
const TICK: Duration = Duration::from_millis(1);
/// The same while one long blocking call goes on.
const LONGEST_TICK: Duration = Duration::from_millis(16);
/// One blocking call in so many that find the driver thread driving asks it to leave: for a single
/// call, taking turns costs more than it saves.
const PATIENCE: u32 = 8;
/// How many turns the runtime is given to carry out what a chore has begun.
const TURNS: usize = 8;
/// So long the driver thread stays in the runtime when its work is done, where nobody blocks: calls that are submitted
/// one after the other find it there. And so often it looks up, which is before a call's first timer: one that is
/// earlier than what a thread sleeps for has to wake it.
const BEAT: Duration = Duration::from_millis(250);
/// Of the thread that has nothing to do: as good as for ever, and no timer overflows.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Something to be done at times. Tells when to come again.
type Chore = dyn Fn(Instant) -> Option<Instant> + Send + Sync;

pub(crate) struct Engine {
    runtime: Option<Runtime>,
    state: Mutex<State>,
    changed: Condvar,
    /// Tells the driver thread inside of the runtime that it may leave.
    leave: Notify,
    chore: OnceLock<Box<Chore>>,
}

#[derive(Default)]
struct State {
    /// Tasks that no caller waits for: those that are alive, and all that ever were.
    tasks: usize,
    begun: u32,
    /// Callers that block in the runtime.
    callers: usize,
    /// Blocking calls ever begun, and those of them that found the driver thread driving.
    calls: u32,
    calls_while_driven: u32,
    /// The driver thread is asked to leave the runtime to the callers.
    is_asked_to_leave: bool,
    has_thread: bool,
    is_driving: bool,
    /// The driver thread stays a while when there is no task left.
    lingers: bool,
    is_closed: bool,
    /// When the chore is to be done.
    due: Option<Instant>,
}

impl State {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}

impl Engine {
    pub(crate) fn new() -> io::Result<Arc<Engine>> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Arc::new(Engine {
            runtime: Some(runtime),
            state: Mutex::default(),
            changed: Condvar::new(),
            leave: Notify::new(),
            chore: OnceLock::new(),
        }))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("the runtime is only taken in drop")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a future on this thread until it is ready.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _caller = Caller::enter(self);
        self.runtime().block_on(future)
    }

    /// Looks at a future on this thread as inside of the runtime, whoever drives that. What it waits for
    /// comes while somebody does.
    pub(crate) fn beside<T>(&self, look: impl FnOnce() -> T) -> T {
        let _inside = self.runtime().enter();
        look()
    }

    /// Runs a future that no caller waits for.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let task = self.reserve()?;
        self.run(task, Box::pin(future));
        Ok(())
    }

    /// Makes sure that a task will be driven. What can fail of spawning fails here.
    pub(crate) fn reserve(self: &Arc<Self>) -> io::Result<Task> {
        let mut state = self.state();
        self.have_thread(&mut state)?;
        state.tasks += 1;
        state.begun = state.begun.wrapping_add(1);
        if !state.is_driving {
            if state.tasks == 1 {
                self.changed.notify_one();
            }
        } else if !state.lingers && state.callers == 0 && !state.is_closed {
            state.lingers = true;
            self.leave.notify_one();
        }
        Ok(Task(Arc::downgrade(self)))
    }

    fn have_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if !state.has_thread {
            let engine = Arc::clone(self);
            thread::spawn("d365-failover", move || engine.drive())?;
            state.has_thread = true;
        }
        Ok(())
    }

    /// What is done when it is due. Set once.
    pub(crate) fn when_due(
        &self,
        chore: impl Fn(Instant) -> Option<Instant> + Send + Sync + 'static,
    ) {
        let _ = self.chore.set(Box::new(chore));
    }

    /// Has the chore done at a time, although nobody calls.
    pub(crate) fn due_at(self: &Arc<Self>, at: Instant) {
        let mut state = self.state();
        if state.is_closed || state.due.is_some_and(|due| due <= at) {
            return;
        }
        state.due = Some(at);
        // Without a thread it is done with the next call.
        let _ = self.have_thread(&mut state);
        self.leave.notify_one();
        self.changed.notify_all();
    }

    fn do_chore<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.due = None;
        drop(state);
        let next = self.chore.get().and_then(|chore| chore(Instant::now()));
        // A shared connection is closed by its own task.
        self.runtime().block_on(async {
            for _ in 0..TURNS {
                yield_now().await;
            }
        });
        let mut state = self.state();
        state.due = match (state.due, next) {
            (Some(due), Some(next)) => Some(due.min(next)),
            (due, next) => due.or(next),
        };
        state
    }

    /// Runs a future as the task that was reserved, and begins with it on this thread. It takes as much stack as
    /// [`block_on`](Engine::block_on).
    pub(crate) fn begin(self: &Arc<Self>, task: Task, future: Work) {
        // Not kept alive by what waits in it.
        let engine = Arc::downgrade(self);
        let goes_on = move |task, future| match engine.upgrade() {
            Some(engine) => engine.run(task, future),
            None => drop((future, task)),
        };
        self.beside(|| begun::begin(task, future, goes_on));
    }

    /// Runs a future as the task that was reserved.
    pub(crate) fn run(&self, task: Task, future: Work) {
        self.runtime().spawn(async move {
            let _task = task;
            future.await;
        });
    }

    /// Runs a function that may block, on a thread of its own. Not by tokio's pool, which panics
    /// when no thread can be had; and not by a bounded one, where a resolver that hangs would take
    /// a place from the others.
    pub(crate) fn spawn_blocking(function: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::spawn("d365-blocking", function)
    }

    /// Lets the driver thread end when its work is done.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.lingers = false;
        drop(state);
        self.leave.notify_one();
        self.changed.notify_all();
    }

    fn drive(&self) {
        let mut state = self.state();
        loop {
            if state.is_due() {
                state = self.do_chore(state);
                continue;
            }
            if state.tasks == 0 {
                if state.is_closed {
                    // A task that comes after this starts another thread.
                    state.has_thread = false;
                    return;
                }
                let pause = state.due.map_or(LONGEST_PAUSE, |due| {
                    due.saturating_duration_since(Instant::now())
                });
                state = self
                    .changed
                    .wait_timeout(state, pause)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            state.is_driving = true;
            state.is_asked_to_leave = false;
            state.lingers = state.callers == 0 && !state.is_closed;
            drop(state);
            self.runtime().block_on(self.until_told_to_leave());
            state = self.state();
            state.is_driving = false;
            if state.is_asked_to_leave {
                state = self.stand_aside(state);
            }
        }
    }

    async fn until_told_to_leave(&self) {
        let mut beat: Option<(Instant, u32)> = None;
        loop {
            let leave = self.leave.notified();
            let next = {
                let mut state = self.state();
                let now = Instant::now();
                beat = match beat {
                    _ if !state.lingers => None,
                    Some((end, _)) if now < end => beat,
                    Some((_, seen)) if seen == state.begun => None,
                    _ => Some((now + BEAT, state.begun)),
                };
                state.lingers = beat.is_some();
                let is_done = state.tasks == 0 && !state.lingers;
                if is_done || state.is_asked_to_leave || state.is_due() {
                    return;
                }
                let end = beat.map(|(end, _)| end);
                state.due.into_iter().chain(end).min()
            };
            match next {
                None => leave.await,
                Some(next) => {
                    race(leave, sleep_until(next.into())).await;
                }
            }
        }
    }

    /// Waits until no blocking call was there for a tick. While one and the same call goes on
    /// the looks become rare: it drives.
    fn stand_aside<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let mut tick = TICK;
        loop {
            let seen = state.calls;
            state = self
                .changed
                .wait_timeout(state, tick)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let is_quiet = state.callers == 0 && state.calls == seen;
            if state.tasks == 0 || is_quiet || state.is_due() {
                return state;
            }
            tick = if state.calls == seen {
                (tick * 2).min(LONGEST_TICK)
            } else {
                TICK
            };
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The plain drop would wait for blocking functions, and panics inside of any runtime.
            runtime.shutdown_background();
        }
    }
}

struct Caller<'a>(&'a Engine);

impl Caller<'_> {
    fn enter(engine: &Engine) -> Caller<'_> {
        let mut state = engine.state();
        state.callers += 1;
        state.calls = state.calls.wrapping_add(1);
        if state.is_driving {
            state.calls_while_driven = state.calls_while_driven.wrapping_add(1);
            state.lingers = false;
            if state.tasks == 0 || state.calls_while_driven.is_multiple_of(PATIENCE) {
                state.is_asked_to_leave = true;
                engine.leave.notify_one();
            }
        }
        Caller(engine)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.state().callers -= 1;
    }
}

/// Counts a task as long as it is alive. Weak, so that a runtime that is dropped with tasks in it
/// can drop them.
pub(crate) struct Task(Weak<Engine>);

impl Drop for Task {
    fn drop(&mut self) {
        let Some(engine) = self.0.upgrade() else {
            return;
        };
        let mut state = engine.state();
        state.tasks -= 1;
        if state.tasks == 0 && !state.lingers {
            engine.leave.notify_one();
            engine.changed.notify_all();
        }
        drop(state);
        // The driver thread and every caller hold the engine while they run it, so this upgraded
        // reference is never the last one inside of the runtime.
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_task_runs_while_nobody_blocks() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        engine
            .spawn(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                sender.send(()).unwrap();
            })
            .unwrap();
        receiver.recv_timeout(LONG).unwrap();
        engine.close();
    }

    #[test]
    fn a_task_goes_on_after_the_caller_that_drove_it_has_left() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let gate = Arc::new(Notify::new());
        let opened = Arc::clone(&gate);
        engine.block_on(async {
            engine
                .spawn(async move {
                    opened.notified().await;
                    sender.send(()).unwrap();
                })
                .unwrap();
            tokio::task::yield_now().await;
        });
        gate.notify_one();
        receiver.recv_timeout(LONG).unwrap();
        engine.close();
    }

    #[test]
    fn callers_and_tasks_at_once_all_end() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (engine, sender) = (Arc::clone(&engine), sender.clone());
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let sender = sender.clone();
                        engine
                            .spawn(async move {
                                tokio::task::yield_now().await;
                                sender.send(()).unwrap();
                            })
                            .unwrap();
                        engine.block_on(tokio::task::yield_now());
                    }
                })
            })
            .collect();
        for _ in 0..8 * 200 {
            receiver.recv_timeout(LONG).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        engine.close();
    }

    /// What one thread has begun to wait for others go on waiting for, when that thread is gone:
    /// nothing that the system owes the runtime is bound to who asked for it.
    #[test]
    fn what_a_thread_that_has_ended_waited_for_still_comes() {
        const SOCKETS: usize = 16;
        const ROUNDS: usize = 50;
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let near: Vec<_> = (0..SOCKETS)
            .map(|_| {
                let (engine, sender) = (Arc::clone(&engine), sender.clone());
                std::thread::spawn(move || {
                    let near = engine.block_on(async {
                        let near = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
                        let quiet = near.readable();
                        race(quiet, tokio::time::sleep(Duration::ZERO)).await;
                        near
                    });
                    sender.send(near.local_addr().unwrap()).unwrap();
                    Arc::new(near)
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses: Vec<_> = receiver.try_iter().collect();
        let (sender, receiver) = mpsc::channel();
        for _ in 0..ROUNDS {
            for near in &near {
                let (engine, sender) = (Arc::clone(&engine), sender.clone());
                let near = Arc::clone(near);
                std::thread::spawn(move || {
                    let got = engine.block_on(near.recv(&mut [0])).unwrap();
                    sender.send(got).unwrap();
                });
            }
            for address in &addresses {
                far.send_to(&[1], address).unwrap();
            }
            for _ in 0..SOCKETS {
                assert_eq!(receiver.recv_timeout(LONG), Ok(1));
            }
        }
        engine.close();
    }

    #[test]
    fn dropping_an_engine_with_a_task_in_it_drops_the_task() {
        let engine = Engine::new().unwrap();
        let alive = Arc::new(());
        let inside = Arc::clone(&alive);
        let (sender, receiver) = mpsc::channel::<()>();
        // Never driven: the task is only queued, and the driver thread is kept from it.
        engine.state().has_thread = true;
        engine
            .spawn(async move {
                let _inside = inside;
                let _sender = sender;
                std::future::pending::<()>().await;
            })
            .unwrap();
        drop(engine);
        assert!(receiver.recv_timeout(LONG).is_err());
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
