//! Which service a path belongs to, and the way of every request to it: host, token, authority.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, Uri};
use serde_json::json;
use uuid::Uuid;

use crate::config::Plays;
use crate::content::{Answer, Content};
use crate::organization::Organization;
use crate::plan::{Ending, Outcome, Plan};
use crate::reply::{NO_SUCH_RESOURCE, Reply, ServiceError, html_reply, with_body};
use crate::role::Role;
use crate::session::Session;
use crate::soap_envelope::{Contract, SoapVersion};
use crate::state::State;
use crate::{bulk, odata_v2, soap, web_api, wsdl};

/// A service of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    WebApi,
    ODataV2,
    Soap {
        version: SoapVersion,
        contract: Contract,
    },
    Wsdl(Contract),
    /// Transfers that no side keeps.
    Bulk,
    Other,
}

const ORGANIZATION_SERVICE: &str = "/XRMServices/2011/Organization.svc";
const DISCOVERY_SERVICE: &str = "/XRMServices/2011/Discovery.svc";

/// What follows `start`, whatever the case.
fn after<'a>(path: &'a str, start: &str) -> Option<&'a str> {
    let (begin, rest) = path.split_at_checked(start.len())?;
    begin.eq_ignore_ascii_case(start).then_some(rest)
}

impl Service {
    pub(crate) fn of(uri: &Uri) -> Service {
        let path = uri.path();
        if bulk::is_bulk(uri) {
            return Service::Bulk;
        }
        let asks_wsdl = || {
            let query = uri.query().unwrap_or_default().to_ascii_lowercase();
            query == "wsdl" || query == "singlewsdl" || query.starts_with("wsdl=")
        };
        for (contract, service) in [
            (Contract::Organization, ORGANIZATION_SERVICE),
            (Contract::Discovery, DISCOVERY_SERVICE),
        ] {
            let version = match after(path, service) {
                Some(_) if asks_wsdl() => return Service::Wsdl(contract),
                Some("") => SoapVersion::V12,
                Some(rest) if rest.eq_ignore_ascii_case("/web") => SoapVersion::V11,
                _ => continue,
            };
            return Service::Soap { version, contract };
        }
        if web_api::resource(path).is_some() {
            Service::WebApi
        } else if after(path, odata_v2::PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            Service::ODataV2
        } else {
            Service::Other
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::WebApi => "web_api",
            Service::ODataV2 => "odata_v2",
            Service::Soap {
                contract: Contract::Organization,
                ..
            } => "soap",
            Service::Soap {
                contract: Contract::Discovery,
                ..
            } => "discovery",
            Service::Wsdl(_) => "wsdl",
            Service::Bulk => "bulk",
            Service::Other => "other",
        }
    }

    /// The `name` and the id of the row that a request is about, for the journal.
    pub(crate) fn subject(self, request: &Request<Bytes>) -> (Option<String>, Option<Uuid>) {
        match self {
            Service::WebApi => web_api::subject(request),
            Service::Soap {
                version,
                contract: Contract::Organization,
            } => soap::subject(version, request.body()),
            Service::ODataV2
            | Service::Soap { .. }
            | Service::Wsdl(_)
            | Service::Bulk
            | Service::Other => (None, None),
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
            ending: Ending::Answer(reply.map(Content::from)),
            written: None,
        }
    }
}

impl From<Answer> for Served {
    fn from(answer: Answer) -> Served {
        Served {
            ending: Ending::Answer(answer),
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
    if *request.method() == Method::HEAD {
        // Its body is taken off when it is sent.
        let mut as_get = request.clone();
        *as_get.method_mut() = Method::GET;
        return serve(organization, state, role, &as_get);
    }
    let Some(base) = answering_base(organization, role, request) else {
        state.side_mut(role).counts.wrong_host += 1;
        return html_reply(400, "Bad Request - Invalid Hostname").into();
    };
    let service = Service::of(request.uri());
    if organization.config.plays == Plays::Plain {
        return match service {
            Service::Bulk => bulk::answer(request).into(),
            _ => plain(request, &base).into(),
        };
    }
    if let Service::Wsdl(contract) = service {
        return wsdl::answer(
            contract,
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
    if service == Service::Bulk {
        return bulk::answer(request).into();
    }
    let mut session = Session::new(state, role, base, organization);
    let reply = match service {
        Service::WebApi => web_api::answer(&mut session, request),
        Service::ODataV2 => odata_v2::answer(&session, request),
        Service::Soap { version, contract } => {
            Ok(soap::answer(&mut session, request, version, contract))
        }
        Service::Wsdl(_) | Service::Bulk | Service::Other => Err(ServiceError::new(
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
        ending: Ending::Answer(reply.map(Content::from)),
        written: session.written(),
    }
}

/// What a host that is no organization's answers: what it was asked, with the headers that are nobody's
/// but the application's (`x-…`).
fn plain(request: &Request<Bytes>, base: &str) -> Reply {
    let own: BTreeMap<_, _> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-"))
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let body = json!({
        "headers": own,
        "origin": base,
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(|path| path.as_str()),
    });
    let kind = "application/json";
    let builder = Response::builder().header(CONTENT_TYPE, kind);
    with_body(builder, body.to_string())
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
    let config = &organization.config;
    let known = config.is_own_authority(role, &authority);
    known.then(|| format!("{}://{authority}", config.scheme.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_services() {
        let soap = |version, contract| Service::Soap { version, contract };
        let (v11, v12) = (SoapVersion::V11, SoapVersion::V12);
        for (path, service) in [
            ("/api/data/v9.2/accounts", Service::WebApi),
            ("/api/data/v9.2/", Service::WebApi),
            ("/API/data/v9.1/WhoAmI", Service::WebApi),
            ("/api/accounts", Service::Other),
            (
                "/XRMServices/2011/Organization.svc/web",
                soap(v11, Contract::Organization),
            ),
            (
                "/xrmservices/2011/organization.svc/web?SdkClientVersion=9",
                soap(v11, Contract::Organization),
            ),
            (
                "/XRMServices/2011/Organization.svc",
                soap(v12, Contract::Organization),
            ),
            ("/XRMServices/2011/Organization.svc/no", Service::Other),
            (
                "/XRMServices/2011/Discovery.svc",
                soap(v12, Contract::Discovery),
            ),
            (
                "/XRMServices/2011/Discovery.svc/web",
                soap(v11, Contract::Discovery),
            ),
            (
                "/XRMServices/2011/Organization.svc?wsdl",
                Service::Wsdl(Contract::Organization),
            ),
            (
                "/XRMServices/2011/Organization.svc?wsdl=wsdl0",
                Service::Wsdl(Contract::Organization),
            ),
            (
                "/xrmservices/2011/discovery.svc?singleWsdl",
                Service::Wsdl(Contract::Discovery),
            ),
            (
                "/XRMServices/2011/OrganizationData.svc/AccountSet",
                Service::ODataV2,
            ),
            ("/XRMServices/2011/OrganizationData.svcx", Service::Other),
            ("/", Service::Other),
        ] {
            assert_eq!(Service::of(&path.parse().unwrap()), service, "{path}");
        }
    }
}
