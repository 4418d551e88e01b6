use proptest::prelude::*;

use super::*;
use crate::{alternate_url, is_alternate_url, primary_url};

fn organization(url: &str) -> Organization {
    Organization::new(url, None, None).unwrap()
}

fn pair(url: &str, form: Option<UrlForm>) -> Result<(String, String, Role), String> {
    Organization::new(url, None, form)
        .map(|organization| {
            (
                organization.url(Role::Primary).to_owned(),
                organization.url(Role::Alternate).to_owned(),
                organization.starts_on(),
            )
        })
        .map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidUrl);
            error.message().to_owned()
        })
}

#[test]
fn forms_that_are_accepted() {
    let primary = Role::Primary;
    let alternate = Role::Alternate;
    let host = None;
    let path = Some(UrlForm::Path);
    #[rustfmt::skip]
    let table = [
        ("https://contoso.crm4.dynamics.com", host, "https://contoso.crm4.dynamics.com", "https://contoso--s.crm4.dynamics.com", primary),
        ("https://contoso.crm4.dynamics.com/", host, "https://contoso.crm4.dynamics.com", "https://contoso--s.crm4.dynamics.com", primary),
        ("https://contoso.api.crm.dynamics.com", host, "https://contoso.api.crm.dynamics.com", "https://contoso--s.api.crm.dynamics.com", primary),
        ("https://CONTOSO--S.crm.dynamics.com", host, "https://contoso.crm.dynamics.com", "https://contoso--s.crm.dynamics.com", alternate),
        ("https://contoso.example.com:8443/XRMServices/2011/Organization.svc/web", host, "https://contoso.example.com:8443", "https://contoso--s.example.com:8443", primary),
        ("http://contoso.crm.test/api/data/v9.2/", host, "http://contoso.crm.test", "http://contoso--s.crm.test", primary),
        ("https://contoso.crm.dynamics.com.", host, "https://contoso.crm.dynamics.com.", "https://contoso--s.crm.dynamics.com.", primary),
        ("https://contoso.example.com/proxy", Some(UrlForm::Host), "https://contoso.example.com/proxy", "https://contoso--s.example.com/proxy", primary),
        ("http://crm.example.local:5555/Contoso", path, "http://crm.example.local:5555/Contoso", "http://crm.example.local:5555/Contoso--s", primary),
        ("http://crm/Contoso--s/XRMServices/2011/Organization.svc", path, "http://crm/Contoso", "http://crm/Contoso--s", alternate),
        ("http://10.0.0.1/Contoso/", path, "http://10.0.0.1/Contoso", "http://10.0.0.1/Contoso--s", primary),
    ];
    for (url, form, first, second, starts_on) in table {
        let expected = (first.to_owned(), second.to_owned(), starts_on);
        assert_eq!(pair(url, form), Ok(expected), "{url}");
    }
}

#[test]
fn forms_that_are_refused() {
    let long = "a".repeat(61);
    let longer = "b".repeat(64);
    let (long, longer) = (
        format!("https://{long}.crm.dynamics.com"),
        format!("https://contoso.{longer}.com"),
    );
    let table = [
        ("", "not a URL"),
        ("contoso.crm.dynamics.com", "not a URL"),
        ("ftp://contoso.crm.dynamics.com", "only http and https"),
        ("https://u@contoso.crm.dynamics.com", "user info"),
        ("https://u:p@contoso.crm.dynamics.com", "user info"),
        ("https://10.0.0.1", "IP address"),
        ("https://0x7f.1", "IP address"),
        ("https://2130706433", "IP address"),
        ("https://[::1]", "IP address"),
        ("https://contoso", "one label"),
        ("https://localhost:8443", "one label"),
        ("https://contoso.", "one label"),
        ("https://--s.crm.dynamics.com", "--s alone"),
        ("https://contoso--s--s.crm.dynamics.com", "twice"),
        (
            "https://xn--contos-xxa.crm.dynamics.com",
            "internationalized",
        ),
        ("https://contosö.crm.dynamics.com", "internationalized"),
        ("https://disco.crm4.dynamics.com", "Discovery"),
        ("https://dev.crm.dynamics.com", "Discovery"),
        ("https://globaldisco.crm.dynamics.com", "Discovery"),
        ("https://disco--s.crm.dynamics.com", "Discovery"),
        (long.as_str(), "63 octets"),
        (longer.as_str(), "63 octets"),
        ("https://contoso..crm.com", "empty label"),
        ("https://contoso.crm.dynamics.com?wsdl", "no query"),
        ("https://contoso.crm.dynamics.com#x", "no query"),
        ("https://crm.example.com/Contoso", "ambiguous"),
        (" https://contoso.crm.dynamics.com", "space"),
        ("https://contoso.crm.dyna\nmics.com", "control"),
    ];
    for (url, why) in table {
        let message = pair(url, None).expect_err(url);
        assert!(message.contains(why), "{url:?}: {message}");
    }
    for url in ["https://crm.example.com", "https://crm.example.com/api"] {
        assert!(pair(url, Some(UrlForm::Path)).is_err(), "{url}");
    }
}

