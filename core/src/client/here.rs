//! A call on the thread that sends it, which leaves the runtime for what may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::Inner;
use super::sending::CHECK_INTERVAL;
use crate::resource::bell::Bell;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::listener::Waiting;
use crate::resource::race::{First, race};
use crate::resource::threads::Job;
use crate::{Error, Request, Response};

/// So long a call may go without the runtime, which looks at no timer meanwhile.
const LONGEST_BESIDE: Duration = Duration::from_millis(1);

/// What the thread leaves the call for.
enum Stop {
    Job(Job),
    Tick,
}

impl Inner {
    /// What is kept of a call when the application's code has run. Where that has forked, and this is the child, the
    /// call is the parent's: driving it here, or only dropping it, would take the answer away from there.
    fn kept_unless_forked<T>(&self, kept: T, desk: Option<&Desk>) -> Result<T, Error> {
        match self.check_is_own_process() {
            Ok(()) => Ok(kept),
            Err(forked) => {
                std::mem::forget((kept, desk.cloned()));
                Err(forked.of_another())
            }
        }
    }

    /// The whole of a call on this thread, which leaves the runtime for `check` only.
    pub(super) fn run_checked(
        self: &Arc<Self>,
        request: &Request,
        cancel: &Cancel,
        mut waiting: Option<Waiting<'_>>,
        check: &mut dyn FnMut() -> bool,
    ) -> Result<Response, Error> {
        // On the heap, where the child of a fork can leave it; and made there: it is kilobytes.
        let place = Box::new_uninit();
        let mut call = Box::into_pin(Box::write(place, self.call(request, None, cancel)));
        loop {
            // Its timer is made inside of the runtime.
            let tick = async { sleep(CHECK_INTERVAL).await };
            let first = pin!(race(call.as_mut(), tick));
            if let First::Left(result) = self.engine.block_on(first) {
                return result;
            }
            let is_over = check();
            (call, waiting) = self.kept_unless_forked((call, waiting), None)?;
            if is_over {
                cancel.cancel();
            }
        }
    }

    /// The whole of a call on this thread, which leaves the runtime for the application's code and for
    /// the store: that may block, and may come back. It goes into the runtime only to wait: who goes in
    /// and out hands the driving over to another thread, and takes it back.
    pub(super) fn run_here(
        self: &Arc<Self>,
        request: &Request,
        cancel: &Cancel,
        mut waiting: Option<Waiting<'_>>,
        mut check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        let (desk, mut jobs) = Desk::new();
        let bell = Bell::new();
        // Made where it stays: it is large, and a box that is made after it is a copy of it.
        let mut call = Box::into_pin(Box::write(
            Box::new_uninit(),
            self.call(request, Some(&desk), cancel),
        ));
        let mut next_check = check.is_some().then(|| Instant::now() + CHECK_INTERVAL);
        let mut inside = Instant::now();
        loop {
            let is_late = inside.elapsed() > LONGEST_BESIDE;
            let tick = async {
                match next_check {
                    Some(next_check) => sleep_until(next_check).await,
                    None => std::future::pending().await,
                }
            };
            let stop = async {
                // The runtime looks at its timers only when nothing is ready: jobs that follow
                // each other at once would keep the call's deadline from it.
                if is_late {
                    yield_now().await;
                }
                match race(jobs.recv(), tick).await {
                    First::Left(Some(job)) => Stop::Job(job),
                    First::Left(None) | First::Right(()) => Stop::Tick,
                }
            };
            let first = {
                let mut first = pin!(race(call.as_mut(), stop));
                let looked = match is_late {
                    true => Poll::Pending,
                    false => self.engine.beside(|| bell.look(first.as_mut())),
                };
                match looked {
                    Poll::Ready(first) => first,
                    Poll::Pending => {
                        let first = self.engine.block_on(bell.wait(first));
                        inside = Instant::now();
                        first
                    }
                }
            };
            let stop = match first {
                First::Left(result) => return result,
                First::Right(stop) => stop,
            };
            if let Stop::Job(job) = stop {
                // Who waits for the job hears of its end, however it ends.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
            let mut is_over = false;
            if next_check.is_some_and(|next_check| Instant::now() >= next_check) {
                is_over = check.as_mut().is_some_and(|check| check());
                next_check = Some(Instant::now() + CHECK_INTERVAL);
            }
            (call, waiting) = self.kept_unless_forked((call, waiting), Some(&desk))?;
            if is_over {
                cancel.cancel();
            }
        }
    }
}
