//! Codings, proxies, certificates, redirects, allowed hosts, `Expect`, the prepare hook.

mod support;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use d365_failover_core::{
    BodySource, Client, Effect, ErrorKind, FaultKind, HttpVersion, Outgoing, Phase, Prepare,
    Request, Resolve, ResolveError, Response, Role, Settings,
};
use d365_twin::{OrgHandle, OrganizationConfig, ProxyConfig, Twin, TwinConfig};
use support::contoso::{WHO, create, get, settings};

fn start(change: impl FnOnce(&mut OrganizationConfig)) -> (Twin, OrgHandle) {
    let mut organization = OrganizationConfig::new("contoso");
    change(&mut organization);
    let mut foreign = OrganizationConfig::foreign();
    foreign.client_certificates = serde_json::from_str("\"ask\"").unwrap();
    let twin = Twin::start(TwinConfig::new([organization, foreign])).unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org)
}

fn with(twin: &Twin, pairs: &[(&str, &str)]) -> Settings {
    let mut settings = settings(twin);
    for (key, value) in pairs {
        settings.set(key, value).unwrap();
    }
    settings
}

fn whole(response: &Response) -> Vec<u8> {
    let mut body = Vec::new();
    let mut buffer = [0; 16];
    loop {
        match response.read(&mut buffer).unwrap() {
            0 => return body,
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
}

fn fault(text: &str) -> d365_twin::Fault {
    serde_json::from_str(text).unwrap()
}

#[test]
fn coded_bodies_are_decoded_unless_the_application_asked_for_them() {
    for (coding, http2) in [("gzip", false), ("br", false), ("gzip", true), ("br", true)] {
        let codings = serde_json::from_value(serde_json::json!([coding])).unwrap();
        let (twin, org) = start(|organization| {
            organization.codings = codings;
            organization.http2 = http2;
        });
        let client = Client::open(&settings(&twin)).unwrap();
        for streaming in [false, true] {
            let mut request = get(WHO);
            request.set_streaming(streaming);
            let response = client.send(&request).unwrap();
            let mut body = response.body().to_vec();
            if streaming {
                body = whole(&response);
            }
            assert!(body.starts_with(b"{"), "{coding}");
            assert!(!response.headers().contains_key("content-encoding"));
            assert!(!response.headers().contains_key("content-length"));
        }
        let mut raw = get(WHO);
        raw.add_header("Accept-Encoding", coding).unwrap();
        let response = client.send(&raw).unwrap();
        assert_eq!(response.headers()["content-encoding"], coding);
        assert!(!response.body().starts_with(b"{"), "{coding}");
        // One connection for all: bodies that were decoded gave it back.
        assert_eq!(org.primary.counts().connections, 1, "{coding}");
    }
}

#[test]
fn the_code_of_a_coded_failure_is_read_whoever_asked_for_the_coding() {
    for (coding, ask) in [
        ("gzip", None),
        ("br", None),
        ("gzip", Some("gzip")),
        ("br", Some("br")),
    ] {
        for streaming in [false, true] {
            let (twin, org) = start(|_| {});
            let client = Client::open(&settings(&twin)).unwrap();
            org.primary
                .fault(fault(&format!(
                    r#"{{"kind":"coded","coding":"{coding}","answer":{{"kind":"datacenter_not_available"}}}}"#
                )))
                .unwrap();
            let mut request = get(WHO);
            request.set_streaming(streaming);
            if let Some(ask) = ask {
                request.add_header("Accept-Encoding", ask).unwrap();
            }
            let response = client.send(&request).unwrap();
            let fault = response.attempts()[0].fault.as_ref().unwrap();
            assert_eq!(fault.kind, FaultKind::DatacenterNotAvailable, "{coding}");
            assert_eq!(fault.code, Some(-2_147_176_347));
        }
    }
}

#[test]
fn what_is_broken_or_too_large_after_decoding_is_an_error() {
    let (twin, org) = start(|_| {});
    let client = Client::open(&with(&twin, &[("max_response_body", "1000000")])).unwrap();
    for (kind, says) in [
        (
            r#"{"kind":"coded","coding":"gzip","truncated":true,"answer":{"kind":"status","status":200,"body":"a body that is long enough to be cut somewhere in its middle"}}"#,
            "cannot be decoded",
        ),
        (
            r#"{"kind":"coded","coding":"gzip","inflated":1073741824,"answer":{"kind":"status","status":200}}"#,
            "max_response_body",
        ),
        (
            r#"{"kind":"coded","coding":"br","inflated":1073741824,"answer":{"kind":"status","status":200}}"#,
            "max_response_body",
        ),
        (
            r#"{"kind":"status","status":200,"headers":{"content-encoding":"gzip"},"body":"no gzip at all"}"#,
            "cannot be decoded",
        ),
    ] {
        org.primary.clear().unwrap();
        org.primary.fault(fault(kind)).unwrap();
        let error = client.send(&get(WHO)).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Protocol),
            "{error}"
        );
        assert!(error.message().contains(says), "{error}");
        assert!(client.is_primary());
    }
}

