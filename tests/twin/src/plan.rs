//! What each kind of fault makes of a request: one row of a table per kind.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use tokio::sync::watch;

use crate::delivery::{End, Manner, Staged};
use crate::fault_kind::{FaultKind, LastStream};
use crate::reply::{Reply, ServiceError, html_reply, with_body};
use crate::service::Service;

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the answer.
    Answer(Reply),
    /// With an answer whose sending is disturbed.
    Staged(Staged),
    /// With the end of the connection, and no byte.
    End(End),
    /// With a reset of the HTTP/2 stream.
    RstStream { code: u32 },
    /// With a GOAWAY on the HTTP/2 connection.
    GoAway(GoAway),
    /// Not at all, as long as the client stays.
    NeverAnswer,
}

/// What a GOAWAY says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    pub(crate) code: u32,
    pub(crate) last_stream: LastStream,
}

/// What is done with a request, in this order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hold_before: Option<Hold>,
    /// Whether the service sees it.
    pub(crate) execute: bool,
    pub(crate) hold_after: Option<Hold>,
    pub(crate) outcome: Outcome,
    /// What disturbs the sending of the answer.
    pub(crate) manner: Option<Manner>,
}

/// What a request ends with.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What the service made of it.
    Served,
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
    fn of(ms: Option<u64>) -> Hold {
        ms.map_or(Hold::UntilReleased, |ms| {
            Hold::For(Duration::from_millis(ms))
        })
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
            manner: None,
        }
    }

    /// What `answer` makes of the request, or the service without it, sent in this manner.
    fn staged(answer: Option<&FaultKind>, service: Service, manner: Manner) -> Plan {
        let plan = answer.map_or_else(Plan::healthy, |answer| Plan::of(answer, service));
        Plan {
            manner: Some(manner),
            ..plan
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
        let staged = |manner| Plan::staged(kind.answer(), service, manner);
        match kind {
            // These act at the listener and in the handshake; a request can only meet the deaf
            // one's, on a connection that was accepted before.
            FaultKind::Refuse { .. }
            | FaultKind::CloseIdle
            | FaultKind::BreakHandshake { .. }
            | FaultKind::Certificate { .. }
            | FaultKind::ListenNeverAccept
            | FaultKind::AcceptNeverAnswer => Plan::ends(false, Ending::NeverAnswer),
            FaultKind::CommitThenClose { close_notify } => {
                Plan::ends(true, Ending::End(end(false, *close_notify)))
            }
            FaultKind::CommitThenReset => Plan::ends(true, Ending::End(End::Reset)),
            FaultKind::Stall { ms } => Plan {
                hold_after: Some(Hold::of(*ms)),
                ..Plan::healthy()
            },
            FaultKind::StallBeforeCommit { ms } => Plan {
                hold_before: Some(Hold::of(*ms)),
                ..Plan::healthy()
            },
            FaultKind::ResetBeforeRequest
            | FaultKind::ResetWithinRequest { .. }
            | FaultKind::ResetAfterRequest => Plan::ends(false, Ending::End(End::Reset)),
            FaultKind::CloseAfterRequest { close_notify } => {
                Plan::ends(false, Ending::End(end(false, *close_notify)))
            }
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
            FaultKind::Throttled {
                retry_after,
                code,
                soap_duration,
            } => {
                let duration = soap_duration.clone();
                let error = ServiceError {
                    retry_after: Some(duration.unwrap_or_else(|| format!("PT{retry_after}S"))),
                    ..ServiceError::new(*code, 429, "Number of requests exceeded the limit.")
                };
                let mut reply = error.reply(service);
                if !matches!(service, Service::Soap { .. }) {
                    let seconds = HeaderValue::from(*retry_after);
                    reply.headers_mut().insert(RETRY_AFTER, seconds);
                }
                Plan::ends(false, Ending::Answer(reply))
            }
            FaultKind::CutHead {
                bytes,
                reset,
                close_notify,
                ..
            } => staged(Manner::CutHead {
                bytes: *bytes,
                end: end(*reset, *close_notify),
            }),
            FaultKind::CutBody {
                reset,
                close_notify,
                ..
            } => staged(Manner::CutBody {
                end: end(*reset, *close_notify),
            }),
            FaultKind::StallBody { ms, .. } => staged(Manner::StallBody {
                hold: Hold::of(*ms),
            }),
            FaultKind::Goaway {
                code,
                last_stream,
                commit,
                answered,
            } => {
                let go_away = GoAway {
                    code: *code,
                    last_stream: *last_stream,
                };
                match answered {
                    true => staged(Manner::AfterGoAway(go_away)),
                    false => Plan::ends(*commit, Ending::GoAway(go_away)),
                }
            }
            FaultKind::RstStream {
                code,
                commit,
                partial,
            } => match partial {
                true => staged(Manner::CutStream { code: *code }),
                false => Plan::ends(*commit, Ending::RstStream { code: *code }),
            },
            FaultKind::WrongLength {
                by, close_notify, ..
            } => staged(Manner::WrongLength {
                by: *by,
                end: end(false, *close_notify),
            }),
            FaultKind::SlowDrip {
                bytes, every_ms, ..
            } => staged(Manner::Drip {
                bytes: usize::try_from(*bytes).unwrap_or(usize::MAX),
                every: Duration::from_millis(*every_ms),
            }),
        }
    }
}

fn end(reset: bool, close_notify: bool) -> End {
    match reset {
        true => End::Reset,
        false => End::Close { close_notify },
    }
}
