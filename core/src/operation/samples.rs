//! Requests for tests.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Class, classify};

pub(crate) const ID: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const V12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
pub(crate) const DISCOVERY: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Discovery";
pub(crate) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
pub(crate) const GENERIC: &str =
    "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
pub(crate) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
pub(crate) const WSA: &str = "http://www.w3.org/2005/08/addressing";
pub(crate) const SOAP_URL: &str = "/XRMServices/2011/Organization.svc/web";
pub(crate) const BATCH_URL: &str = "/api/data/v9.2/$batch";

pub(crate) type Header<'a> = (&'static str, &'a str);

pub(crate) fn headers(list: &[Header<'_>]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

pub(crate) fn class_of(method: &str, url: &str, list: &[Header<'_>], body: &str) -> Class {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    classify(&method, url, &headers(list), Some(body.as_bytes()))
}

pub(crate) fn envelope(soap: &str, header: &str, body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{soap}" xmlns:w="{WSA}"><s:Header>{header}</s:Header>
        <s:Body>{body}</s:Body></s:Envelope>"#
    )
}

/// A message without headers.
pub(crate) fn message(operation: &str) -> String {
    envelope(V11, "", operation)
}

/// An operation, with the prefixes that its content uses.
pub(crate) fn operation(name: &str, content: &str) -> String {
    format!(
        r#"<{name} xmlns="{SERVICES}" xmlns:a="{CONTRACTS}" xmlns:b="{GENERIC}" xmlns:i="{INSTANCE}">{content}</{name}>"#
    )
}

pub(crate) fn create(members: &str) -> String {
    operation("Create", &format!("<entity>{members}</entity>"))
}

pub(crate) fn execute(type_name: &str, parameters: &str, name: &str) -> String {
    let name = match name {
        "" => String::new(),
        name => format!("<a:RequestName>{name}</a:RequestName>"),
    };
    let type_name = match type_name {
        "" => String::new(),
        type_name => format!(r#" i:type="{type_name}""#),
    };
    let request = format!(
        r#"<request{type_name}><a:Parameters>{parameters}</a:Parameters><a:RequestId i:nil="true"/>{name}</request>"#
    );
    operation("Execute", &request)
}

pub(crate) fn parameter(key: &str, value: &str) -> String {
    format!(
        "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key><b:value>{value}</b:value></a:KeyValuePairOfstringanyType>"
    )
}
