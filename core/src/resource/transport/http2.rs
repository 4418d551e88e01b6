//! One HTTP/2 connection, shared by the calls whose streams it carries. Its task runs in the
//! client's runtime and is driven by whoever waits for one of its streams.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::failure;
use super::progress::Progress;
use super::send_body::{HangUp, SendBody};
use super::socket::{Counts, Wire};
use super::stream::Stream;
use crate::lock::lock;

/// How much of a body may come before it is asked for.
const STREAM_WINDOW: u32 = 1 << 20;
/// How many streams are begun on a connection at most, whatever its peer allows: so many bodies that
/// nobody reads do not use up the window that all share.
const MOST_STREAMS: u32 = 128;
/// How many streams are begun before the peer has said how many it allows. The protocol lets us begin
/// as many as we like; there are peers that end the connection for it.
const FIRST_STREAMS: usize = 1;
/// In the place of what the peer allows, until it has said it: no number that a peer says.
const UNREAD: usize = usize::MAX - 1;
/// How often a connection that may carry nothing now is looked at again, whatever has come on it.
const GLANCE: Duration = Duration::from_millis(50);
/// A body so long leaves at once, whatever windows its peer opens (RFC 9113, 6.9.2).
const SMALL_BODY: u64 = (1 << 16) - 1;
/// How often an idle connection on which something has come is given a turn to read it.
const TURNS: usize = 8;

pub(super) struct Http2 {
    sender: http2::SendRequest<SendBody>,
    wire: Arc<Wire>,
    streams: AtomicUsize,
    talk: Arc<Talk>,
    /// How many streams were begun on it, those that have ended with them.
    begun: AtomicUsize,
    /// The address at the other end; `None`: of a tunnel.
    pub(super) peer: Option<IpAddr>,
    /// The peer has said goodbye: no further stream may begin.
    is_leaving: AtomicBool,
    pub(super) opened: Instant,
    last_used: Mutex<Instant>,
}

type Driver = http2::Connection<TokioIo<Stream>, SendBody, TokioExecutor>;

/// What drives a connection, readable from outside of its task: that is not woken for settings.
struct Talk {
    /// `None` once it has ended.
    driver: Mutex<Option<Pin<Box<Driver>>>>,
    /// It has ended with the word that HTTP/1.1 is wanted…
    wants_http1: AtomicBool,
    /// …or by what is no HTTP/2.
    is_no_http2: AtomicBool,
}

impl Talk {
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut driver = lock(&self.driver);
        let Some(running) = driver.as_mut() else {
            return Poll::Ready(());
        };
        let Poll::Ready(ended) = running.as_mut().poll(context) else {
            return Poll::Pending;
        };
        // How else it ends is told to its streams.
        if let Err(error) = ended {
            let (wants_http1, is_no_http2) =
                (failure::wants_http1(&error), failure::is_no_http2(&error));
            self.wants_http1.store(wants_http1, Ordering::Release);
            self.is_no_http2.store(is_no_http2, Ordering::Release);
        }
        let ended = driver.take();
        drop(driver);
        drop(ended);
        Poll::Ready(())
    }

    /// How many streams the peer allows at a time. `UNREAD`: it has not said it yet.
    fn most_streams(&self) -> usize {
        let driver = lock(&self.driver);
        driver
            .as_ref()
            .map_or(0, |driver| driver.current_max_send_streams())
    }

    fn has_ended(&self) -> bool {
        lock(&self.driver).is_none()
    }
}

/// The right to one stream of a connection.
pub(super) struct Lease {
    connection: Arc<Http2>,
    /// How many streams of the connection had been answered when this one began.
    answers: u64,
    /// The stream has ended, well or badly, and was not only given up.
    is_done: bool,
    body: Option<HangUp>,
    /// The peer wants HTTP/1.1.
    pub(super) wants_http1: bool,
    /// It has turned the connection down for it, and has not processed the request.
    pub(super) is_turned_down: bool,
}

