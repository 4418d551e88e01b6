//! Names with several addresses, names that move, and connections that nobody uses any more.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

use d365_failover_core::{Cause, Client, Resolve, ResolveError, Settings};
use socket2::{Domain, Socket, Type};
use support::contoso::{LONG, get};
use support::script::URL;
use support::strict::Strict;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    OData-Version: 4.0\r\nContent-Length: 2\r\n\r\n{}";
/// Longer than a silent address may cost, by far, and shorter than `connect_timeout`.
const NO_WAIT: Duration = Duration::from_secs(5);

/// The addresses of every name, as they are now.
#[derive(Clone)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl Names {
    fn new(addresses: &[&'static str]) -> Names {
        Names(Arc::new(Mutex::new(addresses.to_vec())))
    }

    fn set(&self, addresses: &[&'static str]) {
        *self.0.lock().unwrap() = addresses.to_vec();
    }
}

impl Resolve for Names {
    fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let addresses = self.0.lock().unwrap();
        Ok(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }
}

/// A server at an address of loopback, deaf when it is told so.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    is_deaf: Arc<AtomicBool>,
    /// Requests that it was deaf to.
    unheard: Arc<AtomicUsize>,
    /// Connections that the client has closed.
    closed: mpsc::Receiver<()>,
}

fn serve(address: &str, port: u16) -> Server {
    let listener = TcpListener::bind((address, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, unheard) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let is_deaf = Arc::<AtomicBool>::default();
    let (close, closed) = mpsc::channel();
    let (count, deaf, missed) = (connections.clone(), is_deaf.clone(), unheard.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let (deaf, missed, close) = (deaf.clone(), missed.clone(), close.clone());
            std::thread::spawn(move || {
                answer(&stream, &deaf, &missed);
                let _ = close.send(());
            });
        }
    });
    Server {
        port,
        connections,
        is_deaf,
        unheard,
        closed,
    }
}

fn answer(stream: &TcpStream, is_deaf: &AtomicBool, unheard: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let is_end = line == "\r\n";
        line.clear();
        if is_end && is_deaf.load(Ordering::SeqCst) {
            unheard.fetch_add(1, Ordering::SeqCst);
        } else if is_end {
            let mut stream = stream;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

/// An address where nothing is ever established: the listener's queue is full.
struct Silent(#[allow(dead_code, reason = "held open")] Vec<Socket>);

fn silent(address: &str, port: u16) -> Silent {
    let place: SocketAddr = format!("{address}:{port}").parse().unwrap();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&place.into()).unwrap();
    listener.listen(0).unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&place.into());
        sockets.push(socket);
    }
    let probe = TcpStream::connect_timeout(&place, Duration::from_millis(100));
    assert!(probe.is_err(), "{address} is not silent");
    Silent(sockets)
}

fn settings(names: &Names, port: u16, pairs: &[(&str, &str)]) -> Settings {
    let alternate = format!("http://contoso--s.crm.script.test:{port}");
    let mut settings = Settings::new(&format!("{URL}:{port}")).unwrap();
    settings.set("alternate_url", &alternate).unwrap();
    settings.set("auto_switch", "off").unwrap();
    for (key, value) in pairs {
        settings.set(key, value).unwrap();
    }
    settings.set_resolver(Arc::new(names.clone()));
    settings
}

#[test]
fn a_silent_address_costs_a_moment_and_no_switch() {
    let server = serve("127.0.0.1", 0);
    let dead = ["127.0.31.1", "127.0.31.2"].map(|address| silent(address, server.port));
    let proxy = format!("http://proxy.test:{}", server.port);
    for (addresses, preset, proxy) in [
        (vec!["127.0.31.1", "127.0.0.1"], "dotnet", None),
        (vec!["127.0.31.1", "127.0.0.1"], "safe", None),
        (vec!["127.0.31.1", "127.0.31.2", "127.0.0.1"], "safe", None),
        (vec!["127.0.31.1", "127.0.0.1"], "safe", Some(&proxy)),
    ] {
        let names = Names::new(&addresses);
        let mut pairs = vec![("preset", preset), ("auto_switch", "on")];
        pairs.extend(proxy.map(|proxy| ("proxy", proxy.as_str())));
        let client = Client::open(&settings(&names, server.port, &pairs)).unwrap();
        let begin = Instant::now();
        let response = client.send(&get("/api/data/v9.2/WhoAmI")).unwrap();
        assert!(
            begin.elapsed() < NO_WAIT,
            "{addresses:?} {preset} {proxy:?}"
        );
        assert_eq!(response.attempts().len(), 1);
        assert!(client.is_primary());
    }
    drop(dead);
}