#[test]
fn a_password_stands_in_no_error() {
    for url in [
        "https://user:secret@contoso.crm.dynamics.com",
        "https://user:secret@10.0.0.1/x",
        "https://user:secret@exa mple.com",
        " https://user:secret@contoso.crm.dynamics.com",
    ] {
        assert!(!pair(url, None).unwrap_err().contains("secret"), "{url}");
        let contoso = organization("https://contoso.crm.test");
        let error = contoso.locate(url).unwrap_err();
        assert!(!error.message().contains("secret"), "{error}");
    }
    let contoso = organization("https://contoso.crm.test");
    for url in [
        "https://user:secret@contoso.crm.test/api",
        "https://other.test/x?sig=secret",
    ] {
        let error = contoso.locate(url).unwrap_err();
        assert!(!error.message().contains("secret"), "{error}");
    }
}

#[test]
fn an_explicit_alternate_may_be_anything() {
    let organization = |primary, alternate| Organization::new(primary, Some(alternate), None);
    for (primary, alternate) in [
        ("https://10.0.0.1", "https://10.0.0.2"),
        ("http://localhost:1", "http://localhost:2"),
        (
            "https://crm.example.com/Contoso",
            "https://dr.example.net/a/b",
        ),
        (
            "https://disco.crm.dynamics.com",
            "https://disco.crm4.dynamics.com",
        ),
        ("http://crm.example.com", "https://crm.example.com"),
        ("https://xn--contos-xxa.crm.com", "https://b.crm.com"),
    ] {
        let pair = organization(primary, alternate).expect(primary);
        assert!(pair.has_explicit_alternate());
        assert_eq!(pair.starts_on(), Role::Primary);
        assert_eq!(pair.url(Role::Primary), primary);
        assert_eq!(pair.url(Role::Alternate), alternate);
    }
    assert!(organization("https://a.example", "http://b.example").is_err());
    assert!(organization("https://a.example", "https://a.example/").is_err());
    assert!(organization("https://a.example", "https://u:p@b.example").is_err());
}

/// The URL of a request at both endpoints.
fn both(organization: &Organization, url: &str) -> Result<(String, String), ErrorKind> {
    let target = organization.locate(url).map_err(|error| error.kind())?;
    let at = |role| String::from(organization.url_of(&target, role));
    Ok((at(Role::Primary), at(Role::Alternate)))
}

#[test]
fn requests_on_either_endpoint_or_relative() {
    let contoso = organization("https://contoso.crm.test");
    let expected = Ok((
        "https://contoso.crm.test/api/data/v9.2/accounts?$top=1".to_owned(),
        "https://contoso--s.crm.test/api/data/v9.2/accounts?$top=1".to_owned(),
    ));
    for url in [
        "/api/data/v9.2/accounts?$top=1",
        "api/data/v9.2/accounts?$top=1",
        "https://contoso.crm.test/api/data/v9.2/accounts?$top=1",
        "https://contoso.crm.test:443/api/data/v9.2/accounts?$top=1#x",
        "https://contoso--s.crm.test/api/data/v9.2/accounts?$top=1",
        "HTTPS://CONTOSO--S.crm.test/api/data/v9.2/accounts?$top=1",
    ] {
        assert_eq!(both(&contoso, url), expected, "{url}");
    }
    let sibling = both(&contoso, "https://contoso--s.api.crm.test/x").unwrap();
    assert_eq!(sibling.0, "https://contoso.api.crm.test/x");
    assert_eq!(sibling.1, "https://contoso--s.api.crm.test/x");
}

#[test]
fn requests_to_other_origins_are_refused() {
    let contoso = organization("https://contoso.crm.test");
    for url in [
        "http://contoso.crm.test/x",
        "https://contoso.crm.test:8443/x",
        "https://fabrikam.crm.test/x",
        "https://contoso.crm.test.evil.example/x",
        "https://contoso.other.crm.test/x",
        "//evil.example/x",
        "\\\\evil.example/x",
        "/\\evil.example/x",
        "javascript:alert(1)",
        "https://",
        "/x\r\nHost: evil",
    ] {
        assert_eq!(both(&contoso, url), Err(ErrorKind::InvalidUrl), "{url:?}");
    }
}

#[test]
fn a_sibling_is_of_the_same_owner() {
    for (base, other) in [
        ("https://contoso.com", "https://contoso.api.com/x"),
        ("https://contoso.api.com", "https://contoso.com/x"),
        ("https://contoso.api.com.", "https://contoso.com./x"),
    ] {
        assert_eq!(
            both(&organization(base), other),
            Err(ErrorKind::InvalidUrl),
            "{base}"
        );
    }
}

