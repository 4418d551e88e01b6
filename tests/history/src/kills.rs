//! A history whose applications are processes that share a store, and are killed at any instant and
//! started again: what the store says in the end of each write.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use d365_failover_core::{Client, Effect, LedgerSelection, Role, Settings, SettlePolicy};
use d365_twin::Authority;
use fastrand::Rng;

use crate::history::Rows;
use crate::mortal::{Orders, Saying};
use crate::plan::Plan;
use crate::record::{Claim, Recorded, Word, judge_record};
use crate::rules::is_there;
use crate::run::{Preset, SETTINGS};
use crate::stage::{PATIENCE, RunError, Stage};
use crate::weather::{Act, Front};
use crate::work::tagged;

/// So many lines, at most, are heard between two kills.
const LINES: usize = 24;
/// How long after a line a kill comes, at most: in the middle of whatever is under way then.
const LATE: Duration = Duration::from_millis(15);

/// A history with kills.
#[derive(Clone, Debug, Default)]
pub struct Killing {
    /// How often a process was killed.
    pub kills: usize,
    /// The writes, when all processes have ended.
    pub claims: Vec<Claim>,
    /// What the store says of them then.
    pub recorded: Recorded,
    /// What is not so: of the record, then of the record when it was settled.
    pub violations: Vec<String>,
    /// Of the writes in question: all, and what they came to.
    pub settled: (u64, u64, u64),
}

impl Killing {
    /// What it comes to, in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |is: fn(&Claim) -> bool| self.claims.iter().filter(|claim| is(claim)).count();
        let words = || self.recorded.values().flatten();
        let of = |effect| words().filter(|word| word.effect == Some(effect)).count();
        let (total, confirmed, replayed) = self.settled;
        format!(
            "{} kills; {} writes begun, {} of them told; executed {}; on record executed {}, in \
             doubt {}; of {total} in question confirmed {confirmed}, sent again {replayed}",
            self.kills,
            count(|claim| claim.begun),
            count(|claim| claim.told.is_some()),
            count(|claim| claim.executed > 0),
            of(Effect::Executed),
            of(Effect::Unknown),
        )
    }
}

/// A process of a client, and what is known of its calls.
struct Life {
    child: Child,
    input: ChildStdin,
    /// How often the client was started before.
    number: usize,
    is_over: bool,
}

struct Heard {
    client: usize,
    life: usize,
    /// None: it has ended.
    line: Option<String>,
}

struct Scene<'a> {
    program: &'a Path,
    stage: &'a Stage,
    orders: Vec<Orders>,
    lives: Mutex<Vec<Life>>,
    mouth: Sender<Heard>,
    told: Vec<(u32, Effect, Option<u64>)>,
    begun: HashSet<u32>,
}

/// Runs the storm of a plan that was drawn for so many calls, by processes of `program`, which lives
/// by [`live`](crate::live); so many are killed.
///
/// # Errors
/// [`RunError`] when the twin or a process could not be started, or does not keep to what it must say.
pub fn run_killing(
    program: &Path,
    plan: &Plan,
    calls: u32,
    preset: Preset,
    kills: usize,
) -> Result<Killing, RunError> {
    let stage = Stage::open(plan)?;
    let versions = stage.seed(plan)?;
    let store = stage.file("history.store");
    let (mouth, ear) = channel();
    let orders = (0..plan.clients.len()).map(|client| Orders {
        seed: plan.seed,
        calls,
        clients: plan.clients.len(),
        client,
        url: stage.url(),
        settings: settings(&stage, plan, client, preset, &store),
        versions: versions.clone(),
        begun: HashSet::new(),
    });
    let mut scene = Scene {
        program,
        orders: orders.collect(),
        stage: &stage,
        lives: Mutex::default(),
        mouth,
        told: Vec::new(),
        begun: HashSet::new(),
    };
    let storm = plan
        .clients
        .iter()
        .flat_map(|client| client.lanes.iter().flatten());
    for call in storm.clone() {
        if let Some(misfortune) = &call.misfortune {
            stage.strike(misfortune)?;
        }
    }
    for client in 0..plan.clients.len() {
        let life = scene.start(client, 0)?;
        scene.lives().push(life);
    }
    let mut rng = Rng::with_seed(plan.seed);
    let made = scene.play(&ear, &plan.weather, kills, &mut rng)?;
    stage.heal(plan.healed)?;
    stage.settle()?;

    let mut killing = Killing {
        kills: made,
        ..Killing::default()
    };
    let writes: Vec<_> = storm.filter(|call| !call.work.is_read()).collect();
    let client = open(&stage, preset, &store)?;
    let (claims, recorded) = claims(&scene, plan, &client, &writes)?;
    killing.violations = judge_record(&claims, &recorded);
    (killing.claims, killing.recorded) = (claims, recorded);

    let settled = client.settle(SettlePolicy::default())?;
    killing.settled = (settled.total, settled.confirmed, settled.replayed);
    stage.settle()?;
    let (claims, recorded) = self::claims(&scene, plan, &client, &writes)?;
    let after = judge_record(&claims, &recorded).into_iter();
    let after = after.map(|text| format!("settled: {text}"));
    let after: Vec<String> = after
        .filter(|text| {
            !killing
                .violations
                .iter()
                .any(|had| text.ends_with(had.as_str()))
        })
        .collect();
    killing.violations.extend(after);
    if preset == Preset::Safe {
        let rows = stage.rows(plan)?;
        let names = writes.iter().flat_map(|call| &call.work.names);
        let doubled = names.filter(|name| rows.ids(name).len() > 1);
        let doubled = doubled.map(|name| format!("{name} is there twice"));
        killing.violations.extend(doubled);
    }
    Ok(killing)
}

