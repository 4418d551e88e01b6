//! One HTTP/1.1 connection. It has no task of its own: whoever exchanges on it drives it.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::failure;
use super::head::HeadError;
use super::head_reader::{HeadReader, Heads};
use super::progress::Progress;
use super::send_body::SendBody;
use super::socket::{Counts, Wire};
use super::stream::Stream;
use crate::head_text::HeadText;

type Driver = http1::Connection<TokioIo<HeadReader>, SendBody>;

/// In a box, because it goes from the pool to its call and back with each exchange.
pub(super) struct Http1 {
    sender: http1::SendRequest<SendBody>,
    /// `None` once it has ended. It is dropped at that moment: an ended driver that is kept
    /// neither answers nor gives back what was queued to it.
    driver: Option<Pin<Box<Driver>>>,
    wire: Arc<Wire>,
    heads: Arc<Heads>,
    /// Requests go to a proxy, which wants to read the whole URL, and perhaps who asks.
    pub(super) proxy: Option<Forward>,
    /// The address at the other end; `None`: of a tunnel.
    pub(super) peer: Option<IpAddr>,
    pub(super) opened: Instant,
    /// When it is too old; told by the pool when it first gets it.
    pub(super) expires: Option<Instant>,
    pub(super) last_used: Instant,
}

/// How a proxy is spoken to that forwards requests for plain http.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) authorization: Option<HeaderValue>,
}

impl Http1 {
    pub(super) async fn open(
        stream: Stream,
        wire: Arc<Wire>,
        peer: Option<IpAddr>,
        proxy: Option<Forward>,
        max_headers: usize,
    ) -> Result<Box<Http1>, hyper::Error> {
        let heads = Arc::new(Heads::default());
        let shared = (Arc::clone(&heads), Arc::clone(&wire));
        let reader = HeadReader::new(stream, shared, max_headers);
        let (sender, driver) = builder(max_headers).handshake(TokioIo::new(reader)).await?;
        let now = Instant::now();
        Ok(Box::new(Http1 {
            sender,
            driver: Some(Box::pin(driver)),
            wire,
            heads,
            proxy,
            peer,
            opened: now,
            expires: None,
            last_used: now,
        }))
    }

    /// Whether another request may go out on it.
    pub(super) fn is_reusable(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready() && !self.wire.is_deaf()
    }

    /// Whether nothing has come on it while it was idle.
    pub(super) fn is_quiet(&self) -> bool {
        self.wire.is_quiet()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<SendBody>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Box<dyn StdError + Send + Sync>> {
        // The pool has looked at what it kept.
        let is_fresh = self.expires.is_none();
        progress.watch(&self.wire, !is_fresh);
        if is_fresh && !self.is_quiet() {
            self.wire.has_news();
        }
        // hyper wakes a connection that it gives a request. The waker is of whoever drove it last, and most often the one
        // that drives it next: the runtime would ask for news at once, and look at the whole call twice. What has
        // come before the request is seen here, and ends the connection.
        let ended = poll_driver(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        if is_fresh && let Some(Err(error)) = ended {
            return Err(match failure::is_io(&error) {
                true => error.into(),
                false => HeadError::Unasked.into(),
            });
        }
        self.heads.expect(request.method() == Method::HEAD);
        let answer = pin!(self.sender.try_send_request(request));
        let answer = drive(&mut self.driver, answer).await;
        let seen = self.heads.take();
        match answer {
            Ok(answer) => {
                progress.read(HeadText(seen.text));
                let Some(head) = seen.read else {
                    return Ok(answer);
                };
                Ok(Response::from_parts(head, answer.into_body()))
            }
            Err(mut error) => {
                // Its status is known, although it was refused.
                if let Some(head) = seen.read {
                    progress.responded(head);
                }
                if error.take_message().is_some() {
                    progress.not_sent();
                }
                Err(error.into_error().into())
            }
        }
    }

    /// Lets the connection do what it can now.
    pub(super) fn poll_driver(&mut self, context: &mut Context<'_>) {
        poll_driver(&mut self.driver, context);
    }

    /// An answer was read to its end. One more turn lets the connection notice that it is idle, or
    /// that it has to close.
    pub(super) fn finish(&mut self, context: &mut Context<'_>) {
        if !self.sender.is_ready() {
            self.poll_driver(context);
        }
        self.last_used = self.wire.moved(Counts::Bytes);
    }
}

/// Waits for something that the connection brings, and drives the connection meanwhile.
async fn drive<F: Future>(
    driver: &mut Option<Pin<Box<Driver>>>,
    mut future: Pin<&mut F>,
) -> F::Output {
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        poll_driver(driver, context);
        future.as_mut().poll(context)
    })
    .await
}

/// For connections whose answers' heads a `HeadReader` bounds.
pub(super) fn builder(max_headers: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(max_headers)
        .max_buf_size((2 * max_headers).max(128 << 10));
    builder
}

/// Tells how it has ended, if it does now.
fn poll_driver(
    driver: &mut Option<Pin<Box<Driver>>>,
    context: &mut Context<'_>,
) -> Option<Result<(), hyper::Error>> {
    let polled = driver.as_mut()?.as_mut().poll(context);
    let Poll::Ready(ended) = polled else {
        return None;
    };
    *driver = None;
    Some(ended)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use bytes::Bytes;
    use tokio::net::TcpStream;

    use super::super::http2::Http2;
    use super::super::send_body::SendBody;
    use super::super::socket::{Socket, Wire};
    use super::super::stream::Stream;
    use super::*;
    use crate::Phase;

    const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n";
    /// SETTINGS, and 204 on the first stream.
    const FRAMES: &[u8] =
        b"\0\0\0\x04\0\0\0\0\0\0\0\x14\x01\x05\0\0\0\x01\x89\0\x0dodata-version\x034.0";

    /// A connection on which something lies already that nobody has asked for.
    async fn unasked(bytes: &[u8]) -> (Stream, Arc<Wire>, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let wire = Wire::new(tcp, Arc::default());
        peer.write_all(bytes).unwrap();
        while wire.is_quiet() {
            std::thread::yield_now();
        }
        (Stream::Plain(Socket(Arc::clone(&wire))), wire, peer)
    }

    fn request() -> Request<SendBody> {
        let uri = "http://contoso.crm.script.test/api/data/v9.2/accounts";
        let body = SendBody::bytes(Bytes::from_static(b"{}"));
        Request::post(uri).body(body).unwrap()
    }

    #[tokio::test]
    async fn what_lies_there_before_a_request_is_no_answer_to_it() {
        let (stream, wire, _peer) = unasked(ANSWER).await;
        let mut connection = Http1::open(stream, wire, None, None, 1 << 16)
            .await
            .unwrap();
        let progress = Progress::default();
        connection.send(request(), &progress).await.unwrap_err();
        assert_eq!(progress.phase(), Phase::NotSent);

        let (stream, wire, _peer) = unasked(FRAMES).await;
        let connection = Http2::open(stream, wire, None, 1 << 16).await.unwrap();
        let mut lease = Arc::new(connection).lease().unwrap();
        let progress = Progress::default();
        lease.send(request(), &progress).await.unwrap_err();
        assert_eq!(progress.phase(), Phase::NotSent);
    }
}
