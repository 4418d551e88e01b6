//! What happens to whole sides: fronts that follow each other while calls are made.

use std::collections::BTreeMap;
use std::time::Duration;

use d365_failover_core::Role;
use d365_twin::{Authority, FaultKind, Replication};
use fastrand::Rng;

use crate::misfortune::broken_handshake;

/// A front: what begins, and how long it stays.
#[derive(Clone, Debug)]
pub struct Front {
    /// What begins; all that the front before has begun at the sides has ended.
    pub acts: Vec<Act>,
    /// It stays until so many calls have begun since,
    pub calls: u32,
    /// at most this long, because calls that hang begin no others.
    pub most: Duration,
}

/// What is done to the organization, or by an application.
#[derive(Clone, Debug)]
pub enum Act {
    /// A fault on a side.
    Fault(Role, Box<FaultKind>),
    /// Which sides serve.
    Authority(Authority),
    /// How commits cross.
    Replication(Replication),
    /// A client switches by hand.
    SwitchByHand(usize),
    /// A client is told whether it may switch by itself; it may again when everything is healed.
    AutoSwitch(usize, bool),
}

impl Front {
    /// Draws one.
    pub(crate) fn draw(rng: &mut Rng, clients: usize) -> Front {
        let mut acts = Vec::new();
        let side = [Role::Primary, Role::Alternate][rng.usize(..2)];
        let mut both = |kind: FaultKind| {
            let roles = [Role::Primary, Role::Alternate];
            acts.extend(roles.map(|role| Act::Fault(role, Box::new(kind.clone()))));
        };
        match rng.u8(..24) {
            0..=6 => {}
            7 => both(FaultKind::Refuse {
                keep_existing: false,
            }),
            8 => both(FaultKind::AcceptNeverAnswer),
            9 => acts.push(Act::SwitchByHand(rng.usize(..clients))),
            10 => acts.push(Act::AutoSwitch(rng.usize(..clients), rng.u8(..3) > 0)),
            11..=13 => acts.push(Act::Authority(authority(rng))),
            _ => acts.push(Act::Fault(side, Box::new(fault(rng)))),
        }
        if rng.u8(..3) == 0 {
            acts.push(Act::Replication(replication(rng)));
        }
        Front {
            acts,
            calls: rng.u32(3..30),
            most: Duration::from_millis(rng.u64(200..1500)),
        }
    }
}

pub(crate) fn authority(rng: &mut Rng) -> Authority {
    [
        Authority::Primary,
        Authority::Alternate,
        Authority::Primary,
        Authority::Alternate,
        Authority::Both,
        Authority::Neither,
    ][rng.usize(..6)]
}

fn replication(rng: &mut Rng) -> Replication {
    match rng.u8(..6) {
        0 => Replication::off(),
        1 => Replication::manual(),
        2 => Replication::lag(50).partitioned(),
        3 => Replication::lag(1000),
        4 => Replication::lag(0),
        _ => Replication::lag(rng.u64(10..400)),
    }
}

fn fault(rng: &mut Rng) -> FaultKind {
    let status = |status, commit| FaultKind::Status {
        status,
        headers: BTreeMap::new(),
        body: String::new(),
        commit,
    };
    let commit = rng.bool();
    match rng.u8(..16) {
        0 | 1 => FaultKind::Refuse {
            keep_existing: false,
        },
        2 => FaultKind::Refuse {
            keep_existing: true,
        },
        3 | 4 => FaultKind::AcceptNeverAnswer,
        5 => FaultKind::ListenNeverAccept,
        6 => status(503, false),
        7 => status(502, commit),
        8 => status(504, commit),
        9 => FaultKind::HtmlPage {
            status: 200,
            commit,
        },
        10 => FaultKind::CommitThenReset,
        11 => FaultKind::ResetBeforeRequest,
        12 => FaultKind::Stall {
            ms: Some(rng.u64(100..900)),
        },
        13 => FaultKind::StallBeforeCommit {
            ms: Some(rng.u64(300..2500)),
        },
        14 => broken_handshake(rng),
        _ => FaultKind::CloseIdle,
    }
}
