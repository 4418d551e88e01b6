//! Reads the body of an answer: all of it, what tells enough, what is here.

use std::future::poll_fn;
use std::task::Poll;

use super::answer::BodyFailure;
use super::coding::Decoded;
use super::failure;
use super::progress::Progress;
use crate::{Cause, Fault};

/// What a body that was not read to its end means.
pub(crate) fn body_fault(host: &str, failure: BodyFailure) -> Fault {
    match failure {
        BodyFailure::Broken(error) => {
            let mut fault = failure::of_exchange(host, &error);
            // Whatever the peer says now, it has answered.
            if fault.cause == Cause::Unprocessed {
                fault.cause = Cause::Reset;
            }
            fault
        }
        BodyFailure::Cut => Fault::new(
            Cause::Closed,
            format!("the body from {host} has ended before its end"),
        ),
        BodyFailure::NoMemory => Fault::new(
            Cause::NoResources,
            format!("no memory for the body from {host}; read it in pieces (streaming)"),
        ),
        BodyFailure::Undecodable(error) => Fault::new(
            Cause::BadMessage,
            format!("the body from {host} cannot be decoded: {error}"),
        ),
    }
}

/// Reads a body until it has told enough, at most so many bytes. `true`: it has ended.
pub(super) async fn begin(
    body: &mut Decoded,
    most: usize,
    progress: &Progress,
    is_told: impl Fn() -> bool,
) -> Result<bool, BodyFailure> {
    let (mut length, mut look_at) = (0, 0);
    loop {
        if length >= look_at {
            if is_told() {
                return Ok(false);
            }
            look_at = next_look(length);
        }
        let Some(piece) = body.next().await else {
            return Ok(true);
        };
        length = progress.received(piece?).ok_or(BodyFailure::NoMemory)?;
        if length > most {
            return Ok(false);
        }
    }
}

/// How long a body must be before it is looked at again, from its beginning: a long one must have
/// doubled, in however small pieces it comes.
fn next_look(length: usize) -> usize {
    const SHORT: usize = 4 << 10;
    if length < SHORT {
        length + 1
    } else {
        length * 2
    }
}

/// Reads what is here of a body without waiting for more, at most so many bytes and the piece that
/// they end in. `true`: it has ended. What breaks it off is for who reads on.
pub(super) async fn take_along(body: &mut Decoded, most: usize, progress: &Progress) -> bool {
    let mut taken = 0;
    poll_fn(|context| {
        while taken < most {
            match body.poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    taken += piece.len();
                    if progress.received(piece).is_none() {
                        // Whoever read on would have a hole in it.
                        body.break_off(BodyFailure::NoMemory);
                        break;
                    }
                }
                Poll::Ready(Some(Err(failure))) => {
                    body.break_off(failure);
                    break;
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => break,
            }
        }
        Poll::Ready(false)
    })
    .await
}

/// Reads a body, at most so many bytes. `false`: there is more.
pub(super) async fn collect(
    body: &mut Decoded,
    most: usize,
    progress: &Progress,
) -> Result<bool, BodyFailure> {
    while let Some(piece) = body.next().await {
        if progress.received(piece?).ok_or(BodyFailure::NoMemory)? > most {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_single_bytes_is_looked_at_no_more_than_it_is_long() {
        let (mut looked_at, mut looks, mut at) = (0_u64, 0, 0);
        while at <= 16 << 20 {
            looked_at += at as u64;
            looks += 1;
            let next = next_look(at);
            assert!(next > at);
            at = next;
        }
        assert!(looked_at < 64 << 20, "{looks} looks at {looked_at} bytes");
        // What says soon what it is waits for nothing.
        assert_eq!(next_look(700), 701);
    }
}
