//! HTTP/2 on one connection, and the ends that a fault prescribes.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::sync::watch;

use crate::delivery::{End, Manner, Staged};
use crate::exchange::{Door, InFlight, exchange};
use crate::fault::FaultId;
use crate::fault_kind::{FaultKind, LastStream};
use crate::frames::{FrameTap, Progress, go_away};
use crate::plan::{Ending, GoAway, Hold};
use crate::reply::Reply;
use crate::socket::{ResetOnDrop, Wire};
use crate::state::Command;

/// The server's end of one connection.
pub(crate) struct Server {
    pub(crate) door: Door,
    pub(crate) judged_below: FaultId,
    pub(crate) command: watch::Receiver<Command>,
    pub(crate) reset: ResetOnDrop,
}

/// What the end of a stream means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    LivesOn,
    /// No new streams; it closes when those that are open have ended.
    Drains,
    Ends(End),
}

impl Server {
    /// Serves the connection until one side ends it.
    pub(crate) async fn serve(self, wire: Wire) {
        let mut tap = FrameTap::new(wire);
        let Ok(connection) = h2::server::handshake(tap.clone()).await else {
            return;
        };
        match self.serve_until_end(connection, &tap).await {
            None => {}
            Some(End::Close { close_notify }) => tap.close(close_notify).await,
            Some(End::Reset) => self.reset.arm(),
        }
    }

    /// How the connection is to end; none where it has failed.
    async fn serve_until_end(
        &self,
        mut connection: Connection<FrameTap, Bytes>,
        tap: &FrameTap,
    ) -> Option<End> {
        let mut command = self.command.clone();
        let first = AtomicBool::new(true);
        let mut streams = FuturesUnordered::new();
        let mut drains = false;
        loop {
            if drains && streams.is_empty() {
                return Some(End::Close { close_notify: true });
            }
            tokio::select! {
                accepted = connection.accept() => {
                    let (request, mut respond) = match accepted {
                        Some(Ok(accepted)) => accepted,
                        ended => {
                            // Answers that have left are told of before their streams go.
                            while let Some(Some(_)) = streams.next().now_or_never() {}
                            return match ended {
                                None => Some(End::Close { close_notify: true }),
                                Some(_) => None,
                            };
                        }
                    };
                    if drains {
                        respond.send_reset(Reason::REFUSED_STREAM);
                        continue;
                    }
                    let judged_below = match first.swap(false, Ordering::Relaxed) {
                        true => self.judged_below,
                        false => FaultId(0),
                    };
                    let stream = Stream {
                        door: self.door.clone(),
                        id: respond.stream_id().as_u32(),
                        tap: tap.clone(),
                        respond,
                    };
                    streams.push(stream.run(request, judged_below));
                }
                Some(fate) = streams.next(), if !streams.is_empty() => match fate {
                    Fate::LivesOn => {}
                    Fate::Drains => drains = true,
                    Fate::Ends(end) => return Some(end),
                },
                order = command.changed() => match order {
                    Ok(()) if *command.borrow() == Command::CloseIdle && self.door.is_idle() => {
                        connection.graceful_shutdown();
                    }
                    Ok(()) => {}
                    Err(_) => return None,
                },
            }
        }
    }
}

/// One request and its answer.
struct Stream {
    door: Door,
    id: u32,
    tap: FrameTap,
    respond: SendResponse<Bytes>,
}

impl Stream {
    async fn run(mut self, request: Request<RecvStream>, judged_below: FaultId) -> Fate {
        let fate = self.answer(request, judged_below).await;
        self.tap.forget(self.id);
        // An error means that the client has reset the stream, or the connection has failed,
        // which its own polling finds out.
        fate.unwrap_or(Fate::LivesOn)
    }

    async fn answer(
        &mut self,
        request: Request<RecvStream>,
        judged_below: FaultId,
    ) -> Result<Fate, h2::Error> {
        let met = self.door.meet_head(&request, judged_below);
        let (head, mut body) = request.into_parts();
        let wanted = match met {
            Some(FaultKind::ResetWithinRequest { bytes }) => Some(bytes),
            Some(_) => Some(0),
            None => None,
        };
        let body = read(&mut body, wanted.unwrap_or(u64::MAX)).await?;
        if wanted.is_some() {
            return Ok(Fate::Ends(End::Reset));
        }
        let exchanging = exchange(self.door.clone(), Request::from_parts(head, body.into()));
        let (ending, in_flight) = tokio::select! {
            exchanged = exchanging => exchanged,
            gone = reset_by_client(&mut self.respond) => return gone,
        };
        match ending {
            Ending::Answer(reply) => self.send_whole(reply, in_flight).await,
            Ending::Staged(staged) => self.send_staged(staged, in_flight).await,
            Ending::End(end) => Ok(Fate::Ends(end)),
            Ending::RstStream { code } => {
                self.respond.send_reset(code.into());
                Ok(Fate::LivesOn)
            }
            Ending::GoAway(go_away) => {
                self.go_away(go_away).await;
                Ok(Fate::Drains)
            }
            Ending::NeverAnswer => reset_by_client(&mut self.respond).await,
        }
    }

