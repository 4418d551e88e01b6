//! The one way out for calls: HTTP/1.1 and HTTP/2 over connections of our own, with a proof of how
//! far each attempt got.

mod address;
mod answer;
mod brotli;
mod coding;
mod connector;
mod failure;
mod head;
mod head_reader;
mod http1;
mod http2;
mod pool;
mod progress;
mod resolver;
mod route;
mod send_body;
mod socket;
mod stream;
mod tls;
mod tunnel;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body::Body as _;
use tokio::time::sleep;
use url::Url;

pub(crate) use self::address::Address;
use self::answer::{Answer, BodyFailure, Carrier};
use self::coding::Coding;
pub(crate) use self::coding::{
    Decoded, ask as ask_for_codings, still_asks as still_asks_for_codings,
};
use self::connector::{Connector, Opened, Origin};
use self::http2::{Http2, Lease};
pub(crate) use self::pool::Permit;
use self::pool::{Opening, Pool};
pub(crate) use self::progress::Progress;
pub(crate) use self::send_body::{Gate, SendBody};
use super::race::{First, race};
use super::settled::settled;
use crate::shown::shown_url;
use crate::{Cause, Error, Fault, Phase, Settings};

/// How long the body of a failure is waited for before it is judged by what has come of it.
const FAILURE_BODY_TIME: Duration = Duration::from_secs(2);

pub(crate) struct Transport {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

/// One request on its way to one endpoint.
pub(crate) struct Exchange<'a> {
    pub(crate) address: &'a Address,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Makes the body, once for each connection that is tried.
    pub(crate) body: &'a (dyn Fn() -> SendBody + Sync),
    /// The body comes from the application while it is sent. Over HTTP/1.1 it goes out on a
    /// connection that was opened for it: one that has grown stale would take its first bytes along.
    pub(crate) is_read_while_sent: bool,
    /// How long a connection may have been idle that it goes out on. One that has grown stale loses
    /// the request, and leaves in doubt whether it was executed.
    pub(crate) max_idle: Duration,
    /// Whether the body can still be sent from its beginning.
    pub(crate) is_whole: &'a (dyn Fn() -> bool + Sync),
    /// Opened by `100 Continue`.
    pub(crate) gate: Option<&'a Gate>,
    /// Codings were asked for, and are taken off.
    pub(crate) decodes: bool,
    /// How much of the body is read here.
    pub(crate) reads: Reads<'a>,
    pub(crate) progress: &'a Progress,
}

/// How much of an answer's body is read before the exchange is over.
#[derive(Clone, Copy)]
pub(crate) enum Reads<'a> {
    /// All of it, at most so many bytes. What is told of a failure may be enough before the end:
    /// its head, and what has come of its body.
    All(usize, &'a (dyn Fn(&Parts, &[u8]) -> bool + Sync)),
    /// At most so many bytes of a failure; of a success what is needed to know what it says.
    Beginning(usize, &'a (dyn Fn(&Parts, &[u8]) -> bool + Sync)),
}

impl<'a> Exchange<'a> {
    /// A read of the library's own, of at most `most` bytes.
    pub(crate) fn get(
        address: &'a Address,
        headers: &'a HeaderMap,
        most: usize,
        progress: &'a Progress,
    ) -> Exchange<'a> {
        Exchange {
            address,
            method: &Method::GET,
            headers,
            body: &|| SendBody::bytes(Bytes::new()),
            is_read_while_sent: false,
            max_idle: Duration::MAX,
            is_whole: &|| true,
            gate: None,
            decodes: false,
            reads: Reads::All(most, &|_, _| true),
            progress,
        }
    }
}

impl Transport {
    pub(crate) fn new(settings: &Settings, needs_tls: bool) -> Result<Transport, Error> {
        let tls = needs_tls
            .then(|| tls::client_config(settings))
            .transpose()?;
        Ok(Transport {
            connector: Arc::new(Connector::new(settings, tls)),
            pool: Arc::new(Pool::new(
                settings.max_connections,
                settings.idle_timeout,
                settings.max_connection_age,
                settings.connect_timeout,
            )),
        })
    }

    /// Waits until one of the endpoint's connections may be used.
    pub(crate) async fn permit(&self, address: &Address) -> Permit {
        self.pool.permit(address.origin()).await
    }

