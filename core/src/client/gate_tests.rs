//! What calls tell the gate, and what waiting in it does to them.

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Cause, Client, ErrorKind, Queue, Request, Settings};

const MANY: u64 = 20;

/// A client whose endpoints are both at one port, and another host at the same.
fn opened(port: u16, more: &[(&str, &str)]) -> Client {
    Client::open(&settings(port, more)).unwrap()
}

fn settings(port: u16, more: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let hosts = ["contoso.crm", "contoso--s.crm", "blob"];
    let rules = hosts.map(|host| format!("{host}.script.test:80:127.0.0.1:{port}"));
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings.set("allowed_hosts", "blob.script.test").unwrap();
    settings.set("auto_switch", "on").unwrap();
    for (key, value) in more {
        settings.set(key, value).unwrap();
    }
    settings
}

pub(super) fn get(url: &str) -> Request {
    Request::new("GET", url).unwrap()
}

pub(super) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Answers everything at once, and counts the probes.
pub(super) fn serve() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let probes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&probes);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let probes = Arc::clone(&counted);
            thread::spawn(move || answer(stream, &probes));
        }
    });
    (port, probes)
}

fn answer(mut stream: TcpStream, probes: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.contains("WhoAmI") {
            probes.fetch_add(1, Ordering::Relaxed);
        }
        if line == "\r\n" {
            let head = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nContent-Type: application/json";
            let _ = write!(stream, "{head}\r\nContent-Length: 2\r\n\r\n{{}}");
        }
        line.clear();
    }
}

#[test]
fn what_goes_to_other_hosts_is_not_offered() {
    let (port, _) = serve();
    let client = opened(port, &[]);
    for _ in 0..MANY {
        client.send(&get("http://blob.script.test/x")).unwrap();
    }
    assert_eq!(client.inner.gate.offered(), 0.0);
    for _ in 0..MANY {
        client.send(&get("/x")).unwrap();
    }
    assert!(client.inner.gate.offered() > 0.0);
}

#[test]
fn what_is_turned_away_in_an_outage_is_not_offered() {
    let client = opened(closed_port(), &[("max_waiting", "1")]);
    let (sender, ended) = mpsc::channel();
    let send = || {
        let (client, sender) = (client.clone(), sender.clone());
        thread::spawn(move || {
            let mut request = get("/x");
            request.set_timeout(Duration::from_secs(20)).unwrap();
            let _ = sender.send(client.send(&request).unwrap_err().kind());
        });
    };
    send();
    let patience = Instant::now() + Duration::from_secs(30);
    while client.inner.board().switch.outage().is_none() {
        assert!(Instant::now() < patience);
        thread::yield_now();
    }
    (0..MANY).for_each(|_| send());
    // One of them all waits.
    for _ in 0..MANY {
        assert_eq!(ended.recv().unwrap(), ErrorKind::Busy);
    }
    let offered = client.inner.gate.offered();
    assert!(offered < MANY as f64, "{offered}");
}

/// Else whoever is late once is late by as much again: what is begun late would end late.
#[test]
fn the_time_of_a_submitted_call_begins_when_it_is_submitted() {
    const TIME: Duration = Duration::from_millis(1);
    let (port, _) = serve();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings(port, &[]), Arc::clone(&queue), 0).unwrap();
    // The one thread that drives all calls is busy.
    let (begun, has_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let busy = async move {
        begun.send(()).unwrap();
        let _ = goes_on.recv();
    };
    client.inner.engine.spawn(busy).unwrap();
    has_begun.recv().unwrap();
    let mut request = get("/x");
    request.set_timeout(TIME).unwrap();
    client.submit(&request, 1).unwrap();
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        thread::yield_now();
    }
    go_on.send(()).unwrap();
    let mut item = queue.next(None).unwrap();
    let error = item.take_result().unwrap().unwrap_err();
    assert_eq!(
        error.fault().map(|fault| fault.cause),
        Some(Cause::Deadline)
    );
    assert!(error.attempts().is_empty(), "{error:?}");
}

#[test]
fn who_waits_in_the_gate_has_nobody_looked_at() {
    let (port, probes) = serve();
    let client = opened(port, &[("probe_after_ms", "2000")]);
    let gate = &client.inner.gate;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let entered = runtime.enter();
    // Those before the call go for four seconds.
    gate.ramp_after(Duration::from_secs(5), 0.0);
    let mut before: Vec<_> = (0..80).map(|_| Box::pin(gate.enter(None))).collect();
    let mut context = Context::from_waker(Waker::noop());
    let gone: Vec<_> = before
        .iter_mut()
        .map(|turn| turn.as_mut().poll(&mut context))
        .collect();
    let waiting = gone.iter().filter(|turn| turn.is_pending()).count();
    assert!(waiting > 50, "{waiting}");
    client.send(&get("/x")).unwrap();
    assert_eq!(probes.load(Ordering::Relaxed), 0);
    drop(gone);
    drop(entered);
}
