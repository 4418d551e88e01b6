//! The frames that an HTTP/2 server writes, watched on their way to the socket, so that a fault
//! knows what has left and can put a frame of its own between two.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::socket::{LINGER, Wire};

/// RFC 9113, 4.1.
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

/// A GOAWAY frame (RFC 9113, 6.8).
pub(crate) fn go_away(last_stream: u32, code: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
    frame.extend(last_stream.to_be_bytes());
    frame.extend(code.to_be_bytes());
    frame
}

/// What has left of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) headers: bool,
    pub(crate) data: u64,
    /// Its last frame, or its reset.
    pub(crate) ended: bool,
}

/// Follows the frames in what is written.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; HEADER],
    /// How much of the header has come.
    have: usize,
    /// How much of the payload has not.
    left: usize,
    streams: BTreeMap<u32, Progress>,
}

impl Frames {
    fn at_boundary(&self) -> bool {
        self.have == 0
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.have < HEADER {
                let taken = bytes.len().min(HEADER - self.have);
                self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                self.have += taken;
                bytes = &bytes[taken..];
                if self.have < HEADER {
                    return;
                }
                let [high, middle, low, ..] = self.header;
                self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.have = 0;
                self.end_of_frame();
            }
        }
    }

    fn end_of_frame(&mut self) {
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        let stream = u32::from_be_bytes(stream);
        if stream == 0 {
            return;
        }
        let progress = self.streams.entry(stream).or_default();
        match kind {
            DATA => progress.data += u64::from(u32::from_be_bytes([0, high, middle, low])),
            HEADERS => progress.headers = true,
            _ => {}
        }
        progress.ended |=
            kind == RST_STREAM || [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0;
    }
}

struct Watched {
    wire: Wire,
    frames: Frames,
    injected: Vec<u8>,
    /// The server's own writing, where the socket was full.
    blocked: Option<Waker>,
    waiting: Vec<Waker>,
}

impl Watched {
    fn advance(&mut self, bytes: &[u8]) {
        self.frames.advance(bytes);
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Writes what is to be put between two frames, where there is a gap.
    fn poll_injected(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.injected.is_empty() && self.frames.at_boundary() {
            let written = ready!(Pin::new(&mut self.wire).poll_write(context, &self.injected))?;
            self.injected.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The connection with its frames watched. Clones are the same connection.
#[derive(Clone)]
pub(crate) struct FrameTap(Arc<Mutex<Watched>>);

impl FrameTap {
    pub(crate) fn new(wire: Wire) -> FrameTap {
        FrameTap(Arc::new(Mutex::new(Watched {
            wire,
            frames: Frames::default(),
            injected: Vec::new(),
            blocked: None,
            waiting: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a FIN, with or without TLS's goodbye before it, and lets the client leave: a close
    /// with unread frames would be a reset.
    pub(crate) async fn close(&mut self, close_notify: bool) {
        let linger = async {
            self.flush().await?;
            match close_notify {
                true => self.shutdown().await?,
                false => self.lock().wire.finish(),
            }
            let mut scrap = [0; 1024];
            while self.read(&mut scrap).await? > 0 {}
            io::Result::Ok(())
        };
        // A client that stays is left behind, and one that is gone needs no goodbye.
        let _ = tokio::time::timeout(LINGER, linger).await;
    }

    /// Puts a frame between two of the server's, and returns when it has left.
    pub(crate) async fn inject(&self, frame: Vec<u8>) -> io::Result<()> {
        self.lock().injected.extend(frame);
        std::future::poll_fn(|context| {
            let mut watched = self.lock();
            ready!(watched.poll_injected(context))?;
            if !watched.injected.is_empty() {
                watched.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            ready!(Pin::new(&mut watched.wire).poll_flush(context))?;
            // Only one of the two is woken by the socket.
            watched.blocked.take().into_iter().for_each(Waker::wake);
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Returns when that much of a stream has left.
    pub(crate) async fn sent(&self, stream: u32, enough: impl Fn(Progress) -> bool) {
        std::future::poll_fn(|context| {
            let mut watched = self.lock();
            let progress = watched.frames.streams.get(&stream).copied();
            if enough(progress.unwrap_or_default()) {
                return Poll::Ready(());
            }
            watched.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn forget(&self, stream: u32) {
        self.lock().frames.streams.remove(&stream);
    }
}

impl AsyncRead for FrameTap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for FrameTap {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut watched = self.lock();
        watched.blocked = Some(context.waker().clone());
        ready!(watched.poll_injected(context))?;
        let written = ready!(Pin::new(&mut watched.wire).poll_write(context, bytes))?;
        watched.advance(&bytes[..written]);
        watched.blocked = None;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u8, kind: u8, flags: u8, stream: u8) -> Vec<u8> {
        let header = [0, 0, length, kind, flags, 0, 0, 0, stream];
        [&header[..], &vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn frames_are_followed_however_they_are_written() {
        let written = [
            frame(6, 4, 0, 0),
            frame(3, HEADERS, 4, 1),
            frame(5, DATA, 0, 1),
            frame(0, DATA, END_STREAM, 1),
            frame(4, HEADERS, 4 | END_STREAM, 3),
            frame(4, RST_STREAM, 0, 5),
            frame(2, DATA, 0, 7),
        ]
        .concat();
        for piece in [1, 2, 5, 8, 9, 10, 13, written.len()] {
            let mut frames = Frames::default();
            for bytes in written.chunks(piece) {
                frames.advance(bytes);
            }
            assert!(frames.at_boundary(), "{piece}");
            let progress = |headers, data, ended| Progress {
                headers,
                data,
                ended,
            };
            let expected = [
                (1, progress(true, 5, true)),
                (3, progress(true, 0, true)),
                (5, progress(false, 0, true)),
                (7, progress(false, 2, false)),
            ];
            assert_eq!(frames.streams, BTreeMap::from(expected), "{piece}");
        }
        let mut frames = Frames::default();
        frames.advance(&written[..16]);
        assert!(!frames.at_boundary());
        frames.advance(&go_away(1, 0)[..0]);
        assert!(!frames.at_boundary());
    }

    #[test]
    fn go_away_is_one_frame() {
        let mut frames = Frames::default();
        let frame = go_away(5, 7);
        frames.advance(&frame);
        assert!(frames.at_boundary() && frames.streams.is_empty());
        assert_eq!(frame[9..], [0, 0, 0, 5, 0, 0, 0, 7]);
    }
}
