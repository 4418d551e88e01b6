//! HTTP/1.1 on one connection, and the ends that a fault prescribes.

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::delivery::{End, Script, Staged};
use crate::exchange::{Door, InFlight, exchange};
use crate::fault::FaultId;
use crate::fault_kind::FaultKind;
use crate::plan::Ending;
use crate::socket::{ResetOnDrop, Wire};
use crate::state::Command;

/// The server's end of one connection.
pub(crate) struct Server {
    door: Door,
    judged_below: FaultId,
    command: watch::Receiver<Command>,
    reset: ResetOnDrop,
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
            .serve_connection(TokioIo::new(wire), service);
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
        Some((abort, connection.into_parts().io.into_inner()))
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
        } = waiting?;
        let script = Script::of(&staged.reply, staged.manner);
        let end = match script.end {
            None if last => Some(End::Close { close_notify: true }),
            end => end,
        };
        let begins = || in_flight.begins_to_answer(staged.reply.status());
        let wire = script.play(wire, &staged.released, begins).await.ok()?;
        match end {
            None => Some(wire),
            Some(end) => {
                self.end(wire, end).await;
                None
            }
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Abort> {
        // Faults that judged the accept leave the first request alone; later ones are judged by
        // all.
        let judged_below = match self.first.swap(false, Ordering::Relaxed) {
            true => self.judged_below,
            false => FaultId(0),
        };
        let met = self.door.meet_head(&request, judged_below);
        let (head, mut body) = request.into_parts();
        if let Some(kind) = met {
            if let FaultKind::ResetWithinRequest { bytes } = kind {
                read_at_least(&mut body, bytes).await;
            }
            return Err(Abort::End(End::Reset));
        }
        let last = head.version == Version::HTTP_10
            || head
                .headers
                .get(CONNECTION)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let body = body.collect().await.map_err(|_| {
            Abort::End(End::Close {
                close_notify: false,
            })
        })?;
        let request = Request::from_parts(head, body.to_bytes());
        let (ending, in_flight) = exchange(self.door.clone(), request).await;
        match ending {
            Ending::Answer(reply) => {
                in_flight.answered(reply.status());
                Ok(reply.map(Full::from))
            }
            Ending::Staged(staged) => {
                let departing = Departing {
                    staged,
                    in_flight,
                    last,
                };
                *self
                    .departing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(departing);
                Err(Abort::Staged)
            }
            Ending::End(end) => Err(Abort::End(end)),
            // Faults of HTTP/2 meet no request of HTTP/1.1.
            Ending::RstStream { .. } | Ending::GoAway(_) => Err(Abort::End(End::Reset)),
            Ending::NeverAnswer => std::future::pending::<Result<_, Infallible>>()
                .await
                .map_err(|never| match never {}),
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
        self.organization.update(|state| {
            let side = state.side_mut(self.role);
            let met = side
                .faults
                .strike_head(request.method().as_str(), path, judged_below)?;
            side.count_fault(met.name());
            Some(met)
        })
    }
}