#[test]
fn what_stands_round_an_answer_is_ignored() {
    for http2 in [false, true] {
        let (twin, org) = start(|organization| organization.http2 = http2);
        let client = Client::open(&settings(&twin)).unwrap();
        for kind in [
            r#"{"kind":"informational","status":103,"headers":{"link":"</x>"},"times":1}"#,
            r#"{"kind":"trailers","headers":{"retry-after":"7"},"times":1}"#,
        ] {
            org.primary.fault(fault(kind)).unwrap();
            let response = client.send(&get(WHO)).unwrap();
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key("retry-after"));
        }
        let head = Request::new("HEAD", WHO).unwrap();
        let response = client.send(&head).unwrap();
        assert_eq!((response.status(), response.body().len()), (200, 0));
        let response = client.send(&create("row")).unwrap();
        assert_eq!((response.status(), response.body().len()), (204, 0));
        let row = response.headers()["odata-entityid"]
            .to_str()
            .unwrap()
            .to_owned();
        let etag = client.send(&get(&row)).unwrap().headers()["etag"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut request = get(&row);
        request.add_header("If-None-Match", &etag).unwrap();
        let response = client.send(&request).unwrap();
        assert_eq!((response.status(), response.body().len()), (304, 0));
        assert_eq!(org.primary.counts().connections, 1);
    }
}

struct Once(Arc<AtomicUsize>);

impl BodySource for Once {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const TEXT: &[u8] = br#"{"name":"row"}"#;
        if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(0);
        }
        buffer[..TEXT.len()].copy_from_slice(TEXT);
        Ok(TEXT.len())
    }
    fn rewind(&mut self) -> io::Result<()> {
        unreachable!("a one-shot body is not rewound")
    }
}

fn one_shot_with_expect() -> (Request, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let mut request = Request::new("POST", support::contoso::ACCOUNTS).unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    request.add_header("Expect", "100-continue").unwrap();
    request.set_body_source(Box::new(Once(Arc::clone(&reads))), None, false);
    (request, reads)
}

