//! Plays a scenario with a subject.

mod calls;
mod seen;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use self::seen::counted;
use crate::compare::differences;
use crate::expect::{ExpectEvent, json, refusal_differences};
use crate::failure::{Failure, Wrong, compared, differ};
use crate::file::Scenario;
use crate::protocol::{Call, Open, Request};
use crate::stage::Stage;
use crate::step::Step;
use crate::subject::Subject;
use crate::variables::Variables;

/// Plays the scenario from the first step to the last or to the first that fails.
pub(crate) fn play(scenario: &Scenario, subject: &mut dyn Subject) -> Result<(), Failure> {
    let before = |text: String| Failure {
        step: 0,
        text: "starting the twin".into(),
        differences: vec![text],
        got: None,
        journal: Vec::new(),
        broken: false,
    };
    let stage = Stage::start(&scenario.twin).map_err(before)?;
    let variables = stage.variables().map_err(before)?;
    let mut player = Player {
        stage,
        subject,
        variables,
        preset: &scenario.preset,
        clients: BTreeMap::new(),
        started: Vec::new(),
    };
    for (index, step) in scenario.steps().iter().enumerate() {
        let done = player.step(step);
        player.check(done, index + 1, step.to_string())?;
    }
    let end = scenario.steps().len() + 1;
    let settled = player.settle();
    player.check(
        settled,
        end,
        "the end: every call awaited, no event left over".into(),
    )?;
    let closed = player.close_all();
    player.check(closed, end, "closing the clients".into())
}

struct Player<'a> {
    stage: Stage,
    subject: &'a mut dyn Subject,
    variables: Variables,
    preset: &'a str,
    clients: BTreeMap<String, Watched>,
    started: Vec<String>,
}

/// What the player knows of an open client.
#[derive(Default)]
struct Watched {
    /// How many of its events were expected already.
    events: usize,
    /// How many of the attempts that its hook was handed.
    prepared: usize,
    closed: bool,
}

