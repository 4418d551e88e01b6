//! Heads and framings over HTTP/1.1 that are odd, and what becomes of a call whose answer is no HTTP.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use d365_failover_core::{
    Client, Effect, Error, ErrorKind, FaultKind, Phase, Request, Response, Settings,
};
use support::contoso::{ACCOUNTS, LONG, get};
use support::script::URL;

/// A server that gives its answers one after the other, each in pieces, and then the last one again
/// and again.
struct Server {
    settings: Settings,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Answer {
    pieces: Vec<Vec<u8>>,
    closes: bool,
}

fn whole(text: impl Into<Vec<u8>>) -> Answer {
    Answer {
        pieces: vec![text.into()],
        closes: false,
    }
}

fn cut(text: impl Into<Vec<u8>>) -> Answer {
    Answer {
        pieces: vec![text.into()],
        closes: true,
    }
}

/// Byte by byte.
fn dripping(text: impl Into<Vec<u8>>) -> Answer {
    let text: Vec<u8> = text.into();
    Answer {
        pieces: text.chunks(1).map(<[u8]>::to_vec).collect(),
        closes: false,
    }
}

fn serve(preset: &str, answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let connections = Arc::new(AtomicUsize::new(0));
    let (asked, opened) = (Arc::clone(&requests), Arc::clone(&connections));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            opened.fetch_add(1, Ordering::SeqCst);
            let (answers, asked) = (answers.clone(), Arc::clone(&asked));
            std::thread::spawn(move || play(stream, &answers, &asked));
        }
    });
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", preset).unwrap();
    let rule = format!("contoso.crm.script.test:80:127.0.0.1:{port}");
    settings.set("connect_to", &rule).unwrap();
    settings.set("auto_switch", "off").unwrap();
    Server {
        settings,
        requests,
        connections,
    }
}

fn play(mut stream: TcpStream, answers: &[Answer], asked: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    while read_request(&mut stream) {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(number).or(answers.last()).unwrap();
        for piece in &answer.pieces {
            if stream.write_all(piece).is_err() {
                return;
            }
        }
        if answer.closes {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0].to_ascii_lowercase()),
            _ => return false,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).is_ok()
}

fn write() -> Request {
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.set_body("{}");
    request.set_timeout(LONG).unwrap();
    request
}

fn read() -> Request {
    let mut request = get("/x");
    request.set_timeout(LONG).unwrap();
    request
}

const OK: &str = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nContent-Length: 2\r\n\r\n{}";

fn with(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\n{lines}\r\n\r\n{{}}")
}

fn headers(count: usize) -> String {
    (0..count)
        .map(|number| format!("Set-Cookie: c{number}=x\r\n"))
        .collect()
}

