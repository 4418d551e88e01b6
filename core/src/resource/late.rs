//! The end of a time, where the process may have stood still over it: a machine that was moved, a
//! container that had used up its share of the processor. What came in time lies unread in the kernel then,
//! and its timer would be quicker than whoever reads it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// A timer that is so late has stood still. On a busy machine, with ten thousand calls, it is less late.
const STOOD_STILL: Duration = Duration::from_millis(100);
/// So long what has come meanwhile is read.
const MOMENT: Duration = Duration::from_millis(100);

/// What comes until then.
pub(crate) async fn in_time<F: Future>(end: Instant, future: Pin<&mut F>) -> Option<F::Output> {
    in_time_since(Instant::now(), end, future).await
}

/// The same, of what was begun then.
pub(crate) async fn in_time_since<F: Future>(
    begun: Instant,
    end: Instant,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    match timeout_at(end, future.as_mut()).await {
        Ok(output) => Some(output),
        Err(_) if has_stood_still(begun, end) => timeout(MOMENT, future).await.ok(),
        Err(_) => None,
    }
}

/// Waits until then.
pub(crate) async fn until(end: Instant) {
    let begun = Instant::now();
    sleep_until(end).await;
    if has_stood_still(begun, end) {
        sleep(MOMENT).await;
    }
}

/// A time that was over when it began is no standstill.
fn has_stood_still(begun: Instant, end: Instant) -> bool {
    end.max(begun).elapsed() >= STOOD_STILL
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;
    use crate::resource::race::{First, race};

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether what another task has is heard of, by each of the two, where all stand still over the end.
    async fn is_heard(stands_still: bool, comes: bool) -> [bool; 2] {
        let mut heard = [false; 2];
        for (way, heard) in heard.iter_mut().enumerate() {
            let (tell, told) = oneshot::channel();
            let end = Instant::now() + SECOND;
            let other = tokio::spawn(async move {
                if stands_still {
                    std::thread::sleep(SECOND * 2);
                }
                // As who reads it takes a turn or two.
                for _ in 0..3 {
                    yield_now().await;
                }
                if !comes {
                    std::future::pending::<()>().await;
                }
                let _ = tell.send(());
            });
            let mut told = pin!(told);
            *heard = match way {
                0 => in_time(end, told.as_mut()).await.is_some(),
                _ => matches!(race(told.as_mut(), until(end)).await, First::Left(_)),
            };
            other.abort();
        }
        heard
    }

    #[test]
    fn what_has_come_while_all_stood_still_is_in_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            assert_eq!(is_heard(true, true).await, [true; 2]);
            assert_eq!(is_heard(true, false).await, [false; 2]);
            assert_eq!(is_heard(false, true).await, [true; 2]);
            assert_eq!(is_heard(false, false).await, [false; 2]);
        });
    }
}
