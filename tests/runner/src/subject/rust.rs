//! The Rust client, in this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use d365_failover_core::{
    Client, Decision, Error, ErrorKind, Event, Item, ItemKind, Operation, Queue, Settings,
    TokenProvider, TokenRequest,
};
use serde_json::{Value, json};

use super::{Broken, Subject};
use crate::protocol::{
    Answer, AttemptRecord, Call, ErrorRecord, EventRecord, OnRequired, OnSwitched, Open, Request,
    ResponseRecord, StateRecord, Token,
};

/// Far longer than any call of a scenario may take.
const HANGS: Duration = Duration::from_secs(120);
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Clients and calls by their names.
#[derive(Default)]
pub struct Rust {
    clients: HashMap<String, Opened>,
    calls: HashMap<String, Started>,
}

struct Opened {
    client: Client,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    handler: Option<JoinHandle<()>>,
}

/// What the handler thread has in common with the subject.
#[derive(Default)]
struct Shared {
    events: Mutex<Vec<EventRecord>>,
    more: Condvar,
    completions: Mutex<HashMap<usize, Sender<Answer>>>,
}

struct Started {
    outcome: Receiver<Answer>,
    pending: Option<d365_failover_core::Pending>,
}

impl Subject for Rust {
    fn ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        match request {
            Request::Hello => Ok(Answer::done()),
            Request::Open(open) => Ok(answer(self.open(open))),
            Request::Call(call) => Ok(send(&self.client(&call.client)?.client, call)),
            Request::Start {
                call: id,
                submit,
                request,
            } => self.start(id, *submit, request),
            Request::Await { call } => self.outcome(call),
            Request::Cancel { call } => self.cancel(call),
            Request::State { client } => Ok(state(&self.client(client)?.client)),
            Request::SetAutoSwitch { client, enabled } => {
                let client = &self.client(client)?.client;
                Ok(answer(client.set_endpoint_auto_switch_enabled(*enabled)))
            }
            Request::SwitchEndpoint { client } => {
                Ok(answer(self.client(client)?.client.switch_endpoint()))
            }
            Request::Discover { client } => Ok(answer(self.client(client)?.client.discover())),
            Request::Close { client } => self.close(client),
            Request::Events {
                client,
                at_least,
                timeout_ms,
            } => {
                let shared = &self.client(client)?.shared;
                let events = shared.events(*at_least, Duration::from_millis(*timeout_ms));
                Ok(Answer {
                    events: Some(events),
                    ..Answer::done()
                })
            }
        }
    }

    fn finish(&mut self) -> Result<(), Broken> {
        let names: Vec<_> = self.clients.keys().cloned().collect();
        for name in names {
            self.close(&name)?;
        }
        Ok(())
    }
}

impl Rust {
    fn client(&self, name: &str) -> Result<&Opened, Broken> {
        self.clients
            .get(name)
            .ok_or_else(|| Broken(format!("no client `{name}` was opened")))
    }

    fn open(&mut self, open: &Open) -> Result<(), Error> {
        let mut settings = Settings::new(&open.url)?;
        for (key, value) in &open.settings {
            settings.set(key, &text(value))?;
        }
        let queue = Queue::new(0)?;
        settings.set_queue(Arc::clone(&queue), 0);
        if let Some(token) = open.token {
            settings.set_token_provider(Arc::new(Provider(token)));
        }
        let client = Client::open(&settings)?;
        let mut mask = 0;
        if open.on_required.is_some() {
            mask |= ItemKind::EndpointSwitchRequired.bit();
        }
        if open.on_switched.is_some() {
            mask |= ItemKind::EndpointSwitched.bit();
        }
        client.subscribe(mask)?;
        let shared = Arc::new(Shared::default());
        let handler = Handler {
            client: client.clone(),
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
            on_required: open.on_required,
            on_switched: open.on_switched,
        };
        let handler = Some(thread::spawn(move || handler.run()));
        self.clients.insert(
            open.client.clone(),
            Opened {
                client,
                queue,
                shared,
                handler,
            },
        );
        Ok(())
    }

    fn start(&mut self, id: &str, submit: bool, call: &Call) -> Result<Answer, Broken> {
        let opened = self.client(&call.client)?;
        let (sender, outcome) = channel();
        let pending = if submit {
            let number = self.calls.len();
            opened.shared.completions().insert(number, sender);
            let submitted =
                request(call).and_then(|request| opened.client.submit(&request, number));
            match submitted {
                Ok(pending) => Some(pending),
                Err(error) => return Ok(Answer::refused(error_record(&error))),
            }
        } else {
            let (client, call) = (opened.client.clone(), call.clone());
            // A call that nobody awaits has nobody to tell.
            thread::spawn(move || drop(sender.send(send(&client, &call))));
            None
        };
        self.calls
            .insert(id.to_owned(), Started { outcome, pending });
        Ok(Answer::done())
    }

