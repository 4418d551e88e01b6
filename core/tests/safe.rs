//! The preset `safe` against servers that are slow, half dead, or answer one request and not the other: what it must
//! not do to calls that are only waiting.
mod support;

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use d365_failover_core::{
    Client, Effect, ItemKind, LedgerSelection, Outgoing, Prepare, Queue, Request, Settings,
    TokenProvider, TokenRequest,
};
use support::serve::{Do, json, serve};

fn settings(primary: u16, alternate: u16) -> Settings {
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let rules = format!(
        "contoso.crm.script.test:80:127.0.0.1:{primary},contoso--s.crm.script.test:80:127.0.0.1:{alternate}"
    );
    settings.set("connect_to", &rules).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set("preset", "safe").unwrap();
    settings
}

const ROW: &str = "/api/data/v9.2/accounts(11111111-2222-3333-4444-555555555555)";

#[test]
fn another_s_row_is_not_my_executed_create() {
    let primary = serve(
        |line, number| match (line.split(' ').next().unwrap(), number) {
            ("PATCH", 1) => Do::Close,
            ("PATCH", _) => json(
                "412 Precondition Failed",
                r#"{"error":{"code":"0x80040237","message":"there"}}"#,
            ),
            _ if line.contains("WhoAmI") => json("200 OK", "{}"),
            _ => json("200 OK", r#"{"name":"other"}"#),
        },
    );
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let client = Client::open(&settings(primary.port, alternate.port)).unwrap();
    let mut request = Request::new("PATCH", ROW).unwrap();
    request.add_header("If-None-Match", "*").unwrap();
    request.set_body(r#"{"name":"mine"}"#);
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 412);
    assert_eq!(
        response.effect(),
        Effect::Unknown,
        "{:?}",
        response.attempts()
    );
}

#[test]
fn a_living_endpoint_that_is_slow_is_not_left_in_a_switch_by_hand() {
    let primary = serve(|line, _| {
        if line.starts_with("POST") {
            Do::Answer("204 No Content", "", Duration::from_secs(3))
        } else {
            json("200 OK", "{}")
        }
    });
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(primary.port, alternate.port);
    settings.set("probe_after_ms", "200").unwrap();
    settings.set("write_grace_ms", "500").unwrap();
    let client = Client::open(&settings).unwrap();
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_body("{}");
    let sender = client.clone();
    let call = std::thread::spawn(move || sender.send(&request));
    while primary.seen.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    client.switch_endpoint().unwrap();
    let result = call.join().unwrap();
    let probes = primary
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter(|(line, _)| line.contains("WhoAmI"))
        .count();
    let effect = result
        .as_ref()
        .map_or_else(|error| error.effect(), |response| response.effect());
    assert_eq!(
        effect,
        Effect::Executed,
        "probes of the primary: {probes}; {result:?}"
    );
}

struct Slow {
    is_slow: AtomicBool,
}

impl TokenProvider for Slow {
    fn provide(&self, request: TokenRequest) {
        if request.url().contains("--s") || !self.is_slow.swap(false, Ordering::SeqCst) {
            request.reply("t".to_owned(), Some(Duration::from_secs(3600)));
            return;
        }
        std::thread::sleep(Duration::from_secs(3));
        request.reply("t".to_owned(), Some(Duration::from_secs(3600)));
    }
}

#[test]
fn who_waits_for_a_token_has_learnt_nothing_of_the_endpoint() {
    let primary = serve(|line, number| match line {
        _ if line.contains("WhoAmI") => json("200 OK", "{}"),
        _ if number == 1 => Do::Close,
        _ => json("200 OK", "{}"),
    });
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(primary.port, alternate.port);
    settings.set("probe_after_ms", "0").unwrap();
    settings.set_token_provider(Arc::new(Slow {
        is_slow: AtomicBool::new(true),
    }));
    let client = Client::open(&settings).unwrap();
    let mut request = Request::new("GET", "/api/data/v9.2/accounts").unwrap();
    request.add_header("Authorization", "Bearer mine").unwrap();
    let response = client.send(&request).unwrap();
    assert!(
        client.is_primary(),
        "switched: {}, {:?}",
        response.switched(),
        response.attempts()
    );
}

#[test]
fn an_endpoint_that_answers_probes_within_probe_timeout_is_alive() {
    let primary = serve(|line, _| {
        let after = if line.contains("WhoAmI") { 700 } else { 4000 };
        Do::Answer("200 OK", "{}", Duration::from_millis(after))
    });
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(primary.port, alternate.port);
    settings.set("probe_after_ms", "300").unwrap();
    settings.set("probe_timeout_ms", "5000").unwrap();
    let client = Client::open(&settings).unwrap();
    client
        .send(&Request::new("GET", "/api/data/v9.2/accounts").unwrap())
        .unwrap();
    assert!(client.is_primary());
}

#[test]
fn unsafe_writes_do_not_pile_up_idle_connections() {
    let primary = serve(|_, _| json("204 No Content", ""));
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(primary.port, alternate.port);
    settings.set("max_connections", "2").unwrap();
    let client = Client::open(&settings).unwrap();
    for _ in 0..6 {
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request.set_body("{}");
        client.send(&request).unwrap();
        std::thread::sleep(Duration::from_millis(1100));
    }
    let open = primary.connections.load(Ordering::SeqCst);
    assert!(open <= 2, "{open} connections open");
}

struct Nested {
    client: Mutex<Option<Client>>,
    barrier: Barrier,
}

impl Prepare for Nested {
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String> {
        if outgoing.url().contains("nested") || outgoing.epoch() == 0 {
            return Ok(());
        }
        let client = self.client.lock().unwrap().clone().unwrap();
        self.barrier.wait();
        let mut request = Request::new("GET", "/api/data/v9.2/nested").unwrap();
        request.set_timeout(Duration::from_secs(3)).unwrap();
        client
            .send(&request)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

#[test]
fn a_prepare_hook_that_calls_does_not_stand_in_the_gate() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(closed, alternate.port);
    let hook = Arc::new(Nested {
        client: Mutex::new(None),
        barrier: Barrier::new(16),
    });
    settings.set_prepare(Arc::clone(&hook) as Arc<dyn Prepare>);
    let client = Client::open(&settings).unwrap();
    *hook.client.lock().unwrap() = Some(client.clone());
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                client.send(&Request::new("GET", "/api/data/v9.2/accounts").unwrap())
            })
        })
        .collect();
    let results: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    *hook.client.lock().unwrap() = None;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(
        failed,
        0,
        "{:?}",
        results
            .into_iter()
            .find_map(Result::err)
            .map(|error| error.to_string())
    );
}

