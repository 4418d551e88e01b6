//! Calls against a real server: what is proved of each attempt, and what becomes of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, Item, ItemKind, Phase, Queue, Request, Role, Settings,
    TokenProvider, TokenRequest,
};
use d365_twin::{
    Condition, FaultKind as Twin_, OrgHandle, OrganizationConfig, Tokens, Twin, TwinConfig,
};

const LONG: Duration = Duration::from_secs(30);
const WHO: &str = "/api/data/v9.2/WhoAmI";
const ACCOUNTS: &str = "/api/data/v9.2/accounts";

fn twin() -> (Twin, OrgHandle) {
    let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")])).unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org)
}

fn settings(twin: &Twin) -> Settings {
    let mut settings = Settings::new("https://contoso.crm.twin.test").unwrap();
    let rules: Vec<String> = twin
        .connect_to()
        .iter()
        .map(|(from, to)| format!("{from}:{to}"))
        .collect();
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings
        .set("ca_bundle", twin.ca_file().to_str().unwrap())
        .unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings
}

fn get(url: &str) -> Request {
    Request::new("GET", url).unwrap()
}

fn create(name: &str) -> Request {
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    request.set_body(format!("{{\"name\":\"{name}\"}}"));
    request
}

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
    assert_eq!((attempts[0].role, attempts[0].epoch), (Role::Primary, 0));
    assert_eq!((attempts[1].role, attempts[1].epoch), (Role::Alternate, 1));
    assert!(response.url().starts_with("https://contoso--s."));
    assert!(!client.is_primary());
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
fn an_attempt_that_ran_out_of_time_is_tried_at_the_alternate() {
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set("attempt_timeout_ms", "300").unwrap();
    let client = Client::open(&settings).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    let response = client.send(&create("row")).unwrap();
    let attempts = response.attempts();
    assert_eq!(attempts[0].phase, Phase::Sent);
    let fault = attempts[0].fault.as_ref().unwrap();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert_eq!(attempts[1].role, Role::Alternate);
}

#[test]
fn the_deadline_bounds_the_call_and_leaves_the_endpoint() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
    let mut request = get(WHO);
    request.set_timeout(Duration::from_millis(300)).unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Timeout));
    assert!(client.is_primary(), "slow is not down");
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

#[test]
fn many_callers_at_a_refused_primary_make_one_switch() {
    const CALLERS: usize = 32;
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let mut settings = settings(&twin);
    settings.set_queue(Arc::clone(&queue), 0);
    let client = Client::open(&settings).unwrap();
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
    let mut settings = settings(&twin);
    settings.set_queue(Arc::clone(&queue), 42);
    let client = Client::open(&settings).unwrap();
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
    let mut settings = settings(&twin);
    settings.set_queue(Arc::clone(&queue), 0);
    let client = Client::open(&settings).unwrap();
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
    let mut settings = settings(&twin);
    settings.set_queue(Arc::clone(&queue), 0);
    let client = Client::open(&settings).unwrap();
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
fn shutdown_waits_until_the_completion_is_in_the_queue() {
    for _ in 0..20 {
        let (twin, _org) = twin();
        let queue = Queue::new(0).unwrap();
        let mut settings = settings(&twin);
        settings.set_queue(Arc::clone(&queue), 0);
        let client = Client::open(&settings).unwrap();
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
    let mut settings = settings(&twin);
    settings.set_queue(Arc::clone(&queue), 0);
    let client = Client::open(&settings).unwrap();
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

/// Gives the twin's tokens, and counts how often it is asked.
struct Provider {
    asked: AtomicUsize,
    expires_in: Option<Duration>,
}

impl TokenProvider for Provider {
    fn provide(&self, request: TokenRequest) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let host = request.url().trim_start_matches("https://").to_owned();
        request.reply(format!("twin-token-for-{host}"), self.expires_in);
    }
}

fn with_tokens(expires_in: Option<Duration>) -> (Twin, OrgHandle, Client, Arc<Provider>) {
    let (twin, org) = twin();
    org.set_tokens(Tokens::Check);
    let provider = Arc::new(Provider {
        asked: AtomicUsize::new(0),
        expires_in,
    });
    let mut settings = settings(&twin);
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    (twin, org, client, provider)
}

#[test]
fn each_endpoint_has_a_token_of_its_own_and_keeps_it() {
    let (_twin, org, client, provider) = with_tokens(Some(Duration::from_secs(3600)));
    for _ in 0..3 {
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
    client.switch_endpoint().unwrap();
    for _ in 0..3 {
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
    for side in [&org.primary, &org.alternate] {
        assert_eq!(side.counts().wrong_audience, 0);
    }
}

#[test]
fn a_token_without_a_lifetime_is_asked_for_each_call() {
    let (_twin, _org, client, provider) = with_tokens(None);
    for _ in 0..3 {
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 3);
}

struct Refuses;

impl TokenProvider for Refuses {
    fn provide(&self, request: TokenRequest) {
        request.fail("no one is signed in");
    }
}

struct Forgets;

impl TokenProvider for Forgets {
    fn provide(&self, request: TokenRequest) {
        drop(request);
    }
}

#[test]
fn without_a_token_nothing_is_sent_and_nothing_switches() {
    for provider in [
        Arc::new(Refuses) as Arc<dyn TokenProvider>,
        Arc::new(Forgets),
    ] {
        let (twin, org) = twin();
        let mut settings = settings(&twin);
        settings.set_token_provider(provider);
        let client = Client::open(&settings).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Authentication));
        assert_eq!(error.effect(), Effect::NotExecuted);
        assert_eq!(org.primary.counts().received, 0);
        assert!(client.is_primary());
    }
}
