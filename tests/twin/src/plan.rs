//! What each kind of fault makes of a request: one row of a table per kind.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::sync::watch;

use crate::coding::Coded;
use crate::content::{Answer, Content};
use crate::delivery::{End, Manner, Staged};
use crate::fault_kind::{FaultKind, LastStream};
use crate::reply::{Reply, ServiceError, html_reply, with_body};
use crate::service::Service;

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the answer.
    Answer(Answer),
    /// With an answer whose sending is disturbed.
    Staged(Box<Staged>),
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
    /// Whether the request itself was executed.
    pub(crate) committed: bool,
}

/// What is done with a request, in this order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hold_before: Option<Hold>,
    /// Whether the service sees it.
    pub(crate) execute: bool,
    pub(crate) hold_after: Option<Hold>,
    pub(crate) outcome: Outcome,
    /// How the body of the answer is coded, whatever the client accepts.
    pub(crate) coded: Option<Coded>,
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
            coded: None,
            manner: None,
        }
    }

    /// What the kind's answer makes of the request, or the service without it, sent in its manner.
    fn staged(kind: &FaultKind, service: Service) -> Plan {
        Plan {
            manner: manner(kind),
            ..Plan::answered(kind.answer(), service)
        }
    }

    fn answered(answer: Option<&FaultKind>, service: Service) -> Plan {
        answer.map_or_else(Plan::healthy, |answer| Plan::of(answer, service))
    }

    fn replies(execute: bool, kind: &FaultKind, service: Service) -> Plan {
        match reply(kind, service) {
            Some(reply) => Plan::ends(execute, Ending::Answer(reply.map(Content::from))),
            None => Plan::healthy(),
        }
    }

    fn ends(execute: bool, ending: Ending) -> Plan {
        Plan {
            execute,
            outcome: Outcome::Instead(ending),
            ..Plan::healthy()
        }
    }

    /// Whether the client may be told anything but that its request was not processed.
    pub(crate) fn is_processed(&self) -> bool {
        let refuses = matches!(
            self.outcome,
            Outcome::Instead(Ending::GoAway(_) | Ending::RstStream { .. })
        );
        self.execute || !refuses
    }

    pub(crate) fn of(kind: &FaultKind, service: Service) -> Plan {
        match kind {
            // These act at the listener and in the handshake; a request can only meet the deaf
            // one's, on a connection that was accepted before.
            FaultKind::Refuse { .. }
            | FaultKind::BlackHole
            | FaultKind::CloseIdle
            | FaultKind::BreakHandshake { .. }
            | FaultKind::Certificate { .. }
            | FaultKind::ListenNeverAccept
            | FaultKind::AcceptNeverAnswer => Plan::ends(false, Ending::NeverAnswer),
            FaultKind::CommitThenClose { close_notify } => {
                Plan::ends(true, Ending::End(end(false, *close_notify)))
            }
            FaultKind::CommitThenReset => Plan::ends(true, Ending::End(End::Reset)),
            FaultKind::ResetBeforeRequest
            | FaultKind::ResetWithinRequest { .. }
            | FaultKind::ResetAfterRequest => Plan::ends(false, Ending::End(End::Reset)),
            FaultKind::CloseAfterRequest { close_notify } => {
                Plan::ends(false, Ending::End(end(false, *close_notify)))
            }
            FaultKind::Stall { ms } => Plan {
                hold_after: Some(Hold::of(*ms)),
                ..Plan::healthy()
            },
            FaultKind::StallBeforeCommit { ms } => Plan {
                hold_before: Some(Hold::of(*ms)),
                ..Plan::healthy()
            },
            // It disturbs the way to the answer alone.
            FaultKind::WithholdContinue => Plan::healthy(),
            FaultKind::HtmlPage { commit, .. }
            | FaultKind::Status { commit, .. }
            | FaultKind::ServiceFault { commit, .. } => Plan::replies(*commit, kind, service),
            FaultKind::DatacenterNotAvailable { .. } | FaultKind::Throttled { .. } => {
                Plan::replies(false, kind, service)
            }
            FaultKind::Coded {
                coding,
                inflated,
                truncated,
                answer,
            } => Plan {
                coded: Some(Coded {
                    coding: *coding,
                    inflated: *inflated,
                    truncated: *truncated,
                }),
                ..Plan::answered(answer.as_deref(), service)
            },
            FaultKind::Goaway {
                code,
                last_stream,
                commit,
                answered: false,
            } => Plan::ends(
                *commit,
                Ending::GoAway(GoAway {
                    code: *code,
                    last_stream: *last_stream,
                    committed: *commit,
                }),
            ),
            FaultKind::RstStream {
                code,
                commit,
                partial: false,
            } => Plan::ends(*commit, Ending::RstStream { code: *code }),
            FaultKind::AnswerAtHead { .. } => Plan {
                execute: false,
                ..Plan::staged(kind, service)
            },
            FaultKind::CloseAfterAnswer { .. }
            | FaultKind::Informational { .. }
            | FaultKind::Trailers { .. }
            | FaultKind::CutHead { .. }
            | FaultKind::CutBody { .. }
            | FaultKind::StallBody { .. }
            | FaultKind::Goaway { .. }
            | FaultKind::RstStream { .. }
            | FaultKind::WrongLength { .. }
            | FaultKind::SlowDrip { .. } => Plan::staged(kind, service),
        }
    }
}

