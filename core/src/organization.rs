//! An organization: a name and two endpoints, and how a URL of one becomes a URL of the other.

use url::{Host, Url};

use crate::{Error, ErrorKind, Role};

/// What the first host label of an alternate ends in.
const SUFFIX: &str = "--s";
/// A DNS label holds at most so many octets (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;
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

/// An organization's two endpoints.
#[derive(Clone, Debug)]
pub struct Organization {
    primary: Base,
    alternate: Base,
    starts_on: Role,
    explicit: bool,
    form: UrlForm,
}

/// One endpoint: an origin and the path that all its services are under.
#[derive(Clone, Debug)]
struct Base {
    origin: Url,
    /// Without a trailing slash; empty for the root.
    path: String,
    text: String,
}

/// A request's URL without the endpoint that it was written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `contoso.` or `contoso.api.`: the other sibling than the base URL's.
    sibling: bool,
    /// What follows the base path: empty, or from the slash on, with the query.
    rest: String,
}

impl Target {
    /// Whether it is a service's, and not a page's or file's.
    pub(crate) fn is_service(&self) -> bool {
        self.rest
            .trim_start_matches('/')
            .split(['/', '?'])
            .next()
            .is_some_and(is_service_root)
    }
}

impl Organization {
    /// The organization of a URL: the base URL of either endpoint, or the URL of one of its
    /// services, of which the base is taken.
    ///
    /// Without `alternate_url` the other endpoint follows from the rule of the .NET SDK: `--s`
    /// on the first host label, or with [`UrlForm::Path`] on the first path segment.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] for everything that the rule cannot be sure of; the message says
    /// what to set.
    pub fn new(
        url: &str,
        alternate_url: Option<&str>,
        form: Option<UrlForm>,
    ) -> Result<Organization, Error> {
        let given = parse(url)?;
        if let Some(alternate_url) = alternate_url {
            return Organization::explicit(&given, &parse(alternate_url)?, form);
        }
        let form = form.map_or_else(|| form_of(&given), Ok)?;
        let other = other_url(&given, form)?;
        let starts_on = if is_alternate(&given, form) {
            Role::Alternate
        } else {
            Role::Primary
        };
        let (given, other) = (Base::of(&given), Base::of(&other));
        let (primary, alternate) = match starts_on {
            Role::Primary => (given, other),
            Role::Alternate => (other, given),
        };
        Ok(Organization {
            primary,
            alternate,
            starts_on,
            explicit: false,
            form,
        })
    }

