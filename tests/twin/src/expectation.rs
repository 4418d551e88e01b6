//! `Expect: 100-continue` (RFC 9110, 10.1.1).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::HeaderMap;
use http::header::EXPECT;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Wire;

pub(crate) fn expects_continue(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT).map(|value| value.as_bytes());
    expected.is_some_and(|expected| expected.eq_ignore_ascii_case(b"100-continue"))
}

/// What hyper writes, at once and alone, when the body that waits for it is read.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Keeps a connection's next `100 Continue` back. Clones are of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mute(Arc<AtomicBool>);

impl Mute {
    /// Whether the interim answer of the request that is read now is kept back.
    pub(crate) fn set(&self, mute: bool) {
        self.0.store(mute, Ordering::SeqCst);
    }
}

/// The connection as hyper writes it.
pub(crate) struct Muted {
    wire: Wire,
    mute: Mute,
}

impl Muted {
    pub(crate) fn new(wire: Wire, mute: Mute) -> Muted {
        Muted { wire, mute }
    }

    pub(crate) fn into_inner(self) -> Wire {
        self.wire
    }
}

impl AsyncRead for Muted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Muted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes == CONTINUE && self.mute.0.swap(false, Ordering::SeqCst) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