/// What one head has to say in the end: a header and its value, and whether its connection goes on.
type Taken = (&'static str, String, &'static str, &'static str, bool);

#[test]
fn heads_that_are_odd_are_taken() {
    let length = "Content-Length: 2";
    let table: Vec<Taken> = vec![
        ("a plain one", with(length), "odata-version", "4.0", true),
        (
            "a control character",
            with(&format!("Set-Cookie: a=\u{1}b\r\n{length}")),
            "set-cookie",
            "a= b",
            true,
        ),
        (
            "a NUL",
            with(&format!("X-A: a\0b\r\n{length}")),
            "x-a",
            "a b",
            true,
        ),
        (
            "a carriage return in a value",
            with(&format!("X-A: a\rb\r\n{length}")),
            "x-a",
            "a b",
            true,
        ),
        (
            "a delete character",
            with(&format!("X-A: a\u{7F}b\r\n{length}")),
            "x-a",
            "a b",
            true,
        ),
        (
            "a tab",
            with(&format!("X-A: a\tb\r\n{length}")),
            "x-a",
            "a\tb",
            true,
        ),
        (
            "a space before the colon",
            with(&format!("X-A : b\r\n{length}")),
            "x-a",
            "b",
            true,
        ),
        (
            "a space before the length's colon",
            with("Content-Length : 2"),
            "content-length",
            "2",
            true,
        ),
        (
            "a folded line",
            with(&format!("X-A: a\r\n\t  b\r\n c\r\n{length}")),
            "x-a",
            "a b c",
            true,
        ),
        (
            "a folded length",
            with("Content-Length:\r\n 2"),
            "content-length",
            "2",
            true,
        ),
        (
            "a folded line without a value",
            with(&format!("X-A:\r\n \r\n{length}")),
            "x-a",
            "",
            true,
        ),
        (
            "a name that is none",
            with(&format!("X A: b\r\nX-B: c\r\n{length}")),
            "x-b",
            "c",
            false,
        ),
        (
            "line feeds alone",
            with(length).replace('\r', ""),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "a hundred and one lines",
            with(&(headers(101) + length)),
            "set-cookie",
            "c0=x",
            true,
        ),
        (
            "cookies of 60 kB",
            with(&(headers(2900) + length)),
            "set-cookie",
            "c0=x",
            true,
        ),
        (
            "an empty line before",
            format!("\r\n{OK}"),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "no reason",
            OK.replace(" OK", ""),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "a reason with a control character",
            OK.replace(" OK", " O\u{1}K"),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "news before",
            format!("HTTP/1.1 103 Early\r\nLink : x\r\n\r\n{OK}"),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "HTTP/1.7",
            OK.replace("1.1", "1.7"),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "identity and a length",
            with(&format!("Transfer-Encoding: identity\r\n{length}")),
            "transfer-encoding",
            "identity",
            false,
        ),
        (
            "one length twice",
            with(&format!("{length}\r\n{length}")),
            "content-length",
            "2",
            true,
        ),
        (
            "one length in a list",
            with("Content-Length: 2, 2"),
            "content-length",
            "2, 2",
            true,
        ),
        (
            "chunked and a length",
            chunked("Transfer-Encoding: chunked\r\nContent-Length: 1"),
            "odata-version",
            "4.0",
            false,
        ),
        (
            "identity, chunked",
            chunked("Transfer-Encoding: identity, chunked"),
            "odata-version",
            "4.0",
            true,
        ),
        (
            "chunked twice",
            chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            "odata-version",
            "4.0",
            false,
        ),
        (
            "chunked in HTTP/1.0",
            chunked("Transfer-Encoding: chunked").replace("1.1", "1.0"),
            "odata-version",
            "4.0",
            false,
        ),
    ];
    for (case, text, name, value, goes_on) in table {
        for (how, answer) in [
            ("whole", whole(text.clone())),
            ("dripping", dripping(text.clone())),
        ] {
            if how == "dripping" && text.len() > 10_000 {
                continue;
            }
            let server = serve("dotnet", vec![answer]);
            let client = Client::open(&server.settings).unwrap();
            for _ in 0..2 {
                let response = client.send(&read());
                let response = response.unwrap_or_else(|error| panic!("{case}, {how}: {error}"));
                assert_eq!(
                    (response.status(), &response.body()[..]),
                    (200, &b"{}"[..]),
                    "{case}"
                );
                let got = response
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap());
                assert_eq!(got, Some(value), "{case}, {how}");
            }
            let connections = server.connections.load(Ordering::SeqCst);
            assert_eq!(connections == 1, goes_on, "{case}, {how}");
        }
    }
}

fn chunked(lines: &str) -> String {
    with(lines).replace("{}", "2\r\n{}\r\n0\r\n\r\n")
}

#[test]
fn all_cookies_are_kept() {
    let server = serve(
        "dotnet",
        vec![whole(with(&(headers(150) + "Content-Length: 2")))],
    );
    let response = Client::open(&server.settings)
        .unwrap()
        .send(&read())
        .unwrap();
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(
        (cookies.len(), cookies[149].as_bytes()),
        (150, &b"c149=x"[..])
    );
}

