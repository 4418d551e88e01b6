//! Plays a scenario with a subject.

mod calls;
mod ledger;
mod seen;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::compare::differences;
use crate::expect::{ExpectRefusal, json, refusal_differences};
use crate::failure::{Failure, Wrong, compared, differ};
use crate::file::Scenario;
use crate::protocol::{Open, Request};
use crate::stage::Stage;
use crate::step::{self, SetAutoSwitch, Step, Trust};
use crate::subject::Subject;
use crate::variables::{REPETITION, Variables};

/// How often it is looked whether steps pass that do eventually.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

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
    /// Their clients and their names.
    started: Vec<(String, String)>,
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
        if matches!(
            step.get("do").and_then(Value::as_str),
            Some("repeat" | "eventually")
        ) {
            return self.again(step);
        }
        let step = self.variables.apply(step)?;
        let step: Step = serde_json::from_value(step).map_err(|error| error.to_string())?;
        self.act(step)
    }

    /// Steps of a step are read one by one: one may need what another has kept.
    fn again(&mut self, step: &Value) -> Result<(), Wrong> {
        let step: Step = serde_json::from_value(step.clone()).map_err(|error| error.to_string())?;
        match step {
            Step::Repeat { times, steps } => {
                (0..times).try_for_each(|repetition| self.all(&steps, repetition))
            }
            Step::Eventually { steps, timeout_ms } => {
                let end = Instant::now() + Duration::from_millis(timeout_ms);
                let mut attempt = 0;
                loop {
                    match self.all(&steps, attempt) {
                        Err(wrong) if wrong.is_of_the_subject() || Instant::now() >= end => {
                            return Err(wrong);
                        }
                        Err(_) => thread::sleep(BETWEEN_LOOKS),
                        Ok(()) => return Ok(()),
                    }
                    attempt += 1;
                }
            }
            step => self.act(step),
        }
    }

    fn all(&mut self, steps: &[Value], repetition: usize) -> Result<(), Wrong> {
        for (index, step) in steps.iter().enumerate() {
            self.variables.set(REPETITION, repetition.to_string());
            self.step(step)
                .map_err(|wrong| wrong.at(&format!("[{repetition}] step {}", index + 1)))?;
        }
        Ok(())
    }

    fn act(&mut self, step: Step) -> Result<(), Wrong> {
        match step {
            Step::Open(open) => self.open(*open),
            Step::Call(call) => self.call(*call),
            Step::Start(start) => self.start_call(*start),
            Step::Await(step) => self.awaited(&step),
            Step::Cancel { call } => self.ask_done(Request::Cancel { call }),
            Step::Burst(burst) => self.burst(&burst),
            // Met in `step`, before its steps get their variables.
            Step::Repeat { .. } | Step::Eventually { .. } => Ok(()),
            Step::Fault(fault) => Ok(self.stage.fault(fault)?),
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
            Step::Wait {
                org,
                side,
                condition,
                timeout_ms,
            } => {
                let timeout = Duration::from_millis(timeout_ms);
                Ok(self.stage.wait(org.as_deref(), side, &condition, timeout)?)
            }
            Step::SetAutoSwitch(SetAutoSwitch {
                client,
                enabled,
                expect,
            }) => self.ask(Request::SetAutoSwitch { client, enabled }, expect),
            Step::SwitchEndpoint { client, expect } => {
                self.ask(Request::SwitchEndpoint { client }, expect)
            }
            Step::Discover { client, expect } => self.ask(Request::Discover { client }, expect),
            Step::Restart { environment } => self.restart(&environment),
            Step::Close { client, expect } => self.close(client, expect),
            Step::Verify(verify) => self.verify(verify),
            Step::Replay(replay) => self.replay(replay),
            Step::Settle(settle) => self.settle_all(settle),
            Step::SuspectSince(since) => self.suspect_since(since),
            Step::Maintenance(planned) => self.maintenance(planned),
            Step::Override(wanted) => self.set_override(wanted),
            Step::Resolve(resolve) => self.resolve(resolve),
            Step::ExpectLedger {
                client,
                selection,
                entries,
            } => {
                let got = json(&self.ledger(&client, selection)?);
                differ(differences(&json(&entries), &got), got)
            }
            Step::ExpectEvents { client, events } => self.events(&client, &events),
            Step::ExpectState { client, state } => self.state(client, &state),
            Step::ExpectRows(rows) => self.rows(&rows),
            Step::ExpectRequests(wanted) => self.requests(&wanted),
            Step::ExpectProxyRequests(wanted) => self.proxy_requests(&wanted),
            Step::ExpectPrepared { client, prepared } => self.prepared(&client, &prepared),
            Step::ExpectCounts { org, side, counts } => {
                let got = self.stage.counts(org.as_deref(), side)?;
                differ(differences(&Value::Object(counts), &got), got)
            }
        }
    }

    fn open(&mut self, open: step::Open) -> Result<(), Wrong> {
        let url = match open.url {
            Some(url) => url,
            None => self.variables.get("primary")?,
        };
        let answer = self.subject.ask(&Request::Open(Open {
            client: open.client.clone(),
            url,
            settings: self.settings(open.settings, open.trust),
            on_required: open.on_required,
            on_switched: open.on_switched,
            events: open.events,
            token: open.token,
            resolver: open.resolver,
            prepare: open.prepare,
        }))?;
        if answer.ok {
            self.clients.insert(open.client, Watched::default());
        }
        compared(refusal_differences(open.expect.as_ref(), &answer), &answer)
    }

    fn close(&mut self, client: String, expect: Option<ExpectRefusal>) -> Result<(), Wrong> {
        let answer = self.subject.ask(&Request::Close {
            client: client.clone(),
        })?;
        if let Some(watched) = self.clients.get_mut(&client) {
            watched.closed = true;
        }
        compared(refusal_differences(expect.as_ref(), &answer), &answer)
    }

    fn restart(&mut self, environment: &BTreeMap<String, String>) -> Result<(), Wrong> {
        self.clients.clear();
        self.started.clear();
        Ok(self.subject.restart(environment)?)
    }

    /// Asks for what is done or refused.
    fn ask(&mut self, request: Request, expect: Option<ExpectRefusal>) -> Result<(), Wrong> {
        let answer = self.subject.ask(&request)?;
        compared(refusal_differences(expect.as_ref(), &answer), &answer)
    }

    fn ask_done(&mut self, request: Request) -> Result<(), Wrong> {
        self.ask(request, None)
    }

    /// The scenario's settings, with what every client of the twin needs.
    fn settings(&self, given: Map<String, Value>, trust: Trust) -> Map<String, Value> {
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

    /// Nothing may be left that no step has looked at.
    fn settle(&mut self) -> Result<(), Wrong> {
        if let Some((_, id)) = self.started.first() {
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
        for (_, id) in std::mem::take(&mut self.started) {
            self.subject.ask(&Request::Await { call: id })?;
        }
        Ok(())
    }
}
