//! Requests to the Web API and to its predecessor, OData v2's `OrganizationData.svc`.

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method};

use super::{Class, Guard, Operation, Row};

/// Headers by which a `POST` stands for another method.
pub(crate) static OVERRIDES: [HeaderName; 2] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
];

/// The class of a request whose path names neither a batch nor a SOAP service.
pub(super) fn classify(method: &Method, url: &str, headers: &HeaderMap) -> Class {
    let values = |name: HeaderName| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let Some(method) = written_as(method, url, headers) else {
        return Class::of(Operation::Unsafe);
    };
    if method == b"POST" {
        return Class::of(Operation::Unsafe);
    }
    let conditions = Conditions::of(values(IF_MATCH), values(IF_NONE_MATCH));
    let row = || row(url).map(|url| Row::Url(url.to_owned()));
    match operation(method, conditions) {
        Operation::Guarded if conditions.creates_only => Class::guarded(row().map(Guard::Created)),
        Operation::Guarded => Class::guarded(row().map(Guard::Version)),
        other => Class::of(other),
    }
}

/// The method that a request stands for. `None`: it names several.
pub(crate) fn written_as<'a>(
    method: &'a Method,
    url: &str,
    headers: &'a HeaderMap,
) -> Option<&'a [u8]> {
    if *method != Method::POST {
        return Some(method.as_str().as_bytes());
    }
    let overrides = OVERRIDES
        .iter()
        .flat_map(|name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes));
    effective_method(method.as_str().as_bytes(), path(url), overrides)
}

/// The conditions that a request names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// `If-None-Match: *`: there must be no such row.
    pub(super) creates_only: bool,
    /// `If-Match` with a version.
    pub(super) has_version: bool,
}

impl Conditions {
    pub(super) fn of<'a>(
        if_match: impl Iterator<Item = &'a [u8]>,
        mut if_none_match: impl Iterator<Item = &'a [u8]>,
    ) -> Conditions {
        let mut versions = if_match.flat_map(conditions).peekable();
        Conditions {
            creates_only: if_none_match.any(|value| conditions(value).any(|tag| tag == b"*")),
            has_version: versions.peek().is_some() && versions.all(|version| version != b"*"),
        }
    }
}

/// The conditions in the value of an `If-Match` or `If-None-Match`. `null` is none: pages of
/// Microsoft's have every request send `If-None-Match: null`, and the service passes over it.
pub(crate) fn conditions(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_condition = |tag: &&[u8]| {
        let quoted = tag
            .strip_prefix(b"\"")
            .and_then(|tag| tag.strip_suffix(b"\""));
        let word = quoted.unwrap_or(tag).trim_ascii();
        !word.is_empty() && !word.eq_ignore_ascii_case(b"null")
    };
    let tags = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tags.filter(is_condition)
}

/// What a repeat of a request with this method does.
pub(super) fn operation(method: &[u8], conditions: Conditions) -> Operation {
    match method {
        b"GET" | b"HEAD" | b"OPTIONS" => Operation::Read,
        b"PATCH" if conditions.creates_only => Operation::Guarded,
        b"PATCH" | b"PUT" | b"MERGE" | b"DELETE" if conditions.has_version => Operation::Guarded,
        b"PATCH" | b"PUT" | b"MERGE" | b"DELETE" => Operation::Idempotent,
        _ => Operation::Unsafe,
    }
}

/// The method that a request stands for. `None`: it names several.
///
/// A service that does not know the header takes a `POST` for what it is, so it counts only where
/// that would do nothing: at OData v2, which knows it, and at the URL of a row, where nothing can
/// be created.
pub(crate) fn effective_method<'a>(
    method: &'a [u8],
    path: &str,
    mut overrides: impl Iterator<Item = &'a [u8]>,
) -> Option<&'a [u8]> {
    // The path first: to look for a header costs more.
    if method != b"POST" || (!is_row(path) && service(path) != Service::OData2) {
        return Some(method);
    }
    let Some(first) = overrides.next() else {
        return Some(method);
    };
    // A read by POST would be news to these services.
    (overrides.all(|other| other == first) && !matches!(first, b"GET" | b"HEAD" | b"OPTIONS"))
        .then_some(first)
}

/// The path of a URL, absolute or relative.
pub(crate) fn path(url: &str) -> &str {
    let whole = without_query(url);
    if whole.starts_with('/') {
        return whole;
    }
    let authority = whole.split_once(':').and_then(|(scheme, rest)| {
        let rest = rest.strip_prefix("//")?;
        (!scheme.contains('/')).then_some(rest)
    });
    match authority {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => whole,
    }
}

/// A URL up to its query.
pub(crate) fn without_query(url: &str) -> &str {
    let end = memchr::memchr2(b'?', b'#', url.as_bytes());
    &url[..end.unwrap_or(url.len())]
}

pub(crate) fn is_batch(path: &str) -> bool {
    let path = path.trim_end_matches('/').as_bytes();
    [&b"$batch"[..], b"%24batch"].into_iter().any(|batch| {
        let before = path.len().checked_sub(batch.len() + 1);
        ends_with(path, batch) && before.is_none_or(|before| path[before] == b'/')
    })
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    WebApi,
    OData2,
    /// Any other service of WCF's.
    Soap,
}

pub(crate) fn service(path: &str) -> Service {
    let path = path.as_bytes();
    let ends_a_segment = |dot: &usize| {
        let end = path.get(*dot..dot + 4);
        path[*dot] == b'.'
            && end.is_some_and(|end| end.eq_ignore_ascii_case(b".svc"))
            && path.get(dot + 4).is_none_or(|byte| *byte == b'/')
    };
    // Asked of every write, and short: of four letters one is at each fourth byte, and a search that sets itself up costs more.
    let may_be_in_it = |at: &usize| matches!(path[*at] | 0x20, b'.' | b's' | b'v' | b'c');
    let mut fourths = (3..path.len()).step_by(4).filter(may_be_in_it);
    match fourths.find_map(|at| (at - 3..=at).find(ends_a_segment)) {
        None => Service::WebApi,
        Some(dot) => {
            let start = path[..dot].iter().rposition(|byte| *byte == b'/');
            let start = start.map_or(0, |slash| slash + 1);
            match path[start..dot].eq_ignore_ascii_case(b"OrganizationData") {
                true => Service::OData2,
                false => Service::Soap,
            }
        }
    }
}

/// Whether the path ends in a key: it names a row, not a set, a property, or an action.
pub(crate) fn is_row(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.ends_with(')') || path.ends_with("%29")
}

/// The URL of the row that a request names, without query, and without a slash at its end.
pub(crate) fn row(url: &str) -> Option<&str> {
    let url = without_query(url).trim_end_matches('/');
    Some(url).filter(|url| is_row(url))
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}
