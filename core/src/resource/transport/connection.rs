//! One HTTP/1.1 connection. It has no task of its own: whoever exchanges on it drives it.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::progress::Progress;
use super::socket::{Socket, Wire};

pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

type Driver = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended. It is dropped at that moment: an ended driver that is kept
    /// neither answers nor gives back what was queued to it.
    driver: Option<Pin<Box<Driver>>>,
    wire: Arc<Wire>,
    pub(super) opened: Instant,
    pub(super) last_used: Instant,
}

/// Why a body was not read to its end.
pub(super) enum BodyFailure {
    Broken(hyper::Error),
    TooLarge,
}

impl Connection {
    pub(super) async fn open(
        stream: Stream,
        wire: Arc<Wire>,
        max_headers: usize,
    ) -> Result<Connection, hyper::Error> {
        let (sender, driver) = http1::Builder::new()
            .max_header_size(max_headers)
            .max_headers(256)
            .max_buf_size((2 * max_headers).max(128 << 10))
            .handshake(TokioIo::new(stream))
            .await?;
        let now = Instant::now();
        Ok(Connection {
            sender,
            driver: Some(Box::pin(driver)),
            wire,
            opened: now,
            last_used: now,
        })
    }

    /// Whether another request may go out on it.
    pub(super) fn is_reusable(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether nothing has come on it while it was idle.
    pub(super) fn is_quiet(&self) -> bool {
        self.wire.is_quiet()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        progress: &Progress,
    ) -> Result<Incoming, hyper::Error> {
        progress.watch(&self.wire);
        let answer = self.sender.send_request(request);
        let (head, body) = drive(&mut self.driver, answer).await?.into_parts();
        progress.responded(head);
        Ok(body)
    }

    /// Reads the rest of an answer.
    pub(super) async fn read(
        &mut self,
        mut body: Incoming,
        limit: usize,
        progress: &Progress,
    ) -> Result<(), BodyFailure> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            match drive(&mut self.driver, frame).await {
                None => break,
                Some(Err(error)) => return Err(BodyFailure::Broken(error)),
                Some(Ok(frame)) => {
                    // Trailers are ignored.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if progress.received(data) > limit {
                        return Err(BodyFailure::TooLarge);
                    }
                }
            }
        }
        // One more turn lets the connection notice that it is idle, or that it has to close.
        if !self.sender.is_ready() {
            poll_fn(|context| {
                poll_driver(&mut self.driver, context);
                Poll::Ready(())
            })
            .await;
        }
        self.last_used = Instant::now();
        Ok(())
    }
}

/// Waits for something that the connection brings, and drives the connection meanwhile.
async fn drive<F: Future>(driver: &mut Option<Pin<Box<Driver>>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        poll_driver(driver, context);
        future.as_mut().poll(context)
    })
    .await
}

fn poll_driver(driver: &mut Option<Pin<Box<Driver>>>, context: &mut Context<'_>) {
    let has_ended = driver
        .as_mut()
        .is_some_and(|driver| driver.as_mut().poll(context).is_ready());
    if has_ended {
        *driver = None;
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
