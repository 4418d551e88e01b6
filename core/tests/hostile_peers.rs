//! Peers and networks that do what no well-meant server does, mostly over HTTP/2: resets that call
//! themselves no error, connections that fall silent, sockets that take no more.

mod support;

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use d365_failover_core::{
    BodySource, Client, Effect, ErrorKind, ItemKind, Outgoing, Phase, Prepare, Queue, Request,
    Settings,
};
use d365_twin::{FaultKind as Twin_, OrganizationConfig, Twin, TwinConfig};
use support::contoso::{create, get};
use support::script::{HTTPS, Pair, Script, URL, certified};
use support::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

fn serve<F, Fut>(handler: F) -> u16
where
    F: Fn(usize, TcpStream, TlsAcceptor) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        rt.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tx.send(listener.local_addr().unwrap().port()).unwrap();
            let acceptor = certified(&[b"h2"]);
            for n in 1.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(handler(n, tcp, acceptor.clone()));
            }
        });
    });
    rx.recv().unwrap()
}

fn settings(port: u16, pairs: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new(HTTPS).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings
        .set(
            "connect_to",
            &format!(
                "contoso.crm.script.test:443:127.0.0.1:{port},contoso--s.crm.script.test:443:127.0.0.1:{port}"
            ),
        )
        .unwrap();
    settings.set("tls_verify", "off").unwrap();
    settings.set("auto_switch", "off").unwrap();
    for (key, value) in pairs {
        settings.set(key, value).unwrap();
    }
    settings
}

fn respond(mut to: h2::server::SendResponse<Bytes>, status: u16, body: Bytes) {
    let head = http::Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("odata-version", "4.0")
        .body(())
        .unwrap();
    if body.is_empty() {
        to.send_response(head, true).unwrap();
    } else {
        let mut stream = to.send_response(head, false).unwrap();
        stream.send_data(body, true).unwrap();
    }
}

const MOST: u32 = (1 << 31) - 1;

fn big_windows() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(MOST)
        .initial_connection_window_size(MOST);
    builder
}

fn small(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What the client's kernel holds of what it was given for a server's port.
fn unsent(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let peer = format!("0100007F:{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(2);
            (words.next()? == peer).then_some(())?;
            let queues = words.nth(1)?;
            u64::from_str_radix(queues.split(':').next()?, 16).ok()
        })
        .max()
        .unwrap_or(0)
}

/// Gives pieces until the kernel takes no more of them, and then waits.
struct Congest {
    port: u16,
    last: u64,
    same: usize,
    full: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
}

impl BodySource for Congest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = unsent(self.port);
        self.same = if now == self.last && now > 100_000 {
            self.same + 1
        } else {
            0
        };
        self.last = now;
        if self.same == 3 {
            self.full.send(()).unwrap();
            let _ = self.release.recv_timeout(Duration::from_secs(30));
            return Ok(0);
        }
        buffer[..8000].fill(b'x');
        Ok(8000)
    }
    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has a shared connection's socket filled by an upload that then waits.
fn congest(client: &Client, port: u16) -> (mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (full, is_full) = mpsc::channel();
    let (go, release) = mpsc::channel();
    let client = client.clone();
    let upload = std::thread::spawn(move || {
        let mut request = Request::new("PUT", "/upload").unwrap();
        let source = Congest {
            port,
            last: 0,
            same: 0,
            full,
            release,
        };
        request.set_body_source(Box::new(source), None, true);
        let _ = client.send(&request);
    });
    is_full.recv_timeout(Duration::from_secs(30)).unwrap();
    (go, upload)
}

