//! SOAP faults, 1.1 and 1.2.

use super::retry_after;
use super::xml::{Name, Visit, walk};
use super::{Addressing, BodyFault, codes};

const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";
const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const DISCOVERY_CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Discovery";

/// Reads a SOAP fault. `None`: the document is no SOAP fault.
pub(super) fn read_fault(document: &str) -> Option<BodyFault> {
    let mut found = None::<BodyFault>;
    let mut key = String::new();
    walk(document, |path, visit| {
        if !is_in_fault(path) {
            return;
        }
        let fault = found.get_or_insert_default();
        let Visit::End(text) = visit else { return };
        // The names under Envelope, Body and Fault.
        let inner: Vec<&str> = path[3..].iter().map(|name| name.local.as_str()).collect();
        match inner[..] {
            ["faultcode"] | ["Code", "Subcode", "Value"] => fault.addressing = addressing(text),
            ["faultstring"] | ["Reason", "Text"] => {
                fault.message.get_or_insert_with(|| text.to_owned());
            }
            ["detail" | "Detail", _, ref rest @ ..] if is_service_fault(&path[4]) => match rest {
                // Only at this depth: inner faults have codes of their own, which do not count.
                ["ErrorCode"] => fault.code = codes::parse(text),
                ["Message"] => fault.message = Some(text.to_owned()),
                ["ErrorDetails", _, "key"] => text.clone_into(&mut key),
                ["ErrorDetails", _, "value"] if key.eq_ignore_ascii_case("Retry-After") => {
                    fault.retry_after = retry_after::parse_duration(text);
                }
                _ => {}
            },
            _ => {}
        }
    });
    found
}

fn is_in_fault(path: &[Name]) -> bool {
    let [envelope, body, fault, ..] = path else {
        return false;
    };
    let soap = envelope.namespace.as_str();
    matches!(soap, SOAP_1_1 | SOAP_1_2)
        && envelope.local == "Envelope"
        && (body.namespace.as_str(), body.local.as_str()) == (soap, "Body")
        && (fault.namespace.as_str(), fault.local.as_str()) == (soap, "Fault")
}

fn is_service_fault(name: &Name) -> bool {
    matches!(
        (name.namespace.as_str(), name.local.as_str()),
        (
            CONTRACTS,
            "OrganizationServiceFault" | "DiscoveryServiceFault"
        ) | (DISCOVERY_CONTRACTS, "DiscoveryServiceFault")
    )
}

fn addressing(code: &str) -> Option<Addressing> {
    match code.rsplit(':').next() {
        Some("DestinationUnreachable") => Some(Addressing::DestinationUnreachable),
        Some("EndpointUnavailable") => Some(Addressing::EndpointUnavailable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fault_1_1(detail: &str) -> String {
        format!(
            r#"<s:Envelope xmlns:s="{SOAP_1_1}"><s:Body><s:Fault>
            <faultcode>s:Client</faultcode><faultstring xml:lang="en-US">said</faultstring>
            <detail><OrganizationServiceFault xmlns="{CONTRACTS}"
              xmlns:i="http://www.w3.org/2001/XMLSchema-instance">{detail}</OrganizationServiceFault>
            </detail></s:Fault></s:Body></s:Envelope>"#
        )
    }

    #[test]
    fn reads_the_outermost_code() {
        let document = fault_1_1(
            "<ErrorCode>-2147176347</ErrorCode><Message>a &amp; b</Message>\
             <InnerFault><ErrorCode>-2147220970</ErrorCode><Message>inner</Message></InnerFault>",
        );
        let fault = read_fault(&document).unwrap();
        assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
        assert_eq!(fault.message.as_deref(), Some("a & b"));
    }

    #[test]
    fn a_code_of_an_inner_fault_does_not_count() {
        let document = fault_1_1("<InnerFault><ErrorCode>-2147176347</ErrorCode></InnerFault>");
        assert_eq!(read_fault(&document).unwrap().code, None);
    }

    #[test]
    fn a_cut_document_keeps_what_was_whole() {
        let document = fault_1_1("<ErrorCode>-2147176347</ErrorCode><Message>x</Message>");
        let end = document.find("<Message>").unwrap();
        let fault = read_fault(&document[..end + 10]).unwrap();
        assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
        let end = document.find("</ErrorCode>").unwrap();
        assert_eq!(read_fault(&document[..end]).unwrap().code, None);
    }

    #[test]
    fn prefixes_do_not_matter_and_namespaces_do() {
        let document = format!(
            r#"<E:Envelope xmlns:E="{SOAP_1_2}"><E:Body><E:Fault><E:Code><E:Value>E:Sender</E:Value>
            </E:Code><E:Reason><E:Text>r</E:Text></E:Reason><E:Detail>
            <q:OrganizationServiceFault xmlns:q="{CONTRACTS}"><q:ErrorCode>-2147176347</q:ErrorCode>
            </q:OrganizationServiceFault></E:Detail></E:Fault></E:Body></E:Envelope>"#
        );
        assert_eq!(
            read_fault(&document).unwrap().code,
            Some(codes::DATACENTER_NOT_AVAILABLE)
        );
        assert_eq!(
            read_fault(&document.replace(CONTRACTS, "urn:other"))
                .unwrap()
                .code,
            None
        );
        assert_eq!(read_fault(&document.replace(SOAP_1_2, "urn:other")), None);
    }

    #[test]
    fn addressing_codes() {
        let document = format!(
            r#"<s:Envelope xmlns:s="{SOAP_1_2}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value>
            <s:Subcode><s:Value>a:DestinationUnreachable</s:Value></s:Subcode></s:Code></s:Fault>
            </s:Body></s:Envelope>"#
        );
        assert_eq!(
            read_fault(&document).unwrap().addressing,
            Some(Addressing::DestinationUnreachable)
        );
    }

    #[test]
    fn retry_after_in_the_details() {
        let document = fault_1_1(
            r#"<ErrorCode>-2147015902</ErrorCode>
            <ErrorDetails xmlns:a="http://schemas.datacontract.org/2004/07/System.Collections.Generic">
            <KeyValuePairOfstringanyType><a:key>Retry-After</a:key><a:value>PT1M30S</a:value>
            </KeyValuePairOfstringanyType></ErrorDetails>"#,
        );
        assert_eq!(
            read_fault(&document).unwrap().retry_after,
            Some(Duration::from_secs(90))
        );
    }

    #[test]
    fn what_is_no_fault() {
        for document in ["", "<", "<html>", "<a:b>", "<s:Envelope><s:Body><s:Fault>"] {
            assert_eq!(read_fault(document), None, "{document:?}");
        }
    }
}
