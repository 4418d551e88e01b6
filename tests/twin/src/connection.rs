//! One connection: TLS, HTTP/1.1, and the ends that a fault prescribes.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::exchange::{Door, exchange};
use crate::fault::FaultId;
use crate::plan::Ending;
use crate::reply::Reply;
use crate::socket::{ResetOnDrop, Socket, Wire};
use crate::state::Command;

/// A connection that was accepted and is registered with its side.
pub(crate) struct Accepted {
    pub(crate) door: Door,
    /// Wrapped from the start, so that a reset that comes before TLS is one as well.
    pub(crate) socket: Socket,
    pub(crate) reset: ResetOnDrop,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) command: watch::Receiver<Command>,
    /// The faults below have judged it when it was accepted.
    pub(crate) judged_below: FaultId,
}

/// Takes the connection off its side when everything of it is dropped.
struct Registered(Door);

impl Drop for Registered {
    fn drop(&mut self) {
        let Door {
            organization,
            role,
            connection,
        } = &self.0;
        organization.update(|state| {
            let side = state.side_mut(*role);
            side.connections.remove(connection);
            side.counts.open_connections -= 1;
        });
    }
}

impl Accepted {
    /// Serves the connection until one side ends it.
    pub(crate) async fn run(self) {
        let _registered = Registered(self.door.clone());
        let reset = self.reset.clone();
        let mut told = self.command.clone();
        let told_to_reset = async {
            // An error means that the side has forgotten the connection, which ends it as well.
            drop(told.wait_for(|command| *command == Command::Reset).await);
            reset.arm();
        };
        tokio::select! {
            biased;
            () = told_to_reset => {}
            () = self.serve() => {}
        }
    }

    async fn serve(self) {
        let wire = match self.tls {
            None => Wire::Plain(self.socket),
            Some(tls) => match tls.accept(self.socket).await {
                Ok(stream) => Wire::Tls(Box::new(stream)),
                Err(_) => return,
            },
        };
        let first = AtomicBool::new(true);
        let service = service_fn(|request| {
            // Faults that judged the accept leave the first request alone; later ones are judged
            // by all.
            let judged_below = if first.swap(false, Ordering::Relaxed) {
                self.judged_below
            } else {
                FaultId(0)
            };
            handle(self.door.clone(), judged_below, request)
        });
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(wire), service);
        let mut command = self.command;
        let result = loop {
            tokio::select! {
                result = Pin::new(&mut connection) => break result,
                order = command.changed() => match order {
                    Ok(()) if *command.borrow() == Command::CloseIdle && self.door.is_idle() => {
                        Pin::new(&mut connection).graceful_shutdown();
                    }
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
        };
        let abort = result.err().and_then(|error| {
            error
                .source()
                .and_then(|cause| cause.downcast_ref::<Abort>())
                .copied()
        });
        match abort {
            Some(Abort::Reset) => self.reset.arm(),
            Some(Abort::Close { close_notify: true }) => {
                let mut wire = connection.into_parts().io.into_inner();
                // The client may be gone; then there is nobody to say goodbye to.
                let _ = wire.shutdown().await;
            }
            Some(Abort::Close {
                close_notify: false,
            })
            | None => {}
        }
    }
}

impl Door {
    fn is_idle(&self) -> bool {
        self.organization.read(|state| {
            let connections = &state.side(self.role).connections;
            connections
                .get(&self.connection)
                .is_some_and(|connection| !connection.busy)
        })
    }
}

/// Why a connection ends without an answer; travels through hyper as the service's error, which
/// makes it drop the connection without writing.
#[derive(Clone, Copy, Debug, Error)]
enum Abort {
    #[error("reset")]
    Reset,
    #[error("closed")]
    Close { close_notify: bool },
}

async fn handle(
    door: Door,
    judged_below: FaultId,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Abort> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let resets = door.organization.update(|state| {
        let side = state.side_mut(door.role);
        let resets = side
            .faults
            .resets_head(request.method().as_str(), path, judged_below);
        if resets {
            side.count_fault("reset_before_request");
        }
        resets
    });
    if resets {
        return Err(Abort::Reset);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Abort::Close {
        close_notify: false,
    })?;
    match exchange(door, Request::from_parts(head, body.to_bytes())).await {
        Ending::Answer(reply) => Ok(reply.map(ReplyBody::whole)),
        Ending::Cut(reply) => Ok(cut(reply)),
        Ending::Close { close_notify } => Err(Abort::Close { close_notify }),
        Ending::Reset => Err(Abort::Reset),
        Ending::NeverAnswer => std::future::pending::<Result<_, Infallible>>()
            .await
            .map_err(|never| match never {}),
    }
}

fn cut(reply: Reply) -> Response<ReplyBody> {
    reply.map(|body| {
        if body.is_empty() {
            return ReplyBody::whole(body);
        }
        let sent = body.slice(..body.len() / 2);
        ReplyBody {
            length: body.len() as u64,
            rest: Some(sent),
            cut: Some(Cut::AfterFlush),
        }
    })
}

/// How far the cutting of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// hyper must get the chance to write what it has, since an error makes it drop that.
    AfterFlush,
    Now,
}

/// The body of an answer, perhaps one that breaks off.
struct ReplyBody {
    length: u64,
    rest: Option<Bytes>,
    cut: Option<Cut>,
}

impl ReplyBody {
    fn whole(body: Bytes) -> ReplyBody {
        let length = body.len() as u64;
        ReplyBody {
            length,
            rest: Some(body).filter(|body| !body.is_empty()),
            cut: None,
        }
    }
}

#[derive(Debug, Error)]
#[error("the body is cut here")]
struct BodyCut;

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        match self.cut {
            None => Poll::Ready(None),
            Some(Cut::Now) => Poll::Ready(Some(Err(BodyCut))),
            Some(Cut::AfterFlush) => {
                self.cut = Some(Cut::Now);
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
