//! One call, from the request to the response or error.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::response::Parts;
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::Inner;
use super::failover::Course;
use super::flights::Cancel;
use crate::decide::call::{Next, after_attempt};
use crate::decide::switchboard::Place;
use crate::error::Ending;
use crate::resource::race::{First, race};
use crate::resource::transport::{Failure, Progress};
use crate::{
    Attempt, Cause, Effect, Error, Fault, FaultKind, Request, Response, Target, classify_response,
    response,
};

pub(super) struct Call<'a> {
    client: &'a Arc<Inner>,
    request: &'a Request,
    target: Target,
    deadline: Instant,
    attempts: Vec<Attempt>,
    running: Option<Running>,
}

/// The attempt under way, readable from outside of its future.
struct Running {
    place: Place,
    url: Url,
    started: SystemTime,
    since: Instant,
    progress: Progress,
}

/// How an attempt ended.
struct Outcome {
    /// Status and headers, if any came; the body, if it came whole.
    answer: Option<(Parts, Bytes)>,
    fault: Option<Fault>,
    /// Why the call was not tried elsewhere, if it was asked.
    stayed: Option<&'static str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a Arc<Inner>, request: &'a Request, target: Target) -> Call<'a> {
        let timeout = request.timeout.unwrap_or(client.settings.deadline);
        Call {
            client,
            request,
            target,
            deadline: Instant::now() + timeout,
            attempts: Vec::with_capacity(1),
            running: None,
        }
    }

    /// Runs the call to its end, unless it is cancelled or the client is closed.
    pub(super) async fn run(mut self, cancel: &Cancel) -> Result<Response, Error> {
        let client = self.client;
        let stop = race(cancel.cancelled(), client.flights.cancelled());
        let outcome = match race(self.story(), stop).await {
            First::Left(outcome) => outcome,
            First::Right(stop) => {
                let message = match stop {
                    First::Left(()) => "the application cancelled the call",
                    First::Right(()) => "the client was closed",
                };
                self.interrupted(Fault::new(Cause::Cancelled, message))
            }
        };
        self.end(outcome)
    }

    /// The story of a call.
    async fn story(&mut self) -> Outcome {
        // 1. Where calls go now.
        let mut place = self.client.first_place();
        loop {
            // 2. One attempt, there.
            let mut outcome = self.attempt(place).await;
            let Some(fault) = &outcome.fault else {
                return outcome;
            };
            // 3. Is its fault the end, or a reason to ask for another endpoint?
            let preset = self.client.settings.preset;
            match after_attempt(preset, self.attempts.len(), Some(fault)) {
                Next::End => return outcome,
                Next::FailOver => {}
            }
            // 4. One switch for all who ask, with its events and handlers, or none.
            let course = self.client.fail_over(place, fault, self.deadline).await;
            if let Course::Nowhere(why) = course {
                outcome.stayed = Some(why);
                return outcome;
            }
            // 5. Again, where calls go by now.
            let next = self.client.place();
            self.client.retried(place, next, fault);
            place = next;
        }
    }

    async fn attempt(&mut self, place: Place) -> Outcome {
        let url = self.client.organization.url_of(&self.target, place.role);
        let since = Instant::now();
        let attempt_end = since + self.client.settings.attempt_timeout;
        let running = self.running.insert(Running {
            place,
            url,
            started: SystemTime::now(),
            since,
            progress: Progress::default(),
        });
        let exchange = self.client.exchange(self.request, place, running);
        match timeout_at(attempt_end.min(self.deadline), exchange).await {
            Ok(Ok((head, body))) => {
                let fault = self.client.judge(place, &head, &body);
                self.record(fault.clone());
                Outcome::of(Some((head, body)), fault)
            }
            Ok(Err(failure)) => {
                let Failure { mut fault, head } = failure;
                fault.http_status = head.as_ref().map(|head| head.status.as_u16());
                self.record(Some(fault.clone()));
                Outcome::of(head.map(|head| (*head, Bytes::new())), Some(fault))
            }
            Err(_) => self.interrupted(if attempt_end <= self.deadline {
                out_of_time(
                    Cause::AttemptTimeout,
                    "attempt_timeout",
                    attempt_end - since,
                )
            } else {
                out_of_time(Cause::Deadline, "the call's deadline", since.elapsed())
            }),
        }
    }

    /// The attempt under way, if there is one, ends with this fault.
    fn interrupted(&mut self, mut fault: Fault) -> Outcome {
        let running = self.running.as_ref();
        fault.http_status = running.and_then(|running| running.progress.status());
        self.record(Some(fault.clone()));
        Outcome::of(None, Some(fault))
    }

    fn record(&mut self, fault: Option<Fault>) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.attempts.push(Attempt {
            role: running.place.role,
            epoch: running.place.epoch,
            url: String::from(running.url),
            phase: running.progress.phase(),
            http_status: running.progress.status(),
            fault,
            started: running.started,
            took: running.since.elapsed(),
        });
    }

    /// Makes the response or the error.
    fn end(self, outcome: Outcome) -> Result<Response, Error> {
        let effect = Effect::of_call(self.request.operation(), &self.attempts);
        let switched = self
            .attempts
            .iter()
            .any(|attempt| attempt.role != self.attempts[0].role);
        let url = self
            .attempts
            .last()
            .map_or_else(String::new, |attempt| attempt.url.clone());
        let response = |attempts: Vec<Attempt>| {
            outcome.answer.map(|(head, body)| {
                Response::new(response::Inner {
                    status: head.status.as_u16(),
                    url: url.clone(),
                    headers: head.headers,
                    body,
                    effect,
                    switched,
                    attempts,
                })
            })
        };
        let fault = match outcome.fault {
            Some(fault) if !fault.ends_as_response() => fault,
            _ => {
                return response(self.attempts).ok_or_else(|| {
                    Error::new(
                        crate::ErrorKind::Internal,
                        "a call ended without answer and without fault: a defect of this library",
                    )
                });
            }
        };
        let message = message(self.request, &self.attempts, &fault, effect, outcome.stayed);
        let response = response(self.attempts.clone());
        Err(Error::of_call(
            message,
            Ending {
                fault,
                effect,
                switched,
                attempts: self.attempts,
                response,
            },
        ))
    }
}

