//! A connection's socket, which knows whether it ends with a FIN or an RST.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::freeze::Freeze;

/// How long a closed connection waits for the client to leave.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Makes a connection end with an RST, from whatever depth it is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetOnDrop(Arc<AtomicBool>);

impl ResetOnDrop {
    pub(crate) fn arm(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The TCP socket.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    reset: ResetOnDrop,
    freeze: Freeze,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, reset: ResetOnDrop, freeze: Freeze) -> Socket {
        Socket { tcp, reset, freeze }
    }

    /// Sends a FIN, whatever stands above.
    fn finish(&self) {
        // Fails only where the peer has ended the connection already.
        let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Write);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::SeqCst) {
            // Fails only where the peer has ended the connection already.
            let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Socket { tcp, freeze, .. } = self.get_mut();
        let Some(_pass) = freeze.pass(context) else {
            return Poll::Pending;
        };
        Pin::new(tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Socket { tcp, freeze, .. } = self.get_mut();
        let Some(_pass) = freeze.pass(context) else {
            return Poll::Pending;
        };
        Pin::new(tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Socket { tcp, freeze, .. } = self.get_mut();
        let Some(_pass) = freeze.pass(context) else {
            return Poll::Pending;
        };
        Pin::new(tcp).poll_shutdown(context)
    }
}

/// The socket, with or without TLS.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Wire {
    /// Sends a FIN without TLS's goodbye.
    pub(crate) fn finish(&self) {
        match self {
            Wire::Plain(socket) => socket.finish(),
            Wire::Tls(stream) => stream.get_ref().0.finish(),
        }
    }

    /// Sends a FIN, after TLS's goodbye, and lets the client leave: a close with unread bytes would
    /// be a reset, which may overtake what was written.
    pub(crate) async fn leave(mut self) {
        let linger = async {
            self.shutdown().await?;
            let mut scrap = [0; 4096];
            while self.read(&mut scrap).await? > 0 {}
            io::Result::Ok(())
        };
        // A client that stays is left behind, and one that is gone needs no goodbye.
        let _ = tokio::time::timeout(LINGER, linger).await;
    }

    /// Whether the client has shown a certificate.
    pub(crate) fn has_client_certificate(&self) -> bool {
        match self {
            Wire::Plain(_) => false,
            Wire::Tls(stream) => stream.get_ref().1.peer_certificates().is_some(),
        }
    }

    /// Whether the handshake has agreed on HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        match self {
            Wire::Plain(_) => false,
            Wire::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(wire) => Pin::new(wire).poll_read(context, buffer),
            Wire::Tls(wire) => Pin::new(wire).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(wire) => Pin::new(wire).poll_write(context, bytes),
            Wire::Tls(wire) => Pin::new(wire).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(wire) => Pin::new(wire).poll_flush(context),
            Wire::Tls(wire) => Pin::new(wire).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(wire) => Pin::new(wire).poll_shutdown(context),
            Wire::Tls(wire) => Pin::new(wire).poll_shutdown(context),
        }
    }
}
