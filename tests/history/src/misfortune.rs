//! The fault that one call meets, and no other.

use std::collections::BTreeMap;

use d365_failover_core::Role;
use d365_twin::{Broken, ErrorCode, Fault, FaultKind, LastStream};
use fastrand::Rng;

use crate::work::tag;

/// SQL timeout: nobody knows whether it was committed.
const SQL_TIMEOUT: u32 = 0x8004_4151;

/// A fault of one call.
#[derive(Clone, Debug)]
pub struct Misfortune {
    /// The fault, which meets only this call.
    pub fault: Fault,
    /// Where it is set.
    pub sides: Vec<Role>,
    /// True: it is taken off when the call has ended, which lets go what it holds. False: with the
    /// storm.
    pub ends_with_call: bool,
}

/// What the connection of a call is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) http2: bool,
    /// No other call is under way on its connections.
    pub(crate) alone: bool,
}

impl Misfortune {
    /// Draws one for a call.
    pub(crate) fn draw(rng: &mut Rng, number: u32, wire: Wire) -> Misfortune {
        let kind = match (wire.http2, rng.u8(..4)) {
            (true, 0) => frames(rng, wire),
            _ => kind(rng),
        };
        let times = [1, 1, 1, 2, 9][rng.usize(..5)];
        let fault = Fault::from(kind).path_contains(&tag(number)).times(times);
        let sides = match rng.u8(..4) {
            0 => vec![Role::Primary],
            1 => vec![Role::Alternate],
            _ => vec![Role::Primary, Role::Alternate],
        };
        Misfortune {
            fault,
            sides,
            ends_with_call: rng.bool(),
        }
    }

    /// It as JSON, for stories.
    #[must_use]
    pub fn describe(&self) -> String {
        let fault = serde_json::to_string(&self.fault).unwrap_or_default();
        let roles: Vec<&str> = self.sides.iter().map(|role| role.name()).collect();
        let ends = if self.ends_with_call { "call" } else { "storm" };
        format!("{fault} on {}, until the {ends} ends", roles.join(" and "))
    }
}

fn kind(rng: &mut Rng) -> FaultKind {
    let (yes, no) = (rng.bool(), rng.bool());
    let hold = Some([300, 700, 1800, 3000][rng.usize(..4)]);
    let held = if rng.u8(..4) == 0 { None } else { hold };
    let status = |status| FaultKind::Status {
        status,
        headers: BTreeMap::new(),
        body: String::new(),
        commit: yes,
    };
    match rng.u8(..25) {
        0 => FaultKind::ResetBeforeRequest,
        1 => FaultKind::ResetWithinRequest {
            bytes: rng.u64(..40),
        },
        2 => FaultKind::ResetAfterRequest,
        3 => FaultKind::CloseAfterRequest { close_notify: yes },
        4 | 5 => FaultKind::CommitThenClose { close_notify: yes },
        6 | 7 => FaultKind::CommitThenReset,
        8 => status(500),
        9 => status(502),
        10 => status(503),
        11 | 12 => status(504),
        13 => FaultKind::HtmlPage {
            status: [200, 503][usize::from(no)],
            commit: yes,
        },
        14 => FaultKind::datacenter_not_available(),
        15 => FaultKind::ServiceFault {
            code: ErrorCode(SQL_TIMEOUT),
            message: "SQL timeout expired.".into(),
            status: 500,
            commit: yes,
        },
        16 => FaultKind::Throttled {
            retry_after: 1,
            code: ErrorCode(0x8007_2322),
            soap_duration: None,
        },
        17 => FaultKind::Stall { ms: held },
        18 | 19 => FaultKind::StallBeforeCommit { ms: held },
        20 => FaultKind::AcceptNeverAnswer,
        21 => FaultKind::CutHead {
            bytes: None,
            reset: yes,
            close_notify: !yes && no,
            answer: None,
        },
        22 => FaultKind::CutBody {
            reset: yes,
            close_notify: !yes && no,
            answer: None,
        },
        23 => FaultKind::CloseAfterAnswer {
            reset: yes,
            close_notify: !yes && no,
            answer: None,
        },
        _ => FaultKind::StallBody {
            ms: held,
            answer: None,
        },
    }
}

/// What HTTP/2 alone can do.
fn frames(rng: &mut Rng, wire: Wire) -> FaultKind {
    let commit = rng.bool();
    match rng.u8(..3) {
        0 => FaultKind::RstStream {
            code: 7,
            commit: false,
            partial: false,
        },
        1 => FaultKind::RstStream {
            code: [2, 8, 11][rng.usize(..3)],
            commit,
            partial: false,
        },
        // What a GOAWAY says of later streams must be so for other calls on the connection.
        _ => {
            let last_stream = match rng.u8(..3) {
                0 if wire.alone => LastStream::Below,
                1 if wire.alone => LastStream::Ours,
                _ => LastStream::Max,
            };
            FaultKind::Goaway {
                code: [0, 2, 11][rng.usize(..3)],
                last_stream,
                commit: commit && last_stream != LastStream::Below,
                answered: false,
            }
        }
    }
}

/// A way for handshakes to fail.
pub(crate) fn broken_handshake(rng: &mut Rng) -> FaultKind {
    FaultKind::BreakHandshake {
        how: [Broken::Alert, Broken::Eof, Broken::Reset][rng.usize(..3)],
    }
}
