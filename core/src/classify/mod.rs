//! From a response to its meaning: is it a fault, and which. Bytes in, meaning out; no I/O.

mod codes;
mod http_status;
mod odata;
mod policy;
mod retry_after;
mod soap;
mod xml;

pub(crate) use http_status::classify;
pub use http_status::classify_response;
pub use policy::{FailoverPolicy, read_failover_policy};
pub(crate) use policy::{PolicyDocument, read_policy_document};

use std::time::Duration;

/// What the body of a failure says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyFault {
    /// The outermost code.
    pub(crate) code: Option<i32>,
    /// The service's own sentence.
    pub(crate) message: Option<String>,
    /// `Retry-After` inside of the body (SOAP's ErrorDetails).
    pub(crate) retry_after: Option<Duration>,
    /// WS-Addressing's local name in the fault code: `DestinationUnreachable`.
    pub(crate) addressing: Option<Addressing>,
}

/// The WS-Addressing fault codes that speak of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    DestinationUnreachable,
    EndpointUnavailable,
}

/// Reads a failure's body, whole or cut. `None`: it is no service's error.
pub(crate) fn read_body(body: &[u8]) -> Option<BodyFault> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match body.iter().find(|byte| !byte.is_ascii_whitespace())? {
        b'{' => odata::read_json(body),
        b'<' => {
            let text = String::from_utf8_lossy(body);
            soap::read_fault(&text).or_else(|| odata::read_xml(&text))
        }
        _ => None,
    }
}
