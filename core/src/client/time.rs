//! How long an attempt may take.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::resource::transport::Progress;
use crate::{Cause, Fault};

#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) attempt: Duration,
    /// For connecting, if the request has a time of its own for that.
    pub(super) connect: Option<Duration>,
    pub(super) deadline: Instant,
}

impl Time {
    /// Whether the call's deadline is over.
    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits at most that long. `fault` is told what it means for the endpoint that the time is
    /// over, how long it was, and which time it was.
    pub(super) async fn limit<F: Future>(
        self,
        mut future: Pin<&mut F>,
        fault: impl FnOnce(Cause, Duration, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        // What is ready at once needs no clock.
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(output) = first.await {
            return Ok(output);
        }
        let now = Instant::now();
        let attempt_end = now + self.attempt;
        let (end, cause, what) = if attempt_end <= self.deadline {
            (attempt_end, Cause::AttemptTimeout, "attempt_timeout")
        } else {
            (self.deadline, Cause::Deadline, "the call's deadline")
        };
        timeout_at(end, future).await.map_err(|_| {
            let waited = now.elapsed();
            fault(
                cause,
                waited,
                &format!("within {what} ({} ms)", waited.as_millis()),
            )
        })
    }
}

/// Waits until nothing has moved for so long on the connection, once there is one. For ever without a
/// time. While `is_held`, the application is what nothing moves for.
pub(super) async fn silence(
    progress: &Progress,
    most: Option<Duration>,
    is_held: impl Fn() -> bool,
) {
    let Some(most) = most else {
        return pending().await;
    };
    loop {
        let moved = progress.moved().filter(|_| !is_held());
        let moved = moved.map(Instant::from_std);
        let end = moved.unwrap_or_else(Instant::now) + most;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}
