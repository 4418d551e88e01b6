//! HTTP/1.1 on one connection, and the ends that a fault prescribes.

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::header::CONNECTION;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::content::{Content, Sending};
use crate::delivery::{End, Script, Staged};
use crate::exchange::{Door, InFlight, exchange, exchange_at_head};
use crate::expectation::{Mute, Muted, expects_continue};
use crate::fault::FaultId;
use crate::fault_kind::FaultKind;
use crate::gathering::Gathering;
use crate::plan::Ending;
use crate::socket::{ResetOnDrop, Wire};
use crate::state::Command;

/// The server's end of one connection.
pub(crate) struct Server {
    door: Door,
    judged_below: FaultId,
    command: watch::Receiver<Command>,
    reset: ResetOnDrop,
    mute: Mute,
    /// Whether no request has come yet.
    first: AtomicBool,
    /// The answer that hyper does not write; see [`Abort::Staged`].
    departing: Mutex<Option<Departing>>,
}

/// An answer that is written past hyper.
struct Departing {
    staged: Staged,
    in_flight: InFlight,
    /// The client wants no other answer on this connection.
    last: bool,
    /// The request was not read to its end.
    unread: bool,
}

/// Why hyper stops serving without an answer; travels through it as the service's error, which
/// makes it stop without writing.
#[derive(Clone, Copy, Debug, Error)]
enum Abort {
    #[error("ended")]
    End(End),
    #[error("the answer is written past hyper")]
    Staged,
}

impl Server {
    pub(crate) fn new(
        door: Door,
        judged_below: FaultId,
        command: watch::Receiver<Command>,
        reset: ResetOnDrop,
    ) -> Server {
        Server {
            door,
            judged_below,
            command,
            reset,
            mute: Mute::default(),
            first: AtomicBool::new(true),
            departing: Mutex::new(None),
        }
    }

    /// Serves the connection until one side ends it.
    pub(crate) async fn serve(mut self, mut wire: Wire) {
        loop {
            let Some((abort, rest)) = self.serve_until_abort(wire).await else {
                return;
            };
            wire = match abort {
                Abort::End(end) => return self.end(rest, end).await,
                Abort::Staged => match self.depart(rest).await {
                    Some(wire) => wire,
                    None => return,
                },
            };
        }
    }

