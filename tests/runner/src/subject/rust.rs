//! The Rust client, in this process.

mod body;
mod call;
mod handler;
mod ledger;
mod prepare;
mod reading;
mod records;
mod resolver;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use d365_failover_core::{
    Client, Error, ItemKind, Override, Pending, Queue, Response, Rule, Settings, SettlePolicy,
    TokenProvider, TokenRequest,
};
use serde_json::Value;

use self::call::{Ready, Sent};
use self::handler::{Handler, Shared};
use self::ledger::{ledger, replayed, resolve, settled, suspect_since, time, verified};
use self::prepare::Hook;
use self::records::{answer, error_record, state};
use self::resolver::Names;
use super::{Broken, Subject};
use crate::protocol::{self, Answer, Call, Heard, Open, Request, Token};

/// Far longer than any call of a scenario may take.
const HANGS: Duration = Duration::from_secs(120);
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Clients and calls by their names.
#[derive(Default)]
pub struct Rust {
    clients: HashMap<String, Opened>,
    calls: HashMap<String, Started>,
    /// The clients do without it.
    rule_off: Option<Rule>,
}

struct Opened {
    client: Client,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    hook: Option<Arc<Hook>>,
    handler: Option<JoinHandle<()>>,
}

struct Started {
    outcome: Receiver<Result<Response, Error>>,
    pending: Option<Pending>,
    sent: Sent,
}

