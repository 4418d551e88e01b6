//! Runs a plan against the twin, and writes down what happened.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use d365_failover_core::{
    Client, Effect, LedgerSelection, Queue, Request, Response, Role, Rule, Settings,
};
use d365_twin::{Authority, FaultId};

use crate::history::{
    Answer, AttemptSeen, Call, Change, ClientRecord, End, History, Season, Terms, Told,
};
use crate::plan::{CallPlan, ClientPlan, DEADLINE, Manner, Plan};
use crate::request::{answer, request, row_named};
pub use crate::stage::RunError;
use crate::stage::{PATIENCE, Stage};
use crate::weather::{Act, Front};
use crate::witness::{Clock, Completions, Ended, KINDS, Witness};
use crate::work::tag;

/// Short times, so that a history is one of seconds.
pub(crate) const SETTINGS: [(&str, &str); 9] = [
    ("connect_timeout_ms", "500"),
    ("attempt_timeout_ms", "1500"),
    ("deadline_ms", "6000"),
    ("handler_timeout_ms", "500"),
    ("probe_after_ms", "250"),
    ("probe_timeout_ms", "500"),
    ("write_grace_ms", "500"),
    ("hold_down_ms", "500"),
    ("max_attempts", "4"),
];
const HOLD_DOWN: Duration = Duration::from_millis(500);
const MAX_ATTEMPTS: usize = 4;
/// How long an application thinks about a call that has failed at once.
pub(crate) const THOUGHT: Duration = Duration::from_millis(40);
/// How long what a probe has found is no question again: a second, and before it the two probes of a
/// look that began as the storm ended.
const BELIEVED: Duration = Duration::from_millis(2100);

/// Whose rules the clients follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// No write twice that shows.
    Safe,
    /// As the .NET SDK.
    Dotnet,
}

impl Preset {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Preset::Safe => "safe",
            Preset::Dotnet => "dotnet",
        }
    }

    fn terms(self) -> Terms {
        Terms {
            max_attempts: MAX_ATTEMPTS,
            hold_down: (self == Preset::Safe).then_some(HOLD_DOWN),
            probes: self == Preset::Safe,
            ..Terms::default()
        }
    }
}

/// Counts the calls that have begun, for the weather.
#[derive(Default)]
struct Pulse {
    state: Mutex<Beats>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Beats {
    begun: u32,
    is_over: bool,
}

impl Pulse {
    fn update(&self, change: impl FnOnce(&mut Beats)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits for so many calls more, at most that long; false when the storm is over.
    fn wait(&self, calls: u32, most: Duration) -> bool {
        let beats = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = beats.begun + calls;
        let waited = self
            .changed
            .wait_timeout_while(beats, most, |beats| !beats.is_over && beats.begun < until);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

/// One client while it runs.
struct Actor {
    number: usize,
    client: Client,
    plan: ClientPlan,
    completions: Completions,
}

impl Actor {
    /// Sends a request in the manner of the plan.
    fn send(&self, plan: &CallPlan, request: &Request) -> Result<Ended, RunError> {
        Ok(match plan.manner {
            Manner::Blocking => self.client.send(request),
            Manner::Cancelled(after) => {
                let mut asked = 0;
                self.client.send_with_check(request, &mut || {
                    asked += 1;
                    asked >= after
                })
            }
            Manner::Submitted => {
                let number = plan.number as usize;
                let end = self.completions.expect(number);
                match self.client.submit(request, number) {
                    Ok(_pending) => end.recv_timeout(plan.deadline + PATIENCE).map_err(|_| {
                        RunError::Broken(format!("call {number} was submitted and never ended"))
                    })?,
                    Err(error) => Err(error),
                }
            }
        })
    }
}

/// What all threads of a run share.
struct Scene<'a> {
    stage: &'a Stage,
    versions: HashMap<u32, u64>,
    clock: Clock,
    pulse: Pulse,
    calls: Mutex<Vec<Call>>,
    /// The first thing that went wrong with the run itself.
    trouble: Mutex<Option<RunError>>,
}

/// Runs a plan. The history is whole when this returns: nothing is under way any more. `off`: the
/// rules of the preset `safe` that the clients do not follow.
///
/// # Errors
/// [`RunError`] when the twin or a client could not be started, or failed in good weather.
pub fn run(plan: &Plan, preset: Preset, off: &[Rule]) -> Result<History, RunError> {
    let stage = Stage::open(plan)?;
    let scene = Scene {
        versions: stage.seed(plan)?,
        stage: &stage,
        clock: Clock::default(),
        pulse: Pulse::default(),
        calls: Mutex::default(),
        trouble: Mutex::default(),
    };
    let mut actors = Vec::new();
    let mut witnesses = Vec::new();
    for (number, client) in plan.clients.iter().enumerate() {
        let (actor, witness) = open(&scene, plan.seed, number, client, (preset, off))?;
        actors.push(actor);
        witnesses.push(witness);
    }
    let weather = storm(&scene, &actors, &plan.weather);
    stage.heal(plan.healed)?;
    witnesses.iter().for_each(Witness::agree);
    for actor in &actors {
        actor.client.set_endpoint_auto_switch_enabled(true)?;
    }
    // A veto holds for a time, and what probes have found is believed for a time, whatever
    // happens: nothing else tells of their end.
    thread::sleep(HOLD_DOWN.max(BELIEVED));
    stage.wait_until_fair()?;
    thread::scope(|scope| {
        for actor in &actors {
            let scene = &scene;
            scope.spawn(move || {
                for call in &actor.plan.healed {
                    scene.make(actor, call, Season::Healed);
                }
            });
        }
    });
    stage.settle()?;
    let mut clients = Vec::new();
    for (actor, witness) in actors.into_iter().zip(witnesses) {
        let was_held =
            plan.weather.iter().flat_map(|front| &front.acts).any(
                |act| matches!(act, Act::AutoSwitch(client, false) if *client == actor.number),
            );
        clients.push(ClientRecord {
            was_held,
            ..close(actor, witness)?
        });
    }
    let Scene { calls, trouble, .. } = scene;
    if let Some(trouble) = trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(trouble);
    }
    let mut calls = calls.into_inner().unwrap_or_else(PoisonError::into_inner);
    calls.sort_by_key(|call| call.number);
    Ok(History {
        terms: preset.terms(),
        calls,
        clients,
        rows: stage.rows(plan)?,
        receipts: stage.receipts(),
        weather,
    })
}

fn open(
    scene: &Scene<'_>,
    seed: u64,
    number: usize,
    plan: &ClientPlan,
    (preset, off): (Preset, &[Rule]),
) -> Result<(Actor, Witness), RunError> {
    let mut settings: Settings = scene.stage.settings(plan)?;
    for rule in off {
        settings.switch_rule_off(*rule);
    }
    settings.set("preset", preset.name())?;
    for (key, value) in SETTINGS {
        settings.set(key, value)?;
    }
    let queue = Queue::new(1 << 20)?;
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), number)?;
    client.subscribe(KINDS.iter().fold(0, |mask, kind| mask | kind.bit()))?;
    let witness = Witness::call(&queue, &scene.clock, plan.veto_one_in, seed ^ number as u64);
    let actor = Actor {
        completions: witness.completions.clone(),
        number,
        client,
        plan: plan.clone(),
    };
    Ok((actor, witness))
}