fn settings(
    stage: &Stage,
    plan: &Plan,
    client: usize,
    preset: Preset,
    store: &Path,
) -> Vec<(String, String)> {
    let mut pairs = stage.pairs(&plan.clients[client]);
    let common = SETTINGS.into_iter().chain([
        ("preset", preset.name()),
        ("ledger_bodies", "full"),
        // An outage lasts as long as its front.
        ("outage_wait_ms", "1000"),
    ]);
    pairs.extend(common.map(|(key, value)| (key.to_owned(), value.to_owned())));
    pairs.push(("store".into(), store.display().to_string()));
    pairs
}

/// Who comes after all of them, when nothing can come over any more.
fn open(stage: &Stage, preset: Preset, store: &Path) -> Result<Client, RunError> {
    let mut settings = Settings::new(&stage.url())?;
    for (key, value) in stage.ways() {
        settings.set(&key, &value)?;
    }
    settings.set("auto_switch", "on")?;
    settings.set("preset", preset.name())?;
    settings.set("replication_window_ms", "0")?;
    settings.set("store", &store.display().to_string())?;
    Ok(Client::open(&settings)?)
}

/// What is known of each write, and what the store says of it.
fn claims(
    scene: &Scene<'_>,
    plan: &Plan,
    client: &Client,
    writes: &[&crate::plan::CallPlan],
) -> Result<(Vec<Claim>, Recorded), RunError> {
    let mut recorded = Recorded::new();
    for entry in client.ledger(LedgerSelection::All)? {
        let number = entry.tag.as_deref().and_then(tagged);
        recorded.entry(number).or_default().push(Word {
            id: entry.id,
            effect: entry.effect,
            is_suspect: entry.is_suspect,
            resolution: entry.resolution.map(|resolution| format!("{resolution:?}")),
        });
    }
    let receipts = scene.stage.receipts();
    let rows: Rows = scene.stage.rows(plan)?;
    let active = match client.is_primary() {
        true => Role::Primary,
        false => Role::Alternate,
    };
    let claims = writes.iter().map(|call| {
        let committed = receipts
            .iter()
            .filter(|receipt| receipt.call == Some(call.number) && receipt.committed);
        let executed = committed.count();
        let told = scene.told.iter().find(|told| told.0 == call.number);
        Claim {
            number: call.number,
            work: format!("{:?}", call.work.kind),
            begun: scene.begun.contains(&call.number),
            told: told.map(|(_, effect, id)| (*effect, *id)),
            executed,
            is_there: (executed > 0).then(|| is_there(&rows, &call.work, active)),
        }
    });
    Ok((claims.collect(), recorded))
}