/// What is no answer, and whether its status is seen all the same.
fn broken() -> Vec<(&'static str, Answer, Option<u16>)> {
    let length = "Content-Length: 2";
    vec![
        ("no HTTP", whole("SSH-2.0-OpenSSH_9.2\r\n"), None),
        ("no HTTP, without a line", whole("\u{1}\u{2}\u{3}"), None),
        (
            "a status that is none",
            whole(OK.replace("200", "abc")),
            None,
        ),
        (
            "a status of two digits",
            whole(OK.replace("200", "20")),
            None,
        ),
        ("HTTP/3", whole(OK.replace("HTTP/1.1", "HTTP/3.0")), None),
        (
            "two lengths",
            whole(with(&format!("{length}\r\nContent-Length: 3"))),
            Some(200),
        ),
        (
            "two lengths in a list",
            whole(with("Content-Length: 2, 3")),
            Some(200),
        ),
        (
            "a negative length",
            whole(with("Content-Length: -2")),
            Some(200),
        ),
        (
            "a length with a sign",
            whole(with("Content-Length: +2")),
            Some(200),
        ),
        (
            "a length with a control character",
            whole(with("Content-Length: 2\u{1}")),
            Some(200),
        ),
        (
            "a length in other letters",
            whole(with("Content-Length\u{1}: 2")),
            Some(200),
        ),
        (
            "a length and an unknown coding",
            whole(with(&format!("Transfer-Encoding: x\r\n{length}"))),
            Some(200),
        ),
        (
            "a line without a colon",
            whole(with(&format!("rubbish\r\n{length}"))),
            Some(200),
        ),
        (
            "a chunk that is none",
            cut(with("Transfer-Encoding: chunked").replace("{}", "zz\r\n{}\r\n")),
            Some(200),
        ),
        (
            "a chunk without its end",
            cut(with("Transfer-Encoding: chunked").replace("{}", "2\r\n{}xx")),
            Some(200),
        ),
        (
            "a chunk beyond all numbers",
            cut(with("Transfer-Encoding: chunked").replace("{}", "fffffffffffffffff\r\n")),
            Some(200),
        ),
    ]
}

fn status_of(error: &Error) -> (ErrorKind, Option<u16>) {
    (error.kind(), error.attempts()[0].http_status)
}

#[test]
fn an_answer_that_is_no_http_is_asked_for_again() {
    let protocol = ErrorKind::Call(FaultKind::Protocol);
    for (case, answer, status) in broken() {
        let server = serve("safe", vec![answer.clone(), whole(OK)]);
        let response = Client::open(&server.settings).unwrap().send(&read());
        let response = response.unwrap_or_else(|error| panic!("{case}: {error}"));
        let first = &response.attempts()[0];
        assert_eq!(response.attempts().len(), 2, "{case}");
        assert_eq!(
            first.fault.as_ref().unwrap().kind,
            FaultKind::Protocol,
            "{case}"
        );
        assert_eq!(first.http_status, status, "{case}");

        let mut server = serve("safe", vec![answer.clone()]);
        server.settings.set("max_attempts", "2").unwrap();
        let client = Client::open(&server.settings).unwrap();
        let error = client.send(&read()).unwrap_err();
        assert_eq!(status_of(&error), (protocol, status), "{case}: {error}");
        assert_eq!(server.requests.load(Ordering::SeqCst), 2, "{case}");
        assert!(client.is_primary());

        // A write that a repeat would do twice.
        let server = serve("safe", vec![answer.clone(), whole(OK)]);
        let error = Client::open(&server.settings)
            .unwrap()
            .send(&write())
            .unwrap_err();
        assert_eq!(status_of(&error), (protocol, status), "{case}: {error}");
        let effect = match status {
            Some(_) => Effect::Executed,
            None => Effect::Unknown,
        };
        assert_eq!(error.effect(), effect, "{case}: {error}");
        assert_eq!(server.requests.load(Ordering::SeqCst), 1, "{case}");
    }
}

#[test]
fn an_idempotent_write_goes_again_unless_its_status_was_seen() {
    for (case, answer, status) in broken() {
        let server = serve("safe", vec![answer, whole(OK)]);
        let client = Client::open(&server.settings).unwrap();
        let mut request = Request::new("PUT", "/api/data/v9.2/accounts(a='b')/name").unwrap();
        request.set_body("{}");
        let attempts = match client.send(&request) {
            Ok(response) => response.attempts().len(),
            Err(error) => {
                assert_eq!(error.effect(), Effect::Executed, "{case}: {error}");
                error.attempts().len()
            }
        };
        assert_eq!(attempts, if status.is_some() { 1 } else { 2 }, "{case}");
    }
}

