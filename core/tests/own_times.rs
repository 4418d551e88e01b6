//! A request's own times: what they end, what they leave to others, and what they say of an endpoint.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use d365_failover_core::{
    Cause, Client, Error, FaultKind, HttpVersion, Request, Response, Settings,
};
use d365_twin::{FaultKind as TwinFault, OrgHandle, OrganizationConfig, Twin, TwinConfig};

use self::support::contoso;
use self::support::script::HTTPS;

const WHO: &str = "/api/data/v9.2/WhoAmI";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
OData-Version: 4.0\r\nContent-Length: 2\r\n\r\n{}";

fn request(connect_timeout: Option<u64>) -> Request {
    let mut request = Request::new("GET", WHO).unwrap();
    if let Some(ms) = connect_timeout {
        let time = Duration::from_millis(ms);
        request.set_connect_timeout(time).unwrap();
    }
    request
}

/// A server that lets connections hang, before it has said a word, until it is told not to.
struct Gated {
    port: u16,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gated {
    /// `hang`: how many do.
    fn start(hang: usize) -> Gated {
        let made = rcgen::generate_simple_self_signed(vec!["contoso.crm.script.test".to_owned()]);
        let made = made.unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gated = Gated {
            port: listener.local_addr().unwrap().port(),
            open: Arc::default(),
        };
        let (hang, open) = (AtomicUsize::new(hang), Arc::clone(&gated.open));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let less = |left: usize| left.checked_sub(1);
                let hangs = hang
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                    .is_ok();
                let (config, open) = (Arc::clone(&config), Arc::clone(&open));
                std::thread::spawn(move || {
                    if hangs {
                        let is_open = open.0.lock().unwrap();
                        drop(open.1.wait_while(is_open, |is_open| !*is_open).unwrap());
                    }
                    let connection = rustls::ServerConnection::new(config).unwrap();
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                        let _ = stream.write_all(ANSWER);
                        let _ = stream.flush();
                    }
                });
            }
        });
        gated
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    fn client(&self, other: &Gated, pairs: &[(&str, &str)]) -> Client {
        let mut settings = Settings::new(HTTPS).unwrap();
        let to = format!(
            "contoso.crm.script.test:443:127.0.0.1:{},contoso--s.crm.script.test:443:127.0.0.1:{}",
            self.port, other.port
        );
        let fixed = [
            ("connect_to", &*to),
            ("auto_switch", "on"),
            ("tls_verify", "off"),
        ];
        for (key, value) in fixed.iter().chain(pairs) {
            settings.set(key, value).unwrap();
        }
        Client::open(&settings).unwrap()
    }
}

fn causes(attempts: &[d365_failover_core::Attempt]) -> Vec<Cause> {
    let faults = attempts.iter().filter_map(|attempt| attempt.fault.as_ref());
    faults.map(|fault| fault.cause).collect()
}

/// A handshake that hangs is connecting as well. Its end says nothing of the endpoint that a probe
/// would not say.
#[test]
fn a_hurried_request_leaves_no_living_endpoint() {
    let (primary, alternate) = (Gated::start(1), Gated::start(0));
    let client = primary.client(
        &alternate,
        &[("probe_after_ms", "0"), ("connect_timeout_ms", "60000")],
    );
    let response = client.send(&request(Some(300))).unwrap();
    assert_eq!(causes(response.attempts()), [Cause::ConnectTimeout]);
    assert_eq!(response.attempts().len(), 2);
    assert!(!response.switched() && client.is_primary(), "{response:?}");
    primary.open();

    // Under `dotnet` it is a timeout as any.
    let (primary, alternate) = (Gated::start(1), Gated::start(0));
    let client = primary.client(&alternate, &[("preset", "dotnet")]);
    let response = client.send(&request(Some(300))).unwrap();
    assert_eq!(causes(response.attempts()), [Cause::ConnectTimeout]);
    assert!(response.switched() && !client.is_primary(), "{response:?}");
    primary.open();
}

