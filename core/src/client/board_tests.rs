//! How often the lock is taken that all calls of a client share, and how often a call is looked at.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use tokio::task::yield_now;

use super::gate_tests::{closed_port, get, serve};
use crate::resource::cancel::Cancel;
use crate::{Client, ItemKind, Queue, Settings};

/// A client whose endpoints are at these ports, and who hears of these events.
fn opened(primary: u16, alternate: u16, mask: u64, preset: &str) -> Client {
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let at = |host, port| format!("{host}.script.test:80:127.0.0.1:{port}");
    let rules = [at("contoso.crm", primary), at("contoso--s.crm", alternate)];
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set("preset", preset).unwrap();
    let queue = Queue::new(10_000).unwrap();
    let client = Client::open_with_queue(&settings, queue, 0).unwrap();
    client.subscribe(mask).unwrap();
    client
}

/// How often one call takes it.
fn taken(client: &Client) -> usize {
    let before = client.inner.boards_taken.load(Ordering::Relaxed);
    let _ = client.send(&get("/x"));
    client.inner.boards_taken.load(Ordering::Relaxed) - before
}

#[test]
fn a_fault_is_reported_and_what_comes_of_it_is_heard_under_one_lock_each() {
    let (alive, _) = serve();
    let dead = closed_port();
    let waited_for = ItemKind::EndpointSwitchRequired.bit() | ItemKind::EndpointSwitched.bit();
    let told = !waited_for;
    // Of a call that begins: where calls go. In `safe` also, of each attempt, whether they still do. Of a
    // fault: its report. Of an inquiry: before its handlers, after them, and whether somebody looks home.
    // Of what is told: one each. Of an error: what keeps calls where they are.
    for (name, preset, primary, alternate, mask, expected) in [
        ("healthy", "dotnet", alive, alive, 0, [1, 1]),
        ("healthy", "safe", alive, alive, 0, [2, 2]),
        ("switches", "dotnet", dead, alive, 0, [1 + 1 + 3 + 1, 1]),
        ("is told", "dotnet", dead, alive, told, [6 + 2, 1]),
        ("fails twice", "dotnet", dead, dead, 0, [6 + 1, 6 + 1]),
    ] {
        let client = opened(primary, alternate, mask, preset);
        let found = [taken(&client), taken(&client)];
        assert_eq!(found, expected, "{preset}: {name}");
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often one call has woken itself when it begins to wait.
fn wakes_itself(client: &Client, wakes: &Arc<Wakes>) -> usize {
    let (inner, request, cancel) = (&client.inner, get("/x"), Cancel::default());
    let waker = Waker::from(Arc::clone(wakes));
    let mut call = pin!(inner.call(&request, None, &cancel));
    let mut look = || {
        let mut context = Context::from_waker(&waker);
        let looked = inner.engine.beside(|| call.as_mut().poll(&mut context));
        looked.is_ready()
    };
    let before = wakes.0.load(Ordering::Relaxed);
    assert!(!look());
    let after = wakes.0.load(Ordering::Relaxed);
    while !look() {
        inner.engine.block_on(yield_now());
    }
    after - before
}

#[test]
fn a_call_over_an_open_connection_waits_for_its_answer_alone() {
    let (port, _) = serve();
    for preset in ["dotnet", "safe"] {
        let client = opened(port, port, 0, preset);
        let wakes = Arc::default();
        wakes_itself(&client, &wakes);
        assert_eq!(wakes_itself(&client, &wakes), 0, "{preset}");
    }
}