    /// Says goodbye; a client that is gone does not hear it.
    async fn go_away(&self, GoAway { code, last_stream }: GoAway) {
        let last = match last_stream {
            LastStream::Below => self.id.saturating_sub(2),
            LastStream::Ours => self.id,
            LastStream::Max => u32::MAX >> 1,
        };
        let _ = self.tap.inject(go_away(last, code)).await;
    }

    fn send_head(
        &mut self,
        reply: &Reply,
        length: u64,
        ends: bool,
    ) -> Result<SendStream<Bytes>, h2::Error> {
        let mut head = Response::new(());
        *head.status_mut() = reply.status();
        *head.headers_mut() = reply.headers().clone();
        let has_no_body =
            [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&reply.status());
        if !has_no_body {
            head.headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.respond.send_response(head, ends)
    }

    async fn send_whole(&mut self, reply: Reply, in_flight: InFlight) -> Result<Fate, h2::Error> {
        let body = reply.body().clone();
        let mut stream = self.send_head(&reply, body.len() as u64, body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        if self.sent(&mut stream, |sent| sent.ended).await {
            in_flight.answered(reply.status());
        }
        Ok(Fate::LivesOn)
    }

    /// Waits until that much has left; false where the client has reset the stream.
    async fn sent(
        &self,
        stream: &mut SendStream<Bytes>,
        enough: impl Fn(Progress) -> bool,
    ) -> bool {
        tokio::select! {
            biased;
            () = self.tap.sent(self.id, enough) => true,
            _ = reset_while_sending(stream) => false,
        }
    }

    /// Sends an answer in the stages that HTTP/2 has: frames instead of bytes of the head.
    async fn send_staged(
        &mut self,
        staged: Staged,
        in_flight: InFlight,
    ) -> Result<Fate, h2::Error> {
        let Staged {
            reply,
            manner,
            released,
        } = staged;
        let body = reply.body().clone();
        match manner {
            Manner::CutHead { end, .. } => return Ok(Fate::Ends(end)),
            Manner::AfterGoAway(go_away) => {
                self.go_away(go_away).await;
                self.send_whole(reply, in_flight).await?;
                return Ok(Fate::Drains);
            }
            _ if body.is_empty() => return self.send_whole(reply, in_flight).await,
            _ => {}
        }
        let mut stream = self.send_head(&reply, manner.length(&body), false)?;
        if !self.sent(&mut stream, |sent| sent.headers).await {
            return Ok(Fate::LivesOn);
        }
        in_flight.begins_to_answer(reply.status());
        let half = body.len() / 2;
        if !matches!(manner, Manner::WrongLength { .. } | Manner::Drip { .. }) && half > 0 {
            stream.send_data(body.slice(..half), false)?;
            let enough = |sent: Progress| sent.data >= half as u64;
            if !self.sent(&mut stream, enough).await {
                return Ok(Fate::LivesOn);
            }
        }
        match manner {
            Manner::CutBody { end } => return Ok(Fate::Ends(end)),
            Manner::CutStream { code } => {
                stream.send_reset(code.into());
                return Ok(Fate::LivesOn);
            }
            Manner::StallBody { hold } => {
                tokio::select! {
                    () = hold.wait(released) => stream.send_data(body.slice(half..), true)?,
                    gone = reset_while_sending(&mut stream) => return gone,
                }
            }
            Manner::Drip { bytes, every } => {
                let hold = Hold::For(every);
                let mut rest = body;
                while !rest.is_empty() {
                    let piece = rest.split_to(rest.len().min(bytes));
                    stream.send_data(piece, rest.is_empty())?;
                    tokio::select! {
                        () = hold.wait(released.clone()), if !rest.is_empty() => {}
                        gone = reset_while_sending(&mut stream), if !rest.is_empty() => return gone,
                        else => {}
                    }
                }
            }
            // The length is wrong for the client to see; the stream ends in order.
            Manner::WrongLength { .. } | Manner::CutHead { .. } | Manner::AfterGoAway(_) => {
                stream.send_data(body, true)?;
            }
        }
        self.sent(&mut stream, |sent| sent.ended).await;
        Ok(Fate::LivesOn)
    }
}

/// Reads the body, or that much of it.
async fn read(body: &mut RecvStream, enough: u64) -> Result<Vec<u8>, h2::Error> {
    let mut read = Vec::new();
    while (read.len() as u64) < enough
        && let Some(data) = body.data().await
    {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        read.extend(data);
    }
    Ok(read)
}

async fn reset_by_client(respond: &mut SendResponse<Bytes>) -> Result<Fate, h2::Error> {
    std::future::poll_fn(|context| respond.poll_reset(context)).await?;
    Ok(Fate::LivesOn)
}

async fn reset_while_sending(stream: &mut SendStream<Bytes>) -> Result<Fate, h2::Error> {
    std::future::poll_fn(|context| stream.poll_reset(context)).await?;
    Ok(Fate::LivesOn)
}
