//! One call, from the request to the response or error.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use http::header::LOCATION;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::attempt::{Outcome, Running};
use super::flights::Flight;
use super::guarded::Looked;
use super::outage::Unanswered;
use super::record::Begun;
use crate::body::Taken;
use crate::decide::call::{Course, Failure, Moment, Next, Resending, RowTold};
use crate::decide::evidence::Evidence;
use crate::decide::place::Place;
use crate::decide::redirect::keeps_the_request;
use crate::decide::resend::Failed;
use crate::lock::lock;
use crate::operation::Class;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::ledger::At;
use crate::resource::race::{First, race};
use crate::url_text::is_relative;
use crate::{Attempt, Cause, Error, ErrorKind, Fault, Operation, Request, Response, Target};

pub(super) struct Call<'a> {
    pub(super) client: &'a Arc<Inner>,
    pub(super) request: Cow<'a, Request>,
    /// What a repeat of the request does.
    pub(super) class: Class,
    /// Where what needs the application's code is handed in. `None`: nothing does.
    pub(super) desk: Option<&'a Desk>,
    pub(super) target: Target,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    redirects_left: usize,
    pub(super) attempts: Vec<Attempt>,
    /// Its endpoint was left because of it, or before it could say why it should be.
    pub(super) was_switched: bool,
    /// The id of its row was chosen by the library.
    pub(super) is_id_ours: bool,
    /// The row of a guarded create was found.
    pub(super) was_found: bool,
    pub(super) running: Option<Running>,
    pub(super) flight: &'a Flight,
    record: Record,
    /// The write on record.
    pub(super) ledger_id: Option<u64>,
    /// The write, as long as its end is not on record, or was not told where it is on none.
    pub(super) begun: Option<Begun>,
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

/// Waits until the application wants the call no more, and tells why.
async fn stopped(client: &Inner, cancel: &Cancel) -> Fault {
    let stop = race(cancel.cancelled(), client.flights.cancelled());
    let message = match stop.await {
        First::Left(()) => "the application cancelled the call",
        First::Right(()) => "the client was closed",
    };
    Fault::new(Cause::Cancelled, message)
}

/// What is read from a URL's path is read from all of it.
pub(super) fn located<'r>(request: &'r Request, target: &Target) -> Cow<'r, Request> {
    match target.rest() {
        Some(rest) if is_relative(&request.url) => Cow::Owned(Request {
            url: rest.to_owned(),
            ..request.clone()
        }),
        _ => Cow::Borrowed(request),
    }
}

