//! Bearer tokens: one for each endpoint, and what becomes of a call that gets none.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, Queue, Request, Role, TokenProvider, TokenRequest,
};
use d365_twin::{FaultKind as Twin_, OrgHandle, Tokens, Twin};
use support::contoso::{LONG, WHO, create, get, settings, twin};
use support::serve::{json, serve};
use support::until;

/// Gives the twin's tokens, and counts how often it is asked.
struct Provider {
    asked: AtomicUsize,
    expires_in: Option<Duration>,
    /// Whose threads it was asked on.
    threads: Mutex<HashSet<ThreadId>>,
}

impl TokenProvider for Provider {
    fn provide(&self, request: TokenRequest) {
        let thread = std::thread::current().id();
        self.threads.lock().unwrap().insert(thread);
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
        threads: Mutex::default(),
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
fn a_token_without_a_lifetime_is_kept_for_a_few_seconds_and_forgotten_when_it_is_refused() {
    const CALLS: usize = 30;
    let (_twin, org, client, provider) = with_tokens(None);
    for _ in 0..CALLS {
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    }
    let asked = provider.asked.load(Ordering::SeqCst);
    assert!(asked < CALLS / 2, "asked {asked} times for {CALLS} calls");
    org.primary
        .fault(Twin_::Status {
            status: 401,
            headers: Default::default(),
            body: String::new(),
            commit: false,
        })
        .unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 401);
    org.primary.clear().unwrap();
    let asked = provider.asked.load(Ordering::SeqCst);
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    assert_eq!(provider.asked.load(Ordering::SeqCst), asked + 1);
}

#[test]
fn a_token_for_once_is_asked_for_each_call_and_takes_no_thread_each_time() {
    const CALLS: usize = 30;
    let (_twin, _org, client, provider) = with_tokens(Some(Duration::ZERO));
    for _ in 0..CALLS {
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), CALLS);
    let threads = provider.threads.lock().unwrap().len();
    assert!(threads <= 8, "{threads} threads for {CALLS} questions");
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

/// Whom the endpoint has let in and asked for less needs no better token.
#[test]
fn a_probe_that_is_throttled_renews_no_token() {
    let (twin, org) = twin();
    org.set_tokens(Tokens::Check);
    let provider = Arc::new(Provider {
        asked: AtomicUsize::new(0),
        expires_in: Some(Duration::from_secs(3600)),
        threads: Mutex::default(),
    });
    let mut settings = settings(&twin);
    settings.set("preset", "safe").unwrap();
    settings.set("outage_wait_ms", "0").unwrap();
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    let throttled = Twin_::Throttled {
        retry_after: 1,
        code: d365_twin::ErrorCode(0x8007_2322),
        soap_duration: None,
    };
    org.alternate.fault(throttled).unwrap();
    let refuse = Twin_::Refuse {
        keep_existing: false,
    };
    org.primary.fault(refuse).unwrap();
    client.send(&get(WHO)).unwrap_err();
    assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
    assert_eq!(org.alternate.counts().received, 1);
    let checked = client.send(&Request::check(Role::Alternate)).unwrap();
    let checked = String::from_utf8_lossy(checked.body());
    assert!(checked.contains("reachable"), "{checked}");
    assert!(!checked.contains("did not take it"), "{checked}");
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

/// Keeps the first questions for itself, for one role or both, and answers the rest.
struct HangsAtFirst {
    hangs: usize,
    role: Option<Role>,
    asked: AtomicUsize,
    kept: Mutex<Vec<TokenRequest>>,
}

impl HangsAtFirst {
    fn new(hangs: usize, role: Option<Role>) -> Arc<HangsAtFirst> {
        Arc::new(HangsAtFirst {
            hangs,
            role,
            asked: AtomicUsize::new(0),
            kept: Mutex::default(),
        })
    }
}

impl TokenProvider for HangsAtFirst {
    fn provide(&self, request: TokenRequest) {
        let hangs = self.role.is_none_or(|role| role == request.role())
            && self.asked.fetch_add(1, Ordering::SeqCst) < self.hangs;
        if hangs {
            self.kept.lock().unwrap().push(request);
            return;
        }
        let host = request.url().split("://").nth(1).unwrap().to_owned();
        request.reply(
            format!("twin-token-for-{host}"),
            Some(Duration::from_secs(3600)),
        );
    }
}

#[test]
fn a_question_that_was_given_up_is_asked_anew() {
    for preset in ["safe", "dotnet"] {
        let (twin, _org) = twin();
        let mut settings = settings(&twin);
        settings.set("preset", preset).unwrap();
        let provider = HangsAtFirst::new(2, None);
        settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
        let client = Client::open(&settings).unwrap();
        for _ in 0..2 {
            let mut request = get(WHO);
            request.set_timeout(Duration::from_millis(200)).unwrap();
            let error = client.send(&request).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Authentication));
        }
        let mut request = get(WHO);
        request.set_timeout(LONG).unwrap();
        assert_eq!(client.send(&request).unwrap().status(), 200, "{preset}");
        // What comes late does not take the newer token's place.
        for late in provider.kept.lock().unwrap().drain(..) {
            late.reply("late".to_owned(), Some(Duration::from_secs(3600)));
        }
        assert_eq!(client.send(&get(WHO)).unwrap().status(), 200, "{preset}");
        assert_eq!(provider.asked.load(Ordering::SeqCst), 3, "{preset}");
    }
}

