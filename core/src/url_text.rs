//! Reading URLs that people wrote: as they were given, or not at all.
//!
//! The parser of URLs follows the browsers' standard, by which a backslash is a slash, what follows a `#`
//! is not sent, and `/../` steps up even in the middle of a key. A service would be asked for another
//! row. So what no URL holds is encoded before the parser sees it, and what would be cut is refused.

use std::borrow::Cow;

use url::Url;

use crate::shown::shown_url;
use crate::{Error, ErrorKind};

/// A request's URL.
pub(crate) enum Written {
    Absolute(Url),
    /// As it is sent, without the base that it is relative to.
    Relative(String),
}

/// Reads the URL of a request.
pub(crate) fn parse_request(text: &str) -> Result<Written, Error> {
    refuse_unprintable(text)?;
    if text.contains('#') {
        return Err(invalid_text(
            text,
            "a # would cut it there; write %23 where it belongs to a value, and leave a fragment out",
        ));
    }
    let written = written(text)?;
    let is_absolute = scheme_end(text).is_some();
    if is_absolute {
        return Url::parse(&written)
            .map(Written::Absolute)
            .map_err(|error| not_a_url(text, error));
    }
    Ok(Written::Relative(written.into_owned()))
}

/// A link of an answer (`Location`, say), which may be relative to the URL that gave it.
pub(crate) fn parse_link(link: &str, from: &Url) -> Option<Url> {
    refuse_unprintable(link).ok()?;
    let mut url = from.join(&written(link).ok()?).ok()?;
    // It is for whoever shows the page.
    url.set_fragment(None);
    Some(url)
}

/// The URL with everything encoded that no URL holds (RFC 3986, 2): `\` is `%5C`. What is encoded stays
/// as it is.
fn written(text: &str) -> Result<Cow<'_, str>, Error> {
    let scheme = scheme_end(text).unwrap_or(0);
    let authority = scheme
        + text[scheme..]
            .bytes()
            .take_while(|byte| *byte == b'/')
            .count();
    let path = if scheme == 0 {
        0
    } else {
        let end = text[authority..].find(['/', '?', '#', '\\']);
        end.map_or(text.len(), |end| authority + end)
    };
    let begins_as_another_host = scheme == 0 && text.starts_with("/\\");
    if text[path..].starts_with('\\') || begins_as_another_host {
        return Err(invalid_text(
            text,
            "a backslash where the path begins is a slash to some and none to others; write / or %5C",
        ));
    }
    let rest = encoded(&text[path..]);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let value = ["(", "'", "%27", "%28"]
        .iter()
        .filter_map(|mark| rest[..end].find(mark))
        .min();
    if value.is_some_and(|value| has_dot_segment(&rest[value..end])) {
        return Err(invalid_text(
            text,
            "/../ in a key is a step up to every server on the way; write %2F for a slash of a value",
        ));
    }
    Ok(match rest {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(rest) => Cow::Owned(format!("{}{rest}", &text[..path])),
    })
}

/// Whether a URL goes on from another one's path: it has neither scheme nor slash at its beginning.
pub(crate) fn is_relative(url: &str) -> bool {
    !url.starts_with('/') && scheme_end(url).is_none()
}

/// Where the scheme of an absolute URL ends, with its colon.
fn scheme_end(text: &str) -> Option<usize> {
    let colon = text.find(':')?;
    let is_scheme = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text[..colon]
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(colon + 1)
}

fn encoded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let stays = |at: usize| match bytes[at] {
        b'%' => is_encoding(&bytes[at..]),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=".contains(&byte),
    };
    if (0..bytes.len()).all(stays) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        if stays(at) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

/// Whether a `%` begins an encoding: another one is itself.
pub(crate) fn is_encoding(bytes: &[u8]) -> bool {
    bytes.len() > 2 && bytes[1].is_ascii_hexdigit() && bytes[2].is_ascii_hexdigit()
}

/// Whether the URL standard would take a segment of it as `.` or `..`.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let decoded = segment.replace("%2e", ".").replace("%2E", ".");
        matches!(decoded.as_str(), "." | "..")
    })
}

/// Parses an organization's URL.
pub(crate) fn parse(text: &str) -> Result<Url, Error> {
    let url = parse_any(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            &url,
            "an organization's URL has no query and no fragment; leave them out",
        ));
    }
    Ok(url)
}

pub(crate) fn parse_any(text: &str) -> Result<Url, Error> {
    refuse_unprintable(text)?;
    let url = Url::parse(&written(text)?).map_err(|error| {
        Error::new(
            ErrorKind::InvalidUrl,
            format!(
                "{} is not a URL: {error}; give one like https://contoso.crm.dynamics.com",
                shown(text)
            ),
        )
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&url, "only http and https reach a service"));
    }
    refuse_user_info(&url)?;
    Ok(url)
}

pub(crate) fn refuse_user_info(url: &Url) -> Result<(), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    // The message does not show the URL: it holds a password.
    Err(Error::new(
        ErrorKind::InvalidUrl,
        "the URL holds user info; leave it out and authenticate with a header or a token provider",
    ))
}

/// Whether a host, as the URL standard writes it, is what DNS takes as a name; with the underscore
/// that some networks use. The standard itself lets more punctuation pass.
pub(crate) fn is_host_name(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The URL standard drops tabs and line breaks in silence; a URL that has them is no one's intent.
pub(crate) fn refuse_unprintable(text: &str) -> Result<(), Error> {
    if text.chars().any(|c| c.is_control()) || text.trim() != text {
        return Err(Error::new(
            ErrorKind::InvalidUrl,
            format!(
                "{} holds control characters or space at its ends",
                shown(text)
            ),
        ));
    }
    Ok(())
}

pub(crate) fn invalid(url: &Url, why: &str) -> Error {
    invalid_text(url.as_str(), why)
}

fn invalid_text(url: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidUrl, format!("{}: {why}", shown_url(url)))
}

fn not_a_url(text: &str, error: url::ParseError) -> Error {
    Error::new(
        ErrorKind::InvalidUrl,
        format!("{} is not a URL: {error}", shown(text)),
    )
}

/// A text that could not be read as a URL, as it may be shown: without what may be a password.
pub(crate) fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("{:?}", shown_url(&format!("…@{rest}"))),
        None => format!("{:?}", shown_url(text)),
    }
}
