//! Proxies as the environment names them, and what is asked of one. The forms of the variables are
//! tables beside the code that reads them.

#![allow(
    clippy::print_stdout,
    reason = "a process tells its test what came of it"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use d365_failover_core::{Client, Error, Request, Settings};

use self::support::secure::{ANSWER, serve};

/// A proxy for one server, which it leads to whatever it is asked for.
struct Proxy {
    port: u16,
    /// The first line of a request, and its `Proxy-Authorization`.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn start(server: u16) -> Proxy {
    start_saying(server, ESTABLISHED.to_owned())
}

/// One that answers so to CONNECT.
fn start_saying(server: u16, established: String) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (log, established) = (Arc::clone(&log), established.clone());
            std::thread::spawn(move || play(stream, server, &established, &log));
        }
    });
    Proxy { port, seen }
}

fn play(
    client: TcpStream,
    server: u16,
    established: &str,
    log: &Mutex<Vec<(String, String)>>,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = lines.iter().filter_map(|line| line.split_once(": "));
    let authorization = header
        .filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
        .map(|(_, value)| value.to_owned())
        .next();
    let is_connect = lines[0].starts_with("CONNECT ");
    log.lock()
        .unwrap()
        .push((lines[0].clone(), authorization.unwrap_or_default()));
    let mut client = client;
    if !is_connect {
        return client.write_all(ANSWER).ok();
    }
    let mut server = TcpStream::connect(("127.0.0.1", server)).ok()?;
    client.write_all(established.as_bytes()).ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut back, &mut to));
    std::io::copy(&mut client, &mut server).ok()?;
    Some(())
}

