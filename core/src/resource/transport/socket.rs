//! A socket that counts what leaves through it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::resource::statistics::Traffic;
use crate::resource::sys;

/// How much is read at once: as much as TLS has in a record.
const LARGEST_READ: usize = 16 << 10;

/// What says that a connection leads to somebody who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Counts {
    /// What goes out and what comes.
    #[default]
    Bytes,
    /// What comes, for whomever: windows, while a large body is on its way.
    Frames,
    /// What comes of answers, for whomever: the rest is the peer's HTTP/2, which may go on where nobody answers.
    Answers,
}

/// The part of a socket that the pool and the call keep while hyper owns the stream.
pub(super) struct Wire {
    tcp: TcpStream,
    written: AtomicU64,
    received: AtomicU64,
    opened: Instant,
    /// When bytes went out and came in last: microseconds after it was opened.
    moved_out: AtomicU64,
    moved_in: AtomicU64,
    /// What had left before the exchange under way.
    before: AtomicU64,
    /// The error that says that nothing more leaves; 0: none.
    deaf: AtomicI32,
    /// How many requests were answered on it, where several share it…
    answers: AtomicU64,
    /// …and when something of an answer has come last.
    fed: AtomicU64,
    /// Nobody knows whether it leads anywhere yet.
    is_doubted: AtomicBool,
    /// Something lies there that the runtime may not have heard of.
    has_news: AtomicBool,
    arrived: Notify,
    /// What all connections to its endpoint count together.
    traffic: Arc<Traffic>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, traffic: Arc<Traffic>) -> Arc<Wire> {
        Arc::new(Wire {
            tcp,
            written: AtomicU64::new(0),
            received: AtomicU64::new(0),
            opened: Instant::now(),
            moved_out: AtomicU64::new(0),
            moved_in: AtomicU64::new(0),
            before: AtomicU64::new(0),
            deaf: AtomicI32::new(0),
            answers: AtomicU64::new(0),
            fed: AtomicU64::new(0),
            is_doubted: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            arrived: Notify::new(),
            traffic,
        })
    }

    /// The socket, of which no more is to be told.
    pub(super) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// An exchange begins that has the socket to itself. Tells what had left before it.
    pub(super) fn begin(&self) -> u64 {
        let written = self.written();
        self.before.store(written, Ordering::Relaxed);
        written
    }

    /// How much has left of the exchange that has the socket to itself.
    pub(super) fn begun(&self) -> u64 {
        self.written() - self.before.load(Ordering::Relaxed)
    }

    /// What lies there is read the next time, whether the runtime has heard of it or not.
    pub(super) fn has_news(&self) {
        self.has_news.store(true, Ordering::Relaxed);
    }

    /// Why nothing more leaves.
    fn deaf(&self) -> Option<io::Error> {
        let errno = self.deaf.load(Ordering::Relaxed);
        (errno != 0).then(|| io::Error::from_raw_os_error(errno))
    }

    /// Whether the peer takes nothing more.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed) != 0
    }

    /// Whether an error of writing waits until what has come was read: a server that answers early
    /// closes with what it has not read, and its answer lies in the socket by then. Not where
    /// nothing of the exchange has left: what lies there is no answer to it.
    fn becomes_deaf(&self, error: &io::Error) -> bool {
        let is_closed = matches!(
            sys::kind(error),
            Some(
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            )
        );
        let has_begun = self.begun() > 0;
        if is_closed && has_begun {
            self.deaf
                .store(error.raw_os_error().unwrap_or_default(), Ordering::Relaxed);
        }
        is_closed && has_begun
    }

    /// How many bytes the kernel has taken, those of the TLS handshake among them. Compared with
    /// its value before a request, it proves that no byte of the request has left: over HTTP/1.1 at
    /// any time, because nothing else is sent between two requests; over HTTP/2 once the connection
    /// has ended, because what waits in its queue leaves later.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn came(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
        if count > 0 {
            self.traffic.received.add(count);
            self.moved_in.store(self.age(), Ordering::Relaxed);
        }
        self.arrived.notify_waiters();
    }

    /// How many bytes have come.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A request was answered on it.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::AcqRel);
        self.fed();
    }

    /// Something of an answer has come.
    pub(super) fn fed(&self) {
        let came = self.moved_in.load(Ordering::Relaxed);
        self.fed.store(came, Ordering::Relaxed);
    }

    /// How many were. What else comes on a shared connection is the peer's HTTP/2, which may go on
    /// where nobody answers requests.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// No further request is to go out on it.
    pub(super) fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Release);
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted.load(Ordering::Acquire)
    }

    /// When something of what counts has happened last.
    pub(super) fn moved(&self, counts: Counts) -> Instant {
        let came = self.moved_in.load(Ordering::Relaxed);
        let last = match counts {
            Counts::Bytes => came.max(self.moved_out.load(Ordering::Relaxed)),
            Counts::Frames => came,
            Counts::Answers => self.fed.load(Ordering::Relaxed),
        };
        self.opened + Duration::from_micros(last)
    }

    fn age(&self) -> u64 {
        self.opened.elapsed().as_micros() as u64
    }

    /// Waits until more has come than so much. It may not have been looked at yet.
    pub(super) async fn receives(&self, more_than: u64) {
        let arrived = self.arrived.notified();
        if self.received() <= more_than {
            arrived.await;
        }
    }

    /// Whether an idle connection is still open and silent. Anything that can be read there is
    /// the peer's farewell, or an answer that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::<u8>::uninit()];
        matches!(
            SockRef::from(&self.tcp).peek(&mut byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }
}

