//! What wakes a thread that waits in the runtime, and costs nothing while it does not.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::lock::lock;

/// The thread looks at its future, or will: nobody need wake it.
const AWAKE: u8 = 0;
/// It waits.
const ASLEEP: u8 = 1;
/// Its future has something to do since it was looked at.
const RUNG: u8 = 2;
/// So often a future that wakes itself is looked at before others have their turn.
const TURNS: usize = 3;

/// The runtime's own waker makes a call of the system each time, also for a thread that is awake: it
/// leaves the runtime in between, or has woken itself.
pub(crate) struct Bell {
    state: AtomicU8,
    runtime: Mutex<Option<Waker>>,
}

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::new(Bell {
            state: AtomicU8::new(AWAKE),
            runtime: Mutex::default(),
        })
    }

    /// Looks at the future outside of the runtime. Pending: it is to be waited for inside, which looks
    /// again.
    pub(crate) fn look<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.poll(future, None)
    }

    /// Waits for the future inside of the runtime.
    pub(crate) async fn wait<F: Future>(self: &Arc<Self>, mut future: Pin<&mut F>) -> F::Output {
        std::future::poll_fn(|context| self.poll(future.as_mut(), Some(context.waker()))).await
    }

    fn poll<F: Future>(
        self: &Arc<Self>,
        mut future: Pin<&mut F>,
        runtime: Option<&Waker>,
    ) -> Poll<F::Output> {
        if let Some(runtime) = runtime {
            let mut known = lock(&self.runtime);
            if !known.as_ref().is_some_and(|known| known.will_wake(runtime)) {
                *known = Some(runtime.clone());
            }
        }
        let own = Waker::from(Arc::clone(self));
        for _ in 0..TURNS {
            self.state.store(AWAKE, Ordering::Release);
            let looked = future.as_mut().poll(&mut Context::from_waker(&own));
            if looked.is_ready() {
                self.state.store(AWAKE, Ordering::Release);
                return looked;
            }
            let asleep =
                self.state
                    .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
            if asleep.is_ok() {
                return Poll::Pending;
            }
        }
        if let Some(runtime) = runtime {
            runtime.wake_by_ref();
        }
        Poll::Pending
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP
            && let Some(runtime) = &*lock(&self.runtime)
        {
            runtime.wake_by_ref();
        }
    }
}