impl Outcome {
    fn of(answer: Option<(Parts, Bytes)>, fault: Option<Fault>) -> Outcome {
        Outcome {
            answer,
            fault,
            stayed: None,
        }
    }
}

impl Inner {
    /// Sends the request to one endpoint.
    async fn exchange(
        self: &Arc<Self>,
        request: &Request,
        place: Place,
        running: &Running,
    ) -> Result<(Parts, Bytes), Failure> {
        let headers = self.headers(request, place, &running.url).await?;
        let path = &running.url[Position::BeforePath..Position::AfterQuery];
        let mut wire = http::Request::builder()
            .method(request.method.clone())
            .uri(path)
            .body(Full::new(request.body.clone()))
            .map_err(|error| Fault::new(Cause::BadMessage, format!("{}: {error}", running.url)))?;
        *wire.headers_mut() = headers;
        self.transport
            .exchange(&running.url, &wire, &running.progress)
            .await
    }

    async fn headers(
        self: &Arc<Self>,
        request: &Request,
        place: Place,
        url: &Url,
    ) -> Result<HeaderMap, Fault> {
        let mut headers = request.headers.clone();
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
            .map_err(|error| Fault::new(Cause::BadMessage, format!("{url}: {error}")))?;
        headers.insert(HOST, host);
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, self.user_agent.clone());
        }
        // What the application sends itself goes before the provider's token.
        if let Some(tokens) = &self.tokens
            && !headers.contains_key(AUTHORIZATION)
        {
            let endpoint = self.organization.url(place.role);
            let header = tokens.header(&self.engine, place.role, endpoint).await?;
            headers.insert(AUTHORIZATION, header);
        }
        Ok(headers)
    }

    /// What an answer means.
    fn judge(&self, place: Place, head: &Parts, body: &Bytes) -> Option<Fault> {
        let prefix = &body[..body.len().min(self.settings.error_prefix)];
        let fault = classify_response(head.status.as_u16(), &head.headers, prefix);
        if let Some(tokens) = &self.tokens
            && fault
                .as_ref()
                .is_some_and(|fault| fault.cause == Cause::Unauthorized)
        {
            tokens.forget(place.role);
        }
        fault
    }
}

fn out_of_time(cause: Cause, what: &str, limit: Duration) -> Fault {
    Fault::new(
        cause,
        format!("no whole answer within {what} ({} ms)", limit.as_millis()),
    )
}

/// What happened, where, and what to do next.
fn message(
    request: &Request,
    attempts: &[Attempt],
    fault: &Fault,
    effect: Effect,
    stayed: Option<&str>,
) -> String {
    let mut message = match attempts.last() {
        Some(last) => format!(
            "{} {} at the {} (attempt {}): {}: {}",
            request.method,
            last.url,
            last.role.name(),
            attempts.len(),
            fault.kind.name(),
            fault.message
        ),
        None => format!(
            "{} {}: {}: {}",
            request.method,
            request.url,
            fault.kind.name(),
            fault.message
        ),
    };
    if let Some(why) = stayed {
        message.push_str("; not tried at the other endpoint: ");
        message.push_str(why);
    }
    message.push_str(match (effect, fault.kind) {
        (Effect::Unknown, _) => {
            "; the write is in doubt: look whether it was executed before sending it again"
        }
        (Effect::Executed, _) => "; the write was executed, do not send it again",
        (Effect::NotExecuted, _) => "; the write was not executed",
        (Effect::None, FaultKind::Tls) => "; check ca_bundle and the server's certificate",
        (Effect::None, _) => "",
    });
    message
}
