//! Reading URLs that people wrote, and showing them in errors without what may be secret.

use url::Url;

use crate::{Error, ErrorKind};

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
    let url = Url::parse(text).map_err(|error| {
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
    // User info and query may hold secrets, and do not help to find the fault.
    let mut shown = url.clone();
    let _ = shown.set_username("").and(shown.set_password(None));
    if shown.query().is_some() {
        shown.set_query(Some("…"));
    }
    Error::new(ErrorKind::InvalidUrl, format!("{shown}: {why}"))
}

/// A text that could not be read as a URL, as it may be shown: without what may be a password.
pub(crate) fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("{:?}", format!("…@{rest}")),
        None => format!("{text:?}"),
    }
}
