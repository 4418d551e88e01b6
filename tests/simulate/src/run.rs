//! One disaster under one rule set, and all of them.

use std::sync::Mutex;
use std::thread;

use d365_failover_core::Settings;

use crate::arrivals::{Call, arrivals};
use crate::disaster::Disaster;
use crate::figures::{Figures, figures};
use crate::rules::{Client, RuleSet};
use crate::world::{Notice, World};

/// The settings of a client of this library whose application has chosen none but its URLs.
///
/// # Panics
/// Never: the URL is one.
#[must_use]
pub fn defaults() -> Settings {
    Settings::new("https://contoso.crm.dynamics.com").expect("it is a URL")
}

fn settings_in(disaster: &Disaster) -> Settings {
    let mut settings = defaults();
    for (key, value) in disaster.settings {
        settings.set(key, value).expect("they are known");
    }
    settings
}

/// Plays a disaster.
#[must_use]
pub fn run(
    disaster: &Disaster,
    rules: RuleSet,
    calls: &[Call],
    clients: u32,
    seed: u64,
) -> Figures {
    let mut world = World::new(disaster, calls, clients, seed);
    let begin = world.instant();
    let settings = settings_in(disaster);
    let client = |id| rules.client(id, &settings, begin, disaster);
    let mut applications: Vec<Box<dyn Client>> = (0..clients).map(client).collect();
    for application in &mut applications {
        application.starts(&mut world);
    }
    while let Some(notice) = world.what_comes() {
        let world = &mut world;
        match notice {
            Notice::Begins(call) => {
                let client = world.call(call).client as usize;
                applications[client].begins(call, world);
            }
            Notice::Ended {
                client,
                call,
                attempt,
                outcome,
            } => applications[client as usize].ended(call, attempt, outcome, world),
            Notice::Probed(client, probe, outcome) => {
                applications[client as usize].probed(probe, outcome, world);
            }
            Notice::Woken(client, timer) => applications[client as usize].woken(timer, world),
        }
    }
    let operation = |call: u32| calls[call as usize].operation;
    let verdict = world.truth.verdict(world.died(), operation);
    figures(
        disaster,
        rules.name(),
        clients,
        calls,
        &world.records,
        verdict,
    )
}

/// Plays disasters under rule sets, in their order: all with the same calls.
#[must_use]
pub fn run_all(disasters: &[Disaster], rules: &[RuleSet], clients: u32, seed: u64) -> Vec<Figures> {
    let plays: Vec<_> = disasters
        .iter()
        .flat_map(|disaster| rules.iter().map(move |rules| (disaster, *rules)))
        .collect();
    let next = Mutex::new(plays.iter().enumerate());
    let found = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, (disaster, rules))) = take(&next) {
            let calls = arrivals(seed, clients, disaster.ends, disaster.rush);
            let figures = run(disaster, *rules, &calls, clients, seed);
            found
                .lock()
                .expect("no worker panics")
                .push((index, figures));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().expect("no worker panics");
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, figures)| figures).collect()
}

fn take<T>(next: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    next.lock().expect("no worker panics").next()
}
