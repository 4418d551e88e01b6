//! Client credentials: whom the token server is asked for, how often, and what becomes of calls when it
//! gives none.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use d365_failover_core::{Client, Error, ErrorKind, FaultKind, Settings};
use d365_twin::{OrgHandle, Tokens, Twin};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use support::contoso::{WHO, get, settings, twin};

const PATH: &str = "/tenant.example/oauth2/v2.0/token";
const SECRET: &str = "s3cret~of-the-application";

type Form = HashMap<String, String>;
/// Status with its reason, more header lines, body.
type Said = (&'static str, &'static str, String);

/// A token server, and what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Form>>>,
}

impl Server {
    /// `answer` is told the form, and how many came before it.
    fn start(answer: impl Fn(&Form, usize) -> Said + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &*answer, &seen));
            }
        });
        Server { port, asked }
    }

    fn asked(&self) -> Vec<Form> {
        self.asked.lock().unwrap().clone()
    }

    fn settings(&self, twin: &Twin) -> Settings {
        let mut settings = settings(twin);
        for (key, value) in [
            (
                "oauth_authority",
                &*format!("http://127.0.0.1:{}", self.port),
            ),
            ("oauth_tenant", "tenant.example"),
            ("oauth_client_id", "the-application"),
        ] {
            settings.set(key, value).unwrap();
        }
        settings
    }

    /// A client that shows the secret.
    fn client(&self, twin: &Twin) -> Client {
        let mut settings = self.settings(twin);
        settings.set("oauth_client_secret", SECRET).unwrap();
        Client::open(&settings).unwrap()
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Form, usize) -> Said, seen: &Mutex<Vec<Form>>) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    assert_eq!(first.trim_end(), format!("POST {PATH} HTTP/1.1"));
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(form.clone());
        seen.len() - 1
    };
    let (status, headers, body) = answer(&form, number);
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Who was asked may be gone.
    let _ = reader.get_mut().write_all(text.as_bytes());
}

/// The twin takes this one.
fn token(form: &Form, life: u64) -> Said {
    let host = form["scope"].trim_start_matches("https://");
    let host = host.trim_end_matches("/.default");
    let body = format!(
        r#"{{"token_type":"Bearer","expires_in":{life},"access_token":"twin-token-for-{host}"}}"#
    );
    ("200 OK", "", body)
}

fn checked_twin() -> (Twin, OrgHandle) {
    let (twin, org) = twin();
    org.set_tokens(Tokens::Check);
    (twin, org)
}

fn failure(client: &Client) -> Error {
    let error = client.send(&get(WHO)).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Call(FaultKind::Authentication),
        "{error}"
    );
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    error
}

#[test]
fn each_endpoint_has_a_token_of_its_own_which_is_kept() {
    let (twin, org) = checked_twin();
    let server = Server::start(|form, _| token(form, 3600));
    let client = server.client(&twin);
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
        }
        client.switch_endpoint().unwrap();
    }
    let asked = server.asked();
    let scopes: Vec<&str> = asked.iter().map(|form| &*form["scope"]).collect();
    let hosts = [client.primary_url(), client.alternate_url().unwrap()];
    assert_eq!(scopes, hosts.map(|url| format!("{url}/.default")));
    for form in &asked {
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["client_id"], "the-application");
        assert_eq!(form["client_secret"], SECRET);
    }
    for side in [&org.primary, &org.alternate] {
        assert_eq!(side.counts().wrong_audience, 0);
    }
}

#[test]
fn one_question_serves_all_who_wait() {
    let (twin, _org) = checked_twin();
    let server = Server::start(|form, _| token(form, 3600));
    let client = server.client(&twin);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(client.send(&get(WHO)).unwrap().status(), 200));
        }
    });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_that_is_busy_or_broken_is_asked_again() {
    for (status, headers, body) in [
        (
            "429 Too Many Requests",
            "Retry-After: 1\r\n",
            r#"{"error":"throttled"}"#,
        ),
        ("503 Service Unavailable", "", "<html>"),
        ("200 OK", "", "<html>"),
    ] {
        let (twin, _org) = checked_twin();
        let server = Server::start(move |form, number| match number {
            0 => (status, headers, body.to_owned()),
            _ => token(form, 3600),
        });
        let client = server.client(&twin);
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200, "{status}");
        assert_eq!(server.asked().len(), 2, "{status}");
    }
}

#[test]
fn a_refusal_is_told_by_its_code_and_not_asked_for_again() {
    let (twin, org) = checked_twin();
    let server = Server::start(|form, _| {
        let said = format!(
            r#"{{"error":"invalid_client","error_codes":[7000215],"error_description":"not {}"}}"#,
            form["client_secret"]
        );
        ("401 Unauthorized", "", said)
    });
    let client = server.client(&twin);
    let first = failure(&client);
    assert!(
        first.message().contains("invalid_client (AADSTS7000215)"),
        "{first}"
    );
    let second = failure(&client);
    assert!(second.message().contains("asked again in"), "{second}");
    assert_eq!(server.asked().len(), 1);
    assert!(client.is_primary());
    assert_eq!(org.alternate.counts().received, 0);
}

