//! The one way out for calls: HTTP/1.1 over connections of our own, with a proof of how far each
//! attempt got.

mod connection;
mod connector;
mod failure;
mod pool;
mod progress;
mod socket;
mod tls;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use http_body_util::Full;
use url::Url;

pub(crate) use self::connection::Limits;
use self::connection::{BodyFailure, Connection};
use self::connector::Connector;
pub(crate) use self::connector::Origin;
use self::pool::Pool;
pub(crate) use self::progress::Progress;
use crate::resource::engine::Engine;
use crate::{Cause, Error, Fault, Settings};

pub(crate) struct Transport {
    engine: Arc<Engine>,
    connector: Connector,
    pool: Pool,
    max_body: usize,
}

/// What an exchange failed with, and the head of the answer if one had come.
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) head: Option<Box<Parts>>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure { fault, head: None }
    }
}

impl Transport {
    pub(crate) fn new(
        settings: &Settings,
        needs_tls: bool,
        engine: &Arc<Engine>,
    ) -> Result<Transport, Error> {
        let tls = needs_tls
            .then(|| tls::client_config(settings.ca_bundle.as_deref(), settings.tls_verify))
            .transpose()?;
        let limits = Limits {
            headers: settings.max_response_headers,
            body: settings.max_response_body,
        };
        Ok(Transport {
            engine: Arc::clone(engine),
            max_body: limits.body,
            connector: Connector::new(
                tls,
                settings.connect_to.clone(),
                settings.connect_timeout,
                limits,
            ),
            pool: Pool::new(
                settings.max_connections,
                settings.idle_timeout,
                settings.max_connection_age,
            ),
        })
    }

    /// Sends one request and reads the whole answer.
    ///
    /// A pooled connection that turns out to be closed before a byte of the request has left is
    /// replaced by a fresh one, once: nothing was sent, so nothing is sent twice.
    pub(crate) async fn exchange(
        &self,
        url: &Url,
        request: &Request<Full<Bytes>>,
        progress: &Progress,
    ) -> Result<(Parts, Bytes), Failure> {
        let origin = Origin::of(url).ok_or_else(|| {
            Fault::new(
                Cause::BadMessage,
                format!("{url} has no host to connect to"),
            )
        })?;
        let _permit = self.pool.permit(&origin).await;
        if let Some(connection) = self.pool.take(&origin, Instant::now()) {
            let result = self
                .exchange_on(connection, &origin, url, request, progress)
                .await;
            match result {
                Err(_) if progress.phase() == crate::Phase::NotSent => {}
                result => return result,
            }
        }
        let connection = self.connector.connect(&self.engine, &origin).await?;
        self.exchange_on(connection, &origin, url, request, progress)
            .await
    }

    async fn exchange_on(
        &self,
        mut connection: Connection,
        origin: &Origin,
        url: &Url,
        request: &Request<Full<Bytes>>,
        progress: &Progress,
    ) -> Result<(Parts, Bytes), Failure> {
        let host = url.host_str().unwrap_or_default();
        let response = connection
            .send(request.clone(), progress)
            .await
            .map_err(|error| failure::of_exchange(host, &error))?;
        let (head, body) = response.into_parts();
        match connection.read(body, self.max_body).await {
            Ok(body) => {
                let expires = self.pool.expiry(connection.opened);
                self.pool.put(origin, connection, expires);
                Ok((head, body))
            }
            Err(broken) => {
                let fault = match broken {
                    BodyFailure::Broken(error) => failure::of_exchange(host, &error),
                    BodyFailure::TooLarge => Fault::new(
                        Cause::BadMessage,
                        format!(
                            "the body from {host} is larger than max_response_body ({} bytes)",
                            self.max_body
                        ),
                    ),
                };
                Err(Failure {
                    fault,
                    head: Some(Box::new(head)),
                })
            }
        }
    }

    /// Closes the idle connections to an endpoint that was left.
    pub(crate) fn leave(&self, url: &Url) {
        if let Some(origin) = Origin::of(url) {
            self.pool.clear(&origin);
        }
    }
}
