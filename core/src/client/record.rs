//! What the client keeps of its writes: the ledger, and the events that tell of it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Method;
use http::header::{ETAG, LOCATION};
use http::response::Parts;
use ring::digest::{SHA256, digest};
use url::Url;

use super::Inner;
use crate::body::Body;
use crate::decide::place::Place;
use crate::decide::suspects::may_come_late;
use crate::decide::verify::Proof;
use crate::kept::Kept;
use crate::odata_header::ENTITY_ID;
use crate::operation::Class;
use crate::resource::desk::Desk;
use crate::resource::ledger::{At, Soon, Suspected, Suspects, Write, WriteEnd};
use crate::row_answer::version_in;
use crate::shown::shown_url;
use crate::soap_answer::created_id;
use crate::url_text::parse_link;
use crate::{
    Attempt, Effect, Error, ErrorKind, Event, ItemKind, LedgerBodies, Level, Operation, Request,
    StoreFailure, SuspectedSince,
};

/// Reasons of `DataLossSuspected`.
const SWITCHED: &str = "switched";
const REPEATED: &str = "repeated";
const SUSPECT_SINCE: &str = "suspect_since";

/// Reasons of `StoreFailed`.
const BEGIN: &str = "begin";
const END: &str = "end";

/// How a write ended, for the record.
pub(super) struct Ended<'a> {
    pub(super) method: &'a Method,
    pub(super) tag: Option<&'a str>,
    pub(super) effect: Effect,
    /// Its answer, over SOAP, names the row that it has created.
    pub(super) names_its_row: bool,
    pub(super) attempts: usize,
    /// An earlier attempt may still be executed.
    pub(super) may_come_late: bool,
    pub(super) last: Option<&'a Attempt>,
    pub(super) answer: Option<&'a (Parts, Bytes)>,
    /// What was put on record when it began.
    pub(super) begun_as: Option<&'a Proof>,
}

/// A write that has begun, and has no end yet.
pub(super) struct Begun {
    /// Where it is on record. `None`: the store has failed, and it goes on all the same.
    pub(super) id: Option<u64>,
    /// What a store was told of it, and need not be asked for. `None`: it is sent again, or there is none.
    pub(super) proof: Option<Box<Proof>>,
}

impl Inner {
    /// Puts a write on record before it is sent, or why the store has failed: then nothing may be sent.
    /// `None` for a read.
    ///
    /// # Errors
    /// What `stop` has come with, before it was on record.
    pub(super) async fn begin_write<S, F: Future<Output = S>>(
        &self,
        request: &Request,
        class: &Class,
        is_foreign: bool,
        desk: Option<&Desk>,
        stop: impl FnOnce() -> F,
    ) -> Result<Result<Option<Begun>, Error>, S> {
        if class.operation == Operation::Read {
            return Ok(Ok(None));
        }
        let proof = if is_foreign {
            Proof::Nothing
        } else {
            Proof::of_request(&request.method, &request.url, &request.headers, class)
        };
        let known = self.ledger.is_on_disk().then(|| Box::new(proof.clone()));
        let begun = self.begun(request, class, is_foreign, proof);
        Ok(match begun.get_unless(desk, stop).await? {
            Ok(id) => Ok(Some(Begun {
                id: Some(id),
                proof: known,
            })),
            Err(error) if self.settings.store_failure == StoreFailure::GoOn => {
                self.tell_failure(BEGIN, None, Some(request), || {
                    let why = error.message();
                    format!("a write is sent that could not be put on record: {why}")
                });
                Ok(Some(Begun {
                    id: None,
                    proof: None,
                }))
            }
            Err(error) => Err(error),
        })
    }

    /// The store has failed, and a call went on.
    fn tell_failure(
        &self,
        reason: &'static str,
        id: Option<u64>,
        request: Option<&Request>,
        message: impl Fn() -> String,
    ) {
        self.log(Level::Warn, &message);
        self.outlet.tell(ItemKind::StoreFailed, || Event {
            ledger_id: id,
            tag: request.and_then(|request| request.tag.as_deref().map(str::to_owned)),
            method: request.map(|request| request.method.to_string()),
            url: request.map(|request| shown_url(&request.url)),
            reason,
            ..self.here(ItemKind::StoreFailed, message())
        });
    }