/// A DELETE that timed out as `not_sent`, `not_executed` on a shared connection leaves later.
#[test]
fn not_sent_is_proved_over_http2() {
    let (stop, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (stop2, resume2, seen2) = (stop.clone(), resume.clone(), seen.clone());
    let (deaf, is_deaf) = mpsc::channel();
    let port = serve(move |_, tcp, acceptor| {
        let (stop, resume, seen) = (stop2.clone(), resume2.clone(), seen2.clone());
        let deaf = deaf.clone();
        async move {
            let tls = acceptor.accept(tcp).await.unwrap();
            let mut conn = big_windows().handshake::<_, Bytes>(tls).await.unwrap();
            let (_, to) = conn.accept().await.unwrap().unwrap();
            respond(to, 200, small("{}"));
            tokio::select! { _ = conn.accept() => panic!("early"), () = stop.notified() => {} }
            let _ = deaf.send(());
            // Reads nothing for a while.
            resume.notified().await;
            let mut uploads = Vec::new();
            while let Some(Ok((request, to))) = conn.accept().await {
                seen.lock()
                    .unwrap()
                    .push(format!("{} {}", request.method(), request.uri().path()));
                if request.method() == "PUT" {
                    uploads.push((request, to));
                } else {
                    respond(to, 204, Bytes::new());
                }
            }
        }
    });
    let client = Client::open(&settings(port, &[])).unwrap();
    client.send(&get("/x")).unwrap();
    stop.notify_one();
    is_deaf.recv_timeout(Duration::from_secs(30)).unwrap();
    let (go, _upload) = congest(&client, port);
    let mut request = Request::new("DELETE", "/accounts(1)").unwrap();
    request.set_timeout(Duration::from_secs(1)).unwrap();
    let error = client.send(&request).unwrap_err();
    let (phase, effect) = (error.attempts()[0].phase, error.effect());
    resume.notify_one();
    let mut later = get("/later");
    later.set_timeout(Duration::from_secs(5)).unwrap();
    let _ = client.send(&later);
    let seen = seen.lock().unwrap().clone();
    let _ = go.send(());
    assert!(
        phase != Phase::NotSent || !seen.iter().any(|line| line.starts_with("DELETE")),
        "reported {phase:?} {effect:?}, and the server has got {seen:?}"
    );
}

struct Chunks {
    at: usize,
    reads: Arc<AtomicUsize>,
    go: mpsc::Receiver<()>,
}

impl BodySource for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.at == 1 {
            let _ = self.go.recv_timeout(Duration::from_secs(20));
        }
        if self.at == 5 {
            return Ok(0);
        }
        let text = format!("[chunk {}]", self.at);
        self.at += 1;
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
    fn rewind(&mut self) -> io::Result<()> {
        panic!("one-shot");
    }
}

/// A one-shot body is sent from its middle after a shared connection was replaced in silence.
#[test]
fn a_one_shot_body_is_whole_or_not_sent() {
    let (stop, kill) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let (stop2, kill2, bodies2) = (stop.clone(), kill.clone(), bodies.clone());
    let (deaf, is_deaf) = mpsc::channel();
    let (dead, is_dead) = mpsc::channel();
    let port = serve(move |n, tcp, acceptor| {
        let (stop, kill, bodies) = (stop2.clone(), kill2.clone(), bodies2.clone());
        let (deaf, dead) = (deaf.clone(), dead.clone());
        async move {
            let tls = acceptor.accept(tcp).await.unwrap();
            let mut conn = big_windows().handshake::<_, Bytes>(tls).await.unwrap();
            if n == 1 {
                let (_, to) = conn.accept().await.unwrap().unwrap();
                respond(to, 200, small("{}"));
                tokio::select! { _ = conn.accept() => panic!("early"), () = stop.notified() => {} }
                let _ = deaf.send(());
                kill.notified().await;
                drop(conn);
                let _ = dead.send(());
                return;
            }
            while let Some(Ok((request, to))) = conn.accept().await {
                let bodies = bodies.clone();
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    let mut text = Vec::new();
                    while let Some(Ok(data)) = body.data().await {
                        text.extend_from_slice(&data);
                    }
                    bodies
                        .lock()
                        .unwrap()
                        .push(String::from_utf8(text).unwrap());
                    respond(to, 204, Bytes::new());
                });
            }
        }
    });
    let client = Client::open(&settings(port, &[])).unwrap();
    client.send(&get("/x")).unwrap();
    stop.notify_one();
    is_deaf.recv_timeout(Duration::from_secs(30)).unwrap();
    let (release, upload) = congest(&client, port);
    let reads = Arc::new(AtomicUsize::new(0));
    let (go, going) = mpsc::channel();
    let source = Chunks {
        at: 0,
        reads: reads.clone(),
        go: going,
    };
    let other = client.clone();
    let call = std::thread::spawn(move || {
        let mut request = Request::new("POST", "/file").unwrap();
        request.set_body_source(Box::new(source), None, false);
        other.send(&request)
    });
    while reads.load(Ordering::SeqCst) == 0 && !call.is_finished() {
        std::thread::yield_now();
    }
    kill.notify_one();
    is_dead.recv_timeout(Duration::from_secs(30)).unwrap();
    let _ = go.send(());
    let result = call.join().unwrap();
    let _ = release.send(());
    let _ = upload.join();
    let bodies = bodies.lock().unwrap().clone();
    assert!(
        bodies.iter().all(|body| body.starts_with("[chunk 0]")),
        "the server has executed {bodies:?}; the call gave {result:?} after attempts {:?}",
        result.as_ref().map(|r| r.attempts().len())
    );
}

