//! The body of a streaming call, read after the call has ended.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, sleep};
use url::Url;

use super::flights::Flight;
use super::message::message;
use super::parts::Streamed;
use super::sending::CHECK_INTERVAL;
use super::{Inner, lacking};
use crate::ending::{Ending, ReadBody, ResponseData, Told};
use crate::resource::cancel::Cancel;
use crate::resource::late::in_time;
use crate::resource::race::{First, race};
use crate::resource::transport::{Decoded, body_fault};
use crate::{Attempt, Cause, Effect, Error, ErrorKind, Fault, HttpVersion, Request, Response};

pub(super) struct Reading(Arc<Stream>);

struct Stream {
    client: Arc<Inner>,
    state: Mutex<Rest>,
    cancel: Cancel,
    /// For each next piece.
    limit: Duration,
    // What an error tells.
    method: Method,
    asked_for: String,
    status: u16,
    effect: Effect,
    switched: bool,
    ledger_id: Option<u64>,
    tag: Option<Arc<str>>,
    attempts: Vec<Attempt>,
    /// Of a request that holds several.
    streamed: Option<Streamed>,
}

enum Rest {
    Open(Box<Open>),
    /// Somebody reads.
    Busy,
    End,
    Broken(Error),
}

/// What a read finds without waiting.
enum Here {
    /// None: the end.
    Piece(Bytes),
    Later(Box<Open>),
}

struct Open {
    /// Read, and not given yet.
    piece: Bytes,
    body: Option<Decoded>,
    /// A client that is closed with time waits for its bodies as for its calls. Not for what is here
    /// already.
    _flight: Option<Flight>,
}

impl Reading {
    pub(super) fn new(
        client: Arc<Inner>,
        request: &Request,
        response: &ResponseData,
        beginning: Bytes,
        body: Option<Decoded>,
        streamed: Option<Streamed>,
        flight: &Flight,
    ) -> Reading {
        if let Some(streamed) = &streamed {
            streamed.read(&beginning);
        }
        let attempt = request.attempt_time(&client.settings);
        let limit = request.read_timeout.unwrap_or(attempt);
        let open = Open {
            piece: beginning,
            _flight: body.is_some().then(|| flight.body()),
            body,
        };
        Reading(Arc::new(Stream {
            client,
            state: Mutex::new(Rest::Open(Box::new(open))),
            method: request.method.clone(),
            asked_for: request.url.clone(),
            cancel: Cancel::default(),
            limit,
            status: response.status,
            effect: response.effect,
            switched: response.switched,
            ledger_id: response.ledger_id,
            tag: request.tag.clone(),
            attempts: response.attempts.clone(),
            streamed,
        }))
    }
}