#[test]
fn the_status_of_a_head_that_is_refused_is_known() {
    let created = "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nOData-EntityId: /x\r\n";
    let many = format!("{created}{}\r\n", headers(10_000));
    for (case, text) in [
        ("too large", many),
        (
            "a line without a colon",
            format!("{created}rubbish\r\n\r\n"),
        ),
    ] {
        let server = serve("safe", vec![whole(text)]);
        let error = Client::open(&server.settings)
            .unwrap()
            .send(&write())
            .unwrap_err();
        assert_eq!(
            status_of(&error),
            (ErrorKind::Call(FaultKind::Protocol), Some(204)),
            "{case}"
        );
        assert_eq!(error.effect(), Effect::Executed, "{case}: {error}");
        assert_eq!(error.attempts()[0].phase, Phase::Responded, "{case}");
        let head = error.response().unwrap().headers();
        assert_eq!(head["odata-entityid"], "/x", "{case}");
        assert_eq!(error.attempts().len(), 1, "{case}");
    }
}

/// A body is due to none of these, whatever is said of its length.
#[test]
fn an_answer_without_a_body_needs_no_length() {
    let lengths = "OData-Version: 4.0\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n";
    for (status, method) in [(204, "POST"), (304, "GET"), (200, "HEAD")] {
        let server = serve(
            "safe",
            vec![whole(format!("HTTP/1.1 {status} x\r\n{lengths}"))],
        );
        let request = Request::new(method, ACCOUNTS).unwrap();
        let response = Client::open(&server.settings)
            .unwrap()
            .send(&request)
            .unwrap();
        assert_eq!((response.status(), response.body().len()), (status, 0));
    }
}

/// What a 204 has with it against all rules is not the beginning of the next answer. What is said of
/// a body to `HEAD`, and by 304, is said of another answer's.
#[test]
fn a_connection_goes_on_where_a_body_can_be_none() {
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (method, status, lines, body, goes_on) in [
        ("POST", 204, "", "", true),
        ("POST", 204, "Content-Length: 0\r\n", "", true),
        ("POST", 204, length, "", false),
        ("POST", 204, length, "hello", false),
        ("POST", 204, "Content-Length : 5\r\n", "hello", false),
        (
            "POST",
            204,
            "Content-Length: 5\r\nX-A: \u{1}\r\n",
            "hello",
            false,
        ),
        ("POST", 204, chunked, "0\r\n\r\n", false),
        ("POST", 204, "Transfer-Encoding: x\r\n", "", false),
        ("DELETE", 204, length, "hello", false),
        ("GET", 304, length, "", true),
        ("HEAD", 200, length, "", true),
        ("HEAD", 204, length, "", true),
    ] {
        for preset in ["safe", "dotnet"] {
            let case = format!("{preset} {method} {status} {lines:?} {body:?}");
            let text = format!("HTTP/1.1 {status} x\r\nOData-Version: 4.0\r\n{lines}\r\n{body}");
            let server = serve(preset, vec![whole(text)]);
            let client = Client::open(&server.settings).unwrap();
            for _ in 0..3 {
                let mut request = Request::new(method, ACCOUNTS).unwrap();
                request.set_timeout(LONG).unwrap();
                let response = client.send(&request);
                let response = response.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!((response.status(), response.body().len()), (status, 0));
                assert_eq!(response.attempts().len(), 1, "{case}");
            }
            let connections = server.connections.load(Ordering::SeqCst);
            assert_eq!(connections, if goes_on { 1 } else { 3 }, "{case}");
        }
    }
}

