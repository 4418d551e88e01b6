//! Calls: started, awaited, compared.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::Player;
use crate::expect::{BurstCounts, ExpectCall, json};
use crate::failure::{Wrong, compared, differ};
use crate::protocol::{Answer, Call, Request};
use crate::request::ScenarioRequest;
use crate::step::Save;
use crate::variables::COUNTER;

impl Player<'_> {
    pub(super) fn start(&mut self, id: String, submit: bool, request: Call) -> Result<(), Wrong> {
        self.ask_done(Request::Start {
            call: id.clone(),
            submit,
            request,
        })?;
        self.started.push(id);
        Ok(())
    }

    pub(super) fn outcome(&mut self, id: &str) -> Result<Answer, Wrong> {
        self.started.retain(|started| started != id);
        Ok(self.subject.ask(&Request::Await {
            call: id.to_owned(),
        })?)
    }

    /// Compares a call's end, and keeps of it what later steps need.
    pub(super) fn ended(
        &mut self,
        expect: &ExpectCall,
        save: &BTreeMap<String, Save>,
        answer: &Answer,
    ) -> Result<(), Wrong> {
        compared(expect.differences(answer), answer)?;
        for (name, what) in save {
            let response = answer
                .response
                .as_ref()
                .ok_or("nothing to save of an error".to_owned())?;
            let value = match what {
                Save::Header(header) => response.headers.get(header).cloned(),
                Save::Json(pointer) => serde_json::from_str::<Value>(&response.body)
                    .ok()
                    .and_then(|body| body.pointer(pointer)?.as_str().map(str::to_owned)),
            };
            let value = value.ok_or_else(|| format!("the response has no {what:?} to save"))?;
            self.variables.set(name, value);
        }
        Ok(())
    }

    pub(super) fn burst(
        &mut self,
        client: &str,
        count: usize,
        concurrency: usize,
        request: &Value,
        expect: &BurstCounts,
    ) -> Result<(), Wrong> {
        let mut got = BurstCounts::default();
        let mut running: VecDeque<String> = VecDeque::new();
        for index in 0..count {
            let mut variables = self.variables.clone();
            variables.set(COUNTER, index.to_string());
            let request: ScenarioRequest = serde_json::from_value(variables.apply(request)?)
                .map_err(|error| error.to_string())?;
            if running.len() == concurrency
                && let Some(oldest) = running.pop_front()
            {
                got.add(&self.outcome(&oldest)?);
            }
            let id = format!("burst-{index}");
            self.start(id.clone(), false, request.call(client))?;
            running.push_back(id);
        }
        for id in running {
            got.add(&self.outcome(&id)?);
        }
        let found =
            (got != *expect).then(|| format!("expected {}, got {}", json(expect), json(&got)));
        differ(found.into_iter().collect(), json(&got))
    }
}