/// An answer to CONNECT is read as any other: by the same rules, within the same bounds.
#[test]
fn a_proxy_s_head_is_read_as_any_other() {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let server = serve(made.cert.der().clone(), made.signing_key.serialize_der());
    let head = |lines: &str| format!("HTTP/1.1 200 Connection established\r\n{lines}\r\n");
    let many: String = (0..150).map(|n| format!("X-{n}: 1\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "x".repeat(70_000));
    let large_by_setting = format!("X-Large: {}\r\n", "x".repeat(300_000));
    // What it says, the bound, and what the client says of it ("": nothing).
    for (says, bound, told) in [
        (head(""), "64000", ""),
        (head("Via: a,\r\n  b\r\n"), "64000", ""),
        (head("Via: a\u{1}b\r\n"), "64000", ""),
        (head("Proxy-Agent : x\r\n"), "64000", ""),
        (
            head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            "64000",
            "",
        ),
        (head(&many), "64000", ""),
        ("HTTP/1.1 200\n\n".to_owned(), "64000", ""),
        (
            head(&large),
            "64000",
            "is larger than 64000 bytes (max_response_headers)",
        ),
        (head(&large_by_setting), "500000", ""),
        (head("no colon\r\n"), "64000", "a line without a colon"),
        (head("") + "more", "64000", "it sent more than its answer"),
        (
            head("Via: a,\r\n b\r\n") + "more",
            "64000",
            "it sent more than its answer",
        ),
        ("SSH-2.0-x\r\n".to_owned(), "64000", "no HTTP/1 status line"),
    ] {
        let proxy = start_saying(server, says.clone());
        let mut settings = Settings::new(&format!("https://{HOST}")).unwrap();
        for (key, value) in [
            ("proxy", format!("http://127.0.0.1:{}", proxy.port).as_str()),
            ("tls_verify", "off"),
            ("auto_switch", "off"),
            ("max_attempts", "1"),
            ("max_response_headers", bound),
        ] {
            settings.set(key, value).unwrap();
        }
        let client = Client::open(&settings).unwrap();
        let sent = client.send(&Request::new("GET", "/api/data/v9.2/WhoAmI").unwrap());
        let case = says.get(..60).unwrap_or(&says);
        match (sent, told) {
            (Ok(response), "") => assert_eq!(response.status(), 200, "{case}"),
            (Err(error), told) if !told.is_empty() => {
                assert!(error.message().contains(told), "{case}: {error}");
            }
            (sent, _) => panic!("{case}: {sent:?}"),
        }
    }
}

/// Variables of the environment.
type Variables<'a> = &'a [(&'a str, &'a str)];
type Row<'a> = (&'a str, &'a str, Variables<'a>, &'a str, &'a str, &'a str);

const HOST: &str = "contoso.crm.script.test";

/// A process of its own has an environment of its own.
#[test]
fn the_environment_s_proxies_are_taken() {
    let names = vec![HOST.to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let server = serve(made.cert.der().clone(), made.signing_key.serialize_der());
    let proxy = start(server);
    let (named, https, http) = (
        HOST.to_owned(),
        format!("https://{HOST}"),
        format!("http://{HOST}"),
    );
    let address = "https://[::1]:4433".to_owned();
    let to_named = format!("{named}:443:127.0.0.1:{server}");
    let to_v6 = format!("{named}:443:[::1]:{server}");
    let from_v6 = format!("[::1]:4433:127.0.0.1:{server}");
    let connect_named = format!("CONNECT 127.0.0.1:{server} HTTP/1.1");
    let connect_v6 = format!("CONNECT [::1]:{server} HTTP/1.1");
    let get = format!("GET {http}/api/data/v9.2/WhoAmI HTTP/1.1");
    let p = format!("127.0.0.1:{}", proxy.port);
    let with_user = format!("http://u:p%40s@{p}");
    let socks = format!("socks5://u:secret@{p}");
    // URL, connect_to, variables, what the proxy is asked and who asks ("": nothing), what the
    // client says
    let table: &[Row<'_>] = &[
        (
            &https,
            &to_named,
            &[("HTTPS_PROXY", &p)],
            &connect_named,
            "",
            "200",
        ),
        (
            &https,
            "",
            &[("HTTPS_PROXY", &p)],
            &format!("CONNECT {named}:443 HTTP/1.1"),
            "",
            "200",
        ),
        (
            &https,
            "",
            &[("https_proxy", &with_user)],
            &format!("CONNECT {named}:443 HTTP/1.1"),
            "Basic dTpwQHM=",
            "200",
        ),
        (
            &https,
            "",
            &[("ALL_PROXY", &p), ("NO_PROXY", "other.test")],
            &format!("CONNECT {named}:443 HTTP/1.1"),
            "",
            "200",
        ),
        (
            &https,
            &to_named,
            &[("HTTPS_PROXY", &p), ("NO_PROXY", "localhost, .script.test")],
            "",
            "",
            "200",
        ),
        (
            &https,
            &to_named,
            &[("HTTPS_PROXY", &p), ("no_proxy", "*")],
            "",
            "",
            "200",
        ),
        (&https, &to_named, &[("http_proxy", &p)], "", "", "200"),
        (
            &https,
            &to_v6,
            &[("HTTPS_PROXY", &p)],
            &connect_v6,
            "",
            "200",
        ),
        (
            &address,
            "",
            &[("HTTPS_PROXY", &p)],
            "CONNECT [::1]:4433 HTTP/1.1",
            "",
            "200",
        ),
        (
            &address,
            &from_v6,
            &[("HTTPS_PROXY", &p), ("NO_PROXY", "::/64")],
            "",
            "",
            "200",
        ),
        (&http, "", &[("http_proxy", &p)], &get, "", "200"),
        (
            &http,
            &format!("{named}:80:127.0.0.1:1"),
            &[("HTTP_PROXY", &p)],
            "",
            "",
            "endpoint_not_found",
        ),
        (
            &https,
            "",
            &[("ALL_PROXY", &socks)],
            "",
            "",
            "ALL_PROXY cannot be used for contoso.crm.script.test: socks5: the library speaks no SOCKS",
        ),
        (
            &https,
            &to_named,
            &[("ALL_PROXY", &socks), ("NO_PROXY", "script.test")],
            "",
            "",
            "200",
        ),
    ];
    for (url, connect_to, variables, asked, who, says) in table {
        proxy.seen.lock().unwrap().clear();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "a_client_of_the_environment",
            "--ignored",
            "--nocapture",
        ]);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_uppercase());
        }
        command.envs(variables.iter().copied());
        command
            .env("D365_TEST_URL", url)
            .env("D365_TEST_TO", connect_to);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains(&format!("said: {says}")) || said.contains(says) && *says != "200",
            "{variables:?}: {said}"
        );
        assert!(!said.contains("secret"), "{said}");
        let seen = proxy.seen.lock().unwrap().clone();
        let expected: Vec<(String, String)> = match *asked {
            "" => Vec::new(),
            asked => vec![(asked.to_owned(), (*who).to_owned())],
        };
        assert_eq!(seen, expected, "{variables:?}: {said}");
    }
}

#[test]
#[ignore = "the other half of the_environment_s_proxies_are_taken"]
fn a_client_of_the_environment() {
    let call = || -> Result<u16, Error> {
        let mut settings = Settings::new(&std::env::var("D365_TEST_URL").unwrap())?;
        let to = std::env::var("D365_TEST_TO").unwrap();
        for (key, value) in [
            ("proxy", "system"),
            ("tls_verify", "off"),
            ("auto_switch", "off"),
            ("max_attempts", "1"),
            ("alternate_url", "https://contoso--s.crm.script.test"),
            ("connect_to", &to),
        ] {
            if !value.is_empty() {
                settings.set(key, value)?;
            }
        }
        let request = Request::new("GET", "/api/data/v9.2/WhoAmI")?;
        Ok(Client::open(&settings)?.send(&request)?.status())
    };
    match call() {
        Ok(status) => println!("said: {status}"),
        Err(error) => println!("said: {error}"),
    }
}