fn close(actor: Actor, witness: Witness) -> Result<ClientRecord, RunError> {
    let client = actor.client;
    client.shutdown(DEADLINE)?;
    let active = match client.is_primary() {
        true => Role::Primary,
        false => Role::Alternate,
    };
    let (epoch, ledger) = (client.epoch(), client.ledger(LedgerSelection::All)?);
    drop(client);
    Ok(ClientRecord {
        name: format!("client {}", actor.number),
        events: witness.end(),
        ledger,
        epoch,
        active: Some(active),
        update_guard: actor.plan.update_guard,
        was_held: false,
    })
}

/// Makes the calls of all lanes while the weather changes.
fn storm(scene: &Scene<'_>, actors: &[Actor], fronts: &[Front]) -> Vec<Change> {
    let left = AtomicUsize::new(actors.iter().map(|actor| actor.plan.lanes.len()).sum());
    thread::scope(|scope| {
        for actor in actors {
            for lane in &actor.plan.lanes {
                let left = &left;
                scope.spawn(move || {
                    for call in lane {
                        scene.make(actor, call, Season::Storm);
                    }
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        scene.pulse.update(|beats| beats.is_over = true);
                    }
                });
            }
        }
        let weather = scope.spawn(|| blow(scene, actors, fronts));
        weather.join().unwrap_or_default()
    })
}

/// The weather, until the storm is over.
fn blow(scene: &Scene<'_>, actors: &[Actor], fronts: &[Front]) -> Vec<Change> {
    let mut changes = Vec::new();
    for front in fronts.iter().cycle() {
        let mut set: Vec<(Role, FaultId)> = Vec::new();
        for act in &front.acts {
            let text = format!("{act:?}");
            let done = scene.act(act, actors, &mut set);
            scene.note(done);
            changes.push(Change {
                at: scene.clock.tick(),
                text,
            });
        }
        let goes_on = scene.pulse.wait(front.calls, front.most);
        scene.note(scene.stage.lift(&set));
        let served = |act: &Act| !matches!(act, Act::Authority(Authority::Neither));
        if !front.acts.iter().all(served) {
            // It would last until another front says who serves.
            scene.stage.org().set_authority(Authority::Both);
        }
        if !set.is_empty() {
            changes.push(Change {
                at: scene.clock.tick(),
                text: "the faults of the front end".into(),
            });
        }
        if !goes_on {
            break;
        }
    }
    changes
}

