//! One attempt of a call: what is sent, and how that ended.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::HeaderValue;
use http::response::Parts;
use tokio::time::Instant;

use super::call::Call;
use super::outage::Unanswered;
use super::time::Time;
use crate::body::BodyReader;
use crate::classify::{Asked, is_told_in_spite_of_its_end};
use crate::decide::evidence::Evidence;
use crate::decide::place::Place;
use crate::decide::ramp::Became;
use crate::head_text::HeadText;
use crate::parts::Tally;
use crate::resource::gate::Pass;
use crate::resource::transport::{Address, Decoded, Progress};
use crate::shown::without_credential;
use crate::{Attempt, Cause, Effect, Fault, Operation, Request, Role, Target};

/// The attempt under way, readable from outside of its future.
pub(super) struct Running {
    pub(super) place: Place,
    /// It goes to a host of `allowed_hosts`.
    is_foreign: bool,
    /// It holds several requests.
    pub(super) is_compound: bool,
    pub(super) asked: Asked,
    pub(super) number: usize,
    /// It reads the row of its write.
    reads_row: bool,
    /// When its call began, whose first it is.
    pub(super) begun: Option<std::time::Instant>,
    pub(super) address: Address,
    started: SystemTime,
    pub(super) since: Instant,
    pub(super) progress: Progress,
    /// Gives its body.
    reader: Option<Arc<BodyReader>>,
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

    /// When something was sent or has come last. As long as the application has a piece of the body to
    /// give, nothing else is waited for. `None`: there is no connection.
    pub(super) fn moved(&self) -> Option<std::time::Instant> {
        let moved = self.progress.moved()?;
        let held = self.reader.as_ref().and_then(|reader| reader.held_until());
        Some(held.map_or(moved, |held| held.max(moved)))
    }
}

/// How an attempt ended.
#[derive(Default)]
pub(super) struct Outcome {
    /// Status and headers, if any came, and the body as far as it was read.
    pub(super) answer: Option<(Parts, Bytes)>,
    /// The answer's head as it came, if there is more of it.
    pub(super) head_text: HeadText,
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

impl Outcome {
    pub(super) fn of_fault(fault: Fault) -> Outcome {
        Outcome {
            fault: Some(fault),
            ..Outcome::default()
        }
    }

    pub(super) fn of_answer(answer: http::Response<Bytes>) -> Outcome {
        Outcome {
            answer: Some(answer.into_parts()),
            ..Outcome::default()
        }
    }

    /// It has waited for an outage to end, and nothing of it was sent.
    pub(super) fn of_outage(unanswered: &Unanswered) -> Outcome {
        Outcome {
            is_turned_away: unanswered.is_full,
            ..Outcome::of_fault(Fault::new(unanswered.cause, &*unanswered.message))
        }
    }
}

impl Call<'_> {
    /// Sends the request to `place`.
    /// What is sent is the call's own request, or what reads its row back.
    pub(super) async fn attempt(
        &mut self,
        place: Place,
        back: Option<&(Request, Target)>,
        now: Instant,
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
        let sent = self.sent().count();
        let running = self.running.insert(Running {
            place,
            is_foreign: target.foreign().is_some(),
            is_compound,
            asked: client.asked(target, operation),
            number: self.attempts.len() + 1,
            reads_row: back.is_some(),
            begun: self.attempts.is_empty().then(|| self.began.into_std()),
            address,
            started: SystemTime::now(),
            since: now,
            progress: Progress::default(),
            reader: request.body.reader().cloned(),
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
        let body = request.body.reader();
        let is_last = sent + 1 >= client.settings.max_attempts;
        let has_grace = |phase| {
            let goes_again = !is_last && body.is_none_or(|body| body.can_be_sent());
            client.rules.has_grace(operation, phase, goes_again)
        };
        // Whatever it has ended by, the exchange is over then.
        let ended = {
            let exchange = pin!(client.exchange(request, operation, self.desk, running, time));
            let watched = client.watched(exchange, running, has_grace, self.deadline);
            watched.await
        };
        self.ended(ended)
    }

    /// The attempt under way, if there is one, has ended: with its answer, of which a part may not
    /// be read, or with what broke it off.
    pub(super) fn ended(&mut self, ended: Result<Option<Decoded>, Fault>) -> Outcome {
        let (rest, broken) = match ended {
            Ok(rest) => (rest, None),
            Err(fault) => (None, Some(fault)),
        };
        let Some(mut running) = self.running.take() else {
            return Outcome {
                rest,
                fault: broken,
                ..Outcome::default()
            };
        };
        let answer = running.progress.take_answer();
        let head_text = running.progress.take_head_text();
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
            head_text,
            rest,
            fault,
            tally,
            sent,
            ..Outcome::default()
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
            reads_row: running.reads_row,
        });
    }
}