    fn explicit(
        primary: &Url,
        alternate: &Url,
        form: Option<UrlForm>,
    ) -> Result<Organization, Error> {
        if primary.scheme() == "https" && alternate.scheme() != "https" {
            return Err(invalid(
                alternate,
                "the primary is https, and its calls must not go on without TLS; \
                 give an https URL as alternate_url",
            ));
        }
        let form = form.unwrap_or(UrlForm::Host);
        let primary = Base::of(primary);
        let alternate = Base::of(alternate);
        if primary.text == alternate.text {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                format!("alternate_url is {}, the primary itself", primary.text),
            ));
        }
        Ok(Organization {
            primary,
            alternate,
            starts_on: Role::Primary,
            explicit: true,
            form,
        })
    }

    /// Checks what holds for every URL of an organization, whatever the other settings say.
    pub(crate) fn check_url(url: &str) -> Result<(), Error> {
        parse(url).map(|_| ())
    }

    /// The base URL of an endpoint, without a trailing slash.
    #[must_use]
    pub fn url(&self, role: Role) -> &str {
        &self.base(role).text
    }

    /// Where a client starts: on the alternate if the URL given was the alternate's.
    #[must_use]
    pub fn starts_on(&self) -> Role {
        self.starts_on
    }

    /// Whether the alternate was given and not told from the primary.
    #[must_use]
    pub fn has_explicit_alternate(&self) -> bool {
        self.explicit
    }

    /// Whether any endpoint is https.
    #[must_use]
    pub fn needs_tls(&self) -> bool {
        [Role::Primary, Role::Alternate]
            .into_iter()
            .any(|role| self.base(role).origin.scheme() == "https")
    }

    fn base(&self, role: Role) -> &Base {
        match role {
            Role::Primary => &self.primary,
            Role::Alternate => &self.alternate,
        }
    }

    /// Finds what a request's URL means at either endpoint.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] for a URL that is on neither endpoint, or cannot be a URL.
    pub fn locate(&self, url: &str) -> Result<Target, Error> {
        refuse_unprintable(url)?;
        match Url::parse(url) {
            Ok(absolute) => self.locate_absolute(absolute),
            Err(url::ParseError::RelativeUrlWithoutBase) => self.locate_relative(url),
            Err(error) => Err(Error::new(
                ErrorKind::InvalidUrl,
                format!("{} is not a URL: {error}", shown(url)),
            )),
        }
    }

    fn locate_absolute(&self, mut url: Url) -> Result<Target, Error> {
        refuse_user_info(&url)?;
        url.set_fragment(None);
        // The longer base path first: with both endpoints on one origin, one may hold the other.
        let mut bases = [&self.primary, &self.alternate];
        bases.sort_by_key(|base| std::cmp::Reverse(base.path.len()));
        for base in bases {
            let Some(sibling) = self.same_endpoint(&base.origin, &url) else {
                continue;
            };
            if let Some(rest) = base.rest_of(&url) {
                return Ok(Target { sibling, rest });
            }
        }
        Err(invalid(
            &url,
            &format!(
                "it is on neither endpoint of the organization ({} and {}); \
                 requests go nowhere else",
                self.primary.text, self.alternate.text
            ),
        ))
    }

    fn locate_relative(&self, url: &str) -> Result<Target, Error> {
        let slashed = url.replace('\\', "/");
        if slashed.starts_with("//") {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                format!(
                    "{} names another host without a scheme; give a path or a whole URL",
                    shown(url)
                ),
            ));
        }
        // A path that already holds the base path is the same URL written from the root.
        let base = &self.primary;
        let full = if !base.path.is_empty() && base.holds(path_of(&slashed)) {
            slashed
        } else if slashed.starts_with('/') || slashed.is_empty() || slashed.starts_with('?') {
            format!("{}{slashed}", base.path)
        } else {
            format!("{}/{slashed}", base.path)
        };
        let joined = base.origin.join(&full).map_err(|error| {
            Error::new(
                ErrorKind::InvalidUrl,
                format!("{} is not a URL: {error}", shown(url)),
            )
        })?;
        self.locate_absolute(joined)
    }

    /// `Some(whether it is the sibling)` if the URL's origin is this endpoint's.
    fn same_endpoint(&self, origin: &Url, url: &Url) -> Option<bool> {
        if url.scheme() != origin.scheme()
            || url.port_or_known_default() != origin.port_or_known_default()
        {
            return None;
        }
        let (ours, theirs) = (origin.host_str()?, url.host_str()?);
        if ours == theirs {
            return Some(false);
        }
        let is_sibling = !self.explicit
            && self.form == UrlForm::Host
            && sibling(ours).is_some_and(|sibling| sibling == theirs);
        is_sibling.then_some(true)
    }

    /// The origins that are one endpoint: the base URL's, and its sibling's.
    pub(crate) fn origins(&self, role: Role) -> Vec<Url> {
        [false, true]
            .into_iter()
            .map(|sibling| {
                let rest = String::new();
                self.url_of(&Target { sibling, rest }, role)
            })
            .collect()
    }

    /// The URL of a target at one endpoint.
    #[must_use]
    pub fn url_of(&self, target: &Target, role: Role) -> Url {
        let base = self.base(role);
        let mut url = base.origin.clone();
        if target.sibling
            && let Some(host) = base.origin.host_str().and_then(sibling)
        {
            // A sibling of a valid host is valid: `locate` has seen it in a parsed URL.
            let _ = url.set_host(Some(&host));
        }
        let (path, query) = match target.rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target.rest.as_str(), None),
        };
        url.set_path(&format!("{}{path}", base.path));
        url.set_query(query);
        url
    }
}