#[test]
fn different_base_paths_keep_the_part_after_the_base() {
    let pair = Organization::new(
        "https://crm.example.com/Contoso",
        Some("https://dr.example.net/a/b"),
        None,
    )
    .unwrap();
    let expected = Ok((
        "https://crm.example.com/Contoso/api/x?y".to_owned(),
        "https://dr.example.net/a/b/api/x?y".to_owned(),
    ));
    for url in [
        "/api/x?y",
        "/Contoso/api/x?y",
        "https://crm.example.com/Contoso/api/x?y",
        "https://dr.example.net/a/b/api/x?y",
    ] {
        assert_eq!(both(&pair, url), expected, "{url}");
    }
    for url in [
        "https://crm.example.com/Contoso2/api/x",
        "https://dr.example.net/a/api/x",
        "/../Other/api",
        "https://crm.example.com/Contoso/../Other",
    ] {
        assert_eq!(both(&pair, url), Err(ErrorKind::InvalidUrl), "{url}");
    }
}

#[test]
fn endpoints_on_one_origin_are_told_apart() {
    let pair = Organization::new("https://a.example", Some("https://a.example/dr"), None).unwrap();
    let expected = Ok((
        "https://a.example/api/x".to_owned(),
        "https://a.example/dr/api/x".to_owned(),
    ));
    assert_eq!(both(&pair, "https://a.example/dr/api/x"), expected);
    assert_eq!(both(&pair, "https://a.example/api/x"), expected);
    let path = Organization::new("http://crm/Contoso", None, Some(UrlForm::Path)).unwrap();
    assert_eq!(
        both(&path, "http://crm/Contoso--s/api/x").unwrap().0,
        "http://crm/Contoso/api/x"
    );
}

#[test]
fn the_pure_functions_keep_the_rest_of_the_url() {
    let primary = "https://contoso.crm.test:8443/api/data/v9.2/a(1)?$filter=b%20eq%20'c'";
    let alternate = "https://contoso--s.crm.test:8443/api/data/v9.2/a(1)?$filter=b%20eq%20'c'";
    let normal = |url: &str| String::from(Url::parse(url).unwrap());
    assert_eq!(alternate_url(primary).unwrap(), normal(alternate));
    assert_eq!(alternate_url(alternate).unwrap(), normal(alternate));
    assert_eq!(primary_url(alternate).unwrap(), normal(primary));
    assert_eq!(primary_url(primary).unwrap(), normal(primary));
    assert!(is_alternate_url(alternate).unwrap());
    assert!(!is_alternate_url(primary).unwrap());
    assert!(is_alternate_url("https://10.0.0.1").is_err());
}

proptest! {
    #[test]
    fn the_rule_is_inverse_and_idempotent(
        label in "[a-zA-Z0-9][a-zA-Z0-9-]{0,64}",
        domain in "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}",
        port in proptest::option::of(1u16..),
        rest in "(/api/[a-z0-9/().,$%-]{0,20})?",
    ) {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let url = format!("https://{label}.{domain}{port}{rest}");
        if let Ok(alternate) = alternate_url(&url) {
            let primary = primary_url(&url).unwrap();
            prop_assert_ne!(&alternate, &primary);
            prop_assert_eq!(primary_url(&alternate).unwrap(), primary.clone());
            prop_assert_eq!(alternate_url(&primary).unwrap(), alternate.clone());
            prop_assert_eq!(alternate_url(&alternate).unwrap(), alternate.clone());
            prop_assert_eq!(primary_url(&primary).unwrap(), primary.clone());
            prop_assert!(is_alternate_url(&alternate).unwrap());
            prop_assert!(!is_alternate_url(&primary).unwrap());
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,60}", url in "https?://[\\PC]{0,40}") {
        let contoso = organization("https://contoso.crm.test");
        let by_path = Organization::new("http://crm/Contoso", None, Some(UrlForm::Path)).unwrap();
        for text in [&text, &url] {
            let _ = alternate_url(text);
            let _ = primary_url(text);
            for form in [None, Some(UrlForm::Host), Some(UrlForm::Path)] {
                let _ = Organization::new(text, None, form);
            }
            for organization in [&contoso, &by_path] {
                if let Ok(target) = organization.locate(text) {
                    for role in [Role::Primary, Role::Alternate] {
                        let there = organization.url_of(&target, role);
                        // Whatever was asked, it is under one of the two base URLs, and found again.
                        prop_assert!(there.as_str().starts_with("http"));
                        prop_assert_eq!(&organization.locate(there.as_str()).unwrap(), &target);
                    }
                }
            }
        }
    }
}