impl ReadBody for Reading {
    fn read(
        &self,
        buffer: &mut [u8],
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<usize, Error> {
        let shared = &self.0;
        shared.client.check_is_own_process()?;
        let _waiting = shared.client.outlet.begin_waiting()?;
        let Some(open) = shared.take()? else {
            return Ok(0);
        };
        let piece = match shared.here(open, buffer.len()) {
            Ok(Here::Later(open)) => {
                let next = shared.next(open, buffer.len());
                match check {
                    Some(check) => shared.wait(Box::pin(next), check),
                    None => shared.client.engine.block_on(next),
                }
            }
            Ok(Here::Piece(piece)) => Ok(piece),
            Err(error) => Err(error),
        };
        if let Some(streamed) = &shared.streamed {
            streamed.recorded_here();
        }
        let piece = piece?;
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }

    fn read_ready(&self, buffer: &mut [u8]) -> Result<(usize, bool), Error> {
        let shared = &self.0;
        shared.client.check_is_own_process()?;
        let Some(open) = shared.take()? else {
            return Ok((0, true));
        };
        match shared.here(open, buffer.len())? {
            Here::Piece(piece) => {
                buffer[..piece.len()].copy_from_slice(&piece);
                let is_over = piece.is_empty() || shared.end_if_over();
                // The end is told when it is on record.
                Ok((piece.len(), is_over && !shared.is_being_recorded()))
            }
            Here::Later(open) => {
                *shared.state() = Rest::Open(open);
                if shared.cancel.is_cancelled() {
                    shared.cut();
                }
                Ok((0, false))
            }
        }
    }

    fn cancel(&self) {
        self.0.cancel.cancel();
        self.0.cut();
    }

    fn told(&self) -> Option<&Told> {
        self.0.streamed.as_ref()?.told()
    }

    fn submit_read(&self, rest: Response, most: usize, user_data: usize) -> Result<(), Error> {
        let shared = Arc::clone(&self.0);
        let client = &self.0.client;
        client.check_is_own_process()?;
        client.outlet.check_can_complete()?;
        let task = client.engine.reserve();
        let task = task.map_err(|error| lacking("no thread to read with", &error))?;
        let open = shared.take()?;
        let mut item = Item {
            shared: Arc::clone(&shared),
            rest,
            user_data,
            is_due: true,
        };
        let reading = async move {
            let result = match open {
                Some(open) => shared.next(open, most).await,
                None => Ok(Bytes::new()),
            };
            if let Some(streamed) = &shared.streamed {
                streamed.recorded().await;
            }
            item.give(result);
        };
        self.0.client.engine.run(task, Box::pin(reading));
        Ok(())
    }
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, Rest> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the body to read from it. `None`: it is at its end.
    fn take(&self) -> Result<Option<Box<Open>>, Error> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, Rest::Busy) {
            Rest::Open(open) => Ok(Some(open)),
            Rest::Busy => Err(Error::new(
                ErrorKind::Busy,
                "the body is being read by another thread; read it from one at a time",
            )),
            Rest::End => {
                *state = Rest::End;
                Ok(None)
            }
            Rest::Broken(error) => {
                *state = Rest::Broken(error.clone());
                Err(error)
            }
        }
    }

    /// The next bytes if they are here, at most so many; none at the end.
    fn here(&self, open: Box<Open>, most: usize) -> Result<Here, Error> {
        if self.cancel.is_cancelled() {
            return Err(self.broken(cancelled()));
        }
        if !open.piece.is_empty() {
            return Ok(Here::Piece(self.give(open, most)));
        }
        if open.body.is_some() {
            return Ok(Here::Later(open));
        }
        self.ended();
        Ok(Here::Piece(Bytes::new()))
    }

    /// The next bytes, at most so many; none at the end.
    async fn next(&self, open: Box<Open>, most: usize) -> Result<Bytes, Error> {
        let open = match self.here(open, most)? {
            Here::Piece(piece) => return Ok(piece),
            Here::Later(open) => open,
        };
        let mut held = Held {
            shared: self,
            open: Some(open),
        };
        let piece = match &mut held.open {
            Some(open) => self.piece(open).await,
            None => Ok(None),
        };
        match (held.open.take(), piece) {
            (Some(mut open), Ok(Some(piece))) => {
                open.piece = piece;
                Ok(self.give(open, most))
            }
            (_, Ok(_)) => {
                self.ended();
                Ok(Bytes::new())
            }
            (_, Err(fault)) => Err(self.broken(fault)),
        }
    }

    /// Waits for the next bytes on this thread, and asks there about every 20 ms whether to go on.
    fn wait(
        &self,
        mut next: Pin<Box<impl Future<Output = Result<Bytes, Error>>>>,
        check: &mut dyn FnMut() -> bool,
    ) -> Result<Bytes, Error> {
        loop {
            // Begun inside of the runtime, where the timer is.
            let turn = async { race(next.as_mut(), sleep(CHECK_INTERVAL)).await };
            if let First::Left(piece) = self.client.engine.block_on(turn) {
                return piece;
            }
            let is_over = check();
            if let Err(forked) = self.client.check_is_own_process() {
                // The check has forked, and this is the child: the body is the parent's.
                std::mem::forget(next);
                return Err(forked);
            }
            if is_over {
                let effect = match &self.streamed {
                    Some(streamed) => streamed.effect(),
                    None => self.effect,
                };
                return Err(self.ending(cancelled(), effect));
            }
        }
    }

    fn give(&self, mut open: Box<Open>, most: usize) -> Bytes {
        let count = most.min(open.piece.len());
        let piece = open.piece.split_to(count);
        *self.state() = Rest::Open(open);
        if self.cancel.is_cancelled() {
            self.cut();
        }
        piece
    }

    fn ended(&self) {
        if let Some(streamed) = &self.streamed {
            streamed.end(None);
        }
        *self.state() = Rest::End;
    }

    /// Whether all was given, and it is known that nothing follows.
    fn end_if_over(&self) -> bool {
        let is_over = match &*self.state() {
            Rest::Open(open) => {
                open.piece.is_empty() && open.body.is_none() && !self.cancel.is_cancelled()
            }
            _ => false,
        };
        if is_over {
            self.ended();
        }
        is_over
    }

    fn is_being_recorded(&self) -> bool {
        let streamed = self.streamed.as_ref();
        streamed.is_some_and(Streamed::is_being_recorded)
    }

    fn broken(&self, fault: Fault) -> Error {
        let error = self.error(fault);
        *self.state() = Rest::Broken(error.clone());
        error
    }

    /// Lets the connection of a body go that was cancelled while nobody reads.
    fn cut(&self) {
        let rest = match &mut *self.state() {
            Rest::Open(open) if open.body.is_some() => (open.body.take(), open._flight.take()),
            _ => return,
        };
        drop(rest);
        self.nudge();
    }

    /// A shared connection that perhaps nobody drives now tells its peer of the stream's end.
    fn nudge(&self) {
        let version = self.attempts.last().and_then(|last| last.http_version);
        if version == Some(HttpVersion::Http2) {
            self.client.nudge();
        }
    }

    async fn piece(&self, open: &mut Open) -> Result<Option<Bytes>, Fault> {
        let Some(body) = &mut open.body else {
            return Ok(None);
        };
        let limit = self.limit;
        let next = pin!(body.next());
        let next = in_time(Instant::now() + limit, next);
        let stop = race(self.cancel.cancelled(), self.client.flights.cancelled());
        match race(stop, next).await {
            First::Left(First::Left(())) => Err(cancelled()),
            First::Left(First::Right(())) => {
                Err(Fault::new(Cause::Cancelled, "the client was closed"))
            }
            First::Right(Some(None)) => Ok(None),
            First::Right(Some(Some(Ok(piece)))) => {
                if let Some(streamed) = &self.streamed {
                    streamed.read(&piece);
                }
                Ok(Some(piece))
            }
            First::Right(Some(Some(Err(failure)))) => Err(body_fault(&self.host(), failure)),
            First::Right(None) => Err(Fault::new(
                Cause::AttemptTimeout,
                format!(
                    "no further byte of the body within {} ms",
                    limit.as_millis()
                ),
            )),
        }
    }

    /// Whose body it is, for a sentence.
    fn host(&self) -> String {
        let url = self
            .attempts
            .last()
            .and_then(|last| Url::parse(&last.url).ok());
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// What a body that broke off is told as. Nothing is sent again: the application has the
    /// beginning already.
    fn error(&self, mut fault: Fault) -> Error {
        fault.http_status = Some(self.status);
        let effect = match &self.streamed {
            Some(streamed) => streamed.end(Some(&fault)).effect,
            None => self.effect,
        };
        self.ending(fault, effect)
    }

    fn ending(&self, fault: Fault, effect: Effect) -> Error {
        let mut attempts = self.attempts.clone();
        if let Some(last) = attempts.last_mut() {
            last.fault = Some(fault.clone());
        }
        let message = message(
            &self.method,
            &self.asked_for,
            &attempts,
            &fault,
            effect,
            None,
            None,
        );
        Error::of_call(
            message,
            fault,
            Ending {
                effect,
                switched: self.switched,
                ledger_id: self.ledger_id,
                tag: self.tag.clone(),
                attempts,
                response: None,
            },
        )
    }
}