    fn begun(&self, request: &Request, class: &Class, is_foreign: bool, proof: Proof) -> Soon<u64> {
        let settings = &self.settings;
        let has_digest = settings.ledger_bodies != LedgerBodies::Off;
        let (body_length, body_digest) = match &request.body {
            Body::Bytes(bytes) if has_digest => (Some(bytes.len() as u64), sha_256(bytes)),
            Body::Bytes(bytes) => (Some(bytes.len() as u64), None),
            Body::Reader(reader) => (reader.length, None),
        };
        let kept = if is_foreign {
            None
        } else {
            Kept::of(request, settings.ledger_bodies, settings.ledger_body_size).map(Arc::new)
        };
        self.ledger.begin(Write {
            tag: request.tag.clone(),
            method: request.method.clone(),
            // What other hosts take in their queries may be a credential.
            url: if is_foreign {
                request.url.split('?').next().unwrap_or_default().to_owned()
            } else {
                request.url.clone()
            },
            operation: class.operation,
            body_length,
            body_digest,
            started: SystemTime::now(),
            epoch: self.place().epoch,
            proof,
            kept,
        })
    }

    /// A write has ended: its end goes on record.
    pub(super) fn end_write(&self, id: u64, ended: &Ended<'_>) -> Soon<Option<Suspected>> {
        let last = ended.last;
        let executed = ended.answer.filter(|_| ended.effect == Effect::Executed);
        let outcome = WriteEnd {
            effect: ended.effect,
            url: last.map(|last| last.url_on_record().to_owned()),
            role: last.and_then(|last| last.role),
            epoch: last.map_or_else(|| self.place().epoch, |last| last.epoch),
            attempts: ended.attempts,
            row_url: ended.answer.and_then(|(head, _)| self.row_url(head, last?)),
            row_id: executed
                .filter(|_| ended.names_its_row)
                .and_then(|(head, body)| created_id(&head.headers, body)),
            version: executed.and_then(|(head, body)| version_of(head, body)),
            may_come_late: ended.may_come_late,
            sent: last.map(|last| last.started),
            begun_as: ended.begun_as.cloned(),
        };
        self.ledger.end(id, outcome, At::now())
    }

    /// Tells of a write whose end is on record: when it is to be verified although it was
    /// acknowledged, and when its end could not be put there.
    pub(super) fn tell_recorded(&self, id: u64, recorded: Result<Option<Suspected>, Error>) {
        let suspected = recorded.unwrap_or_else(|error| {
            self.tell_failure(END, Some(id), None, || {
                format!(
                    "how the write {id} has ended could not be put on record, where it is in doubt \
                     from now on: {}",
                    error.message()
                )
            });
            None
        });
        if let Some(suspected) = suspected {
            let suspects = Suspects {
                in_doubt: 0,
                acknowledged: 1,
            };
            match suspected {
                Suspected::Late => self.tell_suspects(suspects, SWITCHED, String::new()),
                Suspected::Repeated => {
                    let more = format!(": the write {id} was executed after an attempt in doubt");
                    self.tell_suspects(suspects, REPEATED, more);
                }
            }
        }
        if let Some(evicted) = self.ledger.evicted_to_tell() {
            self.log(Level::Warn, || {
                format!(
                    "{evicted} acknowledged writes so far have left the record before \
                     replication_window was over, and nobody has verified them: raise \
                     ledger_entries"
                )
            });
        }
    }

    /// Tells of a write that has ended when it is in doubt, on record or not.
    pub(super) fn tell_doubt(&self, id: Option<u64>, ended: &Ended<'_>) {
        if ended.effect != Effect::Unknown {
            return;
        }
        self.statistics.in_doubt.one();
        let last = ended.last;
        let fault = last.and_then(|last| last.fault.as_ref());
        let reason = fault.map_or("", |fault| fault.kind.name());
        let message = || {
            let url = last.map_or(String::new(), Attempt::shown_url);
            let tag = ended.tag.map_or(String::new(), |tag| format!(" ({tag})"));
            match id {
                Some(id) => format!(
                    "the write {id}{tag} to {url} is in doubt after: {reason}; look whether it was \
                     executed, then resolve it"
                ),
                None => format!(
                    "a write{tag} to {url} is in doubt after: {reason}; look whether it was \
                     executed: it is not on record, because the store has failed"
                ),
            }
        };
        self.log(Level::Warn, message);
        self.outlet.tell(ItemKind::WriteInDoubt, || Event {
            ledger_id: id,
            tag: ended.tag.map(str::to_owned),
            method: Some(ended.method.to_string()),
            fault_kind: fault.map(|fault| fault.kind),
            reason,
            url: last.map(Attempt::shown_url),
            ..self.here(ItemKind::WriteInDoubt, message())
        });
    }