/// A probe meets the silent addresses as calls do. They say nothing against the side that answers.
#[test]
fn silent_addresses_make_no_side_dead() {
    let server = serve("127.0.0.1", 0);
    let dead = ["127.0.32.1", "127.0.32.2", "127.0.32.3"].map(|at| silent(at, server.port));
    let names = Names::new(&["127.0.0.1"]);
    let pairs = [
        ("probe_after_ms", "200"),
        ("preset", "safe"),
        ("auto_switch", "on"),
    ];
    let client = Client::open(&settings(&names, server.port, &pairs)).unwrap();
    // Connected to in no time: what follows is measured by it.
    client.send(&get("/api/data/v9.2/WhoAmI")).unwrap();
    names.set(&["127.0.32.1", "127.0.32.2", "127.0.32.3", "127.0.0.1"]);
    server.is_deaf.store(true, Ordering::SeqCst);
    let slow = {
        let client = client.clone();
        std::thread::spawn(move || client.send(&get("/api/data/v9.2/accounts")))
    };
    // The call stays without an answer; the probes get theirs.
    let wait_for = |count: &AtomicUsize, least| {
        while count.load(Ordering::SeqCst) < least {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    wait_for(&server.unheard, 1);
    server.is_deaf.store(false, Ordering::SeqCst);
    wait_for(&server.connections, 3);
    std::thread::sleep(Duration::from_secs(2));
    assert!(client.is_primary());
    client.shutdown(Duration::ZERO).unwrap();
    let _ = slow.join().unwrap();
    drop(dead);
}

#[test]
fn what_is_said_where_no_address_answers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let dead = silent("127.0.33.1", port);
    for (addresses, cause, says) in [
        (vec!["127.0.33.2"], Cause::Refused, vec!["127.0.33.2"]),
        (
            vec!["127.0.33.1", "127.0.33.2"],
            Cause::Refused,
            vec!["127.0.33.1", "not established", "127.0.33.2", "refused"],
        ),
        (
            vec!["127.0.33.2", "127.0.33.1"],
            Cause::Refused,
            vec!["127.0.33.1", "not established", "127.0.33.2", "refused"],
        ),
        (
            vec!["127.0.33.1"],
            Cause::ConnectTimeout,
            vec!["not established"],
        ),
    ] {
        let names = Names::new(&addresses);
        let pairs = [("connect_timeout_ms", "600"), ("preset", "dotnet")];
        let client = Client::open(&settings(&names, port, &pairs)).unwrap();
        let error = client.send(&get("/")).unwrap_err();
        assert_eq!(
            error.fault().unwrap().cause,
            cause,
            "{addresses:?}: {error}"
        );
        for word in says {
            assert!(error.message().contains(word), "{word}: {error}");
        }
    }
    drop(dead);
}

/// Connections that lie in the pool lead to where the name was.
#[test]
fn a_name_that_moved_is_followed_when_a_connection_fails() {
    const KEPT: usize = 4;
    let new = serve("127.0.0.1", 0);
    let old = serve("127.0.34.1", new.port);
    let names = Names::new(&["127.0.34.1"]);
    let pairs = [("preset", "dotnet"), ("attempt_timeout_ms", "3000")];
    let client = Client::open(&settings(&names, new.port, &pairs)).unwrap();
    while old.connections.load(Ordering::SeqCst) < KEPT {
        let barrier = Arc::new(Barrier::new(KEPT));
        let calls: Vec<_> = (0..KEPT)
            .map(|_| {
                let (client, barrier) = (client.clone(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    client.send(&get("/")).unwrap();
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
    }
    old.is_deaf.store(true, Ordering::SeqCst);
    names.set(&["127.0.0.1"]);
    client.send(&get("/")).unwrap_err();
    assert_eq!(client.send(&get("/")).unwrap().status(), 200);
    assert_eq!(new.connections.load(Ordering::SeqCst), 1);
    // None of the old ones was only put aside.
    for _ in 0..KEPT {
        old.closed.recv_timeout(LONG).unwrap();
    }
}

/// A lost connection is no loss of a name: who cannot be asked for it now leaves what there is.
#[test]
fn where_the_name_cannot_be_asked_for_the_others_serve_on() {
    let server = serve("127.0.0.1", 0);
    let names = Names::new(&["127.0.0.1"]);
    let pairs = [("preset", "dotnet"), ("attempt_timeout_ms", "3000")];
    let client = Client::open(&settings(&names, server.port, &pairs)).unwrap();
    while server.connections.load(Ordering::SeqCst) < 2 {
        let calls = [0; 2].map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.send(&get("/")).unwrap())
        });
        calls
            .into_iter()
            .for_each(|call| drop(call.join().unwrap()));
    }
    server.is_deaf.store(true, Ordering::SeqCst);
    client.send(&get("/")).unwrap_err();
    server.is_deaf.store(false, Ordering::SeqCst);
    names.set(&[]);
    assert_eq!(client.send(&get("/")).unwrap().status(), 200);
}

#[test]
fn idle_connections_are_closed_though_nobody_calls() {
    let server = serve("127.0.0.1", 0);
    let names = Names::new(&["127.0.0.1"]);
    for preset in ["safe", "dotnet"] {
        let pairs = [("preset", preset), ("idle_timeout_ms", "300")];
        let client = Client::open(&settings(&names, server.port, &pairs)).unwrap();
        for _ in 0..2 {
            client.send(&get("/")).unwrap();
            server.closed.recv_timeout(LONG).unwrap();
        }
        // What is used now and then stays. Where the machine stood still it was not used.
        let connections = || server.connections.load(Ordering::SeqCst);
        let (mut before, mut begin, mut last) = (connections(), Instant::now(), Instant::now());
        while begin.elapsed() < Duration::from_secs(1) {
            client.send(&get("/")).unwrap();
            if last.elapsed() > Duration::from_millis(200) {
                (before, begin) = (connections() - 1, Instant::now());
            }
            last = Instant::now();
        }
        assert_eq!(connections(), before + 1);
        // A client that is closed, and still held, holds no connection.
        client.shutdown(Duration::ZERO).unwrap();
        server.closed.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn idle_http2_connections_are_closed_though_nobody_calls() {
    let server = Strict::start(100, Duration::ZERO);
    let mut settings = server.settings();
    settings.set("idle_timeout_ms", "300").unwrap();
    let client = Client::open(&settings).unwrap();
    for closed in 1..=2 {
        client.send(&get("/")).unwrap();
        server.wait_for(|seen| seen.closed == closed);
    }
    client.send(&get("/")).unwrap();
    client.shutdown(Duration::ZERO).unwrap();
    server.wait_for(|seen| seen.closed == 3);
}
