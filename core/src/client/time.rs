//! How long an attempt may take.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Cause, Fault};

#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) attempt: Duration,
    pub(super) deadline: Instant,
}

impl Time {
    /// Whether the call's deadline is over.
    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits at most that long. `fault` is told what it means for the endpoint that the time is
    /// over, and which time it was.
    pub(super) async fn limit<F: Future>(
        self,
        future: F,
        fault: impl FnOnce(Cause, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        let now = Instant::now();
        let attempt_end = now + self.attempt;
        let (end, cause, what) = if attempt_end <= self.deadline {
            (attempt_end, Cause::AttemptTimeout, "attempt_timeout")
        } else {
            (self.deadline, Cause::Deadline, "the call's deadline")
        };
        timeout_at(end, future).await.map_err(|_| {
            let waited = now.elapsed().as_millis();
            fault(cause, &format!("within {what} ({waited} ms)"))
        })
    }
}