impl Base {
    fn of(url: &Url) -> Base {
        let segments: Vec<&str> = url
            .path_segments()
            .map(|segments| segments.filter(|segment| !segment.is_empty()).collect())
            .unwrap_or_default();
        let end = segments
            .iter()
            .position(|segment| is_service_root(segment))
            .unwrap_or(segments.len());
        let path: String = segments[..end]
            .iter()
            .flat_map(|segment| ["/", segment])
            .collect();
        let mut origin = url.clone();
        origin.set_path("/");
        origin.set_query(None);
        let text = format!("{}{path}", origin.as_str().trim_end_matches('/'));
        Base { origin, path, text }
    }

    /// Whether a path is the base path or under it.
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn rest_of(&self, url: &Url) -> Option<String> {
        if !self.holds(url.path()) {
            return None;
        }
        let path = &url.path()[self.path.len()..];
        Some(match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

/// The alternate's URL for any URL in host form: `--s` on the first host label. A URL that is
/// the alternate's already comes back as it is.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`], as [`Organization::new`].
pub fn alternate_url(url: &str) -> Result<String, Error> {
    on_role(url, Role::Alternate)
}

/// The primary's URL for any URL in host form: the first host label without `--s`. A URL that is
/// the primary's already comes back as it is.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`], as [`Organization::new`].
pub fn primary_url(url: &str) -> Result<String, Error> {
    on_role(url, Role::Primary)
}

/// Whether a URL in host form is an alternate's.
///
/// # Errors
/// [`ErrorKind::InvalidUrl`], as [`Organization::new`].
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

/// Parses an organization's URL.
fn parse(text: &str) -> Result<Url, Error> {
    let url = parse_any(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            &url,
            "an organization's URL has no query and no fragment; leave them out",
        ));
    }
    Ok(url)
}

fn parse_any(text: &str) -> Result<Url, Error> {
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

fn refuse_user_info(url: &Url) -> Result<(), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    // The message does not show the URL: it holds a password.
    Err(Error::new(
        ErrorKind::InvalidUrl,
        "the URL holds user info; leave it out and authenticate with a header or a token provider",
    ))
}

/// The URL standard drops tabs and line breaks in silence; a URL that has them is no one's intent.
fn refuse_unprintable(text: &str) -> Result<(), Error> {
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

fn invalid(url: &Url, why: &str) -> Error {
    // User info and query may hold secrets, and do not help to find the fault.
    let mut shown = url.clone();
    let _ = shown.set_username("").and(shown.set_password(None));
    if shown.query().is_some() {
        shown.set_query(Some("…"));
    }
    Error::new(ErrorKind::InvalidUrl, format!("{shown}: {why}"))
}

/// A text that could not be read as a URL, as it may be shown: without what may be a password.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("{:?}", format!("…@{rest}")),
        None => format!("{text:?}"),
    }
}

fn path_of(relative: &str) -> &str {
    relative.split(['?', '#']).next().unwrap_or_default()
}

fn is_service_root(segment: &str) -> bool {
    SERVICE_ROOTS
        .iter()
        .any(|root| segment.eq_ignore_ascii_case(root))
}

/// Host form, if nothing speaks against it.
fn form_of(url: &Url) -> Result<UrlForm, Error> {
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

fn is_alternate(url: &Url, form: UrlForm) -> bool {
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
fn other_url(url: &Url, form: UrlForm) -> Result<Url, Error> {
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
    if host.trim_end_matches('.').split('.').any(str::is_empty) {
        return Err(invalid(url, "the host has an empty label"));
    }
    if label.starts_with("xn--") {
        return Err(invalid(
            url,
            "no alternate can be told from an internationalized label; set alternate_url",
        ));
    }
    let primary = primary_name(url, label)?;
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

/// `contoso.crm…` for `contoso.api.crm…`, and the other way round. Not where the domain has one
/// label only: `contoso.com` and `contoso.api.com` belong to different people.
fn sibling(host: &str) -> Option<String> {
    let (label, domain) = host.split_once('.')?;
    let (api, domain) = match domain.strip_prefix("api.") {
        Some(domain) => ("", domain),
        None => ("api.", domain),
    };
    let has_owner = domain.trim_end_matches('.').contains('.');
    has_owner.then(|| format!("{label}.{api}{domain}"))
}

#[cfg(test)]
#[path = "organization_tests.rs"]
mod tests;
