//! Answers that come before the request was read whole, by servers that close with the rest unread:
//! the answer is seen each time.

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use d365_failover_core::{BodySource, Client, Effect, ErrorKind, FaultKind, Request, Settings};
use support::contoso::get;
use support::script::{URL, certified};

/// More than any socket takes before its peer reads.
const LARGE: usize = 12 << 20;
/// How often each case is tried: of the two that every upload meets, often.
const TRIES: [(u16, usize); 2] = [(413, 10), (401, 10)];
const FEW: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tcp,
    Tls,
    Http2,
}

/// What the server does once its answer is out.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Closes, with what has come unread.
    Close,
    /// Keeps the connection, and reads no more of it.
    Stay,
}

/// Waits until the peer's kernel has all that was sent: a close that leaves something unread sends
/// no more of it, and its reset may overtake what is under way.
fn arrived(socket: &TcpStream) {
    let end = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else {
            unreachable!("it listens on an IPv4 address");
        };
        let host = u32::from_le_bytes(address.ip().octets());
        format!("{host:08X}:{:04X}", address.port())
    };
    let line = format!(
        "{} {}",
        end(socket.local_addr().unwrap()),
        end(socket.peer_addr().unwrap())
    );
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let row = table.lines().find(|row| row.contains(&line));
        let unsent = row.and_then(|row| row.split_whitespace().nth(4)?.split(':').next());
        if unsent.is_none_or(|unsent| unsent == "00000000") {
            return;
        }
        std::thread::yield_now();
    }
}

fn answer(mut stream: impl Read + Write, socket: &TcpStream, text: &[u8], end: End) {
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut piece = [0; 1000];
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    if stream
        .write_all(text)
        .and_then(|()| stream.flush())
        .is_err()
    {
        return;
    }
    match end {
        End::Close => arrived(socket),
        // Not a byte more is read of the body.
        End::Stay => std::thread::park(),
    }
}

/// Answers each request with `text` after its head.
fn serve(way: Way, text: String, end: End) -> Settings {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::clone(certified(&[b"http/1.1"]).config());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What is not out before the closing would never leave.
            stream.set_nodelay(true).unwrap();
            let (config, text) = (Arc::clone(&config), text.clone());
            let socket = stream.try_clone().unwrap();
            std::thread::spawn(move || match way {
                Way::Tcp => answer(stream, &socket, text.as_bytes(), end),
                _ => {
                    let connection = rustls::ServerConnection::new(config).unwrap();
                    let stream = rustls::StreamOwned::new(connection, stream);
                    answer(stream, &socket, text.as_bytes(), end);
                }
            });
        }
    });
    settings(way, port)
}

fn settings(way: Way, port: u16) -> Settings {
    let (url, from) = match way {
        Way::Tcp => (URL.to_owned(), 80),
        _ => (URL.replace("http:", "https:"), 443),
    };
    let mut settings = Settings::new(&url).unwrap();
    settings.set("preset", "dotnet").unwrap();
    let rule = format!("contoso.crm.script.test:{from}:127.0.0.1:{port}");
    settings.set("connect_to", &rule).unwrap();
    settings.set("tls_verify", "off").unwrap();
    settings.set("auto_switch", "off").unwrap();
    settings
}

/// An HTTP/2 server that answers before it has read anything of a body. `text`: what it says.
fn serve_http2(status: u16, text: &'static str, ends_all: bool) -> Settings {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::clone(certified(&[b"h2"]).config());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(serve_stream(stream, config, status, text, ends_all));
            });
        }
    });
    settings(Way::Http2, port)
}

async fn serve_stream(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    status: u16,
    text: &'static str,
    ends_all: bool,
) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut to))) = connection.accept().await {
        let head = http::Response::builder()
            .status(status)
            .header("odata-version", "4.0")
            .body(())
            .unwrap();
        let mut body = to.send_response(head, false).unwrap();
        body.send_data(Bytes::from_static(text.as_bytes()), true)
            .unwrap();
        // What is not read of it is refused with RST_STREAM(NO_ERROR).
        drop(request);
        if ends_all {
            connection.graceful_shutdown();
        }
    }
}

struct Blanks(usize);

impl BodySource for Blanks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0);
        buffer[..count].fill(b' ');
        self.0 -= count;
        Ok(count)
    }
    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Upload {
    Bytes,
    Reader(Option<usize>),
}

const UPLOADS: [Upload; 3] = [
    Upload::Bytes,
    Upload::Reader(Some(LARGE)),
    Upload::Reader(None),
];

fn upload(how: Upload) -> Request {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    match how {
        Upload::Bytes => request.set_body(vec![b' '; LARGE]),
        Upload::Reader(length) => {
            let source = Box::new(Blanks(LARGE));
            request.set_body_source(source, length.map(|length| length as u64), false);
        }
    }
    request
}