impl Scene<'_> {
    fn lives(&self) -> std::sync::MutexGuard<'_, Vec<Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, client: usize, number: usize) -> Result<Life, RunError> {
        let broken = |error: std::io::Error| {
            RunError::Broken(format!("{}: {error}", self.program.display()))
        };
        let mut child = Command::new(self.program)
            .arg("--live")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(RunError::Broken("a process without pipes".into()));
        };
        writeln!(input, "{}", self.orders[client].line()).map_err(broken)?;
        let mouth = self.mouth.clone();
        thread::spawn(move || {
            let say = |line| {
                let heard = Heard {
                    client,
                    life: number,
                    line,
                };
                mouth.send(heard).is_ok()
            };
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if !say(Some(line)) {
                    return;
                }
            }
            say(None);
        });
        Ok(Life {
            child,
            input,
            number,
            is_over: false,
        })
    }

    /// Until all calls are made; how often it killed.
    fn play(
        &mut self,
        ear: &Receiver<Heard>,
        weather: &[Front],
        kills: usize,
        rng: &mut Rng,
    ) -> Result<usize, RunError> {
        let is_over = AtomicBool::new(false);
        let (stage, lives) = (self.stage, std::mem::take(&mut self.lives));
        let done = thread::scope(|scope| {
            let blowing = scope.spawn(|| blow(stage, &lives, weather, &is_over));
            let made = self.hear_all(ear, &lives, kills, rng);
            is_over.store(true, Ordering::SeqCst);
            let blown = blowing.join();
            blown.unwrap_or_else(|_| Err(RunError::Broken("the weather has panicked".into())))?;
            made
        });
        let mut lives = lives.into_inner().unwrap_or_else(PoisonError::into_inner);
        for life in &mut lives {
            // One that still lives is in the way of who comes after it.
            if done.is_err() {
                let _ = life.child.kill();
            }
            let _ = life.child.wait();
        }
        done
    }

    fn hear_all(
        &mut self,
        ear: &Receiver<Heard>,
        lives: &Mutex<Vec<Life>>,
        kills: usize,
        rng: &mut Rng,
    ) -> Result<usize, RunError> {
        let locked = || lives.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = 0;
        let mut until_kill = rng.usize(1..=LINES);
        while locked().iter().any(|life| !life.is_over) {
            self.hear(ear, lives)?;
            until_kill -= 1;
            if until_kill > 0 || made == kills {
                until_kill = until_kill.max(1);
                continue;
            }
            until_kill = rng.usize(1..=LINES);
            // The instant is what is tried; nothing is awaited here.
            thread::sleep(LATE.mul_f64(rng.f64()));
            let living: Vec<usize> = {
                let all = locked();
                let living = all.iter().enumerate().filter(|(_, life)| !life.is_over);
                living.map(|(client, _)| client).collect()
            };
            let Some(&victim) = living.get(rng.usize(..living.len().max(1))) else {
                continue;
            };
            let number = {
                let mut all = locked();
                let life = &mut all[victim];
                let killed = life.child.kill().and_then(|()| life.child.wait());
                killed.map_err(|error| RunError::Broken(error.to_string()))?;
                life.number
            };
            while !locked()[victim].is_over {
                self.hear(ear, lives)?;
            }
            self.orders[victim].begun.clone_from(&self.begun);
            let next = self.start(victim, number + 1)?;
            locked()[victim] = next;
            made += 1;
        }
        Ok(made)
    }

    fn hear(&mut self, ear: &Receiver<Heard>, lives: &Mutex<Vec<Life>>) -> Result<(), RunError> {
        let heard = ear
            .recv_timeout(PATIENCE)
            .map_err(|_| RunError::Broken("no process says anything any more".into()))?;
        match heard.line.as_deref().map(Saying::read) {
            Some(Some(Saying::Begun(number))) => {
                self.begun.insert(number);
            }
            Some(Some(Saying::Told(number, effect, id))) => self.told.push((number, effect, id)),
            // `done`, or what a kill has cut off.
            Some(_) => {}
            None => {
                let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
                let life = &mut lives[heard.client];
                life.is_over |= life.number == heard.life;
            }
        }
        Ok(())
    }
}

/// The weather, until the storm is over. What a process does by itself is told to it.
fn blow(
    stage: &Stage,
    lives: &Mutex<Vec<Life>>,
    fronts: &[Front],
    is_over: &AtomicBool,
) -> Result<(), RunError> {
    for front in fronts.iter().cycle() {
        let mut set = Vec::new();
        for act in &front.acts {
            match act {
                Act::Fault(role, kind) => {
                    let fault = stage.side(*role).fault(kind.as_ref().clone())?;
                    set.push((*role, fault));
                }
                Act::Authority(authority) => stage.org().set_authority(*authority),
                Act::Replication(replication) => stage.org().set_replication(*replication),
                Act::SwitchByHand(client) => {
                    let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
                    // One that has just been killed does not hear it.
                    let _ = writeln!(lives[*client].input, "switch");
                }
                Act::AutoSwitch(..) => {}
            }
        }
        let until = Instant::now() + front.most;
        while Instant::now() < until && !is_over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        stage.lift(&set)?;
        let is_neither = |act: &Act| matches!(act, Act::Authority(Authority::Neither));
        if front.acts.iter().any(is_neither) {
            stage.org().set_authority(Authority::Both);
        }
        if is_over.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}

impl Stage {
    /// A file beside the twin's own, which goes with it.
    fn file(&self, name: &str) -> PathBuf {
        self.ca_file().with_file_name(name)
    }
}
