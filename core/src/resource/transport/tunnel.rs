//! A way through a proxy to a server that it cannot read the talk with (RFC 9110, 9.3.6).

use std::error::Error as StdError;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::failure;
use super::head_reader::{HeadReader, Heads};
use super::http1;
use super::route::{Via, authority};
use super::socket::{Socket, Wire};
use super::stream::Stream;
use crate::{Cause, Fault};

/// Asks the proxy at the other end of `tcp` for a way to `host`. What comes out is the same socket.
pub(super) async fn open(
    tcp: TcpStream,
    host: &str,
    port: u16,
    proxy: &Via,
    max_headers: usize,
) -> Result<TcpStream, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        proxy.fault(&format!("CONNECT to {}: {error}", authority(host, port)))
    };
    let broken = |error: &(dyn StdError + 'static)| failed(&failure::text(error));
    let target = authority(host, port);
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&target)
        .header(HOST, &target)
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    if let Some(authorization) = &proxy.authorization {
        request
            .headers_mut()
            .insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    // As everywhere: writing to a proxy that has hung up must not raise SIGPIPE.
    let wire = Wire::new(tcp, Arc::default());
    let stream = Stream::Plain(Socket(Arc::clone(&wire)));
    // Its head is read as any other's.
    let heads = Arc::new(Heads::default());
    heads.expect(true);
    let reader = HeadReader::new(stream, (heads, wire), max_headers);
    let (mut sender, mut connection) = http1::builder(max_headers)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(reader))
        .await
        .map_err(|error| broken(&error))?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection is not read further than the answer: what follows is the server's.
    let answer = poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        let _ = connection.poll_without_shutdown(context);
        answer.as_mut().poll(context)
    })
    .await
    .map_err(|error| broken(&error))?;
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            return Err(failed(
                &"it wants to know who asks (407); give proxy a user and password",
            ));
        }
        status => {
            let fault = failed(&format_args!("it answered {}", status.as_u16()));
            return Err(match beyond(status) {
                Some(cause) => Fault::new(cause, fault.message),
                None => fault,
            });
        }
    }
    let parts = connection.into_parts();
    let wire = parts.io.into_inner().into_wire();
    let Some(wire) = wire.filter(|_| parts.read_buf.is_empty()) else {
        return Err(failed(&"it sent more than its answer"));
    };
    Arc::into_inner(wire)
        .map(Wire::into_tcp)
        .ok_or_else(|| failed(&"its socket is in use: a defect of this library"))
}

/// What a proxy says that is there, and does not get to the server: the same as a gateway's word of it. Where
/// it is the proxy that fails after all, it gets to the other endpoint as little.
fn beyond(status: StatusCode) -> Option<Cause> {
    match status {
        StatusCode::GATEWAY_TIMEOUT => Some(Cause::GatewayTimeout),
        StatusCode::SERVICE_UNAVAILABLE => Some(Cause::Unavailable),
        status if status.is_server_error() => Some(Cause::BadGateway),
        _ => None,
    }
}
