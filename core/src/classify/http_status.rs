//! The table from a response to its fault.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};

use super::success::{self, Said, has_service_header};
use super::{
    Addressing, Asked, BodyFault, Protocol, codes, inflate, is_html, read_body, retry_after, text,
};
use crate::odata_header::ENTITY_ID;
use crate::shown::sentence;
use crate::{Cause, Fault};

/// Of a compressed body so many bytes are decoded at least, as far as it goes; and never more than
/// it has itself, where that is more. A code stands in the first hundreds.
const DECODED: usize = 64 << 10;

/// What a response means. `None`: it is an answer and no fault.
///
/// `body` is the body or its beginning, as it came or already decoded: a Content-Encoding (gzip,
/// deflate, br) is taken off a copy of at most 64 KiB, or of as many bytes as `body` has, and a
/// body that is not encoded in spite of its header is read as it is; in UTF-8 or UTF-16. A body
/// decides only by a listed code, by WS-Addressing's fault codes, or by being no service's body where
/// one is due; below status 400 only by being a page or a SOAP fault. Never fails, whatever the
/// bytes.
///
/// Whether a 2xx to a write is the service's is not told here: what was asked is not known.
///
/// The order is WCF's: 404, 503, 504 and the "Invalid Hostname" page come before 401 and 403, and
/// these before other statuses. A listed code comes first of all, because it is the service that
/// speaks; but with 404, 503 and 504 not that of a SOAP fault, which comes with 500: there the
/// status decides, as in WCF.
#[must_use]
pub fn classify_response(status: u16, headers: &HeaderMap, body: &[u8]) -> Option<Fault> {
    classify(
        status,
        headers,
        body,
        Asked::read(Some(Protocol::Soap)),
        None,
    )
}

/// As [`classify_response`], with what was asked: whoever asks for a page may get HTML, and a write is
/// answered by its service. `sent` is the `Authorization` that was sent: no fault tells it.
pub(crate) fn classify(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    asked: Asked,
    sent: Option<&HeaderValue>,
) -> Option<Fault> {
    if status < 300 {
        return of_success(status, headers, body, asked, sent);
    }
    if status == 304 {
        return None;
    }
    let (body, said) = read(status, headers, body);
    let is_service = asked.protocol.is_some();
    let cause = cause_of(status, headers, &body, said.as_ref(), is_service);
    let said = said.unwrap_or_default();
    Some(fault(cause, status, headers, said, sent))
}

/// What a 2xx means.
fn of_success(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    asked: Asked,
    sent: Option<&HeaderValue>,
) -> Option<Fault> {
    let protocol = asked.protocol?;
    let decoded = decoded(headers, body);
    let said = if asked.is_write {
        success::of_write(headers, &text(&decoded), protocol, asked.needs_mark)
    } else {
        success::of_read(status, headers, || text(&decoded), protocol)
    };
    let (cause, message) = match said {
        Said::Done => return None,
        Said::Unmarked if !asked.needs_mark => return None,
        Said::Refused(said) => {
            let cause = cause_of(status, headers, &[], Some(&said), false);
            return Some(fault(cause, status, headers, said, sent));
        }
        Said::Page => (
            Cause::HtmlPage,
            format!("HTTP {status} with an HTML page where a service should answer"),
        ),
        Said::Unmarked => (
            Cause::NoServiceMark,
            format!(
                "HTTP {status} without a mark of the service (OData-Version, a SOAP envelope): \
                 something on the way may have answered in its place; if a gateway takes the \
                 marks off, set service_mark to any"
            ),
        ),
    };
    Some(Fault {
        http_status: Some(status),
        ..Fault::new(cause, message)
    })
}

/// Whether more of the body would not change what an answer to a write means.
pub(crate) fn is_told(status: u16, headers: &HeaderMap, body: &[u8], asked: Asked) -> bool {
    match asked.protocol {
        Some(protocol) if asked.is_write && status < 300 => {
            success::is_told(headers, &text(&decoded(headers, body)), protocol)
        }
        _ => true,
    }
}

