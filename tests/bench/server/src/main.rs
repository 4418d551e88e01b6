//! The server that the benchmark's clients call: the same short answer, plain and over TLS.
//!
//! `d365-bench-server CA_FILE` writes the certificate of its authority to `CA_FILE`, then one line
//! to standard output: `http=PORT https=PORT http2=PORT hole=PORT`, all on 127.0.0.1; `http2` speaks
//! HTTP/2 over TLS, the others HTTP/1.1. It ends when its standard input does, so that it never
//! outlives the program that started it.
//!
//! | Request                     | Answer                                          |
//! |-----------------------------|-------------------------------------------------|
//! | `GET`, any path             | 200, 200 bytes of JSON                          |
//! | `POST` of 1000 bytes        | 201, 200 bytes of JSON                          |
//! | `POST` of any other length  | 400, no body                                    |
//! | `GET /short`                | 200, 199 bytes: an answer that a client refuses |
//! | `GET /created`              | 201, 200 bytes: likewise                        |
//! | `GET /hole/open`            | as any; then `hole` is a black hole             |
//! | `GET /hole/shut`            | as any; then `hole` answers as `http` again     |
//!
//! A black hole answers nothing that it gets from then on, and closes nothing.

use std::io::Write as _;
use std::sync::Arc;
use std::{env, fs};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Short for what the clients compare.
const ANSWER_LENGTH: usize = 200;
const BODY_LENGTH: usize = 1000;
/// Peers that cannot be told where a name is use the address.
const NAMES: [&str; 3] = [
    "contoso.crm.bench.test",
    "contoso--s.crm.bench.test",
    "127.0.0.1",
];

fn main() -> Result<(), Failure> {
    let ca_file = env::args_os()
        .nth(1)
        .ok_or("usage: d365-bench-server CA_FILE")?;
    let (ca, tls) = certificates()?;
    fs::write(ca_file, ca)?;
    // One thread: client and server share one CPU.
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve(tls))
}

async fn serve(tls: rustls::ServerConfig) -> Result<(), Failure> {
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    let secret = TcpListener::bind("127.0.0.1:0").await?;
    let shared = TcpListener::bind("127.0.0.1:0").await?;
    let hole = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "http={} https={} http2={} hole={}",
        plain.local_addr()?.port(),
        secret.local_addr()?.port(),
        shared.local_addr()?.port(),
        hole.local_addr()?.port()
    )?;
    out.flush()?;

    let mut http2_tls = tls.clone();
    http2_tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let http2_acceptor = TlsAcceptor::from(Arc::new(http2_tls));
    let site = Site {
        answer: Bytes::from(answer_body()),
        is_hole_open: Arc::new(watch::Sender::new(false)),
    };
    let (mut input, mut ignored) = (tokio::io::stdin(), [0; 64]);
    loop {
        tokio::select! {
            accepted = plain.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                tokio::spawn(connection(stream, site.clone(), false));
            }
            accepted = hole.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                tokio::spawn(connection(stream, site.clone(), true));
            }
            accepted = secret.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let (acceptor, site) = (acceptor.clone(), site.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, site, false).await;
                    }
                });
            }
            accepted = shared.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let (acceptor, site) = (http2_acceptor.clone(), site.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        shared_connection(stream, site).await;
                    }
                });
            }
            read = input.read(&mut ignored) => if read? == 0 { return Ok(()) },
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Site {
    answer: Bytes,
    is_hole_open: Arc<watch::Sender<bool>>,
}

/// A client that goes away is no error: each run ends so.
async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, site: Site, is_of_hole: bool) {
    let service = service_fn(|request| respond(request, site.clone(), is_of_hole));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn shared_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    site: Site,
) {
    let service = service_fn(move |request| respond(request, site.clone(), false));
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    site: Site,
    is_of_hole: bool,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let answer = site.answer;
    if is_of_hole && *site.is_hole_open.borrow() {
        // Also when the hole is shut again: what it has swallowed does not come back.
        return std::future::pending().await;
    }
    let (parts, body) = request.into_parts();
    let (status, answer) = if parts.method == Method::POST {
        match body.collect().await?.to_bytes().len() {
            BODY_LENGTH => (StatusCode::CREATED, answer),
            _ => (StatusCode::BAD_REQUEST, Bytes::new()),
        }
    } else {
        match parts.uri.path() {
            "/hole/open" => {
                site.is_hole_open.send_replace(true);
                (StatusCode::OK, answer)
            }
            "/hole/shut" => {
                site.is_hole_open.send_replace(false);
                (StatusCode::OK, answer)
            }
            "/short" => (StatusCode::OK, answer.slice(1..)),
            "/created" => (StatusCode::CREATED, answer),
            _ => (StatusCode::OK, answer),
        }
    };
    let mut response = Response::new(Full::new(answer));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json; odata.metadata=minimal"),
    );
    headers.insert("odata-version", http::HeaderValue::from_static("4.0"));
    Ok(response)
}

fn answer_body() -> String {
    let (before, after) = ("{\"name\":\"", "\"}");
    format!(
        "{before}{}{after}",
        "x".repeat(ANSWER_LENGTH - before.len() - after.len())
    )
}

/// The authority's certificate in PEM form, and a server that it vouches for.
fn certificates() -> Result<(String, rustls::ServerConfig), Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for self-signed whose issuer has its own name.
    params
        .distinguished_name
        .push(DnType::CommonName, "d365-failover bench authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let names = NAMES.map(str::to_owned);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((authority.pem(), config))
}
