//! What an answer carries: bytes that are there, or bulk that is made while it is sent.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};

use crate::bulk::Bulk;
use crate::exchange::InFlight;

/// An answer as it is sent.
pub(crate) type Answer = Response<Content>;

/// The body of an answer. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Bulk(Bulk),
}

impl<B: Into<Bytes>> From<B> for Content {
    fn from(bytes: B) -> Content {
        Content::Bytes(bytes.into())
    }
}

/// How much is handed on at once.
const PIECE: u64 = 64 * 1024;

impl Content {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Bulk(bulk) => bulk.length(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length() == 0
    }

    /// Whether HTTP/1.1 sends it in chunks, without a length.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self, Content::Bulk(bulk) if bulk.is_chunked())
    }

    /// The beginning of a range, which may be all of it.
    pub(crate) fn piece(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(range.start + PIECE);
        match self {
            // A length that is in memory fits.
            Content::Bytes(bytes) => bytes.slice(range.start as usize..end as usize),
            Content::Bulk(bulk) => bulk.piece(range.start..end),
        }
    }
}

/// A body as hyper sends it.
pub(crate) struct Sending {
    content: Content,
    position: u64,
    /// Bulk is under way until it has left.
    _in_flight: Option<InFlight>,
}

impl Sending {
    pub(crate) fn new(content: Content, in_flight: Option<InFlight>) -> Sending {
        Sending {
            content,
            position: 0,
            _in_flight: in_flight,
        }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.content.length();
        if self.position == length {
            return Poll::Ready(None);
        }
        let piece = self.content.piece(self.position..length);
        self.position += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.position == self.content.length()
    }

    fn size_hint(&self) -> SizeHint {
        match self.content.is_chunked() {
            true => SizeHint::new(),
            false => SizeHint::with_exact(self.content.length() - self.position),
        }
    }
}
