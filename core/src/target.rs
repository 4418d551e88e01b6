//! What a request's URL means, at whichever endpoint, and what is spoken there.

use url::Url;

use crate::alternate::is_service_root;
use crate::classify::Protocol;
use crate::operation::web_api::{Service, service, without_query};

/// A request's URL without the endpoint that it was written for; or a URL outside of the pair, on
/// one of [`Organization::with_allowed_hosts`](crate::Organization::with_allowed_hosts).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub(crate) Toward);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Toward {
    Endpoint {
        /// `contoso.` or `contoso.api.`: the other sibling than the base URL's.
        sibling: bool,
        /// What follows the base path: empty, or from the slash on, with the query.
        rest: String,
    },
    Foreign(Url),
}

impl Target {
    /// The whole URL if it is on an allowed host and not the organization's: it has no role, gets
    /// no Authorization and no Cookie, and no failover.
    #[must_use]
    pub fn foreign(&self) -> Option<&Url> {
        match &self.0 {
            Toward::Endpoint { .. } => None,
            Toward::Foreign(url) => Some(url),
        }
    }

    /// Whether it is on the sibling of the base URL's host: another host of the same endpoint.
    pub(crate) fn is_at_sibling(&self) -> bool {
        matches!(&self.0, Toward::Endpoint { sibling: true, .. })
    }

    /// Path and query after the base, from the slash on. `None`: it is on an allowed host.
    pub(crate) fn rest(&self) -> Option<&str> {
        match &self.0 {
            Toward::Endpoint { rest, .. } => Some(rest),
            Toward::Foreign(_) => None,
        }
    }

    /// What is spoken there, if it is a service's of the organization, and not a page's or file's.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.protocol_of_write()
            .filter(|_| self.rest().is_some_and(leads_to_a_service))
    }

    /// What is spoken there, if a service of the organization's is asked.
    pub(crate) fn protocol_of_write(&self) -> Option<Protocol> {
        Some(spoken_at(self.rest()?))
    }
}

/// What is spoken at a path, as [`Target`] tells it of its own. `None`: a page or a file is read there.
pub(crate) fn protocol_at(path: &str, is_write: bool) -> Option<Protocol> {
    (is_write || leads_to_a_service(path)).then(|| spoken_at(path))
}

fn spoken_at(rest: &str) -> Protocol {
    match service(without_query(rest)) {
        Service::Soap => Protocol::Soap,
        Service::WebApi | Service::OData2 => Protocol::OData,
    }
}

/// Whether a path holds a service root; the organization's name may stand before it. What is under
/// `WebResources` is named by the application.
fn leads_to_a_service(rest: &str) -> bool {
    without_query(rest)
        .split('/')
        .take_while(|segment| !segment.eq_ignore_ascii_case("WebResources"))
        .any(is_service_root)
}