    fn outcome(&mut self, id: &str) -> Result<Answer, Broken> {
        let started = self
            .calls
            .remove(id)
            .ok_or_else(|| Broken(format!("no call `{id}`")))?;
        started
            .outcome
            .recv_timeout(HANGS)
            .map_err(|_| Broken(format!("call `{id}` has no end")))
    }

    fn cancel(&mut self, id: &str) -> Result<Answer, Broken> {
        let started = self
            .calls
            .get(id)
            .ok_or_else(|| Broken(format!("no call `{id}`")))?;
        let pending = started.pending.as_ref();
        pending
            .ok_or_else(|| Broken(format!("call `{id}` was not submitted")))?
            .cancel();
        Ok(Answer::done())
    }

    fn close(&mut self, name: &str) -> Result<Answer, Broken> {
        let opened = self
            .clients
            .get_mut(name)
            .ok_or_else(|| Broken(format!("no client `{name}` was opened")))?;
        let closed = opened.client.shutdown(SHUTDOWN);
        opened.queue.close();
        if let Some(handler) = opened.handler.take() {
            handler
                .join()
                .map_err(|_| Broken("the handler thread panicked".into()))?;
        }
        Ok(answer(closed))
    }
}

impl Shared {
    fn completions(&self) -> MutexGuard<'_, HashMap<usize, Sender<Answer>>> {
        self.completions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: EventRecord) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        self.more.notify_all();
    }

    fn events(&self, at_least: usize, timeout: Duration) -> Vec<EventRecord> {
        let end = Instant::now() + timeout;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while events.len() < at_least {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            events = self
                .more
                .wait_timeout(events, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        events.clone()
    }
}

/// The thread that plays the application's handlers.
struct Handler {
    client: Client,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    on_required: Option<OnRequired>,
    on_switched: Option<OnSwitched>,
}

impl Handler {
    fn run(self) {
        while let Ok(mut item) = self.queue.next(None) {
            match item.kind() {
                ItemKind::EndpointSwitchRequired => self.required(&item),
                ItemKind::EndpointSwitched => self.switched(&item),
                ItemKind::Completion => self.completed(&mut item),
                _ => {}
            }
        }
    }

    fn required(&self, item: &Item) {
        let Some(event) = item.event() else { return };
        let call = self.on_required == Some(OnRequired::Call);
        self.shared
            .record(event_record(event, call.then(|| self.call())));
        // A reply or a setting that fails shows in what the switch does next.
        let _ = match self.on_required {
            Some(OnRequired::Veto) => item.reply(Decision::Veto),
            Some(OnRequired::Proceed | OnRequired::Call) => item.reply(Decision::Proceed),
            Some(OnRequired::DisableAutoSwitch) => {
                self.client.set_endpoint_auto_switch_enabled(false)
            }
            Some(OnRequired::EnableAutoSwitch) => {
                self.client.set_endpoint_auto_switch_enabled(true)
            }
            // Dropped without a reply.
            Some(OnRequired::Throw) | None => Ok(()),
        };
    }

    fn switched(&self, item: &Item) {
        let Some(event) = item.event() else { return };
        let call = self.on_switched == Some(OnSwitched::Call);
        self.shared
            .record(event_record(event, call.then(|| self.call())));
        if self.on_switched == Some(OnSwitched::Unsubscribe) {
            let required = self
                .on_required
                .map_or(0, |_| ItemKind::EndpointSwitchRequired.bit());
            // Failing would show as another event.
            let _ = self.client.subscribe(required);
        }
    }

    fn completed(&self, item: &mut Item) {
        let sender = item
            .user_data()
            .and_then(|number| self.shared.completions().remove(&number));
        if let (Some(sender), Some(result)) = (sender, item.take_result()) {
            // A call that nobody awaits has nobody to tell.
            let _ = sender.send(outcome(result));
        }
    }

    fn call(&self) -> Value {
        let request = d365_failover_core::Request::new("GET", "/api/data/v9.2/WhoAmI");
        match request.and_then(|request| self.client.send(&request)) {
            Ok(response) => json!({ "status": response.status() }),
            Err(error) => json!({ "error": kind_name(error.kind()) }),
        }
    }
}

struct Provider(Token);

impl TokenProvider for Provider {
    fn provide(&self, request: TokenRequest) {
        match self.0 {
            Token::ByHost => {
                let host = request.url().split("://").last().unwrap_or_default();
                let token = format!("twin-token-for-{host}");
                request.reply(token, Some(Duration::from_secs(3600)));
            }
            Token::Fail => request.fail("no token today"),
        }
    }
}

/// A setting's text, as it is given through the C ABI.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(from, to)| format!("{from}:{}", text(to)));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

fn request(call: &Call) -> Result<d365_failover_core::Request, Error> {
    let mut request = d365_failover_core::Request::new(&call.method, &call.url)?;
    for (name, value) in &call.headers {
        request.add_header(name, value)?;
    }
    if let Some(body) = &call.body {
        request.set_body(body.clone());
    }
    if let Some(ms) = call.timeout_ms {
        request.set_timeout(Duration::from_millis(ms))?;
    }
    if let Some(operation) = &call.operation {
        request.set_operation(Some(operation_of(operation)?));
    }
    Ok(request)
}

fn operation_of(name: &str) -> Result<Operation, Error> {
    Ok(match name {
        "read" => Operation::Read,
        "idempotent" => Operation::Idempotent,
        "guarded" => Operation::Guarded,
        "unsafe" => Operation::Unsafe,
        other => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("no operation `{other}`"),
            ));
        }
    })
}