fn twin2() -> (Twin, d365_twin::OrgHandle) {
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = true;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org)
}

/// A body cut by RST_STREAM(NO_ERROR) is no whole body.
#[test]
fn a_body_cut_by_no_error_is_not_whole() {
    let (twin, org) = twin2();
    let client = Client::open(&support::contoso::settings(&twin)).unwrap();
    let whole = client.send(&get(support::contoso::WHO)).unwrap();
    org.primary
        .fault(Twin_::RstStream {
            code: 0,
            commit: true,
            partial: true,
        })
        .unwrap();
    match client.send(&get(support::contoso::WHO)) {
        Err(_) => {}
        Ok(cut) => assert_eq!(
            cut.body(),
            whole.body(),
            "a cut body came as a whole one, with {:?}",
            cut.headers().get("content-length")
        ),
    }
}

/// A write that was answered 2xx is not sent again, whatever its stream ends with: here with
/// REFUSED_STREAM, which says that nothing was done.
#[test]
fn a_write_that_was_answered_is_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let port = serve(move |_, tcp, acceptor| {
        let counted = Arc::clone(&counted);
        async move {
            let tls = acceptor.accept(tcp).await.unwrap();
            let mut conn = big_windows().handshake::<_, Bytes>(tls).await.unwrap();
            while let Some(Ok((_, mut to))) = conn.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let head = http::Response::builder()
                    .status(201)
                    .header("odata-version", "4.0")
                    .body(())
                    .unwrap();
                let mut body = to.send_response(head, false).unwrap();
                body.send_data(small("{"), false).unwrap();
                tokio::spawn(async move {
                    // What stands before it in the queue leaves first.
                    for _ in 0..8 {
                        tokio::task::yield_now().await;
                    }
                    body.send_reset(h2::Reason::REFUSED_STREAM);
                });
            }
        }
    });
    let client = Client::open(&settings(port, &[])).unwrap();
    let result = client.send(&create("row"));
    let attempts = match &result {
        Ok(response) => response.attempts().to_vec(),
        Err(error) => error.attempts().to_vec(),
    };
    let told: Vec<_> = attempts.iter().map(|a| (a.phase, a.http_status)).collect();
    assert_eq!(told, [(Phase::Responded, Some(201))], "{result:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

fn by_path() -> u16 {
    serve(|_, tcp, acceptor| async move {
        let tls = acceptor.accept(tcp).await.unwrap();
        let mut conn = h2::server::handshake(tls).await.unwrap();
        while let Some(Ok((request, to))) = conn.accept().await {
            if request.uri().path() == "/big" {
                respond(to, 200, Bytes::from(vec![b' '; 3 << 20]));
            } else {
                respond(to, 200, small("{}"));
            }
        }
    })
}

/// Streaming answers that are not read starve the other calls of their connection.
#[test]
fn unread_streams_do_not_starve_other_calls() {
    let port = by_path();
    let settings = settings(port, &[("attempt_timeout_ms", "3000")]);
    let client = Client::open(&settings).unwrap();
    client.send(&get("/x")).unwrap();
    let mut request = get("/big");
    request.set_streaming(true);
    let kept: Vec<_> = (0..3).map(|_| client.send(&request).unwrap()).collect();
    // What the application does meanwhile: other calls.
    let mut failed = Vec::new();
    for number in 0..3 {
        if let Err(error) = client.send(&get("/y")) {
            failed.push(format!("{number}: {error}"));
        }
    }
    drop(kept);
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Answers on its first connection once, and then swallows what comes, as after a firewall has lost its state; or goes on
/// with HTTP/2 itself. New connections are answered.
fn falls_silent(has_frames: bool) -> u16 {
    serve(move |n, tcp, acceptor| async move {
        let tls = acceptor.accept(tcp).await.unwrap();
        let mut conn = h2::server::handshake(tls).await.unwrap();
        let mut silenced = Vec::new();
        while let Some(Ok((request, to))) = conn.accept().await {
            if n > 1 || request.uri().path() == "/first" {
                respond(to, 200, small("{}"));
                continue;
            }
            silenced.push((request, to));
            if !has_frames {
                std::future::pending::<()>().await;
            }
            let window = (1 << 16) + u32::try_from(silenced.len()).unwrap();
            let _ = conn.set_initial_window_size(window);
        }
    })
}

/// A shared connection that has gone dead is used on, call after call.
#[test]
fn a_dead_http2_connection_is_left() {
    for has_frames in [false, true] {
        let settings = settings(falls_silent(has_frames), &[("attempt_timeout_ms", "1000")]);
        let client = Client::open(&settings).unwrap();
        client.send(&get("/first")).unwrap();
        let results: Vec<_> = (0..4)
            .map(|_| {
                client
                    .send(&get("/x"))
                    .map(|r| r.status())
                    .map_err(|e| e.to_string())
            })
            .collect();
        let is_left = results.iter().skip(1).any(Result::is_ok);
        assert!(is_left, "{has_frames}: {results:#?}");
    }
}

/// Has chosen HTTP/2 in the handshake, and answers as of old.
#[test]
fn a_server_that_chose_http2_and_does_not_speak_it_is_told() {
    let port = serve(|_, tcp, acceptor| async move {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        tls.read_exact(&mut [0; 24]).await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        tls.write_all(answer).await.unwrap();
        let _ = tls.read_to_end(&mut Vec::new()).await;
    });
    let client = Client::open(&settings(port, &[])).unwrap();
    let error = client.send(&get("/x")).unwrap_err();
    let message = error.message();
    assert!(message.contains("set http2 to off"), "{message}");
}

/// While a call waits on a connection that has gone dead, those that begin go out on another one, as soon as the
/// endpoint has answered there.
#[test]
fn calls_that_begin_go_round_a_dead_http2_connection() {
    for has_frames in [false, true] {
        go_round(falls_silent(has_frames));
    }
}

fn go_round(port: u16) {
    let queue = Queue::new(0).unwrap();
    let settings = settings(port, &[("preset", "safe"), ("auto_switch", "on")]);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(0).unwrap();
    client.send(&get("/first")).unwrap();
    let begin = Instant::now();
    let mut answered = None;
    while answered.is_none() && begin.elapsed() < Duration::from_secs(20) {
        // Fewer in all than a connection carries.
        client.submit(&get("/x"), 1).unwrap();
        answered = queue.next(Some(Duration::from_millis(250))).ok();
    }
    let mut answered = answered.expect("all calls wait on the dead connection");
    assert_eq!(answered.take_result().unwrap().unwrap().status(), 200);
    client.shutdown(Duration::ZERO).unwrap();
}

struct Endless;

impl BodySource for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer[..1000].fill(b' ');
        Ok(1000)
    }
    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn drain() -> u16 {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = io::copy(&mut stream, &mut io::sink());
            });
        }
    });
    port
}

