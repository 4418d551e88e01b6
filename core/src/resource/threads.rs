//! Threads for what may block, such as the application's code: not more than so many at once. They
//! end when there was nothing to do for a while, and with their client.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::thread;
use crate::fork;
use crate::lock::lock;

/// How long a thread without work stays.
const KEPT: Duration = Duration::from_secs(10);

/// What is to be done on one of them.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Threads {
    name: &'static str,
    most: usize,
    state: Mutex<Crew>,
    changed: Condvar,
}

#[derive(Default)]
struct Crew {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Threads {
    pub(crate) fn new(name: &'static str, most: usize) -> Arc<Threads> {
        Arc::new(Threads {
            name,
            most,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Has a job done as soon as a thread is free.
    ///
    /// # Errors
    /// When there is no thread and none could be had. The job is dropped.
    pub(crate) fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.waiting.push_back(Box::new(job));
        if state.idle >= state.waiting.len() {
            self.changed.notify_one();
            return Ok(());
        }
        if state.threads == self.most {
            return Ok(());
        }
        let threads = Arc::clone(self);
        match thread::spawn(self.name, move || threads.work()) {
            Ok(()) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                let job = state.waiting.pop_back();
                drop(state);
                drop(job);
                return Err(error);
            }
            // Whoever is there does it in its turn.
            Err(_) => {}
        }
        Ok(())
    }

    /// Lets those end that have no work.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }

    fn work(&self) {
        let era = fork::era();
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                // Who waits for the job hears of its end, however it ends.
                let _ = catch_unwind(AssertUnwindSafe(job));
                if fork::era() != era {
                    // The job has forked, and this is the child: all that is here is the parent's.
                    return;
                }
                state = lock(&self.state);
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle += 1;
            let (next, waited) = self
                .changed
                .wait_timeout_while(state, KEPT, |state| {
                    state.waiting.is_empty() && !state.is_closed
                })
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn as_many_threads_as_there_is_work_and_not_more_than_the_bound() {
        let threads = Threads::new("d365-test", 3);
        let (sender, began) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        for number in 0..10 {
            let (sender, gone) = (sender.clone(), Arc::clone(&gone));
            threads
                .run(move || {
                    sender.send(number).unwrap();
                    let _ = lock(&gone).recv();
                })
                .unwrap();
        }
        for _ in 0..3 {
            began.recv_timeout(LONG).unwrap();
        }
        assert_eq!(lock(&threads.state).threads, 3);
        assert_eq!(lock(&threads.state).waiting.len(), 7);
        drop(go);
        for _ in 3..10 {
            began.recv_timeout(LONG).unwrap();
        }
        threads.close();
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_along() {
        let threads = Threads::new("d365-test", 1);
        let (sender, done) = mpsc::channel();
        threads.run(|| panic!("on purpose")).unwrap();
        threads.run(move || sender.send(()).unwrap()).unwrap();
        done.recv_timeout(LONG).unwrap();
        assert_eq!(lock(&threads.state).threads, 1);
        threads.close();
    }
}
