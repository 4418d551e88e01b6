//! The one way out for calls: HTTP/1.1 over connections of our own, with a proof of how far each
//! attempt got.

mod connection;
mod connector;
mod failure;
mod pool;
mod progress;
mod resolver;
mod socket;
mod tls;

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::sleep;
use url::Url;

use self::connection::{BodyFailure, Connection};
use self::connector::Connector;
pub(crate) use self::connector::Origin;
pub(crate) use self::pool::Permit;
use self::pool::Pool;
pub(crate) use self::progress::Progress;
use super::race::{First, race};
use crate::{Cause, Error, Fault, Phase, Settings};

/// How long the body of a failure is waited for before it is judged by what has come of it.
const FAILURE_BODY_TIME: Duration = Duration::from_secs(2);

pub(crate) struct Transport {
    connector: Connector,
    pool: Pool,
    max_body: usize,
}

/// One request on its way to one endpoint.
pub(crate) struct Exchange<'a> {
    pub(crate) url: &'a Url,
    pub(crate) request: &'a Request<Full<Bytes>>,
    /// The largest body of the answer, in bytes.
    pub(crate) max_body: usize,
    /// Whether a failure's head and what has come of its body say enough to stop waiting.
    pub(crate) is_enough: &'a (dyn Fn(&Parts, &[u8]) -> bool + Sync),
    pub(crate) progress: &'a Progress,
}

impl Transport {
    pub(crate) fn new(settings: &Settings, needs_tls: bool) -> Result<Transport, Error> {
        let tls = needs_tls
            .then(|| tls::client_config(settings.ca_bundle.as_deref(), settings.tls_verify))
            .transpose()?;
        Ok(Transport {
            max_body: settings.max_response_body,
            connector: Connector::new(
                tls,
                settings.connect_to.clone(),
                settings.connect_timeout,
                settings.max_response_headers,
            ),
            pool: Pool::new(
                settings.max_connections,
                settings.idle_timeout,
                settings.max_connection_age,
            ),
        })
    }

    /// The setting `max_response_body`.
    pub(crate) fn max_body(&self) -> usize {
        self.max_body
    }

    /// Waits until one of the endpoint's connections may be used.
    pub(crate) async fn permit(&self, url: &Url) -> Option<Permit> {
        match Origin::of(url) {
            Some(origin) => Some(self.pool.permit(&origin).await),
            None => None,
        }
    }

    /// Sends one request and reads the answer into its progress. The caller holds a permit.
    ///
    /// A pooled connection that turns out to be closed before a byte of the request has left is
    /// replaced by a fresh one, once: nothing was sent, so nothing is sent twice.
    pub(crate) async fn exchange(&self, exchange: &Exchange<'_>) -> Result<(), Fault> {
        let origin = Origin::of(exchange.url).ok_or_else(|| {
            Fault::new(
                Cause::BadMessage,
                format!("{} has no host to connect to", exchange.url),
            )
        })?;
        let progress = exchange.progress;
        if let Some(connection) = self.pool.take(&origin, Instant::now()) {
            match self.exchange_on(connection, &origin, exchange).await {
                Err(_) if progress.phase() == Phase::NotSent => {}
                result => return result,
            }
        }
        let connection = self.connector.connect(&origin).await?;
        let result = self.exchange_on(connection, &origin, exchange).await;
        result.map_err(|mut fault| {
            if fault.cause == Cause::Closed && progress.phase() == Phase::NotSent {
                fault.cause = Cause::ClosedUnsent;
            }
            fault
        })
    }

    async fn exchange_on(
        &self,
        mut connection: Connection,
        origin: &Origin,
        exchange: &Exchange<'_>,
    ) -> Result<(), Fault> {
        let host = exchange.url.host_str().unwrap_or_default();
        let body = connection
            .send(exchange.request.clone(), exchange.progress)
            .await
            .map_err(|error| failure::of_exchange(host, &error))?;
        match read(&mut connection, body, exchange).await {
            Ok(true) => {
                let expires = self.pool.expiry(connection.opened);
                self.pool.put(origin, connection, expires);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(BodyFailure::Broken(error)) => Err(failure::of_exchange(host, &error)),
            Err(BodyFailure::TooLarge) => Err(Fault::new(
                Cause::BadMessage,
                format!(
                    "the body from {host} is larger than {} bytes (max_response_body)",
                    exchange.max_body
                ),
            )),
        }
    }

    /// Closes the idle connections to an endpoint that was left.
    pub(crate) fn leave(&self, urls: &[Url]) {
        for origin in urls.iter().filter_map(Origin::of) {
            self.pool.clear(&origin);
        }
    }
}

/// Reads the body. `false`: it was given up, because what has come of it says enough.
async fn read(
    connection: &mut Connection,
    body: Incoming,
    exchange: &Exchange<'_>,
) -> Result<bool, BodyFailure> {
    let progress = exchange.progress;
    let is_failure = progress.status().is_some_and(|status| status >= 400);
    let mut reading = pin!(connection.read(body, exchange.max_body, progress));
    if is_failure {
        match race(reading.as_mut(), sleep(FAILURE_BODY_TIME)).await {
            First::Left(result) => return result.map(|()| true),
            First::Right(()) if progress.look(exchange.is_enough) == Some(true) => {
                return Ok(false);
            }
            First::Right(()) => {}
        }
    }
    reading.await.map(|()| true)
}