fn plain(port: u16, pairs: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings
        .set(
            "connect_to",
            &format!(
                "contoso.crm.script.test:80:127.0.0.1:{port},contoso--s.crm.script.test:80:127.0.0.1:{port}"
            ),
        )
        .unwrap();
    settings.set("auto_switch", "off").unwrap();
    for (key, value) in pairs {
        settings.set(key, value).unwrap();
    }
    settings
}

/// Answers on its first connections, and then only on those that are opened from then on. Counts the first ones that
/// were closed.
struct Forgetful {
    port: u16,
    is_forgotten: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

fn forgetful(together: usize) -> Forgetful {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (is_forgotten, closed) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let server = Forgetful {
        port,
        is_forgotten: Arc::clone(&is_forgotten),
        closed: Arc::clone(&closed),
    };
    let barrier = Arc::new(std::sync::Barrier::new(together));
    std::thread::spawn(move || {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            let (is_forgotten, closed) = (Arc::clone(&is_forgotten), Arc::clone(&closed));
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(1..) = stream.read(&mut piece) {
                    if is_forgotten.load(Ordering::SeqCst) > number {
                        continue;
                    }
                    if number < together {
                        barrier.wait();
                    }
                    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nOData-Version: 4.0\r\n\
                                  Content-Length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                closed.fetch_add(usize::from(number < together), Ordering::SeqCst);
            });
        }
    });
    server
}

/// A firewall has lost its state: the first call that meets it is enough.
#[test]
fn kept_connections_that_are_as_dead_as_one_cost_no_call_each() {
    const KEPT: usize = 5;
    let server = forgetful(KEPT);
    let queue = Queue::new(0).unwrap();
    let pairs = [
        ("preset", "safe"),
        ("auto_switch", "on"),
        ("idle_timeout_ms", "600000"),
    ];
    let settings = plain(server.port, &pairs);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    for _ in 0..KEPT {
        client.submit(&get("/x"), 1).unwrap();
    }
    for _ in 0..KEPT {
        let mut ended = queue.next(None).unwrap();
        assert_eq!(ended.take_result().unwrap().unwrap().status(), 200);
    }
    server.is_forgotten.store(KEPT, Ordering::SeqCst);
    client.submit(&get("/x"), 1).unwrap();
    // All but the one that the call waits on.
    until("the others are closed", || {
        server.closed.load(Ordering::SeqCst) == KEPT - 1
    });
    let next = client.send(&get("/x")).unwrap();
    assert_eq!((next.status(), next.attempts().len()), (200, 1));
    client.shutdown(Duration::ZERO).unwrap();
}

