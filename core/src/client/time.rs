//! How long an attempt may take.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant as Clock};

use tokio::time::Instant;

use crate::resource::late::{in_time, until};
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
        future: Pin<&mut F>,
        fault: impl FnOnce(Cause, Duration, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        self.wait(future, |_| true, fault).await
    }

    /// The same for a turn, which is of no use when the time is over: where many are late, each would
    /// open a connection only to close it, and all would be later still.
    pub(super) async fn turn<F: Future>(
        self,
        future: Pin<&mut F>,
        fault: impl FnOnce(Cause, Duration, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        self.wait(future, |end| Instant::now() < end, fault).await
    }

    async fn wait<F: Future>(
        self,
        mut future: Pin<&mut F>,
        is_in_time: impl FnOnce(Instant) -> bool,
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
        match in_time(end, future).await {
            Some(output) if is_in_time(end) => Ok(output),
            _ => {
                let waited = now.elapsed();
                let limit = format!(
                    "within {what} ({} ms)",
                    end.saturating_duration_since(now).as_millis()
                );
                Err(fault(cause, waited, &limit))
            }
        }
    }
}

/// Waits until nothing has `moved` for so long. For ever without a time.
pub(super) async fn silence(most: Option<Duration>, moved: impl Fn() -> Option<Clock>) {
    let Some(most) = most else {
        return pending().await;
    };
    loop {
        let end = moved().map_or_else(Instant::now, Instant::from_std) + most;
        if end <= Instant::now() {
            return;
        }
        until(end).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;

    use super::*;

    /// Comes when it is looked at for the second time.
    fn later() -> impl Future<Output = ()> {
        let mut was_looked_at = false;
        poll_fn(move |context| {
            if std::mem::replace(&mut was_looked_at, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn a_turn_that_comes_when_the_time_is_over_is_none_and_an_answer_is_one() {
        let over = Time {
            attempt: Duration::from_secs(60),
            connect: None,
            deadline: Instant::now(),
        };
        let late = |cause, _: Duration, _: &str| Fault::new(cause, "");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let turn = over.turn(pin!(later()), late).await;
            assert_eq!(turn.unwrap_err().cause, Cause::Deadline);
            assert!(over.limit(pin!(later()), late).await.is_ok());
            // Nobody had to wait for it.
            assert!(over.turn(pin!(ready(())), late).await.is_ok());
        });
    }
}
