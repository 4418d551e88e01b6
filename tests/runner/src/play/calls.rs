//! Calls: started, awaited, compared.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Player;
use crate::expect::{BurstCounts, ExpectCall, json};
use crate::failure::{Wrong, compared, differ};
use crate::protocol::{Answer, Call, Request};
use crate::request::ScenarioRequest;
use crate::step::{self, Await, Burst, Save};
use crate::variables::COUNTER;

/// What a step asks for that calls, or starts a call. Both have the same keys, and refuse others, which
/// serde cannot tell of keys that two types share.
macro_rules! call_of {
    ($step:ident) => {
        Call {
            timeout_ms: $step.timeout_ms,
            connect_timeout_ms: $step.connect_timeout_ms,
            attempt_timeout_ms: $step.attempt_timeout_ms,
            operation: $step.operation.map(|class| class.name().to_owned()),
            guarded_create: $step.guarded_create,
            upsert: $step.upsert,
            tag: $step.tag,
            stream: $step.stream,
            ..$step.request.call(&$step.client)
        }
    };
}

/// A time that what has ended is before, and what begins now is not.
fn next_millisecond() -> u128 {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_millis()
    };
    let next = now() + 1;
    while now() < next {
        std::thread::yield_now();
    }
    next
}

impl Player<'_> {
    pub(super) fn call(&mut self, step: step::Call) -> Result<(), Wrong> {
        let call = call_of!(step);
        let answer = self.subject.ask(&Request::Call(call))?;
        self.ended(&step.client, &step.expect, &step.save, &answer)
    }

    pub(super) fn start_call(&mut self, step: step::Start) -> Result<(), Wrong> {
        let call = call_of!(step);
        self.start(step.call, step.submit, call)
    }

    pub(super) fn awaited(&mut self, step: &Await) -> Result<(), Wrong> {
        let (client, answer) = self.outcome(&step.call)?;
        self.ended(&client, &step.expect, &step.save, &answer)
    }

    fn start(&mut self, id: String, submit: bool, request: Call) -> Result<(), Wrong> {
        let client = request.client.clone();
        self.ask_done(Request::Start {
            call: id.clone(),
            submit,
            request,
        })?;
        self.started.push((client, id));
        Ok(())
    }

    /// A started call's client, and how the call ended.
    fn outcome(&mut self, id: &str) -> Result<(String, Answer), Wrong> {
        let place = self.started.iter().position(|(_, started)| started == id);
        let place = place.ok_or_else(|| format!("no call `{id}` was started"))?;
        let (client, call) = self.started.remove(place);
        Ok((client, self.subject.ask(&Request::Await { call })?))
    }

    /// Compares a call's end, and keeps of it what later steps need.
    fn ended(
        &mut self,
        client: &str,
        expect: &ExpectCall,
        save: &BTreeMap<String, Save>,
        answer: &Answer,
    ) -> Result<(), Wrong> {
        compared(expect.differences(answer), answer)?;
        let (response, error) = (answer.response.as_ref(), answer.error.as_ref());
        let id = match response {
            Some(response) => response.ledger_id,
            None => error.and_then(|error| error.ledger_id),
        };
        if let Some(expected) = expect.ledger() {
            self.entry(client, expected, id)?;
        }
        for (name, what) in save {
            let value = match what {
                Save::Header(header) => {
                    response.and_then(|response| response.headers.get(header).cloned())
                }
                Save::Json(pointer) => response.and_then(|response| {
                    let body = serde_json::from_str::<Value>(&response.body).ok()?;
                    body.pointer(pointer)?.as_str().map(str::to_owned)
                }),
                Save::LedgerId => id.map(|id| id.to_string()),
                Save::Now => Some(next_millisecond().to_string()),
            };
            let value = value.ok_or_else(|| format!("the answer has no {what:?} to save"))?;
            self.variables.set(name, value);
        }
        Ok(())
    }

    pub(super) fn burst(&mut self, burst: &Burst) -> Result<(), Wrong> {
        let mut got = BurstCounts {
            effects: Some(BTreeMap::new()),
            ..BurstCounts::default()
        };
        let mut running: VecDeque<String> = VecDeque::new();
        for index in 0..burst.count {
            let mut variables = self.variables.clone();
            variables.set(COUNTER, index.to_string());
            let request: ScenarioRequest = serde_json::from_value(variables.apply(&burst.request)?)
                .map_err(|error| error.to_string())?;
            if running.len() == burst.concurrency
                && let Some(oldest) = running.pop_front()
            {
                got.add(&self.outcome(&oldest)?.1);
            }
            let id = format!("burst-{index}");
            self.start(id.clone(), false, request.call(&burst.client))?;
            running.push_back(id);
        }
        for id in running {
            got.add(&self.outcome(&id)?.1);
        }
        let expect = &burst.expect;
        if expect.effects.is_none() {
            got.effects = None;
        }
        let found =
            (got != *expect).then(|| format!("expected {}, got {}", json(expect), json(&got)));
        differ(found.into_iter().collect(), json(&got))
    }
}
