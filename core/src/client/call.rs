//! One call, from the request to the response or error.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Clock, SystemTime};

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::response::Parts;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::flights::Flight;
use super::guarded::guarded;
use super::message::message;
use super::outage::Unanswered;
use super::reading::Reading;
use super::record::{Ended, leaves_one_behind};
use super::time::Time;
use crate::body::Taken;
use crate::classify::{Asked, is_told_in_spite_of_its_end};
use crate::decide::call::{Course, Failure, Moment, Next, Resending};
use crate::decide::evidence::Evidence;
use crate::decide::place::Place;
use crate::decide::ramp::Became;
use crate::decide::redirect::keeps_the_request;
use crate::decide::resend::Failed;
use crate::ending::{Ending, ResponseData};
use crate::head_text::{HeadText, readable};
use crate::lock::lock;
use crate::operation::Class;
use crate::parts::Tally;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::gate::Pass;
use crate::resource::ledger::{At, Soon};
use crate::resource::race::{First, race};
use crate::resource::transport::{Address, Decoded, Progress};
use crate::shown::{sentence, without_credential};
use crate::url_text::is_relative;
use crate::{
    Attempt, Cause, Effect, Error, ErrorKind, Fault, HttpVersion, Operation, Request, Response,
    Role, Target,
};

pub(super) struct Call<'a> {
    pub(super) client: &'a Arc<Inner>,
    pub(super) request: Cow<'a, Request>,
    /// What a repeat of the request does.
    pub(super) class: Class,
    /// Where what needs the application's code is handed in. `None`: nothing does.
    desk: Option<&'a Desk>,
    pub(super) target: Target,
    began: Instant,
    deadline: Instant,
    redirects_left: usize,
    pub(super) attempts: Vec<Attempt>,
    /// Its endpoint was left because of it, or before it could say why it should be.
    was_switched: bool,
    /// The id of its row was chosen by the library.
    pub(super) is_id_ours: bool,
    /// The row of a guarded create was read back.
    pub(super) was_found: bool,
    /// Which attempt has read the row back: it is no attempt of the write.
    pub(super) read_back_at: Option<usize>,
    running: Option<Running>,
    flight: &'a Flight,
    record: Record,
    /// The write on record.
    ledger_id: Option<u64>,
    /// The same, as long as its end is not on record.
    pub(super) on_record: Option<u64>,
    _body: Option<Taken>,
}

/// How a call stands on record.
#[derive(Clone, Copy)]
pub(super) enum Record {
    /// A write is begun.
    Begin,
    /// This one is sent again.
    Again(u64),
}

/// The attempt under way, readable from outside of its future.
pub(super) struct Running {
    pub(super) place: Place,
    /// It goes to a host of `allowed_hosts`.
    is_foreign: bool,
    /// It holds several requests.
    pub(super) is_compound: bool,
    pub(super) asked: Asked,
    pub(super) number: usize,
    pub(super) address: Address,
    started: SystemTime,
    since: Instant,
    pub(super) progress: Progress,
    /// The token that the provider gave for it.
    pub(super) token: OnceLock<HeaderValue>,
    /// What was sent as `Authorization`, whoever gave it.
    pub(super) authorization: OnceLock<HeaderValue>,
    /// The leave to go, once it has nothing to wait for any more but its endpoint.
    pub(super) pass: OnceLock<Pass>,
}

impl Running {
    /// The endpoint that it goes to, if it goes to one.
    pub(super) fn role(&self) -> Option<Role> {
        (!self.is_foreign).then_some(self.place.role)
    }
}

/// Whether an exchange with this end was broken off on this side, perhaps in the middle of the answer.
fn gives_up(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Cancelled
            | Cause::AttemptTimeout
            | Cause::Deadline
            | Cause::EndpointLeft
            | Cause::BadMessage
    )
}

