//! The rule of the .NET SDK that tells one endpoint's URL from the other's: `--s` on the name of
//! the organization. Refuses what it cannot be sure of.

use url::{Host, Url};

use crate::registrable::owner;
use crate::url_text::{invalid, is_host_name, parse_any};
use crate::{Error, Role};

/// What the first host label of an alternate ends in.
const SUFFIX: &str = "--s";
/// A DNS label holds at most so many octets (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;
/// A whole name, as text and without the dot at its end (RFC 1035, 3.1).
const LONGEST_NAME: usize = 253;
/// First path segments that belong to the services and not to an organization.
const SERVICE_ROOTS: [&str; 4] = ["api", "xrmservices", "mscrmservices", "appwebservices"];
/// First host labels of Discovery services, which belong to no organization.
const DISCOVERY_LABELS: [&str; 3] = ["disco", "dev", "globaldisco"];

/// Where the organization's name stands in its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrlForm {
    /// `https://contoso.crm.dynamics.com`: the first host label.
    Host,
    /// `http://crm.example.local:5555/Contoso`: the first path segment.
    Path,
}

/// The alternate's URL for any URL in host form: `--s` on the first host label. A URL that is
/// the alternate's already comes back as it is.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`](crate::ErrorKind::InvalidUrl), as
/// [`Organization::new`](crate::Organization::new).
pub fn alternate_url(url: &str) -> Result<String, Error> {
    on_role(url, Role::Alternate)
}

/// The primary's URL for any URL in host form: the first host label without `--s`. A URL that is
/// the primary's already comes back as it is.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`](crate::ErrorKind::InvalidUrl), as
/// [`Organization::new`](crate::Organization::new).
pub fn primary_url(url: &str) -> Result<String, Error> {
    on_role(url, Role::Primary)
}

/// Whether a URL in host form is an alternate's.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`](crate::ErrorKind::InvalidUrl), as
/// [`Organization::new`](crate::Organization::new).
pub fn is_alternate_url(url: &str) -> Result<bool, Error> {
    let url = parse_any(url)?;
    let form = form_of(&url)?;
    other_url(&url, form)?;
    Ok(is_alternate(&url, form))
}

fn on_role(url: &str, role: Role) -> Result<String, Error> {
    let url = parse_any(url)?;
    let form = form_of(&url)?;
    // Also asked when the URL is returned as it is, so that both directions refuse the same.
    let other = other_url(&url, form)?;
    let is_there = is_alternate(&url, form) == (role == Role::Alternate);
    Ok(String::from(if is_there { url } else { other }))
}

pub(crate) fn is_service_root(segment: &str) -> bool {
    SERVICE_ROOTS
        .iter()
        .any(|root| segment.eq_ignore_ascii_case(root))
}

/// Host form, if nothing speaks against it.
pub(crate) fn form_of(url: &Url) -> Result<UrlForm, Error> {
    let first = url
        .path_segments()
        .and_then(|mut segments| segments.find(|segment| !segment.is_empty()));
    match first {
        Some(segment) if !is_service_root(segment) => Err(invalid(
            url,
            &format!(
                "whether {segment:?} names the organization is ambiguous; \
                 set alternate_url, or url_form to path or host"
            ),
        )),
        _ => Ok(UrlForm::Host),
    }
}

pub(crate) fn is_alternate(url: &Url, form: UrlForm) -> bool {
    name_of(url, form).is_some_and(ends_in_suffix)
}

