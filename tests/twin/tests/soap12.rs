//! SOAP 1.2 with WS-Addressing, and the discovery service.

mod support;

use d365_twin::{Fault, FaultKind, SideHandle, Twin};
use roxmltree::Document;
use serde_json::{Value, json};
use support::{ACCOUNTS, SOAP, client, contoso, url};

const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
const DISCOVERY: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Discovery";
const ENDPOINT: &str = "/XRMServices/2011/Organization.svc";
const DISCOVERY_ENDPOINT: &str = "/XRMServices/2011/Discovery.svc";

fn action(operation: &str) -> String {
    format!("{SERVICES}/IOrganizationService/{operation}")
}

fn who_am_i() -> String {
    format!(
        r#"<Execute xmlns="{SERVICES}"><request xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:RequestName>WhoAmI</a:RequestName></request></Execute>"#
    )
}

fn create() -> String {
    format!(
        r#"<Create xmlns="{SERVICES}"><entity xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts"><b:Attributes xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value>a</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:LogicalName>account</b:LogicalName></entity></Create>"#
    )
}

fn discover() -> String {
    format!(
        r#"<Execute xmlns="{DISCOVERY}"><request i:type="RetrieveOrganizationsRequest" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><AccessType>Default</AccessType><Release>Current</Release></request></Execute>"#
    )
}

/// What a request to a SOAP endpoint brings: status, content type, text.
type Answer = (u16, String, String);

fn post(twin: &Twin, side: &SideHandle, path: &str, content_type: &str, body: String) -> Answer {
    let request = client(twin)
        .post(url(side, path))
        .header("Content-Type", content_type);
    let response = request.body(body).send().unwrap();
    let content_type = response.headers()["Content-Type"]
        .to_str()
        .unwrap()
        .to_owned();
    (
        response.status().as_u16(),
        content_type,
        response.text().unwrap(),
    )
}

/// Sends an operation with WS-Addressing headers; `header` are those beside the MessageID.
fn call(twin: &Twin, side: &SideHandle, header: &str, operation: &str) -> Answer {
    let envelope = format!(
        r#"<s:Envelope xmlns:s="{SOAP_12}" xmlns:a="{ADDRESSING}"><s:Header><a:MessageID>urn:uuid:7</a:MessageID>{header}</s:Header><s:Body>{operation}</s:Body></s:Envelope>"#
    );
    post(
        twin,
        side,
        ENDPOINT,
        "application/soap+xml; charset=utf-8",
        envelope,
    )
}

fn addressed(operation: &str, to: &str) -> String {
    let action = action(operation);
    format!(
        r#"<a:Action s:mustUnderstand="1">{action}</a:Action><a:To s:mustUnderstand="1">{to}</a:To>"#
    )
}

/// The text of the first element with this name.
fn text(envelope: &str, namespace: &str, name: &str) -> Option<String> {
    let document = Document::parse(envelope).unwrap();
    let node = document
        .descendants()
        .find(|node| node.has_tag_name((namespace, name)))?;
    Some(node.text().unwrap_or_default().to_owned())
}

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

#[test]
fn an_answer_relates_to_its_message() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let to = format!("{}{ENDPOINT}", side.url());
    let (status, content_type, answer) = call(&twin, side, &addressed("Create", &to), &create());
    assert_eq!(
        (status, content_type.as_str()),
        (200, "application/soap+xml; charset=utf-8")
    );
    let id = text(&answer, SERVICES, "CreateResult").unwrap();
    assert_eq!(
        text(&answer, ADDRESSING, "RelatesTo").as_deref(),
        Some("urn:uuid:7")
    );
    let answered = format!("{}Response", action("Create"));
    assert_eq!(text(&answer, ADDRESSING, "Action"), Some(answered));
    let row = url(side, &format!("{ACCOUNTS}({id})"));
    let row: Value = client(&twin).get(row).send().unwrap().json().unwrap();
    assert_eq!(row["name"], "a");
    let entry = &twin.journal()[0];
    assert_eq!((entry.name.as_deref(), entry.committed), (Some("a"), true));
    assert_eq!(side.counts().received_by["POST soap"], 1);
}