#[test]
fn a_refusal_before_the_body_lets_a_one_shot_body_go_on_elsewhere() {
    let (twin, org) = start(|_| {});
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(fault(
            r#"{"kind":"answer_at_head","answer":{"kind":"datacenter_not_available"}}"#,
        ))
        .unwrap();
    let (request, reads) = one_shot_with_expect();
    let response = client.send(&request).unwrap();
    assert_eq!(response.attempts().len(), 2);
    assert_eq!(response.effect(), Effect::Executed);
    assert_eq!(reads.load(Ordering::SeqCst), 2);
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn a_server_that_says_nothing_to_expect_gets_the_body_all_the_same() {
    for http2 in [false, true] {
        let (twin, org) = start(|organization| organization.http2 = http2);
        let client = Client::open(&settings(&twin)).unwrap();
        org.primary
            .fault(fault(r#"{"kind":"withhold_continue"}"#))
            .unwrap();
        let (mut request, _) = one_shot_with_expect();
        // That it was waited for is no silence of the server's.
        request
            .set_read_timeout(Duration::from_millis(900))
            .unwrap();
        assert_eq!(client.send(&request).unwrap().status(), 204);
        assert_eq!(org.rows().len(), 1);
    }
}

#[test]
fn calls_go_through_a_proxy() {
    for (scheme, http2) in [("https", false), ("https", true), ("http", false)] {
        let scheme_value = serde_json::from_value(serde_json::json!(scheme)).unwrap();
        let (twin, _org) = start(|organization| {
            organization.scheme = scheme_value;
            organization.http2 = http2;
        });
        let proxy = twin
            .add_proxy(
                serde_json::from_str::<ProxyConfig>(
                    r#"{"name":"proxy","credentials":{"user":"u","password":"secret"}}"#,
                )
                .unwrap(),
            )
            .unwrap();
        let mut settings = Settings::new(&format!("{scheme}://contoso.crm.twin.test")).unwrap();
        settings.set("preset", "dotnet").unwrap();
        settings
            .set("ca_bundle", twin.ca_file().to_str().unwrap())
            .unwrap();
        settings.set("auto_switch", "on").unwrap();
        settings
            .set("proxy", &proxy.url_with_credentials())
            .unwrap();
        let client = Client::open(&settings).unwrap();
        for _ in 0..2 {
            let response = client.send(&get(WHO)).unwrap();
            assert_eq!(response.status(), 200);
            let version = if http2 {
                HttpVersion::Http2
            } else {
                HttpVersion::Http11
            };
            assert_eq!(response.attempts()[0].http_version, Some(version));
        }
        assert!(!proxy.journal().is_empty());

        // What the proxy fails with says nothing of the endpoint.
        settings.set("proxy", &proxy.url()).unwrap();
        let client = Client::open(&settings).unwrap();
        let result = client.send(&get(WHO));
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
        assert!(error.message().contains("407"), "{error}");
        assert!(!error.message().contains("secret"), "{error}");
        assert!(client.is_primary());
    }
}

#[test]
fn every_way_in_which_a_proxy_fails_is_local() {
    for kind in [
        r#"{"kind":"refuse","status":403}"#,
        r#"{"kind":"refuse","status":404}"#,
        r#"{"kind":"cut_answer"}"#,
        r#"{"kind":"never_answer"}"#,
        r#"{"kind":"close"}"#,
        r#"{"kind":"reset"}"#,
    ] {
        let (twin, _org) = start(|_| {});
        let proxy = twin
            .add_proxy(serde_json::from_str::<ProxyConfig>(r#"{"name":"proxy"}"#).unwrap())
            .unwrap();
        proxy
            .fault(serde_json::from_str::<d365_twin::ProxyFault>(kind).unwrap())
            .unwrap();
        let settings = with(
            &twin,
            &[
                ("proxy", proxy.url().as_str()),
                ("connect_timeout_ms", "1000"),
            ],
        );
        let client = Client::open(&settings).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Local),
            "{kind}: {error}"
        );
        assert_eq!(error.effect(), Effect::NotExecuted, "{kind}");
        assert!(client.is_primary(), "{kind}");
    }
}

#[test]
fn a_client_certificate_is_shown() {
    let (twin, org) = start(|organization| {
        organization.client_certificates = serde_json::from_str("\"require\"").unwrap();
    });
    let own = twin.client_certificate_file();
    let client = Client::open(&with(
        &twin,
        &[("client_certificate", own.to_str().unwrap())],
    ))
    .unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    for other in [None, Some(twin.other_client_certificate_file())] {
        let mut settings = settings(&twin);
        if let Some(path) = &other {
            settings
                .set("client_certificate", path.to_str().unwrap())
                .unwrap();
        }
        let error = Client::open(&settings)
            .unwrap()
            .send(&create("row"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Tls), "{error:?}");
        assert_eq!(org.rows().len(), 0);
    }
    for (path, says) in [
        (twin.ca_file(), "no private key"),
        (twin.directory().join("none.pem"), "none.pem"),
    ] {
        let settings = with(&twin, &[("client_certificate", path.to_str().unwrap())]);
        let error = Client::open(&settings).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

/// Whom the application has allowed is not whom it trusts: also not where the organization sends it.
#[test]
fn an_allowed_host_is_shown_no_client_certificate() {
    for http2 in [false, true] {
        let (twin, org) = start(|organization| {
            organization.client_certificates = serde_json::from_str("\"require\"").unwrap();
            organization.http2 = http2;
        });
        let host = twin.org("foreign").unwrap().primary.host();
        let url = format!("https://{host}/file");
        let own = twin.client_certificate_file();
        let pairs = [
            ("client_certificate", own.to_str().unwrap()),
            ("allowed_hosts", &host),
            ("max_redirects", "1"),
        ];
        let client = Client::open(&with(&twin, &pairs)).unwrap();
        assert_eq!(client.send(&get(&url)).unwrap().status(), 200);
        org.primary.fault(redirect(307, &url)).unwrap();
        assert_eq!(client.send(&get("/moved")).unwrap().url(), url);
        org.primary.clear().unwrap();
        client.switch_endpoint().unwrap();
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
        let mut seen = 0;
        for entry in twin.journal() {
            let is_foreign = entry.path.starts_with("/file");
            assert_eq!(entry.client_certificate, !is_foreign, "{entry:?}");
            seen += usize::from(is_foreign);
        }
        assert_eq!(seen, 2);
    }
}

fn redirect(status: u16, location: &str) -> d365_twin::Fault {
    fault(&format!(
        r#"{{"kind":"status","status":{status},"headers":{{"location":"{location}"}},"path_contains":"moved"}}"#
    ))
}

#[test]
fn redirects_are_followed_within_the_pair_only_where_they_keep_the_request() {
    let (twin, org) = start(|_| {});
    let alternate = org.alternate.url();
    let client = Client::open(&with(&twin, &[("max_redirects", "3")])).unwrap();
    let moved = get("/api/data/v9.2/moved");
    for status in [301, 302, 303, 307, 308] {
        for location in [WHO.to_owned(), format!("{alternate}{WHO}")] {
            org.primary.clear().unwrap();
            org.primary.fault(redirect(status, &location)).unwrap();
            let response = client.send(&moved).unwrap();
            assert_eq!(response.status(), 200, "{status} {location}");
            assert_eq!(response.attempts().len(), 2);
            assert_eq!(response.attempts()[1].role, Some(Role::Primary));
        }
    }
    // A write is not turned into something else.
    for (status, attempts, answer) in [(302, 1, 302), (303, 1, 303), (307, 2, 204), (308, 2, 204)] {
        org.primary.clear().unwrap();
        org.primary
            .fault(redirect(status, support::contoso::ACCOUNTS))
            .unwrap();
        let mut request = Request::new("POST", "/api/data/v9.2/moved").unwrap();
        request
            .add_header("Content-Type", "application/json")
            .unwrap();
        request.set_body(r#"{"name":"row"}"#);
        let response = client.send(&request).unwrap();
        assert_eq!(response.attempts().len(), attempts, "{status}");
        assert_eq!(response.status(), answer, "{status}");
    }
    assert_eq!(org.rows().len(), 2);
    // What leads back to itself, at either endpoint, or elsewhere, is shown and not followed.
    for location in [
        "/api/data/v9.2/moved".to_owned(),
        format!("{alternate}/api/data/v9.2/moved"),
        "https://elsewhere.test/".to_owned(),
        org.primary.url().replace("https:", "http:"),
        "http://[".to_owned(),
    ] {
        org.primary.clear().unwrap();
        org.primary.fault(redirect(307, &location)).unwrap();
        let response = client.send(&moved).unwrap();
        assert_eq!(response.status(), 307, "{location}");
        assert_eq!(response.attempts().len(), 1, "{location}");
    }
    let client = Client::open(&settings(&twin)).unwrap();
    assert_eq!(client.send(&moved).unwrap().status(), 307);
}

#[test]
fn an_allowed_host_gets_no_credentials_and_moves_nothing() {
    let (twin, org) = start(|_| {});
    let foreign = twin.org("foreign").unwrap();
    let host = foreign.primary.host();
    let url = format!("https://{host}/file?x=1");
    let mut request = get(&url);
    for name in ["Authorization", "Cookie"] {
        request.add_header(name, "secret").unwrap();
    }
    let client = Client::open(&settings(&twin)).unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUrl);

    let settings = with(&twin, &[("allowed_hosts", &host), ("max_redirects", "1")]);
    let client = Client::open(&settings).unwrap();
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.attempts()[0].role, None);
    assert!(!response.switched());
    // Also where the organization's own answer sends it.
    org.primary.fault(redirect(302, &url)).unwrap();
    let mut moved = get("/moved");
    moved.add_header("Authorization", "Bearer secret").unwrap();
    let response = client.send(&moved).unwrap();
    assert_eq!(response.url(), url);
    let seen: Vec<_> = twin
        .journal()
        .into_iter()
        .filter(|entry| entry.path.starts_with("/file"))
        .collect();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|entry| !entry.authorization && !entry.cookie)
    );
    // Whatever it answers is an answer, and its silence is no reason to leave the endpoint.
    foreign
        .primary
        .fault(fault(r#"{"kind":"status","status":404}"#))
        .unwrap();
    assert_eq!(client.send(&request).unwrap().status(), 404);
    foreign.primary.clear().unwrap();
    foreign
        .primary
        .fault(fault(r#"{"kind":"refuse"}"#))
        .unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::EndpointNotFound));
    assert_eq!(error.attempts().len(), 1);
    assert!(client.is_primary());
}

#[test]
fn what_a_relative_url_means_is_read_from_all_of_it() {
    let (twin, org) = start(|_| {});
    let mut settings = Settings::new("https://contoso.crm.twin.test/api/data/v9.2/").unwrap();
    let rules: Vec<String> = twin
        .connect_to()
        .iter()
        .map(|(from, to)| format!("{from}:{to}"))
        .collect();
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings
        .set("ca_bundle", twin.ca_file().to_str().unwrap())
        .unwrap();
    let client = Client::open(&settings).unwrap();
    let mut request = Request::new("post", "accounts").unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    request.set_body(r#"{"name":"row"}"#);
    request.set_guarded_create(true);
    let response = client.send(&request).unwrap();
    assert_eq!(
        (response.status(), response.effect()),
        (204, Effect::Executed)
    );
    let row = response.headers()["odata-entityid"].to_str().unwrap();
    assert_eq!(client.send(&get(row)).unwrap().status(), 200);
    assert_eq!(org.rows().len(), 1);
    // A header's value is sent as it is, over HTTP/2 as well.
    let foreign = twin.org("foreign").unwrap();
    let host = foreign.primary.host();
    settings.set("allowed_hosts", &host).unwrap();
    settings.set("allowed_host_headers", "X-Name").unwrap();
    let client = Client::open(&settings).unwrap();
    let mut named = get(&format!("https://{host}/file"));
    named.add_header("x-name", "grün €").unwrap();
    named.add_header("x-api-key", "secret").unwrap();
    let response = client.send(&named).unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(body.contains(r#""headers":{"x-name":"grün €"}"#), "{body}");
}

#[derive(Default)]
struct Hook {
    seen: Mutex<Vec<(Option<Role>, u64, usize)>>,
    refuses: bool,
}

impl Prepare for Hook {
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String> {
        self.seen
            .lock()
            .unwrap()
            .push((outgoing.role(), outgoing.epoch(), outgoing.number()));
        if self.refuses {
            return Err("no signature".to_owned());
        }
        let endpoint = outgoing.endpoint_url().unwrap().to_owned();
        assert!(outgoing.url().starts_with(&endpoint));
        outgoing.set_header("x-endpoint", &endpoint).unwrap();
        outgoing.set_body(format!(r#"{{"name":"{endpoint}"}}"#));
        Ok(())
    }
}

#[test]
fn the_prepare_hook_sees_each_attempt() {
    let (twin, org) = start(|_| {});
    let mut settings = settings(&twin);
    let hook = Arc::new(Hook::default());
    settings.set_prepare(Arc::clone(&hook) as Arc<dyn Prepare>);
    let client = Client::open(&settings).unwrap();
    org.primary
        .fault(d365_twin::FaultKind::datacenter_not_available())
        .unwrap();
    let response = client.send(&create("unprepared")).unwrap();
    assert_eq!(response.effect(), Effect::Executed);
    assert_eq!(
        *hook.seen.lock().unwrap(),
        [(Some(Role::Primary), 0, 1), (Some(Role::Alternate), 1, 2)]
    );
    let rows = org.rows();
    assert_eq!(rows.len(), 1);
    let text = serde_json::to_string(&rows[0]).unwrap();
    assert!(text.contains("contoso--s"), "{text}");
}

#[test]
fn a_prepare_hook_that_refuses_ends_the_call() {
    let (twin, org) = start(|_| {});
    let mut settings = settings(&twin);
    settings.set_prepare(Arc::new(Hook {
        refuses: true,
        ..Hook::default()
    }));
    let client = Client::open(&settings).unwrap();
    let error = client.send(&create("row")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local));
    assert!(error.message().contains("no signature"), "{error}");
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(client.is_primary());
    assert_eq!(org.primary.counts().received, 0);
}

struct Fails(ResolveError);

impl Resolve for Fails {
    fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
        Err(self.0.clone())
    }
}

#[test]
fn a_resolver_of_ones_own_is_asked() {
    for (error, kind) in [
        (ResolveError::NoSuchName, FaultKind::EndpointNotFound),
        (ResolveError::TryAgain, FaultKind::Local),
        (ResolveError::Failed("broken".to_owned()), FaultKind::Local),
    ] {
        let mut settings = Settings::new("https://contoso.crm.names.test").unwrap();
        settings.set("preset", "dotnet").unwrap();
        settings.set("auto_switch", "off").unwrap();
        settings.set("tls_verify", "off").unwrap();
        let text = error.clone();
        settings.set_resolver(Arc::new(Fails(error)));
        let got = Client::open(&settings)
            .unwrap()
            .send(&get(WHO))
            .unwrap_err();
        assert_eq!(got.kind(), ErrorKind::Call(kind), "{text:?}");
        assert_eq!(got.attempts()[0].phase, Phase::NotSent);
    }
}

#[test]
fn bulk_in_both_directions() {
    const BYTES: u64 = 50_000_000;
    struct Zeros(u64);
    impl BodySource for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(usize::try_from(self.0).unwrap());
            self.0 -= count as u64;
            Ok(count)
        }
        fn rewind(&mut self) -> io::Result<()> {
            unreachable!("a one-shot body is not rewound")
        }
    }
    for http2 in [false, true] {
        let (twin, _org) = start(|organization| organization.http2 = http2);
        let client = Client::open(&settings(&twin)).unwrap();
        for length in [None, Some(BYTES)] {
            let mut request = Request::new("PUT", "/bulk").unwrap();
            request.set_body_source(Box::new(Zeros(BYTES)), length, false);
            let response = client.send(&request).unwrap();
            let text = String::from_utf8(response.body().to_vec()).unwrap();
            assert!(text.contains(&BYTES.to_string()), "{text}");
        }
        let mut request = get(&format!("/bulk/{BYTES}"));
        request.set_streaming(true);
        let response = client.send(&request).unwrap();
        let mut got = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match response.read(&mut buffer).unwrap() {
                0 => break,
                count => got += count as u64,
            }
        }
        assert_eq!(got, BYTES);
    }
}
