//! Asks an endpoint whether it serves, on a connection of its own.

use std::pin::pin;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::late::until;
use super::race::{First, race};
use super::transport::{Address, Exchange, Progress, Transport};
use crate::classify::{Asked, Protocol, classify, is_marked_by_service};
use crate::{Cause, Fault, Probed};

/// How a living front end has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Came(Probed),
    /// It asks for less, and says perhaps when to come again.
    Busy(Option<Duration>),
}

impl Reply {
    /// Who asks for less is there, and more is not known.
    pub(crate) fn probed(self) -> Probed {
        match self {
            Reply::Came(probed) => probed,
            Reply::Busy(_) => Probed::Reachable,
        }
    }
}

/// A service's answer to a probe is a few hundred bytes.
const LARGEST: usize = 64 << 10;

/// Sends `GET` to `address`.
///
/// # Errors
/// With what a probe has failed with: a fault of the connection, or an answer that no living front
/// end of the service gives.
pub(crate) async fn probe(
    transport: &Transport,
    address: &Address,
    user_agent: &HeaderValue,
    authorization: Option<HeaderValue>,
    protocol: Protocol,
    limit: Duration,
    progress: &Progress,
) -> Result<Reply, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, address.host().clone());
    headers.insert(USER_AGENT, user_agent.clone());
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/xml;q=0.5"),
    );
    if let Some(authorization) = &authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    let exchange = Exchange::get(address, &headers, LARGEST, progress);
    let mut exchanging = pin!(transport.exchange_apart(&exchange));
    let begin = Instant::now();
    loop {
        // A silent address beside a living one takes none of the endpoint's time.
        let end = begin + limit + progress.head_starts();
        match race(exchanging.as_mut(), until(end)).await {
            First::Left(exchanged) => break exchanged?,
            First::Right(()) if end < begin + limit + progress.head_starts() => {}
            First::Right(()) => {
                let message = format!("no answer to a probe within {} ms", limit.as_millis());
                return Err(Fault::new(Cause::AttemptTimeout, message));
            }
        }
    }
    let (head, body) = progress
        .take_answer()
        .ok_or_else(|| Fault::new(Cause::BadMessage, "no answer to a probe"))?;
    judge(&head, &body, protocol, authorization.as_ref())
}

fn judge(
    head: &Parts,
    body: &[u8],
    protocol: Protocol,
    sent: Option<&HeaderValue>,
) -> Result<Reply, Fault> {
    let status = head.status.as_u16();
    // An error, or a page, under a status of success is judged as it is of a write.
    let asked = Asked {
        protocol: Some(protocol),
        is_write: true,
        needs_mark: false,
    };
    let fault = classify(status, &head.headers, body, asked, sent);
    match status {
        200 if fault.is_none() && is_data(&head.headers) => return Ok(Reply::Came(Probed::Serves)),
        401 | 403 if is_marked_by_service(&head.headers, body) || names_its_authority(head) => {
            return Ok(Reply::Came(Probed::Reachable));
        }
        _ => {}
    }
    match fault {
        Some(fault) if fault.cause == Cause::Throttled => Ok(Reply::Busy(fault.retry_after)),
        Some(fault) => Err(fault),
        None => Err(Fault {
            http_status: Some(status),
            ..Fault::new(
                Cause::ServiceFault,
                format!("HTTP {status} is no answer to a probe"),
            )
        }),
    }
}

fn is_data(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let kind = value.split(';').next().unwrap_or_default();
            let kind = kind.trim().to_ascii_lowercase();
            kind.ends_with("json") || kind.ends_with("xml")
        })
}

/// The service says whom it trusts and what a token is to be for; a proxy does not.
fn names_its_authority(head: &Parts) -> bool {
    head.headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("authorization_uri") || value.contains("resource_id")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVES: Reply = Reply::Came(Probed::Serves);
    const REACHABLE: Reply = Reply::Came(Probed::Reachable);

    fn judged(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Reply, Cause> {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let (head, ()) = answer.body(()).unwrap().into_parts();
        judge(&head, body.as_bytes(), Protocol::OData, None).map_err(|fault| fault.cause)
    }

    #[test]
    fn what_serves_what_is_reachable_and_what_is_neither() {
        let json = ("content-type", "application/json; odata.metadata=minimal");
        let soap = ("content-type", "text/xml");
        let html = ("content-type", "text/html");
        let odata = ("odata-version", "4.0");
        let bearer = (
            "www-authenticate",
            "Bearer authorization_uri=https://login.example/x, resource_id=https://contoso/",
        );
        let basic = ("www-authenticate", "Basic realm=\"proxy\"");
        let error = r#"{"error":{"code":"0x80040220","message":"no"}}"#;
        let elsewhere = r#"{"error":{"code":"0x8004B065","message":"elsewhere"}}"#;
        assert_eq!(judged(200, &[json], "{}"), Ok(SERVES));
        assert_eq!(judged(200, &[soap], "<a/>"), Ok(SERVES));
        assert_eq!(judged(200, &[html], "<p>"), Err(Cause::HtmlPage));
        let xhtml = ("content-type", "application/xhtml+xml");
        assert_eq!(judged(200, &[xhtml], "<p/>"), Err(Cause::HtmlPage));
        assert_eq!(judged(200, &[json], "<html>"), Err(Cause::HtmlPage));
        let blocked = judged(200, &[json], r#"{"error":"blocked"}"#);
        assert_eq!(blocked, Err(Cause::ServiceFault));
        let not_here = judged(200, &[json], elsewhere);
        assert_eq!(not_here, Err(Cause::DatacenterNotAvailable));
        assert!(judged(204, &[], "").is_err());
        assert!(judged(302, &[], "").is_err());
        assert_eq!(judged(401, &[bearer], ""), Ok(REACHABLE));
        assert_eq!(judged(401, &[basic], ""), Err(Cause::Unauthorized));
        assert_eq!(judged(403, &[odata, json], error), Ok(REACHABLE));
        assert_eq!(judged(403, &[html], "<p>"), Err(Cause::Forbidden));
        assert_eq!(judged(429, &[], ""), Ok(Reply::Busy(None)));
        let told = Ok(Reply::Busy(Some(Duration::from_secs(7))));
        assert_eq!(judged(429, &[("retry-after", "7")], ""), told);
        assert_eq!(judged(503, &[], ""), Err(Cause::Unavailable));
        let not_here = judged(500, &[json, odata], elsewhere);
        assert_eq!(not_here, Err(Cause::DatacenterNotAvailable));
        assert_eq!(judged(404, &[html], ""), Err(Cause::NotFound));
    }
}
