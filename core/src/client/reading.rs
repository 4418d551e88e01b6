//! The body of a streaming call, read after the call has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Method;
use tokio::time::timeout;
use url::Url;

use super::flights::Flight;
use super::message::message;
use super::parts::Streamed;
use super::{Inner, lacking};
use crate::error::Ending;
use crate::resource::cancel::Cancel;
use crate::resource::race::{First, race};
use crate::resource::transport::{Decoded, body_fault};
use crate::response::{self, ReadBody, Response, Told};
use crate::{Attempt, Cause, Effect, Error, ErrorKind, Fault, HttpVersion, Request};

pub(super) struct Reading(Arc<Shared>);

struct Shared {
    client: Arc<Inner>,
    state: Mutex<State>,
    cancel: Cancel,
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

enum State {
    Open(Box<Open>),
    /// Somebody reads.
    Busy,
    End,
    Broken(Error),
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
        response: &response::Inner,
        beginning: Bytes,
        body: Option<Decoded>,
        streamed: Option<Streamed>,
        flight: &Flight,
    ) -> Reading {
        if let Some(streamed) = &streamed {
            streamed.read(&beginning);
        }
        let open = Open {
            piece: beginning,
            _flight: body.is_some().then(|| flight.again()),
            body,
        };
        Reading(Arc::new(Shared {
            client,
            state: Mutex::new(State::Open(Box::new(open))),
            method: request.method.clone(),
            asked_for: request.url.clone(),
            cancel: Cancel::default(),
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
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let shared = &self.0;
        shared.client.check_is_own_process()?;
        let _waiting = shared.client.outlet.begin_waiting()?;
        let Some(open) = shared.take()? else {
            return Ok(0);
        };
        let piece = shared
            .client
            .engine
            .block_on(shared.next(open, buffer.len()))?;
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }

    fn cancel(&self) {
        self.0.cancel.cancel();
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
            user_data,
            is_due: true,
        };
        let reading = async move {
            // The response is what closes the connection when it is dropped: it is not, while it
            // is read.
            let _rest = rest;
            let result = match open {
                Some(open) => shared.next(open, most).await,
                None => Ok(Bytes::new()),
            };
            item.give(result);
        };
        self.0.client.engine.run(task, Box::pin(reading));
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the body to read from it. `None`: it is at its end.
    fn take(&self) -> Result<Option<Box<Open>>, Error> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Busy) {
            State::Open(open) => Ok(Some(open)),
            State::Busy => Err(Error::new(
                ErrorKind::Busy,
                "the body is being read by another thread; read it from one at a time",
            )),
            State::End => {
                *state = State::End;
                Ok(None)
            }
            State::Broken(error) => {
                *state = State::Broken(error.clone());
                Err(error)
            }
        }
    }

    /// The next bytes, at most so many; none at the end.
    async fn next(&self, mut open: Box<Open>, most: usize) -> Result<Bytes, Error> {
        if open.piece.is_empty() {
            match self.piece(&mut open).await {
                Ok(Some(piece)) => open.piece = piece,
                Ok(None) => {
                    if let Some(streamed) = &self.streamed {
                        streamed.end(None);
                    }
                    *self.state() = State::End;
                    return Ok(Bytes::new());
                }
                Err(fault) => {
                    let error = self.error(fault);
                    *self.state() = State::Broken(error.clone());
                    return Err(error);
                }
            }
        }
        let count = most.min(open.piece.len());
        let piece = open.piece.split_to(count);
        *self.state() = State::Open(open);
        Ok(piece)
    }

    async fn piece(&self, open: &mut Open) -> Result<Option<Bytes>, Fault> {
        let Some(body) = &mut open.body else {
            return Ok(None);
        };
        let limit = self.client.settings.attempt_timeout;
        let next = timeout(limit, body.next());
        let stop = race(self.cancel.cancelled(), self.client.flights.cancelled());
        match race(stop, next).await {
            First::Left(First::Left(())) => Err(Fault::new(
                Cause::Cancelled,
                "the application cancelled the reading of the body",
            )),
            First::Left(First::Right(())) => {
                Err(Fault::new(Cause::Cancelled, "the client was closed"))
            }
            First::Right(Ok(None)) => Ok(None),
            First::Right(Ok(Some(Ok(piece)))) => {
                if let Some(streamed) = &self.streamed {
                    streamed.read(&piece);
                }
                Ok(Some(piece))
            }
            First::Right(Ok(Some(Err(failure)))) => Err(body_fault(&self.host(), failure)),
            First::Right(Err(_)) => Err(Fault::new(
                Cause::AttemptTimeout,
                format!(
                    "no further byte of the body within attempt_timeout ({} ms)",
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
        let mut attempts = self.attempts.clone();
        if let Some(last) = attempts.last_mut() {
            last.fault = Some(fault.clone());
        }
        let effect = match &self.streamed {
            Some(streamed) => streamed.end(Some(&fault)).effect,
            None => self.effect,
        };
        let message = message(
            &self.method,
            &self.asked_for,
            &attempts,
            &fault,
            effect,
            None,
        );
        Error::of_call(
            message,
            Ending {
                fault,
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

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_given_up = matches!(state, State::Open(open) if open.body.is_some());
        *state = State::End;
        let version = self.attempts.last().and_then(|last| last.http_version);
        if is_given_up && version == Some(HttpVersion::Http2) {
            self.client.nudge();
        }
    }
}

/// Gives a submitted read's item exactly once, also when its task is dropped.
struct Item {
    shared: Arc<Shared>,
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
            self.give(Err(Error::new(
                ErrorKind::Internal,
                "the read's task ended without a result: a defect of this library",
            )));
        }
    }
}
