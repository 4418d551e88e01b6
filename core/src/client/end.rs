//! The end of a call: what is known of its write goes on record, and the application gets a response or an
//! error.

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;

use super::attempt::Outcome;
use super::call::Call;
use super::message::message;
use super::reading::Reading;
use super::record::{Ended, leaves_one_behind};
use crate::decide::evidence::Evidence;
use crate::ending::{Ending, ResponseData};
use crate::head_text::readable;
use crate::parts::Tally;
use crate::resource::ledger::Soon;
use crate::shown::sentence;
use crate::{Cause, Effect, Error, ErrorKind, Fault, HttpVersion, Response};

impl Call<'_> {
    /// What is known of the write goes on record, before the application hears of it.
    async fn settle(&mut self, answer: Option<&(Parts, Bytes)>) -> Effect {
        let (effect, ended) = self.effect(answer);
        if let Some((id, ended)) = ended {
            if let Some(id) = id {
                let recorded = self.client.end_write(id, &ended).get(self.desk).await;
                self.client.tell_recorded(id, recorded);
            }
            self.client.tell_doubt(id, &ended);
            self.begun = None;
        }
        effect
    }

    /// What is known of the write, and, as long as nobody was told, how it has ended.
    fn effect<'c>(
        &'c self,
        answer: Option<&'c (Parts, Bytes)>,
    ) -> (Effect, Option<(Option<u64>, Ended<'c>)>) {
        let effect = if self.was_found {
            Effect::Executed
        } else {
            Effect::of_call(self.class.operation, self.class.is_compound, &self.attempts)
        };
        let ended = self.begun.as_ref().map(|begun| {
            let ended = Ended {
                method: &self.request.method,
                tag: self.request.tag.as_deref(),
                effect,
                names_its_row: self.class.creates_in.is_some(),
                attempts: self.attempts.len(),
                may_come_late: leaves_one_behind(&self.class, self.attempts.iter()),
                last: self.sent().next_back(),
                answer,
                begun_as: begun.proof.as_deref(),
            };
            (begun.id, ended)
        });
        (effect, ended)
    }

    /// Makes the response or the error.
    pub(super) async fn end(&mut self, outcome: Outcome) -> Result<Response, Error> {
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
        let head_text = outcome.head_text;
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
        let is_kept_from = is_of_endpoint && self.target.foreign().is_none();
        let kept = is_kept_from.then(|| self.client.board().switch.kept());
        let message = message(
            &self.request.method,
            &self.request.url,
            &self.attempts,
            &fault,
            effect,
            outcome.stayed.as_deref(),
            kept.flatten(),
        );
        let ending = Ending {
            effect,
            switched,
            ledger_id: self.ledger_id,
            tag: self.request.tag.clone(),
            attempts: std::mem::take(&mut self.attempts),
            response,
        };
        Err(if outcome.is_turned_away {
            Error::turned_away(message, fault, ending)
        } else {
            Error::of_call(message, fault, ending)
        })
    }
}

/// A call that is given up without its end, by a panic or with its client, leaves a record all the
/// same.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.begun.is_some() {
            let message = "the call was given up";
            self.ended(Err(Fault::new(Cause::Cancelled, message)));
            if let (_, Some((id, ended))) = self.effect(None) {
                match id.map(|id| (id, self.client.end_write(id, &ended))) {
                    Some((id, Soon::Now(recorded))) => self.client.tell_recorded(id, recorded),
                    Some((_, later @ Soon::Later(_))) => later.leave(),
                    None => {}
                }
                self.client.tell_doubt(id, &ended);
            }
        }
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
