//! Hosts that are no organization's, where redirects lead, and certificates of clients.

mod support;

use std::fs;

use d365_twin::{ClientCertificates, Fault, OrganizationConfig, Twin, TwinConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use support::h2_client::H2;
use support::{ACCOUNTS, Raw, WHO_AM_I, client, twin, url};

#[test]
fn a_foreign_host_answers_everything_and_notes_what_it_should_not_get() {
    let organizations = [
        OrganizationConfig::new("contoso"),
        OrganizationConfig::foreign(),
    ];
    let twin = Twin::start(TwinConfig::new(organizations)).unwrap();
    let (contoso, foreign) = (twin.org("contoso").unwrap(), twin.org("foreign").unwrap());
    assert_eq!(foreign.primary.url(), "https://foreign.twin.test");
    let target = url(&foreign.primary, "/a?b=c");
    for status in [301, 302, 303, 307, 308] {
        let redirect = json!({"kind": "status", "status": status, "times": 1,
                              "headers": {"Location": target}});
        let redirect: Fault = serde_json::from_value(redirect).unwrap();
        contoso.primary.fault(redirect).unwrap();
        let request = client(&twin).get(url(&contoso.primary, WHO_AM_I));
        let answer: Value = request.bearer_auth("t").send().unwrap().json().unwrap();
        assert_eq!(
            (&answer["method"], &answer["path"]),
            (&json!("GET"), &json!("/a?b=c"))
        );
        let entry = twin.journal().pop().unwrap();
        assert_eq!(entry.org, "foreign");
        assert!(!entry.authorization && !entry.cookie, "{entry:?}");
    }
    let request = client(&twin).post(target).bearer_auth("secret");
    let request = request.header("Cookie", "c=secret");
    assert_eq!(request.send().unwrap().status(), 200);
    let entry = twin.journal().pop().unwrap();
    assert!(entry.authorization && entry.cookie);
    let shown = serde_json::to_string(&twin.journal()).unwrap();
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn the_same_host_can_listen_without_tls() {
    let mut plain: OrganizationConfig =
        serde_json::from_value(json!({"name": "plain", "scheme": "http", "plays": "plain"}))
            .unwrap();
    plain.primary_host = Some("contoso.crm.twin.test".into());
    let (twin, org) = twin(OrganizationConfig::new("contoso"));
    let plain = twin.add_organization(plain).unwrap();
    assert_ne!(org.primary.port(), plain.primary.port());
    let answer = client(&twin).get(url(&plain.primary, "/")).send().unwrap();
    assert_eq!(answer.status(), 200);
    let ways = twin.connect_to();
    let of_host = ways
        .iter()
        .filter(|(name, _)| name.starts_with("contoso.crm.twin.test:"));
    assert_eq!(of_host.count(), 2);
}

fn requiring(client_certificates: ClientCertificates) -> (Twin, d365_twin::OrgHandle) {
    twin(OrganizationConfig {
        client_certificates,
        ..OrganizationConfig::new("contoso")
    })
}

/// Whether a connection that shows this PEM, or none, is served.
fn is_served(twin: &Twin, org: &d365_twin::OrgHandle, pem: Option<&std::path::Path>) -> bool {
    let mut config = support::client_config(twin);
    if let Some(pem) = pem {
        let chain = CertificateDer::pem_file_iter(pem).unwrap();
        let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
        assert_eq!(chain.len(), 2, "the certificate and the one between");
        let key = PrivateKeyDer::from_pem_file(pem).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let resolver = rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap();
        let resolver = rustls::sign::SingleCertAndKey::from(resolver);
        config.client_auth_cert_resolver = std::sync::Arc::new(resolver);
    }
    let side = &org.primary;
    let Ok(mut raw) = Raw::shake_hands(config, side, Raw::tcp(side).unwrap()) else {
        return false;
    };
    let request = format!(
        "GET {WHO_AM_I} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        side.host()
    );
    // In TLS 1.3 the refusal comes after the client has finished its handshake.
    raw.try_send(&request).is_ok() && raw.read_to_end().0.starts_with(b"HTTP/1.1 200")
}

#[test]
fn client_certificates_are_required_or_asked_for() {
    let (twin, org) = requiring(ClientCertificates::Require);
    let (own, other) = (
        twin.client_certificate_file(),
        twin.other_client_certificate_file(),
    );
    assert!(is_served(&twin, &org, Some(&own)));
    assert!(!is_served(&twin, &org, Some(&other)));
    assert!(!is_served(&twin, &org, None));
    assert!(twin.journal().iter().all(|entry| entry.client_certificate));
    assert_eq!(twin.journal().len(), 1);
    let key = fs::read_to_string(&own).unwrap();
    assert!(key.contains("BEGIN PRIVATE KEY"));

    let (twin, org) = requiring(ClientCertificates::Ask);
    assert!(is_served(
        &twin,
        &org,
        Some(&twin.client_certificate_file())
    ));
    assert!(is_served(&twin, &org, None));
    let shown: Vec<_> = twin
        .journal()
        .iter()
        .map(|entry| entry.client_certificate)
        .collect();
    assert_eq!(shown, [true, false]);
}

#[test]
fn plain_hosts_have_bulk_and_http2_and_their_names() {
    let (twin, org) = twin(OrganizationConfig {
        http2: true,
        ..OrganizationConfig::foreign()
    });
    let h2 = H2::connect(&twin, &org.alternate);
    let answer = h2
        .answer(h2.send(http::Method::POST, ACCOUNTS, "x"))
        .unwrap();
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.contains("https://foreign--s.twin.test"),
        "{answer:?}"
    );
    let bulk = client(&twin)
        .get(url(&org.primary, "/bulk/3"))
        .send()
        .unwrap();
    assert_eq!(bulk.bytes().unwrap().len(), 3);
    let wrong = client(&twin)
        .get(url(&org.primary, "/"))
        .header("Host", "contoso.test");
    assert_eq!(wrong.send().unwrap().status(), 400);
}
