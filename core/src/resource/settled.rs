//! An outcome that many wait for and one makes.

use tokio::sync::watch;

/// Where an outcome will come.
pub(crate) type Awaited<T> = watch::Receiver<Option<T>>;
/// Who makes it. Dropped without one, it leaves the waiting with none.
pub(crate) type Maker<T> = watch::Sender<Option<T>>;

pub(crate) fn pair<T>() -> (Maker<T>, Awaited<T>) {
    watch::channel(None)
}

/// Waits for the outcome. `None`: who was to make it has ended without.
pub(crate) async fn settled<T: Clone>(mut awaited: Awaited<T>) -> Option<T> {
    let outcome = awaited.wait_for(Option::is_some).await.ok()?;
    outcome.clone()
}
