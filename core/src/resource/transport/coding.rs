//! Content codings that the library asked for, and therefore takes off.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, RANGE};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncRead;
use tokio_util::io::{StreamReader, poll_read_buf};

use super::answer::{Answer, BodyFailure};
use super::brotli::BrotliReader;

/// What is asked for. The two that Dataverse and every front end have.
const WANTED: HeaderValue = HeaderValue::from_static("gzip, br");
/// How much is decoded at a time.
const PIECE: usize = 32 << 10;
/// What may follow a compressed body on the wire before its connection is given up.
const MOST_REST: usize = 64 << 10;

/// How a member of a gzip file begins (RFC 1952, 2.3.1).
const MEMBER: &[u8] = &[0x1F, 0x8B, 8];

type Reader = StreamReader<Answer, Bytes>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Brotli,
}

/// Asks for codings, if the application has not spoken of them itself. Not for ranges: those
/// would be ranges of the coded bytes.
pub(crate) fn ask(headers: &mut HeaderMap) -> bool {
    let is_free = !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE);
    if is_free {
        headers.insert(ACCEPT_ENCODING, WANTED);
    }
    is_free
}

/// Whether the codings are still the library's wish, after the application has had its say.
pub(crate) fn still_asks(headers: &mut HeaderMap) -> bool {
    if headers.get(ACCEPT_ENCODING) != Some(&WANTED) {
        return false;
    }
    let is_range = headers.contains_key(RANGE);
    if is_range {
        headers.remove(ACCEPT_ENCODING);
    }
    !is_range
}

impl Coding {
    /// The coding of an answer that is to be taken off. The head then describes the body without
    /// it.
    pub(super) fn take_off(head: &mut Parts, method: &Method) -> Coding {
        let has_body = method != Method::HEAD
            && head.status != StatusCode::NO_CONTENT
            && head.status != StatusCode::NOT_MODIFIED;
        let mut values = head.headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (has_body, values.next(), values.next()) {
            (true, Some(value), None) => Coding::of(value),
            _ => Coding::Identity,
        };
        if coding != Coding::Identity {
            // One by one, because taking a header out of the map moves another one to its place.
            let mut kept = HeaderMap::with_capacity(head.headers.len());
            for (name, value) in &head.headers {
                if name != CONTENT_ENCODING && name != CONTENT_LENGTH {
                    kept.append(name.clone(), value.clone());
                }
            }
            head.headers = kept;
        }
        coding
    }

    fn of(value: &HeaderValue) -> Coding {
        let is = |name: &str| value.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        if is("gzip") || is("x-gzip") {
            Coding::Gzip
        } else if is("br") {
            Coding::Brotli
        } else {
            // Not asked for; whoever reads it sees the header.
            Coding::Identity
        }
    }
}

/// A body without its coding.
pub(crate) struct Decoded(Unwrapping);

enum Unwrapping {
    Plain(Answer),
    /// Coded, and nothing was read yet: an empty body is empty, whatever its coding.
    Begin(Box<Answer>, Coding),
    Coded(Pin<Box<Decoder>>),
    /// A member of gzip was decoded: another one follows, or what has no meaning.
    Member(Box<Answer>, BytesMut),
    /// Decoded to its end; the connection has not said so yet.
    Rest(Box<Answer>, usize),
    /// It is broken off, and nobody was told yet.
    Broken(Box<BodyFailure>),
    End,
}

enum Decoder {
    Gzip(GzipDecoder<Reader>),
    Brotli(BrotliReader<Reader>),
}

impl Decoded {
    pub(super) fn new(answer: Answer, coding: Coding) -> Decoded {
        Decoded(match coding {
            Coding::Identity => Unwrapping::Plain(answer),
            coding => Unwrapping::Begin(Box::new(answer), coding),
        })
    }

    /// Whether nothing follows the head.
    pub(super) fn is_empty(&self) -> bool {
        match &self.0 {
            Unwrapping::Plain(answer) => answer.is_empty(),
            Unwrapping::Begin(answer, _) => answer.is_empty(),
            Unwrapping::Coded(_)
            | Unwrapping::Member(..)
            | Unwrapping::Rest(..)
            | Unwrapping::Broken(_) => false,
            Unwrapping::End => true,
        }
    }

    /// Whether it is longer than so many bytes, by its own word.
    pub(super) fn is_longer_than(&self, most: usize) -> bool {
        matches!(&self.0, Unwrapping::Plain(answer) if answer.is_longer_than(most))
    }

