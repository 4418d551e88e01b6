//! Bearer tokens: one for each endpoint, and what becomes of a call that gets none.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use d365_failover_core::{Client, Effect, ErrorKind, FaultKind, TokenProvider, TokenRequest};
use d365_twin::{FaultKind as Twin_, OrgHandle, Tokens, Twin};
use support::contoso::{LONG, WHO, create, get, settings, twin};

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

#[test]
fn a_late_refusal_does_not_forget_the_new_token() {
    const CALLERS: usize = 10;
    let (_twin, org, client, provider) = with_tokens(Some(Duration::from_secs(3600)));
    client.send(&get(WHO)).unwrap();
    org.primary
        .fault(Twin_::Status {
            status: 401,
            headers: Default::default(),
            body: String::new(),
            commit: false,
        })
        .unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.send(&get(WHO)).unwrap().status())
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), 401);
    }
    // Each refusal is of the token that it was sent with: never more tokens than calls.
    assert!(provider.asked.load(Ordering::SeqCst) <= CALLERS + 1);
    org.primary.clear().unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
}

struct Hangs(Mutex<Vec<TokenRequest>>);

impl TokenProvider for Hangs {
    fn provide(&self, request: TokenRequest) {
        self.0.lock().unwrap().push(request);
    }
}

#[test]
fn a_provider_that_never_answers_is_not_the_endpoints_fault() {
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set_token_provider(Arc::new(Hangs(Mutex::default())));
    settings.set("attempt_timeout_ms", "200").unwrap();
    let client = Client::open(&settings).unwrap();
    let error = client.send(&create("row")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Authentication));
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(client.is_primary());
    assert_eq!(org.primary.counts().connections, 0);
    client.shutdown(LONG).unwrap();
}

/// Calls the very client that asks for the token.
struct Recursive(Mutex<Option<Client>>, AtomicUsize);

impl TokenProvider for Recursive {
    fn provide(&self, request: TokenRequest) {
        let client = self.0.lock().unwrap().take().unwrap();
        let error = client.send(&get(WHO)).unwrap_err();
        if error.kind() == ErrorKind::WouldDeadlock {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        request.fail("it could not call");
    }
}

#[test]
fn a_provider_that_calls_its_own_client_is_refused_at_once() {
    let (twin, _org) = twin();
    let provider = Arc::new(Recursive(Mutex::default(), AtomicUsize::new(0)));
    let mut settings = settings(&twin);
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    *provider.0.lock().unwrap() = Some(client.clone());
    let error = client.send(&get(WHO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Authentication));
    assert_eq!(provider.1.load(Ordering::SeqCst), 1);
}
