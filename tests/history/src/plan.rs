//! What a seed decides: the calls of every client, their misfortunes, and the weather.

use std::time::Duration;

use d365_failover_core::Operation;
use d365_twin::Authority;
use fastrand::Rng;
use uuid::Uuid;

use crate::misfortune::{Misfortune, Wire};
use crate::weather::{Front, authority};
use crate::work::{Kind, RowOf, TABLE, Work, name};

/// How far back a read looks for a row.
const REACH: u32 = 40;
/// One call in so many has a misfortune of its own.
const ONE_IN: u32 = 3;

/// The time of most calls.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

/// Everything that is drawn before a history begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// Whether the sides offer HTTP/2.
    pub http2: bool,
    /// The clients.
    pub clients: Vec<ClientPlan>,
    /// The fronts, in their order; they begin again when the last one is over.
    pub weather: Vec<Front>,
    /// Which sides serve in the end, when everything is healed.
    pub healed: Authority,
}

/// One client: the calls that each of its threads makes.
#[derive(Clone, Debug)]
pub struct ClientPlan {
    /// Whether it speaks HTTP/2 where it is offered.
    pub http2: bool,
    /// Whether plain updates are guarded after a switch.
    pub update_guard: bool,
    /// One in so many announcements of a switch is vetoed; 0: none.
    pub veto_one_in: u32,
    /// The calls of the storm, by thread.
    pub lanes: Vec<Vec<CallPlan>>,
    /// The calls when everything is healed, one after the other.
    pub healed: Vec<CallPlan>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// Its number in the history.
    pub number: u32,
    /// What it is to do.
    pub work: Work,
    /// The fault that it meets.
    pub misfortune: Option<Misfortune>,
    /// The time that it is given.
    pub deadline: Duration,
    /// How it is made.
    pub manner: Manner,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It blocks its thread.
    Blocking,
    /// The same, and is cancelled when it was asked about that so many times.
    Cancelled(u8),
    /// It is submitted.
    Submitted,
}

impl Plan {
    /// Draws a plan of so many calls in the storm, spread over so many clients.
    #[must_use]
    pub fn draw(seed: u64, calls: u32, clients: usize) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let http2 = rng.bool();
        let clients = clients.max(1);
        let mut plans: Vec<ClientPlan> = (0..clients)
            .map(|_| ClientPlan {
                http2: rng.bool(),
                update_guard: rng.bool(),
                veto_one_in: [0, 0, 4][rng.usize(..3)],
                // One thread alone is what a connection of HTTP/2 to itself needs.
                lanes: vec![Vec::new(); [1, 4, 6][rng.usize(..3)]],
                healed: Vec::new(),
            })
            .collect();
        let mut works: Vec<Work> = Vec::new();
        let mut next = |rng: &mut Rng, kind: Kind| {
            let number = works.len() as u32;
            let work = draw_work(rng, seed, number, kind, &works);
            works.push(work.clone());
            CallPlan {
                number,
                work,
                misfortune: None,
                deadline: DEADLINE,
                manner: Manner::Blocking,
            }
        };
        let lanes: Vec<(usize, usize)> = plans
            .iter()
            .enumerate()
            .flat_map(|(client, plan)| (0..plan.lanes.len()).map(move |lane| (client, lane)))
            .collect();
        // The first call has nothing to read.
        for at in 0..calls.max(1) {
            let (client, lane) = lanes[at as usize % lanes.len()];
            let kind = match at {
                0 => Kind::Create,
                _ => draw_kind(&mut rng),
            };
            let mut call = next(&mut rng, kind);
            let wire = Wire {
                http2: http2 && plans[client].http2,
                alone: plans[client].lanes.len() == 1,
            };
            if rng.u32(..ONE_IN) == 0 {
                call.misfortune = Some(Misfortune::draw(&mut rng, call.number, wire));
            }
            if rng.u32(..6) == 0 {
                call.deadline = Duration::from_millis(rng.u64(300..2500));
            }
            call.manner = match rng.u8(..12) {
                0 => Manner::Cancelled(rng.u8(1..8)),
                1..=4 => Manner::Submitted,
                _ => Manner::Blocking,
            };
            plans[client].lanes[lane].push(call);
        }
        for plan in &mut plans {
            let mut kinds = TABLE.map(|traits| traits.kind);
            rng.shuffle(&mut kinds);
            // The first one finds out which side serves, and what holds several operations is not
            // sent again for that.
            if let Some(at) = kinds.iter().position(|kind| *kind == Kind::Query) {
                kinds.swap(0, at);
            }
            // What is there on one side alone is rightly not found on the other.
            let kinds = kinds.iter().filter(|kind| **kind != Kind::UpdateLone);
            plan.healed = kinds.map(|kind| next(&mut rng, *kind)).collect();
        }
        let fronts = 8 + calls / 10;
        let weather = (0..fronts).map(|_| Front::draw(&mut rng, clients));
        let weather = weather.collect();
        let healed = match authority(&mut rng) {
            Authority::Neither => Authority::Both,
            some => some,
        };
        Plan {
            seed,
            http2,
            clients: plans,
            weather,
            healed,
        }
    }

    /// Every call, of the storm and after it.
    pub fn calls(&self) -> impl Iterator<Item = &CallPlan> {
        self.clients
            .iter()
            .flat_map(|client| client.lanes.iter().flatten().chain(&client.healed))
    }
}