#[test]
fn a_late_answer_serves_who_waits_for_a_newer_question() {
    let (twin, org) = twin();
    org.set_tokens(Tokens::Check);
    let mut settings = settings(&twin);
    let provider = HangsAtFirst::new(usize::MAX, None);
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    let mut request = get(WHO);
    request.set_timeout(Duration::from_millis(200)).unwrap();
    client.send(&request).unwrap_err();
    let waiting = client.clone();
    let call = std::thread::spawn(move || waiting.send(&get(WHO)));
    until("the question is asked anew", || {
        provider.kept.lock().unwrap().len() == 2
    });
    let first = provider.kept.lock().unwrap().remove(0);
    first.reply("twin-token-for-contoso.crm.twin.test".to_owned(), None);
    assert_eq!(call.join().unwrap().unwrap().status(), 200);
}

#[test]
fn questions_that_hang_do_not_pile_up() {
    let (twin, _org) = twin();
    let mut settings = settings(&twin);
    let provider = HangsAtFirst::new(usize::MAX, None);
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..3 {
                    let mut request = get(WHO);
                    request.set_timeout(Duration::from_millis(50)).unwrap();
                    client.send(&request).unwrap_err();
                }
            })
        })
        .collect();
    for call in calls {
        call.join().unwrap();
    }
    let asked = provider.asked.load(Ordering::SeqCst);
    assert!((1..=4).contains(&asked), "asked {asked} times");
}

/// One answer of the primary's says that it does not serve; all others serve.
#[test]
fn a_provider_that_hangs_for_the_alternate_shuts_off_no_living_primary() {
    let primary = serve(|line, number| match line {
        "GET /strong" if number == 1 => json(
            "500 Internal Server Error",
            r#"{"error":{"code":"0x8004B065","message":"elsewhere"}}"#,
        ),
        _ => json("200 OK", "{}"),
    });
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let mut settings = d365_failover_core::Settings::new("http://contoso.crm.script.test").unwrap();
    let rules = format!(
        "contoso.crm.script.test:80:127.0.0.1:{},contoso--s.crm.script.test:80:127.0.0.1:{}",
        primary.port, alternate.port
    );
    settings.set("connect_to", &rules).unwrap();
    settings.set("auto_switch", "on").unwrap();
    let provider = HangsAtFirst::new(1, Some(Role::Alternate));
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open(&settings).unwrap();
    let sender = client.clone();
    let met = std::thread::spawn(move || sender.send(&get("/strong")));
    until("the alternate's token is asked for", || {
        provider.asked.load(Ordering::SeqCst) == 1
    });
    for _ in 0..3 {
        let mut request = get("/other");
        request.set_timeout(Duration::from_secs(3)).unwrap();
        assert_eq!(client.send(&request).unwrap().status(), 200);
    }
    // The look ends by itself, and long before attempt_timeout (120 s).
    let begin = std::time::Instant::now();
    let error = met.join().unwrap().unwrap_err();
    assert!(begin.elapsed() < LONG, "{:?}: {error}", begin.elapsed());
    assert!(error.message().contains("token"), "{error}");
    assert!(client.is_primary());
    // And the next one asks anew.
    let mut request = get("/next");
    request.set_timeout(LONG).unwrap();
    assert_eq!(client.send(&request).unwrap().status(), 200);
}