/// Status and body, and what is known of the write, however it was told.
fn send(client: &Client, request: &Request) -> Result<(u16, String, Effect), String> {
    match client.send(request) {
        Ok(response) => {
            let mut body = Vec::new();
            let mut buffer = [0; 5000];
            loop {
                match response
                    .read(&mut buffer)
                    .map_err(|error| error.to_string())?
                {
                    0 => break,
                    count => body.extend_from_slice(&buffer[..count]),
                }
            }
            let text = String::from_utf8(body).unwrap();
            Ok((response.status(), text, response.effect()))
        }
        Err(error) => match (error.kind(), error.response()) {
            (ErrorKind::Call(FaultKind::ServerUnavailable), Some(response)) => {
                let text = String::from_utf8(response.body().to_vec()).unwrap();
                Ok((response.status(), text, error.effect()))
            }
            _ => Err(error.to_string()),
        },
    }
}

fn each_is_seen(settings: &Settings, expected: (u16, &str, Effect), case: &str) {
    let tries = TRIES.iter().find(|(status, _)| *status == expected.0);
    let tries = tries.map_or(FEW, |(_, tries)| *tries);
    for how in UPLOADS {
        for is_streaming in [false, true] {
            let client = Client::open(settings).unwrap();
            for number in 0..tries {
                let mut request = upload(how);
                request.set_streaming(is_streaming);
                let seen = send(&client, &request);
                let (status, text, effect) = expected;
                assert_eq!(
                    seen,
                    Ok((status, text.to_owned(), effect)),
                    "{case}, {how:?}, streaming {is_streaming}, try {number}"
                );
            }
        }
    }
}

const STATUSES: [(u16, Effect); 5] = [
    (413, Effect::NotExecuted),
    (401, Effect::NotExecuted),
    (429, Effect::NotExecuted),
    (503, Effect::Unknown),
    (201, Effect::Executed),
];

#[test]
fn an_early_answer_to_an_upload_is_seen() {
    for way in [Way::Tcp, Way::Tls] {
        for (status, effect) in STATUSES {
            for end in [End::Close, End::Stay] {
                let text = format!(
                    "HTTP/1.1 {status} Early\r\nOData-Version: 4.0\r\nContent-Length: 5\r\n\r\nearly"
                );
                let settings = serve(way, text, end);
                let case = format!("{way:?}, {status}, {end:?}");
                each_is_seen(&settings, (status, "early", effect), &case);
            }
        }
    }
}

#[test]
fn an_early_answer_over_http2_is_seen() {
    for (status, effect) in STATUSES {
        for ends_all in [false, true] {
            let settings = serve_http2(status, "early", ends_all);
            let case = format!("{status}, GOAWAY {ends_all}");
            each_is_seen(&settings, (status, "early", effect), &case);
        }
    }
}

/// Its end is where the connection ends, and that is reset.
#[test]
fn an_early_refusal_without_a_length_is_seen() {
    for way in [Way::Tcp, Way::Tls] {
        let text = "HTTP/1.1 413 Early\r\nOData-Version: 4.0\r\n\r\nearly".to_owned();
        let settings = serve(way, text, End::Close);
        each_is_seen(&settings, (413, "early", Effect::NotExecuted), "no length");
    }
}

/// One that is longer than what is read before the call ends.
#[test]
fn an_early_answer_is_read_to_its_end_after_the_call() {
    const LENGTH: usize = 300_000;
    for way in [Way::Tcp, Way::Tls] {
        let head =
            format!("HTTP/1.1 413 Early\r\nOData-Version: 4.0\r\nContent-Length: {LENGTH}\r\n\r\n");
        let body = "x".repeat(LENGTH);
        let settings = serve(way, head + &body, End::Stay);
        each_is_seen(&settings, (413, &body, Effect::NotExecuted), "long");
    }
}

#[test]
fn the_next_call_goes_out_after_an_early_answer() {
    for way in [Way::Tcp, Way::Tls] {
        let text = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nConnection: close\r\n\
                    Content-Length: 2\r\n\r\n{}";
        let client = Client::open(&serve(way, text.to_owned(), End::Close)).unwrap();
        for _ in 0..3 {
            assert_eq!(client.send(&upload(Upload::Bytes)).unwrap().status(), 200);
            let next = client.send(&get("/x")).unwrap();
            assert_eq!((next.status(), next.attempts().len()), (200, 1));
        }
    }
}

/// When a server gives an answer that nobody has asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unasked {
    /// With its part of the handshake.
    First,
    /// With the first answer.
    Along,
    /// Later, on an idle connection.
    Later,
}

const DONE: &[u8] = b"HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n";

