//! The one way out for calls: HTTP/1.1 and HTTP/2 over connections of our own, with a proof of how
//! far each attempt got.

mod address;
mod answer;
mod body;
mod brotli;
mod coding;
mod connector;
mod exchange;
mod failure;
mod head;
mod head_reader;
mod http1;
mod http2;
mod pool;
mod progress;
mod request;
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

use http::Method;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::Body as _;
use tokio::time::sleep;
use url::Url;

pub(crate) use self::address::Address;
use self::answer::{Answer, Carrier};
pub(crate) use self::body::body_fault;
use self::body::{begin, collect, take_along};
use self::coding::Coding;
pub(crate) use self::coding::{
    Decoded, ask as ask_for_codings, still_asks as still_asks_for_codings,
};
use self::connector::{Connector, Manner, Opened, Origin};
pub(crate) use self::exchange::{Exchange, Reads};
use self::http2::{Http2, Lease};
pub(crate) use self::pool::Permit;
use self::pool::{Opening, Pool};
pub(crate) use self::progress::Progress;
use self::request::request;
pub(crate) use self::send_body::{Latch, SendBody};
use self::tls::Tls;
pub(crate) use self::tls::{identity, in_pkcs8};
use super::engine::Engine;
use super::late::in_time;
use super::race::{First, race};
use super::settled::settled;
use super::statistics::Statistics;
use crate::{Cause, Error, Fault, Organization, Phase, Settings};

/// How long the body of a failure is waited for before it is judged by what has come of it.
const FAILURE_BODY_TIME: Duration = Duration::from_secs(2);

pub(crate) struct Transport {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

impl Transport {
    pub(crate) fn new(
        settings: &Settings,
        organization: &Organization,
        engine: &Arc<Engine>,
        statistics: &Statistics,
    ) -> Result<Transport, Error> {
        // An allowed host may be https where the organization is not, and a token server.
        let needs_tls = organization.needs_tls()
            || !settings.allowed_hosts.is_empty()
            || settings.oauth.is_set();
        let tls = needs_tls.then(|| Tls::new(settings)).transpose()?;
        Ok(Transport {
            connector: Arc::new(Connector::new(settings, organization, tls, statistics)?),
            pool: Pool::new(settings, engine),
        })
    }

    /// What of the settings could not be used, one sentence each.
    pub(crate) fn told(&self) -> &[String] {
        self.connector.told()
    }

    /// Waits until one of the endpoint's connections may be used.
    pub(crate) async fn permit(&self, address: &Address) -> Permit {
        self.pool.permit(address.origin()).await
    }

    /// Sends one request and reads the answer into its progress. What was not read of the body is
    /// handed out, and keeps the permit.
    ///
    /// A pooled connection that turns out to be closed before a byte of the request has left is
    /// replaced by a fresh one, once: nothing was sent, so nothing is sent twice. So is an HTTP/2
    /// one whose peer wants HTTP/1.1.
    pub(crate) async fn exchange(
        &self,
        exchange: &Exchange<'_>,
        permit: Option<Permit>,
    ) -> Result<Option<Decoded>, Fault> {
        let mut guard = Guard {
            pool: &self.pool,
            origin: exchange.address.origin(),
            progress: exchange.progress,
            is_over: false,
        };
        let exchanged = self.exchange_once(exchange, permit).await;
        guard.is_over = true;
        if let Err(fault) = &exchanged
            && matches!(fault.cause, Cause::Reset | Cause::Closed)
        {
            self.pool.doubt(guard.origin);
        }
        exchanged
    }

    async fn exchange_once(
        &self,
        exchange: &Exchange<'_>,
        mut permit: Option<Permit>,
    ) -> Result<Option<Decoded>, Fault> {
        let origin = exchange.address.origin();
        let progress = exchange.progress;
        let is_doubted = self.pool.is_doubted(origin);
        let mut kept = match is_doubted {
            true => None,
            false => self.kept(origin, exchange).await,
        };
        let mut version_changes = 0;
        loop {
            let is_kept = kept.is_some();
            let carrier = match kept.take() {
                Some(kept) => kept,
                None => match self.fresh_in_time(origin, exchange, is_doubted).await {
                    Ok(fresh) => fresh,
                    // Whatever is wrong with its name now, what was connected before may serve.
                    Err(fault) if is_doubted => match self.kept(origin, exchange).await {
                        Some(kept) => kept,
                        None => return Err(fault),
                    },
                    Err(fault) => return Err(fault),
                },
            };
            let mut fault = match self.send(carrier, origin, exchange, &mut permit).await {
                Ok(answer) => return self.read(answer, exchange).await,
                Err(fault) => fault,
            };
            if progress.phase() != Phase::NotSent {
                return Err(fault);
            }
            let wants_http1 = fault.cause == Cause::Unprocessed && version_changes == 0;
            if (is_kept || wants_http1) && (exchange.is_whole)() {
                version_changes += usize::from(wants_http1);
                continue;
            }
            if is_kept {
                // Nothing has left, but of the body something was read: whether it can be read
                // again is not known here.
                fault.cause = Cause::Unprocessed;
            } else if fault.cause == Cause::Closed {
                fault.cause = Cause::ClosedUnsent;
            }
            return Err(fault);
        }
    }

