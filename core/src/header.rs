//! The application's own headers: which it may set, and which say who it is.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Error, ErrorKind};

/// Headers that belong to the connection or to the endpoint, and therefore to the library.
const OURS: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// How many headers there are at most. A [`HeaderMap`] panics over more than it has room for, and the library adds its own.
const MOST: usize = 16_384;

/// Adds a header to others of its name.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] where there are 16 384 already.
pub fn append_header(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
) -> Result<(), Error> {
    check_room(headers)?;
    headers.append(name, value);
    Ok(())
}

pub(crate) fn check_room(headers: &HeaderMap) -> Result<(), Error> {
    if headers.len() < MOST {
        return Ok(());
    }
    let said = format!("there are more headers than {MOST}");
    Err(Error::new(ErrorKind::InvalidArgument, said))
}

/// How the names begin of headers that speak to the library, and are not sent.
pub(crate) const TO_LIBRARY: &str = "D365-Failover-";

/// What comes after that in a name.
pub(crate) fn to_library(name: &str) -> Option<&str> {
    let (begin, rest) = name.split_at_checked(TO_LIBRARY.len())?;
    begin.eq_ignore_ascii_case(TO_LIBRARY).then_some(rest)
}

/// Headers that carry who the application is, and go to no host but the organization's.
pub(crate) const CREDENTIALS: [HeaderName; 3] = [
    http::header::AUTHORIZATION,
    http::header::COOKIE,
    http::header::PROXY_AUTHORIZATION,
];

/// A header of the application's.
pub(crate) fn parse_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("{name:?} is not a header name"),
        )
    })?;
    if OURS.contains(&parsed.as_str()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the header {name} is set by the library for each attempt; leave it out"),
        ));
    }
    if to_library(name).is_some() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the header {name} is said with a request, before there is an attempt"),
        ));
    }
    // The value may be a credential, so the message does not show it.
    let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("the value of the header {name} holds a control character"),
        )
    })?;
    value.set_sensitive(CREDENTIALS.contains(&parsed));
    Ok((parsed, value))
}
