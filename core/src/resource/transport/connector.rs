//! From an origin to a connection: names, addresses, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::connection::{Connection, Stream};
use super::failure;
use super::resolver::Resolver;
use super::socket::{Socket, Wire};
use crate::settings::ConnectTo;
use crate::{Cause, Fault};

/// Scheme, host and port: what a connection is made to, and kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    is_https: bool,
    host: String,
    port: u16,
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

pub(super) struct Connector {
    resolver: Resolver,
    tls: Option<TlsConnector>,
    connect_to: Vec<ConnectTo>,
    connect_timeout: Duration,
    max_headers: usize,
}

impl Connector {
    pub(super) fn new(
        tls: Option<Arc<ClientConfig>>,
        connect_to: Vec<ConnectTo>,
        connect_timeout: Duration,
        max_headers: usize,
    ) -> Connector {
        Connector {
            resolver: Resolver::default(),
            tls: tls.map(TlsConnector::from),
            connect_to,
            connect_timeout,
            max_headers,
        }
    }

    /// Opens a connection. No byte of a request has left when this fails.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, Fault> {
        let (host, port) = self.address_of(origin);
        let mut last = None;
        for address in self.resolver.resolve(host, port).await? {
            match self.connect_address(address).await {
                Ok(tcp) => return self.handshake(origin, tcp).await,
                Err(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| {
            Fault::new(Cause::NoSuchName, format!("resolve {host}: no address"))
        }))
    }

    /// Where connections to an origin really go. TLS and the `Host` header keep the origin's name.
    fn address_of<'a>(&'a self, origin: &'a Origin) -> (&'a str, u16) {
        self.connect_to
            .iter()
            .find(|rule| rule.from.0 == origin.host && rule.from.1 == origin.port)
            .map_or((&origin.host, origin.port), |rule| (&rule.to.0, rule.to.1))
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

    async fn handshake(&self, origin: &Origin, tcp: TcpStream) -> Result<Connection, Fault> {
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
        Connection::open(stream, wire, self.max_headers)
            .await
            .map_err(|error| failure::of_exchange(&origin.host, &error))
    }
}
