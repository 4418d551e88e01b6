//! A call that waits in silence: its endpoint is looked at, and left if it is dead.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};

use super::Inner;
use super::call::Running;
use crate::decide::call::Course;
use crate::decide::evidence::Evidence;
use crate::decide::watch::Watch;
use crate::resource::race::{First, race};
use crate::{Cause, Fault, Operation, Phase};

/// How often progress is looked for within the silence that is borne.
const GLANCES: u32 = 16;

impl Inner {
    /// Waits for an exchange. A slow endpoint that lives is never left; from a dead one a read goes
    /// at once, also what was not sent yet, and a write after its grace.
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
        let mut watch = Watch::new(settings.probe_after);
        let (mut seen, mut since) = (running.progress.moves(), Instant::now());
        let silence = loop {
            let glance = watch.pause() / GLANCES;
            let ended = race(exchange.as_mut(), sleep(glance)).await;
            if let First::Left(ended) = ended {
                return ended;
            }
            let moves = running.progress.moves();
            if moves != seen {
                (seen, since) = (moves, Instant::now());
                watch.has_moved();
                continue;
            }
            if since.elapsed() < watch.pause() {
                continue;
            }
            let message = format!(
                "nothing was heard of the endpoint for {} ms, and it does not answer probes",
                watch.pause().as_millis()
            );
            let silence = Fault::new(Cause::EndpointLeft, message);
            let look = self.consider(running.place, Evidence::Weak, &silence, deadline);
            let course = match race(exchange.as_mut(), look).await {
                First::Left(ended) => return ended,
                First::Right(course) => course,
            };
            if matches!(course, Course::Elsewhere) {
                let was_dead = self.board().switch.was_found_dead(running.place);
                let is_alive = race(exchange.as_mut(), self.is_alive_now(running.place.role));
                match if was_dead {
                    First::Right(false)
                } else {
                    is_alive.await
                } {
                    First::Left(ended) => return ended,
                    First::Right(false) => break silence,
                    First::Right(true) => {}
                }
            }
            since = Instant::now();
            watch.has_looked();
        };
        let may_go_at_once =
            operation == Operation::Read || running.progress.phase() == Phase::NotSent;
        if may_go_at_once || !self.rules.has_write_grace {
            return Err(silence);
        }
        let grace = Instant::now() + settings.write_grace;
        match race(exchange, sleep_until(grace.min(deadline))).await {
            First::Left(ended) => ended,
            First::Right(()) => Err(Fault::new(
                Cause::EndpointLeft,
                format!(
                    "the endpoint was left, and gave no answer within write_grace ({} ms)",
                    settings.write_grace.as_millis()
                ),
            )),
        }
    }
}
