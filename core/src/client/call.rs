//! One call, from the request to the response or error.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Clock, SystemTime};

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::response::Parts;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::Inner;
use super::failover::Course;
use super::flights::Flight;
use super::message::message;
use super::reading::Reading;
use super::time::Time;
use crate::body::{Taken, lock};
use crate::classify::classify;
use crate::decide::backoff::{backoff, throttled};
use crate::decide::call::{Next, Resent, after_dotnet_attempt, after_safe_attempt};
use crate::decide::redirect::keeps_the_request;
use crate::decide::resend::{Failed, Resend};
use crate::decide::switchboard::Place;
use crate::error::Ending;
use crate::evidence::Evidence;
use crate::operation::Class;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::race::{First, race};
use crate::resource::transport::{Address, Decoded, Exchange, Progress, Reads};
use crate::rule::Rule;
use crate::{
    Attempt, Cause, Effect, Error, ErrorKind, Fault, HttpVersion, Operation, Phase, Preset,
    Request, Response, Role, Target, response,
};

/// An attempt of which nothing has left costs the endpoint nothing, but not without end.
const MOST_UNSENT: u32 = 2;
/// A connection that was used within this time is as good as a fresh one: servers close idle ones
/// after seconds.
const JUST_USED: Duration = Duration::from_secs(1);

pub(super) struct Call<'a> {
    client: &'a Arc<Inner>,
    request: &'a Request,
    /// What a repeat of the request does.
    class: Class,
    /// Where what needs the application's code is handed in. `None`: nothing does.
    desk: Option<&'a Desk>,
    target: Target,
    deadline: Instant,
    redirects_left: usize,
    attempts: Vec<Attempt>,
    /// Its endpoint was left because of it, or before it could say why it should be.
    was_switched: bool,
    running: Option<Running>,
    flight: &'a Flight,
    /// The write on record.
    ledger_id: Option<u64>,
    _body: Option<Taken>,
}

/// The attempt under way, readable from outside of its future.
pub(super) struct Running {
    pub(super) place: Place,
    /// It goes to a host of `allowed_hosts`.
    is_foreign: bool,
    pub(super) number: usize,
    pub(super) address: Address,
    started: SystemTime,
    since: Instant,
    pub(super) progress: Progress,
    /// The token that the provider gave for it.
    pub(super) token: OnceLock<HeaderValue>,
}

impl Running {
    /// The endpoint that it goes to, if it goes to one.
    pub(super) fn role(&self) -> Option<Role> {
        (!self.is_foreign).then_some(self.place.role)
    }
}

/// How an attempt ended.
struct Outcome {
    /// Status and headers, if any came, and the body as far as it was read.
    answer: Option<(Parts, Bytes)>,
    /// The body that was not read.
    rest: Option<Decoded>,
    fault: Option<Fault>,
    /// Why the call was not sent again, if it was asked.
    stayed: Option<&'static str>,
}