fn draw_kind(rng: &mut Rng) -> Kind {
    let whole: usize = TABLE.iter().map(|traits| traits.weight).sum();
    let mut at = rng.usize(..whole);
    for traits in &TABLE {
        match at.checked_sub(traits.weight) {
            Some(left) => at = left,
            None => return traits.kind,
        }
    }
    Kind::Query
}

fn row_id(seed: u64, number: u32) -> Uuid {
    Uuid::from_u128(0xd365 << 112 | u128::from(seed) << 32 | u128::from(number))
}

fn draw_work(rng: &mut Rng, seed: u64, number: u32, kind: Kind, before: &[Work]) -> Work {
    let traits = kind.traits();
    if traits.operation != Operation::Read {
        let name = name(number);
        let names = match traits.rows_made {
            0 | 1 => vec![name],
            rows => (1..=rows).map(|row| format!("{name}-{row}")).collect(),
        };
        let has_row = matches!(traits.row, RowOf::Chosen | RowOf::Seeded | RowOf::Lone);
        return Work {
            kind,
            row: has_row.then(|| row_id(seed, number)),
            names,
            of: number,
        };
    }
    let reach = REACH.min(number);
    let target = &before[(number - 1 - rng.u32(..reach.max(1))) as usize];
    let target = &before[target.of as usize];
    match (kind, target.row) {
        (Kind::Retrieve | Kind::SoapRetrieve, Some(row)) => Work {
            kind,
            row: Some(row),
            names: Vec::new(),
            of: target.of,
        },
        _ => Work {
            kind: Kind::Query,
            row: None,
            names: vec![target.names[rng.usize(..target.names.len())].clone()],
            of: target.of,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let text = |seed| format!("{:?}", Plan::draw(seed, 50, 3));
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }

    #[test]
    fn numbers_are_places_and_reads_look_at_writes() {
        let plan = Plan::draw(7, 300, 3);
        let mut calls: Vec<&CallPlan> = plan.calls().collect();
        calls.sort_by_key(|call| call.number);
        for (at, call) in calls.iter().enumerate() {
            assert_eq!(call.number as usize, at);
            let target = calls[call.work.of as usize];
            assert!(!target.work.is_read());
            assert!(!call.work.is_read() || target.number < call.number);
        }
        for traits in &TABLE {
            assert!(
                calls.iter().any(|call| call.work.kind == traits.kind),
                "{:?}",
                traits.kind
            );
        }
    }
}
