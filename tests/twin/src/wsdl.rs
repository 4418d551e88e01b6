//! The WSDL of the two SOAP services: types, port type and bindings of what the twin plays, and the
//! organization service's failover policy.

use std::fmt::Write;

use http::Response;
use http::header::CONTENT_TYPE;

use crate::config::Wsdl;
use crate::reply::{Reply, with_body};
use crate::soap_envelope::Contract;
use crate::xml::escaped;

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const NAMESPACES: &str = r#"xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:contracts="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:generic="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:serialization="http://schemas.microsoft.com/2003/10/Serialization/""#;

/// What both services' types need.
const SHARED_TYPES: &str = include_str!("wsdl/shared.xsd");

/// What the document says of a contract.
struct Service {
    contract: Contract,
    name: &'static str,
    path: &'static str,
    types: &'static str,
    operations: &'static [&'static str],
}

const ORGANIZATION: Service = Service {
    contract: Contract::Organization,
    name: "OrganizationService",
    path: "/XRMServices/2011/Organization.svc",
    types: include_str!("wsdl/organization.xsd"),
    operations: &["Create", "Retrieve", "Update", "Delete", "Execute"],
};

const DISCOVERY: Service = Service {
    contract: Contract::Discovery,
    name: "DiscoveryService",
    path: "/XRMServices/2011/Discovery.svc",
    types: include_str!("wsdl/discovery.xsd"),
    operations: &["Execute"],
};

/// The document that `query` asks for.
pub(crate) fn answer(contract: Contract, wsdl: &Wsdl, base: &str, query: &str) -> Reply {
    let query = query.to_ascii_lowercase();
    let asked = Asked {
        service: match contract {
            Contract::Organization => &ORGANIZATION,
            Contract::Discovery => &DISCOVERY,
        },
        wsdl,
        base: escaped(base).to_string(),
    };
    let body = if wsdl.unreadable {
        "<wsdl:definitions <<< this is no XML".to_owned()
    } else if query.starts_with("wsdl=") {
        asked.document(contract.namespace(), &asked.interface())
    } else if wsdl.imported && query != "singlewsdl" {
        let import = format!(
            r#"<wsdl:import namespace="{}" location="{}{}?wsdl=wsdl0"/>"#,
            contract.namespace(),
            asked.base,
            asked.service.path
        );
        asked.document(CONTRACTS, &(import + &asked.ports()))
    } else {
        let content = asked.interface() + &asked.ports();
        asked.document(contract.namespace(), &content)
    };
    let builder = Response::builder()
        .status(200)
        .header(CONTENT_TYPE, "text/xml; charset=utf-8");
    with_body(builder, body)
}

struct Asked<'a> {
    service: &'a Service,
    wsdl: &'a Wsdl,
    base: String,
}

