//! The rule sets: this library's, by its own machines, and those of others.

mod aws;
mod backoff;
mod by_hand;
mod gate;
mod mongodb;
mod ours;
mod rival;

use std::time::Instant;

use d365_failover_core::{Preset, Settings};

use crate::disaster::Disaster;
use crate::outcome::Outcome;
use crate::world::World;

/// What a client has itself woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An attempt of a call has lasted long.
    Attempt(u32, u32),
    /// The pause of a call is over, after so many attempts.
    Pause(u32, u32),
    /// More may go by now.
    Gate,
    /// A call has waited for a connection for long, and which of its waits it was.
    Line(u32, u32),
    /// A call has waited for long, and which of its waits it was.
    Outage(u32, u32),
    /// Something that was asked for by number.
    Look(u32),
}

/// One application with its client.
pub trait Client {
    /// The application begins a call.
    fn begins(&mut self, call: u32, world: &mut World<'_>);
    /// An attempt has ended.
    fn ended(&mut self, call: u32, attempt: u32, outcome: Outcome, world: &mut World<'_>);
    /// A probe has ended.
    fn probed(&mut self, probe: u32, outcome: Outcome, world: &mut World<'_>);
    /// It is the time that was asked for.
    fn woken(&mut self, timer: Timer, world: &mut World<'_>);
    /// The first thing of all. By default nothing.
    fn starts(&mut self, _world: &mut World<'_>) {}
}

/// A rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSet {
    /// This library's preset `safe`.
    Safe,
    /// This library's preset `dotnet`: what the .NET SDK did.
    Dotnet,
    /// A fallback written by hand.
    ByHand,
    /// A retry library's exponential backoff.
    Backoff,
    /// The same with a circuit breaker.
    Breaker,
    /// What MongoDB's driver specifications say.
    MongoDb,
    /// What the AWS Advanced JDBC Wrapper and the AWS SDK do.
    Aws,
}

impl RuleSet {
    /// All of them.
    pub const ALL: [RuleSet; 7] = [
        RuleSet::Safe,
        RuleSet::Dotnet,
        RuleSet::ByHand,
        RuleSet::Backoff,
        RuleSet::Breaker,
        RuleSet::MongoDb,
        RuleSet::Aws,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RuleSet::Safe => "safe",
            RuleSet::Dotnet => "dotnet",
            RuleSet::ByHand => "by hand",
            RuleSet::Backoff => "backoff",
            RuleSet::Breaker => "breaker",
            RuleSet::MongoDb => "MongoDB",
            RuleSet::Aws => "AWS",
        }
    }

    /// A client that goes by it. `settings`: those of the presets. When a disaster ends nothing is asked
    /// for any more that nobody has called for.
    #[must_use]
    pub fn client(
        self,
        id: u32,
        settings: &Settings,
        now: Instant,
        disaster: &Disaster,
    ) -> Box<dyn Client> {
        let ours = |preset| Box::new(ours::Ours::new(id, settings, preset, now, disaster));
        match self {
            RuleSet::Safe => ours(Preset::Safe),
            RuleSet::Dotnet => ours(Preset::Dotnet),
            RuleSet::ByHand => Box::new(rival::Rival::new(id, by_hand::ByHand::default())),
            RuleSet::Backoff => {
                Box::new(rival::Rival::new(id, backoff::Backoff::without_breaker()))
            }
            RuleSet::Breaker => Box::new(rival::Rival::new(id, backoff::Backoff::with_breaker())),
            RuleSet::MongoDb => Box::new(rival::Rival::new(
                id,
                mongodb::MongoDb::new(id, disaster.ends),
            )),
            RuleSet::Aws => Box::new(rival::Rival::new(id, aws::Aws::default())),
        }
    }
}
