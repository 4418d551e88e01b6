//! One HTTP/2 connection, shared by the calls whose streams it carries. Its task runs in the
//! client's runtime and is driven by whoever waits for one of its streams.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::failure;
use super::progress::Progress;
use super::send_body::SendBody;
use super::socket::Wire;
use super::stream::Stream;
use crate::HttpVersion;

/// How often an idle connection on which something has come is given a turn to read it.
const TURNS: usize = 8;

pub(super) struct Http2 {
    sender: http2::SendRequest<SendBody>,
    wire: Arc<Wire>,
    streams: AtomicUsize,
    /// How many streams the peer allows at a time.
    most_streams: Arc<AtomicUsize>,
    /// The peer has said goodbye: no further stream may begin.
    is_leaving: AtomicBool,
    pub(super) opened: Instant,
    last_used: Mutex<Instant>,
}

/// The right to one stream of a connection.
pub(super) struct Lease(Arc<Http2>);

impl Http2 {
    pub(super) async fn open(
        stream: Stream,
        wire: Arc<Wire>,
        max_headers: usize,
    ) -> Result<Http2, hyper::Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(u32::try_from(max_headers).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await?;
        let most_streams = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let published = Arc::clone(&most_streams);
        let mut connection = Box::pin(connection);
        tokio::spawn(poll_fn(move |context| {
            // How it ends is told to its streams.
            let is_over = connection.as_mut().poll(context).is_ready();
            published.store(connection.current_max_send_streams(), Ordering::Release);
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        }));
        let now = Instant::now();
        Ok(Http2 {
            sender,
            wire,
            streams: AtomicUsize::new(0),
            most_streams,
            is_leaving: AtomicBool::new(false),
            opened: now,
            last_used: Mutex::new(now),
        })
    }

    /// Whether further streams may begin on it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.is_leaving.load(Ordering::Acquire)
    }

    /// How long it has had no stream. Zero while it has some.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        if self.streams.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let last_used = *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(last_used)
    }

    /// A stream, if the peer allows another one.
    pub(super) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let most = self.most_streams.load(Ordering::Acquire);
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                (streams < most).then_some(streams + 1)
            })
            .ok()
            .map(|_| Lease(Arc::clone(self)))
    }
}

impl Lease {
    /// Whether the connection is of use, after what has come on it while nobody drove it was
    /// read: a goodbye, mostly.
    pub(super) async fn is_usable(&self) -> bool {
        let connection = &self.0;
        let mut turns = 0;
        while turns < TURNS && connection.is_open() && !connection.wire.is_quiet() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        connection.is_open()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &self,
        request: Request<SendBody>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, hyper::Error> {
        progress.watch(&self.0.wire, HttpVersion::Http2);
        let answer = self.0.sender.clone().try_send_request(request).await;
        answer.map_err(|mut error| {
            if error.take_message().is_some() {
                progress.not_sent();
                self.retire();
            }
            let error = error.into_error();
            if failure::is_goodbye(&error) {
                self.retire();
            }
            error
        })
    }

    fn retire(&self) {
        self.0.is_leaving.store(true, Ordering::Release);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self
            .0
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