/// Counts the requests that it has read, and tells when what nobody has asked for is at the client's.
fn talkative(way: Way, when: Unasked) -> (Settings, Arc<AtomicUsize>, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = (**certified(&[b"http/1.1"]).config()).clone();
    config.send_half_rtt_data = when == Unasked::First;
    let (config, read) = (Arc::new(config), Arc::<AtomicUsize>::default());
    let (told, there) = mpsc::channel();
    let count = Arc::clone(&read);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            let (config, count, told) = (Arc::clone(&config), Arc::clone(&count), told.clone());
            let socket = stream.try_clone().unwrap();
            std::thread::spawn(move || match way {
                Way::Tcp => chat(stream, &socket, when, &count, &told),
                _ => {
                    let mut connection = rustls::ServerConnection::new(config).unwrap();
                    if when == Unasked::First {
                        connection.writer().write_all(DONE).unwrap();
                    }
                    let stream = rustls::StreamOwned::new(connection, stream);
                    chat(stream, &socket, when, &count, &told);
                }
            });
        }
    });
    (settings(way, port), read, there)
}

fn chat(
    mut stream: impl Read + Write,
    socket: &TcpStream,
    when: Unasked,
    count: &AtomicUsize,
    told: &mpsc::Sender<()>,
) {
    let mut seen = Vec::new();
    let mut piece = [0; 1000];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        seen.extend_from_slice(&piece[..length]);
        if !seen.ends_with(b"\r\n\r\n{}") {
            continue;
        }
        seen.clear();
        count.fetch_add(1, Ordering::SeqCst);
        let answer = if when == Unasked::Along {
            DONE.repeat(2)
        } else {
            DONE.to_vec()
        };
        stream
            .write_all(&answer)
            .and_then(|()| stream.flush())
            .unwrap();
        if when == Unasked::Later {
            arrived(socket);
            stream
                .write_all(DONE)
                .and_then(|()| stream.flush())
                .unwrap();
            arrived(socket);
        }
        told.send(()).unwrap();
    }
}

/// What comes before a request is no answer to it: it would be told as executed, and nobody has read it.
#[test]
fn an_answer_that_nobody_has_asked_for_is_none() {
    for (way, when) in [
        (Way::Tls, Unasked::First),
        (Way::Tcp, Unasked::Along),
        (Way::Tls, Unasked::Along),
        (Way::Tcp, Unasked::Later),
        (Way::Tls, Unasked::Later),
    ] {
        let (settings, read, there) = talkative(way, when);
        let client = Client::open(&settings).unwrap();
        for number in 1..=3 {
            let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
            request.set_body(b"{}".to_vec());
            let sent = client.send(&request);
            let case = format!("{way:?}, {when:?}, {number}: {sent:?}");
            if when == Unasked::First {
                let error = sent.unwrap_err();
                assert_eq!(error.effect(), Effect::NotExecuted, "{case}");
                assert!(error.to_string().contains("before it was asked"), "{case}");
                assert_eq!(read.load(Ordering::SeqCst), 0, "{case}");
            } else {
                assert_eq!(sent.unwrap().effect(), Effect::Executed, "{case}");
                there.recv().unwrap();
                assert_eq!(read.load(Ordering::SeqCst), number, "{case}");
            }
        }
    }
}

/// The rest of a large head waits in this process: whoever is done by then has done something else.
#[test]
fn a_success_before_the_request_s_head_has_left_is_none() {
    for way in [Way::Tcp, Way::Tls] {
        for (status, effect) in [(204, Effect::Unknown), (431, Effect::NotExecuted)] {
            let text = format!(
                "HTTP/1.1 {status} Early\r\nOData-Version: 4.0\r\nContent-Length: 0\r\n\r\n"
            );
            let settings = at_once(way, text);
            let client = Client::open(&settings).unwrap();
            let mut request = upload(Upload::Bytes);
            request.add_header("X-Large", &"x".repeat(LARGE)).unwrap();
            let known = match client.send(&request) {
                Ok(response) => (response.status(), response.effect()),
                Err(error) => (0, error.effect()),
            };
            let expected = if status == 204 { 0 } else { status };
            assert_eq!(known, (expected, effect), "{way:?}");
        }
    }
}

/// Answers after the first bytes of a head, and reads no more.
fn at_once(way: Way, text: String) -> Settings {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::clone(certified(&[b"http/1.1"]).config());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (config, text) = (Arc::clone(&config), text.clone());
            std::thread::spawn(move || {
                let mut piece = [0; 100];
                if way == Way::Tcp {
                    stream.read_exact(&mut piece).unwrap();
                    stream.write_all(text.as_bytes()).unwrap();
                    std::thread::park();
                }
                let connection = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                stream.read_exact(&mut piece).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                stream.flush().unwrap();
                std::thread::park();
            });
        }
    });
    settings(way, port)
}
