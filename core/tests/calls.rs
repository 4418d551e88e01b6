//! Calls against a real server: what is proved of each attempt, and what becomes of connections.

mod support;

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, Item, ItemKind, Phase, Queue, Request, Settings,
};
use d365_twin::{Condition, FaultKind as Twin_};
use support::contoso::{LONG, WHO, create, get, settings, twin};

#[test]
fn a_call_is_answered_and_its_connection_is_used_again() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    for _ in 0..5 {
        let client = client.clone();
        // Each on a thread that ends: a connection does not depend on who opened it.
        std::thread::spawn(move || {
            let response = client.send(&get(WHO)).unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.effect(), Effect::None);
            assert_eq!(response.attempts().len(), 1);
            assert_eq!(response.attempts()[0].phase, Phase::Responded);
        })
        .join()
        .unwrap();
    }
    assert_eq!(org.primary.counts().connections, 1);
    assert_eq!(org.alternate.counts().connections, 0);
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_nothing() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    client.send(&create("first")).unwrap();
    org.primary.fault(Twin_::CloseIdle).unwrap();
    let response = client.send(&create("second")).unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.attempts().len(), 1);
    assert_eq!(org.primary.counts().connections, 2);
    assert_eq!(org.rows().len(), 2);
}

#[test]
fn a_write_that_was_cut_off_is_in_doubt() {
    for fault in [
        Twin_::CommitThenReset,
        Twin_::ResetAfterRequest,
        Twin_::CommitThenClose {
            close_notify: false,
        },
        Twin_::CloseAfterRequest { close_notify: true },
    ] {
        let (twin, org) = twin();
        let client = Client::open(&settings(&twin)).unwrap();
        org.primary.fault(fault.clone()).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::ConnectionLost),
            "{fault:?}: {error}"
        );
        assert_eq!(error.effect(), Effect::Unknown, "{fault:?}");
        assert_eq!(error.attempts().len(), 1, "{fault:?}");
        assert_eq!(error.attempts()[0].phase, Phase::Sent, "{fault:?}");
        assert!(error.message().contains("in doubt"), "{error}");
        // rustls sends its own users to a page of its manual.
        assert!(!error.message().contains("docs.rs"), "{error}");
    }
}

#[test]
fn a_reset_before_the_request_leaves_nothing_in_doubt() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary.fault(Twin_::ResetBeforeRequest).unwrap();
    let error = client.send(&create("row")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    assert_eq!(error.effect(), Effect::NotExecuted, "{error}");
    assert_eq!(error.attempts()[0].phase, Phase::NotSent);
}

#[test]
fn a_success_whose_body_is_cut_was_executed() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary.fault(Twin_::cut_body()).unwrap();
    let mut request = create("row");
    request
        .add_header("Prefer", "return=representation")
        .unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    assert_eq!(error.effect(), Effect::Executed);
    assert_eq!(error.fault().unwrap().http_status, Some(201));
    let response = error.response().expect("status and headers are kept");
    assert_eq!(response.status(), 201);
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn bodies_beyond_the_limit_are_refused() {
    let (twin, _org) = twin();
    let mut settings = settings(&twin);
    settings.set("max_response_body", "10").unwrap();
    let client = Client::open(&settings).unwrap();
    let error = client.send(&get(WHO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Protocol));
    assert!(error.message().contains("max_response_body"), "{error}");
}

#[test]
fn an_unknown_authority_is_a_tls_error() {
    let (twin, _org) = twin();
    let (other, _) = self::twin();
    let mut settings = settings(&twin);
    settings
        .set("ca_bundle", other.ca_file().to_str().unwrap())
        .unwrap();
    let client = Client::open(&settings).unwrap();
    let error = client.send(&create("row")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Tls));
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(client.is_primary());
    settings.set("tls_verify", "off").unwrap();
    let client = Client::open(&settings).unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
}

fn completion(queue: &Queue) -> Item {
    let item = queue.next(Some(LONG)).unwrap();
    assert_eq!(item.kind(), ItemKind::Completion);
    item
}

