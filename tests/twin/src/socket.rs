//! A connection's socket, which knows whether it ends with a FIN or an RST.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

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
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, reset: ResetOnDrop) -> Socket {
        Socket { tcp, reset }
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
            let _ = SockRef::from(&self.tcp).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
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
