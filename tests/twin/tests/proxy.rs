//! The forward proxy.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use d365_twin::{
    OrganizationConfig, Proxy, ProxyCondition, ProxyConfig, ProxyCredentials, ProxyFault,
    ProxyFaultKind, Scheme, Twin, TwinConfig,
};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use support::{ACCOUNTS, LONG, WHO_AM_I};

const HTTPS: &str = "https://contoso.crm.twin.test";
const HTTP: &str = "http://fabrikam.crm.twin.test";

fn start(credentials: Option<(&str, &str)>) -> (Twin, Proxy) {
    let mut plain = OrganizationConfig::new("fabrikam");
    plain.scheme = Scheme::Http;
    let mut config = TwinConfig::new([OrganizationConfig::new("contoso"), plain]);
    config.proxies = vec![ProxyConfig {
        credentials: credentials.map(|(user, password)| ProxyCredentials {
            user: user.into(),
            password: password.into(),
        }),
        ..ProxyConfig::default()
    }];
    let twin = Twin::start(config).unwrap();
    let proxy = twin.proxy("proxy").unwrap();
    (twin, proxy)
}

/// A client that knows no host, and uses the proxy.
fn through(twin: &Twin, url: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(twin.ca_file()).unwrap();
    Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .proxy(reqwest::Proxy::all(url).unwrap())
        .timeout(LONG)
        .build()
        .unwrap()
}

fn tunnels(proxy: &Proxy, most: u64) {
    let condition = ProxyCondition {
        tunnels_at_most: Some(most),
        ..ProxyCondition::default()
    };
    proxy.wait_for(&condition, LONG).unwrap();
}

#[test]
fn https_goes_through_a_tunnel_and_http_by_absolute_form() {
    let (twin, proxy) = start(None);
    let client = through(&twin, &proxy.url());
    for base in [HTTPS, HTTP] {
        for _ in 0..2 {
            let request = client
                .post(format!("{base}{ACCOUNTS}"))
                .json(&json!({"name": "a"}));
            assert_eq!(request.send().unwrap().status(), 204);
            let answer: Value = client
                .get(format!("{base}{WHO_AM_I}"))
                .send()
                .unwrap()
                .json()
                .unwrap();
            assert!(answer["UserId"].is_string());
        }
    }
    let journal = proxy.journal();
    let tunnels_made: Vec<_> = journal
        .iter()
        .filter(|entry| entry.method == "CONNECT")
        .collect();
    assert_eq!(
        tunnels_made.len(),
        1,
        "the tunnel is used again: {journal:?}"
    );
    assert_eq!(tunnels_made[0].authority, "contoso.crm.twin.test:443");
    assert_eq!(
        (tunnels_made[0].status, tunnels_made[0].authorized),
        (Some(200), None)
    );
    assert_eq!(journal.len(), 5);
    assert_eq!(journal[1].authority, "fabrikam.crm.twin.test:80");
    assert_eq!(twin.journal().len(), 8);
    drop(client);
    tunnels(&proxy, 0);
}

#[test]
fn credentials_are_wanted_and_never_shown() {
    let (twin, proxy) = start(Some(("us@er", "secr%t")));
    // reqwest takes user and password from the URL.
    assert!(
        proxy
            .url_with_credentials()
            .starts_with("http://us%40er:secr")
    );
    let wrong = proxy.url().replace("//", "//us:er@");
    for (url, served) in [
        (proxy.url_with_credentials(), true),
        (proxy.url(), false),
        (wrong, false),
    ] {
        let client = through(&twin, &url);
        for base in [HTTPS, HTTP] {
            let answer = client.get(format!("{base}{WHO_AM_I}")).send();
            let status = answer.map(|answer| answer.status().as_u16());
            match base {
                HTTP if !served => assert_eq!(status.unwrap(), 407),
                _ => assert_eq!(status.is_ok_and(|status| status == 200), served, "{base}"),
            }
        }
    }
    let seen: Vec<_> = proxy
        .journal()
        .iter()
        .map(|entry| entry.authorized)
        .collect();
    let (right, none, wrong) = (Some(true), None, Some(false));
    assert_eq!(seen, [right, right, none, none, wrong, wrong]);
    let statuses: Vec<_> = proxy.journal().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses[2..], [Some(407); 4]);
    let shown = format!(
        "{:?} {:?} {:?}",
        proxy.journal(),
        twin.describe(),
        ProxyConfig {
            name: String::new(),
            credentials: Some(ProxyCredentials {
                user: "us@er".into(),
                password: "secr%t".into()
            }),
        }
    );
    assert!(
        !shown.contains("secr") && !shown.contains("us@er"),
        "{shown}"
    );
    assert_eq!(twin.journal().len(), 2);
}

/// Sends bytes to the proxy, and reads to the end.
fn bare(proxy: &Proxy, text: &str) -> (Vec<u8>, std::io::Result<usize>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port()));
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    tcp.write_all(text.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let end = tcp.read_to_end(&mut bytes);
    (bytes, end)
}

const CONNECT: &str =
    "CONNECT contoso.crm.twin.test:443 HTTP/1.1\r\nHost: contoso.crm.twin.test:443\r\n\r\n";