    /// Sends one request on a connection that is opened for it, and kept for calls once it has carried an
    /// answer. Whoever does so doubts the others.
    pub(crate) async fn exchange_apart(&self, exchange: &Exchange<'_>) -> Result<(), Fault> {
        let origin = exchange.address.origin();
        let mut version_changes = 0;
        loop {
            let (carrier, shared) = match self
                .connect(origin, true, Some(exchange.progress), None)
                .await?
            {
                Opened::Http1(connection) => (Carrier::Http1(connection), None),
                Opened::Http2(connection) => {
                    let connection = Arc::new(connection);
                    let lease = only_lease(&connection, origin).await?;
                    (Carrier::Http2(lease), Some(connection))
                }
            };
            match self.send(carrier, origin, exchange, &mut None).await {
                Ok(answer) => {
                    self.read(answer, exchange).await?;
                    if let Some(connection) = shared {
                        self.pool.share_first(origin, connection);
                    }
                    return Ok(());
                }
                Err(fault)
                    if fault.cause == Cause::Unprocessed
                        && exchange.progress.phase() == Phase::NotSent
                        && version_changes == 0 =>
                {
                    version_changes += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn connect(
        &self,
        origin: &Origin,
        is_doubted: bool,
        progress: Option<&Progress>,
        own: Option<Duration>,
    ) -> Result<Opened, Fault> {
        let manner = Manner {
            may_be_http2: self.pool.may_be_http2(origin),
            progress,
            connect_timeout: own,
            is_shared: false,
        };
        connect(&self.connector, &self.pool, origin, is_doubted, manner).await
    }

    /// How long the fastest opening of a connection to an endpoint has taken, if there was one.
    pub(crate) fn best_connect(&self, address: &Address) -> Option<Duration> {
        self.connector.best_connect(address.origin())
    }

    /// A connection that is there already.
    async fn kept(&self, origin: &Origin, exchange: &Exchange<'_>) -> Option<Carrier> {
        let (max_idle, mut now) = (exchange.max_idle, Instant::now());
        while let Some(lease) = self.pool.lease(origin, max_idle, now) {
            if lease.is_usable().await {
                return Some(Carrier::Http2(lease));
            }
            now = Instant::now();
        }
        if exchange.is_read_while_sent {
            return None;
        }
        let kept = self.pool.take(origin, max_idle, now);
        kept.map(Carrier::Http1)
    }

    /// A connection that was not there before, within the request's own time for it. One that others
    /// wait for as well goes on without the request.
    async fn fresh_in_time(
        &self,
        origin: &Arc<Origin>,
        exchange: &Exchange<'_>,
        is_doubted: bool,
    ) -> Result<Carrier, Fault> {
        let own = exchange.connect_timeout;
        let fresh = self.fresh(origin, exchange.max_idle, is_doubted, own);
        let Some(own) = own else {
            return fresh.await;
        };
        let end = tokio::time::Instant::now() + own;
        in_time(end, pin!(fresh)).await.unwrap_or_else(|| {
            let message = format!(
                "connect to {}: not connected within the request's connect_timeout ({} ms)",
                origin.host,
                own.as_millis()
            );
            Err(Fault::new(Cause::ConnectTimeout, message))
        })
    }

    /// A connection that was not there before, or room on one that others opened just now. `own`: how
    /// long the request waits for it.
    async fn fresh(
        &self,
        origin: &Arc<Origin>,
        max_idle: Duration,
        is_doubted: bool,
        own: Option<Duration>,
    ) -> Result<Carrier, Fault> {
        while self.pool.speaks_http2(origin) {
            // How much a new one may carry is known once its peer has spoken.
            if let Some(connection) = self.pool.held_back(origin).filter(|_| !is_doubted) {
                connection.held_back().await;
                match self.pool.lease(origin, max_idle, Instant::now()) {
                    Some(lease) => return Ok(Carrier::Http2(lease)),
                    None => continue,
                }
            }
            // One for all who wait: a switch sends all calls to the other endpoint at once.
            let awaited = match self.pool.opening(origin, Instant::now()) {
                Opening::Theirs(awaited) => awaited,
                // A task, driven by whoever waits: a caller may be cancelled, or leave the runtime
                // for the application's code, while others wait for the connection.
                Opening::Ours(maker, awaited) => {
                    let (connector, pool) = (Arc::clone(&self.connector), Arc::clone(&self.pool));
                    let origin = Arc::clone(origin);
                    tokio::spawn(async move {
                        let manner = Manner {
                            may_be_http2: pool.may_be_http2(&origin),
                            progress: None,
                            connect_timeout: own,
                            is_shared: true,
                        };
                        let opened = connect(&connector, &pool, &origin, is_doubted, manner).await;
                        let opened = opened.map(|opened| keep(&pool, &origin, opened));
                        maker.send_replace(Some(opened));
                    });
                    awaited
                }
            };
            match settled(awaited).await.unwrap_or(Ok(())) {
                // The others' time was over, and not that of a request with more of it.
                Err(fault) if fault.cause == Cause::ConnectTimeout && own.is_some() => continue,
                opened => opened?,
            }
            if let Some(lease) = self.pool.lease(origin, max_idle, Instant::now()) {
                return Ok(Carrier::Http2(lease));
            }
        }
        Ok(match self.connect(origin, is_doubted, None, own).await? {
            Opened::Http1(connection) => Carrier::Http1(connection),
            Opened::Http2(connection) => {
                let connection = Arc::new(connection);
                let lease = only_lease(&connection, origin).await?;
                self.pool.share(origin, connection);
                Carrier::Http2(lease)
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
            Carrier::Http2(lease) => {
                let answer = lease.send(request, progress).await;
                answer.map_err(Into::into)
            }
        };
        let answer = answer.map_err(|error| {
            let mut fault = failure::of_exchange(&origin.host, &*error);
            if let Carrier::Http2(lease) = &carrier {
                if lease.wants_http1 {
                    self.pool.only_http1(origin);
                }
                if lease.is_no_http2() {
                    let message = format!(
                        "exchange with {}: the server has chosen HTTP/2 in the TLS handshake, and \
                         what it has sent is none; have it offer http/1.1 alone, or set http2 to off",
                        origin.host
                    );
                    fault = Fault::new(Cause::Malformed, message);
                }
                if lease.is_turned_down {
                    fault.cause = Cause::Unprocessed;
                    fault.kind = fault.cause.kind();
                }
            }
            fault
        });
        let (mut head, body) = answer?.into_parts();
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
            Reads::Beginning(most, ..) if is_failure => most,
            // Nothing is left to be read: what carried it need not wait for the application.
            Reads::Beginning(..) if body.is_empty() => usize::MAX,
            Reads::Beginning(most, is_told, along) => {
                let is_told = || progress.look(is_told) != Some(false);
                let reading = begin(&mut body, most, progress, is_told);
                let has_ended = match race(pin!(reading), sleep(FAILURE_BODY_TIME)).await {
                    First::Left(result) => {
                        result.map_err(|error| body_fault(exchange.address.name(), error))?
                    }
                    First::Right(()) => false,
                };
                let has_ended = has_ended || take_along(&mut body, along, progress).await;
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

    /// One that was kept has turned out dead: those that have been idle since before then may be as dead, and each
    /// would cost a call.
    pub(crate) fn suspect(&self, address: &Address, since: Instant) {
        self.pool.clear_idle(address.origin(), since);
    }

    /// Closes all idle connections. Tells whether the runtime must have a turn for it.
    pub(crate) fn close_idle(&self) -> bool {
        self.pool.clear_all()
    }

    /// Closes the idle connections to an endpoint that was left.
    pub(crate) fn leave(&self, urls: &[Url]) {
        for origin in urls.iter().filter_map(Origin::of) {
            self.pool.clear(&origin);
        }
    }
}

/// The first stream of a connection. A peer that allows none for now is waited for.
async fn only_lease(connection: &Arc<Http2>, origin: &Origin) -> Result<Lease, Fault> {
    loop {
        if let Some(lease) = connection.lease() {
            return Ok(lease);
        }
        if !connection.is_held_back() {
            let message = format!(
                "{} has closed a connection that was just opened",
                origin.host
            );
            return Err(Fault::new(Cause::ClosedUnsent, message));
        }
        connection.held_back().await;
    }
}

async fn connect(
    connector: &Connector,
    pool: &Pool,
    origin: &Origin,
    is_doubted: bool,
    manner: Manner<'_>,
) -> Result<Opened, Fault> {
    let (opened, found) = connector.connect(origin, manner).await?;
    if is_doubted {
        pool.stay_at(origin, &found);
    }
    Ok(opened)
}

/// An exchange that was given up with nothing heard: its connection may lead nowhere any more, and
/// others with it.
struct Guard<'a> {
    pool: &'a Pool,
    origin: &'a Origin,
    progress: &'a Progress,
    is_over: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.progress.is_unheard() {
            self.pool.doubt(self.origin);
        }
    }
}

fn keep(pool: &Pool, origin: &Origin, opened: Opened) {
    match opened {
        Opened::Http2(connection) => {
            pool.share(origin, Arc::new(connection));
        }
        Opened::Http1(connection) => {
            pool.speaks_http1(origin);
            pool.put(origin, connection);
        }
    }
}
