//! The life of one request, from the moment it was read whole.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::watch;

use crate::delivery::{End, Staged};
use crate::organization::Organization;
use crate::plan::{Ending, Outcome, Plan};
use crate::role::Role;
use crate::service::{self, Service};

/// Where a request came in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) organization: Arc<Organization>,
    pub(crate) role: Role,
    /// Counts the side's connections from 1.
    pub(crate) connection: u64,
}

/// Counts a request as in flight until it is answered whole, or dropped with its connection.
pub(crate) struct InFlight {
    door: Door,
    seq: u64,
    status: Option<u16>,
}

impl InFlight {
    /// The answer is handed to the socket.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }

    /// The status line of the answer is handed to the socket, and more follows.
    pub(crate) fn begins_to_answer(&self, status: StatusCode) {
        let Door {
            organization, role, ..
        } = &self.door;
        organization.answer(*role, self.seq, status.as_u16());
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Door {
            organization,
            role,
            connection,
        } = &self.door;
        organization.finish(*role, *connection, self.seq, self.status);
    }
}

/// Receives a request and says how it ends; the request is in flight as long as the guard lives.
pub(crate) async fn exchange(door: Door, request: Request<Bytes>) -> (Ending, InFlight) {
    let (seq, hit) = door
        .organization
        .receive(door.role, door.connection, &request);
    let in_flight = InFlight {
        door: door.clone(),
        seq,
        status: None,
    };
    let service = Service::of(request.uri());
    let (plan, released) = match hit {
        Some(hit) => (Plan::of(&hit.kind, service), hit.released),
        None => (Plan::healthy(), watch::channel(()).1),
    };
    // A task of its own, so that a client that leaves does not undo what its request started.
    let execution = tokio::spawn(execute(door, seq, request, plan, released));
    let ending = execution.await.unwrap_or(Ending::End(End::Reset));
    (ending, in_flight)
}

async fn execute(
    door: Door,
    seq: u64,
    request: Request<Bytes>,
    plan: Plan,
    released: watch::Receiver<()>,
) -> Ending {
    if let Some(hold) = plan.hold_before {
        hold.wait(released.clone()).await;
    }
    let served = plan.execute.then(|| serve(&door, seq, &request));
    if let Some(hold) = plan.hold_after {
        hold.wait(released.clone()).await;
    }
    let ending = match (plan.outcome, served) {
        (Outcome::Served, Some(ending)) | (Outcome::Instead(ending), _) => ending,
        (Outcome::Served, None) => Ending::NeverAnswer,
    };
    match (plan.manner, ending) {
        (Some(manner), Ending::Answer(reply)) => Ending::Staged(Staged {
            reply,
            manner,
            released,
        }),
        (_, ending) => ending,
    }
}

fn serve(door: &Door, seq: u64, request: &Request<Bytes>) -> Ending {
    let organization = &door.organization;
    organization.update(|state| {
        let served = service::serve(organization, state, door.role, request);
        if let Some(id) = served.written {
            organization.common.journal.amend(seq, |entry| {
                entry.committed = true;
                entry.id = Some(id);
            });
        }
        served.ending
    })
}