/// Whether an answer to a write that broke off is taken for what its head says.
pub(crate) fn is_told_in_spite_of_its_end(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    asked: Asked,
) -> bool {
    // No error names the row that was written.
    body.is_empty() || headers.contains_key(&ENTITY_ID) || is_told(status, headers, body, asked)
}

fn fault(
    cause: Cause,
    status: u16,
    headers: &HeaderMap,
    said: BodyFault,
    sent: Option<&HeaderValue>,
) -> Fault {
    let in_body = |text: &String| retry_after::parse(text, headers);
    Fault {
        http_status: Some(status),
        code: said.code,
        retry_after: retry_after::from_headers(headers)
            .or_else(|| said.retry_after.as_ref().and_then(in_body)),
        ..Fault::new(cause, message(status, &said, sent))
    }
}

fn decoded<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let decoded = inflate::prefix(headers, body, body.len().max(DECODED));
    if decoded.is_empty() {
        // HTTP libraries that decode a body leave the header where it was.
        return Cow::Borrowed(body);
    }
    decoded
}

/// The body without its encoding, and what it says.
fn read<'a>(
    status: u16,
    headers: &HeaderMap,
    body: &'a [u8],
) -> (Cow<'a, [u8]>, Option<BodyFault>) {
    if status < 400 {
        return (Cow::Borrowed(body), None);
    }
    let decoded = decoded(headers, body);
    match read_body(&decoded) {
        Some(said) => (decoded, Some(said)),
        None if matches!(decoded, Cow::Owned(_)) => match read_body(body) {
            Some(said) => (Cow::Borrowed(body), Some(said)),
            None => (decoded, None),
        },
        None => (decoded, None),
    }
}

fn cause_of(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    said: Option<&BodyFault>,
    is_service: bool,
) -> Cause {
    // WCF looks at these before it looks for a fault. The code stays known.
    if said.is_some_and(|said| said.is_soap) {
        match status {
            404 => return Cause::NotFound,
            503 => return Cause::Unavailable,
            504 => return Cause::GatewayTimeout,
            _ => {}
        }
    }
    if let Some(cause) = said.and_then(|said| said.code).and_then(codes::cause_of) {
        return cause;
    }
    match said.and_then(|said| said.addressing) {
        Some(Addressing::DestinationUnreachable) => return Cause::DestinationUnreachable,
        Some(Addressing::EndpointUnavailable) => return Cause::Unavailable,
        None => {}
    }
    let has_mark = said.is_some() || has_service_header(headers);
    match status {
        404 if !has_mark => Cause::NotFound,
        410 if !has_mark => Cause::Gone,
        503 => Cause::Unavailable,
        504 => Cause::GatewayTimeout,
        200..=299 | 500 if said.is_some_and(BodyFault::is_database_moving) => Cause::DatabaseMoving,
        400 if !has_mark && is_invalid_hostname(headers, body) => Cause::InvalidHostname,
        401 => Cause::Unauthorized,
        403 => Cause::Forbidden,
        429 => Cause::Throttled,
        502 => Cause::BadGateway,
        500..=599 if is_service && !has_mark && is_html(headers) => Cause::HtmlPage,
        _ => Cause::ServiceFault,
    }
}

/// Whether an answer shows that a service has made it, and no front end in its place.
pub(crate) fn is_marked_by_service(headers: &HeaderMap, body: &[u8]) -> bool {
    has_service_header(headers) || read(400, headers, body).1.is_some()
}

/// http.sys answers so when no site is bound to the host name. WCF knows it by this text.
fn is_invalid_hostname(headers: &HeaderMap, body: &[u8]) -> bool {
    is_html(headers) && text(body).contains("Invalid Hostname")
}

fn message(status: u16, said: &BodyFault, sent: Option<&HeaderValue>) -> String {
    let mut message = format!("HTTP {status}");
    if let Some(code) = said.code {
        message.push_str(&format!(" with code 0x{code:08X}"));
    }
    if let Some(text) = said.message.as_deref().filter(|text| !text.is_empty()) {
        message.push_str(": ");
        message.push_str(&sentence(text, sent));
    }
    message
}

#[cfg(test)]
#[path = "http_status_tests.rs"]
mod tests;