    /// Sends one request and reads the answer into its progress. What was not read of the body is
    /// handed out, and keeps the permit.
    ///
    /// A pooled connection that turns out to be closed before a byte of the request has left is
    /// replaced by a fresh one, once: nothing was sent, so nothing is sent twice.
    pub(crate) async fn exchange(
        &self,
        exchange: &Exchange<'_>,
        mut permit: Option<Permit>,
    ) -> Result<Option<Decoded>, Fault> {
        let origin = exchange.address.origin();
        let progress = exchange.progress;
        if let Some(carrier) = self.kept(origin, exchange).await {
            match self.send(carrier, origin, exchange, &mut permit).await {
                Err(_) if progress.phase() == Phase::NotSent && (exchange.is_whole)() => {}
                Err(mut fault) => {
                    // Nothing has left, but of the body something was read: whether it can be read
                    // again is not known here.
                    if progress.phase() == Phase::NotSent {
                        fault.cause = Cause::Unprocessed;
                    }
                    return Err(fault);
                }
                Ok(answer) => return self.read(answer, exchange).await,
            }
        }
        let carrier = self.fresh(origin, exchange.max_idle).await?;
        let sent = self.send(carrier, origin, exchange, &mut permit).await;
        let answer = sent.map_err(|mut fault| {
            if fault.cause == Cause::Closed && progress.phase() == Phase::NotSent {
                fault.cause = Cause::ClosedUnsent;
            }
            fault
        })?;
        self.read(answer, exchange).await
    }

    /// Sends one request on a connection that is opened for it.
    pub(crate) async fn exchange_apart(&self, exchange: &Exchange<'_>) -> Result<(), Fault> {
        let origin = exchange.address.origin();
        let carrier = match self.connector.connect(origin).await? {
            Opened::Http1(connection) => Carrier::Http1(connection),
            Opened::Http2(connection) => Carrier::Http2(only_lease(&Arc::new(connection), origin)?),
        };
        let answer = self.send(carrier, origin, exchange, &mut None).await?;
        self.read(answer, exchange).await.map(drop)
    }

    /// How long the fastest opening of a connection to an endpoint has taken, if there was one.
    pub(crate) fn best_connect(&self, address: &Address) -> Option<Duration> {
        self.connector.best_connect(address.origin())
    }

    /// A connection that is there already.
    async fn kept(&self, origin: &Origin, exchange: &Exchange<'_>) -> Option<Carrier> {
        let max_idle = exchange.max_idle;
        while let Some(lease) = self.pool.lease(origin, max_idle, Instant::now()) {
            if lease.is_usable().await {
                return Some(Carrier::Http2(lease));
            }
        }
        if exchange.is_read_while_sent {
            return None;
        }
        let kept = self.pool.take(origin, max_idle, Instant::now());
        kept.map(Carrier::Http1)
    }

    /// A connection that was not there before, or room on one that others opened just now.
    async fn fresh(&self, origin: &Arc<Origin>, max_idle: Duration) -> Result<Carrier, Fault> {
        while self.pool.speaks_http2(origin) {
            // One for all who wait: a switch sends all calls to the other endpoint at once.
            let awaited = match self.pool.opening(origin, Instant::now()) {
                None => break,
                Some(Opening::Theirs(awaited)) => awaited,
                // A task, driven by whoever waits: a caller may be cancelled, or leave the runtime
                // for the application's code, while others wait for the connection.
                Some(Opening::Ours(maker, awaited)) => {
                    let (connector, pool) = (Arc::clone(&self.connector), Arc::clone(&self.pool));
                    let origin = Arc::clone(origin);
                    tokio::spawn(async move {
                        let opened = connector.connect(&origin).await;
                        let opened = opened.map(|opened| keep(&pool, &origin, opened));
                        maker.send_replace(Some(opened));
                    });
                    awaited
                }
            };
            settled(awaited).await.unwrap_or(Ok(()))?;
            if let Some(lease) = self.pool.lease(origin, max_idle, Instant::now()) {
                return Ok(Carrier::Http2(lease));
            }
        }
        Ok(match self.connector.connect(origin).await? {
            Opened::Http1(connection) => Carrier::Http1(connection),
            Opened::Http2(connection) => {
                let shared = self.pool.share(origin, connection);
                Carrier::Http2(only_lease(&shared, origin)?)
            }
        })
    }