#[test]
fn its_error_says_whose_time_it_was() {
    let (primary, alternate) = (Gated::start(usize::MAX), Gated::start(usize::MAX));
    let pairs = [
        ("max_attempts", "1"),
        ("auto_switch", "off"),
        ("probe_after_ms", "0"),
        ("outage_wait_ms", "0"),
    ];
    let client = primary.client(&alternate, &pairs);
    let error = client.send(&request(Some(200))).unwrap_err();
    let fault = error.fault().unwrap();
    assert_eq!(
        (fault.cause, fault.kind),
        (Cause::ConnectTimeout, FaultKind::EndpointNotFound)
    );
    assert!(
        error
            .message()
            .contains("the request's connect_timeout (200 ms)"),
        "{error}"
    );
    assert!(error.attempts()[0].took < Duration::from_secs(30));
    // The call's own deadline and attempt go before.
    let mut late = request(Some(60_000));
    late.set_attempt_timeout(Duration::from_millis(200))
        .unwrap();
    let error = client.send(&late).unwrap_err();
    assert_eq!(
        error.fault().unwrap().cause,
        Cause::AttemptTimeout,
        "{error}"
    );
    late.set_timeout(Duration::from_millis(100)).unwrap();
    let error = client.send(&late).unwrap_err();
    assert_eq!(error.fault().unwrap().cause, Cause::Deadline, "{error}");
    primary.open();
    alternate.open();
}

/// An organization over HTTP/2 of which that is known, and no connection is kept.
fn http2(pairs: &[(&str, &str)]) -> (Twin, OrgHandle, Client) {
    let mut contoso = OrganizationConfig::new("contoso");
    contoso.http2 = true;
    let twin = Twin::start(TwinConfig::new([contoso])).unwrap();
    let org = twin.org("contoso").unwrap();
    let mut settings = contoso::settings(&twin);
    for (key, value) in [
        ("auto_switch", "off"),
        ("preset", "safe"),
        ("probe_after_ms", "0"),
        ("max_attempts", "1"),
    ]
    .iter()
    .chain(pairs)
    {
        settings.set(key, value).unwrap();
    }
    let client = Client::open(&settings).unwrap();
    // From here on it is known that one is enough.
    let first = client.send(&request(Some(60_000))).unwrap();
    assert_eq!(first.attempts()[0].http_version, Some(HttpVersion::Http2));
    // Left and come back to: nothing is kept of it.
    client.switch_endpoint().unwrap();
    client.switch_endpoint().unwrap();
    (twin, org, client)
}

/// One connection for all over HTTP/2: who has less time leaves, and the others get it.
#[test]
fn a_connection_that_others_wait_for_goes_on() {
    let (_twin, org, client) = http2(&[]);
    let hole = serde_json::from_str::<d365_twin::Fault>(r#"{"kind":"black_hole"}"#).unwrap();
    org.primary.fault(hole).unwrap();
    let patient = {
        let client = client.clone();
        std::thread::spawn(move || -> Result<Response, Error> { client.send(&request(None)) })
    };
    let hurried: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.send(&request(Some(300))))
        })
        .collect();
    for hurried in hurried {
        let error = hurried.join().unwrap().unwrap_err();
        assert_eq!(
            error.fault().unwrap().cause,
            Cause::ConnectTimeout,
            "{error}"
        );
    }
    org.primary.clear().unwrap();
    assert_eq!(patient.join().unwrap().unwrap().status(), 200);
}

/// Nor does who has more time make the others wait: they know as soon as the client's setting has it.
#[test]
fn a_patient_request_holds_up_no_other() {
    let (_twin, org, client) = http2(&[("connect_timeout_ms", "500")]);
    org.primary.fault(TwinFault::ListenNeverAccept).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, org.primary.port()));
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let fillers: Vec<_> = std::iter::from_fn(fill).collect();
    let patient = {
        let client = client.clone();
        std::thread::spawn(move || client.send(&request(Some(60_000))))
    };
    // The first may have been there before the patient one, the others come to what it has begun.
    for _ in 0..3 {
        let error = client.send(&request(None)).unwrap_err();
        let fault = error.fault().unwrap();
        assert_eq!(fault.cause, Cause::ConnectTimeout, "{error}");
        assert!(error.message().contains("500 ms"), "{error}");
        assert!(error.attempts()[0].took < Duration::from_secs(20));
    }
    drop(fillers);
    org.primary.clear().unwrap();
    assert_eq!(patient.join().unwrap().unwrap().status(), 200);
}