/// The stream over a [`Wire`].
pub(super) struct Socket(pub(super) Arc<Wire>);

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tcp = &self.0.tcp;
        if self.0.has_news.load(Ordering::Relaxed) {
            self.0.has_news.store(false, Ordering::Relaxed);
            let mut room = [MaybeUninit::<u8>::uninit(); LARGEST_READ];
            let room = &mut room[..buffer.remaining().min(LARGEST_READ)];
            // An end and an error are told to the runtime as well.
            if let Ok(read) = sys::receive(tcp, room)
                && !read.is_empty()
            {
                self.0.came(read.len() as u64);
                buffer.put_slice(read);
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            ready!(tcp.poll_read_ready(context))?;
            // Read into memory that is not initialized first, as the buffer of hyper's would be on
            // each read.
            let mut room = [MaybeUninit::<u8>::uninit(); LARGEST_READ];
            let room = &mut room[..buffer.remaining().min(LARGEST_READ)];
            let capacity = room.len();
            let mut is_short = false;
            let mut is_end = false;
            // A short read has emptied the socket. Saying so in the same step gives the readiness
            // back, and spares the read that would only say "not yet".
            let result = tcp.try_io(Interest::READABLE, || {
                let read = sys::receive(tcp, room)?;
                buffer.put_slice(read);
                self.0.came(read.len() as u64);
                is_end = read.is_empty() && capacity > 0;
                if !read.is_empty() && read.len() < capacity {
                    is_short = true;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match result {
                Ok(()) => {
                    if let Some(error) = self.0.deaf().filter(|_| is_end) {
                        return Poll::Ready(Err(error));
                    }
                }
                Err(_) if is_short => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl Socket {
    /// What is sent to a peer that takes nothing more is let fall: the reading says how it ends.
    fn poll_send(
        &self,
        context: &mut Context<'_>,
        length: usize,
        mut send: impl FnMut(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let tcp = &self.0.tcp;
        loop {
            if self.0.is_deaf() {
                return Poll::Ready(Ok(length));
            }
            ready!(tcp.poll_write_ready(context))?;
            match tcp.try_io(Interest::WRITABLE, || send(SockRef::from(tcp))) {
                Ok(count) => {
                    self.0.written.fetch_add(count as u64, Ordering::Relaxed);
                    self.0.traffic.sent.add(count as u64);
                    self.0.moved_out.store(self.0.age(), Ordering::Relaxed);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if self.0.becomes_deaf(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, bytes.len(), |socket| {
            socket.send_with_flags(bytes, sys::SEND_FLAGS)
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return self.poll_write(context, slice);
        }
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.poll_send(context, length, |socket| {
            socket.send_vectored_with_flags(slices, sys::SEND_FLAGS)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0.tcp).shutdown(std::net::Shutdown::Write))
    }
}
