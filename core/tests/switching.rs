//! Which faults move a client, how often, and in which order it is told.

mod support;

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{Client, Effect, ErrorKind, FaultKind, ItemKind, Phase, Queue, Role};
use d365_twin::FaultKind as Twin_;
use support::contoso::{LONG, WHO, create, get, settings, twin};

#[test]
fn a_refused_primary_moves_the_call_to_the_alternate() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    client.send(&get(WHO)).unwrap();
    org.primary
        .fault(Twin_::Refuse {
            keep_existing: false,
        })
        .unwrap();
    let response = client.send(&create("row")).unwrap();
    assert!(response.switched());
    assert_eq!(response.effect(), Effect::Executed);
    let attempts = response.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].phase, Phase::NotSent);
    assert_eq!(
        (attempts[0].role, attempts[0].epoch),
        (Some(Role::Primary), 0)
    );
    assert_eq!(
        (attempts[1].role, attempts[1].epoch),
        (Some(Role::Alternate), 1)
    );
    assert!(response.url().starts_with("https://contoso--s."));
    assert!(!client.is_primary());
}

#[test]
fn an_attempt_that_ran_out_of_time_is_tried_at_the_alternate() {
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set("attempt_timeout_ms", "3000").unwrap();
    let client = Client::open(&settings).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    let response = client.send(&create("row")).unwrap();
    let attempts = response.attempts();
    assert_eq!(attempts[0].phase, Phase::Sent);
    let fault = attempts[0].fault.as_ref().unwrap();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert_eq!(attempts[1].role, Some(Role::Alternate));
}

#[test]
fn a_deadline_that_is_over_at_the_endpoint_switches_and_sends_nothing_again() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::EndpointSwitched.bit()).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    let mut request = create("row");
    request.set_timeout(Duration::from_millis(300)).unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Timeout));
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(
        queue.next(Some(LONG)).unwrap().kind(),
        ItemKind::EndpointSwitched
    );
    assert_eq!(org.alternate.counts().received, 0);
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
}

#[test]
fn many_callers_at_a_refused_primary_make_one_switch() {
    const CALLERS: usize = 32;
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let kinds = ItemKind::EndpointSwitchRequired.bit() | ItemKind::EndpointSwitched.bit();
    client.subscribe(kinds).unwrap();
    client.send(&get(WHO)).unwrap();
    org.primary
        .fault(Twin_::Refuse {
            keep_existing: false,
        })
        .unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let client = client.clone();
            std::thread::spawn(move || client.send(&create(&format!("row {number}"))))
        })
        .collect();
    for kind in [ItemKind::EndpointSwitchRequired, ItemKind::EndpointSwitched] {
        let item = queue.next(Some(LONG)).unwrap();
        assert_eq!(item.kind(), kind);
        assert_eq!(item.event().unwrap().epoch, 1);
    }
    for caller in callers {
        assert_eq!(caller.join().unwrap().unwrap().status(), 204);
    }
    let rest = queue.next(Some(Duration::ZERO)).err().unwrap();
    assert_eq!(rest.kind(), ErrorKind::Empty);
    assert_eq!(org.rows().len(), CALLERS);
    assert_eq!(client.epoch(), 1);
}

#[test]
fn a_switch_by_hand_inside_of_the_handler_takes_the_waiting_calls_along() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client
        .subscribe(ItemKind::EndpointSwitchRequired.bit() | ItemKind::EndpointSwitched.bit())
        .unwrap();
    org.primary
        .fault(Twin_::Refuse {
            keep_existing: false,
        })
        .unwrap();
    let caller = {
        let client = client.clone();
        std::thread::spawn(move || client.send(&create("row")))
    };
    let required = queue.next(Some(LONG)).unwrap();
    assert_eq!(required.kind(), ItemKind::EndpointSwitchRequired);
    client.switch_endpoint().unwrap();
    drop(required);
    let response = caller.join().unwrap().unwrap();
    assert_eq!(response.attempts().len(), 2);
    let switched = queue.next(Some(LONG)).unwrap();
    assert_eq!(switched.kind(), ItemKind::EndpointSwitched);
    assert!(!switched.event().unwrap().automatic);
    assert_eq!(client.epoch(), 1);
}

#[test]
fn events_come_in_the_order_of_epochs() {
    const THREADS: u64 = 4;
    const SWITCHES: u64 = 500;
    let (twin, _org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::EndpointSwitched.bit()).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..SWITCHES {
                    client.switch_endpoint().unwrap();
                }
            })
        })
        .collect();
    for epoch in 1..=THREADS * SWITCHES {
        let item = queue.next(Some(LONG)).unwrap();
        assert_eq!(item.event().unwrap().epoch, epoch);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_silent_call_goes_on_as_soon_as_an_outage_ends_elsewhere() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let mut settings = settings(&twin);
    for (key, value) in [
        ("preset", "safe"),
        ("probe_after_ms", "5000"),
        ("probe_timeout_ms", "500"),
    ] {
        settings.set(key, value).unwrap();
    }
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::OutageStarted.bit()).unwrap();
    client.send(&get(WHO)).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    org.alternate.fault(Twin_::AcceptNeverAnswer).unwrap();
    let mut request = get(WHO);
    // Its own next look would begin later than this.
    request.set_timeout(Duration::from_secs(11)).unwrap();
    let _pending = client.submit(&request, 7).unwrap();
    assert_eq!(
        queue.next(Some(LONG)).unwrap().kind(),
        ItemKind::OutageStarted
    );
    org.alternate.clear().unwrap();
    let response = queue
        .next(Some(LONG))
        .unwrap()
        .take_result()
        .unwrap()
        .unwrap();
    let roles: Vec<_> = response
        .attempts()
        .iter()
        .map(|attempt| attempt.role)
        .collect();
    assert_eq!(roles, [Some(Role::Primary), Some(Role::Alternate)]);
}
