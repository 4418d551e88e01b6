//! What outlives a process, and what processes tell each other: where calls go, and the operator's override.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use d365_failover_core::{
    Client, ErrorKind, ItemKind, LedgerSelection, Override, OverrideSource, Queue, Request, Role,
    Settings,
};
use support::contoso::{LONG, WHO, create, get};
use support::script::URL;
use support::serve::{Side, json, serve};
use support::until;

const ENVIRONMENT: &str = "D365_TEST_STATE";
/// The probes of one look: the second is for an answer that was long in coming.
const A_LOOK: RangeInclusive<usize> = 1..=2;

/// A store's path in a folder of its own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("state-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Place(folder)
    }

    fn store(&self) -> String {
        self.0.join("store").to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The pair's ports, and a store.
fn settings_of(primary: u16, alternate: u16, store: &str) -> Settings {
    let mut settings = Settings::new(URL).unwrap();
    let connect_to = format!(
        "contoso.crm.script.test:80:127.0.0.1:{primary},\
         contoso--s.crm.script.test:80:127.0.0.1:{alternate}"
    );
    for (key, value) in [
        ("connect_to", connect_to.as_str()),
        ("auto_switch", "on"),
        ("probe_timeout_ms", "2000"),
        ("store", store),
    ] {
        settings.set(key, value).unwrap();
    }
    settings
}

/// Takes connections, counts them, and says nothing.
fn black_hole() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    (port, count)
}

/// A port that refuses.
fn closed() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn living() -> Side {
    serve(|_, _| json("200 OK", "{}"))
}

/// Another process with a client of its own: this program, with the one test that is its work.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Other {
    fn start(primary: u16, alternate: u16, store: &str) -> Other {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "the_work_of_another_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(ENVIRONMENT, format!("{primary} {alternate} {store}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut other = Other {
            child,
            input,
            output,
        };
        assert_eq!(other.answer(), "open");
        other
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").unwrap();
        self.input.flush().unwrap();
    }

    /// The next line that is its own and not the test program's.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it has died");
            if let Some((_, answer)) = line.trim_end().split_once("» ") {
                return answer.to_owned();
            }
        }
    }

    fn ask(&mut self, what: &str) -> String {
        self.tell(what);
        self.answer()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "what other processes do"]
#[expect(clippy::print_stdout, reason = "its answers")]
fn the_work_of_another_process() {
    let told = std::env::var(ENVIRONMENT).unwrap();
    let mut words = told.splitn(3, ' ');
    let mut port = || words.next().unwrap().parse().unwrap();
    let (primary, alternate) = (port(), port());
    let store = words.next().unwrap();
    let queue = Queue::new(0).unwrap();
    let settings = settings_of(primary, alternate, store);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::EndpointSwitched.bit()).unwrap();
    println!("» open");
    for line in std::io::stdin().lines() {
        let answer = match line.unwrap().as_str() {
            "read" => client.send(&get(WHO)).unwrap().url().to_owned(),
            "write" => client.send(&create("row")).unwrap().url().to_owned(),
            "switched" => {
                let item = queue.next(Some(LONG)).unwrap();
                item.event().unwrap().reason.to_owned()
            }
            "override" => {
                let order = client.current_override();
                format!("{:?}", order.map(|order| (order.value, order.source)))
            }
            "close" => {
                client.shutdown(LONG).unwrap();
                "closed".to_owned()
            }
            other => panic!("{other}"),
        };
        println!("» {answer}");
    }
}

fn is_at(client: &Client, role: Role) -> bool {
    client.is_primary() == (role == Role::Primary)
}

#[test]
fn one_process_finds_out_and_nineteen_follow_by_a_look() {
    const OTHERS: usize = 19;
    let place = Place::new();
    let ((primary, connections), alternate) = (black_hole(), living());
    let start = || Other::start(primary, alternate.port, &place.store());
    let mut first = start();
    let mut others: Vec<Other> = (0..OTHERS).map(|_| start()).collect();
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert!(first.ask("read").contains("contoso--s"));
    let found_out = connections.load(Ordering::SeqCst);
    assert_eq!(first.ask("switched"), "timeout");
    for other in &mut others {
        assert_eq!(other.ask("switched"), "other_process");
    }
    let looked = connections.load(Ordering::SeqCst) - found_out;
    assert!(looked <= A_LOOK.end() * OTHERS, "{looked} connections");
    // What they have found out is their own: calls go on there.
    for other in &mut others {
        assert!(other.ask("write").contains("contoso--s"));
    }
}

