//! What each kind of fault makes of a request: one row of a table per kind.

use std::time::Duration;

use http::Response;
use tokio::sync::watch;

use crate::fault::FaultKind;
use crate::reply::{Reply, ServiceError, html_reply, with_body};
use crate::service::Service;

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the answer.
    Answer(Reply),
    /// With the head and half of the body of the answer, then a close.
    Cut(Reply),
    /// With a close, and no byte.
    Close { close_notify: bool },
    /// With an RST, and no byte.
    Reset,
    /// Not at all, as long as the client stays.
    NeverAnswer,
}

/// What is done with a request, in this order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hold_before: Option<Hold>,
    /// Whether the service sees it.
    pub(crate) execute: bool,
    pub(crate) hold_after: Option<Hold>,
    pub(crate) outcome: Outcome,
}

/// What a request ends with.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What the service made of it.
    Served,
    /// The same, with the body cut.
    ServedCut,
    /// Something else, whatever the service made of it.
    Instead(Ending),
}

/// How long a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    For(Duration),
    UntilReleased,
}

impl Hold {
    fn of(ms: Option<u64>) -> Option<Hold> {
        Some(ms.map_or(Hold::UntilReleased, |ms| {
            Hold::For(Duration::from_millis(ms))
        }))
    }

    /// Waits, at most until the fault is cleared.
    pub(crate) async fn wait(self, mut released: watch::Receiver<()>) {
        let cleared = async { while released.changed().await.is_ok() {} };
        match self {
            Hold::UntilReleased => cleared.await,
            Hold::For(time) => {
                // Both ends of the hold are wanted, so the error is one of the two.
                let _ = tokio::time::timeout(time, cleared).await;
            }
        }
    }
}

impl Plan {
    /// Serve, and answer.
    pub(crate) fn healthy() -> Plan {
        Plan {
            hold_before: None,
            execute: true,
            hold_after: None,
            outcome: Outcome::Served,
        }
    }

    fn ends(execute: bool, ending: Ending) -> Plan {
        Plan {
            execute,
            outcome: Outcome::Instead(ending),
            ..Plan::healthy()
        }
    }

    pub(crate) fn of(kind: &FaultKind, service: Service) -> Plan {
        match kind {
            // These act at the listener; a request can only meet the deaf one's, on a connection
            // that was accepted before.
            FaultKind::Refuse { .. }
            | FaultKind::CloseIdle
            | FaultKind::ListenNeverAccept
            | FaultKind::AcceptNeverAnswer => Plan::ends(false, Ending::NeverAnswer),
            FaultKind::CommitThenClose { close_notify } => Plan::ends(
                true,
                Ending::Close {
                    close_notify: *close_notify,
                },
            ),
            FaultKind::CommitThenReset => Plan::ends(true, Ending::Reset),
            FaultKind::Stall { ms } => Plan {
                hold_after: Hold::of(*ms),
                ..Plan::healthy()
            },
            FaultKind::StallBeforeCommit { ms } => Plan {
                hold_before: Hold::of(*ms),
                ..Plan::healthy()
            },
            FaultKind::ResetBeforeRequest | FaultKind::ResetAfterRequest => {
                Plan::ends(false, Ending::Reset)
            }
            FaultKind::CloseAfterRequest { close_notify } => Plan::ends(
                false,
                Ending::Close {
                    close_notify: *close_notify,
                },
            ),
            FaultKind::HtmlPage { status, commit } => {
                let page = html_reply(*status, "The service is temporarily unavailable");
                Plan::ends(*commit, Ending::Answer(page))
            }
            FaultKind::Status {
                status,
                headers,
                body,
                commit,
            } => {
                let builder = headers.iter().fold(
                    Response::builder().status(*status),
                    |builder, (name, value)| builder.header(name, value),
                );
                Plan::ends(*commit, Ending::Answer(with_body(builder, body.clone())))
            }
            FaultKind::DatacenterNotAvailable { status } => {
                let error = ServiceError::datacenter_not_available(*status);
                Plan::ends(false, Ending::Answer(error.reply(service)))
            }
            FaultKind::ServiceFault {
                code,
                message,
                status,
                commit,
            } => {
                let error = ServiceError::new(*code, *status, message.as_str());
                Plan::ends(*commit, Ending::Answer(error.reply(service)))
            }
            FaultKind::CutBody => Plan {
                outcome: Outcome::ServedCut,
                ..Plan::healthy()
            },
        }
    }
}