#[test]
fn faults_end_a_connect_in_their_ways() {
    let (twin, proxy) = start(None);
    for kind in [
        ProxyFaultKind::CutAnswer,
        ProxyFaultKind::Close,
        ProxyFaultKind::Reset,
    ] {
        let fault = ProxyFault {
            times: Some(1),
            ..ProxyFault::from(kind)
        };
        proxy.fault(fault).unwrap();
        let (bytes, end) = bare(&proxy, CONNECT);
        let text = String::from_utf8(bytes).unwrap();
        match kind {
            ProxyFaultKind::CutAnswer => {
                assert!(
                    text.starts_with("HTTP/1.1 200") && !text.contains("\r\n"),
                    "{text}"
                );
                assert!(end.is_ok());
            }
            ProxyFaultKind::Close => assert!(text.is_empty() && end.is_ok(), "{end:?}"),
            _ => assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert_eq!(
            proxy.journal().pop().unwrap().fault.as_deref(),
            Some(kind.name())
        );
    }
    let refuse: ProxyFault =
        serde_json::from_value(json!({"kind": "refuse", "status": 418, "times": 2})).unwrap();
    proxy.fault(refuse).unwrap();
    // The connection lives on, and the next fault is a close.
    proxy.fault(ProxyFaultKind::Close).unwrap();
    let (bytes, _) = bare(&proxy, &CONNECT.repeat(3));
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.1 418").count(), 2, "{text}");
    proxy.clear();
    let other = ProxyFault {
        authority: Some("other.test:443".into()),
        ..ProxyFaultKind::Close.into()
    };
    proxy.fault(other).unwrap();
    let answer = through(&twin, &proxy.url())
        .get(format!("{HTTPS}{WHO_AM_I}"))
        .send();
    assert_eq!(answer.unwrap().status(), 200);
}

#[test]
fn it_never_answers_and_it_cuts_tunnels() {
    let (twin, proxy) = start(None);
    let never = ProxyFault {
        times: Some(1),
        ..ProxyFaultKind::NeverAnswer.into()
    };
    proxy.fault(never).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port()));
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.write_all(CONNECT.as_bytes()).unwrap();
    let condition = ProxyCondition {
        requests_at_least: Some(1),
        ..ProxyCondition::default()
    };
    proxy.wait_for(&condition, LONG).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let read = tcp.read(&mut [0]).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::WouldBlock);

    let org = twin.org("contoso").unwrap();
    let stall = serde_json::from_value::<d365_twin::Fault>(json!({"kind": "stall"}));
    org.primary.fault(stall.unwrap()).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let request = through(&twin, &proxy.url()).post(format!("{HTTPS}{ACCOUNTS}"));
            request.body("{}").send().is_err()
        });
        org.primary
            .wait_for(d365_twin::Condition::committed(1), LONG)
            .unwrap();
        proxy.fault(ProxyFaultKind::CutTunnels).unwrap();
        assert!(call.join().unwrap());
    });
    tunnels(&proxy, 0);
    org.primary
        .wait_for(d365_twin::Condition::idle(), LONG)
        .unwrap();
}

#[test]
fn what_it_cannot_reach_or_read_it_says() {
    let (_twin, proxy) = start(None);
    for (text, status) in [
        ("CONNECT nobody.test:443 HTTP/1.1\r\n\r\n", 502),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", 502),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET https://contoso.crm.twin.test/ HTTP/1.1\r\n\r\n", 400),
    ] {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port()));
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.write_all(text.as_bytes()).unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{text}{answer}"
        );
    }
}

#[test]
fn other_processes_start_and_steer_it() {
    let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")])).unwrap();
    let control = Client::new();
    let post = |path: &str, body: Value| {
        let request = control
            .post(format!("{}{path}", twin.control_url()))
            .json(&body);
        let answer = request.send().unwrap();
        (answer.status().as_u16(), answer.json::<Value>().unwrap())
    };
    let get = |path: &str| -> Value {
        let request = control.get(format!("{}{path}", twin.control_url()));
        request.send().unwrap().json().unwrap()
    };
    let credentials = json!({"user": "u", "password": "p"});
    let (status, shown) = post("/proxies", json!({"name": "p", "credentials": credentials}));
    assert_eq!((status, &shown["authenticates"]), (200, &json!(true)));
    assert_eq!(post("/proxies", json!({"name": "p"})).0, 400);
    assert_eq!(get("/state")["proxies"]["p"], shown);
    let url = shown["url"].as_str().unwrap().replace("//", "//u:p@");
    let call = || {
        through(&twin, &url)
            .get(format!("{HTTPS}{WHO_AM_I}"))
            .send()
    };
    assert_eq!(call().unwrap().status(), 200);
    let fault = json!({"proxy": "p", "kind": "refuse", "status": 502});
    assert_eq!(post("/proxy_faults", fault).0, 200);
    assert!(call().is_err());
    assert_eq!(post("/proxy_clear", json!({"proxy": "p"})).0, 200);
    assert_eq!(call().unwrap().status(), 200);
    let journal = get("/proxy_journal?proxy=p");
    assert_eq!(
        journal,
        serde_json::to_value(twin.proxy("p").unwrap().journal()).unwrap()
    );
    let waited = get("/proxy_wait?proxy=p&requests_at_least=3&tunnels_at_most=0");
    assert_eq!(waited["requests"], 3);
    for (path, body, status, word) in [
        (
            "/proxy_faults",
            json!({"proxy": "x", "kind": "close"}),
            404,
            "x",
        ),
        (
            "/proxy_faults",
            json!({"proxy": "p", "kind": "shut"}),
            400,
            "shut",
        ),
        (
            "/proxy_faults",
            json!({"proxy": "p", "kind": "refuse", "status": 1}),
            400,
            "status 1",
        ),
        ("/proxies", json!({"user": "u"}), 400, "user"),
    ] {
        let (answered, error) = post(path, body);
        assert_eq!(answered, status, "{error}");
        assert!(error["error"].as_str().unwrap().contains(word), "{error}");
    }
}
