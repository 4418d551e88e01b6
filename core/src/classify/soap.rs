//! SOAP, 1.1 and 1.2: faults, and what a message begins with.

use std::ops::ControlFlow;

use super::success::Opening;
use super::xml::{Ended, Name, Scope, Visit, walk};
use super::{Addressing, BodyFault, codes};

pub(crate) const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing 1.0, and the submission of August 2004 that WCF speaks as well.
pub(crate) const WS_ADDRESSING: [&str; 2] = [
    "http://www.w3.org/2005/08/addressing",
    "http://schemas.xmlsoap.org/ws/2004/08/addressing",
];
pub(crate) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
pub(crate) const DISCOVERY_CONTRACTS: &str =
    "http://schemas.microsoft.com/xrm/2011/Contracts/Discovery";

/// What a message begins with: the first element of its Body tells.
pub(super) fn opening(document: &str) -> Opening {
    if !document.trim_start().starts_with('<') && !document.trim().is_empty() {
        return Opening::Other;
    }
    let mut opening = Opening::Unfinished;
    let mut is_in_body = false;
    walk(document, |path, visit| {
        opening = match (path, visit) {
            ([root, ..], _) if !is_envelope(root) => Opening::Other,
            _ if is_in_fault(path) => Opening::Error(read_fault(document)),
            ([root, body, _], Visit::Start(..)) if is_body(root, body) => Opening::Success,
            // Nothing more is to come of it.
            ([root, body], Visit::End(_)) if is_body(root, body) => Opening::Success,
            ([_], Visit::End(_)) => Opening::Other,
            _ => {
                is_in_body = matches!(path, [root, body] if is_body(root, body));
                return ControlFlow::Continue(());
            }
        };
        ControlFlow::Break(())
    });
    if opening == Opening::Unfinished && is_in_body && names_no_fault(document) {
        return Opening::Success;
    }
    opening
}

/// Whether a document is cut in the tag of an element whose name is whole, and not Fault's.
fn names_no_fault(document: &str) -> bool {
    let tag = document.rsplit_once('<').map_or("", |(_, tag)| tag);
    let Some((name, _)) = tag.split_once(|next: char| next.is_whitespace()) else {
        return false;
    };
    let local = name.rsplit(':').next().unwrap_or_default();
    local.starts_with(char::is_alphabetic) && local != "Fault"
}

