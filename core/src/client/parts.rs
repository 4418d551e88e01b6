//! Requests that hold several: what their answers are taken for, also while the application reads
//! one.

use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, Method};
use tokio::time::Instant;

use super::Inner;
use super::call::Call;
use super::record::{Begun, Ended, leaves_one_behind};
use crate::decide::place::Place;
use crate::ending::Told;
use crate::lock::lock;
use crate::operation::Class;
use crate::parts::{Asked, MOST_BYTES, Tally};
use crate::resource::ledger::{Soon, Suspected};
use crate::resource::race::race;
use crate::{Attempt, Cause, Effect, Fault, Operation};

impl Call<'_> {
    /// Reads the parts of an answer. `None`: there are none.
    pub(super) fn tally(
        &self,
        head: &Parts,
        body: &[u8],
        sent: Option<&HeaderValue>,
    ) -> Option<Tally> {
        if !self.class.is_compound {
            return None;
        }
        self.asked()
            .tally(head.status.as_u16(), &head.headers, body, sent)
    }

    /// What is known of a request that was refused as a whole: of all or nothing, nothing was done.
    pub(super) fn refused_whole(&self, fault: Option<&Fault>) -> Option<Effect> {
        let is_refusal = |fault: &Fault| {
            matches!(
                fault.cause,
                Cause::DatacenterNotAvailable | Cause::Throttled
            )
        };
        let is_refused = self.class.is_compound && fault.is_some_and(is_refusal);
        (is_refused && self.asked().is_atomic).then_some(Effect::NotExecuted)
    }

    fn asked(&self) -> Asked {
        let request = &self.request;
        let body = request.body.bytes().map(|body| &body[..]);
        Asked::of(&request.url, &request.headers, body)
    }

    /// What an answer means by its head and by its parts. Who can tell of parts is the service,
    /// whatever the head looks like. .NET looks at no part, and other hosts are no endpoints.
    pub(super) fn judged(&self, judged: Option<Fault>, tally: Option<&Tally>) -> Option<Fault> {
        let Some(tally) = tally else { return judged };
        if !self.client.rules.reads_parts || self.target.foreign().is_some() {
            return judged.filter(|fault| fault.cause != Cause::NoServiceMark);
        }
        tally.judged(judged)
    }

    /// The write whose effect is known when the application has read its answer.
    pub(super) fn streamed(
        &mut self,
        answer: Option<&(Parts, Bytes)>,
        is_read_later: bool,
        sent: Option<HeaderValue>,
    ) -> Option<Streamed> {
        let (head, _) = answer.filter(|_| is_read_later)?;
        if !self.class.is_compound {
            return None;
        }
        Some(Streamed {
            client: Arc::clone(self.client),
            asked: self.asked(),
            sent,
            kept: Mutex::new(Some(Vec::new())),
            told: OnceLock::new(),
            recorded: Mutex::new(None),
            begun: self.begun.take(),
            method: self.request.method.clone(),
            tag: self.request.tag.clone(),
            class: self.class.clone(),
            is_foreign: self.target.foreign().is_some(),
            head: head.clone(),
            attempts: self.attempts.clone(),
        })
    }
}

/// A request that holds several, whose answer the application reads.
pub(super) struct Streamed {
    client: Arc<Inner>,
    asked: Asked,
    /// The `Authorization` that was sent.
    sent: Option<HeaderValue>,
    /// What was read. `None`: too much to look through.
    kept: Mutex<Option<Vec<u8>>>,
    told: OnceLock<Told>,
    /// Its end on its way to the record, which is waited for before the application hears of it.
    recorded: Mutex<Option<(u64, Soon<Option<Suspected>>)>>,
    begun: Option<Begun>,
    method: Method,
    tag: Option<Arc<str>>,
    class: Class,
    is_foreign: bool,
    head: Parts,
    attempts: Vec<Attempt>,
}

impl Streamed {
    /// A piece was read.
    pub(super) fn read(&self, piece: &[u8]) {
        let mut kept = lock(&self.kept);
        match &mut *kept {
            Some(bytes) if bytes.len() + piece.len() <= MOST_BYTES => {
                bytes.extend_from_slice(piece)
            }
            kept => *kept = None,
        }
    }

    pub(super) fn told(&self) -> Option<&Told> {
        self.told.get()
    }

