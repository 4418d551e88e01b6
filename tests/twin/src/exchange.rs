//! The life of one request, from the moment it was read whole, or as much of it as is read.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use tokio::sync::watch;

use crate::content::{Answer, Content};
use crate::delivery::{End, Staged};
use crate::fault_kind::FaultKind;
use crate::organization::{Organization, Peer};
use crate::plan::{Ending, Outcome, Plan};
use crate::role::Role;
use crate::service::{self, Service};
use crate::{bulk, coding};

/// Where a request came in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) organization: Arc<Organization>,
    pub(crate) role: Role,
    pub(crate) connection: Peer,
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
        organization.finish(*role, connection.number, self.seq, self.status);
    }
}

/// Receives a request and says how it ends; the request is in flight as long as the guard lives.
/// What is not admitted when its turn has come is refused.
pub(crate) async fn exchange(
    door: Door,
    request: Request<Bytes>,
    admit: impl FnOnce() -> bool + Send + 'static,
) -> (Ending, InFlight) {
    let (seq, hit) = door
        .organization
        .receive(door.role, door.connection, &request, None);
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
    let execution = tokio::spawn(execute(door, seq, request, plan, released, admit));
    let ending = execution.await.unwrap_or(Ending::End(End::Reset));
    (ending, in_flight)
}

/// The same for a request whose body is not read, since a fault answers its head.
pub(crate) async fn exchange_at_head(
    door: Door,
    head: &Parts,
    kind: &FaultKind,
) -> (Ending, InFlight) {
    let request = Request::from_parts(head.clone(), Bytes::new());
    let organization = &door.organization;
    let (seq, _) = organization.receive(door.role, door.connection, &request, Some(kind));
    let in_flight = InFlight {
        door: door.clone(),
        seq,
        status: None,
    };
    let plan = Plan::of(kind, Service::of(request.uri()));
    let ending = execute(door, seq, request, plan, watch::channel(()).1, || true).await;
    (ending, in_flight)
}

async fn execute(
    door: Door,
    seq: u64,
    mut request: Request<Bytes>,
    plan: Plan,
    released: watch::Receiver<()>,
    admit: impl FnOnce() -> bool,
) -> Ending {
    if let Some(hold) = plan.hold_before {
        hold.wait(released.clone()).await;
    }
    bulk::prepare(&mut request).await;
    if plan.is_processed() && !admit() {
        let code = Reason::REFUSED_STREAM.into();
        return Ending::RstStream { code };
    }
    let served = plan.execute.then(|| serve(&door, seq, &request));
    if let Some(hold) = plan.hold_after {
        hold.wait(released.clone()).await;
    }
    let ending = match (plan.outcome, served) {
        (Outcome::Served, Some(ending)) | (Outcome::Instead(ending), _) => ending,
        (Outcome::Served, None) => Ending::NeverAnswer,
    };
    let Ending::Answer(answer) = ending else {
        return ending;
    };
    let offered = door.organization.config.codings(door.role);
    let answer = coding::code(answer, plan.coded, request.headers(), offered).await;
    let answer = match *request.method() {
        Method::HEAD => without_body(answer),
        _ => answer,
    };
    match plan.manner {
        Some(manner) => Ending::Staged(Box::new(Staged {
            answer,
            manner,
            released,
        })),
        None => Ending::Answer(answer),
    }
}

/// What HEAD is answered: the head that GET gets.
fn without_body(answer: Answer) -> Answer {
    let (mut head, content) = answer.into_parts();
    let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
    if !has_no_body && !content.is_chunked() {
        let length = head.headers.entry(CONTENT_LENGTH);
        length.or_insert_with(|| HeaderValue::from(content.length()));
    }
    Answer::from_parts(head, Content::from(Bytes::new()))
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