#[test]
fn of_a_hundred_scripts_in_a_disaster_the_first_one_alone_asks_the_dead_endpoint() {
    const AT_ONCE: usize = 10;
    let place = Place::new();
    let ((primary, connections), alternate) = (black_hole(), living());
    let script = || {
        let mut script = Other::start(primary, alternate.port, &place.store());
        assert!(script.ask("write").contains("contoso--s"));
        assert_eq!(script.ask("close"), "closed");
    };
    let mut finds_out = Other::start(primary, alternate.port, &place.store());
    assert!(finds_out.ask("read").contains("contoso--s"));
    assert_eq!(finds_out.ask("close"), "closed");
    let first = connections.load(Ordering::SeqCst);
    assert!(first > 0);
    for _ in 0..10 {
        script();
    }
    for _ in 0..9 {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(script);
            }
        });
    }
    assert_eq!(connections.load(Ordering::SeqCst), first);
    // Each has looked before its write, and that was all.
    assert_eq!(alternate.count("POST"), 100);
}

#[test]
fn who_begins_where_others_are_looks_before_its_first_write_and_goes_back_if_it_is_dead() {
    let place = Place::new();
    let (primary, alternate) = (living(), living());
    let settings = settings_of(primary.port, alternate.port, &place.store());
    let client = Client::open(&settings).unwrap();
    client.switch_endpoint().unwrap();
    client.shutdown(LONG).unwrap();

    let second = Client::open(&settings).unwrap();
    assert!(is_at(&second, Role::Alternate) && second.epoch() == 0);
    // A read goes at once, without a look.
    assert!(second.send(&get("/api/data/v9.2/accounts")).is_ok());
    assert_eq!(alternate.count("WhoAmI"), 0);
    second.send(&create("row")).unwrap();
    let looked = alternate.count("WhoAmI");
    assert!(A_LOOK.contains(&looked), "{looked}");
    second.send(&create("row")).unwrap();
    assert_eq!(alternate.count("WhoAmI"), looked);
    assert_eq!(primary.count(""), 0);

    // The alternate has died since, and the primary lives.
    let settings = settings_of(primary.port, closed(), &place.store());
    let queue = Queue::new(0).unwrap();
    let third = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let kinds = ItemKind::EndpointSwitchRequired.bit() | ItemKind::EndpointSwitched.bit();
    third.subscribe(kinds).unwrap();
    let writing = std::thread::spawn({
        let third = third.clone();
        move || third.send(&create("row"))
    });
    for kind in [ItemKind::EndpointSwitchRequired, ItemKind::EndpointSwitched] {
        let item = queue.next(Some(LONG)).unwrap();
        assert_eq!(item.kind(), kind);
        assert_eq!(item.event().unwrap().reason, "stored_state");
    }
    let response = writing.join().unwrap().unwrap();
    assert_eq!(response.attempts().len(), 1);
    assert!(is_at(&third, Role::Primary));
    third.shutdown(LONG).unwrap();
    // And so begins the next one.
    let fourth = Client::open(&settings).unwrap();
    assert!(is_at(&fourth, Role::Primary));
}

#[test]
fn an_old_record_is_looked_at_before_anything_goes_and_forgotten_where_it_is_wrong() {
    let place = Place::new();
    let (primary, alternate) = (living(), living());
    let mut settings = settings_of(primary.port, alternate.port, &place.store());
    let client = Client::open(&settings).unwrap();
    client.switch_endpoint().unwrap();
    client.shutdown(LONG).unwrap();
    settings.set("state_max_age_ms", "0").unwrap();
    let old = Client::open(&settings).unwrap();
    assert!(is_at(&old, Role::Primary));
    old.send(&get("/api/data/v9.2/accounts")).unwrap();
    assert!(A_LOOK.contains(&primary.count("WhoAmI")));
    assert_eq!(alternate.count(""), 0);
    old.shutdown(LONG).unwrap();
    settings.set("state_max_age_ms", "3600000").unwrap();
    assert!(is_at(&Client::open(&settings).unwrap(), Role::Primary));
}

#[test]
fn two_processes_that_disagree_each_go_by_their_own_look() {
    let place = Place::new();
    let (primary, alternate) = (living(), living());
    let settings = settings_of(primary.port, alternate.port, &place.store());
    let (client, other) = (
        Client::open(&settings).unwrap(),
        Client::open(&settings).unwrap(),
    );
    client.switch_endpoint().unwrap();
    until("the other one looks", || primary.count("WhoAmI") > 0);
    other.send(&get("/api/data/v9.2/accounts")).unwrap();
    assert!(is_at(&other, Role::Primary) && is_at(&client, Role::Alternate));
}