/// A body that is waited for. Nothing of it is lost when the waiting is given up.
struct Held<'a> {
    shared: &'a Stream,
    open: Option<Box<Open>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            *self.shared.state() = Rest::Open(open);
            if self.shared.cancel.is_cancelled() {
                self.shared.cut();
            }
        }
    }
}

fn cancelled() -> Fault {
    Fault::new(
        Cause::Cancelled,
        "the application cancelled the reading of the body",
    )
}

impl Drop for Stream {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_given_up = matches!(state, Rest::Open(open) if open.body.is_some());
        *state = Rest::End;
        if is_given_up {
            self.nudge();
        }
    }
}

/// Gives a submitted read's item exactly once, also when its task is dropped.
struct Item {
    shared: Arc<Stream>,
    /// The response is what closes the connection when it is dropped: it is not, while it is read.
    rest: Response,
    user_data: usize,
    is_due: bool,
}

impl Item {
    fn give(&mut self, result: Result<Bytes, Error>) {
        self.is_due = false;
        let outlet = &self.shared.client.outlet;
        outlet.give_body(self.user_data, result);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if self.is_due {
            let error = Error::new(
                ErrorKind::Internal,
                "the read's task ended without a result: a defect of this library",
            );
            self.give(Err(error.of_read(&self.rest)));
        }
    }
}