#[test]
fn the_action_may_stand_in_the_content_type() {
    let (twin, org) = contoso();
    let envelope = format!(
        r#"<s:Envelope xmlns:s="{SOAP_12}"><s:Body>{}</s:Body></s:Envelope>"#,
        who_am_i()
    );
    let content_type = format!(
        "application/soap+xml; charset=utf-8; action=\"{}\"",
        action("Execute")
    );
    let (status, _, answer) = post(&twin, &org.primary, ENDPOINT, &content_type, envelope);
    assert_eq!(status, 200);
    assert!(answer.contains("OrganizationId"));
    assert_eq!(text(&answer, ADDRESSING, "RelatesTo"), None);
}

#[test]
fn what_is_addressed_to_another_is_refused() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let own = format!("{}{ENDPOINT}", side.url());
    let other = format!("{}{ENDPOINT}", org.alternate.url());
    let anonymous = format!("{ADDRESSING}/anonymous");
    for (header, refused) in [
        (addressed("Execute", &own), None),
        (addressed("Execute", &anonymous), None),
        (
            addressed("Execute", &other),
            Some("a:DestinationUnreachable"),
        ),
        (
            addressed("Execute", "nowhere"),
            Some("a:DestinationUnreachable"),
        ),
        (addressed("Create", &own), Some("a:ActionNotSupported")),
        (String::new(), Some("a:ActionNotSupported")),
        (
            format!("<Action>{}</Action>", action("Execute")),
            Some("a:ActionNotSupported"),
        ),
    ] {
        let (status, _, answer) = call(&twin, side, &header, &who_am_i());
        assert_eq!(
            status,
            if refused.is_some() { 500 } else { 200 },
            "{answer}"
        );
        let document = Document::parse(&answer).unwrap();
        let subcode = document
            .descendants()
            .find(|node| node.has_tag_name((SOAP_12, "Subcode")));
        let subcode = subcode.and_then(|node| node.first_element_child()?.text());
        assert_eq!(subcode, refused, "{header}");
    }
}

#[test]
fn faults_have_the_shape_of_the_version() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let to = format!("{}{ENDPOINT}", side.url());
    let missing = format!(
        r#"<Delete xmlns="{SERVICES}"><entityName>account</entityName><id>00000000-0000-0000-0000-000000000001</id></Delete>"#
    );
    let (status, _, answer) = call(&twin, side, &addressed("Delete", &to), &missing);
    assert_eq!(status, 500);
    assert_eq!(
        text(&answer, CONTRACTS, "ErrorCode").as_deref(),
        Some("-2147220969")
    );
    assert_eq!(text(&answer, SOAP_12, "Value").as_deref(), Some("s:Sender"));
    assert_eq!(
        text(&answer, ADDRESSING, "RelatesTo").as_deref(),
        Some("urn:uuid:7")
    );
    side.fault(FaultKind::datacenter_not_available()).unwrap();
    let (status, content_type, answer) = call(&twin, side, &addressed("Create", &to), &create());
    assert_eq!(
        (status, content_type.as_str()),
        (500, "application/soap+xml; charset=utf-8")
    );
    assert_eq!(
        text(&answer, CONTRACTS, "ErrorCode").as_deref(),
        Some("-2147176347")
    );
    assert!(text(&answer, SOAP_12, "Detail").is_some());
    assert!(org.rows().is_empty());
}

#[test]
fn the_versions_do_not_mix() {
    let (twin, org) = contoso();
    for (path, namespace) in [(ENDPOINT, SOAP_11), (SOAP, SOAP_12)] {
        let envelope = format!(
            r#"<s:Envelope xmlns:s="{namespace}"><s:Body>{}</s:Body></s:Envelope>"#,
            create()
        );
        let (status, _, answer) = post(&twin, &org.primary, path, "text/xml", envelope);
        assert_eq!(status, 500);
        assert_eq!(
            text(&answer, CONTRACTS, "ErrorCode").as_deref(),
            Some("-2147220989")
        );
    }
    assert!(org.rows().is_empty());
}

