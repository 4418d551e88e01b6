//! From a response to its meaning: is it a fault, and which. Bytes in, meaning out; no I/O.

mod codes;
mod http_status;
mod inflate;
mod odata;
mod policy;
mod retry_after;
mod soap;
mod success;
mod text;
pub(crate) mod xml;

pub(crate) use codes::{
    DATACENTER_NOT_AVAILABLE, cause_of, is_already_there, leaves_doubt, parse as parse_code,
};
pub use http_status::classify_response;
pub(crate) use http_status::{
    classify, is_marked_by_service, is_told, is_told_in_spite_of_its_end,
};
#[cfg(fuzzing)]
pub(crate) use inflate::prefix as inflate;
pub(crate) use inflate::prefix as decoded;
pub use policy::{FailoverPolicy, read_failover_policy};
pub(crate) use policy::{PolicyDocument, read_policy_document};
pub(crate) use retry_after::parse as retry_after;
pub(crate) use soap::{CONTRACTS, DISCOVERY_CONTRACTS, SOAP_1_1, SOAP_1_2, WS_ADDRESSING};
pub(crate) use success::{Asked, Protocol, error_in_success, has_service_header, is_html};
pub(crate) use text::text;

/// What the body of a failure says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyFault {
    /// It is a SOAP fault.
    pub(crate) is_soap: bool,
    /// The outermost code.
    pub(crate) code: Option<i32>,
    /// The service's own sentence.
    pub(crate) message: Option<String>,
    /// `Retry-After` inside of the body (SOAP's ErrorDetails), as it is written there.
    pub(crate) retry_after: Option<String>,
    /// WS-Addressing's local name in the fault code: `DestinationUnreachable`.
    pub(crate) addressing: Option<Addressing>,
}

impl BodyFault {
    fn is_database_moving(&self) -> bool {
        codes::is_database_moving(self.code, self.message.as_deref())
    }
}

/// The WS-Addressing fault codes that speak of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    DestinationUnreachable,
    EndpointUnavailable,
}

/// Reads a failure's body, whole or cut. `None`: it is no service's error.
pub(crate) fn read_body(body: &[u8]) -> Option<BodyFault> {
    let text = text(body);
    match text.trim_ascii_start().as_bytes() {
        [b'{', ..] => odata::read_json(&text),
        [b'<', ..] => soap::read_fault(&text).or_else(|| odata::read_xml(&text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::FaultKind;

    const DOCUMENTS: [&str; 4] = [
        r#"{"error":{"code":"0x8004B065","message":"m","innererror":{"code":"1"}}}"#,
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
           <faultcode>s:Client</faultcode><detail><OrganizationServiceFault
           xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"><ErrorCode>-2147176347</ErrorCode>
           <Message>&amp;&#x41;<![CDATA[x]]></Message></OrganizationServiceFault></detail></s:Fault>
           </s:Body></s:Envelope>"#,
        r#"<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
           <m:code>-2147176347</m:code><m:message>m</m:message></m:error>"#,
        r#"<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"><wsdl:import location="x"/>
           <f:FailoverPolicy xmlns:f="http://schemas.microsoft.com/xrm/2012/Contracts/Services">
           <f:FailoverAvailable>true</f:FailoverAvailable></f:FailoverPolicy></wsdl:definitions>"#,
    ];

    fn headers(text: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(text) {
            for name in ["retry-after", "date", "content-type", "odata-version"] {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(
            status in 0u16..1000,
            header in proptest::collection::vec(any::<u8>(), 0..40),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = classify_response(status, &headers(&header), &body);
            let _ = read_policy_document(&String::from_utf8_lossy(&body));
            let _ = retry_after::parse(&String::from_utf8_lossy(&header), &headers(&header));
        }

        #[test]
        fn spoiled_documents_do_not_panic(
            which in 0..DOCUMENTS.len(),
            cut in any::<prop::sample::Index>(),
            spoiled in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut body = DOCUMENTS[which].as_bytes().to_vec();
            let place = spoiled.index(body.len());
            body[place] = byte;
            body.truncate(cut.index(body.len()) + 1);
            let _ = classify_response(500, &HeaderMap::new(), &body);
            let _ = read_policy_document(&String::from_utf8_lossy(&body));
        }

        #[test]
        fn whatever_stands_around_it_the_outermost_code_decides(
            message in "[^\"\\\\\\p{C}]{0,40}",
            other in any::<i32>(),
        ) {
            let body = format!(
                r#"{{"x":{{"error":{{"code":"{other}"}}}},"error":{{"message":"{message}",
                "innererror":{{"code":{other}}},"code":"0x8004b065"}}}}"#
            );
            let fault = classify_response(503, &HeaderMap::new(), body.as_bytes()).unwrap();
            prop_assert_eq!(fault.kind, FaultKind::DatacenterNotAvailable);
        }
    }
}