/// The answer of a kind that is one.
fn reply(kind: &FaultKind, service: Service) -> Option<Reply> {
    Some(match kind {
        FaultKind::HtmlPage { status, .. } => {
            html_reply(*status, "The service is temporarily unavailable")
        }
        FaultKind::Status {
            status,
            headers,
            body,
            ..
        } => {
            let builder = headers.iter().fold(
                Response::builder().status(*status),
                |builder, (name, value)| builder.header(name, value),
            );
            with_body(builder, body.clone())
        }
        FaultKind::DatacenterNotAvailable { status } => {
            ServiceError::datacenter_not_available(*status).reply(service)
        }
        FaultKind::ServiceFault {
            code,
            message,
            status,
            ..
        } => ServiceError::new(*code, *status, message.as_str()).reply(service),
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
            reply
        }
        _ => return None,
    })
}

/// How a kind sends the answer whose sending it disturbs.
fn manner(kind: &FaultKind) -> Option<Manner> {
    Some(match kind {
        FaultKind::AnswerAtHead { .. } => Manner::Whole {
            end: End::Close { close_notify: true },
        },
        FaultKind::CloseAfterAnswer {
            reset,
            close_notify,
            ..
        } => Manner::Whole {
            end: end(*reset, *close_notify),
        },
        FaultKind::Informational {
            status, headers, ..
        } => Manner::Informational {
            status: *status,
            headers: header_map(headers),
        },
        FaultKind::Trailers { headers, .. } => Manner::Trailers {
            headers: header_map(headers),
        },
        FaultKind::CutHead {
            bytes,
            reset,
            close_notify,
            ..
        } => Manner::CutHead {
            bytes: *bytes,
            end: end(*reset, *close_notify),
        },
        FaultKind::CutBody {
            reset,
            close_notify,
            ..
        } => Manner::CutBody {
            end: end(*reset, *close_notify),
        },
        FaultKind::StallBody { ms, .. } => Manner::StallBody {
            hold: Hold::of(*ms),
        },
        FaultKind::Goaway {
            code,
            last_stream,
            commit,
            ..
        } => Manner::AfterGoAway(GoAway {
            code: *code,
            last_stream: *last_stream,
            committed: *commit,
        }),
        FaultKind::RstStream { code, .. } => Manner::CutStream { code: *code },
        FaultKind::WrongLength {
            by, close_notify, ..
        } => Manner::WrongLength {
            by: *by,
            end: end(false, *close_notify),
        },
        FaultKind::SlowDrip {
            bytes, every_ms, ..
        } => Manner::Drip {
            bytes: usize::try_from(*bytes).unwrap_or(usize::MAX),
            every: Duration::from_millis(*every_ms),
        },
        _ => return None,
    })
}

/// Headers that were checked where they were set.
fn header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((
            HeaderName::try_from(name).ok()?,
            HeaderValue::try_from(value).ok()?,
        ))
    });
    pairs.collect()
}

fn end(reset: bool, close_notify: bool) -> End {
    match reset {
        true => End::Reset,
        false => End::Close { close_notify },
    }
}
