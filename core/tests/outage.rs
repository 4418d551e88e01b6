//! An outage: how long is waited, and who is asked when it ends.

mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use d365_failover_core::{Cause, Client, Decision, ItemKind, Queue, Settings};
use d365_twin::{FaultKind as Twin_, OrgHandle, Twin};
use support::contoso::{ACCOUNTS, LONG, WHO, get, settings, twin};

const REFUSE: Twin_ = Twin_::Refuse {
    keep_existing: false,
};

/// Both sides refuse.
fn outage() -> (Twin, OrgHandle, Settings) {
    let (twin, org) = twin();
    org.primary.fault(REFUSE).unwrap();
    org.alternate.fault(REFUSE).unwrap();
    let mut settings = settings(&twin);
    settings.set("preset", "safe").unwrap();
    (twin, org, settings)
}

#[test]
fn a_deadline_is_waited_for_and_no_longer() {
    let (_twin, _org, settings) = outage();
    let client = Client::open(&settings).unwrap();
    let second = Duration::from_secs(1);
    let mut request = get(ACCOUNTS);
    request.set_timeout(second).unwrap();
    // One that was sent, and one that begins in the outage.
    for cause in [Cause::Refused, Cause::Deadline] {
        let began = Instant::now();
        let error = client.send(&request).unwrap_err();
        let took = began.elapsed();
        assert_eq!(error.fault().unwrap().cause, cause, "{error}");
        assert!(took >= second && took < second * 10, "{took:?} {error}");
    }
}

#[test]
fn outage_wait_is_waited_for_and_an_announced_window_counts_for_who_waits_already() {
    let (_twin, org, mut settings) = outage();
    settings.set("outage_wait_ms", "1000").unwrap();
    let client = Client::open(&settings).unwrap();
    let began = Instant::now();
    let error = client.send(&get(ACCOUNTS)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_secs(1), "{error}");
    assert!(error.message().contains("outage_wait"), "{error}");

    settings.set("outage_wait_ms", "3000").unwrap();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::OutageStarted.bit()).unwrap();
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.send(&get(ACCOUNTS))
    });
    let began = Instant::now();
    drop(queue.next(Some(LONG)).unwrap());
    let now = std::time::SystemTime::now();
    client.maintenance(now, now + LONG * 10).unwrap();
    support::until("outage_wait is over", || {
        began.elapsed() > Duration::from_secs(4)
    });
    assert!(!waiting.is_finished());
    org.primary.clear().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap().status(), 200);
}

#[test]
fn who_hears_of_an_outage_s_end_and_calls_holds_up_no_veto() {
    let (_twin, org, settings) = outage();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let kinds = [
        ItemKind::EndpointSwitchRequired,
        ItemKind::OutageStarted,
        ItemKind::OutageEnded,
    ];
    let mask = kinds.iter().fold(0, |mask, kind| mask | kind.bit());
    client.subscribe(mask).unwrap();
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.send(&get(ACCOUNTS))
    });
    assert_eq!(
        queue.next(Some(LONG)).unwrap().kind(),
        ItemKind::OutageStarted
    );
    org.alternate.clear().unwrap();
    // The handlers' thread, with one handler of each.
    let required = queue.next(Some(LONG)).unwrap();
    assert_eq!(required.kind(), ItemKind::EndpointSwitchRequired);
    assert!(required.is_decision());
    required.reply(Decision::Veto).unwrap();
    drop(required);
    let ended = queue.next(Some(LONG)).unwrap();
    assert_eq!(ended.kind(), ItemKind::OutageEnded);
    assert!(client.send(&get(WHO)).is_err());
    drop(ended);
    let error = waiting.join().unwrap().unwrap_err();
    assert!(error.message().contains("vetoed"), "{error}");
    assert!(client.is_primary());
}