#[test]
fn discovery_shows_the_organization_under_the_host_that_answered() {
    let (twin, org) = contoso();
    for (path, namespace, content_type) in [
        (
            format!("{DISCOVERY_ENDPOINT}/web"),
            SOAP_11,
            "text/xml".to_owned(),
        ),
        (
            DISCOVERY_ENDPOINT.to_owned(),
            SOAP_12,
            format!("application/soap+xml; action={DISCOVERY}/IDiscoveryService/Execute"),
        ),
    ] {
        let envelope = format!(
            r#"<s:Envelope xmlns:s="{namespace}"><s:Body>{}</s:Body></s:Envelope>"#,
            discover()
        );
        let (status, _, answer) = post(&twin, &org.alternate, &path, &content_type, envelope);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            text(&answer, DISCOVERY, "UniqueName").as_deref(),
            Some("contoso")
        );
        assert!(answer.contains(&url(&org.alternate, ENDPOINT)), "{answer}");
    }
    assert_eq!(org.alternate.counts().received_by["POST discovery"], 2);
}

#[test]
fn discoverys_faults_are_its_own() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let path = format!("{DISCOVERY_ENDPOINT}/web");
    let ask = |operation: String| {
        let envelope =
            format!(r#"<s:Envelope xmlns:s="{SOAP_11}"><s:Body>{operation}</s:Body></s:Envelope>"#);
        post(&twin, side, &path, "text/xml", envelope)
    };
    let (status, _, answer) = ask(discover().replace("Organizations", "UserIdByExternalId"));
    assert_eq!(status, 500);
    assert!(text(&answer, CONTRACTS, "DiscoveryServiceFault").is_some());
    side.fault(FaultKind::datacenter_not_available()).unwrap();
    let (status, _, answer) = ask(discover());
    assert_eq!(status, 500);
    assert_eq!(
        text(&answer, CONTRACTS, "ErrorCode").as_deref(),
        Some("-2147176347")
    );
}

#[test]
fn throttling_says_how_long_in_the_form_of_the_path() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let fault = |text: Value| serde_json::from_value::<Fault>(text).unwrap();
    side.fault(fault(json!({"kind": "throttled", "retry_after": 7})))
        .unwrap();
    let request = client(&twin).post(url(side, ACCOUNTS));
    let response = request.json(&json!({"name": "a"})).send().unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["Retry-After"]
        ),
        (429, &"7".parse().unwrap())
    );
    let body: Value = response.json().unwrap();
    assert_eq!(body["error"]["code"], "0x80072322");
    let generic = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
    let soap = || {
        let envelope = format!(
            r#"<s:Envelope xmlns:s="{SOAP_11}"><s:Body>{}</s:Body></s:Envelope>"#,
            create()
        );
        let (status, _, answer) = post(&twin, side, SOAP, "text/xml", envelope);
        assert_eq!(status, 500);
        assert_eq!(
            text(&answer, generic, "key").as_deref(),
            Some("Retry-After")
        );
        let code = text(&answer, CONTRACTS, "ErrorCode").unwrap();
        (code, text(&answer, generic, "value").unwrap())
    };
    assert_eq!(soap(), ("-2147015902".to_owned(), "PT7S".to_owned()));
    side.clear().unwrap();
    side.fault(fault(
        json!({"kind": "throttled", "code": "0x80072326", "soap_duration": "00:04:32.5"}),
    ))
    .unwrap();
    assert_eq!(soap(), ("-2147015898".to_owned(), "00:04:32.5".to_owned()));
    assert!(org.rows().is_empty());
    org.set_passive(FaultKind::Throttled {
        retry_after: 1,
        code: d365_twin::ErrorCode(0x8007_2321),
        soap_duration: None,
    })
    .unwrap();
}