    /// The endpoint `from` was left: what it has acknowledged of late may be missing at the other.
    pub(super) fn suspect(self: &Arc<Self>, from: Place) {
        let suspects = self.ledger.suspect(from.role, from.epoch, At::now());
        if let Soon::Now(found) = suspects {
            self.tell_suspected(found);
            return;
        }
        let inner = Arc::clone(self);
        // Without a thread the store does it all the same, and nobody hears of it.
        let _ = self.engine.spawn(async move {
            let found = suspects.get(None).await;
            inner.tell_suspected(found);
        });
    }

    fn tell_suspected(&self, found: Result<Suspects, Error>) {
        match found {
            Ok(suspects) if suspects == Suspects::default() => {}
            Ok(suspects) => self.tell_suspects(suspects, SWITCHED, String::new()),
            Err(error) => self.log(Level::Warn, || {
                format!(
                    "which writes the endpoint that was left has acknowledged of late could not be \
                     put on record: {}",
                    error.message()
                )
            }),
        }
    }

    /// The application knows of a loss of data behind the active endpoint.
    pub(super) fn suspect_since(&self, since: SystemTime) -> Result<SuspectedSince, Error> {
        if since > SystemTime::now() {
            let message = "nothing was acknowledged yet after a time in the future; name the time up \
                           to which data was kept";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let at = At::now();
        self.board().switch.has_lost(at.clock);
        let found = self.ledger.suspect_since(since, at).wait()?;
        let more = if found.on_record_since > since {
            "; of what was acknowledged before that, not all is on record any more"
        } else {
            ""
        };
        let suspects = Suspects {
            in_doubt: found.in_doubt,
            acknowledged: found.acknowledged,
        };
        self.tell_suspects(suspects, SUSPECT_SINCE, more.to_owned());
        Ok(found)
    }

    fn tell_suspects(&self, suspects: Suspects, reason: &'static str, more: String) {
        let message = || {
            format!(
                "{} writes in doubt and {} that were acknowledged are to be verified{more}",
                suspects.in_doubt, suspects.acknowledged
            )
        };
        self.log_unless_planned(message);
        self.outlet.tell(ItemKind::DataLossSuspected, || Event {
            in_doubt: Some(suspects.in_doubt),
            acknowledged: Some(suspects.acknowledged),
            automatic: reason != SUSPECT_SINCE,
            reason,
            ..self.here(ItemKind::DataLossSuspected, message())
        });
    }

    /// The row that an answer names, so that it can be followed from here: by a URL of the pair.
    fn row_url(&self, head: &Parts, last: &Attempt) -> Option<String> {
        let names_a_row = head.status.is_success();
        let location = head.headers.get(LOCATION).filter(|_| names_a_row);
        let named = head.headers.get(&ENTITY_ID).or(location)?.to_str().ok()?;
        let role = last.role?;
        if Url::parse(named).is_ok() && self.is_of_the_pair(named) {
            return Some(named.to_owned());
        }
        let url = parse_link(named, &Url::parse(&last.url).ok()?)?;
        if self.is_of_the_pair(url.as_str()) {
            return Some(url.into());
        }
        // The name of a host behind a gateway: there the service has the same root.
        let (path, base) = (url.path(), self.organization.url(role));
        let lower = path.to_ascii_lowercase();
        let root = ["/api/data/", "/xrmservices/"].into_iter();
        let root = root.filter_map(|root| lower.find(root)).min().unwrap_or(0);
        Some(format!("{base}{}", &path[root..]))
    }

    fn is_of_the_pair(&self, url: &str) -> bool {
        let target = self.organization.locate(url);
        target.is_ok_and(|target| target.foreign().is_none())
    }
}

/// Whether one of these attempts of a write that was executed may still be executed.
pub(super) fn leaves_one_behind<'a>(
    class: &Class,
    attempts: impl Iterator<Item = &'a Attempt> + Clone,
) -> bool {
    let effects = attempts.map(|attempt| {
        let effect = Effect::of_call(class.operation, class.is_compound, [attempt]);
        (attempt.role, effect)
    });
    may_come_late(class.operation, effects)
}

/// The row's version after a write, where its answer tells it.
fn version_of(head: &Parts, body: &[u8]) -> Option<String> {
    let etag = head.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
    etag.map(str::to_owned).or_else(|| version_in(body))
}

fn sha_256(body: &[u8]) -> Option<[u8; 32]> {
    if body.is_empty() {
        return None;
    }
    digest(&SHA256, body).as_ref().try_into().ok()
}