impl Subject for Rust {
    fn ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        match request {
            Request::Hello => Ok(Answer::done()),
            Request::Open(open) => Ok(answer(self.open(open))),
            Request::Call(call) => match self.ready(call)? {
                Ok(ready) => ready.sent.told(ready.client.send(&ready.request)),
                Err(error) => Ok(Answer::refused(error_record(&error))),
            },
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
            Request::Ledger { client, selection } => {
                Ok(ledger(&self.client(client)?.client, *selection))
            }
            Request::Verify {
                client,
                id,
                submit,
                url,
            } => self.verify(client, *id, *submit, url.as_deref()),
            Request::Replay {
                client,
                id,
                wanted,
                submit,
            } => self.replay(client, *id, *wanted, *submit),
            Request::Settle {
                client,
                verify,
                confirm,
                replay,
                submit,
            } => {
                let policy = SettlePolicy {
                    verify: *verify,
                    confirm: *confirm,
                    replay: *replay,
                };
                self.settle(client, policy, *submit)
            }
            Request::SuspectSince { client, since_ms } => {
                Ok(suspect_since(&self.client(client)?.client, *since_ms))
            }
            Request::Maintenance {
                client,
                start_ms,
                end_ms,
            } => {
                let client = &self.client(client)?.client;
                let planned = client.maintenance(time(*start_ms), time(*end_ms));
                Ok(match planned {
                    Ok(()) => Answer::done(),
                    Err(error) => Answer::refused(error_record(&error)),
                })
            }
            Request::Override {
                client,
                value,
                until_ms,
            } => {
                let client = &self.client(client)?.client;
                let value = value.map(|value| match value {
                    protocol::Override::Off => Override::Off,
                    protocol::Override::Primary => Override::Primary,
                    protocol::Override::Alternate => Override::Alternate,
                });
                Ok(answer(client.set_override(value, until_ms.map(time))))
            }
            Request::Resolve {
                client,
                id,
                resolution,
            } => Ok(resolve(&self.client(client)?.client, *id, *resolution)),
            Request::Prepared { client } => {
                let hook = self.client(client)?.hook.as_ref();
                Ok(Answer {
                    prepared: Some(hook.map(|hook| hook.seen()).unwrap_or_default()),
                    ..Answer::done()
                })
            }
        }
    }

    fn restart(&mut self, _: &BTreeMap<String, String>) -> Result<(), Broken> {
        Err(Broken("it is no process of its own".into()))
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
    /// Whose clients do without a rule.
    pub(super) fn without(rule: Rule) -> Rust {
        Rust {
            rule_off: Some(rule),
            ..Rust::default()
        }
    }

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
        if let Some(rule) = self.rule_off {
            settings.switch_rule_off(rule);
        }
        let queue = Queue::new(0)?;
        if let Some(token) = open.token {
            settings.set_token_provider(Arc::new(Provider(token)));
        }
        if let Some(names) = &open.resolver {
            settings.set_resolver(Arc::new(Names::new(names.clone())));
        }
        let hook = open
            .prepare
            .as_ref()
            .map(|orders| Arc::new(Hook::new(orders.clone())));
        if let Some(hook) = &hook {
            settings.set_prepare(Arc::clone(hook) as _);
        }
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0)?;
        let mut mask = 0;
        if open.on_required.is_some() {
            mask |= ItemKind::EndpointSwitchRequired.bit();
        }
        if open.on_switched.is_some() {
            mask |= ItemKind::EndpointSwitched.bit();
        }
        for heard in &open.events {
            mask |= kind(*heard).bit();
        }
        client.subscribe(mask)?;
        let shared = Arc::new(Shared::default());
        let handler = Handler {
            client: client.clone(),
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
            on_required: open.on_required,
            on_switched: open.on_switched,
            mask,
        };
        let handler = Some(thread::spawn(move || handler.run()));
        self.clients.insert(
            open.client.clone(),
            Opened {
                client,
                queue,
                shared,
                hook,
                handler,
            },
        );
        Ok(())
    }

    fn ready(&self, call: &Call) -> Result<Result<Ready, Error>, Broken> {
        let opened = self.client(&call.client)?;
        Ok(Ready::new(&opened.client, &opened.shared, call))
    }

    fn start(&mut self, id: &str, submit: bool, call: &Call) -> Result<Answer, Broken> {
        // What is wrong at once is said by `await`, as where the call has a thread of its own.
        let failed = |error| {
            let (sender, outcome) = channel();
            let _ = sender.send(Err(error));
            outcome
        };
        let mut pending = None;
        let (outcome, sent) = match self.ready(call)? {
            Err(error) => (failed(error), Sent::default()),
            Ok(Ready {
                client,
                request,
                sent,
            }) if submit => {
                let calls = &self.client(&call.client)?.shared.calls;
                match calls.submit(|number| client.submit(&request, number)) {
                    Ok((submitted, outcome)) => {
                        pending = Some(submitted);
                        (outcome, sent)
                    }
                    Err(error) => (failed(error), sent),
                }
            }
            Ok(Ready {
                client,
                request,
                sent,
            }) => {
                let (sender, outcome) = channel();
                // A call that nobody awaits has nobody to tell.
                thread::spawn(move || drop(sender.send(client.send(&request))));
                (outcome, sent)
            }
        };
        let started = Started {
            outcome,
            pending,
            sent,
        };
        self.calls.insert(id.to_owned(), started);
        Ok(Answer::done())
    }

    fn verify(
        &mut self,
        client: &str,
        id: u64,
        submit: bool,
        url: Option<&str>,
    ) -> Result<Answer, Broken> {
        let request = match url {
            Some(url) => d365_failover_core::Request::verify_with(id, url),
            None => d365_failover_core::Request::verify(id),
        };
        if !submit {
            let client = &self.client(client)?.client;
            let found = match url {
                Some(url) => client.verify_with(id, url),
                None => client.verify(id),
            };
            return Ok(verified(found.map(Some)));
        }
        let outcome = self.submitted(client, &request)?;
        Ok(verified(
            outcome.map(|response| response.verification().cloned()),
        ))
    }

    fn replay(
        &mut self,
        client: &str,
        id: u64,
        wanted: bool,
        submit: bool,
    ) -> Result<Answer, Broken> {
        let outcome = match submit {
            true => {
                let request = d365_failover_core::Request::replay(id, wanted);
                self.submitted(client, &request)?
            }
            false => self.client(client)?.client.replay(id, wanted),
        };
        Ok(replayed(outcome))
    }

    fn settle(
        &mut self,
        client: &str,
        policy: SettlePolicy,
        submit: bool,
    ) -> Result<Answer, Broken> {
        if !submit {
            let done = self.client(client)?.client.settle(policy);
            return Ok(settled(done));
        }
        let walk = d365_failover_core::Request::settle(policy);
        let mut steps = 0;
        loop {
            match self.submitted(client, &walk)? {
                Err(error) => return Ok(settled(Err(error))),
                Ok(response) => {
                    let step = response.settle_step();
                    let step = step.ok_or_else(|| Broken("no step of a walk".to_owned()))?;
                    if response.ledger_id().is_none() {
                        assert_eq!(steps, step.settled.total, "each is told of once");
                        return Ok(settled(Ok(step.settled)));
                    }
                    steps += 1;
                }
            }
        }
    }

    fn submitted(
        &mut self,
        client: &str,
        request: &d365_failover_core::Request,
    ) -> Result<Result<Response, Error>, Broken> {
        let Opened { client, shared, .. } = self.client(client)?;
        let submitted = shared.calls.submit(|number| client.submit(request, number));
        let (_pending, outcome) = match submitted {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error)),
        };
        let outcome = outcome.recv_timeout(HANGS);
        outcome.map_err(|_| Broken("a call has no end".to_owned()))
    }

    fn outcome(&mut self, id: &str) -> Result<Answer, Broken> {
        let started = self
            .calls
            .remove(id)
            .ok_or_else(|| Broken(format!("no call `{id}`")))?;
        let outcome = started
            .outcome
            .recv_timeout(HANGS)
            .map_err(|_| Broken(format!("call `{id}` has no end")))?;
        started.sent.told(outcome)
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

fn kind(heard: Heard) -> ItemKind {
    match heard {
        Heard::WriteInDoubt => ItemKind::WriteInDoubt,
        Heard::DataLossSuspected => ItemKind::DataLossSuspected,
        Heard::CallRetried => ItemKind::CallRetried,
        Heard::Throttled => ItemKind::Throttled,
        Heard::OutageStarted => ItemKind::OutageStarted,
        Heard::OutageEnded => ItemKind::OutageEnded,
        Heard::Settled => ItemKind::Settled,
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