#[test]
fn an_override_in_the_store_is_heard_by_all_who_run_until_it_ends() {
    let place = Place::new();
    let (primary, alternate) = (living(), living());
    let settings = settings_of(primary.port, alternate.port, &place.store());
    let queue = Queue::new(0).unwrap();
    let client = Client::open(&settings).unwrap();
    let beside = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    beside.subscribe(ItemKind::EndpointSwitched.bit()).unwrap();
    let mut other = Other::start(primary.port, alternate.port, &place.store());

    client
        .set_override(Some(Override::Alternate), None)
        .unwrap();
    // All clients of this process have heard of it by now.
    for client in [&client, &beside] {
        assert!(is_at(client, Role::Alternate));
        let order = client.current_override().unwrap();
        assert_eq!(
            (order.value, order.source, order.until),
            (Override::Alternate, OverrideSource::Store, None)
        );
        let refused = client.switch_endpoint().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overridden);
        assert!(refused.message().contains("set_override"), "{refused}");
    }
    let item = queue.next(Some(LONG)).unwrap();
    let event = item.event().unwrap();
    assert_eq!((event.reason, event.automatic), ("override", false));
    assert_eq!(other.ask("switched"), "override");
    assert_eq!(other.ask("override"), "Some((Alternate, Store))");
    assert!(other.ask("write").contains("contoso--s"));
    // Who opens now begins there, and is not asked to look first.
    let late = Client::open(&settings).unwrap();
    let probes = alternate.count("WhoAmI");
    late.send(&create("row")).unwrap();
    assert_eq!(alternate.count("WhoAmI"), probes);

    // One with an end: it is over by itself, and calls stay where they are.
    let end = SystemTime::now() + Duration::from_secs(2);
    client
        .set_override(Some(Override::Primary), Some(end))
        .unwrap();
    assert!(is_at(&client, Role::Primary));
    until("its end", || client.current_override().is_none());
    assert!(SystemTime::now() >= end && is_at(&client, Role::Primary));
    client.switch_endpoint().unwrap();
    let past = client
        .set_override(Some(Override::Off), Some(end))
        .unwrap_err();
    assert_eq!(past.kind(), ErrorKind::InvalidArgument);

    client.set_override(Some(Override::Off), None).unwrap();
    assert!(!client.endpoint_auto_switch_enabled());
    client.set_override(None, None).unwrap();
    assert!(client.endpoint_auto_switch_enabled());
    until("the others", || other.ask("override") == "None");
}

#[test]
fn an_override_that_is_lifted_in_an_outage_lets_calls_go_at_once() {
    let place = Place::new();
    let alternate = living();
    let settings = settings_of(closed(), alternate.port, &place.store());
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::OutageStarted.bit()).unwrap();
    client.set_override(Some(Override::Primary), None).unwrap();
    let waits = std::thread::spawn({
        let client = client.clone();
        move || client.send(&get(WHO))
    });
    let looks = || {
        let told: serde_json::Value = serde_json::from_str(&client.statistics().unwrap()).unwrap();
        told["endpoints"]["primary"]["probes"]["failed"].as_u64()
    };
    // Nobody has asked the other one.
    let item = queue.next(Some(LONG)).unwrap();
    let message = &item.event().unwrap().message;
    assert!(
        message.starts_with("the primary does not answer; "),
        "{message}"
    );
    // Two of the first look, and one of each later one: the next one is four seconds away.
    until("four looks", || looks() >= Some(5));
    let began = Instant::now();
    client.set_override(None, None).unwrap();
    assert_eq!(waits.join().unwrap().unwrap().status(), 200);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn organizations_of_one_store_know_nothing_of_each_other() {
    let place = Place::new();
    let (primary, alternate) = (living(), living());
    let settings = settings_of(primary.port, alternate.port, &place.store());
    let mut of_another = Settings::new("http://fabrikam.crm.script.test").unwrap();
    of_another.set("auto_switch", "on").unwrap();
    of_another.set("store", &place.store()).unwrap();
    let client = Client::open(&settings).unwrap();
    client
        .set_override(Some(Override::Alternate), None)
        .unwrap();
    let another = Client::open(&of_another).unwrap();
    assert!(is_at(&another, Role::Primary) && another.current_override().is_none());
    // The sibling is the same organization.
    let mut sibling = Settings::new("http://contoso.api.crm.script.test").unwrap();
    sibling.set("auto_switch", "on").unwrap();
    sibling.set("store", &place.store()).unwrap();
    let there = format!(
        "contoso--s.api.crm.script.test:80:127.0.0.1:{}",
        alternate.port
    );
    sibling.set("connect_to", &there).unwrap();
    let sibling = Client::open(&sibling).unwrap();
    assert!(is_at(&sibling, Role::Alternate));
    let write = Request::new("PATCH", "/api/data/v9.2/accounts(1)").unwrap();
    let id = sibling.send(&write).unwrap().ledger_id();
    let entries = |client: &Client| client.ledger(LedgerSelection::All).unwrap();
    assert_eq!(entries(&client).first().map(|entry| entry.id), id);
    assert!(entries(&another).is_empty());
}