    /// Nothing more is read: at the end, because it broke off, or because it was given up. Puts
    /// on record what is known by now, and tells the switch what the parts say of the endpoint.
    pub(super) fn end(&self, broken: Option<&Fault>) -> &Told {
        self.told.get_or_init(|| {
            let kept = lock(&self.kept).take();
            let tally = kept.and_then(|body| {
                let head = &self.head;
                let (status, sent) = (head.status.as_u16(), self.sent.as_ref());
                self.asked.tally(status, &head.headers, &body, sent)
            });
            let mut attempts = self.attempts.clone();
            let fault = tally.as_ref().and_then(|tally| tally.fault.clone());
            if let Some(last) = attempts.last_mut() {
                last.parts_effect = tally.as_ref().map(|tally| tally.effect);
                last.fault = broken.cloned().or(fault.clone()).or(last.fault.take());
            }
            let effect = Effect::of_call(self.class.operation, self.class.is_compound, &attempts);
            if let Some(Begun { id, proof }) = &self.begun {
                let id = *id;
                let answer = (self.head.clone(), Bytes::new());
                let ended = Ended {
                    method: &self.method,
                    tag: self.tag.as_deref(),
                    effect,
                    // It has several.
                    names_its_row: false,
                    attempts: attempts.len(),
                    may_come_late: leaves_one_behind(&self.class, attempts.iter()),
                    last: attempts.last(),
                    answer: Some(&answer),
                    begun_as: proof.as_deref(),
                };
                match id.map(|id| (id, self.client.end_write(id, &ended))) {
                    Some((id, Soon::Now(recorded))) => self.client.tell_recorded(id, recorded),
                    Some((id, Soon::Later(later))) => {
                        *lock(&self.recorded) = Some((id, Soon::Later(later)));
                    }
                    None => {}
                }
                self.client.tell_doubt(id, &ended);
            }
            if let Some(fault) = fault {
                self.report(fault);
            }
            Told {
                effect,
                parts: tally.map_or(Vec::new(), |tally| tally.parts),
            }
        })
    }

    /// Whether its end is still on its way to the record.
    pub(super) fn is_being_recorded(&self) -> bool {
        lock(&self.recorded).is_some()
    }

    /// Waits inside of the runtime until its end, if it has one, is on record.
    pub(super) async fn recorded(&self) {
        let recorded = lock(&self.recorded).take();
        if let Some((id, recorded)) = recorded {
            let recorded = recorded.get(None).await;
            self.client.tell_recorded(id, recorded);
        }
    }

    /// The same on a thread of the application's.
    pub(super) fn recorded_here(&self) {
        let recorded = lock(&self.recorded).take();
        if let Some((id, recorded)) = recorded {
            self.client.tell_recorded(id, recorded.wait());
        }
    }

    /// A part has said that the endpoint does not serve: nothing is sent again, and calls that come
    /// may go elsewhere.
    fn report(&self, fault: Fault) {
        let place = self.attempts.last().and_then(|last| {
            Some(Place {
                role: last.role?,
                epoch: last.epoch,
            })
        });
        let is_evidence = fault.cause == Cause::DatacenterNotAvailable
            && self.client.rules.reads_parts
            && !self.is_foreign;
        if let Some(place) = place.filter(|_| is_evidence) {
            self.client.note(place, fault);
        }
    }

    /// What is known of the call.
    pub(super) fn effect(&self) -> Effect {
        match self.class.operation {
            Operation::Read => Effect::None,
            _ => self.told().map_or(Effect::Unknown, |told| told.effect),
        }
    }
}

/// Given up with its response.
impl Drop for Streamed {
    fn drop(&mut self) {
        // In the child of a fork whoever waits for it waits in the parent.
        if self.client.check_is_own_process().is_ok() {
            let message = "the application did not read the answer to its end";
            self.end(Some(&Fault::new(Cause::Cancelled, message)));
            if let Some(recorded) = lock(&self.recorded).take() {
                recorded.1.leave();
            }
        }
    }
}

impl Inner {
    /// What nobody waits for speaks against an endpoint.
    fn note(self: &Arc<Self>, place: Place, fault: Fault) {
        let inner = Arc::clone(self);
        let evidence = self.rules.evidence(fault.cause);
        let deadline = Instant::now() + self.settings.deadline;
        // Without a thread the next call finds out for itself.
        let _ = self.engine.spawn(async move {
            let considered = pin!(inner.consider(place, evidence, &fault, deadline));
            race(considered, inner.flights.cancelled()).await;
        });
    }
}