impl<'a> Call<'a> {
    /// # Errors
    /// When the request cannot be made a guarded create, or says a wrong length. When another call reads
    /// the request's body, or has read it and it cannot be read again.
    pub(super) fn new(
        client: &'a Arc<Inner>,
        request: &'a Request,
        target: Target,
        desk: Option<&'a Desk>,
        flight: &'a Flight,
        began: Instant,
        record: Record,
    ) -> Result<Call<'a>, Error> {
        request.length()?;
        let request = located(request, &target);
        let (request, class, is_id_ours, target) = if request.is_guarded_create {
            let (request, class, is_id_ours) = request.guarded()?;
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
            running: None,
            flight,
            record,
            ledger_id: None,
            begun: None,
            class,
            _body: body,
        })
    }

    /// Runs the call to its end, unless it is cancelled or the client is closed.
    pub(super) async fn run(&mut self, cancel: &Cancel) -> Result<Response, Error> {
        let client = self.client;
        match self.begin(cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                if let Record::Again(_) = self.record {
                    return Err(error.of_unbegun(&self.request));
                }
                let message = format!("the write could not be put on record: {}", error.message());
                let fault = Fault::new(Cause::LocalFailure, message);
                return self.end(Outcome::of_fault(fault)).await;
            }
            Err(fault) => return self.end(Outcome::of_fault(fault)).await,
        }
        // The wish to stop is looked at first: a call that was cancelled before it began is not
        // sent.
        let first = {
            let story = pin!(self.story());
            race(pin!(stopped(client, cancel)), story).await
        };
        let outcome = match first {
            First::Right(outcome) => outcome,
            First::Left(fault) => self.ended(Err(fault)),
        };
        self.end(outcome).await
    }

    /// A write goes on record before anything of it is sent.
    ///
    /// # Errors
    /// Why it is waited for no longer. It is not on record then.
    async fn begin(&mut self, cancel: &Cancel) -> Result<Result<(), Error>, Fault> {
        let (client, deadline) = (self.client, self.deadline);
        let stop = || async move {
            match race(stopped(client, cancel), sleep_until(deadline)).await {
                First::Left(fault) => fault,
                First::Right(()) => Fault::new(
                    Cause::Deadline,
                    "the write could not be put on record within the call's deadline: the store is held by \
                     another process, or is slow",
                ),
            }
        };
        let is_foreign = self.target.foreign().is_some();
        let begun = match self.record {
            Record::Begin => {
                let (request, class) = (&self.request, &self.class);
                client
                    .begin_write(request, class, is_foreign, self.desk, stop)
                    .await?
            }
            Record::Again(id) => {
                let claimed = client.ledger.claim(id, At::now());
                let claimed = claimed.get_unless(self.desk, stop).await?;
                claimed.map(|()| {
                    Some(Begun {
                        id: Some(id),
                        proof: None,
                    })
                })
            }
        };
        Ok(begun.map(|begun| {
            if let Some(begun) = begun {
                self.ledger_id = begun.id;
                if let Some(id) = begun.id {
                    cancel.write.get_or_init(|| id);
                }
                self.begun = Some(begun);
            }
        }))
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
            let now = Instant::now();
            if now >= self.deadline {
                let message = "the call's deadline was over";
                return Outcome::of_fault(Fault::new(Cause::Deadline, message));
            }
            // 2. One attempt, there.
            let mut outcome = self.attempt(place, None, now).await;
            // 3. Is there already what an earlier attempt may have created? Does the answer only
            // point elsewhere?
            if self.may_be_its_own(&outcome)
                && let Looked::Found(found) = Box::pin(self.look(place)).await
            {
                return Outcome::of_answer(found);
            }
            if self.is_redirected(&outcome) {
                place = client.place();
                continue;
            }
            if in_vain.is_some() {
                client.was_tried(place, self.is_answered(&outcome));
            } else if self.target.foreign().is_none() && self.is_answered(&outcome) {
                client.hints();
            }
            let (Some(fault), Some(failed)) = (&outcome.fault, self.failed()) else {
                if self.target.foreign().is_none() {
                    client.notes_answer();
                }
                return outcome;
            };
            // 4. Is its fault the end, or a reason to send again? If its endpoint may have to be left:
            // one switch for all who ask, with its events and handlers, or none.
            let next = self.decide(|moment| resending.after(&self.failure(failed, fault), moment));
            let mut next = self.heard(next, &mut resending, place, failed, fault).await;
            // 5. Is there already what it may have created, although it stays?
            if let Next::Wait {
                reads_row: true, ..
            } = next
            {
                let goes = match self.place_to_go().await {
                    Ok(goes) => goes,
                    Err(unanswered) => {
                        outcome.stayed = Some(unanswered.message.into());
                        return outcome;
                    }
                };
                match Box::pin(self.look_first(place, goes, &mut resending)).await {
                    Ok(found) => return found,
                    Err(then) => next = then,
                }
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
            // 6. Again, where calls go by now. Where no endpoint answers, once one does.
            match self.place_to_go_again(next).await {
                Ok(next) => {
                    client.retried(&self.attempts[failed], &self.request, place, next, fault);
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

    /// What comes after an attempt that has failed, once its endpoint was asked about, and the pause is over.
    async fn heard(
        &mut self,
        mut next: Next,
        resending: &mut Resending,
        place: Place,
        failed: usize,
        fault: &Fault,
    ) -> Next {
        let client = self.client;
        if let Next::Report(evidence) = next {
            let course = client.consider(place, evidence, fault, self.deadline).await;
            self.was_switched |= client.rules.tells_its_switch && course == Course::Elsewhere;
            let failure = self.failure(failed, fault);
            next = self.decide(|moment| resending.hear(course, &failure, moment));
        }
        if let Next::Wait {
            pause,
            is_throttled,
            ..
        } = next
        {
            if is_throttled {
                client.throttled(&self.attempts[failed], &self.request, pause);
            }
            self.pause(place, pause).await;
        }
        next
    }

    /// Reads the row that the write may have made, in place of a repeat, if calls go there still. Where it is not
    /// found: what comes next.
    async fn look_first(
        &mut self,
        place: Place,
        goes: Place,
        resending: &mut Resending,
    ) -> Result<Outcome, Next> {
        let sent = self.sent().count();
        let (told, fault) = if goes == place {
            match self.look(place).await {
                Looked::Found(found) => return Ok(Outcome::of_answer(found)),
                Looked::NoRow => (RowTold::Missing, None),
                Looked::Nothing(fault) => (RowTold::Nothing, fault),
            }
        } else {
            (RowTold::NotAsked, None)
        };
        let Some(fault) = fault else {
            return Err(self.decide(|moment| resending.looked(told, sent, moment)));
        };
        let failed = self.attempts.len() - 1;
        let failure = self.failure(failed, &fault);
        let next = self.decide(|moment| resending.looked_in_vain(&failure, moment));
        Err(self.heard(next, resending, place, failed, &fault).await)
    }

    /// Which attempt has failed.
    fn failed(&self) -> Option<usize> {
        self.attempts.iter().rposition(|attempt| !attempt.reads_row)
    }

    fn failure<'f>(&self, failed: usize, fault: &'f Fault) -> Failure<'f> {
        let attempt = &self.attempts[failed];
        Failure {
            failed: Failed {
                operation: match attempt.reads_row {
                    true => Operation::Read,
                    false => self.class.operation,
                },
                is_compound: self.class.is_compound,
                phase: attempt.phase,
                http_status: attempt.http_status,
                is_acknowledged: attempt.is_acknowledged,
                cause: fault.cause,
                parts_effect: attempt.parts_effect,
            },
            fault,
            is_at_sibling: self.target.is_at_sibling(),
            was_in_a_hurry: fault.cause == Cause::ConnectTimeout
                && self.request.connect_timeout.is_some(),
            is_foreign: self.target.foreign().is_some(),
            makes_row: !attempt.reads_row && self.makes_row(),
            attempts: self.sent().count(),
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
        let (Some((head, _)), Some(last)) = (&outcome.answer, self.sent().next_back()) else {
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
}