#[test]
fn who_has_switched_by_hand_does_not_wait_for_an_old_decision() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(closed, alternate.port);
    let queue = Queue::new(0).unwrap();
    settings.set("handler_timeout_ms", "20000").unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client
        .subscribe(ItemKind::EndpointSwitchRequired.bit())
        .unwrap();
    let sender = client.clone();
    let first = std::thread::spawn(move || sender.send(&Request::new("GET", "/a").unwrap()));
    let item = queue.next(Some(Duration::from_secs(20))).unwrap();
    client.switch_endpoint().unwrap();
    let sender = client.clone();
    let second = std::thread::spawn(move || {
        let mut request = Request::new("GET", "/b").unwrap();
        request.set_timeout(Duration::from_secs(4)).unwrap();
        let begin = Instant::now();
        (
            sender.send(&request).map(|response| response.status()),
            begin.elapsed(),
        )
    });
    let (result, took) = second.join().unwrap();
    drop(item);
    let _ = first.join();
    assert_eq!(result.unwrap(), 200, "{took:?}");
}

#[test]
fn a_refusal_to_switch_is_no_refusal_to_repeat_a_read_where_it_was() {
    let primary = serve(|line, number| match line {
        "GET /strong" => json(
            "503 Service Unavailable",
            r#"{"error":{"code":"0x8004B065","message":"m"}}"#,
        ),
        "GET /lost" if number == 1 => Do::Close,
        _ => json("200 OK", "{}"),
    });
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = settings(primary.port, alternate.port);
    settings.set("auto_switch", "off").unwrap();
    let client = Client::open(&settings).unwrap();
    let _ = client.send(&Request::new("GET", "/strong").unwrap());
    let result = client.send(&Request::new("GET", "/lost").unwrap());
    assert_eq!(
        result
            .map(|response| response.status())
            .map_err(|error| error.to_string()),
        Ok(200)
    );
}

