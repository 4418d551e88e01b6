//! An outage: how long is waited, and who is asked when it ends.

mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use d365_failover_core::{Cause, Client, Decision, ItemKind, Level, Queue, Settings};
use d365_twin::{Condition, Fault, FaultKind as Twin_, OrgHandle, Twin};
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

    // In a window it is the window that was waited for, and only in it.
    settings.set("outage_wait_ms", "0").unwrap();
    let client = Client::open(&settings).unwrap();
    let now = std::time::SystemTime::now();
    let window = Duration::from_secs(2);
    client.maintenance(now, now + window).unwrap();
    let error = client.send(&get(ACCOUNTS)).unwrap_err();
    let (message, end) = (error.message(), std::time::SystemTime::now());
    assert!(end >= now + window, "{message}");
    assert!(
        message.contains("to the end of the interruption that is planned"),
        "{message}"
    );
    assert!(!message.contains("outage_wait"), "{message}");

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
fn an_answer_to_a_call_that_was_sent_before_has_the_next_look_begin() {
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set("preset", "safe").unwrap();
    settings.set("probe_after_ms", "0").unwrap();
    let client = Client::open(&settings).unwrap();
    let sends = |url: &'static str| {
        let client = client.clone();
        thread::spawn(move || client.send(&get(url)))
    };
    let stalled = Fault::from(Twin_::Stall { ms: None }).path_contains("WhoAmI");
    let stalled = org.primary.fault(stalled.times(1)).unwrap();
    let before = sends(WHO);
    org.primary.wait_for(Condition::in_flight(1), LONG).unwrap();
    // New connections are refused, and the one that there is goes on.
    let refuse = Twin_::Refuse {
        keep_existing: true,
    };
    let refuse = org.primary.fault(refuse).unwrap();
    org.alternate.fault(REFUSE).unwrap();
    let waits = sends(ACCOUNTS);
    let looks = || {
        let told: serde_json::Value = serde_json::from_str(&client.statistics().unwrap()).unwrap();
        told["endpoints"]["primary"]["probes"]["failed"].as_u64()
    };
    // Two of the first look, and one of each later one: the next one is four seconds away.
    support::until("four looks", || looks() >= Some(5));
    let began = Instant::now();
    org.primary.clear_fault(refuse).unwrap();
    org.primary.clear_fault(stalled).unwrap();
    assert_eq!(before.join().unwrap().unwrap().status(), 200);
    assert_eq!(waits.join().unwrap().unwrap().status(), 200);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_failback_that_is_vetoed_is_told() {
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    for (key, value) in [
        ("preset", "safe"),
        ("failback", "probe"),
        ("failback_interval_ms", "50"),
        ("failback_after_ms", "0"),
    ] {
        settings.set(key, value).unwrap();
    }
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let refuse = org.primary.fault(REFUSE).unwrap();
    client.send(&get(ACCOUNTS)).unwrap();
    let mask = ItemKind::EndpointSwitchRequired.bit() | ItemKind::Log.bit();
    client.subscribe(mask).unwrap();
    org.primary.clear_fault(refuse).unwrap();
    let mut asked = 0;
    loop {
        let item = queue.next(Some(LONG)).unwrap();
        if item.is_decision() {
            asked += 1;
            assert!(asked < 3, "nobody tells");
            item.reply(Decision::Veto).unwrap();
        } else if let Some(event) = item.event()
            && event.level == Level::Warn
        {
            let expected = "the alternate stays active although the primary answers again: a \
                            handler vetoed the switch";
            assert_eq!(event.message, expected);
            break;
        }
    }
    assert!(!client.is_primary());
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
