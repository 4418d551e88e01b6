//! The WSDL of the organization service with its failover policy.

use std::fmt::Write;

use http::Response;
use http::header::CONTENT_TYPE;

use crate::config::Wsdl;
use crate::reply::{Reply, with_body};
use crate::xml::escaped;

const NAMESPACES: &str = r#"xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" xmlns:tns="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i0="http://schemas.microsoft.com/xrm/2011/Contracts/Services""#;

/// The document that `query` asks for.
pub(crate) fn answer(wsdl: &Wsdl, base: &str, query: &str) -> Reply {
    let imported = query.to_ascii_lowercase().starts_with("wsdl=");
    let body = if wsdl.unreadable {
        "<wsdl:definitions <<< this is no XML".to_owned()
    } else if imported {
        document(
            "http://schemas.microsoft.com/xrm/2011/Contracts/Services",
            &policies_and_bindings(wsdl),
        )
    } else {
        main_document(
            wsdl,
            &format!("{}/XRMServices/2011/Organization.svc", escaped(base)),
        )
    };
    let builder = Response::builder()
        .status(200)
        .header(CONTENT_TYPE, "text/xml; charset=utf-8");
    with_body(builder, body)
}

fn document(namespace: &str, content: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><wsdl:definitions name="OrganizationService" targetNamespace="{namespace}" {NAMESPACES}>{content}</wsdl:definitions>"#
    )
}

fn main_document(wsdl: &Wsdl, service: &str) -> String {
    let mut content = String::new();
    if wsdl.imported {
        let _ = write!(
            content,
            r#"<wsdl:import namespace="http://schemas.microsoft.com/xrm/2011/Contracts/Services" location="{service}?wsdl=wsdl0"/>"#
        );
    } else {
        content.push_str(&policies_and_bindings(wsdl));
    }
    content.push_str(r#"<wsdl:service name="OrganizationService">"#);
    for binding in 0..wsdl.bindings {
        let _ = write!(
            content,
            r#"<wsdl:port name="{name}" binding="i0:{name}"><soap:address location="{service}/web"/></wsdl:port>"#,
            name = binding_name(binding)
        );
    }
    content.push_str("</wsdl:service>");
    document("http://schemas.microsoft.com/xrm/2011/Contracts", &content)
}

fn binding_name(binding: u32) -> String {
    match binding {
        0 => "CustomBinding_IOrganizationService".to_owned(),
        more => format!("CustomBinding_IOrganizationService{more}"),
    }
}

fn policies_and_bindings(wsdl: &Wsdl) -> String {
    let mut content = String::new();
    let failover = failover_policy(wsdl);
    for binding in 0..wsdl.bindings {
        let _ = write!(
            content,
            r#"<wsp:Policy wsu:Id="{}_policy"><wsp:ExactlyOne><wsp:All>{failover}</wsp:All></wsp:ExactlyOne></wsp:Policy>"#,
            binding_name(binding)
        );
    }
    content.push_str(r#"<wsdl:portType name="IOrganizationService"/>"#);
    for binding in 0..wsdl.bindings {
        let _ = write!(
            content,
            r##"<wsdl:binding name="{name}" type="i0:IOrganizationService"><wsp:PolicyReference URI="#{name}_policy"/><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/></wsdl:binding>"##,
            name = binding_name(binding)
        );
    }
    content
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
        let reply = answer(wsdl, "https://contoso.crm.twin.test", query);
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
        assert_eq!(
            elements(&read(&wsdl, "wsdl=wsdl0"), "FailoverAvailable"),
            ["true"]
        );
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
}