/// Reads a SOAP fault. `None`: the document is no SOAP fault.
pub(super) fn read_fault(document: &str) -> Option<BodyFault> {
    let mut found = None::<BodyFault>;
    let mut key = String::new();
    walk(document, |path, visit| {
        if !is_in_fault(path) {
            // Of another document nothing more needs to be read.
            return if is_envelope(&path[0]) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        let fault = found.get_or_insert_with(|| BodyFault {
            is_soap: true,
            ..BodyFault::default()
        });
        let Visit::End(Ended { text, scope, .. }) = visit else {
            return ControlFlow::Continue(());
        };
        // The names under Envelope, Body and Fault; no one that matters is deeper.
        let mut inner = [""; DEEPEST];
        let depth = path.len() - 3;
        if depth > DEEPEST {
            return ControlFlow::Continue(());
        }
        for (place, name) in inner.iter_mut().zip(&path[3..]) {
            *place = &name.local;
        }
        match inner[..depth] {
            [] => return ControlFlow::Break(()),
            ["faultcode"] => fault.addressing = addressing(text, scope),
            ["Code", .., "Subcode", "Value"] => {
                // Subcodes nest; the outer one ends last, and any of them may be the standard's.
                fault.addressing = addressing(text, scope).or(fault.addressing);
            }
            ["faultstring"] | ["Reason", "Text"] => {
                fault.message.get_or_insert_with(|| text.to_owned());
            }
            ["detail" | "Detail", _, ref rest @ ..] if is_service_fault(&path[4]) => match rest {
                // Only at this depth: inner faults have codes of their own, which do not count.
                ["ErrorCode"] => fault.code = codes::parse(text),
                ["Message"] => fault.message = Some(text.to_owned()),
                ["ErrorDetails", _, "key"] => text.clone_into(&mut key),
                ["ErrorDetails", _, "value"] if key.eq_ignore_ascii_case("Retry-After") => {
                    fault.retry_after = Some(text.to_owned());
                }
                _ => {}
            },
            _ => {}
        }
        ControlFlow::Continue(())
    });
    found
}

/// Subcodes may nest; so deep they do not.
const DEEPEST: usize = 8;

fn is_envelope(name: &Name) -> bool {
    matches!(name.namespace.as_str(), SOAP_1_1 | SOAP_1_2) && name.local == "Envelope"
}

fn is_body(envelope: &Name, body: &Name) -> bool {
    is_envelope(envelope) && body.is(&envelope.namespace, "Body")
}

fn is_in_fault(path: &[Name]) -> bool {
    let [envelope, body, fault, ..] = path else {
        return false;
    };
    is_body(envelope, body) && fault.is(&envelope.namespace, "Fault")
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

fn addressing(code: &str, scope: Scope<'_>) -> Option<Addressing> {
    let (namespace, local) = scope.resolve(code);
    let known = match local {
        "DestinationUnreachable" => Addressing::DestinationUnreachable,
        "EndpointUnavailable" => Addressing::EndpointUnavailable,
        _ => return None,
    };
    WS_ADDRESSING.contains(&namespace).then_some(known)
}

#[cfg(test)]
mod tests {
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

    const WSA: &str = WS_ADDRESSING[0];

    fn code_1_2(code: &str) -> Option<Addressing> {
        let document = format!(
            r#"<s:Envelope xmlns:s="{SOAP_1_2}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value>
            {code}</s:Code><s:Reason><s:Text>t</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#
        );
        read_fault(&document).unwrap().addressing
    }

    #[test]
    fn addressing_codes_of_1_2() {
        let unreachable = Some(Addressing::DestinationUnreachable);
        let unavailable = Some(Addressing::EndpointUnavailable);
        let old = WS_ADDRESSING[1];
        let table = [
            (format!(r#"<s:Subcode><s:Value xmlns:a="{WSA}">a:DestinationUnreachable</s:Value></s:Subcode>"#), unreachable),
            (format!(r#"<s:Subcode xmlns:q="{old}"><s:Value> q:EndpointUnavailable </s:Value></s:Subcode>"#), unavailable),
            (format!(r#"<s:Subcode><s:Value xmlns="{WSA}">EndpointUnavailable</s:Value></s:Subcode>"#), unavailable),
            (format!(r#"<s:Subcode><s:Value xmlns:a="urn:x">a:Own</s:Value><s:Subcode><s:Value xmlns:a="{WSA}">a:DestinationUnreachable</s:Value></s:Subcode></s:Subcode>"#), unreachable),
            (format!(r#"<s:Subcode><s:Value xmlns:a="{WSA}">a:DestinationUnreachable</s:Value><s:Subcode><s:Value>s:More</s:Value></s:Subcode></s:Subcode>"#), unreachable),
            (format!(r#"<s:Subcode><s:Value xmlns:a="{WSA}">a:ActionNotSupported</s:Value></s:Subcode>"#), None),
            (r#"<s:Subcode><s:Value xmlns:a="urn:other">a:DestinationUnreachable</s:Value></s:Subcode>"#.to_owned(), None),
            ("<s:Subcode><s:Value>a:DestinationUnreachable</s:Value></s:Subcode>".to_owned(), None),
            (String::new(), None),
        ];
        for (code, expected) in table {
            assert_eq!(code_1_2(&code), expected, "{code}");
        }
    }

    #[test]
    fn addressing_codes_of_1_1() {
        let table = [
            (
                "a:DestinationUnreachable",
                Some(Addressing::DestinationUnreachable),
            ),
            (
                "a:EndpointUnavailable",
                Some(Addressing::EndpointUnavailable),
            ),
            ("s:Client", None),
            ("DestinationUnreachable", None),
            ("b:DestinationUnreachable", None),
            ("a:b:DestinationUnreachable", None),
            (":", None),
            ("", None),
        ];
        for (code, expected) in table {
            let document = format!(
                r#"<e:Envelope xmlns:e="{SOAP_1_1}" xmlns:a="{WSA}"><e:Body><e:Fault>
                <faultcode>{code}</faultcode><faultstring>t</faultstring></e:Fault></e:Body>
                </e:Envelope>"#
            );
            assert_eq!(
                read_fault(&document).unwrap().addressing,
                expected,
                "{code}"
            );
        }
    }

    #[test]
    fn a_code_inside_of_the_detail_is_no_addressing_code() {
        let detail = format!(
            r#"<x xmlns:a="{WSA}"><Code><Subcode><Value>a:DestinationUnreachable</Value></Subcode></Code>
            <faultcode>a:DestinationUnreachable</faultcode></x>"#
        );
        assert_eq!(read_fault(&fault_1_1(&detail)).unwrap().addressing, None);
    }

    #[test]
    fn the_fault_of_a_discovery_service() {
        let organization = fault_1_1("<ErrorCode>-2147176347</ErrorCode><Message>m</Message>");
        let discovery = organization.replace("OrganizationServiceFault", "DiscoveryServiceFault");
        for document in [
            discovery.clone(),
            discovery.replace(CONTRACTS, DISCOVERY_CONTRACTS),
        ] {
            let fault = read_fault(&document).unwrap();
            assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
            assert_eq!(fault.message.as_deref(), Some("m"));
        }
        let other = organization.replace("OrganizationServiceFault", "SomeServiceFault");
        assert_eq!(read_fault(&other).unwrap().code, None);
    }

    #[test]
    fn codes_of_nested_faults_never_count() {
        let inner = "<InnerFault><ErrorCode>-2147176347</ErrorCode><InnerFault>\
                     <ErrorCode>-2147176347</ErrorCode></InnerFault></InnerFault>";
        for detail in [
            format!("{inner}<ErrorCode>-2147220970</ErrorCode>"),
            format!("<ErrorCode>-2147220970</ErrorCode>{inner}"),
            "<ErrorCode>-2147220970</ErrorCode><OriginalException>\
             <ErrorCode>-2147176347</ErrorCode></OriginalException>"
                .to_owned(),
        ] {
            let fault = read_fault(&fault_1_1(&detail)).unwrap();
            assert_eq!(fault.code, Some(-2_147_220_970), "{detail}");
        }
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
            read_fault(&document).unwrap().retry_after.as_deref(),
            Some("PT1M30S")
        );
    }

    #[test]
    fn what_a_message_begins_with() {
        let open =
            format!(r#"<?xml version="1.0" encoding="utf-16"?><e:Envelope xmlns:e="{SOAP_1_2}">"#);
        let table = [
            ("", "", Opening::Unfinished),
            (&open, "<e:Header>", Opening::Unfinished),
            (&open, "<e:Header/><e:Body>", Opening::Unfinished),
            (&open, "<e:Header/><e:Body><CreateRes", Opening::Unfinished),
            (
                &open,
                "<e:Header/><e:Body><CreateResponse x",
                Opening::Success,
            ),
            (&open, "<e:Header><CreateResponse x", Opening::Unfinished),
            (&open, "<e:Header/><e:Body><e:Fault x", Opening::Unfinished),
            (&open, "<e:Header/><e:Body><!-- x", Opening::Unfinished),
            (
                &open,
                "<e:Header/><e:Body><CreateResponse>",
                Opening::Success,
            ),
            (&open, "<e:Body/>", Opening::Success),
            (
                &open,
                "<e:Header><e:Fault/></e:Header><e:Body><x/>",
                Opening::Success,
            ),
            (&open, "</e:Envelope>", Opening::Other),
            ("<Envelope>", "<Body><x/>", Opening::Other),
            ("<html>", "", Opening::Other),
            ("ok", "", Opening::Other),
        ];
        for (start, rest, expected) in table {
            assert_eq!(
                opening(&format!("{start}{rest}")),
                expected,
                "{start}{rest}"
            );
        }
        let fault = fault_1_1("<ErrorCode>-2147176347</ErrorCode>");
        let Opening::Error(Some(said)) = opening(&fault) else {
            panic!("{fault}");
        };
        assert_eq!(said.code, Some(codes::DATACENTER_NOT_AVAILABLE));
    }

    #[test]
    fn what_is_no_fault() {
        for document in ["", "<", "<html>", "<a:b>", "<s:Envelope><s:Body><s:Fault>"] {
            assert_eq!(read_fault(document), None, "{document:?}");
        }
    }
}