#[test]
fn submitted_calls_complete_exactly_once() {
    const CALLS: usize = 200;
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 42).unwrap();
    for number in 0..CALLS {
        client
            .submit(&create(&format!("row {number}")), number)
            .unwrap();
    }
    // Blocking callers beside them take the reactor over and give it back.
    for _ in 0..20 {
        client.send(&get(WHO)).unwrap();
    }
    let mut seen = vec![0; CALLS];
    for _ in 0..CALLS {
        let mut item = completion(&queue);
        assert_eq!(item.client_data(), 42);
        seen[item.user_data().unwrap()] += 1;
        assert_eq!(item.take_result().unwrap().unwrap().status(), 204);
    }
    assert!(seen.iter().all(|count| *count == 1), "{seen:?}");
    let rest = queue.next(Some(Duration::ZERO)).err().unwrap();
    assert_eq!(rest.kind(), ErrorKind::Empty);
    assert_eq!(org.rows().len(), CALLS);
}

#[test]
fn a_cancelled_call_says_how_far_it_got() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    let pending = client.submit(&create("row"), 1).unwrap();
    org.primary.wait_for(Condition::received(1), LONG).unwrap();
    pending.cancel();
    let error = completion(&queue).take_result().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(error.attempts()[0].phase, Phase::Sent);
    assert!(client.is_primary());
}

#[test]
fn a_check_cancels_a_blocking_call_and_may_call_itself() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let fault = org
        .primary
        .fault(d365_twin::Fault::from(Twin_::AcceptNeverAnswer).method("POST"))
        .unwrap();
    let mut inner = None;
    let error = client
        .send_with_check(&create("row"), &mut || {
            inner = Some(client.send(&get(WHO)).unwrap().status());
            true
        })
        .unwrap_err();
    assert_eq!(inner, Some(200));
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
    org.primary.clear_fault(fault).unwrap();
}

#[test]
fn shutdown_cancels_what_does_not_end() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    client.submit(&get(WHO), 1).unwrap();
    org.primary.wait_for(Condition::received(1), LONG).unwrap();
    client.shutdown(Duration::from_millis(100)).unwrap();
    let error = completion(&queue).take_result().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
    for result in [
        client.send(&get(WHO)),
        client.submit(&get(WHO), 2).map(|_| unreachable!()),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
    }
    client.shutdown(LONG).unwrap();
}

#[test]
fn what_kept_a_soap_read_from_being_begun_is_told_of_a_read_however_its_url_is_written() {
    let service = "http://contoso.crm.script.test/XRMServices/2011/Organization.svc";
    let settings = Settings::new(service).unwrap();
    let client = Client::open(&settings).unwrap();
    client.shutdown(LONG).unwrap();
    for (message, effect) in [("Retrieve", Effect::None), ("Update", Effect::NotExecuted)] {
        for url in ["/XRMServices/2011/Organization.svc/web", "web"] {
            let mut request = Request::new("POST", url).unwrap();
            request.add_header("Content-Type", "text/xml").unwrap();
            request.set_body(format!(
                "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><{message} \
                 xmlns='http://schemas.microsoft.com/xrm/2011/Contracts/Services'/></s:Body></s:Envelope>"
            ));
            let error = client.send(&request).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert_eq!(error.effect(), effect, "{message} {url}");
        }
    }
}

#[test]
fn shutdown_waits_until_the_completion_is_in_the_queue() {
    for _ in 0..20 {
        let (twin, _org) = twin();
        let queue = Queue::new(0).unwrap();
        let settings = settings(&twin);
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        client.submit(&get(WHO), 1).unwrap();
        client.shutdown(LONG).unwrap();
        let mut item = queue.next(Some(Duration::ZERO)).unwrap();
        assert_eq!(item.take_result().unwrap().unwrap().status(), 200);
    }
}

#[test]
fn dropping_the_client_completes_its_calls() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    client.submit(&get(WHO), 1).unwrap();
    org.primary.wait_for(Condition::received(1), LONG).unwrap();
    drop(client);
    let error = completion(&queue).take_result().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
}

#[test]
fn without_a_queue_nothing_can_be_submitted() {
    let (twin, _org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let error = client.submit(&get(WHO), 1).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NoQueue);
    assert_eq!(client.subscribe(1).unwrap_err().kind(), ErrorKind::NoQueue);
}

#[test]
fn waiting_for_a_connection_is_not_the_endpoints_fault() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let mut settings = settings(&twin);
    settings.set("max_connections", "1").unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    client.submit(&get(WHO), 1).unwrap();
    org.primary.wait_for(Condition::received(1), LONG).unwrap();
    let mut request = create("row");
    request.set_timeout(Duration::from_millis(200)).unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
    assert!(error.message().contains("max_connections"), "{error}");
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(client.is_primary());
}