impl<'a> Call<'a> {
    /// # Errors
    /// When another call reads the request's body, or has read it and it cannot be read again.
    pub(super) fn new(
        client: &'a Arc<Inner>,
        request: &'a Request,
        target: Target,
        desk: Option<&'a Desk>,
        flight: &'a Flight,
    ) -> Result<Call<'a>, Error> {
        let body = request
            .body
            .reader()
            .map(|reader| {
                let taken = reader.take().ok_or_else(|| {
                    Error::new(
                        ErrorKind::Busy,
                        "the request's body is being read by another call; a request with a reader \
                         serves one call at a time",
                    )
                })?;
                if !reader.can_be_sent() {
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        "the request's body can be read only once, and was; set it anew",
                    ));
                }
                Ok(taken)
            })
            .transpose()?;
        if client.settings.preset == Preset::Safe {
            lock(&client.budget).deposit();
        }
        let timeout = request.timeout.unwrap_or(client.settings.deadline);
        let class = request.class();
        Ok(Call {
            client,
            request,
            desk,
            target,
            deadline: Instant::now() + timeout,
            redirects_left: client.settings.max_redirects,
            attempts: Vec::with_capacity(1),
            was_switched: false,
            running: None,
            flight,
            ledger_id: client.begin_write(request, class.operation),
            class,
            _body: body,
        })
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
                self.ended(Err(Fault::new(Cause::Cancelled, message)))
            }
        };
        self.end(outcome)
    }

    /// The story of a call.
    async fn story(&mut self) -> Outcome {
        // 1. Where calls go now.
        let mut place = self.client.place_to_go(self.deadline).await;
        let mut resent = Resent::default();
        loop {
            if Instant::now() >= self.deadline {
                return Outcome::of_fault(Fault::new(
                    Cause::Deadline,
                    "the call's deadline was over",
                ));
            }
            // 2. One attempt, there.
            let mut outcome = self.attempt(&mut place).await;
            // 3. Does the answer only point elsewhere?
            if self.is_redirected(&outcome) {
                place = self.client.place();
                continue;
            }
            let Some(fault) = &outcome.fault else {
                return outcome;
            };
            // 4. Is its fault the end, or a reason to send again, here or at another endpoint?
            let stayed = match self.next(resent, fault) {
                Next::End => return outcome,
                Next::Again => {
                    resent.unprocessed += 1;
                    None
                }
                Next::Wait => {
                    resent.in_place += 1;
                    self.wait_for_service(fault, resent).await
                }
                _ if self.target.foreign().is_some() => return outcome,
                // 5. One switch for all who ask, with its events and handlers, or none.
                Next::FailOver => {
                    resent.failed_over += 1;
                    let course = self.client.fail_over(place, fault, self.deadline).await;
                    course.why()
                }
                Next::Report(evidence, resend) => {
                    let client = self.client;
                    let course = client.consider(place, evidence, fault, self.deadline);
                    let course = course.await;
                    self.was_switched |= matches!(course, Course::Elsewhere);
                    match (course, resend) {
                        (_, Resend::No) => return outcome,
                        // Nothing says that it is dead, and there is nowhere else to go.
                        (Course::NoAlternate, Resend::Anywhere) if evidence == Evidence::Weak => {
                            self.wait_in_place(&mut resent).await
                        }
                        (Course::Alive, Resend::Anywhere) => self.wait_in_place(&mut resent).await,
                        (course, _) => course.why(),
                    }
                }
            };
            if stayed.is_some() {
                outcome.stayed = stayed;
                return outcome;
            }
            if !self.can_be_sent() {
                outcome.stayed = Some("its body can be read only once, and was begun");
                return outcome;
            }
            // 6. Again, where calls go by now.
            let next = self.client.place_to_go(self.deadline).await;
            if let Some(last) = self.attempts.last() {
                self.client
                    .retried(last, &self.request.method, place, next, fault);
            }
            place = next;
        }
    }

    fn next(&self, resent: Resent, fault: &Fault) -> Next {
        let settings = &self.client.settings;
        match (settings.preset, self.attempts.last()) {
            (Preset::Safe, Some(last)) => {
                let failed = Failed {
                    operation: self.class.operation,
                    is_compound: self.class.is_compound,
                    phase: last.phase,
                    http_status: last.http_status,
                    cause: fault.cause,
                };
                match after_safe_attempt(&failed, resent, settings.rules_off) {
                    // The last one: its evidence counts all the same.
                    Next::Report(evidence, _) if self.is_last_attempt() => {
                        Next::Report(evidence, Resend::No)
                    }
                    Next::Again | Next::Wait if self.is_last_attempt() => Next::End,
                    next => next,
                }
            }
            (Preset::Safe, None) => Next::End,
            (Preset::Dotnet, _) => after_dotnet_attempt(resent, fault),
        }
    }

    fn is_last_attempt(&self) -> bool {
        self.attempts.len() >= self.client.settings.max_attempts
    }

    /// Waits before the request is sent again where it was. Tells why it is not.
    async fn wait_in_place(&self, resent: &mut Resent) -> Option<&'static str> {
        let was_unsent = self
            .attempts
            .last()
            .is_some_and(|last| last.phase == Phase::NotSent);
        let is_free = was_unsent && resent.unsent < MOST_UNSENT;
        if !is_free && !lock(&self.client.budget).withdraw(Clock::now()) {
            return Some("retry_budget is used up");
        }
        resent.unsent += u32::from(was_unsent);
        let pause = backoff(resent.in_place, self.client.chance.draw());
        resent.in_place += 1;
        self.pause(pause).await
    }

    /// Waits as long as the service asks for. Tells why it does not.
    async fn wait_for_service(&self, fault: &Fault, resent: Resent) -> Option<&'static str> {
        // Who is told a time has been reckoned with; who is not, guesses.
        if fault.retry_after.is_none() && !lock(&self.client.budget).withdraw(Clock::now()) {
            return Some("retry_budget is used up");
        }
        let chance = self.client.chance.draw();
        let pause = throttled(fault.retry_after, resent.in_place - 1, chance);
        if let Some(last) = self.attempts.last()
            && Instant::now() + pause < self.deadline
        {
            self.client.throttled(last, &self.request.method, pause);
        }
        self.pause(pause).await
    }

    async fn pause(&self, pause: Duration) -> Option<&'static str> {
        let end = Instant::now() + pause;
        if end >= self.deadline {
            return Some("its deadline is over before it may be");
        }
        sleep_until(end).await;
        None
    }

    fn can_be_sent(&self) -> bool {
        let reader = self.request.body.reader();
        reader.is_none_or(|reader| reader.can_be_sent())
    }

    /// Whether the answer is a redirect that is followed. The target is then where it points to.
    fn is_redirected(&mut self, outcome: &Outcome) -> bool {
        let (Some((head, _)), Some(last)) = (&outcome.answer, self.attempts.last()) else {
            return false;
        };
        if self.redirects_left == 0
            || !keeps_the_request(&self.request.method, head.status.as_u16())
            || !self.can_be_sent()
        {
            return false;
        }
        let location = head
            .headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let target = location
            .and_then(|location| Url::parse(&last.url).ok()?.join(location).ok())
            // Where it may not go, the application gets to see the redirect itself.
            .and_then(|url| self.client.organization.locate(url.as_str()).ok());
        let Some(target) = target else {
            return false;
        };
        // To the other endpoint, which for calls is this one: it would be asked the same again.
        let address = self.client.address(&target, self.client.place().role);
        if address.text() == last.url {
            return false;
        }
        self.target = target;
        self.redirects_left -= 1;
        true
    }

    /// Sends the request to `place`, or to where calls go when it may leave.
    async fn attempt(&mut self, place: &mut Place) -> Outcome {
        let client = self.client;
        let gate = timeout_at(self.deadline, client.gate.enter());
        let Ok(pass) = gate.await else {
            return Outcome::of_fault(Fault::new(
                Cause::Deadline,
                "the call's deadline was over before it could leave after a switch",
            ));
        };
        if client.settings.preset == Preset::Safe {
            // It may have moved on while the call waited for its turn.
            *place = client.place();
        }
        let address = client.address(&self.target, place.role);
        let running = self.running.insert(Running {
            place: *place,
            is_foreign: self.target.foreign().is_some(),
            number: self.attempts.len() + 1,
            address,
            started: SystemTime::now(),
            since: Instant::now(),
            progress: Progress::default(),
            token: OnceLock::new(),
        });
        let time = Time {
            attempt: client.settings.attempt_timeout,
            deadline: self.deadline,
        };
        let operation = self.class.operation;
        let exchange = client.exchange(
            self.request,
            &self.target,
            operation,
            self.desk,
            running,
            time,
        );
        let ended = client
            .watched(exchange, running, operation, self.deadline)
            .await;
        let outcome = self.ended(ended);
        let off = client.settings.rules_off;
        match outcome.fault.as_ref().map(|fault| fault.cause) {
            Some(cause) if Evidence::of(cause, off) > Evidence::Never => pass.failed(),
            Some(Cause::ServiceFault) | None => pass.answered(),
            Some(_) => drop(pass),
        }
        outcome
    }

    /// The attempt under way, if there is one, has ended: with its answer, of which a part may not
    /// be read, or with what broke it off.
    fn ended(&mut self, ended: Result<Option<Decoded>, Fault>) -> Outcome {
        let (rest, broken) = match ended {
            Ok(rest) => (rest, None),
            Err(fault) => (None, Some(fault)),
        };
        let Some(running) = self.running.take() else {
            return Outcome {
                answer: None,
                rest,
                fault: broken,
                stayed: None,
            };
        };
        let answer = running.progress.take_answer();
        let judged = answer
            .as_ref()
            .and_then(|(head, body)| self.client.judge(&running, &self.target, head, body));
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
        Outcome {
            answer,
            rest,
            fault,
            stayed: None,
        }
    }

    fn record(&mut self, running: Running, fault: Option<Fault>) {
        self.attempts.push(Attempt {
            role: running.role(),
            epoch: running.place.epoch,
            phase: running.progress.phase(),
            http_version: running.progress.version(),
            http_status: running.progress.status(),
            url: running.address.into_text(),
            fault,
            started: running.started,
            took: running.since.elapsed(),
        });
    }

    /// Makes the response or the error.
    fn end(mut self, outcome: Outcome) -> Result<Response, Error> {
        let effect = Effect::of_call(self.class.operation, self.class.is_compound, &self.attempts);
        self.client.end_write(
            self.ledger_id,
            &self.request.method,
            effect,
            &self.attempts,
            outcome.answer.as_ref(),
        );
        let mut roles = self.attempts.iter().filter_map(|attempt| attempt.role);
        let first = roles.next();
        let switched = self.was_switched || roles.any(|role| Some(role) != first);
        let fault = outcome.fault.filter(|fault| !fault.ends_as_response());
        let response = match outcome.answer {
            None => None,
            Some((head, body)) => {
                let mut response = response::Inner {
                    status: head.status.as_u16(),
                    headers: head.headers,
                    body,
                    effect,
                    switched,
                    ledger_id: self.ledger_id,
                    attempts: match fault {
                        None => std::mem::take(&mut self.attempts),
                        Some(_) => self.attempts.clone(),
                    },
                    rest: None,
                };
                if self.request.is_streaming && fault.is_none() {
                    let beginning = std::mem::take(&mut response.body);
                    response.rest = Some(Box::new(Reading::new(
                        Arc::clone(self.client),
                        self.request,
                        &response,
                        beginning,
                        outcome.rest,
                        self.flight,
                    )));
                }
                Some(Response::new(response))
            }
        };
        let Some(fault) = fault else {
            return response.ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "a call ended without answer and without fault: a defect of this library",
                )
            });
        };
        let last = self.attempts.last();
        if fault.http_status.is_none()
            && last.is_some_and(|last| last.http_version == Some(HttpVersion::Http2))
        {
            self.client.nudge();
        }
        let message = message(
            &self.request.method,
            &self.request.url,
            &self.attempts,
            &fault,
            effect,
            outcome.stayed,
        );
        Err(Error::of_call(
            message,
            Ending {
                fault,
                effect,
                switched,
                ledger_id: self.ledger_id,
                attempts: self.attempts,
                response,
            },
        ))
    }
}

