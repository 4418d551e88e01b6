//! The FailoverPolicy in a service's WSDL: whether an organization has an alternate.

use std::ops::ControlFlow;

use super::xml::{Ended, Name, Visit, walk};

const CONTRACTS_2012: &str = "http://schemas.microsoft.com/xrm/2012/Contracts/Services";
const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";

/// What a WSDL says about failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverPolicy {
    /// Whether the organization has an alternate. An absent element means no.
    pub available: bool,
    /// Whether the endpoint that gave the WSDL serves. An absent element means yes.
    pub endpoint_enabled: bool,
}

/// A WSDL document, as far as failover goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyDocument {
    /// Whether the root is a WSDL definition at all.
    pub(crate) is_wsdl: bool,
    /// The first policy in it. It may stand several times, once a binding.
    pub(crate) policy: Option<FailoverPolicy>,
    /// The locations of imported documents.
    pub(crate) imports: Vec<String>,
}

/// Reads the policy of one document. `None`: there is no policy in it.
#[must_use]
pub fn read_failover_policy(document: &str) -> Option<FailoverPolicy> {
    read_policy_document(document).policy
}

pub(crate) fn read_policy_document(document: &str) -> PolicyDocument {
    let mut found = PolicyDocument::default();
    let mut current = None::<FailoverPolicy>;
    walk(document, |path, visit| {
        let last = &path[path.len() - 1];
        match visit {
            Visit::Start(start, _) => {
                if path.len() == 1 {
                    found.is_wsdl = is(last, WSDL, "definitions");
                } else if is(last, CONTRACTS_2012, "FailoverPolicy") {
                    current = Some(FailoverPolicy {
                        available: false,
                        endpoint_enabled: true,
                    });
                } else if is(last, WSDL, "import")
                    && let Ok(Some(location)) = start.try_get_attribute("location")
                    && let Ok(location) =
                        location.normalized_value(quick_xml::XmlVersion::Implicit1_0)
                {
                    found.imports.push(location.into_owned());
                }
            }
            Visit::End(Ended { text, .. }) => {
                let Some(policy) = &mut current else {
                    return ControlFlow::Continue(());
                };
                if is(last, CONTRACTS_2012, "FailoverAvailable") {
                    policy.available = is_true(text);
                } else if is(last, CONTRACTS_2012, "EndpointEnabled") {
                    policy.endpoint_enabled = is_true(text);
                } else if is(last, CONTRACTS_2012, "FailoverPolicy") {
                    let policy = *policy;
                    found.policy.get_or_insert(policy);
                    current = None;
                }
            }
        }
        ControlFlow::Continue(())
    });
    found
}

fn is(name: &Name, namespace: &str, local: &str) -> bool {
    name.namespace == namespace && name.local == local
}

/// XML Schema's booleans; .NET's `bool.Parse` takes any case.
fn is_true(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(policy: &str) -> String {
        format!(
            r#"<wsdl:definitions xmlns:wsdl="{WSDL}"><wsdl:import location="https://a/b?wsdl=wsdl0&amp;x=1"/>
            <wsp:Policy xmlns:wsp="urn:p"><wsp:ExactlyOne><wsp:All>{policy}</wsp:All></wsp:ExactlyOne>
            </wsp:Policy></wsdl:definitions>"#
        )
    }

    fn policy(children: &str) -> Option<FailoverPolicy> {
        read_failover_policy(&document(&format!(
            r#"<f:FailoverPolicy xmlns:f="{CONTRACTS_2012}">{children}</f:FailoverPolicy>"#
        )))
    }

    #[test]
    fn elements_and_their_defaults() {
        let table = [
            ("", false, true),
            (
                "<f:FailoverAvailable>true</f:FailoverAvailable>",
                true,
                true,
            ),
            (
                "<f:FailoverAvailable>True</f:FailoverAvailable>",
                true,
                true,
            ),
            (
                "<f:FailoverAvailable>false</f:FailoverAvailable>",
                false,
                true,
            ),
            (
                "<f:FailoverAvailable>1</f:FailoverAvailable><f:EndpointEnabled>0</f:EndpointEnabled>",
                true,
                false,
            ),
        ];
        for (children, available, endpoint_enabled) in table {
            assert_eq!(
                policy(children),
                Some(FailoverPolicy {
                    available,
                    endpoint_enabled
                }),
                "{children}"
            );
        }
    }

    #[test]
    fn no_policy_and_no_wsdl() {
        let read = read_policy_document(&document(""));
        assert_eq!(read.policy, None);
        assert!(read.is_wsdl);
        assert_eq!(read.imports, ["https://a/b?wsdl=wsdl0&x=1"]);
        assert!(!read_policy_document("<html><body>busy").is_wsdl);
        let other = r#"<FailoverPolicy xmlns="urn:other"><FailoverAvailable>true</FailoverAvailable></FailoverPolicy>"#;
        assert_eq!(read_failover_policy(&document(other)), None);
    }

    #[test]
    fn a_cut_policy_is_no_policy() {
        let whole = document(&format!(
            r#"<f:FailoverPolicy xmlns:f="{CONTRACTS_2012}"><f:FailoverAvailable>true</f:FailoverAvailable></f:FailoverPolicy>"#
        ));
        let cut = whole.find("</f:FailoverPolicy>").unwrap();
        assert_eq!(read_failover_policy(&whole[..cut]), None);
    }
}