impl Scene<'_> {
    /// Keeps the first thing that went wrong with the run itself.
    fn note(&self, done: Result<(), RunError>) {
        if let Err(error) = done {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.get_or_insert(error);
        }
    }

    fn act(
        &self,
        act: &Act,
        actors: &[Actor],
        set: &mut Vec<(Role, FaultId)>,
    ) -> Result<(), RunError> {
        let org = self.stage.org();
        match act {
            Act::Fault(role, kind) => {
                set.push((*role, self.stage.side(*role).fault(kind.as_ref().clone())?));
            }
            Act::Authority(authority) => org.set_authority(*authority),
            Act::Replication(replication) => org.set_replication(*replication),
            Act::SwitchByHand(client) => actors[*client].client.switch_endpoint()?,
            Act::AutoSwitch(client, on) => {
                let client = &actors[*client].client;
                client.set_endpoint_auto_switch_enabled(*on)?;
            }
        }
        Ok(())
    }

    /// Makes one call, and writes it down.
    fn make(&self, actor: &Actor, plan: &CallPlan, season: Season) {
        self.note(self.try_make(actor, plan, season));
    }

    fn try_make(&self, actor: &Actor, plan: &CallPlan, season: Season) -> Result<(), RunError> {
        let version = self.versions.get(&plan.number).copied();
        let mut request = request(plan.number, &plan.work, version)?;
        request.set_timeout(plan.deadline)?;
        let set = match &plan.misfortune {
            Some(misfortune) => self.stage.strike(misfortune)?,
            None => Vec::new(),
        };
        self.pulse.update(|beats| beats.begun += 1);
        let begun = self.clock.tick();
        let started = Instant::now();
        let end = actor.send(plan, &request)?;
        let took = started.elapsed();
        let failed = end.is_err();
        let ended = self.clock.tick();
        let call = Call {
            number: plan.number,
            client: actor.number,
            season,
            work: plan.work.clone(),
            misfortune: plan.misfortune.as_ref().map(|it| it.describe()),
            begun,
            ended,
            deadline: plan.deadline,
            manner: plan.manner,
            took,
            told: told(plan, end),
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
        drop(calls);
        if plan.misfortune.as_ref().is_some_and(|it| it.ends_with_call) {
            self.stage.lift(&set)?;
        }
        if failed && took < THOUGHT {
            // Without it all calls of the plan would be spent in the first moments of a front.
            thread::sleep(THOUGHT);
        }
        Ok(())
    }
}

fn told(plan: &CallPlan, end: Ended) -> Told {
    let kind = plan.work.kind;
    match end {
        Ok(response) => Told {
            end: End::Response {
                status: response.status(),
                answer: answer(kind, &response),
            },
            effect: response.effect(),
            ledger_id: response.ledger_id(),
            attempts: attempts(plan, response.attempts()),
            row: row_of(plan, &response),
        },
        Err(error) => Told {
            effect: error.effect(),
            ledger_id: error.ledger_id(),
            attempts: attempts(plan, error.attempts()),
            row: None,
            end: End::Error(format!("{:?}: {}", error.kind(), error.message())),
        },
    }
}

fn row_of(plan: &CallPlan, response: &Response) -> Option<uuid::Uuid> {
    let is_write = response.effect() == Effect::Executed;
    is_write.then(|| row_named(plan.work.kind, response))?
}

fn attempts(plan: &CallPlan, attempts: &[d365_failover_core::Attempt]) -> Vec<AttemptSeen> {
    let tag = tag(plan.number);
    attempts
        .iter()
        .map(|attempt| AttemptSeen {
            role: attempt.role,
            epoch: attempt.epoch,
            is_look: !attempt.url.contains(&tag),
            phase: attempt.phase,
            status: attempt.http_status,
            fault: attempt.fault.as_ref().map(|fault| {
                let name = fault.kind.name();
                format!("{name} ({:?}): {}", fault.cause, fault.message)
            }),
            took: attempt.took,
        })
        .collect()
}

/// What a history comes to, in one line.
#[must_use]
pub fn summary(history: &History) -> String {
    let effects = |effect| {
        let calls = history.calls.iter().filter(|call| !call.work.is_read());
        calls.filter(|call| call.told.effect == effect).count()
    };
    let reads = history.calls.iter().filter(|call| call.work.is_read());
    let read = reads.clone().filter(|call| {
        !matches!(&call.told.end, End::Error(_)) && {
            let End::Response { answer, .. } = &call.told.end else {
                return false;
            };
            *answer != Answer::Nothing
        }
    });
    let resent = history
        .calls
        .iter()
        .filter(|call| call.told.attempts.len() > 1);
    let went_well = resent.clone().filter(|call| call.succeeded());
    let epochs: Vec<u64> = history.clients.iter().map(|client| client.epoch).collect();
    format!(
        "{} calls: {} reads ({} answered); writes executed {}, not executed {}, unknown {}; \
         sent again {} ({} with success); switches {epochs:?}; {} requests received",
        history.calls.len(),
        reads.count(),
        read.count(),
        effects(Effect::Executed),
        effects(Effect::NotExecuted),
        effects(Effect::Unknown),
        resent.count(),
        went_well.count(),
        history.receipts.len(),
    )
}
