//! Reading the FailoverPolicy from a service's WSDL.

use std::pin::pin;
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT, HOST, HeaderValue, USER_AGENT};
use tokio::time::Instant;
use url::Url;

use super::late::in_time;
use super::transport::{Address, Exchange, Progress, Transport};
use crate::classify::{PolicyDocument, read_policy_document, text};
use crate::shown::shown_url;
use crate::{Cause, FailoverPolicy, Fault};

/// The service whose WSDL holds the policy, under an endpoint's base URL.
pub(crate) const SERVICE: &str = "/XRMServices/2011/Organization.svc?wsdl";

/// A larger WSDL is none of the service's: it has a few hundred kilobytes.
const LARGEST: usize = 8 << 20;
/// The service splits its WSDL in a handful of documents.
const MOST_IMPORTS: usize = 8;

/// Reads the policy at `url`. A WSDL without a policy says that there is no alternate, as an
/// on-premises server does. Documents that it imports from its own origin are read as well, one
/// level deep, until one has the policy.
pub(crate) async fn read_policy(
    transport: &Transport,
    url: &Url,
    user_agent: &HeaderValue,
    limit: Duration,
) -> Result<FailoverPolicy, Fault> {
    let reading = async {
        let document = read_document(transport, url, user_agent).await?;
        if let Some(policy) = document.policy {
            return Ok(policy);
        }
        for import in document.imports.iter().take(MOST_IMPORTS) {
            let Ok(import) = url.join(import) else {
                continue;
            };
            if import.origin() != url.origin() {
                continue;
            }
            if let Some(policy) = read_document(transport, &import, user_agent).await?.policy {
                return Ok(policy);
            }
        }
        Ok(FailoverPolicy {
            available: false,
            endpoint_enabled: true,
        })
    };
    let end = Instant::now() + limit;
    in_time(end, pin!(reading)).await.unwrap_or_else(|| {
        Err(Fault::new(
            Cause::AttemptTimeout,
            format!(
                "{}: no whole answer within {} ms",
                shown_url(url.as_str()),
                limit.as_millis()
            ),
        ))
    })
}

async fn read_document(
    transport: &Transport,
    url: &Url,
    user_agent: &HeaderValue,
) -> Result<PolicyDocument, Fault> {
    let mut headers = HeaderMap::new();
    let address = Address::of(url).ok_or_else(|| {
        Fault::new(
            Cause::BadMessage,
            format!("{} has no host", shown_url(url.as_str())),
        )
    })?;
    headers.insert(HOST, address.host().clone());
    headers.insert(USER_AGENT, user_agent.clone());
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("text/xml, application/wsdl+xml, */*;q=0.1"),
    );
    let progress = Progress::default();
    let exchange = Exchange::get(&address, &headers, LARGEST, &progress);
    transport.exchange(&exchange, None).await?;
    let (head, body) = progress.take_answer().ok_or_else(|| {
        Fault::new(
            Cause::BadMessage,
            format!("{}: there was no answer", shown_url(url.as_str())),
        )
    })?;
    let document = read_policy_document(&text(&body));
    if head.status != http::StatusCode::OK || !document.is_wsdl {
        return Err(Fault {
            http_status: Some(head.status.as_u16()),
            ..Fault::new(
                Cause::BadMessage,
                format!(
                    "{}: HTTP {} is no WSDL",
                    shown_url(url.as_str()),
                    head.status.as_u16()
                ),
            )
        });
    }
    Ok(document)
}

/// Whether .NET asks the other endpoint for its WSDL after this fault: a name that cannot be
/// resolved, or no answer in time.
pub(crate) fn asks_the_other(fault: &Fault) -> bool {
    matches!(
        fault.cause,
        Cause::NoSuchName | Cause::NameTryAgain | Cause::ConnectTimeout | Cause::AttemptTimeout
    )
}
