//! An organization: a name and two endpoints, and how a URL of one becomes a URL of the other.

use url::Url;

use crate::alternate::{UrlForm, form_of, is_alternate, is_service_root, other_url};
use crate::url_text::{invalid, parse, refuse_unprintable, refuse_user_info, shown};
use crate::{Error, ErrorKind, Role};

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

fn path_of(relative: &str) -> &str {
    relative.split(['?', '#']).next().unwrap_or_default()
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
