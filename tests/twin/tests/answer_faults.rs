//! Faults that are answers, and the answers of a passive side.

mod support;

use std::collections::BTreeMap;

use d365_twin::{Authority, ErrorCode, Fault, FaultKind, OrganizationConfig, SideHandle, Twin};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use support::{ACCOUNTS, SOAP, WSDL, client, contoso, twin, url};

const WHO_AM_I: &str = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Execute xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><request xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:RequestName>WhoAmI</a:RequestName></request></Execute></s:Body></s:Envelope>"#;

fn post(twin: &Twin, side: &SideHandle) -> Response {
    client(twin)
        .post(url(side, ACCOUNTS))
        .json(&json!({"name": "a"}))
        .send()
        .unwrap()
}

fn soap(twin: &Twin, side: &SideHandle) -> (u16, String) {
    let response = client(twin)
        .post(url(side, SOAP))
        .body(WHO_AM_I)
        .send()
        .unwrap();
    (response.status().as_u16(), response.text().unwrap())
}

fn fault_code(envelope: &str) -> i32 {
    let document = roxmltree::Document::parse(envelope).unwrap();
    let fault = document
        .descendants()
        .find(|node| {
            node.has_tag_name((
                "http://schemas.microsoft.com/xrm/2011/Contracts",
                "OrganizationServiceFault",
            ))
        })
        .expect("an OrganizationServiceFault");
    let code = fault
        .children()
        .find(|node| node.tag_name().name() == "ErrorCode")
        .unwrap();
    code.text().unwrap().parse().unwrap()
}

#[test]
fn datacenter_not_available_takes_the_form_of_the_path() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::datacenter_not_available()).unwrap();
    let response = post(&twin, side);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["OData-Version"], "4.0");
    let body: Value = response.json().unwrap();
    assert_eq!(body["error"]["code"], "0x8004b065");
    let (status, envelope) = soap(&twin, side);
    assert_eq!((status, fault_code(&envelope)), (500, -2147176347));
    assert_eq!(side.counts().committed, 0);
}

#[test]
fn a_service_fault_takes_the_form_of_the_path() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let fault = FaultKind::ServiceFault {
        code: ErrorCode(0x8004_4151),
        message: "SQL <timeout>".into(),
        status: 500,
        commit: true,
    };
    side.fault(fault).unwrap();
    let response = post(&twin, side);
    assert_eq!(response.status(), 500);
    let body: Value = response.json().unwrap();
    assert_eq!(body["error"]["code"], "0x80044151");
    assert_eq!(body["error"]["message"], "SQL <timeout>");
    assert_eq!(side.counts().committed, 1);
    let (status, envelope) = soap(&twin, side);
    assert_eq!(
        (status, fault_code(&envelope)),
        (500, ErrorCode(0x8004_4151).signed())
    );
}

#[test]
fn a_page_is_html_with_any_status() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for (status, commit) in [(200, false), (503, true)] {
        side.fault(Fault::from(FaultKind::HtmlPage { status, commit }).times(1))
            .unwrap();
        let response = post(&twin, side);
        assert_eq!(response.status(), status);
        assert!(
            response.headers()["Content-Type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        assert!(response.headers().get("OData-Version").is_none());
        assert_eq!(side.counts().committed, u64::from(commit));
    }
}

#[test]
fn a_status_has_the_headers_and_the_body_that_are_given() {
    let (twin, org) = contoso();
    let fault = FaultKind::Status {
        status: 429,
        headers: BTreeMap::from([("Retry-After".into(), "7".into())]),
        body: "slow down".into(),
        commit: false,
    };
    org.primary.fault(fault).unwrap();
    let response = post(&twin, &org.primary);
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["Retry-After"]
        ),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(response.text().unwrap(), "slow down");
    let journal = twin.journal();
    assert_eq!(
        (journal[0].status, journal[0].committed),
        (Some(429), false)
    );
}

#[test]
fn faults_that_cannot_be_are_refused() {
    let (_twin, org) = contoso();
    for fault in [
        Fault::from(FaultKind::Refuse {
            keep_existing: false,
        })
        .times(1),
        Fault::from(FaultKind::HtmlPage {
            status: 99,
            commit: false,
        }),
        Fault::from(FaultKind::Status {
            status: 200,
            headers: BTreeMap::from([("no header".into(), String::new())]),
            body: String::new(),
            commit: false,
        }),
    ] {
        assert!(org.primary.fault(fault).is_err());
    }
    assert!(org.primary.faults().is_empty());
}

#[test]
fn the_passive_side_says_so_and_shows_its_wsdl() {
    let (twin, org) = contoso();
    org.set_authority(Authority::Primary);
    assert_eq!(post(&twin, &org.primary).status(), 204);
    let body: Value = post(&twin, &org.alternate).json().unwrap();
    assert_eq!(body["error"]["code"], "0x8004b065");
    assert_eq!(fault_code(&soap(&twin, &org.alternate).1), -2147176347);
    assert_eq!(
        client(&twin)
            .get(url(&org.alternate, WSDL))
            .send()
            .unwrap()
            .status(),
        200
    );

    org.set_authority(Authority::Alternate);
    assert_eq!(post(&twin, &org.primary).status(), 503);
    assert_eq!(post(&twin, &org.alternate).status(), 204);

    org.set_authority(Authority::Neither);
    assert_eq!(post(&twin, &org.primary).status(), 503);
    assert_eq!(post(&twin, &org.alternate).status(), 503);

    org.set_authority(Authority::Both);
    assert_eq!(post(&twin, &org.primary).status(), 204);
    assert_eq!(post(&twin, &org.alternate).status(), 204);
    assert_eq!(org.rows().len(), 4);
    assert!(
        org.rows()
            .iter()
            .all(|row| row.primary != row.alternate && !row.same)
    );
}

#[test]
fn the_passive_side_can_answer_something_else() {
    let mut config = OrganizationConfig::new("contoso");
    config.authority = Authority::Primary;
    config.passive = FaultKind::HtmlPage {
        status: 403,
        commit: false,
    };
    let (twin, org) = twin(config);
    assert_eq!(post(&twin, &org.alternate).status(), 403);
    org.set_passive(FaultKind::DatacenterNotAvailable { status: 500 })
        .unwrap();
    assert_eq!(post(&twin, &org.alternate).status(), 500);
    org.set_passive(FaultKind::ResetAfterRequest).unwrap();
    let request = client(&twin)
        .post(url(&org.alternate, ACCOUNTS))
        .json(&json!({"name": "a"}));
    assert!(request.send().is_err());
    assert!(org.set_passive(FaultKind::CommitThenReset).is_err());
}
