use proptest::prelude::*;

use super::*;
use crate::classify::Protocol;
use crate::{AllowedHost, alternate_url, is_alternate_url, primary_url};

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
        // Ports, case, dots at the end.
        ("HTTPS://Contoso.CRM.dynamics.com:443", host, "https://contoso.crm.dynamics.com", "https://contoso--s.crm.dynamics.com", primary),
        ("http://contoso.crm.test:80/", host, "http://contoso.crm.test", "http://contoso--s.crm.test", primary),
        ("http://contoso.crm.test:443/", host, "http://contoso.crm.test:443", "http://contoso--s.crm.test:443", primary),
        ("https://Contoso--S.crm.test.:8443/API/data", host, "https://contoso.crm.test.:8443", "https://contoso--s.crm.test.:8443", alternate),
        ("http://crm:5555/CONTOSO--S/", path, "http://crm:5555/CONTOSO", "http://crm:5555/CONTOSO--s", alternate),
        // Labels: longest, two of them, hyphens, digits.
        ("https://a.b.c", host, "https://a.b.c", "https://a--s.b.c", primary),
        ("https://crm.contoso.co.uk", host, "https://crm.contoso.co.uk", "https://crm--s.contoso.co.uk", primary),
        ("https://crm.contoso.azurewebsites.net", host, "https://crm.contoso.azurewebsites.net", "https://crm--s.contoso.azurewebsites.net", primary),
        ("https://12345.crm.test", host, "https://12345.crm.test", "https://12345--s.crm.test", primary),
        ("https://con-to--so.crm.test", host, "https://con-to--so.crm.test", "https://con-to--so--s.crm.test", primary),
        ("https://contoso-s.crm.test", host, "https://contoso-s.crm.test", "https://contoso-s--s.crm.test", primary),
        ("https://disco-contoso.crm.test", host, "https://disco-contoso.crm.test", "https://disco-contoso--s.crm.test", primary),
        ("https://contoso.disco.crm.test", host, "https://contoso.disco.crm.test", "https://contoso--s.disco.crm.test", primary),
        ("https://contoso.xn--bcher-kva.test", host, "https://contoso.xn--bcher-kva.test", "https://contoso--s.xn--bcher-kva.test", primary),
        ("https://con_toso.crm.test", host, "https://con_toso.crm.test", "https://con_toso--s.crm.test", primary),
        // Read as the URL standard reads it: escapes, dot segments, missing slashes.
        ("https://cont%6Fso.crm.test", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso%2D%2Ds.crm.test", host, "https://contoso.crm.test", "https://contoso--s.crm.test", alternate),
        ("https://contoso.crm.test/x/../api/./data", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso.crm.test/%2e%2e/api", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso.crm.test%2e", host, "https://contoso.crm.test.", "https://contoso--s.crm.test.", primary),
        ("https:contoso.crm.test", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso.crm.test//", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("http://crm/x/../Contoso", path, "http://crm/Contoso", "http://crm/Contoso--s", primary),
        ("http://crm/Contoso/a b", path, "http://crm/Contoso/a%20b", "http://crm/Contoso--s/a%20b", primary),
        // Services, of which the base is taken.
        ("https://contoso.crm.test/xrmservices/2011/OrganizationData.svc", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso.crm.test/MSCRMServices/x", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
        ("https://contoso.crm.test/AppWebServices/x", host, "https://contoso.crm.test", "https://contoso--s.crm.test", primary),
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
        ("https://contoso.crm.test\u{a0}", "space"),
        // IPv4 in every spelling, IPv6.
        ("https://0x7f.0.0.1", "IP address"),
        ("https://0177.0.0.1", "IP address"),
        ("https://127.1", "IP address"),
        ("https://0x7f000001", "IP address"),
        ("https://10.0.0.1.", "IP address"),
        ("https://１２７.0.0.1", "IP address"),
        ("https://%31%30.0.0.1", "IP address"),
        ("https://[fe80::1]:8443", "IP address"),
        ("https://[::ffff:10.0.0.1]", "IP address"),
        ("https://[fe80::1%25eth0]", "not a URL"),
        ("https://contoso.1", "not a URL"),
        ("https://256.0.0.1", "not a URL"),
        // Labels.
        ("https://.", "one label"),
        ("https://..", "one label"),
        ("https://.contoso.crm.test", "empty label"),
        ("https://contoso.crm.test..", "empty label"),
        ("https://xn--contos-xxa--s.crm.test", "not a URL"),
        ("https://CONTOSO--S--s.crm.test", "twice"),
        ("https://--S.crm.test", "--s alone"),
        ("https://----s.crm.test", "hyphen"),
        ("https://contoso---s.crm.test", "hyphen"),
        ("https://contoso-.crm.test", "hyphen"),
        ("https://-contoso.crm.test", "hyphen"),
        ("https://GlobalDisco.crm.test", "Discovery"),
        ("https://dev--s.crm.test", "Discovery"),
        ("https://con~toso.crm.test", "no host name"),
        ("https://con;toso.crm.test", "no host name"),
        ("https://*.crm.test", "no host name"),
        ("https://con toso.crm.test", "not a URL"),
        ("https://con%00toso.crm.test", "not a URL"),
        ("https://con%2Ftoso.crm.test", "not a URL"),
        // Schemes, user info, ports, the rest.
        ("ws://contoso.crm.test", "only http and https"),
        ("file:///contoso.crm.test", "only http and https"),
        ("contoso.crm.test:443", "only http and https"),
        ("javascript:alert(1)", "only http and https"),
        ("mailto:a@contoso.crm.test", "only http and https"),
        ("https://:p@contoso.crm.test", "user info"),
        ("https://a%40b@contoso.crm.test", "user info"),
        ("https://contoso.crm.test:65536", "not a URL"),
        ("https://contoso.crm.test:x", "not a URL"),
        ("https://", "not a URL"),
        ("https://?x", "not a URL"),
        ("//contoso.crm.test", "not a URL"),
        ("/api/data", "not a URL"),
        ("https://contoso.crm.test?", "no query"),
        ("https://contoso.crm.test#", "no query"),
        ("https://contoso.crm.test/main.aspx", "ambiguous"),
        ("https://contoso.crm.test/api2", "ambiguous"),
        ("https://contoso.crm.test/%61pi", "ambiguous"),
        ("https://contoso.crm.test\\@evil.example", "backslash"),
        ("https:\\\\contoso.crm.test\\api\\data", "backslash"),
        // Names that anybody can register.
        ("https://contoso.com", "alternate_url"),
        ("https://contoso.com.", "anybody can register"),
        ("https://contoso--s.com", "anybody can register"),
        ("https://contoso.co.uk", "anybody can register"),
        ("https://contoso.azurewebsites.net", "anybody can register"),
        ("https://contoso.github.io", "anybody can register"),
        ("https://contoso.local", "anybody can register"),
        ("https://co.uk", "anybody can register"),
    ];
    for (url, why) in table {
        let message = pair(url, None).expect_err(url);
        assert!(message.contains(why), "{url:?}: {message}");
    }
    for (url, why) in [
        ("https://crm.example.com", "no organization's name"),
        ("https://crm.example.com/api", "no organization's name"),
        (
            "https://crm.example.com/%2e/XRMServices",
            "no organization's name",
        ),
        ("https://crm.example.com/--s", "--s alone"),
        ("https://crm.example.com/Contoso--S--s", "twice"),
        ("https://crm.example.com/Contoso%2D%2ds", "percent-encoding"),
        ("https://crm.example.com/Contosö", "percent-encoding"),
    ] {
        let message = pair(url, Some(UrlForm::Path)).expect_err(url);
        assert!(message.contains(why), "{url:?}: {message}");
    }
}

#[test]
fn the_longest_names() {
    let host = |label: usize, rest: usize| {
        let rest = format!("{}.", "b".repeat(49)).repeat(rest / 50) + &"c".repeat(rest % 50);
        format!("https://{}.{rest}", "a".repeat(label))
    };
    // 60 + 1 + 189 octets, 253 with --s.
    let longest = pair(&host(60, 189), None).unwrap();
    assert_eq!(longest.1.len(), "https://".len() + 253);
    assert!(pair(&format!("{}.", host(60, 189)), None).is_ok());
    for (url, why) in [
        (host(61, 50 + 9), "63 octets"),
        (host(60, 190), "253 octets"),
        (host(9, 245), "253 octets"),
    ] {
        let message = pair(&url, None).expect_err(&url);
        assert!(message.contains(why), "{url:?}: {message}");
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
        "https://contoso.crm.test:443/api/data/v9.2/accounts?$top=1",
        "https://contoso--s.crm.test/api/data/v9.2/accounts?$top=1",
        "HTTPS://CONTOSO--S.crm.test/api/data/v9.2/accounts?$top=1",
        "https://cont%6Fso.crm.test/api/data/v9.2/accounts?$top=1",
        "/api/data/v9.2/x/../accounts?$top=1",
        "/../api/data/%2e/v9.2/accounts?$top=1",
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
        "https://contoso.crm.test@evil.example/x",
        "https://contoso.crm.test:443@evil.example/x",
        "https://evil.example\\@contoso.crm.test/x",
        "https://evil.example#@contoso.crm.test/x",
        "https://u:p@contoso.crm.test/x",
        "https://contoso.crm.test./x",
        "https://contoso--s--s.crm.test/x",
        "https://contoso.api.api.crm.test/x",
        "https://api.contoso.crm.test/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "ftp://contoso.crm.test/x",
        "///evil.example/x",
        "\\/evil.example/x",
        " /x",
        "/x\0",
        "/x\ty",
        "/x\n",
        "\\api\\data\\v9.2/accounts",
        "https:\\\\contoso.crm.test\\api/data/v9.2/accounts",
        "https://contoso.crm.test\\api/data/v9.2/accounts",
        "/x#y",
        "x?a=b#c",
        "https://contoso.crm.test/x#y",
        "/api/data/v9.2/accounts(name='a/../b')",
        "/api/data/v9.2/accounts(name='a/%2e%2E/b')",
        "/api/data/v9.2/accounts(name='a/./b')",
        "/api/data/v9.2/accounts%28name=%27a/../b%27%29",
        "api/data/v9.2/accounts(x/../contacts(1))",
    ] {
        assert_eq!(both(&contoso, url), Err(ErrorKind::InvalidUrl), "{url:?}");
    }
}

#[test]
fn a_sibling_is_of_the_same_owner() {
    for (base, other, is_sibling) in [
        ("https://contoso.api.com", "https://contoso.com/x", false),
        ("https://contoso.api.com.", "https://contoso.com./x", false),
        (
            "https://contoso.api.co.uk",
            "https://contoso.co.uk/x",
            false,
        ),
        (
            "https://crm.contoso.com",
            "https://crm.api.contoso.com/x",
            true,
        ),
        (
            "https://crm.api.contoso.com",
            "https://crm.contoso.com/x",
            true,
        ),
        (
            "https://crm.contoso.co.uk",
            "https://crm.api.contoso.co.uk/x",
            true,
        ),
        (
            "https://contoso.api.azurewebsites.net",
            "https://contoso.azurewebsites.net/x",
            false,
        ),
    ] {
        assert_eq!(
            both(&organization(base), other).is_ok(),
            is_sibling,
            "{base}"
        );
    }
}

/// The text that a server decodes.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = text_of_hex(tail).filter(|_| byte == b'%');
        bytes.push(hex.unwrap_or(byte));
        rest = if hex.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn text_of_hex(tail: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok()
}

#[test]
fn what_is_sent_is_what_was_given() {
    let contoso = organization("https://contoso.crm.test");
    let by_path = Organization::new("http://crm/Contoso", None, Some(UrlForm::Path)).unwrap();
    let printable = (' '..='~').chain("äß€\u{1f600}\u{a0}\u{2028}\u{feff}".chars());
    for c in printable {
        for (part, url) in [
            ("path", format!("/api/data/v9.2/accounts(name='A{c}1')")),
            ("path", format!("/api/data/v9.2/accounts(A{c}1)")),
            (
                "query",
                format!("/api/data/v9.2/accounts?$filter=a eq 'A{c}1'&b={c}{c}x"),
            ),
        ] {
            if part == "path" && c == '?' {
                continue;
            }
            for organization in [&contoso, &by_path] {
                let base = organization.url(Role::Primary);
                let alternate = organization.url(Role::Alternate);
                for given in [
                    url.clone(),
                    format!("{base}{url}"),
                    format!("{alternate}{url}"),
                ] {
                    let sent = both(organization, &given);
                    if c == '#' {
                        assert_eq!(sent, Err(ErrorKind::InvalidUrl), "{given}");
                        continue;
                    }
                    let (at_primary, at_alternate) = sent.expect(&given);
                    let expected = [decoded(base), decoded(&url)].concat();
                    assert_eq!(decoded(&at_primary), expected, "{given} as {at_primary}");
                    let legal = |byte: u8| {
                        byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=%".contains(&byte)
                    };
                    assert!(at_primary.bytes().all(legal), "{at_primary}");
                    assert_eq!(
                        at_primary.strip_prefix(base),
                        at_alternate.strip_prefix(alternate),
                    );
                }
            }
        }
    }
    for (given, sent) in [
        (
            "/a%2Fb%2fc%5c%5C%20?%2F%5c%23",
            "/a%2Fb%2fc%5c%5C%20?%2F%5c%23",
        ),
        ("/a//b///c?d//e", "/a//b///c?d//e"),
        ("/a('b//c')", "/a('b//c')"),
        ("/a?b=c?d=/../e", "/a?b=c?d=/../e"),
        ("/a?b='x/../y'", "/a?b=%27x/../y%27"),
        ("/a(b='..')", "/a(b='..')"),
        ("/a('b/..')", "/a('b/..')"),
        ("/a('b\\..\\c')", "/a('b%5C..%5Cc')"),
        ("/100%", "/100%25"),
        ("/100%zz?1%2", "/100%25zz?1%252"),
        ("/a+b?c+d", "/a+b?c+d"),
        ("/a?", "/a?"),
    ] {
        let (at_primary, _) = both(&contoso, given).expect(given);
        assert_eq!(
            at_primary,
            format!("https://contoso.crm.test{sent}"),
            "{given}"
        );
        let (again, _) = both(&contoso, &at_primary).expect(given);
        assert_eq!(again, at_primary);
    }
}

#[test]
fn what_is_refused_says_what_to_write() {
    let contoso = organization("https://contoso.crm.test");
    let long = format!("/x#{}", "y".repeat(70_000));
    for (url, why) in [
        ("/x#y", "%23"),
        (long.as_str(), "%23"),
        ("/accounts(name='a/../b')", "%2F"),
        ("/\\x", "%5C"),
        ("//evil.example", "without a scheme"),
        (" /x?secret", "space"),
        ("https://evil.example/x?secret", "allowed_hosts"),
        ("https://[/x?secret", "not a URL"),
    ] {
        let error = contoso.locate(url).expect_err(url);
        assert!(error.message().contains(why), "{error}");
        assert!(!error.message().contains("secret"), "{error}");
        assert!(error.message().len() < 600, "{error}");
    }
}

#[test]
fn a_relative_url_goes_on_from_the_url_that_was_given() {
    let web_api = "/api/data/v9.2";
    let soap = "/XRMServices/2011/Organization.svc";
    #[rustfmt::skip]
    let table = [
        ("https://contoso.crm.test", None, "accounts", "https://contoso.crm.test/accounts"),
        ("https://contoso.crm.test/", None, "api/data/v9.2/accounts", "https://contoso.crm.test/api/data/v9.2/accounts"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "accounts?$top=1", "https://contoso.crm.test/api/data/v9.2/accounts?$top=1"),
        ("https://contoso.crm.test/api/data/v9.2", None, "accounts", "https://contoso.crm.test/api/data/v9.2/accounts"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "/accounts", "https://contoso.crm.test/accounts"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "/api/data/v9.1/accounts", "https://contoso.crm.test/api/data/v9.1/accounts"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "../v9.1/accounts", "https://contoso.crm.test/api/data/v9.1/accounts"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "$batch", "https://contoso.crm.test/api/data/v9.2/$batch"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "a('b\\c')", "https://contoso.crm.test/api/data/v9.2/a('b%5Cc')"),
        ("https://contoso.crm.test/api/data/v9.2/", None, "", "https://contoso.crm.test/api/data/v9.2"),
        ("https://contoso--s.crm.test/api/data/v9.2/", None, "accounts", "https://contoso.crm.test/api/data/v9.2/accounts"),
        ("https://contoso.crm.test/XRMServices/2011/Organization.svc", None, "", "https://contoso.crm.test/XRMServices/2011/Organization.svc"),
        ("https://contoso.crm.test/XRMServices/2011/Organization.svc", None, "?wsdl", "https://contoso.crm.test/XRMServices/2011/Organization.svc?wsdl"),
        ("https://contoso.crm.test/XRMServices/2011/Organization.svc", None, "web", "https://contoso.crm.test/XRMServices/2011/Organization.svc/web"),
        ("http://crm/Contoso", Some(UrlForm::Path), "api/x", "http://crm/Contoso/api/x"),
        ("http://crm/Contoso/api/data/v9.2/", Some(UrlForm::Path), "accounts", "http://crm/Contoso/api/data/v9.2/accounts"),
        ("http://crm/Contoso/api/data/v9.2/", Some(UrlForm::Path), "/api/x", "http://crm/Contoso/api/x"),
        ("http://crm/Contoso/api/data/v9.2/", Some(UrlForm::Path), "/Contoso/api/x", "http://crm/Contoso/api/x"),
        ("https://crm.contoso.com/proxy/api/data", Some(UrlForm::Host), "x", "https://crm.contoso.com/proxy/api/data/x"),
    ];
    for (url, form, relative, expected) in table {
        let organization = Organization::new(url, None, form).expect(url);
        let (at_primary, at_alternate) = both(&organization, relative).expect(relative);
        assert_eq!(at_primary, expected, "{url} {relative}");
        let rest = &at_primary[organization.url(Role::Primary).len()..];
        assert_eq!(
            at_alternate,
            format!("{}{rest}", organization.url(Role::Alternate))
        );
    }
    let pair = Organization::new(
        &format!("https://a.example{web_api}/"),
        Some(&format!("https://b.example/dr{soap}")),
        None,
    );
    assert_eq!(
        both(&pair.unwrap(), "accounts").unwrap().1,
        "https://b.example/dr/api/data/v9.2/accounts"
    );
}

#[test]
fn links_of_answers() {
    let allowed = AllowedHost::parse_list("files.example.com").unwrap();
    let contoso = organization("https://contoso.crm.test").with_allowed_hosts(allowed);
    let from = "https://contoso--s.crm.test/api/data/v9.2/accounts?$top=1";
    let row = "https://contoso.crm.test/api/data/v9.2/accounts";
    #[rustfmt::skip]
    let table = [
        ("https://contoso--s.crm.test/api/data/v9.2/accounts(1)", Some("(1)")),
        ("/api/data/v9.2/accounts(1)#top", Some("(1)")),
        ("accounts(1)", Some("(1)")),
        ("../v9.2/accounts(1)", Some("(1)")),
        ("//contoso.crm.test/api/data/v9.2/accounts(1)", Some("(1)")),
        ("/api/data/v9.2/accounts(name='A\\1')", Some("(name='A%5C1')")),
        ("/api/data/v9.2/accounts(name='a/../b')", None),
        ("https://files.example.com/a", Some("foreign")),
        ("http://fe-17.internal/api/data/v9.2/accounts(1)", None),
        ("https://evil.example/login", None),
        ("javascript:alert(1)", None),
        ("https://u:p@contoso.crm.test/api/data/v9.2/accounts(1)", None),
    ];
    for (link, followed) in table {
        let located = contoso
            .locate_link(link, from)
            .map(|target| match target.foreign() {
                Some(_) => "foreign".to_owned(),
                None => String::from(contoso.url_of(&target, Role::Primary)).replace(row, ""),
            });
        assert_eq!(located.as_deref(), followed, "{link}");
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
fn an_organization_s_name_in_the_path_is_compared_in_any_case() {
    let path = Organization::new("http://crm/Contoso--S", None, Some(UrlForm::Path)).unwrap();
    let expected = Ok((
        "http://crm/Contoso/Api/x".to_owned(),
        "http://crm/Contoso--s/Api/x".to_owned(),
    ));
    for url in [
        "http://crm/CONTOSO/Api/x",
        "http://crm/contoso--S/Api/x",
        "/CONTOSO/Api/x",
        "/Api/x",
    ] {
        assert_eq!(both(&path, url), expected, "{url}");
    }
    assert!(both(&path, "http://crm/Contoso2/Api/x").is_err());
    let explicit = Organization::new("http://crm/Contoso", Some("http://dr/Contoso"), None);
    assert!(both(&explicit.unwrap(), "http://crm/CONTOSO/Api/x").is_err());
}

#[test]
fn a_url_that_would_be_another_one_at_the_other_endpoint_is_refused() {
    let pair = Organization::new("https://a.example", Some("https://a.example/dr"), None).unwrap();
    for url in [
        "https://a.example/dr/dr/x",
        "https://a.example/dr/dr",
        "/dr/dr?x",
    ] {
        assert_eq!(both(&pair, url), Err(ErrorKind::InvalidUrl), "{url}");
    }
    let other = "https://a.example/dr/drx".to_owned();
    assert_eq!(both(&pair, &other).unwrap().1, other);
}

#[test]
fn links_of_the_other_side_are_followed_to_the_active_one() {
    let pair = Organization::new(
        "https://crm.example.com/Contoso",
        Some("http://[fe80::1]:8080/a"),
        None,
    );
    assert!(pair.is_err(), "https never becomes http");
    let pair = Organization::new(
        "http://10.0.0.1:5555/Contoso",
        Some("https://[fe80::1]:8080/a"),
        None,
    )
    .unwrap();
    for (link, at_primary, at_alternate) in [
        (
            "https://[FE80:0::1]:8080/a/api/data/v9.2/accounts?$skiptoken=%3Ccookie%20page=%222%22/%3E",
            "http://10.0.0.1:5555/Contoso/api/data/v9.2/accounts?$skiptoken=%3Ccookie%20page=%222%22/%3E",
            "https://[fe80::1]:8080/a/api/data/v9.2/accounts?$skiptoken=%3Ccookie%20page=%222%22/%3E",
        ),
        (
            "http://0xa.0.0.1:5555/Contoso/api/data/v9.2/accounts(1)",
            "http://10.0.0.1:5555/Contoso/api/data/v9.2/accounts(1)",
            "https://[fe80::1]:8080/a/api/data/v9.2/accounts(1)",
        ),
    ] {
        let expected = Ok((at_primary.to_owned(), at_alternate.to_owned()));
        assert_eq!(both(&pair, link), expected, "{link}");
    }
}

#[test]
fn who_is_asked_by_a_path() {
    let (odata, soap) = (Some(Protocol::OData), Some(Protocol::Soap));
    for (path, read, write) in [
        ("/api/data/v9.2/accounts", odata, odata),
        ("/XRMServices/2011/Organization.svc/web", soap, soap),
        ("/XRMServices/2011/OrganizationData.svc/Set", odata, odata),
        // The organization's name stands in the path, and not in the base.
        ("/Contoso/api/data/v9.2/accounts?a=/b", odata, odata),
        ("/Contoso/XRMServices/2011/Organization.svc", soap, soap),
        ("/odata/v4/orders", None, odata),
        ("/orders.svc", None, soap),
        ("/", None, odata),
        ("/main.aspx?a=/api/", None, odata),
        ("/WebResources/new_/api/index.html", None, odata),
    ] {
        let target = organization("https://contoso.crm.test").locate(path);
        let target = target.unwrap();
        let got = (target.protocol(), target.protocol_of_write());
        assert_eq!(got, (read, write), "{path}");
    }
}

#[test]
fn an_allowed_host_is_neither_endpoint() {
    let allowed = AllowedHost::parse_list("files.example.com, contoso.crm.test:8443").unwrap();
    let contoso = organization("https://contoso.crm.test").with_allowed_hosts(allowed.clone());
    for url in [
        "https://files.example.com/a?b",
        "https://FILES.example.com:443/a?b",
        "https://contoso.crm.test:8443/api/x",
    ] {
        let target = contoso.locate(url).unwrap();
        let expected = Url::parse(url).unwrap();
        assert_eq!(target.foreign(), Some(&expected));
        assert_eq!(
            (target.protocol(), target.protocol_of_write()),
            (None, None)
        );
        for role in [Role::Primary, Role::Alternate] {
            assert_eq!(contoso.url_of(&target, role), expected);
        }
    }
    let own = contoso.locate("https://contoso--s.crm.test/api").unwrap();
    assert_eq!(own.foreign(), None);
    assert_eq!(own.protocol(), Some(Protocol::OData));
    for url in [
        "http://files.example.com/a",
        "http://contoso.crm.test:8443/a",
        "https://files.example.com:8443/a",
        "https://files.example.com/a#c",
        "https://u:secret@files.example.com/a",
        "https://x.files.example.com/a",
        "ftp://files.example.com/a",
        "//files.example.com/a",
    ] {
        let error = contoso.locate(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
        assert!(!error.message().contains("secret"), "{error}");
    }
    // A pair without TLS may ask either scheme; one with an https endpoint may not.
    let plain = organization("http://contoso.crm.test").with_allowed_hosts(allowed.clone());
    for url in ["http://files.example.com/a", "https://files.example.com/a"] {
        assert!(plain.locate(url).unwrap().foreign().is_some(), "{url}");
    }
    let mixed = Organization::new("http://a.example", Some("https://b.example"), None).unwrap();
    let mixed = mixed.with_allowed_hosts(allowed);
    assert!(mixed.locate("http://files.example.com/a").is_err());
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
    fn whatever_is_accepted_is_inverse_and_idempotent(
        scheme in "(https?|HTTPS?):[/\\\\]{0,3}",
        label in "[a-zA-Z0-9_%-]{0,6}(--[sS]){0,2}",
        domain in "(\\.[a-zA-Z0-9%-]{0,5}){0,4}\\.?",
        port in "(:[0-9]{0,5})?",
        path in "([/\\\\][ -~]{0,8}){0,3}",
        form in prop::sample::select(vec![None, Some(UrlForm::Host), Some(UrlForm::Path)]),
    ) {
        let url = format!("{scheme}{label}{domain}{port}{path}");
        if let Ok(first) = Organization::new(&url, None, form) {
            let (primary, alternate) = (first.url(Role::Primary), first.url(Role::Alternate));
            prop_assert_ne!(primary, alternate);
            for (base, role) in [(primary, Role::Primary), (alternate, Role::Alternate)] {
                // In host form a path that the base has was let in by saying so.
                let again = Organization::new(base, None, form).unwrap();
                prop_assert_eq!(again.starts_on(), role);
                prop_assert_eq!(again.url(Role::Primary), primary);
                prop_assert_eq!(again.url(Role::Alternate), alternate);
                // The base URL itself is found on its own side, and is the same at the other.
                let target = first.locate(base).unwrap();
                let found = first.url_of(&target, role);
                prop_assert_eq!(found.as_str().trim_end_matches('/'), base);
            }
        }
        if let Ok(alternate) = alternate_url(&url) {
            let primary = primary_url(&url).unwrap();
            prop_assert_ne!(&alternate, &primary);
            prop_assert_eq!(&primary_url(&alternate).unwrap(), &primary);
            prop_assert_eq!(&alternate_url(&primary).unwrap(), &alternate);
            prop_assert_eq!(&alternate_url(&alternate).unwrap(), &alternate);
            prop_assert_eq!(&primary_url(&primary).unwrap(), &primary);
        }
    }

    #[test]
    fn a_target_is_the_same_from_either_side(
        which in 0usize..6,
        side in any::<bool>(),
        rest in "([/\\\\][ -~]{0,8}){0,3}",
    ) {
        let pair = |primary, alternate| Organization::new(primary, Some(alternate), None).unwrap();
        let organization = match which {
            0 => organization("https://contoso.api.crm.test"),
            1 => Organization::new("http://crm:5555/Contoso", None, Some(UrlForm::Path)).unwrap(),
            2 => pair("http://crm.example.com/Contoso", "https://10.0.0.1:8443/a/b"),
            3 => pair("https://a.example", "https://a.example/dr"),
            4 => pair("https://a.example/dr/x", "https://a.example/dr"),
            _ => pair("https://[::1]", "https://crm"),
        };
        let role = if side { Role::Primary } else { Role::Alternate };
        let url = format!("{}{rest}", organization.url(role));
        if let Ok(target) = organization.locate(&url) {
            for role in [Role::Primary, Role::Alternate] {
                let there = organization.url_of(&target, role);
                let again = organization.locate(there.as_str()).unwrap();
                prop_assert_eq!(organization.url_of(&again, role), there);
                // A base without a path has its slash even so: `/dr` is `/` there.
                if !rest.is_empty() {
                    prop_assert_eq!(&again, &target);
                }
            }
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

proptest! {
    /// What is spared the parser of URLs means what the parser would have made of it.
    #[test]
    fn a_plain_path_is_located_as_any_other(url in "[/?.a-zA-Z0-9_()=,$~&:@;!*+%-]{0,24}") {
        let organization = Organization::new("https://contoso.crm.test:8443", None, None).unwrap();
        let located = organization.locate(&url);
        // Never plain: the alternate has a base path.
        let other = Organization::new(
            "https://contoso.crm.test:8443",
            Some("https://other.test/base"),
            None,
        )
        .unwrap();
        let parsed = other.locate(&url);
        prop_assert_eq!(located.is_ok(), parsed.is_ok(), "{}", url);
        if let (Ok(located), Ok(parsed)) = (located, parsed) {
            let url = organization.url_of(&located, Role::Primary);
            prop_assert_eq!(&url, &other.url_of(&parsed, Role::Primary));
            prop_assert_eq!(
                organization.text_of(&located, Role::Primary),
                Some(String::from(url))
            );
        }
    }
}
