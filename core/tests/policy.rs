//! A policy that comes when calls were sent already is a reason to switch, not a place to have started.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use d365_failover_core::{
    Client, Decision, ErrorKind, ItemKind, LedgerSelection, Queue, Request, Role, Settings,
};
use support::contoso::LONG;
use support::serve::{Side, json, serve};
use support::until;

/// Opens once; then it stays open.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let is_open = self.0.lock().unwrap();
        drop(self.1.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

macro_rules! wsdl {
    ($children:literal) => {
        concat!(
            r#"<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/">"#,
            r#"<f:FailoverPolicy xmlns:f="http://schemas.microsoft.com/xrm/2012/Contracts/Services">"#,
            $children,
            "</f:FailoverPolicy></wsdl:definitions>"
        )
    };
}

const DISABLED: &str = wsdl!(
    "<f:FailoverAvailable>true</f:FailoverAvailable><f:EndpointEnabled>false</f:EndpointEnabled>"
);
const AVAILABLE: &str = wsdl!("<f:FailoverAvailable>true</f:FailoverAvailable>");
const NOT_AVAILABLE: &str = wsdl!("<f:FailoverAvailable>false</f:FailoverAvailable>");

struct Pair {
    client: Client,
    queue: Arc<Queue>,
    door: Arc<Door>,
    primary: Side,
    _alternate: Option<Side>,
}

/// `policies`: what the primary's WSDL says, one after the other, once the door is open.
fn pair(preset: &str, policies: &'static [&'static str], alternate_lives: bool) -> Pair {
    let door = Arc::new(Door::default());
    let (theirs, read) = (Arc::clone(&door), AtomicUsize::new(0));
    let primary = serve(move |line, _| match line {
        _ if line.contains("wsdl") => {
            theirs.pass();
            let at = read.fetch_add(1, Ordering::SeqCst).min(policies.len() - 1);
            json("200 OK", policies[at])
        }
        _ if line.starts_with("POST") => json("204 No Content", ""),
        _ => json("200 OK", "{}"),
    });
    let alternate = alternate_lives.then(|| serve(|_, _| json("200 OK", "{}")));
    let mut settings = Settings::new("http://contoso.crm.script.test").unwrap();
    let mut rules = format!("contoso.crm.script.test:80:127.0.0.1:{}", primary.port);
    let port = alternate.as_ref().map_or(1, |side| side.port);
    rules.push_str(&format!(",contoso--s.crm.script.test:80:127.0.0.1:{port}"));
    settings.set("connect_to", &rules).unwrap();
    settings.set("preset", preset).unwrap();
    // The policy is read in its own time.
    settings.set("probe_timeout_ms", "20000").unwrap();
    settings.set("handler_timeout_ms", "20000").unwrap();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let kinds = [
        ItemKind::EndpointSwitchRequired,
        ItemKind::EndpointSwitched,
        ItemKind::DataLossSuspected,
    ];
    let mask = kinds.iter().fold(0, |mask, kind| mask | kind.bit());
    client.subscribe(mask).unwrap();
    Pair {
        client,
        queue,
        door,
        primary,
        _alternate: alternate,
    }
}

fn create() -> Request {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_body("{}");
    request
}

#[test]
fn a_policy_that_comes_after_the_first_call_switches_with_its_events() {
    for preset in ["safe", "dotnet"] {
        let pair = pair(preset, &[DISABLED], true);
        assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
        pair.door.open();
        let required = pair.queue.next(Some(LONG)).expect(preset);
        assert_eq!(
            required.kind(),
            ItemKind::EndpointSwitchRequired,
            "{preset}"
        );
        let event = required.event().unwrap();
        assert_eq!(event.previous_role, Some(Role::Primary), "{preset}");
        assert!(
            event.automatic && event.message.contains("olicy"),
            "{event:?}"
        );
        assert!(pair.client.is_primary(), "{preset}");
        required.reply(Decision::Proceed).unwrap();
        drop(required);
        let switched = pair.queue.next(Some(LONG)).expect(preset);
        assert_eq!(switched.kind(), ItemKind::EndpointSwitched, "{preset}");
        drop(switched);
        let suspected = pair.queue.next(Some(LONG)).expect(preset);
        assert_eq!(suspected.kind(), ItemKind::DataLossSuspected, "{preset}");
        assert!(!pair.client.is_primary(), "{preset}");
        assert_eq!(pair.client.epoch(), 1, "{preset}");
        let suspects = pair.client.ledger(LedgerSelection::Suspects).unwrap();
        assert_eq!(suspects.len(), 1, "{preset}");
    }
}

#[test]
fn a_policy_that_comes_late_can_be_vetoed() {
    for preset in ["safe", "dotnet"] {
        let pair = pair(preset, &[DISABLED], true);
        assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
        pair.door.open();
        let required = pair.queue.next(Some(LONG)).expect(preset);
        required.reply(Decision::Veto).unwrap();
        drop(required);
        pair.client.discover().unwrap();
        assert!(pair.client.is_primary(), "{preset}");
        assert_eq!(pair.client.epoch(), 0, "{preset}");
        assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
    }
}

#[test]
fn a_policy_that_comes_late_moves_nobody_to_an_alternate_that_is_silent() {
    let pair = pair("safe", &[DISABLED], false);
    assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
    pair.door.open();
    pair.client.discover().unwrap();
    assert!(pair.client.is_primary());
    assert!(pair.queue.next(Some(Duration::ZERO)).is_err());
    assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
}

#[test]
fn a_policy_that_is_read_before_the_first_call_says_where_to_start() {
    for preset in ["safe", "dotnet"] {
        let pair = pair(preset, &[DISABLED], true);
        pair.door.open();
        pair.client.discover().unwrap();
        assert!(!pair.client.is_primary(), "{preset}");
        assert_eq!(pair.client.epoch(), 0, "{preset}");
        assert!(pair.queue.next(Some(Duration::ZERO)).is_err(), "{preset}");
    }
}

#[test]
fn not_available_is_read_again_by_discover() {
    for preset in ["safe", "dotnet"] {
        let pair = pair(
            preset,
            &[NOT_AVAILABLE, NOT_AVAILABLE, AVAILABLE, NOT_AVAILABLE],
            true,
        );
        pair.door.open();
        for _ in 0..2 {
            pair.client.discover().unwrap();
            let error = pair.client.switch_endpoint().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoAlternate, "{preset}");
            assert!(!pair.client.endpoint_auto_switch_enabled(), "{preset}");
        }
        pair.client.discover().unwrap();
        assert!(pair.client.endpoint_auto_switch_enabled(), "{preset}");
        // What is available stays so: a switch of the application's may hang on it.
        pair.client.discover().unwrap();
        assert_eq!(pair.primary.count("wsdl"), 3, "{preset}");
        pair.client.switch_endpoint().unwrap();
    }
}

#[test]
fn a_policy_that_does_not_come_holds_up_no_call() {
    let pair = pair("safe", &[AVAILABLE], true);
    for _ in 0..3 {
        assert_eq!(pair.client.send(&create()).unwrap().status(), 204);
    }
    until("the WSDL is asked for", || pair.primary.count("wsdl") == 1);
    pair.door.open();
}
