//! From an origin to a connection: names, addresses, proxies, TLS.

use std::future::{Future, pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use url::{Host, Url};

use super::failure;
use super::http1::{Forward, Http1};
use super::http2::Http2;
use super::progress::Progress;
use super::resolver::Resolver;
use super::route::{Route, Router};
use super::socket::{Socket, Wire};
use super::stream::Stream;
use super::tls::Tls;
use super::tunnel;
use crate::connect_to::{ConnectTo, address_of};
use crate::decide::dial::{Dial, Step};
use crate::lock::lock;
use crate::resource::race::{First, race};
use crate::resource::statistics::{Statistics, Traffic};
use crate::{Cause, Error, Fault, FaultKind, Organization, Role, Settings};

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
    Http1(Box<Http1>),
    Http2(Http2),
}

/// How a connection is opened.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub(super) may_be_http2: bool,
    /// Is told how long silent addresses hold others up.
    pub(super) progress: Option<&'a Progress>,
    /// The request's own time for connecting: each address gets its turn within it.
    pub(super) connect_timeout: Option<Duration>,
    /// Others wait for the connection as well: none of it is given more time than the setting has.
    pub(super) is_shared: bool,
}

impl Manner<'_> {
    /// Tells of a step that was done, where somebody hears it.
    fn mark(&self, name: &'static str, detail: impl FnOnce() -> String) {
        if let Some(progress) = self.progress {
            progress.mark(name, detail());
        }
    }
}

/// What a name leads to.
type Found = Vec<IpAddr>;

/// A TCP connection to one of a name's addresses.
struct Reached {
    tcp: TcpStream,
    peer: IpAddr,
    found: Found,
    /// How long others were waited for that were silent.
    head_starts: Duration,
}

pub(super) struct Connector {
    resolver: Resolver,
    router: Router,
    tls: Option<Tls>,
    /// The organization's own, who are shown the client's certificate.
    own: Vec<Origin>,
    /// How many of these are the primary's, who come first.
    of_the_primary: usize,
    /// What is counted of the connections to the primary, the alternate, and elsewhere.
    traffic: [Arc<Traffic>; 3],
    connect_to: Vec<ConnectTo>,
    connect_timeout: Duration,
    max_headers: usize,
    /// The fastest opening of a connection, by origin.
    best: Mutex<Vec<(Origin, Duration)>>,
}

impl Connector {
    pub(super) fn new(
        settings: &Settings,
        organization: &Organization,
        tls: Option<Tls>,
        statistics: &Statistics,
    ) -> Result<Connector, Error> {
        let origins = |role| {
            let urls = organization.origins(role);
            urls.iter().filter_map(Origin::of).collect::<Vec<_>>()
        };
        let mut own = origins(Role::Primary);
        let of_the_primary = own.len();
        own.extend(origins(Role::Alternate));
        let counted = |role| Arc::clone(&statistics.side(role).traffic);
        Ok(Connector {
            resolver: Resolver::new(settings.resolver.clone()),
            router: Router::new(settings.proxy.as_ref(), &own)?,
            tls,
            own,
            of_the_primary,
            traffic: [
                counted(Role::Primary),
                counted(Role::Alternate),
                Arc::default(),
            ],
            connect_to: settings.connect_to.clone(),
            connect_timeout: settings.connect_timeout,
            max_headers: settings.max_response_headers,
            best: Mutex::default(),
        })
    }

    /// Where the bytes to and from an origin are counted.
    fn traffic(&self, origin: &Origin) -> Arc<Traffic> {
        let whose = match self.own.iter().position(|own| own == origin) {
            Some(index) if index < self.of_the_primary => 0,
            Some(_) => 1,
            None => 2,
        };
        Arc::clone(&self.traffic[whose])
    }

    pub(super) fn told(&self) -> &[String] {
        self.tls.as_ref().map_or(&[], Tls::told)
    }

