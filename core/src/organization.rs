//! An organization: a name and two endpoints, and how a URL of one becomes a URL of the other.

use url::Url;

use crate::alternate::{UrlForm, form_of, is_alternate, is_service_root, other_url};
use crate::base::{Base, path_of, under};
use crate::byte_set::ByteSet;
use crate::registrable::owner;
use crate::target::{Target, Toward};
use crate::url_text::{
    Written, has_dot_segment, invalid, is_encoding, parse, parse_any, parse_link, parse_request,
    refuse_user_info, shown,
};
use crate::{AllowedHost, Error, ErrorKind, Role};

/// An organization's two endpoints.
#[derive(Clone, Debug)]
pub struct Organization {
    primary: Base,
    alternate: Base,
    /// What the given URL has after the base, without a slash at its end: where relative URLs begin.
    service: String,
    starts_on: Role,
    explicit: bool,
    form: UrlForm,
    allowed_hosts: Vec<AllowedHost>,
}

/// How a URL that names the pair becomes the same one at an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rebase {
    /// So many bytes of the URL's text are replaced; what follows them stays.
    pub(crate) replaced: usize,
    pub(crate) by: String,
}

impl Organization {
    /// The organization of a URL: the base URL of either endpoint, or the URL of one of its
    /// services, of which the base is taken. The service's path is kept for relative URLs.
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
        let service = service_of(&given);
        let other = other_url(&given, form)?;
        let starts_on = if is_alternate(&given, form) {
            Role::Alternate
        } else {
            Role::Primary
        };
        // The other's other: where the given URL ends in `--S`, this one ends in `--s`.
        let given = other_url(&other, form)?;
        let base = |url| Base {
            in_any_case: form == UrlForm::Path,
            ..Base::of(url)
        };
        let (given, other) = (base(&given), base(&other));
        let (primary, alternate) = match starts_on {
            Role::Primary => (given, other),
            Role::Alternate => (other, given),
        };
        Ok(Organization {
            primary,
            alternate,
            service,
            starts_on,
            explicit: false,
            form,
            allowed_hosts: Vec::new(),
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
        let service = service_of(primary);
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
            service,
            starts_on: Role::Primary,
            explicit: true,
            form,
            allowed_hosts: Vec::new(),
        })
    }

    /// Lets [`Organization::locate`] find URLs on these hosts as well. Where an endpoint is https,
    /// their http URLs stay refused: a call never leaves TLS. Default: none.
    #[must_use]
    pub fn with_allowed_hosts(mut self, hosts: Vec<AllowedHost>) -> Organization {
        self.allowed_hosts = hosts;
        self
    }

    /// Checks what holds for every URL of an organization, whatever the other settings say.
    pub(crate) fn check_url(url: &str) -> Result<(), Error> {
        parse(url).map(|_| ())
    }

    /// What names the two endpoints together, for all that mean the same: siblings are one.
    pub(crate) fn pair(&self) -> String {
        let named = |role| {
            let base = self.base(role);
            let host = base.origin.host_str().unwrap_or_default();
            let other = sibling(host).filter(|_| !self.explicit && self.form == UrlForm::Host);
            // The shorter one, which has no `api.`.
            let is_longer = other.as_ref().is_some_and(|other| other.len() < host.len());
            let origin = self.origin(role, is_longer);
            format!("{}{}", origin.as_str().trim_end_matches('/'), base.path)
        };
        format!("{} {}", named(Role::Primary), named(Role::Alternate))
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

    /// Finds what a request's URL means at either endpoint. A relative one with a slash at its
    /// beginning goes on from the endpoint's base URL; without, from the URL that the organization
    /// was made of (`…/api/data/v9.2` is taken for `…/api/data/v9.2/`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] for a URL that is on neither endpoint and on no allowed host, or
    /// cannot be a URL, or would not be sent as it is given.
    pub fn locate(&self, url: &str) -> Result<Target, Error> {
        if self.primary.path.is_empty() && self.alternate.path.is_empty() && is_plain(url) {
            let (sibling, rest) = (false, url.to_owned());
            return Ok(Target(Toward::Endpoint { sibling, rest }));
        }
        match parse_request(url)? {
            Written::Absolute(absolute) => self.locate_absolute(absolute),
            Written::Relative(relative) => self.locate_relative(url, &relative),
        }
    }

    /// Finds what a link of an answer means: `Location`, `OData-EntityId`. `from` is the URL that was
    /// answered. `None`: it leads nowhere that the client may go, or is no link.
    pub(crate) fn locate_link(&self, link: &str, from: &str) -> Option<Target> {
        let url = parse_link(link, &Url::parse(from).ok()?)?;
        self.locate_absolute(url).ok()
    }

    fn locate_absolute(&self, url: Url) -> Result<Target, Error> {
        refuse_user_info(&url)?;
        match self.find(&url) {
            Some((role, sibling, rest)) => {
                self.refuse_ambiguous(&url, role, &rest)?;
                Ok(Target(Toward::Endpoint { sibling, rest }))
            }
            None => self.locate_foreign(url),
        }
    }

    /// The endpoint of a URL, whether it is on its sibling, and what follows its base path.
    fn find(&self, url: &Url) -> Option<(Role, bool, String)> {
        // The longer base path first: with both endpoints on one origin, one may hold the other.
        let mut roles = [Role::Primary, Role::Alternate];
        roles.sort_by_key(|role| std::cmp::Reverse(self.base(*role).path.len()));
        roles.into_iter().find_map(|role| {
            let base = self.base(role);
            let sibling = self.same_endpoint(&base.origin, url)?;
            Some((role, sibling, base.rest_of(url)?))
        })
    }

    /// With one base path inside of the other, `/dr/dr/x` of the inner endpoint would at the outer
    /// one be `/dr/x`, which is the inner one's `/x`.
    fn refuse_ambiguous(&self, url: &Url, role: Role, rest: &str) -> Result<(), Error> {
        let (inner, outer) = (self.base(role), self.base(role.other()));
        let inner_at_outer = inner.path.strip_prefix(outer.path.as_str());
        let is_held = inner_at_outer.is_some_and(|path| {
            !path.is_empty()
                && inner.origin == outer.origin
                && under(path, path_of(rest), false).is_some()
        });
        if is_held {
            return Err(invalid(
                url,
                &format!(
                    "at the other endpoint, {}, it would be a URL of {}; \
                     give the endpoints base URLs of which none is inside of the other",
                    outer.text, inner.text
                ),
            ));
        }
        Ok(())
    }

    fn locate_foreign(&self, url: Url) -> Result<Target, Error> {
        if !self.allowed_hosts.iter().any(|host| host.holds(&url)) {
            return Err(invalid(
                &url,
                &format!(
                    "it is on neither endpoint of the organization ({} and {}), and its host and \
                     port are not in allowed_hosts; requests go nowhere else",
                    self.primary.text, self.alternate.text
                ),
            ));
        }
        if url.scheme() == "http" && self.needs_tls() {
            return Err(invalid(
                &url,
                "the organization is https, and its client sends nothing without TLS; \
                 give the https URL",
            ));
        }
        Ok(Target(Toward::Foreign(url)))
    }

    fn locate_relative(&self, given: &str, url: &str) -> Result<Target, Error> {
        if url.starts_with("//") {
            return Err(Error::new(
                ErrorKind::InvalidUrl,
                format!(
                    "{} names another host without a scheme; give a path or a whole URL",
                    shown(given)
                ),
            ));
        }
        // A path that already holds the base path is the same URL written from the root.
        let (base, service) = (&self.primary, &self.service);
        let full = if !base.path.is_empty() && base.under(path_of(url)).is_some() {
            url.to_owned()
        } else if url.starts_with('/') {
            format!("{}{url}", base.path)
        } else if url.is_empty() || url.starts_with('?') {
            format!("{}{service}{url}", base.path)
        } else {
            format!("{}{service}/{url}", base.path)
        };
        let joined = base.origin.join(&full).map_err(|error| {
            Error::new(ErrorKind::InvalidUrl, format!("{}: {error}", shown(given)))
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
            .map(|sibling| self.at(role, sibling, ""))
            .collect()
    }

    /// The URL of a target at one endpoint; the target's own URL if it is on an allowed host.
    #[must_use]
    pub fn url_of(&self, target: &Target, role: Role) -> Url {
        match &target.0 {
            Toward::Endpoint { sibling, rest } => self.at(role, *sibling, rest),
            Toward::Foreign(url) => url.clone(),
        }
    }

    /// [`Organization::url_of`] as text, where no URL has to be taken apart for it.
    pub(crate) fn text_of(&self, target: &Target, role: Role) -> Option<String> {
        let Toward::Endpoint {
            sibling: false,
            rest,
        } = &target.0
        else {
            return None;
        };
        let base = self.base(role);
        // A URL of an origin has a path.
        let slash = if base.path.is_empty() && !rest.starts_with('/') {
            "/"
        } else {
            ""
        };
        Some([base.text.as_str(), slash, rest].concat())
    }

    fn at(&self, role: Role, sibling: bool, rest: &str) -> Url {
        let base = self.base(role);
        let mut url = self.origin(role, sibling);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        url.set_path(&format!("{}{path}", base.path));
        url.set_query(query);
        url
    }

    fn origin(&self, role: Role, is_sibling: bool) -> Url {
        let mut url = self.base(role).origin.clone();
        if is_sibling && let Some(host) = url.host_str().and_then(sibling) {
            // A sibling of a valid host is valid: `locate` has seen it in a parsed URL.
            let _ = url.set_host(Some(&host));
        }
        url
    }

    /// How an absolute URL in a request's body becomes the same one at an endpoint. `None`: it
    /// stays as it is, because it does not name the pair, or is there already.
    pub(crate) fn rebase(&self, text: &str, role: Role) -> Option<Rebase> {
        let (scheme, _) = text.split_once("://")?;
        let authority = scheme.len() + "://".len();
        let path = text[authority..]
            .find(['/', '\\', '?', '#'])
            .map_or(text.len(), |end| authority + end);
        let whole = parse_any(text).ok();
        let is_readable = whole.is_some();
        let mut url = whole
            .or_else(|| parse_any(&text[..path]).ok())
            .filter(|url| scheme.eq_ignore_ascii_case(url.scheme()))?;
        url.set_fragment(None);
        let (from, sibling, rest) = self.find(&url)?;
        if from == role {
            return None;
        }
        self.refuse_ambiguous(&url, from, &rest).ok()?;
        let is_plain = |rest: &&str| {
            // Dot segments could leave the base path that the text begins with.
            self.base(from).path.is_empty()
                || !(rest.contains('\\') || has_dot_segment(path_of(rest)))
        };
        match self.base(from).under(&text[path..]).filter(is_plain) {
            Some(rest) => {
                let origin = self.origin(role, sibling);
                let origin = origin.as_str().trim_end_matches('/');
                Some(Rebase {
                    replaced: text.len() - rest.len(),
                    by: format!("{origin}{}", self.base(role).path),
                })
            }
            None => is_readable.then(|| Rebase {
                replaced: text.find('#').unwrap_or(text.len()),
                by: String::from(self.at(role, sibling, &rest)),
            }),
        }
    }

    /// As [`Organization::rebase`], of the whole value of a Host header.
    pub(crate) fn rebase_host(&self, host: &str, role: Role) -> Option<String> {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return None;
        }
        // A Host header does not tell the scheme, which tells the default port.
        let named = |role| {
            let origin = &self.base(role).origin;
            let url = Url::parse(&format!("{}://{host}/", origin.scheme())).ok()?;
            self.same_endpoint(origin, &url)
        };
        if named(role).is_some() {
            return None;
        }
        let url = self.origin(role, named(role.other())?);
        let name = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        })
    }
}

