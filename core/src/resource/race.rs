//! Waiting for the first of two.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Which of the two came first. If both are ready, the left one.
pub(crate) enum First<A, B> {
    Left(A),
    Right(B),
}

pin_project! {
    /// A future of its own and no `async fn`: that would hold both futures twice, as its
    /// arguments and where they are pinned.
    pub(crate) struct Race<A, B> {
        #[pin]
        left: A,
        #[pin]
        right: B,
    }
}

/// Waits for whichever is ready first. The left one is looked at first.
pub(crate) fn race<A, B>(left: A, right: B) -> Race<A, B> {
    Race { left, right }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = First<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.left.poll(context) {
            return Poll::Ready(First::Left(value));
        }
        this.right.poll(context).map(First::Right)
    }
}
