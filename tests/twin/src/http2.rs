//! HTTP/2 on one connection, and the ends that a fault prescribes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::sync::watch;

use crate::admission::Admission;
use crate::content::{Answer, Content};
use crate::delivery::{End, Manner, Staged};
use crate::exchange::{Door, InFlight, exchange, exchange_at_head};
use crate::expectation::expects_continue;
use crate::fault::FaultId;
use crate::fault_kind::{FaultKind, LastStream};
use crate::frames::{FrameTap, Progress, go_away};
use crate::gathering::Gathering;
use crate::plan::{Ending, GoAway, Hold};
use crate::socket::{ResetOnDrop, Wire};
use crate::state::Command;

/// Large enough for bulk.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 22;

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
        let mut builder = h2::server::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let Ok(connection) = builder.handshake(tap.clone()).await else {
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
        let admission = Admission::default();
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
                        admission: admission.clone(),
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
                        // Not the graceful way, which waits for the answer to a PING: a client
                        // that is idle may have nobody who reads.
                        connection.abrupt_shutdown(h2::Reason::NO_ERROR);
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
    admission: Admission,
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
        let mut gathering = Gathering::of(&head.uri);
        match met {
            None if expects_continue(&head.headers) && !body.is_end_stream() => {
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                self.respond.send_informational(go_on)?;
            }
            None | Some(FaultKind::WithholdContinue) => {}
            Some(kind @ FaultKind::AnswerAtHead { .. }) => {
                let (ending, in_flight) = exchange_at_head(self.door.clone(), &head, &kind).await;
                let fate = self.conclude(ending, in_flight).await?;
                // Here the client is told that the rest is not wanted.
                drop(body);
                return Ok(match fate {
                    Fate::Ends(End::Close { .. }) => Fate::LivesOn,
                    fate => fate,
                });
            }
            Some(kind) => {
                if let FaultKind::ResetWithinRequest { bytes } = kind {
                    read(&mut body, &mut gathering, bytes).await?;
                }
                return Ok(Fate::Ends(End::Reset));
            }
        }
        read(&mut body, &mut gathering, u64::MAX).await?;
        let (admission, id) = (self.admission.clone(), self.id);
        let admit = move || admission.admit(id);
        let exchanging = exchange(self.door.clone(), gathering.request(head), admit);
        let (ending, in_flight) = tokio::select! {
            exchanged = exchanging => exchanged,
            gone = reset_by_client(&mut self.respond) => return gone,
        };
        self.conclude(ending, in_flight).await
    }

    async fn conclude(&mut self, ending: Ending, in_flight: InFlight) -> Result<Fate, h2::Error> {
        match ending {
            Ending::Answer(answer) => self.send_whole(answer, in_flight).await,
            Ending::Staged(staged) => self.send_staged(*staged, in_flight).await,
            Ending::End(end) => Ok(Fate::Ends(end)),
            Ending::RstStream { code } => {
                self.respond.send_reset(code.into());
                Ok(Fate::LivesOn)
            }
            Ending::GoAway(go_away) => {
                let last = self.go_away(go_away).await;
                let disowns = go_away.last_stream == LastStream::Below && !go_away.committed;
                if disowns && last >= self.id {
                    // A later one is processed, so the GOAWAY cannot say it of this one.
                    self.respond.send_reset(Reason::REFUSED_STREAM);
                }
                Ok(Fate::Drains)
            }
            Ending::NeverAnswer => reset_by_client(&mut self.respond).await,
        }
    }

    /// Says goodbye; a client that is gone does not hear it. Returns the last stream that it
    /// named.
    async fn go_away(
        &self,
        GoAway {
            code, last_stream, ..
        }: GoAway,
    ) -> u32 {
        let wanted = match last_stream {
            LastStream::Below => self.id.saturating_sub(2),
            LastStream::Ours => self.id,
            LastStream::Max => u32::MAX >> 1,
        };
        let last = self.admission.disown_above(wanted);
        let _ = self.tap.inject(go_away(last, code)).await;
        last
    }

    fn send_head(
        &mut self,
        answer: &Answer,
        length: u64,
        ends: bool,
    ) -> Result<SendStream<Bytes>, h2::Error> {
        let mut head = Response::new(());
        *head.status_mut() = answer.status();
        *head.headers_mut() = answer.headers().clone();
        let has_no_body =
            [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status());
        if !has_no_body && !answer.body().is_chunked() {
            let given = head.headers_mut().entry(CONTENT_LENGTH);
            given.or_insert_with(|| HeaderValue::from(length));
        }
        self.respond.send_response(head, ends)
    }

    async fn send_whole(&mut self, answer: Answer, in_flight: InFlight) -> Result<Fate, h2::Error> {
        let content = answer.body();
        let length = content.length();
        let mut stream = self.send_head(&answer, length, content.is_empty())?;
        if !self.send(&mut stream, content, 0..length, true).await? {
            return Ok(Fate::LivesOn);
        }
        if self.sent(&mut stream, |sent| sent.ended).await {
            in_flight.answered(answer.status());
        }
        Ok(Fate::LivesOn)
    }

    /// Hands a part of the body on, as fast as the client takes it; false where it has reset the
    /// stream.
    async fn send(
        &self,
        stream: &mut SendStream<Bytes>,
        content: &Content,
        mut range: Range<u64>,
        ends: bool,
    ) -> Result<bool, h2::Error> {
        while !range.is_empty() {
            let mut piece = content.piece(range.clone());
            if range.start + (piece.len() as u64) < range.end {
                stream.reserve_capacity(piece.len());
                while stream.capacity() == 0 {
                    let more = std::future::poll_fn(|context| stream.poll_capacity(context));
                    match more.await {
                        Some(more) => drop(more?),
                        None => return Ok(false),
                    }
                }
                piece.truncate(stream.capacity());
            }
            range.start += piece.len() as u64;
            stream.send_data(piece, ends && range.is_empty())?;
        }
        Ok(true)
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
            answer,
            manner,
            released,
        } = staged;
        let content = answer.body().clone();
        match manner {
            Manner::CutHead { end, .. } => return Ok(Fate::Ends(end)),
            Manner::AfterGoAway(go_away) => {
                self.go_away(go_away).await;
                self.send_whole(answer, in_flight).await?;
                return Ok(Fate::Drains);
            }
            Manner::Whole { end } => {
                self.send_whole(answer, in_flight).await?;
                return Ok(Fate::Ends(end));
            }
            Manner::Informational { status, headers } => {
                self.send_interim(status, headers)?;
                return self.send_whole(answer, in_flight).await;
            }
            _ if content.is_empty() => return self.send_whole(answer, in_flight).await,
            _ => {}
        }
        let length = content.length();
        let mut stream = self.send_head(&answer, manner.length(&content), false)?;
        if !self.sent(&mut stream, |sent| sent.headers).await {
            return Ok(Fate::LivesOn);
        }
        in_flight.begins_to_answer(answer.status());
        let half = length / 2;
        let is_halved = matches!(
            manner,
            Manner::CutBody { .. } | Manner::CutStream { .. } | Manner::StallBody { .. }
        );
        if is_halved && half > 0 {
            let enough = |sent: Progress| sent.data >= half;
            if !self.send(&mut stream, &content, 0..half, false).await?
                || !self.sent(&mut stream, enough).await
            {
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
                    () = hold.wait(released) => {}
                    gone = reset_while_sending(&mut stream) => return gone,
                }
                if !self.send(&mut stream, &content, half..length, true).await? {
                    return Ok(Fate::LivesOn);
                }
            }
            Manner::Drip { bytes, every } => {
                let hold = Hold::For(every);
                let mut start = 0;
                while start < length {
                    let end = length.min(start + bytes as u64);
                    let ends = end == length;
                    if !self.send(&mut stream, &content, start..end, ends).await? {
                        return Ok(Fate::LivesOn);
                    }
                    start = end;
                    tokio::select! {
                        () = hold.wait(released.clone()), if !ends => {}
                        gone = reset_while_sending(&mut stream), if !ends => return gone,
                        else => {}
                    }
                }
            }
            Manner::Trailers { headers } => {
                if !self.send(&mut stream, &content, 0..length, false).await? {
                    return Ok(Fate::LivesOn);
                }
                stream.send_trailers(headers)?;
            }
            // The length is wrong for the client to see; the stream ends in order.
            Manner::WrongLength { .. }
            | Manner::CutHead { .. }
            | Manner::Whole { .. }
            | Manner::Informational { .. }
            | Manner::AfterGoAway(_) => {
                if !self.send(&mut stream, &content, 0..length, true).await? {
                    return Ok(Fate::LivesOn);
                }
            }
        }
        self.sent(&mut stream, |sent| sent.ended).await;
        Ok(Fate::LivesOn)
    }

    fn send_interim(&mut self, status: u16, headers: HeaderMap) -> Result<(), h2::Error> {
        let mut interim = Response::new(());
        // It was checked where it was set.
        *interim.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::PROCESSING);
        *interim.headers_mut() = headers;
        self.respond.send_informational(interim)
    }
}

/// Reads the body, or that much of it.
async fn read(
    body: &mut RecvStream,
    gathering: &mut Gathering,
    enough: u64,
) -> Result<(), h2::Error> {
    let mut read = 0;
    while read < enough
        && let Some(data) = body.data().await
    {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        read += data.len() as u64;
        gathering.take(&data);
    }
    Ok(())
}

async fn reset_by_client(respond: &mut SendResponse<Bytes>) -> Result<Fate, h2::Error> {
    std::future::poll_fn(|context| respond.poll_reset(context)).await?;
    Ok(Fate::LivesOn)
}

async fn reset_while_sending(stream: &mut SendStream<Bytes>) -> Result<Fate, h2::Error> {
    std::future::poll_fn(|context| stream.poll_reset(context)).await?;
    Ok(Fate::LivesOn)
}
