//! One call, from the request to the response or error.

use std::sync::{Arc, OnceLock};
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
use crate::classify::classify;
use crate::decide::call::{Next, after_attempt};
use crate::decide::switchboard::Place;
use crate::error::Ending;
use crate::resource::cancel::Cancel;
use crate::resource::race::{First, race};
use crate::resource::transport::{Exchange, Progress};
use crate::{Attempt, Cause, Effect, Error, Fault, FaultKind, Request, Response, Target, response};

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
    /// The token that the provider gave for it.
    token: OnceLock<HeaderValue>,
}

/// How an attempt ended.
struct Outcome {
    /// Status and headers, if any came, and the body as far as it came.
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
        // The wish to stop is looked at first: a call that was cancelled before it began is not
        // sent.
        let outcome = match race(stop, self.story()).await {
            First::Right(outcome) => outcome,
            First::Left(stop) => {
                let message = match stop {
                    First::Left(()) => "the application cancelled the call",
                    First::Right(()) => "the client was closed",
                };
                self.ended(Some(Fault::new(Cause::Cancelled, message)))
            }
        };
        self.end(outcome)
    }

    /// The story of a call.
    async fn story(&mut self) -> Outcome {
        // 1. Where calls go now.
        let mut place = self.client.first_place();
        loop {
            if Instant::now() >= self.deadline {
                let fault = Fault::new(Cause::Deadline, "the call's deadline was over");
                return Outcome::of(None, Some(fault));
            }
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
        let running = self.running.insert(Running {
            place,
            url,
            started: SystemTime::now(),
            since,
            progress: Progress::default(),
            token: OnceLock::new(),
        });
        let time = Time {
            attempt: self.client.settings.attempt_timeout,
            deadline: self.deadline,
        };
        let exchange = self
            .client
            .exchange(self.request, place, &self.target, running, time);
        let broken = exchange.await.err();
        self.ended(broken)
    }

    /// The attempt under way, if there is one, has ended; `broken` if the answer is not whole.
    fn ended(&mut self, broken: Option<Fault>) -> Outcome {
        let Some(running) = self.running.take() else {
            return Outcome::of(None, broken);
        };
        let answer = running.progress.take_answer();
        let judged = answer.as_ref().and_then(|(head, body)| {
            self.client
                .judge(running.place, &self.target, running.token.get(), head, body)
        });
        let fault = match (broken, judged) {
            (None, judged) => judged,
            // What the answer's head says counts more than how its body ended.
            (Some(broken), Some(judged))
                if !judged.ends_as_response() && broken.cause != Cause::Cancelled =>
            {
                Some(judged)
            }
            (Some(mut broken), _) => {
                broken.http_status = running.progress.status();
                Some(broken)
            }
        };
        self.record(running, fault.clone());
        Outcome::of(answer, fault)
    }

    fn record(&mut self, running: Running, fault: Option<Fault>) {
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
        let effect = Effect::of_call(
            self.request.operation(),
            || self.request.is_compound(),
            &self.attempts,
        );
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
        target: &Target,
        running: &Running,
        time: Time,
    ) -> Result<(), Fault> {
        // What is waited for before the endpoint has its own time: it is not the endpoint's fault.
        let headers = time
            .limit(self.headers(request, place, running), |_, limit| {
                let message = format!("the token provider gave no token {limit}");
                Fault::new(Cause::NoToken, message)
            })
            .await??;
        let _permit = time
            .limit(self.transport.permit(&running.url), |_, limit| {
                let message = format!("no connection was free {limit}; raise max_connections");
                Fault::new(Cause::LocalFailure, message)
            })
            .await?;
        let path = &running.url[Position::BeforePath..Position::AfterQuery];
        let mut wire = http::Request::builder()
            .method(request.method.clone())
            .uri(path)
            .body(Full::new(request.body.clone()))
            .map_err(|error| Fault::new(Cause::BadMessage, format!("{}: {error}", running.url)))?;
        *wire.headers_mut() = headers;
        let is_enough = |head: &Parts, body: &[u8]| {
            self.classify(target, head, body)
                .is_some_and(|fault| !fault.ends_as_response())
        };
        let exchange = Exchange {
            url: &running.url,
            request: &wire,
            max_body: self.transport.max_body(),
            is_enough: &is_enough,
            progress: &running.progress,
        };
        time.limit(self.transport.exchange(&exchange), |cause, limit| {
            Fault::new(cause, format!("no whole answer {limit}"))
        })
        .await?
    }

    async fn headers(
        self: &Arc<Self>,
        request: &Request,
        place: Place,
        running: &Running,
    ) -> Result<HeaderMap, Fault> {
        let url = &running.url;
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
            headers.insert(AUTHORIZATION, running.token.get_or_init(|| header).clone());
        }
        Ok(headers)
    }

    /// What an answer means. A token that was refused is forgotten.
    fn judge(
        &self,
        place: Place,
        target: &Target,
        token: Option<&HeaderValue>,
        head: &Parts,
        body: &[u8],
    ) -> Option<Fault> {
        let fault = self.classify(target, head, body)?;
        if fault.cause == Cause::Unauthorized
            && let (Some(tokens), Some(token)) = (&self.tokens, token)
        {
            tokens.forget(place.role, token);
        }
        Some(fault)
    }

    fn classify(&self, target: &Target, head: &Parts, body: &[u8]) -> Option<Fault> {
        let prefix = &body[..body.len().min(self.settings.error_prefix)];
        classify(
            head.status.as_u16(),
            &head.headers,
            prefix,
            target.is_service(),
        )
    }
}

/// How long an attempt may take.
#[derive(Clone, Copy)]
struct Time {
    attempt: Duration,
    deadline: Instant,
}

impl Time {
    /// Waits at most that long. `fault` is told what it means for the endpoint that the time is
    /// over, and which time it was.
    async fn limit<F: Future>(
        self,
        future: F,
        fault: impl FnOnce(Cause, &str) -> Fault,
    ) -> Result<F::Output, Fault> {
        let now = Instant::now();
        let attempt_end = now + self.attempt;
        let (end, cause, what) = if attempt_end <= self.deadline {
            (attempt_end, Cause::AttemptTimeout, "attempt_timeout")
        } else {
            (self.deadline, Cause::Deadline, "the call's deadline")
        };
        timeout_at(end, future).await.map_err(|_| {
            let waited = now.elapsed().as_millis();
            fault(cause, &format!("within {what} ({waited} ms)"))
        })
    }
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
