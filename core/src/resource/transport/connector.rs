//! From an origin to a connection: names, addresses, proxies, TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::failure;
use super::http1::{Forward, Http1};
use super::http2::Http2;
use super::resolver::Resolver;
use super::route::{Route, Router};
use super::socket::{Socket, Wire};
use super::stream::Stream;
use super::tunnel;
use crate::body::lock;
use crate::connect_to::{ConnectTo, address_of};
use crate::{Cause, Fault, Settings};

/// Scheme, host and port: what a connection is made to, and kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(super) is_https: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// The origin of an http or https URL.
    pub(crate) fn of(url: &Url) -> Option<Origin> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some(Origin {
            is_https: url.scheme() == "https",
            host,
            port: url.port_or_known_default()?,
        })
    }
}

/// A connection that was just opened.
pub(super) enum Opened {
    Http1(Http1),
    Http2(Http2),
}

pub(super) struct Connector {
    resolver: Resolver,
    router: Router,
    tls: Option<TlsConnector>,
    connect_to: Vec<ConnectTo>,
    connect_timeout: Duration,
    max_headers: usize,
    /// The fastest opening of a connection, by origin.
    best: Mutex<Vec<(Origin, Duration)>>,
}

impl Connector {
    pub(super) fn new(settings: &Settings, tls: Option<Arc<ClientConfig>>) -> Connector {
        Connector {
            resolver: Resolver::new(settings.resolver.clone()),
            router: Router::new(settings.proxy.as_ref()),
            tls: tls.map(TlsConnector::from),
            connect_to: settings.connect_to.clone(),
            connect_timeout: settings.connect_timeout,
            max_headers: settings.max_response_headers,
            best: Mutex::default(),
        }
    }

    /// Opens a connection. No byte of a request has left when this fails.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Opened, Fault> {
        let begin = Instant::now();
        let opened = self.open(origin).await?;
        self.note(origin, begin.elapsed());
        Ok(opened)
    }

    fn note(&self, origin: &Origin, took: Duration) {
        let mut best = lock(&self.best);
        match best.iter_mut().find(|(known, _)| known == origin) {
            Some((_, best)) => *best = took.min(*best),
            None => best.push((origin.clone(), took)),
        }
    }

    pub(super) fn best_connect(&self, origin: &Origin) -> Option<Duration> {
        let best = lock(&self.best);
        let known = best.iter().find(|(known, _)| known == origin);
        known.map(|(_, best)| *best)
    }

    async fn open(&self, origin: &Origin) -> Result<Opened, Fault> {
        // TLS and the `Host` header keep the origin's name, wherever the connection really goes.
        let (host, port) = address_of(&self.connect_to, &origin.host, origin.port);
        let route = self.router.route(origin, host, port)?;
        let (tcp, forward) = match route {
            Route::Direct => (self.connect_tcp(host, port).await?, None),
            Route::Proxy(proxy) => {
                let connected = self.connect_tcp(&proxy.host, proxy.port).await;
                // Whatever a proxy fails with says nothing of what is behind it.
                let tcp = connected.map_err(|fault| proxy.fault(&fault.message))?;
                if origin.is_https {
                    let opening = tunnel::open(tcp, host, port, &proxy);
                    let tcp = timeout(self.connect_timeout, opening)
                        .await
                        .unwrap_or_else(|_| Err(proxy.fault("no answer to CONNECT in time")))?;
                    (tcp, None)
                } else {
                    let authorization = proxy.authorization;
                    (tcp, Some(Forward { authorization }))
                }
            }
        };
        self.handshake(origin, tcp, forward).await
    }

    async fn connect_tcp(&self, host: &str, port: u16) -> Result<TcpStream, Fault> {
        let mut last = None;
        for address in self.resolver.resolve(host, port).await? {
            match self.connect_address(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| {
            Fault::new(Cause::NoSuchName, format!("resolve {host}: no address"))
        }))
    }

    async fn connect_address(&self, address: SocketAddr) -> Result<TcpStream, Fault> {
        match timeout(self.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // A request is written in one piece; waiting to fill a packet only delays it.
                let _ = tcp.set_nodelay(true);
                Ok(tcp)
            }
            Ok(Err(error)) => Err(failure::of_connect(&address.to_string(), &error)),
            Err(_) => Err(Fault::new(
                Cause::ConnectTimeout,
                format!(
                    "connect to {address}: not established within {} ms",
                    self.connect_timeout.as_millis()
                ),
            )),
        }
    }

    async fn handshake(
        &self,
        origin: &Origin,
        tcp: TcpStream,
        forward: Option<Forward>,
    ) -> Result<Opened, Fault> {
        let wire = Wire::new(tcp);
        let socket = Socket(Arc::clone(&wire));
        let stream = match (&self.tls, origin.is_https) {
            (_, false) => Stream::Plain(socket),
            (Some(tls), true) => {
                let name = ServerName::try_from(origin.host.clone()).map_err(|error| {
                    Fault::new(Cause::Tls, format!("TLS with {}: {error}", origin.host))
                })?;
                let stream = tls
                    .connect(name, socket)
                    .await
                    .map_err(|error| failure::of_handshake(&origin.host, &error))?;
                Stream::Tls(Box::new(stream))
            }
            (None, true) => {
                return Err(Fault::new(
                    Cause::Tls,
                    format!(
                        "TLS with {}: the client was opened without TLS",
                        origin.host
                    ),
                ));
            }
        };
        let opened = if stream.speaks_http2() {
            let opening = Http2::open(stream, wire, self.max_headers);
            opening.await.map(Opened::Http2)
        } else {
            let opening = Http1::open(stream, wire, forward, self.max_headers);
            opening.await.map(Opened::Http1)
        };
        opened.map_err(|error| failure::of_exchange(&origin.host, &error))
    }
}