#[test]
fn headers_and_reason_are_told_as_they_came() {
    let lines = |response: &Response| -> Vec<String> {
        let lines = response.header_lines().into_iter();
        lines
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect()
    };
    let secret = "Bearer c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for (head, reason, expected) in [
        (
            "HTTP/1.1 409 No Such Thing\r\nZ-Last: 1\r\nset-cookie: a\r\nContent-LENGTH: 0\r\nSet-Cookie: b\r\nA: 2\r\n\r\n",
            "No Such Thing",
            "Z-Last=1 set-cookie=a Content-LENGTH=0 Set-Cookie=b A=2",
        ),
        // What hyper does not read.
        (
            "HTTP/1.1 200 Fine\r\nZ-Last: 1\r\n folded\r\nContent-Length : 0\r\nBad Name: x\r\nA: \u{1}2\r\n\r\n",
            "Fine",
            "Z-Last=1 folded Content-Length=0 A=2",
        ),
        (
            "HTTP/1.1 409 \r\nContent-Length: 0\r\n\r\n",
            "Conflict",
            "Content-Length=0",
        ),
        (
            "HTTP/1.1 799\r\nContent-Length: 0\r\n\r\n",
            "",
            "Content-Length=0",
        ),
        (
            "HTTP/1.1 200 who is Bearer c2VjcmV0LXNlY3JldC1zZWNyZXQ?\r\nContent-Length: 0\r\n\r\n",
            "who is Bearer …?",
            "Content-Length=0",
        ),
        // An interim answer's head is another one.
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "OK",
            "Content-Length=0",
        ),
    ] {
        for answer in [whole(head), dripping(head)] {
            let server = serve("dotnet", vec![answer]);
            let mut request = read();
            request.add_header("Authorization", secret).unwrap();
            let response = Client::open(&server.settings).unwrap().send(&request);
            let response = response.unwrap_or_else(|error| panic!("{head:?}: {error}"));
            assert_eq!(response.reason_phrase(), reason, "{head:?}");
            assert_eq!(lines(&response).join(" "), expected, "{head:?}");
            assert_eq!(response.headers().len(), response.header_lines().len());
            assert!(
                response.elapsed() >= response.attempts()[0].took,
                "{head:?}"
            );
        }
    }
}

/// What is here with the head needs no waiting, and its connection is free before it is read.
#[test]
fn a_small_streamed_body_comes_with_its_head() {
    let small = with("Content-Length: 2");
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    for answer in [whole(small.clone()), whole(chunked), dripping(small)] {
        let is_at_once = answer.pieces.len() == 1;
        let server = serve("safe", vec![answer]);
        let client = Client::open(&server.settings).unwrap();
        let mut request = read();
        request.set_streaming(true);
        for number in 1..4 {
            let response = client.send(&request).unwrap();
            assert!(response.is_streaming() && response.body().is_empty());
            if is_at_once {
                client.send(&read()).unwrap();
                assert_eq!(server.connections.load(Ordering::SeqCst), 1);
            }
            let (mut body, mut buffer) = (Vec::new(), [0; 1]);
            let mut waits = 0;
            loop {
                let (mut count, mut is_end) = response.read_ready(&mut buffer).unwrap();
                if (count, is_end) == (0, false) {
                    waits += 1;
                    count = response.read(&mut buffer).unwrap();
                    is_end = count == 0;
                }
                body.extend_from_slice(&buffer[..count]);
                if is_end {
                    break;
                }
            }
            assert_eq!(body, b"{}", "{number}");
            assert!(waits == 0 || !is_at_once);
            assert_eq!(response.read(&mut buffer).unwrap(), 0);
            assert_eq!(response.read_ready(&mut buffer).unwrap(), (0, true));
        }
    }
}

/// However soon it breaks off: the head was an answer.
#[test]
fn a_streamed_body_that_breaks_off_with_its_head_is_told_to_who_reads() {
    let server = serve("safe", vec![cut(with("Content-Length: 5"))]);
    let client = Client::open(&server.settings).unwrap();
    let mut request = read();
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(response.read(&mut buffer).unwrap(), 2);
    for _ in 0..2 {
        let error = response.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
        assert!(error.attempts()[0].fault.is_some());
    }
    // What is given up is given up, also what has come.
    let response = client.send(&request).unwrap();
    response.cancel();
    for error in [
        response.read(&mut buffer).unwrap_err(),
        response.read_ready(&mut buffer).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
    }
}

