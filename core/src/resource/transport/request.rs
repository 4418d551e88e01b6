//! A request as its connection wants it.

use http::header::{CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use http_body::Body as _;

use super::answer::Carrier;
use super::exchange::Exchange;
use super::send_body::SendBody;
use crate::shown::shown_url;
use crate::{Cause, Fault};

/// The request as the connection's version and way want it.
pub(super) fn request(
    exchange: &Exchange<'_>,
    carrier: &Carrier,
) -> Result<Request<SendBody>, Fault> {
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
