//! A stream on which answers come over HTTP/1.1, whose heads are looked at before hyper sees them.
//! What hyper takes passes untouched; what it would refuse is read here, and hyper is told only
//! where the body ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{self, Head, HeadError};
use super::socket::Wire;
use super::stream::Stream;
use crate::lock::lock;

/// No head is due: what comes is a body's.
const NOT_DUE: u8 = 0;
const DUE: u8 = 1;
/// To a `HEAD` request: no body follows.
const DUE_WITHOUT_BODY: u8 = 2;

/// What the one who sends requests and the one who reads answers share.
#[derive(Default)]
pub(super) struct Heads {
    due: AtomicU8,
    /// How long the head of the request is whose answer is due; 0: nothing of it was written yet.
    asked: AtomicUsize,
    seen: Mutex<Seen>,
}

/// What hyper does not tell of an answer's head.
#[derive(Default)]
pub(super) struct Seen {
    /// The head that was read here, in the place of the one that hyper has seen.
    pub(super) read: Option<Parts>,
    /// As it came: hyper forgets how names were spelled, and in which order they stood.
    pub(super) text: Bytes,
}

impl Heads {
    /// A request goes out, whose answer's head is the next that comes.
    pub(super) fn expect(&self, is_head: bool) {
        let due = if is_head { DUE_WITHOUT_BODY } else { DUE };
        self.asked.store(0, Ordering::Relaxed);
        self.due.store(due, Ordering::Relaxed);
    }

    /// Bytes are written. hyper writes a request's head from its beginning, and the whole of it in the first piece.
    fn writes(&self, bytes: &[u8]) {
        if self.asked.load(Ordering::Relaxed) == 0 && self.due.load(Ordering::Relaxed) != NOT_DUE {
            let length = head::end(bytes, 0).unwrap_or(bytes.len());
            self.asked.store(length, Ordering::Relaxed);
        }
    }

    /// What was seen of the answer's head: of one that was refused what could be read.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *lock(&self.seen))
    }
}

pub(super) struct HeadReader {
    stream: Stream,
    heads: Arc<Heads>,
    wire: Arc<Wire>,
    most: usize,
    /// What has come of a head.
    head: Vec<u8>,
    /// How much of it was searched for its end.
    searched: usize,
    /// What is due to hyper, and how much of it was given.
    ready: Vec<u8>,
    given: usize,
}

impl HeadReader {
    pub(super) fn new(
        stream: Stream,
        (heads, wire): (Arc<Heads>, Arc<Wire>),
        most: usize,
    ) -> HeadReader {
        HeadReader {
            stream,
            heads,
            wire,
            most,
            head: Vec::new(),
            searched: 0,
            ready: Vec::new(),
            given: 0,
        }
    }

    /// What it reads from, where nothing is held that was read. `None`: something is.
    pub(super) fn into_wire(self) -> Option<Arc<Wire>> {
        let is_empty = self.head.is_empty() && self.ready.is_empty();
        is_empty.then_some(self.wire)
    }

    /// Gives what is ready, if anything is.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let rest = &self.ready[self.given..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            (self.ready, self.given) = (Vec::new(), 0);
        }
        count > 0
    }

    /// Reads the heads that are here.
    fn advance(&mut self, is_head: bool) -> Result<(), HeadError> {
        loop {
            if self.searched == 0 {
                let lines = self.head.iter().take_while(|byte| b"\r\n".contains(byte));
                let count = lines.count();
                self.head.drain(..count);
            }
            let Some(end) = head::end(&self.head, self.searched.saturating_sub(3)) else {
                self.searched = self.head.len();
                if !head::may_begin(&self.head) {
                    return Err(HeadError::StatusLine);
                }
                if self.head.len() > self.most {
                    self.keep_refused(is_head);
                    return Err(HeadError::TooLarge(self.most));
                }
                return Ok(());
            };
            if end > self.most {
                self.keep_refused(is_head);
                return Err(HeadError::TooLarge(self.most));
            }
            let rest = self.head.split_off(end);
            let text = std::mem::replace(&mut self.head, rest);
            self.searched = 0;
            let status = match head::plain(&text) {
                Some(status) => {
                    if is_last(status) {
                        self.is_due(status)?;
                    }
                    self.ready.extend_from_slice(&text);
                    status
                }
                None => {
                    let head = Head::read(&text, is_head)?;
                    let status = head.parts.status.as_u16();
                    let for_hyper = head.for_hyper();
                    if is_last(status) {
                        self.is_due(status)?;
                        lock(&self.heads.seen).read = Some(head.parts);
                    }
                    self.ready.extend_from_slice(&for_hyper?);
                    status
                }
            };
            if is_last(status) {
                lock(&self.heads.seen).text = text.into();
                self.ready.append(&mut self.head);
                self.head = Vec::new();
                self.heads.due.store(NOT_DUE, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// A refusal may come before the request was read; who says that it is done answers somebody else.
    fn is_due(&self, status: u16) -> Result<(), HeadError> {
        let asked = self.heads.asked.load(Ordering::Relaxed);
        // TLS makes no less of a head than it is.
        let has_left = asked > 0 && self.wire.begun() >= asked as u64;
        match has_left || status >= 300 {
            true => Ok(()),
            false => Err(HeadError::Early),
        }
    }

    /// Keeps of a head that is not taken what can be read of it: its status, before all.
    fn keep_refused(&mut self, is_head: bool) {
        if let Ok(head) = Head::read(&self.head, is_head)
            && is_last(head.parts.status.as_u16())
            && self.is_due(head.parts.status.as_u16()).is_ok()
        {
            lock(&self.heads.seen).read = Some(head.parts);
        }
    }
}

/// Whether it is the answer, and not news on the way to it.
fn is_last(status: u16) -> bool {
    status >= 200 || status == 101
}

impl AsyncRead for HeadReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.give(buffer) {
            return Poll::Ready(Ok(()));
        }
        let due = this.heads.due.load(Ordering::Relaxed);
        if due == NOT_DUE {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let is_head = due == DUE_WITHOUT_BODY;
        let before = buffer.filled().len();
        loop {
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
            let new = &buffer.filled()[before..];
            // What breaks off within its head is no answer.
            if read.is_err() || new.is_empty() {
                return Poll::Ready(read);
            }
            if this.head.is_empty()
                && let Some(end) = head::end(new, 0).filter(|end| *end <= this.most)
                && let Some(status) = head::plain(&new[..end]).filter(|status| is_last(*status))
                && this.is_due(status).is_ok()
            {
                lock(&this.heads.seen).text = Bytes::copy_from_slice(&new[..end]);
                this.heads.due.store(NOT_DUE, Ordering::Relaxed);
                return Poll::Ready(Ok(()));
            }
            this.head.extend_from_slice(new);
            buffer.set_filled(before);
            if let Err(error) = this.advance(is_head) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            if this.give(buffer) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for HeadReader {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heads.writes(bytes);
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.heads
            .writes(slices.first().map_or(&[][..], |slice| slice));
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
