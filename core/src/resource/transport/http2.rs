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
use super::send_body::{HangUp, SendBody};
use super::socket::Wire;
use super::stream::Stream;

/// How much of a body may come before it is asked for.
const STREAM_WINDOW: u32 = 1 << 20;
/// How many streams are begun on a connection at most, whatever its peer allows: so many bodies that
/// nobody reads do not use up the window that all share.
const MOST_STREAMS: u32 = 128;
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
pub(super) struct Lease {
    connection: Arc<Http2>,
    /// What had come on the connection when the stream began.
    received: u64,
    /// The stream has ended, well or badly, and was not only given up.
    is_done: bool,
    body: Option<HangUp>,
}

impl Http2 {
    pub(super) async fn open(
        stream: Stream,
        wire: Arc<Wire>,
        max_headers: usize,
    ) -> Result<Http2, hyper::Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(u32::try_from(max_headers).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * MOST_STREAMS)
            .handshake(TokioIo::new(stream))
            .await?;
        let most_streams = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let published = Arc::clone(&most_streams);
        let mut connection = Box::pin(connection);
        tokio::spawn(poll_fn(move |context| {
            // How it ends is told to its streams.
            let is_over = connection.as_mut().poll(context).is_ready();
            published.store(connection.current_max_send_streams(), Ordering::Release);
            if is_over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
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
        self.unproved(now)
    }

    /// How long ago its last stream has ended, or it was opened: one that has streams may be silent
    /// all the same.
    pub(super) fn unproved(&self, now: Instant) -> Duration {
        let last_used = *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(last_used)
    }

    /// No further stream begins on it.
    pub(super) fn retire(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    /// A stream, if the peer allows another one.
    pub(super) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let most = self.most_streams.load(Ordering::Acquire);
        let most = most.min(MOST_STREAMS as usize);
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                (streams < most).then_some(streams + 1)
            })
            .ok()
            .map(|_| Lease {
                connection: Arc::clone(self),
                received: self.wire.received(),
                is_done: false,
                body: None,
            })
    }
}

impl Lease {
    /// Whether the connection is of use, after what has come on it while nobody drove it was
    /// read: a goodbye, mostly.
    pub(super) async fn is_usable(&self) -> bool {
        let connection = &self.connection;
        let mut turns = 0;
        while turns < TURNS && connection.is_open() && !connection.wire.is_quiet() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        connection.is_open()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<SendBody>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let connection = Arc::clone(&self.connection);
        let written = connection.wire.written();
        self.received = connection.wire.received();
        progress.queued(&connection.wire);
        self.body = request.body().hang_up();
        let answer = connection.sender.clone().try_send_request(request).await;
        answer.map_err(|mut error| {
            self.is_done = true;
            let is_handed_back = error.take_message().is_some();
            let error = error.into_error();
            let is_dead = is_handed_back || failure::ends_connection(&error);
            // What waited in the queue of a connection that has ended leaves no more.
            if is_handed_back || (is_dead && connection.wire.written() == written) {
                progress.not_sent();
            }
            if is_dead || failure::is_goodbye(&error) {
                self.retire();
            }
            error
        })
    }

    /// The answer was read to its end, or has broken off.
    pub(super) fn done(&mut self) {
        self.is_done = true;
    }

    fn retire(&self) {
        self.connection.retire();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Given up, and nothing at all has come meanwhile: the connection may be dead without
        // having been told. A new one tells.
        if !self.is_done && self.connection.wire.received() == self.received {
            self.retire();
        }
        drop(self.body.take());
        let connection = &self.connection;
        *connection
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
        connection.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
