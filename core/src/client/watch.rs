//! Waits for an exchange, and does what the watch asks for meanwhile.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant as Clock;

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::attempt::Running;
use crate::decide::call::Course;
use crate::decide::evidence::Evidence;
use crate::decide::look::Stay;
use crate::decide::watch::{Bounds, Wait, Watch};
use crate::lock::lock;
use crate::resource::late;
use crate::resource::race::{First, race};
use crate::{Cause, Fault, Phase};

impl Inner {
    /// Waits for an exchange, which its endpoint may be left before. It is kilobytes, and stays where its caller has it.
    pub(super) async fn watched<T>(
        self: &Arc<Self>,
        mut exchange: Pin<&mut impl Future<Output = Result<T, Fault>>>,
        running: &Running,
        has_grace: impl Fn(Phase) -> bool,
        deadline: Instant,
    ) -> Result<T, Fault> {
        let settings = &self.settings;
        if !self.watches(running) {
            return exchange.await;
        }
        let mut left = pin!(self.moved.notified());
        let bounds = Bounds {
            probe_after: settings.probe_after,
            write_grace: self.rules.has_write_grace.then_some(settings.write_grace),
        };
        let has_grace = || has_grace(running.progress.phase());
        let mut watch = Watch::new(bounds, deadline.into_std(), running.since.into_std());
        let mut next = watch.begin();
        loop {
            next = match next {
                Wait::Until(at) => {
                    let mut timer = pin!(sleep_until(Instant::from_std(at)));
                    // Many may wait for their turn, and none of them meets a silence before it has left.
                    let due = poll_fn(|context| match running.pass.get() {
                        None => Poll::Pending,
                        Some(_) => timer.as_mut().poll(context),
                    });
                    match race(exchange.as_mut(), race(due, left.as_mut())).await {
                        First::Left(ended) => return ended,
                        First::Right(First::Left(())) => {
                            let (now, moved) = (Clock::now(), moved(running));
                            watch.woken(moved, &mut lock(&self.patience), now)
                        }
                        First::Right(First::Right(())) => {
                            left.set(self.moved.notified());
                            if running.pass.get().is_some() {
                                watch.left(at)
                            } else if let Some(fault) = self.is_left_behind(running) {
                                return Err(fault);
                            } else {
                                Wait::Until(at)
                            }
                        }
                    }
                }
                Wait::Report => {
                    let silence = silent(&watch);
                    let look = self.consider(running.place, Evidence::Silence, &silence, deadline);
                    let goes_elsewhere = match race(exchange.as_mut(), look).await {
                        First::Left(ended) => return ended,
                        First::Right(course) => {
                            // Whoever begins now need not wait where this one waits.
                            let answers = matches!(
                                course,
                                Course::Here(Stay::Alive | Stay::Alone | Stay::AloneUnasked)
                            );
                            if answers && running.progress.doubt() {
                                let since = running.since.into_std();
                                self.transport.suspect(&running.address, since);
                            }
                            course == Course::Elsewhere
                        }
                    };
                    let was_found_dead = self.board().switch.was_found_dead(running.place);
                    watch.heard(goes_elsewhere, was_found_dead, has_grace(), Clock::now())
                }
                Wait::LookBack => {
                    let look = self.is_alive_now(running.place.role);
                    match race(exchange.as_mut(), look).await {
                        First::Left(ended) => return ended,
                        First::Right(is_alive) => {
                            watch.looked_back(is_alive, has_grace(), Clock::now())
                        }
                    }
                }
                Wait::Leave => return Err(silent(&watch)),
                Wait::Grace(until) => {
                    let timer = late::until(Instant::from_std(until));
                    return match race(exchange.as_mut(), timer).await {
                        First::Left(ended) => ended,
                        First::Right(()) => Err(Fault::new(
                            Cause::EndpointLeft,
                            format!(
                                "the endpoint was left, and gave no answer within write_grace ({} ms)",
                                settings.write_grace.as_millis()
                            ),
                        )),
                    };
                }
            };
        }
    }
}

impl Inner {
    /// Whether an attempt that has left is looked at, first within `probe_after` of its begin.
    pub(super) fn watches(&self, running: &Running) -> bool {
        let is_timed = !self.settings.probe_after.is_zero();
        self.rules.watches && running.role().is_some() && is_timed
    }
}

/// When something was sent or has come last. What waits for a token, for its turn after a switch or
/// for a free connection has met no silence yet.
fn moved(running: &Running) -> Option<Clock> {
    let left = running.pass.get()?.left;
    Some(running.moved().map_or(left, |moved| moved.max(left)))
}

fn silent(watch: &Watch) -> Fault {
    let message = format!(
        "nothing was heard of the endpoint for {} ms, and it does not answer probes",
        watch.silence(Clock::now()).as_millis()
    );
    Fault::new(Cause::EndpointLeft, message)
}
