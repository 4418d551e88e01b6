//! The table from a response to its fault.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::{Addressing, BodyFault, codes, inflate, read_body, retry_after};
use crate::shown::without_tokens;
use crate::{Cause, Fault};

/// Of a compressed body so many bytes are decoded at least, as far as it goes; and never more than
/// it has itself, where that is more. A code stands in the first hundreds.
const DECODED: usize = 64 << 10;

/// What a response means. `None`: it is an answer and no fault.
///
/// `body` is the body or its beginning, as it came or already decoded: a Content-Encoding (gzip,
/// deflate, br) is taken off a copy of at most 64 KiB, or of as many bytes as `body` has, and a
/// body that is not encoded in spite of its header is read as it is. A body decides only from
/// status 400 on, and only by a listed code, by WS-Addressing's
/// fault codes, or by being no service's body where one is due; what is inside of a `$batch` that
/// answered 200 is not looked at. Never fails, whatever the bytes.
///
/// The order is WCF's: 404, 503, 504 and the "Invalid Hostname" page come before 401 and 403, and
/// these before other statuses. A listed code comes first of all, because it is the service that
/// speaks; but with 404, 503 and 504 not that of a SOAP fault, which comes with 500: there the
/// status decides, as in WCF.
#[must_use]
pub fn classify_response(status: u16, headers: &HeaderMap, body: &[u8]) -> Option<Fault> {
    classify(status, headers, body, true)
}

/// As [`classify_response`]. `is_service`: a service was asked, and not a page: then HTML in its
/// place is a front end's.
pub(crate) fn classify(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    is_service: bool,
) -> Option<Fault> {
    if status < 300 || status == 304 {
        let html = status == 200 && is_service && is_html(headers) && !has_service_header(headers);
        return html.then(|| {
            let message = format!("HTTP {status} with an HTML page where a service should answer");
            Fault {
                http_status: Some(status),
                ..Fault::new(Cause::HtmlPage, message)
            }
        });
    }
    let (body, said) = read(status, headers, body);
    let cause = cause_of(status, headers, &body, said.as_ref(), is_service);
    let said = said.unwrap_or_default();
    let in_body = |text: &String| retry_after::parse(text, headers);
    Some(Fault {
        http_status: Some(status),
        code: said.code,
        retry_after: retry_after::from_headers(headers)
            .or_else(|| said.retry_after.as_ref().and_then(in_body)),
        ..Fault::new(cause, message(status, &said))
    })
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
    let decoded = inflate::prefix(headers, body, body.len().max(DECODED));
    match read_body(&decoded) {
        Some(said) => (decoded, Some(said)),
        // HTTP libraries that decode a body leave the header where it was.
        None if matches!(decoded, Cow::Owned(_)) => match read_body(body) {
            Some(said) => (Cow::Borrowed(body), Some(said)),
            None if decoded.is_empty() => (Cow::Borrowed(body), None),
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

/// Headers that only a service sends.
fn has_service_header(headers: &HeaderMap) -> bool {
    ["odata-version", "odata-entityid", "dataserviceversion"]
        .into_iter()
        .any(|name| headers.contains_key(name))
}

fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let kind = value.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/html")
        })
}

/// http.sys answers so when no site is bound to the host name. WCF knows it by this text.
fn is_invalid_hostname(headers: &HeaderMap, body: &[u8]) -> bool {
    const TEXT: &[u8] = b"Invalid Hostname";
    is_html(headers) && memchr::memmem::find(body, TEXT).is_some()
}

fn message(status: u16, said: &BodyFault) -> String {
    /// Longer sentences hold stack traces.
    const LONGEST: usize = 200;
    let mut message = format!("HTTP {status}");
    if let Some(code) = said.code {
        message.push_str(&format!(" with code 0x{code:08X}"));
    }
    if let Some(text) = said.message.as_deref().filter(|text| !text.is_empty()) {
        message.push_str(": ");
        // Some services say the token that they refuse.
        let text = without_tokens(text);
        message.extend(text.chars().filter(|c| !c.is_control()).take(LONGEST));
    }
    message
}

#[cfg(test)]
#[path = "http_status_tests.rs"]
mod tests;