struct Own;

impl Prepare for Own {
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String> {
        let value = format!("Bearer for-{}", outgoing.role().unwrap().name());
        outgoing
            .set_header("Authorization", &value)
            .map_err(|error| error.to_string())
    }
}

#[test]
fn a_probe_says_what_was_sent_and_not_what_the_hook_has_replaced() {
    let primary = serve(|_, _| json("200 OK", "{}"));
    let alternate = serve(|line, number| match line {
        "GET /a" if number == 1 => Do::Close,
        _ => json("200 OK", "{}"),
    });
    let mut settings = settings(primary.port, alternate.port);
    settings.set_prepare(Arc::new(Own));
    let client = Client::open(&settings).unwrap();
    client.switch_endpoint().unwrap();
    let mut request = Request::new("GET", "/a").unwrap();
    request
        .add_header("Authorization", "Bearer primary-only")
        .unwrap();
    client.send(&request).unwrap();
    for (line, headers) in alternate.seen.lock().unwrap().iter() {
        assert_eq!(headers["authorization"], "Bearer for-alternate", "{line}");
    }
}

#[test]
fn a_switch_tells_of_what_the_endpoint_just_left_has_acknowledged() {
    let primary = serve(|_, _| json("204 No Content", ""));
    let alternate = serve(|_, _| json("204 No Content", ""));
    let settings = settings(primary.port, alternate.port);
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::DataLossSuspected.bit()).unwrap();
    for _ in 0..3 {
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request.set_body("{}");
        client.send(&request).unwrap();
    }
    client.switch_endpoint().unwrap();
    client.switch_endpoint().unwrap();
    let mut told = Vec::new();
    while let Ok(item) = queue.next(Some(Duration::ZERO)) {
        told.push(item.event().unwrap().acknowledged);
    }
    // The alternate has acknowledged nothing.
    assert_eq!(told, [Some(3)]);
}

#[test]
fn a_write_whose_check_panics_is_not_in_flight_for_ever() {
    let primary = serve(|_, _| Do::Answer("204 No Content", "", Duration::from_secs(2)));
    let alternate = serve(|_, _| json("204 No Content", ""));
    let client = Client::open(&settings(primary.port, alternate.port)).unwrap();
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_body("{}");
    let sender = client.clone();
    let _ =
        std::thread::spawn(move || sender.send_with_check(&request, &mut || panic!("on purpose")))
            .join();
    let suspects = client.ledger(LedgerSelection::Suspects).unwrap();
    assert_eq!(
        suspects.len(),
        1,
        "{:?}",
        client.ledger(LedgerSelection::All).unwrap()
    );
}