impl Http2 {
    pub(super) async fn open(
        stream: Stream,
        wire: Arc<Wire>,
        peer: Option<IpAddr>,
        max_headers: usize,
    ) -> Result<Http2, hyper::Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(u32::try_from(max_headers).unwrap_or(u32::MAX))
            .initial_max_send_streams(UNREAD)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * MOST_STREAMS)
            .handshake(TokioIo::new(stream))
            .await?;
        let talk = Arc::new(Talk {
            driver: Mutex::new(Some(Box::pin(connection))),
            wants_http1: AtomicBool::new(false),
            is_no_http2: AtomicBool::new(false),
        });
        let driven = Arc::clone(&talk);
        tokio::spawn(poll_fn(move |context| driven.poll(context)));
        let now = Instant::now();
        Ok(Http2 {
            sender,
            wire,
            streams: AtomicUsize::new(0),
            talk,
            begun: AtomicUsize::new(0),
            peer,
            is_leaving: AtomicBool::new(false),
            opened: now,
            last_used: Mutex::new(now),
        })
    }

    /// Whether further streams may begin on it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
            && !self.is_leaving.load(Ordering::Acquire)
            && !self.wire.is_doubted()
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
        let last_used = *lock(&self.last_used);
        now.saturating_duration_since(last_used)
    }

    /// No further stream begins on it.
    pub(super) fn retire(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    /// Whether it is open and may yet carry more: its peer has not said how many streams it allows,
    /// or allows none for now.
    pub(super) fn is_held_back(&self) -> bool {
        self.is_open()
            && match self.talk.most_streams() {
                0 => !self.talk.has_ended(),
                most => most == UNREAD,
            }
    }

    /// Waits until that has changed, or a stream may be had.
    pub(super) async fn held_back(&self) {
        loop {
            let received = self.wire.received();
            if !self.is_held_back() {
                return;
            }
            // What has come is looked at by the connection's own task, and perhaps after this one.
            let _ = timeout(GLANCE, self.wire.receives(received)).await;
            if self.most_streams() > self.streams.load(Ordering::Acquire) {
                return;
            }
            yield_now().await;
        }
    }

    fn most_streams(&self) -> usize {
        match self.talk.most_streams() {
            UNREAD => FIRST_STREAMS,
            most => most.min(MOST_STREAMS as usize),
        }
    }

    /// A stream, if the peer allows another one.
    pub(super) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let most = self.most_streams();
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                (streams < most).then_some(streams + 1)
            })
            .ok()
            .map(|_| Lease {
                connection: Arc::clone(self),
                answers: self.wire.answers(),
                is_done: false,
                body: None,
                wants_http1: false,
                is_turned_down: false,
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
            yield_now().await;
            turns += 1;
        }
        connection.is_open()
    }

    /// What has come before a first stream is read: a frame of that stream belongs to no request, and ends the
    /// connection.
    async fn hear(&self) {
        let connection = &self.connection;
        let received = connection.wire.received();
        if !connection.wire.is_quiet() {
            let _ = timeout(GLANCE, connection.wire.receives(received)).await;
            // Whoever reads it holds the lock.
            connection.talk.has_ended();
        }
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<SendBody>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let connection = Arc::clone(&self.connection);
        if connection.begun.load(Ordering::Acquire) == 0 {
            self.hear().await;
        }
        let written = connection.wire.written();
        self.answers = connection.wire.answers();
        let length = request.body().size_hint().upper();
        let counts = match length.is_some_and(|length| length <= SMALL_BODY) {
            true => Counts::Answers,
            false => Counts::Frames,
        };
        progress.queued(&connection.wire, counts);
        self.body = request.body().hang_up();
        connection.begun.fetch_add(1, Ordering::AcqRel);
        let answer = connection.sender.clone().try_send_request(request).await;
        let mut error = match answer {
            Ok(answer) => {
                connection.wire.answered();
                return Ok(answer);
            }
            Err(error) => error,
        };
        self.is_done = true;
        let is_handed_back = error.take_message().is_some();
        let error = error.into_error();
        let is_dead = is_handed_back || failure::ends_connection(&error);
        let is_refused = failure::wants_http1(&error);
        if failure::is_no_http2(&error) {
            connection.talk.is_no_http2.store(true, Ordering::Release);
        }
        self.wants_http1 = is_refused || (is_dead && self.has_ended_for_http1().await);
        // Of a stream that a GOAWAY covers the protocol says that it may have been processed, and so it
        // is read where others were begun before it. But peers that turn a connection down at its
        // first stream name this one as the last that they have seen.
        self.is_turned_down =
            self.wants_http1 && !is_refused && connection.begun.load(Ordering::Acquire) == 1;
        // What waited in the queue of a connection that has ended leaves no more.
        if is_handed_back
            || (is_dead && connection.wire.written() == written)
            || is_refused
            || self.is_turned_down
        {
            progress.not_sent();
        }
        if is_dead || failure::is_goodbye(&error) {
            self.retire();
        }
        Err(error)
    }

    /// Whether a connection has ended, if it does now, with the word that HTTP/1.1 is wanted.
    async fn has_ended_for_http1(&self) -> bool {
        let connection = &self.connection;
        for _ in 0..TURNS {
            if connection.talk.has_ended() {
                break;
            }
            yield_now().await;
        }
        connection.talk.wants_http1.load(Ordering::Acquire)
    }

    /// Something of the answer has come.
    pub(super) fn fed(&self) {
        self.connection.wire.fed();
    }

    /// Whether its peer speaks no HTTP/2.
    pub(super) fn is_no_http2(&self) -> bool {
        let connection = &self.connection;
        connection.talk.is_no_http2.load(Ordering::Acquire) && connection.wire.answers() == 0
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
        // Given up, and nobody was answered meanwhile: the connection may be dead without having been
        // told. A new one tells.
        if !self.is_done && self.connection.wire.answers() == self.answers {
            self.retire();
        }
        drop(self.body.take());
        let connection = &self.connection;
        *lock(&connection.last_used) = Instant::now();
        connection.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