/// How an attempt ended.
pub(super) struct Outcome {
    /// Status and headers, if any came, and the body as far as it was read.
    pub(super) answer: Option<(Parts, Bytes)>,
    /// The body that was not read.
    pub(super) rest: Option<Decoded>,
    pub(super) fault: Option<Fault>,
    /// What its answer says of the requests inside of it.
    pub(super) tally: Option<Tally>,
    /// The `Authorization` that was sent.
    pub(super) sent: Option<HeaderValue>,
    /// Why the call was not sent again, if it was asked.
    pub(super) stayed: Option<Cow<'static, str>>,
    /// Nothing of it was sent, because too many wait already.
    pub(super) is_turned_away: bool,
}

impl<'a> Call<'a> {
    /// # Errors
    /// When the request cannot be made a guarded create, or says a wrong length. When another call reads the request's body, or has read it and it cannot be read again.
    pub(super) fn new(
        client: &'a Arc<Inner>,
        request: &'a Request,
        target: Target,
        desk: Option<&'a Desk>,
        flight: &'a Flight,
        record: Record,
    ) -> Result<Call<'a>, Error> {
        request.length()?;
        // What is read from a URL's path is read from all of it.
        let request = match target.rest() {
            Some(rest) if is_relative(&request.url) => Cow::Owned(Request {
                url: rest.to_owned(),
                ..request.clone()
            }),
            _ => Cow::Borrowed(request),
        };
        let (request, class, is_id_ours, target) = if request.is_guarded_create {
            let (request, class, is_id_ours) = guarded(&request)?;
            let target = client.organization.locate(&request.url)?;
            (Cow::Owned(request), class, is_id_ours, target)
        } else {
            let class = request.class();
            (request, class, false, target)
        };
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
        if client.rules.spends_budget {
            lock(&client.budget).deposit();
        }
        let timeout = request.timeout.unwrap_or(client.settings.deadline);
        let began = Instant::now();
        Ok(Call {
            client,
            request,
            desk,
            target,
            began,
            deadline: began + timeout,
            redirects_left: client.settings.max_redirects,
            attempts: Vec::with_capacity(1),
            was_switched: false,
            is_id_ours,
            was_found: false,
            read_back_at: None,
            running: None,
            flight,
            record,
            ledger_id: None,
            on_record: None,
            class,
            _body: body,
        })
    }

    /// Runs the call to its end, unless it is cancelled or the client is closed.
    pub(super) async fn run(mut self, cancel: &Cancel) -> Result<Response, Error> {
        let client = self.client;
        if let Err(error) = self.begin(cancel).await {
            if let Record::Again(_) = self.record {
                return Err(error);
            }
            let message = format!("the write could not be put on record: {}", error.message());
            return self
                .end(Outcome::of_fault(Fault::new(Cause::LocalFailure, message)))
                .await;
        }
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
        self.end(outcome).await
    }

    /// A write goes on record before anything of it is sent.
    async fn begin(&mut self, cancel: &Cancel) -> Result<(), Error> {
        let is_foreign = self.target.foreign().is_some();
        let begun = match self.record {
            Record::Begin => {
                let (request, class) = (&self.request, &self.class);
                let client = self.client;
                client
                    .begin_write(request, class, is_foreign, self.desk)
                    .await?
            }
            Record::Again(id) => {
                let claimed = self.client.ledger.claim(id, At::now());
                claimed.get(self.desk).await?;
                Some(id)
            }
        };
        if let Some(id) = begun {
            self.ledger_id = Some(id);
            self.on_record = Some(id);
            cancel.write.get_or_init(|| id);
        }
        Ok(())
    }

    /// The story of a call.
    async fn story(&mut self) -> Outcome {
        let client = self.client;
        // 1. Where calls go now.
        let mut in_vain = None;
        let mut place = match self.place_to_go().await {
            Ok(place) => place,
            Err(unanswered) if client.tries(&unanswered) => {
                in_vain = Some(unanswered.message);
                client.place()
            }
            Err(unanswered) => return Outcome::of_outage(&unanswered),
        };
        // What an endpoint is offered, and when: not in the one instant in which an outage ends.
        if client.rules.ramps && self.target.foreign().is_none() {
            client.gate.begins(self.began.into_std());
        }
        let mut resending = Resending::new(client.rules, client.settings.max_attempts);
        loop {
            if Instant::now() >= self.deadline {
                let message = "the call's deadline was over";
                return Outcome::of_fault(Fault::new(Cause::Deadline, message));
            }
            // 2. One attempt, there.
            let mut outcome = self.attempt(place, None).await;
            // 3. Is there already what an earlier attempt may have created? Does the answer only
            // point elsewhere?
            if self.may_be_its_own(&outcome)
                && let Some(found) = self.read_back(place).await
            {
                return found;
            }
            if self.is_redirected(&outcome) {
                place = client.place();
                continue;
            }
            if in_vain.is_some() {
                client.was_tried(place, self.is_answered(&outcome));
            }
            let (Some(fault), Some(last)) = (&outcome.fault, self.attempts.last()) else {
                if self.target.foreign().is_none() {
                    client.notes_answer();
                }
                return outcome;
            };
            // 4. Is its fault the end, or a reason to send again? If its endpoint may have to be left:
            // one switch for all who ask, with its events and handlers, or none.
            let failure = self.failure(last, fault);
            let mut next = self.decide(|moment| resending.after(&failure, moment));
            if let Next::Report(evidence) = next {
                let course = client.consider(place, evidence, fault, self.deadline).await;
                self.was_switched |= client.rules.tells_its_switch && course == Course::Elsewhere;
                next = self.decide(|moment| resending.hear(course, &failure, moment));
            }
            if let Next::Wait {
                pause,
                is_throttled,
            } = next
            {
                if is_throttled {
                    client.throttled(last, &self.request, pause);
                }
                self.pause(place, pause).await;
            }
            if let Next::End(why) = next {
                outcome.stayed = why.map(Cow::Borrowed);
                return outcome;
            }
            if let (Next::WaitOut, Some(in_vain)) = (next, in_vain.take()) {
                outcome.stayed = Some(in_vain.into());
                return outcome;
            }
            if !self.can_be_sent() {
                outcome.stayed = Some("its body can be read only once, and was begun".into());
                return outcome;
            }
            // 5. Again, where calls go by now. Where no endpoint answers, once one does.
            match self.place_to_go_again(next).await {
                Ok(next) => {
                    client.retried(last, &self.request, place, next, fault);
                    place = next;
                }
                Err(unanswered) => {
                    outcome.stayed = Some(unanswered.message.into());
                    return outcome;
                }
            }
        }
    }

    /// Whether the service has answered, whatever it was.
    fn is_answered(&self, outcome: &Outcome) -> bool {
        let rules = &self.client.rules;
        let fault = outcome.fault.as_ref();
        let speaks_against =
            fault.is_some_and(|fault| rules.evidence(fault.cause) > Evidence::Never);
        outcome.answer.is_some() && !speaks_against
    }

    /// What goes to no endpoint of the organization waits for none.
    async fn place_to_go(&self) -> Result<Place, Unanswered> {
        match self.target.foreign() {
            Some(_) => Ok(self.client.place()),
            None => {
                let is_write = self.class.operation != Operation::Read;
                self.client.place_to_go(is_write, self.deadline).await
            }
        }
    }

    async fn place_to_go_again(&self, next: Next) -> Result<Place, Unanswered> {
        if next == Next::WaitOut {
            self.client.outlast(self.deadline).await?;
        }
        self.place_to_go().await
    }

    fn failure<'f>(&self, last: &Attempt, fault: &'f Fault) -> Failure<'f> {
        Failure {
            failed: Failed {
                operation: self.class.operation,
                is_compound: self.class.is_compound,
                phase: last.phase,
                http_status: last.http_status,
                is_acknowledged: last.is_acknowledged,
                cause: fault.cause,
                parts_effect: last.parts_effect,
            },
            fault,
            is_at_sibling: self.target.is_at_sibling(),
            was_in_a_hurry: fault.cause == Cause::ConnectTimeout
                && self.request.connect_timeout.is_some(),
            is_foreign: self.target.foreign().is_some(),
            attempts: self.attempts.len(),
        }
    }

    /// Asks for a decision, with what it is given from outside.
    fn decide(&self, decision: impl FnOnce(Moment<'_>) -> Next) -> Next {
        let client = self.client;
        decision(Moment {
            now: Clock::now(),
            left: self.deadline.saturating_duration_since(Instant::now()),
            chance: client.chance.draw(),
            budget: &mut lock(&client.budget),
        })
    }

    /// Waits, unless the place is left meanwhile.
    async fn pause(&self, place: Place, pause: Duration) {
        let end = Instant::now() + pause;
        let mut moved = pin!(self.client.moved.notified());
        moved.as_mut().enable();
        if self.client.place() == place {
            race(sleep_until(end), moved).await;
        }
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
            .and_then(|location| std::str::from_utf8(location.as_bytes()).ok());
        // Where it may not go, the application gets to see the redirect itself.
        let target =
            location.and_then(|location| self.client.organization.locate_link(location, &last.url));
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

    /// Sends the request to `place`.
    /// What is sent is the call's own request, or what reads its row back.
    pub(super) async fn attempt(
        &mut self,
        place: Place,
        back: Option<&(Request, Target)>,
    ) -> Outcome {
        let client = self.client;
        let (request, target, operation, is_compound) = match back {
            Some((request, target)) => (request, target, Operation::Read, false),
            None => {
                let class = &self.class;
                let is_compound = class.is_compound;
                (&*self.request, &self.target, class.operation, is_compound)
            }
        };
        let address = client.address(target, place.role);
        let running = self.running.insert(Running {
            place,
            is_foreign: target.foreign().is_some(),
            is_compound,
            asked: client.asked(target, operation),
            number: self.attempts.len() + 1,
            address,
            started: SystemTime::now(),
            since: Instant::now(),
            progress: Progress::default(),
            token: OnceLock::new(),
            authorization: OnceLock::new(),
            pass: OnceLock::new(),
        });
        // What reads the row back belongs to the call as well.
        let time = Time {
            attempt: self.request.attempt_time(&client.settings),
            connect: self.request.connect_timeout,
            deadline: self.deadline,
        };
        let exchange = client.exchange(request, operation, self.desk, running, time);
        let (body, is_last) = (
            request.body.reader(),
            running.number >= client.settings.max_attempts,
        );
        let has_grace = |phase| {
            let goes_again = !is_last && body.is_none_or(|body| body.can_be_sent());
            client
                .rules
                .has_grace(operation, is_compound, phase, goes_again)
        };
        let ended = client
            .watched(exchange, running, has_grace, self.deadline)
            .await;
        self.ended(ended)
    }

    /// The attempt under way, if there is one, has ended: with its answer, of which a part may not
    /// be read, or with what broke it off.
    fn ended(&mut self, ended: Result<Option<Decoded>, Fault>) -> Outcome {
        let (rest, broken) = match ended {
            Ok(rest) => (rest, None),
            Err(fault) => (None, Some(fault)),
        };
        let Some(mut running) = self.running.take() else {
            return Outcome {
                answer: None,
                rest,
                fault: broken,
                tally: None,
                sent: None,
                stayed: None,
                is_turned_away: false,
            };
        };
        let answer = running.progress.take_answer();
        let judged = answer
            .as_ref()
            .and_then(|(head, body)| self.client.judge(&running, head, body));
        let sent = running.authorization.get().cloned();
        let is_whole = broken.is_none() && rest.is_none();
        let is_told = |head: &Parts, body: &[u8]| {
            let status = head.status.as_u16();
            is_whole || is_told_in_spite_of_its_end(status, &head.headers, body, running.asked)
        };
        let is_acknowledged = judged.is_none()
            && answer
                .as_ref()
                .is_some_and(|(head, body)| head.status.is_success() && is_told(head, body));
        let told = answer.as_ref().filter(|_| rest.is_none());
        let tally = told.and_then(|(head, body)| self.tally(head, body, sent.as_ref()));
        let judged = self.judged(judged, tally.as_ref());
        let fault = match (broken, judged) {
            (None, judged) => judged,
            // What the answer's head says counts more than how its body ended. Not what it lacks: the
            // rest might have had it.
            (Some(broken), Some(judged))
                if !judged.ends_as_response()
                    && judged.cause != Cause::NoServiceMark
                    && broken.cause != Cause::Cancelled =>
            {
                Some(judged)
            }
            (Some(mut broken), _) => {
                broken.http_status = running.progress.status();
                Some(broken)
            }
        };
        // Some front ends say what they refuse.
        let fault = fault.map(|fault| Fault {
            message: without_credential(&fault.message, sent.as_ref()),
            ..fault
        });
        if let Some(pass) = running.pass.take() {
            let cause = fault.as_ref().map(|fault| fault.cause);
            let evidence = cause.map(|cause| self.client.rules.evidence(cause));
            pass.ended(Became::of(cause, evidence.unwrap_or(Evidence::Never)));
        }
        let parts_effect = match &tally {
            Some(tally) => Some(tally.effect),
            None => self.refused_whole(fault.as_ref()),
        };
        self.record(running, is_acknowledged, fault.clone(), parts_effect);
        Outcome {
            answer,
            rest,
            fault,
            tally,
            sent,
            stayed: None,
            is_turned_away: false,
        }
    }

    fn record(
        &mut self,
        running: Running,
        is_acknowledged: bool,
        fault: Option<Fault>,
        parts_effect: Option<Effect>,
    ) {
        let took = running.since.elapsed();
        if let Some(role) = running.role() {
            let statistics = &self.client.statistics;
            statistics.attempted(role, took, fault.is_some());
        }
        self.attempts.push(Attempt {
            role: running.role(),
            epoch: running.place.epoch,
            phase: running.progress.phase(),
            http_version: running.progress.version(),
            http_status: running.progress.status(),
            url: running.address.into_text(),
            is_acknowledged,
            fault,
            started: running.started,
            took,
            parts_effect,
        });
    }

    /// What is known of the write goes on record, before the application hears of it.
    async fn settle(&mut self, answer: Option<&(Parts, Bytes)>) -> Effect {
        let (effect, ended) = self.effect(answer);
        if let Some((id, ended)) = ended {
            let recorded = self.client.end_write(id, &ended).get(self.desk).await;
            self.client.tell_recorded(id, recorded);
            self.client.tell_doubt(id, &ended);
            self.on_record = None;
        }
        effect
    }

    /// What is known of the write, and, as long as its end is not on record, how it has ended.
    fn effect<'c>(
        &'c self,
        answer: Option<&'c (Parts, Bytes)>,
    ) -> (Effect, Option<(u64, Ended<'c>)>) {
        let attempts = self.attempts.iter().enumerate();
        let mut writes = attempts
            .filter(|(index, _)| Some(*index) != self.read_back_at)
            .map(|(_, attempt)| attempt);
        let effect = if self.was_found {
            Effect::Executed
        } else {
            Effect::of_call(self.class.operation, self.class.is_compound, writes.clone())
        };
        let ended = self.on_record.map(|id| {
            let leaves_one = leaves_one_behind(&self.class, writes.clone());
            let ended = Ended {
                method: &self.request.method,
                tag: self.request.tag.as_deref(),
                effect,
                names_its_row: self.class.creates_in.is_some(),
                attempts: self.attempts.len(),
                // The row that was found is that of the attempt in doubt.
                may_come_late: !self.was_found && leaves_one,
                last: writes.next_back(),
                answer,
            };
            (id, ended)
        });
        (effect, ended)
    }

    /// Makes the response or the error.
    async fn end(mut self, outcome: Outcome) -> Result<Response, Error> {
        let fault = outcome.fault.filter(|fault| !fault.ends_as_response());
        // Some of its parts were done: that is the application's to know.
        let is_of_parts = |fault: &Fault, tally: &Tally| {
            let of_parts = tally.fault.as_ref().map(|fault| fault.cause);
            tally.is_answered && of_parts == Some(fault.cause)
        };
        let tally = outcome.tally;
        let fault = fault.filter(|fault| {
            !tally
                .as_ref()
                .is_some_and(|tally| is_of_parts(fault, tally))
        });
        let is_read_later = outcome.rest.is_some() && fault.is_none();
        let head_text = outcome
            .answer
            .as_ref()
            .and_then(|(head, _)| head.extensions.get::<HeadText>().cloned())
            .unwrap_or_default();
        let standard = outcome
            .answer
            .as_ref()
            .and_then(|(head, _)| head.status.canonical_reason());
        let reason = head_text
            .reason()
            .filter(|reason| standard.is_none_or(|standard| standard.as_bytes() != *reason))
            .map(|reason| sentence(&readable(reason), outcome.sent.as_ref()).into());
        let streamed = self.streamed(outcome.answer.as_ref(), is_read_later, outcome.sent);
        let effect = match &streamed {
            Some(streamed) => streamed.effect(),
            None => self.settle(outcome.answer.as_ref()).await,
        };
        let mut roles = self.attempts.iter().filter_map(|attempt| attempt.role);
        let first = roles.next();
        let switched = self.was_switched || roles.any(|role| Some(role) != first);
        let response = match outcome.answer {
            None => None,
            Some((head, body)) => {
                let mut response = ResponseData {
                    status: head.status.as_u16(),
                    reason,
                    headers: head.headers,
                    head_text,
                    body,
                    effect,
                    switched,
                    ledger_id: self.ledger_id,
                    tag: self.request.tag.clone(),
                    parts: tally.map_or(Vec::new(), |tally| tally.parts),
                    elapsed: self.began.elapsed(),
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
                        &self.request,
                        &response,
                        beginning,
                        outcome.rest,
                        streamed,
                        self.flight,
                    )));
                }
                Some(Response::new(response))
            }
        };
        let Some(fault) = fault else {
            self.client.statistics.answered.one();
            return response.ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "a call ended without answer and without fault: a defect of this library",
                )
            });
        };
        self.client.statistics.failed.one();
        let last = self.attempts.last();
        let is_given_up = fault.http_status.is_none() || gives_up(fault.cause);
        if is_given_up && last.is_some_and(|last| last.http_version == Some(HttpVersion::Http2)) {
            self.client.nudge();
        }
        let is_of_endpoint = self.client.rules.evidence(fault.cause) > Evidence::Never
            || matches!(fault.cause, Cause::Deadline | Cause::Outage);
        let kept = self.client.board().switch.kept();
        let message = message(
            &self.request.method,
            &self.request.url,
            &self.attempts,
            &fault,
            effect,
            outcome.stayed.as_deref(),
            kept.filter(|_| is_of_endpoint && self.target.foreign().is_none()),
        );
        let ending = Ending {
            fault,
            effect,
            switched,
            ledger_id: self.ledger_id,
            tag: self.request.tag.clone(),
            attempts: std::mem::take(&mut self.attempts),
            response,
        };
        Err(if outcome.is_turned_away {
            Error::turned_away(ErrorKind::Busy, message, ending)
        } else {
            Error::of_call(message, ending)
        })
    }
}

/// A call that is given up without its end, by a panic or with its client, leaves a record all the
/// same.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.on_record.is_some() {
            let message = "the call was given up";
            self.ended(Err(Fault::new(Cause::Cancelled, message)));
            if let (_, Some((id, ended))) = self.effect(None) {
                match self.client.end_write(id, &ended) {
                    Soon::Now(recorded) => self.client.tell_recorded(id, recorded),
                    later @ Soon::Later(_) => later.leave(),
                }
                self.client.tell_doubt(id, &ended);
            }
        }
    }
}

impl Outcome {
    fn of_fault(fault: Fault) -> Outcome {
        Outcome {
            answer: None,
            rest: None,
            fault: Some(fault),
            tally: None,
            sent: None,
            stayed: None,
            is_turned_away: false,
        }
    }

    /// It has waited for an outage to end, and nothing of it was sent.
    fn of_outage(unanswered: &Unanswered) -> Outcome {
        Outcome {
            is_turned_away: unanswered.is_full,
            ..Outcome::of_fault(Fault::new(unanswered.cause, &*unanswered.message))
        }
    }
}