/// Who waits for bytes waits as long as they come, and not longer.
#[test]
fn a_read_timeout_counts_from_the_last_byte() {
    let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")])).unwrap();
    let org = twin.org("contoso").unwrap();
    let mut settings = contoso::settings(&twin);
    for (key, value) in [
        ("auto_switch", "off"),
        ("probe_after_ms", "0"),
        ("outage_wait_ms", "0"),
        ("max_attempts", "1"),
    ] {
        settings.set(key, value).unwrap();
    }
    let client = Client::open(&settings).unwrap();
    let mut request = request(None);
    request
        .set_read_timeout(Duration::from_millis(2000))
        .unwrap();
    let drip = r#"{"kind":"slow_drip","bytes":40,"every_ms":300}"#;
    org.primary
        .fault(serde_json::from_str::<d365_twin::Fault>(drip).unwrap())
        .unwrap();
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.attempts()[0].took > Duration::from_millis(2000));
    org.primary.clear().unwrap();
    request
        .set_read_timeout(Duration::from_millis(300))
        .unwrap();
    for (kind, is_streaming) in [
        ("accept_never_answer", false),
        ("accept_never_answer", true),
        ("stall_body", false),
        ("stall_body", true),
    ] {
        let fault = format!(r#"{{"kind":"{kind}"}}"#);
        org.primary
            .fault(serde_json::from_str::<d365_twin::Fault>(&fault).unwrap())
            .unwrap();
        request.set_streaming(is_streaming);
        let error = match client.send(&request) {
            Err(error) => error,
            Ok(response) => loop {
                assert!(is_streaming);
                if let Err(error) = response.read(&mut [0; 100]) {
                    break error;
                }
            },
        };
        let fault = error.fault().unwrap();
        assert_eq!(fault.cause, Cause::AttemptTimeout, "{kind}: {error}");
        // The attempt has 120 s.
        assert!(error.attempts()[0].took < Duration::from_secs(30), "{kind}");
        org.primary.clear().unwrap();
    }
}

#[cfg(unix)]
mod stood_still {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use d365_failover_core::ErrorKind;

    use super::*;
    use crate::support::script::URL;

    const ENVIRONMENT: &str = "D365_TEST_OWN_TIMES";
    const TIME: Duration = Duration::from_secs(2);

    /// Its call's time is over while it is stopped.
    #[test]
    #[ignore = "what another process does"]
    #[expect(clippy::print_stdout, reason = "its answers")]
    fn the_call_of_another_process() {
        let told = std::env::var(ENVIRONMENT).unwrap();
        let (port, time) = told.split_once(' ').unwrap();
        let mut settings = Settings::new(URL).unwrap();
        let connect_to = format!("contoso.crm.script.test:80:127.0.0.1:{port}");
        for (key, value) in [
            ("connect_to", connect_to.as_str()),
            ("preset", "dotnet"),
            ("auto_switch", "off"),
        ] {
            settings.set(key, value).unwrap();
        }
        let client = Client::open(&settings).unwrap();
        let mut request = request(None);
        match time {
            "timeout" => request.set_timeout(TIME).unwrap(),
            "read_timeout" => request.set_read_timeout(TIME).unwrap(),
            _ => request.set_attempt_timeout(TIME).unwrap(),
        }
        request.set_streaming(time == "streaming");
        // Asked now and then, and so where many things are waited for.
        let mut goes_on = || false;
        let ended = client.send_with_check(&request, &mut goes_on);
        let ended = ended.and_then(|response| {
            if time == "streaming" {
                println!("» head");
                while response.read_with_check(&mut [0; 16], &mut goes_on)? > 0 {}
            }
            Ok(response.status())
        });
        println!("» {:?}", ended.map_err(|error| error.kind()));
    }

    fn signal(child: &Child, signal: &str) {
        let id = child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    fn outcome(time: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = "stood_still::the_call_of_another_process";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--ignored", "--nocapture"])
            .env(ENVIRONMENT, format!("{port} {time}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut words = lines.filter_map(|line| Some(line.unwrap().split_once("» ")?.1.to_owned()));
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let mut at_once = 0;
        if time == "streaming" {
            at_once = ANSWER.len() - 1;
            stream.write_all(&ANSWER[..at_once]).unwrap();
            assert_eq!(words.next().unwrap(), "head");
        }
        signal(&child, "-STOP");
        stream.write_all(&ANSWER[at_once..]).unwrap();
        std::thread::sleep(TIME * 2);
        signal(&child, "-CONT");
        let outcome = words.next().unwrap();
        child.wait().unwrap();
        outcome
    }

    /// What is read after its time has come in time all the same, if nobody was there to read it.
    #[test]
    fn what_has_come_while_the_process_stood_still_is_in_time() {
        let times = ["timeout", "attempt_timeout", "read_timeout", "streaming"];
        std::thread::scope(|scope| {
            let calls = times.map(|time| (time, scope.spawn(move || outcome(time))));
            for (time, call) in calls {
                let answered = Ok::<u16, ErrorKind>(200);
                assert_eq!(call.join().unwrap(), format!("{answered:?}"), "{time}");
            }
        });
    }
}