fn ends_in_suffix(name: &str) -> bool {
    name.len() >= SUFFIX.len()
        && name
            .get(name.len() - SUFFIX.len()..)
            .is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

fn name_of(url: &Url, form: UrlForm) -> Option<&str> {
    match form {
        UrlForm::Host => url.host_str()?.split('.').next(),
        UrlForm::Path => url.path_segments()?.find(|segment| !segment.is_empty()),
    }
}

/// The other endpoint's URL by the `--s` rule.
pub(crate) fn other_url(url: &Url, form: UrlForm) -> Result<Url, Error> {
    match form {
        UrlForm::Host => other_host(url),
        UrlForm::Path => other_segment(url),
    }
}

fn other_host(url: &Url) -> Result<Url, Error> {
    let host = match url.host() {
        Some(Host::Domain(host)) => host,
        _ => {
            return Err(invalid(
                url,
                "an IP address holds no organization's name; set alternate_url",
            ));
        }
    };
    let (label, domain) = host
        .split_once('.')
        .filter(|(_, domain)| !domain.trim_end_matches('.').is_empty())
        .ok_or_else(|| {
            invalid(
                url,
                "a host of one label holds no organization's name; set alternate_url",
            )
        })?;
    if host
        .strip_suffix('.')
        .unwrap_or(host)
        .split('.')
        .any(str::is_empty)
    {
        return Err(invalid(url, "the host has an empty label"));
    }
    if !is_host_name(host) {
        return Err(invalid(
            url,
            "the host holds a character that no host name has; set alternate_url",
        ));
    }
    if label.starts_with("xn--") {
        return Err(invalid(
            url,
            "no alternate can be told from an internationalized label; set alternate_url",
        ));
    }
    if owner(host).is_none() {
        return Err(invalid(
            url,
            "the name that --s would be put on is one that anybody can register, so its alternate \
             may be a stranger's, who would get the token; set alternate_url",
        ));
    }
    let primary = primary_name(url, label)?;
    if primary.starts_with('-') || primary.ends_with('-') {
        return Err(invalid(
            url,
            "the organization's name begins or ends with a hyphen, which no host label does; \
             set alternate_url",
        ));
    }
    if DISCOVERY_LABELS.contains(&primary) {
        return Err(invalid(
            url,
            "this is a Discovery service's host, which belongs to no organization; \
             give the organization's URL, or set alternate_url",
        ));
    }
    let other = if primary == label {
        format!("{label}{SUFFIX}")
    } else {
        primary.to_owned()
    };
    let too_long = |label: &str| label.len() > LONGEST_LABEL;
    if host.split('.').any(too_long) || too_long(&other) {
        return Err(invalid(
            url,
            "a host label, with --s, would be longer than 63 octets; set alternate_url",
        ));
    }
    let mut result = url.clone();
    let joined = format!("{other}.{domain}");
    let longer = joined.len().max(host.len());
    if longer - usize::from(host.ends_with('.')) > LONGEST_NAME {
        return Err(invalid(
            url,
            "the host, with --s, would be longer than 253 octets; set alternate_url",
        ));
    }
    result
        .set_host(Some(&joined))
        .map_err(|error| invalid(url, &format!("{joined} is not a host: {error}")))?;
    match result.host() {
        Some(Host::Domain(host)) if host == joined => Ok(result),
        _ => Err(invalid(url, "its alternate is not a host name")),
    }
}

fn other_segment(url: &Url) -> Result<Url, Error> {
    let segment = name_of(url, UrlForm::Path)
        .filter(|segment| !is_service_root(segment))
        .ok_or_else(|| {
            invalid(
                url,
                "url_form is path, and the path begins with no organization's name",
            )
        })?;
    if segment.contains('%') {
        // `%2D` is a hyphen, so an encoded name could end in --s without being seen to.
        return Err(invalid(
            url,
            "the organization's name holds a percent-encoding; write it plain, or set alternate_url",
        ));
    }
    let primary = primary_name(url, segment)?;
    let other = if primary == segment {
        format!("{segment}{SUFFIX}")
    } else {
        primary.to_owned()
    };
    let path = url.path().trim_start_matches('/');
    let rest = &path[segment.len()..];
    let mut result = url.clone();
    result.set_path(&format!("/{other}{rest}"));
    Ok(result)
}

/// The name without its `--s`, refused where that would be guessed.
fn primary_name<'a>(url: &Url, name: &'a str) -> Result<&'a str, Error> {
    if !ends_in_suffix(name) {
        return Ok(name);
    }
    let primary = &name[..name.len() - SUFFIX.len()];
    if primary.is_empty() {
        return Err(invalid(url, "--s alone names no organization"));
    }
    if ends_in_suffix(primary) {
        return Err(invalid(
            url,
            "an alternate has no alternate: the name ends in --s twice; set alternate_url",
        ));
    }
    Ok(primary)
}