/// The check of a blocking call is asked while the body is read.
#[test]
fn an_upload_can_be_cancelled() {
    let client = Client::open(&plain(drain(), &[])).unwrap();
    let mut request = Request::new("POST", "/x").unwrap();
    request.set_body_source(Box::new(Endless), None, true);
    request.set_timeout(Duration::from_secs(5)).unwrap();
    let mut asked = 0;
    let begin = Instant::now();
    let error = client
        .send_with_check(&request, &mut || {
            asked += 1;
            true
        })
        .unwrap_err();
    assert!(
        asked > 0,
        "asked {asked} times in {:?}: {error}",
        begin.elapsed()
    );
}

/// A streaming answer without a body holds nothing.
#[test]
fn an_empty_streaming_answer_gives_its_connection_back() {
    let pair = Pair::start(
        Script::Answer("HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n"),
        Script::Close,
    );
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings.set("connect_to", &pair.connect_to).unwrap();
    settings.set("auto_switch", "off").unwrap();
    settings.set("max_connections", "1").unwrap();
    settings.set("attempt_timeout_ms", "10000").unwrap();
    let client = Client::open(&settings).unwrap();
    let mut request = create("row");
    request.set_streaming(true);
    let kept = client.send(&request).unwrap();
    assert_eq!(kept.status(), 204);
    let second = client.send(&get("/x")).map(|r| r.status());
    let begin = Instant::now();
    client.shutdown(Duration::from_secs(30)).unwrap();
    let took = begin.elapsed();
    assert!(
        second.is_ok() && took < Duration::from_secs(10),
        "second call: {second:?}; shutdown took {took:?}"
    );
}

/// An http organization with an https allowed host.
#[test]
fn an_http_organization_reaches_an_https_allowed_host() {
    let port = by_path();
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings.set("allowed_hosts", "files.script.test").unwrap();
    settings.set("tls_verify", "off").unwrap();
    settings
        .set(
            "connect_to",
            &format!("files.script.test:443:127.0.0.1:{port}"),
        )
        .unwrap();
    let client = Client::open(&settings).unwrap();
    let result = client.send(&get("https://files.script.test/x"));
    assert!(result.is_ok(), "{result:?}");
}

struct Asks;

impl Prepare for Asks {
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String> {
        outgoing.set_header("Accept-Encoding", "gzip").unwrap();
        Ok(())
    }
}

fn answers(bytes: Vec<u8>) -> u16 {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bytes = bytes.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 4096];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 || stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A coding that the prepare hook asked for is the application's.
#[test]
fn a_coding_that_the_hook_asked_for_stays() {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"{}").unwrap();
    let body = gz.finish().unwrap();
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    let mut settings = plain(answers(bytes), &[]);
    settings.set_prepare(Arc::new(Asks));
    let client = Client::open(&settings).unwrap();
    let response = client.send(&get("/x")).unwrap();
    assert!(
        response.headers().contains_key("content-encoding"),
        "{:?}",
        response.body()
    );
}

/// A signed URL of a file store.
#[test]
fn a_signature_in_a_url_is_not_shown() {
    let mut settings = plain(1, &[]);
    settings.set("allowed_hosts", "files.script.test").unwrap();
    settings
        .set("connect_to", "files.script.test:80:127.0.0.1:1")
        .unwrap();
    let client = Client::open(&settings).unwrap();
    let error = client
        .send(&get("http://files.script.test/a?sv=1&sig=SECRETSIGNATURE"))
        .unwrap_err();
    assert!(!error.message().contains("SECRETSIGNATURE"), "{error}");
}

struct Panics;

impl BodySource for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("the application's");
    }
    fn rewind(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that panics in a submitted call has failed, and is no defect of the library.
#[test]
fn a_reader_that_panics_is_a_local_failure() {
    let queue = Queue::new(0).unwrap();
    let settings = plain(drain(), &[]);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let mut request = Request::new("POST", "/x").unwrap();
    request.set_body_source(Box::new(Panics), None, true);
    client.submit(&request, 1).unwrap();
    let mut item = queue.next(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(item.kind(), ItemKind::Completion);
    let error = item.take_result().unwrap().unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
    assert_ne!(error.effect(), Effect::Executed);
}