    /// Sends the request and reads the head of its answer.
    async fn send(
        &self,
        mut carrier: Carrier,
        origin: &Arc<Origin>,
        exchange: &Exchange<'_>,
        permit: &mut Option<Permit>,
    ) -> Result<Decoded, Fault> {
        let progress = exchange.progress;
        let request = request(exchange, &carrier)?;
        let is_upload = !request.body().is_end_stream();
        let answer = match &mut carrier {
            Carrier::Http1(connection) => connection.send(request, progress).await,
            Carrier::Http2(lease) => lease.send(request, progress).await,
        };
        let (mut head, body) = answer
            .map_err(|error| failure::of_exchange(&origin.host, &error))?
            .into_parts();
        if head.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED && carrier.is_forwarded()
        {
            let message = "the proxy wants to know who asks (407); give proxy a user and password";
            return Err(Fault::new(Cause::LocalFailure, message));
        }
        // A server that refuses an upload and closes turns the end of its answer into a reset, where
        // the connection's end is the answer's.
        let ends_anyhow = is_upload
            && head.status.as_u16() >= 400
            && matches!(carrier, Carrier::Http1(_))
            && !head.headers.contains_key(CONTENT_LENGTH)
            && !head.headers.contains_key(TRANSFER_ENCODING);
        let coding = if exchange.decodes {
            Coding::take_off(&mut head, exchange.method)
        } else {
            Coding::Identity
        };
        progress.responded(head);
        let (pool, origin) = (Arc::clone(&self.pool), Arc::clone(origin));
        let permit = permit.take();
        let answer = Answer::new(body, carrier, pool, origin, permit, ends_anyhow);
        Ok(Decoded::new(answer, coding))
    }

    /// Reads as much of the body as is wanted here.
    async fn read(
        &self,
        mut body: Decoded,
        exchange: &Exchange<'_>,
    ) -> Result<Option<Decoded>, Fault> {
        let progress = exchange.progress;
        let is_failure = progress.status().is_some_and(|status| status >= 400);
        let most = match exchange.reads {
            Reads::All(most, _) => most,
            Reads::Beginning(most, _) if is_failure => most,
            // Nothing is left to be read: what carried it need not wait for the application.
            Reads::Beginning(..) if body.is_empty() => usize::MAX,
            Reads::Beginning(most, is_told) => {
                let is_told = || progress.look(is_told) != Some(false);
                let reading = begin(&mut body, most, progress, is_told);
                let has_ended = match race(pin!(reading), sleep(FAILURE_BODY_TIME)).await {
                    First::Left(result) => {
                        result.map_err(|error| body_fault(exchange.address.name(), error))?
                    }
                    First::Right(()) => false,
                };
                return Ok((!has_ended).then_some(body));
            }
        };
        // Of what is only read, nothing is kept that cannot be given in the end.
        let is_vain = !is_failure && exchange.method == Method::GET && body.is_longer_than(most);
        let result = if is_vain {
            Ok(false)
        } else {
            let mut reading = pin!(collect(&mut body, most, progress));
            let in_time = if is_failure {
                match race(reading.as_mut(), sleep(FAILURE_BODY_TIME)).await {
                    First::Left(result) => Some(result),
                    First::Right(()) => None,
                }
            } else {
                None
            };
            match (in_time, exchange.reads) {
                (Some(result), _) => result,
                (None, _) if !is_failure => reading.await,
                (None, Reads::Beginning(..)) => Ok(false),
                // What has come of it says enough.
                (None, Reads::All(_, is_enough)) if progress.look(is_enough) == Some(true) => {
                    return Ok(None);
                }
                (None, Reads::All(..)) => reading.await,
            }
        };
        match (result, exchange.reads) {
            (Ok(true), _) => Ok(None),
            (Ok(false), Reads::Beginning(..)) => Ok(Some(body)),
            (Ok(false), Reads::All(most, _)) => Err(Fault::new(
                Cause::BadMessage,
                format!(
                    "the body from {} is larger than {most} bytes (max_response_body)",
                    exchange.address.name(),
                ),
            )),
            (Err(error), _) => Err(body_fault(exchange.address.name(), error)),
        }
    }

