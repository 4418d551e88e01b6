//! The discovery service: RetrieveOrganizations, which shows the one organization of the side.

use roxmltree::Node;

use crate::odata_v2;
use crate::reply::ServiceError;
use crate::session::Session;
use crate::xml::{child, escaped};

const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The result of an operation.
pub(crate) fn answer(
    session: &Session<'_>,
    operation: Node<'_, '_>,
) -> Result<String, ServiceError> {
    let request = child(operation, "request")
        .and_then(|request| request.attribute((INSTANCE, "type")))
        .and_then(|kind| kind.rsplit(':').next())
        .unwrap_or("a request without a type");
    let executes = operation.tag_name().name() == "Execute";
    if !executes || request != "RetrieveOrganizationsRequest" {
        return Err(ServiceError::invalid(format!(
            "the twin does not discover by {} of {request}",
            operation.tag_name().name()
        )));
    }
    let base = escaped(&session.base);
    let endpoints: String = [
        ("WebApplication", "/"),
        ("OrganizationService", "/XRMServices/2011/Organization.svc"),
        ("OrganizationDataService", odata_v2::PATH),
    ]
    .iter()
    .map(|(kind, path)| {
        format!(
            "<KeyValuePairOfEndpointTypestringztYlk6OT><a:key>{kind}</a:key><a:value>{base}{path}</a:value></KeyValuePairOfEndpointTypestringztYlk6OT>"
        )
    })
    .collect();
    let name = escaped(session.organization_name());
    let id = session.identity[2];
    Ok(format!(
        r#"<ExecuteResult i:type="RetrieveOrganizationsResponse" xmlns:i="{INSTANCE}"><Details><OrganizationDetail><Endpoints xmlns:a="{GENERIC}">{endpoints}</Endpoints><FriendlyName>{name}</FriendlyName><OrganizationId>{id}</OrganizationId><OrganizationVersion>9.2.0.0</OrganizationVersion><State>Enabled</State><UniqueName>{name}</UniqueName><UrlName>{name}</UrlName></OrganizationDetail></Details></ExecuteResult>"#
    ))
}
