//! Which service a path belongs to, and the way of every request to it: host, token, authority.

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Uri};
use uuid::Uuid;

use crate::organization::Organization;
use crate::plan::{Ending, Outcome, Plan};
use crate::reply::{NO_SUCH_RESOURCE, Reply, ServiceError, html_reply};
use crate::role::Role;
use crate::session::Session;
use crate::state::State;
use crate::{soap, web_api, wsdl};

/// A service of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    WebApi,
    Soap,
    Wsdl,
    Other,
}

const ORGANIZATION_SERVICE: &str = "/XRMServices/2011/Organization.svc";

impl Service {
    pub(crate) fn of(uri: &Uri) -> Service {
        let path = uri.path();
        let of_soap = path
            .get(..ORGANIZATION_SERVICE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(ORGANIZATION_SERVICE));
        let asks_wsdl = || {
            let query = uri.query().unwrap_or_default().to_ascii_lowercase();
            query == "wsdl" || query == "singlewsdl" || query.starts_with("wsdl=")
        };
        if of_soap && asks_wsdl() {
            Service::Wsdl
        } else if of_soap && path[ORGANIZATION_SERVICE.len()..].eq_ignore_ascii_case("/web") {
            Service::Soap
        } else if web_api::resource(path).is_some() {
            Service::WebApi
        } else {
            Service::Other
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::WebApi => "web_api",
            Service::Soap => "soap",
            Service::Wsdl => "wsdl",
            Service::Other => "other",
        }
    }

    /// The `name` and the id of the row that a request is about, for the journal.
    pub(crate) fn subject(self, request: &Request<Bytes>) -> (Option<String>, Option<Uuid>) {
        match self {
            Service::WebApi => web_api::subject(request),
            Service::Soap => soap::subject(request.body()),
            Service::Wsdl | Service::Other => (None, None),
        }
    }
}

/// What serving a request came to.
pub(crate) struct Served {
    pub(crate) ending: Ending,
    /// The row that was written.
    pub(crate) written: Option<Uuid>,
}

impl From<Reply> for Served {
    fn from(reply: Reply) -> Served {
        Served {
            ending: Ending::Answer(reply),
            written: None,
        }
    }
}

/// Serves a request as a side without a fault of its own does.
pub(crate) fn serve(
    organization: &Organization,
    state: &mut State,
    role: Role,
    request: &Request<Bytes>,
) -> Served {
    let Some(base) = answering_base(organization, role, request) else {
        state.side_mut(role).counts.wrong_host += 1;
        return html_reply(400, "Bad Request - Invalid Hostname").into();
    };
    let service = Service::of(request.uri());
    if service == Service::Wsdl {
        return wsdl::answer(
            &state.wsdl,
            &base,
            request.uri().query().unwrap_or_default(),
        )
        .into();
    }
    if let Some(unauthorized) = organization.check_token(state, role, request.headers()) {
        return unauthorized.into();
    }
    if !state.authority.includes(role) {
        let Outcome::Instead(ending) = Plan::of(&state.passive, service).outcome else {
            unreachable!("check_passive lets no kind through that executes");
        };
        return Served {
            ending,
            written: None,
        };
    }
    let mut session = Session::new(state, role, base, organization.identity);
    let reply = match service {
        Service::WebApi => web_api::answer(&mut session, request),
        Service::Soap => soap::answer(&mut session, request),
        Service::Wsdl | Service::Other => Err(ServiceError::new(
            NO_SUCH_RESOURCE,
            404,
            format!(
                "Resource not found for the segment '{}'.",
                request.uri().path()
            ),
        )),
    };
    let reply = match (reply, service) {
        (Ok(reply), _) => reply,
        // IIS answers paths that no service owns, and its page carries no service's mark.
        (Err(_), Service::Other) => html_reply(404, "404 - File or directory not found."),
        (Err(error), _) => error.reply(service),
    };
    Served {
        ending: Ending::Answer(reply),
        written: session.written(),
    }
}

/// Scheme, host and port as the client named them; none where the host is not of this side.
fn answering_base(
    organization: &Organization,
    role: Role,
    request: &Request<Bytes>,
) -> Option<String> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    }
    .to_ascii_lowercase();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &authority,
    };
    let config = &organization.config;
    let known = config
        .hosts(role)
        .iter()
        .any(|own| own == host.trim_end_matches('.'));
    known.then(|| format!("{}://{authority}", config.scheme.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_services() {
        for (path, service) in [
            ("/api/data/v9.2/accounts", Service::WebApi),
            ("/api/data/v9.2/", Service::WebApi),
            ("/API/data/v9.1/WhoAmI", Service::WebApi),
            ("/api/accounts", Service::Other),
            ("/XRMServices/2011/Organization.svc/web", Service::Soap),
            (
                "/xrmservices/2011/organization.svc/web?SdkClientVersion=9",
                Service::Soap,
            ),
            ("/XRMServices/2011/Organization.svc?wsdl", Service::Wsdl),
            (
                "/XRMServices/2011/Organization.svc?wsdl=wsdl0",
                Service::Wsdl,
            ),
            ("/XRMServices/2011/Organization.svc", Service::Other),
            ("/", Service::Other),
        ] {
            assert_eq!(Service::of(&path.parse().unwrap()), service, "{path}");
        }
    }
}