impl Asked<'_> {
    fn document(&self, namespace: &str, content: &str) -> String {
        let (name, services) = (self.service.name, self.service.contract.namespace());
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?><wsdl:definitions name="{name}" targetNamespace="{namespace}" xmlns:services="{services}" {NAMESPACES}>{content}</wsdl:definitions>"#
        )
    }

    fn binding_name(&self, binding: u32) -> String {
        let interface = self.service.contract.interface();
        match binding {
            0 => format!("CustomBinding_{interface}"),
            more => format!("CustomBinding_{interface}{more}"),
        }
    }

    fn ports(&self) -> String {
        let Service { name, path, .. } = self.service;
        let mut content = format!(r#"<wsdl:service name="{name}">"#);
        for binding in 0..self.wsdl.bindings {
            let _ = write!(
                content,
                r#"<wsdl:port name="{name}" binding="services:{name}"><soap:address location="{base}{path}/web"/></wsdl:port>"#,
                name = self.binding_name(binding),
                base = self.base
            );
        }
        content + "</wsdl:service>"
    }

    /// Policies, types, messages, port type and bindings.
    fn interface(&self) -> String {
        let Service {
            contract,
            types,
            operations,
            ..
        } = self.service;
        let (interface, fault) = (contract.interface(), contract.fault());
        let mut content = String::new();
        let failover = match contract {
            Contract::Organization => failover_policy(self.wsdl),
            Contract::Discovery => String::new(),
        };
        for binding in 0..self.wsdl.bindings {
            let _ = write!(
                content,
                r#"<wsp:Policy wsu:Id="{}_policy"><wsp:ExactlyOne><wsp:All>{failover}</wsp:All></wsp:ExactlyOne></wsp:Policy>"#,
                self.binding_name(binding)
            );
        }
        let _ = write!(
            content,
            r#"<wsdl:types>{SHARED_TYPES}{types}</wsdl:types><wsdl:message name="{fault}"><wsdl:part name="detail" element="contracts:{fault}"/></wsdl:message>"#
        );
        for name in *operations {
            let _ = write!(
                content,
                r#"<wsdl:message name="{name}Input"><wsdl:part name="parameters" element="services:{name}"/></wsdl:message><wsdl:message name="{name}Output"><wsdl:part name="parameters" element="services:{name}Response"/></wsdl:message>"#
            );
        }
        let _ = write!(content, r#"<wsdl:portType name="{interface}">"#);
        for name in *operations {
            let _ = write!(
                content,
                r#"<wsdl:operation name="{name}"><wsdl:input message="services:{name}Input"/><wsdl:output message="services:{name}Output"/><wsdl:fault name="{fault}" message="services:{fault}"/></wsdl:operation>"#
            );
        }
        content.push_str("</wsdl:portType>");
        for binding in 0..self.wsdl.bindings {
            let _ = write!(
                content,
                r##"<wsdl:binding name="{binding}" type="services:{interface}"><wsp:PolicyReference URI="#{binding}_policy"/><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>"##,
                binding = self.binding_name(binding)
            );
            for name in *operations {
                let _ = write!(
                    content,
                    r#"<wsdl:operation name="{name}"><soap:operation soapAction="{action}{name}" style="document"/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output><wsdl:fault name="{fault}"><soap:fault name="{fault}" use="literal"/></wsdl:fault></wsdl:operation>"#,
                    action = contract.action()
                );
            }
            content.push_str("</wsdl:binding>");
        }
        content
    }
}

fn failover_policy(wsdl: &Wsdl) -> String {
    if !wsdl.policy {
        return String::new();
    }
    let element = |name: &str, value: Option<bool>| {
        value.map_or(String::new(), |value| {
            format!("<ms-xrm:{name}>{value}</ms-xrm:{name}>")
        })
    };
    format!(
        r#"<ms-xrm:FailoverPolicy xmlns:ms-xrm="http://schemas.microsoft.com/xrm/2012/Contracts/Services">{}{}</ms-xrm:FailoverPolicy>"#,
        element("FailoverAvailable", wsdl.failover_available),
        element("EndpointEnabled", wsdl.endpoint_enabled)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wsdl: &Wsdl, query: &str) -> String {
        let reply = answer(
            Contract::Organization,
            wsdl,
            "https://contoso.crm.twin.test",
            query,
        );
        String::from_utf8(reply.into_body().to_vec()).unwrap()
    }

    fn elements(text: &str, name: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(text).unwrap();
        let named = document
            .descendants()
            .filter(|node| node.tag_name().name() == name);
        named
            .map(|node| node.text().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn each_binding_has_the_policy() {
        let text = read(
            &Wsdl {
                bindings: 3,
                ..Wsdl::default()
            },
            "wsdl",
        );
        assert_eq!(
            elements(&text, "FailoverAvailable"),
            ["true", "true", "true"]
        );
        assert!(elements(&text, "EndpointEnabled").is_empty());
        assert_eq!(elements(&text, "binding").len(), 6);
    }

    #[test]
    fn elements_and_policy_can_be_absent() {
        let wsdl = Wsdl {
            failover_available: None,
            endpoint_enabled: Some(false),
            ..Wsdl::default()
        };
        let text = read(&wsdl, "wsdl");
        assert!(elements(&text, "FailoverAvailable").is_empty());
        assert_eq!(elements(&text, "EndpointEnabled"), ["false"]);
        let text = read(
            &Wsdl {
                policy: false,
                ..Wsdl::default()
            },
            "wsdl",
        );
        assert!(elements(&text, "FailoverPolicy").is_empty());
    }

    #[test]
    fn an_import_holds_the_policy_alone() {
        let wsdl = Wsdl {
            imported: true,
            ..Wsdl::default()
        };
        let main = read(&wsdl, "wsdl");
        assert!(elements(&main, "FailoverPolicy").is_empty());
        assert!(main.contains(
            r#"location="https://contoso.crm.twin.test/XRMServices/2011/Organization.svc?wsdl=wsdl0""#
        ));
        for whole in ["wsdl=wsdl0", "singleWsdl"] {
            assert_eq!(elements(&read(&wsdl, whole), "FailoverAvailable"), ["true"]);
        }
    }

    #[test]
    fn an_unreadable_body_is_no_xml() {
        let text = read(
            &Wsdl {
                unreadable: true,
                ..Wsdl::default()
            },
            "wsdl",
        );
        assert!(roxmltree::Document::parse(&text).is_err());
    }

    /// What zeep, CXF and wsimport look up.
    #[test]
    fn every_name_that_is_used_is_defined() {
        for contract in [Contract::Organization, Contract::Discovery] {
            let reply = answer(contract, &Wsdl::default(), "https://contoso", "singlewsdl");
            let text = String::from_utf8(reply.into_body().to_vec()).unwrap();
            let document = roxmltree::Document::parse(&text).unwrap();
            let mut defined = std::collections::HashSet::new();
            for node in document.descendants() {
                if let (Some(name), Some(parent)) = (node.attribute("name"), node.parent()) {
                    let target = parent.attribute("targetNamespace").unwrap_or_default();
                    defined.insert((node.tag_name().name(), target, name));
                }
            }
            let mut looked_up = 0;
            for node in document.descendants() {
                for (attribute, kinds) in [
                    ("element", &["element"][..]),
                    ("message", &["message"]),
                    ("binding", &["binding"]),
                    ("base", &["complexType", "simpleType"]),
                    ("type", &["complexType", "simpleType", "portType"]),
                ] {
                    let Some((prefix, name)) = node
                        .attribute(attribute)
                        .and_then(|name| name.split_once(':'))
                    else {
                        continue;
                    };
                    let namespace = node.lookup_namespace_uri(Some(prefix)).unwrap();
                    let is_there = |kind: &&str| defined.contains(&(*kind, namespace, name));
                    let is_there = prefix == "xs" || kinds.iter().any(is_there);
                    assert!(is_there, "{contract:?}: {attribute} {prefix}:{name}");
                    looked_up += 1;
                }
            }
            assert!(looked_up > 20, "{contract:?}: {looked_up}");
        }
    }
}
