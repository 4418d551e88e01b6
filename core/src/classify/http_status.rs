//! The table from a response to its fault.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::{Addressing, BodyFault, codes, read_body, retry_after};
use crate::{Cause, Fault};

/// What a response means. `None`: it is an answer and no fault.
///
/// `body` is the body or its beginning. A body decides only by a listed code, by WS-Addressing's
/// fault codes, or by being no service's body where one is due; what is inside of a `$batch` that
/// answered 200 is not looked at. Never fails, whatever the bytes.
///
/// The order is WCF's: 404, 503, 504 and the "Invalid Hostname" page come before 401 and 403, and
/// these before other statuses. A listed code comes first of all: it is the service that speaks.
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
    let said = read_body(body);
    let cause = cause_of(status, headers, body, said.as_ref(), is_service);
    let said = said.unwrap_or_default();
    Some(Fault {
        http_status: Some(status),
        code: said.code,
        retry_after: retry_after::from_headers(headers).or(said.retry_after),
        ..Fault::new(cause, message(status, &said))
    })
}

fn cause_of(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    said: Option<&BodyFault>,
    is_service: bool,
) -> Cause {
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
    is_html(headers) && body.windows(TEXT.len()).any(|window| window == TEXT)
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
        message.extend(text.chars().filter(|c| !c.is_control()).take(LONGEST));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FaultKind, Preset};

    const ODATA: &str = r#"{"error":{"code":"0x80040217","message":"no row"}}"#;
    const NOT_HERE: &str = r#"{"error":{"code":"0x8004B065","message":"not here"}}"#;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_table() {
        const HTML: &[(&str, &str)] = &[("content-type", "text/html; charset=us-ascii")];
        const MARK: &[(&str, &str)] = &[("odata-version", "4.0")];
        type Row<'a> = (
            u16,
            &'a [(&'static str, &'a str)],
            &'a str,
            Option<Cause>,
            bool,
        );
        let table: &[Row<'_>] = &[
            (200, &[], "", None, false),
            (204, &[], "", None, false),
            (304, &[], "", None, false),
            (302, HTML, "<html>", Some(Cause::ServiceFault), false),
            (307, &[], "", Some(Cause::ServiceFault), false),
            (200, HTML, "<html>", Some(Cause::HtmlPage), false),
            (200, &[], NOT_HERE, None, false),
            (204, HTML, "", None, false),
            (404, &[], "", Some(Cause::NotFound), true),
            (404, HTML, "<html>", Some(Cause::NotFound), true),
            (404, &[], ODATA, Some(Cause::ServiceFault), false),
            (404, MARK, "", Some(Cause::ServiceFault), false),
            (410, &[], "", Some(Cause::Gone), false),
            (
                400,
                HTML,
                "<h2>Bad Request - Invalid Hostname</h2>",
                Some(Cause::InvalidHostname),
                true,
            ),
            (
                400,
                HTML,
                "<h2>Bad Request</h2>",
                Some(Cause::ServiceFault),
                false,
            ),
            (
                400,
                &[],
                "Invalid Hostname",
                Some(Cause::ServiceFault),
                false,
            ),
            (504, &[], "", Some(Cause::GatewayTimeout), true),
            (503, &[], "", Some(Cause::Unavailable), false),
            (
                503,
                &[],
                NOT_HERE,
                Some(Cause::DatacenterNotAvailable),
                true,
            ),
            (
                500,
                &[],
                NOT_HERE,
                Some(Cause::DatacenterNotAvailable),
                true,
            ),
            (502, HTML, "<html>", Some(Cause::BadGateway), false),
            (500, HTML, "<html>", Some(Cause::HtmlPage), false),
            (500, &[], ODATA, Some(Cause::ServiceFault), false),
            (500, &[], "", Some(Cause::ServiceFault), false),
            (401, &[], "", Some(Cause::Unauthorized), false),
            (403, HTML, "<html>", Some(Cause::Forbidden), false),
            (408, &[], "", Some(Cause::ServiceFault), false),
            (412, &[], ODATA, Some(Cause::ServiceFault), false),
            (
                429,
                &[("retry-after", "3")],
                "",
                Some(Cause::Throttled),
                false,
            ),
        ];
        for (status, pairs, body, cause, starts) in table {
            let fault = classify_response(*status, &headers(pairs), body.as_bytes());
            assert_eq!(
                fault.as_ref().map(|fault| fault.cause),
                *cause,
                "{status} {body}"
            );
            if let Some(fault) = fault {
                assert_eq!(
                    fault.starts_failover(Preset::Dotnet),
                    *starts,
                    "{status} {body}"
                );
                assert_eq!(fault.http_status, Some(*status));
            }
        }
    }

    #[test]
    fn a_throttling_code_in_soap_is_no_service_fault() {
        let body = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
          <detail><OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts">
          <ErrorCode>-2147015902</ErrorCode></OrganizationServiceFault></detail></s:Fault></s:Body></s:Envelope>"#;
        let fault = classify_response(500, &HeaderMap::new(), body.as_bytes()).unwrap();
        assert_eq!(fault.kind, FaultKind::Throttled);
    }

    #[test]
    fn a_page_that_was_asked_for_is_no_fault() {
        let html = headers(&[("content-type", "text/html")]);
        assert!(classify(200, &html, b"<html>", true).is_some());
        assert_eq!(classify(200, &html, b"<html>", false), None);
        let marked = headers(&[("content-type", "text/html"), ("odata-version", "4.0")]);
        assert_eq!(classify(200, &marked, b"<html>", true), None);
    }

    #[test]
    fn the_message_is_one_short_line() {
        let body = format!(
            r#"{{"error":{{"code":"","message":"a\nb{}"}}}}"#,
            "x".repeat(9999)
        );
        let fault = classify_response(500, &HeaderMap::new(), body.as_bytes()).unwrap();
        assert!(fault.message.len() < 300, "{}", fault.message);
        assert!(!fault.message.contains('\n'));
    }
}