fn send(client: &Client, call: &Call) -> Answer {
    outcome(request(call).and_then(|request| client.send(&request)))
}

fn answer(result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Answer::done(),
        Err(error) => Answer::refused(error_record(&error)),
    }
}

fn state(client: &Client) -> Answer {
    let state = StateRecord {
        primary_url: client.primary_url().to_owned(),
        alternate_url: client.alternate_url().map(str::to_owned),
        active_url: client.active_url().to_owned(),
        is_primary: client.is_primary(),
        epoch: client.epoch(),
        endpoint_auto_switch_enabled: client.endpoint_auto_switch_enabled(),
    };
    Answer {
        state: Some(state),
        ..Answer::done()
    }
}

fn outcome(result: Result<d365_failover_core::Response, Error>) -> Answer {
    let response = match result {
        Ok(response) => response,
        Err(error) => return Answer::refused(error_record(&error)),
    };
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    Answer::response(ResponseRecord {
        status: response.status(),
        url: response.url().to_owned(),
        headers,
        body: String::from_utf8_lossy(response.body()).into_owned(),
        effect: response.effect().name().to_owned(),
        switched: response.switched(),
        attempts: response.attempts().iter().map(attempt_record).collect(),
    })
}

fn error_record(error: &Error) -> ErrorRecord {
    ErrorRecord {
        kind: kind_name(error.kind()).to_owned(),
        class: None,
        message: error.to_string(),
        effect: Some(error.effect().name().to_owned()),
        switched: Some(error.switched()),
        http_status: error.fault().and_then(|fault| fault.http_status),
        code: error.fault().and_then(|fault| fault.code),
        attempts: error.attempts().iter().map(attempt_record).collect(),
    }
}

fn attempt_record(attempt: &d365_failover_core::Attempt) -> AttemptRecord {
    AttemptRecord {
        role: attempt.role.name().to_owned(),
        epoch: attempt.epoch,
        phase: attempt.phase.name().to_owned(),
        http_status: attempt.http_status,
        fault: attempt
            .fault
            .as_ref()
            .map(|fault| fault.kind.name().to_owned()),
        code: attempt.fault.as_ref().and_then(|fault| fault.code),
        url: attempt.url.clone(),
    }
}

fn event_record(event: &Event, inner: Option<Value>) -> EventRecord {
    EventRecord {
        event: event.kind.name().to_owned(),
        previous_url: event.previous_url.clone().unwrap_or_default(),
        new_url: event.new_url.clone().unwrap_or_default(),
        epoch: event.epoch,
        reason: event.reason.to_owned(),
        automatic: event.automatic,
        inner,
    }
}

/// The status name of the C ABI.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "invalid_argument",
        ErrorKind::InvalidUrl => "invalid_url",
        ErrorKind::UnknownSetting => "unknown_setting",
        ErrorKind::InvalidSetting => "invalid_setting",
        ErrorKind::NotAvailable => "not_available",
        ErrorKind::Closed => "closed",
        ErrorKind::WouldDeadlock => "would_deadlock",
        ErrorKind::Forked => "forked",
        ErrorKind::NoAlternate => "no_alternate",
        ErrorKind::Empty => "empty",
        ErrorKind::Busy => "busy",
        ErrorKind::Late => "late",
        ErrorKind::NoCaStore => "no_ca_store",
        ErrorKind::NoQueue => "no_queue",
        ErrorKind::Internal => "internal",
        ErrorKind::Call(fault) => fault.name(),
        _ => "a kind that this subject does not know",
    }
}