/// Answers with a text.
struct Says(&'static str);

impl TokenProvider for Says {
    fn provide(&self, request: TokenRequest) {
        request.reply(self.0.to_owned(), None);
    }
}

#[test]
fn what_cannot_be_a_token_is_refused_and_not_shown() {
    for (token, why) in [
        ("", "empty"),
        ("  ", "empty"),
        ("Bearer SECRET", "Bearer"),
        ("bearer SECRET", "Bearer"),
        ("BEARER\tSECRET", "Bearer"),
        (" Bearer SECRET", "white space"),
        ("SECRET\n", "white space"),
        (" SECRET", "white space"),
        ("SECRET SECRET", "white space"),
        ("SECRET\r\nX-Injected: 1", "white space"),
        ("SECRET\u{1}", "characters"),
        ("SECRETé", "characters"),
    ] {
        let (twin, org) = twin();
        let mut settings = settings(&twin);
        settings.set_token_provider(Arc::new(Says(token)));
        let client = Client::open(&settings).unwrap();
        let error = client.send(&create("row")).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Authentication),
            "{token:?}"
        );
        assert!(error.message().contains(why), "{token:?}: {error}");
        assert!(!error.message().contains("SECRET"), "{error}");
        assert_eq!(org.primary.counts().received, 0, "{token:?}");
    }
    // A word that only begins so is a token.
    let (twin, _org) = twin();
    let mut settings = settings(&twin);
    settings.set_token_provider(Arc::new(Says("bearerish")));
    let client = Client::open(&settings).unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
}

#[test]
fn whose_token_wins_is_a_setting() {
    for (precedence, status) in [
        (None, 401),
        (Some("application"), 401),
        (Some("provider"), 200),
    ] {
        let (twin, org) = twin();
        org.set_tokens(Tokens::Check);
        let mut settings = settings(&twin);
        if let Some(precedence) = precedence {
            settings.set("token_precedence", precedence).unwrap();
        }
        settings.set_token_provider(HangsAtFirst::new(0, None));
        let client = Client::open(&settings).unwrap();
        client.switch_endpoint().unwrap();
        // As an SDK does that knows one host.
        let mut request = get(WHO);
        let primarys = "Bearer twin-token-for-contoso.crm.twin.test";
        request.add_header("Authorization", primarys).unwrap();
        let response = client.send(&request).unwrap();
        assert_eq!(response.status(), status, "{precedence:?}");
    }
}

/// Calls the very client that asks for the token.
struct Recursive(Mutex<Option<Client>>, AtomicUsize, AtomicBool);

impl TokenProvider for Recursive {
    fn provide(&self, request: TokenRequest) {
        let client = self.0.lock().unwrap().take().unwrap();
        let errors = [
            client.send(&get(WHO)).map(drop),
            client.send_with_check(&get(WHO), &mut || false).map(drop),
            client.submit(&get(WHO), 1).map(drop),
            client.discover(),
        ];
        for error in errors {
            if error.unwrap_err().kind() == ErrorKind::WouldDeadlock {
                self.1.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.2
            .store(client.switch_endpoint().is_ok(), Ordering::SeqCst);
        request.fail("it could not call");
    }
}

#[test]
fn a_provider_that_calls_its_own_client_is_refused_at_once() {
    let (twin, _org) = twin();
    let provider = Arc::new(Recursive(
        Mutex::default(),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    ));
    let mut settings = settings(&twin);
    settings.set_token_provider(Arc::clone(&provider) as Arc<dyn TokenProvider>);
    let client = Client::open_with_queue(&settings, Queue::new(0).unwrap(), 0).unwrap();
    *provider.0.lock().unwrap() = Some(client.clone());
    let error = client.send(&get(WHO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Authentication));
    assert_eq!(provider.1.load(Ordering::SeqCst), 4);
    // What does not wait works.
    assert!(provider.2.load(Ordering::SeqCst));
}