    /// Opens a connection, and tells the addresses that the name leads to now. No byte of a request
    /// has left when this fails.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        manner: Manner<'_>,
    ) -> Result<(Opened, Found), Fault> {
        let begin = Instant::now();
        let (opened, found, head_starts) = self.open(origin, manner).await?;
        // What silent addresses have cost is no property of the one that answers.
        self.note(origin, begin.elapsed().saturating_sub(head_starts));
        Ok((opened, found))
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

    async fn open(
        &self,
        origin: &Origin,
        manner: Manner<'_>,
    ) -> Result<(Opened, Found, Duration), Fault> {
        // TLS and the `Host` header keep the origin's name, wherever the connection really goes.
        let (host, port) = address_of(&self.connect_to, &origin.host, origin.port);
        let route = self.router.route(origin);
        let route = route.map_err(|why| Fault::new(Cause::Proxy, why))?;
        let (reached, forward, tunnel) = match route {
            Route::Direct => (self.reach(host, port, manner).await?, None, None),
            Route::Proxy(proxy) => {
                let reached = self.reach(&proxy.host, proxy.port, manner).await;
                // Whatever a proxy fails with says nothing of what is behind it.
                let reached = reached.map_err(|fault| proxy.fault(&fault.message))?;
                if origin.is_https {
                    let opening = tunnel::open(reached.tcp, host, port, &proxy, self.max_headers);
                    let tcp = timeout(self.patience(manner), opening)
                        .await
                        .unwrap_or_else(|_| Err(proxy.fault("no answer to CONNECT in time")))?;
                    manner.mark("proxy", || format!("{}:{}", proxy.host, proxy.port));
                    (Reached { tcp, ..reached }, None, Some(proxy))
                } else {
                    manner.mark("proxy", || format!("{}:{}", proxy.host, proxy.port));
                    let authorization = proxy.authorization;
                    (reached, Some(Forward { authorization }), None)
                }
            }
        };
        // Where a tunnel leads the proxy alone knows.
        let peer = tunnel.is_none().then_some(reached.peer);
        let opened = self.handshake(origin, reached.tcp, peer, forward, manner);
        let opened = opened.await.map_err(|fault| match &tunnel {
            Some(proxy) if fault.kind == FaultKind::Tls => Fault {
                message: format!("{} ({})", fault.message, proxy.may_have_answered()),
                ..fault
            },
            _ => fault,
        });
        Ok((opened?, reached.found, reached.head_starts))
    }

    /// Connects to one of a name's addresses. Those that are still being tried then are given up.
    async fn reach(&self, host: &str, port: u16, manner: Manner<'_>) -> Result<Reached, Fault> {
        let addresses = self.resolver.resolve(host, port).await?;
        let found: Found = addresses.iter().map(SocketAddr::ip).collect();
        manner.mark("dns", || {
            let found = found.iter().map(IpAddr::to_string).collect::<Vec<_>>();
            format!("{host}: {}", found.join(", "))
        });
        let mut dial = Dial::new(addresses, manner.connect_timeout);
        let patience = self.patience(manner);
        let mut under_way = Vec::new();
        let mut failures = Vec::new();
        loop {
            let pause = match dial.step(Instant::now()) {
                Step::Try(address) => {
                    if let Some(progress) = manner.progress {
                        progress.waited(dial.head_starts());
                    }
                    under_way.push(Box::pin(connect_address(address, patience)));
                    continue;
                }
                Step::Wait(pause) => pause,
                Step::Over => {
                    return Err(failure::of_addresses(failures).unwrap_or_else(|| {
                        Fault::new(Cause::NoSuchName, format!("resolve {host}: no address"))
                    }));
                }
            };
            let pause = async {
                match pause {
                    Some(until) => sleep_until(until.into()).await,
                    None => pending().await,
                }
            };
            match race(first(&mut under_way), std::pin::pin!(pause)).await {
                First::Left(Ok((tcp, peer))) => {
                    manner.mark("tcp", || format!("{peer}, port {port}"));
                    return Ok(Reached {
                        tcp,
                        peer,
                        found,
                        head_starts: dial.head_starts(),
                    });
                }
                First::Left(Err(failure)) => {
                    dial.failed();
                    failures.push(failure);
                }
                First::Right(()) => {}
            }
        }
    }

    /// How long one address has, or a proxy for its answer.
    fn patience(&self, manner: Manner<'_>) -> Duration {
        let own = manner.connect_timeout.filter(|_| !manner.is_shared);
        self.connect_timeout.max(own.unwrap_or_default())
    }

    async fn handshake(
        &self,
        origin: &Origin,
        tcp: TcpStream,
        peer: Option<IpAddr>,
        forward: Option<Forward>,
        manner: Manner<'_>,
    ) -> Result<Opened, Fault> {
        let wire = Wire::new(tcp, self.traffic(origin));
        let socket = Socket(Arc::clone(&wire));
        let stream = match (&self.tls, origin.is_https) {
            (_, false) => Stream::Plain(socket),
            (Some(tls), true) => {
                let name = ServerName::try_from(origin.host.clone()).map_err(|error| {
                    Fault::new(Cause::Tls, format!("TLS with {}: {error}", origin.host))
                })?;
                let is_own = self.own.contains(origin);
                let stream = tls
                    .connector(is_own, manner.may_be_http2)
                    .connect(name, socket)
                    .await
                    .map_err(|error| failure::of_handshake(&origin.host, &error))?;
                manner.mark("tls", String::new);
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
            let opening = Http2::open(stream, wire, peer, self.max_headers);
            opening.await.map(Opened::Http2)
        } else {
            let opening = Http1::open(stream, wire, peer, forward, self.max_headers);
            opening.await.map(Opened::Http1)
        };
        opened.map_err(|error| failure::of_exchange(&origin.host, &error))
    }
}

async fn connect_address(
    address: SocketAddr,
    patience: Duration,
) -> Result<(TcpStream, IpAddr), Fault> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(tcp)) => {
            // A request is written in one piece; waiting to fill a packet only delays it.
            let _ = tcp.set_nodelay(true);
            Ok((tcp, address.ip()))
        }
        Ok(Err(error)) => Err(failure::of_connect(&address.to_string(), &error)),
        Err(_) => {
            let message = format!(
                "connect to {address}: not established within {} ms",
                patience.as_millis()
            );
            Err(Fault::new(Cause::ConnectTimeout, message))
        }
    }
}

/// Waits for the first of some futures, and takes it out.
async fn first<F: Future>(under_way: &mut Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|context| {
        for index in 0..under_way.len() {
            if let Poll::Ready(output) = under_way[index].as_mut().poll(context) {
                drop(under_way.remove(index));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}
