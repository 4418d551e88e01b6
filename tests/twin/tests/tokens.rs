//! Bearer tokens and their audience.

mod support;

use d365_twin::{OrgHandle, OrganizationConfig, SideHandle, Tokens, Twin};
use reqwest::blocking::Response;
use support::{SOAP, WSDL, client, twin, url};

fn checking() -> (Twin, OrgHandle) {
    twin(OrganizationConfig {
        tokens: Tokens::Check,
        ..OrganizationConfig::new("contoso")
    })
}

fn ask(twin: &Twin, side: &SideHandle, token: Option<&str>) -> Response {
    let request = client(twin).get(url(side, "/api/data/v9.2/WhoAmI"));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
    .send()
    .unwrap()
}

#[test]
fn no_token_is_challenged_with_the_host() {
    let (twin, org) = checking();
    let response = ask(&twin, &org.primary, None);
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["WWW-Authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer authorization_uri=https://"),
        "{challenge}"
    );
    assert!(
        challenge.ends_with("resource_id=https://contoso.crm.twin.test/"),
        "{challenge}"
    );
    let counts = org.primary.counts();
    assert_eq!(
        (
            counts.rejected_tokens,
            counts.wrong_audience,
            counts.foreign_tokens
        ),
        (1, 0, 0)
    );
    assert_eq!(
        client(&twin)
            .post(url(&org.primary, SOAP))
            .send()
            .unwrap()
            .status(),
        401
    );
}

#[test]
fn a_token_is_for_one_host() {
    let (twin, org) = checking();
    let token = org.primary.token();
    assert_eq!(ask(&twin, &org.primary, Some(&token)).status(), 200);
    assert_eq!(
        ask(&twin, &org.primary, Some(&format!("{token}.2"))).status(),
        200
    );
    assert_eq!(ask(&twin, &org.alternate, Some(&token)).status(), 401);
    assert_eq!(
        ask(&twin, &org.alternate, Some(&org.alternate.token())).status(),
        200
    );
    let counts = org.alternate.counts();
    assert_eq!(
        (
            counts.rejected_tokens,
            counts.wrong_audience,
            counts.foreign_tokens
        ),
        (1, 1, 1)
    );
    assert_eq!(ask(&twin, &org.primary, Some("something")).status(), 401);
    assert_eq!(org.primary.counts().wrong_audience, 0);
}

#[test]
fn without_a_check_a_foreign_token_is_only_recorded() {
    let (twin, org) = support::contoso();
    assert_eq!(
        ask(&twin, &org.alternate, Some(&org.primary.token())).status(),
        200
    );
    let counts = org.alternate.counts();
    assert_eq!((counts.rejected_tokens, counts.foreign_tokens), (0, 1));
    assert_eq!(
        twin.journal()[0].token_for.as_deref(),
        Some("contoso.crm.twin.test")
    );
}

#[test]
fn the_wsdl_is_open() {
    let (twin, org) = checking();
    assert_eq!(
        client(&twin)
            .get(url(&org.primary, WSDL))
            .send()
            .unwrap()
            .status(),
        200
    );
}
