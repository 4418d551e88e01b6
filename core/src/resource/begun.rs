//! A task that is looked at first by the thread that brings it, and goes into the runtime when it is woken: what can be
//! sent at once leaves without a change of threads.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::lock::lock;

/// A future that no caller waits for. In a box, because a call's is large, and each move on its way would take as much
/// of the caller's stack.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Stage<T> {
    /// The thread that brought it looks at it.
    Looked,
    /// It was woken meanwhile.
    Woken,
    Waits(T, Work),
    /// It is the runtime's, or has ended.
    Gone,
}

struct Begun<T, F> {
    stage: Mutex<Stage<T>>,
    goes_on: F,
}

/// Looks at the work of a task on this thread, as inside of the runtime, to which `goes_on` gives what is left of it.
pub(crate) fn begin<T, F>(task: T, mut work: Work, goes_on: F)
where
    T: Send + 'static,
    F: Fn(T, Work) + Send + Sync + 'static,
{
    let begun = Arc::new(Begun {
        stage: Mutex::new(Stage::Looked),
        goes_on,
    });
    let waker = Waker::from(Arc::clone(&begun));
    let mut context = Context::from_waker(&waker);
    // A panic ends the task, as it does inside of the runtime.
    let looked = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
    let mut stage = lock(&begun.stage);
    match looked {
        Ok(Poll::Pending) if matches!(*stage, Stage::Looked) => *stage = Stage::Waits(task, work),
        Ok(Poll::Pending) => {
            *stage = Stage::Gone;
            drop(stage);
            (begun.goes_on)(task, work);
        }
        Ok(Poll::Ready(())) | Err(_) => {
            *stage = Stage::Gone;
            drop(stage);
            drop((work, task));
        }
    }
}

impl<T: Send + 'static, F: Fn(T, Work) + Send + Sync + 'static> Wake for Begun<T, F> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut stage = lock(&self.stage);
        let next = match &*stage {
            Stage::Looked | Stage::Woken => Stage::Woken,
            Stage::Waits(..) | Stage::Gone => Stage::Gone,
        };
        let stood = std::mem::replace(&mut *stage, next);
        drop(stage);
        if let Stage::Waits(task, work) = stood {
            (self.goes_on)(task, work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::{current, yield_now};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::super::engine::Engine;
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn begin_one(engine: &Arc<Engine>, future: impl Future<Output = ()> + Send + 'static) {
        let task = engine.reserve().unwrap();
        engine.begin(task, Box::pin(future));
    }

    #[test]
    fn it_begins_on_the_thread_that_brings_it_and_goes_on_in_the_runtime() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let gate = Arc::new(Notify::new());
        let opened = Arc::clone(&gate);
        begin_one(&engine, async move {
            sender.send(current().id()).unwrap();
            opened.notified().await;
            sender.send(current().id()).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            sender.send(current().id()).unwrap();
        });
        assert_eq!(receiver.try_recv(), Ok(current().id()));
        gate.notify_one();
        let drives = receiver.recv_timeout(LONG).unwrap();
        assert_ne!(drives, current().id());
        assert_eq!(receiver.recv_timeout(LONG), Ok(drives));
        engine.close();
    }

    #[test]
    fn one_that_wakes_itself_and_one_that_waits_for_a_timer_go_on() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let slept = sender.clone();
        begin_one(&engine, async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            sender.send(()).unwrap();
        });
        begin_one(&engine, async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            slept.send(()).unwrap();
        });
        receiver.recv_timeout(LONG).unwrap();
        receiver.recv_timeout(LONG).unwrap();
        engine.close();
    }

    #[test]
    fn a_panic_ends_it_alone() {
        let engine = Engine::new().unwrap();
        let (sender, receiver) = mpsc::channel::<()>();
        begin_one(&engine, async move {
            let _sender = sender;
            panic!("for the test");
        });
        assert!(receiver.try_recv().is_err());
        let (sender, receiver) = mpsc::channel();
        begin_one(&engine, async move { sender.send(()).unwrap() });
        receiver.recv_timeout(LONG).unwrap();
        engine.close();
    }

    #[test]
    fn its_thread_stays_a_while_and_leaves_to_a_caller_and_to_a_close() {
        let engine = Engine::new().unwrap();
        for _ in 0..200 {
            let (sender, receiver) = mpsc::channel();
            begin_one(&engine, async move {
                tokio::task::yield_now().await;
                sender.send(()).unwrap();
            });
            receiver.recv_timeout(LONG).unwrap();
            engine.block_on(async { tokio::time::sleep(Duration::from_micros(10)).await });
        }
        engine.close();
        while Arc::strong_count(&engine) > 1 {
            yield_now();
        }
    }
}
