//! What a proxy does with its connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::proxy::{ProxyFault, ProxyFaultKind, Running};

/// The longest head.
const HEAD: usize = 64 * 1024;
const HEADERS: usize = 128;
/// Of one hop (RFC 9110, 7.6.1), or meant for a proxy.
const OF_THIS_HOP: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
];
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

pub(crate) async fn serve(listener: TcpListener, running: Arc<Running>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let running = running.clone();
                // An error is that of a client or a host that is gone.
                tokio::spawn(async move { drop(serve_connection(client, running).await) });
            }
            // Out of descriptors: those in use will be given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A request's head, and what has come after it.
struct Asked {
    method: String,
    target: String,
    /// Without those of this hop.
    headers: Vec<(String, Vec<u8>)>,
    authorization: Option<Vec<u8>>,
    rest: Vec<u8>,
}

impl Asked {
    fn is_connect(&self) -> bool {
        self.method == "CONNECT"
    }

    /// `host:port`, and the head that the host gets where it is no tunnel; none for what no proxy
    /// can do.
    fn way(&self) -> Option<(String, Vec<u8>)> {
        if self.is_connect() {
            return Some((self.target.to_ascii_lowercase(), Vec::new()));
        }
        let uri: Uri = self.target.parse().ok()?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http"))?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80)).to_ascii_lowercase();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut head = format!("{} {path} HTTP/1.1\r\n", self.method).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        // One request on each connection: what follows it needs no reading.
        head.extend(b"via: 1.1 d365-twin\r\nconnection: close\r\n\r\n");
        Some((authority, head))
    }
}

/// Reads a head; none where the client has left before the next.
async fn read_head(client: &mut TcpStream, mut read: Vec<u8>) -> io::Result<Option<Asked>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&read);
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        if let httparse::Status::Complete(length) = parsed.map_err(|_| malformed())? {
            let named = |name: &str| {
                let mut headers = request.headers.iter();
                headers.find(|header| header.name.eq_ignore_ascii_case(name))
            };
            return Ok(Some(Asked {
                method: request.method.unwrap_or_default().to_owned(),
                target: request.path.unwrap_or_default().to_owned(),
                authorization: named("proxy-authorization").map(|header| header.value.to_vec()),
                headers: request
                    .headers
                    .iter()
                    .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                    .filter(|(name, _)| !OF_THIS_HOP.contains(&name.as_str()))
                    .collect(),
                rest: read[length..].to_vec(),
            }));
        }
        if read.len() > HEAD {
            return Err(malformed());
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    }
}

async fn serve_connection(mut client: TcpStream, running: Arc<Running>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut read = Vec::new();
    while let Some(asked) = read_head(&mut client, read).await? {
        let Some((authority, head)) = asked.way() else {
            return refuse(&mut client, 400, false).await;
        };
        let shown = asked.authorization.as_deref();
        let wanted = running.wanted.as_deref().map(str::as_bytes);
        let authorized = shown.map(|shown| wanted.is_none_or(|wanted| wanted == shown));
        let (seq, fault) = running.receive(&asked.method, &authority, authorized);
        // A body that was not read stands before the next request.
        let goes_on = asked.is_connect();
        let refusal = match fault {
            Some(ProxyFault {
                kind: ProxyFaultKind::Refuse,
                status,
                ..
            }) => Some(status),
            Some(fault) => return fail(client, fault.kind).await,
            None if wanted.is_some() && authorized != Some(true) => Some(407),
            None => None,
        };
        if let Some(status) = refusal {
            running.answered(seq, status);
            refuse(&mut client, status, goes_on).await?;
            if !goes_on {
                return Ok(());
            }
            read = asked.rest;
            continue;
        }
        let host = match (running.routes)(&authority) {
            Some(address) => TcpStream::connect(address).await.ok(),
            None => None,
        };
        let Some(mut host) = host else {
            running.answered(seq, 502);
            return refuse(&mut client, 502, false).await;
        };
        host.set_nodelay(true)?;
        let mut cuts = running.cut.subscribe();
        let _open = running.open_tunnel();
        if asked.is_connect() {
            running.answered(seq, 200);
            client.write_all(ESTABLISHED).await?;
        }
        host.write_all(&head).await?;
        host.write_all(&asked.rest).await?;
        tokio::select! {
            copied = copy_bidirectional(&mut client, &mut host) => drop(copied?),
            _ = cuts.changed() => {
                reset(&client);
                reset(&host);
            }
        }
        return Ok(());
    }
    Ok(())
}

/// An answer of the proxy itself.
async fn refuse(client: &mut TcpStream, status: u16, goes_on: bool) -> io::Result<()> {
    let code = StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason());
    let challenge = match status {
        407 => "proxy-authenticate: Basic realm=\"d365-twin\"\r\n",
        _ => "",
    };
    let connection = if goes_on { "keep-alive" } else { "close" };
    let answer = format!(
        "HTTP/1.1 {status} {}\r\n{challenge}content-length: 0\r\nconnection: {connection}\r\n\r\n",
        reason.unwrap_or_default()
    );
    client.write_all(answer.as_bytes()).await?;
    if !goes_on {
        client.shutdown().await?;
        discard(client).await?;
    }
    Ok(())
}

async fn fail(mut client: TcpStream, kind: ProxyFaultKind) -> io::Result<()> {
    match kind {
        ProxyFaultKind::CutAnswer => {
            client
                .write_all(&ESTABLISHED[..ESTABLISHED.len() / 2])
                .await?;
            client.shutdown().await
        }
        // Until the client leaves.
        ProxyFaultKind::NeverAnswer => discard(&mut client).await,
        ProxyFaultKind::Reset => {
            reset(&client);
            Ok(())
        }
        ProxyFaultKind::Close | ProxyFaultKind::Refuse | ProxyFaultKind::CutTunnels => {
            client.shutdown().await
        }
    }
}

/// Reads until the client has nothing more to say.
async fn discard(client: &mut TcpStream) -> io::Result<()> {
    let mut scrap = [0; 4096];
    while client.read(&mut scrap).await? > 0 {}
    Ok(())
}

fn reset(stream: &TcpStream) {
    // Fails only where the peer has ended the connection already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
