//! Many submitted calls that run the application's code: how many threads that takes, and what ends a call that waits
//! for one.

mod support;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d365_failover_core::{
    BodySource, Client, Effect, ErrorKind, FaultKind, Outgoing, Pending, Prepare, Queue, Request,
    Resolve, ResolveError, Settings, TokenProvider, TokenRequest,
};
use d365_twin::{OrganizationConfig, Twin, TwinConfig};
use support::contoso::{LONG, get, settings as contoso_settings};
use support::serve::{Side, json, serve};
use support::{threads_named, until};

/// The library's threads of all kinds, with some to spare: 64 for the application's code.
const MOST: usize = 80;

/// One test at a time: threads are counted.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Door {
    is_open: Mutex<bool>,
    opened: Condvar,
    /// How many have stood before it, and how many stood there at once.
    came: AtomicUsize,
}

impl Door {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.came.fetch_add(1, Ordering::SeqCst);
        let is_open = self.is_open.lock().unwrap();
        drop(
            self.opened
                .wait_while(is_open, |is_open| !*is_open)
                .unwrap(),
        );
    }
}

/// Two octets, the first one behind a door.
struct Behind(Arc<Door>, usize);

impl BodySource for Behind {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1 == 0 {
            self.0.pass();
        }
        self.1 += 1;
        buffer[0] = b'x';
        Ok(usize::from(self.1 <= 2))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.1 = 0;
        Ok(())
    }
}

fn upload(door: &Arc<Door>) -> Request {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    let source = Box::new(Behind(Arc::clone(door), 0));
    request.set_body_source(source, Some(2), true);
    request
}

struct Names;

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
        match host {
            "contoso.crm.script.test" => Ok(vec!["127.0.0.1".parse().unwrap()]),
            _ => Err(ResolveError::NoSuchName),
        }
    }
}

struct Tokens;

impl TokenProvider for Tokens {
    fn provide(&self, request: TokenRequest) {
        request.reply("token".to_owned(), Some(Duration::ZERO));
    }
}

struct Hook(Arc<Door>);

impl Prepare for Hook {
    fn prepare(&self, _: &mut Outgoing) -> Result<(), String> {
        self.0.pass();
        Ok(())
    }
}

fn client(primary: &Side, queue: &Arc<Queue>, hook: Option<&Arc<Door>>) -> Client {
    let mut settings =
        Settings::new(&format!("http://contoso.crm.script.test:{}", primary.port)).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set_resolver(Arc::new(Names));
    settings.set_token_provider(Arc::new(Tokens));
    // The calls wait for the application's code, which says nothing of the endpoint.
    settings.set("probe_after_ms", "0").unwrap();
    if let Some(door) = hook {
        settings.set_prepare(Arc::new(Hook(Arc::clone(door))));
    }
    Client::open_with_queue(&settings, Arc::clone(queue), 0).unwrap()
}

fn ended(queue: &Queue, count: usize) -> HashMap<usize, Result<u16, d365_failover_core::Error>> {
    let mut ended = HashMap::new();
    for _ in 0..count {
        let mut item = queue.next(Some(LONG)).unwrap();
        let result = item.take_result().unwrap();
        let number = item.user_data().unwrap();
        ended.insert(number, result.map(|response| response.status()));
    }
    ended
}

#[test]
fn submitted_uploads_share_a_bounded_number_of_threads() {
    let _alone = alone();
    const CALLS: usize = 2_000;
    let primary = serve(|_, _| json("204 No Content", ""));
    let (door, queue) = (Arc::new(Door::default()), Queue::new(0).unwrap());
    let client = client(&primary, &queue, None);
    for number in 0..CALLS {
        client.submit(&upload(&door), number).unwrap();
    }
    until("64 readers are asked", || {
        door.came.load(Ordering::SeqCst) >= 64
    });
    let threads = threads_named("d365");
    assert!(threads <= MOST, "{threads} threads");
    // All of them are taken: names, tokens and whatever needs no thread go on.
    client.submit(&get("/api/data/v9.2/WhoAmI"), CALLS).unwrap();
    door.open();
    let ended = ended(&queue, CALLS + 1);
    for (number, result) in &ended {
        assert_eq!(result.as_ref().ok(), Some(&204), "{number}: {result:?}");
    }
    assert_eq!(primary.count("POST"), CALLS);
    let threads = threads_named("d365");
    assert!(threads <= MOST, "{threads} threads");
}

