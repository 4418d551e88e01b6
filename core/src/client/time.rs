//! How long an attempt may take.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant as Clock};

use tokio::time::Instant;

use crate::resource::late::{in_time_since, until};
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
        self.wait(future, |_| false, |_| true, fault).await
    }

    /// The same for what is looked at again by that time in any case: until then it has no timer.
    pub(super) async fn limit_looked_at<F: Future>(
        self,
        look: Option<Instant>,
        future: Pin<&mut F>,
        fault: impl FnOnce(Cause, Duration, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        let is_before = |end| look.is_some_and(|look| look < end);
        self.wait(future, is_before, |_| true, fault).await
    }

    /// The same for a turn, which is of no use when the time is over: where many are late, each would
    /// open a connection only to close it, and all would be later still.
    pub(super) async fn turn<F: Future>(
        self,
        future: Pin<&mut F>,
        fault: impl FnOnce(Cause, Duration, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        self.wait(future, |_| false, |end| Instant::now() < end, fault)
            .await
    }

    async fn wait<F: Future>(
        self,
        mut future: Pin<&mut F>,
        is_looked_at_before: impl FnOnce(Instant) -> bool,
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
        if is_looked_at_before(end) {
            once().await;
        }
        match in_time_since(now, end, future).await {
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

/// Comes when the task is looked at again, whatever has woken it.
async fn once() {
    let mut was_looked_at = false;
    poll_fn(|_| match std::mem::replace(&mut was_looked_at, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
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
    use crate::resource::race::{First, race};

    /// What is looked at again has its end then, and not before.
    #[test]
    fn a_time_without_a_timer_is_over_at_the_next_look() {
        let over = Time {
            attempt: Duration::from_secs(60),
            connect: None,
            deadline: Instant::now() + Duration::from_millis(1),
        };
        let late = |cause, _: Duration, _: &str| Fault::new(cause, "");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let ended = |look: Option<Instant>, looks_after: Duration| {
            runtime.block_on(async {
                let limited = pin!(pending::<()>());
                let limited = over.limit_looked_at(look, limited, late);
                let looks = tokio::time::sleep(looks_after);
                match race(pin!(limited), pin!(looks)).await {
                    First::Left(ended) => Some(ended.unwrap_err().cause),
                    First::Right(()) => None,
                }
            })
        };
        // A look that comes after the end is none to wait for.
        let far = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(ended(far, Duration::from_secs(3600)), Some(Cause::Deadline));
        assert_eq!(
            ended(None, Duration::from_secs(3600)),
            Some(Cause::Deadline)
        );
        // With one before, the timer comes with it.
        let now = Some(over.deadline - Duration::from_millis(1));
        runtime.block_on(async {
            let waits = pin!(pending::<()>());
            let mut limited = pin!(over.limit_looked_at(now, waits, late));
            let mut looks = 0;
            let ended = poll_fn(|context| {
                looks += 1;
                if looks == 1 {
                    context.waker().wake_by_ref();
                }
                limited.as_mut().poll(context)
            });
            assert_eq!(ended.await.unwrap_err().cause, Cause::Deadline);
        });
    }

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