/// Of a read that is given up by who is asked meanwhile, nothing is lost.
#[test]
fn a_read_goes_on_after_its_check_has_ended_one() {
    let (pieces, more) = mpsc::channel::<&str>();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        for piece in more {
            stream.write_all(piece.as_bytes()).unwrap();
        }
    });
    let mut settings = Settings::new(URL).unwrap();
    let rule = format!("contoso.crm.script.test:80:127.0.0.1:{port}");
    for (key, value) in [("connect_to", &rule[..]), ("auto_switch", "off")] {
        settings.set(key, value).unwrap();
    }
    let client = Client::open(&settings).unwrap();
    let mut request = read();
    request.set_streaming(true);
    pieces
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        .unwrap();
    let response = client.send(&request).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(response.read(&mut buffer).unwrap(), 2);
    for _ in 0..2 {
        let error = response.read_with_check(&mut buffer, &mut || true);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
        assert_eq!(response.read_ready(&mut buffer).unwrap(), (0, false));
    }
    let mut asked = 0;
    let count = response.read_with_check(&mut buffer, &mut || {
        asked += 1;
        if asked == 2 {
            pieces.send("cd").unwrap();
        }
        false
    });
    assert_eq!((count.unwrap(), &buffer[..2]), (2, &b"cd"[..]));
    assert!(asked >= 2);
    assert_eq!(response.read(&mut buffer).unwrap(), 0);
}

#[test]
fn the_limit_of_a_head_is_in_bytes() {
    for (most, is_taken) in [("20000", true), ("10000", false)] {
        let head = with(&(headers(1000) + "Content-Length: 2"));
        assert!((10_000..20_000).contains(&head.len()));
        let mut server = serve("dotnet", vec![whole(head)]);
        server.settings.set("max_response_headers", most).unwrap();
        match Client::open(&server.settings).unwrap().send(&read()) {
            Ok(response) => assert!(is_taken, "{}", response.status()),
            Err(error) => {
                assert!(!is_taken, "{error}");
                assert!(error.message().contains("max_response_headers"), "{error}");
            }
        }
    }
}

mod coded {
    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(plain: &[u8]) -> Vec<u8> {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        encoder.write_all(plain).unwrap();
        encoder.into_inner()
    }

    #[test]
    fn what_follows_a_coded_body_is_ignored() {
        let bodies = [
            ("gzip", gzip(b"{}")),
            ("gzip", [gzip(b"{"), gzip(b"}")].concat()),
            ("br", brotli(b"{}")),
        ];
        let rests: [&[u8]; 6] = [
            b"",
            b"\0\0\0",
            b"rubbish",
            b"\x1F",
            b"\x1F\x8B",
            b"\x1F\x8Bx",
        ];
        for (coding, body) in bodies {
            for rest in rests {
                for (status, code) in [(200, "200"), (500, "500")] {
                    let length = body.len() + rest.len();
                    let head = format!(
                        "HTTP/1.1 {code} x\r\nOData-Version: 4.0\r\nContent-Encoding: {coding}\r\n\
                         Content-Length: {length}\r\n\r\n"
                    );
                    let text = [head.as_bytes(), &body, rest].concat();
                    for answer in [whole(text.clone()), dripping(text)] {
                        let server = serve("dotnet", vec![answer]);
                        let client = Client::open(&server.settings).unwrap();
                        for _ in 0..2 {
                            let response = client.send(&read()).unwrap();
                            assert_eq!(response.status(), status);
                            assert_eq!(&response.body()[..], b"{}", "{coding}, {rest:?}");
                        }
                        assert_eq!(server.connections.load(Ordering::SeqCst), 1);
                    }
                }
            }
        }
    }

    #[test]
    fn a_second_member_that_is_cut_is_an_error() {
        let second = gzip(b"{}");
        let body = [gzip(b"{}"), second[..second.len() - 3].to_vec()].concat();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let server = serve("dotnet", vec![whole([head.as_bytes(), &body].concat())]);
        let error = Client::open(&server.settings)
            .unwrap()
            .send(&read())
            .unwrap_err();
        assert!(error.message().contains("cannot be decoded"), "{error}");
    }
}