#[test]
fn hooks_of_submitted_calls_share_them_as_well() {
    let _alone = alone();
    const CALLS: usize = 500;
    let primary = serve(|_, _| json("200 OK", "{}"));
    let (door, queue) = (Arc::new(Door::default()), Queue::new(0).unwrap());
    let client = client(&primary, &queue, Some(&door));
    for number in 0..CALLS {
        client
            .submit(&get("/api/data/v9.2/WhoAmI"), number)
            .unwrap();
    }
    until("64 hooks are asked", || {
        door.came.load(Ordering::SeqCst) >= 64
    });
    let threads = threads_named("d365");
    assert!(threads <= MOST, "{threads} threads");
    door.open();
    for (number, result) in ended(&queue, CALLS) {
        assert_eq!(result.as_ref().ok(), Some(&200), "{number}: {result:?}");
    }
}

/// Fills the threads, and gives what has no thread yet: one call for each way to end.
fn full(hook: bool) -> (Side, Arc<Door>, Arc<Queue>, Client) {
    let primary = serve(|_, _| json("204 No Content", ""));
    let (door, queue) = (Arc::new(Door::default()), Queue::new(0).unwrap());
    let client = client(&primary, &queue, hook.then_some(&door));
    for number in 0..64 {
        client.submit(&one(&door, hook), number).unwrap();
    }
    until("all threads are taken", || {
        door.came.load(Ordering::SeqCst) == 64
    });
    (primary, door, queue, client)
}

fn one(door: &Arc<Door>, hook: bool) -> Request {
    if hook {
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request.set_body("xx");
        request
    } else {
        upload(door)
    }
}

#[test]
fn a_call_that_waits_for_a_thread_can_be_cancelled_and_has_its_deadline() {
    let _alone = alone();
    for hook in [false, true] {
        let (_primary, door, queue, client) = full(hook);
        let cancelled: Pending = client.submit(&one(&door, hook), 100).unwrap();
        let mut late = one(&door, hook);
        late.set_timeout(Duration::from_millis(300)).unwrap();
        client.submit(&late, 200).unwrap();
        cancelled.cancel();
        // Both end while nobody has given up a thread.
        let ended = ended(&queue, 2);
        let error = ended[&100].as_ref().unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Cancelled),
            "{error}"
        );
        let error = ended[&200].as_ref().unwrap_err();
        assert_ne!(error.effect(), Effect::Executed, "{error}");
        assert!(client.is_primary(), "hook: {hook}: {error}");
        assert_eq!(door.came.load(Ordering::SeqCst), 64, "hook: {hook}");
        door.open();
        drop(self::ended(&queue, 64));
        assert_eq!(door.came.load(Ordering::SeqCst), 64, "hook: {hook}");
    }
}

#[test]
fn a_client_that_is_closed_ends_the_calls_that_wait_for_a_thread() {
    let _alone = alone();
    for hook in [false, true] {
        let (_primary, door, queue, client) = full(hook);
        for number in 64..300 {
            client.submit(&one(&door, hook), number).unwrap();
        }
        let closing = client.clone();
        let close = std::thread::spawn(move || closing.shutdown(Duration::ZERO));
        let ended = ended(&queue, 300 - 64);
        assert!(ended.keys().all(|number| *number >= 64), "hook: {hook}");
        door.open();
        close.join().unwrap().unwrap();
        drop(self::ended(&queue, 64));
        assert_eq!(door.came.load(Ordering::SeqCst), 64, "hook: {hook}");
        drop(client);
    }
}

/// One row, all of it behind a door, and then the end.
struct Row(Arc<Door>, bool);

impl BodySource for Row {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.1, true) {
            return Ok(0);
        }
        self.0.pass();
        let text = b"{\"name\":\"cancelled\"}";
        buffer[..text.len()].copy_from_slice(text);
        Ok(text.len())
    }

    fn rewind(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// On a shared connection the body's sending is a task of its own, which may come round before the
/// call's: it must not bring a body to its end that nobody wants any more.
#[test]
fn an_upload_that_was_cancelled_is_not_read_on() {
    let _alone = alone();
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = true;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let org = twin.org("contoso").unwrap();
    let settings = contoso_settings(&twin);
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    for round in 0..500 {
        let door = Arc::new(Door::default());
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request
            .add_header("Content-Type", "application/json")
            .unwrap();
        request.set_body_source(Box::new(Row(Arc::clone(&door), false)), None, false);
        let pending = client.submit(&request, round).unwrap();
        until("the body is asked for", || {
            door.came.load(Ordering::SeqCst) == 1
        });
        pending.cancel();
        door.open();
        let error = ended(&queue, 1).remove(&round).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
        assert_eq!(org.primary.counts().creates, 0, "round {round}");
    }
}