    /// Closes the idle connections to an endpoint that was left.
    pub(crate) fn leave(&self, urls: &[Url]) {
        for origin in urls.iter().filter_map(Origin::of) {
            self.pool.clear(&origin);
        }
    }
}

/// What a body that was not read to its end means.
pub(crate) fn body_fault(host: &str, failure: BodyFailure) -> Fault {
    match failure {
        BodyFailure::Broken(error) => {
            let mut fault = failure::of_exchange(host, &error);
            // Whatever the peer says now, it has answered.
            if fault.cause == Cause::Unprocessed {
                fault.cause = Cause::Reset;
            }
            fault
        }
        BodyFailure::Cut => Fault::new(
            Cause::Closed,
            format!("the body from {host} has ended before its end"),
        ),
        BodyFailure::Undecodable(error) => Fault::new(
            Cause::BadMessage,
            format!("the body from {host} cannot be decoded: {error}"),
        ),
    }
}

fn only_lease(connection: &Arc<Http2>, origin: &Origin) -> Result<Lease, Fault> {
    connection.lease().ok_or_else(|| {
        let message = format!("{} allows no stream at all", origin.host);
        Fault::new(Cause::BadMessage, message)
    })
}

fn keep(pool: &Pool, origin: &Origin, opened: Opened) {
    match opened {
        Opened::Http2(connection) => {
            pool.share(origin, connection);
        }
        Opened::Http1(connection) => {
            pool.speaks_http1(origin);
            pool.put(origin, connection);
        }
    }
}

/// The request as the connection's version and way want it.
fn request(exchange: &Exchange<'_>, carrier: &Carrier) -> Result<Request<SendBody>, Fault> {
    let address = exchange.address;
    let forward = match carrier {
        Carrier::Http1(connection) => connection.proxy.as_ref(),
        Carrier::Http2(_) => None,
    };
    let is_whole = forward.is_some() || matches!(carrier, Carrier::Http2(_));
    let target = if is_whole {
        address.text()
    } else {
        address.path()
    };
    let uri: Uri = target.parse().map_err(|error| {
        let message = format!("{}: {error}", shown_url(address.text()));
        Fault::new(Cause::BadMessage, message)
    })?;
    let mut request = Request::new((exchange.body)());
    *request.method_mut() = exchange.method.clone();
    *request.uri_mut() = uri;
    let mut headers = exchange.headers.clone();
    match carrier {
        // Its name is the `:authority` of the URL.
        Carrier::Http2(_) => {
            headers.remove(HOST);
        }
        Carrier::Http1(_) => {
            // RFC 9110, 8.6: servers answer 411 to a write that says no length.
            if request.body().is_end_stream() && takes_content(exchange.method) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            if let Some(authorization) = forward.and_then(|proxy| proxy.authorization.clone()) {
                headers.insert(PROXY_AUTHORIZATION, authorization);
            }
        }
    }
    *request.headers_mut() = headers;
    if let Some(gate) = exchange.gate.cloned() {
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == http::StatusCode::CONTINUE {
                gate.open();
            }
        });
    }
    Ok(request)
}

/// Whether a request of the method is expected to have content.
fn takes_content(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method) || method.as_str() == "MERGE"
}

/// Reads a body until it has told enough, at most so many bytes. `true`: it has ended.
async fn begin(
    body: &mut Decoded,
    most: usize,
    progress: &Progress,
    is_told: impl Fn() -> bool,
) -> Result<bool, BodyFailure> {
    while !is_told() {
        let Some(piece) = body.next().await else {
            return Ok(true);
        };
        if progress.received(piece?) > most {
            break;
        }
    }
    Ok(false)
}

/// Reads a body, at most so many bytes. `false`: there is more.
async fn collect(
    body: &mut Decoded,
    most: usize,
    progress: &Progress,
) -> Result<bool, BodyFailure> {
    while let Some(piece) = body.next().await {
        if progress.received(piece?) > most {
            return Ok(false);
        }
    }
    Ok(true)
}