#[test]
fn a_refusal_for_one_endpoint_is_none_for_the_other() {
    let (twin, _org) = checked_twin();
    let server = Server::start(|form, _| {
        if form["scope"].contains("--s.") {
            let said = r#"{"error":"invalid_resource","error_codes":[500011]}"#;
            return ("400 Bad Request", "", said.to_owned());
        }
        token(form, 3600)
    });
    let client = server.client(&twin);
    client.switch_endpoint().unwrap();
    let error = failure(&client);
    assert!(error.message().contains("AADSTS500011"), "{error}");
    client.switch_endpoint().unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    client.switch_endpoint().unwrap();
    let error = failure(&client);
    assert!(error.message().contains("asked again in"), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_server_that_is_not_there_ends_the_call_and_moves_nobody() {
    let (twin, org) = checked_twin();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server {
        port,
        asked: Arc::default(),
    };
    let error = failure(&server.client(&twin));
    assert!(
        error.message().contains("the token server 127.0.0.1"),
        "{error}"
    );
    assert_eq!(
        org.primary.counts().received + org.alternate.counts().received,
        0
    );
}

fn openssl(arguments: &[&str]) {
    let made = Command::new("openssl").args(arguments).output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// A certificate with its key, of a kind, in one file; and the public key.
fn certificate(directory: &tempdir::Dir, kind: &str) -> (PathBuf, PathBuf) {
    let (key, certificate) = (directory.file("key.pem"), directory.file("certificate.pem"));
    let (both, public) = (directory.file("app.pem"), directory.file("public.pem"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let curve = ["-pkeyopt", "ec_paramgen_curve:P-256"];
    let mut arguments = vec![
        "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=app", "-newkey", kind,
    ];
    if kind == "ec" {
        arguments.extend(curve);
    }
    let (key_text, certificate_text) = (text(&key), text(&certificate));
    arguments.extend(["-keyout", &key_text, "-out", &certificate_text]);
    openssl(&arguments);
    openssl(&["pkey", "-in", &key_text, "-pubout", "-out", &text(&public)]);
    let joined = [
        std::fs::read(&certificate).unwrap(),
        std::fs::read(&key).unwrap(),
    ]
    .concat();
    std::fs::write(&both, joined).unwrap();
    (both, public)
}

#[test]
fn a_certificate_signs_an_assertion() {
    let directory = tempdir::Dir::new("oauth-rsa");
    let (twin, _org) = checked_twin();
    let server = Server::start(|form, _| token(form, 3600));
    let (path, public) = certificate(&directory, "rsa:2048");
    let mut settings = server.settings(&twin);
    settings
        .set("oauth_certificate", path.to_str().unwrap())
        .unwrap();
    let client = Client::open(&settings).unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    let form = server.asked().pop().unwrap();
    assert!(!form.contains_key("client_secret"));
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let assertion = &form["client_assertion"];
    assert!(decode_header(assertion).unwrap().x5t_s256.is_some());
    let key = DecodingKey::from_rsa_pem(&std::fs::read(public).unwrap()).unwrap();
    let mut expected = Validation::new(Algorithm::PS256);
    let audience = format!("http://127.0.0.1:{}{PATH}", server.port);
    expected.set_audience(&[audience]);
    expected.set_issuer(&["the-application"]);
    expected.validate_nbf = true;
    let claims = decode::<Value>(assertion, &key, &expected).unwrap().claims;
    assert_eq!(claims["sub"], "the-application");
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(),
        300
    );
}

#[test]
fn a_certificate_that_cannot_sign_is_refused_when_the_client_is_opened() {
    let directory = tempdir::Dir::new("oauth-ec");
    let (twin, _org) = checked_twin();
    let server = Server {
        port: 1,
        asked: Arc::default(),
    };
    let (certificate_of, key_of) = (directory.file("certificate.pem"), directory.file("key.pem"));
    certificate(&directory, "rsa:2048");
    let issuer = std::fs::read(&certificate_of).unwrap();
    certificate(&directory, "rsa:2048");
    let own = std::fs::read(&certificate_of).unwrap();
    let turned = directory.file("turned.pem");
    std::fs::write(
        &turned,
        [issuer, own, std::fs::read(&key_of).unwrap()].concat(),
    )
    .unwrap();
    let (elliptic, public) = certificate(&directory, "ec");
    let missing = directory.file("missing.pem");
    for (path, word) in [
        (turned, "not that of the first certificate"),
        (elliptic, "no RSA key"),
        (public, "no certificate"),
        (missing, "oauth_certificate"),
    ] {
        let mut settings = server.settings(&twin);
        settings
            .set("oauth_certificate", path.to_str().unwrap())
            .unwrap();
        let error = Client::open(&settings).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
        assert!(error.message().contains(word), "{error}");
    }
}

/// A folder that goes with its test.
mod tempdir {
    use std::path::PathBuf;

    pub(crate) struct Dir(PathBuf);

    impl Dir {
        pub(crate) fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Dir(path)
        }

        pub(crate) fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
