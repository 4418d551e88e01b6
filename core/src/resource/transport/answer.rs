//! The body of an answer on its way in, with the connection that it comes on.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::Body;
use hyper::body::Incoming;

use super::connector::Origin;
use super::http1::Http1;
use super::http2::Lease;
use super::pool::{Permit, Pool};

/// What carries an answer.
pub(super) enum Carrier {
    Http1(Box<Http1>),
    Http2(Lease),
}

impl Carrier {
    /// Whether a proxy reads the requests and passes them on.
    pub(super) fn is_forwarded(&self) -> bool {
        matches!(self, Carrier::Http1(connection) if connection.proxy.is_some())
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyFailure {
    Broken(hyper::Error),
    /// Its stream has ended without saying that the body has.
    Cut,
    Undecodable(io::Error),
    NoMemory,
}

impl fmt::Display for BodyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyFailure::Broken(error) => error.fmt(f),
            BodyFailure::Cut => f.write_str("the body has ended before its end"),
            BodyFailure::Undecodable(error) => error.fmt(f),
            BodyFailure::NoMemory => f.write_str("no memory for the body"),
        }
    }
}

impl std::error::Error for BodyFailure {}

/// The rest of an answer. Read to its end, it gives its connection back to the pool; dropped before,
/// it closes it, or resets its stream.
pub(super) struct Answer {
    body: Incoming,
    carrier: Option<Carrier>,
    /// Read before, and put back.
    first: Option<Bytes>,
    pool: Arc<Pool>,
    origin: Arc<Origin>,
    permit: Option<Permit>,
    /// Of a refusal that nobody has measured, what has come is all.
    ends_anyhow: bool,
}

impl Answer {
    pub(super) fn new(
        body: Incoming,
        carrier: Carrier,
        pool: Arc<Pool>,
        origin: Arc<Origin>,
        permit: Option<Permit>,
        ends_anyhow: bool,
    ) -> Answer {
        Answer {
            body,
            carrier: Some(carrier),
            first: None,
            pool,
            origin,
            permit,
            ends_anyhow,
        }
    }

    /// Puts a piece back to be read first.
    pub(super) fn unread(&mut self, piece: Bytes) {
        self.first = Some(piece);
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyFailure>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.carrier.is_none() {
            return Poll::Ready(None);
        }
        let mut has_driven = false;
        loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are ignored.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        if let Some(Carrier::Http2(lease)) = &self.carrier {
                            lease.fed();
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                // All has come, and only the sending was broken off.
                Poll::Ready(Some(Err(_))) if self.ends_anyhow || self.is_whole() => {
                    self.finish(context);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.give_up();
                    return Poll::Ready(Some(Err(BodyFailure::Broken(error))));
                }
                Poll::Ready(None) => {
                    let is_shared = matches!(self.carrier, Some(Carrier::Http2(_)));
                    // hyper takes RST_STREAM(NO_ERROR) for an end.
                    if is_shared && !self.body.is_end_stream() && !self.is_whole() {
                        self.give_up();
                        return Poll::Ready(Some(Err(BodyFailure::Cut)));
                    }
                    self.finish(context);
                    return Poll::Ready(None);
                }
                Poll::Pending => match &mut self.carrier {
                    Some(Carrier::Http1(connection)) if !has_driven => {
                        connection.poll_driver(context);
                        has_driven = true;
                    }
                    _ => return Poll::Pending,
                },
            }
        }
    }

    /// Whether it is longer than so many bytes, by its own word.
    pub(super) fn is_longer_than(&self, most: usize) -> bool {
        let told = self.body.size_hint().exact();
        told.is_some_and(|told| told > most as u64)
    }

    /// Whether nothing follows the head.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    /// Whether as much has come as was announced.
    fn is_whole(&self) -> bool {
        self.body.size_hint().exact() == Some(0)
    }

    fn give_up(&mut self) {
        if let Some(Carrier::Http2(mut lease)) = self.carrier.take() {
            lease.done();
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        match self.carrier.take() {
            Some(Carrier::Http1(mut connection)) => {
                connection.finish(context);
                self.pool.put(&self.origin, connection);
            }
            Some(Carrier::Http2(mut lease)) => lease.done(),
            None => {}
        }
        self.permit = None;
    }
}

/// For decoders, which read streams.
impl Stream for Answer {
    type Item = io::Result<Bytes>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        self.get_mut()
            .poll_piece(context)
            .map(|piece| piece.map(|piece| piece.map_err(io::Error::other)))
    }
}