impl Outcome {
    fn of_fault(fault: Fault) -> Outcome {
        Outcome {
            answer: None,
            rest: None,
            fault: Some(fault),
            stayed: None,
        }
    }
}

impl Inner {
    /// Sends the request to one endpoint. What is not read of the answer is handed out.
    async fn exchange(
        self: &Arc<Self>,
        request: &Request,
        target: &Target,
        operation: Operation,
        desk: Option<&Desk>,
        running: &Running,
        time: Time,
    ) -> Result<Option<Decoded>, Fault> {
        // What is waited for before the endpoint has its own time: it is not the endpoint's fault.
        let draft = self.draft(request, desk, running, time).await?;
        if self.settings.prepare.is_some() && time.is_over() {
            let message = "the application's prepare hook took all of the call's time";
            return Err(Fault::new(Cause::LocalFailure, message));
        }
        let permit = pin!(self.transport.permit(&running.address));
        let permit = time.limit(permit, |_, _, limit| {
            let message = format!("no connection was free {limit}; raise max_connections");
            Fault::new(Cause::LocalFailure, message)
        });
        let permit = permit.await?;
        let is_enough = |head: &Parts, body: &[u8]| {
            self.classify(target, head, body)
                .is_some_and(|fault| !fault.ends_as_response())
        };
        let reads = if request.is_streaming {
            Reads::Failures(self.settings.error_prefix)
        } else {
            Reads::All(self.settings.max_response_body, &is_enough)
        };
        let wants_fresh = self.settings.preset == Preset::Safe
            && operation == Operation::Unsafe
            && !self.settings.rules_off.has(Rule::FreshConnection);
        let exchange = Exchange {
            max_idle: if wants_fresh {
                JUST_USED
            } else {
                Duration::MAX
            },
            address: &running.address,
            method: &request.method,
            headers: &draft.headers,
            body: &|| draft.body(),
            is_read_while_sent: draft.is_read_while_sent(),
            is_whole: &|| draft.is_whole(),
            gate: draft.gate.as_ref(),
            decodes: draft.decodes,
            reads,
            progress: &running.progress,
        };
        let exchanging = pin!(self.transport.exchange(&exchange, Some(permit)));
        let exchanging = time.limit(exchanging, |cause, waited, limit| {
            // Who waits for the application has learnt nothing of the endpoint.
            if draft.time_in_reader() * 2 > waited {
                let message = format!("the body's reader gave no whole body {limit}");
                return Fault::new(Cause::LocalFailure, message);
            }
            Fault::new(cause, format!("no whole answer {limit}"))
        });
        let exchanged = exchanging.await.and_then(|exchanged| exchanged);
        exchanged.map_err(|fault| draft.body_failure().unwrap_or(fault))
    }

    /// What an answer means. A token that was refused is forgotten.
    fn judge(
        &self,
        running: &Running,
        target: &Target,
        head: &Parts,
        body: &[u8],
    ) -> Option<Fault> {
        let fault = self.classify(target, head, body)?;
        if fault.cause == Cause::Unauthorized
            && let (Some(tokens), Some(token)) = (&self.tokens, running.token.get())
        {
            tokens.forget(running.place.role, token);
        }
        Some(fault)
    }

    fn classify(&self, target: &Target, head: &Parts, body: &[u8]) -> Option<Fault> {
        // What another host answers is an answer, whatever it says.
        if target.foreign().is_some() {
            return None;
        }
        let prefix = &body[..body.len().min(self.settings.error_prefix)];
        classify(
            head.status.as_u16(),
            &head.headers,
            prefix,
            target.is_service(),
        )
    }
}