    /// Lets hyper serve; gives the connection back where a fault has stopped it.
    async fn serve_until_abort(&mut self, wire: Wire) -> Option<(Abort, Wire)> {
        let mut command = self.command.clone();
        let server = &*self;
        let service = service_fn(|request| server.handle(request));
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(Muted::new(wire, server.mute.clone())), service);
        let result = loop {
            tokio::select! {
                result = &mut connection => break result,
                order = command.changed() => match order {
                    Ok(()) if *command.borrow() == Command::CloseIdle && server.door.is_idle() => {
                        std::pin::Pin::new(&mut connection).graceful_shutdown();
                    }
                    Ok(()) => {}
                    Err(_) => return None,
                },
            }
        };
        let error = result.err()?;
        let abort = *error.source()?.downcast_ref::<Abort>()?;
        Some((abort, connection.into_parts().io.into_inner().into_inner()))
    }

    async fn end(&self, mut wire: Wire, end: End) {
        match end {
            End::Reset => self.reset.arm(),
            End::Close { close_notify: true } => {
                // The client may be gone; then there is nobody to say goodbye to.
                let _ = wire.shutdown().await;
            }
            End::Close {
                close_notify: false,
            } => {}
        }
    }

    /// Writes the answer that waits; gives the connection back if it lives on.
    async fn depart(&self, wire: Wire) -> Option<Wire> {
        let waiting = self
            .departing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Departing {
            staged,
            in_flight,
            last,
            unread,
        } = waiting?;
        let script = Script::of(&staged.answer, &staged.manner);
        let end = match script.end {
            None if last => Some(End::Close { close_notify: true }),
            end => end,
        };
        let begins = || in_flight.begins_to_answer(staged.answer.status());
        let wire = script.play(wire, unread, &staged.released, begins).await;
        let wire = wire.ok()?;
        match end {
            None => Some(wire),
            Some(_) if unread => {
                wire.leave().await;
                None
            }
            Some(end) => {
                self.end(wire, end).await;
                None
            }
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Sending>, Abort> {
        // Faults that judged the accept leave the first request alone; later ones are judged by
        // all.
        let judged_below = match self.first.swap(false, Ordering::Relaxed) {
            true => self.judged_below,
            false => FaultId(0),
        };
        let met = self.door.meet_head(&request, judged_below);
        let (head, mut body) = request.into_parts();
        self.mute.set(false);
        match met {
            None => {}
            Some(FaultKind::WithholdContinue) => self.mute.set(true),
            Some(kind @ FaultKind::AnswerAtHead { .. }) => {
                let (ending, in_flight) = exchange_at_head(self.door.clone(), &head, &kind).await;
                return self.conclude(ending, in_flight, true, true);
            }
            Some(kind) => {
                if let FaultKind::ResetWithinRequest { bytes } = kind {
                    read_at_least(&mut body, bytes).await;
                }
                return Err(Abort::End(End::Reset));
            }
        }
        let last = head.version == Version::HTTP_10
            || head
                .headers
                .get(CONNECTION)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let mut gathering = Gathering::of(&head.uri);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Abort::End(End::Close {
                    close_notify: false,
                })
            })?;
            if let Ok(data) = frame.into_data() {
                gathering.take(&data);
            }
        }
        let request = gathering.request(head);
        let (ending, in_flight) = exchange(self.door.clone(), request, || true).await;
        if matches!(ending, Ending::NeverAnswer) {
            return std::future::pending::<Result<_, Infallible>>()
                .await
                .map_err(|never| match never {});
        }
        self.conclude(ending, in_flight, last, false)
    }

    /// What hyper is told of a request's end.
    fn conclude(
        &self,
        ending: Ending,
        in_flight: InFlight,
        last: bool,
        unread: bool,
    ) -> Result<Response<Sending>, Abort> {
        match ending {
            Ending::Answer(answer) => {
                let under_way = match answer.body() {
                    Content::Bytes(_) => {
                        in_flight.answered(answer.status());
                        None
                    }
                    Content::Bulk(_) => {
                        in_flight.begins_to_answer(answer.status());
                        Some(in_flight)
                    }
                };
                Ok(answer.map(|content| Sending::new(content, under_way)))
            }
            Ending::Staged(staged) => {
                let departing = Departing {
                    staged: *staged,
                    in_flight,
                    last,
                    unread,
                };
                *self
                    .departing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(departing);
                Err(Abort::Staged)
            }
            Ending::End(end) => Err(Abort::End(end)),
            // Faults of HTTP/2 meet no request of HTTP/1.1.
            Ending::RstStream { .. } | Ending::GoAway(_) | Ending::NeverAnswer => {
                Err(Abort::End(End::Reset))
            }
        }
    }
}

/// Reads until that much of the body has come, or there is no more.
async fn read_at_least(body: &mut Incoming, bytes: u64) {
    let mut read = 0;
    while read < bytes {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => return,
        }
    }
}

impl Door {
    /// The fault that acts on a request before it was read whole; counts it.
    pub(crate) fn meet_head<B>(
        &self,
        request: &Request<B>,
        judged_below: FaultId,
    ) -> Option<FaultKind> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let expects = expects_continue(request.headers());
        let method = request.method().as_str();
        self.organization.update(|state| {
            let side = state.side_mut(self.role);
            let reused = side.is_reused(self.connection.number);
            let met = side
                .faults
                .strike_head(method, path, reused, expects, judged_below)?;
            side.count_fault(met.name());
            Some(met)
        })
    }
}