fn slow_ones_and_a_fast_one(has_ramp: bool) -> Result<u16, String> {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let alternate = serve(|line, _| {
        let after = if line.contains("/slow") { 6 } else { 0 };
        Do::Answer("200 OK", "{}", Duration::from_secs(after))
    });
    let mut settings = settings(closed, alternate.port);
    if !has_ramp {
        settings.switch_rule_off(d365_failover_core::Rule::Ramp);
    }
    let client = Client::open(&settings).unwrap();
    let slow: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.send(&Request::new("GET", "/slow").unwrap()))
        })
        .collect();
    while alternate
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter(|(line, _)| line == "GET /slow")
        .count()
        < 16
    {
        std::thread::yield_now();
    }
    let mut request = Request::new("GET", "/fast").unwrap();
    request.set_timeout(Duration::from_secs(3)).unwrap();
    let result = client.send(&request);
    for call in slow {
        call.join().unwrap().unwrap();
    }
    result
        .map(|response| response.status())
        .map_err(|error| error.to_string())
}

#[test]
fn calls_that_take_long_do_not_close_the_gate_to_all_others() {
    assert_eq!(slow_ones_and_a_fast_one(true), Ok(200));
}

#[test]
fn control_without_the_ramp() {
    assert_eq!(slow_ones_and_a_fast_one(false), Ok(200));
}

#[test]
fn the_ledger_shows_no_signature_of_another_host() {
    let foreign = serve(|_, _| Do::Answer("201 Created", "", Duration::from_secs(2)));
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings
        .set(
            "connect_to",
            &format!("blob.script.test:80:127.0.0.1:{}", foreign.port),
        )
        .unwrap();
    settings.set("allowed_hosts", "blob.script.test").unwrap();
    let client = Client::open(&settings).unwrap();
    let mut request = Request::new("PUT", "http://blob.script.test/x?sig=SECRET").unwrap();
    request.set_body("{}");
    let sender = client.clone();
    let call = std::thread::spawn(move || sender.send(&request));
    while foreign.seen.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let entries = client.ledger(LedgerSelection::All).unwrap();
    call.join().unwrap().unwrap();
    assert!(!entries[0].url.contains("SECRET"), "{}", entries[0].url);
}

#[test]
fn nobody_looks_for_a_client_that_is_closed() {
    let primary = serve(|line, _| match line {
        _ if line.contains("WhoAmI") => Do::Answer("200 OK", "{}", Duration::from_secs(5)),
        _ => Do::Close,
    });
    let alternate = serve(|_, _| Do::Answer("200 OK", "{}", Duration::from_secs(5)));
    let client = Client::open(&settings(primary.port, alternate.port)).unwrap();
    let sender = client.clone();
    let call = std::thread::spawn(move || sender.send(&Request::new("GET", "/lost").unwrap()));
    let probes = || {
        primary
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(line, _)| line.contains("WhoAmI"))
            .count()
    };
    while probes() == 0 {
        std::thread::yield_now();
    }
    client.shutdown(Duration::ZERO).unwrap();
    let _ = call.join().unwrap();
    drop(client);
    let before = probes();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(probes(), before);
}

/// What a server asks for is waited for, and "at once" is no reason to use all attempts up at once.
#[test]
fn what_the_service_asks_for_is_waited_for() {
    for (status, failures, seconds) in [
        ("503 Service Unavailable\r\nRetry-After: 2", 1, 2),
        ("429 Too Many Requests\r\nRetry-After: 0", 3, 1),
        ("503 Service Unavailable\r\nRetry-After: 0", 3, 1),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let primary = serve(move |line, _| {
            if line.contains("WhoAmI") || count.fetch_add(1, Ordering::SeqCst) >= failures {
                json("200 OK", "{}")
            } else {
                json(status, "")
            }
        });
        let alternate = serve(|_, _| json("200 OK", "{}"));
        let client = Client::open(&settings(primary.port, alternate.port)).unwrap();
        let began = Instant::now();
        let request = Request::new("GET", "/api/data/v9.2/accounts").unwrap();
        let response = client.send(&request).unwrap();
        assert_eq!(response.status(), 200, "{status:?}");
        assert_eq!(asked.load(Ordering::SeqCst), failures + 1, "{status:?}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(seconds), "{status:?}: {took:?}");
    }
}
