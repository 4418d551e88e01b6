//! Whether a 2xx is the service's: what something on the way answers in its place looks like a
//! success, and executes nothing.

use std::borrow::Cow;

use http::HeaderMap;

use super::{BodyFault, odata, soap, text};
use crate::content_type::{self, media_type};
use crate::odata_header::{DATA_SERVICE_VERSION, ENTITY_ID, ODATA_VERSION};

/// What a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    OData,
    Soap,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Of the service. `None`: a page or a file was asked for.
    pub(crate) protocol: Option<Protocol>,
    pub(crate) is_write: bool,
    /// Whether a success of a write must carry a mark of its service.
    pub(crate) needs_mark: bool,
}

impl Asked {
    pub(crate) fn read(protocol: Option<Protocol>) -> Asked {
        Asked {
            protocol,
            is_write: false,
            needs_mark: false,
        }
    }
}

/// What a 2xx says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The service has answered.
    Done,
    /// The service has refused, under a status of success.
    Refused(BodyFault),
    /// A front end's page.
    Page,
    /// Nothing tells who has answered.
    Unmarked,
}

/// What the beginning of a body says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// So does a service's success begin.
    Success,
    /// So does a service's error begin. `None`: only its name is that of an error.
    Error(Option<BodyFault>),
    /// So may begin what anybody says.
    Other,
    /// It does not say yet.
    Unfinished,
}

/// What a 2xx to a write says.
pub(super) fn of_write(
    headers: &HeaderMap,
    body: &str,
    protocol: Protocol,
    needs_mark: bool,
) -> Said {
    let is_odata = protocol == Protocol::OData;
    let has_version = is_odata && has_service_header(headers);
    if !has_version && (is_html(headers) || is_page(body)) {
        return Said::Page;
    }
    let is_marked = has_version || is_odata && has_request_id(headers);
    match opening(headers, body, protocol) {
        Opening::Error(Some(fault)) => Said::Refused(fault),
        Opening::Error(None) if is_marked || !needs_mark => Said::Refused(BodyFault::default()),
        Opening::Success => Said::Done,
        _ if is_marked => Said::Done,
        _ => Said::Unmarked,
    }
}

/// What a 2xx to a read says. Whatever is no page and no SOAP fault may be what was asked for.
pub(super) fn of_read<'a>(
    status: u16,
    headers: &HeaderMap,
    body: impl FnOnce() -> Cow<'a, str>,
    protocol: Protocol,
) -> Said {
    if has_service_header(headers) || matches!(status, 204 | 205) {
        return Said::Done;
    }
    if is_html(headers) {
        return Said::Page;
    }
    if !may_be_xml(headers) {
        return Said::Done;
    }
    let body = body();
    match protocol {
        _ if is_page(&body) => Said::Page,
        Protocol::Soap => match soap::opening(envelope(headers, &body)) {
            Opening::Error(Some(fault)) => Said::Refused(fault),
            _ => Said::Done,
        },
        Protocol::OData => Said::Done,
    }
}

/// Whether more of the body of a 2xx to a write would not change what it says.
pub(super) fn is_told(headers: &HeaderMap, body: &str, protocol: Protocol) -> bool {
    is_html(headers)
        || !matches!(
            opening(headers, body, protocol),
            Opening::Error(_) | Opening::Unfinished
        )
}

/// The error that a body is, under a status of success, in any protocol.
pub(crate) fn error_in_success(body: &[u8]) -> Option<BodyFault> {
    let (headers, body) = (HeaderMap::new(), text(body));
    let protocols = [Protocol::OData, Protocol::Soap].into_iter();
    let mut openings = protocols.map(|protocol| opening(&headers, &body, protocol));
    openings.find_map(|opening| match opening {
        Opening::Error(said) => Some(said.unwrap_or_default()),
        _ => None,
    })
}

fn opening(headers: &HeaderMap, body: &str, protocol: Protocol) -> Opening {
    match protocol {
        Protocol::Soap => soap::opening(envelope(headers, body)),
        Protocol::OData => odata::opening(headers, body),
    }
}

/// The SOAP message: of a package (MTOM, SOAP with attachments) its first part.
fn envelope<'a>(headers: &HeaderMap, body: &'a str) -> &'a str {
    let is_package = is_kind(headers, "multipart/related");
    let part = is_package.then(|| body.split_once("\r\n\r\n")).flatten();
    part.map_or(body, |(_, part)| part)
}

/// Headers that only a service sends.
pub(crate) fn has_service_header(headers: &HeaderMap) -> bool {
    [&ODATA_VERSION, &ENTITY_ID, &DATA_SERVICE_VERSION]
        .into_iter()
        .any(|name| headers.contains_key(name))
}

/// By these Dataverse names the request in its own logs; and so it begins an upload in chunks. Its
/// pages carry the first ones as well.
fn has_request_id(headers: &HeaderMap) -> bool {
    [
        "x-ms-service-request-id",
        "req_id",
        "authactivityid",
        "x-ms-chunk-size",
    ]
    .into_iter()
    .any(|name| headers.contains_key(name))
}

fn kind(headers: &HeaderMap) -> Option<&str> {
    content_type::of(headers).map(media_type)
}

pub(super) fn is_kind(headers: &HeaderMap, wanted: &str) -> bool {
    kind(headers).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
}

pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    is_kind(headers, "text/html") || is_kind(headers, "application/xhtml+xml")
}

fn may_be_xml(headers: &HeaderMap) -> bool {
    kind(headers).is_none_or(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.ends_with("xml") || kind == "multipart/related"
    })
}

/// Whether a document is a page, whatever it is called.
fn is_page(body: &str) -> bool {
    let mut rest = body.trim_start();
    loop {
        let after = |begin: &str, end: &str| {
            let inner = rest.strip_prefix(begin)?;
            Some(
                inner
                    .split_once(end)
                    .map_or("", |(_, rest)| rest.trim_start()),
            )
        };
        match after("<?", "?>").or_else(|| after("<!--", "-->")) {
            Some(next) => rest = next,
            None => break,
        }
    }
    ["<!doctype html", "<html"].into_iter().any(|begin| {
        rest.get(..begin.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(begin))
            && !rest[begin.len()..].starts_with(|next: char| next.is_alphanumeric() || next == ':')
    })
}
