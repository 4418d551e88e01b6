//! Waits for an exchange, and does what the watch asks for meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant as Clock;

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::call::Running;
use crate::decide::call::Course;
use crate::decide::evidence::Evidence;
use crate::decide::watch::{Bounds, Wait, Watch};
use crate::lock::lock;
use crate::resource::race::{First, race};
use crate::{Cause, Fault, Operation, Phase};

impl Inner {
    /// Waits for an exchange, which its endpoint may be left before.
    pub(super) async fn watched<T>(
        self: &Arc<Self>,
        exchange: impl Future<Output = Result<T, Fault>>,
        running: &Running,
        operation: Operation,
        deadline: Instant,
    ) -> Result<T, Fault> {
        let settings = &self.settings;
        let is_watched =
            self.rules.watches && running.role().is_some() && !settings.probe_after.is_zero();
        if !is_watched {
            return exchange.await;
        }
        let mut exchange = pin!(exchange);
        let bounds = Bounds {
            probe_after: settings.probe_after,
            write_grace: self.rules.has_write_grace.then_some(settings.write_grace),
        };
        let may_be_executed =
            || operation != Operation::Read && running.progress.phase() != Phase::NotSent;
        let mut watch = Watch::new(bounds, deadline.into_std(), Clock::now());
        let mut next = watch.begin();
        loop {
            next = match next {
                Wait::Until(at) => {
                    let timer = sleep_until(Instant::from_std(at));
                    if let First::Left(ended) = race(exchange.as_mut(), timer).await {
                        return ended;
                    }
                    let moved = running.progress.moved();
                    watch.woken(moved, &mut lock(&self.patience), Clock::now())
                }
                Wait::Report => {
                    let silence = silent(&watch);
                    let look = self.consider(running.place, Evidence::Weak, &silence, deadline);
                    let goes_elsewhere = match race(exchange.as_mut(), look).await {
                        First::Left(ended) => return ended,
                        First::Right(course) => course == Course::Elsewhere,
                    };
                    let was_found_dead = self.board().switch.was_found_dead(running.place);
                    watch.heard(
                        goes_elsewhere,
                        was_found_dead,
                        may_be_executed(),
                        Clock::now(),
                    )
                }
                Wait::LookBack => {
                    let look = self.is_alive_now(running.place.role);
                    match race(exchange.as_mut(), look).await {
                        First::Left(ended) => return ended,
                        First::Right(is_alive) => {
                            watch.looked_back(is_alive, may_be_executed(), Clock::now())
                        }
                    }
                }
                Wait::Leave => return Err(silent(&watch)),
                Wait::Grace(until) => {
                    let timer = sleep_until(Instant::from_std(until));
                    return match race(exchange, timer).await {
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

fn silent(watch: &Watch) -> Fault {
    let message = format!(
        "nothing was heard of the endpoint for {} ms, and it does not answer probes",
        watch.silence(Clock::now()).as_millis()
    );
    Fault::new(Cause::EndpointLeft, message)
}