/// Whether it is a path, perhaps with a query, that the parser of URLs leaves as it is: what nearly
/// every request has, and is spared the parser.
fn is_plain(url: &str) -> bool {
    static PATH: ByteSet = ByteSet::alphanumeric_and(b"/-_.()=,$");
    static QUERY: ByteSet = ByteSet::alphanumeric_and(b"/-_.~()=,$&:@;!*+%?");
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains("/.")
        && PATH.has_all(path)
        && QUERY.has_all(query)
        && query
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte != b'%' || is_encoding(&query.as_bytes()[at..]))
}

/// What follows the base in the path of an organization's URL.
fn service_of(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let segments = path.split('/').scan(0, |end, segment| {
        let at = *end;
        *end += segment.len() + 1;
        Some((at, segment))
    });
    let mut roots = segments.filter(|(_, segment)| is_service_root(segment));
    roots
        .next()
        .map_or(String::new(), |(at, _)| path[at - 1..].to_owned())
}

/// `contoso.crm…` for `contoso.api.crm…`, and the other way round. Only beneath one registrable domain:
/// `contoso.com` and `contoso.api.com` belong to different people.
fn sibling(host: &str) -> Option<String> {
    let (label, domain) = host.split_once('.')?;
    let (api, domain) = match domain.strip_prefix("api.") {
        Some(domain) => ("", domain),
        None => ("api.", domain),
    };
    let sibling = format!("{label}.{api}{domain}");
    (owner(host)? == owner(&sibling)?).then_some(sibling)
}

#[cfg(test)]
#[path = "organization_tests.rs"]
mod tests;