    /// Has the next one who reads on be told.
    pub(super) fn break_off(&mut self, failure: BodyFailure) {
        self.0 = Unwrapping::Broken(Box::new(failure));
    }

    /// The next piece; `None` at the end. Nothing is lost when the waiting is given up.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyFailure>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyFailure>>> {
        loop {
            match &mut self.0 {
                Unwrapping::Plain(answer) => return answer.poll_piece(context),
                Unwrapping::Begin(answer, _) => match ready!(answer.poll_piece(context)) {
                    Some(Ok(piece)) => {
                        answer.unread(piece);
                        self.begin();
                    }
                    other => return Poll::Ready(other),
                },
                Unwrapping::Coded(decoder) => {
                    let mut piece = BytesMut::with_capacity(PIECE);
                    match ready!(decoder.as_mut().poll(context, &mut piece)) {
                        Ok(0) => self.end(),
                        Ok(_) => return Poll::Ready(Some(Ok(piece.freeze()))),
                        Err(error) => {
                            self.0 = Unwrapping::End;
                            return Poll::Ready(Some(Err(failure(error))));
                        }
                    }
                }
                Unwrapping::Member(answer, seen) => {
                    let known = seen.len().min(MEMBER.len());
                    if seen[..known] != MEMBER[..known] || known == MEMBER.len() {
                        self.go_on();
                        continue;
                    }
                    match ready!(answer.poll_piece(context)) {
                        Some(Ok(piece)) => seen.extend_from_slice(&piece),
                        other => return Poll::Ready(other),
                    }
                }
                Unwrapping::Rest(answer, seen) => match ready!(answer.poll_piece(context)) {
                    Some(Ok(piece)) => {
                        *seen += piece.len();
                        if *seen > MOST_REST {
                            self.0 = Unwrapping::End;
                        }
                    }
                    other => return Poll::Ready(other),
                },
                Unwrapping::Broken(_) => {
                    let Unwrapping::Broken(failure) =
                        std::mem::replace(&mut self.0, Unwrapping::End)
                    else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(Err(*failure)));
                }
                Unwrapping::End => return Poll::Ready(None),
            }
        }
    }

    fn begin(&mut self) {
        self.0 = match std::mem::replace(&mut self.0, Unwrapping::End) {
            Unwrapping::Begin(answer, coding) => {
                let reader = StreamReader::new(*answer);
                Unwrapping::Coded(Box::pin(match coding {
                    Coding::Brotli => Decoder::Brotli(BrotliReader::new(reader)),
                    Coding::Gzip | Coding::Identity => Decoder::Gzip(GzipDecoder::new(reader)),
                }))
            }
            other => other,
        };
    }

    /// Begins the next member of gzip. What is none is ignored, as curl ignores it.
    fn go_on(&mut self) {
        self.0 = match std::mem::replace(&mut self.0, Unwrapping::End) {
            Unwrapping::Member(mut answer, seen) if seen.starts_with(MEMBER) => {
                answer.unread(seen.freeze());
                let decoder = GzipDecoder::new(StreamReader::new(*answer));
                Unwrapping::Coded(Box::pin(Decoder::Gzip(decoder)))
            }
            Unwrapping::Member(answer, seen) => Unwrapping::Rest(answer, seen.len()),
            other => other,
        };
    }

    fn end(&mut self) {
        self.0 = match std::mem::replace(&mut self.0, Unwrapping::End) {
            Unwrapping::Coded(decoder) => {
                // Answer, StreamReader and the decoders are Unpin: nothing points into them.
                match *Pin::into_inner(decoder) {
                    Decoder::Gzip(decoder) => {
                        let (answer, seen) = decoder.into_inner().into_inner_with_chunk();
                        Unwrapping::Member(Box::new(answer), seen.unwrap_or_default().into())
                    }
                    Decoder::Brotli(decoder) => {
                        Unwrapping::Rest(Box::new(decoder.into_inner().into_inner()), 0)
                    }
                }
            }
            other => other,
        };
    }
}

impl Decoder {
    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        piece: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        fn read<R: AsyncRead + Unpin>(
            reader: &mut R,
            context: &mut Context<'_>,
            piece: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            poll_read_buf(Pin::new(reader), context, piece)
        }
        match self.get_mut() {
            Decoder::Gzip(decoder) => read(decoder, context, piece),
            Decoder::Brotli(decoder) => read(decoder, context, piece),
        }
    }
}

/// A decoder passes on what reading failed with.
fn failure(error: io::Error) -> BodyFailure {
    match error.downcast::<BodyFailure>() {
        Ok(failure) => failure,
        Err(error) => BodyFailure::Undecodable(error),
    }
}
