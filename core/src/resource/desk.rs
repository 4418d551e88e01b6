//! What a call needs done by the application's own code: on the thread that sends, or, where nobody
//! waits for the call, on one of the client's threads for that. Never inside of the runtime, where
//! it would hold up everybody's calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, oneshot};

use super::threads::{Job, Threads};
use crate::fork;
use crate::lock::lock;

/// Where jobs are handed in.
#[derive(Clone)]
pub(crate) enum Desk {
    /// The thread that sends does them.
    Here(mpsc::UnboundedSender<Job>),
    /// The client's threads do them.
    Away(Arc<Away>),
}

/// Where the thread that sends takes them.
pub(crate) type Jobs = mpsc::UnboundedReceiver<Job>;

impl Desk {
    pub(crate) fn new() -> (Desk, Jobs) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Desk::Here(sender), jobs)
    }

    /// A desk of a call that nobody's thread sends. `is_given_up`: nobody wants the call any more.
    pub(crate) fn away(
        threads: &Arc<Threads>,
        is_given_up: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Desk {
        Desk::Away(Arc::new(Away {
            threads: Arc::clone(threads),
            is_given_up: Box::new(is_given_up),
            state: Mutex::default(),
            is_idle: Notify::new(),
        }))
    }

    /// Hands a job in. If the thread has left meanwhile, or the call has ended, nobody waits for
    /// the job either.
    pub(crate) fn post(&self, job: impl FnOnce() + Send + 'static) {
        match self {
            Desk::Here(sender) => {
                let _ = sender.send(Box::new(job));
            }
            Desk::Away(away) => away.post(Box::new(job)),
        }
    }

    /// Whether the thread that sends has left, or the call has ended.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Desk::Here(sender) => sender.is_closed(),
            Desk::Away(away) => (away.is_given_up)() || lock(&away.state).is_over,
        }
    }

    /// Has a job done and waits for what it gives. `None`: the job has panicked, or was not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        self.post(move || {
            let _ = sender.send(job());
        });
        result.await.ok()
    }

    /// Why the last job was not done, if there was no thread for it. Tells it once: a later attempt's
    /// failure is another one.
    pub(crate) fn lacked(&self) -> Option<String> {
        match self {
            Desk::Here(_) => None,
            Desk::Away(away) => lock(&away.state).lacked.take(),
        }
    }

    /// The call has ended: no further job is begun, and one under way is waited for, because the
    /// application may take away what it works on as soon as it hears of the end.
    pub(crate) async fn close(&self) {
        if let Desk::Away(away) = self {
            away.close().await;
        }
    }
}

pub(crate) struct Away {
    threads: Arc<Threads>,
    /// Asked before each job: the call itself may hear of it late, when its body is at its end.
    is_given_up: Box<dyn Fn() -> bool + Send + Sync>,
    state: Mutex<Pile>,
    is_idle: Notify,
}

#[derive(Default)]
struct Pile {
    /// Not in the threads' own queue: jobs of a call that has ended are to go at once.
    waiting: VecDeque<Job>,
    running: usize,
    is_over: bool,
    lacked: Option<String>,
}

impl Away {
    fn post(self: &Arc<Self>, job: Job) {
        {
            let mut state = lock(&self.state);
            if state.is_over {
                drop(state);
                // Dropped outside of the lock: who waits for it hears of that.
                drop(job);
                return;
            }
            state.lacked = None;
            state.waiting.push_back(job);
        }
        let away = Arc::clone(self);
        if let Err(error) = self.threads.run(move || away.work()) {
            let mut state = lock(&self.state);
            state.lacked = Some(format!("no thread for the application's code: {error}"));
            let job = state.waiting.pop_back();
            drop(state);
            drop(job);
        }
    }

    /// Does one job.
    fn work(&self) {
        let job = {
            let mut state = lock(&self.state);
            let Some(job) = state.waiting.pop_front() else {
                return;
            };
            state.running += 1;
            job
        };
        let _running = UnderWay {
            away: self,
            era: fork::era(),
        };
        if !(self.is_given_up)() {
            job();
        }
    }

    async fn close(&self) {
        let dropped = {
            let mut state = lock(&self.state);
            state.is_over = true;
            std::mem::take(&mut state.waiting)
        };
        drop(dropped);
        loop {
            let idle = self.is_idle.notified();
            if lock(&self.state).running == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A job under way, until it has ended, by a panic as well.
struct UnderWay<'a> {
    away: &'a Away,
    era: u32,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if fork::era() != self.era {
            // The job has forked, and this is the child: the locks may be held by nobody.
            return;
        }
        lock(&self.away.state).running -= 1;
        // It keeps a wish for whoever is about to wait: there is only one.
        self.away.is_idle.notify_one();
    }
}