impl Player<'_> {
    /// Makes a failure of what is wrong, and clears the stage.
    fn check(&mut self, done: Result<(), Wrong>, step: usize, text: String) -> Result<(), Failure> {
        let Err(wrong) = done else { return Ok(()) };
        let (differences, got, mut broken) = match wrong {
            Wrong::Answer(differences, got) => (differences, Some(got), false),
            Wrong::Step(text) => (vec![text], None, false),
            Wrong::Subject(broken) => (vec![broken.to_string()], None, true),
        };
        let journal = self.stage.journal_tail();
        if !broken {
            broken = self.stage.release().is_err() || self.close_all().is_err();
        }
        Err(Failure {
            step,
            text,
            differences,
            got,
            journal,
            broken,
        })
    }

    fn step(&mut self, step: &Value) -> Result<(), Wrong> {
        let step = self.variables.apply(step)?;
        let step: Step = serde_json::from_value(step).map_err(|error| error.to_string())?;
        self.act(step)
    }

    fn act(&mut self, step: Step) -> Result<(), Wrong> {
        match step {
            Step::Open {
                client,
                url,
                settings,
                on_required,
                on_switched,
                token,
                resolver,
                prepare,
                trust,
                expect,
            } => {
                let url = match url {
                    Some(url) => url,
                    None => self.variables.get("primary")?,
                };
                let settings = self.settings(settings, trust);
                let open = Open {
                    client: client.clone(),
                    url,
                    settings,
                    on_required,
                    on_switched,
                    token,
                    resolver,
                    prepare,
                };
                let answer = self.subject.ask(&Request::Open(open))?;
                if answer.ok {
                    self.clients.insert(client, Watched::default());
                }
                compared(refusal_differences(expect.as_ref(), &answer), &answer)
            }
            Step::Call {
                client,
                request,
                timeout_ms,
                operation,
                stream,
                expect,
                save,
            } => {
                let call = Call {
                    timeout_ms,
                    operation,
                    stream,
                    ..request.call(&client)
                };
                let answer = self.subject.ask(&Request::Call(call))?;
                self.ended(&expect, &save, &answer)
            }
            Step::Start {
                client,
                call: id,
                request,
                submit,
                timeout_ms,
                operation,
                stream,
            } => {
                let request = Call {
                    timeout_ms,
                    operation,
                    stream,
                    ..request.call(&client)
                };
                self.start(id, submit, request)
            }
            Step::Await { call, expect, save } => {
                let answer = self.outcome(&call)?;
                self.ended(&expect, &save, &answer)
            }
            Step::Cancel { call } => self.ask_done(Request::Cancel { call }),
            Step::Burst {
                client,
                count,
                concurrency,
                request,
                expect,
            } => self.burst(&client, count, concurrency, &request, &expect),
            Step::Fault {
                org,
                side,
                fault,
                name,
                after_ms,
                for_ms,
            } => {
                let after = Duration::from_millis(after_ms);
                let lasting = for_ms.map(Duration::from_millis);
                Ok(self.stage.fault(
                    org.as_deref(),
                    side,
                    fault,
                    name.as_deref(),
                    after,
                    lasting,
                )?)
            }
            Step::Clear { org, side, name } => {
                Ok(self.stage.clear(org.as_deref(), side, name.as_deref())?)
            }
            Step::FillBacklog { org, side } => Ok(self.stage.fill_backlog(org.as_deref(), side)?),
            Step::ProxyFault { proxy, fault } => {
                Ok(self.stage.proxy_fault(proxy.as_deref(), fault)?)
            }
            Step::Authority { org, active } => {
                Ok(self.stage.set_authority(org.as_deref(), active)?)
            }
            Step::Replication { org, replication } => {
                Ok(self.stage.set_replication(org.as_deref(), replication)?)
            }
            Step::Replicate { org } => Ok(self.stage.replicate(org.as_deref())?),
            Step::SetAutoSwitch {
                client,
                enabled,
                expect,
            } => {
                let answer = self
                    .subject
                    .ask(&Request::SetAutoSwitch { client, enabled })?;
                compared(refusal_differences(expect.as_ref(), &answer), &answer)
            }
            Step::SwitchEndpoint { client, expect } => {
                let answer = self.subject.ask(&Request::SwitchEndpoint { client })?;
                compared(refusal_differences(expect.as_ref(), &answer), &answer)
            }
            Step::Discover { client, expect } => {
                let answer = self.subject.ask(&Request::Discover { client })?;
                compared(refusal_differences(expect.as_ref(), &answer), &answer)
            }
            Step::Wait {
                org,
                side,
                condition,
                timeout_ms,
            } => {
                let timeout = Duration::from_millis(timeout_ms);
                Ok(self.stage.wait(org.as_deref(), side, &condition, timeout)?)
            }
            Step::ExpectEvents { client, events } => self.events(&client, &events),
            Step::ExpectSwitches {
                client,
                org,
                switches,
            } => {
                let mut events = Vec::new();
                for switch in &switches {
                    let from = self.stage.url(org.as_deref(), switch.from)?;
                    let to = self.stage.url(org.as_deref(), switch.from.other())?;
                    events.extend(ExpectEvent::of_switch(
                        &from,
                        &to,
                        &switch.reason,
                        switch.epoch,
                    ));
                }
                self.events(&client, &events)
            }
            Step::ExpectState { client, state } => {
                let answer = self.subject.ask(&Request::State { client })?;
                let got = json(&answer.state);
                differ(differences(&json(&state), &got), got)
            }
            Step::ExpectRows {
                org,
                name,
                primary,
                alternate,
                duplicates,
            } => self.rows(
                org.as_deref(),
                name.as_deref(),
                [primary, alternate, duplicates],
            ),
            Step::ExpectRequests(wanted) => {
                let mut entries = self.stage.journal(wanted.org.as_deref(), wanted.side);
                entries.retain(|entry| wanted.hold(entry));
                counted(wanted.count, &entries)
            }
            Step::ExpectProxyRequests(wanted) => {
                let mut entries = self.stage.proxy_journal(wanted.proxy.as_deref())?;
                entries.retain(|entry| wanted.hold(entry));
                counted(wanted.count, &entries)
            }
            Step::ExpectPrepared { client, prepared } => self.prepared(&client, &prepared),
            Step::ExpectCounts { org, side, counts } => {
                let got = self.stage.counts(org.as_deref(), side)?;
                differ(differences(&Value::Object(counts), &got), got)
            }
            Step::Close { client, expect } => {
                let answer = self.subject.ask(&Request::Close {
                    client: client.clone(),
                })?;
                if let Some(watched) = self.clients.get_mut(&client) {
                    watched.closed = true;
                }
                compared(refusal_differences(expect.as_ref(), &answer), &answer)
            }
        }
    }

    /// The scenario's settings, with what every client of the twin needs.
    fn settings(&self, given: Map<String, Value>, trust: crate::step::Trust) -> Map<String, Value> {
        let mut settings = Map::new();
        settings.insert("preset".into(), self.preset.into());
        let ca_bundle = self.stage.ca_bundle(trust);
        settings.insert(
            "ca_bundle".into(),
            ca_bundle.to_string_lossy().into_owned().into(),
        );
        settings.insert("connect_to".into(), self.stage.connect_to().into());
        settings.extend(given);
        settings
    }

    fn ask_done(&mut self, request: Request) -> Result<(), Wrong> {
        let answer = self.subject.ask(&request)?;
        compared(refusal_differences(None, &answer), &answer)
    }

    /// Nothing may be left that no step has looked at.
    fn settle(&mut self) -> Result<(), Wrong> {
        if let Some(id) = self.started.first() {
            return Err(format!("call `{id}` was started and not awaited").into());
        }
        let open: Vec<String> = self.open_clients();
        for client in open {
            let left = json(&self.new_events(&client, 0)?);
            let found = differences(&Value::Array(Vec::new()), &left);
            differ(
                found
                    .iter()
                    .map(|text| format!("events of `{client}`: {text}"))
                    .collect(),
                left,
            )?;
        }
        Ok(())
    }

    fn open_clients(&self) -> Vec<String> {
        let open = self.clients.iter().filter(|(_, watched)| !watched.closed);
        open.map(|(name, _)| name.clone()).collect()
    }

    fn close_all(&mut self) -> Result<(), Wrong> {
        for client in self.open_clients() {
            if let Some(watched) = self.clients.get_mut(&client) {
                watched.closed = true;
            }
            self.ask_done(Request::Close { client })?;
        }
        for id in std::mem::take(&mut self.started) {
            self.subject.ask(&Request::Await { call: id })?;
        }
        Ok(())
    }
}
