//! What a call needs done by the application's own code, on the thread that sends: never inside of
//! the runtime, where it would hold up everybody's calls, and never on a thread that the
//! application does not know.

use tokio::sync::{mpsc, oneshot};

/// A piece of the application's code to run.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Where jobs are handed in.
#[derive(Clone)]
pub(crate) struct Desk(mpsc::UnboundedSender<Job>);

/// Where the thread that sends takes them.
pub(crate) type Jobs = mpsc::UnboundedReceiver<Job>;

impl Desk {
    pub(crate) fn new() -> (Desk, Jobs) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Desk(sender), jobs)
    }

    /// Hands a job in. If the thread has left meanwhile, nobody waits for the job either.
    pub(crate) fn post(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.0.send(Box::new(job));
    }

    /// Has a job done and waits for what it gives. `None`: the job has panicked, or was not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        self.post(move || {
            let _ = sender.send(job());
        });
        result.await.ok()
    }
}
